"""Attention to channels (squeeze and excitation) and to channels, then places (CBAM), inside a neighbourhood.

Both papers squeeze a whole image into one number a channel, by which a pixel's score would depend on the tile it
is read in. Here each pixel has the mean (and maximum) of the window around it. See :mod:`hsi_cd.nn.attention`
for what all modules take and give.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.pointwise import PointwiseConv
from hsi_cd.nn.pooling import local_max, local_mean

_SPATIAL = 7  # side of CBAM's spatial convolution, as in the paper


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al. 2018, arXiv 1709.01507), local: ``y = 2 sigmoid(M(mean(x))) x``.

    ``mean`` is over the valid pixels of the window, M a perceptron of two layers with C / 4 hidden channels, at
    least 4. Twice the sigmoid, which is near one half at the start, keeps the amplitude of the spectra.

    Args:
        channels: channels C of the features.
        window: side of the neighbourhood that is squeezed, odd.
        maximum: add the perceptron's answer to the maximum of the window, as CBAM does.
    """

    def __init__(self, channels: int, *, window: int, maximum: bool = False) -> None:
        super().__init__()
        hidden = max(4, channels // 4)
        self.perceptron = nn.Sequential(
            PointwiseConv(channels, hidden), nn.GELU(), PointwiseConv(hidden, channels)
        )
        self.window = window
        self.maximum = maximum
        self.radius = window // 2

    def forward(self, x1: Tensor, x2: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh the channels of each date.

        Args:
            x1: features of the earlier date, ``(N, C, H, W)``.
            x2: features of the later date, ``(N, C, H, W)``.
            valid: where both dates have data, bool ``(N, 1, H, W)``; other pixels weigh nothing.

        Returns:
            Both dates' features, ``(N, C, H - 2 radius, W - 2 radius)``.
        """
        y1, y2 = self.weighed(torch.cat([x1, x2]), torch.cat([valid, valid])).chunk(2)
        return y1, y2

    def weighed(self, x: Tensor, valid: Tensor) -> Tensor:
        """``x (N, C, H, W)`` with its channels weighed, ``(N, C, H - 2 radius, W - 2 radius)``."""
        answer = self.perceptron(local_mean(x, valid, side=self.window)[0])
        if self.maximum:
            answer = answer + self.perceptron(local_max(x, valid, side=self.window))
        return 2 * torch.sigmoid(answer) * crop(x, self.radius)


class CBAM(nn.Module):
    """Convolutional block attention (Woo et al. 2018, arXiv 1807.06521), local: channels, then places.

    First :class:`ChannelAttention` by the mean and the maximum of the window; then each place is weighed by twice
    the sigmoid of a 7 x 7 convolution over the mean and the maximum of its channels. The convolution pads nothing.

    Args:
        channels: channels C of the features.
        window: side of the neighbourhood that is squeezed, odd.
    """

    def __init__(self, channels: int, *, window: int) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, window=window, maximum=True)
        self.place = nn.Conv2d(2, 1, _SPATIAL)
        self.radius = self.channel.radius + _SPATIAL // 2

    def forward(self, x1: Tensor, x2: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh channels, then places, of each date; as :meth:`ChannelAttention.forward`."""
        valid = torch.cat([valid, valid])
        x = self.channel.weighed(torch.cat([x1, x2]), valid)
        squeezed = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        squeezed = squeezed * crop(valid, self.channel.radius)
        y1, y2 = (2 * torch.sigmoid(self.place(squeezed)) * crop(x, _SPATIAL // 2)).chunk(2)
        return y1, y2
