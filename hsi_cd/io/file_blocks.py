"""A file read in its own blocks, each decoded once while the scene is read from top to bottom.

A compressed file is decoded in whole blocks (tiles, strips, chunks). Windows of some rows that cut through them
would have each block decoded again for every window: ten times the time where a tile is 512 rows high, more where
one block holds the whole image. Here the blocks that a window ends in are kept, decoded, for the next one. Where
they do not fit into memory, the whole file is decoded once, into a temporary file.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hsi_cd.io.memory import free_memory, gigabytes

_log = logging.getLogger(__name__)

_MOST_KEPT = 512 << 20  # bytes a date: holds a row of tiles of 512 x 512 pixels of common imaging spectrometers
_FREE_SHARE = 1 / 8  # of the free memory, a date
_SHARES = 4  # two dates, and on the command line as much for the parts of the scene on their way
_MANY = 8  # rows of blocks in a window from which on those that it cuts through do not count, and none is kept


class BlockSource(Protocol):
    """Reads parts of a file."""

    def __call__(self, rows: slice, cols: slice, bands: slice | None = None) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)``; all bands by default."""

    def close(self) -> None:
        """Let go of what is open; the next reading opens it again."""


@dataclass(frozen=True)
class BlockLayout:
    """An image and the blocks it is stored in.

    Attributes:
        shape: bands, rows and columns of the image.
        block: bands, rows and columns of a block.
        dtype: type of the stored values.
    """

    shape: tuple[int, int, int]
    block: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def image_bytes(self) -> int:
        """Bytes of the decoded image."""
        return self.bytes_of(*self.shape)

    def bytes_of(self, bands: int, rows: int, cols: int) -> int:
        """Bytes of a decoded part, at most those of the image."""
        count, height, width = self.shape
        return min(bands, count) * min(rows, height) * min(cols, width) * self.dtype.itemsize


def kept_bytes() -> int:
    """Bytes that the decoded blocks of a date may take unless the user says how much."""
    free = free_memory()
    return _MOST_KEPT if free is None else min(_MOST_KEPT, int(free * _FREE_SHARE))


