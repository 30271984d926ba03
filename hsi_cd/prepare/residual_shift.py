"""How far the dates of a scene lie off each other, by phase correlation: looked at, told, never undone here."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hsi_cd.scene import ScenePair

WORTH_TELLING = 0.5
"""Residual shift, pixels, from which a user is warned."""

_TILE = 128  # side of a tile that phase correlation looks at
_TILES = 3  # tiles down and across
_LOOKS = 4  # groups of bands looked at in each tile
_SMALLEST = 32  # side of the smallest scene in which a shift can be told
_FINE = 20  # the shift is told to 1/20 pixel
_AGREE = 0.5  # pixels: median distance of the estimates from their median, beyond which they tell nothing


@dataclass(frozen=True)
class ResidualShift:
    """Where date 2 lies against date 1: what t1 shows at ``(r, c)``, t2 shows at ``(r + down, c + right)``.

    Attributes:
        down: pixels down.
        right: pixels to the right.
        spread: median distance of the single estimates from (down, right), pixels.
    """

    down: float
    right: float
    spread: float

    @property
    def size(self) -> float:
        """Length of the shift, pixels."""
        return math.hypot(self.down, self.right)

    def describe(self) -> str:
        """The shift in words, with its size."""
        vertical, horizontal = "down" if self.down >= 0 else "up", "right" if self.right >= 0 else "left"
        return f"{abs(self.down):.2f} pixels {vertical} and {abs(self.right):.2f} {horizontal} ({self.size:.2f})"


def residual_shift(pair: ScenePair) -> ResidualShift | None:
    """The shift between the dates; reads the tiles alone, see :class:`ShiftWatch`.

    Args:
        pair: the scene.

    Returns:
        The shift, or None where it cannot be told: the scene is too small or too flat, or the estimates disagree.
    """
    watch = ShiftWatch(pair.shape)
    for tile in watch.tiles:
        rows = slice(tile.top, tile.top + tile.height)
        tile.see(tile.top, pair.read(rows, slice(tile.left, tile.left + tile.width)))
    return watch.shift()


class ShiftWatch:
    """Looks at a scene while it is read for something else, and tells how far its dates lie off each other.

    Kuglin and Hines 1975; refined to 1/20 pixel after Guizar-Sicairos et al. 2008, doi 10.1364/OL.33.000156. Up to
    nine tiles of 128 x 128 pixels, spread over the scene, are looked at in four groups of bands each; the
    median of all estimates is the shift. So neither time nor memory grow with the scene, and change in some tiles
    does no harm. Its limits: only a translation is seen, of less than half a tile; a pattern that belongs to the
    sensor and not to the ground, such as stripes, or the same hole in both dates, draws the figure towards zero.

    Attributes:
        tiles: where it looks; none in a scene too small to tell.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        """For a scene of ``(rows, cols)``."""
        rows, cols = shape
        places = itertools.product(_starts(rows), _starts(cols)) if min(shape) >= _SMALLEST else ()
        self.tiles = [_Tile(top, left, min(_TILE, rows), min(_TILE, cols)) for top, left in places]

    def see(self, row: int, dates: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
        """Take in whole rows of both dates, ``(bands, rows, cols)``, the first of them ``row``; in any order."""
        for tile in self.tiles:
            first, last = max(row, tile.top), min(row + dates[0].shape[1], tile.top + tile.height)
            if first < last:
                cols = slice(tile.left, tile.left + tile.width)
                tile.see(first, tuple(values[:, first - row : last - row, cols] for values in dates))

    def shift(self) -> ResidualShift | None:
        """The shift, once every tile was seen; None where it cannot be told."""
        from skimage.registration import phase_cross_correlation

        found = []
        for tile in self.tiles:
            for a, b in zip(*tile.looks(), strict=True):
                if a.any() and b.any():
                    shift, _, _ = phase_cross_correlation(a, b, upsample_factor=_FINE)  # type: ignore[no-untyped-call]
                    found.append(-np.asarray(shift))
        if not found:
            return None
        middle = np.median(found, axis=0)
        spread = float(np.median(np.hypot(*(np.asarray(found) - middle).T)))
        return ResidualShift(float(middle[0]), float(middle[1]), spread) if spread <= _AGREE else None


def _starts(length: int) -> list[int]:
    """First pixels of the tiles along an axis: spread evenly, and no two nearer than a tile."""
    count = max(1, min(_TILES, length // _TILE))
    room = max(0, length - _TILE)
    return [room // 2] if count == 1 else [round(i * room / (count - 1)) for i in range(count)]


@dataclass
class _Tile:
    """A square of a scene: means over groups of neighbouring bands, of both dates, NaN where none has data."""

    top: int
    left: int
    height: int
    width: int
    means: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = field(default_factory=lambda: ([], []))

    def see(self, row: int, dates: tuple[NDArray[np.float32], ...]) -> None:
        """Take in some of the tile's rows, the first of them ``row`` of the scene."""
        for means, values in zip(self.means, dates, strict=True):
            groups = np.array_split(np.arange(len(values)), min(_LOOKS, len(values)))
            if not means:
                means.extend(np.full((self.height, self.width), np.nan) for _ in groups)
            for mean, group in zip(means, groups, strict=True):
                known = np.isfinite(values[group])
                count = known.sum(axis=0)
                total = np.where(known, values[group], 0).sum(axis=0, dtype=np.float64)
                start = row - self.top
                mean[start : start + values.shape[1]] = np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def looks(self) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """The groups' means without their own mean, faded out towards the tile's edges; 0 for no data."""
        fade = np.outer(np.hanning(self.height + 2)[1:-1], np.hanning(self.width + 2)[1:-1])
        first, second = ([_centred(mean) * fade for mean in means] for means in self.means)
        return first, second


def _centred(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.isfinite(mean)
    return np.where(inside, mean - mean[inside].mean(), 0.0) if inside.any() else np.zeros_like(mean)
