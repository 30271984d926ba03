"""Splits as files, so that a score can say which pixels it was not allowed to see.

A run keeps its split as ``.npz``, which holds all of it. What others write is read, too: the pixels that teach as
``.csv`` (:mod:`~hsi_cd.io.split_csv`) or MATLAB's ``.mat`` (:mod:`~hsi_cd.io.split_mat`), or a label raster in
which they alone are labelled.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from hsi_cd.errors import FormatError, GridError, LabelError
from hsi_cd.io.atomic import write_npz
from hsi_cd.io.kinds import find_input
from hsi_cd.io.split_csv import read_csv_split, write_csv_split
from hsi_cd.io.split_mat import holds_indices, read_mat_split, write_mat_split
from hsi_cd.io.truth import read_labels
from hsi_cd.paths import as_path
from hsi_cd.scene import DRAWN, GIVEN, UNLABELLED, Labels, Split, check_same_grid
from hsi_cd.scene.division import Place

SPLIT_ENDINGS = (".npz", ".csv", ".mat")
"""Endings of the names under which a split is written."""


def check_split_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name whose ending tells no format.

    Raises:
        FormatError: so it is.
    """
    if Path(path).suffix.lower() not in SPLIT_ENDINGS:
        raise FormatError(f"{path}: the ending tells no format of a split: name it {', '.join(SPLIT_ENDINGS)}")


def write_split(path: str | os.PathLike[str], split: Split, *, overwrite: bool = False) -> None:
    """Write a split, in the format that the name's ending says.

    ``.npz`` holds all of it: ``train`` (flat row-major indices), ``shape``, ``protocol``, ``seed``, ``guard``,
    ``shapes``, ``place`` (of an area of interest: its first row and column, and its scene's rows and columns); a
    split without guard, shapes or place is written without, as earlier versions wrote and read it.
    ``.mat`` holds ``rows`` and ``cols`` as MATLAB counts them, ``base`` = 1, ``shape``, the guard; ``.csv`` rows
    and columns from 0, and no guard.

    Raises:
        FormatError: the ending is another, or the format cannot hold the split.
        OutputError: the file cannot be written.
    """
    check_split_name(path)
    ending = Path(path).suffix.lower()
    if ending == ".npz":
        arrays = {
            "train": split.train,
            "shape": np.array(split.shape),
            "protocol": np.array(split.protocol),
            "seed": np.array(split.seed),
        }
        if split.guard is not None:
            arrays["guard"] = split.guard
        if split.shapes is not None:
            arrays["shapes"] = split.shapes
        if split.place is not None:
            arrays["place"] = np.array([split.place.row, split.place.col, *split.place.scene])
        write_npz(path, arrays, overwrite=overwrite)
        return
    if not len(split.train):
        raise FormatError(f"{path}: no pixel teaches (protocol {split.protocol}), which only .npz can say")
    if split.shapes is not None:
        raise FormatError(
            f"{path}: protocol {split.protocol} knows the shape of each pixel, which only .npz can hold: name it "
            "so"
        )
    write = write_csv_split if ending == ".csv" else write_mat_split
    write(as_path(path), split, overwrite=overwrite)


def read_split(path: str | os.PathLike[str], labels: Labels | None = None) -> Split:
    """Read which pixels teach.

    Args:
        path: the split that :func:`write_split` wrote; a ``.csv`` with the header ``index`` (flat, row-major) or
            ``row,col``, counted from 0; a ``.mat`` with ``rows`` and ``cols``, or ``train`` and ``column_major``,
            and ``base``; or a label raster, whose labelled pixels teach.
        labels: the scene's truth map; needed where the file does not tell the scene's shape, and for a raster,
            whose labels must agree with it. What a run of an area of interest kept is put on the scene's pixels.

    Returns:
        The split; its protocol is ``file`` where the file names none.

    Raises:
        MissingInputError: there is no such file.
        FormatError: the file is no split, does not say how it counts, or its pixels do not fit its shape.
        GridError: it is of another scene than the labels.
        LabelError: no pixel teaches, or the raster contradicts the labels.
    """
    found: Path = find_input(path)
    ending = found.suffix.lower()
    if ending == ".npz":
        split = _read_npz(found)
    elif ending == ".csv":
        split = read_csv_split(found, None if labels is None else labels.shape)
    elif ending == ".mat" and holds_indices(found):
        split = read_mat_split(found, None if labels is None else labels.shape)
    else:
        try:
            return _read_raster(found, labels)
        except FormatError as error:
            raise FormatError(
                f"{found} is not a split, and no label raster that can be read: give the split.npz of a run, a "
                ".csv or .mat of pixels, or a raster in which the pixels that teach are labelled"
            ) from error
    split = split if labels is None else split.on(labels.shape)
    if labels is not None and split.shape != labels.shape:
        raise GridError(
            f"{found} is of a scene of {split.shape[0]} x {split.shape[1]} pixels but {labels.name} has "
            f"{labels.shape[0]} x {labels.shape[1]}: give the split of this scene"
        )
    return split


