"""How a simulated pushbroom sensor sees the ground: its blur, and what it adds to the signal, as formulas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hsi_cd.datasets.simulated.ground import smooth_curves
from hsi_cd.datasets.simulated.landscape import MARGIN, SUBPIXELS
from hsi_cd.datasets.simulated.materials import WAVELENGTH_RANGE, gaussian, step

Floats = NDArray[np.float64]

_STRONG_SHARE, _STRONG_FACTOR = 0.06, 5.0  # a few bands are striped much more than the rest


def band_centres(bands: int) -> Floats:
    """Evenly spaced band centres over 400-2500 nm, float64 ``(bands,)``."""
    return np.linspace(*WAVELENGTH_RANGE, bands)


def blur_weights(*, shift: float, sigma: float) -> tuple[int, Floats]:
    """Weights with which one pixel sees the sub-pixels along one axis.

    The point spread function is the pixel's own square convolved with a Gaussian; its integral over every
    sub-pixel is exact, so that any shift is.

    Args:
        shift: by how much the pixel looks further down or right, pixels.
        sigma: standard deviation of the Gaussian, pixels; 0 for the square alone.

    Returns:
        Position of the first sub-pixel relative to the pixel's own first, and the weights, which sum to 1.
    """
    index = np.arange(-MARGIN * SUBPIXELS, (MARGIN + 1) * SUBPIXELS)
    low = index / SUBPIXELS - 0.5 - shift
    high = low + 1 / SUBPIXELS
    weights = (
        _ramp(high + 0.5, sigma) - _ramp(low + 0.5, sigma) - _ramp(high - 0.5, sigma) + _ramp(low - 0.5, sigma)
    )
    seen = np.flatnonzero(weights > 1e-4)
    first, last = int(seen[0]), int(seen[-1])
    kept = weights[first : last + 1]
    return int(index[first]), kept / kept.sum()


def _ramp(x: Floats, sigma: float) -> Floats:
    """``max(x, 0)`` convolved with a Gaussian: the second integral of the point spread function's parts."""
    if sigma < 1e-6:  # a point; dividing by less would overflow
        return np.maximum(x, 0.0)
    z = x / sigma
    smoothed: Floats = sigma * (z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))
    return smoothed


def gain_and_path(
    wavelengths: Floats, *, gain: float, path_radiance: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """What the second date's air and calibration do to each band: ``seen = gain * reflectance + path``.

    Args:
        wavelengths: band centres, nm.
        gain: standard deviation of the gain around 1, over wavelengths.
        path_radiance: path radiance at 400 nm, as apparent reflectance. It falls with the fourth power of the
            wavelength, as Rayleigh scattering does, onto a tenth that falls as haze does.
        rng: source of the gain's shape.

    Returns:
        Two float64 ``(bands,)``.
    """
    factor = np.maximum(1.0 + gain * smooth_curves(1, wavelengths, rng)[0], 0.1)
    relative = wavelengths / WAVELENGTH_RANGE[0]
    return factor, path_radiance * (0.9 * relative**-4.0 + 0.1 * relative**-1.3)


def stripe_offsets(bands: int, cols: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Offsets of the detector's columns, float32 ``(bands, cols)``; 1 standard deviation in most bands."""
    strong = np.where(rng.uniform(size=(bands, 1)) < _STRONG_SHARE, _STRONG_FACTOR, 1.0)
    return (strong * rng.standard_normal((bands, cols))).astype(np.float32)


def noise_profile(wavelengths: Floats) -> Floats:
    """Relative noise of each band, float64 ``(bands,)``, of root mean square 1.

    There is more of it where the detectors end (400, 1000 and 2500 nm) and where water vapour leaves little light
    (1400 and 1900 nm).
    """
    profile: Floats = (
        1.0
        + 2.0 * np.exp(-(wavelengths - WAVELENGTH_RANGE[0]) / 45.0)
        + 1.0 * gaussian(wavelengths, 1000.0, 35.0)
        + 3.0 * gaussian(wavelengths, 1400.0, 45.0)
        + 4.0 * gaussian(wavelengths, 1890.0, 60.0)
        + 2.5 * step(wavelengths, 2440.0, 35.0)
    )
    profile /= np.sqrt(np.mean(profile**2))
    return profile
