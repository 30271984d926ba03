"""Whether a measured shift is one: it must exceed its own error, and bring the edges of the dates together.

The least squares that measure a shift compare values. Where a change, or each date's own scaling, gives the dates
values that do not compare, their sum has its least value anywhere, and ground that never moved would be moved.
Edges do not depend on a component's gain, offset or sign, and ground that moved shares them at one place alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import scipy
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Values = NDArray[np.float64]

_ERRORS = 4.0  # standard errors: pixels that agree best were chosen, and chance among them goes far
_SIDE = 8  # pixels of the squares whose errors are taken to be independent; smoothing joins nearer ones
_FEWEST = 4  # such squares: fewer tell no error
_PART = 0.5  # of the edges that such a shift would cost the dates, and that undoing it must bring back
_MARGIN = 4  # pixels around what is not known, and at the scene's border, which smoothing has drawn on


def exceeds_its_error(
    shift: NDArray[np.float64], slopes: tuple[Values, Values], rest: Values, used: NDArray[np.bool_]
) -> bool:
    """Whether a shift found by least squares is more than its error explains.

    Pixels are not independent, after smoothing least of all; squares of 8 x 8 pixels are taken to be. The
    covariance of the shift is then that of Liang and Zeger 1986 (doi 10.1093/biomet/73.1.13).

    Args:
        shift: ``(down, right)``, pixels.
        slopes: of the components down and to the right, each ``(components, pixels)``.
        rest: what the shift leaves unexplained, ``(components, pixels)``.
        used: which pixels of the scene these are, in their order, bool ``(rows, cols)``.
    """
    rows, cols = np.nonzero(used)
    _, square = np.unique(rows // _SIDE * used.shape[1] + cols // _SIDE, return_inverse=True)
    pulls = np.stack([np.bincount(square, np.einsum("kp,kp->p", slope, rest)) for slope in slopes])
    count = pulls.shape[1]
    if count < _FEWEST:
        return False
    spread = pulls @ pulls.T * count / (count - 1)
    if not np.linalg.cond(spread) < 1 / np.finfo(np.float64).eps:
        return not pulls.any()  # dates without noise: no error at all
    # The covariance is N^-1 spread N^-1, in whose units the shift's distance from none needs no inverse of N.
    pull = np.array([[np.vdot(a, b) for b in slopes] for a in slopes]) @ shift
    return bool(pull @ np.linalg.solve(spread, pull) >= _ERRORS**2)


def undoing_agrees(
    dates: Iterable[tuple[Plane, Plane]],
    known: NDArray[np.bool_],
    *,
    undo: Callable[[Plane], Plane],
    smooth: Callable[[Plane], Plane],
) -> bool:
    """Whether undoing a shift brings the edges of the dates together, as a shift of the ground must.

    The score is the sum of the squared correlations of the components' gradients. Were the shift true, the dates
    as they lie would have that of the undone ones, less what the same shift costs date 1 against itself. So much
    less, or half of it, is asked for.

    Args:
        dates: each component of the earlier and of the later date, weighted, ``(rows, cols)``; 0 for no data. One
            at a time: a scene's gradients need not lie in memory together.
        known: where both dates have data, bool ``(rows, cols)``.
        undo: undoes the shift on ``(rows, cols)``.
        smooth: smooths ``(rows, cols)`` as for the measurement of the shift.
    """
    inside = scipy.ndimage.binary_erosion(known, iterations=_MARGIN)
    if not inside.any():
        return False
    here = there = lost = 0.0
    for a, b in dates:
        edges = _gradients(smooth(a), inside)
        undone = _correlation(edges, _gradients(smooth(undo(b)), inside))
        here += _correlation(edges, _gradients(smooth(b), inside)) ** 2
        there += undone**2
        lost += undone**2 * (1 - _correlation(edges, _gradients(smooth(undo(a)), inside)) ** 2)
    return there - here > _PART * lost


def _gradients(plane: Plane, inside: NDArray[np.bool_]) -> Values:
    """Slopes of one component down and to the right, side by side, where they are known."""
    slopes: tuple[Plane, Plane] = (np.gradient(plane, axis=0), np.gradient(plane, axis=1))
    return np.concatenate([slope[inside] for slope in slopes]).astype(np.float64)


def _correlation(a: Values, b: Values) -> float:
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0
