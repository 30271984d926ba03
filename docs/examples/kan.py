"""A Kolmogorov-Arnold network as a method of hsi-cd.

Where a perceptron has a number on each edge, a KAN has a learned function of one variable: a cubic B-spline beside
a SiLU (Liu et al. 2024, KAN, arXiv 2404.19756). SpectralKAN (arXiv 2407.00949) brought them to hyperspectral
change detection, in a network of its own; here two such layers, pixel by pixel, encode each date for the Siamese
network.
"""

import itertools
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layer(nn.Module):
    """``y_o = sum_i (w_oi silu(x_i) + sum_k c_oik B_k(x_i))`` at every pixel, with splines ``B_k`` on a grid.

    Args:
        inputs: channels in.
        outputs: channels out.
        grid: intervals of the grid, which goes from -reach to reach.
        reach: where it ends; beyond, the SiLU soon speaks alone.
    """

    degree = 3

    def __init__(self, inputs: int, outputs: int, *, grid: int, reach: float) -> None:
        super().__init__()
        step = 2 * reach / grid
        knots = torch.arange(-self.degree, grid + self.degree + 1) * step - reach
        self.register_buffer("knots", knots[:, None, None])
        splines = grid + self.degree
        self.plain = nn.Conv2d(inputs, outputs, 1)
        self.spline = nn.Conv2d(inputs * splines, outputs, 1, bias=False)
        nn.init.normal_(self.spline.weight, std=0.1 / (inputs * splines) ** 0.5)

    def basis(self, x: Tensor) -> Tensor:
        """The splines' values, ``(N, C, K, H, W)`` for ``(N, C, H, W)``, by the recursion of Cox and de Boor."""
        t, x = self.knots, x[:, :, None]
        values = ((x >= t[:-1]) & (x < t[1:])).to(x.dtype)
        for k in range(1, self.degree + 1):
            rising = (x - t[: -k - 1]) / (t[k:-1] - t[: -k - 1]) * values[:, :, :-1]
            falling = (t[k + 1 :] - x) / (t[k + 1 :] - t[1:-k]) * values[:, :, 1:]
            values = rising + falling
        return values

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        return self.plain(functional.silu(x)) + self.spline(self.basis(x).flatten(1, 2))


class Encoder(nn.Module):
    """A backbone: ``depth`` layers of splines, pixel by pixel, shared by both dates."""

    radius = 0

    def __init__(self, channels: int, *, width: int, depth: int, grid: int = 5, reach: float = 3.0) -> None:
        super().__init__()
        layers = itertools.pairwise([channels, *[width] * depth])
        self.layers = nn.Sequential(*(Layer(a, b, grid=grid, reach=reach) for a, b in layers))
        self.out_channels = width

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to ``(N, width, H, W)``."""
        return self.layers(x)


class KAN:
    """The Siamese network with a Kolmogorov-Arnold encoder; few labels."""

    name = "kan"
    title = "Siamese KAN"
    reference = "after Liu et al. 2024, arXiv 2404.19756, and SpectralKAN, arXiv 2407.00949"
    needs_labels = True
    settings: ClassVar = {"model": {"backbone": {"kind": f"{__name__}:Encoder", "width": 16, "depth": 2}}}
