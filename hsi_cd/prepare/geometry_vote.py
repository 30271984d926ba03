"""What the shifts of many tiles say together: one shift, or a turn and a scale."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NARROWEST = 0.05  # pixels: a deviation below which no tile counts less than another
_WITHIN = 0.6  # pixels from a turn and a scale within which a tile is explained by it
_FEWEST = 4  # tiles that tell a turn and a scale
_SURE = 4.0  # standard errors
_LEAST = 0.1  # pixels: what a tile errs by at least, of which few that lie together make too much at the corners


@dataclass(frozen=True)
class Distortion:
    """How a date is turned and scaled against the other, about the scene's middle.

    Attributes:
        turn: degrees, counterclockwise as the image is seen.
        scale: by how much it is larger, as a share.
        stretch: by how much it is longer one way than the other, or sheared, as a share.
        at_corners: largest distance by which this moves a corner of the scene, pixels.
        rigid_at_corners: what of it the turn and the scale do without the stretch.
    """

    turn: float
    scale: float
    stretch: float
    at_corners: float
    rigid_at_corners: float

    def describe(self) -> str:
        """Its parts in words, those alone that matter: at least a third of the largest."""
        parts = {
            f"turned by {abs(self.turn):.2f} degrees": abs(math.radians(self.turn)),
            f"{'larger' if self.scale > 0 else 'smaller'} by {100 * abs(self.scale):.2f} %": abs(self.scale),
            f"stretched or sheared by {100 * self.stretch:.2f} %": self.stretch,
        }
        most = max(parts.values())
        return " and ".join(text for text, size in parts.items() if size >= most / 3)


def robust_mean(shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shift that most of ``(tiles, 2)`` tell: Cauchy-weighted, begun from their median."""
    centre = np.median(shifts, axis=0)
    for _ in range(20):
        distance = np.hypot(*(shifts - centre).T)
        width = max(_NARROWEST, 1.4826 * float(np.median(distance)))
        weight = 1 / (1 + np.square(distance / width))
        step = (shifts * weight[:, None]).sum(axis=0) / weight.sum() - centre
        centre = centre + step
        if np.abs(step).max() < 1e-5:
            break
    return np.asarray(centre)


def distortion_of(
    shifts: NDArray[np.float64],
    places: NDArray[np.float64],
    shape: tuple[int, int],
    *,
    within: float = _WITHIN,
    alone: float = 1.0,
) -> Distortion | None:
    """The turn and scale that most tiles tell.

    Every two tiles propose a turn, a scale and a shift; the proposal that explains most tiles is fitted to them
    (Fischler and Bolles 1981, doi 10.1145/358669.358692), with a stretch where they are many.

    Args:
        shifts: of the tiles, (down, right), ``(tiles, 2)``.
        places: their middles, (row, col), ``(tiles, 2)``.
        shape: of the scene, ``(rows, cols)``.
        within: pixels from it within which a tile is explained.
        alone: by how many tiles one of them counts, 0 to 1: those that overlap err alike.

    Returns:
        What they tell; None where they are too few, or where it is within the error of what they tell.
    """
    if len(shifts) < _FEWEST:
        return None
    centre = np.array(shape) / 2
    at = places - centre
    explained = _proposal(shifts, at, within)
    if explained.sum() < max(_FEWEST, 0.5 * len(shifts)):
        return None
    many = explained.sum() >= 8
    linear, covariance = _fitted(shifts[explained], at[explained], stretch=many)
    corners = np.array(list(itertools.product((-1, 1), repeat=2))) * centre
    moved = corners @ linear.T
    far = int(np.argmax(np.hypot(*moved.T)))
    away = float(np.hypot(*moved[far]))
    direction = np.kron(moved[far] / max(away, 1e-9), corners[far])
    if away < _SURE * math.sqrt(max(float(direction @ covariance @ direction) / alone, 0.0)):
        return None
    turn = math.degrees((linear[0, 1] - linear[1, 0]) / 2)
    scale = float(np.trace(linear)) / 2
    rest = linear - np.eye(2) * scale - np.array([[0.0, 1.0], [-1.0, 0.0]]) * math.radians(turn)
    stretch = float(np.hypot(rest[0, 0], rest[0, 1]))
    rigid = float(np.hypot(*centre)) * math.hypot(math.radians(turn), scale)
    return Distortion(-turn, scale, stretch, away, rigid)


def _proposal(shifts: NDArray[np.float64], at: NDArray[np.float64], within: float) -> NDArray[np.bool_]:
    """Which tiles the best turn, scale and shift of any two of them explain."""
    best = np.zeros(len(shifts), dtype=bool)
    spot, moved = at[:, 0] + 1j * at[:, 1], shifts[:, 0] + 1j * shifts[:, 1]
    for i, j in itertools.combinations(range(len(shifts)), 2):
        if spot[i] == spot[j]:
            continue
        factor = (moved[i] - moved[j]) / (spot[i] - spot[j])
        if abs(factor) > 0.3:  # no two dates are turned or scaled by so much and still found
            continue
        explained = np.abs(moved - moved[i] - factor * (spot - spot[i])) <= within
        if explained.sum() > best.sum():
            best = explained
    return best


def _fitted(
    shifts: NDArray[np.float64], at: NDArray[np.float64], *, stretch: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The linear part of the least squares fit, ``(2, 2)``, and the covariance of its four numbers."""
    rows = []
    for row, col in at:
        if stretch:
            rows += [[row, col, 0, 0, 1, 0], [0, 0, row, col, 0, 1]]
        else:
            rows += [[row, col, 1, 0], [col, -row, 0, 1]]
    design = np.array(rows)
    found, *_ = np.linalg.lstsq(design, shifts.ravel(), rcond=None)
    rest = shifts.ravel() - design @ found
    free = max(1, len(rest) - len(found))
    inverse = np.linalg.pinv(design.T @ design) * max(float(rest @ rest) / free, _LEAST**2)
    if stretch:
        return np.asarray(found[:4], dtype=np.float64).reshape(2, 2), inverse[:4, :4]
    spread = np.array([[1, 0], [0, 1], [0, -1], [1, 0]], dtype=np.float64)
    return (spread @ found[:2]).reshape(2, 2), spread @ inverse[:2, :2] @ spread.T
