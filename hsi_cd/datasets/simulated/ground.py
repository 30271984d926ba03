"""What the ground reflects: one material is not the same everywhere, nor at both dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hsi_cd.datasets.simulated.materials import WAVELENGTH_RANGE, Material, gaussian

Floats = NDArray[np.float64]

_WAVES = 20  # plane waves that make up one texture


def smooth_curves(count: int, wavelengths: Floats, rng: np.random.Generator) -> Floats:
    """Random smooth functions of wavelength, float64 ``(count, bands)``, of about unit standard deviation."""
    knots = np.linspace(*WAVELENGTH_RANGE, 6)
    heights = rng.standard_normal((count, knots.size))
    bumps = np.stack([gaussian(wavelengths, knot, 330.0) for knot in knots])
    curves: Floats = heights @ bumps / np.sqrt((bumps**2).sum(axis=0).mean())
    return curves


def segment_spectra(
    material: NDArray[np.int64],
    materials: Sequence[Material],
    *,
    variability: float,
    drift: float,
    variety_seed: np.random.SeedSequence,
    drift_seed: np.random.SeedSequence,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The spectrum of every segment at both dates.

    Args:
        material: int64 ``(segments,)``, index of each segment's material.
        materials: the materials.
        variability: relative differences between segments of one material; 0 for none.
        drift: relative differences between the dates: along a smooth curve for each material, and a little more
            or less for each segment; 0 for none.
        variety_seed: seed of the differences between segments.
        drift_seed: seed of the differences between the dates.

    Returns:
        First date and second date, each float32 ``(segments, bands)``, reflectance 0-1. Segments added at the end
        leave the spectra of the earlier ones as they were.
    """
    count, position = material.size, materials[0].position
    low, high = WAVELENGTH_RANGE
    wavelengths = low + (position + 1) / 2 * (high - low)
    curve_seed, segment_seed = drift_seed.spawn(2)
    curves = np.exp(drift * smooth_curves(len(materials), wavelengths, np.random.default_rng(curve_seed)))
    variety = variability * np.random.default_rng(variety_seed).standard_normal((count, 3))
    drifts = drift * np.random.default_rng(segment_seed).standard_normal((count, 3))
    before = np.empty((count, wavelengths.size), dtype=np.float32)
    after = np.empty_like(before)
    for kind, one in enumerate(materials):
        own = material == kind
        brightness, slope, depth = variety[own].T * [[1.0], [0.5], [2.0]]
        brighter, steeper, deeper = drifts[own].T * [[0.6], [0.4], [1.0]]
        before[own] = one.spectra(brightness=1 + brightness, slope=slope, depth=1 + depth)
        drifted = one.spectra(
            brightness=(1 + brightness) * (1 + brighter), slope=slope + steeper, depth=1 + depth + deeper
        )
        after[own] = np.clip(drifted * curves[kind], 0.001, 1.0)
    return before, after


class Texture:
    """A smooth field over the ground that makes it brighter, redder or drier from place to place."""

    def __init__(self, rng: np.random.Generator, wavelengths: Floats, strength: float) -> None:
        lengths = np.exp(rng.uniform(np.log(5.0), np.log(60.0), (3, _WAVES)))  # pixels
        angles = rng.uniform(0, 2 * np.pi, (3, _WAVES))
        self._down = 2 * np.pi / lengths * np.sin(angles)
        self._across = 2 * np.pi / lengths * np.cos(angles)
        self._phases = rng.uniform(0, 2 * np.pi, (3, _WAVES))
        position = (wavelengths - 1450) / 1050
        shapes = np.stack([np.ones_like(position), 0.6 * position, 0.6 * (2 * position**2 - 1)])
        self._shapes = (strength * np.sqrt(2 / _WAVES) * shapes).astype(np.float32)

    def factors(self, y: Floats, x: Floats) -> NDArray[np.float32]:
        """What to multiply the reflectance at rows ``y`` and columns ``x`` with: ``(rows, cols, bands)``."""
        maps = []
        for down, across, phase in zip(self._down, self._across, self._phases, strict=True):
            # The cosine of a sum falls apart into products, so a wave costs a row and a column, not a map.
            a, b = np.outer(y, down) + phase, np.outer(x, across)
            maps.append(np.cos(a) @ np.cos(b).T - np.sin(a) @ np.sin(b).T)
        field = np.stack(maps, axis=-1).astype(np.float32) @ self._shapes
        factors: NDArray[np.float32] = np.maximum(field + np.float32(1), np.float32(0.2))
        return factors
