"""Spatial self-attention inside a bounded neighbourhood, and the default's edge-preserving one.

STANet's basic spatial-temporal attention module (BAM; Chen and Shi 2020, doi 10.3390/rs12101662) lets every pixel
of a scene attend to every other: N x N weights, which neither fits in memory nor leaves a pixel's score
independent of the tile it is read in. Here a pixel attends to the ``window x window`` pixels around it, in
features that were not padded, so that a window of a scene and a single patch give the same number.

All modules here map a pair of feature maps ``(N, C, H, W)`` to a pair ``(N, C, H - 2r, W - 2r)``, where ``r`` is
the module's ``radius``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

from hsi_cd.nn.local_attention import local_attention
from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.patch_attention import mean_of_alike
from hsi_cd.nn.pointwise import PointwiseConv

MASKED = -1e4  # a logit of keys without data; finite, so that a window without data still gives numbers


class NoAttention(nn.Module):
    """Leaves the features as they are."""

    radius = 0

    def __init__(self, channels: int | None = None) -> None:
        super().__init__()

    def forward(self, x1: Tensor, x2: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return both dates' features, each ``(N, C, H, W)``, unchanged."""
        return x1, x2


class BilateralBAM(nn.Module):
    """BAM as a learned edge-preserving filter over both dates.

    Query and key are one map ``q``, and the logit is ``-|q_i - q_j|^2 / 2``, so that at the start the module *is*
    a bilateral filter (Tomasi and Manduchi 1998, doi 10.1109/ICCV.1998.710815) whose range is a multiple of
    the noise: neighbours that differ by noise alone are averaged, neighbours across an edge are not. The logits
    of both dates are averaged into one attention map, since an edge in either date must survive in both.
    ``y = (x + gamma V A x) / (1 + |gamma|)`` keeps the amplitude whatever gamma learns; V starts as the identity.

    While training, noise of the sensor's own size is added to x, and half as much to the filtered x: the few
    labelled pixels then stand for all noisy looks at the same ground.

    Args:
        inputs: channels C of the features, those with the most signal first.
        noise: standard deviation of the noise in each channel, ``(C,)``.
        channels: channels of ``q``: how many decide which neighbours are alike.
        window: side of the neighbourhood, odd.
        range: range of the filter at the start: how many noise deviations in every channel weaken a neighbour by
            ``exp(-1/2)``.
        gamma: weight of the filtered features against the unfiltered ones at the start.
        noise_gain: strength of the noise added while training, in noise standard deviations.
    """

    noise: Tensor

    def __init__(
        self,
        inputs: int,
        *,
        noise: Tensor,
        channels: int = 12,
        window: int = 9,
        range: float = 3.0,  # noqa: A002 - what a bilateral filter's is called
        gamma: float = 4.0,
        noise_gain: float = 1.0,
    ) -> None:
        super().__init__()
        channels = min(channels, inputs)
        self.query = PointwiseConv(inputs, channels, bias=False)
        self.value = PointwiseConv(inputs, inputs, bias=False)
        self.gamma = nn.Parameter(torch.tensor(float(gamma)))
        self.register_buffer("noise", noise.reshape(1, inputs, 1, 1))
        self.noise_gain = noise_gain
        self.radius = window // 2
        with torch.no_grad():
            scale = 1 / (range * channels**0.5 * noise[:channels].clamp_min(1e-6))
            self.query.weight.zero_()[:, :channels, 0, 0].diagonal().copy_(scale)
            self.value.weight.copy_(torch.eye(inputs)[:, :, None, None])

    def forward(self, x1: Tensor, x2: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Filter both dates with one attention map.

        Args:
            x1: features of the earlier date, ``(N, C, H, W)``.
            x2: features of the later date, ``(N, C, H, W)``.
            valid: where both dates have data, bool ``(N, 1, H, W)``; other pixels are attended by none.

        Returns:
            Both dates' features, ``(N, C, H - 2 radius, W - 2 radius)``.
        """
        bias = (~valid) * MASKED
        if self._one_patch(x1, x2):
            filtered = mean_of_alike(x1, x2, self.query.weight.flatten(1), bias)
        else:
            (filtered,) = _filtered([self], x1, x2, bias)
        return self._mix(x1, x2, filtered)

    def _one_patch(self, x1: Tensor, x2: Tensor) -> bool:
        """Whether these are patches of one query each that need no gradient, as in training."""
        return x1.shape[-2:] == (2 * self.radius + 1,) * 2 and not (x1.requires_grad or x2.requires_grad)

    def _mix(self, x1: Tensor, x2: Tensor, filtered: Tensor) -> tuple[Tensor, Tensor]:
        """Both dates' features from what the filter makes of them, ``(N, 2 C, H - 2 radius, W - 2 radius)``."""
        x = torch.cat([crop(x1, self.radius), crop(x2, self.radius)])
        filtered = self.value(torch.cat(filtered.chunk(2, dim=1)))
        if self.training and self.noise_gain > 0:
            x = x + self.noise_gain * self.noise * torch.randn_like(x)
            filtered = filtered + 0.5 * self.noise_gain * self.noise * torch.randn_like(filtered)
        y1, y2 = ((x + self.gamma * filtered) / (1 + self.gamma.abs())).chunk(2)
        return y1, y2


def _filtered(modules: Sequence[BilateralBAM], x1: Tensor, x2: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """What filters of one size make of the same maps, each ``(N, 2 C, h, w)``: heads of one attention."""
    both = torch.cat([x1, x2], dim=1)
    # The mean of both dates' squared distances is one squared distance over the channels of both.
    weights = [module.query.weight.flatten(1) / 2**0.5 for module in modules]
    weight = torch.cat([torch.block_diag(each, each) for each in weights])  # type: ignore[no-untyped-call]
    key = F.linear(both.movedim(1, -1), weight).movedim(-1, 1)
    r, heads = modules[0].radius, len(modules)
    means = local_attention(crop(key, r), key, both, bias, radius=r, distance=True, heads=heads)
    return means.chunk(heads, dim=1)


def attend_each(
    modules: Sequence[nn.Module], x1: Tensor, x2: Tensor, valid: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """What each of several attention modules gives for the same maps, one after the other.

    Bilateral filters share their work: the neighbours of a pixel are gathered once for all.

    Args:
        modules: of one kind and size.
        x1: features of the earlier date, ``(N, C, H, W)``.
        x2: features of the later date, ``(N, C, H, W)``.
        valid: where both dates have data, bool ``(N, 1, H, W)``.
    """
    filters = [module for module in modules if isinstance(module, BilateralBAM)]
    if not filters or filters[0]._one_patch(x1, x2):
        yield from (module(x1, x2, valid) for module in modules)
        return
    for module, filtered in zip(filters, _filtered(filters, x1, x2, (~valid) * MASKED), strict=True):
        yield module._mix(x1, x2, filtered)
