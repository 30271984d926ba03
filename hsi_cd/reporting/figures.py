"""The panel figure: both dates, score, change map, truth and errors, with a legend.

matplotlib's objects are used directly: no pyplot, no global state, safe beside anything else that draws.
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from numpy.typing import NDArray

from hsi_cd.errors import GridError, OutputError
from hsi_cd.paths import as_path
from hsi_cd.reporting.images import (
    GREY,
    Colour,
    class_image,
    error_image,
    false_colour,
    stretch_limits,
)
from hsi_cd.reporting.layout import MARGIN, Page, arrange
from hsi_cd.reporting.map_legend import legend_entries
from hsi_cd.reporting.scale_bar import draw_ground, ground_of, why_no_bar
from hsi_cd.scene import Grid
from hsi_cd.scene.surface import pixel_aspect

MAX_PIXELS = 1500
"""Pixels a side from which a scene is thinned out for display."""

DPI = 150

Draw = Callable[[Axes], AxesImage]
"""Draws one panel."""

_LINE = "#777777"
_NOTE = "#555555"


@dataclass(frozen=True)
class ScorePanel:
    """The panel of scores.

    Attributes:
        values: float ``(rows, cols)``, NaN where there is none.
        label: the panel's title.
        limits: values at the ends of the colour bar; the 2nd and 98th percentile of the scores where None.
    """

    values: NDArray[np.floating]
    label: str = "Change probability"
    limits: tuple[float, float] | None = (0.0, 1.0)


@dataclass(frozen=True)
class KindPanels:
    """Kinds of change in place of what merely changed.

    Attributes:
        names: of the kinds by number, from 1.
        change: the map, uint8 ``(rows, cols)``: 0 unchanged, 1 to K, 255 no data.
        truth: the same of the truth, 255 unlabelled; None where it tells no kinds.
    """

    names: Mapping[int, str]
    change: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Title:
    """What stands above the panels.

    Attributes:
        scene: name of the scene.
        method: name of the method.
        scores: scores by name; ``oa`` and ``kappa`` are printed.
        note: what else is said, as the protocol.
    """

    scene: str = "scene"
    method: str = ""
    scores: Mapping[str, float] | None = None
    note: str = ""


def panel_figure(
    t1: NDArray[np.floating] | NDArray[np.uint8],
    t2: NDArray[np.floating] | NDArray[np.uint8],
    *,
    change: NDArray[np.uint8],
    score: ScorePanel | None = None,
    truth: NDArray[np.uint8] | None = None,
    train_index: NDArray[np.integer] | None = None,
    title: Title | None = None,
    grid: Grid | None = None,
    kinds: KindPanels | None = None,
) -> Figure:
    """Draw a scene pair, its change map and its errors.

    Args:
        t1: float ``(3, rows, cols)``: red, green and blue of the first date, NaN where there is no data; or a
            picture to be shown as it is, uint8 ``(rows, cols, 3)``.
        t2: the same of the second date; both dates share one stretch per channel.
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data.
        score: scores, and how they are shown; their panel is left out without them.
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled; truth and errors are left out
            without it.
        train_index: integers ``(n,)``, row-major flat indices of training pixels, marked among the errors.
        title: what stands above the panels.
        grid: the scene's grid; the first date has a scale bar and a north arrow, or the note says why not.
        kinds: kinds of change, which map and truth show in their colours.

    Returns:
        The figure, with a canvas that renders it; thinned out to at most 1500 pixels a side.

    Raises:
        GridError: an array is not on the grid of the change map.
    """
    shape = change.shape
    title = title or Title()
    maps = () if kinds is None else (kinds.change, kinds.truth)
    check_shapes(shape, t1=t1, t2=t2, score=None if score is None else score.values, truth=truth)
    check_shapes(shape, **{f"kinds of {of}": each for of, each in zip(("map", "truth"), maps, strict=False)})
    train = None
    if train_index is not None and truth is not None:
        train = np.zeros(shape, dtype=bool)
        train.flat[train_index] = True

    thin = thinning(shape)
    numbers = () if kinds is None else tuple(kinds.names)
    called = change if kinds is None else kinds.change
    panels = date_panels(t1, t2, thin, grid)
    bar = None
    if score is not None:
        bar = len(panels)
        panels.append((score.label, _heat(score.values[thin], score.limits)))
    panels.append(("Change map", picture(class_image(called[thin], numbers))))
    if truth is not None:
        by_kind = kinds is not None and kinds.truth is not None
        if kinds is not None and kinds.truth is not None:
            truth, change = kinds.truth, kinds.change
        errors = error_image(truth[thin], change[thin], train=None if train is None else train[thin])
        panels.append(("Truth", picture(class_image(truth[thin], numbers if by_kind else ()))))
        panels.append(("Errors", picture(errors)))
    return compose(
        panels,
        shape,
        title=f"{title.scene}: {title.method}" if title.method else title.scene,
        note=_note(title.scores or {}, with_ground(title.note, grid)),
        entries=legend_entries(
            errors=truth is not None,
            training=train is not None,
            kinds={} if kinds is None else kinds.names,
            wrong_kinds=kinds is not None and kinds.truth is not None,
        ),
        bar=bar,
        tall=pixel_aspect(grid),
    )


def compose(
    panels: Sequence[tuple[str, Draw]],
    shape: tuple[int, ...],
    *,
    title: str,
    note: str,
    entries: Sequence[tuple[str, Colour]],
    bar: int | None = None,
    tall: float = 1.0,
) -> Figure:
    """Set panels of one scene on a page.

    Args:
        panels: title and drawing of each.
        shape: ``(rows, cols)`` of the scene.
        title: stands above all.
        note: stands under the title.
        entries: text and colour of each entry of the legend.
        bar: place of the panel with a colour bar; the third, if any.
        tall: how many times as high as wide a pixel is drawn, as :func:`~hsi_cd.scene.surface.pixel_aspect` tells.
    """
    rows, cols = shape
    page = arrange(len(panels), (rows * tall, cols), entries=len(entries), with_bar=bar is not None, note=note)
    figure = Figure(figsize=(page.width, page.height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    _draw_title(figure, page, title)
    for place, (name, draw) in enumerate(panels):
        left, bottom = page.corner(place)
        axes = figure.add_axes(page.fractions(left, bottom, page.cell_width, page.panel_height))
        image = draw(axes)
        axes.set_aspect(tall)
        _frame(axes, name)
        if place == bar:
            bar_width = min(0.8 * page.cell_width, 2.2)
            bar_left = left + (page.cell_width - bar_width) / 2
            strip = figure.add_axes(page.fractions(bar_left, bottom - 0.13, bar_width, 0.07))
            _draw_bar(figure, strip, image)
    figure.legend(
        handles=[
            Patch(facecolor=_rgb(colour), edgecolor=_LINE, linewidth=0.5, label=text) for text, colour in entries
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 0.06 / page.height),
        ncols=page.legend_columns,
        fontsize=8,
        frameon=False,
        handlelength=1.1,
        handleheight=1.1,
        columnspacing=1.6,
        borderpad=0.2,
    )
    return figure


def date_panels(
    t1: NDArray[np.floating] | NDArray[np.uint8],
    t2: NDArray[np.floating] | NDArray[np.uint8],
    thin: tuple[slice, slice],
    grid: Grid | None,
) -> list[tuple[str, Draw]]:
    """The panels of both dates, the first with scale bar and north arrow; arguments as of :func:`panel_figure`."""
    if t1.dtype == np.uint8 and t2.dtype == np.uint8:
        first, second = (np.asarray(date[thin], dtype=np.uint8) for date in (t1, t2))
    else:
        dates = [np.asarray(date[(..., *thin)], dtype=np.float32) for date in (t1, t2)]
        limits = stretch_limits(*dates)
        first, second = (false_colour(date, limits=limits) for date in dates)
    return [
        ("Date 1", on_ground(picture(first, smooth=True), thin, grid)),
        ("Date 2", picture(second, smooth=True)),
    ]


def on_ground(draw: Draw, thin: tuple[slice, slice], grid: Grid | None) -> Draw:
    """A panel with scale bar and north arrow, where the grid is georeferenced."""
    ground = None if grid is None else ground_of(grid)
    if ground is None:
        return draw

    def with_bar(axes: Axes) -> AxesImage:
        image = draw(axes)
        rows, cols = image.get_size()[:2]
        draw_ground(axes, ground.thinned(thin[0].step), shape=(rows, cols))
        return image

    return with_bar


def with_ground(note: str, grid: Grid | None) -> str:
    """A figure's note, and why it has no scale bar, where it has none."""
    return "; ".join(part for part in (note, why_no_bar(grid)) if part)


