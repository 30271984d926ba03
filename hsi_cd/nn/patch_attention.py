"""Bilateral attention of the middle pixel of a patch, with a backward pass of its own.

Training asks for nothing else: one query a patch, in features that need no gradient. What :func:`local_attention`
then spends its time on is moving patches through memory, forward and backward, a dozen times. Here they are read
three times each way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def mean_of_alike(x1: Tensor, x2: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Mean of each patch, in which pixels count by how alike they are to the one in the middle.

    ``y = sum_j softmax_j(-(|W (x1_j - x1_i)|^2 + |W (x2_j - x2_i)|^2) / 4 + bias_j) x_j`` with ``i`` the middle.
    Nothing flows back into the patches.

    Args:
        x1: patches of the earlier date, ``(N, C, p, p)`` with ``p`` odd.
        x2: the same patches of the later date.
        weight: ``W``, ``(D, C)``.
        bias: added to the logit of each pixel, ``(N, 1, p, p)``.

    Returns:
        Both dates' means, ``(N, 2 C, 1, 1)``.
    """
    with torch.autocast(x1.device.type, enabled=False):  # distances need all their digits
        mean: Tensor = _MeanOfAlike.apply(x1, x2, weight, bias)  # type: ignore[no-untyped-call]
    return mean[:, :, None, None]


class _MeanOfAlike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x1: Tensor, x2: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n, channels, side, _ = x1.shape
        keys = side * side
        pixels = side_by_side(x1, x2).permute(0, 2, 3, 1).reshape(n, keys, 2 * channels).contiguous()
        centre = pixels[:, keys // 2]
        away = pixels - centre[:, None]
        seen = away.view(-1, channels) @ weight.T
        logits = seen.view(n, keys, -1).square().sum(dim=-1).mul_(-0.25).add_(bias.flatten(1))
        share = logits.softmax(dim=-1)
        # The shares sum to one, so that the mean is the middle plus the mean difference.
        mean = torch.bmm(share[:, None], away)[:, 0].add_(centre)
        ctx.save_for_backward(away, seen, share)
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor, None]:
        away, seen, share = ctx.saved_tensors
        n, keys, channels = away.shape
        to_share = torch.bmm(grad[:, None], away.transpose(1, 2))[:, 0]
        to_logit = share * (to_share - (share * to_share).sum(dim=-1, keepdim=True))
        to_seen = (seen.view(n, keys, -1) * to_logit.mul_(-0.5)[..., None]).view(seen.shape)
        return None, None, to_seen.T @ away.view(-1, channels // 2), None


def side_by_side(x1: Tensor, x2: Tensor) -> Tensor:
    """Both dates' channels, ``(N, 2 C, h, w)``: a view where they lie so in memory, as cut patches do."""
    apart = x2.storage_offset() - x1.storage_offset()
    shared = x1.untyped_storage().data_ptr() == x2.untyped_storage().data_ptr()
    if not (shared and x1.stride() == x2.stride() and x1.stride(1) * x1.shape[1] == apart):
        return torch.cat([x1, x2], dim=1)
    return x1.as_strided((len(x1), 2 * x1.shape[1], *x1.shape[2:]), x1.stride(), x1.storage_offset())
