"""Which driver reads a raster file, and what it opens: what its content says, and nothing that was not named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hsi_cd.errors import FormatError
from hsi_cd.io.envi import check_envi_size, find_envi_pair, read_envi_header
from hsi_cd.io.kinds import FileKind, file_kind
from hsi_cd.io.pictures import check_jpeg2000, check_png
from hsi_cd.io.raster import Opened, open_raster
from hsi_cd.io.virtual_raster import read_virtual
from hsi_cd.places import gdal_name, is_place, is_remote, place_name

_BESIDE = (".msk", ".MSK", ".ovr", ".OVR")  # behind a file's name: what GDAL opens unasked, as whatever it is


def read_shape(path: Path, kind: FileKind) -> tuple[int, int]:
    """Rows and columns of an image, from its header.

    Raises:
        FormatError: the file is damaged, or no image.
    """
    data, driver = locate_raster(path, kind)
    with open_raster(data, driver) as dataset:
        return int(dataset.height), int(dataset.width)


def locate_raster(path: Path, kind: FileKind) -> tuple[Opened, str]:
    """The file to open and the rasterio driver that reads it; ENVI's two files are checked against each other.

    A VRT is checked, see :mod:`hsi_cd.io.virtual_raster`. A place has a name of GDAL's own, and nothing beside it.

    Raises:
        FormatError: an ENVI image whose header is absent, wrong, or of a spectral library.
        MissingInputError: an ENVI header without its data file.
    """
    if kind is FileKind.VRT:
        return read_virtual(path, locate_raster), kind.value
    if kind.is_image:
        if kind is FileKind.PNG:
            check_png(path)
        if kind is FileKind.JPEG2000:
            check_jpeg2000(path)
        check_beside(path)
        return (gdal_name(path) if is_place(path) else path), kind.value
    if kind is FileKind.NETCDF:
        check_free_format(path, kind)
    if kind in (FileKind.NETCDF, FileKind.ZARR):
        return path, kind.value
    if kind is FileKind.ENVI_HEADER:
        # Before the data file is looked for: a library is to be refused by name wherever its numbers lie.
        header = read_envi_header(path, given=path)
        data, _ = find_envi_pair(path)
    else:
        data, header_path = find_envi_pair(path)
        header = read_envi_header(header_path, given=path)
    check_envi_size(data, header)
    check_beside(data)
    return data, "ENVI"


def shown_files(path: Path) -> tuple[Path, ...]:
    """The files that a VRT shows; none of one that is not read."""
    try:
        return read_virtual(path, locate_raster).sources
    except FormatError:
        return ()


def check_beside(path: Path) -> None:
    """Refuse a mask or overviews beside an image that are no GeoTIFF: as a VRT they could show any file.

    Args:
        path: the image, on disk or in an archive; at an address, nothing beside it is read.

    Raises:
        FormatError: with the file's name.
    """
    for ending in _BESIDE:
        beside = path.with_name(path.name + ending)
        if not is_place(path) and not os.path.isfile(beside):  # noqa: PTH113 - which is quiet about any name
            continue
        try:
            harmless = is_remote(path) or file_kind(beside) is FileKind.TIFF  # or not there, in an archive
        except FormatError:  # of a kind that is not read in an archive
            harmless = False
        if not harmless:
            raise FormatError(
                f"{place_name(beside)} is no GeoTIFF, as which it is read beside {path.name}: remove it, or write "
                "it again"
            )


def check_free_format(path: Path, kind: FileKind) -> None:
    """Refuse a NetCDF file or Zarr store unless GDAL gives one image whose axes its georeference proves.

    Without one, GDAL takes the last two axes for rows and columns whatever they are, and turns NetCDF upside down.

    Raises:
        FormatError: there are several arrays, none, or no georeference.
    """
    with open_raster(path, kind.value) as dataset:
        if dataset.subdatasets:
            names, listed = _arrays_of(dataset)
            raise FormatError(f"{path} holds {len(names)} arrays ({listed}): name the image by keys=")
        _check_placed(dataset, path, kind)


def zarr_array(path: Path, key: str | None) -> Path | str:
    """What GDAL calls the image of a Zarr store, whose axes its georeference must prove.

    Args:
        path: the store.
        key: the array's name; by default the only image of several bands, or the only one of all.

    Raises:
        FormatError: no such array, no or several images, or one without a georeference.
    """
    with open_raster(path, FileKind.ZARR.value) as dataset:
        names, listed = _arrays_of(dataset)
        if not names:
            if key is not None:
                raise FormatError(f"{path} holds one array: leave the key ({key!r}) out")
            _check_placed(dataset, path, FileKind.ZARR)
            return path
    if key is not None and key not in names:
        raise FormatError(f"{path} has no array {key!r}: it holds {listed}")
    images = {name: count for name in (names if key is None else [key]) if (count := _image_bands(path, name))}
    if key is not None and not images:
        raise FormatError(
            f"{path}: array {key!r} is no image with a georeference, which proves its axes: save the image as "
            "GeoTIFF, ENVI or .npy"
        )
    cubes = [name for name, count in images.items() if count > 1] or list(images)
    if key is None and len(cubes) != 1:
        raise FormatError(
            f"{path} holds {len(names)} arrays ({listed}), of which {len(cubes)} are images with a georeference: "
            "name one with keys="
        )
    return _zarr_name(path, key or cubes[0])


def _arrays_of(dataset: Any) -> tuple[list[str], str]:
    """Names of the arrays of an open container, and the first of them in words."""
    names = [str(name).rsplit(":", 1)[-1].strip("/") for name in dataset.subdatasets]
    return names, ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _image_bands(path: Path, array: str) -> int:
    """Bands of an array of a Zarr store; 0 where it is no image with a georeference."""
    try:
        with open_raster(_zarr_name(path, array), FileKind.ZARR.value) as dataset:
            placed = not dataset.transform.is_identity and min(dataset.shape) > 1
            return int(dataset.count) if placed else 0
    except FormatError:  # as of a single number, which describes the CRS
        return 0


def _zarr_name(path: Path, array: str) -> str:
    return f'ZARR:"{path.absolute()}":/{array}'


def _check_placed(dataset: Any, path: Path, kind: FileKind) -> None:
    if not dataset.count or dataset.transform.is_identity:
        raise FormatError(
            f"{path} is a {kind.title} file without a georeference, which does not tell its axes: save the "
            "image as GeoTIFF, ENVI or .npy"
        )
