"""1 x 1 convolutions and what comes after them, which are most of the network."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn


class PointwiseConv(nn.Conv2d):
    """A 1 x 1 convolution, computed as one matrix product wherever the channels lie last.

    So they do in single pixels ``(N, C, 1, 1)``, as patches end in training, for which convolutions are set up
    image by image: measured on a CPU core, forward and backward of 256 pixels of 64 channels take 2.4 times as
    long as the product. On maps (AVX2, 2 x 32 x 48 pixels) convolutions of 16 to 128 channels take 1.15 to 1.4
    times as long. Parameters are those of :class:`torch.nn.Conv2d`.
    """

    def __init__(self, channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to ``(N, out_channels, H, W)``."""
        if x.shape[-2:] == (1, 1):
            return F.linear(x.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]
        if not x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class GELU(nn.GELU):
    """GELU of what a layer gives: where no gradient is asked for, it overwrites that.

    torch's faster kernel takes contiguous tensors only, which maps whose channels lie last are if seen so:
    measured on a CPU core (AVX2), 2 x 32 x 48 pixels of 64 channels, .44 ms, contiguous .26, in place .19.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Of each number of ``(N, C, H, W)``."""
        last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
        y = x.permute(0, 2, 3, 1) if last else x
        y = super().forward(y) if torch.is_grad_enabled() else torch.ops.aten.gelu_(y)
        return y.permute(0, 3, 1, 2) if last else y
