"""A change map judged against a truth map: one place for every command that prints a score."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError, LabelError
from hsi_cd.evaluation.baselines import measure_baselines
from hsi_cd.evaluation.continuous import average_precision, expected_calibration_error, roc_auc
from hsi_cd.evaluation.counts import NO_DATA, ConfusionCounts, count_confusion
from hsi_cd.evaluation.judged_pixels import JUDGED, judged_digest
from hsi_cd.evaluation.kind_result import class_names, judge_kinds
from hsi_cd.evaluation.result import ClassCounts, RunResult
from hsi_cd.evaluation.scores import UndefinedScoreWarning, all_scores
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Labels, Split, is_changed

KINDS = "kinds"
"""What stands between the scope and the name of a score of kinds among the details of a result."""


def judge_map(
    change: NDArray[np.uint8],
    labels: Labels,
    *,
    dataset: str,
    method: str,
    split: Split | None = None,
    score: NDArray[np.float32] | None = None,
    probability: NDArray[np.float32] | None = None,
    kinds: Mapping[int, str] | None = None,
    **facts: Any,
) -> RunResult:
    """Score a change map.

    A map of kinds of change is judged as one of two classes, all kinds merged into changed; where the truth tells
    kinds, too, it is judged by them beside.

    Args:
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed (or 1 to K where there are ``kinds``), 255 no data.
        labels: truth map.
        dataset: name of the scene.
        method: name of what made the map.
        split: the pixels that taught; neither they nor its guard judge. Without it, all labelled pixels judge.
        score: scores, float32 ``(rows, cols)``, higher is more change, NaN for no data; adds the ranking scores.
        probability: change probabilities, the same shape, 0 to 1; adds the calibration error.
        kinds: of a map of kinds what they are called, by number; those of the truth have the same numbers.
        facts: further fields of the result, as ``train_seconds``.

    Returns:
        The result.

    Raises:
        GridError: map, truth and split differ in shape.
        LabelError: every labelled pixel has taught, or the map holds a kind that it does not name.
    """
    if change.shape != labels.shape:
        raise GridError(
            f"the map has {change.shape[0]} x {change.shape[1]} pixels but the truth ({labels.name}) has "
            f"{labels.shape[0]} x {labels.shape[1]}: give the truth map of this scene"
        )
    judged = labels.values != UNLABELLED if split is None else split.test_mask(labels)
    if split is not None and len(split.train) and not judged.any():
        raise LabelError(
            f"all labelled pixels of {labels.name} have taught the map, so none is left to judge it: "
            "give other labels"
        )
    mapped, change = change, change if kinds is None else merged(change)
    truth = np.where(judged, labels.values, np.uint8(UNLABELLED))
    counts = count_confusion(truth, change)
    scores = _all_scores(counts, truth, score, probability)
    if split is not None:
        taught = _class_counts(labels.values.ravel()[split.train])
        facts |= {
            "protocol": split.protocol,
            "scope": split.scope,
            "seed": split.seed,
            "train": taught if len(split.train) else None,
            "baselines": measure_baselines(split.train, labels.values, judged),
        }
    else:
        facts |= {"protocol": "none", "scope": "all labelled"}
    facts["details"] = {**facts.get("details", {}), JUDGED: judged_digest(truth, change)}
    if labels.kinds is not None:
        facts["details"] |= kind_recalls(change, labels.kinds, truth)
    if kinds is not None and (table := labels.kind_table) is not None:
        names = class_names(table, kinds)
        facts["kinds"] = judge_kinds(mapped, labels.kind_numbers(), names, where=judged, split=split)
    return RunResult(
        dataset=dataset, method=method, counts=counts, scores=scores, test=_class_counts(truth.ravel()), **facts
    )


def merged(change: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A map of kinds of change as one of two classes: 0 unchanged, 1 changed of whatever kind, 255 no data."""
    return np.where(is_changed(change), np.uint8(CHANGED), change)


def kind_recalls(
    change: NDArray[np.uint8], kinds: NDArray[np.integer], truth: NDArray[np.uint8]
) -> dict[str, int | float]:
    """How much of each kind of change a map finds.

    Recall of kind k is the share of its judged pixels that the map calls changed. A map of two classes tells no
    kinds apart, so no kind has a precision.

    Args:
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data.
        kinds: stored values of the truth map, the same shape.
        truth: the pixels that judge, uint8, the same shape: 1 changed, everything else is left alone.

    Returns:
        ``kind K/recall`` and ``kind K/pixels`` for each kind K that occurs; pixels without a prediction count in
        neither, and a kind of which none has one has recall NaN.
    """
    found: dict[str, int | float] = {}
    for kind in np.unique(kinds[truth == CHANGED]):
        called = change[(truth == CHANGED) & (kinds == kind)]
        scored = called[called != NO_DATA]
        found[f"kind {kind}/recall"] = float((scored == CHANGED).mean()) if scored.size else math.nan
        found[f"kind {kind}/pixels"] = int(scored.size)
    return found


def scores_elsewhere(
    change: NDArray[np.uint8],
    labels: Labels,
    scopes: Mapping[str, NDArray[np.bool_]],
    *,
    score: NDArray[np.float32] | None = None,
    probability: NDArray[np.float32] | None = None,
    kinds: Mapping[int, str] | None = None,
) -> dict[str, float]:
    """All scores of the same map on other pixels than those that judge it.

    Args:
        change: as for :func:`judge_map`.
        labels: truth map.
        scopes: bool ``(rows, cols)`` by the scope's name.
        score: as for :func:`judge_map`.
        probability: as for :func:`judge_map`.
        kinds: as for :func:`judge_map`.

    Returns:
        Scores by ``scope/score``, as ``strict/kappa``, those of kinds by ``scope/kinds/score``; NaN where a scope
        has no pixels, or one class only.
    """
    mapped, change = change, change if kinds is None else merged(change)
    table = None if kinds is None else labels.kind_table
    found: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UndefinedScoreWarning
        )  # a small scene may have no such pixels: NaN says it
        for scope, where in scopes.items():
            truth = np.where(where, labels.values, np.uint8(UNLABELLED))
            scores = _all_scores(count_confusion(truth, change), truth, score, probability)
            found |= {f"{scope}/{name}": value for name, value in scores.items()}
            if kinds is not None and table is not None:
                there = where & (labels.values != UNLABELLED)
                names = class_names(table, kinds)
                of_kinds = judge_kinds(mapped, labels.kind_numbers(), names, where=there).scores
                found |= {f"{scope}/{KINDS}/{name}": value for name, value in of_kinds.items()}
    return found


def _all_scores(
    counts: ConfusionCounts,
    truth: NDArray[np.uint8],
    score: NDArray[np.float32] | None,
    probability: NDArray[np.float32] | None,
) -> dict[str, float]:
    scores = all_scores(counts)
    if score is not None:
        scores["auc"] = roc_auc(score, truth)
        scores["average_precision"] = average_precision(score, truth)
    if probability is not None:
        scores["ece"] = expected_calibration_error(probability, truth)
    return scores


def _class_counts(values: NDArray[np.uint8]) -> ClassCounts:
    return ClassCounts(int((values == UNCHANGED).sum()), int((values == CHANGED).sum()))
