"""Scores that are the length of a linear map of both dates: CVA, PCA-CVA, IR-MAD, SFA and the default all are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.decision import UNDECIDED, Decision, decision_from_state
from hsi_cd.detectors.frontend import Frontend, frontend_from_state
from hsi_cd.detectors.reweighting import chi_square_weight
from hsi_cd.detectors.states import finite, found_from_state, rebuilding
from hsi_cd.errors import BandError
from hsi_cd.prepare.statistics import PIXELS_IN_CACHE
from hsi_cd.prepare.transform import diagonal_of
from hsi_cd.scene import Bands


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

    def features(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.floating]:
        """The differences whose length is the score, ``(features, h, w)``, NaN for no data.

        float64 if they are sums, float32 if each is the difference of one component.

        Args:
            first: finished components of the earlier date, ``(components, h, w)``; they may be written in.
            second: those of the later date.
        """
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
            length[start : start + step] = _length(
                self.features(*self.frontend.apply(t1[:, window], t2[:, window]))
            )
        return length

    def score_components(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of components that the front end has projected; see :class:`ComponentScoring`."""
        finished = self.frontend.finish(first, second)
        if not self.frontend.reach:  # a smoothing makes new ones
            finished = finished[0].copy(), finished[1].copy()
        return _length(self.features(*finished))

    def score_spectra(self, spectra: Iterable[NDArray[np.float64]]) -> Iterator[NDArray[np.float32]]:
        """Scores of blocks of joint spectra ``(2 components, pixels)``, which a fit may have at hand."""
        for joint in spectra:
            yield _length(self.weight @ joint + self.offset[:, None])

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


def _length(features: NDArray[np.floating]) -> NDArray[np.float32]:
    length: NDArray[np.floating] = np.sqrt(np.square(features, out=features).sum(axis=0))
    return length.astype(np.float32)


def linear_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> LinearDetector:
    """The detector that :meth:`LinearDetector.state` described; it computes on the CPU whatever ``device`` is.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    with rebuilding("detector"):
        frontend = frontend_from_state(state["frontend"])
        features, components = len(state["offset"]), frontend.transform.components
        if not isinstance(chi_squared := state["chi_squared"], bool):
            raise ValueError(f"chi_squared is {chi_squared!r}, not true or false")
        return LinearDetector(
            str(state["method"]),
            frontend,
            finite("weight", state["weight"], (features, 2 * components)),
            finite("offset", state["offset"], (features,)),
            chi_squared,
            decision_from_state(state["decision"]),
            found_from_state(state["found"]),
        )
