"""Changed regions as polygons, in a GeoPackage or GeoJSON file."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio.features
import scipy.ndimage
from numpy.typing import NDArray

from hsi_cd.errors import FormatError, GridError, OutputError
from hsi_cd.scene import CHANGED, Grid

VECTOR_DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON"}
"""Kinds of vector files, by the ending of their name."""

_SEMI_MAJOR, _FLATTENING = 6378137.0, 1 / 298.257223563  # WGS 84; other ellipsoids' areas differ by 1 in 10,000


def check_vector(path: str | os.PathLike[str], grid: Grid) -> None:
    """Refuse, before any long work, polygons that could not be written.

    Raises:
        FormatError: the name's ending tells neither GeoPackage nor GeoJSON.
        GridError: the scene has no CRS and transform, so that polygons would lie nowhere.
    """
    if Path(path).suffix.lower() not in VECTOR_DRIVERS:
        raise FormatError(f"{path} is neither a GeoPackage nor GeoJSON: let its name end in .gpkg or .geojson")
    if grid.transform is None or grid.crs is None:
        raise GridError(
            f"{path} cannot be written: the scene has no CRS and transform, so its regions have no coordinates; "
            "give a georeferenced scene, or one of the same pixels as like="
        )


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
    ``probability``, the mean over its pixels. Areas are in the CRS's unit squared; where this is degrees, in
    square metres on the WGS 84 ellipsoid. GeoJSON is written in WGS 84 longitude and latitude (RFC 7946), a
    GeoPackage in the scene's CRS.

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
    pixel_area, unit = pixel_areas(grid)
    own = numbers[numbers > 0]  # row by row, as the probabilities
    pixels = np.bincount(own, minlength=count + 1)
    rows = np.repeat(np.arange(len(numbers)), (numbers > 0).sum(axis=1))
    area = np.bincount(own, weights=pixel_area[rows], minlength=count + 1)
    mean = np.bincount(own, weights=probability, minlength=count + 1) / np.maximum(pixels, 1)
    kept = area >= min_area
    kept[0] = False
    numbers[~kept[numbers]] = 0
    shapes = list(rasterio.features.shapes(numbers, mask=numbers > 0, transform=grid.transform))
    which = np.array([int(value) for _, value in shapes], dtype=np.int64)
    fields = {
        "area": area[which],
        "unit": np.full(len(which), unit, dtype=object),
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


def pixel_areas(grid: Grid) -> tuple[NDArray[np.float64], str]:
    """Area of a pixel in each row, ``(rows,)``, and its unit as ``m2``.

    Raises:
        GridError: the grid has no CRS and transform.
    """
    t = grid.transform
    if t is None or grid.crs is None:
        raise GridError("a grid without CRS and transform has no area: georeference the scene first")
    if not grid.crs.is_geographic:
        name = grid.crs.linear_units or "unit"
        unit = "m2" if name.lower() in ("metre", "meter", "m") else f"{name}2"
        return np.full(grid.rows, abs(t.determinant)), unit
    # Degrees: the strip of the ellipsoid between the pixel's latitudes, in the middle column of a turned grid.
    step = abs(t.e) if t.d == 0 else abs(t.determinant) / abs(t.a)
    middle = t.f + t.d * grid.cols / 2 + t.e * (np.arange(grid.rows) + 0.5)
    north, south = (_strip(np.radians(middle + side * step / 2)) for side in (1, -1))
    return np.abs(np.radians(t.a) * (north - south)), "m2"


def _strip(latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area, m2 a radian of longitude, between the equator and a latitude (Snyder 1987, USGS PP 1395, eq. 3-12)."""
    e = np.sqrt(_FLATTENING * (2 - _FLATTENING))
    sine = np.sin(latitude)
    q = sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e
    strip: NDArray[np.float64] = _SEMI_MAJOR**2 * (1 - e**2) / 2 * q
    return strip


def _polygon_wkb(rings: Sequence[Sequence[tuple[float, float]]]) -> bytes:
    """A polygon's well-known binary: byte order, type 3, rings of points."""
    parts = [struct.pack("<BII", 1, 3, len(rings))]
    for ring in rings:
        points = np.asarray(ring, dtype="<f8")
        parts += [struct.pack("<I", len(points)), points.tobytes()]
    return b"".join(parts)
