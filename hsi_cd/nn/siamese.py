"""The Siamese network: attention, one shared encoder, a pairwise distance."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SiameseNetwork(nn.Module):
    """Attention over a neighbourhood, then one encoder for both dates, then the distance head.

    Nothing inside pads, so a window of a scene gives the same numbers as its patches one by one.

    Args:
        attention: maps a pair of maps and a validity mask to a pair of maps; has ``radius``.
        backbone: maps ``(N, C, H, W)`` to features; has ``radius`` and ``out_channels``.
        head: maps a pair of feature maps to logits.
        gain_noise: while training, relative deviation of a random gain on each date of each sample.
    """

    def __init__(
        self, attention: nn.Module, backbone: nn.Module, head: nn.Module, *, gain_noise: float = 0.0
    ) -> None:
        super().__init__()
        self.attention = attention
        self.backbone = backbone
        self.head = head
        self.gain_noise = gain_noise

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its logit depends on."""
        return int(self.attention.radius) + int(self.backbone.radius)  # type: ignore[arg-type]

    def forward(self, t1: Tensor, t2: Tensor, valid: Tensor | None = None) -> Tensor:
        """Change logits of a window.

        Args:
            t1: components of the earlier date in a mirror-padded window, ``(N, C, h + 2 radius, w + 2 radius)``.
            t2: the later date, the same shape.
            valid: where both dates have data, bool ``(N, 1, h + 2 radius, w + 2 radius)``; all by default.

        Returns:
            Logits ``(N, 1, h, w)``; higher is more change.
        """
        if valid is None:
            valid = torch.ones_like(t1[:, :1], dtype=torch.bool)
        y1, y2 = self.attention(t1, t2, valid)
        if self.training and self.gain_noise > 0:
            y1, y2 = self._random_gain(y1), self._random_gain(y2)
        logits: Tensor = self.head(self.backbone(y1), self.backbone(y2))
        return logits

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

    def forward(self, t1: Tensor, t2: Tensor, valid: Tensor | None = None) -> Tensor:
        """Mean logits ``(N, 1, h, w)``; arguments as for :class:`SiameseNetwork`."""
        return torch.stack([member(t1, t2, valid) for member in self.members]).mean(dim=0)
