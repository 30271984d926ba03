"""How well a tile of one date fits on the other, at every offset: masked correlation of the directions of edges.

Two dates of one place share their edges, whatever season, light and sensor do to their brightness. To find where
a tile lies, an edge is looked at by its direction modulo half a turn: a field that was darker than its neighbour
and is brighter now has the same edges. To tell fractions of a pixel, by its whole direction, in each look with the
sign that the look has there: squared, directions would be drawn to whole pixels. Pixels without data, and those
beside them, enter no sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

_BLUR = 1.0  # pixels: below, noise and aliasing bend the directions
_REACH = 2  # pixels around a gap whose edges the gap itself may have made
_FEWEST = 0.25  # of a tile's pixels that must meet data: less says nothing
_FILLED = 0.02  # of a window, from which a flat part at an end of its values is no ground
_EDGED = 0.02  # of the most that meets, which the edges that meet must amount to
_AROUND = 8  # pixels around a peak between which it is interpolated
_NARROW = 4  # pixels around a peak that belong to it


@dataclass(frozen=True)
class Edges:
    """Directions of the edges of a window.

    Attributes:
        values: complex64 ``(looks, rows, cols)``: the edge's angle, or twice that, and nearly 1 where it is
            strong; 0 for no data.
        there: bool ``(rows, cols)``, where there is one.
    """

    values: NDArray[np.complex64]
    there: NDArray[np.bool_]

    @property
    def flat(self) -> bool:
        """Whether there is no edge at all."""
        return not self.values.any()


def edges_of(looks: NDArray[np.float32]) -> Edges:
    """The edges in a window, an edge from dark to bright being one with an edge the other way.

    Args:
        looks: ``(looks, rows, cols)``, NaN for no data: a pixel that lacks one look has no edge.
    """
    return _edges(*_slopes(looks), directed=False)


def edges_both_ways(looks: NDArray[np.float32]) -> tuple[Edges, Edges]:
    """The same, and the edges that tell one from dark to bright from one the other way."""
    slopes, there = _slopes(looks)
    return _edges(slopes, there, directed=False), _edges(slopes, there, directed=True)


def _slopes(looks: NDArray[np.float32]) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """How the looks rise to the right and (imaginary) downwards, and where that is told."""
    known = _told(looks)
    weight = np.maximum(scipy.ndimage.gaussian_filter(known.astype(np.float32), _BLUR), np.float32(1e-3))
    there = scipy.ndimage.binary_erosion(known, np.ones((3, 3), bool), iterations=_REACH)
    slopes = np.zeros(looks.shape, dtype=np.complex64)
    for look, out in zip(looks, slopes, strict=True):
        level = look[known].mean() if known.any() else 0  # a large level would drown small differences
        smooth = scipy.ndimage.gaussian_filter(np.where(known, look - level, np.float32(0)), _BLUR) / weight
        down, right = np.gradient(smooth)
        out[:] = np.where(there, right + 1j * down, 0)
    return slopes, there


def _edges(slopes: NDArray[np.complex64], there: NDArray[np.bool_], *, directed: bool) -> Edges:
    values = np.zeros_like(slopes)
    for slope, out in zip(slopes, values, strict=True):
        size = np.abs(slope)
        typical = float(np.median(size[there])) if there.any() else 0.0
        typical = typical or (float(size[there].mean()) if there.any() else 0.0)
        if typical > 0:
            unit = slope if directed else np.square(slope) / np.maximum(size, np.finfo(np.float32).tiny)
            out[:] = _without_stripes(unit / (size + typical), there)
    return Edges(values, there)


def _told(looks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where every look has a value that is none of a border that nobody declared, or clipped.

    Such parts are flat and hold the window's least or largest value. Where both dates were cut to one shape, their
    outline would lie still while the ground moves.
    """
    known = np.asarray(np.isfinite(looks).all(axis=0), dtype=bool)
    if not known.any():
        return known
    level = looks[0]
    for extreme in (level[known].min(), level[known].max()):
        part = known & (level == extreme)
        if part.sum() >= _FILLED * known.size:
            part &= _flat(looks, known)
        if part.sum() >= _FILLED * known.size:
            known = known & ~scipy.ndimage.binary_dilation(part, np.ones((3, 3), bool))
    return known


