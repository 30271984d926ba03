"""Labels as people draw them: simulated from a truth map, and written as a vector file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsi_cd.api.opening import open_dataset, open_labels, truth_of
from hsi_cd.api.pairing import grid_like
from hsi_cd.api.sources import SceneSource, TruthSource
from hsi_cd.api.truths import grid_of
from hsi_cd.datasets.simulated.draughtsman import KINDS, ShapeKind, draw_labels
from hsi_cd.io import check_outputs, check_vector, shape_files
from hsi_cd.scene import Grid, Labels

__all__ = ["KINDS", "check_drawing", "draw", "numbered", "open_truth", "write_labels"]

FilePath = str | os.PathLike[str]


def draw(labels: Any, shapes: int = 15, *, kind: ShapeKind = "squares", seed: int = 0) -> Labels:
    """Draw labels over a truth map as people do: few shapes, in clear places, in the part that is looked at.

    Shapes lie inside objects of the truth, away from their borders and from one another where that is possible,
    as many of each class, in a view of half the scene's rows and columns that shows both classes; the view moves
    when nothing is left to draw in it. The first k shapes of a larger drawing with the same seed are the drawing
    of k.

    Args:
        labels: the truth map, in any form that :func:`hsi_cd.open_labels` takes.
        shapes: shapes of each class.
        kind: ``points`` are one pixel each, ``squares`` 3 x 3, ``blobs`` irregular connected areas of 5 to 40.
        seed: of the draw; the same seed draws the same.

    Returns:
        Labels: all but what is drawn is unlabelled, and ``shapes`` numbers the shape of each labelled pixel, from
        1: odd numbers are changed, even ones unchanged.

    Raises:
        ConfigError: no such kind, fewer than one shape, or a negative seed.
        LabelError: the truth lacks a class, or has no room for so many shapes.

    Example:
        >>> import numpy as np, hsi_cd as hc
        >>> truth = np.zeros((40, 40), dtype=np.uint8)
        >>> truth[10:25, 5:20] = 1
        >>> hc.draw(truth, 3).counts()
        (27, 27, 1546)
    """
    return draw_labels(open_labels(labels), shapes, kind=kind, seed=seed)


def write_labels(labels: Labels, path: FilePath, *, like: Any = None, overwrite: bool = False) -> int:
    """Write drawn labels as a vector file, which any GIS opens and ``open_labels`` and ``train`` take.

    A shape of one pixel is a point in the pixel's middle, any other the outline of its pixels. Fields: ``class``,
    which is ``changed`` or ``unchanged``, and ``shape``, its number. The same labels give the same bytes.

    Args:
        labels: drawn labels, as :func:`draw` returns them.
        path: the file: a GeoPackage (.gpkg), in the CRS of the labels, or GeoJSON (.geojson), in WGS 84 longitude
            and latitude.
        like: the file of an image of the same pixels, or the pair, which says where they lie; needed where the
            truth map does not.
        overwrite: whether a file of this name may be replaced.

    Returns:
        Number of shapes written.

    Raises:
        LabelError: the labels were not drawn.
        FormatError: the name's ending tells no format.
        GridError: nothing says where the labels lie, or ``like`` is of other pixels.
        OutputError: the file exists or cannot be written.
    """
    place = labels.grid if like is None else grid_like(like, labels.shape)
    return shape_files.write_labels(path, labels, like=place, overwrite=overwrite)


def open_truth(source: SceneSource, truth: TruthSource, *, like: Path | None = None) -> Labels:
    """A truth map with its place: that of the scene, where a benchmark scene's truth has none of its own.

    Args:
        source: where the scene lies.
        truth: its truth map, or labels drawn on it.
        like: an image of the same pixels, on which drawn labels lie; None where the truth is a map.

    Raises:
        HsiCdError: as :func:`hsi_cd.open_dataset` and :func:`hsi_cd.open_labels` say.
    """
    if source.dataset is None:
        return truth_of(source, truth, None if like is None else grid_of(like))
    pair, labels = open_dataset(source.dataset, source.root)
    return replace(labels, place=labels.place or (pair.grid if pair.grid.is_georeferenced else None))


def numbered(path: Path, counts: Sequence[int]) -> dict[int, Path]:
    """A file for each number of shapes, as ``labels-15.gpkg``; the path itself where there is one number."""
    if len(counts) == 1:
        return {counts[0]: path}
    return {count: path.with_name(f"{path.stem}-{count}{path.suffix}") for count in counts}


def check_drawing(
    paths: Iterable[Path], labels: Labels, *, like: Path | None, inputs: Iterable[Path], overwrite: bool
) -> None:
    """Refuse files that could not be written, before anything is drawn.

    Args:
        paths: the files to be written.
        labels: the truth map.
        like: the image that says where they lie, or None.
        inputs: the files that are read, which no output replaces.
        overwrite: whether files of these names may be replaced.

    Raises:
        FormatError: a name's ending tells no format.
        GridError: nothing says where the labels lie, or ``like`` is of other pixels.
        OutputError: a file is an input, exists or cannot be written.
    """
    paths = list(paths)
    check_outputs({f"the drawing {path}": path for path in paths}, inputs=inputs, overwrite=overwrite)
    place: Grid = labels.grid if like is None else grid_like(like, labels.shape)
    for path in paths:
        check_vector(path, place, what="shapes")
