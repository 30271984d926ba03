"""A date with the shift against its partner undone: read window by window, when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.prepare.registration import shift_radius, undo_shift
from hsi_cd.scene import Cube, Grid
from hsi_cd.scene.cube import derived_cube

_SMALLEST = 0.15  # pixels: below, interpolation blurs more than the shift costs
_WHOLE = 0.05  # pixels: likewise along one axis alone


def worth_undoing(down: float, right: float) -> tuple[float, float]:
    """What of a shift is undone, (down, right).

    Whole pixels alone, where less than 0.15 pixels would be left: values that are moved and not interpolated stay
    what they are. Else the shift as it is, but for a part within 0.05 of a whole pixel.
    """
    whole = float(round(down)), float(round(right))
    if np.hypot(down - whole[0], right - whole[1]) < _SMALLEST:
        return whole
    parts = [near if abs(part - near) < _WHOLE else part for part, near in zip((down, right), whole, strict=True)]
    return parts[0], parts[1]


def shift_back(cube: Cube, shift: tuple[float, float], grid: Grid) -> Cube:
    """The cube read at ``(r + down, c + right)``.

    By cubic convolution (Keys 1981, doi 10.1109/TASSP.1981.1163711), at the same fraction of a pixel everywhere,
    so that a value is the same in every window. No data where the place lies outside of the cube, or where one of
    the 16 pixels around it that count has none; pixels at the cube's edge are repeated outwards.

    Args:
        cube: the later date.
        shift: of the later date against the earlier one, (down, right), pixels.
        grid: of the earlier date, of the same shape.
    """
    return derived_cube(cube, _ShiftedBack(cube, shift), grid=grid)


@dataclass(frozen=True)
class _ShiftedBack:
    """Reads windows of a cube at a shift.

    Attributes:
        cube: the cube.
        shift: (down, right), pixels.
    """

    cube: Cube
    shift: tuple[float, float]

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        # Whole pixels say where to read, so that the margin is that of the fraction alone.
        whole = [int(np.floor(part)) for part in self.shift]
        fraction = (self.shift[0] - whole[0], self.shift[1] - whole[1])
        radius = shift_radius(fraction)
        wanted = [
            np.arange(span.start + away - radius, span.stop + away + radius)
            for span, away in zip((rows, cols), whole, strict=True)
        ]
        height, width = max(0, rows.stop - rows.start), max(0, cols.stop - cols.start)
        inside = [np.clip(each, 0, length - 1) for each, length in zip(wanted, self.cube.grid.shape, strict=True)]
        if not height or not width:
            return np.empty((self.cube.bands.count, height, width), dtype=np.float32)
        spans = [slice(int(each[0]), int(each[-1]) + 1) for each in inside]
        values = self.cube.read(spans[0], spans[1])
        if any(len(each) != span.stop - span.start for each, span in zip(inside, spans, strict=True)):
            values = values[:, inside[0] - spans[0].start][:, :, inside[1] - spans[1].start]
        out = np.array(undo_shift(values, fraction, radius=radius), dtype=np.float32)
        for axis, (span, part) in enumerate(zip((rows, cols), self.shift, strict=True)):
            place = np.arange(span.start, span.stop) + part
            outside = (place < -0.5) | (place > self.cube.grid.shape[axis] - 0.5)
            np.moveaxis(out, axis + 1, 0)[outside] = np.nan
        return out
