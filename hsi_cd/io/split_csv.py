"""Which pixels teach as ``.csv``: a line a pixel, its row and column or its flat index, counted from 0."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.atomic import write_text
from hsi_cd.scene import GIVEN, Split

_EXPECTED = (
    "expected the header index (flat, row by row) or row,col, and below it a line of whole numbers from 0 a pixel"
)
_LAYOUTS = {("index",): 1, ("row", "col"): 2}


def write_csv_split(path: Path, split: Split, *, overwrite: bool = False) -> None:
    """Write the header ``row,col`` and a line for each pixel that teaches, counted from 0.

    Raises:
        FormatError: pixels are kept from judging (a guard), which this format cannot say.
        OutputError: the file cannot be written.
    """
    if split.guard is not None and split.guard.any():
        raise FormatError(
            f"{path}: protocol {split.protocol} keeps pixels near the training from judging, which a .csv cannot "
            "say: name it .npz or .mat"
        )
    rows, cols = np.divmod(split.train, split.shape[1])
    lines = [f"{row},{col}" for row, col in zip(rows.tolist(), cols.tolist(), strict=True)]
    write_text(path, "\n".join(["row,col", *lines]) + "\n", overwrite=overwrite)


def read_csv_split(path: Path, shape: tuple[int, int] | None) -> Split:
    """Read the pixels that teach.

    Args:
        path: the file.
        shape: ``(rows, cols)`` of the scene, which the file does not tell.

    Raises:
        FormatError: a line is not understood, or the shape is not known.
        FormatError: a pixel is outside the scene, or named twice, or none is.
    """
    if shape is None:
        raise FormatError(f"{path} does not tell the shape of its scene: give labels=, the truth map, too")
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            lines = [[cell.strip() for cell in line] for line in csv.reader(handle)]
    except (UnicodeDecodeError, csv.Error):
        raise FormatError(f"{path} is no text of numbers with commas: {_EXPECTED}") from None
    header = tuple(lines[0]) if lines else ()
    if header not in _LAYOUTS:
        raise FormatError(f"{path} begins with {','.join(header)[:60]!r}: {_EXPECTED}")
    numbers = []
    for number, line in enumerate(lines[1:], start=2):
        if not line or line == [""]:
            continue
        if len(line) != len(header) or not all(_is_whole(cell) for cell in line):
            raise FormatError(f"{path}, line {number}: {','.join(line)[:60]!r}: {_EXPECTED}")
        numbers.append([int(cell) for cell in line])
    values = np.array(numbers, dtype=np.int64).reshape(len(numbers), len(header))
    train = values[:, 0] if len(header) == 1 else flat_pixels(values[:, 0], values[:, 1], shape, path=path)
    return Split(GIVEN, 0, shape, checked_pixels(train, shape, path=path))


def flat_pixels(
    rows: NDArray[np.int64], cols: NDArray[np.int64], shape: tuple[int, int], *, path: Path
) -> NDArray[np.int64]:
    """Flat (row-major) indices of pixels counted from 0.

    Raises:
        FormatError: one is outside the scene.
    """
    outside = (rows < 0) | (rows >= shape[0]) | (cols < 0) | (cols >= shape[1])
    if outside.any():
        first = int(outside.argmax())
        raise FormatError(
            f"{path}: {int(outside.sum())} of {len(rows)} pixels are outside the scene of {shape[0]} x "
            f"{shape[1]} pixels, first row {rows[first]}, column {cols[first]}: give the split of this scene"
        )
    return rows * shape[1] + cols


def checked_pixels(train: NDArray[np.int64], shape: tuple[int, int], *, path: Path) -> NDArray[np.int64]:
    """Flat indices, if each is a pixel of the scene and there once.

    Raises:
        FormatError: so it is not, or there is none.
    """
    if not len(train):
        raise FormatError(f"{path} names no pixel, so none teaches: name some of each class")
    outside = (train < 0) | (train >= shape[0] * shape[1])
    if outside.any():
        raise FormatError(
            f"{path}: {int(outside.sum())} of {len(train)} pixels are outside the scene of {shape[0]} x "
            f"{shape[1]} pixels, first index {train[outside][0]}, counted from 0: give the split of this scene"
        )
    values, counts = np.unique(train, return_counts=True)
    if len(values) < len(train):
        row, col = divmod(int(values[counts > 1][0]), shape[1])
        raise FormatError(
            f"{path} names {len(train) - len(values)} pixels twice, first row {row}, column {col}, from 0: "
            "name each once"
        )
    return train


def _is_whole(cell: str) -> bool:
    digits = cell.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 18
