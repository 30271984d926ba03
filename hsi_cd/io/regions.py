"""Changed regions as polygons, in a GeoPackage or GeoJSON file."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio.features
import scipy.ndimage
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from hsi_cd.errors import FormatError, GridError
from hsi_cd.io.map_classes import NO_KINDS, kind_colour
from hsi_cd.io.qml import ShapeStyle
from hsi_cd.io.vector_writing import VECTOR_DRIVERS, write_layer
from hsi_cd.scene import CHANGED, UNCHANGED, Grid
from hsi_cd.scene.contract import crs_name
from hsi_cd.scene.surface import column_step, pixel_areas, row_step, transformed

LAYER = "change_regions"
"""Name of the layer."""

_SAYS = (
    "Regions that a change map calls changed. Their area is that of the map's pixels, as such a biased measure of "
    "the area that changed, which hsi-cd sample and hsi-cd area estimate."
)
_WGS84 = CRS.from_epsg(4326)
_BLOCK = 256  # rows whose pixels' areas are at hand at once
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegionChoice:
    """Which regions are written, and how their outlines run.

    Attributes:
        min_area: smaller ones are left out, m2 on the ground (pixels in a local CRS that tells no length).
        sieve: those of fewer pixels are left out.
        simplify: how much the outlines are smoothed, metres on the ground (pixels in a local CRS that tells no
            length): the root of the area of a corner that is cut off. 0 for outlines that follow the pixels.
    """

    min_area: float = 0.0
    sieve: int = 0
    simplify: float = 0.0


@dataclass(frozen=True)
class Regions:
    """What was written.

    Attributes:
        count: number of regions.
        left_out: number of regions that were too small.
        style: in which QGIS shows them.
    """

    count: int
    left_out: int
    style: str


def check_vector(path: str | os.PathLike[str], grid: Grid, *, what: str = "regions") -> None:
    """Refuse, before any long work, polygons that could not be written.

    Args:
        path: the file.
        grid: of the scene.
        what: is to be written, as messages call it.

    Raises:
        FormatError: the name's ending tells neither GeoPackage nor GeoJSON.
        GridError: the scene has no CRS and transform, so that polygons would lie nowhere; or GeoJSON is asked for,
            and its CRS cannot be related to longitude and latitude.
    """
    check_vector_name(path)
    if grid.transform is None or grid.crs is None:
        raise GridError(
            f"{path} cannot be written: the scene has no CRS and transform, so its {what} have no coordinates; "
            "give a georeferenced scene, or one of the same pixels as like="
        )
    pixel_areas(grid)
    if VECTOR_DRIVERS[Path(path).suffix.lower()] == "GeoJSON":
        corner = grid.transform @ (0, 0)
        try:
            transformed(grid.crs, _WGS84, [corner[0]], [corner[1]])
        except GridError:
            raise GridError(
                f"{path} cannot be written: GeoJSON is in WGS 84 longitude and latitude, to which the scene's CRS "
                f"({crs_name(grid.crs)}) cannot be related: let the name end in .gpkg"
            ) from None


def check_vector_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name whose ending tells no vector format that is written.

    Raises:
        FormatError: so it is.
    """
    if Path(path).suffix.lower() not in VECTOR_DRIVERS:
        raise FormatError(f"{path} is neither a GeoPackage nor GeoJSON: let its name end in .gpkg or .geojson")


