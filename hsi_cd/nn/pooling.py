"""Means and maxima over the pixels around each one that have data."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor


def local_mean(x: Tensor, valid: Tensor, *, side: int) -> tuple[Tensor, Tensor]:
    """Mean of the valid pixels in the square around each pixel.

    Args:
        x: ``(N, C, H, W)``.
        valid: which pixels count, bool ``(N, 1, H, W)``.
        side: of the square, odd.

    Returns:
        The means, ``(N, C, H - side + 1, W - side + 1)``, 0 where no pixel counts, and where any does, bool.
    """
    weight = valid.to(x.dtype)
    share = F.avg_pool2d(weight, side, stride=1)
    return F.avg_pool2d(x * weight, side, stride=1) / share.clamp_min(1e-6), share > 0


def local_max(x: Tensor, valid: Tensor, *, side: int) -> Tensor:
    """Largest valid value in the square around each pixel, 0 where none is valid; arguments as for the mean."""
    largest = F.max_pool2d(x.masked_fill(~valid, -torch.inf), side, stride=1)
    return largest.masked_fill(largest == -torch.inf, 0.0)
