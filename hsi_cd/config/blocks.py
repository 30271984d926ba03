"""The parts of the network by name: where each lives, as ``module:Class``. Nothing is imported here.

To add one, write a module, its line below, and a file in ``configs/examples``. A part takes the channels it sees,
then, by keyword, those settings of its section that its signature names. What a setting may be, and is by default,
stands in :mod:`hsi_cd.config.model_config`; what it means to a part, in the part's docstring.

A part of another package is named as ``module:Class``, and may have options that no section lists.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import PydanticKnownError

from hsi_cd.plugins import is_named

ATTENTIONS = {
    "bilateral": "hsi_cd.nn.attention:BilateralBAM",
    "bam": "hsi_cd.nn.bam:BAM",
    "joint_bam": "hsi_cd.nn.bam:JointBAM",
    "pam": "hsi_cd.nn.bam:PAM",
    "channel": "hsi_cd.nn.channel_attention:ChannelAttention",
    "cbam": "hsi_cd.nn.channel_attention:CBAM",
    "none": "hsi_cd.nn.attention:NoAttention",
}
"""Attention modules: a pair of feature maps and a validity mask to a pair of feature maps."""

BACKBONES = {
    "pointwise": "hsi_cd.nn.backbones:Pointwise",
    "spectral_spatial": "hsi_cd.nn.backbones:SpectralSpatial",
    "inception": "hsi_cd.nn.backbones:Inception",
    "spectral": "hsi_cd.nn.spectral:Spectral",
    "transformer": "hsi_cd.nn.transformer:SpectralSpatialTransformer",
    "resnet18": "hsi_cd.nn.resnet:resnet18",
    "resnet34": "hsi_cd.nn.resnet:resnet34",
    "resnet50": "hsi_cd.nn.resnet:resnet50",
    "densenet121": "hsi_cd.nn.densenet:densenet121",
}
"""Encoders: the components of one date to its features."""

HEADS = {
    "distance_mlp": "hsi_cd.nn.distance:DistanceMLPHead",
    "directed_mlp": "hsi_cd.nn.distance:DirectedMLPHead",
    "distance": "hsi_cd.nn.distance:DistanceHead",
    "euclidean": "hsi_cd.nn.distance:EuclideanHead",
    "cosine": "hsi_cd.nn.distance:CosineHead",
    "difference": "hsi_cd.nn.distance:DifferenceHead",
    "concatenation": "hsi_cd.nn.distance:ConcatenationHead",
}
"""Heads: the features of both dates to a logit; each has ``symmetric``: whether the dates may be exchanged."""

HEADS_WITH_DISTANCE = ("distance", "euclidean", "cosine")
"""Heads whose logit is a feature distance, scaled and shifted: what a contrastive loss can teach."""


def check_kind(value: object, known: Mapping[str, str]) -> str:
    """A value that is one of the known names, or ``module:Class``.

    Raises:
        PydanticKnownError: it is neither; the known names are listed.
    """
    if isinstance(value, str) and (value in known or is_named(value)):
        return value
    *names, last = (repr(name) for name in known)
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(names)} or {last}, or module:Class"})
