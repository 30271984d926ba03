"""A small spectral-spatial transformer whose attention never leaves a bounded window."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

from hsi_cd.nn.local_attention import local_attention
from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.pointwise import PointwiseConv

_TOKENS = 8  # groups of neighbouring bands


class SpectralSpatialTransformer(nn.Module):
    """A transformer over the bands of each pixel, then over the pixels around it.

    The bands are cut into up to 8 groups of neighbours, each group one token (as SpectralFormer does; Hong et
    al. 2022, doi 10.1109/TGRS.2021.3130716); one encoder layer attends among the tokens of a pixel. What they
    hold together is the pixel's own token, which attends to those of the window around it in every further layer
    (spectral, then spatial: SST-Former; Wang et al. 2022, doi 10.1109/TGRS.2022.3203075). Nothing is padded
    between the pixels, and no pixel attends farther than its window: memory grows with the pixels, not with
    their square.

    Args:
        channels: bands C.
        width: channels of the features; a multiple of ``heads``.
        depth: layers: one over the bands, ``depth - 1`` over the pixels.
        window: side of the neighbourhood in a layer over the pixels, odd.
        heads: attention heads.

    Raises:
        ValueError: the width is no multiple of the heads.
    """

    def __init__(self, channels: int, *, width: int, depth: int, window: int = 5, heads: int = 4) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width is {width}: a transformer of {heads} heads needs a multiple of them")
        size = -(-channels // _TOKENS)
        tokens = -(-channels // size)
        inner = heads * max(1, width // (4 * heads))
        self.group = (tokens, size)
        self.embed = nn.Linear(size, inner)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, inner))
        self.spectral = SpectralLayer(inner, heads=heads)
        self.merge = PointwiseConv(tokens * inner, width)
        layers = [SpatialLayer(width, window=window, heads=heads) for _ in range(depth - 1)]
        self.layers = nn.ModuleList(layers)
        self.radius = sum(layer.radius for layer in layers)
        self.out_channels = width

    def forward(self, x: Tensor) -> Tensor:
        """Encode ``(N, C, H, W)`` as ``(N, width, H - 2 radius, W - 2 radius)``."""
        tokens, size = self.group
        n, channels, height, width = x.shape
        x = F.pad(x.permute(0, 2, 3, 1), (0, tokens * size - channels))  # zeros after the last band
        bands = self.embed(x.reshape(-1, tokens, size)) + self.position
        x = self.spectral(bands).reshape(n, height, width, -1).permute(0, 3, 1, 2)
        x = self.merge(x)
        for layer in self.layers:
            x = layer(x)
        return x


class SpectralLayer(nn.Module):
    """An encoder layer over a pixel's tokens: attention, then a perceptron, each normed first and added."""

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.perceptron = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(pixels, tokens, channels)`` to the same shape."""
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)  # (pixels, heads, tokens, channels / heads)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        added: Tensor = x + self.perceptron(self.norm2(x))
        return added


class SpatialLayer(nn.Module):
    """An encoder layer over the pixels of a window.

    Attention does not see where in the window a pixel lies; a 3 x 3 convolution of each channel before it does
    (conditional positional encoding; Chu et al. 2021, arXiv 2102.10882).
    """

    def __init__(self, channels: int, *, window: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.reach = window // 2
        self.radius = 1 + self.reach
        self.place = nn.Conv2d(channels, channels, 3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.query = PointwiseConv(channels, channels)
        self.key = PointwiseConv(channels, channels)
        self.value = PointwiseConv(channels, channels)
        self.out = PointwiseConv(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.perceptron = nn.Sequential(
            PointwiseConv(channels, 2 * channels), nn.GELU(), PointwiseConv(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to ``(N, channels, H - 2 radius, W - 2 radius)``."""
        x = crop(x, 1) + self.place(x)
        normed = _over_channels(self.norm, x)
        inner = crop(normed, self.reach)
        n, channels, height, width = inner.shape
        each = channels // self.heads
        q = self.query(inner).reshape(n * self.heads, each, height, width) / each**0.5
        k, v = (y.reshape(n * self.heads, each, *y.shape[2:]) for y in (self.key(normed), self.value(normed)))
        attended = local_attention(q, k, v, torch.zeros_like(k[:, :1]), radius=self.reach)
        x = crop(x, self.reach) + self.out(attended.reshape(n, channels, height, width))
        added: Tensor = x + self.perceptron(_over_channels(self.norm2, x))
        return added


def _over_channels(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    normed: Tensor = norm(x.permute(0, 2, 3, 1))
    return normed.permute(0, 3, 1, 2)
