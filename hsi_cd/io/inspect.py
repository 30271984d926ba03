"""What is in a file, looked at in one streaming pass of bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import AxesError, FormatError, HsiCdError
from hsi_cd.io.arrays import list_arrays, open_array_cube, read_matrix
from hsi_cd.io.axes import Axes, Expected
from hsi_cd.io.class_fields import values_of
from hsi_cd.io.cubes import described, open_cube, raster_or_array
from hsi_cd.io.envi import find_envi_pair
from hsi_cd.io.hdf5 import is_matlab
from hsi_cd.io.kinds import FileKind, check_exists, is_zarr, vector_title
from hsi_cd.io.memory import check_memory
from hsi_cd.io.products import FoundProduct, find_product
from hsi_cd.io.raster_cubes import open_raster_cube
from hsi_cd.io.stac import read_item
from hsi_cd.io.swath_coordinates import swath_reason
from hsi_cd.io.variables import Variable, candidates, choose, find_named
from hsi_cd.io.vector_files import read_layers
from hsi_cd.paths import as_path
from hsi_cd.places import archive_of, file_name, is_place
from hsi_cd.progress import progress
from hsi_cd.scene import Cube, cube_from_array
from hsi_cd.scene.contract import crs_name
from hsi_cd.scene.shown_bands import TRUE_COLOUR, shown_bands
from hsi_cd.scene.undeclared import Fill, FillWatch

_BLOCK_BYTES = 32 << 20
_TILE = 256  # pixels: what rasters are tiled by, so that a wide one is not unpacked for every few rows
_QUICK_SIDE = 1000  # pixels of a quick look
_MOST_VALUES = 64  # distinct values up to which whole numbers are taken for classes
_MOST_PARTS = 16
_MOST_FILES = 64


@dataclass(frozen=True)
class Part:
    """One image of a file.

    Attributes:
        cube: the image; a map has one band.
        is_map: whether it is an array of one value a pixel.
    """

    cube: Cube
    is_map: bool


@dataclass(frozen=True)
class LayerInfo:
    """A layer of shapes in a file.

    Attributes:
        name: of the layer.
        crs: of its coordinates, in words.
        shapes: number of features by kind, as ``Polygon``.
        fields: by name, how often each value is there, the commonest first.
    """

    name: str
    crs: str
    shapes: dict[str, int]
    fields: dict[str, dict[str, int]]


@dataclass(frozen=True)
class FileInfo:
    """What a file holds.

    Attributes:
        path: the file or folder.
        kind: what it is, in words.
        size: bytes on disk.
        arrays: its named arrays, with shape and type; empty for rasters.
        parts: its images, of which no pixel has been read but those of maps.
        notes: what could not be opened, and why.
        unresolved: arrays that do not tell their axes.
        layers: its layers of shapes; of files that hold shapes in place of pixels.
    """

    path: Path
    kind: str
    size: int
    arrays: tuple[Variable, ...] = ()
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    layers: tuple[LayerInfo, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What a pass over an image measures; values in reflectance where the file tells how.

    Attributes:
        low: smallest value, NaN without any.
        high: largest value, NaN without any.
        missing: share of values that are no data or not finite.
        empty: share of pixels without a value in any band.
        dead: bands, counted from 0, without data or with one value everywhere.
        counts: pixels by value, where these are few whole numbers; of maps alone.
        fill: a number that fills the border and that the file does not declare, or None; of images alone.
        quick: red, green and blue (or the one band), thinned, float32 ``(3 or 1, rows, cols)``.
        shown: which bands these are, in words; empty where there is one.
    """

    low: float
    high: float
    missing: float
    empty: float
    dead: tuple[int, ...]
    counts: dict[int, int] | None
    fill: Fill | None
    quick: NDArray[np.float32] = field(repr=False)
    shown: str = ""


def inspect_paths(
    paths: Sequence[Path], *, key: str | None = None, axes: Axes | None = None, resample: bool = False
) -> list[FileInfo]:
    """Look into files, whose shapes tell one another's axes.

    Args:
        paths: files, or folders: one of single-band rasters is one image, any other stands for its files.
        key: the one variable to look at in a file of arrays.
        axes: the axes of bare arrays; found by default.
        resample: bring single-band rasters of several pixel sizes to the finest.

    Raises:
        MissingInputError: a file does not exist.
        FormatError: a file is damaged, of another kind, or holds no image.
    """
    infos = [info for path in paths for info in _inspect(as_path(path), key, axes, None, resample)]
    shapes = {part.cube.grid.shape for info in infos for part in info.parts}
    if len(shapes) == 1 and any(info.unresolved for info in infos):
        expected = Expected(*shapes.pop())
        infos = [
            _inspect(info.path, key, axes, expected, resample)[0] if info.unresolved else info for info in infos
        ]
    return infos


