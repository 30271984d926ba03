"""From names, files and arrays to two dates of one place, and to labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hsi_cd.api.area_choice import AreaChoice, checked_bounds
from hsi_cd.api.in_memory import array_cube, is_rasterio, is_xarray, raster_cube, xarray_cube
from hsi_cd.api.pairing import make_pair, warn_of_doubts
from hsi_cd.api.sources import Contract, SceneSource, TruthSource, as_paths, as_values
from hsi_cd.api.truths import Values, has_shapes, labels_like, map_band, read_truth, scheme_of
from hsi_cd.errors import ConfigError, FormatError, PairError
from hsi_cd.io import (
    Axes,
    CubeSource,
    Expected,
    map_shape,
    open_cube,
    open_cubes,
    parse_axes,
)
from hsi_cd.io.cubes import is_array_file, shape_of
from hsi_cd.io.kind_names import with_names
from hsi_cd.io.split_files import read_split
from hsi_cd.paths import as_path
from hsi_cd.scene import Cube, Grid, Labels, ScenePair, Split

DATA_ROOT = "HSI_CD_DATA"
"""Environment variable that names the folder with one folder per benchmark scene."""

_PLAIN_STEMS = ("t1", "a", "before")  # names of files that tell nothing: then the folder's name is the scene's


def open_pair(
    t1: Any,
    t2: Any,
    *,
    align: bool = False,
    register: bool = False,
    common_bands: bool = False,
    band_tolerance: float = 5.0,
    saturated: float | None = None,
    nodata: float | Sequence[float] | None = None,
    allow_identical: bool = False,
    mask: Any = "auto",
    aoi: Any = None,
    bounds: Sequence[float] | None = None,
    bounds_crs: str | None = None,
    statistics: str = "scene",
    axes: str | Sequence[str] | None = None,
    keys: tuple[str | None, str | None] = (None, None),
    resample: bool = False,
    name: str | None = None,
    like: Any = None,
    memory: int | None = None,
) -> ScenePair:
    """Open two dates of one place.

    A date is a path (GeoTIFF, ENVI, MATLAB, NumPy, HDF5, NetCDF, Zarr, JPEG 2000), a folder or a list of paths
    with one band each, an array ``(bands, rows, cols)``, an ``xarray.DataArray`` with its coordinates, an open
    dataset of rasterio, or a :class:`Cube`; the two may be of different kinds. No pixel is read yet, but for
    ``register``.

    Args:
        t1: the earlier date.
        t2: the later date.
        align: resample t2 onto the grid of t1, bilinearly.
        register: measure the shift between the dates and undo it, see :func:`hsi_cd.register`.
        common_bands: keep the bands that both dates have, in one order.
        band_tolerance: largest difference of centre wavelengths, nm, of the same band.
        saturated: stored value from which a pixel is saturated; by default integers' largest, in half the bands.
        nodata: stored values that mean no data in both dates, beside those that the files declare.
        allow_identical: take two dates that are one file, or hold the same values.
        mask: what is left out, in either date: ``"auto"``, what a product marks as cloud, shadow, cirrus, haze or
            snow; ``"none"``; kinds, as ``"cloud,shadow"``; the file of a raster (what is not 0) or of polygons
            (what they cover); an array ``(rows, cols)``; or several of these in a list.
        aoi: what alone is mapped and judged: a file of polygons in any CRS, a GeoDataFrame or a FeatureCollection.
        bounds: the same as ``(min x, min y, max x, max y)``.
        bounds_crs: their CRS, as ``"EPSG:4326"``; by default the scene's.
        statistics: of an area of interest: ``"scene"``: they come from the whole scene, and the map in the area is
            that of the whole scene; ``"area"``: as if the scene were cut to the area.
        axes: axes of bare arrays as stored, as ``"rows,cols,bands"``; by default found.
        keys: variables of t1 and t2, where they are files with several.
        resample: bring single-band files of several pixel sizes to the finest.
        name: what runs and tables call the scene; by default told by the first file.
        like: labels, or the file of a truth map, whose shape tells the axes of bare arrays.
        memory: bytes for blocks of both files (tiles, strips, chunks) that are kept decoded while the scene is
            read; by default 1 GB, at most a quarter of what is free. Larger blocks go into a temporary file.

    Returns:
        The pair. Its ``t1``, ``t2``, ``grid`` and ``bands`` tell what was found.

    Raises:
        MissingInputError: a file does not exist.
        FormatError: a file is damaged or of another kind; an array is none of numbers.
        AxesError: an array does not tell its axes.
        GridError: the dates do not lie on one grid and are not, or cannot be, aligned; the area of interest covers
            no pixel of the scene.
        BandError: the dates have other bands.
        RegistrationError: the dates are to be registered, and no shift lays them on one another.
        PairError: the dates are one file. (Those that hold the same values are refused when they are read.)
        ConfigError: an area of interest is named twice, or its bounds are no four numbers in their order.

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> t1, t2 = np.random.default_rng(0).random((2, 5, 40, 30), dtype=np.float32)
        >>> hc.open_pair(t1, t2).shape
        (40, 30)
    """
    source = SceneSource(t1=t1, t2=t2, keys=keys, axes=axes, resample=resample, name=name, memory=memory)
    area = AreaChoice(aoi, None if bounds is None else checked_bounds(bounds), bounds_crs, statistics)
    contract = Contract(
        align, common_bands, band_tolerance, saturated, as_values(nodata), allow_identical, register, mask, area
    )
    return open_scene(source, contract, like=like)


def open_labels(
    source: Any,
    *,
    changed: Values = None,
    unchanged: Values = None,
    ignore: Values = None,
    key: str | None = None,
    layer: str | None = None,
    field: str | None = None,
    like: Any = None,
    align: bool = False,
    kinds: bool = False,
    names: Any = None,
) -> Labels:
    """Open a truth map, or labels that were drawn as points, lines and polygons.

    Args:
        source: a file (MATLAB, GeoTIFF, ENVI, PNG, BMP), an array ``(rows, cols)``, an ``xarray.DataArray``, or a
            pair of masks (changed, unchanged), each a file or an array; or shapes: a file (GeoPackage, GeoJSON,
            Shapefile, FlatGeobuf, KML), a GeoDataFrame, a mapping as GeoJSON is written, or several of these.
        changed: stored values, of shapes also names, that mean changed; several tell kinds of change apart. By
            default the encoding is told from the values: 0/1 with 255 unlabelled, 0/255, or 1/2 with 0 unlabelled;
            and names as *changed* and *no change*.
        unchanged: stored values or names that mean unchanged.
        ignore: those of what nobody labelled; NaN, and a shape without a class, always is.
        key: variable of a file with several.
        layer: layer of shapes, where a file has several.
        field: field of shapes that tells their class, where several could.
        like: the scene, for shapes, and for ``align``: a pair, anything else with a ``grid``, or a raster's file.
        align: bring a truth map that lies on another grid onto that of ``like``, by nearest neighbour.
        kinds: take values that nobody declared for kinds of change, all but the unchanged.
        names: what the kinds are called: a CSV with the columns ``value`` and ``name``, or names by value; by
            default as the file calls them.

    Returns:
        Labels: 0 unchanged, 1 changed, 255 unlabelled; of shapes with the number of the shape of each pixel.

    Raises:
        MissingInputError: a file does not exist.
        FormatError: a file is damaged, of another kind, or has several bands that differ.
        LabelError: a value is not explained, declared twice, or masks overlap; no shape lies in the scene, all are
            of one class, or it is not clear which layer or field is meant.
        GridError: masks of different shape; a truth map on another grid than ``like``; shapes without a scene, or
            one of them without a CRS.

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> hc.open_labels(np.array([[1, 2], [0, 2]]), changed=2, unchanged=1, ignore=0).counts()
        (1, 2, 1)
    """
    truth = TruthSource(source, key, scheme_of(changed, unchanged, ignore), layer, field, align, kinds, names)
    return labels_like(truth, like)


def open_dataset(
    name: str, root: str | os.PathLike[str] | None = None, *, kinds: bool = False
) -> tuple[ScenePair, Labels]:
    """Open a benchmark scene with its truth map.

    Args:
        name: name or alias, as ``hsi-cd datasets`` lists them.
        root: folder that holds one folder per scene; by default what the environment's HSI_CD_DATA names, else
            ``data``.
        kinds: read the truth that tells kinds of change apart, where the scene has one.

    Returns:
        The two dates and the labels.

    Raises:
        UnknownNameError: there is no such scene.
        MissingInputError: its files are not there; what is expected, and where it is published, is said.
        GridError: the files are of another shape.
        LabelError: the truth map holds other values or counts than the scene's.
    """
    from hsi_cd.datasets import open_dataset as open_by_name

    pair, labels = open_by_name(name, data_root(root), kinds=kinds)
    warn_of_doubts(pair)
    return pair, labels


def open_split(path: str | os.PathLike[str], labels: Any = None) -> Split:
    """Which pixels teach, from a file.

    Args:
        path: the ``.npz`` that a run or ``hsi-cd split`` left; a ``.csv`` with the header ``index`` (flat, row by
            row) or ``row,col``, counted from 0; a ``.mat`` with ``rows`` and ``cols``, or ``train`` and
            ``column_major`` (1 for MATLAB's order, 0 for NumPy's), and ``base`` (whether the first is 0 or 1); or
            a label raster, whose labelled pixels teach.
        labels: the scene's truth map, in any form that :func:`hsi_cd.open_labels` takes; needed for a ``.csv`` and
            where a ``.mat`` holds no ``shape``. A raster must agree with it.

    Returns:
        The split; its protocol is ``file`` where the file names none.

    Raises:
        MissingInputError: there is no such file.
        FormatError: it is damaged, no split, does not say how it counts, or names pixels outside the scene.
        GridError: it is of another scene than the labels.
        LabelError: no pixel teaches, or a raster contradicts the labels.
    """
    return read_split(as_path(path), None if labels is None else read_truth(TruthSource(labels)))


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the benchmark scenes: as given, else as the environment says, else ``data``."""
    return as_path(root if root is not None else os.environ.get(DATA_ROOT) or "data")


