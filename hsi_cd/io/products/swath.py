"""Images in the geometry of a swath, put on the ground by a table: nearest, no pixel is invented.

A window of the ground points to pixels in a slanted stripe of the swath. Only those are read, some rows of the
swath at a time, so that memory does not depend on how the swath lies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hsi_cd.scene import Cube, Grid
from hsi_cd.scene.contract import to_pixels
from hsi_cd.scene.cube import WindowReader
from hsi_cd.scene.product import Product, QualityMask

NOWHERE = -1
"""What a table holds where the ground was not seen."""

_ROWS = 16  # of the swath that are read at a time: of 1242 x 285 float32 some 23 MB

Places = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Rows and columns in the swath, counted from 0, of each pixel of a window; :data:`NOWHERE` for none."""

Lookup = Callable[[slice, slice], Places]
"""Reads a window ``(rows, cols)`` of the ground as the places in the swath that it shows."""


class Loaded:
    """Arrays that are loaded when they are first asked for; pickling keeps how they are loaded alone."""

    def __init__(self, load: Callable[[], tuple[NDArray[Any], ...]]) -> None:
        """Nothing is loaded yet; ``load`` must be picklable."""
        self._load = load
        self._lock = threading.Lock()
        self._arrays: tuple[NDArray[Any], ...] | None = None

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The arrays, each ``(rows, cols)``."""
        if self._arrays is None:
            with self._lock:
                if self._arrays is None:
                    self._arrays = self._load()
        return self._arrays

    def __reduce__(self) -> tuple[type[Loaded], tuple[Callable[[], tuple[NDArray[Any], ...]]]]:
        return Loaded, (self._load,)


@dataclass(frozen=True)
class TableLookup:
    """What the table itself says, on its own grid.

    Attributes:
        table: rows and columns in the swath, int32 ``(rows, cols)`` each.
    """

    table: Loaded

    def __call__(self, rows: slice, cols: slice) -> Places:
        """The places of a window."""
        row, col = self.table.arrays
        return row[rows, cols], col[rows, cols]


@dataclass(frozen=True)
class RegridLookup:
    """A table on another grid: each pixel takes what the table says at its centre, a value as it was measured.

    Attributes:
        table: as of :class:`TableLookup`.
        own: the table's grid.
        grid: the grid of the windows.
    """

    table: Loaded
    own: Grid
    grid: Grid

    def __call__(self, rows: slice, cols: slice) -> Places:
        """The places of a window."""
        across, down = np.meshgrid(np.arange(cols.start, cols.stop) + 0.5, np.arange(rows.start, rows.stop) + 0.5)
        found = np.full((2, *across.shape), NOWHERE, dtype=np.int32)
        if not across.size:
            return found[0], found[1]
        x, y = to_pixels(across, down, source=self.grid, target=self.own)
        there = (x >= 0) & (x < self.own.cols) & (y >= 0) & (y < self.own.rows)
        at = np.floor(y[there]).astype(np.intp), np.floor(x[there]).astype(np.intp)
        for out, stored in zip(found, self.table.arrays, strict=True):
            out[there] = stored[at]
        return found[0], found[1]


@dataclass(frozen=True)
class GroundReader:
    """Reads windows of the ground out of a swath.

    Attributes:
        reader: reads windows of the swath, float32 ``(bands, rows, cols)``, NaN for no data.
        bands: how many it has.
        lookup: which of its pixels the ground shows.
    """

    reader: WindowReader
    bands: int
    lookup: Lookup
    fresh: ClassVar[bool] = True  # its windows are made anew, and nobody else holds them

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """Values ``(bands, rows, cols)`` of a window, NaN where the table has none."""
        row, col = self.lookup(rows, cols)
        values = np.full((self.bands, *row.shape), np.nan, dtype=np.float32)
        flat = values.reshape(self.bands, -1)
        for at, down, across in _pieces(row.ravel(), col.ravel()):
            part = self.reader(down, across)
            flat[:, at] = part[:, row.ravel()[at] - down.start, col.ravel()[at] - across.start]
        return values


@dataclass(frozen=True)
class GroundMask:
    """A quality mask of a swath, on the ground.

    Attributes:
        flags: words of bits, ``(rows, cols)`` of the swath.
        bits: those of which any must be set.
        lookup: which pixels of the swath the ground shows.
    """

    flags: Loaded
    bits: int
    lookup: Lookup

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)`` of a window; False where the table has no pixel."""
        row, col = self.lookup(rows, cols)
        (flags,) = self.flags.arrays
        covered: NDArray[np.bool_] = ((flags[row, col] & self.bits) != 0) & (row != NOWHERE)
        return covered


@dataclass(frozen=True)
class FlagBits:
    """A quality mask among the flags of a swath.

    Attributes:
        name: the kind of pixel.
        bits: those of which any must be set.
        source: what the product calls it.
        hides: whether its pixels are left out unless the user says otherwise.
    """

    name: str
    bits: int
    source: str
    hides: bool = True


@dataclass(frozen=True)
class Swath:
    """A product in the geometry of a swath, with its table.

    Attributes:
        cube: the product, whose reader reads windows of the swath, but whose grid is the table's. Masks that its
            product has are those that are missing.
        table: rows and columns in the swath of each pixel of that grid.
        flags: words of bits, ``(rows, cols)`` of the swath; None where it has no masks.
        masks: what the bits mean.
    """

    cube: Cube
    table: Loaded
    flags: Loaded | None = None
    masks: tuple[FlagBits, ...] = ()

    def on_its_grid(self) -> Cube:
        """The product on the grid of its table, bit by bit as the table says."""
        return self._by(TableLookup(self.table), self.cube.grid)

    def onto(self, grid: Grid) -> Cube:
        """The product on another grid, by the same table: no value is resampled twice.

        Raises:
            GridError: its CRS cannot be related to the table's.
        """
        return self._by(RegridLookup(self.table, self.cube.grid, grid), grid)

    def _by(self, lookup: Lookup, grid: Grid) -> Cube:
        flags = self.flags
        masks = () if flags is None else tuple(
            QualityMask(each.name, GroundMask(flags, each.bits, lookup), each.hides, each.source)
            for each in self.masks
        )  # fmt: skip
        own = self.cube.product or Product(self.cube.name)
        return replace(
            self.cube,
            grid=grid,
            reader=GroundReader(self.cube.reader, self.cube.bands.count, lookup),
            product=replace(own, masks=(*own.masks, *masks), onto=self.onto),
        )


def _pieces(row: NDArray[np.int32], col: NDArray[np.int32]) -> Iterator[tuple[NDArray[np.intp], slice, slice]]:
    """Pixels of a window by the rows of the swath that they show, with the part of it to read for them."""
    there = np.flatnonzero(row != NOWHERE)
    piece = row[there] // _ROWS
    order = np.argsort(piece, kind="stable")
    for at in np.split(there[order], np.flatnonzero(np.diff(piece[order])) + 1):
        if at.size:
            yield (
                at,
                slice(int(row[at].min()), int(row[at].max()) + 1),
                slice(int(col[at].min()), int(col[at].max()) + 1),
            )
