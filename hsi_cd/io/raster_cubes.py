"""A raster file as a cube: its bands of values, read in the file's own blocks, without what its masks hide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hsi_cd.io.file_blocks import BlockReader, kept_bytes
from hsi_cd.io.file_masks import FileMasks, MaskedReader
from hsi_cd.io.kinds import FileKind
from hsi_cd.io.memory import check_plausible
from hsi_cd.io.raster import (
    Opened,
    RasterReader,
    check_real,
    grid_of,
    header_fields,
    layout_of,
    masks_of,
    nodata_of,
    open_raster,
)
from hsi_cd.io.raster_formats import locate_raster, zarr_array
from hsi_cd.io.sensor_bands import told_sensor
from hsi_cd.io.wavelengths import read_acquired, read_bands, read_scaling, read_written
from hsi_cd.places import place_name
from hsi_cd.scene import Cube, Grid
from hsi_cd.scene.cube import WindowReader
from hsi_cd.scene.matching import take_bands


def open_raster_cube(
    path: Path, kind: FileKind, *, name: str, keep: int | None = None, key: str | None = None
) -> Cube:
    """A raster as a cube that reads its windows when asked.

    Args:
        path: an image, also at a place, see :mod:`hsi_cd.places`; or one of the two files of an ENVI image.
        kind: what its content is.
        name: what messages call it.
        keep: bytes that its decoded blocks may take, see :func:`hsi_cd.io.file_blocks.kept_bytes`.
        key: the array of a Zarr store; by default its only image.

    Raises:
        FormatError: the file is damaged, no image, or of complex numbers; a place cannot be reached.
        MissingInputError: an ENVI header without its data file.
    """
    data, driver = locate_raster(path, kind)
    shown = place_name(path)
    opened: Opened = zarr_array(path, key) if kind is FileKind.ZARR else data
    with open_raster(opened, driver) as dataset:
        check_real(dataset, shown)
        if isinstance(data, Path) and data.is_file():
            dtype = np.result_type(*dataset.dtypes)
            check_plausible(data, (dataset.height, dataset.width, dataset.count), dtype.itemsize)
        masks = masks_of(dataset, data, image=True)
        blocks = BlockReader(
            RasterReader(opened, dataset.driver, masks=masks),
            layout_of(dataset, masks),
            most=kept_bytes() if keep is None else keep,
            name=shown,
        )
        return cube_of(
            dataset,
            masks,
            grid_of(dataset, name=shown),
            name=name,
            reader=MaskedReader(blocks, masks),
            header=header_fields(data, driver),
        )


def cube_of(
    dataset: Any,
    masks: FileMasks,
    grid: Grid,
    *,
    name: str,
    reader: WindowReader,
    header: Mapping[str, str] | None = None,
) -> Cube:
    """What an open raster says of itself, as a cube of its bands of values; alpha bands are none.

    Args:
        dataset: the open rasterio dataset.
        masks: how it marks pixels without data.
        grid: its shape and place.
        name: what messages call it.
        reader: reads its windows, masked where it holds nothing.
        header: the fields of an ENVI header.

    Raises:
        FormatError: a wavelength, a flag or a scale is no number.
    """
    places = [band - 1 for band in masks.bands]
    scale, offset = read_scaling(dataset, header=header)
    return Cube(
        name=name,
        grid=grid,
        bands=take_bands(read_bands(dataset, header=header), places),
        dtype=masks.dtype_of(dataset),
        reader=reader,
        nodata=None if masks.nodata else nodata_of(dataset, masks),
        scale=tuple(scale[place] for place in places) if scale else (),
        offset=tuple(offset[place] for place in places) if offset else (),
        acquired=read_acquired(dataset, header=header),
        written=read_written(dataset),
        sensor=told_sensor((name, *map(str, dataset.tags().values()))),
        marks=masks.describe(),
    )
