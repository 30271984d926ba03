"""Who teaches: the labelled pixels of a scene, and what is known beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.prior import Prior
from hsi_cd.scene import KindTable
from hsi_cd.training.beside_labels import Beside
from hsi_cd.training.pseudo_labels import PseudoLabels
from hsi_cd.training.self_training import CertainPixels


@dataclass(frozen=True)
class Dealt:
    """Which members of a network have learned from which pixels, so that none judges what it knows.

    Attributes:
        pixels: flat indices of the pixels that taught, int64 ``(N,)``.
        part: of each, the part that held it out, int64 ``(N,)``; -1 where every member has learned from it.
    """

    pixels: NDArray[np.int64]
    part: NDArray[np.int64]


@dataclass(frozen=True)
class TrainingSet:
    """What a network learns from.

    Attributes:
        pixels: flat indices of the labelled pixels, int64 ``(N,)``.
        target: their classes, 0 unchanged, 1 changed, int64 ``(N,)``.
        certain: pixels that teach beside the labels. They judge nothing: validation is by labels alone.
        share: of the scene that changed, if the labels do not tell it; by default theirs.
        shapes: number of the shape that each labelled pixel was drawn with, ``(N,)``, where shapes judge in turn:
            no fold divides one. None where each pixel stands for itself.
        dealt: what the network has learned from before, in the run that it starts from.
        scenes: number of the scene that each labelled pixel lies in, int64 ``(N,)``, where several scenes teach:
            no fold divides one. None for one scene.
        beside: what counts beside the network's word on a pixel, weighed by held-out labels, if anything.
        odds: log-odds of change of each labelled pixel by the label-free score that the network sees, which stay
            in its score, ``(N,)``; None where it sees none, or something else is its prior.
        kinds: number of the kind of change of each labelled pixel, from 1, uint8 ``(N,)``, 0 for unchanged, where
            kinds are learned; else None.
        kind_table: what the kinds are called, and the values by which the truth tells them; None without kinds.
    """

    pixels: NDArray[np.int64]
    target: NDArray[np.int64]
    certain: CertainPixels | PseudoLabels | None = None
    share: float | None = None
    shapes: NDArray[np.int32] | None = None
    dealt: Dealt | None = None
    scenes: NDArray[np.int64] | None = None
    beside: Beside | None = None
    odds: NDArray[np.float32] | None = None
    kinds: NDArray[np.uint8] | None = None
    kind_table: KindTable | None = None

    @property
    def prior(self) -> Prior | None:
        """Label-free detectors that stay in the score."""
        if isinstance(self.certain, PseudoLabels):
            return self.certain.prior
        return None if self.beside is None else self.beside.prior

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers by which the classes, unchanged and changed, are weighed against each other.

        Those of the labels; alike beside pseudo-labels, which hold the classes as the scene does, and where
        several scenes teach, of each of which both classes are met as often.
        """
        if isinstance(self.certain, PseudoLabels) or self.scenes is not None:
            return 1, 1
        return int((self.target == 0).sum()), int((self.target == 1).sum())


NOBODY = TrainingSet(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
"""No label teaches."""
