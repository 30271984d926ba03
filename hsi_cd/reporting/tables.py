"""Results as plain text for a terminal.

Three steps that do not know of each other: which scores stand in which column, how one number is printed, how
cells are lined up. A table of another kind changes one of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from hsi_cd.errors import unknown_name
from hsi_cd.evaluation import (
    BIASED,
    KINDS,
    NOT_JUDGED,
    SCORE_NAMES,
    ClassCounts,
    ConfusionCounts,
    RunResult,
    caution,
    judged_shapes,
    not_judged,
    shape_interval,
    stands_on_few,
)
from hsi_cd.reporting.judged_kinds import kinds_text
from hsi_cd.reporting.text_cells import ABSENT, INDENT, align, format_score, grouped, interval_in_words

SCORE_TITLES: Mapping[str, str] = {
    "oa": "OA",
    "aa": "AA",
    "kappa": "Kappa",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "iou": "IoU",
    "accuracy_unchanged": "Accuracy, unchanged",
    "accuracy_changed": "Accuracy, changed",
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "expected_calibration_error": "Calibration error",
    "auc": "AUC",
    "ece": "ECE",
}
"""How tables call the scores."""

SCOPES = ("strict", "all labelled")
"""Other pixels that a map may be scored on: far from every training pixel (P1-strict), and all labelled ones."""


def score_table(result: RunResult | Mapping[str, Any], *, percent: Collection[str] = ("oa", "aa")) -> str:
    """The table that is printed at the end of a run.

    Args:
        result: a result, or the dictionary that :meth:`RunResult.to_dict` made of it.
        percent: names of the scores printed in %; all others are printed as fractions.

    Returns:
        Lines of ASCII text without a line break at the end: what was judged and on which pixels, the scores with
        the coordinate floor and the majority class beside them, the confusion counts, the kinds of change if any.

    Raises:
        UnknownNameError: ``percent`` names a score that does not exist.
        FormatError: the dictionary is not a result.
    """
    run = result if isinstance(result, RunResult) else RunResult.from_dict(result)
    known = {*SCORE_TITLES, *run.scores}
    for name in percent:
        if name not in known:
            raise unknown_name("score", name, known)
    parts = [_heading(run), _scores(run, percent=percent), confusion_table(run.counts)]
    if run.kinds is not None:
        by_shape = judged_shapes(run) is not None
        parts.append(kinds_text(run.kinds, scopes_of_kinds(run), percent=percent, by_shape=by_shape))
    elif kinds := kind_scores(run):
        header = ["kind of change", "pixels", "recall"]
        rows = [[kind, grouped(pixels), format_score(recall)] for kind, (pixels, recall) in kinds.items()]
        parts.append(align([header, *rows], rule_after=1))
    return "\n\n".join(parts)


def confusion_table(counts: ConfusionCounts) -> str:
    """Confusion counts as text, with the truth in the rows."""
    header = ["truth \\ map", "unchanged", "changed", "sum"]
    body = [
        ["unchanged", *map(grouped, (counts.tn, counts.fp, counts.unchanged))],
        ["changed", *map(grouped, (counts.fn, counts.tp, counts.changed))],
        ["sum", *map(grouped, (counts.tn + counts.fn, counts.fp + counts.tp, counts.total))],
    ]
    text = align([header, *body], rule_after=1)
    if counts.unscored:
        text += f"\n{INDENT}{grouped(counts.unscored)} labelled pixels have no prediction and enter no score"
    return text


def shown_score(run: RunResult, name: str, *, percent: bool = False) -> str:
    """A score of a result as it is printed: ``not judged`` where its shapes are too few to give one."""
    if not_judged(run) is not None:
        return NOT_JUDGED
    return format_score(run.scores.get(name), percent=percent)


def score_in_list(run: RunResult | None, name: str) -> str:
    """A score where a sentence has no room, with a mark where few pixels judge; a dash without a result."""
    if run is None:
        return ABSENT
    return shown_score(run, name) + (" (few pixels)" if stands_on_few(run) and not not_judged(run) else "")


def share_in_words(run: RunResult) -> str | None:
    """The share of the scene that changed, as shapes and map tell it together; None where shapes judge nothing.

    Beside it what the map calls changed, and what somebody, or the label-free map, said before.
    """
    share, ends = run.details.get("share_changed"), shape_interval(run, "share_changed")
    if not isinstance(share, float) or ends is None:
        return None
    words = f"{100 * share:.2f} % of the scene, 95 % interval {interval_in_words(ends, percent=True)} %"
    called, before = run.details.get("called_changed"), run.details.get("share")
    if isinstance(called, float):
        words += f"; {100 * called:.2f} % called changed"
    if isinstance(before, float):
        told = "were told" if run.details.get("share_from") == "train.share" else "by the label-free map"
        words += f", {100 * before:.2f} % {told}"
    return f"{words}. {BIASED}" if isinstance(called, float) else words


def calibration_in_words(run: RunResult) -> str | None:
    """How good the probabilities are under the scene's own share of change; None where shapes judge nothing."""
    brier, ends = run.details.get("brier"), shape_interval(run, "brier")
    share, mean = run.details.get("share_changed"), run.details.get("mean_probability")
    if not (isinstance(brier, float) and isinstance(share, float) and isinstance(mean, float)) or ends is None:
        return None
    return (
        f"Brier score {format_score(brier)}, 95 % interval {interval_in_words(ends)} "
        f"({format_score(share * (1 - share))} if the share were said everywhere); "
        f"mean probability {100 * mean:.2f} %"
    )