def _flat(looks: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where no look differs from the pixels around it."""
    flat = np.ones_like(known)
    for look in looks:
        filled = np.where(known, look, np.float32(np.inf))
        flat &= scipy.ndimage.maximum_filter(filled, 3) == scipy.ndimage.minimum_filter(filled, 3)
    return flat


def _without_stripes(values: NDArray[np.complexfloating], there: NDArray[np.bool_]) -> NDArray[np.complexfloating]:
    """The edges without their means over columns and rows: a sensor's stripes lie still while the ground moves."""
    for axis in (0, 1):
        count = np.maximum(there.sum(axis=axis, keepdims=True), 1)
        values = np.where(there, values - values.sum(axis=axis, keepdims=True) / count, 0)
    return values


@dataclass(frozen=True)
class Fit:
    """How well a tile fits at each offset.

    Attributes:
        values: correlation, -1 to 1, ``(2 reach + 1, 2 reach + 1)``; the middle is the offset 0, and 0 is also
            where too little data meets.
        count: pixels that meet there, the same shape; 0 where they are too few.
    """

    values: NDArray[np.float32]
    count: NDArray[np.float32]

    @property
    def reach(self) -> int:
        """Largest offset each way, pixels."""
        return len(self.values) // 2

    def standing_out(self) -> NDArray[np.float64]:
        """The correlation in deviations of all the others, each as sure as the pixels that meet make it."""
        known = self.count > 0
        if not known.any():
            return np.zeros(self.values.shape)
        sure = self.values * np.sqrt(self.count, dtype=np.float64)
        middle = np.median(sure[known])
        deviation = 1.4826 * np.median(np.abs(sure[known] - middle))
        return np.where(known, (sure - middle) / max(float(deviation), 1e-6), 0.0)


def fit_tile(
    tile: Edges, window: Edges, origin: tuple[int, int], *, reach: int, signs_at: tuple[int, int] | None = None
) -> Fit:
    """Correlate a tile of one date with a window of the other, at all offsets up to ``reach`` each way.

    Normalised cross-correlation under masks, by Fourier transforms (Padfield 2012, doi 10.1109/TIP.2011.2181402);
    all looks together. The edges have no mean, so none is taken away at each offset.

    Args:
        tile: of the earlier date.
        window: of the later one, around it.
        origin: the window's first row and column, counted from the tile's.
        reach: largest offset, pixels.
        signs_at: an offset (down, right) at which each look's own correlation tells its sign and its weight; by
            default all looks count alike.
    """
    steps = np.arange(-reach, reach + 1)
    shape, places, inside = [], [], []
    for length, around, start in zip(tile.there.shape, window.there.shape, origin, strict=True):
        lag = steps - start
        within = (lag > -length) & (lag < around)
        if not within.any():
            return Fit(*np.zeros((2, len(steps), len(steps)), np.float32))
        # As long as keeps what goes round at an end away from the offsets that are asked for.
        least, most = min(0, int(lag[within][0])), max(0, int(lag[within][-1]))
        shape.append(scipy.fft.next_fast_len(max(around - least, length + most)))
        places.append(lag % shape[-1])
        inside.append(within)
    cut, known = np.ix_(*places), inside[0][:, None] & inside[1][None, :]

    def spectrum(values: NDArray[np.complex64]) -> NDArray[np.complex64]:
        return np.asarray(scipy.fft.fft2(values, shape), dtype=np.complex64)

    def real_spectrum(values: NDArray[np.generic]) -> NDArray[np.complex64]:
        return np.asarray(scipy.fft.rfft2(values.astype(np.float32, copy=False), shape), dtype=np.complex64)

    def product(first: NDArray[np.complex64], second: NDArray[np.complex64]) -> NDArray[np.float32]:
        return np.asarray(scipy.fft.irfft2(np.conj(first) * second, shape)[cut], dtype=np.float32)

    here, around = real_spectrum(tile.there), real_spectrum(window.there)
    both = np.zeros(shape, np.complex64)
    for a, b in zip(tile.values, window.values, strict=True):
        shared = np.conj(spectrum(a)) * spectrum(b)
        if signs_at is not None:
            at = ((signs_at[0] - origin[0]) % shape[0], (signs_at[1] - origin[1]) % shape[1])
            turns = [np.exp(2j * np.pi * np.arange(n) * k / n) for n, k in zip(shape, at, strict=True)]
            sign = float((turns[0] @ shared @ turns[1]).real) / shared.size  # its correlation at that one offset
            shared *= np.float32(sign / max(1.0, float(tile.there.sum())))
        both += shared
    count = product(here, around)
    energy = product(real_spectrum(_energy(tile)), around), product(here, real_spectrum(_energy(window)))
    size = np.sqrt(np.maximum(energy[0], 0) * np.maximum(energy[1], 0))
    # Where a flat part meets another, rounding would be divided by rounding.
    enough = known & (count >= max(_FEWEST * tile.there.sum(), 1))
    enough &= size > _EDGED * size.max(where=known, initial=0)
    fit = scipy.fft.ifft2(both).real[cut] / np.maximum(size, np.float32(1e-6))
    return Fit(*(np.where(enough, each, 0).astype(np.float32) for each in (fit, count)))


def _energy(edges: Edges) -> NDArray[np.float32]:
    return np.square(np.abs(edges.values)).sum(axis=0)  # type: ignore[no-any-return]


def middle_of_match(
    tile: Edges, window: Edges, origin: tuple[int, int], at: tuple[int, int]
) -> tuple[float, float]:
    """The middle (row, col) of what fits at an offset, in the tile: gaps and a turn move it off the tile's own."""
    rows, cols = (
        slice(max(0, start - away), max(0, min(length, around + start - away)))
        for length, around, start, away in zip(tile.there.shape, window.there.shape, origin, at, strict=True)
    )
    there = [
        slice(each.start + away - start, each.stop + away - start)
        for each, start, away in zip((rows, cols), origin, at, strict=True)
    ]
    match = (np.conj(tile.values[:, rows, cols]) * window.values[:, there[0], there[1]]).real.sum(axis=0)
    weight = np.maximum(match, 0)
    total = max(float(weight.sum()), 1e-12)
    row = float(weight.sum(axis=1) @ np.arange(rows.start, rows.stop)) / total
    return row + 0.5, float(weight.sum(axis=0) @ np.arange(cols.start, cols.stop)) / total + 0.5


def highest(surface: NDArray[np.floating]) -> tuple[tuple[int, int], float, float]:
    """The peak of a surface of offsets ``(2 reach + 1, 2 reach + 1)``.

    Returns:
        Its offset (down, right), its height, and that of the next one, more than four pixels away.
    """
    reach = len(surface) // 2
    row, col = np.unravel_index(int(np.argmax(surface)), surface.shape)
    others = surface.copy()
    others[max(0, row - _NARROW) : row + _NARROW + 1, max(0, col - _NARROW) : col + _NARROW + 1] = -np.inf
    return (int(row) - reach, int(col) - reach), float(surface[row, col]), float(others.max())


def between_pixels(fit: Fit, peak: tuple[int, int]) -> tuple[float, float] | None:
    """The offset of a peak, to 1/100 pixel, by a spline through the correlation around it.

    Returns:
        ``(down, right)``; None where the peak lies at the edge of what was looked at.
    """
    row, col = peak[0] + fit.reach, peak[1] + fit.reach
    if not all(_AROUND <= place < len(fit.values) - _AROUND for place in (row, col)):
        return None
    part = fit.values[row - _AROUND : row + _AROUND + 1, col - _AROUND : col + _AROUND + 1].astype(np.float64)
    spline = scipy.ndimage.spline_filter(part, order=5)
    best = np.array([_AROUND, _AROUND], dtype=np.float64)
    for step in (0.25, 0.05, 0.01):
        around = np.arange(-4, 5) * step
        places = np.meshgrid(best[0] + around, best[1] + around, indexing="ij")
        values = scipy.ndimage.map_coordinates(spline, places, order=5, prefilter=False)
        at = np.unravel_index(int(np.argmax(values)), values.shape)
        best = np.array([places[0][at], places[1][at]])
    return peak[0] + float(best[0]) - _AROUND, peak[1] + float(best[1]) - _AROUND
