"""The shift of date 2 against date 1, a fraction of a pixel: measured once, undone by interpolation.

At the edge of a field, a shift of a third of a pixel looks like change. It is measured on the clearest
components of the whole scene without labels, frozen, and belongs to the scene's statistics.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import scipy
from numpy.typing import NDArray

from hsi_cd.prepare.shift_evidence import exceeds_its_error, undoing_agrees

LARGEST_SHIFT = 2.0  # pixels: beyond, the dates want a proper registration, not an interpolation
_SMALLEST = 0.15  # pixels: below, the interpolation blurs more than the shift costs
_COMPONENTS = 6  # the clearest ones; the others are mostly noise
_KEPT = 0.5  # share of pixels that agree best: the others may have changed
_ITERATIONS = 6
_BLUR = 1.0  # pixels: makes a linear step towards the shift valid over a whole pixel


def measure_shift(
    t1: NDArray[np.float32], t2: NDArray[np.float32], noise: NDArray[np.float32]
) -> tuple[float, float]:
    """Shift of date 2 against date 1: what t1 shows at ``(r, c)``, t2 shows at ``(r + down, c + right)``.

    Gauss-Newton steps on the squared difference of the blurred leading components (Lucas and Kanade 1981), each
    weighted by its signal-to-noise ratio, over the half of the pixels that agree best.

    Args:
        t1: components of the earlier date, ``(components, rows, cols)``, NaN for no data.
        t2: components of the later date, the same shape.
        noise: noise deviation of each component, ``(components,)``.

    Returns:
        ``(down, right)`` in pixels, at most 2 each way; ``(0, 0)`` where it is below 0.15 pixels or within its
        own error, where undoing it does not bring the edges of the dates together, or where the scene is too small
        or too flat to tell.
    """
    if min(t1.shape[1:]) < 16:
        return 0.0, 0.0
    weight = (1 / np.maximum(noise[:_COMPONENTS], 1e-3)).astype(np.float32)[:, None, None]
    # What one date lacks says nothing in the other: it would smooth into its neighbours in one date alone.
    both = np.asarray(np.isfinite(t1).all(axis=0) & np.isfinite(t2).all(axis=0))
    first = _smooth(np.where(both, t1[:_COMPONENTS], np.float32(0)) * weight)
    second = np.where(both, t2[:_COMPONENTS], np.float32(0)) * weight
    inner = (slice(None), slice(4, -4), slice(4, -4))
    known = both[inner[1:]]
    slope1 = np.gradient(first, axis=(1, 2))
    shift = np.zeros(2)
    for _ in range(_ITERATIONS):
        moved = _smooth(_resample_whole(second, shift))
        slope2 = np.gradient(moved, axis=(1, 2))
        difference = (first - moved)[inner]
        error = np.square(difference).sum(axis=0)
        agree = known & (error <= np.quantile(error[known], _KEPT)) if known.any() else known
        down, right = (
            ((a + b) / 2)[inner][:, agree].ravel().astype(np.float64) for a, b in zip(slope1, slope2, strict=True)
        )
        rest = difference[:, agree]
        rest = (
            (rest - rest.mean(axis=1, keepdims=True)).ravel().astype(np.float64) if agree.any() else rest.ravel()
        )
        normal = np.array([[down @ down, down @ right], [down @ right, right @ right]])
        if not np.linalg.cond(normal) < 1e6:
            return 0.0, 0.0
        step = np.linalg.solve(normal, [down @ rest, right @ rest])
        shift = np.clip(shift + step, -LARGEST_SHIFT, LARGEST_SHIFT)
    left = rest - step[0] * down - step[1] * right
    if math.hypot(*shift) < _SMALLEST or not exceeds_its_error(shift, (down, right), left, agree):
        return 0.0, 0.0
    dates = (np.where(both, t1[:_COMPONENTS], np.float32(0)) * weight, second)
    agreed = undoing_agrees(*dates, both, undo=partial(_resample_whole, shift=shift), smooth=_smooth)
    return (float(shift[0]), float(shift[1])) if agreed else (0.0, 0.0)


def shift_radius(shift: tuple[float, float]) -> int:
    """Pixels on each side that :func:`undo_shift` needs around a window."""
    taps = [tap for s in shift for tap, weight in _taps(s) if weight != 0]
    return max(abs(tap) for tap in taps)


def undo_shift(values: NDArray[np.float32], shift: tuple[float, float], *, radius: int) -> NDArray[np.float32]:
    """``values`` read at ``(r + down, c + right)``, by cubic convolution.

    Catmull-Rom's kernel (Keys 1981, doi 10.1109/TASSP.1981.1163711), four taps each way.

    Args:
        values: ``(components, rows, cols)``; a NaN spreads to the pixels that need it.
        shift: ``(down, right)`` in pixels.
        radius: rows and columns to lose on each side, at least ``shift_radius(shift)``.

    Returns:
        ``(components, rows - 2 radius, cols - 2 radius)``; a view where there is no shift.
    """
    rows, cols = values.shape[1] - 2 * radius, values.shape[2] - 2 * radius
    down = _weighted(values, shift[0], radius, rows, axis=1)
    return _weighted(down, shift[1], radius, cols, axis=2)


def _weighted(
    values: NDArray[np.float32], shift: float, radius: int, length: int, *, axis: int
) -> NDArray[np.float32]:
    out: NDArray[np.float32] | None = None
    for tap, weight in _taps(shift):
        if weight == 0:
            continue
        window = [slice(None)] * 3
        window[axis] = slice(radius + tap, radius + tap + length)
        term = values[tuple(window)] if weight == 1 else values[tuple(window)] * np.float32(weight)
        out = term if out is None else out + term
    return values if out is None else out


def _taps(shift: float) -> list[tuple[int, float]]:
    """Positions relative to the pixel and weights of the interpolation at ``shift``."""
    whole = math.floor(shift)
    t = shift - whole
    weights = (
        (-(t**3) + 2 * t**2 - t) / 2,
        (3 * t**3 - 5 * t**2 + 2) / 2,
        (-3 * t**3 + 4 * t**2 + t) / 2,
        (t**3 - t**2) / 2,
    )
    return [(whole + i - 1, weight) for i, weight in enumerate(weights)]


def _resample_whole(values: NDArray[np.float32], shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """The shift undone on a whole scene, with its edge pixels repeated."""
    pair = (float(shift[0]), float(shift[1]))
    radius = shift_radius(pair)
    padded = np.pad(values, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    return undo_shift(padded, pair, radius=radius)


def _smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
    smoothed: NDArray[np.float32] = scipy.ndimage.gaussian_filter(values, (0, _BLUR, _BLUR))
    return smoothed
