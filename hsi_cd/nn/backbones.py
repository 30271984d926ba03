"""Encoders that both dates share: features ``(N, C, H, W)`` to features ``(N, width, H - 2r, W - 2r)``.

None of them pads: the window that comes in is already mirror-padded, so every output pixel is computed the same
way wherever it lies in the window.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from hsi_cd.nn.pointwise import GELU, PointwiseConv

_BRANCHES = 4  # of an inception block, one channel each at least


class Pointwise(nn.Module):
    """A spectral encoder: the same small perceptron at every pixel (1 x 1 convolutions, GELU).

    It has no normalisation layers: the amplitude of a spectrum is information.
    """

    radius = 0

    def __init__(self, channels: int, *, width: int, depth: int) -> None:
        super().__init__()
        widths = [channels] + [width] * depth
        self.layers = nn.ModuleList(PointwiseConv(inner, outer) for inner, outer in itertools.pairwise(widths))
        self.activation = GELU()
        self.out_channels = width
        initialise(self, gain=0.8)

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``(N, C, H, W)`` as ``(N, width, H, W)``."""
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


class SpectralSpatial(nn.Module):
    """Spectral 1 x 1 convolutions, then one 3 x 3 convolution a layer for texture; residual where shapes allow."""

    def __init__(self, channels: int, *, width: int, depth: int) -> None:
        super().__init__()
        self.stem = PointwiseConv(channels, width)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3) for _ in range(depth - 1))
        self.activation = GELU()
        self.radius = depth - 1
        self.out_channels = width
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``(N, C, H, W)`` as ``(N, width, H - 2 radius, W - 2 radius)``."""
        x = self.activation(self.stem(x))
        for layer in self.layers:
            x = x[:, :, 1:-1, 1:-1] + self.activation(layer(x))
        return x


class Inception(nn.Module):
    """A spectral 1 x 1 convolution, then multi-scale blocks (GoogLeNet; Szegedy et al. 2015, arXiv 1409.4842).

    Each block has four branches side by side, of a quarter of the width each: 1 x 1; 1 x 1, then 3 x 3; 1 x 1,
    then 5 x 5; the maximum of 3 x 3, then 1 x 1. It eats two pixels on each side.

    Raises:
        ValueError: the width is below 4.
    """

    def __init__(self, channels: int, *, width: int, depth: int) -> None:
        super().__init__()
        if width < _BRANCHES:
            raise ValueError(f"width is {width}: the four branches of inception need at least {_BRANCHES}")
        self.stem = PointwiseConv(channels, width)
        self.layers = nn.ModuleList(InceptionBlock(width) for _ in range(depth - 1))
        self.activation = GELU()
        self.radius = 2 * (depth - 1)
        self.out_channels = width
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``(N, C, H, W)`` as ``(N, width, H - 2 radius, W - 2 radius)``."""
        x = self.activation(self.stem(x))
        for layer in self.layers:
            x = layer(x)
        return x


class InceptionBlock(nn.Module):
    """The four branches of one block, ``width`` channels in, ``width`` (at least 4) out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        quarter = width // 4
        self.one = PointwiseConv(width, width - 3 * quarter)
        self.three = nn.Sequential(PointwiseConv(width, quarter), GELU(), nn.Conv2d(quarter, quarter, 3))
        self.five = nn.Sequential(PointwiseConv(width, quarter), GELU(), nn.Conv2d(quarter, quarter, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1), PointwiseConv(width, quarter))
        self.activation = GELU()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, width, H, W)`` to ``(N, width, H - 4, W - 4)``."""
        inner = x[:, :, 1:-1, 1:-1]
        branches = [self.one(x[:, :, 2:-2, 2:-2]), self.three(inner), self.five(x), self.pool(inner)]
        activated: Tensor = self.activation(torch.cat(branches, dim=1))
        return activated


def initialise(module: nn.Module, *, gain: float = 1.0) -> None:
    """He's initialisation (doi 10.1109/ICCV.2015.123), times ``gain``, of all convolutions; biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            with torch.no_grad():
                layer.weight.mul_(gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
