"""Labels as people draw them: points, lines and areas, each of which is one thing that somebody saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hsi_cd.scene import CHANGED, DRAWN, UNCHANGED, Labels, Split


def default_protocol(labels: Labels) -> str:
    """The protocol where nobody names one: ``drawn`` where the labels are shapes, else P1."""
    return "P1" if labels.shapes is None else DRAWN


def shapes_of(labels: Labels) -> NDArray[np.int32]:
    """The shape that each labelled pixel belongs to: as it was drawn, or else the area it lies in.

    Of a raster nobody knows the shapes that it was painted with: labelled pixels of one class that touch one
    another, at a side or a corner, are taken for one shape.

    Args:
        labels: the truth map.

    Returns:
        Numbers of shapes from 1, int32 ``(rows, cols)``; 0 where no pixel is labelled.
    """
    if labels.shapes is not None:
        return np.where(np.isin(labels.values, (UNCHANGED, CHANGED)), labels.shapes, 0).astype(np.int32)
    areas = np.zeros(labels.shape, dtype=np.int32)
    count = 0
    for code in (UNCHANGED, CHANGED):
        of_class, found = ndimage.label(labels.values == code, structure=np.ones((3, 3)))
        areas[of_class > 0] = of_class[of_class > 0] + count
        count += found
    return areas


def judging_shapes_of(labels: Labels, shapes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Shapes without those at suggested places, where others of both classes are left.

    A place that was chosen because a map was in doubt of it tells what is hard, not how good a map is.

    Args:
        labels: labels that were drawn.
        shapes: numbers of the shapes that may judge, int32 ``(rows, cols)``; 0 where none does.

    Returns:
        The numbers, 0 where a shape does not judge.
    """
    others = np.where(np.isin(shapes, labels.suggested), 0, shapes).astype(np.int32)
    left = labels.values[others > 0]
    return others if (left == UNCHANGED).any() and (left == CHANGED).any() else shapes


def untaught_shapes(labels: Labels, split: Split | None) -> NDArray[np.int32]:
    """The shapes of labels that may judge: of which no pixel has taught, and that were not suggested.

    Args:
        labels: labels that were drawn.
        split: the pixels that taught; None where none did.

    Returns:
        Numbers of shapes, int32 ``(rows, cols)``; 0 where nothing is labelled or the shape has taught.

    Raises:
        GridError: the split is of another scene's shape.
    """
    shapes = shapes_of(labels)
    if split is not None:
        judging = split.test_mask(labels)
        known = np.unique(shapes[(shapes > 0) & ~judging])
        shapes = np.where(np.isin(shapes, known), 0, shapes).astype(np.int32)
    return judging_shapes_of(labels, shapes)


def count_shapes(target: NDArray[np.integer], shapes: NDArray[np.integer]) -> tuple[int, int]:
    """Numbers of (unchanged, changed) shapes among pixels of classes ``target`` in ``shapes``, each ``(N,)``."""
    unchanged, changed = (len(np.unique(shapes[target == code])) for code in (UNCHANGED, CHANGED))
    return unchanged, changed


def folds_by_shape(
    target: NDArray[np.integer], shapes: NDArray[np.integer], *, folds: int, seed: int
) -> NDArray[np.int64] | None:
    """Deal shapes into ``folds`` parts with as many of each class in each as can be; no shape is ever divided.

    Pixels of one shape are neighbours, and nearly copies of one another: one that judges what another has taught
    says nothing.

    Args:
        target: class of each pixel, 0 unchanged, 1 changed, ``(N,)``.
        shapes: number of its shape, ``(N,)``.
        folds: number of parts, at most; a class with fewer shapes has as many parts as shapes.
        seed: seed of the deal.

    Returns:
        Part of each pixel, int64 ``(N,)``, in ``0 .. parts - 1``; None where there are not two parts with both
        classes in each, so that nothing can be held out.
    """
    count = min(folds, *count_shapes(target, shapes))
    if count < 2:
        return None
    random = np.random.default_rng(seed)
    _, first, shape = np.unique(shapes, return_index=True, return_inverse=True)
    of_shape = np.empty(len(first), dtype=np.int64)
    dealt = 0
    for code in (UNCHANGED, CHANGED):
        own = random.permutation(np.flatnonzero(target[first] == code))
        # Go on where the last class stopped, so that a few shapes more do not all fall into the first parts.
        of_shape[own] = (dealt + np.arange(len(own))) % count
        dealt += len(own)
    return of_shape[shape]
