"""The components of a whole scene, read once: what the shift, a fit and its threshold are found on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import OutputError
from hsi_cd.prepare.padding import mirror_index
from hsi_cd.prepare.registration import LEADING, measure_shift
from hsi_cd.prepare.scratch import let_go, scratch_array
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.statistics import Rows, row_blocks
from hsi_cd.prepare.transform import SceneTransform
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair

_SHIFT_SIDE = 2048  # pixels: the shift is measured on the middle of a larger scene


@dataclass(frozen=True)
class SceneComponents:
    """Both dates' components of a scene, before any shift is undone.

    Attributes:
        pair: the scene.
        transform: what made them.
        exact: whether they have the same bits in every window, see :meth:`SceneTransform.apply`.
        kept: float32 ``(2 dates, components, rows, cols)``, NaN for no data; None where there was no room for
            them: they are then read and made again whenever they are asked for.
    """

    pair: ScenePair
    transform: SceneTransform
    exact: bool
    kept: NDArray[np.float32] | None

    def window(
        self, rows: slice, cols: slice, *, radius: int = 0
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Components of both dates in a window of the endless mirror of the scene.

        Args:
            rows: rows of the window; may lie outside the scene.
            cols: columns of the window; may lie outside the scene.
            radius: further pixels on each side.

        Returns:
            float32 ``(components, rows + 2 radius, cols + 2 radius)`` twice, to be read, not written.
        """
        if self.kept is None:
            values = read_window(self.pair, rows, cols, radius=radius)
            first, second = (
                self.transform.apply(each, date=date, exact=self.exact) for date, each in enumerate(values)
            )
            return first, second
        height, width = self.pair.shape
        row = mirror_index(rows.start - radius, rows.stop + radius, height)
        col = mirror_index(cols.start - radius, cols.stop + radius, width)
        top, left = int(row.min()), int(col.min())
        inside = self.kept[:, :, top : int(row.max()) + 1, left : int(col.max()) + 1]
        if inside.shape[2:] != (len(row), len(col)) or row[0] > row[-1] or col[0] > col[-1]:
            inside = inside[:, :, (row - top)[:, None], col - left]
        # In the order in which a product of a window would leave them: sums over components round by it.
        return np.ascontiguousarray(inside[0]), np.ascontiguousarray(inside[1])

    def let_go(self) -> None:
        """Leave the memory to others where the components lie in a file; they can be read on."""
        if self.kept is not None:
            let_go(self.kept)

    def shift(self) -> tuple[float, float]:
        """The shift of date 2, ``(down, right)`` in pixels, from at most the middle 2048 x 2048 pixels."""
        rows, cols = (
            slice(start := max(0, (length - _SHIFT_SIDE) // 2), start + min(length, _SHIFT_SIDE))
            for length in self.pair.shape
        )
        first, second = self._leading(rows, cols)
        return measure_shift(first, second, self.transform.noise)

    def _leading(self, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The components of both dates on which the shift is measured, in a window inside the scene; not copied.

        Where none are kept, they are made some rows at a time: the spectra of so many pixels take gigabytes.
        """
        if self.kept is not None:
            return self.kept[0, :LEADING, rows, cols], self.kept[1, :LEADING, rows, cols]
        count, height = min(LEADING, self.transform.components), rows.stop - rows.start
        found = np.empty((2, count, height, cols.stop - cols.start), dtype=np.float32)
        for block in row_blocks(*found.shape[2:]):
            window = self.window(slice(rows.start + block.start, rows.start + block.stop), cols)
            for date, values in enumerate(window):
                found[date, :, block] = values[:count]
        return found[0], found[1]


def make_components(
    pair: ScenePair, transform: SceneTransform, reading: Iterable[Rows], *, roundings: Iterable[bool]
) -> dict[bool, SceneComponents]:
    """The components of a scene, kept in one reading.

    Args:
        pair: the scene.
        transform: from stored values to components.
        reading: the whole scene in blocks of rows.
        roundings: exact, or not, or both; see :meth:`SceneTransform.apply`.

    Returns:
        The components of each rounding.
    """
    shape = (2, transform.components, *pair.shape)
    try:
        kept: dict[bool, Any] = {exact: scratch_array(shape, np.float32) for exact in roundings}
    except OutputError:  # no room between two passes costs more readings, not the map
        return {exact: SceneComponents(pair, transform, exact, None) for exact in roundings}
    # One thread: see statistics.py.
    with single_threaded("blas"):
        for rows, values in reading:
            for exact, array in kept.items():
                for date, each in enumerate(values):
                    array[date, :, rows] = transform.apply(each, date=date, exact=exact)
                let_go(array)
    return {exact: SceneComponents(pair, transform, exact, array) for exact, array in kept.items()}


def row_windows(blocks: Iterable[slice], components: SceneComponents, *, radius: int) -> Iterator[Rows]:
    """Whole rows of a scene's components with their mirrored surroundings, block by block."""
    cols = slice(0, components.pair.shape[1])
    for block in blocks:
        yield block, components.window(block, cols, radius=radius)
        components.let_go()
