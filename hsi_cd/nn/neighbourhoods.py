"""Parts of feature maps: their inside, and windows that slide over them."""

from __future__ import annotations

import torch
from torch import Tensor


def crop(x: Tensor, radius: int) -> Tensor:
    """``x`` without its outer ``radius`` rows and columns."""
    return x if radius == 0 else x[..., radius:-radius, radius:-radius]


def windows(x: Tensor, side: int, step: int) -> Tensor:
    """Windows of ``x (N, C, H, W)``, ``side`` to a side and ``step`` apart: ``(N, C, rows, cols, side, side)``."""
    if not torch.compiler.is_compiling():
        return x.unfold(2, side, step).unfold(3, side, step)
    # The gradient of windows that overlap comes out wrong, and writes where it must not (inductor of torch 2.13).
    for dim in (2, 4):
        starts = torch.arange(0, x.shape[dim] - side + 1, step, device=x.device)
        index = starts[:, None] + torch.arange(side, device=x.device)
        x = x.index_select(dim, index.flatten()).view(*x.shape[:dim], *index.shape, *x.shape[dim + 1 :])
    return x.movedim(3, 4)
