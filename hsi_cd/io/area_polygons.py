"""An area of interest as people give it, polygons or bounds, put on the pixels of a scene."""

from __future__ import annotations

import logging
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from hsi_cd.io.near_scene import near_scene
from hsi_cd.io.shape_parts import parts_of
from hsi_cd.io.vector_files import ShapeTable, is_shapes, is_vector_file, read_layers, shapes_in_memory
from hsi_cd.scene import AreaOfInterest, Grid
from hsi_cd.scene.contract import crs_name, ground_distance, holds, placement, to_pixels
from hsi_cd.scene.undeclared import percent

Bounds = tuple[float, float, float, float]
"""``(min x, min y, max x, max y)``."""

_log = logging.getLogger(__name__)

_WGS84 = "EPSG:4326"
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
    if isinstance(source, Path) and source.is_file() and zipfile.is_zipfile(source):
        raise FormatError(f"{source} is a zip archive: unpack it, and name the file of polygons that was in it")
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
    parts = [_polygons(table, notes) for table in tables]
    if not sum(map(len, parts)):
        other = sum(len(table) for table in tables)
        held = f"{other} shape{'s' if other > 1 else ''} and no polygon with an area" if other else "no shape"
        raise FormatError(f"the area of interest ({name}) is empty: it holds {held}; draw polygons around it")
    for note in notes:
        _log.warning("the area of interest (%s): %s", name, note)
    near = [near_scene(own, table.crs, grid) for own, table in zip(parts, tables, strict=True)]
    share = _share(parts, near)
    pixels = [in_pixels(own, table, grid, place) for own, table in zip(near, tables, strict=True)]
    first = next(i for i, own in enumerate(parts) if len(own))
    x0, y0, x1, y1 = map(float, shapely.total_bounds(parts[first]))
    bounds = (x0, y0, x1, y1)
    asked = _Asked(name, place, bounds, tables[first].crs, _hint(bounds, tables[first].crs, grid))
    return replace(_on_pixels(np.concatenate(pixels), share, grid, asked), polygons=name)


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
    own = placed[1] if crs is None else _crs(crs)
    box = np.array([shapely.box(*bounds)], dtype=object)
    near = near_scene(box, own, grid)
    asked = _Asked(name, place, bounds, own, _hint(bounds, own, grid, said=crs is not None, is_named=True))
    there = Grid(1, 1, crs=own, transform=Affine.identity())

    def placed_on(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(to_pixels(xy[:, 0], xy[:, 1], source=there, target=grid), axis=1)

    try:
        pixels = shapely.transform(near, placed_on) if len(near) else near
    except GridError as error:
        raise GridError(
            f"the area of interest ({name}) lies outside of {place}: {error}; {asked.hint or 'check the bounds'}"
        ) from error
    found = _on_pixels(pixels, _share([box], [near]), grid, asked)
    return replace(found, bounds=tuple(float(value) for value in bounds), bounds_crs=crs or "")


@dataclass(frozen=True)
class _Asked:
    """An area of interest in words and in its own coordinates.

    Attributes:
        name: what messages call it.
        place: what they call the scene.
        bounds: around all of it.
        crs: of the bounds, or None.
        hint: what its numbers tell where it lies outside of the scene; else empty.
    """

    name: str
    place: str
    bounds: Bounds
    crs: CRS | None
    hint: str


def _polygons(table: ShapeTable, notes: list[str]) -> NDArray[np.object_]:
    """The polygons of a layer; other shapes bound nothing, which is noted."""
    found = parts_of(table, notes)
    parts = found.geometry
    polygons: NDArray[np.object_] = parts[shapely.get_dimensions(parts) == 2]
    if len(polygons) and (lost := len(table) - len(np.unique(found.owner))):
        notes.append(
            f"{lost} of {len(table)} shapes are empty, damaged or have coordinates that are no numbers, and are "
            "left out"
        )
    if len(polygons) < len(parts):
        notes.append(f"{len(parts) - len(polygons)} of {len(parts)} shapes are no polygons and are left out")
    return polygons


def _share(parts: Sequence[NDArray[np.object_]], near: Sequence[NDArray[np.object_]]) -> float:
    """The share of polygons that lies near the scene, each layer's in its own coordinates."""
    with np.errstate(over="ignore", invalid="ignore"):
        sizes, left = ([float(shapely.area(own).sum()) for own in each] for each in (parts, near))
    told = [b / a for a, b in zip(sizes, left, strict=True) if a > 0]
    return sum(told) / max(len(told), 1)


def _on_pixels(polygons: NDArray[np.object_], share: float, grid: Grid, asked: _Asked) -> AreaOfInterest:
    """The pixels of polygons in pixels of the grid, and the window around them.

    Args:
        polygons: those near the scene, in its pixels.
        share: how much of all of them these are.
        grid: the scene's.
        asked: the area as it was asked for.

    Raises:
        GridError: there is none in the scene; how far off they lie is said, then the hint.
    """
    name, place = asked.name, asked.place
    left, top, right, bottom = shapely.total_bounds(polygons) if len(polygons) else (-1.0,) * 4
    cols, rows = _within(left, right, grid.cols), _within(top, bottom, grid.rows)
    if not len(cols) or not len(rows):
        advice = asked.hint or "give an area of this scene, and check its CRS"
        apart = _distance(asked, grid)
        raise GridError(
            f"the area of interest ({name}) lies outside of {place}: "
            + (f"their middles lie {apart} apart; {advice}" if apart else advice)
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
    beyond = 1 - share * float(shapely.area(inside).sum()) / max(float(shapely.area(polygons).sum()), 1e-12)
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


def _distance(asked: _Asked, grid: Grid) -> str:
    """How far the middle of an area lies from that of the scene, in words; empty where it has no place."""
    x0, y0, x1, y1 = asked.bounds
    if asked.crs is not None and not _are_degrees(asked.bounds) and asked.crs.is_geographic:
        return ""
    middle = Affine.translation((x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5)
    apart = ground_distance(Grid(1, 1, crs=asked.crs, transform=middle), grid)
    if apart is not None:
        return f"{apart:,.0f} km" if apart >= 1000 else f"{apart:.4g} km"
    placed = placement(grid)
    if placed is None or (asked.crs is not None and asked.crs != placed[1]):
        return ""
    col, row = ~placed[0] @ ((x0 + x1) / 2, (y0 + y1) / 2)
    return f"{math.hypot(col - grid.cols / 2, row - grid.rows / 2):,.0f} pixels"


def _are_degrees(bounds: Bounds) -> bool:
    """Whether numbers can be longitudes and latitudes, also those of a scene across the date line."""
    return max(abs(bounds[0]), abs(bounds[2])) <= 541 and max(abs(bounds[1]), abs(bounds[3])) <= 91


def _hint(bounds: Bounds, crs: CRS | None, grid: Grid, *, said: bool = True, is_named: bool = False) -> str:
    """What to say of an area that lies outside of the scene, where its numbers tell more; else empty.

    Args:
        bounds: around it.
        crs: their CRS.
        grid: the scene's.
        said: whether somebody named the CRS; else it is the scene's.
        is_named: whether the bounds themselves were given, and not a file.
    """
    placed = placement(grid)
    own = None if placed is None else placed[1]
    if own is None or crs is None:
        return ""
    if not crs.is_geographic and _are_degrees(bounds):
        if not is_named:
            return f"its coordinates look like degrees, but it says {crs_name(crs)}: assign the CRS that it is in"
        if not said:
            return (
                f"these look like degrees, but the scene is in {crs_name(own)}: for longitude and latitude, say "
                f"bounds_crs='{_WGS84}'"
            )
    if crs.is_geographic and not _are_degrees(bounds):
        how = "say in which CRS they are by bounds_crs=" if is_named else "assign the CRS that it was drawn in"
        return f"{'these' if is_named else 'its coordinates'} are no degrees of {crs_name(crs)}: {how}"
    x0, y0, x1, y1 = bounds
    if crs.is_geographic and holds(grid, (y0 + y1) / 2, (x0 + x1) / 2, crs):
        whose = "they lie" if is_named else "it lies"
        return f"{whose} in it with x and y exchanged: write longitude before latitude"
    return ""


def _crs(text: str) -> CRS:
    try:
        with rasterio.Env():  # in which PROJ prints nothing of its own
            return CRS.from_user_input(text)
    except (CRSError, ValueError, TypeError):
        raise GridError(f"bounds_crs is {text[:60]!r}, no CRS that is known: give a code, as '{_WGS84}'") from None