def open_scene(source: SceneSource, contract: Contract | None = None, *, like: Any = None) -> ScenePair:
    """Open a scene, labels unread, if it keeps the contract.

    Args:
        source: where it lies.
        contract: what is asked of the two dates.
        like: labels, or the file of a truth map, whose shape tells the axes of bare arrays.

    Raises:
        ConfigError: neither a benchmark scene nor two dates are named, or both.
    """
    contract = contract or Contract()
    if (source.dataset is None) == (source.t1 is None or source.t2 is None):
        raise ConfigError("a scene is a dataset's name, or t1 and t2: give one of them")
    if source.dataset is not None:
        from hsi_cd.datasets import open_pair as open_by_name

        pair = open_by_name(source.dataset, source.root)
        return make_pair(pair.t1, pair.t2, name=pair.name, contract=contract)
    t1, t2 = open_dates(source, _expected(like))
    if not contract.allow_identical:  # once it is clear which variable of the file is meant
        _refuse_one_file(source)
    return make_pair(t1, t2, name=source.name or scene_name(source.t1), contract=contract)


def _refuse_one_file(source: SceneSource) -> None:
    first, second = ([path.resolve() for path in as_paths(date)] for date in (source.t1, source.t2))
    if first and first == second and source.keys[0] == source.keys[1]:
        more = f" and {len(first) - 1} more" if len(first) > 1 else ""
        raise PairError(
            f"t1 and t2 are one file, {first[0]}{more}: give two dates, or say "
            "allow_identical=True to take it twice"
        )