def write_regions(
    path: str | os.PathLike[str],
    change: NDArray[np.uint8],
    probability: NDArray[np.float32],
    *,
    grid: Grid,
    choice: RegionChoice | None = None,
    kinds: Mapping[int, str] = NO_KINDS,
) -> Regions:
    """Write the changed regions of a whole map as polygons.

    A region is what hangs together by pixel edges. Its fields are ``area`` with its ``unit``, ``pixels``, and
    ``probability``, the mean over its pixels. Areas are square metres on the ellipsoid of the CRS, whatever its
    projection does to them. In a local CRS, which is tied to no ellipsoid, they are those of its plane, or counts
    of pixels where it tells no length; then that is told. All fields are of the region's pixels, even where its
    outline is simplified. GeoJSON is written in WGS 84 longitude and latitude (RFC 7946), a GeoPackage in the
    scene's CRS.

    The regions of the whole map are numbered at once, which takes some 12 bytes a pixel.

    Args:
        path: the file, ending in .gpkg or .geojson; the caller sees to it that it does not exist.
        change: uint8 ``(rows, cols)``: 1 is changed, or 1 to 254 are kinds of change.
        probability: change probabilities of the changed pixels alone, row by row, ``(changed pixels,)``.
        grid: shape and georeference.
        choice: which regions, and how their outlines run; all, along the pixels, by default.
        kinds: names of the values of a map of kinds. A region is then of one kind, which the fields ``kind`` and
            ``name`` tell; none where 1 is changed.

    Raises:
        FormatError: the name's ending tells no format.
        GridError: the grid has no CRS and transform.
        OutputError: the file cannot be written.
    """
    choice = choice or RegionChoice()
    check_vector(path, grid)
    numbers = np.empty(change.shape, dtype=np.int32)
    count = _number(change, [value for value in kinds if value != UNCHANGED] or [CHANGED], numbers)
    areas = pixel_areas(grid)
    if not areas.true and grid.crs is not None:
        what = "those of its plane, in m2" if areas.unit == "m2" else "counts of pixels, since it tells no length"
        _log.warning("the CRS %s is tied to no ellipsoid: the regions' areas are %s", crs_name(grid.crs), what)
    there = numbers > 0
    own = numbers[there]  # row by row, as the probabilities
    pixels = np.bincount(own, minlength=count + 1)
    blocks = (slice(row, row + _BLOCK) for row in range(0, len(numbers), _BLOCK))
    each = np.concatenate([areas.of(rows)[numbers[rows] > 0] for rows in blocks])
    area = np.bincount(own, weights=each, minlength=count + 1)
    mean = np.bincount(own, weights=probability, minlength=count + 1) / np.maximum(pixels, 1)
    kept = (area >= choice.min_area) & (pixels >= choice.sieve)
    kept[0] = False
    numbers[~kept[numbers]] = 0
    shapes = list(rasterio.features.shapes(numbers, mask=numbers > 0))
    which = np.array([int(value) for _, value in shapes], dtype=np.int64)
    fields = {
        "area": area[which],
        "unit": np.full(len(which), areas.unit, dtype=object),
        "pixels": pixels[which].astype(np.int64),
        "probability": mean[which],
    }
    if kinds:
        of_region = np.zeros(count + 1, dtype=np.int64)
        of_region[own] = change[there]
        fields |= {
            "kind": of_region[which],
            "name": np.array([kinds[value] for value in of_region[which].tolist()], dtype=object),
        }
    drawn = np.array([None, *(shapely.geometry.shape(shape) for shape, _ in shapes)], dtype=object)[1:]
    if choice.simplify:
        drawn = _simplified(drawn, choice.simplify, grid)
    style = write_layer(
        Path(path),
        shapely.to_wkb(in_place(drawn, grid)),
        fields,
        layer=LAYER,
        crs=grid.crs,
        geometry="Polygon",
        style=_style(kinds),
        description=_SAYS,
    )
    return Regions(len(which), count - len(which), style or "")


def _number(change: NDArray[np.uint8], values: Sequence[int], numbers: NDArray[np.int32]) -> int:
    """Number what hangs together of each value, from 1 on, into ``numbers``, 0 elsewhere; how many there are."""
    count = int(scipy.ndimage.label(change == values[0], output=numbers))
    for value in values[1:]:
        own = np.empty(change.shape, dtype=np.int32)
        further = int(scipy.ndimage.label(change == value, output=own))
        np.add(own, count, out=numbers, where=own > 0)
        count += further
    return count


def _style(kinds: Mapping[int, str]) -> ShapeStyle:
    """One colour for all regions, or that of each kind."""
    if not kinds:
        return ShapeStyle(title=LAYER)
    told = [(str(kind), name, kind_colour(kind)) for kind, name in kinds.items() if kind != UNCHANGED]
    return ShapeStyle("kind", LAYER, tuple(told))


def _simplified(polygons: NDArray[np.object_], tolerance: float, grid: Grid) -> NDArray[np.object_]:
    """Polygons in (col, row) with smoother outlines, of which none overlaps, touches or leaves another newly.

    Corners go in the order of the area that they cut off (Visvalingam and Whyatt 1993,
    doi:10.1179/000870493786962263), in all polygons at once, so that what two of them share stays shared.

    Args:
        polygons: shapely polygons.
        tolerance: metres on the ground at the middle of the scene; pixels where the CRS tells no length.
        grid: of the scene.
    """
    across, down = 1.0, 1.0
    if grid.transform is not None and grid.crs is not None:
        middle = {"col": grid.cols / 2, "row": grid.rows / 2}
        across = column_step(grid.transform, grid.crs, **middle) or 1.0
        down = row_step(grid.transform, grid.crs, **middle) or 1.0
    ground = np.array([across, down])
    flat = shapely.transform(polygons, lambda xy: xy * ground)
    out: NDArray[np.object_] = shapely.transform(
        shapely.coverage_simplify(flat, tolerance), lambda xy: xy / ground
    )
    return out


def in_place(geometry: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Geometries in (col, row) as geometries in the grid's CRS."""
    a, b, c, d, e, f = (grid.transform or Affine.identity())[:6]  # check_vector has seen to it that there is one

    def placed(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f], axis=1)

    out: NDArray[np.object_] = shapely.transform(geometry, placed)
    return out
