"""MATLAB files up to version 7 ("v5" in their own words), through scipy.

Only numeric arrays are used. Structures, cells and objects are listed in messages and never loaded.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat

from hsi_cd.errors import FormatError
from hsi_cd.io.memory import check_memory
from hsi_cd.io.variables import Variable

MATLAB_DTYPES = {
    "double": "float64", "single": "float32", "logical": "uint8",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
}  # fmt: skip
"""Types of MATLAB's numeric classes."""

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15  # MATLAB's codes of the two elements that a file may consist of
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX_FLAG = 0x0800
_MOST_VARIABLES = 20_000
_MOST_DIMENSIONS = 32
_LONGEST_NAME = 4096


def list_variables(path: Path) -> tuple[Variable, ...]:
    """The variables of a MATLAB file, without loading them.

    Raises:
        FormatError: the file is truncated or damaged.
    """
    with path.open("rb") as handle:
        for _ in _elements(path, handle):
            pass  # a truncated file is refused before the long work, not on first use
    try:
        found = whosmat(os.fspath(path))
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise _damaged(path, error) from error
    variables = []
    for name, shape, kind in found:
        dtype = np.dtype(MATLAB_DTYPES[kind]) if kind in MATLAB_DTYPES else None
        variables.append(Variable(str(name), tuple(int(n) for n in shape), str(kind), dtype))
        if any(n < 0 for n in variables[-1].shape):
            raise FormatError(f"{path} is a damaged MATLAB file: a size of {variables[-1]} is negative")
    return tuple(variables)


def open_matlab_array(path: Path, variable: Variable) -> NDArray[np.generic]:
    """The values of a variable: mapped where they lie bare in the file, loaded where they are compressed.

    Raises:
        FormatError: the file is damaged, the variable is complex, or does not fit into memory.
    """
    mapped = _mapped(path, variable.name)
    if mapped is not None:
        return mapped
    check_memory(path, variable.nbytes)
    try:
        values = loadmat(os.fspath(path), variable_names=[variable.name])[variable.name]
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise _damaged(path, error) from error
    array: NDArray[np.generic] = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise FormatError(f"{path}: variable {variable.name} holds {array.dtype} values: expected real numbers")
    return array


def is_compressed(path: Path, variable: Variable) -> bool:
    """Whether a variable must be loaded whole to read any of it."""
    return _mapped(path, variable.name) is None


@dataclass(frozen=True)
class _Element:
    """A tagged piece of a MATLAB file: its code, where its data lie, and where the next one begins."""

    code: int
    start: int
    length: int
    end: int


def _elements(path: Path, handle: BinaryIO) -> Iterator[_Element]:
    """The top elements of a file, which must fill it exactly.

    Raises:
        FormatError: they do not.
    """
    size = path.stat().st_size
    order = _byte_order(handle)
    at, count = _HEADER_BYTES, 0
    while at + 8 <= size:
        handle.seek(at)
        code, length = struct.unpack(f"{order}II", handle.read(8))
        if code not in (_MATRIX, _COMPRESSED):
            raise FormatError(f"{path} is a damaged MATLAB file (unknown element {code} at byte {at})")
        count += 1
        if count > _MOST_VARIABLES:
            raise FormatError(f"{path} is a damaged MATLAB file (more than {_MOST_VARIABLES} variables)")
        yield _Element(code, at + 8, length, at + 8 + length)
        at += 8 + length
    if at != size:
        raise FormatError(
            f"{path} is a truncated MATLAB file ({size} bytes, at least {at} expected): copy it again"
        )


def _mapped(path: Path, name: str) -> NDArray[np.generic] | None:
    """A read-only map of an uncompressed real array, or None where there is none of this name."""
    with path.open("rb") as handle:
        order = _byte_order(handle)
        for element in _elements(path, handle):
            if element.code != _MATRIX or element.length < 48:
                continue
            try:
                flags, sizes, label, data = _parts(handle, order, element)
                handle.seek(label.start)
                if handle.read(min(label.length, _LONGEST_NAME)) != name.encode("latin-1"):
                    continue
                kind = _numbers(handle, order, flags)[0]
                shape = [int(n) for n in _numbers(handle, order, sizes)]
            except (struct.error, UnicodeEncodeError):
                return None  # scipy says what is wrong with it
            dtype = np.dtype(_STORED.get(data.code, "V1")).newbyteorder(order)
            whole = min(shape, default=0) > 0 and math.prod(shape) * dtype.itemsize == data.length
            if kind & 0xFF not in _NUMERIC_CLASSES or kind & _COMPLEX_FLAG or dtype.kind == "V" or not whole:
                return None
            if data.start + data.length > element.end:
                return None
            return np.memmap(path, dtype=dtype, mode="r", offset=data.start, shape=tuple(shape), order="F")
    return None


def _parts(handle: BinaryIO, order: str, matrix: _Element) -> list[_Element]:
    """The four parts of a numeric matrix: flags, sizes, name, values."""
    parts, at = [], matrix.start
    for _ in range(4):
        handle.seek(at)
        code, length = struct.unpack(f"{order}II", handle.read(8))
        if code >> 16:  # up to four bytes stand in the tag itself
            parts.append(_Element(code & 0xFFFF, at + 4, code >> 16, at + 8))
        else:
            end = at + 8 + length
            parts.append(_Element(code, at + 8, length, end + -end % 8))
        at = parts[-1].end
    return parts


def _numbers(handle: BinaryIO, order: str, element: _Element) -> tuple[int, ...]:
    """The 32-bit numbers of a short part."""
    count = min(element.length // 4, _MOST_DIMENSIONS)
    handle.seek(element.start)
    return struct.unpack(f"{order}{count}i", handle.read(4 * count))


def _byte_order(handle: BinaryIO) -> Literal["<", ">"]:
    handle.seek(0)
    return "<" if handle.read(_HEADER_BYTES)[126:128] == b"IM" else ">"


def _damaged(path: Path, error: Exception) -> FormatError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return FormatError(f"{path} cannot be read as a MATLAB file ({reason}): it is damaged; copy it again")
