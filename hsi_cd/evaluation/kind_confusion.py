"""Confusion of kinds of change: how many labelled pixels of each class the map calls what."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.evaluation.counts import NO_DATA, ConfusionCounts, check_values, count_pairs
from hsi_cd.evaluation.records import RECORD, Count
from hsi_cd.scene import UNCHANGED, UNLABELLED

MOST_KINDS = UNLABELLED - 1
"""Kinds that a map can tell apart."""


def count_kinds(
    truth: NDArray[np.uint8],
    predicted: NDArray[np.uint8],
    *,
    kinds: int,
    where: NDArray[np.bool_] | None = None,
) -> KindConfusion:
    """Count the labelled pixels of a map of kinds by truth and prediction.

    Pixels without a label, and pixels outside ``where``, are never looked at. A labelled pixel without a
    prediction enters no score, but is counted as ``unscored`` so that it cannot vanish unseen.

    Args:
        truth: uint8, any shape, usually ``(rows, cols)``: 0 unchanged, 1 to ``kinds``, 255 unlabelled.
        predicted: uint8 of the same shape: 0 unchanged, 1 to ``kinds``, 255 no data.
        kinds: number of kinds, 1 to 254.
        where: bool of the same shape: the pixels that judge, usually those held out from training; all by default.

    Returns:
        The counts; counts of disjoint pixels add up with ``+``.

    Raises:
        GridError: the arrays differ in shape.
        LabelError: an array is not uint8 (bool for ``where``), or holds a value that means nothing.

    Example:
        >>> import numpy as np
        >>> truth = np.array([[0, 1, 2], [2, 255, 1]], dtype=np.uint8)
        >>> change = np.array([[0, 2, 2], [0, 1, 255]], dtype=np.uint8)
        >>> count_kinds(truth, change, kinds=2)
        KindConfusion(table=((1, 0, 0), (0, 0, 1), (1, 0, 1)), unscored=1)
    """
    if not 1 <= kinds <= MOST_KINDS:
        raise LabelError(f"{kinds} kinds of change: a map tells 1 to {MOST_KINDS}")
    table = count_pairs(truth, predicted, where=where)
    known = range(UNCHANGED, kinds + 1)
    meaning = f"0 unchanged, 1 to {kinds} kinds of change, 255 "
    check_values("truth", table.sum(axis=1), known, meaning + "unlabelled")
    check_values("predicted map", table.sum(axis=0), (*known, NO_DATA), meaning + "no data")
    cells = table[: kinds + 1, : kinds + 1].tolist()
    return KindConfusion(tuple(map(tuple, cells)), int(table[:, NO_DATA].sum()))


@dataclass(frozen=True)
class KindConfusion:
    """Numbers of labelled pixels by class, as exact Python integers.

    Class 0 is unchanged, classes 1 to K are the kinds of change.

    Attributes:
        table: square, the truth in its rows: ``table[i][j]`` pixels of class i are called j.
        unscored: labelled pixels without a prediction; they enter no score.

    Raises:
        LabelError: the table is not square or has no kind, or a count is negative.
    """

    __pydantic_config__ = RECORD

    table: tuple[tuple[Count, ...], ...]
    unscored: Count = 0

    def __post_init__(self) -> None:
        # numpy's integers overflow in the products of kappa; Python's do not.
        table = tuple(tuple(operator.index(count) for count in row) for row in self.table)
        if len(table) < 2 or any(len(row) != len(table) for row in table):
            raise LabelError(
                f"a confusion of rows of {[len(row) for row in table]}: expected a square, 2 x 2 or more"
            )
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "unscored", operator.index(self.unscored))
        if min(self.unscored, *(min(row) for row in table)) < 0:
            raise LabelError("a negative number of pixels: a count cannot be negative")

    def __add__(self, other: KindConfusion) -> KindConfusion:
        """Counts of both, for disjoint pixels.

        Raises:
            LabelError: they are of other numbers of kinds.
        """
        if self.kinds != other.kinds:
            raise LabelError(f"confusions of {self.kinds} and of {other.kinds} kinds do not add up")
        rows = zip(self.table, other.table, strict=True)
        table = tuple(tuple(a + b for a, b in zip(*both, strict=True)) for both in rows)
        return KindConfusion(table, self.unscored + other.unscored)

    @property
    def kinds(self) -> int:
        """Number of kinds of change, K."""
        return len(self.table) - 1

    @property
    def total(self) -> int:
        """Number of pixels that enter the scores."""
        return sum(self.truth)

    @property
    def truth(self) -> tuple[int, ...]:
        """Scored pixels of each class in truth."""
        return tuple(map(sum, self.table))

    @property
    def called(self) -> tuple[int, ...]:
        """Scored pixels that the map calls each class."""
        return tuple(map(sum, zip(*self.table, strict=True)))

    @property
    def right(self) -> tuple[int, ...]:
        """Pixels of each class that are called so."""
        return tuple(row[i] for i, row in enumerate(self.table))

    @property
    def binary(self) -> ConfusionCounts:
        """The counts of the same map with all kinds merged into changed."""
        unchanged, *changed = self.table
        return ConfusionCounts(
            tn=unchanged[0],
            fp=sum(unchanged[1:]),
            fn=sum(row[0] for row in changed),
            tp=sum(sum(row[1:]) for row in changed),
            unscored=self.unscored,
        )
