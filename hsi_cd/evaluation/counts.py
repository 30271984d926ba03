"""Confusion counts: how many labelled pixels of each class the map calls unchanged and changed."""

from __future__ import annotations

import operator
from collections.abc import Collection
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError, LabelError
from hsi_cd.evaluation.records import RECORD, Count
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED

NO_DATA = 255
"""Value of a change map where nothing could be predicted."""


def count_confusion(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], *, where: NDArray[np.bool_] | None = None
) -> ConfusionCounts:
    """Count the labelled pixels of a change map by truth and prediction.

    Pixels without a label, and pixels outside ``where``, are never looked at. A labelled pixel without a
    prediction enters no score, but is counted as ``unscored`` so that it cannot vanish unseen.

    Args:
        truth: uint8, any shape, usually ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled.
        predicted: uint8 of the same shape: 0 unchanged, 1 changed, 255 no data.
        where: bool of the same shape: the pixels that judge, usually those held out from training; all by default.

    Returns:
        The counts; counts of disjoint pixels add up with ``+``.

    Raises:
        GridError: the arrays differ in shape.
        LabelError: an array is not uint8 (bool for ``where``), or holds a value that means nothing.

    Example:
        >>> import numpy as np
        >>> truth = np.array([[0, 0, 1], [1, 255, 1]], dtype=np.uint8)
        >>> change = np.array([[0, 1, 1], [0, 1, 255]], dtype=np.uint8)
        >>> count_confusion(truth, change)
        ConfusionCounts(tn=1, fp=1, fn=1, tp=1, unscored=1)
    """
    table = count_pairs(truth, predicted, where=where)
    check_values("truth", table.sum(axis=1), (UNCHANGED, CHANGED), "0 unchanged, 1 changed, 255 unlabelled")
    check_values(
        "predicted map", table.sum(axis=0), (UNCHANGED, CHANGED, NO_DATA), "0 unchanged, 1 changed, 255 no data"
    )
    return ConfusionCounts(
        tn=table[UNCHANGED, UNCHANGED],
        fp=table[UNCHANGED, CHANGED],
        fn=table[CHANGED, UNCHANGED],
        tp=table[CHANGED, CHANGED],
        unscored=table[:, NO_DATA].sum(),
    )


def count_pairs(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], *, where: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Labelled pixels by what they are and what they are called, ``(256, 256)``, the truth in its rows.

    One count over all values finds wrong values and scores in one pass.

    Args:
        truth: uint8, any shape, 255 unlabelled.
        predicted: uint8 of the same shape.
        where: bool of the same shape: the pixels that judge; all by default.

    Raises:
        GridError: the arrays differ in shape.
        LabelError: an array is not uint8 (bool for ``where``).
    """
    _check_like("predicted map", predicted, truth, np.dtype(np.uint8))
    _check_like("truth", truth, truth, np.dtype(np.uint8))
    judged = truth != UNLABELLED
    if where is not None:
        _check_like("mask of judged pixels", where, truth, np.dtype(bool))
        judged &= where
    pairs = truth[judged].astype(np.intp)
    pairs *= 256
    pairs += predicted[judged]
    return np.bincount(pairs, minlength=65536).reshape(256, 256)


def _check_like(
    name: str, array: NDArray[np.generic], truth: NDArray[np.uint8], dtype: np.dtype[np.generic]
) -> None:
    if array.shape != truth.shape:
        raise GridError(
            f"the {name} has shape {_shape(array)} but the truth {_shape(truth)}: give the truth of this map"
        )
    if array.dtype != dtype:
        raise LabelError(f"the {name} holds {array.dtype} numbers: expected {dtype}; convert it first")


def check_values(name: str, counted: NDArray[np.intp], known: Collection[int], meaning: str) -> None:
    """Refuse an array that holds other values than those that are known.

    Args:
        name: what messages call it.
        counted: its pixels by value, ``(256,)``.
        known: the values.
        meaning: of them, in words.

    Raises:
        LabelError: listing the others with their numbers.
    """
    wrong = [value for value in np.flatnonzero(counted).tolist() if value not in known]
    if wrong:
        found = ", ".join(f"{value} ({counted[value]} pixels)" for value in wrong[:8])
        more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise LabelError(f"{name}: unexpected values {found}{more}: expected {meaning}")


def _shape(array: NDArray[np.generic]) -> str:
    return " x ".join(map(str, array.shape))


@dataclass(frozen=True)
class ConfusionCounts:
    """Numbers of labelled pixels, as exact Python integers.

    The confusion matrix has the truth in its rows: ``[[tn, fp], [fn, tp]]``.

    Attributes:
        tn: unchanged pixels called unchanged.
        fp: unchanged pixels called changed.
        fn: changed pixels called unchanged.
        tp: changed pixels called changed.
        unscored: labelled pixels without a prediction; they enter no score.

    Raises:
        LabelError: a count is negative.
    """

    __pydantic_config__ = RECORD

    tn: Count
    fp: Count
    fn: Count
    tp: Count
    unscored: Count = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            # numpy's integers overflow in the products of kappa; Python's do not.
            count = operator.index(getattr(self, field.name))
            if count < 0:
                raise LabelError(f"{count} pixels of {field.name}: a count cannot be negative")
            object.__setattr__(self, field.name, count)

    def __add__(self, other: ConfusionCounts) -> ConfusionCounts:
        """Counts of both, for disjoint pixels."""
        return ConfusionCounts(
            tn=self.tn + other.tn,
            fp=self.fp + other.fp,
            fn=self.fn + other.fn,
            tp=self.tp + other.tp,
            unscored=self.unscored + other.unscored,
        )

    @property
    def total(self) -> int:
        """Number of pixels that enter the scores."""
        return self.tn + self.fp + self.fn + self.tp

    @property
    def unchanged(self) -> int:
        """Number of scored pixels that are unchanged in truth."""
        return self.tn + self.fp

    @property
    def changed(self) -> int:
        """Number of scored pixels that are changed in truth."""
        return self.fn + self.tp
