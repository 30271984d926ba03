"""The label-free score of a pixel as one more component that a network sees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.decision import scene_scores
from hsi_cd.detectors.labelfree import LabelFree, auto_from_state, fit_auto
from hsi_cd.detectors.thresholds import ScoreHistogram
from hsi_cd.prepare.measurement import Scene, measured

SUREST = 6.0
"""Log-odds beyond which a label-free score says nothing more, either way."""

NOISE = 0.1
"""Deviation of the component that says nothing: what an edge-preserving filter takes for noise."""


@dataclass(frozen=True)
class ScoreInput:
    """The logarithm of a label-free score against the scene's median: 0 for an ordinary pixel, in every scene.

    How often the score occurs differs between scenes, and so does its threshold; that most pixels are unchanged
    does not. A network that learns on many scenes is told in this way what stands out in each, and learns which of
    it is the change that is meant.

    Attributes:
        detector: the label-free detector, fitted on the scene.
        median: of its scores of the whole scene.
    """

    detector: LabelFree
    median: float

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that it depends on."""
        return self.detector.radius

    def component(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """The component of a mirror-padded window, as :meth:`hsi_cd.detectors.base.Detector.score` takes it.

        Returns:
            float32 ``(1, h, w)``, at least -3; NaN where either date has no data.
        """
        score = self.detector.score(t1, t2).astype(np.float64)
        return np.maximum(np.log(np.maximum(score, 1e-300) / self.median), -3).astype(np.float32)[None]

    def log_odds(self, component: NDArray[np.float32]) -> NDArray[np.float32]:
        """The label-free detector's log-odds of change, of its component; at most 6 either way, NaN for NaN.

        Args:
            component: what :meth:`component` gives, of any shape.
        """
        says = self.detector.decision.posterior
        odds = says.slope * (component.astype(np.float64) + (math.log(self.median) - says.centre))
        return np.clip(odds, -SUREST, SUREST).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`score_input_from_state` builds it again."""
        return {"detector": self.detector.state(), "median": self.median}


def fit_score_input(scene: Scene, *, drop_constant: bool = False) -> ScoreInput:
    """Fit the label-free default (``auto``) to a scene, and find the median of its scores.

    Args:
        scene: the scene, or its measurement.
        drop_constant: leave constant bands out instead of refusing the scene.

    Raises:
        BandError: bands without data or variation, or no pixel with data in both dates.
    """
    measurement = measured(scene)
    detector, histogram = fit_auto(measurement, options={"drop_constant": drop_constant}), ScoreHistogram()
    for _, scores in scene_scores(detector, measurement):
        histogram.add(scores)
    return ScoreInput(detector, histogram.quantile(0.5) or 1.0)


def score_input_from_state(state: Mapping[str, Any]) -> ScoreInput:
    """What :meth:`ScoreInput.state` described.

    Raises:
        CheckpointError: the detector cannot be rebuilt.
        KeyError, TypeError, ValueError: there is none, or its median is no score.
    """
    median = float(state["median"])
    if not 0 < median < math.inf:
        raise ValueError(f"a median score of {median:g}")
    return ScoreInput(auto_from_state(state["detector"]), median)
