"""A division of a scene's labelled pixels into those that teach and those that judge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError
from hsi_cd.scene.labels import UNLABELLED, Labels


@dataclass(frozen=True)
class Split:
    """Which pixels taught.

    Attributes:
        protocol: the protocol's id, as ``P1``.
        seed: seed of the draw.
        shape: ``(rows, cols)`` of the scene.
        train: flat (row-major) indices of the training pixels, int64, in the order drawn.
    """

    protocol: str
    seed: int
    shape: tuple[int, int]
    train: NDArray[np.int64]

    def test_mask(self, labels: Labels) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)``: every labelled pixel that does not teach.

        Raises:
            GridError: the labels are of another scene's shape.
        """
        if labels.shape != self.shape:
            raise GridError(
                f"the split is of a scene of {self.shape[0]} x {self.shape[1]} pixels but {labels.name} has "
                f"{labels.shape[0]} x {labels.shape[1]}: give the split.npz of this scene's run"
            )
        mask: NDArray[np.bool_] = labels.values != UNLABELLED
        mask.flat[self.train] = False  # not ravel(), which copies a mask of another memory order
        return mask
