"""One HTML file that shows runs: maps to look at, tables, curves, splits. It needs nothing but a browser.

Images are inside the file, and its content policy forbids every connection. Without scripts all maps lie side by
side; with them they lie on top of each other, to zoom into and to blink between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import RunResult, compare_maps, judges
from hsi_cd.reporting.cells import COST_TITLES
from hsi_cd.reporting.comparison import Table, check_comparable, compare_results, told_apart
from hsi_cd.reporting.formats import html_view
from hsi_cd.reporting.html.elements import Picture, Sheet, make_picture, step_of
from hsi_cd.reporting.html.kind_tests import kind_tests, p_in_words
from hsi_cd.reporting.html.rendering import render
from hsi_cd.reporting.html.run_section import ReportRun, RunView, score_image, view_run
from hsi_cd.reporting.images import (
    BLACK,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    GREY,
    SPLIT_COLOURS,
    TRAINING,
    WHITE,
    Colour,
    class_image,
    error_image,
)
from hsi_cd.reporting.map_legend import legend_entries
from hsi_cd.scene import UNLABELLED

MAP_COLOURS: Mapping[str, Colour] = {
    "changed, true positive": WHITE,
    "unchanged, true negative": BLACK,
    "false positive": FALSE_POSITIVE,
    "false negative": FALSE_NEGATIVE,
    "training pixel": TRAINING,
    "unlabelled or no data": GREY,
}


@dataclass(frozen=True)
class Layer:
    """One picture of a scene, and the run that it is of, if any."""

    name: str
    run: str
    picture: Picture


@dataclass(frozen=True)
class SceneView:
    """What a report shows of a scene: its layers and their colours, every how manyth pixel, tests, its runs."""

    name: str
    layers: Sequence[Layer]
    colours: Mapping[str, Colour]
    step: int
    tests: Sequence[Sheet]
    runs: Sequence[RunView]


def report_page(
    runs: Sequence[ReportRun], *, title: str = "Change detection report", percent: Sequence[str] = ("oa", "aa")
) -> str:
    """The report of one or several runs.

    Runs of one scene share a viewer; runs of one protocol share a table.

    Args:
        runs: the runs, in the order in which they are to stand.
        title: title of the page.
        percent: names of the scores printed in %.

    Returns:
        A whole HTML document.

    Raises:
        ConfigError: there is no run.
    """
    if not runs:
        raise ConfigError("no run to report on: name run folders")
    results = told_apart([run.result for run in runs])
    runs = [replace(run, result=result) for run, result in zip(runs, results, strict=True)]
    scenes: dict[str, list[ReportRun]] = {}
    for run in runs:
        scenes.setdefault(run.result.dataset, []).append(run)
    return render(
        "page.html",
        title=title,
        summary=_summary(runs),
        results=[html_view(tables) for tables in _tables(results, percent)],
        scenes=[_view_scene(name, of_scene, percent) for name, of_scene in scenes.items()],
        split_colours=SPLIT_COLOURS,
    )


def _summary(runs: Sequence[ReportRun]) -> str:
    protocols = dict.fromkeys(f"protocol {run.result.protocol} ({judges(run.result)})" for run in runs)
    versions = dict.fromkeys(f"hsi-cd {run.result.versions.get('hsi-cd', 'of unknown version')}" for run in runs)
    many = f"{len(runs)} runs" if len(runs) != 1 else "1 run"
    return f"{many}; {'; '.join(protocols)}; {', '.join(versions)}."


def _tables(results: Sequence[RunResult], percent: Sequence[str]) -> list[tuple[Table, ...]]:
    """As few tables as hold only what compares: scores of two protocols do not."""
    groups: list[list[RunResult]] = []
    for result in results:
        for group in groups:
            with contextlib.suppress(ConfigError):
                check_comparable([*group, result])
                group.append(result)
                break
        else:
            groups.append([result])
    found = []
    for group in groups:
        shown = [name for name in ("oa", "aa", "kappa", "f1", "auc") if any(name in r.scores for r in group)]
        found.append(
            compare_results(group, columns="score", scores=shown, percent=percent, costs=tuple(COST_TITLES))
        )
    return found


def _view_scene(name: str, runs: Sequence[ReportRun], percent: Sequence[str]) -> SceneView:
    first = runs[0]
    images: list[tuple[str, str, NDArray[np.uint8]]] = []
    if first.t1 is not None and first.t2 is not None:
        told = f" ({first.shown})" if first.shown else ""
        images += [("", f"Date 1{told}", first.t1), ("", f"Date 2{told}", first.t2)]
    kinds = next((run.kinds for run in runs if run.kinds is not None and run.kinds.truth is not None), None)
    if kinds is not None and kinds.truth is not None and kinds.truth.shape == first.change.shape:
        images.append(("", "Truth", class_image(kinds.truth, kinds.names)))
    elif first.labels is not None:
        images.append(("", "Truth", class_image(first.labels.values)))
    for run in runs:
        if run.change.shape != first.change.shape:
            continue  # another scene of the same name: it is in the tables alone
        mapped = run.kinds
        called = class_image(run.change) if mapped is None else class_image(mapped.change, mapped.names)
        images.append((run.name, "Map", called))
        train = run.split.train_mask() if run.split is not None else None
        if mapped is not None and mapped.truth is not None:
            images.append((run.name, "Errors", error_image(mapped.truth, mapped.change, train=train)))
        elif run.labels is not None:
            images.append((run.name, "Errors", error_image(run.labels.values, run.change, train=train)))
        if run.score is not None:
            images.append((run.name, "Score", score_image(run.score)))
    return SceneView(
        name=name,
        layers=[
            Layer(
                layer,
                run_name,
                make_picture(image, f"{layer}, {run_name}" if run_name else layer, tall=first.tall),
            )
            for run_name, layer, image in images
        ],
        colours=_colours(runs),
        step=step_of(first.change.shape),
        tests=[sheet for sheet in (_significance(runs), kind_tests(runs)) if sheet is not None],
        runs=[view_run(run, percent=percent) for run in runs],
    )


def _colours(runs: Sequence[ReportRun]) -> Mapping[str, Colour]:
    """What the colours of a scene's maps mean, those of kinds of change among them."""
    names: dict[int, str] = {}
    for run in runs:
        names = {**(run.kinds.names if run.kinds is not None else {}), **names}
    if not names:
        return MAP_COLOURS
    judged = any(run.kinds is not None and run.kinds.truth is not None for run in runs)
    return dict(legend_entries(errors=True, training=True, kinds=dict(sorted(names.items())), wrong_kinds=judged))


def _significance(runs: Sequence[ReportRun]) -> Sheet | None:
    """McNemar's tests between runs that were judged on the same pixels."""
    groups: dict[bytes, list[ReportRun]] = {}
    for run in runs:
        if run.labels is not None and (judged := run.judged()).any():
            groups.setdefault(np.where(judged, run.labels.values, UNLABELLED).tobytes(), []).append(run)
    rows = []
    for group in groups.values():
        labels = group[0].labels
        maps = {run.name: run.change for run in group}
        if labels is None or len(maps) < 2:
            continue
        for pair in compare_maps(labels.values, maps, where=group[0].judged()):
            test = pair.test
            cells = [f"{test.only_first:,}", f"{test.only_second:,}", f"{test.statistic:.2f}"]
            cells += [p_in_words(test.p_value), p_in_words(pair.corrected)]
            rows.append((f"{pair.first} / {pair.second}", cells))
    if not rows:
        return None
    return Sheet(
        ["Maps", "only the first right", "only the second right", "chi-square", "p", "p (Holm)"],
        rows,
        caption="McNemar's test between maps on the same test pixels, taken as independent (neighbours are not: "
        "the true p is larger); corrected by Holm over the pairs judged on the same pixels.",
    )
