"""The one door through which cubes come in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hsi_cd.errors import AxesError, FormatError
from hsi_cd.io.arrays import image_of_named_axes, matrix_shape, open_array_cube
from hsi_cd.io.axes import Axes, Expected
from hsi_cd.io.hdf5 import is_matlab, is_netcdf4
from hsi_cd.io.kinds import FileKind, check_exists, file_kind, find_input, is_zarr
from hsi_cd.io.products import find_product
from hsi_cd.io.raster_cubes import open_raster_cube
from hsi_cd.io.raster_formats import check_free_format, read_shape
from hsi_cd.io.sensor_bands import with_known_waves
from hsi_cd.io.spectral_bands import spectral_cube
from hsi_cd.io.stac import open_item, read_item
from hsi_cd.io.stack import band_files, open_stack
from hsi_cd.paths import as_path
from hsi_cd.places import file_name, file_of, is_place, place_name
from hsi_cd.scene import Cube

FilePath = str | os.PathLike[str]


@dataclass(frozen=True)
class CubeSource:
    """Where a cube lies, and what the user says of it.

    Attributes:
        path: a file, a folder of rasters of one band, or a list of rasters.
        key: variable of a file of arrays; by default its only 3-D numeric array.
        axes: the axes of a bare array as stored; found by default.
        resample: bring rasters of several pixel sizes to the finest grid.
        keep: bytes that blocks of its files may take that are kept decoded; None for as much as serves.
    """

    path: FilePath | Sequence[FilePath]
    key: str | None = None
    axes: Axes | None = None
    resample: bool = False
    keep: int | None = None


def open_cube(
    path: FilePath | Sequence[FilePath],
    *,
    key: str | None = None,
    name: str | None = None,
    axes: Axes | None = None,
    expected: Expected | None = None,
    resample: bool = False,
    keep: int | None = None,
) -> Cube:
    """Open an image as a cube; what it is, its content decides.

    Read are MATLAB v5 and v7.3, HDF5, ``.npy`` and ``.npz``, ENVI (data file or header), GeoTIFF and JPEG 2000,
    several of them with one band each (a folder or a list), georeferenced NetCDF and Zarr. All but compressed
    arrays of MATLAB v5 and ``.npz`` are read by windows; those are loaded when the first window is read. The
    products of archives are recognised, see :mod:`hsi_cd.io.products`, unless a key or axes are given. An image or
    an HDF5 file is also read at an address or in an archive, see :mod:`hsi_cd.places`, and so are the assets of a
    STAC item, see :mod:`hsi_cd.io.stac`.

    Args:
        path: the file; for ENVI the data file or its header; a folder of rasters of one band; a list of rasters.
        key: variable of a file of arrays; by default its only 3-D numeric array.
        name: what messages call the cube; by default the file's name, with the key if one was given.
        axes: the axes of a bare array as stored; by default found from its format, its wavelengths, ``expected``.
        expected: what is known of its shape.
        resample: bring rasters of several pixel sizes to the finest grid.
        keep: bytes that blocks of its files may take that are kept decoded, see :mod:`hsi_cd.io.file_blocks`; by
            default 512 MB, at most an eighth of what is free.

    Returns:
        The cube, of which no pixel has been read.

    Raises:
        MissingInputError: the file, or the data file of an ENVI header, does not exist.
        FormatError: it is empty, damaged, of another kind, or a key was given for a raster.
        AxesError: an array does not tell its axes.
        GridError: rasters of one cube differ in place or pixel size, or no order of axes gives what is expected.
    """
    if not isinstance(path, str | os.PathLike):
        paths = [as_path(each) for each in path]
        if len(paths) != 1:
            _refuse_array_options(" and ".join(map(str, paths[:2])), key, axes)
            stack = open_stack(paths, name=name or f"{len(paths)} files", resample=resample, keep=keep)
            return replace(stack, files=tuple(map(file_of, paths)))
        path = paths[0]
    found = as_path(path)
    if not is_place(found):
        check_exists(found)
    item = read_item(found)
    if item is not None:
        _refuse_array_options(place_name(found), key, axes)
        stack = open_item(found, item, name=name or file_name(found), resample=resample, keep=keep)
        return spectral_cube(stack)
    # Whoever names a variable, or says axes, wants the array as it stands.
    product = find_product(found) if key is None and axes is None else None
    if product is not None:
        return product.open(name=name, keep=keep)
    if found.is_dir() and not is_zarr(found):
        _refuse_array_options(found, key, axes)
        stack = open_stack(band_files(found), name=name or found.name, resample=resample, keep=keep)
        return replace(stack, files=(found.absolute(),))
    kind = raster_or_array(found, key=key)
    label = name or (f"{file_name(found)}:{key}" if key else file_name(found))
    if kind.holds_arrays:
        cube = open_array_cube(found, kind, key=key, axes=axes, expected=expected, name=label, keep=keep)
    else:
        _refuse_array_options(place_name(found), None if kind is FileKind.ZARR else key, axes)
        cube = described(open_raster_cube(found, kind, name=label, keep=keep, key=key))
    return replace(cube, files=(file_of(found),))


def described(cube: Cube) -> Cube:
    """A raster without what is no spectral band, and with the wavelengths that the names of its bands tell."""
    return with_known_waves(spectral_cube(cube))


def open_cubes(t1: CubeSource, t2: CubeSource, *, expected: Expected | None = None) -> tuple[Cube, Cube]:
    """Open both dates of a scene; a date that does not tell its axes is read like the other.

    Args:
        t1: the earlier date.
        t2: the later date.
        expected: what is known of their shape, as from the truth map.

    Raises:
        AxesError: neither date tells its axes.
    """
    opened: list[Cube | None] = []
    faults = []
    arrays = [is_array_file(source) for source in (t1, t2)]
    if any(arrays):  # where one date is a bare array and the other is none, what is said of axes is of the first
        t1, t2 = (s if a else replace(s, axes=None) for s, a in zip((t1, t2), arrays, strict=True))
    for source in (t1, t2):
        try:
            opened.append(_open(source, expected))
        except AxesError as error:
            opened.append(None)
            faults.append(error)
    if len(faults) == 2:
        raise faults[0]
    first, second = opened
    if first is None and second is not None:
        first = _open(t1, shape_of(second))
    if second is None and first is not None:
        second = _open(t2, shape_of(first))
    if first is None or second is None:  # pragma: no cover - one was opened; here for the type checker
        raise faults[0]
    return first, second


def shape_of(cube: Cube) -> Expected:
    """A cube's shape, as what is to be expected of its partner."""
    return Expected(cube.grid.rows, cube.grid.cols, cube.bands.count)


