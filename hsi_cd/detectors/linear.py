"""Scores that are the length of a linear map of both dates: CVA, PCA-CVA, IR-MAD, SFA and the default all are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from hsi_cd.detectors.frontend import Frontend, diagonal_of, frontend_from_state
from hsi_cd.detectors.reweighting import chi_square_weight
from hsi_cd.detectors.thresholds import Posterior, ScoreHistogram, Threshold, choose_threshold
from hsi_cd.errors import BandError, CheckpointError
from hsi_cd.prepare.statistics import PIXELS_IN_CACHE, row_blocks
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import Bands, ScenePair

THRESHOLD_OPTIONS: dict[str, Any] = {"threshold": "auto", "level": 0.0, "drop_constant": False}
"""Options that every method without labels has."""


class Scoring(Protocol):
    """As much of a detector as a pass over a scene needs."""

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        ...

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of a mirror-padded window."""
        ...


class LabelFree(Scoring, Protocol):
    """A frozen detector whose threshold is still to be chosen."""

    @property
    def decision(self) -> Decision:
        """Threshold and posterior."""
        ...

    @property
    def degrees(self) -> int | None:
        """Degrees of freedom of the squared score where nothing changed, or None."""
        ...


@dataclass(frozen=True)
class Decision:
    """From a score to change.

    Attributes:
        threshold: the threshold and what led to it.
        posterior: from a score to a probability of change.
    """

    threshold: Threshold
    posterior: Posterior

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`decision_from_state` builds it again."""
        return {
            "method": self.threshold.method,
            "value": self.threshold.value,
            "found": dict(self.threshold.found),
            "centre": self.posterior.centre,
            "slope": self.posterior.slope,
        }


UNDECIDED = Decision(Threshold("none", float("inf"), {}), Posterior(0.0, 1.0))
"""The decision of a detector that has not seen its own scores yet: nothing is changed."""


def decision_from_state(state: Mapping[str, Any]) -> Decision:
    """The decision that :meth:`Decision.state` described."""
    threshold = Threshold(str(state["method"]), float(state["value"]), dict(state["found"]))
    return Decision(threshold, Posterior(float(state["centre"]), float(state["slope"])))


Kind = TypeVar("Kind", bound=LabelFree)


def decide(detector: Kind, pair: ScenePair, *, method: str = "auto", level: float = 0.0) -> Kind:
    """``detector`` with the threshold that ``method`` chooses from its scores of the whole scene."""
    histogram = score_histogram(detector, pair)
    threshold, posterior = choose_threshold(histogram, method, level=level, degrees=detector.degrees)
    decided: Kind = replace(detector, decision=Decision(threshold, posterior))  # type: ignore[type-var]
    return decided


def score_histogram(detector: Scoring, pair: ScenePair) -> ScoreHistogram:
    """A detector's scores of a whole scene, counted block by block."""
    histogram = ScoreHistogram()
    rows, cols = pair.shape
    # Here and not inside score(): the limit is one for the whole process, and score() runs in several threads.
    with threadpool_limits(1, user_api="blas"):
        for block in tqdm(list(row_blocks(rows, cols)), desc="threshold", leave=False, disable=None):
            histogram.add(detector.score(*read_window(pair, block, slice(0, cols), radius=detector.radius)))
    return histogram


