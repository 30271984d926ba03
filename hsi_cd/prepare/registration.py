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

from hsi_cd.prepare.scratch import let_go
from hsi_cd.prepare.shift_evidence import exceeds_its_error, undoing_agrees

LARGEST_SHIFT = 2.0  # pixels: beyond, the dates want a proper registration, not an interpolation
LEADING = 6
"""Components on which the shift is measured, the clearest ones; the others are mostly noise."""
_SMALLEST = 0.15  # pixels: below, the interpolation blurs more than the shift costs
_KEPT = 0.5  # share of pixels that agree best: the others may have changed
_ITERATIONS = 6
_BLUR = 1.0  # pixels: makes a linear step towards the shift valid over a whole pixel


def measure_shift(
    t1: NDArray[np.float32], t2: NDArray[np.float32], noise: NDArray[np.float32]
) -> tuple[float, float]:
    """Shift of date 2 against date 1: what t1 shows at ``(r, c)``, t2 shows at ``(r + down, c + right)``.

    Gauss-Newton steps on the squared difference of the blurred leading components (Lucas and Kanade 1981), each
    weighted by its signal-to-noise ratio, over the half of the pixels that agree best. What is made of a scene on
    the way takes several times its memory, so it is made component by component.

    Args:
        t1: components of the earlier date, ``(components, rows, cols)``, NaN for no data; the first
            :data:`LEADING` count. May lie in a file (:mod:`hsi_cd.prepare.scratch`), of which little is then in
            memory at once.
        t2: components of the later date, the same shape.
        noise: noise deviation of each component, ``(components,)``.

    Returns:
        ``(down, right)`` in pixels, at most 2 each way; ``(0, 0)`` where it is below 0.15 pixels or within its
        own error, where undoing it does not bring the edges of the dates together, or where the scene is too small
        or too flat to tell.
    """
    if min(t1.shape[1:]) < 16:
        return 0.0, 0.0
    weight = (1 / np.maximum(noise[:LEADING], 1e-3)).astype(np.float32)
    # What one date lacks says nothing in the other: it would smooth into its neighbours in one date alone.
    both = _known(t1) & _known(t2)

    def weighted(date: NDArray[np.float32], component: int) -> NDArray[np.float32]:
        plane: NDArray[np.float32] = np.where(both, date[component], np.float32(0)) * weight[component]
        let_go(date)
        return plane

    first = np.empty((len(weight), *both.shape), dtype=np.float32)
    moved = np.empty_like(first)
    for component, blurred in enumerate(first):
        blurred[:] = _smooth(weighted(t1, component))
    inner = (slice(4, -4), slice(4, -4))
    known = both[inner]
    shift = step = np.zeros(2)
    down = right = rest = np.empty((0, 0))
    for _ in range(_ITERATIONS):
        error = np.zeros(known.shape, dtype=np.float32)
        for component, blurred in enumerate(moved):
            blurred[:] = _smooth(_resample_whole(weighted(t2, component), shift))
            error += np.square((first[component] - blurred)[inner])
        agree = known & (error <= np.quantile(error[known], _KEPT)) if known.any() else known
        del error, down, right, rest  # the last step's equations, before the next one's
        down, right, rest = _equations(first, moved, inner, agree)
        found = _step(down, right, rest)
        if found is None:
            return 0.0, 0.0
        step = found
        shift = np.clip(shift + step, -LARGEST_SHIFT, LARGEST_SHIFT)
    if math.hypot(*shift) < _SMALLEST:
        return 0.0, 0.0
    del first, moved, blurred
    for component, left in enumerate(rest):
        left -= step[0] * down[component] + step[1] * right[component]
    if not exceeds_its_error(shift, (down, right), rest, agree):
        return 0.0, 0.0
    del down, right, rest, left
    dates = ((weighted(t1, component), weighted(t2, component)) for component in range(len(weight)))
    agreed = undoing_agrees(dates, both, undo=partial(_resample_whole, shift=shift), smooth=_smooth)
    return (float(shift[0]), float(shift[1])) if agreed else (0.0, 0.0)


def _known(components: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a date has data in all components, bool ``(rows, cols)``."""
    known = np.ones(components.shape[1:], dtype=bool)
    for plane in components:
        known &= np.isfinite(plane)
        let_go(components)
    return known


def _step(
    down: NDArray[np.float64], right: NDArray[np.float64], rest: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The step that :func:`_equations` tell, by least squares; None where they tell none."""
    d, r, difference = down.ravel(), right.ravel(), rest.ravel()
    normal = np.array([[d @ d, d @ r], [d @ r, r @ r]])
    if not np.linalg.cond(normal) < 1e6:
        return None
    step: NDArray[np.float64] = np.linalg.solve(normal, [d @ difference, r @ difference])
    return step


def _equations(
    first: NDArray[np.float32], moved: NDArray[np.float32], inner: tuple[slice, slice], agree: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The equations of a step over the pixels that agree, one a component and pixel.

    Args:
        first: blurred components of date 1, ``(components, rows, cols)``.
        moved: those of date 2, moved onto it.
        inner: the part of a plane that ``agree`` lies in.
        agree: bool, the pixels that count.

    Returns:
        Slopes down and to the right, and the difference, of which each component's mean is taken out, each
        ``(components, pixels)``.
    """
    count = int(np.count_nonzero(agree))
    down, right = np.empty((2, len(first), count))
    # Pixel after pixel, which is how the mean over them rounds.
    rest = np.empty((count, len(first)), dtype=np.float32).T
    for component, (one, other) in enumerate(zip(first, moved, strict=True)):
        for axis, slope in enumerate((down, right)):
            mean = (np.gradient(one, axis=axis) + np.gradient(other, axis=axis)) / 2
            slope[component] = mean[inner][agree]
        rest[component] = (one - other)[inner][agree]
    if count:
        rest -= rest.mean(axis=1, keepdims=True)
    return down, right, rest.astype(np.float64, order="C")


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


def _resample_whole(plane: NDArray[np.float32], shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """The shift undone on one component of a whole scene, ``(rows, cols)``, with its edge pixels repeated."""
    pair = (float(shift[0]), float(shift[1]))
    radius = shift_radius(pair)
    moved: NDArray[np.float32] = undo_shift(np.pad(plane, radius, mode="edge")[None], pair, radius=radius)[0]
    return moved


def _smooth(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    smoothed: NDArray[np.float32] = scipy.ndimage.gaussian_filter(plane, _BLUR)
    return smoothed
