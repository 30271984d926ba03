"""Shapes on a grid of pixels: which of them each pixel belongs to."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray

NOBODY = np.iinfo(np.int32).max
"""In place of a shape's number, where a pixel belongs to none."""

_SEARCHED = 64  # pixels of a small shape's surroundings that are measured, for the one of which it covers most
_WINDOW = 1 << 24  # pixels of the largest window in which it is looked for whether a shape covers a pixel's centre


@dataclass(frozen=True)
class PixelShapes:
    """Shapes in pixels: ``(0, 0)`` is the upper left corner of the first pixel, x goes by columns.

    Attributes:
        geometry: shapely geometries ``(shapes,)``: points, lines, polygons or several polygons, none empty.
        numbers: of each, from 1, int32 ``(shapes,)``.
    """

    geometry: NDArray[np.object_]
    numbers: NDArray[np.int32]

    def of(self, which: NDArray[np.bool_]) -> PixelShapes:
        """Some of them."""
        return PixelShapes(self.geometry[which], self.numbers[which])


def burn(shapes: PixelShapes, shape: tuple[int, int]) -> NDArray[np.int32]:
    """The number of the shape that each pixel belongs to, of several the smallest; else :data:`NOBODY`.

    A pixel belongs to a polygon that covers its centre, to a line that touches it, to a point that lies in it. A
    polygon that covers no centre gets the pixel of which it covers most.

    Args:
        shapes: points, lines and polygons.
        shape: ``(rows, cols)``.

    Returns:
        int32 ``(rows, cols)``.
    """
    dimensions = shapely.get_dimensions(shapes.geometry)
    polygons, lines, points = (shapes.of(dimensions == dimension) for dimension in (2, 1, 0))
    out = _rasterized(polygons, shape, all_touched=False)
    if len(lines.numbers):
        np.minimum(out, _rasterized(lines, shape, all_touched=True), out=out)
    x, y = shapely.get_x(points.geometry), shapely.get_y(points.geometry)
    small = polygons.of(_covers_no_centre(polygons, out))
    col, row = (
        np.concatenate(parts) for parts in zip((np.floor(x), np.floor(y)), _covered_most(small), strict=True)
    )
    inside = (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])
    places = row[inside].astype(np.intp), col[inside].astype(np.intp)
    np.minimum.at(out, places, np.concatenate((points.numbers, small.numbers))[inside])
    return out


def are_there(numbers: NDArray[np.int32], burnt: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which shapes have a pixel, bool ``(shapes,)``; without sorting the pixels, of which there may be many."""
    there = np.zeros(int(numbers.max(initial=0)) + 1, dtype=bool)
    there[burnt[(burnt != NOBODY) & (burnt < len(there))]] = True
    found: NDArray[np.bool_] = there[numbers]
    return found


def _rasterized(shapes: PixelShapes, shape: tuple[int, int], *, all_touched: bool) -> NDArray[np.int32]:
    if not len(shapes.numbers):
        return np.full(shape, NOBODY, dtype=np.int32)
    # What is burnt last stays: so the first shape is the last.
    order = np.argsort(shapes.numbers)[::-1]
    burnt: NDArray[np.int32] = rasterio.features.rasterize(
        # As text and back: shapely's own mapping of a polygon takes ten times as long.
        zip(
            map(json.loads, shapely.to_geojson(shapes.geometry[order])),
            shapes.numbers[order].tolist(),
            strict=True,
        ),
        out_shape=shape,
        fill=NOBODY,
        all_touched=all_touched,
        dtype="int32",
    )
    return burnt


def _covers_no_centre(polygons: PixelShapes, burnt: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which polygons cover no pixel's centre, in the scene or beyond it; those that others hide do."""
    small = ~are_there(polygons.numbers, burnt)
    if not small.any():
        return small
    left, top, right, bottom = np.floor(shapely.bounds(polygons.geometry) + 0.5).T  # of the centres beyond them
    near = small & (right > left) & (bottom > top)  # a centre lies in the rectangle around it
    inner = shapely.get_coordinates(shapely.point_on_surface(polygons.geometry[near]))
    middle = np.floor(inner) + 0.5
    near[near] = ~shapely.contains_xy(polygons.geometry[near], middle[:, 0], middle[:, 1])
    small &= ~((right > left) & (bottom > top)) | near
    for i in np.flatnonzero(near):
        size = int(bottom[i] - top[i]) + 2, int(right[i] - left[i]) + 2
        if size[0] * size[1] > _WINDOW:
            small[i] = False
            continue
        moved = shapely.transform(polygons.geometry[i], lambda xy, i=i: xy - (left[i] - 1, top[i] - 1))
        small[i] = not rasterio.features.rasterize([moved], out_shape=size, dtype="uint8").any()
    return small


def _covered_most(polygons: PixelShapes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row of the pixel of which each small polygon covers most; of a long one, of a pixel in it."""
    geometry = polygons.geometry
    inner = np.floor(shapely.get_coordinates(shapely.point_on_surface(geometry))).reshape(-1, 2)
    left, top, right, bottom = shapely.bounds(geometry).reshape(-1, 4).T
    left, top = np.floor(left), np.floor(top)
    cols, rows = (np.maximum(np.ceil(end) - start, 1) for start, end in ((left, right), (top, bottom)))
    for i in np.flatnonzero((cols * rows > 1) & (cols * rows <= _SEARCHED)):
        row, col = np.mgrid[0 : rows[i], 0 : cols[i]].reshape(2, -1)
        row, col = row + top[i], col + left[i]
        areas = shapely.area(shapely.intersection(geometry[i], shapely.box(col, row, col + 1, row + 1)))
        if areas.max() > 0:
            inner[i] = col[areas.argmax()], row[areas.argmax()]
    return inner[:, 0], inner[:, 1]
