"""Cubes out of what lies in memory already: numpy arrays, xarray's, and rasterio's open datasets."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from hsi_cd.errors import AxesError, FormatError
from hsi_cd.io import Axes, Expected, open_cube
from hsi_cd.io.axes import band_first, find_axes
from hsi_cd.io.file_masks import FileMasks, find_masks
from hsi_cd.io.legend import Legend, flag_names
from hsi_cd.io.raster import grid_of
from hsi_cd.io.raster_cubes import cube_of
from hsi_cd.io.single_band import SingleBand, band_in_memory
from hsi_cd.io.spectral_bands import spectral_cube
from hsi_cd.io.wavelengths import to_nanometres
from hsi_cd.scene import Bands, Cube, Grid, cube_from_array

OURS: Axes = ("bands", "rows", "cols")
"""The order of axes of arrays in this package."""

_DOWN = ("y", "row", "rows", "line", "lines", "lat", "latitude", "northing")
_ACROSS = ("x", "col", "cols", "column", "sample", "samples", "lon", "longitude", "easting")
_WAVES = ("wavelength", "wavelengths", "wavelength_nm", "center_wavelength", "centre_wavelength")
_EVEN = 1e-3  # of a pixel: how far coordinates may lie off an even spacing


def is_xarray(value: object) -> bool:
    """Whether this is an ``xarray.DataArray``; xarray itself is never imported."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, xarray.DataArray)


def is_rasterio(value: object) -> bool:
    """Whether this is an open dataset of rasterio."""
    return isinstance(value, DatasetReader | WarpedVRT)


def array_cube(
    values: NDArray[Any], *, axes: Axes | None = None, expected: Expected | None = None, name: str = "array"
) -> Cube:
    """A cube over an array; nothing is copied.

    Args:
        values: numbers ``(bands, rows, cols)``, or as ``axes`` say. Masked values are no data.
        axes: the axes of the array, first to last.
        expected: what is known of its shape, which may tell that the axes lie otherwise.
        name: what messages call it.

    Raises:
        FormatError: the array has no three axes, or holds no real numbers.
        GridError: no order of the axes gives what is expected.
    """
    if values.ndim != 3:
        raise FormatError(
            f"{name} has the shape {values.shape}: expected three axes, (bands, rows, cols); a single band is "
            "values[None]"
        )
    _check_numbers(values.dtype, name)
    found = find_axes(values.shape, axes=axes, convention=OURS, expected=expected, name=name)
    return cube_from_array(np.transpose(values, band_first(found)), name=name)


def raster_cube(dataset: Any, *, name: str | None = None) -> Cube:
    """A cube over an open dataset of rasterio; a file is opened anew, so that this may be closed."""
    path = Path(str(dataset.name))
    if isinstance(dataset, DatasetReader) and path.is_file():
        return open_cube(path, name=name)
    _check_numbers(np.result_type(*dataset.dtypes), str(dataset.name))
    shown = str(dataset.name)
    masks = find_masks(dataset, name=shown, image=True)
    grid, reader = grid_of(dataset, name=shown), _DatasetWindows(dataset, masks)
    return spectral_cube(cube_of(dataset, masks, grid, name=name or path.name, reader=reader))


def xarray_cube(array: Any, *, name: str | None = None) -> Cube:
    """A cube over an ``xarray.DataArray``, read by windows where it is lazy.

    The CRS is taken from the coordinate ``spatial_ref``, as rioxarray keeps it, or from ``attrs["crs"]``; the
    transform from evenly spaced coordinates of the pixels' centres, else from ``GeoTransform`` or
    ``attrs["transform"]``. Wavelengths come from a coordinate of the bands with such a name.

    Args:
        array: three dimensions, of which two are named as y and x (or rows and cols, lat and lon).
        name: what messages call it; by default its own name.

    Raises:
        AxesError: the dimensions do not tell which is which.
        FormatError: it holds no real numbers, or its CRS is not understood.
    """
    label = name or (str(array.name) if array.name is not None else "array")
    down, across = _axis(array, _DOWN), _axis(array, _ACROSS)
    others = [dim for dim in array.dims if dim not in (down, across)]
    if array.ndim != 3 or down is None or across is None or len(others) != 1:
        raise AxesError(
            f"{label} has the dimensions {', '.join(map(str, array.dims))}: expected three, called band, y and x; "
            'rename them, as by .rename(rows="y", cols="x")'
        )
    _check_numbers(array.dtype, label)
    band = others[0]
    ordered = array.transpose(band, down, across)
    count, rows, cols = (int(size) for size in ordered.shape)
    attrs = array.attrs
    nodata = attrs.get("_FillValue", attrs.get("nodata"))
    scale, offset = (
        _each(attrs.get(key), plain, count) for key, plain in (("scale_factor", 1), ("add_offset", 0))
    )
    cube = Cube(
        name=label,
        grid=xarray_grid(array, rows, cols),
        bands=_bands(ordered, band, count, label),
        dtype=array.dtype,
        reader=_ArrayWindows(ordered),
        nodata=None if nodata is None else float(nodata),
        scale=scale,
        offset=offset,
        acquired=str(attrs.get("acquired", "")),
    )
    return spectral_cube(cube)


