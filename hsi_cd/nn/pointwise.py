"""1 x 1 convolutions, which are most of the network."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn


class PointwiseConv(nn.Conv2d):
    """A 1 x 1 convolution that computes single pixels as one matrix product.

    In training every patch ends as one pixel, ``(N, C, 1, 1)``, for which convolutions are set up image by image:
    measured on a CPU core, forward and backward of 256 pixels of 64 channels take 2.4 times as long as the
    product. For maps the convolution is the faster one. Parameters are those of :class:`torch.nn.Conv2d`.
    """

    def __init__(self, channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to ``(N, out_channels, H, W)``."""
        if x.shape[-2:] != (1, 1):
            return super().forward(x)
        return F.linear(x.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]
