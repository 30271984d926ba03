"""MATLAB files up to version 7 ("v5" in their own words), read from the format's description.

https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf. Not through scipy, whose reader trusts the type
codes of a damaged file and takes the process down with it. Read are real numeric arrays, sparse ones made dense,
and those that are fields of a structure (``data.gt``); cells and objects are listed by their headers.
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
from hsi_cd.io.mat5_elements import (
    COMPRESSED,
    MATRIX,
    Element,
    Forward,
    byte_order,
    damaged_mat,
    part,
    top_elements,
    unpack,
)
from hsi_cd.io.memory import check_memory
from hsi_cd.io.sparse import SPARSE, dense
from hsi_cd.io.variables import Variable

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
_DESCRIPTION = 1 << 14  # bytes of a matrix in which its flags, sizes and name must stand
_MOST_UNPACKED = 1 << 28  # bytes of a compressed structure in which its fields are looked for
_MOST_FIELDS, _DEEPEST = 1000, 4


@dataclass(frozen=True)
class _Matrix:
    """A variable, as its first bytes tell.

    Attributes:
        variable: name, shape and class.
        stored: type of the stored numbers, or None where they are not to be read.
        data: where the values (of a structure its fields, of a sparse matrix its lists) begin, counted from the
            element's (unpacked) data.
        element: the element it is, or the compressed one that it lies in.
    """

    variable: Variable
    stored: np.dtype[np.generic] | None
    data: int
    element: Element


def list_variables(path: Path) -> tuple[Variable, ...]:
    """The variables of a MATLAB file, without loading them.

    Raises:
        FormatError: the file is truncated or damaged.
    """
    return tuple(matrix.variable for matrix in _matrices(path))


def is_compressed(path: Path, variable: Variable) -> bool:
    """Whether a variable must be loaded whole to read any of it."""
    return variable.kind == SPARSE or _find(path, variable).element.code == COMPRESSED


def open_matlab_array(path: Path, variable: Variable) -> NDArray[np.generic] | MappedArray:
    """The values of a variable: read by slices where they lie bare in the file, loaded where they are compressed.

    Raises:
        FormatError: the file is damaged, or the variable does not fit into memory.
    """
    matrix = _find(path, variable)
    if matrix.stored is None:
        raise FormatError(f"{path}: variable {variable} holds no real numbers")
    if variable.kind == SPARSE:
        return _open_sparse(path, matrix)
    if matrix.element.code == MATRIX:
        at = matrix.element.start + matrix.data
        return MappedArray(path, matrix.stored, at, variable.shape, "F")
    size = math.prod(variable.shape) * matrix.stored.itemsize
    check_memory(path, size)
    unpacked = np.empty(size, dtype=np.uint8)
    with path.open("rb") as handle:
        at = -matrix.data
        for piece in unpack(path, handle, matrix.element):
            begin, end = max(at, 0), min(at + len(piece), size)
            if begin < end:
                unpacked[begin:end] = np.frombuffer(piece, np.uint8)[begin - at : end - at]
            at += len(piece)
            if at > size + 8:  # but for padding, the values are the last
                break
    if at < size:
        raise damaged_mat(path, f"{variable.name} ends after {max(at, 0)} of {size} bytes")
    return unpacked.view(matrix.stored).reshape(variable.shape, order="F")


def _open_sparse(path: Path, matrix: _Matrix) -> NDArray[np.generic]:
    """A sparse matrix made dense: after its name come row indices, where each column begins, and the values."""
    most = 32 * math.prod(matrix.variable.shape) + _DESCRIPTION  # that many bytes if no value were zero
    check_memory(path, most)
    with path.open("rb") as handle:
        order = byte_order(handle)
        read = Forward(path, handle, matrix.element, most=matrix.data + most)
        at, lists = matrix.data, []
        for _ in range(3):
            head = read(at, 16)
            try:
                piece = part(order, head, 0)
            except struct.error as error:
                raise damaged_mat(path, f"{matrix.variable.name} ends in its lists") from error
            content = read(at + piece.start, piece.length)
            dtype = np.dtype(_STORED.get(piece.code, "V1")).newbyteorder(order)
            if dtype.kind == "V" or len(content) != piece.length or len(content) % dtype.itemsize:
                raise damaged_mat(path, f"the lists of {matrix.variable.name} are wrong")
            lists.append(np.frombuffer(content, dtype))
            at += piece.end
    rows, starts, values = lists
    return dense(path, matrix.variable, rows=rows, starts=starts, values=values)


def _find(path: Path, variable: Variable) -> _Matrix:
    found = [
        matrix for matrix in _matrices(path, fields=variable.in_structure) if matrix.variable.name == variable.name
    ]
    if not found:
        raise FormatError(f"{path} has no variable {variable.name!r} any more: the file was changed")
    return found[-1]  # of several of one name, MATLAB means the last


def _matrices(path: Path, *, fields: bool = True) -> list[_Matrix]:
    with path.open("rb") as handle:
        order = byte_order(handle)
        elements = list(top_elements(path, handle, order))  # a truncated file is refused before all else
        matrices = []
        for element in elements:
            if element.code == COMPRESSED:
                head = next(unpack(path, handle, element, most=_DESCRIPTION), b"")
                if len(head) < 8 or struct.unpack(f"{order}I", head[:4])[0] != MATRIX:
                    raise damaged_mat(path, "a compressed element holds no matrix")
                matrices.append(_describe(path, order, element, head, 8))
            elif element.length:  # an empty matrix has no name
                handle.seek(element.start)
                head = handle.read(min(element.length, _DESCRIPTION))
                matrices.append(_describe(path, order, element, head, 0))
        # Without a name are MATLAB's own notes on the file's functions and objects.
        named = {matrix.variable.name: matrix for matrix in matrices if matrix.variable.name}
        for matrix in list(named.values()) if fields else ():
            read = Forward(path, handle, matrix.element, most=_MOST_UNPACKED)
            for field in _fields(path, order, handle, read, matrix):
                named.setdefault(field.variable.name, field)
    return list(named.values())


def _fields(
    path: Path, order: Literal["<", ">"], handle: BinaryIO, read: Forward, outer: _Matrix, depth: int = 1
) -> Iterator[_Matrix]:
    """The fields of a structure, and of structures in it, as far as they can be followed."""
    if outer.variable.kind != "struct" or math.prod(outer.variable.shape) != 1 or depth > _DEEPEST:
        return
    compressed = outer.element.code == COMPRESSED
    try:
        head = read(outer.data, _DESCRIPTION)
        width = part(order, head, 0)
        length = struct.unpack_from(f"{order}i", head, width.start)[0]
        names = part(order, head, width.end)
        if not 0 < length <= names.length <= min(len(head) - names.start, length * _MOST_FIELDS):
            return
        words = [head[names.start + i : names.start + i + length] for i in range(0, names.length, length)]
        at = outer.data + names.end
        for word in words:
            tag = read(at, 8)
            code, size = struct.unpack(f"{order}II", tag)
            if code != MATRIX:
                return
            start = at + 8
            if size:  # else it is empty
                element, base, inner = outer.element, start, read
                if not compressed:
                    begin = element.start + start
                    if begin + size > element.end:
                        return
                    element, base = Element(MATRIX, begin, size, begin + size), 0
                    inner = Forward(path, handle, element, most=size)
                head = inner(base, min(size, _DESCRIPTION))
                found = _describe(path, order, element, head, 0, base=base)
                name = f"{outer.variable.name}.{word.split(bytes(1))[0].decode('latin-1')}"
                field = replace(found, variable=replace(found.variable, name=name, in_structure=True))
                yield field
                yield from _fields(path, order, handle, inner, field, depth + 1)
            at = start + size
    except (struct.error, FormatError):  # what cannot be followed is left out: the file's other arrays are whole
        return


def _describe(
    path: Path, order: Literal["<", ">"], element: Element, head: bytes, at: int, *, base: int = 0
) -> _Matrix:
    """A matrix from its first bytes, which lie ``base`` bytes behind the element's; its parts begin at ``at``."""
    try:
        flags = part(order, head, at)
        code = struct.unpack_from(f"{order}I", head, flags.start)[0]
        kind = _CLASSES.get(code & 0xFF)
        if kind is None:
            raise damaged_mat(path, f"unknown class {code & 0xFF}")
        label, shape = part(order, head, flags.end), (1, 1)
        if code & 0xFF != _OPAQUE:
            shape = struct.unpack_from(f"{order}{label.length // 4}i", head, label.start)
            label = part(order, head, label.end)
        name = head[label.start : label.start + label.length].decode("latin-1")
        if label.start + label.length > len(head) or not name.isprintable():
            raise damaged_mat(path, "a name is garbled")
        if min(shape, default=0) < 0:
            raise damaged_mat(path, f"a size of {name} is negative")
        if kind == SPARSE and not code & _COMPLEX_FLAG and len(shape) == 2:
            variable = Variable(name, shape, kind, np.dtype(np.float64))
            return _Matrix(variable, np.dtype(np.float64), base + label.end, element)
        if kind not in _DTYPES:
            return _Matrix(Variable(name, shape, kind, None), None, base + label.end, element)
        kind = "logical" if code & _LOGICAL_FLAG else kind
        if code & _COMPLEX_FLAG:
            return _Matrix(Variable(name, shape, f"complex {kind}", None), None, 0, element)
        variable = Variable(name, shape, kind, np.dtype(_DTYPES[kind]))
        if 0 in shape or not shape:
            return _Matrix(variable, None, 0, element)
        data = part(order, head, label.end)
    except struct.error as error:
        raise damaged_mat(path, "a matrix ends in its description") from error
    if data.code not in _STORED:
        raise damaged_mat(path, f"values of {name} are of the unknown type {data.code}")
    stored = np.dtype(_STORED[data.code]).newbyteorder(order)
    expected = math.prod(shape) * stored.itemsize
    if expected != data.length or (element.code == MATRIX and element.start + data.start + expected > element.end):
        raise damaged_mat(path, f"{variable} has {data.length} bytes of values, {expected} expected")
    return _Matrix(variable, stored, base + data.start, element)
