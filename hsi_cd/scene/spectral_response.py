"""Spectra of one sensor in the bands of another: the coarser bands' Gaussian response, sampled at the finer ones.

A band of the coarser sensor, of centre c and full width at half maximum f, sees of a spectrum x, of finer bands at
c_j, ``sum(w_j x_j) / sum(w_j)`` with ``w_j = exp(-4 ln 2 ((c_j - c) / f)^2)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.scene.bands import Bands
from hsi_cd.scene.cube import Cube, derived_cube

LEAST_WEIGHT = 0.99
"""Share of a band's response that must have data; where less has, the band has none."""

_REACH = 3.0  # widths from the centre beyond which the response, below 1e-10, is left out
_STEPS = 2.0  # usual steps of the finer bands, above which they leave a gap
_WIDEST = 20.0  # nm: a wider gap is none of a spectrometer's steps


@dataclass(frozen=True)
class Response:
    """How the finer bands make the coarser ones.

    Attributes:
        bands: indices of the coarser bands that the finer ones cover, ascending.
        weights: float32 ``(coarser bands, finer bands)``, each row of sum 1.
    """

    bands: tuple[int, ...]
    weights: NDArray[np.float32]


def gaussian_response(fine: Bands, coarse: Bands) -> Response:
    """The weights with which finer bands make those of the coarser that they cover.

    A coarser band is covered where finer bands lie on both sides of its half maximum, and between them leave no
    gap wider than half of it, or than two of a spectrometer's usual steps. Such gaps are where bands were left out
    (water vapour), and all between the bands of a multispectral sensor.

    Args:
        fine: bands with centres, in any order.
        coarse: bands with centres and widths.
    """
    centres = np.asarray(fine.centres, dtype=np.float64)
    ordered = np.sort(centres)
    step = float(np.median(np.diff(ordered))) if len(ordered) > 1 else math.inf
    kept, rows = [], []
    for band, (centre, width) in enumerate(zip(coarse.centres, coarse.fwhm, strict=True)):
        if _covers(ordered, centre - width / 2, centre + width / 2, max(width / 2, min(_STEPS * step, _WIDEST))):
            away = (centres - centre) / width
            weights = np.where(np.abs(away) <= _REACH, np.exp(-4 * math.log(2) * away**2), 0)
            kept.append(band)
            rows.append(weights / weights.sum())
    matrix = np.array(rows, dtype=np.float32).reshape(len(kept), len(centres))
    return Response(tuple(kept), matrix)


def resampled(cube: Cube, response: Response, bands: Bands) -> Cube:
    """A cube in the bands of a coarser sensor, made window by window when it is read.

    Args:
        cube: the finer date.
        response: how its bands make the others.
        bands: description of the bands that are made.
    """
    return derived_cube(cube, _Resampled(cube, response.weights), bands=bands)


def usual_width(bands: Bands, low: float, high: float) -> float:
    """The median full width at half maximum, nm, of the bands in a range of wavelengths; NaN without any."""
    inside = [width for centre, width in zip(bands.centres, bands.fwhm, strict=True) if low <= centre <= high]
    return float(np.median(inside)) if inside else math.nan


def _covers(ordered: NDArray[np.float64], low: float, high: float, gap: float) -> bool:
    first, last = np.searchsorted(ordered, low, side="right") - 1, np.searchsorted(ordered, high, side="left")
    if first < 0 or last >= len(ordered):
        return False
    return bool(np.diff(ordered[first : last + 1]).max(initial=0) <= gap)


@dataclass(frozen=True)
class _Resampled:
    """Reads windows of a cube in other bands; a class, so that cubes can be pickled."""

    cube: Cube
    weights: NDArray[np.float32]

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        values = self.cube.read(rows, cols)
        flat = values.reshape(len(values), -1)
        known = np.isfinite(flat)
        if known.all():
            made: NDArray[np.float32] = self.weights @ flat
        else:
            share = self.weights @ known.astype(np.float32)
            made = self.weights @ np.where(known, flat, np.float32(0))
            enough = share >= LEAST_WEIGHT
            np.divide(made, share, out=made, where=enough & ~known.all(axis=0))
            made[~enough] = np.nan
        return made.reshape(len(self.weights), *values.shape[1:])
