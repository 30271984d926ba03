"""Layers of coarser pixels on a finer grid, each pixel repeated: no value is made that was not measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.scene import Grid
from hsi_cd.scene.cube import WindowReader

_OFF = 1e-3  # of a coarse pixel: how far the corners of nested grids may lie apart


@dataclass(frozen=True)
class RepeatReader:
    """Reads windows of a finer grid.

    Attributes:
        reader: reads windows of the coarser grid, ``(bands, rows, cols)``.
        down: rows of the finer grid in one of the coarser.
        across: columns likewise.
    """

    reader: WindowReader
    down: int
    across: int

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window."""
        coarse = [
            slice(part.start // step, -(-part.stop // step))
            for part, step in ((rows, self.down), (cols, self.across))
        ]
        values = self.reader(coarse[0], coarse[1])
        row = np.arange(rows.start, rows.stop) // self.down - coarse[0].start
        col = np.arange(cols.start, cols.stop) // self.across - coarse[1].start
        repeated_values: NDArray[np.generic] = values[:, row[:, None], col]
        return repeated_values


def repeated(reader: WindowReader, own: Grid, fine: Grid, shown: str) -> WindowReader:
    """A reader of windows of a finer grid out of one of a coarser that covers the same ground.

    Args:
        reader: reads windows of the coarser grid.
        own: the coarser grid.
        fine: the finer grid.
        shown: what messages call the layer.

    Raises:
        FormatError: the grids are not nested.
    """
    if own.transform is None or fine.transform is None:
        raise FormatError(f"{shown} does not tell its place: download the product again")
    down, across = round(own.transform.e / fine.transform.e), round(own.transform.a / fine.transform.a)
    corners = [~own.transform @ (fine.transform @ corner) for corner in ((0, 0), (fine.cols, fine.rows))]
    wanted = ((0.0, 0.0), (fine.cols / max(1, across), fine.rows / max(1, down)))
    off = max(
        abs(a - b) for found, goal in zip(corners, wanted, strict=True) for a, b in zip(found, goal, strict=True)
    )
    sizes = (-(-fine.rows // max(1, down)), -(-fine.cols // max(1, across)))
    if down < 1 or across < 1 or own.crs != fine.crs or off > _OFF or own.shape != sizes:
        raise FormatError(
            f"{shown} has {own.rows} x {own.cols} pixels that do not fit the finest bands of {fine.rows} x "
            f"{fine.cols}: the files are not of one product; download it again"
        )
    return reader if down == across == 1 else RepeatReader(reader, down, across)
