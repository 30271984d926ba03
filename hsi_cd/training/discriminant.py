"""Linear discriminant analysis of kinds of change, from a few pixels of known kind and others that changed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

SURENESS = 0.3
"""Share of its log-odds that are believed: few pixels make discriminant analysis surer than it should be."""

_SHRINKAGE = 0.2  # of the scatter within kinds towards its diagonal
_LEAST = 1e-4  # of that scatter's variances, where 1 is a channel's own
_SAY, _ROUNDS = 0.03, 5  # of a pixel without a label against one with it, and rounds in which its kind is found


@dataclass(frozen=True)
class Whitening:
    """Both dates and their difference, so turned and scaled that one kind varies alike in all directions.

    Attributes:
        mean: float32 ``(3 channels,)``.
        turn: float32 ``(3 channels, 3 channels)``: ``(x - mean) @ turn`` is white.
    """

    mean: Tensor
    turn: Tensor

    def __call__(self, looks: Tensor) -> Tensor:
        """From both dates side by side, ``(..., 2 channels)``, to ``(..., 3 channels)``."""
        first, second = looks.chunk(2, dim=-1)
        return (torch.cat([first, second, second - first], dim=-1) - self.mean) @ self.turn

    def folded(self, layer: nn.Linear) -> tuple[Tensor, Tensor]:
        """Weight ``(kinds, 2 channels)`` and bias of the same layer on both dates as they come."""
        whole = layer.weight @ self.turn.T
        first, second, difference = whole.chunk(3, dim=1)
        return torch.cat([first - difference, second + difference], dim=1), layer.bias - whole @ self.mean


def whitening(looks: Tensor, others: Tensor, target: Tensor, count: int) -> tuple[Whitening, Tensor]:
    """Measure by how much pixels of one kind differ, as linear discriminant analysis does (Fisher 1936).

    A few pixels tell it badly; so what the rest of the changed ground most likely is has a small say, too, found
    by expectation maximisation. The covariance within kinds is drawn a fifth of the way towards its diagonal.

    Args:
        looks: both dates side by side, of pixels whose kind is known, ``(looks, N, 2 channels)``.
        others: of changed pixels whose kind is not, ``(M, 2 channels)``.
        target: kinds of the known ones, from 0, ``(N,)``.
        count: number of kinds.

    Returns:
        It, and the white mean of each kind, float32 ``(kinds, 3 channels)``.
    """
    known = _directions(looks).flatten(0, 1)
    deviation, mean = torch.std_mean(known, dim=0, correction=0)
    scale = deviation.clamp_min(0.01 * float(deviation.mean()) + 1e-6)
    known = (known - mean) / scale
    asked = (_directions(others) - mean) / scale if len(others) else known[:0]
    share = F.one_hot(target.cpu(), count).double().repeat(len(looks), 1) / len(looks)
    turn, middle, number = _discriminant(known, share)
    for _ in range(_ROUNDS if len(asked) else 0):
        # |x - m|^2 without |x|^2, which is the same for all kinds
        near = asked @ turn @ middle.T - middle.square().sum(dim=1) / 2
        likely = torch.softmax(SURENESS * near + torch.log(number / number.sum()), dim=1)
        both = torch.cat([share, _SAY * likely])
        turn, middle, number = _discriminant(torch.cat([known, asked]), both)
    white = Whitening(*(each.float().to(looks.device) for each in (mean, turn / scale[:, None])))
    return white, middle.float().to(looks.device)


def _directions(dates: Tensor) -> Tensor:
    """Both dates and their difference in double precision, ``(..., 3 channels)``, on the CPU."""
    first, second = dates.double().cpu().chunk(2, dim=-1)
    return torch.cat([first, second, second - first], dim=-1)


def _discriminant(x: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From pixels ``(N, D)`` and their shares of the kinds ``(N, K)``: what whitens, white means, and weights."""
    number = share.sum(dim=0)
    middle = share.T @ x / number.clamp_min(1e-9)[:, None]
    # sum over kinds of share (x - m)(x - m)'
    scatter = (x.T * share.sum(dim=1)) @ x - (middle.T * number) @ middle
    scatter = scatter / number.sum()
    scatter = torch.lerp(scatter, torch.diag(scatter.diagonal()), _SHRINKAGE)
    values, vectors = torch.linalg.eigh(scatter + _LEAST * torch.eye(len(scatter), dtype=torch.float64))
    turn = vectors / values.clamp_min(_LEAST).sqrt()
    return turn, middle @ turn, number
