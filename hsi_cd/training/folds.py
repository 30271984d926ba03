"""Parts of the labels that are held out in turn, and what is said of each by those who did not learn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.prepare.drawn_shapes import folds_by_shape
from hsi_cd.prepare.splits import stratified_folds
from hsi_cd.scene import CHANGED, UNCHANGED
from hsi_cd.training.training_set import Dealt, TrainingSet


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


KNOWN = -1
"""The part of a shape that every member learns from, or has learned from, so that none can judge it."""

_NEW = -2  # the part of a shape that no member has seen, until it is dealt
_ENOUGH = 3  # members, so that each still learns from most shapes where every shape is held out by one


def deal_folds(
    taught: TrainingSet, folds: int, *, seed: int, members: int | None = None
) -> NDArray[np.int64] | None:
    """Deal the labelled pixels into parts with both classes in each.

    Whole shapes are dealt where shapes judge, and whole scenes where several teach.

    Args:
        taught: the labelled pixels.
        folds: number of parts; 0 for none.
        seed: seed of the deal.
        members: of an ensemble, each of which holds out a part: where shapes judge, there are no more parts than
            members, from three on, so that every shape is judged; where scenes do, from two on.

    Returns:
        Part of each pixel, int64 ``(N,)``, -1 where every member of a network that starts from an earlier run has
        learned from it; None where nothing is to be held out, or a class has one shape alone.
    """
    if not folds:
        return None
    if taught.scenes is not None:
        there = np.unique(taught.scenes)
        folds = folds if members is None or members < 2 else min(folds, members)  # or a scene is judged by nobody
        part = np.random.default_rng(seed).permutation(len(there)) % min(folds, len(there))
        return part[np.searchsorted(there, taught.scenes)]
    if taught.shapes is None:
        return stratified_folds(taught.target, folds=folds, seed=seed)
    if members is not None and members >= _ENOUGH:
        folds = min(folds, members)
    if taught.dealt is None:
        return folds_by_shape(taught.target, taught.shapes, folds=folds, seed=seed)
    return _deal_on(taught.target, taught.shapes, _known_parts(taught, taught.dealt), folds=folds, seed=seed)


def dealt_of(taught: TrainingSet, folds: NDArray[np.int64] | None) -> Dealt:
    """Who has learned from what, once the parts of :func:`deal_folds` have taught."""
    return Dealt(taught.pixels, np.full(len(taught.pixels), KNOWN) if folds is None else folds)


@dataclass(frozen=True)
class _Parts:
    """The part that held out each pixel's shape before, int64 ``(N,)``, and how many parts there were."""

    part: NDArray[np.int64]
    count: int


def _known_parts(taught: TrainingSet, dealt: Dealt) -> _Parts:
    part = np.full(len(taught.pixels), _NEW)
    _, mine, theirs = np.intersect1d(taught.pixels, dealt.pixels, return_indices=True)
    part[mine] = dealt.part[theirs]
    shapes = np.arange(len(part)) if taught.shapes is None else taught.shapes
    for shape in np.unique(shapes[part != _NEW]):
        own = shapes == shape
        said = np.unique(part[own & (part != _NEW)])
        # A shape drawn over two that different members held out is known to all of them, in part.
        part[own] = said[0] if len(said) == 1 else KNOWN
    return _Parts(part, int(dealt.part.max(initial=KNOWN)) + 1)


def _deal_on(
    target: NDArray[np.integer], shapes: NDArray[np.int32], before: _Parts, *, folds: int, seed: int
) -> NDArray[np.int64] | None:
    """Deal the shapes that no member has seen, each to the part that has fewest of its class."""
    part, new = before.part.copy(), before.part == _NEW
    if before.count < 2:  # nothing was held out before: what is new can be
        found = folds_by_shape(target[new], shapes[new], folds=folds, seed=seed)
        part[:] = KNOWN
        part[new] = KNOWN if found is None else found
        return None if found is None else part
    _, first = np.unique(shapes, return_index=True)
    held = np.zeros((2, before.count), dtype=np.int64)  # shapes of each class in each part
    there = first[part[first] >= 0]
    np.add.at(held, (target[there], part[there]), 1)
    random = np.random.default_rng(seed)
    for code in (UNCHANGED, CHANGED):
        for place in random.permutation(first[new[first] & (target[first] == code)]):
            fewest = int(np.lexsort((held[1 - code], held[code]))[0])
            part[shapes == shapes[place]] = fewest
            held[code, fewest] += 1
    # A member whose own part is empty would learn from all labels, and judge those of another's.
    return part if held.sum(axis=0).all() else None
