"""Changed regions as polygons, in a GeoPackage or GeoJSON file."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio.features
import scipy.ndimage
from numpy.typing import NDArray
from rasterio.crs import CRS

from hsi_cd.errors import FormatError, GridError, OutputError
from hsi_cd.scene import CHANGED, Grid
from hsi_cd.scene.contract import crs_name
from hsi_cd.scene.surface import pixel_areas, transformed

VECTOR_DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON"}
"""Kinds of vector files, by the ending of their name."""

_WGS84 = CRS.from_epsg(4326)
_BLOCK = 256  # rows whose pixels' areas are at hand at once
_log = logging.getLogger(__name__)


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
    min_area: float = 0.0,
) -> int:
    """Write the changed regions of a whole map as polygons.

    A region is what hangs together by pixel edges. Its fields are ``area`` with its ``unit``, ``pixels``, and
    ``probability``, the mean over its pixels. Areas are square metres on the ellipsoid of the CRS, whatever its
    projection does to them. In a local CRS, which is tied to no ellipsoid, they are those of its plane, or counts
    of pixels where it tells no length; then that is told. GeoJSON is written in WGS 84 longitude and latitude
    (RFC 7946), a GeoPackage in the scene's CRS.

    The regions of the whole map are numbered at once, which takes some 12 bytes a pixel.

    Args:
        path: the file, ending in .gpkg or .geojson; the caller sees to it that it does not exist.
        change: uint8 ``(rows, cols)``: 1 is changed.
        probability: change probabilities of the changed pixels alone, row by row, ``(changed pixels,)``.
        grid: shape and georeference.
        min_area: smaller regions are left out, in the same unit as the area.

    Returns:
        Number of regions written.

    Raises:
        FormatError: the name's ending tells no format.
        GridError: the grid has no CRS and transform.
        OutputError: the file cannot be written.
    """
    # Here, because pyogrio brings a GDAL of its own, which reading and writing rasters does not need.
    import pyogrio.raw
    from pyogrio.errors import DataSourceError, FeatureError

    check_vector(path, grid)
    numbers = np.empty(change.shape, dtype=np.int32)
    count = int(scipy.ndimage.label(change == CHANGED, output=numbers))
    areas = pixel_areas(grid)
    if not areas.true and grid.crs is not None:
        what = "those of its plane, in m2" if areas.unit == "m2" else "counts of pixels, since it tells no length"
        _log.warning("the CRS %s is tied to no ellipsoid: the regions' areas are %s", crs_name(grid.crs), what)
    own = numbers[numbers > 0]  # row by row, as the probabilities
    pixels = np.bincount(own, minlength=count + 1)
    blocks = (slice(row, row + _BLOCK) for row in range(0, len(numbers), _BLOCK))
    each = np.concatenate([areas.of(rows)[numbers[rows] > 0] for rows in blocks])
    area = np.bincount(own, weights=each, minlength=count + 1)
    mean = np.bincount(own, weights=probability, minlength=count + 1) / np.maximum(pixels, 1)
    kept = area >= min_area
    kept[0] = False
    numbers[~kept[numbers]] = 0
    shapes = list(rasterio.features.shapes(numbers, mask=numbers > 0, transform=grid.transform))
    which = np.array([int(value) for _, value in shapes], dtype=np.int64)
    fields = {
        "area": area[which],
        "unit": np.full(len(which), areas.unit, dtype=object),
        "pixels": pixels[which].astype(np.int64),
        "probability": mean[which],
    }
    geometry = np.array([_polygon_wkb(shape["coordinates"]) for shape, _ in shapes], dtype=object)
    driver = VECTOR_DRIVERS[Path(path).suffix.lower()]
    try:
        pyogrio.raw.write(
            os.fspath(path),
            geometry,
            list(fields.values()),
            list(fields),
            layer="changed regions",
            driver=driver,
            geometry_type="Polygon",
            crs=grid.crs.to_wkt() if grid.crs is not None else None,
            layer_options={"RFC7946": "YES"} if driver == "GeoJSON" else {},
        )
    except (DataSourceError, FeatureError) as error:
        raise OutputError(f"{path} cannot be written ({str(error).splitlines()[0]}): is the disk full?") from error
    return len(which)


def _polygon_wkb(rings: Sequence[Sequence[tuple[float, float]]]) -> bytes:
    """A polygon's well-known binary: byte order, type 3, rings of points."""
    parts = [struct.pack("<BII", 1, 3, len(rings))]
    for ring in rings:
        points = np.asarray(ring, dtype="<f8")
        parts += [struct.pack("<I", len(points)), points.tobytes()]
    return b"".join(parts)
