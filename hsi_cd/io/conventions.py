"""What files of named arrays say of their arrays: axes, scale, no data, place and bands.

Understood are the CF conventions, as xarray and EMIT's products keep them in NetCDF.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsi_cd.errors import FormatError
from hsi_cd.io.axes import Axes
from hsi_cd.scene import Grid

_DOWN = ("y", "row", "rows", "line", "lines", "lat", "latitude", "northing", "downtrack", "along_track", "yc")
_ACROSS = (
    "x", "col", "cols", "column", "columns", "sample", "samples", "lon", "longitude", "easting", "crosstrack",
    "cross_track", "xc",
)  # fmt: skip
_EVEN = 1e-3  # of a pixel: how far coordinates may lie off an even spacing


@dataclass(frozen=True)
class Facts:
    """What a file says of one of its arrays.

    Attributes:
        dims: names of the axes as stored, first to last, each empty where it has none.
        attributes: by their names, as stored.
        coordinates: the values along the axes, by the axes' names.
        reference: attributes of the variable that describes the CRS (``grid_mapping``).
    """

    dims: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    coordinates: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)


def told_axes(facts: Facts) -> Axes | None:
    """The axes that the names of the dimensions tell, or None where they do not."""
    names = [_plain(name) for name in facts.dims]
    words = ["rows" if name in _DOWN else "cols" if name in _ACROSS else "bands" for name in names]
    if len(words) != 3 or sorted(words) != ["bands", "cols", "rows"] or not all(names):
        return None
    return words[0], words[1], words[2]


def are_turned(facts: Facts, shape: Sequence[int]) -> bool:
    """Whether the names of a map's axes, those of length 1 left out, are columns, then rows."""
    if len(facts.dims) != len(shape):
        return False
    names = [_plain(name) for name, size in zip(facts.dims, shape, strict=True) if size > 1]
    return len(names) == 2 and names[0] in _ACROSS and names[1] in _DOWN


def told_scaling(path: Path, name: str, facts: Facts) -> tuple[float, float, float | None]:
    """Scale factor, offset and no-data value that an array's attributes declare.

    CF: stored x ``scale_factor`` + ``add_offset``, ``_FillValue``.

    Raises:
        FormatError: one of them is no finite number, or the factor is zero.
    """
    scale = _number(path, facts.attributes, "scale_factor")
    offset = _number(path, facts.attributes, "add_offset")
    nodata = _number(path, facts.attributes, "_FillValue", finite=False)
    if nodata is None:
        nodata = _number(path, facts.attributes, "missing_value", finite=False)
    if scale == 0:
        raise FormatError(f"{path}: scale_factor of {name} is 0: correct or remove this attribute")
    return (1.0 if scale is None else scale), (0.0 if offset is None else offset), nodata


def told_grid(path: Path, facts: Facts, rows: int, cols: int) -> Grid:
    """Shape and georeference; without one where the file tells no CRS.

    Raises:
        FormatError: its CRS is not understood.
    """
    down, across = (
        next((name for name in facts.dims if _plain(name) in names and name in facts.coordinates), "")
        for names in (_DOWN, _ACROSS)
    )
    transform = None
    if down and across:
        transform = _from_centres(facts.coordinates[across], facts.coordinates[down])
    transform = transform or _from_text(facts.reference.get("GeoTransform"))
    crs = facts.reference.get("crs_wkt") or facts.reference.get("spatial_ref")
    if not crs and _plain(down) in ("lat", "latitude"):
        crs = "EPSG:4326"
    if transform is None or not crs:
        return Grid(rows, cols)
    try:
        return Grid(rows, cols, crs=CRS.from_user_input(text_of(crs)), transform=transform)
    except (CRSError, ValueError) as error:
        raise FormatError(
            f"{path}: its CRS {text_of(crs)[:60]!r} is not understood ({error}): correct it"
        ) from None


def text_of(value: Any) -> str:
    """Text that a file keeps as text, as bytes or as an array of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def even_spacing(centres: NDArray[np.float64]) -> float | None:
    """The distance of evenly spaced centres of pixels; None where they are not."""
    if centres.size < 2 or not np.isfinite(centres).all():
        return None
    step = float(centres[-1] - centres[0]) / (centres.size - 1)
    even = centres[0] + step * np.arange(centres.size)
    return None if step == 0 or np.abs(centres - even).max() > _EVEN * abs(step) else step


def _from_centres(across: NDArray[np.float64], down: NDArray[np.float64]) -> Affine | None:
    width, height = even_spacing(across), even_spacing(down)
    if width is None or height is None:
        return None
    return Affine(width, 0, float(across[0]) - width / 2, 0, height, float(down[0]) - height / 2)


def _from_text(text: Any) -> Affine | None:
    """A transform of GDAL's six numbers in a text."""
    try:
        numbers = [float(number) for number in text_of(text).split()]
    except ValueError:
        return None
    return Affine.from_gdal(*numbers) if len(numbers) == 6 else None


def _number(path: Path, attributes: Mapping[str, Any], name: str, *, finite: bool = True) -> float | None:
    if name not in attributes:
        return None
    try:
        value = float(np.asarray(attributes[name]).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        raise FormatError(f"{path}: {name} is {str(attributes[name])[:40]!r}: expected a number") from None
    if finite and not math.isfinite(value):
        raise FormatError(f"{path}: {name} is {value}: expected a finite number")
    return value


def _plain(name: str) -> str:
    return name.rsplit("/", 1)[-1].casefold()