def check_shapes(shape: tuple[int, ...], **arrays: NDArray[np.generic] | None) -> None:
    """Refuse arrays that are not on the grid of the change map.

    Raises:
        GridError: with the name of the first that is not.
    """
    for name, array in arrays.items():
        if array is None:
            continue
        is_picture = array.ndim == 3 and array.dtype == np.uint8
        if (array.shape[:2] if is_picture else array.shape[-2:]) != shape:
            raise GridError(f"{name} has shape {array.shape} but the change map {shape}: give both on one grid")


def thinning(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Every how manyth row and column is shown, so that a scene has at most :data:`MAX_PIXELS` a side."""
    step = max(1, math.ceil(max(shape) / MAX_PIXELS))
    return slice(None, None, step), slice(None, None, step)


def figure_kind(path: Path) -> str:
    """The kind of figure that the suffix of a file says, ``png`` or ``pdf``.

    Raises:
        OutputError: it says neither.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "pdf"):
        raise OutputError(f"figure {path}: the suffix is {path.suffix!r}; name it .png or .pdf")
    return kind


def save_figure(figure: Figure, path: str | os.PathLike[str], *, overwrite: bool = False, dpi: int = DPI) -> None:
    """Write a figure as PNG or PDF, by the suffix of ``path``; the file appears whole or not at all.

    Raises:
        OutputError: the suffix is another, the file exists and ``overwrite`` is not set, or it cannot be written.
    """
    target = as_path(path)
    kind = figure_kind(target)
    if target.exists() and not overwrite:
        raise OutputError(f"figure {target} exists: choose another name, or allow overwriting")
    # Beside the target, as a rename is atomic only within one file system.
    temporary = target.with_name(f".{target.stem[:40]}.{uuid.uuid4().hex[:8]}.part")
    try:
        # Type 42 keeps letters as letters, which journals ask for; Type 3 draws them.
        with matplotlib.rc_context({"pdf.fonttype": 42}), temporary.open("xb") as file:
            # A PDF carries its date unless told not to; the same figure shall be the same file.
            figure.savefig(file, format=kind, dpi=dpi, metadata={"CreationDate": None} if kind == "pdf" else None)
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"figure {target} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def picture(image: NDArray[np.uint8], *, smooth: bool = False) -> Draw:
    """How a panel draws an image, uint8 ``(rows, cols, 3)``."""
    # Classes are never blended: a mixed colour would be in no legend.
    return lambda axes: axes.imshow(image, interpolation="auto" if smooth else "nearest")


