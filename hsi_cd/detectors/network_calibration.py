"""From what an ensemble says of a pixel to a probability of change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.special
from torch import Tensor

from hsi_cd.detectors.surroundings import Surroundings, surroundings_from_state

_CERTAIN = 16.0  # log-odds of a probability that float32 nearly rounds to 0 or 1
_ROUNDING = 1e-3  # of log-odds: rather one pixel too many


@dataclass(frozen=True)
class Calibration:
    """From an ensemble's mean logit to a probability: ``1 / (1 + exp(-(slope logit + offset + prior log-odds)))``.

    Attributes:
        slope: how much the logit is trusted; 0 where the map is the prior's, which was better.
        offset: shift of the logit.
        threshold: probability from which a pixel counts as changed.
        prior: weight of label-free detectors' log-odds, 0 to 1, where there is a prior, or the network sees the
            label-free score; see docs/methods.md, Drawn labels, on its default.
        surroundings: what becomes of ``slope logit + offset`` where the pixels around have a say; None elsewhere.
    """

    slope: float = 1.0
    offset: float = 0.0
    threshold: float = 0.5
    prior: float = 0.25
    surroundings: Surroundings | None = None

    @property
    def reach(self) -> int:
        """Rows and columns around a pixel that have a say."""
        return self.surroundings.reach if self.surroundings else 0

    def least_logit(self, threshold: float, known: Tensor | float) -> Tensor | float:
        """Mean logit below which no pixel is changed: a little less than the least of a changed one.

        Args:
            threshold: probability from which a pixel counts as changed.
            known: what a prior, or the label-free score that is seen, adds, for each pixel or for all.
        """
        limit = float(scipy.special.logit(threshold))
        if self.surroundings is not None or self.slope == 0 or limit < -_CERTAIN:
            return -math.inf  # others decide, or everything is changed
        return (min(limit, _CERTAIN) - self.offset - known - _ROUNDING) / self.slope

    @property
    def of_one_pixel(self) -> Calibration:
        """The same without the pixels around: what it says of a pixel amid others of its kind."""
        around = self.surroundings
        if around is None:
            return self
        whole = around.own + around.around or 1.0  # a slope of 0 would be no network
        offset = whole * self.offset + around.offset
        return replace(self, slope=whole * self.slope, offset=offset, surroundings=None)


def calibration_from_state(state: Mapping[str, Any]) -> Calibration:
    """The calibration of a detector's state, the weights of its prior, or of the score that it sees, among it.

    Raises:
        KeyError, TypeError, ValueError: there is none, or it makes no sense.
    """
    told = {name: float(state["calibration"][name]) for name in ("slope", "offset", "threshold")}
    if "prior" in state:
        told["prior"] = float(state["prior"]["weight"])
    elif "scored" in state:  # of earlier versions it was seen, and no more
        told["prior"] = float(state["scored"].get("weight", 0.0))
    if not np.isfinite(list(told.values())).all():
        raise ValueError(f"a calibration of {told} is not finite")
    around = state["calibration"].get("surroundings")
    calibration = Calibration(**told, surroundings=None if around is None else surroundings_from_state(around))
    if not (calibration.slope > 0 or ("prior" in state and calibration.slope == 0 < calibration.prior)):
        raise ValueError(f"{calibration} has no slope above 0")
    if not (0 <= calibration.threshold <= 1 and 0 <= calibration.prior <= 1):
        raise ValueError(f"{calibration} has no probability for a threshold, or no weight of a prior")
    return calibration
