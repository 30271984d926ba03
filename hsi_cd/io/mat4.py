"""MATLAB files of version 4, which other programs still write: matrices one after the other, without compression.

https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf, chapter 2. They have no mark of their own: a file
is one if it begins with a matrix of a name and of sizes that fit into it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.mapped import MappedArray
from hsi_cd.io.sparse import SPARSE, dense
from hsi_cd.io.variables import Variable

_DTYPES = ("f8", "f4", "i4", "i2", "u2", "u1")  # by the tens of the type
_KINDS = ("double", "single", "int32", "int16", "uint16", "uint8")
_FULL, _TEXT, _SPARSE = 0, 1, 2  # the ones of the type
_ORDERS: tuple[tuple[Literal["<", ">"], int], ...] = (("<", 0), (">", 1))  # by the thousands of the type
_HEADER_BYTES = 20
_MOST_VARIABLES = 20_000


@dataclass(frozen=True)
class _Matrix:
    """A matrix: its variable, type and place of its numbers, and how many rows and columns are stored."""

    variable: Variable
    stored: np.dtype[np.generic]
    start: int
    shape: tuple[int, int]


def is_mat4(path: Path) -> bool:
    """Whether a file is of this version, as its first matrix tells."""
    try:
        with path.open("rb") as handle:
            return _read_head(handle, path.stat().st_size) is not None
    except OSError:
        return False


def list_mat4(path: Path) -> tuple[Variable, ...]:
    """The variables of a file.

    Raises:
        FormatError: it is truncated or damaged.
    """
    return tuple(matrix.variable for matrix in _matrices(path))


def open_mat4_array(path: Path, variable: Variable) -> NDArray[np.generic] | MappedArray:
    """The values of a variable: read by slices, or made dense where they are sparse.

    Raises:
        FormatError: the file is damaged.
    """
    found = [matrix for matrix in _matrices(path) if matrix.variable.name == variable.name]
    if not found or not variable.is_numeric:
        raise FormatError(f"{path}: variable {variable} holds no real numbers")
    matrix = found[-1]
    stored = MappedArray(path, matrix.stored, matrix.start, matrix.shape, "F")
    if variable.kind != SPARSE:
        return stored
    # A row for each value: its row and column, counted from 1, and the value; the last row holds the sizes.
    lines = np.asarray(stored[...], dtype=np.float64)[:-1]
    by_column = lines[np.argsort(lines[:, 1], kind="stable")]
    starts = np.searchsorted(by_column[:, 1], np.arange(1, variable.shape[1] + 2))
    return dense(path, variable, rows=by_column[:, 0] - 1, starts=starts, values=by_column[:, 2])


def _matrices(path: Path) -> Iterator[_Matrix]:
    size = path.stat().st_size
    with path.open("rb") as handle:
        for _ in range(_MOST_VARIABLES):
            at = handle.tell()
            if at == size:
                return
            head = _read_head(handle, size)
            if head is None:
                raise FormatError(
                    f"{path} is a truncated or damaged MATLAB v4 file (at byte {at} of {size}): copy it again"
                )
            matrix, imaginary, end = head
            if matrix.variable.kind == SPARSE:
                matrix = _sparse(path, handle, matrix)
            if imaginary:
                matrix = _with(matrix, matrix.variable.shape, f"complex {matrix.variable.kind}")
            yield matrix
            handle.seek(end)
    raise FormatError(f"{path} holds more than {_MOST_VARIABLES} variables: it is no file of image cubes")


def _read_head(handle: BinaryIO, size: int) -> tuple[_Matrix, bool, int] | None:
    """The matrix that begins here, whether it is complex, and where it ends; None where none does."""
    head = handle.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES:
        return None
    for order, machine in _ORDERS:
        kind, rows, cols, imaginary, length = struct.unpack(f"{order}5i", head)
        if kind // 1000 == machine and 0 <= kind % 1000 < 60 and kind % 10 <= _SPARSE and imaginary in (0, 1):
            break
    else:
        return None
    if min(rows, cols) < 0 or not 1 < length <= 64:
        return None
    name = handle.read(length)
    if name[-1:] != b"\0" or not name[:-1].decode("latin-1").isidentifier() or not name.isascii():
        return None
    number, form = kind // 10 % 10, kind % 10
    stored = np.dtype(_DTYPES[number]).newbyteorder(order)
    start = handle.tell()
    end = start + rows * cols * stored.itemsize * (1 + imaginary)
    if end > size:
        return None
    word = {_TEXT: "char", _SPARSE: SPARSE}.get(form, _KINDS[number])
    dtype = None if form == _TEXT else np.dtype(_DTYPES[number])
    variable = Variable(name[:-1].decode("latin-1"), (rows, cols), word, dtype)
    return _Matrix(variable, stored, start, (rows, cols)), bool(imaginary), end


def _sparse(path: Path, handle: BinaryIO, matrix: _Matrix) -> _Matrix:
    """A sparse matrix with its true sizes, which stand in the last row of what is stored."""
    lines, columns = matrix.shape
    if lines < 1 or columns != 3:
        return _with(matrix, matrix.shape, "complex sparse" if columns == 4 else "damaged sparse")
    last = MappedArray(path, matrix.stored, matrix.start, matrix.shape, "F")[-1, :2]
    sizes = [float(size) for size in last]
    if not all(math.isfinite(each) and 0 <= each < 1 << 31 and each == int(each) for each in sizes):
        raise FormatError(f"{path}: the sizes of {matrix.variable.name} are no whole numbers: it is damaged")
    return _with(matrix, (int(sizes[0]), int(sizes[1])), SPARSE, np.dtype(np.float64))


def _with(
    matrix: _Matrix, shape: tuple[int, ...], kind: str, dtype: np.dtype[np.generic] | None = None
) -> _Matrix:
    return replace(matrix, variable=Variable(matrix.variable.name, shape, kind, dtype))