def truth_of(source: SceneSource, truth: TruthSource, grid: Grid | None = None) -> Labels:
    """The labels of a scene: a benchmark scene brings its own, and any other has a truth map beside it.

    Args:
        source: where the scene lies.
        truth: its truth map, or labels drawn on it.
        grid: the scene's, where it is known; drawn labels need it.

    Raises:
        ConfigError: a scene of one's own comes without a truth map.
        LabelError: the truth map holds other values or counts than it must.
    """
    if source.dataset is None:
        return read_truth(truth, grid)
    from hsi_cd.datasets import open_dataset as open_by_name

    return with_names(open_by_name(source.dataset, source.root, kinds=truth.kinds)[1], truth.names)


def input_files(source: SceneSource, truth: TruthSource | None = None) -> tuple[Path, ...]:
    """The files that a scene is read from: of t1, of t2, then of the truth map, where one is asked for.

    Args:
        source: where the scene lies.
        truth: its truth map; None where no labels are read.
    """
    if source.dataset is None:
        return (*source.files, *(() if truth is None else as_paths(truth.source)))
    from hsi_cd.datasets import dataset_files

    kinds = truth is not None and truth.kinds
    return dataset_files(source.dataset, source.root, labelled=truth is not None, kinds=kinds)


def open_dates(source: SceneSource, expected: Expected | None) -> tuple[Cube, Cube]:
    """Both dates; where one of them lies in memory, its shape tells the axes of the other's file."""
    axes = _axes(source.axes)
    dates = (source.t1, source.t2)
    files = [as_paths(date) for date in dates]
    keep = None if source.memory is None else source.memory // 2
    asked = [
        CubeSource(paths[0] if len(paths) == 1 else paths, key, axes, source.resample, keep)
        for paths, key in zip(files, source.keys, strict=True)
    ]
    if all(files):
        return open_cubes(asked[0], asked[1], expected=expected)
    opened: list[Cube | None] = [
        None if paths else _in_memory(date, axes, expected, key=key)
        for date, paths, key in zip(dates, files, source.keys, strict=True)
    ]
    known = shape_of(next(cube for cube in opened if cube is not None))
    first, second = (cube or _open_file(each, expected or known) for cube, each in zip(opened, asked, strict=True))
    return first, second


