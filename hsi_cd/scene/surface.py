"""How large pixels are on the ground: true sizes on the ellipsoid of their CRS, whatever the projection.

A projection keeps areas, or angles, or neither: a square metre of EPSG:3857 is a quarter of one at 60 degrees. So
PROJ tells where the corners of pixels lie on the CRS's own ellipsoid, of the earth or of another planet, and what
lies between them is measured there. A CRS that is tied to no ellipsoid (a local, an engineering one) is a plane.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio._err import CPLE_AppDefinedError, CPLE_BaseError  # what GDAL says; rasterio has no names for it
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as project

from hsi_cd.errors import GridError
from hsi_cd.scene.grid import Grid

Array = NDArray[np.float64]

_NODES = 129  # rows and columns at which areas are measured; between them they are interpolated
_LEAST_SIDE = 100.0  # units of the CRS: where PROJ is exact to a tenth of a millimetre, smaller sides would not be
_NO_LENGTH = ("pixel", "pixels", "unit", "units", "unknown", "")
"""What writers call the unit of a plane of which they know none."""


@dataclass(frozen=True)
class PixelAreas:
    """Areas of a grid's pixels.

    Attributes:
        unit: ``m2``, or ``pixels`` where the CRS tells no length.
        true: whether they are areas on an ellipsoid; those of a plane otherwise.
    """

    unit: str
    true: bool
    _rows: Array
    _cols: Array
    _areas: Array
    _shape: tuple[int, int]

    def of(self, rows: slice) -> Array:
        """Areas of the pixels of some rows, ``(rows, cols)``."""
        count, cols = self._shape
        start, stop, _ = rows.indices(count)
        part = _between(self._areas, self._rows, np.arange(start, stop), axis=0)
        return _between(part, self._cols, np.arange(cols), axis=1)


def pixel_areas(grid: Grid) -> PixelAreas:
    """The areas of a grid's pixels on the ground.

    Raises:
        GridError: the grid has no CRS and transform, or lies where its CRS has no ground.
    """
    t, crs = grid.transform, grid.crs
    if t is None or crs is None:
        raise GridError("a grid without CRS and transform has no area: georeference the scene first")
    rows, cols = (np.linspace(0, size - 1, min(size, _NODES)) for size in grid.shape)
    ellipsoid = ellipsoid_of(crs)
    if ellipsoid is None:
        length = plane_unit(crs)
        area = 1.0 if length is None else abs(t.determinant) * length**2
        one = np.zeros(1)
        return PixelAreas("pixels" if length is None else "m2", False, one, one, np.full((1, 1), area), grid.shape)
    if ellipsoid.is_plain and not crs.is_geographic:
        raise GridError(
            "the scene's CRS counts metres from the centre of its body (geocentric), which no map does: correct "
            "its CRS, or warp it to one of a map"
        )
    if ellipsoid.is_plain and t.b == t.d == 0:  # what lies between two parallels is the same in every column
        rows, cols = np.arange(grid.rows, dtype=np.float64), np.zeros(1)
    at_row, at_col = (each.ravel() for each in np.meshgrid(rows, cols, indexing="ij"))
    if ellipsoid.is_plain:
        areas = _of_degrees(ellipsoid, t, crs, at_col, at_row)
    else:
        side = _sides(t)
        corners = [(-side, -side), (side, -side), (side, side), (-side, side)]
        a, b, c, d = (ellipsoid.place(crs, *_apply(t, at_col + 0.5 + x, at_row + 0.5 + y)) for x, y in corners)
        areas = np.linalg.norm(np.cross(c - a, d - b), axis=1) / 2 / (2 * side) ** 2
    known = np.isfinite(areas)
    if not known.any():
        raise GridError("the scene's coordinates lie outside the world of its CRS: correct its CRS or transform")
    # Corners of a map of the world, beyond its edge: no pixel with data is there.
    areas[~known] = np.median(areas[known])
    return PixelAreas("m2", True, rows, cols, areas.reshape(len(rows), len(cols)), grid.shape)


def middle_area(grid: Grid) -> tuple[float, str] | None:
    """Area of the pixel in the middle of a grid, and its unit; None where that is not told."""
    if grid.transform is None or grid.crs is None:
        return None
    middle = grid.transform @ Affine.translation(grid.cols // 2, grid.rows // 2)
    try:
        areas = pixel_areas(Grid(1, 1, crs=grid.crs, transform=middle))
    except GridError:
        return None
    return None if areas.unit == "pixels" else (float(areas.of(slice(0, 1))[0, 0]), areas.unit)


def column_step(transform: Affine, crs: CRS, *, col: float, row: float) -> float | None:
    """How far apart the centres of two columns lie on the ground, metres; None where the CRS does not tell.

    Args:
        transform: from (col, row) to coordinates.
        crs: their CRS.
        col: where, in columns.
        row: where, in rows.
    """
    ellipsoid = ellipsoid_of(crs)
    if ellipsoid is None:
        length = plane_unit(crs)
        return None if length is None else length * math.hypot(transform.a, transform.d)
    side = 0.5 if ellipsoid.is_plain else _sides(transform)
    try:
        ends = ellipsoid.place(crs, *_apply(transform, np.array([col - side, col + side]), np.array([row, row])))
    except GridError:
        return None
    length = float(np.linalg.norm(ends[1] - ends[0])) / (2 * side)
    return length if math.isfinite(length) and length > 0 else None


def row_step(transform: Affine, crs: CRS, *, col: float, row: float) -> float | None:
    """How far apart the centres of two rows lie on the ground; see :func:`column_step`."""
    t = transform
    return column_step(Affine(t.b, t.a, t.c, t.e, t.d, t.f), crs, col=row, row=col)


def pixel_aspect(grid: Grid | None) -> float:
    """How many times as high as wide the pixel in the middle of a grid is on the ground.

    1 where that is not told, where it is nearly so, and beyond eightfold, which nobody could look at.
    """
    if grid is None or grid.transform is None or grid.crs is None:
        return 1.0
    middle = {"col": grid.cols / 2, "row": grid.rows / 2}
    across, down = (each(grid.transform, grid.crs, **middle) for each in (column_step, row_step))
    aspect = down / across if across and down else 1.0
    return aspect if 1 / 8 <= aspect <= 8 and abs(aspect - 1) > 0.02 else 1.0


@dataclass(frozen=True)
class Ellipsoid:
    """The body that a CRS is tied to.

    Attributes:
        radius: of its equator, metres.
        flattening: 0 for a sphere.
        base: CRS of longitude and latitude on it.
        is_plain: whether the coordinates are longitude and latitude as they are.
    """

    radius: float
    flattening: float
    base: CRS
    is_plain: bool

    def place(self, crs: CRS, x: Array, y: Array) -> Array:
        """Points on its surface, metres from its centre, ``(points, 3)``; NaN for what is not on it.

        Raises:
            GridError: the CRS cannot be related to longitude and latitude.
        """
        lon, lat = (x, y) if self.is_plain else transformed(crs, self.base, x, y)
        unit = self.base.units_factor[1]
        lon, lat = lon * unit, np.where(np.isfinite(lat), lat, np.nan) * unit
        e2 = self.flattening * (2 - self.flattening)
        normal = self.radius / np.sqrt(1 - e2 * np.sin(lat) ** 2)
        with np.errstate(invalid="ignore"):
            flat = normal * np.cos(lat)
            return np.stack([flat * np.cos(lon), flat * np.sin(lon), normal * (1 - e2) * np.sin(lat)], axis=1)

    def strip(self, latitude: Array) -> Array:
        """Area, m2 a radian of longitude, between the equator and a latitude (Snyder 1987, USGS PP 1395, 3-12)."""
        sine = np.sin(latitude)
        e = math.sqrt(self.flattening * (2 - self.flattening))
        q = 2 * sine if e < 1e-6 else (1 - e**2) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)
        area: Array = self.radius**2 / 2 * q
        return area


def ellipsoid_of(crs: CRS) -> Ellipsoid | None:
    """The ellipsoid of a CRS; None for a local or engineering CRS, which is tied to none."""
    try:
        told: Mapping[str, Any] = crs.to_dict(projjson=True)
    except (RasterioError, CPLE_BaseError):
        return None
    # A height beside it, or a way to another datum, changes nothing of where it lies on its own.
    while inner := told.get("source_crs") or next(iter(told.get("components", ())), None):
        told = inner
    is_plain = "base_crs" not in told
    while "base_crs" in told:
        told = told["base_crs"]
    body = (told.get("datum") or told.get("datum_ensemble") or {}).get("ellipsoid")
    if body is None:
        return None
    radius = _metres(body.get("semi_major_axis", body.get("radius")))
    if "semi_minor_axis" in body:
        flattening = 1 - _metres(body["semi_minor_axis"]) / radius
    else:
        inverse = float(body.get("inverse_flattening", 0))
        flattening = 1 / inverse if inverse else 0.0
    try:
        base = crs if is_plain else CRS.from_user_input(json.dumps(told))
        return Ellipsoid(radius, flattening, base, is_plain)
    except (RasterioError, CPLE_BaseError, ValueError):
        return None


def plane_unit(crs: CRS) -> float | None:
    """Metres of a unit of a CRS that is tied to no ellipsoid; None where it does not tell."""
    try:
        axis = crs.to_dict(projjson=True)["coordinate_system"]["axis"][0]["unit"]
    except (RasterioError, CPLE_BaseError, LookupError):
        return None
    if axis == "metre":
        return 1.0
    if isinstance(axis, str) or axis.get("type") != "LinearUnit" or axis["name"].lower() in _NO_LENGTH:
        return None
    return float(axis["conversion_factor"]) or None


def transformed(source: CRS, target: CRS, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Coordinates of one CRS in another; NaN where the other has no such place.

    Raises:
        GridError: there is no way from one to the other, as from another planet's.
    """
    found = _projected(source, target, np.ravel(x).astype(np.float64), np.ravel(y).astype(np.float64))
    return np.reshape(found[0], np.shape(x)), np.reshape(found[1], np.shape(y))