def xarray_map(array: Any) -> SingleBand:
    """The values ``(rows, cols)`` of an ``xarray.DataArray`` that is a map, and what it says of them.

    Raises:
        AxesError: it has more than two dimensions, or they do not tell which is which.
    """
    flat = array.squeeze(drop=False)
    down, across = _axis(flat, _DOWN), _axis(flat, _ACROSS)
    if flat.ndim != 2 or down is None or across is None:
        raise AxesError(f"the map has the dimensions {', '.join(map(str, array.dims))}: expected y and x alone")
    values = np.asarray(flat.transpose(down, across).values)
    nodata = array.attrs.get("_FillValue", array.attrs.get("nodata"))
    place = xarray_grid(array, *values.shape)
    legend = Legend(names=flag_names(array.attrs))
    return band_in_memory(values, nodata=None if nodata is None else float(nodata), place=place, legend=legend)


def xarray_grid(array: Any, rows: int, cols: int) -> Grid:
    """Where an ``xarray.DataArray`` lies.

    Raises:
        FormatError: its CRS or transform is not understood.
    """
    named = str(array.encoding.get("grid_mapping") or array.attrs.get("grid_mapping") or "spatial_ref")
    reference: Mapping[str, Any] = array.coords[named].attrs if named in array.coords else {}
    transform = _from_coordinates(array) or _transform(reference, array.attrs)
    crs = reference.get("crs_wkt") or reference.get("spatial_ref") or array.attrs.get("crs")
    if crs is None or transform is None:
        return Grid(rows, cols, transform=transform)
    try:
        return Grid(rows, cols, crs=CRS.from_user_input(crs), transform=transform)
    except (CRSError, ValueError) as error:
        raise FormatError(
            f"the CRS {str(crs)[:60]!r} of the array is not understood ({error}): correct it"
        ) from None


@dataclass(frozen=True)
class _ArrayWindows:
    """Reads windows of a DataArray ``(band, y, x)``; one that dask keeps is computed for the window alone."""

    array: Any

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        values: NDArray[np.generic] = np.asarray(self.array[:, rows, cols].values)
        return values


@dataclass(frozen=True)
class _DatasetWindows:
    """Reads windows of an open dataset, one thread at a time, as rasterio wants it."""

    dataset: Any
    masks: FileMasks
    lock: Any = field(default_factory=threading.Lock, repr=False)

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        window = Window(cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)
        with self.lock:
            return self.masks.read(self.dataset, window)


def _check_numbers(dtype: np.dtype[Any], name: str) -> None:
    if dtype.kind not in "iufb":
        raise FormatError(f"{name} holds values of type {dtype}: expected real numbers")


def _axis(array: Any, names: Sequence[str]) -> Any:
    found = [dim for dim in array.dims if str(dim).lower() in names]
    return found[0] if len(found) == 1 else None


def _each(value: Any, plain: float, count: int) -> tuple[float, ...]:
    """One number for each band; nothing where they do nothing."""
    numbers = np.full(count, plain, dtype=np.float64) if value is None else np.asarray(value, dtype=np.float64)
    numbers = np.broadcast_to(numbers, count) if numbers.size == 1 else numbers
    return tuple(numbers.tolist()) if (numbers != plain).any() else ()


def _bands(array: Any, band: Any, count: int, name: str) -> Bands:
    """What the coordinates along the bands tell."""
    along = {
        str(key).lower(): coordinate for key, coordinate in array.coords.items() if coordinate.dims == (band,)
    }
    waves = next((along[key] for key in _WAVES if key in along), None)
    centres: tuple[float, ...] = ()
    if waves is not None:
        unit = str(waves.attrs.get("units", ""))
        centres = to_nanometres([float(value) for value in waves.values], unit, where=name)
    good = along.get("good_wavelengths", along.get("bbl"))
    described = array.attrs.get("long_name")
    names = tuple(map(str, described)) if isinstance(described, tuple | list) and len(described) == count else ()
    if not names and band in array.coords and array.coords[band].dtype.kind in "UO":
        names = tuple(str(value) for value in array.coords[band].values)
    flags = () if good is None else tuple(bool(value) for value in good.values)
    return Bands(count, centres=centres, good=flags, names=names)


def _from_coordinates(array: Any) -> Affine | None:
    """The transform of evenly spaced centres of pixels; None where they are not there or not even."""
    places = []
    for names in (_ACROSS, _DOWN):
        axis = _axis(array, names)
        if axis is None or axis not in array.coords or array.coords[axis].size < 2:
            return None
        centres = np.asarray(array.coords[axis].values, dtype=np.float64)
        step = (centres[-1] - centres[0]) / (len(centres) - 1)
        even = centres[0] + step * np.arange(len(centres))
        if step == 0 or np.abs(centres - even).max() > _EVEN * abs(step):
            return None
        places.append((float(centres[0] - step / 2), float(step)))
    (left, width), (top, height) = places
    return Affine(width, 0, left, 0, height, top)


def _transform(reference: Mapping[str, Any], attrs: Mapping[str, Any]) -> Affine | None:
    told = reference.get("GeoTransform")
    try:
        if told is not None:
            return Affine.from_gdal(*(float(number) for number in str(told).split()))
        if "transform" in attrs:
            return Affine(*(float(number) for number in tuple(attrs["transform"])[:6]))
    except (TypeError, ValueError):
        raise FormatError("the transform of the array is no six numbers: correct or remove it") from None
    return None
