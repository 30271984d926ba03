"""The elements of a MATLAB file up to version 7: tagged pieces, bare or compressed, one after the other."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from hsi_cd.errors import FormatError

MATRIX, COMPRESSED = 14, 15  # codes of the two elements that a file may consist of
_HEADER_BYTES = 128
_MOST_VARIABLES = 20_000
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Element:
    """A tagged piece: its code, where its data lie and end, and where the next one begins."""

    code: int
    start: int
    length: int
    end: int


def top_elements(path: Path, handle: BinaryIO, order: str) -> Iterator[Element]:
    """The top elements of a file, which must fill it exactly."""
    size = path.stat().st_size
    at, count = _HEADER_BYTES, 0
    while at + 8 <= size:
        handle.seek(at)
        code, length = struct.unpack(f"{order}II", handle.read(8))
        if code not in (MATRIX, COMPRESSED):
            raise damaged_mat(path, f"unknown element {code} at byte {at}")
        count += 1
        if count > _MOST_VARIABLES:
            raise damaged_mat(path, f"more than {_MOST_VARIABLES} variables")
        yield Element(code, at + 8, length, at + 8 + length)
        at += 8 + length
    if at != size:
        raise FormatError(
            f"{path} is a truncated MATLAB file ({size} bytes, at least {at} expected): copy it again"
        )


def part(order: str, head: bytes, at: int) -> Element:
    """The part of a matrix that begins at ``at``."""
    code, length = struct.unpack_from(f"{order}II", head, at)
    if code >> 16:  # up to four bytes stand in the tag itself
        return Element(code & 0xFFFF, at + 4, min(code >> 16, 4), at + 8)
    end = at + 8 + length
    return Element(code, at + 8, length, end + -end % 8)


def unpack(path: Path, handle: BinaryIO, element: Element, *, most: int = _CHUNK) -> Iterator[bytes]:
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
        raise damaged_mat(path, str(error)) from error


def byte_order(handle: BinaryIO) -> Literal["<", ">"]:
    """The byte order of a file, as its header says."""
    handle.seek(0)
    return "<" if handle.read(_HEADER_BYTES)[126:128] == b"IM" else ">"


def damaged_mat(path: Path, reason: str) -> FormatError:
    """The error of a damaged file, in one line."""
    return FormatError(f"{path} is a damaged MATLAB file ({reason}): copy it again")


class Forward:
    """The bytes of a matrix, from its beginning on; in a compressed element they can only be read forward."""

    def __init__(self, path: Path, handle: BinaryIO, element: Element, *, most: int) -> None:
        """``most``: bytes of a compressed element after which the end is taken to be reached."""
        self._handle, self._element, self._most = handle, element, most
        self._pieces = unpack(path, handle, element) if element.code == COMPRESSED else None
        self._kept, self._start = b"", 0

    def __call__(self, at: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``at`` on; of a compressed element, never before an earlier ``at``."""
        if self._pieces is None:
            self._handle.seek(self._element.start + at)
            return self._handle.read(max(0, min(size, self._element.length - at)))
        while self._start + len(self._kept) < min(at + size, self._most):
            piece = next(self._pieces, b"")
            if not piece:
                break
            dropped = max(0, min(at - self._start, len(self._kept)))
            self._kept, self._start = self._kept[dropped:] + piece, self._start + dropped
        begin = at - self._start
        return self._kept[begin : begin + size] if begin >= 0 else b""
