"""Variations of training patches. Whatever moves pixels moves them alike in both dates."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def flip_and_turn(patches: list[Tensor], *, random: np.random.Generator) -> list[Tensor]:
    """Lay a batch in one of the eight ways a square can lie, drawn at random.

    Args:
        patches: tensors ``(N, ..., p, p)``; all of them are moved the same way.
        random: source of the choice.

    Returns:
        The moved tensors.
    """
    flipped, turns = bool(random.integers(2)), int(random.integers(4))
    return [torch.rot90(x.flip(-1) if flipped else x, turns, dims=(-2, -1)) for x in patches]


def swap_dates(t1: Tensor, t2: Tensor, *, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Exchange the dates of each sample with probability one half: change has no direction."""
    swapped = torch.from_numpy(random.random(len(t1)) < 0.5).to(t1.device)[:, None, None, None]
    return torch.where(swapped, t2, t1), torch.where(swapped, t1, t2)


def mixup(
    t1: Tensor, t2: Tensor, valid: Tensor, target: Tensor, *, alpha: float, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Blend each sample and its label with another of the batch (Zhang et al. 2018, arXiv 1710.09412).

    Args:
        t1: ``(N, C, p, p)``.
        t2: ``(N, C, p, p)``.
        valid: bool ``(N, 1, p, p)``.
        target: probability of change, ``(N,)``.
        alpha: both parameters of the Beta distribution of the blend.
        random: source of the blend.

    Returns:
        The blended inputs and targets, and where both blended patches are valid.
    """
    n = len(target)
    drawn = random.beta(alpha, alpha, size=n).astype(np.float32)
    share = torch.from_numpy(np.maximum(drawn, 1 - drawn)).to(t1.device)  # the sample keeps the larger part
    other = torch.from_numpy(random.permutation(n)).to(t1.device)
    wide = share[:, None, None, None]
    return (
        torch.lerp(t1[other], t1, wide),
        torch.lerp(t2[other], t2, wide),
        valid & valid[other],
        share * target + (1 - share) * target[other],
    )