@dataclass(frozen=True)
class LinearDetector:
    """The score is ``|weight [c1; c2] + offset|``, with the components c1, c2 of both dates.

    Attributes:
        method: the method's name.
        frontend: from stored values to components.
        weight: float64 ``(features, 2 components)``.
        offset: float64 ``(features,)``.
        chi_squared: whether the squared score of an unchanged pixel is chi-square distributed.
        decision: threshold and posterior.
        found: what the fit found, for the result's record.
    """

    method: str
    frontend: Frontend
    weight: NDArray[np.float64]
    offset: NDArray[np.float64]
    chi_squared: bool = False
    decision: Decision = UNDECIDED
    found: tuple[tuple[str, float], ...] = ()

    unit = "score"

    @property
    def bands(self) -> Bands:
        """The bands it was fitted on."""
        return self.frontend.bands

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        return self.frontend.radius

    @property
    def degrees(self) -> int | None:
        """Degrees of freedom of the squared score where nothing changed, or None where that is not known."""
        return len(self.offset) if self.chi_squared else None

    @property
    def threshold(self) -> float:
        """Score from which a pixel counts as changed."""
        return self.decision.threshold.value

    def features(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.floating]:
        """The differences whose length is the score, ``(features, h, w)``, NaN for no data.

        float64 if they are sums, float32 if each is the difference of one component.
        """
        first, second = self.frontend.apply(t1, t2)
        if self._scaling is not None:
            (a, b), offset = self._scaling, self.offset.astype(np.float32)
            for component, factor in ((first, a), (second, b)):
                if (factor != 1).any():
                    component *= factor[:, None, None]
            mapped = np.add(first, second, out=first)
            if offset.any():
                mapped += offset[:, None, None]
            return mapped
        joint = np.concatenate([first, second]).astype(np.float64)
        return (self.weight @ joint.reshape(len(joint), -1) + self.offset[:, None]).reshape(-1, *first.shape[1:])

    @cached_property
    def _scaling(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Factor of each component of either date, if every difference is of one component."""
        a, b = (diagonal_of(weight) for weight in np.split(self.weight, 2, axis=1))
        return None if a is None or b is None else (a, b)

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Magnitudes of change; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        # A few rows at a time, which the processor's cache holds; with surroundings, more would be done twice.
        rows, cols = t1.shape[1] - 2 * self.radius, t1.shape[2] - 2 * self.radius
        step = max(1, PIXELS_IN_CACHE // cols) if self.radius == 0 else rows
        length = np.empty((rows, cols), dtype=np.float32)
        for start in range(0, rows, step):
            window = slice(start, min(start + step, rows) + 2 * self.radius)
            features = self.features(t1[:, window], t2[:, window])
            length[start : start + step] = np.sqrt(np.square(features, out=features).sum(axis=0))
        return length

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of change of each score, NaN for NaN."""
        return self.decision.posterior(score)

    def no_change_probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability that an unchanged pixel scores higher still, from the chi-square distribution.

        Raises:
            BandError: the method's score has no known distribution.
        """
        if self.degrees is None:
            raise BandError(f"the score of {self.method} has no known distribution: take probability() instead")
        squared = np.square(score.astype(np.float64))
        return chi_square_weight(squared, self.degrees).astype(np.float32)

    def parameters(self) -> int:
        """Number of fitted numbers."""
        return int(self.weight.size + self.offset.size)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`linear_from_state` builds the detector again."""
        return {
            "method": self.method,
            "frontend": self.frontend.state(),
            "weight": torch.from_numpy(np.ascontiguousarray(self.weight)),
            "offset": torch.from_numpy(np.ascontiguousarray(self.offset)),
            "chi_squared": self.chi_squared,
            "decision": self.decision.state(),
            "found": dict(self.found),
        }


def linear_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> LinearDetector:
    """The detector that :meth:`LinearDetector.state` described; it computes on the CPU whatever ``device`` is.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    try:
        frontend = frontend_from_state(state["frontend"])
        weight, offset = state["weight"].numpy(), state["offset"].numpy()
        if weight.shape != (len(offset), 2 * frontend.transform.components):
            raise ValueError(f"weights {weight.shape} for {frontend.transform.components} components")
        return LinearDetector(
            str(state["method"]),
            frontend,
            weight,
            offset,
            bool(state["chi_squared"]),
            decision_from_state(state["decision"]),
            tuple(state["found"].items()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the checkpoint's detector cannot be rebuilt ({error}): fit it again") from error
