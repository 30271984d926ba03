"""From two feature maps to one change logit a pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

from hsi_cd.nn.backbones import initialise
from hsi_cd.nn.pointwise import GELU, PointwiseConv


def feature_distance(f1: Tensor, f2: Tensor, weight: Tensor | None = None, *, eps: float = 1e-6) -> Tensor:
    """Pairwise Euclidean distance over the channels, at every pixel.

    ``d = sqrt(mean_c weight_c (f1_c - f2_c)^2 + eps)``. (``torch.nn.functional.pairwise_distance`` reduces the
    last dimension, which on feature maps is the width.)

    Args:
        f1: ``(N, C, H, W)``.
        f2: ``(N, C, H, W)``.
        weight: non-negative weight of each channel, ``(C,)``; 1 by default.
        eps: added under the root, where the gradient would be infinite.

    Returns:
        ``(N, 1, H, W)``.
    """
    squared = (f1 - f2).square()
    if weight is not None:
        squared = squared * weight[:, None, None]
    return (squared.mean(dim=1, keepdim=True) + eps).sqrt()


class DistanceHead(nn.Module):
    """``b + alpha d``, with ``d`` the learned weighted distance: a score that only grows with the distance.

    ``-b / alpha`` is the learned threshold of the distance.
    """

    symmetric = True

    def __init__(self, channels: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.alpha = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def measure(self, f1: Tensor, f2: Tensor) -> Tensor:
        """The distance itself, ``(N, 1, H, W)``."""
        return feature_distance(f1, f2, F.softplus(self.weight))

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Change logits ``(N, 1, H, W)`` from two feature maps ``(N, C, H, W)``."""
        return self.bias + self.alpha * self.measure(f1, f2)


class _ScaledDistance(nn.Module):
    """``b + alpha d`` of a distance that learns nothing itself."""

    symmetric = True

    def __init__(self, channels: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def measure(self, f1: Tensor, f2: Tensor) -> Tensor:
        """The distance itself, ``(N, 1, H, W)``."""
        raise NotImplementedError

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Change logits ``(N, 1, H, W)`` from two feature maps ``(N, C, H, W)``."""
        return self.bias + self.alpha * self.measure(f1, f2)


class EuclideanHead(_ScaledDistance):
    """``b + alpha d``, with ``d`` the plain Euclidean distance over the channels, as STANet measures change."""

    def measure(self, f1: Tensor, f2: Tensor) -> Tensor:
        """The distance itself, ``(N, 1, H, W)``."""
        return feature_distance(f1, f2)


class CosineHead(_ScaledDistance):
    """``b + alpha (1 - cos(f1, f2))``: the angle between the features, whatever their lengths.

    As the spectral angle (Kruse et al. 1993, doi 10.1016/0034-4257(93)90013-N) it does not see brightness.
    """

    def measure(self, f1: Tensor, f2: Tensor) -> Tensor:
        """One minus the cosine, ``(N, 1, H, W)``, 0 to 2."""
        return 1 - F.cosine_similarity(f1, f2, dim=1).unsqueeze(1)


class DistanceMLPHead(nn.Module):
    """The weighted distance plus a small perceptron on ``|f1 - f2|`` and ``f1 + f2``.

    The distance alone cannot tell which changes matter: a crop that greens is no change in some scenes. What
    the pixel is (the sum) and how it differs (the absolute difference) decide together, and both are the same
    whichever date comes first.
    """

    symmetric = True
    _views = 2  # maps that :meth:`combine` lays side by side

    def __init__(self, channels: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.distance = DistanceHead(channels)
        self.hidden = PointwiseConv(self._views * channels, channels)
        self.out = PointwiseConv(channels, 1)
        self.activation = GELU()
        self.dropout = nn.Dropout(dropout)
        initialise(self)
        with torch.no_grad():
            self.out.weight.mul_(0.1)  # the distance leads at the start

    def combine(self, f1: Tensor, f2: Tensor) -> list[Tensor]:
        """What the perceptron sees, maps of ``(N, C, H, W)``: how a pixel differs, and what it is."""
        return [(f1 - f2).abs(), f1 + f2]

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Change logits ``(N, 1, H, W)`` from two feature maps ``(N, C, H, W)``."""
        features = torch.cat(self.combine(f1, f2), dim=1)
        hidden = self.activation(self.hidden(self.dropout(features)))
        logits: Tensor = self.distance(f1, f2) + self.out(self.dropout(hidden))
        return logits


class DirectedMLPHead(DistanceMLPHead):
    """:class:`DistanceMLPHead` whose perceptron sees ``f2 - f1``, too: it can tell which date came first.

    From field to roof is a change where people build, and back hardly ever happens. Few labels cannot teach that,
    many can.
    """

    symmetric = False
    _views = 3

    def combine(self, f1: Tensor, f2: Tensor) -> list[Tensor]:
        """Also the way from the earlier date to the later, ``(N, C, H, W)``."""
        return [*super().combine(f1, f2), f2 - f1]


class _PerceptronHead(nn.Module):
    """A perceptron with one hidden layer on what :meth:`combine` makes of both dates."""

    def __init__(self, inputs: int, channels: int, *, dropout: float) -> None:
        super().__init__()
        self.hidden = PointwiseConv(inputs, channels)
        self.out = PointwiseConv(channels, 1)
        self.activation = GELU()
        self.dropout = nn.Dropout(dropout)
        initialise(self)

    def combine(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Features of both dates as one map ``(N, inputs, H, W)``."""
        raise NotImplementedError

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Change logits ``(N, 1, H, W)`` from two feature maps ``(N, C, H, W)``."""
        hidden = self.activation(self.hidden(self.dropout(self.combine(f1, f2))))
        logits: Tensor = self.out(self.dropout(hidden))
        return logits


class DifferenceHead(_PerceptronHead):
    """A perceptron on ``|f1 - f2|`` (FC-Siam-diff; Daudt et al. 2018, doi 10.1109/ICIP.2018.8451652)."""

    symmetric = True

    def __init__(self, channels: int, *, dropout: float = 0.1) -> None:
        super().__init__(channels, channels, dropout=dropout)

    def combine(self, f1: Tensor, f2: Tensor) -> Tensor:
        """The absolute difference, ``(N, C, H, W)``."""
        return (f1 - f2).abs()


class ConcatenationHead(_PerceptronHead):
    """A perceptron on both dates' features side by side (FC-Siam-conc; doi 10.1109/ICIP.2018.8451652).

    It can tell the dates apart: from bare soil to crop may be a change, and back none.
    """

    symmetric = False

    def __init__(self, channels: int, *, dropout: float = 0.1) -> None:
        super().__init__(2 * channels, channels, dropout=dropout)

    def combine(self, f1: Tensor, f2: Tensor) -> Tensor:
        """The earlier date's channels, then the later's, ``(N, 2 C, H, W)``."""
        return torch.cat([f1, f2], dim=1)
