"""Variations of training patches. Whatever moves pixels moves them alike in both dates.

They are drawn before the patches are cut, so that cutting and varying is one pass over them
(:meth:`hsi_cd.training.patches.PatchSource.cut`): what is done to patches one after the other costs more than the
network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Variation:
    """How a batch of patches is varied.

    Attributes:
        flipped: mirror them left to right.
        turns: then turn them so many quarters.
        swapped: samples whose dates are exchanged, bool ``(N,)``; None for none. Change has no direction.
        partner: the sample of the batch that each is blended with, int64 ``(N,)``; None for no blending.
        share: what each sample keeps of itself, float32 ``(N,)``; the rest is its partner's.
    """

    flipped: bool = False
    turns: int = 0
    swapped: NDArray[np.bool_] | None = None
    partner: NDArray[np.int64] | None = None
    share: NDArray[np.float32] | None = None

    def lay(self, square: Tensor) -> Tensor:
        """A square ``(..., p, p)`` as the patches lie."""
        return torch.rot90(square.flip(-1) if self.flipped else square, self.turns, dims=(-2, -1))

    def blend(self, target: Tensor) -> Tensor:
        """Targets of the blended samples, ``(N,)``."""
        if self.partner is None or self.share is None:
            return target
        share, partner = (torch.from_numpy(x).to(target.device) for x in (self.share, self.partner))
        return share * target + (1 - share) * target[partner]


def draw_variation(
    number: int, *, flips: bool, turns: bool, date_swap: bool, mixup: float, random: np.random.Generator
) -> Variation:
    """Draw how a batch is varied.

    Args:
        number: samples in the batch.
        flips: mirror the batch left to right with probability one half.
        turns: turn it by none to three quarters; with ``flips`` it lies in one of the eight ways a square can lie.
        date_swap: exchange the dates of each sample with probability one half.
        mixup: blend each sample and its label with another of the batch, by Beta(mixup, mixup); the sample keeps
            the larger part (Zhang et al. 2018, arXiv 1710.09412). 0 for none.
        random: source of the draws.
    """
    flipped = bool(random.integers(2)) if flips else False
    quarters = int(random.integers(4)) if turns else 0
    swapped = random.random(number) < 0.5 if date_swap else None
    if not mixup:
        return Variation(flipped, quarters, swapped)
    drawn = random.beta(mixup, mixup, size=number).astype(np.float32)
    return Variation(flipped, quarters, swapped, random.permutation(number), np.maximum(drawn, 1 - drawn))
