"""Who teaches: the labelled pixels of a scene, and what is known beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.training.self_training import CertainPixels


@dataclass(frozen=True)
class TrainingSet:
    """What a network learns from.

    Attributes:
        pixels: flat indices of the labelled pixels, int64 ``(N,)``.
        target: their classes, 0 unchanged, 1 changed, int64 ``(N,)``.
        certain: pixels that teach beside the labels. They judge nothing: validation is by labels alone.
        share: of the scene that changed, if the labels were drawn so many a class; by default theirs.
        shapes: number of the shape that each labelled pixel was drawn with, ``(N,)``, where shapes judge in turn:
            no fold divides one. None where each pixel stands for itself.
    """

    pixels: NDArray[np.int64]
    target: NDArray[np.int64]
    certain: CertainPixels | None = None
    share: float | None = None
    shapes: NDArray[np.int32] | None = None


NOBODY = TrainingSet(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
"""No label teaches."""
