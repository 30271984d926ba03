"""STANet's attention modules, local: BAM, its joint form over both dates, and the pyramid PAM.

Chen and Shi 2020, doi 10.3390/rs12101662. In the paper every pixel attends to every other, of its own part of
the scene (PAM) or of all of it (BAM): memory grows with the square of the pixels. Here each attends to a bounded
neighbourhood, so memory grows with the pixels, and a tile changes no score. See :mod:`hsi_cd.nn.attention` for
what all modules take and give.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hsi_cd.nn.attention import MASKED
from hsi_cd.nn.local_attention import dilated_attention
from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.pointwise import PointwiseConv
from hsi_cd.nn.pooling import local_mean


class SpatialAttention(nn.Module):
    """What a pixel gathers from the window around it: ``sum_j softmax_j(q_i . k_j / sqrt(d)) v_j``.

    Queries, keys and values come from 1 x 1 convolutions, with d = C / 8 channels in queries and keys. With ``ds``
    above 1, keys and values are means over ``ds x ds`` boxes, taken ``ds`` pixels apart from the query's own: the
    window reaches ``ds`` times as far at the same cost. The boxes are centred on each pixel instead of on a grid
    over the tile, so any size works and the result does not depend on the tiling.

    Args:
        channels: channels C of the features.
        window: keys to a side, odd.
        ds: distance of neighbouring keys, in pixels.
        joint: let a pixel attend to the windows of both dates, by one softmax, instead of to its own date's.
    """

    def __init__(self, channels: int, *, window: int, ds: int = 1, joint: bool = False) -> None:
        super().__init__()
        depth = max(1, channels // 8)
        self.query = PointwiseConv(channels, depth)
        self.key = PointwiseConv(channels, depth)
        self.value = PointwiseConv(channels, channels)
        self.reach = window // 2
        self.ds = ds
        self.joint = joint
        # A box of even width has no centre pixel: an odd one of at least ds keeps the window symmetric.
        self.box = ds + 1 - ds % 2
        self.radius = self.reach * ds + self.box // 2

    def attended(self, x1: Tensor, x2: Tensor, valid: Tensor) -> Tensor:
        """What both dates gather.

        Args:
            x1: features of the earlier date, ``(N, C, H, W)``.
            x2: features of the later date, ``(N, C, H, W)``.
            valid: where both dates have data, bool ``(N, 1, H, W)``; other pixels are attended by none.

        Returns:
            ``(2 N, C, H - 2 radius, W - 2 radius)``, the earlier date first.
        """
        x = torch.cat([x1, x2])
        query = self.query(crop(x, self.radius)) / self.query.out_channels**0.5
        if self.box > 1:
            x, valid = local_mean(x, torch.cat([valid, valid]), side=self.box)
        else:
            valid = torch.cat([valid, valid])
        found = [self.key(x), self.value(x), (~valid).to(x.dtype) * MASKED]
        if self.joint:  # the own date's map, then the other date's
            found = [torch.cat([y, torch.cat(y.chunk(2)[::-1])]) for y in found]
        key, value, bias = found
        return dilated_attention(query, key, value, bias, reach=self.reach, dilation=self.ds)


class BAM(SpatialAttention):
    """Basic attention module: ``y = x + gamma A(x)``, local and with its residual weight in use.

    ``A`` is :class:`SpatialAttention`, over each date's own window or, ``joint``, over both (the paper's BAM lays
    the dates side by side and attends over all; doi 10.3390/rs12101662). Gamma is learned from 0: training starts
    from the features without attention. (The published code creates gamma and never uses it.)
    """

    def __init__(self, channels: int, *, window: int, ds: int = 1, joint: bool = False) -> None:
        super().__init__(channels, window=window, ds=ds, joint=joint)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x1: Tensor, x2: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Attend within each date, or over both.

        Args:
            x1: features of the earlier date, ``(N, C, H, W)``.
            x2: features of the later date, ``(N, C, H, W)``.
            valid: where both dates have data, bool ``(N, 1, H, W)``; other pixels are attended by none.

        Returns:
            Both dates' features, ``(N, C, H - 2 radius, W - 2 radius)``.
        """
        y1, y2 = (self.gamma * self.attended(x1, x2, valid)).chunk(2)
        return crop(x1, self.radius) + y1, crop(x2, self.radius) + y2


class JointBAM(BAM):
    """:class:`BAM` over the windows of both dates."""

    def __init__(self, channels: int, *, window: int, ds: int = 1) -> None:
        super().__init__(channels, window=window, ds=ds, joint=True)


class PAM(nn.Module):
    """Pyramid attention module: BAM at several scales, ``y = x + gamma W [A_1(x), A_2(x), ...]``.

    Each scale is a :class:`SpatialAttention` of its own with another ``ds``, W a 1 x 1 convolution over what all
    scales gather, gamma learned from 0. In the paper (doi 10.3390/rs12101662) a scale is a grid of sub-regions,
    each attending to itself, so that a pixel's context depends on where in the grid it lies; here each scale is
    a window around the pixel.

    Args:
        channels: channels C of the features.
        window: keys to a side at every scale, odd.
        scales: distance of neighbouring keys at each scale, in pixels.
    """

    def __init__(self, channels: int, *, window: int, scales: Sequence[int]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(SpatialAttention(channels, window=window, ds=ds) for ds in scales)
        self.fuse = PointwiseConv(len(scales) * channels, channels)
        self.gamma = nn.Parameter(torch.zeros(()))
        self.radius = max(int(scale.radius) for scale in self.scales)  # type: ignore[arg-type]

    def forward(self, x1: Tensor, x2: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Attend within each date at all scales; arguments and result as for :meth:`BAM.forward`."""
        gathered = []
        for scale in self.scales:
            margin = self.radius - int(scale.radius)  # type: ignore[arg-type]
            gathered.append(scale.attended(*(crop(x, margin) for x in (x1, x2, valid))))  # type: ignore[operator]
        y1, y2 = (self.gamma * self.fuse(torch.cat(gathered, dim=1))).chunk(2)
        return crop(x1, self.radius) + y1, crop(x2, self.radius) + y2
