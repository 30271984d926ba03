"""Change as what neither date tells of the other: each is predicted from the other as unchanged ground goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.decision import UNDECIDED, Decision, decision_from_state
from hsi_cd.detectors.frontend import Frontend, frontend_from_state
from hsi_cd.detectors.states import finite, found_from_state, rebuilding
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.transform import SceneTransform
from hsi_cd.scene import Bands

_RIDGE = 1e-6  # of a date's mean variance: components that carry nothing predict nothing
_WHITEST = 1e-3  # of the residuals' whole variance: no direction counts as quieter
_QUIET = 0.02  # of the sensor's noise variance: a residual below is rounding
_ARRAYS = ("residual", "residual_offset", "rarity", "rarity_offset", "floor")


@dataclass(frozen=True)
class Prediction:
    """How each date follows from the other where nothing changed.

    Attributes:
        residual: from both dates' components ``[c1; c2]`` to what is left of a date once the other has told its
            part, float64 ``(2 dates, components, 2 components)``; the mean squared length is 1 without change.
        residual_offset: float64 ``(2, components)``.
        rarity: from a date's components to deviations of that date, float64 ``(2, components, components)``;
            the mean squared length is 1 over the scene.
        rarity_offset: float64 ``(2, components)``.
        floor: squared length of a residual of next to no noise, float64 ``(2,)``.
    """

    residual: NDArray[np.float64]
    residual_offset: NDArray[np.float64]
    rarity: NDArray[np.float64]
    rarity_offset: NDArray[np.float64]
    floor: NDArray[np.float64]

    def score(self, joint: NDArray[np.float64]) -> NDArray[np.float32]:
        """Scores of spectra ``(2 components, pixels)``, ``(pixels,)``; NaN for NaN."""
        dates = np.split(joint, 2)
        squared = np.ones(joint.shape[1])
        for date, of in enumerate(dates[::-1]):  # each residual is judged by how rare its predictor is
            left = self.residual[date] @ joint + self.residual_offset[date][:, None]
            rare = self.rarity[1 - date] @ of + self.rarity_offset[1 - date][:, None]
            squared *= (np.square(left).sum(axis=0) + self.floor[date]) / (1 + np.square(rare).sum(axis=0))
        score: NDArray[np.float64] = np.sqrt(np.sqrt(squared))
        return score.astype(np.float32)


def fit_prediction(unchanged: Moments, everything: Moments, transform: SceneTransform) -> Prediction:
    """The prediction that the joint moments of both dates' components give.

    Date 2 is regressed on date 1, and date 1 on date 2, as unchanged pixels have it. What is left is measured
    in two ways, which count alike: whitened, so that a small difference in a quiet combination of bands counts as
    much as a large one in a loud one; and band by band, each in units of its own deviation, as the eye does.

    Args:
        unchanged: of ``2 components`` variables, each pixel weighted by its probability of no change.
        everything: the same of all pixels.
        transform: from bands to components.

    Reference:
        Schaum and Stocker 1997, Long-interval chronochrome target detection; Theiler, Scovel, Wohlberg and Foy
        2010, doi:10.1109/LGRS.2009.2039191 (elliptically contoured distributions)
    """
    count = transform.components
    halves = slice(None, count), slice(count, None)
    covariance, one = unchanged.covariance, np.eye(count)
    residuals, rarities, floors = [], [], []
    for date, (own, other) in enumerate((halves, halves[::-1])):
        ridge = _RIDGE * max(float(np.trace(covariance[other, other])) / count, 1e-12)
        told = np.linalg.solve(covariance[other, other] + ridge * one, covariance[other, own]).T
        plain = np.zeros((count, 2 * count))
        plain[:, own], plain[:, other] = one, -told
        spread = plain @ covariance @ plain.T
        quiet = np.diag(_QUIET * np.square(np.maximum(transform.noise.astype(np.float64), 1e-6)))
        measure = _measure(spread + quiet, to_bands(transform, date))
        residuals.append(measure @ plain)
        floors.append(float(np.trace(measure @ quiet @ measure.T)))
        rarities.append(_deviations(everything.covariance[own, own]))
    residual, rarity = np.stack(residuals), np.stack(rarities)
    means = everything.mean.reshape(2, count)
    return Prediction(
        residual,
        -residual @ unchanged.mean,
        rarity,
        -np.einsum("dij,dj->di", rarity, means),
        np.array(floors),
    )


def _measure(spread: NDArray[np.float64], to_bands: NDArray[np.float64]) -> NDArray[np.float64]:
    """A square root of the mean of both metrics of residuals of this covariance, ``(components, components)``."""
    deviation = np.sqrt(np.maximum(np.einsum("bc,cd,bd->b", to_bands, spread, to_bands), 1e-24))
    scaled = to_bands / deviation[:, None]
    bands = scaled @ spread @ scaled.T
    whole = float(np.trace(bands))
    white = scaled.T @ np.linalg.solve(bands + _WHITEST * whole * np.eye(len(bands)), scaled)
    metrics = (each / max(float(np.trace(each @ spread)), 1e-24) for each in (white, scaled.T @ scaled))
    metric = sum(metrics) / 2
    values, vectors = scipy.linalg.eigh((metric + metric.T) / 2)
    root: NDArray[np.float64] = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    return root


def to_bands(transform: SceneTransform, date: int) -> NDArray[np.float64]:
    """From components back to standardised bands, ``(bands, components)``."""
    weight = transform.weight[date].astype(np.float64)
    return np.linalg.pinv(weight if transform.scale is None else weight * transform.scale[date])


def standardised_length(spectra: Iterable[NDArray[np.float64]], transform: SceneTransform) -> NDArray[np.float64]:
    """Length of the difference of both dates' standardised bands, as CVA has it, ``(pixels,)``."""
    bands = [to_bands(transform, date) for date in (0, 1)]

    def lengths() -> Iterator[NDArray[np.float64]]:
        for joint in spectra:
            first, second = np.split(joint, 2)
            yield np.linalg.norm(bands[0] @ first - bands[1] @ second, axis=0)

    return np.concatenate(list(lengths()))