def _open_file(source: CubeSource, expected: Expected) -> Cube:
    """A date in files beside one in memory; what is said of axes is said of bare arrays alone."""
    axes = source.axes if is_array_file(source) else None
    return open_cube(
        source.path, key=source.key, axes=axes, expected=expected, resample=source.resample, keep=source.keep
    )


def _in_memory(date: Any, axes: Axes | None, expected: Expected | None, *, key: str | None) -> Cube:
    if key is not None:
        raise FormatError(
            f"a key ({key!r}) names a variable of a file, but this date lies in memory: leave it out"
        )
    if isinstance(date, np.ndarray):
        return array_cube(date, axes=axes, expected=expected)
    if isinstance(date, Cube):
        return date
    if is_xarray(date):
        return xarray_cube(date)
    if is_rasterio(date):
        return raster_cube(date)
    raise FormatError(
        f"a date is a {type(date).__name__}: expected a path, a list of paths, an array (bands, rows, cols), an "
        "xarray.DataArray, an open rasterio dataset or a Cube"
    )


def _axes(axes: str | Sequence[str] | None) -> Axes | None:
    return None if axes is None else parse_axes(axes if isinstance(axes, str) else ",".join(axes))


def _expected(like: Any) -> Expected | None:
    """What a truth tells of the scene's shape."""
    if like is None:
        return None
    if isinstance(like, Labels):
        return Expected(*like.shape)
    truth = like if isinstance(like, TruthSource) else TruthSource(like)
    if truth.source is not None and has_shapes(truth):
        return None
    files = as_paths(truth.source)
    if files:
        return map_shape(files[0], key=truth.key)
    if truth.source is None:
        return None
    first = truth.source[0] if isinstance(truth.source, tuple | list) else truth.source
    return _expected(first) if isinstance(first, Labels) else Expected(*map_band(first).values.shape)


def scene_name(t1: Any) -> str:
    """What a scene is called whose earlier date, or first one, this is."""
    files = as_paths(t1)
    if not files:
        return "scene"
    return files[0].resolve().parent.name if files[0].stem.lower() in _PLAIN_STEMS else files[0].stem