def _read_npz(found: Path) -> Split:
    try:
        # Through a handle, because numpy leaves a file open that proves to be no whole archive.
        with found.open("rb") as handle, np.load(handle, allow_pickle=False) as content:
            rows, cols = (int(n) for n in content["shape"])
            protocol, seed = str(content["protocol"]), int(content["seed"])
            train = content["train"]
            guard, shapes, place = (content.get(name) for name in ("guard", "shapes", "place"))
    except (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        raise FormatError(f"{found} is not a split: give the split.npz of a run folder") from None
    inside = rows >= 0 and cols >= 0 and train.ndim == 1 and train.dtype.kind in "iu"
    inside = inside and bool(((train >= 0) & (train < rows * cols)).all())
    if guard is not None:
        inside = inside and guard.shape == (rows, cols) and guard.dtype == np.bool_
    if shapes is not None:
        inside = inside and shapes.shape == train.shape and shapes.dtype.kind in "iu" and bool((shapes > 0).all())
    inside = inside and (shapes is not None or protocol != DRAWN)
    where = None
    if place is not None and inside:
        inside = place.shape == (4,) and place.dtype.kind in "iu"
        if inside:
            row, col, *scene = (int(each) for each in place)
            where = Place(row, col, (scene[0], scene[1]))
            inside = where.holds((rows, cols))
    if not inside or len(np.unique(train)) != len(train):
        raise FormatError(f"{found} is damaged: its pixels do not fit a scene of {rows} x {cols}")
    shapes = None if shapes is None else shapes.astype(np.int32)
    return Split(protocol, seed, (rows, cols), train.astype(np.int64), guard, shapes, where)


def _read_raster(found: Path, labels: Labels | None) -> Split:
    """The labelled pixels of a truth map that labels only those that teach."""
    drawn = read_labels(found) if labels is None else _read_like(found, labels)
    taught = drawn.values != UNLABELLED
    if not taught.any():
        raise LabelError(f"{found} labels no pixel, so none teaches: give a raster with labels")
    if labels is not None:
        names = (str(found), f"the truth ({labels.name})")
        check_same_grid(drawn.grid, labels.grid, names=names, remedy="give a raster on the grid of the truth map")
        against = taught & (labels.values != UNLABELLED) & (drawn.values != labels.values)
        if against.any():
            row, col = np.argwhere(against)[0]
            raise LabelError(
                f"{found} contradicts {labels.name} in {int(against.sum())} of {int(taught.sum())} pixels, first "
                f"in row {row}, column {col}: one of the two is wrong; label as the truth map does"
            )
    split = Split(GIVEN, 0, drawn.shape, np.flatnonzero(taught).astype(np.int64))
    if labels is not None:
        split.check_labelled(labels, name=str(found))
    return split


def _read_like(found: Path, labels: Labels) -> Labels:
    """A raster whose names or colours say what it means, or in the values of the truth map, or in usual ones."""
    try:
        return read_labels(found, default=labels.scheme)
    except LabelError:
        pass
    try:
        return read_labels(found)
    except LabelError as error:
        raise LabelError(
            f"{found} is no label raster for {labels.name}: give it the truth map's values "
            f"({labels.scheme.describe()}), with one for unlabelled pixels that ignore= declares ({error})"
        ) from None
