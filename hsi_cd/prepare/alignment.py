"""Date 2 on date 1's grid, and how far it still lies off: resampling by windows, and phase correlation."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

from hsi_cd.errors import GridError
from hsi_cd.scene import Cube, Grid, ScenePair
from hsi_cd.scene.contract import to_pixels
from hsi_cd.scene.cube import derived_cube

WORTH_TELLING = 0.5
"""Residual shift, pixels, from which a user is warned."""

_LARGEST_RATIO = 8  # pixels of date 2 across one of date 1; beyond, the scenes do not belong together
_TILE = 128  # side of a tile that phase correlation looks at
_TILES = 3  # tiles down and across
_LOOKS = 4  # groups of bands looked at in each tile
_SMALLEST = 32  # side of the smallest scene in which a shift can be told
_FINE = 20  # the shift is told to 1/20 pixel
_AGREE = 0.5  # pixels: median distance of the estimates from their median, beyond which they tell nothing


def align(cube: Cube, grid: Grid) -> Cube:
    """A cube resampled onto another grid, window by window, when it is read.

    Bilinear: a pixel's value is interpolated at its centre, exactly, so that it is the same in every window. Where
    the cube's pixels are smaller than the grid's, the mean of as many points in the pixel as it holds smaller
    ones. Where one of the four neighbours has no data, or outside of the cube, there is no data.

    Args:
        cube: the cube to resample.
        grid: the grid to put it on.

    Raises:
        GridError: one of them has no georeference, their CRSs cannot be related, they do not overlap, or their
            pixels differ in size by more than eight times.
    """
    names = f"{cube.name} cannot be put on the other date's grid"
    for each in (cube.grid, grid):
        if each.transform is None:
            raise GridError(f"{names}: one of them has no CRS and transform; georeference both dates first")
    corner_cols = np.array([0.0, grid.cols, 0.0, grid.cols])
    corner_rows = np.array([0.0, 0.0, grid.rows, grid.rows])
    cols, rows = to_pixels(corner_cols, corner_rows, source=grid, target=cube.grid)
    if cols.max() <= 0 or rows.max() <= 0 or cols.min() >= cube.grid.cols or rows.min() >= cube.grid.rows:
        raise GridError(f"{names}: they do not overlap; give two dates of one place")
    across = math.hypot(cols[1] - cols[0], rows[1] - rows[0]) / grid.cols
    down = math.hypot(cols[2] - cols[0], rows[2] - rows[0]) / grid.rows
    if not 1 / _LARGEST_RATIO <= min(across, down) <= max(across, down) <= _LARGEST_RATIO:
        raise GridError(
            f"{names}: one pixel is {max(across, down):.3g} pixels wide there; resample the finer one first"
        )
    points = (max(1, round(down)), max(1, round(across)))
    return derived_cube(cube, _Aligned(cube, grid, points), grid=grid)


@dataclass(frozen=True)
class _Aligned:
    """Reads windows of a cube on another grid.

    Attributes:
        cube: the cube.
        grid: the grid of the windows.
        points: points down and across a pixel that are averaged.
    """

    cube: Cube
    grid: Grid
    points: tuple[int, int]

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        height, width = max(0, rows.stop - rows.start), max(0, cols.stop - cols.start)
        total = np.zeros((self.cube.bands.count, height, width), dtype=np.float32)
        if not total.size:
            return total
        places = [self._places(rows, cols, *point) for point in itertools.product(*map(range, self.points))]
        edges = [(math.floor(min(p[i].min() for p in places)), math.ceil(max(p[i].max() for p in places)))
                 for i in range(2)]  # fmt: skip
        (top, bottom), (left, right) = (
            (max(0, low), min(length, high + 1))
            for (low, high), length in zip(edges, self.cube.grid.shape, strict=True)
        )
        if top >= bottom or left >= right:
            return np.full_like(total, np.nan)
        values = self.cube.read(slice(top, bottom), slice(left, right))
        for row, col in places:
            outside = (row < -0.5) | (row > self.cube.grid.rows - 0.5)
            outside |= (col < -0.5) | (col > self.cube.grid.cols - 0.5)
            total += _bilinear(values, row - top, col - left)
            total[:, outside] = np.nan
        total /= np.float32(len(places))
        return total

    def _places(
        self, rows: slice, cols: slice, down: int, across: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rows and columns in the cube, counted from the first pixel's centre, of one point in each pixel."""
        row = np.arange(rows.start, rows.stop) + (down + 0.5) / self.points[0]
        col = np.arange(cols.start, cols.stop) + (across + 0.5) / self.points[1]
        grid_row, grid_col = np.meshgrid(row, col, indexing="ij")
        there_col, there_row = to_pixels(grid_col, grid_row, source=self.grid, target=self.cube.grid)
        return there_row - 0.5, there_col - 0.5


def _bilinear(
    values: NDArray[np.float32], row: NDArray[np.float64], col: NDArray[np.float64]
) -> NDArray[np.float32]:
    """``values (bands, rows, cols)`` at fractional places; edge pixels are repeated outwards."""
    row0, col0 = np.floor(row).astype(np.intp), np.floor(col).astype(np.intp)
    part = (row - row0, col - col0)
    out = np.zeros((len(values), *row.shape), dtype=np.float32)
    for down, right in itertools.product((0, 1), repeat=2):
        weight = np.abs(1 - down - part[0]) * np.abs(1 - right - part[1])
        r = np.clip(row0 + down, 0, values.shape[1] - 1)
        c = np.clip(col0 + right, 0, values.shape[2] - 1)
        # A neighbour that counts nothing must not spread its "no data": so a shift by whole pixels is exact.
        out += np.where(weight > 1e-6, values[:, r, c] * weight.astype(np.float32), np.float32(0))
    return out


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
    """The shift between the dates, by phase correlation.

    Kuglin and Hines 1975; refined to 1/20 pixel after Guizar-Sicairos et al. 2008, doi 10.1364/OL.33.000156. Up to
    nine tiles of 128 x 128 pixels, spread over the scene, are looked at in four groups of bands each; the
    median of all estimates is the shift. So neither time nor memory grow with the scene, and change in some tiles
    does no harm. Its limits: only a translation is seen, of less than half a tile; a pattern that belongs to the
    sensor and not to the ground, such as stripes, or the same hole in both dates, draws the figure towards zero.

    Args:
        pair: the scene.

    Returns:
        The shift, or None where it cannot be told: the scene is too small or too flat, or the estimates disagree.
    """
    rows, cols = pair.shape
    if min(rows, cols) < _SMALLEST:
        return None
    found = []
    for top, left in itertools.product(_starts(rows), _starts(cols)):
        window = slice(top, top + min(_TILE, rows)), slice(left, left + min(_TILE, cols))
        t1, t2 = (_looks(values) for values in pair.read(*window))
        for a, b in zip(t1, t2, strict=True):
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


def _looks(values: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Means over groups of neighbouring bands, without their mean, faded out towards the tile's edges."""
    fade = np.outer(np.hanning(values.shape[1] + 2)[1:-1], np.hanning(values.shape[2] + 2)[1:-1])
    looks = []
    for group in np.array_split(np.arange(len(values)), min(_LOOKS, len(values))):
        known = np.isfinite(values[group])
        count = known.sum(axis=0)
        mean = np.where(known, values[group], 0).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
        inside = count > 0
        centred = np.where(inside, mean - mean[inside].mean(), 0.0) if inside.any() else np.zeros_like(mean)
        looks.append(centred * fade)
    return looks
