"""A map that is there already, judged by labels: pixel by pixel, or shape by shape where they are shapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation import FEWEST_SHAPES, JudgingShapes, RunResult, facts_of_few_shapes, judge_drawn, judge_map
from hsi_cd.prepare.drawn_shapes import count_shapes, untaught_shapes
from hsi_cd.scene import UNLABELLED, Labels, Split


def judge(
    change: NDArray[np.uint8],
    labels: Labels,
    *,
    split: Split | None = None,
    score: NDArray[np.float32] | None = None,
    probability: NDArray[np.float32] | None = None,
    **facts: Any,
) -> RunResult:
    """Score a map; see :func:`hsi_cd.evaluation.judge_map` and :func:`hsi_cd.evaluation.judge_drawn`.

    Fewer than ten shapes of a class, as the few large ones of a reference, tell nothing of the scene: their pixels
    judge one by one then, as those of a truth map, and the result says of how many shapes they are.

    Args:
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data.
        labels: truth map, or shapes; a shape of which a pixel taught judges nothing.
        split: the pixels that taught; without it, all labels judge.
        score: scores, float32 ``(rows, cols)``, higher is more change, NaN for no data.
        probability: change probabilities, the same shape.
        facts: further fields of the result, ``dataset`` and ``method`` among them.
    """
    if labels.shapes is None:
        return judge_map(change, labels, split=split, score=score, probability=probability, **facts)
    scope = "all labelled" if split is None else split.scope
    shapes = untaught_shapes(labels, split)
    judges = shapes > 0
    counts = count_shapes(labels.values[judges], shapes[judges])
    if judges.any() and min(counts) < FEWEST_SHAPES:
        pixels = replace(labels, values=np.where(judges, labels.values, np.uint8(UNLABELLED)), shapes=None)
        facts["details"] = {**facts.get("details", {}), **facts_of_few_shapes(*counts)}
        result = judge_map(change, pixels, score=score, probability=probability, **facts)
        # What taught may lie in another drawing, so that nothing here tells its classes.
        return result if split is None else replace(result, protocol=split.protocol, scope=scope, seed=split.seed)
    judging = JudgingShapes(shapes, scope, score=score)
    return judge_drawn(change, labels, judging, split=split, probability=probability, **facts)
