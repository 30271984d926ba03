"""MATLAB files up to version 7 ("v5" in their own words), read from the format's description.

https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf. Not through scipy, whose reader trusts the type
codes of a damaged file and takes the process down with it. Only real numeric arrays are read; structures, cells
and objects are listed by their headers.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.mapped import MappedArray
from hsi_cd.io.memory import check_memory
from hsi_cd.io.variables import Variable

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15  # codes of the two elements that a file may consist of
_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8",
    10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function", 17: "opaque",
}  # fmt: skip
_OPAQUE = 17  # has no sizes
_DTYPES = {name: name for name in list(_CLASSES.values())[7:15]} | {
    "double": "float64", "single": "float32", "logical": "uint8",
}  # fmt: skip
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_LOGICAL_FLAG, _COMPLEX_FLAG = 0x0200, 0x0800
_MOST_VARIABLES = 20_000
_DESCRIPTION = 1 << 14  # bytes of a matrix in which its flags, sizes and name must stand
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Element:
    """A tagged piece: its code, where its data lie and end, and where the next one begins."""

    code: int
    start: int
    length: int
    end: int


@dataclass(frozen=True)
class _Matrix:
    """A variable, as its first bytes tell.

    Attributes:
        variable: name, shape and class.
        stored: type of the stored numbers, or None where they are not to be read.
        data: where the values begin, counted from the element's (unpacked) data.
        element: the top element it is.
    """

    variable: Variable
    stored: np.dtype[np.generic] | None
    data: int
    element: _Element


def list_variables(path: Path) -> tuple[Variable, ...]:
    """The variables of a MATLAB file, without loading them.

    Raises:
        FormatError: the file is truncated or damaged.
    """
    return tuple(matrix.variable for matrix in _matrices(path))


def is_compressed(path: Path, variable: Variable) -> bool:
    """Whether a variable must be loaded whole to read any of it."""
    return _find(path, variable).element.code == _COMPRESSED


def open_matlab_array(path: Path, variable: Variable) -> NDArray[np.generic] | MappedArray:
    """The values of a variable: read by slices where they lie bare in the file, loaded where they are compressed.

    Raises:
        FormatError: the file is damaged, or the variable does not fit into memory.
    """
    matrix = _find(path, variable)
    if matrix.stored is None:
        raise FormatError(f"{path}: variable {variable} holds no real numbers")
    if matrix.element.code == _MATRIX:
        at = matrix.element.start + matrix.data
        return MappedArray(path, matrix.stored, at, variable.shape, "F")
    size = math.prod(variable.shape) * matrix.stored.itemsize
    check_memory(path, size)
    unpacked = np.empty(size, dtype=np.uint8)
    with path.open("rb") as handle:
        at = -matrix.data
        for piece in _unpack(path, handle, matrix.element):
            begin, end = max(at, 0), min(at + len(piece), size)
            if begin < end:
                unpacked[begin:end] = np.frombuffer(piece, np.uint8)[begin - at : end - at]
            at += len(piece)
            if at > size + 8:  # but for padding, the values are the last
                break
    if at < size:
        raise _damaged(path, f"{variable.name} ends after {max(at, 0)} of {size} bytes")
    return unpacked.view(matrix.stored).reshape(variable.shape, order="F")


def _find(path: Path, variable: Variable) -> _Matrix:
    found = [matrix for matrix in _matrices(path) if matrix.variable.name == variable.name]
    if not found:
        raise FormatError(f"{path} has no variable {variable.name!r} any more: the file was changed")
    return found[-1]  # of several of one name, MATLAB means the last


def _matrices(path: Path) -> list[_Matrix]:
    with path.open("rb") as handle:
        order = _byte_order(handle)
        elements = list(_elements(path, handle, order))  # a truncated file is refused before all else
        matrices = []
        for element in elements:
            if element.code == _COMPRESSED:
                head = next(_unpack(path, handle, element, most=_DESCRIPTION), b"")
                if len(head) < 8 or struct.unpack(f"{order}I", head[:4])[0] != _MATRIX:
                    raise _damaged(path, "a compressed element holds no matrix")
                matrices.append(_describe(path, order, element, head, 8))
            elif element.length:  # an empty matrix has no name
                handle.seek(element.start)
                head = handle.read(min(element.length, _DESCRIPTION))
                matrices.append(_describe(path, order, element, head, 0))
    # Without a name are MATLAB's own notes on the file's functions and objects.
    named = {matrix.variable.name: matrix for matrix in matrices if matrix.variable.name}
    return list(named.values())


def _elements(path: Path, handle: BinaryIO, order: str) -> Iterator[_Element]:
    """The top elements of a file, which must fill it exactly."""
    size = path.stat().st_size
    at, count = _HEADER_BYTES, 0
    while at + 8 <= size:
        handle.seek(at)
        code, length = struct.unpack(f"{order}II", handle.read(8))
        if code not in (_MATRIX, _COMPRESSED):
            raise _damaged(path, f"unknown element {code} at byte {at}")
        count += 1
        if count > _MOST_VARIABLES:
            raise _damaged(path, f"more than {_MOST_VARIABLES} variables")
        yield _Element(code, at + 8, length, at + 8 + length)
        at += 8 + length
    if at != size:
        raise FormatError(
            f"{path} is a truncated MATLAB file ({size} bytes, at least {at} expected): copy it again"
        )


def _describe(path: Path, order: Literal["<", ">"], element: _Element, head: bytes, at: int) -> _Matrix:
    """A matrix from its first bytes; its parts begin at ``at``."""
    try:
        flags = _part(order, head, at)
        code = struct.unpack_from(f"{order}I", head, flags.start)[0]
        kind = _CLASSES.get(code & 0xFF)
        if kind is None:
            raise _damaged(path, f"unknown class {code & 0xFF}")
        label, shape = _part(order, head, flags.end), (1, 1)
        if code & 0xFF != _OPAQUE:
            shape = struct.unpack_from(f"{order}{label.length // 4}i", head, label.start)
            label = _part(order, head, label.end)
        name = head[label.start : label.start + label.length].decode("latin-1")
        if label.start + label.length > len(head) or not name.isprintable():
            raise _damaged(path, "a name is garbled")
        if min(shape, default=0) < 0:
            raise _damaged(path, f"a size of {name} is negative")
        if kind not in _DTYPES:
            return _Matrix(Variable(name, shape, kind, None), None, 0, element)
        kind = "logical" if code & _LOGICAL_FLAG else kind
        if code & _COMPLEX_FLAG:
            return _Matrix(Variable(name, shape, f"complex {kind}", None), None, 0, element)
        variable = Variable(name, shape, kind, np.dtype(_DTYPES[kind]))
        if 0 in shape or not shape:
            return _Matrix(variable, None, 0, element)
        data = _part(order, head, label.end)
    except struct.error as error:
        raise _damaged(path, "a matrix ends in its description") from error
    if data.code not in _STORED:
        raise _damaged(path, f"values of {name} are of the unknown type {data.code}")
    stored = np.dtype(_STORED[data.code]).newbyteorder(order)
    expected = math.prod(shape) * stored.itemsize
    if expected != data.length or (
        element.code == _MATRIX and element.start + data.start + expected > element.end
    ):
        raise _damaged(path, f"{variable} has {data.length} bytes of values, {expected} expected")
    return _Matrix(variable, stored, data.start, element)


def _part(order: str, head: bytes, at: int) -> _Element:
    """The part of a matrix that begins at ``at``."""
    code, length = struct.unpack_from(f"{order}II", head, at)
    if code >> 16:  # up to four bytes stand in the tag itself
        return _Element(code & 0xFFFF, at + 4, min(code >> 16, 4), at + 8)
    end = at + 8 + length
    return _Element(code, at + 8, length, end + -end % 8)


def _unpack(path: Path, handle: BinaryIO, element: _Element, *, most: int = _CHUNK) -> Iterator[bytes]:
    """A compressed element, unpacked in pieces of at most ``most`` bytes, however much it would become."""
    unpacker = zlib.decompressobj()
    handle.seek(element.start)
    left = element.length
    packed = b""
    try:
        while not unpacker.eof:
            if not packed:
                packed = handle.read(min(_CHUNK, left))
                left -= len(packed)
                if not packed:
                    break
            piece = unpacker.decompress(packed, most)
            packed = unpacker.unconsumed_tail
            if piece:
                yield piece
    except zlib.error as error:
        raise _damaged(path, str(error)) from error


def _byte_order(handle: BinaryIO) -> Literal["<", ">"]:
    handle.seek(0)
    return "<" if handle.read(_HEADER_BYTES)[126:128] == b"IM" else ">"


def _damaged(path: Path, reason: str) -> FormatError:
    return FormatError(f"{path} is a damaged MATLAB file ({reason}): copy it again")
