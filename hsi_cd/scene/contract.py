"""Two rasters on one grid, or an error that tells how far they are apart."""

from __future__ import annotations

import math

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_gcps

from hsi_cd.errors import GridError
from hsi_cd.scene.grid import Grid
from hsi_cd.scene.surface import transformed

_TOLERANCE = 1e-3  # pixels: below this, two transforms are one transform written with other digits
_EARTH = 6371.0  # km, its mean radius: how far two scenes lie apart is told, not measured
_GCP_TOLERANCE = 0.5  # pixels: an affine fit to control points tells no more


def check_same_grid(
    first: Grid, second: Grid, *, names: tuple[str, str], remedy: str = "resample {second} to the grid of {first}"
) -> None:
    """Refuse two rasters that do not lie on one grid.

    A raster without a georeference (a MATLAB file) is compared by shape alone. Two ways to write one CRS are one
    CRS: what counts is where the corners lie.

    Args:
        first: grid of the first raster.
        second: grid of the second raster.
        names: what the two are called in the message, as ``("t1", "t2")``.
        remedy: what to do, with ``{first}`` and ``{second}`` for the names.

    Raises:
        GridError: with the difference in pixels and the remedy.
    """
    a, b = names
    what = remedy.format(first=a, second=b)
    shift = corner_distance(first, second)
    apart = "" if shift is None else f"their corners lie up to {shift:.3g} pixels apart, "
    if first.shape != second.shape:
        raise GridError(
            f"{a} has {first.rows} x {first.cols} pixels but {b} has {second.rows} x {second.cols}: "
            f"{apart}both must cover the same pixels; {what}"
        )
    if shift is None:
        if first.crs is not None and second.crs is not None and first.crs != second.crs:
            raise GridError(f"{a} is in {crs_name(first.crs)} but {b} in {crs_name(second.crs)}: {what}")
        return
    limit = _TOLERANCE if first.transform is not None and second.transform is not None else _GCP_TOLERANCE
    if shift > limit:
        if first.crs is not None and second.crs is not None and first.crs != second.crs:
            raise GridError(f"{a} is in {crs_name(first.crs)} but {b} in {crs_name(second.crs)}, {apart}so {what}")
        raise GridError(f"the grids of {a} and {b} differ by up to {shift:.3g} pixels: {what}")


def check_truth_grid(first: Grid, second: Grid, *, names: tuple[str, str]) -> None:
    """Refuse a truth map that does not lie on the grid of a scene or of a map; see :func:`check_same_grid`.

    Raises:
        GridError: with the difference; how to resample it is said where both have a place.
    """
    remedy = "give the truth map of this scene, on its grid"
    if corner_distance(first, second) is not None:
        remedy += ", or let open_labels resample it with like= and align=True"
    check_same_grid(first, second, names=names, remedy=remedy)


def is_same_grid(first: Grid, second: Grid) -> bool:
    """Whether two rasters lie on one grid, as far as they tell."""
    try:
        check_same_grid(first, second, names=("", ""))
    except GridError:
        return False
    return True


def window_of(part: Grid, whole: Grid, *, names: tuple[str, str], remedy: str) -> tuple[slice, slice]:
    """Where a raster of some pixels of a grid lies in it, as the map of an area of interest in its scene.

    Args:
        part: grid of the raster; that of all pixels, too.
        whole: the grid.
        names: what the two are called in messages.
        remedy: what to do where it is no part.

    Returns:
        Its rows and columns of the grid.

    Raises:
        GridError: as :func:`check_same_grid`, where it is no part.
    """
    row = col = 0
    if part.shape != whole.shape and placement(part) is not None and placement(whole) is not None:
        corner = np.zeros(1)
        try:
            across, down = to_pixels(corner, corner, source=part, target=whole)
            col, row = round(float(across[0])), round(float(down[0]))
        except GridError:
            pass  # which is told below
    rows, cols = slice(row, row + part.rows), slice(col, col + part.cols)
    inside = min(row, col) >= 0 and rows.stop <= whole.rows and cols.stop <= whole.cols
    if not (part.is_georeferenced and inside and is_same_grid(part, whole.part(rows, cols))):
        check_same_grid(part, whole, names=names, remedy=remedy)
    return rows, cols


