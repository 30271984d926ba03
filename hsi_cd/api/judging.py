"""A map that is there already, judged by labels: pixel by pixel, or shape by shape where they are shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation import JudgingShapes, RunResult, judge_drawn, judge_map
from hsi_cd.prepare.drawn_shapes import untaught_shapes
from hsi_cd.scene import Labels, Split


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
    judging = JudgingShapes(untaught_shapes(labels, split), scope, score=score)
    return judge_drawn(change, labels, judging, split=split, **facts)
