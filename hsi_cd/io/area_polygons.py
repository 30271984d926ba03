"""An area of interest as people give it, polygons or bounds, put on the pixels of a scene."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsi_cd.errors import FormatError, GridError
from hsi_cd.io.burning import NOBODY, PixelShapes, burn
from hsi_cd.io.drawn_labels import in_pixels
from hsi_cd.io.shape_parts import parts_of
from hsi_cd.io.vector_files import ShapeTable, is_shapes, is_vector_file, read_layers, shapes_in_memory
from hsi_cd.scene import AreaOfInterest, Grid
from hsi_cd.scene.contract import crs_name, ground_distance, holds, placement, to_pixels
from hsi_cd.scene.undeclared import percent

Bounds = tuple[float, float, float, float]
"""``(min x, min y, max x, max y)``."""

_log = logging.getLogger(__name__)

_WGS84 = "EPSG:4326"
_STEPS = 32  # parts of each edge of a rectangle, which another CRS bends
_TOLD = 0.001  # share of an area beyond the scene from which it is told


def area_of_polygons(source: Any, grid: Grid, *, place: str = "the scene") -> AreaOfInterest:
    """The pixels whose centres polygons cover; of a polygon that covers none, the one of which it covers most.

    Args:
        source: the file, of whose layers all polygons count, or shapes in memory.
        grid: the scene's.
        place: what messages call it.

    Raises:
        MissingInputError: there is no such file.
        FormatError: it is damaged, of another kind, or holds no polygon.
        GridError: the file or the scene tells no CRS, or the polygons cover no pixel of the scene.
    """
    name = str(source) if isinstance(source, Path) else "shapes in memory"
    if not isinstance(source, Path) and not is_shapes(source):
        raise FormatError(
            f"aoi is a {type(source).__name__}: give a file of polygons, a GeoDataFrame or a FeatureCollection"
        )
    if isinstance(source, Path) and source.is_file() and not is_vector_file(source):
        raise FormatError(
            f"{source} is no file of polygons (GeoPackage, GeoJSON, Shapefile, FlatGeobuf or KML): draw the area "
            "in a GIS, or give its bounds="
        )
    tables = read_layers(source) if isinstance(source, Path) else [shapes_in_memory(source)]
    placed = placement(grid)
    if placed is None or placed[1] is None:
        lacks = "CRS" if placed is not None else "CRS and transform"
        raise GridError(
            f"the area of interest ({name}) is in {crs_name(tables[0].crs) if tables else 'a CRS'}, but {place} "
            f"has no {lacks} by which to find it there: georeference it first"
            + (", or give bounds= in its own coordinates" if placed is not None else "")
        )
    notes: list[str] = []
    found = [_polygons(table, grid, place, notes) for table in tables]
    polygons = np.concatenate([np.empty(0, dtype=object), *found])
    if not len(polygons):
        other = sum(len(table) for table in tables)
        holds = f"holds {other} shapes and no polygon" if other else "holds no shape"
        raise FormatError(f"the area of interest ({name}) is empty: it {holds}; draw polygons around it")
    for note in notes:
        _log.warning("the area of interest (%s): %s", name, note)
    return replace(_on_pixels(polygons, grid, name, place, ""), polygons=name)


def area_of_bounds(
    bounds: Bounds, grid: Grid, *, crs: str | None = None, place: str = "the scene"
) -> AreaOfInterest:
    """The pixels whose centres lie in a rectangle, or the one that holds most of a smaller one.

    Args:
        bounds: ``(min x, min y, max x, max y)``, finite and in this order.
        grid: the scene's.
        crs: CRS of the bounds; by default the scene's.
        place: what messages call it.

    Raises:
        GridError: the CRS is not understood, the scene has none to relate it to, or no pixel lies in the bounds.
    """
    name = "bounds " + ",".join(f"{value:.10g}" for value in bounds) + (f" in {crs}" if crs else "")
    placed = placement(grid)
    if placed is None or (crs is not None and placed[1] is None):
        lacks = "CRS and transform" if placed is None else f"CRS to which {crs} could be related"
        raise GridError(
            f"the area of interest ({name}) cannot be found: {place} has no {lacks}; georeference it first"
        )
    box, own = shapely.box(*bounds), placed[1] if crs is None else _crs(crs)
    if own != placed[1]:  # which bends the edges
        box = shapely.segmentize(box, max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / _STEPS)
    x, y = shapely.get_coordinates(box).T
    hint = _hint(bounds, crs, grid)
    try:
        col, row = to_pixels(x, y, source=Grid(1, 1, crs=own, transform=Affine.identity()), target=grid)
    except GridError as error:
        raise GridError(
            f"the area of interest ({name}) lies outside of {place}: {error}; {hint or 'check the bounds'}"
        ) from error
    polygon = np.array([shapely.Polygon(np.stack((col, row), axis=1))], dtype=object)
    found = _on_pixels(polygon, grid, name, place, hint)
    return replace(found, bounds=tuple(float(value) for value in bounds), bounds_crs=crs or "")


def _polygons(table: ShapeTable, grid: Grid, place: str, notes: list[str]) -> NDArray[np.object_]:
    """The polygons of a layer in pixels of the grid; other shapes bound nothing, which is noted."""
    parts = parts_of(table, notes).geometry
    polygons = parts[shapely.get_dimensions(parts) == 2]
    if len(polygons) < len(parts):
        notes.append(f"{len(parts) - len(polygons)} of {len(parts)} shapes are no polygons and are left out")
    return in_pixels(polygons, table, grid, place) if len(polygons) else polygons


def _on_pixels(polygons: NDArray[np.object_], grid: Grid, name: str, place: str, hint: str) -> AreaOfInterest:
    """The pixels of polygons in pixels of the grid, and the window around them.

    Raises:
        GridError: there is none in the scene; how far off they lie is said, then ``hint``.
    """
    left, top, right, bottom = shapely.total_bounds(polygons)
    cols, rows = _within(left, right, grid.cols), _within(top, bottom, grid.rows)
    if not len(cols) or not len(rows):
        far = _distance((left, top, right, bottom), grid)
        advice = hint or "give an area of this scene, and check its CRS"
        raise GridError(
            f"the area of interest ({name}) lies outside of {place}: their middles lie {far} apart; {advice}"
        )
    moved = shapely.transform(polygons, lambda xy: xy - (cols.start, rows.start))
    numbers = np.arange(1, len(moved) + 1, dtype=np.int32)
    covered = burn(PixelShapes(moved, numbers), (len(rows), len(cols))) != NOBODY
    if not covered.any():
        raise GridError(
            f"the area of interest ({name}) covers no pixel of {place}: a pixel belongs to it where it covers the "
            "middle of the pixel; give a larger area"
        )
    inside = shapely.intersection(polygons, shapely.box(0, 0, grid.cols, grid.rows))
    beyond = 1 - float(shapely.area(inside).sum()) / max(float(shapely.area(polygons).sum()), 1e-12)
    if beyond > _TOLD:
        _log.warning("%s of the area of interest (%s) lies outside of %s", percent(beyond), name, place)
    down, across = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    first, last = (int(down[0]), int(across[0])), (int(down[-1]) + 1, int(across[-1]) + 1)
    return AreaOfInterest(
        slice(rows.start + first[0], rows.start + last[0]),
        slice(cols.start + first[1], cols.start + last[1]),
        covered[first[0] : last[0], first[1] : last[1]].copy(),
        grid,
    )


def _within(low: float, high: float, length: int) -> range:
    """The rows or columns of the scene that a stretch touches."""
    return range(max(0, math.floor(low)), min(length, max(math.ceil(high), math.floor(low) + 1)))


def _distance(box: Bounds, grid: Grid) -> str:
    """How far the middle of a rectangle in pixels lies from that of the scene, in words."""
    left, top, right, bottom = box
    placed = placement(grid)
    apart = None
    if placed is not None:
        corner = placed[0] @ Affine.translation(left, top) @ Affine.scale(right - left or 1, bottom - top or 1)
        apart = ground_distance(Grid(1, 1, crs=placed[1], transform=corner), grid)
    if apart is not None:
        return f"{apart:,.4g} km"
    return f"{math.hypot((left + right - grid.cols) / 2, (top + bottom - grid.rows) / 2):,.0f} pixels"


def _hint(bounds: Bounds, crs: str | None, grid: Grid) -> str:
    """What to say of bounds that lie outside of the scene, where their numbers tell more; else empty."""
    placed = placement(grid)
    own = None if placed is None else placed[1]
    if own is None:
        return ""
    x0, y0, x1, y1 = bounds
    said = own if crs is None else _crs(crs)
    if crs is None and not own.is_geographic and max(map(abs, (x0, x1))) <= 360 and max(map(abs, (y0, y1))) <= 90:
        return (
            f"these look like degrees, but the scene is in {crs_name(own)}: for longitude and latitude, say "
            f"bounds_crs='{_WGS84}'"
        )
    if said.is_geographic and (max(map(abs, (x0, x1))) > 361 or max(map(abs, (y0, y1))) > 91):
        return f"these are no degrees of {crs_name(said)}: say in which CRS they are by bounds_crs="
    if said.is_geographic and holds(grid, (y0 + y1) / 2, (x0 + x1) / 2, said):
        return "they lie in it with x and y exchanged: write longitude before latitude"
    return ""


def _crs(text: str) -> CRS:
    try:
        with rasterio.Env():  # in which PROJ prints nothing of its own
            return CRS.from_user_input(text)
    except (CRSError, ValueError, TypeError):
        raise GridError(f"bounds_crs is {text[:60]!r}, no CRS that is known: give a code, as '{_WGS84}'") from None
