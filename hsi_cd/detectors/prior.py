"""What was known before anybody labelled: label-free detectors' log-odds, which stay in a network's score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from hsi_cd.detectors.decision import scene_scores
from hsi_cd.detectors.linear import LinearDetector, linear_from_state
from hsi_cd.prepare.measurement import Measurement

_SUREST = 6.0  # log-odds beyond which one label could no longer say otherwise


@dataclass(frozen=True)
class Prior:
    """Label-free detectors whose log-odds of change, stacked, are added to a network's, by a weight.

    Where somebody has drawn, the network outvotes them; where nobody has, and the network is in doubt, they
    decide.

    Attributes:
        detector: the label-free detector, fitted on the scene, whose log-odds count once.
        beside: others, fitted on the same scene.
        weights: how often the log-odds of each of all count, that of ``detector`` first, none below 0.
    """

    detector: LinearDetector
    beside: tuple[LinearDetector, ...] = ()
    weights: tuple[float, ...] = (1.0,)

    @property
    def detectors(self) -> tuple[LinearDetector, ...]:
        """All of them."""
        return self.detector, *self.beside

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that it depends on."""
        return max(each.radius for each in self.detectors)

    def log_odds(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-odds of change of a window, float32 ``(h, w)``; NaN for no data.

        Args:
            t1: stored values, mirror-padded by :attr:`radius`, ``(bands, h + 2 radius, w + 2 radius)``.
            t2: the later date, the same shape.
        """
        spares = [self.radius - each.radius for each in self.detectors]
        return self._stacked(
            [
                each.score(within(t1, spare), within(t2, spare))
                for each, spare in zip(self.detectors, spares, strict=True)
            ]
        )

    def of_scene(self, measurement: Measurement, *, rows: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The same of the scene it was fitted on, ``rows`` at a time: which rows, and their log-odds."""
        for blocks in zip(*(scene_scores(each, measurement, rows=rows) for each in self.detectors), strict=True):
            yield blocks[0][0], self._stacked([scores for _, scores in blocks])

    def _stacked(self, scores: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        each = (
            weight * log_odds(detector, score)
            for weight, detector, score in zip(self.weights, self.detectors, scores, strict=True)
        )
        return np.clip(sum(each), -_SUREST, _SUREST).astype(np.float32)

    def parameters(self) -> int:
        """Number of fitted numbers."""
        return sum(each.parameters() for each in self.detectors) + len(self.beside)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`prior_from_state` builds it again."""
        told: dict[str, Any] = {"detector": self.detector.state()}
        if self.beside:
            told |= {"beside": [each.state() for each in self.beside], "weights": list(self.weights)}
        return told


def log_odds(detector: LinearDetector, score: NDArray[np.float32]) -> NDArray[np.float64]:
    """A detector's log-odds of change for its scores, of the same shape, at most 6 either way; NaN for NaN."""
    odds = scipy.special.logit(detector.probability(score).astype(np.float64))
    return np.asarray(np.clip(odds, -_SUREST, _SUREST), dtype=np.float64)


def within(window: NDArray[np.float32], spare: int) -> NDArray[np.float32]:
    """A window without so many rows and columns of its surroundings on each side."""
    return window[:, spare : window.shape[1] - spare, spare : window.shape[2] - spare]


def prior_from_state(state: Mapping[str, Any]) -> Prior:
    """The prior that :meth:`Prior.state` described.

    Raises:
        CheckpointError: a detector cannot be rebuilt.
        KeyError, TypeError, ValueError: there is none, or its parts do not fit together.
    """
    first = linear_from_state(state["detector"])
    if "beside" not in state:
        return Prior(first)
    beside = tuple(linear_from_state(each) for each in state["beside"])
    weights = tuple(float(each) for each in state["weights"])
    if len(weights) != 1 + len(beside) or not all(0 <= each < np.inf for each in weights):
        raise ValueError(f"{len(weights)} weights ({weights}) of {1 + len(beside)} label-free detectors")
    if any(each.bands != first.bands for each in beside):
        raise ValueError("its detectors are of different bands")
    return Prior(first, beside, weights)
