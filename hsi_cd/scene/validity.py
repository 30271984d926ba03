"""Which pixels of a cube hold nothing, though they hold numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SATURATED_SHARE = 0.5
"""Share of a pixel's bands at the largest number of an integer type from which the pixel counts as saturated."""


def empty_pixels(
    values: NDArray[np.float32],
    stored: NDArray[np.generic],
    *,
    saturated: float | None = None,
    zeros: bool = True,
) -> NDArray[np.bool_]:
    """Where a window has no spectrum.

    A pixel is empty where every band is zero or has no data, as warping and mosaicking leave it around an image;
    and where it is saturated: where a value reaches ``saturated``, if that is given, or else, for integers, where
    at least half of the bands hold the type's largest number, at which a sensor or a conversion clips. A single
    clipped band is left alone: in 8-bit images 255 is an ordinary bright value, too. A cube of one band has no
    spectrum, and only a given ``saturated`` applies to it.

    Args:
        values: the window as read, ``(bands, rows, cols)``, NaN for no data.
        stored: the same window as stored, whose type tells the largest number.
        saturated: stored value from which a pixel is saturated; by default the rule for integers.
        zeros: whether a pixel that is zero in every band is empty: not where the file says in full what is.

    Returns:
        Bool ``(rows, cols)``.
    """
    empty = np.zeros(values.shape[1:], dtype=bool)
    if not values.size:
        return empty
    if saturated is not None:
        empty |= ((stored.astype(np.float64) >= saturated) & ~np.isnan(values)).any(axis=0)
    elif len(values) > 1 and stored.dtype.kind in "iu":
        largest = np.iinfo(stored.dtype.name).max
        if stored.max() == largest:  # one quick pass, and rarely true
            empty |= ((stored == largest) & ~np.isnan(values)).sum(axis=0) >= SATURATED_SHARE * len(values)
    if len(values) > 1:
        # One band rules out nearly every pixel of an ordinary window.
        row, col = np.nonzero((zeros & (values[0] == 0)) | np.isnan(values[0]))
        there = values[:, row, col]
        empty[row, col] |= ((zeros & (there == 0)) | np.isnan(there)).all(axis=0)
    return empty
