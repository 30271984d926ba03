"""Where no shift lays two dates on one another: does a turn, a mirroring or another scale do it?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from hsi_cd.prepare.tile_correlation import edges_of, fit_tile, highest

SIDE, AROUND = 128, 48
"""Side of the tile that is tried, and pixels around it in the other date."""

_TURNS = (1.5, 3.0, 4.5, 6.0, 7.5, 9.0, 10.5, 12.0)  # degrees, each way: a tile bears three quarters of a degree
_SCALES = (2.0, 4.0, 6.0, 8.0, 10.0)  # percent, larger and smaller
_FINER = (-1.0, -0.5, 0.5, 1.0)  # of either, around the best
_OTHERS = {
    "turned by 90 degrees": [[0.0, 1.0], [-1.0, 0.0]],
    "turned by 90 degrees the other way": [[0.0, -1.0], [1.0, 0.0]],
    "turned by 180 degrees": [[-1.0, 0.0], [0.0, -1.0]],
    "upside down": [[-1.0, 0.0], [0.0, 1.0]],
    "mirrored": [[1.0, 0.0], [0.0, -1.0]],
    "turned by 90 degrees and mirrored (rows and columns are exchanged)": [[0.0, 1.0], [1.0, 0.0]],
}
_STANDS_OUT = 12.0  # deviations, as of the search for a shift
_ALONE = 1.3  # times the next peak: where many ways are tried, one of two places reaches 1.2


def turn_in_words(tile: NDArray[np.float32], window: NDArray[np.float32]) -> str | None:
    """How the later date seems to be turned, mirrored or scaled against the earlier one.

    Args:
        tile: a part of the earlier date, ``(looks, rows, cols)``, NaN for no data.
        window: the later date around the same place, ``(looks, rows, cols)``, with the same middle.

    Returns:
        Words as ``turned by about 4.5 degrees``; None where nothing that is tried makes them alike.
    """
    here = edges_of(tile)
    origin = ((tile.shape[1] - window.shape[1]) // 2, (tile.shape[2] - window.shape[2]) // 2)
    if here.flat:
        return None

    def height(way: _Way) -> float:
        there = edges_of(_warped(window, np.array(way.back)))
        if there.flat:
            return 0.0
        _, found, second = highest(fit_tile(here, there, origin, reach=AROUND).standing_out())
        return found if found > _ALONE * second else 0.0

    found = max((height(way), way) for way in _ways())
    if found[0] < _STANDS_OUT:
        return None
    best = found[1]
    if best.kind:
        found = max(found, *((height(way), way) for way in (best.by(more) for more in _FINER)))
    return found[1].words


@dataclass(frozen=True, order=True)
class _Way:
    """A way in which the later date may lie.

    Attributes:
        kind: ``turn`` or ``scale``, or empty for one of the others.
        size: degrees or percent.
        name: what it is called, of the others.
    """

    kind: str
    size: float = 0.0
    name: str = ""

    @property
    def back(self) -> list[list[float]]:
        """What undoes it: the linear part of a map from the tile's places to the window's."""
        if self.kind == "turn":
            angle = math.radians(self.size)
            return [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
        if self.kind == "scale":
            factor = 1 + self.size / 100
            return [[factor, 0.0], [0.0, factor]]
        return _OTHERS[self.name]

    @property
    def words(self) -> str:
        """It in words, with its size."""
        if self.kind == "turn":
            return f"turned by about {abs(self.size):g} degrees"
        if self.kind == "scale":
            return f"{'larger' if self.size > 0 else 'smaller'} by about {abs(self.size):g} %"
        return self.name

    def by(self, more: float) -> _Way:
        """The same by a little more or less."""
        return replace(self, size=self.size + more)


def _ways() -> list[_Way]:
    sizes = {"turn": _TURNS, "scale": _SCALES}
    ways = [_Way(kind, sign * size) for kind, each in sizes.items() for size in each for sign in (-1, 1)]
    return ways + [_Way("", name=name) for name in _OTHERS]


def _warped(values: NDArray[np.float32], back: NDArray[np.float64]) -> NDArray[np.float32]:
    """The window as it would be, were that undone about its middle; bilinear, NaN for no data."""
    middle = (np.array(values.shape[1:]) - 1) / 2
    offset = middle - back @ middle
    layers = [
        scipy.ndimage.affine_transform(layer, back, offset, order=1, mode="constant", cval=np.nan)
        for layer in values
    ]
    return np.stack(layers).astype(np.float32)
