"""Truth maps, and labels drawn as shapes: from whatever names or holds them to the labels of a scene."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hsi_cd.api.in_memory import is_rasterio, is_xarray, raster_cube, xarray_cube, xarray_map
from hsi_cd.api.sources import TruthSource, as_paths
from hsi_cd.errors import ConfigError, FormatError, GridError, LabelError
from hsi_cd.io import MaskPair, open_cube, read_labels
from hsi_cd.io.class_names import ClassNames
from hsi_cd.io.drawn_labels import labels_of_shapes
from hsi_cd.io.kind_names import with_names
from hsi_cd.io.kinds import find_input
from hsi_cd.io.single_band import SingleBand, band_in_memory, band_of
from hsi_cd.io.truth import labels_of_band, labels_of_masks, marks_of_band
from hsi_cd.io.variables import map_shape_of
from hsi_cd.io.vector_files import (
    ShapeTable,
    has_layer,
    is_shapes,
    is_vector_file,
    read_shapes,
    shapes_in_memory,
)
from hsi_cd.prepare.alignment import align_labels
from hsi_cd.scene import Grid, Labels, LabelScheme, ScenePair
from hsi_cd.scene.contract import check_truth_grid, is_same_grid

Values = float | str | Sequence[float] | Sequence[str] | None
"""Values of a truth map, or names of drawn classes: one, several or none."""


def read_truth(truth: TruthSource, grid: Grid | None = None, *, place: str = "the scene") -> Labels:
    """The labels that a truth map holds, or that were drawn on a scene; see :func:`open_labels`.

    Args:
        truth: where they lie.
        grid: the scene's, where it is known.
        place: what messages call the grid.

    Raises:
        GridError: drawn labels without a grid; a truth map that is to be aligned and cannot be.
        HsiCdError: as :func:`open_labels` says.
    """
    return with_names(_read(truth, grid, place), truth.names)


def _read(truth: TruthSource, grid: Grid | None, place: str) -> Labels:
    if truth.source is None:
        raise ConfigError("no truth map is named: give a file, two masks or an array")
    if isinstance(truth.source, Labels):
        return truth.source
    several = truth.source if isinstance(truth.source, tuple | list) else (truth.source,)
    if has_shapes(truth):
        return _draw_labels(several, truth, grid, place)
    if truth.layer is not None or truth.field is not None:
        said = f"layer={truth.layer!r}" if truth.layer is not None else f"field={truth.field!r}"
        raise LabelError(f"{said} is of labels drawn as shapes, but {_named(several[0])} is none: leave it out")
    labels = _read_map(several, truth)
    if not truth.align or grid is None or labels.place is None or is_same_grid(labels.grid, grid):
        return labels
    return align_labels(labels, grid)


def labels_like(truth: TruthSource, like: Any) -> Labels:
    """The labels of a truth, on the grid of a scene; see :func:`open_labels`.

    Args:
        truth: where they lie.
        like: what tells the grid, see :func:`grid_of`; None where it is not known.

    Raises:
        GridError: a truth map lies on another grid; and as :func:`read_truth` says.
    """
    if like is None:
        return read_truth(truth)
    # Labels are of the whole scene, whose area of interest takes its own.
    grid = like.scene_grid if isinstance(like, ScenePair) else grid_of(like)
    labels = read_truth(truth, grid)
    check_truth_grid(labels.grid, grid, names=(f"the truth ({labels.name})", "the scene"))
    return labels


def has_shapes(truth: TruthSource) -> bool:
    """Whether these are labels drawn as shapes, which need the grid of a scene.

    Raises:
        LabelError: some of them are shapes and others maps of pixels.
        MissingInputError: one of them is not there.
    """
    several = truth.source if isinstance(truth.source, tuple | list) else (truth.source,)
    drawn = [is_vector_file(each) if isinstance(each, str | os.PathLike) else is_shapes(each) for each in several]
    if any(drawn) and not all(drawn):
        shapes, pixels = several[drawn.index(True)], several[drawn.index(False)]
        if isinstance(pixels, str | os.PathLike):
            find_input(pixels, places=True)  # which may not be there at all
        raise LabelError(
            f"{_named(shapes)} holds shapes, but {_named(pixels)} does not: give shapes alone, all of which "
            "count, or one truth map, or two masks"
        )
    return bool(drawn) and all(drawn)


def grid_of(like: Any) -> Grid:
    """The grid of a scene: of a pair, a map or whatever has a ``grid``, of a raster's file, or of an open dataset.

    Raises:
        MissingInputError: the file does not exist.
        FormatError: it is no raster, or none of these is given.
    """
    found = getattr(like, "grid", like)
    if isinstance(found, Grid):
        return found
    if isinstance(like, str | os.PathLike):
        return open_cube(like).grid
    if is_rasterio(like):
        return raster_cube(like).grid
    if is_xarray(like):
        return xarray_cube(like).grid
    raise FormatError(f"like= is a {type(like).__name__}: give the scene's pair, or the file of a raster of it")


def grid_like(like: Any, shape: tuple[int, int]) -> Grid:
    """The georeference of a raster or pair, for a scene ``(rows, cols)`` that has none of its own.

    Raises:
        GridError: it is of another shape, or has no georeference.
        FormatError: it is neither.
    """
    grid, named = grid_of(like), getattr(like, "name", like)
    if grid.shape != shape:
        raise GridError(
            f"like={named} has {grid.rows} x {grid.cols} pixels but the scene has {shape[0]} x {shape[1]}: "
            "give a raster of the same pixels"
        )
    if not grid.is_georeferenced:
        raise GridError(
            f"like={named} has no georeference to take: give a raster with a CRS and transform or GCPs"
        )
    return grid


def _draw_labels(several: Sequence[Any], truth: TruthSource, grid: Grid | None, place: str) -> Labels:
    if truth.key is not None:
        raise FormatError(
            f"a key ({truth.key!r}) names a variable of a file of arrays: shapes have layer= and field="
        )
    if grid is None:
        raise GridError(
            f"{_named(several[0])} holds shapes, which become labels only on the pixels of a scene: name the "
            "scene, or a raster of it, by like="
        )
    layer, paths = truth.layer, [as_paths(each) for each in several]
    # A layer is named for the file that has several; what lies beside it, as a suggestion, has its own.
    having = [layer is not None and any(has_layer(path, layer) for path in own) for own in paths]
    tables: list[ShapeTable] = []
    for each, own, has in zip(several, paths, having, strict=True):
        named = layer if has or not any(having) else None
        tables += read_shapes(each, layer=named) if own else [shapes_in_memory(each)]
    told: dict[str, Any] = {"scheme": truth.scheme, "field": truth.field, "kinds": truth.kinds}
    return labels_of_shapes(tables, grid, place=place, **told)


def _named(source: Any) -> str:
    return str(source) if isinstance(source, str | os.PathLike) else f"the {type(source).__name__}"


def _read_map(several: Sequence[Any], truth: TruthSource) -> Labels:
    """The labels of a map of pixels, or of two masks."""
    if isinstance(truth.scheme, ClassNames):
        raise LabelError(
            f"the classes are declared by name ({truth.scheme.describe()}), but {_named(several[0])} holds "
            "numbers: give whole numbers with changed= and unchanged="
        )
    source: Any = several[0] if len(several) == 1 else several
    scheme = truth.scheme
    if len(several) != 1:
        if len(source) != 2:
            raise LabelError(f"{len(source)} maps are given: give one map, or two masks (changed, unchanged)")
        if scheme is not None:
            raise LabelError("a pair of masks has its own label values: leave changed, unchanged and ignore out")
        files = as_paths(source)
        if files:
            return read_labels(MaskPair(changed=files[0], unchanged=files[1]))
        bands = [map_band(mask) for mask in source]
        changed, unchanged = (
            marks_of_band(band, name=str(mask.name)) if is_rasterio(mask) else band.valid & (band.values != 0)
            for band, mask in zip(bands, source, strict=True)
        )
        return labels_of_masks(changed, unchanged, place=bands[0].place or bands[1].place)
    if isinstance(source, str | os.PathLike):
        return read_labels(source, scheme=scheme, key=truth.key, kinds=truth.kinds)
    return labels_of_band(map_band(source), scheme=scheme, kinds=truth.kinds)


def map_band(source: Any) -> SingleBand:
    """The values ``(rows, cols)`` of a map in memory, and what it says of them."""
    if is_xarray(source):
        return xarray_map(source)
    if is_rasterio(source):
        return band_of(source, name=str(source.name))
    if not isinstance(source, np.ndarray):
        raise FormatError(
            f"a truth map is a {type(source).__name__}: expected a path, two masks, an array (rows, cols) or an "
            "xarray.DataArray"
        )
    values = source.reshape(map_shape_of(source.shape))
    if values.ndim != 2:
        raise FormatError(f"the truth map has the shape {source.shape}: expected one value a pixel, (rows, cols)")
    if values.dtype.kind not in "iufb":
        raise FormatError(f"the truth map holds values of type {source.dtype}: expected whole numbers")
    return band_in_memory(values)


def scheme_of(*given: Values) -> LabelScheme | ClassNames | None:
    """The scheme that changed, unchanged and ignored values, or names, declare; None where none is given.

    Raises:
        LabelError: one of the classes is not declared, or a value twice.
    """
    said = [_several(values) for values in given]
    if any(isinstance(value, str) for values in said for value in values):
        if not said[0] or not said[1]:
            raise LabelError(
                f"{'unchanged' if said[0] else 'changed'} is missing: declare both classes, as changed='burnt', "
                "unchanged='forest'"
            )
        names = [tuple(str(value) for value in values) for values in said]
        return ClassNames(names[1], names[0], names[2])
    changed, unchanged, ignore = (tuple(map(float, values)) for values in said)
    if any(math.isnan(value) for value in (*changed, *unchanged)):
        raise LabelError("changed or unchanged is NaN, which is always unlabelled: give the values of the classes")
    told = [
        tuple(int(value) for value in values if not math.isnan(value)) for values in (changed, unchanged, ignore)
    ]
    if not any(told):
        return None
    if not changed or not unchanged:
        missing = "unchanged" if changed else "changed"
        raise LabelError(f"{missing} is missing: declare both classes, as changed=2, unchanged=1, ignore=0")
    return LabelScheme(unchanged=told[1], changed=told[0], ignore=told[2])


def _several(values: Any) -> tuple[Any, ...]:
    """The values that are given, of which there may be none or one."""
    if values is None:
        return ()
    return (values,) if isinstance(values, str) or not isinstance(values, Iterable) else tuple(values)
