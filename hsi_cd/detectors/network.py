"""The network that a configuration describes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.config import AugmentConfig, ModelConfig
from hsi_cd.nn.blocks import ATTENTIONS, BACKBONES, HEADS, AttentionOptions, BackboneOptions
from hsi_cd.nn.resnet import STAGES
from hsi_cd.nn.siamese_network import Ensemble, SiameseNetwork


def build_network(
    model: ModelConfig, noise: NDArray[np.float32], *, augment: AugmentConfig | None = None
) -> Ensemble:
    """An ensemble of freshly initialised networks.

    Args:
        model: what to build.
        noise: noise deviation of each component, ``(components,)``; its length is the number of input channels.
        augment: how strongly the networks disturb their own features while training; not at all by default.

    Returns:
        The ensemble; its weights come from torch's global random state.
    """
    channels, encoder = len(noise), model.backbone
    gain_noise = augment.gain_noise if augment else 0.0
    attend_first = model.attention.place == "input"

    def member(tolerance: float) -> SiameseNetwork:
        attention = ATTENTIONS[model.attention.kind](
            channels if attend_first else encoder.width,
            AttentionOptions(
                window=model.attention.window,
                depth=model.attention.channels,
                ds=model.attention.ds,
                scales=model.attention.scales,
                noise=torch.from_numpy(noise),
                noise_gain=augment.noise if augment else 0.0,
                tolerance=tolerance,
                gamma=model.attention.gamma,
            ),
        )
        backbone = BACKBONES[encoder.kind](
            channels,
            BackboneOptions(
                width=encoder.width,
                depth=encoder.depth,
                until=encoder.until or STAGES[-1],
                patch=encoder.patch,
                upsample=encoder.upsample,
                spatial=encoder.conv == "3d",
                kernel=encoder.kernel,
                filters=encoder.filters,
                window=encoder.window,
                heads=encoder.heads,
            ),
        )
        head = HEADS[model.head](encoder.width, dropout=encoder.dropout)
        return SiameseNetwork(attention, backbone, head, attend_first=attend_first, gain_noise=gain_noise)

    # The members' filters start from different ranges: how much smoothing pays differs between scenes.
    powers = np.linspace(-1, 1, model.members) if model.members > 1 else np.zeros(1)
    return Ensemble([member(model.attention.range * model.attention.spread ** float(power)) for power in powers])
