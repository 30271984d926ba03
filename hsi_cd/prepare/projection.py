"""Linear projections of standardised spectra onto fewer components."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

_RIDGE = 1e-4  # of the mean noise variance: keeps the noise covariance invertible for strongly correlated bands


_RANK = 1e-10  # of the largest variance: below, a direction holds the rounding of repeated bands and nothing else


def existing_directions(covariance: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The directions in which spectra vary at all, or None where these are all that there are.

    Bands that repeat each other, or combinations of others, span fewer dimensions than they are. What lies in the
    others is rounding, and divided by its own spread it would be as loud as a spectrum.

    Args:
        covariance: ``(bands, bands)``.

    Returns:
        Orthonormal, float64 ``(directions, bands)``; None for a covariance of full rank.
    """
    values, vectors = scipy.linalg.eigh(covariance)
    there = values > _RANK * values[-1]
    if there.all() or not there.any():
        return None
    directions: NDArray[np.float64] = np.ascontiguousarray(vectors.T[there])
    return directions


def principal_components(covariance: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """Directions of largest variance (PCA).

    Args:
        covariance: ``(bands, bands)``.
        components: how many to keep, at most as many as exist.

    Returns:
        float64 ``(components, bands)``, the most variable first; scaled together to a mean variance of 1.
    """
    _, vectors = scipy.linalg.eigh(covariance)
    directions = existing_directions(covariance)
    kept = components if directions is None else min(components, len(directions))
    return _normalised(vectors.T[::-1][:kept], covariance)


def minimum_noise_fraction(
    covariance: NDArray[np.float64], noise: NDArray[np.float64], components: int
) -> NDArray[np.float64]:
    """Directions of largest signal-to-noise ratio (MNF; Green et al. 1988, doi 10.1109/36.3001).

    Solves ``covariance v = ratio noise v``. Unlike PCA, the result does not change when a band is scaled, and a
    band that is all noise comes last however large its variance. The noise has the same deviation in every
    component, so a component counts by its signal-to-noise ratio: scaled to unit variance instead, the last, noisy
    components would be as loud as the first, which costs scenes of few bands most.

    Args:
        covariance: ``(bands, bands)``, of signal and noise together.
        noise: noise covariance, ``(bands, bands)``.
        components: how many to keep, at most as many as exist.

    Returns:
        float64 ``(components, bands)``, the clearest first; scaled together to a mean variance of 1.
    """
    directions = existing_directions(covariance)
    if directions is not None:
        signal, own_noise = (directions @ each @ directions.T for each in (covariance, noise))
        return minimum_noise_fraction(signal, own_noise, components) @ directions
    ridge = _RIDGE * np.trace(noise) / len(noise) + 1e-12
    _, vectors = scipy.linalg.eigh(covariance, noise + ridge * np.eye(len(noise)))
    return _normalised(vectors.T[::-1][:components], covariance)


def _normalised(vectors: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """One factor for all rows, for a mean variance of 1; each turned so that its largest weight is positive."""
    variance = np.einsum("kb,bc,kc->k", vectors, covariance, vectors)
    # An eigenvector's sign is arbitrary and may differ between linear-algebra builds.
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    scaled: NDArray[np.float64] = vectors * (np.sign(largest)[:, None] / np.sqrt(max(variance.mean(), 1e-12)))
    return scaled
