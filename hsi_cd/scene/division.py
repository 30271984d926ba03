"""A division of a scene's labelled pixels into those that teach and those that judge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError, LabelError
from hsi_cd.scene.labels import UNLABELLED, Labels

GIVEN = "file"
"""The protocol of a split that a file names without telling how it was drawn."""


@dataclass(frozen=True)
class Split:
    """Which pixels taught, and which may not judge although they did not teach.

    Attributes:
        protocol: the protocol's id, as ``P1``; :data:`GIVEN` where nobody told it.
        seed: seed of the draw.
        shape: ``(rows, cols)`` of the scene.
        train: flat (row-major) indices of the training pixels, int64, in the order drawn; none where the protocol
            teaches nothing.
        guard: bool ``(rows, cols)``: pixels too near to the training pixels to judge; None where every labelled
            pixel that does not teach judges.

    Raises:
        GridError: the guard is of another shape.
    """

    protocol: str
    seed: int
    shape: tuple[int, int]
    train: NDArray[np.int64]
    guard: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
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

    def same_pixels(self, other: Split) -> bool:
        """Whether both let the same pixels teach, in the same order, and the same pixels judge."""
        empty = np.zeros(self.shape, dtype=bool)
        mine, theirs = (empty if guard is None else guard for guard in (self.guard, other.guard))
        return np.array_equal(self.train, other.train) and np.array_equal(mine, theirs)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits by which the same shape, teachers and guard are known again."""
        told = hashlib.sha256(np.array(self.shape, dtype="<i8").tobytes())
        told.update(self.train.astype("<i8").tobytes())
        if self.guard is not None:
            told.update(np.packbits(self.guard).tobytes())
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
