"""Date 2 on date 1's grid, resampled window by window; and a truth map on the scene's."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError
from hsi_cd.scene import UNLABELLED, Cube, Grid, Labels
from hsi_cd.scene.contract import to_pixels
from hsi_cd.scene.cube import derived_cube

_LARGEST_RATIO = 8  # pixels of date 2 across one of date 1; beyond, the scenes do not belong together
_BLOCK = 256  # rows of a truth map that are placed at once


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
    down, across = _pixel_size(cube.grid, grid, names, ("both dates", "two dates of one place"))
    points = (max(1, round(down)), max(1, round(across)))
    return derived_cube(cube, _Aligned(cube, grid, points), grid=grid)


def align_labels(labels: Labels, grid: Grid, *, what: str = "truth") -> Labels:
    """A truth map on another grid: each pixel gets the class of the pixel in which its centre lies, or none.

    Args:
        labels: the truth map, with its place.
        grid: the grid to put it on.
        what: what messages call it.

    Raises:
        GridError: one of them has no georeference, their CRSs cannot be related, they do not overlap, or their
            pixels differ in size by more than eight times.
    """
    names = f"the {what} ({labels.name}) cannot be put on the scene's grid"
    _pixel_size(labels.grid, grid, names, (f"scene and {what}", f"the {what} map of this scene"))
    values = np.full(grid.shape, UNLABELLED, dtype=np.uint8)
    kinds = None if labels.kinds is None else np.zeros(grid.shape, dtype=labels.kinds.dtype)
    shapes = None if labels.shapes is None else np.zeros(grid.shape, dtype=np.int32)
    for top in range(0, grid.rows, _BLOCK):
        row, col = np.mgrid[top : min(top + _BLOCK, grid.rows), 0 : grid.cols]
        cols, rows = to_pixels(col + 0.5, row + 0.5, source=grid, target=labels.grid)
        there = (rows >= 0) & (rows < labels.grid.rows) & (cols >= 0) & (cols < labels.grid.cols)
        place = np.floor(rows[there]).astype(np.intp), np.floor(cols[there]).astype(np.intp)
        for out, stored in ((values, labels.values), (kinds, labels.kinds), (shapes, labels.shapes)):
            if out is not None and stored is not None:
                out[row[there], col[there]] = stored[place]
    return replace(labels, values=values, kinds=kinds, shapes=shapes, place=grid)


def _pixel_size(source: Grid, target: Grid, names: str, what: tuple[str, str]) -> tuple[float, float]:
    """How many pixels of one grid a pixel of the other spans, down and across.

    Raises:
        GridError: the grids cannot be related, do not overlap, or differ too much in the size of their pixels.
    """
    for each in (source, target):
        if each.transform is None:
            raise GridError(f"{names}: one of them has no CRS and transform; georeference {what[0]} first")
    corner_cols = np.array([0.0, target.cols, 0.0, target.cols])
    corner_rows = np.array([0.0, 0.0, target.rows, target.rows])
    cols, rows = to_pixels(corner_cols, corner_rows, source=target, target=source)
    if cols.max() <= 0 or rows.max() <= 0 or cols.min() >= source.cols or rows.min() >= source.rows:
        raise GridError(f"{names}: they do not overlap; give {what[1]}")
    across = math.hypot(cols[1] - cols[0], rows[1] - rows[0]) / target.cols
    down = math.hypot(cols[2] - cols[0], rows[2] - rows[0]) / target.rows
    if not 1 / _LARGEST_RATIO <= min(across, down) <= max(across, down) <= _LARGEST_RATIO:
        raise GridError(
            f"{names}: one pixel is {max(across, down):.3g} pixels wide there; resample the finer one first"
        )
    return down, across


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
