"""From both dates, as the attention leaves them, to the kind of change of a pixel, given that it changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

from hsi_cd.nn.pointwise import PointwiseConv
from hsi_cd.nn.siamese_network import Ensemble, Pair, SiameseNetwork


class KindsHead(nn.Module):
    """A linear function of both dates side by side for each kind.

    A kind has a direction: from crop to soil is not from soil to crop. So the dates stay apart, where a head for
    change as such may add and subtract them. A logit is a sum of what was and of what is.

    Args:
        channels: of one date.
        kinds: how many there are.
    """

    def __init__(self, channels: int, kinds: int) -> None:
        super().__init__()
        self.out = PointwiseConv(2 * channels, kinds)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Logits of the kinds ``(N, kinds, H, W)`` from two maps ``(N, channels, H, W)``."""
        logits: Tensor = self.out(torch.cat([x1, x2], dim=1))
        return logits


class KindsOfEnsemble(nn.Module):
    """An ensemble with a head for kinds on what the attention of each member gives.

    Args:
        network: the ensemble that the heads were taught on.
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
        return self._mean([attended for _, attended in self.network.encoded(t1, t2, valid)])

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
        each, attended = list[Tensor](), list[Pair]()
        members = cast("list[SiameseNetwork]", list(self.network.members))
        for member, (features, own) in zip(members, self.network.encoded(t1, t2, valid), strict=True):
            each.append(member.head(*features).float())
            attended.append(own)
        logits = torch.cat(each, dim=1)
        r, (rows, cols) = self.network.radius, logits.shape[-2:]
        asked = logits[0].mean(dim=0) >= least[0, 0, r : r + rows, r : r + cols]
        kinds = torch.zeros_like(logits[:, :1])
        if asked.any():
            picked = [(_pixels(x1, asked), _pixels(x2, asked)) for x1, x2 in attended]
            kinds[0, 0, asked] = 1 + self._mean(picked).argmax(dim=1)[:, 0, 0].to(kinds.dtype)
        return torch.cat([logits, kinds], dim=1)

    def _mean(self, attended: Sequence[Pair]) -> Tensor:
        heads = cast("list[KindsHead]", list(self.heads))
        each = [F.softmax(head(*own).float(), dim=1) for head, own in zip(heads, attended, strict=True)]
        return torch.stack(each).mean(dim=0)


def _pixels(x: Tensor, where: Tensor) -> Tensor:
    """Some pixels of one map ``(1, C, h, w)`` as maps of one pixel each, ``(N, C, 1, 1)``."""
    return x[0].movedim(0, -1)[where][:, :, None, None]
