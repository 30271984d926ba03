"""Mean spectra of kinds of change on a page: a chart a kind, before dashed and after full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hsi_cd.reporting.html.charts import Chart, spectrum_chart
from hsi_cd.reporting.kind_tables import MARKED, band_words, unbroken
from hsi_cd.scene.kind_spectra import KindSpectra


@dataclass(frozen=True)
class KindChart:
    """The curves of a kind, and what stands above them.

    Attributes:
        name: of the kind.
        words: its pixels, and the bands that carry it most.
        colour: as the map shows it, ``#0077bb``.
        chart: the curves.
    """

    name: str
    words: str
    colour: str
    chart: Chart


def kind_charts(
    kinds: Mapping[int, KindSpectra],
    names: Mapping[int, str],
    *,
    centres: Sequence[float],
    colours: Mapping[int, tuple[int, int, int, int]],
) -> list[KindChart]:
    """A chart of each kind that has spectra; the bands that carry it most are marked.

    Args:
        kinds: by their value in the map.
        names: of the kinds.
        centres: wavelengths, nm; the bands' numbers are shown where there are none.
        colours: of the kinds, as the map shows them, RGBA.
    """
    charts = []
    for number, kind in kinds.items():
        count = len(kind.before)
        x = np.asarray(centres, dtype=np.float64) if centres else np.arange(1, count + 1, dtype=np.float64)
        order = np.argsort(x, kind="stable")
        leading = [int(band) for band in kind.leading[:MARKED] if np.isfinite(kind.strength[band])]
        marks = {band: band_words(band, centres) for band in leading}
        name, colour = names.get(number, f"kind {number}"), "#{:02x}{:02x}{:02x}".format(*colours[number][:3])
        chart = spectrum_chart(
            x,
            {"after": kind.after, "before": kind.before},
            parts=[order[part] for part in unbroken(x[order])],
            title=f"{name}: mean spectra before and after",
            x_title="wavelength (nm)" if centres else "band",
            marks=marks,
            colour=colour,
        )
        if chart is not None:
            most = f"; most in {', '.join(marks.values())}" if marks else ""
            charts.append(KindChart(name, f"{kind.pixels:,} pixels{most}", colour, chart))
    return charts
