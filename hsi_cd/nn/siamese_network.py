"""The Siamese network: spatial attention, one shared encoder, a pairwise distance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from hsi_cd.nn.attention import attend_each
from hsi_cd.nn.neighbourhoods import crop

Pair = tuple[Tensor, Tensor]
"""Maps of both dates, the earlier first."""


class SiameseNetwork(nn.Module):
    """One encoder for both dates, spatial attention over a neighbourhood, then the pairwise distance.

    Nothing inside pads between pixels, so a window of a scene gives the same numbers as its patches one by one.

    Args:
        attention: maps a pair of maps and a validity mask to a pair of maps; has ``radius``.
        backbone: maps ``(N, C, H, W)`` to features; has ``radius`` and ``out_channels``.
        head: maps a pair of feature maps to logits.
        attend_first: attend on the input, before the encoder, instead of on its features. Noise is removed
            where it is simplest, and the encoder sees clean spectra.
        gain_noise: while training, relative deviation of a random gain on each date of each sample.
    """

    def __init__(
        self,
        attention: nn.Module,
        backbone: nn.Module,
        head: nn.Module,
        *,
        attend_first: bool = True,
        gain_noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.backbone = backbone
        self.head = head
        self.attend_first = attend_first
        self.gain_noise = gain_noise

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its logit depends on."""
        return int(self.attention.radius) + int(self.backbone.radius)  # type: ignore[arg-type]

    def forward(self, t1: Tensor, t2: Tensor, valid: Tensor | None = None, *, distance: bool = False) -> Tensor:
        """Change logits of a window.

        Args:
            t1: components of the earlier date in a mirror-padded window, ``(N, C, h + 2 radius, w + 2 radius)``.
            t2: the later date, the same shape.
            valid: where both dates have data, bool ``(N, 1, h + 2 radius, w + 2 radius)``; all by default.
            distance: give the features' distance, of which the logit is a linear function, in its place; for
                heads that have a ``measure``.

        Returns:
            Logits ``(N, 1, h, w)``; higher is more change.
        """
        (f1, f2), _ = self.encoded(t1, t2, _all(t1) if valid is None else valid)
        output: Tensor = self.head.measure(f1, f2) if distance else self.head(f1, f2)  # type: ignore[operator]
        return output

    def encoded(self, t1: Tensor, t2: Tensor, valid: Tensor) -> tuple[Pair, Pair]:
        """What the heads see.

        Args:
            t1: as for :meth:`forward`.
            t2: the later date.
            valid: where both dates have data.

        Returns:
            Both dates' features, each ``(N, width, h, w)``, and what the attention gives, ``(N, C, h, w)``:
            smoothed components, or, where it comes behind the encoder, the features again.
        """
        if self.attend_first:
            t1, t2 = self.attention(t1, t2, valid)
        return self.encode(t1, t2, valid)

    def encode(self, t1: Tensor, t2: Tensor, valid: Tensor) -> tuple[Pair, Pair]:
        """:meth:`encoded` of dates that were attended to already, if that comes first."""
        if self.training and self.gain_noise > 0:
            t1, t2 = self._random_gain(t1), self._random_gain(t2)
        f1, f2 = self.backbone(torch.cat([t1, t2])).chunk(2)  # one encoder, one pass
        r = int(self.backbone.radius)  # type: ignore[arg-type]
        if self.attend_first:
            return (f1, f2), (crop(t1, r), crop(t2, r))
        attended: Pair = self.attention(f1, f2, crop(valid, r))
        return attended, attended

    def _random_gain(self, x: Tensor) -> Tensor:
        return x * (1 + self.gain_noise * torch.randn(len(x), 1, 1, 1, device=x.device, dtype=x.dtype))


class Ensemble(nn.Module):
    """Several networks whose logits are averaged."""

    def __init__(self, members: list[SiameseNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def radius(self) -> int:
        """The members' common radius."""
        return int(self.members[0].radius)  # type: ignore[arg-type]

    def encoded(self, t1: Tensor, t2: Tensor, valid: Tensor) -> Iterator[tuple[Pair, Pair]]:
        """What the heads of each member in turn see; see :meth:`SiameseNetwork.encoded`."""
        members = cast("list[SiameseNetwork]", list(self.members))
        if not members[0].attend_first:
            yield from (member.encode(t1, t2, valid) for member in members)
            return
        attended = attend_each([member.attention for member in members], t1, t2, valid)
        for member, dates in zip(members, attended, strict=True):
            yield member.encode(*dates, valid)

    def each(self, t1: Tensor, t2: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits of every member, ``(N, members, h, w)``; arguments as for :class:`SiameseNetwork`."""
        members = cast("list[SiameseNetwork]", list(self.members))
        each = self.encoded(t1, t2, _all(t1) if valid is None else valid)
        return torch.cat([member.head(*own) for member, (own, _) in zip(members, each, strict=True)], dim=1)

    def forward(self, t1: Tensor, t2: Tensor, valid: Tensor | None = None) -> Tensor:
        """Mean logits ``(N, 1, h, w)``; arguments as for :class:`SiameseNetwork`."""
        return self.each(t1, t2, valid).mean(dim=1, keepdim=True)


def _all(t1: Tensor) -> Tensor:
    """That every pixel has data, bool ``(N, 1, H, W)``."""
    return torch.ones_like(t1[:, :1], dtype=torch.bool)
