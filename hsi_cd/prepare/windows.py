"""Windows of a scene with mirrored surroundings, at any position and of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hsi_cd.prepare.padding import mirror_index
from hsi_cd.scene import AreaOfInterest, Cube, ScenePair

Part = TypeVar("Part")

Dates = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Both dates' values in a window, each ``(bands or components, rows, cols)``."""


def read_window(
    pair: ScenePair, rows: slice, cols: slice, *, radius: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both dates in a window of the endless mirror of the scene.

    Args:
        pair: the scene.
        rows: rows of the window; may lie outside the scene.
        cols: columns of the window; may lie outside the scene.
        radius: further pixels on each side.

    Returns:
        Stored values of both dates, float32 ``(bands, rows + 2 radius, cols + 2 radius)``, NaN for no data.
    """
    height, width = pair.shape
    row = mirror_index(rows.start - radius, rows.stop + radius, height)
    col = mirror_index(cols.start - radius, cols.stop + radius, width)
    return pair.of_both(lambda cube: _mirrored(cube, row, col))


def _mirrored(cube: Cube, row: NDArray[np.intp], col: NDArray[np.intp]) -> NDArray[np.float32]:
    top, left = int(row.min()), int(col.min())
    values = cube.read(slice(top, int(row.max()) + 1), slice(left, int(col.max()) + 1))
    row, col = row - top, col - left
    if _is_range(row) and _is_range(col):
        return values
    return values[:, row[:, None], col]


def _is_range(index: NDArray[np.intp]) -> bool:
    """Whether an index is 0, 1, 2, ...: inside the scene nothing is mirrored, and nothing need be copied."""
    return bool((index == np.arange(len(index))).all())


def sliding_windows(
    pair: ScenePair, bands: Iterable[slice], *, radius: int, seen: Callable[[slice, Dates], None] | None = None
) -> Iterator[tuple[slice, Dates]]:
    """Whole rows with their mirrored surroundings, band after band; no row of the scene is read twice.

    Args:
        pair: the scene.
        bands: rows of each window, one below the other without gaps, inside the scene.
        radius: further pixels on each side.
        seen: is shown all rows that are read, once each, from top to bottom.

    Yields:
        The band's rows, and what :func:`read_window` gives for them; of a scene with an area of interest, NaN
        where no pixel of it depends on, which is not read.
    """
    height, width = pair.shape
    col = mirror_index(-radius, width + radius, width)
    kept: Dates | None = None
    known = slice(0, 0)  # rows of the scene in it
    for band in bands:
        row = mirror_index(band.start - radius, band.stop + radius, height)
        top, bottom = int(row.min()), int(row.max()) + 1
        again = top < known.stop  # a window's first row never lies above the one before
        start = known.stop if again else top
        fresh = slice(start, max(bottom, start))
        dates = pair.of_both(lambda cube, rows=fresh: _rows_of(cube, rows, pair.focus, radius))  # type: ignore[misc]
        if seen is not None and fresh.stop > fresh.start:
            seen(fresh, dates)
        if kept is not None and again:
            dates = _joined(kept, dates, skip=top - known.start)
        # Of a window its last rows are kept, not all: the caller and the next window hold two already.
        known = slice(max(top, band.stop - radius), fresh.stop)
        kept = dates[0][:, known.start - top :].copy(), dates[1][:, known.start - top :].copy()
        window = _cut(dates, row - top, col)
        del dates
        yield band, window
        del window


def _rows_of(cube: Cube, rows: slice, area: AreaOfInterest | None, radius: int) -> NDArray[np.float32]:
    """Whole rows; what no pixel of the area depends on is not read, and NaN."""
    if area is None:
        return cube.read(rows)
    values = np.full((cube.bands.count, rows.stop - rows.start, cube.grid.cols), np.nan, dtype=np.float32)
    found = area.near(rows, radius)
    if found is not None:
        down, across = found
        values[:, down.start - rows.start : down.stop - rows.start, across] = cube.read(down, across)
    return values


def _joined(above: Dates, below: Dates, *, skip: int) -> Dates:
    """Both dates' rows, one upon the other, without the first ``skip`` of those above."""
    first, second = (np.concatenate([old[:, skip:], late], axis=1) for old, late in zip(above, below, strict=True))
    return first, second


def _cut(dates: Dates, row: NDArray[np.intp], col: NDArray[np.intp]) -> Dates:
    """Rows and columns of both dates, in this order."""
    if _is_range(row) and _is_range(col):
        return dates
    return dates[0][:, row[:, None], col], dates[1][:, row[:, None], col]


def read_ahead(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts in their order, each made in a thread of its own while the caller works on the one before.

    One part waits at most, so memory holds two: the caller's and the next. What goes wrong while one is made is
    raised when it is asked for; a caller that stops early waits for the part being made, and no more are.
    """
    source = iter(parts)
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        coming = reader.submit(next, source, end)
        while (part := coming.result()) is not end:
            coming = reader.submit(next, source, end)
            yield part  # type: ignore[misc]
