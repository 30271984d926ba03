"""Parts of the labels that are held out in turn, and what is said of each by those who did not learn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.prepare.drawn_shapes import folds_by_shape
from hsi_cd.prepare.splits import stratified_folds
from hsi_cd.training.training_set import TrainingSet


@dataclass(frozen=True)
class OutOfFold:
    """What is said of each labelled pixel by what did not learn from its shape.

    Attributes:
        change: 0 unchanged, 1 changed, 255 where nobody says anything, uint8 ``(N,)``.
        probability: of change, float32 ``(N,)``; NaN where nobody says anything.
        folds: parts that were held out in turn.
    """

    change: NDArray[np.uint8]
    probability: NDArray[np.float32]
    folds: int


_ENOUGH = 3  # members, so that each still learns from most shapes where every shape is held out by one


def deal_folds(
    taught: TrainingSet, folds: int, *, seed: int, members: int | None = None
) -> NDArray[np.int64] | None:
    """Deal the labelled pixels into parts with both classes in each, whole shapes where shapes judge.

    Args:
        taught: the labelled pixels.
        folds: number of parts; 0 for none.
        seed: seed of the deal.
        members: of an ensemble, each of which holds out a part: where shapes judge, there are no more parts than
            members, from three on, so that every shape is judged.

    Returns:
        Part of each pixel, int64 ``(N,)``; None where nothing is to be held out, or a class has one shape alone.
    """
    if not folds:
        return None
    if taught.shapes is None:
        return stratified_folds(taught.target, folds=folds, seed=seed)
    if members is not None and members >= _ENOUGH:
        folds = min(folds, members)
    return folds_by_shape(taught.target, taught.shapes, folds=folds, seed=seed)
