"""One cube from several rasters, as satellites' products come: a file a band, in a folder or a list."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from hsi_cd.errors import FormatError, GridError
from hsi_cd.io.file_blocks import kept_bytes
from hsi_cd.io.file_masks import MaskedReader
from hsi_cd.io.kinds import FileKind, file_kind, find_input
from hsi_cd.io.raster import RasterReader, open_raster
from hsi_cd.io.raster_cubes import open_raster_cube
from hsi_cd.io.raster_formats import locate_raster
from hsi_cd.io.sensor_bands import with_known_waves
from hsi_cd.io.spectral_bands import spectral_files, tell_left_out
from hsi_cd.places import file_name, place_name
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.cube import WindowReader

_log = logging.getLogger(__name__)

_MOST_FILES = 2000
_PICTURES = (FileKind.JPEG, FileKind.PNG, FileKind.BMP)  # beside rasters of another kind, pictures for people
_SIDECARS = (
    ".xml",
    ".txt",
    ".json",
    ".csv",
    ".md",
    ".ovr",
    ".aux",
    ".msk",
    ".enp",
    ".qml",
    ".prj",
    ".tfw",
    ".jgw",
)


def open_stack(
    paths: Sequence[Path],
    *,
    name: str,
    resample: bool = False,
    keep: int | None = None,
    described: Callable[[Path, Cube], Cube] | None = None,
) -> Cube:
    """Rasters of one place as one cube, their bands in the order of the list.

    Args:
        paths: the files, GeoTIFF, JPEG 2000 or ENVI.
        name: what messages call the cube.
        resample: resample all to the grid of the finest, bilinearly, where their pixel sizes differ.
        keep: bytes that decoded blocks of all files may take, see :func:`hsi_cd.io.file_blocks.kept_bytes`.
        described: a file's cube with what is told of it elsewhere; by default as it stands.

    Raises:
        MissingInputError: a file does not exist.
        FormatError: a file is no raster.
        GridError: the files lie in other places, or differ in pixel size and are not to be resampled.
    """
    if not 0 < len(paths) <= _MOST_FILES:
        raise FormatError(f"{name} has {len(paths)} files: expected one a band, at most {_MOST_FILES}")
    share = (kept_bytes() if keep is None else keep) // len(paths)
    cubes = []
    for path in paths:
        kind = file_kind(find_input(path, places=True))
        if kind.holds_arrays or kind is FileKind.ZARR:
            raise FormatError(
                f"{place_name(path)} is a {kind.title} file: a list of files takes rasters, as GeoTIFF or JPEG "
                "2000"
            )
        cube = open_raster_cube(path, kind, name=file_name(path), keep=share)
        cubes.append(cube if described is None else described(path, cube))
    finest = min((cube.grid for cube in cubes), key=_pixel_area)
    if any(not _same_grid(cube.grid, finest) for cube in cubes):
        _check_place(cubes, finest)
        if not resample:
            sizes = ", ".join(f"{cube.name} {cube.grid.rows} x {cube.grid.cols}" for cube in cubes[:16])
            raise GridError(
                f"the files of {name} differ in pixel size ({sizes}): pass resample=True to bring all to the "
                f"finest, {finest.rows} x {finest.cols} pixels, or give files of one size"
            )
        _log.info("%s: bands are resampled to %d x %d pixels", name, finest.rows, finest.cols)
        cubes = [_onto(cube, path, finest) for cube, path in zip(cubes, paths, strict=True)]
    # Bands that mark their gaps otherwise agree on NaN.
    agree = len({str(cube.nodata) for cube in cubes}) == 1
    reader = StackReader([cube.reader for cube in cubes], None if agree else [cube.nodata for cube in cubes])
    dtype = np.result_type(*(cube.dtype for cube in cubes))
    acquired = {cube.acquired for cube in cubes}
    sensors = {cube.sensor for cube in cubes}
    stack = Cube(
        name=name,
        grid=cubes[0].grid,
        bands=_join([cube.bands for cube in cubes], [cube.name for cube in cubes]),
        dtype=dtype if agree else np.result_type(dtype, np.float32),
        reader=reader,
        nodata=cubes[0].nodata if agree else math.nan,
        scale=_per_band(cubes, "scale", 1.0),
        offset=_per_band(cubes, "offset", 0.0),
        acquired=acquired.pop() if len(acquired) == 1 else "",
        sensor=sensors.pop() if len(sensors) == 1 else "",
        marks=" and ".join(sorted({cube.marks for cube in cubes} - {""})),
    )
    return with_known_waves(stack, [Path(cube.name).stem for cube in cubes])


def band_files(folder: Path) -> list[Path]:
    """The rasters of one band each in a folder, in the natural order of their names (B2, B8, B8A, B10).

    What products bring beside their bands (quality, classes, temperatures, pictures) is left out, with a word.

    Raises:
        FormatError: there is none, or one of several bands is among them, or a file cannot be read.
    """
    try:
        entries = sorted(
            (e for e in folder.iterdir() if not e.name.startswith(".")), key=lambda e: _natural(e.name)
        )
    except OSError as error:
        raise FormatError(f"{folder} cannot be read: {error.strerror or error}") from error
    found = [path for path in entries if path.is_file() and _is_raster(path)]
    if not found:
        folders = [path.name for path in entries if path.is_dir()]
        there = f"it holds the folders {', '.join(folders[:8])}" if folders else "there is no raster in it"
        raise FormatError(
            f"{folder} is a folder, not a file: name the file itself, or a folder of rasters of one band ({there})"
        )
    if len(found) > _MOST_FILES:
        raise FormatError(f"{folder} holds {len(found)} rasters: expected one a band, at most {_MOST_FILES}")
    found = _bands_alone(folder, found)
    for path in found:
        bands = open_raster_cube(path, file_kind(path), name=path.name).bands.count
        if bands != 1:
            raise FormatError(
                f"{folder} is a folder, not a file, and {path.name} in it has {bands} bands: a folder is read "
                "with one band a file; name the file itself, or list the files that are wanted"
            )
    return found


class StackReader:
    """Reads the same window of several readers, one upon the other."""

    def __init__(self, readers: Sequence[WindowReader], nodata: Sequence[float | None] | None = None) -> None:
        """``nodata``: each reader's own stored value for no data, to become NaN; None to leave all as stored."""
        self._readers = list(readers)
        self._nodata = nodata

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window, masked where a file says that there are none."""
        parts = [reader(rows, cols) for reader in self._readers]
        if self._nodata is not None:
            parts = [_with_nan(part, value) for part, value in zip(parts, self._nodata, strict=True)]
        join = np.ma.concatenate if any(np.ma.isMaskedArray(part) for part in parts) else np.concatenate
        joined: NDArray[np.generic] = join(parts)
        return joined

    def __reduce__(self) -> tuple[type[StackReader], tuple[list[WindowReader], Sequence[float | None] | None]]:
        return StackReader, (self._readers, self._nodata)


def _with_nan(values: NDArray[np.generic], nodata: float | None) -> NDArray[np.generic]:
    out = values.astype(np.result_type(values.dtype, np.float32))
    if nodata is not None and not math.isnan(nodata):
        np.ma.getdata(out)[np.ma.getdata(values) == nodata] = np.nan
    return out


def _onto(cube: Cube, path: Path, grid: Grid) -> Cube:
    if _same_grid(cube.grid, grid):
        return cube
    data, driver = locate_raster(path, file_kind(path))
    if not isinstance(cube.reader, MaskedReader):  # pragma: no cover - a raster's is one; for the type checker
        return cube
    masks = cube.reader.masks
    return replace(cube, grid=grid, reader=MaskedReader(RasterReader(data, driver, grid, masks=masks), masks))


def _bands_alone(folder: Path, found: Sequence[Path]) -> list[Path]:
    """The files that are bands; where none would be left, all of them."""
    others = spectral_files(found)
    left = [path for path in found if path not in others]
    pictures = [path for path in left if file_kind(path) in _PICTURES]
    if len(pictures) < len(left):
        others |= dict.fromkeys(pictures, "a preview")
        left = [path for path in left if path not in others]
    coloured = [path for path in left if _has_palette(path)]
    if len(coloured) < len(left):
        others |= dict.fromkeys(coloured, "classes in colours")
        left = [path for path in left if path not in others]
    if others:
        told = {path.name: what for path, what in others.items()}
        tell_left_out(str(folder), told, remedy="; list the files to choose them")
    return left


def _has_palette(path: Path) -> bool:
    data, driver = locate_raster(path, file_kind(path))
    with open_raster(data, driver) as dataset:
        return ColorInterp.palette in dataset.colorinterp


def _is_raster(path: Path) -> bool:
    if path.suffix.lower() in _SIDECARS or not os.access(path, os.R_OK) or path.stat().st_size == 0:
        return False
    kind = file_kind(path)
    return kind.is_image or kind is FileKind.ENVI_HEADER


def _same_grid(first: Grid, second: Grid) -> bool:
    if first.shape != second.shape or first.crs != second.crs:
        return False
    if first.transform is None or second.transform is None:
        return first.transform is second.transform
    return first.transform.almost_equals(second.transform, 1e-9 + 1e-6 * abs(first.transform.a))


def _pixel_area(grid: Grid) -> float:
    """Area of a pixel in the CRS's units; without a transform, all rasters cover one unit."""
    return abs(grid.transform.determinant) if grid.transform is not None else 1 / (grid.rows * grid.cols)


