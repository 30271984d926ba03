"""A change map judged by labels that somebody drew: shape by shape, under the scene's own share of change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError, LabelError
from hsi_cd.evaluation.continuous import roc_auc
from hsi_cd.evaluation.counts import NO_DATA, count_confusion
from hsi_cd.evaluation.drawn_scores import SaidOfChange, ShapeRates, score_drawn, shape_rates
from hsi_cd.evaluation.headline import FEWEST_SHAPES, facts_of_shapes
from hsi_cd.evaluation.intervals import Interval
from hsi_cd.evaluation.judge import kind_recalls
from hsi_cd.evaluation.judged_pixels import JUDGED, judged_digest
from hsi_cd.evaluation.result import ClassCounts, RunResult
from hsi_cd.evaluation.scores import SCORE_NAMES
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Labels, Split

_DRAWS = 4000


@dataclass(frozen=True)
class JudgingShapes:
    """The shapes that judge, and what is held against them.

    Attributes:
        shapes: number of each labelled pixel's shape, int32 ``(rows, cols)``; 0 where none judges.
        scope: what the judging pixels are called.
        decided: what is said of them, uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 nothing; by default, the
            map itself, which must not have learned from them.
        score: scores or probabilities behind it, float32 ``(rows, cols)``, NaN for none; adds the ranking score.
        probability: probabilities of change behind it, float32 ``(rows, cols)``, NaN for none; by default those of
            the map, which must not have learned from them.
        share: of the scene that changed, where something else than the map tells it.
        share_interval: its 95 % interval.
    """

    shapes: NDArray[np.int32]
    scope: str
    decided: NDArray[np.uint8] | None = None
    score: NDArray[np.float32] | None = None
    probability: NDArray[np.float32] | None = None
    share: float | None = None
    share_interval: Interval | None = None


def judge_drawn(
    change: NDArray[np.uint8],
    labels: Labels,
    judging: JudgingShapes,
    *,
    dataset: str,
    method: str,
    split: Split | None = None,
    probability: NDArray[np.float32] | None = None,
    **facts: Any,
) -> RunResult:
    """Score a change map by shapes.

    The confusion counts are those of the judging pixels; the scores are those of the map on its whole scene, as
    :func:`~hsi_cd.evaluation.drawn_scores.score_drawn` finds them, and NaN where fewer than ten shapes of a class
    judge.

    Args:
        change: the map, uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data.
        labels: what was drawn.
        judging: the shapes that judge.
        dataset: name of the scene.
        method: name of what made the map.
        split: the pixels that taught.
        probability: the map's probabilities of change, float32 ``(rows, cols)``, NaN for no data; adds the Brier
            score of the scene.
        facts: further fields of the result, as ``train_seconds``.

    Raises:
        GridError: map and labels differ in shape.
        LabelError: no labelled pixel judges.
    """
    decided = change if judging.decided is None else judging.decided
    if not change.shape == decided.shape == labels.shape == judging.shapes.shape:
        raise GridError(
            f"the map has {change.shape[0]} x {change.shape[1]} pixels but {labels.name} has "
            f"{labels.shape[0]} x {labels.shape[1]}: give the labels of this scene"
        )
    judged = (labels.values != UNLABELLED) & (judging.shapes > 0)
    if not judged.any():
        raise LabelError(
            f"every shape of {labels.name} has taught the map, so none is left to judge it: give other labels"
        )
    truth = np.where(judged, labels.values, np.uint8(UNLABELLED))
    rates = shape_rates(labels.values[judged], judging.shapes[judged], decided[judged])
    why = _too_few(rates)
    mapped = change[change != NO_DATA]
    called = float((mapped == CHANGED).mean()) if mapped.size else math.nan
    found = None
    if why is None:
        said = None if probability is None else _said_of_change(probability, truth, judging)
        # Where the share is known well, few of the draws agree with it: there must be more of them.
        draws = _DRAWS if judging.share_interval is None else 10 * _DRAWS
        found = score_drawn(
            rates,
            called=called,
            share=judging.share,
            share_interval=judging.share_interval,
            said=said,
            draws=draws,
        )
    scores = {name: math.nan if found is None else found.scores[name] for name in SCORE_NAMES}
    if judging.score is not None:
        scores["auc"] = math.nan if found is None else roc_auc(judging.score, truth)
    details = {**facts.pop("details", {}), JUDGED: judged_digest(truth, decided), "called_changed": called}
    if probability is not None and mapped.size:
        details["mean_probability"] = float(np.nanmean(probability, dtype=np.float64))
    if labels.kinds is not None:
        details |= kind_recalls(decided, labels.kinds, truth)
    taught = None if split is None or not len(split.train) else labels.values.ravel()[split.train]
    if taught is not None and (taught == UNLABELLED).any():
        taught = None  # of another drawing: these labels do not tell their classes
    return RunResult(
        dataset=dataset,
        method=method,
        protocol="none" if split is None else split.protocol,
        scope=judging.scope,
        counts=count_confusion(truth, decided),
        scores=scores,
        test=_count(truth),
        train=None if taught is None else _count(taught),
        details={**details, **facts_of_shapes(rates, found, why_not=why)},
        **({} if split is None else {"seed": split.seed}) | facts,
    )


def _said_of_change(
    probability: NDArray[np.float32], truth: NDArray[np.uint8], judging: JudgingShapes
) -> SaidOfChange | None:
    """What the calibration stands on; None where no changed shape has a probability."""
    said = probability if judging.probability is None else judging.probability
    own = (truth == CHANGED) & ~np.isnan(said)
    if not own.any():
        return None
    _, shape, pixels = np.unique(judging.shapes[own], return_inverse=True, return_counts=True)
    changed = np.bincount(shape, weights=said[own]) / pixels
    scene = probability[~np.isnan(probability)].astype(np.float64)
    return SaidOfChange(changed, float(scene.mean()), float(np.square(scene).mean()))


def _too_few(rates: ShapeRates) -> str | None:
    """Why shapes give no score, if they are too few."""
    unchanged, changed = len(rates.unchanged), len(rates.changed)
    if min(unchanged, changed) >= FEWEST_SHAPES:
        return None
    return f"{unchanged} unchanged + {changed} changed shapes would judge, and {FEWEST_SHAPES} of each are needed"


def _count(values: NDArray[np.uint8]) -> ClassCounts:
    return ClassCounts(int((values == UNCHANGED).sum()), int((values == CHANGED).sum()))
