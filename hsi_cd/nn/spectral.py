"""Convolutions along the bands."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

from hsi_cd.nn.backbones import initialise
from hsi_cd.nn.pointwise import PointwiseConv


class Spectral(nn.Module):
    """Convolutions over the bands, alone (1-D) or with the pixels around (3-D), then one 1 x 1 convolution.

    1-D convolutions see the spectrum of one pixel (Hu et al. 2015, doi 10.1155/2015/258619), 3-D ones also the 3
    x 3 pixels around it in every layer (Chen et al. 2016, doi 10.1109/TGRS.2016.2584107). Along the bands they
    pad with zeros and take every second position, so that any number of bands works and 400 stay few; between
    the pixels they do neither. Meant for bands in the order of their wavelengths: ``prepare.projection: none``.

    Args:
        channels: bands C.
        width: channels of the features.
        depth: layers: ``depth - 1`` over the bands, the last one 1 x 1.
        conv: ``1d`` (along the bands) or ``3d`` (and over the 3 x 3 pixels around).
        kernel: bands that one position sees, odd.
        filters: filters of each layer over the bands.
    """

    def __init__(
        self, channels: int, *, width: int, depth: int, conv: str = "1d", kernel: int = 7, filters: int = 8
    ) -> None:
        super().__init__()
        side = 3 if conv == "3d" else 1
        self.layers = nn.ModuleList(
            nn.Conv3d(
                1 if layer == 0 else filters,
                filters,
                (kernel, side, side),
                stride=(2, 1, 1),
                padding=(kernel // 2, 0, 0),
            )
            for layer in range(depth - 1)
        )
        positions = channels
        for _ in self.layers:
            positions = (positions + 1) // 2
        self.merge = PointwiseConv(positions * (filters if self.layers else 1), width)
        self.radius = (depth - 1) * (side // 2)
        self.out_channels = width
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``(N, C, H, W)`` as ``(N, width, H - 2 radius, W - 2 radius)``."""
        x = x[:, None]  # (N, filters, bands, H, W)
        for layer in self.layers:
            x = F.gelu(layer(x))
        return F.gelu(self.merge(x.flatten(1, 2)))
