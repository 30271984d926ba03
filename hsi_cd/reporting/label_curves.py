"""A score against the number of labels, or against their imbalance: the table and the figure.

Each point of a curve is the mean over seeds. Its band is one standard deviation (ddof 1) to either side: how far a
single draw of labels may fall from the mean, not how well the mean is known.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import RunResult, judged_apart, judges
from hsi_cd.reporting.captions import PLUS_MINUS, cautions, seeds_in_words
from hsi_cd.reporting.cells import Cell, Measure, Runs, find_measures
from hsi_cd.reporting.comparison import Row, Table, check_comparable
from hsi_cd.reporting.figures import DPI

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's palette
_MARKERS = "osD^vPX*"  # a second sign, for print in grey; one more than colours, so that no pair comes twice soon
_PANEL = (4.2, 3.2)  # inches
_PANELS_A_ROW = 3
_CHARACTER = 0.075  # inches of a character of the title


@dataclass(frozen=True)
class Point:
    """The runs at one place of the axis.

    Attributes:
        x: where they stand, above 0.
        label: what is written there.
        results: the runs, of any scenes, methods and seeds, under one protocol.
    """

    x: float
    label: str
    results: tuple[RunResult, ...]


def curve_tables(points: Sequence[Point], *, axis: str, score: str = "kappa") -> tuple[Table, ...]:
    """A table for each scene: methods in the rows, points in the columns.

    Args:
        points: the points, in their order along the axis; those without a run keep their column.
        axis: what is along the axis, as ``training pixels of each class``.
        score: name of the score.

    Returns:
        The tables; None cells are points without a run.

    Raises:
        ConfigError: there is no run, or the runs of a point do not compare.
        UnknownNameError: there is no such score.
    """
    results, measure = _check(points, score)
    at = [Runs(point.results, interval=None, ddof=1) for point in points]
    tables = []
    for dataset in dict.fromkeys(result.dataset for result in results):
        of_scene = [result for result in results if result.dataset == dataset]
        rows = [
            Row(method, tuple(runs.cell(method, dataset, measure) for runs in at))
            for method in dict.fromkeys(result.method for result in of_scene)
        ]
        tables.append(
            Table(
                title=dataset,
                caption=f"{measure.title} by {axis}. {_about(points, of_scene)}",
                corner="Method",
                groups=("",),
                columns=tuple(point.label for point in points),
                rows=tuple(rows),
                protocol=results[0].protocol,
                scope=results[0].scope,
            )
        )
    return tuple(tables)


def curve_figure(points: Sequence[Point], *, axis: str, score: str = "kappa") -> Figure:
    """The same as a figure: a panel for each scene, a line and a band for each method, a logarithmic axis.

    A point without a run, or with an undefined score, is a gap in its line.

    Args:
        points: as for :func:`curve_tables`.
        axis: what is along the axis.
        score: name of the score.

    Returns:
        The figure, with a canvas that renders it.

    Raises:
        ConfigError: there is no run, or the runs of a point do not compare.
        UnknownNameError: there is no such score.
    """
    results, measure = _check(points, score)
    datasets = list(dict.fromkeys(result.dataset for result in results))
    methods = list(dict.fromkeys(result.method for result in results))
    at = [Runs(point.results, interval=None, ddof=1) for point in points]
    across = min(len(datasets), _PANELS_A_ROW)
    down = math.ceil(len(datasets) / across)
    width, height = max(across * _PANEL[0], 6.0), down * _PANEL[1] + 1.0
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    title = textwrap.wrap(_about(points, results), int(width / _CHARACTER))
    figure.suptitle("\n".join([f"{measure.title} by {axis}", *title]), fontsize=9)
    for number, dataset in enumerate(datasets):
        axes = figure.add_subplot(down, across, number + 1)
        for kind, method in enumerate(methods):
            cells = [runs.cell(method, dataset, measure) for runs in at]
            _draw_curve(axes, list(zip((point.x for point in points), cells, strict=True)), kind, method)
        axes.set_xscale("log")
        axes.set_xlim(points[0].x / 1.2, points[-1].x * 1.2)
        axes.set_xticks([point.x for point in points], labels=[point.label for point in points])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(labelsize=8)
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.set_title(dataset, fontsize=9)
        axes.set_xlabel(axis, fontsize=8)
        axes.set_ylabel(measure.title, fontsize=8)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(methods), 6), fontsize=8, frameon=False
    )
    return figure


def _check(points: Sequence[Point], score: str) -> tuple[list[RunResult], Measure]:
    results = [result for point in points for result in point.results]
    if not results:
        raise ConfigError("no run to draw a curve of: every one failed, or none was named")
    for point in points:
        if point.results:
            check_comparable(point.results)
    protocols = {(result.protocol, result.scope) for result in results}
    if len(protocols) > 1:
        named = " and ".join(sorted(protocol for protocol, _ in protocols))
        raise ConfigError(f"the runs are of protocols {named}: two protocols cannot share a curve; draw two")
    return results, find_measures(results, [score], (), ())[0]


def _about(points: Sequence[Point], results: Sequence[RunResult]) -> str:
    """Protocol, pixels, seeds; and where seeds are missing."""
    shown = {(result.method, result.dataset) for result in results}
    by_cell: dict[tuple[str, str, str], list[int | None]] = {}
    for point in points:
        for result in point.results:
            if (result.method, result.dataset) in shown:
                by_cell.setdefault((result.method, result.dataset, point.label), []).append(result.seed)
    common = max(by_cell.values(), key=len)
    mean = f"mean {PLUS_MINUS} standard deviation (ddof = 1)" if len(common) > 1 else "one run each"
    words = f"Protocol {results[0].protocol}, scored on {judges(results[0])}; {mean}, {seeds_in_words(common)}."
    fewer = [
        f"{method} on {dataset} at {label}: {seeds_in_words(seeds)}"
        for (method, dataset, label), seeds in by_cell.items()
        if set(seeds) != set(common)
    ]
    apart = [
        f"At {point.label}: {sentence}."
        for point in points
        for dataset, sentence in judged_apart(point.results).items()
        if any(dataset == name for _, name in shown)
    ]
    few = [f"At {point.label}: {sentence}." for point in points for sentence in cautions(_shown(point, shown))]
    return " ".join([words, *([f"Other seeds: {'; '.join(fewer)}."] if fewer else []), *apart, *few])


def _shown(point: Point, places: Collection[tuple[str, str]]) -> list[RunResult]:
    return [result for result in point.results if (result.method, result.dataset) in places]


def _draw_curve(axes: Axes, places: Sequence[tuple[float, Cell | None]], kind: int, name: str) -> None:
    """A line through the means, broken where one is missing, with a mark at each and a band around it."""
    x = np.array([place for place, _ in places])
    mean = np.array([cell.mean if cell is not None else math.nan for _, cell in places])
    # A single run has no spread: its mark stands without a band.
    std = np.array([cell.std if cell is not None else math.nan for _, cell in places])
    colour, marker = _COLOURS[kind % len(_COLOURS)], _MARKERS[kind % len(_MARKERS)]
    axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, mean, color=colour, marker=marker, markersize=4, linewidth=1.4, label=name)