class BlockReader:
    """Reads windows of an image through its blocks; pickling keeps the source alone."""

    def __init__(self, source: BlockSource, layout: BlockLayout, *, most: int, name: str) -> None:
        """Nothing is read yet.

        Args:
            source: reads the file.
            layout: the blocks it is stored in.
            most: bytes that decoded blocks may take in memory.
            name: what messages call the file.
        """
        self._source, self._layout, self._most, self._name = source, layout, most, name
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._kept: _Rows | None = None
        self._decoded: _DecodedFile | None = None
        self._has_room = True

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window; they may be a view of what is kept.

        Raises:
            FormatError: the file is damaged or was removed.
        """
        if self._pid != os.getpid():  # a child forked from this process: a lock held there is never released here
            self._begin()
        height, width = rows.stop - rows.start, cols.stop - cols.start
        if height <= 0 or width <= 0:
            return self._source(rows, cols)
        count, block_rows, block_cols = self._layout.shape[0], *self._layout.block[1:]
        across = _whole_blocks(cols, block_cols, self._layout.shape[2])
        with self._lock:
            fits = self._layout.bytes_of(count, block_rows, across.stop - across.start) <= self._most
            if self._decoded is None and not fits and self._has_room:
                self._kept, self._decoded = None, self._decode()
            if self._decoded is not None:
                return self._decoded.read(rows, cols)
            again = self._kept is not None and self._kept.holds(rows.start, across)
            if not again and (not fits or _MANY * block_rows <= height):
                return self._source(rows, cols)
            return self._read(rows, cols, across)

    def _read(self, rows: slice, cols: slice, across: slice) -> NDArray[np.generic]:
        """A window, of whole blocks in the columns ``across``; the last row of blocks is kept."""
        window: NDArray[np.generic] | None = None
        at = rows.start
        while at < rows.stop:
            kept = self._kept
            if kept is None or not kept.holds(at, across):
                kept = self._kept = None  # before others are read: together they would take twice the memory
                kept = self._decode_rows(slice(at, rows.stop), across)
            part = kept.part(slice(at, rows.stop), cols)
            self._kept = kept.last(self._layout.block[1])
            if part.shape[1] == rows.stop - rows.start:
                return part
            if window is None:
                window = np.empty((len(part), rows.stop - rows.start, part.shape[2]), dtype=part.dtype)
            window[:, at - rows.start : at - rows.start + part.shape[1]] = part
            at += part.shape[1]
        return window if window is not None else self._source(rows, cols)

    def _decode_rows(self, rows: slice, across: slice) -> _Rows:
        """Whole rows of blocks from the first of ``rows`` on, as many as are wanted and fit into memory."""
        count, height, _ = self._layout.shape
        step = self._layout.block[1]
        down = _whole_blocks(rows, step, height)
        at_once = max(1, self._most // self._layout.bytes_of(count, step, across.stop - across.start)) * step
        stop = min(down.stop, down.start + at_once)
        return _Rows(down.start, across, self._source(slice(down.start, stop), across))

    def _decode(self) -> _DecodedFile | None:
        """The whole image in a temporary file; None, with a warning, where there is no room for it."""
        size, block = self._layout.image_bytes, self._layout.block
        try:
            decoded = _DecodedFile(self._layout)
        except OSError as error:
            self._has_room = False
            row = self._layout.bytes_of(self._layout.shape[0], block[1], self._layout.shape[2])
            _log.warning(
                "%s is stored in blocks of %d x %d pixels and is decoded many times over: a row of them takes %s, "
                "and %s has no room for the %s of the image (%s); make room, name another folder by TMPDIR, or "
                "give memory=%d",
                self._name, block[1], block[2], gigabytes(row), tempfile.gettempdir(), gigabytes(size),
                error.strerror, _SHARES * row,
            )  # fmt: skip
            return None
        _log.info("%s: decoded once into a temporary file of %s", self._name, gigabytes(size))
        decoded.fill(self._source, most=self._most)
        self._source.close()
        return decoded

    def __reduce__(self) -> tuple[Callable[..., BlockReader], tuple[Any, ...]]:
        return partial(BlockReader, most=self._most, name=self._name), (self._source, self._layout)


@dataclass(frozen=True)
class _Rows:
    """Decoded rows of blocks.

    Attributes:
        row: the first row.
        cols: the columns.
        values: ``(bands, rows, cols)``.
    """

    row: int
    cols: slice
    values: NDArray[np.generic]

    def holds(self, row: int, cols: slice) -> bool:
        """Whether a row is here, in all of the columns."""
        height: int = self.values.shape[1]
        inside = self.cols.start <= cols.start and cols.stop <= self.cols.stop
        return inside and self.row <= row < self.row + height

    def part(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """The values of those of the rows that are here."""
        down = slice(rows.start - self.row, rows.stop - self.row)
        return self.values[:, down, cols.start - self.cols.start : cols.stop - self.cols.start]

    def last(self, step: int) -> _Rows:
        """The last row of blocks alone, of ``step`` rows or, at the image's end, fewer."""
        skipped = (self.values.shape[1] - 1) // step * step
        if not skipped:
            return self
        return _Rows(self.row + skipped, self.cols, self.values[:, skipped:].copy())  # the others can go


class _DecodedFile:
    """A decoded image in a temporary file without a name, band after band; it goes with this object."""

    def __init__(self, layout: BlockLayout) -> None:
        """Take the room.

        Raises:
            OSError: there is not enough.
        """
        self._layout = layout
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this object
        weakref.finalize(self, self._file.close)
        if hasattr(os, "posix_fallocate"):  # a disk that is full only when a number is written ends the process
            try:
                os.posix_fallocate(self._file.fileno(), 0, layout.image_bytes)
            except OSError:
                self._file.close()
                raise
        else:
            self._file.truncate(layout.image_bytes)

    def fill(self, source: BlockSource, *, most: int) -> None:
        """Decode the image in pieces of whole blocks, of at most so many bytes where a block is smaller."""
        count, height, width = self._layout.shape
        deep, high, wide = self._layout.block
        if self._layout.bytes_of(deep, high, width) <= most:
            wide = width
        deep *= max(1, most // self._layout.bytes_of(deep, high, wide))
        for row, col, band in product(range(0, height, high), range(0, width, wide), range(0, count, deep)):
            rows, cols = slice(row, min(row + high, height)), slice(col, min(col + wide, width))
            bands = slice(band, min(band + deep, count))
            self._map()[bands, rows, cols] = source(rows, cols, bands)

    def read(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Values ``(bands, rows, cols)`` of a window."""
        return np.array(self._map()[:, rows, cols])

    def _map(self) -> NDArray[np.generic]:
        # Anew each time: the pages of a map that is kept stay in memory.
        return np.memmap(self._file, dtype=self._layout.dtype, mode="r+", shape=self._layout.shape)


def _whole_blocks(wanted: slice, step: int, end: int) -> slice:
    """The rows or columns of all blocks of ``step`` that reach into those wanted."""
    return slice(wanted.start // step * step, min(-(-wanted.stop // step) * step, end))
