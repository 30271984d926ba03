"""SpectralKAN (Wang et al., arXiv 2407.00949) as a peer: Kolmogorov-Arnold networks of pixels, then of bands.

Where a KAN learns a function for each edge, this one learns one for each *input*, which weights hand on to all
outputs: ``y_o = sum_i (w_oi silu(x_i) + s_oi f_i(x_i))`` with cubic B-splines ``f_i`` on -1..1. The first network
takes the 25 pixels of a patch of the difference, band by band, to one number; the second takes those of all bands
to two classes.
"""

import math

import torch
from patch_network import PatchNetwork
from torch import nn
from torch.nn import functional

_GRID, _ORDER = 5, 3  # intervals of the grid, and degree of the splines


class Layer(nn.Module):
    """``(N, inputs)`` to ``(N, outputs)``."""

    def __init__(self, inputs, outputs):
        super().__init__()
        centres = torch.arange(-1, _GRID + _ORDER - 1) * (2 / _GRID) - 1
        self.register_buffer("centres", centres)
        self.plain = nn.Parameter(torch.empty(outputs, inputs))
        self.handed = nn.Parameter(torch.empty(outputs, inputs))
        self.spline = nn.Parameter(torch.randn(inputs, _GRID + _ORDER) * 0.1 / _GRID)
        for weight in (self.plain, self.handed):
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5))

    def basis(self, x):
        """Values of the splines at ``x``, one more axis: on equal intervals all have one closed form."""
        distance = (x[..., None] - self.centres).abs() * (_GRID / 2)
        wide, narrow = (2 - distance).relu(), (1 - distance).relu()
        return (wide**3 - 4 * narrow**3) / 6

    def forward(self, x):
        learned = (self.basis(x) * self.spline).sum(dim=-1)
        return functional.linear(functional.silu(x), self.plain) + functional.linear(learned, self.handed)


class Network(nn.Module):
    """The pixels of a patch to one number a band, then the bands to two logits."""

    def __init__(self, channels, side):
        super().__init__()
        self.pixels = nn.Sequential(Layer(side * side, 16), Layer(16, 1))
        self.spectrum = Layer(channels, 2)

    def forward(self, t1, t2):
        difference = (t1 - t2).flatten(2)
        return self.spectrum(self.pixels(difference).squeeze(2))


class SpectralKAN(PatchNetwork):
    """Two small Kolmogorov-Arnold networks on the difference of both dates' patches; 1 % of labels."""

    name, title = "spectral-kan", "SpectralKAN"
    reference = "after Wang et al. 2024, arXiv 2407.00949v2"
    network = staticmethod(Network)