def _projected(source: CRS, target: CRS, x: Array, y: Array) -> Array:
    """The same of a list of points, ``(2, points)``."""
    try:
        found = np.array(project(source, target, x, y))
    except CPLE_AppDefinedError:
        # One point off the map fails all: halves are tried, down to the one.
        if len(x) <= 1:
            return np.full((2, len(x)), np.nan)
        half = len(x) // 2
        parts = [_projected(source, target, x[part], y[part]) for part in (slice(half), slice(half, None))]
        return np.concatenate(parts, axis=1)
    except (RasterioError, CPLE_BaseError) as error:
        raise GridError(
            f"there is no way between their bodies or datums ({str(error).split(' from ')[0]})"
        ) from error
    found[~np.isfinite(found)] = np.nan
    return found


def _of_degrees(ellipsoid: Ellipsoid, t: Affine, crs: CRS, col: Array, row: Array) -> Array:
    """Areas of pixels of longitude and latitude: the shoelace formula, in which the strips keep areas."""
    unit = crs.units_factor[1]
    corners = []
    for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)):
        lon, lat = _apply(t, col + x, row + y)
        # Rasters whose outer pixels' centres lie on the poles reach beyond them.
        corners.append((lon * unit, ellipsoid.strip(np.clip(lat * unit, -math.pi / 2, math.pi / 2))))
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    areas: Array = np.abs((x2 - x0) * (y3 - y1) - (x3 - x1) * (y2 - y0)) / 2
    return areas


def _sides(t: Affine) -> float:
    """Half the side, in pixels, of the square that is measured in place of a pixel."""
    return max(0.5, _LEAST_SIDE / 2 / max(min(math.hypot(t.a, t.d), math.hypot(t.b, t.e)), 1e-9))


def _between(values: Array, nodes: Array, at: NDArray[np.integer], *, axis: int) -> Array:
    """Values at some places of an axis, interpolated between its nodes."""
    if len(nodes) == 1:
        return np.repeat(values, len(at), axis=axis)
    step = nodes[1] - nodes[0]
    place = at / step
    first = np.minimum(place.astype(np.int64), len(nodes) - 2)
    weight = (place - first).reshape((-1, 1) if axis == 0 else (1, -1))
    found: Array = values.take(first, axis) * (1 - weight) + values.take(first + 1, axis) * weight
    return found


def _apply(t: Affine, x: Array, y: Array) -> tuple[Array, Array]:
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def _metres(length: Any) -> float:
    """A length of PROJJSON: a number of metres, or one with its unit."""
    if not isinstance(length, Mapping):
        return float(length)
    unit = length["unit"]
    return float(length["value"]) * (1.0 if isinstance(unit, str) else float(unit["conversion_factor"]))
