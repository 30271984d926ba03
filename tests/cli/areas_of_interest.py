"""Windows and polygons on images, for tests of areas of interest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import rasterio
import shapely

ROWS, COLS = slice(6, 39), slice(9, 33)
"""The window that the tests' rectangles cover, of 48 x 40 pixels."""


def read(path: Path) -> tuple[np.ndarray, dict[str, str], Any]:
    with rasterio.open(path) as file:
        return file.read(1), file.tags(), file.transform


def corners(path: Path, rows: slice = ROWS, cols: slice = COLS) -> tuple[float, float, float, float]:
    """Bounds of some pixels of a raster."""
    with rasterio.open(path) as file:
        left, top = file.transform @ (cols.start, rows.start)
        right, bottom = file.transform @ (cols.stop, rows.stop)
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def bounds_of(path: Path, rows: slice = ROWS, cols: slice = COLS) -> list[str]:
    return ["--bounds=" + ",".join(map(repr, corners(path, rows, cols)))]


def polygons(path: Path, image: Path, *shapes: shapely.Geometry, crs: int | None = None) -> Path:
    """Shapes in pixels of an image, as a file of polygons in a CRS."""
    with rasterio.open(image) as file:
        place, own = file.transform, file.crs.to_epsg()
    move = pyproj.Transformer.from_crs(own, crs or own, always_xy=True)
    wkb = []
    for shape in shapes:
        there = shapely.segmentize(shape, 1.0)  # which is straight in pixels
        there = shapely.transform(there, lambda xy: np.stack(move.transform(*(place @ tuple(xy.T))), axis=1))
        wkb.append(shapely.to_wkb(there))
    data = np.array(wkb, dtype=object)
    pyogrio.raw.write(path, data, [], [], geometry_type="Polygon", crs=f"EPSG:{crs or own}")
    return path


TWO = shapely.box(4, 3, 20, 15), shapely.Point(28.3, 34.1).buffer(9.4)


def covered_by(shapes: tuple[shapely.Geometry, ...], shape: tuple[int, int]) -> np.ndarray:
    row, col = np.mgrid[: shape[0], : shape[1]] + 0.5
    return shapely.contains_xy(shapely.union_all(shapes), col, row)
