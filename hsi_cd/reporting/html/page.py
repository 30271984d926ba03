"""One HTML file that shows runs: maps to look at, tables, curves, splits. It needs nothing but a browser.

Images are inside the file, and its content policy forbids every connection. Without scripts all maps lie side by
side; with them they lie on top of each other, to zoom into and to blink between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError
from hsi_cd.evaluation.result import RunResult
from hsi_cd.evaluation.significance import compare_maps
from hsi_cd.reporting.cells import COST_TITLES
from hsi_cd.reporting.comparison import check_comparable
from hsi_cd.reporting.formats import results_table
from hsi_cd.reporting.html.elements import (
    MAP_COLOURS,
    escape,
    image_element,
    legend,
    step_of,
    table_head,
    table_row,
)
from hsi_cd.reporting.html.run_section import ReportRun, run_section, score_image
from hsi_cd.reporting.images import class_image, error_image
from hsi_cd.scene import UNLABELLED

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


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
    scenes: dict[str, list[ReportRun]] = {}
    for run in runs:
        scenes.setdefault(run.result.dataset, []).append(run)
    anchors = {name: f"scene-{i}" for i, name in enumerate(scenes, 1)}
    links = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for name, anchor in anchors.items())
    body = [
        f"<header><h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(_summary(runs))}</p></header>',
        f'<nav aria-label="Contents"><ul><li><a href="#results">Results</a></li>{links}</ul></nav>',
        f'<main><section id="results"><h2>Results</h2>{_tables([run.result for run in runs], percent)}</section>',
    ]
    for name, of_scene in scenes.items():
        body.append(f'<section id="{anchors[name]}"><h2>{escape(name)}</h2>')
        body += [_viewer(name, of_scene), _significance(of_scene)]
        body += [run_section(run, open_=i == 0, percent=percent) for i, run in enumerate(of_scene)]
        body.append("</section>")
    body.append("</main>")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_asset('report.css')}</style></head><body>",
            *body,
            f"<script>\n{_asset('report.js')}</script>",
            "</body></html>\n",
        ]
    )


def _summary(runs: Sequence[ReportRun]) -> str:
    protocols = dict.fromkeys(f"protocol {run.result.protocol} ({run.result.scope} pixels)" for run in runs)
    versions = dict.fromkeys(f"hsi-cd {run.result.versions.get('hsi-cd', 'of unknown version')}" for run in runs)
    many = f"{len(runs)} runs" if len(runs) != 1 else "1 run"
    return f"{many}; {'; '.join(protocols)}; {', '.join(versions)}."


def _tables(results: Sequence[RunResult], percent: Sequence[str]) -> str:
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
    parts = []
    for group in groups:
        shown = [name for name in ("oa", "aa", "kappa", "f1", "auc") if any(name in r.scores for r in group)]
        table = results_table(
            group, format="html", columns="score", scores=shown, percent=percent, costs=tuple(COST_TITLES)
        )
        parts.append(f'<div class="scroll">{table}</div>')
    return "\n".join(parts)


def _viewer(name: str, runs: Sequence[ReportRun]) -> str:
    first = runs[0]
    step = step_of(first.change.shape)
    layers: list[tuple[str, str, NDArray[np.uint8]]] = []
    if first.t1 is not None and first.t2 is not None:
        layers += [("", "Date 1", first.t1), ("", "Date 2", first.t2)]
    if first.labels is not None:
        layers.append(("", "Truth", class_image(first.labels.values)))
    for run in runs:
        if run.change.shape != first.change.shape:
            continue  # another scene of the same name: it is in the tables alone
        layers.append((run.name, "Map", class_image(run.change)))
        if run.labels is not None:
            train = run.split.train_mask() if run.split is not None else None
            layers.append((run.name, "Errors", error_image(run.labels.values, run.change, train=train)))
        if run.score is not None:
            layers.append((run.name, "Score", score_image(run.score)))
    figures = []
    for run_name, layer, image in layers:
        told = f"{layer}, {run_name}" if run_name else layer
        figures.append(
            f'<figure data-layer="{escape(layer)}" data-run="{escape(run_name)}">'
            f"{image_element(image[::step, ::step], told)}<figcaption>{escape(told)}</figcaption></figure>"
        )
    thinned = f" Every {step}th pixel is shown." if step > 1 else ""
    stage = f'<div class="stage" role="group" aria-label="Maps of {escape(name)}">{"".join(figures)}</div>'
    note = f'<p class="note">Score: from dark (low) to bright (high), grey no data.{thinned}</p>'
    return f'<div class="viewer">{stage}</div>{legend(MAP_COLOURS)}{note}'


def _significance(runs: Sequence[ReportRun]) -> str:
    """McNemar's tests between runs that were judged on the same pixels."""
    groups: dict[bytes, list[ReportRun]] = {}
    for run in runs:
        if run.labels is not None:
            judged = run.judged()
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
            cells += [_p(test.p_value), _p(pair.corrected)]
            rows.append(table_row(f"{pair.first} / {pair.second}", cells))
    if not rows:
        return ""
    head = table_head(["Maps", "only the first right", "only the second right", "chi-square", "p", "p (Holm)"])
    caption = (
        "McNemar's test between maps on the same test pixels, taken as independent (neighbours are not: the true "
        "p is larger); corrected by Holm over the pairs judged on the same pixels."
    )
    table = f"<table><caption>{caption}</caption>{head}<tbody>{''.join(rows)}</tbody></table>"
    return f'<h3>Do the maps differ?</h3><div class="scroll">{table}</div>'


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _asset(name: str) -> str:
    return resources.files("hsi_cd.reporting.html").joinpath("assets", name).read_text(encoding="utf-8")