def _deviations(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """From a date's components to uncorrelated ones, whose variances sum to 1."""
    values, vectors = scipy.linalg.eigh(covariance)
    there = values > 1e-9 * max(float(values[-1]), 1e-300)
    scale = np.where(there, 1 / np.sqrt(np.where(there, values, 1) * max(there.sum(), 1)), 0)
    deviations: NDArray[np.float64] = scale[:, None] * vectors.T
    return deviations


@dataclass(frozen=True)
class PredictionDetector:
    """The score is the geometric mean of how far each date is from what the other predicts.

    With the residuals ``r1`` and ``r2`` and the rarities ``m1`` and ``m2`` of a pixel's spectra (squared
    deviations from the date's mean, in units of their mean), the score is the fourth root of
    ``|r1|^2 / (1 + m2) x |r2|^2 / (1 + m1)``: of rare ground a linear prediction knows little, and is allowed to
    err by more.

    Attributes:
        method: the method's name.
        frontend: from stored values to components.
        prediction: of either date from the other.
        decision: threshold and posterior.
        found: what the fit found, for the result's record.
    """

    method: str
    frontend: Frontend
    prediction: Prediction
    decision: Decision = UNDECIDED
    found: tuple[tuple[str, float], ...] = ()

    unit = "score"
    degrees = None

    @property
    def bands(self) -> Bands:
        """The bands it was fitted on."""
        return self.frontend.bands

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        return self.frontend.radius

    @property
    def threshold(self) -> float:
        """Score from which a pixel counts as changed."""
        return self.decision.threshold.value

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        return self.score_components(*self.frontend.project(t1, t2))

    def score_components(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of components that the front end has projected; see :class:`ComponentScoring`."""
        joint = np.concatenate(self.frontend.finish(first, second)).astype(np.float64)
        return self.prediction.score(joint.reshape(len(joint), -1)).reshape(joint.shape[1:])

    def score_spectra(self, spectra: Iterable[NDArray[np.float64]]) -> Iterator[NDArray[np.float32]]:
        """Scores of blocks of finished joint spectra ``(2 components, pixels)``."""
        return map(self.prediction.score, spectra)

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of change of each score, NaN for NaN."""
        return self.decision.posterior(score)

    def parameters(self) -> int:
        """Number of fitted numbers."""
        return sum(int(getattr(self.prediction, name).size) for name in _ARRAYS)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`prediction_from_state` builds the detector again."""
        return {
            "method": self.method,
            "frontend": self.frontend.state(),
            "prediction": {
                name: torch.from_numpy(np.ascontiguousarray(getattr(self.prediction, name))) for name in _ARRAYS
            },
            "decision": self.decision.state(),
            "found": dict(self.found),
        }


def prediction_from_state(state: Mapping[str, Any]) -> PredictionDetector:
    """The detector that :meth:`PredictionDetector.state` described.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    with rebuilding("detector"):
        frontend = frontend_from_state(state["frontend"])
        n = frontend.transform.components
        shapes = ((2, n, 2 * n), (2, n), (2, n, n), (2, n), (2,))
        arrays = {
            name: finite(name, state["prediction"][name], shape)
            for name, shape in zip(_ARRAYS, shapes, strict=True)
        }
        if (arrays["floor"] < 0).any():
            raise ValueError("a floor below 0")
        return PredictionDetector(
            str(state["method"]),
            frontend,
            Prediction(**arrays),
            decision_from_state(state["decision"]),
            found_from_state(state["found"]),
        )
