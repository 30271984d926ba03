"""Differences of canonical variates, reweighted by the probability of no change: for IR-MAD and the default."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from hsi_cd.detectors.joint_spectra import Spectra
from hsi_cd.detectors.reweighting import DifferenceMap, anchored, joint_moments, reweighted, too_much_alike
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.projection import existing_directions
from hsi_cd.prepare.single_threaded import single_threaded

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CanonicalMap(DifferenceMap):
    """Differences of canonical variates of both dates, each scaled to the deviation it has where nothing changed.

    Attributes:
        correlation: canonical correlations, float64 ``(components,)``, the largest first.
        iterations: passes that were needed.
        change: largest change of a correlation in the last iteration.
    """

    correlation: NDArray[np.float64]
    iterations: int = 1
    change: float = 1.0


def canonical_map(moments: Moments, *, ridge: float) -> CanonicalMap:
    """Canonical correlation analysis of the two halves of joint moments.

    ``a' S12 b`` is maximised under ``a' S11 a = b' S22 b = 1``, by the singular value decomposition of the two
    halves' whitened cross-covariance. Both covariances are regularised: strongly correlated bands otherwise
    give singular matrices. Of bands that repeat each other, the directions that exist are used.

    Args:
        moments: of ``2 components`` variables.
        ridge: share of a half's mean variance that is added to its diagonal.

    Returns:
        The map; a difference of variates with correlation r has variance ``2 (1 - r)``.
    """
    count = len(moments.mean) // 2
    covariance = moments.covariance
    directions = [existing_directions(half) for half in (covariance[:count, :count], covariance[count:, count:])]
    if all(each is None for each in directions):
        weight, correlation = _canonical_weight(covariance, count, ridge=ridge)
    else:
        inside = scipy.linalg.block_diag(*(np.eye(count) if each is None else each for each in directions))
        first = count if directions[0] is None else len(directions[0])
        weight, correlation = _canonical_weight(inside @ covariance @ inside.T, first, ridge=ridge)
        weight = weight @ inside
    return CanonicalMap(weight, -weight @ moments.mean, correlation)


def _canonical_weight(
    covariance: NDArray[np.float64], first_half: int, *, ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The weights of the scaled differences, ``(features, variables)``, and their canonical correlations.

    Args:
        covariance: of the variables of both halves.
        first_half: how many of them are the first's.
        ridge: see :func:`canonical_map`.

    Raises:
        BandError: without a ridge, the bands are too much alike.
    """
    halves = []
    for half in (covariance[:first_half, :first_half], covariance[first_half:, first_half:]):
        size = max(float(np.trace(half)) / len(half), 1e-12)
        try:
            halves.append(np.linalg.cholesky(half + ridge * size * np.eye(len(half))))
        except np.linalg.LinAlgError:
            raise too_much_alike(ridge) from None
    first, second = halves
    whitened = scipy.linalg.solve_triangular(first, covariance[:first_half, first_half:], lower=True)
    whitened = scipy.linalg.solve_triangular(second, whitened.T, lower=True).T
    left, correlation, right = np.linalg.svd(whitened)
    if left.shape != right.shape:  # what one half has more of has no partner
        left, right = left[:, : len(correlation)], right[: len(correlation)]
    correlation = np.minimum(correlation, 1 - 1e-9)
    a = scipy.linalg.solve_triangular(first, left, lower=True, trans="T")
    b = scipy.linalg.solve_triangular(second, right.T, lower=True, trans="T")
    weight = np.concatenate([a, -b]).T
    # The variance that the difference has in these very moments: with a ridge it is not quite 2 (1 - r).
    variance = np.einsum("kb,bc,kc->k", weight, covariance, weight)
    return weight / np.sqrt(np.maximum(variance, 1e-12))[:, None], correlation


def iterate_canonical(
    spectra: Spectra,
    *,
    iterations: int,
    tolerance: float,
    ridge: float,
    quiet: float,
    start: Moments | None = None,
) -> CanonicalMap:
    """Reweight the pixels by their probability of no change until the canonical correlations stand still.

    Args:
        spectra: of both dates.
        iterations: at most so many.
        tolerance: largest change of a canonical correlation that ends them.
        ridge: see :func:`canonical_map`.
        quiet: share of the pixels that anchors the spread, see :func:`anchored`; 0 for the method as published.
        start: moments of the pixels that the first map is fitted on; of all by default.

    Returns:
        The last map.
    """
    count = spectra.components
    with single_threaded("blas"):
        current = canonical_map(start or joint_moments(spectra), ridge=ridge)
        for done in range(2, iterations + 1):
            current, moments = reweighted(spectra, current, quiet=quiet)
            if moments.count < 4 * count:  # as many pixels as numbers: what is left tells nothing
                log.warning("IR-MAD: reweighting left %.0f pixels; the fit before is kept", moments.count)
                return current
            new = canonical_map(moments, ridge=ridge)
            # Weighting can leave fewer variates than before: then nothing stands still yet.
            alike = len(new.correlation) == len(current.correlation)
            change = float(np.abs(new.correlation - current.correlation).max()) if alike else 1.0
            current = replace(new, iterations=done, change=change)
            if change < tolerance:
                break
        else:
            log.info("IR-MAD: correlations still move by %.2g after %d iterations", current.change, iterations)
        return anchored(spectra, current, quiet=quiet)
