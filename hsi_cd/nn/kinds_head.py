"""From both dates' features to the kind of change of a pixel, given that it changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

from hsi_cd.nn.backbones import initialise
from hsi_cd.nn.pointwise import GELU, PointwiseConv
from hsi_cd.nn.siamese_network import Ensemble


class KindsHead(nn.Module):
    """A perceptron on the features of both dates side by side, each feature in standard deviations of its own.

    A kind has a direction: from crop to soil is not from soil to crop. So the dates stay apart, where a head for
    change as such may add and subtract them.

    Args:
        channels: of one date's features.
        kinds: how many there are.
        hidden: units between.
        dropout: share of the features, and of the units, that are left out while it learns.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int, kinds: int, *, hidden: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * channels))
        self.register_buffer("scale", torch.ones(2 * channels))
        self.hidden = PointwiseConv(2 * channels, hidden)
        self.out = PointwiseConv(hidden, kinds)
        self.activation = GELU()
        self.dropout = nn.Dropout(dropout)
        initialise(self)

    def standardise(self, features: Tensor) -> None:
        """Measure what a feature varies by, on examples ``(N, 2 channels, 1, 1)``, the earlier date first."""
        deviation, mean = torch.std_mean(features.flatten(1), dim=0, correction=0)
        self.mean.copy_(mean)
        self.scale.copy_(1 / (deviation + 1e-3))  # a feature that is nearly the same everywhere stays small

    def scaled(self, features: Tensor) -> Tensor:
        """Both dates' features as the perceptron sees them, ``(N, 2 channels, H, W)``."""
        return (features - self.mean[:, None, None]) * self.scale[:, None, None]

    def decide(self, scaled: Tensor) -> Tensor:
        """Logits ``(N, kinds, H, W)`` of scaled features."""
        hidden = self.activation(self.hidden(self.dropout(scaled)))
        logits: Tensor = self.out(self.dropout(hidden))
        return logits

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Logits of the kinds ``(N, kinds, H, W)`` from two feature maps ``(N, channels, H, W)``."""
        return self.decide(self.scaled(torch.cat([f1, f2], dim=1)))


class KindsOfEnsemble(nn.Module):
    """An ensemble with a head for kinds on the features of each member.

    Args:
        network: the ensemble, whose features the heads were taught on.
        heads: one a member.
    """

    def __init__(self, network: Ensemble, heads: Sequence[KindsHead] | nn.ModuleList) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ModuleList(heads)

    def probabilities(self, t1: Tensor, t2: Tensor, valid: Tensor) -> Tensor:
        """Probability of each kind given change, mean of the members, ``(N, kinds, h, w)``.

        Arguments as for :class:`~hsi_cd.nn.siamese_network.SiameseNetwork`.
        """
        heads = cast("list[KindsHead]", list(self.heads))
        features = self.network.features(t1, t2, valid)
        each = [F.softmax(head(*own).float(), dim=1) for head, own in zip(heads, features, strict=True)]
        return torch.stack(each).mean(dim=0)

    def logits_and_kinds(self, t1: Tensor, t2: Tensor, valid: Tensor, least: Tensor) -> Tensor:
        """Members' change logits and, where their mean is high enough, the kind, from one pass of the encoders.

        Most of a scene did not change: a pixel that is not asked for costs no more than without kinds.

        Args:
            t1: as for :class:`~hsi_cd.nn.siamese_network.SiameseNetwork`, of one window.
            t2: the later date.
            valid: where both dates have data.
            least: mean logit from which the kind is asked for, ``(1, 1, h + 2 radius, w + 2 radius)``; its border
                says nothing.

        Returns:
            ``(1, members + 1, h, w)``: the logits, then the kind, 1 to K, or 0 where it was not asked for.
        """
        members, heads = list(self.network.members), cast("list[KindsHead]", list(self.heads))
        features = list(self.network.features(t1, t2, valid))
        each = [member.head(*own).float() for member, own in zip(members, features, strict=True)]  # type: ignore[operator]
        logits = torch.cat(each, dim=1)
        r = self.network.radius
        rows, cols = logits.shape[-2:]
        asked = logits[0].mean(dim=0) >= least[0, 0, r : r + rows, r : r + cols]
        kinds = torch.zeros_like(logits[:, :1])
        if asked.any():
            picked = [[f[0].movedim(0, -1)[asked][:, :, None, None] for f in own] for own in features]
            told = [F.softmax(head(*own).float(), dim=1) for head, own in zip(heads, picked, strict=True)]
            kinds[0, 0, asked] = 1 + torch.stack(told).mean(dim=0).argmax(dim=1)[:, 0, 0].to(kinds.dtype)
        return torch.cat([logits, kinds], dim=1)