def _check_place(cubes: Sequence[Cube], finest: Grid) -> None:
    """Refuse files that do not cover the same ground, which resampling cannot mend."""
    for cube in cubes:
        grid = cube.grid
        if grid.transform is None or finest.transform is None:
            if grid.shape != finest.shape or grid.transform is not finest.transform:
                raise GridError(
                    f"{cube.name} has {grid.rows} x {grid.cols} pixels, another file {finest.rows} x {finest.cols}"
                    ", and not all have a georeference: give files of one size"
                )
            continue
        if grid.crs != finest.crs:
            raise GridError(f"{cube.name} is in another CRS than the other files: reproject it first")
        pixel = math.sqrt(_pixel_area(grid))
        for corner in ((0, 0), (1, 1)):
            here = grid.transform @ (corner[0] * grid.cols, corner[1] * grid.rows)
            there = finest.transform @ (corner[0] * finest.cols, corner[1] * finest.rows)
            gap = math.dist(here, there)
            if gap > pixel:
                raise GridError(
                    f"{cube.name} does not cover the ground of the other files (a corner lies {gap:g} units "
                    "apart): give files of one place, or crop them"
                )


def _join(parts: Sequence[Bands], names: Sequence[str]) -> Bands:
    """Descriptions of all bands; what a file lacks is left out for all."""

    def joined(field: str) -> tuple[float, ...]:
        whole = all(getattr(part, field) for part in parts)
        return tuple(value for part in parts for value in getattr(part, field)) if whole else ()

    own = tuple(name for part in parts for name in part.names) if all(part.names for part in parts) else ()
    if len(set(own)) != len(own) or not own:
        own = ()
        if all(part.count == 1 for part in parts):
            own = _short_names(names)
    return Bands(
        count=sum(part.count for part in parts),
        centres=joined("centres"),
        fwhm=joined("fwhm"),
        good=tuple(bool(flag) for flag in joined("good")),
        names=own,
    )


def _short_names(names: Sequence[str]) -> tuple[str, ...]:
    """What tells files apart: ``B02`` of ``T31TCJ_20200101_B02_10m.jp2``."""
    words = [re.split(r"[_\-. ]+", Path(name).stem) for name in names]
    common = set(words[0]).intersection(*words[1:]) if len(words) > 1 else set()
    short = tuple("_".join(w for w in each if w not in common) or "_".join(each) for each in words)
    return short if len(set(short)) == len(short) else tuple(names)


def _per_band(cubes: Sequence[Cube], field: str, neutral: float) -> tuple[float, ...]:
    if not any(getattr(cube, field) for cube in cubes):
        return ()
    return tuple(value for cube in cubes for value in (getattr(cube, field) or (neutral,) * cube.bands.count))


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which B2 comes before B10, and B8A between B8 and B9."""
    return [(int(part), "") if part.isdigit() else (-1, part.casefold()) for part in re.split(r"(\d+)", name)]
