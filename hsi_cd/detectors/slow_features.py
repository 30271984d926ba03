"""Slow feature analysis: the combinations of bands that differ least between the dates, where nothing changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from hsi_cd.detectors.decision import THRESHOLD_OPTIONS, standardised
from hsi_cd.detectors.evidence import decide_by_evidence
from hsi_cd.detectors.frontend import fit_frontend
from hsi_cd.detectors.joint_spectra import JointSpectra
from hsi_cd.detectors.linear import LinearDetector
from hsi_cd.detectors.method_options import choose_options
from hsi_cd.detectors.reweighting import DifferenceMap, anchored, joint_moments, reweighted, too_much_alike
from hsi_cd.prepare.measurement import Scene, measured
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.projection import existing_directions
from hsi_cd.prepare.single_threaded import single_threaded

log = logging.getLogger(__name__)

SFA_OPTIONS: dict[str, Any] = THRESHOLD_OPTIONS | {"ridge": 1e-3}
"""Options of SFA; ``ridge`` is a share of the mean variance."""
ISFA_OPTIONS: dict[str, Any] = SFA_OPTIONS | {"iterations": 50, "tolerance": 1e-3, "quiet": 0.5}
"""Options of ISFA; ``quiet`` as in IR-MAD."""


@dataclass(frozen=True)
class SlowMap(DifferenceMap):
    """Slow features' differences, each divided by its own deviation.

    Attributes:
        slowness: mean squared difference of each feature, whose variance is 1: float64 ``(features,)``, the
            slowest first.
        vectors: the features, float64 ``(features, components)``, one a row, on standardised values.
    """

    slowness: NDArray[np.float64]
    vectors: NDArray[np.float64]


def slow_eigenproblem(moments: Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The matrices A and B of ``A w = slowness B w``, each float64 ``(components, components)``.

    A is the mean outer product of the differences of values that each date's own mean and deviation
    standardise; B is the mean of both dates' correlation matrices.
    """
    count = len(moments.mean) // 2
    scale = np.sqrt(np.maximum(np.diag(moments.covariance), 1e-300))
    correlation = moments.covariance / np.outer(scale, scale)
    first, second = correlation[:count, :count], correlation[count:, count:]
    cross = correlation[:count, count:]
    return first + second - cross - cross.T, (first + second) / 2


def slow_map(moments: Moments, *, ridge: float) -> SlowMap:
    """Slow features of the two halves of joint moments, all of them that exist.

    Args:
        moments: of ``2 components`` variables.
        ridge: share of the mean variance added to the diagonals of both matrices: bands that are all but the
            same would have features of nothing but rounding.
    """
    count = len(moments.mean) // 2
    scale = np.sqrt(np.maximum(np.diag(moments.covariance), 1e-300))
    difference, common = slow_eigenproblem(moments)
    directions = existing_directions(common)
    if directions is None:
        slowness, vectors = _slow_vectors(difference, common, ridge=ridge)
    else:
        inside = (directions @ each @ directions.T for each in (difference, common))
        slowness, vectors = _slow_vectors(*inside, ridge=ridge)
        vectors = directions.T @ vectors
    own = np.einsum("bk,bc,ck->k", vectors, difference, vectors)
    features = vectors.T / np.sqrt(np.maximum(own, 1e-12))[:, None]
    weight = np.concatenate([features / scale[:count], -features / scale[count:]], axis=1)
    return SlowMap(weight, -weight @ moments.mean, slowness, vectors.T)


def _slow_vectors(
    difference: NDArray[np.float64], common: NDArray[np.float64], *, ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slownesses, and the vectors as columns.

    Raises:
        BandError: without a ridge, the bands are too much alike.
    """
    count = len(common)
    one = np.eye(count)
    try:
        found: tuple[NDArray[np.float64], NDArray[np.float64]] = scipy.linalg.eigh(
            difference + ridge * np.trace(difference) / count * one,
            common + ridge * np.trace(common) / count * one,
        )
    except np.linalg.LinAlgError:
        raise too_much_alike(ridge) from None
    return found


def fit_sfa(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> LinearDetector:
    """Slow feature analysis for change detection, without labels.

    Args:
        scene: the scene, or its measurement.
        options: see :data:`SFA_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Wu, Du and Zhang 2014, doi:10.1109/TGRS.2013.2266673
    """
    chosen, measurement = choose_options(options, SFA_OPTIONS, method="sfa"), measured(scene)
    frontend = fit_frontend(measurement, standardised(chosen))
    spectra = JointSpectra(frontend, measurement)
    with single_threaded("blas"):
        fitted = slow_map(joint_moments(spectra), ridge=chosen["ridge"])
    detector = LinearDetector("sfa", frontend, fitted.weight, fitted.offset, True)
    scores, alike = detector.score_spectra(spectra), spectra.agree()
    return decide_by_evidence(detector, measurement, chosen, scores=scores, alike=alike)


def fit_isfa(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> LinearDetector:
    """Slow feature analysis, repeated with each pixel weighted by its probability of no change.

    Ends when no feature's slowness changes by more than ``tolerance``, or after ``iterations`` passes.

    Args:
        scene: the scene, or its measurement.
        options: see :data:`ISFA_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Wu, Du and Zhang 2014, doi:10.1109/TGRS.2013.2266673
    """
    chosen, measurement = choose_options(options, ISFA_OPTIONS, method="isfa"), measured(scene)
    frontend = fit_frontend(measurement, standardised(chosen))
    spectra = JointSpectra(frontend, measurement)
    count, quiet = spectra.components, chosen["quiet"]
    with single_threaded("blas"):
        current, iterations = slow_map(joint_moments(spectra), ridge=chosen["ridge"]), 1
        while iterations < chosen["iterations"]:
            last, moments = reweighted(spectra, current, quiet=quiet)
            current = last
            if moments.count < 4 * count:  # as many pixels as numbers: what is left tells nothing
                log.warning("ISFA: reweighting left %.0f pixels; the fit before is kept", moments.count)
                break
            current, iterations = slow_map(moments, ridge=chosen["ridge"]), iterations + 1
            alike = len(current.slowness) == len(last.slowness)
            if alike and float(np.abs(current.slowness - last.slowness).max()) < chosen["tolerance"]:
                break
        current = anchored(spectra, current, quiet=quiet)
    found = (("iterations", float(iterations)),)
    detector = LinearDetector("isfa", frontend, current.weight, current.offset, True, found=found)
    scores, alike = detector.score_spectra(spectra), spectra.agree()
    return decide_by_evidence(detector, measurement, chosen, scores=scores, alike=alike)