def corner_distance(first: Grid, second: Grid) -> float | None:
    """The largest distance, in pixels of the first grid, between the same corner of two rasters.

    Returns:
        None where a raster has no georeference, or its CRS cannot be related to the other's.
    """
    mine, theirs = placement(first), placement(second)
    if mine is None or theirs is None:
        return None
    corners = np.array([(0, 0), (second.cols, 0), (0, second.rows), (second.cols, second.rows)], dtype=np.float64)
    own = np.array([(0, 0), (first.cols, 0), (0, first.rows), (first.cols, first.rows)], dtype=np.float64)
    try:
        col, row = to_pixels(corners[:, 0], corners[:, 1], source=second, target=first)
    except GridError:
        return None
    return float(np.hypot(col - own[:, 0], row - own[:, 1]).max())


def ground_distance(first: Grid, second: Grid) -> float | None:
    """How far the middles of two rasters lie apart on the ground, kilometres.

    Returns:
        None where one of them does not tell its place on the earth.
    """
    places = []
    for grid in (first, second):
        placed = placement(grid)
        if placed is None or placed[1] is None:
            return None
        x, y = placed[0] @ (grid.cols / 2, grid.rows / 2)
        try:
            lon, lat = transformed(placed[1], CRS.from_epsg(4326), [x], [y])
        except GridError:
            return None
        places.append((math.radians(float(lon[0])), math.radians(float(lat[0]))))
    (lon1, lat1), (lon2, lat2) = places
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    distance = 2 * _EARTH * math.asin(min(1.0, math.sqrt(half))) if math.isfinite(half) else math.nan
    return distance if math.isfinite(distance) else None


def overlap(first: Grid, second: Grid) -> bool:
    """Whether two rasters share ground, by the rectangle around the second in pixels of the first.

    Raises:
        GridError: a grid has no georeference, or its CRS cannot be related to the other's.
    """
    corners = np.array([(0, 0), (second.cols, 0), (0, second.rows), (second.cols, second.rows)], dtype=np.float64)
    cols, rows = to_pixels(corners[:, 0], corners[:, 1], source=second, target=first)
    return bool(cols.max() > 0 and rows.max() > 0 and cols.min() < first.cols and rows.min() < first.rows)


def holds(grid: Grid, x: float, y: float, crs: CRS) -> bool:
    """Whether a place lies on a raster; not where it does not tell its own place on the earth."""
    placed = placement(grid)
    if placed is None or placed[1] is None:
        return False
    point = Grid(1, 1, crs=crs, transform=Affine.identity())
    try:
        col, row = to_pixels(np.array([x]), np.array([y]), source=point, target=grid)
    except GridError:
        return False
    return bool(0 <= col[0] <= grid.cols and 0 <= row[0] <= grid.rows)


def to_pixels(
    col: NDArray[np.float64], row: NDArray[np.float64], *, source: Grid, target: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions on one grid, in the pixels of another; ``(0, 0)`` is the upper left corner of the first pixel.

    Args:
        col: columns on ``source``, of any shape.
        row: rows on ``source``, the same shape.
        source: grid of the positions.
        target: grid whose pixels are wanted.

    Returns:
        Columns and rows on ``target``.

    Raises:
        GridError: a grid has no georeference, or its CRS cannot be related to the other's.
    """
    here, there = placement(source), placement(target)
    if here is None or there is None:
        raise GridError("a raster without a georeference cannot be placed on another's grid")
    x, y = _apply(here[0], col, row)
    if here[1] != there[1] and here[1] is not None and there[1] is not None:
        try:
            x, y = transformed(here[1], there[1], x, y)
        except GridError as error:
            raise GridError(f"{crs_name(here[1])} cannot be related to {crs_name(there[1])}: {error}") from error
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise GridError(f"{crs_name(here[1])} cannot be related to {crs_name(there[1])} at this place")
    return _apply(~there[0], x, y)


def crs_name(crs: CRS) -> str:
    """A short name: ``EPSG:32651`` where there is a code, else the name inside the WKT."""
    code = crs.to_epsg()
    if code is not None:
        return f"EPSG:{code}"
    wkt: str = crs.to_wkt()
    return wkt.split('"')[1] if '"' in wkt else wkt[:40]


def placement(grid: Grid) -> tuple[Affine, CRS | None] | None:
    """From (col, row) to coordinates, and their CRS; for control points their best affine map."""
    if grid.transform is not None:
        return None if _is_flat(grid.transform) else (grid.transform, grid.crs)
    if len(grid.gcps) >= 3:
        fitted = from_gcps(list(grid.gcps))
        return None if _is_flat(fitted) else (fitted, grid.gcp_crs)
    return None


def _apply(
    transform: Affine, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def _is_flat(transform: Affine) -> bool:
    """Whether a transform squeezes the raster to a line or a point, as points on a line do."""
    t = transform
    area = math.hypot(t.a, t.d) * math.hypot(t.b, t.e)
    return not math.isfinite(area) or abs(t.determinant) <= 1e-9 * area
