"""What was known before anybody labelled: the label-free detector's log-odds, which stay in a network's score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from hsi_cd.detectors.labelfree import auto_from_state
from hsi_cd.detectors.linear import LinearDetector
from hsi_cd.detectors.mutual_prediction import PredictionDetector

_SUREST = 6.0  # log-odds beyond which one label could no longer say otherwise


@dataclass(frozen=True)
class Prior:
    """A label-free detector whose log-odds of change are added to a network's, by a weight.

    Where somebody has drawn, the network outvotes it; where nobody has, and the network is in doubt, it decides.

    Attributes:
        detector: the label-free detector, fitted on the scene.
    """

    detector: PredictionDetector | LinearDetector

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that it depends on."""
        return self.detector.radius

    def log_odds(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """The detector's log-odds of change for its scores, of the same shape; NaN for NaN."""
        odds = scipy.special.logit(self.detector.probability(score).astype(np.float64))
        return np.clip(odds, -_SUREST, _SUREST).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`prior_from_state` builds it again."""
        return {"detector": self.detector.state()}


def prior_from_state(state: Mapping[str, Any]) -> Prior:
    """The prior that :meth:`Prior.state` described.

    Raises:
        CheckpointError: the detector cannot be rebuilt.
        KeyError, TypeError: there is none.
    """
    return Prior(auto_from_state(state["detector"]))
