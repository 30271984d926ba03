"""A pixel's probability beside the mean probability around it: change comes in patches larger than a pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.nn.pooling import local_mean

_SUREST = 1e-4  # a mean probability is kept so far from 0 and 1: its log-odds then stay within 9.2
_FARTHEST = 64  # pixels, of a reach that makes sense


@dataclass(frozen=True)
class Surroundings:
    """From log-odds of single pixels to log-odds that know their surroundings.

    ``own z + around logit(mean sigmoid(z)) + offset``, with the mean over the valid pixels of the square around.

    Attributes:
        reach: rows and columns to each side that the mean is taken over.
        own: weight of the pixel's own log-odds.
        around: weight of those of the mean probability around it.
        offset: what is added.
    """

    reach: int
    own: float
    around: float
    offset: float

    def log_odds(self, z: Tensor, valid: Tensor) -> Tensor:
        """Log-odds that know their surroundings.

        Args:
            z: log-odds of single pixels, ``(..., h + 2 reach, w + 2 reach)``.
            valid: where they hold, bool ``(h + 2 reach, w + 2 reach)``.

        Returns:
            ``(..., h, w)``.
        """
        return self.own * crop(z, self.reach) + self.around * log_odds_around(z, valid, self.reach) + self.offset

    def state(self) -> dict[str, Any]:
        """Plain values from which :func:`surroundings_from_state` builds it again."""
        return dict(vars(self))


def log_odds_around(z: Tensor, valid: Tensor, reach: int) -> Tensor:
    """Log-odds of the mean probability in the square around each pixel; arguments as for :class:`Surroundings`."""
    maps = torch.sigmoid(z).reshape(-1, 1, *z.shape[-2:])
    mean, _ = local_mean(maps, valid.expand(maps.shape), side=2 * reach + 1)
    return torch.logit(mean.clamp(_SUREST, 1 - _SUREST)).reshape(*z.shape[:-2], *mean.shape[-2:])


def surroundings_from_state(state: Mapping[str, Any]) -> Surroundings:
    """What :meth:`Surroundings.state` described.

    Raises:
        KeyError, TypeError, ValueError: there is none, or it makes no sense.
    """
    reach = int(state["reach"])
    own, around, offset = (float(state[name]) for name in ("own", "around", "offset"))
    if not 0 <= reach <= _FARTHEST:
        raise ValueError(f"a reach of {reach} pixels")
    if not (math.isfinite(own + around + offset) and min(own, around) >= 0):
        raise ValueError(f"weights {own:g} and {around:g} of a pixel and its surroundings, and {offset:g}")
    return Surroundings(reach, own, around, offset)
