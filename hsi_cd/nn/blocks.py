"""Every block of the network by its name, as the configuration gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from hsi_cd.nn.attention import BilateralBAM, NoAttention
from hsi_cd.nn.backbones import Inception, Pointwise, SpectralSpatial
from hsi_cd.nn.bam import BAM, PAM
from hsi_cd.nn.channel_attention import CBAM, ChannelAttention
from hsi_cd.nn.distance import (
    ConcatenationHead,
    CosineHead,
    DifferenceHead,
    DistanceHead,
    DistanceMLPHead,
    EuclideanHead,
)
from hsi_cd.nn.resnet import ResNet
from hsi_cd.nn.spectral import Spectral
from hsi_cd.nn.transformer import SpectralSpatialTransformer


@dataclass(frozen=True)
class AttentionOptions:
    """What attention modules may need; each takes its own.

    Attributes:
        window: side of the neighbourhood a pixel attends to, odd.
        depth: bilateral: channels that decide which neighbours are alike.
        ds: bam, joint_bam: distance of neighbouring keys.
        scales: pam: distance of neighbouring keys at each scale.
        noise: bilateral: standard deviation of the noise in each channel, ``(C,)``.
        noise_gain: bilateral: strength of the noise added while training.
        tolerance: bilateral: range of the filter at the start, in noise deviations.
        gamma: bilateral: weight of the filtered features at the start.
    """

    window: int = 9
    depth: int = 12
    ds: int = 1
    scales: tuple[int, ...] = (1, 2, 4)
    noise: Tensor | None = None
    noise_gain: float = 0.0
    tolerance: float = 3.0
    gamma: float = 4.0


@dataclass(frozen=True)
class BackboneOptions:
    """What encoders may need; each takes its own. See their classes."""

    width: int = 64
    depth: int = 3
    until: str = "layer4"
    patch: int = 9
    upsample: str = "bilinear"
    spatial: bool = False
    kernel: int = 7
    filters: int = 8
    window: int = 5
    heads: int = 4


def _bilateral(channels: int, o: AttentionOptions) -> nn.Module:
    return BilateralBAM(
        channels,
        depth=o.depth,
        window=o.window,
        noise=torch.ones(channels) if o.noise is None else o.noise,
        noise_gain=o.noise_gain,
        tolerance=o.tolerance,
        gamma=o.gamma,
    )


def _resnet(
    channels: int, o: BackboneOptions, *, blocks: tuple[int, int, int, int], bottleneck: bool = False
) -> nn.Module:
    return ResNet(
        channels,
        width=o.width,
        blocks=blocks,
        bottleneck=bottleneck,
        until=o.until,
        patch=o.patch,
        upsample=o.upsample,
    )


ATTENTIONS: dict[str, Callable[[int, AttentionOptions], nn.Module]] = {
    "none": lambda channels, o: NoAttention(),
    "bilateral": _bilateral,
    "bam": lambda channels, o: BAM(channels, window=o.window, ds=o.ds),
    "joint_bam": lambda channels, o: BAM(channels, window=o.window, ds=o.ds, joint=True),
    "pam": lambda channels, o: PAM(channels, window=o.window, scales=o.scales),
    "channel": lambda channels, o: ChannelAttention(channels, window=o.window),
    "cbam": lambda channels, o: CBAM(channels, window=o.window),
}
"""Attention modules by name, from the channels they see and their options."""

BACKBONES: dict[str, Callable[[int, BackboneOptions], nn.Module]] = {
    "pointwise": lambda channels, o: Pointwise(channels, width=o.width, depth=o.depth),
    "spectral_spatial": lambda channels, o: SpectralSpatial(channels, width=o.width, depth=o.depth),
    "inception": lambda channels, o: Inception(channels, width=o.width, depth=o.depth),
    "spectral": lambda channels, o: Spectral(
        channels, width=o.width, depth=o.depth, spatial=o.spatial, kernel=o.kernel, filters=o.filters
    ),
    "transformer": lambda channels, o: SpectralSpatialTransformer(
        channels, width=o.width, depth=o.depth, window=o.window, heads=o.heads
    ),
    "resnet18": partial(_resnet, blocks=(2, 2, 2, 2)),
    "resnet34": partial(_resnet, blocks=(3, 4, 6, 3)),
    "resnet50": partial(_resnet, blocks=(3, 4, 6, 3), bottleneck=True),
}
"""Encoders by name, from the channels they see and their options."""

HEADS: dict[str, Callable[..., nn.Module]] = {
    "distance_mlp": DistanceMLPHead,
    "distance": DistanceHead,
    "euclidean": EuclideanHead,
    "cosine": CosineHead,
    "difference": DifferenceHead,
    "concatenation": ConcatenationHead,
}
"""Heads by name; each takes ``channels, *, dropout`` and has ``symmetric``: the dates may be exchanged."""
