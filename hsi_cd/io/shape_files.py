"""Shapes on a scene's grid (points, outlines of areas) as a GeoPackage or GeoJSON, for a GIS to show and edit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.io.atomic import atomic_path
from hsi_cd.io.qml import ShapeStyle
from hsi_cd.io.regions import check_vector, in_place
from hsi_cd.io.sidecars import styles_beside, write_beside
from hsi_cd.io.vector_writing import write_layer
from hsi_cd.paths import as_path
from hsi_cd.scene import CHANGED, Grid, Labels

CLASS, SHAPE = "class", "shape"
"""Fields of drawn labels: ``changed`` or ``unchanged``, and the number of the shape."""

LAYER = "labels"
"""Name of the only layer of a drawing."""


def write_labels(
    path: str | os.PathLike[str], labels: Labels, *, like: Grid | None = None, overwrite: bool = False
) -> int:
    """Write drawn labels as a vector file: a shape each, with the fields ``class`` and ``shape``.

    A shape of one pixel is a point in the pixel's middle; any other is the outline of its pixels, which covers the
    middles of these and of no other. Whoever gives a label to each pixel whose middle is covered has the same
    labels again. GeoJSON is written in WGS 84 longitude and latitude (RFC 7946), a GeoPackage in the grid's CRS.
    The same labels give the same bytes.

    Args:
        path: the file, ending in .gpkg or .geojson.
        labels: labels with ``shapes``.
        like: where they lie; by default on their own grid.
        overwrite: whether a file of this name may be replaced.

    Returns:
        Number of shapes written.

    Raises:
        LabelError: the labels were not drawn: they know no shapes.
        FormatError: the name's ending tells no format.
        GridError: there is no CRS and transform.
        OutputError: the file exists or cannot be written.
    """
    if labels.shapes is None:
        raise LabelError(f"{labels.name} was not drawn: it has pixels but no shapes to write; draw some over it")
    numbers, first = np.unique(labels.shapes, return_index=True)
    numbers, first = numbers[numbers > 0], first[numbers > 0]
    words = np.where(labels.values.ravel()[first] == CHANGED, "changed", "unchanged").astype(object)
    fields = {CLASS: words, SHAPE: numbers.astype(np.int32)}
    write_shapes(path, labels.shapes, fields, grid=like or labels.grid, overwrite=overwrite)
    return len(numbers)


def write_shapes(
    path: str | os.PathLike[str],
    shapes: NDArray[np.int32],
    fields: Mapping[str, NDArray[Any]],
    *,
    grid: Grid,
    layer: str = LAYER,
    overwrite: bool = False,
) -> None:
    """Write numbered shapes with any fields; see :func:`write_labels`.

    Args:
        path: the file, ending in .gpkg or .geojson.
        shapes: int32 ``(rows, cols)``: numbers of shapes, 0 where there is none.
        fields: values by field, one for each shape, the least number first; None in an array of objects is a
            field that is left empty.
        grid: shape and georeference.
        layer: name of the layer.
        overwrite: whether a file of this name may be replaced.

    Raises:
        FormatError: the name's ending tells no format.
        GridError: the grid has no CRS and transform.
        OutputError: the file exists or cannot be written.
    """
    check_vector(path, grid, what="shapes")
    write_features(path, _geometry(shapes, grid), fields, grid=grid, layer=layer, overwrite=overwrite)


def write_features(
    path: str | os.PathLike[str],
    geometry: NDArray[np.object_],
    fields: Mapping[str, NDArray[Any]],
    *,
    grid: Grid,
    layer: str = LAYER,
    told_by: str = CLASS,
    overwrite: bool = False,
) -> None:
    """Write geometries with any fields, and beside them their style; see :func:`write_shapes`.

    Args:
        path: the file, ending in .gpkg or .geojson.
        geometry: shapely geometries in the grid's CRS, ``(features,)``.
        fields: values by field, one for each feature.
        grid: georeference.
        layer: name of the layer.
        told_by: the field whose values ``changed`` and ``unchanged`` are shown in colours of their own.
        overwrite: whether a file of this name may be replaced.

    Raises:
        FormatError: the name's ending tells no format.
        GridError: the grid has no CRS and transform.
        OutputError: the file exists or cannot be written.
    """
    check_vector(path, grid, what="shapes")
    target = as_path(path)
    types = {each.geom_type for each in geometry}
    kind = types.pop() if len(types) == 1 else "Unknown"
    wkb, look = shapely.to_wkb(geometry), ShapeStyle(told_by, layer)
    # Of several geometries QGIS makes several layers, which no one style fits.
    with (
        styles_beside([target] if kind != "Unknown" else []) as styles,
        atomic_path(target, overwrite=overwrite) as draft,
    ):
        style = write_layer(draft, wkb, fields, layer=layer, crs=grid.crs, geometry=kind, style=look)
        if style is not None and target in styles:
            write_beside(styles[target], style)


def _geometry(shapes: NDArray[np.int32], grid: Grid) -> NDArray[np.object_]:
    """A geometry for each shape, the least number first, in the grid's CRS."""
    rows, cols = np.nonzero(shapes)
    own = shapes[rows, cols]
    order = np.argsort(own, kind="stable")
    rows, cols = rows[order], cols[order]
    squares = shapely.box(cols, rows, cols + 1, rows + 1)
    cuts = np.flatnonzero(np.diff(own[order])) + 1
    drawn: Sequence[Any] = [
        shapely.Point(cols[part[0]] + 0.5, rows[part[0]] + 0.5)
        if len(part) == 1
        else shapely.simplify(shapely.union_all(squares[part]), 0)
        for part in np.split(np.arange(len(rows)), cuts)
        if len(part)
    ]
    return in_place(np.array(drawn, dtype=object), grid)