def map_shape(path: FilePath, *, key: str | None = None) -> Expected:
    """The shape of a truth map, from its header.

    Raises:
        MissingInputError: the file does not exist.
        FormatError: it is damaged, or of another kind.
    """
    found = find_input(path, places=True)
    kind = file_kind(found)
    if kind.holds_arrays:
        rows, cols = matrix_shape(found, kind, key=key)
        return Expected(rows, cols)
    return Expected(*read_shape(found, kind))


def raster_or_array(path: Path, *, key: str | None = None) -> FileKind:
    """The kind of a file as which it is to be opened.

    NetCDF is read by GDAL where it holds one image with a place, and else, or where a key names the image, as a
    file of arrays, whose dimensions tell by their names which is which.

    Raises:
        FormatError: the file is empty, or cannot be read.
    """
    kind = file_kind(path if path.is_dir() else find_input(path, places=True))
    if is_place(path):  # where GDAL reads images alone
        return kind
    if kind is FileKind.HDF5 and not is_matlab(path) and is_netcdf4(path):
        arrays = FileKind.HDF5
    elif kind is FileKind.NETCDF:
        arrays = FileKind.NETCDF_CLASSIC
    else:
        return kind
    if key is not None:
        return arrays
    try:
        check_free_format(path, FileKind.NETCDF)
    except FormatError:
        if image_of_named_axes(path, arrays) is not None:
            return arrays
    return FileKind.NETCDF


def _open(source: CubeSource, expected: Expected | None) -> Cube:
    return open_cube(
        source.path,
        key=source.key,
        axes=source.axes,
        expected=expected,
        resample=source.resample,
        keep=source.keep,
    )


def is_array_file(source: CubeSource) -> bool:
    """Whether a date is a file of bare arrays, which may not tell its axes."""
    if not isinstance(source.path, str | os.PathLike):
        return False
    path = as_path(source.path)
    return (
        (is_place(path) or path.is_file())
        and read_item(path) is None
        and raster_or_array(path, key=source.key).holds_arrays
    )


def _refuse_array_options(path: object, key: str | None, axes: Axes | None) -> None:
    if key is not None:
        raise FormatError(
            f"{path} holds one image: a key ({key!r}) names a variable of a file of arrays (MATLAB, HDF5, NetCDF, "
            "Zarr, .npz); leave it out"
        )
    if axes is not None:
        raise FormatError(f"{path} tells its axes itself: axes= is for bare arrays (MATLAB, HDF5, .npy, .npz)")
