"""A user's own mask: a raster whose pixels other than 0 are left out, or shapes whose pixels are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.burning import NOBODY, PixelShapes, burn
from hsi_cd.io.drawn_labels import in_pixels
from hsi_cd.io.kinds import file_kind, find_input
from hsi_cd.io.shape_parts import parts_of
from hsi_cd.io.single_band import read_single_band
from hsi_cd.io.vector_files import is_vector_file, read_layers
from hsi_cd.scene import Grid


def read_mask(path: Path, grid: Grid) -> tuple[NDArray[np.bool_], Grid]:
    """What a file leaves out, bool ``(rows, cols)``, and the grid on which it says so.

    Of shapes, all layers count, whatever their fields say: polygons by the centres of the pixels that they cover,
    lines and points by the pixels that they touch. They are put on the scene's grid. A raster keeps its own.

    Args:
        path: the file.
        grid: the scene's.

    Raises:
        MissingInputError: there is no such file.
        FormatError: it is damaged, has several bands that differ, or holds no shape.
        GridError: shapes cannot be placed on the scene.
    """
    found = find_input(path, places=True)
    if is_vector_file(found):
        return _burnt(found, grid), grid
    band = read_single_band(found, file_kind(found))
    return np.asarray(band.values != 0), band.grid


def _burnt(path: Path, grid: Grid) -> NDArray[np.bool_]:
    covered = np.zeros(grid.shape, dtype=bool)
    count = 0
    for table in read_layers(path):
        parts = parts_of(table, [])
        count += len(parts.geometry)
        if len(parts.geometry):
            placed = in_pixels(parts.geometry, table, grid, "the scene")
            numbers = np.arange(1, len(placed) + 1, dtype=np.int32)
            covered |= burn(PixelShapes(placed, numbers), grid.shape) != NOBODY
    if not count:
        raise FormatError(f"{path} holds no shape: draw the places that are to be left out")
    return covered