def _heading(run: RunResult) -> str:
    shapes, warned = judged_shapes(run), caution(run)
    facts = [
        ("protocol", run.protocol if run.seed is None else f"{run.protocol}, seed {run.seed}"),
        ("trained on", None if run.train is None else _class_counts(run.train)),
        ("scored on", f"{_class_counts(run.scored)}: {scope_in_words(run)}"),
        (
            "shapes",
            None if shapes is None else f"{shapes.unchanged:,} unchanged + {shapes.changed:,} changed judge",
        ),
        ("share changed", share_in_words(run)),
        ("calibration", calibration_in_words(run)),
        ("kinds of change", _told(run.details.get("kinds_not_judged"))),
        ("caution", warned),
        ("leak", _leak(run)),
        ("threshold", None if run.threshold is None else f"{run.threshold:.4g}"),
        ("parameters", None if run.parameters is None else grouped(run.parameters)),
        ("time", _times(run)),
    ]
    told = [[name, value] for name, value in facts if value is not None]
    width = max(len(name) for name, _ in told)
    lines = [f"{INDENT}{name.ljust(width)}   {value}" for name, value in told]
    return "\n".join([f"{run.dataset}: {run.method}", *lines])


def _scores(run: RunResult, *, percent: Collection[str]) -> str:
    floor: dict[str, float] = {}
    majority: dict[str, float] = {}
    header = ["score", "this map"]
    intervals = {name: found for name in run.scores if (found := shape_interval(run, name)) is not None}
    if intervals:
        header.append("95 % interval by shapes")
    if run.baselines is not None:
        floor = {"oa": run.baselines.floor_oa, "kappa": run.baselines.floor_kappa}
        majority = {"oa": run.baselines.majority_oa}
        header += ["coordinate floor", "majority class"]
    elsewhere = {scope: scope_scores(run, scope) for scope in SCOPES}
    elsewhere = {scope: scores for scope, scores in elsewhere.items() if scores}
    header += elsewhere
    # The known scores in their stable order, then whatever else the run brought.
    names = [name for name in SCORE_NAMES if name in run.scores]
    names += [name for name in run.scores if name not in SCORE_NAMES]
    rows = [header]
    for name in names:
        in_percent = name in percent
        values: list[float | None] = []
        if run.baselines is not None:
            values += [floor.get(name), majority.get(name)]
        values += [scores.get(name) for scores in elsewhere.values()]
        title = SCORE_TITLES.get(name, name) + (" (%)" if in_percent else "")
        own = [shown_score(run, name, percent=in_percent)]
        if intervals:
            own.append(interval_in_words(intervals.get(name), percent=in_percent))
        rows.append([title, *own, *(format_score(value, percent=in_percent) for value in values)])
    return align(rows, rule_after=1)


def _class_counts(counts: ClassCounts) -> str:
    return f"{grouped(counts.unchanged)} unchanged + {grouped(counts.changed)} changed pixels"


def scope_in_words(run: RunResult) -> str:
    """Which pixels judge, as ``held-out``; those of them that have no prediction are told."""
    without = run.counts.unscored
    return run.scope + (f" but {grouped(without)} without a prediction" if without else "")


def scope_scores(run: RunResult, scope: str) -> dict[str, float]:
    """Scores of the same map on the pixels of a scope of :data:`SCOPES`, by name; empty where there are none."""
    start = f"{scope}/"
    return {
        name.removeprefix(start): math.nan if value is None else float(value)
        for name, value in run.details.items()
        if name.startswith(start)
    }


def scopes_of_kinds(run: RunResult) -> dict[str, dict[str, float]]:
    """Scores of the kinds of the same map by scope, for each scope of :data:`SCOPES` that has some."""
    start = f"{KINDS}/"
    found = {
        scope: {name.removeprefix(start): value for name, value in scores.items() if name.startswith(start)}
        for scope, scores in ((scope, scope_scores(run, scope)) for scope in SCOPES)
    }
    return {scope: scores for scope, scores in found.items() if scores}


def kind_scores(run: RunResult) -> dict[str, tuple[int, float]]:
    """Judged pixels and recall of each kind of change that the truth tells apart; empty where it tells none."""
    recalls = {
        name.removesuffix("/recall"): math.nan if value is None else float(value)
        for name, value in run.details.items()
        if name.startswith("kind ") and name.endswith("/recall")
    }
    return {kind: (int(run.details.get(f"{kind}/pixels") or 0), recall) for kind, recall in recalls.items()}


def _leak(run: RunResult) -> str | None:
    """How far the split lets the test pixels be seen in training."""
    share = run.details.get("leak_share")
    if not isinstance(share, float) or math.isnan(share):
        return None
    return f"{100 * share:.1f} % of the test pixels' patches overlap a training pixel's"


def _told(fact: object) -> str | None:
    return fact if isinstance(fact, str) else None


def _times(run: RunResult) -> str | None:
    times = [("train", run.train_seconds), ("map", run.map_seconds)]
    told = [f"{name} {seconds:.1f} s" for name, seconds in times if seconds is not None]
    if not told:
        return None
    return ", ".join(told) + (f" ({run.hardware})" if run.hardware else "")
