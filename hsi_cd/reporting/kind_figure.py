"""Mean spectra of kinds of change before and after, as curves over wavelength."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hsi_cd.prepare.library_match import KindMaterials
from hsi_cd.reporting.figures import DPI
from hsi_cd.reporting.kind_tables import MARKED, band_words, unbroken
from hsi_cd.scene.kind_spectra import KindSpectra

_COLUMNS = 3


def kind_figure(
    kinds: Mapping[int, KindSpectra],
    names: Mapping[int, str],
    *,
    centres: Sequence[float],
    colours: Mapping[int, tuple[int, int, int, int]],
    materials: Mapping[int, KindMaterials] | None = None,
    title: str = "Kinds of change",
) -> Figure:
    """A panel a kind: dashed before, full after, each with a band of one deviation; the leading bands are marked.

    Args:
        kinds: by their value in the map.
        names: of the kinds.
        centres: wavelengths, nm; the bands' numbers are shown where there are none.
        colours: of the kinds, as the map shows them.
        materials: what each is from and to, or None.
        title: stands above.
    """
    columns = max(1, min(_COLUMNS, len(kinds)))
    rows = max(1, math.ceil(len(kinds) / columns))
    figure = Figure(
        figsize=(3.4 * columns + 0.4, 2.5 * rows + 0.7), dpi=DPI, facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    for place, (number, kind) in enumerate(kinds.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        _draw(axes, kind, centres, "#{:02x}{:02x}{:02x}".format(*colours[number][:3]))
        told = ", ".join(band_words(int(band), centres) for band in kind.leading[:MARKED])
        ends = f"\n{materials[number]}" if materials is not None else ""
        axes.set_title(f"{names[number]}{ends}\n{kind.pixels:,} pixels; {told}", fontsize=8)
        if place % columns == 0:
            axes.set_ylabel("stored value", fontsize=8)
        if place + columns >= len(kinds):
            axes.set_xlabel("wavelength (nm)" if centres else "band", fontsize=8)
        if place == 0:
            axes.legend(fontsize=7, frameon=False)
    return figure


def _draw(axes: Axes, kind: KindSpectra, centres: Sequence[float], colour: str) -> None:
    x = np.asarray(centres, dtype=np.float64) if centres else np.arange(1, len(kind.before) + 1, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    parts = unbroken(x[order])
    for number, (date, mean, deviation) in enumerate(
        (("before", kind.before, kind.before_deviation), ("after", kind.after, kind.after_deviation))
    ):
        for i, part in enumerate(parts):
            own = order[part]
            style = "-" if number else "--"
            axes.plot(x[own], mean[own], style, color=colour, linewidth=1.2, label=date if i == 0 else None)
            low, high = mean[own] - deviation[own], mean[own] + deviation[own]
            axes.fill_between(x[own], low, high, color=colour, alpha=0.15, linewidth=0)
    for band in kind.leading[:MARKED]:
        axes.axvline(x[band], color="#999999", linewidth=0.6, linestyle=":")
    axes.tick_params(labelsize=7)