def _heat(score: NDArray[np.floating], limits: tuple[float, float] | None) -> Draw:
    low, high = limits or stretch_limits(score[np.newaxis])[0]
    colours = matplotlib.colormaps["magma"].with_extremes(bad=_rgb(GREY))
    masked = np.ma.masked_invalid(score)
    return lambda axes: axes.imshow(masked, cmap=colours, vmin=low, vmax=high, interpolation="nearest")


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9, pad=4)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=_LINE, linewidth=0.6)


def _draw_bar(figure: Figure, axes: Axes, image: AxesImage) -> None:
    low, high = image.get_clim()
    bar = figure.colorbar(image, cax=axes, orientation="horizontal")
    ticks = [low, (low + high) / 2, high]
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.ax.tick_params(labelsize=7, length=2, width=0.5, pad=1.5, color=_LINE)
    bar.outline.set(edgecolor=_LINE, linewidth=0.5)


def _note(scores: Mapping[str, float], note: str) -> str:
    parts = []
    if "oa" in scores:
        parts.append("OA undefined" if math.isnan(scores["oa"]) else f"OA {100 * scores['oa']:.2f} %")
    if "kappa" in scores:
        parts.append("Kappa undefined" if math.isnan(scores["kappa"]) else f"Kappa {scores['kappa']:.4f}")
    return ", ".join([*parts, note] if note else parts)


def _draw_title(figure: Figure, page: Page, title: str) -> None:
    left = MARGIN / page.width
    figure.text(left, 1 - 0.12 / page.height, title, fontsize=12, fontweight="bold", va="top")
    note = "\n".join(page.note)
    figure.text(left, 1 - 0.37 / page.height, note, fontsize=9, color=_NOTE, va="top", linespacing=1.25)


def _rgb(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
