"""A cube written as a GeoTIFF: in its own number type where that holds its values, with bands and no data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from hsi_cd.errors import FormatError, OutputError
from hsi_cd.io.atomic import atomic_path
from hsi_cd.io.raster import open_raster, quiet_georeference
from hsi_cd.io.sidecars import remove_stale
from hsi_cd.progress import progress
from hsi_cd.scene import Cube

_BLOCK = 256
_LEVEL = 3  # of deflate


def write_cube(
    path: Path, cube: Cube, *, like: Cube, tags: Mapping[str, str] | None = None, overwrite: bool = False
) -> None:
    """Write a cube that was made of another one: whole or not at all, window by window.

    What GDAL kept beside a file of this name, as a mask, goes: it would be read as part of what is written now.

    Integers of up to 16 bits stay such, rounded and kept within their range; all else is written as float32. No
    data is the value that the source declares, else NaN, or of integers the type's smallest number; a value that
    would be taken for it is moved by one.

    Args:
        path: the GeoTIFF.
        cube: what is written: stored values, float32, NaN for no data.
        like: the cube it was made of, which tells type, no data, scale and offset.
        tags: text to store in it.
        overwrite: whether the file may be replaced.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    whole = like.dtype.kind in "iu" and like.dtype.itemsize <= 2
    dtype = like.dtype if whole else np.dtype(np.float32)
    nodata = _nodata_of(like, dtype)
    grid = cube.grid
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.rows,
        "width": grid.cols,
        "count": cube.bands.count,
        "dtype": dtype.name,
        "nodata": nodata,
        "interleave": "band",
        "tiled": True,
        "blockxsize": _block(grid.cols),
        "blockysize": _block(grid.rows),
        "compress": "deflate",
        "zlevel": _LEVEL,
        "predictor": 2 if whole else 3,
        "BIGTIFF": "IF_SAFER",
    }
    with atomic_path(path, overwrite=overwrite) as draft:
        try:
            with quiet_georeference(), rasterio.open(draft, "w", **profile, **grid.georeference()) as out:
                _describe(out, cube, like, tags or {})
                spans = [
                    [slice(start, min(start + _BLOCK, length)) for start in range(0, length, _BLOCK)]
                    for length in grid.shape
                ]
                for rows, cols in progress(list(itertools.product(*spans)), desc="write", unit="window"):
                    values = _as_stored(cube.read(rows, cols), dtype, nodata)
                    place = Window(cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)
                    out.write(values, window=place)
            # GDAL tells a disk that filled up at the very end only in its log: the last row shows it.
            with open_raster(draft, "GTiff") as written:
                written.read(cube.bands.count, window=Window(0, grid.rows - 1, grid.cols, 1))
        except (RasterioError, FormatError) as error:
            reason = (str(error.__cause__ or error).splitlines() or ["no reason given"])[0]
            raise OutputError(f"{path} cannot be written ({reason}): is the disk full?") from error
    remove_stale([path])


def _nodata_of(like: Cube, dtype: np.dtype[np.generic]) -> float:
    """The value that marks no data: the source's own where the type holds it."""
    told = like.nodata
    if dtype.kind == "f":
        return math.nan if told is None or np.float32(told) != told else told
    limits = np.iinfo(dtype.name)
    fits = told is not None and float(told).is_integer() and limits.min <= told <= limits.max
    return float(told) if told is not None and fits else float(limits.min)


def _as_stored(values: NDArray[np.float32], dtype: np.dtype[np.generic], nodata: float) -> NDArray[np.generic]:
    missing = np.isnan(values)
    if dtype.kind == "f":
        values[values == np.float32(nodata)] = np.nextafter(np.float32(nodata), np.float32(np.inf))
        values[missing] = nodata
        return values
    limits = np.iinfo(dtype.name)
    known = np.clip(np.rint(np.where(missing, 0, values)), limits.min, limits.max)
    known[known == nodata] += 1 if nodata < limits.max else -1
    known[missing] = nodata
    return known.astype(dtype)


def _describe(out: Any, cube: Cube, like: Cube, tags: Mapping[str, str]) -> None:
    """Tags first: written after the pixels they would be appended, and the file's head written twice."""
    bands = cube.bands
    acquired = {"acquisition_date": cube.acquired} if cube.acquired else {}
    out.update_tags(**acquired, **tags)
    if like.scale or like.offset:
        out.scales = like.scale or (1.0,) * bands.count
        out.offsets = like.offset or (0.0,) * bands.count
    for band in range(bands.count):
        told: dict[str, str] = {}
        if bands.centres:
            told |= {"wavelength": repr(float(bands.centres[band])), "wavelength_units": "Nanometers"}
        if bands.fwhm:
            told["fwhm"] = repr(float(bands.fwhm[band]))
        if bands.good:
            told["bbl"] = str(int(bands.good[band]))
        if told:
            out.update_tags(band + 1, **told)
        if bands.names and bands.names[band]:
            out.set_band_description(band + 1, bands.names[band])


def _block(size: int) -> int:
    """Tile edge: TIFF wants a multiple of 16, and a small raster needs no larger tile than itself."""
    return min(_BLOCK, math.ceil(size / 16) * 16)
