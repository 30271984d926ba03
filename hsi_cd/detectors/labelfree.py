"""The default without labels: denoised, registered, smoothed within edges, each date predicted from the other."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.canonical import CanonicalMap, iterate_canonical
from hsi_cd.detectors.change_size import ChangeSizes, large_enough
from hsi_cd.detectors.decision import (
    THRESHOLD_OPTIONS,
    decide,
    find_threshold,
    minimum_noise,
    score_histogram,
)
from hsi_cd.detectors.frontend import Frontend, fit_frontend
from hsi_cd.detectors.joint_spectra import JointSpectra
from hsi_cd.detectors.linear import LinearDetector, linear_from_state
from hsi_cd.detectors.majority import find_majority
from hsi_cd.detectors.method_options import choose_options
from hsi_cd.detectors.mutual_prediction import PredictionDetector, fit_prediction, prediction_from_state
from hsi_cd.detectors.reweighting import chi_square_weight, joint_moments
from hsi_cd.detectors.thresholds import Posterior, Threshold
from hsi_cd.prepare.measurement import Measurement, Scene, measured

log = logging.getLogger(__name__)

LabelFree = PredictionDetector | LinearDetector
"""What the label-free default, or one beside it, is."""

_QUIET_SHARE = 0.5  # of the pixels are taken to be unchanged; more may be
_PIXELS_A_NUMBER = 10  # valid pixels for each of the 2 x components variables, or the covariance is mostly chance
_LEAST_CORRELATION = 0.3  # of the dates' best canonical variates, or there is no common ground to subtract

AUTO_OPTIONS: dict[str, Any] = THRESHOLD_OPTIONS | {
    "threshold": "tail",
    "components": 16,
    "registration": True,
    "reach": 2,
    "range": 3.0,
    "iterations": 50,
    "tolerance": 1e-3,
    "ridge": 1e-6,
}
"""Options of the default: minimum-noise components, half the smoothing window (pixels) and its range (noise
deviations), and those of the reweighting."""


def fit_auto(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> LabelFree:
    """The default of ``hsi-cd detect``.

    The joint minimum-noise projection leaves a few clear components, the shift between the dates is undone, and
    an IR-MAD whose weights cannot shrink (see :func:`iterate_canonical`) learns on the *unsmoothed* components
    which pixels did not change. Only then are the components smoothed, by an edge-preserving filter of both
    dates: smoothing shrinks the noise by which the weights are judged, and more so inside large parcels than in
    small ones.
    On the smoothed components of unchanged pixels each date is predicted from the other; the score tells how far
    both predictions fail (see :class:`PredictionDetector`).

    Where a scene is too small for that, or the dates have too little in common, the components are compared
    directly, in units of their noise (CVA).

    Args:
        scene: the scene, or its measurement.
        options: see :data:`AUTO_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Nielsen 2007, doi:10.1109/TIP.2006.888195; Green et al. 1988, doi:10.1109/36.3001; Tomasi and
        Manduchi 1998, doi:10.1109/ICCV.1998.710815; Schaum and Stocker 1997, Long-interval chronochrome target
        detection
    """
    chosen, measurement = choose_options(options, AUTO_OPTIONS, method="auto"), measured(scene)
    if chosen["threshold"] == "evidence":  # it is the evidence
        chosen["threshold"] = "tail"
    scored = score_without_labels(measurement, chosen)
    if not isinstance(scored.detector, PredictionDetector) and chosen["threshold"] == "tail":
        chosen["threshold"] = "auto"  # the tail of a plain comparison has no known shape
    return decide(scored.detector, *threshold_of(scored, measurement, chosen))


@dataclass(frozen=True)
class Scored:
    """The default on a scene, before a threshold is chosen.

    Attributes:
        detector: frozen, but undecided.
        scores: of all pixels, to be passed over once; None where they are still to be found.
        alike: whether the dates differ by gain, offset and rounding alone.
        usual: median score of unchanged pixels, where more than half of the scene changed; else 0.
        sizes: of the differences in a sample of the scene; None where it is too small to tell.
    """

    detector: LabelFree
    scores: Iterable[NDArray[np.floating]] | None
    alike: bool
    usual: float = 0.0
    sizes: ChangeSizes | None = None


def score_without_labels(measurement: Measurement, chosen: Mapping[str, Any]) -> Scored:
    """Fit the default's score, see :func:`fit_auto`.

    Args:
        measurement: of the scene.
        chosen: all of :data:`AUTO_OPTIONS`.
    """
    frontend = fit_frontend(measurement, minimum_noise(chosen), reach=chosen["reach"], tolerance=chosen["range"])
    spectra = JointSpectra(replace(frontend, reach=0), measurement)
    alike = spectra.agree()
    unchanged = _unchanged(spectra, chosen)
    if unchanged is None:
        return Scored(_noise_scaled(frontend), None, alike)
    smoothed = JointSpectra(frontend, measurement) if frontend.reach else spectra
    sample = smoothed.sample()
    most = find_majority(spectra.sample(), sample, frontend.transform, chosen)
    unchanged = unchanged if most is None else most.unchanged
    weights = (chi_square_weight(unchanged.squared(joint), len(unchanged.offset)) for joint in smoothed)
    prediction = fit_prediction(
        joint_moments(smoothed, weights=weights), joint_moments(smoothed), frontend.transform
    )
    found = (
        ("reweighted", 1.0),
        ("majority", float(most is not None)),
        ("iterations", float(unchanged.iterations)),
        ("best_correlation", float(unchanged.correlation[0])),
    )
    detector = PredictionDetector("auto", frontend, prediction, found=found)
    sizes = ChangeSizes.of(np.concatenate(list(detector.score_spectra(sample))), sample, frontend.transform)
    usual = 0.0 if most is None else most.usual
    return Scored(detector, detector.score_spectra(smoothed), alike, usual, sizes)


def threshold_of(
    scored: Scored, measurement: Measurement, chosen: Mapping[str, Any]
) -> tuple[Threshold, Posterior]:
    """The threshold of the default, by its options, and the posterior.

    Args:
        scored: what :func:`score_without_labels` found; its scores are passed over.
        measurement: of the scene.
        chosen: all of :data:`AUTO_OPTIONS`.
    """
    histogram = score_histogram(scored.detector, measurement, scored.scores)
    threshold, posterior = find_threshold(
        histogram, scored.detector, measurement, chosen, alike=scored.alike, usual=scored.usual
    )
    if threshold.method != "tail" or scored.sizes is None:
        return threshold, posterior
    return large_enough(histogram, threshold, posterior, scored.sizes)


def _unchanged(spectra: JointSpectra, chosen: Mapping[str, Any]) -> CanonicalMap | None:
    """What tells unchanged pixels, or None where the data do not carry it."""
    moments = joint_moments(spectra)
    if moments.count < _PIXELS_A_NUMBER * 2 * spectra.components:
        log.info("auto: %d pixels are too few to reweight; components are compared directly", moments.count)
        return None
    fitted = iterate_canonical(
        spectra,
        iterations=chosen["iterations"],
        tolerance=chosen["tolerance"],
        ridge=chosen["ridge"],
        quiet=_QUIET_SHARE,
    )
    if fitted.correlation[0] < _LEAST_CORRELATION:
        log.info(
            "auto: the dates' best correlation is %.2f; components are compared directly", fitted.correlation[0]
        )
        return None
    return fitted


def _noise_scaled(frontend: Frontend) -> LinearDetector:
    """CVA of the components, each in units of its noise."""
    scale = np.diag(1 / np.maximum(frontend.transform.noise.astype(np.float64), 1e-6) / np.sqrt(2))
    weight = np.concatenate([scale, -scale], axis=1)
    return LinearDetector("auto", frontend, weight, np.zeros(len(scale)), found=(("reweighted", 0.0),))


def auto_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> LabelFree:
    """The detector of a checkpoint; those of earlier versions are linear.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    return prediction_from_state(state) if "prediction" in state else linear_from_state(state)
