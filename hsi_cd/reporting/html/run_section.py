"""What a report says of one run: scores, counts, curves, calibration, split, facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib
import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation.continuous import reliability_curve
from hsi_cd.evaluation.intervals import bootstrap_pixels
from hsi_cd.evaluation.result import ClassCounts, RunResult
from hsi_cd.evaluation.scores import SCORE_NAMES
from hsi_cd.reporting.html.charts import curve_chart, reliability_chart
from hsi_cd.reporting.html.elements import escape, image_element, legend, step_of, table_head, table_row
from hsi_cd.reporting.images import GREY, SPLIT_COLOURS, split_image, stretch_limits
from hsi_cd.reporting.tables import SCOPES, SCORE_TITLES, format_score, kind_scores, scope_scores
from hsi_cd.scene import UNLABELLED, Labels, Split


def run_section(run: ReportRun, *, open_: bool, percent: Sequence[str]) -> str:
    """An element with all about one run.

    Args:
        run: the run.
        open_: whether it is shown before anybody asks.
        percent: names of the scores printed in %.
    """
    result = run.result
    head = ", ".join(
        f"{SCORE_TITLES[name]} {format_score(result.scores[name], percent=name in percent)}"
        + (" %" if name in percent else "")
        for name in ("oa", "kappa", "f1")
        if name in result.scores
    )
    charts = _charts(run)
    split = ""
    if run.split is not None and run.labels is not None and run.split.shape == run.labels.shape:
        step = step_of(run.split.shape)
        image = image_element(
            split_image(run.split, run.labels)[::step, ::step], "Which pixels teach and which judge"
        )
        split = f'<h3>Split</h3><div class="columns"><figure>{image}</figure>{legend(SPLIT_COLOURS)}</div>'
    config = (
        f"<details><summary>Configuration</summary><pre>{escape(run.config)}</pre></details>" if run.config else ""
    )
    return "\n".join(
        [
            f"<details{' open' if open_ else ''}>",
            f"<summary><strong>{escape(run.name)}</strong>: {escape(head)}</summary>",
            f'<div class="columns"><div><h3>Scores</h3>{_scores(result, percent)}</div>',
            f"<div><h3>Pixels</h3>{_confusion(result)}{_kinds(result)}</div></div>",
            f'<h3>Curves and calibration</h3><div class="columns">{charts}</div>' if charts else "",
            split,
            f'<h3>Run</h3><div class="scroll">{_facts(run)}</div>',
            config,
            "</details>",
        ]
    )


def _scores(result: RunResult, percent: Sequence[str]) -> str:
    intervals = bootstrap_pixels(result.counts, draws=1000)
    known = result.baselines
    beside = {"oa": known.floor_oa, "kappa": known.floor_kappa} if known is not None else {}
    scopes = {scope: scope_scores(result, scope) for scope in SCOPES}
    scopes = {scope: scores for scope, scores in scopes.items() if scores}
    rows = []
    for name in sorted(
        result.scores, key=lambda name: (name not in SCORE_NAMES, (*SCORE_NAMES, name).index(name))
    ):
        in_percent = name in percent
        ends = intervals.get(name)
        between = "\N{EN DASH}"
        if ends is not None and not math.isnan(ends.low):
            between = " to ".join(format_score(end, percent=in_percent) for end in (ends.low, ends.high))
        floor = format_score(beside[name], percent=in_percent) if name in beside else "\N{EN DASH}"
        title = SCORE_TITLES.get(name, name) + (" (%)" if in_percent else "")
        cells = [format_score(result.scores[name], percent=in_percent), between, floor]
        cells += [format_score(scores.get(name), percent=in_percent) for scores in scopes.values()]
        rows.append(table_row(title, cells))
    head = table_head(["Score", "this map", "95 % interval", "coordinate floor", *scopes])
    note = '<p class="note">Bootstrap over test pixels, taken as independent.</p>'
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>{note}"


def _confusion(result: RunResult) -> str:
    c = result.counts
    rows = [
        table_row("unchanged in truth", [f"{n:,}" for n in (c.tn, c.fp, c.unchanged)]),
        table_row("changed in truth", [f"{n:,}" for n in (c.fn, c.tp, c.changed)]),
    ]
    head = table_head(["", "called unchanged", "called changed", "sum"])
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"


def _kinds(result: RunResult) -> str:
    """Recall of each kind of change, where the truth tells kinds apart."""
    kinds = kind_scores(result)
    if not kinds:
        return ""
    rows = [table_row(kind, [f"{pixels:,}", format_score(recall)]) for kind, (pixels, recall) in kinds.items()]
    return f"<table>{table_head(['Kind of change', 'pixels', 'recall'])}<tbody>{''.join(rows)}</tbody></table>"


def _charts(run: ReportRun) -> str:
    charts = []
    if "epoch" in run.curves:
        epoch = run.curves["epoch"]
        pick = {name: run.curves[name] for name in ("loss/train", "loss/val") if name in run.curves}
        charts.append(curve_chart(epoch, pick, title="Loss"))
        if "kappa/val" in run.curves:
            charts.append(curve_chart(epoch, {"kappa/val": run.curves["kappa/val"]}, title="Kappa on validation"))
    if run.score is not None and run.labels is not None:
        known = run.score[np.isfinite(run.score)]
        if known.size and known.min() >= 0 and known.max() <= 1:
            truth = np.where(run.judged(), run.labels.values, np.uint8(UNLABELLED))
            charts.append(reliability_chart(reliability_curve(run.score, truth)))
    return "".join(charts)


def _facts(run: ReportRun) -> str:
    result = run.result
    facts: dict[str, object] = {
        "folder": run.folder,
        "protocol": result.protocol,
        "scored on": f"{_classes(result.test)}: {result.scope}",
        "trained on": result.train and _classes(result.train),
        "seed": result.seed,
        "majority class OA": result.baselines and format_score(result.baselines.majority_oa),
        "threshold": result.threshold,
        "parameters": result.parameters and f"{result.parameters:,}",
        "seconds to train": result.train_seconds,
        "seconds to map": result.map_seconds,
        "hardware": result.hardware,
        **{name: value for name, value in result.details.items() if "/" not in name},
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
    }
    rows = []
    for name, value in facts.items():
        if value is not None and value != "":
            words = f"{value:.6g}" if isinstance(value, float) else str(value)
            label = escape(name.replace("_", " "))
            rows.append(f'<tr><th scope="row">{label}</th><td class="words">{escape(words)}</td></tr>')
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _classes(counts: ClassCounts) -> str:
    return f"{counts.unchanged:,} unchanged + {counts.changed:,} changed pixels"


def score_image(score: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Picture of scores, float ``(rows, cols)``: dark low, bright high, grey where there is none.

    Scores between 0 and 1 span the colours as they are; others from their 2nd to their 98th percentile.

    Returns:
        uint8 ``(rows, cols, 3)``.
    """
    known = np.isfinite(score)
    inside = not known.any() or (float(score[known].min()) >= 0 and float(score[known].max()) <= 1)
    low, high = (0.0, 1.0) if inside else stretch_limits(score[np.newaxis])[0]
    scaled = (np.nan_to_num(score, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-30)
    image = matplotlib.colormaps["magma"](np.clip(scaled, 0, 1), bytes=True)[..., :3]
    image[~known] = GREY
    return np.asarray(image, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class ReportRun:
    """What a report shows of a run; all but the result and the map may be absent.

    Attributes:
        result: the result.
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data.
        score: float ``(rows, cols)``, NaN where there is none.
        t1: false colour of the first date, uint8 ``(rows, cols, 3)``.
        t2: the same of the second date.
        labels: the truth.
        split: which pixels taught.
        curves: float64 ``(epochs,)`` by name, ``epoch`` among them.
        config: the resolved configuration, as text.
        folder: the run folder, as text.
    """

    result: RunResult
    change: NDArray[np.uint8]
    score: NDArray[np.floating] | None = None
    t1: NDArray[np.uint8] | None = None
    t2: NDArray[np.uint8] | None = None
    labels: Labels | None = None
    split: Split | None = None
    curves: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    config: str = ""
    folder: str = ""

    @property
    def name(self) -> str:
        """Method and seed."""
        seed = self.result.seed
        return self.result.method if seed is None else f"{self.result.method}, seed {seed}"

    def judged(self) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)``: the pixels that judged, none without a truth."""
        if self.labels is None:
            return np.zeros(self.change.shape, dtype=bool)
        labelled: NDArray[np.bool_] = self.labels.values != UNLABELLED
        return labelled if self.split is None else self.split.test_mask(self.labels)
