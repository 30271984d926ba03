"""What a report says of one run: scores, counts, curves, calibration, split, facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib
import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation import (
    BY_SHAPE,
    SCORE_NAMES,
    ClassCounts,
    Interval,
    RunResult,
    bootstrap_kinds,
    bootstrap_pixels,
    caution,
    headline_of_kinds,
    judged_shapes,
    not_judged,
    reliability_curve,
    shape_interval,
)
from hsi_cd.reporting.figures import KindPanels
from hsi_cd.reporting.html.charts import Chart, curve_chart, reliability_chart
from hsi_cd.reporting.html.elements import Picture, Sheet, make_picture
from hsi_cd.reporting.images import GREY, split_image, stretch_limits
from hsi_cd.reporting.judged_kinds import class_rows, confusion_rows, kind_notes, score_rows
from hsi_cd.reporting.tables import (
    SCOPES,
    SCORE_TITLES,
    calibration_in_words,
    kind_scores,
    scope_in_words,
    scope_scores,
    scopes_of_kinds,
    share_in_words,
    shown_score,
)
from hsi_cd.reporting.text_cells import format_score, interval_in_words
from hsi_cd.scene import UNLABELLED, Labels, Split

_DASH = "\N{EN DASH}"

_TOLD_ABOVE = (
    "shapes_unchanged",
    "shapes_changed",
    "share_changed",
    "called_changed",
    "mean_probability",
    "brier",
)
"""Details that stand in words."""


@dataclass(frozen=True)
class RunView:
    """What the template ``run.html`` shows of a run; see :class:`ReportRun` for where it comes from."""

    name: str
    headline: str
    scores: Sheet
    note: str
    confusion: Sheet
    kinds: Sequence[Sheet]
    charts: Sequence[Chart]
    split: Picture | None
    facts: Sheet
    config: str


def view_run(run: ReportRun, *, percent: Sequence[str]) -> RunView:
    """All about one run, in words and pictures.

    Args:
        run: the run.
        percent: names of the scores printed in %.
    """
    result = run.result
    split = None
    if run.split is not None and run.labels is not None and run.split.shape == run.labels.shape:
        image = split_image(run.split, run.labels)
        split = make_picture(image, "Which pixels teach and which judge", tall=run.tall)
    return RunView(
        name=run.name,
        headline=_headline(result, percent),
        scores=_scores(result, percent),
        note="Bootstrap over test pixels, taken as independent."
        if judged_shapes(result) is None
        else "Scores of the map on its whole scene; bootstrap over shapes.",
        confusion=_confusion(result),
        kinds=_kinds(result, percent),
        charts=[chart for chart in _charts(run) if chart is not None],
        split=split,
        facts=_facts(run),
        config=run.config,
    )


def _headline(result: RunResult, percent: Sequence[str]) -> str:
    """The best known scores, and what to know of them first; what has no score has no such line."""
    warned = caution(result)
    if not_judged(result) is not None:
        return str(warned)
    told = [
        f"{SCORE_TITLES[name]} {shown_score(result, name, percent=name in percent)}"
        + (" %" if name in percent else "")
        for name in ("oa", "kappa", "f1")
        if name in result.scores
    ]
    if (ends := shape_interval(result, "kappa")) is not None:
        told.append(f"95 % interval of Kappa {interval_in_words(ends)}")
    kinds = headline_of_kinds(result)
    return "; ".join([", ".join(told), *(each for each in (kinds, warned) if each is not None)])


def _scores(result: RunResult, percent: Sequence[str]) -> Sheet:
    by_shape = judged_shapes(result) is not None
    intervals: dict[str, Interval] = {} if by_shape else bootstrap_pixels(result.counts, draws=1000)
    if by_shape:
        intervals |= {name: ends for name in result.scores if (ends := shape_interval(result, name)) is not None}
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
        between = _DASH if ends is None or math.isnan(ends.low) else interval_in_words(ends, percent=in_percent)
        floor = format_score(beside[name], percent=in_percent) if name in beside else _DASH
        title = SCORE_TITLES.get(name, name) + (" (%)" if in_percent else "")
        cells = [shown_score(result, name, percent=in_percent), between, floor]
        cells += [format_score(scores.get(name), percent=in_percent) for scores in scopes.values()]
        rows.append((title, cells))
    return Sheet(["Score", "this map", "95 % interval", "coordinate floor", *scopes], rows)


def _confusion(result: RunResult) -> Sheet:
    c = result.counts
    rows = [
        ("unchanged in truth", [f"{n:,}" for n in (c.tn, c.fp, c.unchanged)]),
        ("changed in truth", [f"{n:,}" for n in (c.fn, c.tp, c.changed)]),
    ]
    return Sheet(["", "called unchanged", "called changed", "sum"], rows)


def _kinds(result: RunResult, percent: Sequence[str]) -> list[Sheet]:
    """Scores and confusion of kinds of change; where the truth alone tells kinds, their recall."""
    if result.kinds is not None:
        scopes, told = scopes_of_kinds(result), ". ".join(kind_notes(result.kinds))
        over = [name for name in ("oa", "aa", "kappa", "f1_macro") if name in result.kinds.scores]
        intervals = bootstrap_kinds(result.kinds.confusion, scores=over, draws=1000)
        return [
            _sheet(score_rows(result.kinds, scopes, percent=percent, intervals=intervals)),
            _sheet(class_rows(result.kinds), caption=told and f"{told}."),
            _sheet(
                confusion_rows(result.kinds),
                caption="Truth in the rows; columns go by the numbers of the classes.",
            ),
        ]
    kinds = kind_scores(result)
    rows = [(kind, [f"{pixels:,}", format_score(recall)]) for kind, (pixels, recall) in kinds.items()]
    return [Sheet(["Kind of change", "pixels", "recall"], rows)] if rows else []


def _sheet(rows: Sequence[Sequence[str]], *, caption: str = "") -> Sheet:
    head, *body = rows
    return Sheet(head, [(row[0], row[1:]) for row in body], caption=caption)


def _charts(run: ReportRun) -> list[Chart | None]:
    charts = []
    if "epoch" in run.curves:
        epoch = run.curves["epoch"]
        pick = {name: run.curves[name] for name in ("loss/train", "loss/val") if name in run.curves}
        charts.append(curve_chart(epoch, pick, title="Loss"))
        if "kappa/val" in run.curves:
            charts.append(curve_chart(epoch, {"kappa/val": run.curves["kappa/val"]}, title="Kappa on validation"))
    if run.score is not None and run.gives_probabilities and run.labels is not None:
        known = run.score[np.isfinite(run.score)]
        if known.size and known.min() >= 0 and known.max() <= 1:
            judged = run.judged()
            if judged.any():  # where shapes judge in turn, the map itself has learned from all of them
                truth = np.where(judged, run.labels.values, np.uint8(UNLABELLED))
                charts.append(reliability_chart(reliability_curve(run.score, truth)))
    return charts


def _facts(run: ReportRun) -> Sheet:
    result, shapes = run.result, judged_shapes(run.result)
    facts: dict[str, object] = {
        "folder": run.folder,
        "protocol": result.protocol,
        "scored on": f"{_classes(result.scored)}: {scope_in_words(result)}",
        "shapes that judge": shapes and f"{shapes.unchanged:,} unchanged + {shapes.changed:,} changed",
        "share changed": share_in_words(result),
        "calibration": calibration_in_words(result),
        "trained on": result.train and _classes(result.train),
        "seed": result.seed,
        "majority class OA": result.baselines and format_score(result.baselines.majority_oa),
        "threshold": result.threshold,
        "parameters": result.parameters and f"{result.parameters:,}",
        "seconds to train": result.train_seconds,
        "seconds to map": result.map_seconds,
        "hardware": result.hardware,
        **{name: v for name, v in result.details.items() if "/" not in name and name not in _TOLD_ABOVE},
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
    }
    rows = [
        (name.replace("_", " "), [f"{value:.6g}" if isinstance(value, float) else str(value)])
        for name, value in facts.items()
        if value is not None and value != ""
    ]
    return Sheet([], rows, words=True)


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
        gives_probabilities: whether the scores are probabilities of change, whose calibration can be shown.
        t1: false colour of the first date, uint8 ``(rows, cols, 3)``.
        t2: the same of the second date.
        shown: which bands these show, in words; empty where nobody said.
        labels: the truth.
        split: which pixels taught.
        curves: float64 ``(epochs,)`` by name, ``epoch`` among them.
        config: the resolved configuration, as text.
        folder: the run folder, as text.
        tall: how many times as high as wide a pixel is on the ground.
        kinds: the map of kinds of change and its truth; None where the map tells none apart.
    """

    result: RunResult
    change: NDArray[np.uint8]
    score: NDArray[np.floating] | None = None
    gives_probabilities: bool = True
    t1: NDArray[np.uint8] | None = None
    t2: NDArray[np.uint8] | None = None
    labels: Labels | None = None
    split: Split | None = None
    curves: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    config: str = ""
    folder: str = ""
    shown: str = ""
    tall: float = 1.0
    kinds: KindPanels | None = None

    @property
    def name(self) -> str:
        """Method and seed."""
        seed = self.result.seed
        return self.result.method if seed is None else f"{self.result.method}, seed {seed}"

    def judged(self) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)``: the pixels that judged this very map, none without a truth."""
        if self.labels is None:
            return np.zeros(self.change.shape, dtype=bool)
        labelled: NDArray[np.bool_] = self.labels.values != UNLABELLED
        if self.split is None or (self.split.all_teach(self.labels) and self.result.scope != BY_SHAPE):
            return labelled  # of a map that learned from no label
        return self.split.test_mask(self.labels)