def summarise(part: Part) -> Summary:
    """Measure an image in one streaming pass."""
    cube = part.cube
    rows, cols = cube.grid.shape
    count = cube.bands.count
    step = max(1, math.ceil(max(rows, cols) / _QUICK_SIDE))
    colours = shown_bands(cube.bands, TRUE_COLOUR) if count >= 3 else None
    shown = [0] if colours is None else list(colours.indices)
    quick = np.full((len(shown), math.ceil(rows / step), math.ceil(cols / step)), np.nan, dtype=np.float32)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    missing = empty = 0
    fill = None if part.is_map else FillWatch(cube)
    counts: dict[int, int] | None = {} if part.is_map and not cube.scale else None
    blocks = list(blocks_of(rows, cols, count))
    for row, col in progress(blocks, desc=cube.name, unit="windows", show=len(blocks) > 8):
        values = cube.read(row, col)
        if fill is not None:
            fill.see(values, row.start, col.start)
        none = np.isnan(values)
        missing += int(none.sum())
        empty += int(none.all(axis=0).sum())
        low = np.minimum(low, np.where(none, np.inf, values).min(axis=(1, 2)))
        high = np.maximum(high, np.where(none, -np.inf, values).max(axis=(1, 2)))
        counts = None if counts is None else _count(counts, values[~none])
        top, left = -row.start % step, -col.start % step
        thin = values[shown, top::step, left::step]
        at = ((row.start + top) // step, (col.start + left) // step)
        quick[:, at[0] : at[0] + thin.shape[1], at[1] : at[1] + thin.shape[2]] = thin
    known = low <= high
    return Summary(
        low=float(low.min()) if known.any() else math.nan,
        high=float(high.max()) if known.any() else math.nan,
        missing=missing / (rows * cols * count),
        empty=empty / (rows * cols),
        dead=tuple(int(i) for i in np.flatnonzero(~(low < high))) if rows * cols > 1 else (),
        counts=counts,
        fill=None if fill is None else fill.fill(),
        quick=quick,
        shown="" if colours is None else colours.words,
    )


def blocks_of(rows: int, cols: int, bands: int) -> Iterator[tuple[slice, slice]]:
    """Windows that together cover an image, each of at most some 32 MB in float32."""
    pixels = max(1, _BLOCK_BYTES // (4 * bands))
    width = cols if pixels // cols >= min(rows, _TILE) else min(cols, _TILE, pixels)
    height = max(1, pixels // width)
    if height > _TILE:
        height -= height % _TILE
    for row in range(0, rows, height):
        for col in range(0, cols, width):
            yield slice(row, min(row + height, rows)), slice(col, min(col + width, cols))


def _inspect(
    path: Path, key: str | None, axes: Axes | None, expected: Expected | None, resample: bool
) -> list[FileInfo]:
    if not is_place(path):
        check_exists(path)
    if read_item(path) is not None:
        cube = open_cube(path, key=key, axes=axes, resample=resample)
        return [FileInfo(path, "STAC item", _size(path), parts=(Part(cube, is_map=False),))]
    is_folder = path.is_dir() and not is_zarr(path)
    try:
        product = find_product(path) if key is None and axes is None else None
    except FormatError:
        if not is_folder:  # whose other files are looked at all the same
            raise
        product = None
    if product is not None:
        return [_inspect_product(path, product)]
    if is_folder:
        return _inspect_folder(path, key, axes, expected, resample)
    size = _size(path)
    title = vector_title(path) if path.is_file() else None
    if title is not None:
        return [_inspect_shapes(path, title, size)]
    kind = raster_or_array(path, key=key)
    if kind.holds_arrays:
        return [_inspect_arrays(path, kind, key, axes, expected)]
    if key is not None and kind is not FileKind.ZARR:
        raise FormatError(f"{path} is no file of arrays: a key ({key!r}) names a variable of MATLAB, HDF5 or .npz")
    if kind in (FileKind.ENVI_HEADER, FileKind.RAW):
        size = find_envi_pair(path)[0].stat().st_size
    cube = described(open_raster_cube(path, kind, name=file_name(path), key=key))
    return [FileInfo(path, kind.title, size, parts=(Part(cube, _is_map(cube)),))]


def _size(path: Path) -> int:
    """Bytes on disk: none of what is read over the network, those of its archive of what lies in one."""
    kept = archive_of(path) or path
    return 0 if is_place(kept) else kept.stat().st_size


def _is_map(cube: Cube) -> bool:
    return cube.bands.count == 1 and cube.dtype.kind in "bui"


def _inspect_product(path: Path, product: FoundProduct) -> FileInfo:
    cube = product.open()
    size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) if path.is_dir() else _size(path)
    title = cube.product.title if cube.product is not None else product.reader.title
    return FileInfo(path, title, size, parts=(Part(cube, is_map=False),))


def _inspect_shapes(path: Path, title: str, size: int) -> FileInfo:
    layers = []
    for table in read_layers(path):
        kinds = Counter("none" if each is None else each.geom_type for each in table.geometry)
        fields = {name: values_of(column) for name, column in table.fields.items()}
        layers.append(LayerInfo(table.layer, crs_name(table.crs), dict(kinds.most_common()), fields))
    return FileInfo(path, title, size, layers=tuple(layers))


def _inspect_arrays(
    path: Path, kind: FileKind, key: str | None, axes: Axes | None, expected: Expected | None
) -> FileInfo:
    variables = list_arrays(path, kind)
    if key is not None:
        named = find_named(variables, key)
        chosen = [named or choose(path, variables, key, ndim=3)]  # which says that there is none
    else:
        chosen = [*candidates(variables, ndim=3), *candidates(variables, ndim=2)]
        if not chosen:
            choose(path, variables, None, ndim=3)
    parts, unresolved, notes = [], [], []
    for variable in chosen[:_MOST_PARTS]:
        name = f"{file_name(path)}:{variable.name}" if variable.name else file_name(path)
        if len(variable.shape) == 2:
            check_memory(path, variable.nbytes)
            values = read_matrix(path, kind, key=variable.name)
            parts.append(Part(cube_from_array(values[None], name=name), is_map=True))
            continue
        try:
            wanted = expected or _maps_shape(chosen)
            cube = open_array_cube(path, kind, key=variable.name, axes=axes, expected=wanted, name=name)
            parts.append(Part(cube, is_map=False))
            swath = "" if cube.grid.is_georeferenced else swath_reason(variables, cube.grid.shape)
            if swath:
                notes.append(f"{name}: {swath}; order the level that is orthorectified or geocoded")
        except AxesError as error:
            unresolved.append(variable.name)
            notes.append(str(error))
    if len(chosen) > _MOST_PARTS:
        notes.append(f"{len(chosen) - _MOST_PARTS} more arrays are not looked at: name one by key=")
    title = "MATLAB v7.3 (HDF5)" if kind is FileKind.HDF5 and is_matlab(path) else kind.title
    return FileInfo(path, title, _size(path), variables, tuple(parts), tuple(notes), tuple(unresolved))


def _maps_shape(chosen: Sequence[Variable]) -> Expected | None:
    """What the maps beside a cube tell of its shape."""
    shapes = {v.shape for v in chosen if len(v.shape) == 2}
    return Expected(*shapes.pop()) if len(shapes) == 1 else None


def _inspect_folder(
    folder: Path, key: str | None, axes: Axes | None, expected: Expected | None, resample: bool
) -> list[FileInfo]:
    try:
        cube = open_cube(folder, resample=resample)
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        return [FileInfo(folder, f"{cube.bands.count} single-band files", size, parts=(Part(cube, is_map=False),))]
    except FormatError as error:  # no single-band rasters; that these differ in grid is said
        fault = error
    found: list[FileInfo] = []
    refused: list[str] = []
    seen: set[str] = set()
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    for path in files[:_MOST_FILES]:
        try:
            product = find_product(path)
            if product is not None:
                if product.place not in seen:  # any of its files is all of it
                    seen.add(product.place)
                    found.append(_inspect_product(path, product))
            elif raster_or_array(path) is not FileKind.ENVI_HEADER:  # its data file says it
                found += _inspect(path, key, axes, expected, resample)
        except HsiCdError as error:
            refused.append(str(error))
    if not found:
        raise fault
    if len(files) > _MOST_FILES:
        refused.append(f"{len(files) - _MOST_FILES} more files are not looked at")
    return [*found[:-1], replace(found[-1], notes=(*found[-1].notes, *refused))]


def _count(counts: dict[int, int], values: NDArray[np.float32]) -> dict[int, int] | None:
    """Add a block's values to the counts, or give up where they are no classes."""
    found, numbers = np.unique(values, return_counts=True)
    if len(found) > _MOST_VALUES or (found != np.round(found)).any():
        return None
    for value, number in zip(found.tolist(), numbers.tolist(), strict=True):
        counts[int(value)] = counts.get(int(value), 0) + int(number)
    return counts if len(counts) <= _MOST_VALUES else None
