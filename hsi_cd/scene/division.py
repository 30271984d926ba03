"""A division of a scene's labelled pixels into those that teach and those that judge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError, LabelError
from hsi_cd.scene.labels import UNLABELLED, Labels

GIVEN = "file"
"""The protocol of a split that a file names without telling how it was drawn."""

DRAWN = "drawn"
"""The protocol of labels that people draw: all of them teach, and the score is cross-validated by shape."""


@dataclass(frozen=True)
class Place:
    """Where the pixels of an area of interest lie in its scene.

    Attributes:
        row: of the scene, of the first one.
        col: column of the scene, of the first one.
        scene: ``(rows, cols)`` of the scene.
    """

    row: int
    col: int
    scene: tuple[int, int]

    def holds(self, shape: tuple[int, int]) -> bool:
        """Whether an extent at this place lies in the scene."""
        ends = (self.row + shape[0], self.col + shape[1])
        return min(self.row, self.col) >= 0 and all(a <= b for a, b in zip(ends, self.scene, strict=True))


@dataclass(frozen=True)
class Split:
    """Which pixels taught, and which may not judge although they did not teach.

    Attributes:
        protocol: the protocol's id, as ``P1``; :data:`GIVEN` where nobody told it.
        seed: seed of the draw.
        shape: ``(rows, cols)`` of the scene, or of its area of interest.
        train: flat (row-major) indices of the training pixels, int64, in the order drawn; none where the protocol
            teaches nothing.
        guard: bool ``(rows, cols)``: pixels too near to the training pixels to judge; None where every labelled
            pixel that does not teach judges.
        shapes: where the labels were drawn, the number of the shape that each pixel of ``train`` was drawn with,
            from 1, int32 in the same order; None under the other protocols.
        place: of an area of interest alone, where it lies in its scene.

    Raises:
        GridError: the guard is of another shape, or the shapes are of other pixels.
    """

    protocol: str
    seed: int
    shape: tuple[int, int]
    train: NDArray[np.int64]
    guard: NDArray[np.bool_] | None = None
    shapes: NDArray[np.int32] | None = None
    place: Place | None = None

    def __post_init__(self) -> None:
        if self.shapes is not None and self.shapes.shape != self.train.shape:
            raise GridError(
                f"{len(self.shapes)} numbers of shapes for {len(self.train)} training pixels: give one for each"
            )
        if self.place is not None and not self.place.holds(self.shape):
            raise GridError(
                f"{self.shape[0]} x {self.shape[1]} pixels from row {self.place.row}, column {self.place.col} are "
                f"no part of a scene of {self.place.scene[0]} x {self.place.scene[1]}"
            )
        if self.guard is not None and self.guard.shape != self.shape:
            raise GridError(
                f"the guard has shape {self.guard.shape} but the scene {self.shape}: give both on one grid"
            )

    @property
    def scope(self) -> str:
        """What the judging pixels are called in results: all labelled, held-out, or held-out beyond the guard."""
        if not len(self.train):
            return "all labelled"
        return "held-out" if self.guard is None else "held-out, beyond the guard"

    def on(self, shape: tuple[int, int]) -> Split:
        """The same division on the pixels of its whole scene, where these are as many; else as it is.

        Args:
            shape: ``(rows, cols)`` of what it is wanted for.
        """
        place = self.place
        if place is None or shape == self.shape or shape != place.scene:
            return self
        row, col = np.divmod(self.train, self.shape[1])
        guard = None
        if self.guard is not None:
            guard = np.zeros(shape, dtype=bool)
            guard[place.row : place.row + self.shape[0], place.col : place.col + self.shape[1]] = self.guard
        train = (row + place.row) * shape[1] + col + place.col
        return replace(self, shape=shape, train=train, guard=guard, place=None)

    def same_pixels(self, other: Split) -> bool:
        """Whether both let the same pixels of the same shapes teach, in the same order, and the same judge."""
        empty = np.zeros(self.shape, dtype=bool)
        mine, theirs = (empty if guard is None else guard for guard in (self.guard, other.guard))
        if not np.array_equal(self.train, other.train) or not np.array_equal(mine, theirs):
            return False
        if self.shapes is None or other.shapes is None:
            return self.shapes is other.shapes
        return np.array_equal(self.shapes, other.shapes)

    def all_teach(self, labels: Labels) -> bool:
        """Whether labels that people drew all teach, so that none is held out and shapes judge in turn.

        Raises:
            GridError: the labels are of another scene's shape.
        """
        drawn = self.protocol == DRAWN and self.shapes is not None
        return drawn and bool(len(self.train)) and not self.test_mask(labels).any()

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits by which the same extent, teachers, guard and shapes are known again."""
        told = hashlib.sha256(np.array(self.shape, dtype="<i8").tobytes())
        told.update(self.train.astype("<i8").tobytes())
        if self.guard is not None:
            told.update(np.packbits(self.guard).tobytes())
        if self.shapes is not None:
            told.update(self.shapes.astype("<i8").tobytes())
        return told.hexdigest()[:12]

    def check_labelled(self, labels: Labels, *, name: str = "the split") -> None:
        """Refuse a pixel that is to teach but that nobody labelled.

        Raises:
            GridError: the labels are of another scene's shape.
            LabelError: there are such pixels; their number is said.
        """
        if self.shape != labels.shape:
            raise GridError(
                f"{name} is of a scene of {self.shape[0]} x {self.shape[1]} pixels but {labels.name} has "
                f"{labels.shape[0]} x {labels.shape[1]}: give the split of this scene"
            )
        unknown = int((labels.values.ravel()[self.train] == UNLABELLED).sum())
        if unknown:
            raise LabelError(
                f"{unknown} of {len(self.train)} pixels of {name} are unlabelled in {labels.name}: nothing tells "
                "what they teach; give the split that was drawn from these labels"
            )

    def train_mask(self) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)``: the pixels that teach."""
        mask = np.zeros(self.shape, dtype=bool)
        mask.ravel()[self.train] = True
        return mask

    def test_mask(self, labels: Labels) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)``: every labelled pixel that neither teaches nor lies in the guard.

        Raises:
            GridError: the labels are of another scene's shape.
        """
        if labels.shape != self.shape:
            raise GridError(
                f"the split is of a scene of {self.shape[0]} x {self.shape[1]} pixels but {labels.name} has "
                f"{labels.shape[0]} x {labels.shape[1]}: give the split.npz of this scene's run"
            )
        mask: NDArray[np.bool_] = (labels.values != UNLABELLED) & ~self.train_mask()
        return mask if self.guard is None else mask & ~self.guard
