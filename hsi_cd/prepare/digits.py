"""Whether float32, in which scenes are compared, tells the stored values of a band apart.

A number near 100,000,000 is 8 from the next one that float32 knows: of small differences on a large number,
rounding leaves steps, and methods would take them for ground.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import BandError
from hsi_cd.scene import Cube, ScenePair

Limits = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Smallest and largest value of each band, as float32 knows them."""

_FEWEST_STEPS = 256  # of float32 that a band's values must span: as many as a byte has
_DOUBLES_NOISE = 1e-12  # of a value: differences that arithmetic in doubles leaves behind in a constant band
_ROWS = 256  # that are read at a time


def coarse(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which bands' values span so few steps of float32 that rounding is noise of its own; zeros do not.

    Args:
        low: smallest value of each band, NaN for a band without data.
        high: largest value of each band.
    """
    largest = np.nan_to_num(np.fmax(np.abs(low), np.abs(high)))
    found: NDArray[np.bool_] = (high - low < _FEWEST_STEPS * np.spacing(largest.astype(np.float32))) & (
        largest > 0
    )
    return found


def check_digits(pair: ScenePair, ranges: tuple[Limits, Limits], asked: NDArray[np.intp]) -> None:
    """Refuse large integers, or doubles, that are all but one number to float32.

    Args:
        pair: the scene.
        ranges: of both dates' bands.
        asked: indices of the bands that are looked at.

    Raises:
        BandError: naming the first such band.
    """
    for date, cube, (low, high) in zip(("t1", "t2"), (pair.t1, pair.t2), ranges, strict=True):
        bands = [int(band) for band in np.intersect1d(np.flatnonzero(coarse(low, high)), asked)]
        if not cube.loses_digits or not bands:
            continue
        flat = [band for band in bands if low[band] == high[band]]
        # What float32 takes for constant may differ in the digits that it lost.
        constant = set(_constant(cube, flat)) if flat else set()
        for band in bands:
            if band in constant:
                continue
            size = np.float32(max(abs(low[band]), abs(high[band])))
            raise BandError(
                f"band {band + 1} of {date} ({cube.name}) holds small differences on a large number, "
                f"{low[band]:.6g}, where float32, in which scenes are compared, knows no steps below "
                f"{np.spacing(size):.2g}: subtract that number from this band of both files"
            )


def _constant(cube: Cube, bands: Sequence[int]) -> list[int]:
    """Which of some bands hold one number, up to the noise of doubles; one reading.

    What a derived cube was made of is not known here: its bands count as constant.
    """
    if cube.origin is not None:
        return list(bands)
    low, high = np.full(len(bands), np.inf), np.full(len(bands), -np.inf)
    rows, cols = cube.grid.shape
    for start in range(0, rows, _ROWS):
        read = cube.reader(slice(start, min(start + _ROWS, rows)), slice(0, cols))[list(bands)]
        for i, values in enumerate(np.ma.masked_invalid(read.astype(np.float64))):
            known = values.compressed()
            known = known[~np.isin(known, cube.no_values)]
            if known.size:
                low[i], high[i] = min(low[i], known.min()), max(high[i], known.max())
    return [
        band
        for band, least, most in zip(bands, low, high, strict=True)
        if most - least <= _DOUBLES_NOISE * max(abs(least), abs(most))
    ]
