"""A shift undone window by window: the same in every window, the right values, and no data where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve2d

from hsi_cd.prepare.shifted_cube import shift_back, worth_undoing
from hsi_cd.scene import Grid, cube_from_array

VALUES = np.random.default_rng(0).normal(size=(2, 40, 33)).astype(np.float32)
GRID = Grid(40, 33)
PARTS = st.floats(-45, 45).map(lambda part: round(part, 3))


def keys(distance: np.ndarray) -> np.ndarray:
    """The kernel of Keys 1981 with a = -1/2, as it is printed there."""
    s = np.abs(distance)
    near, far = 1.5 * s**3 - 2.5 * s**2 + 1, -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2
    return np.where(s <= 1, near, np.where(s < 2, far, 0))


@given(down=PARTS, right=PARTS, row=st.integers(0, 38), col=st.integers(0, 31), data=st.data())
def test_a_window_holds_what_the_whole_holds(
    down: float, right: float, row: int, col: int, data: st.DataObject
) -> None:
    holed = VALUES.copy()
    holed[:, 11:13, 20] = np.nan
    moved = shift_back(cube_from_array(holed), (down, right), GRID)
    whole = moved.read()
    bottom, last = data.draw(st.integers(row + 1, 40)), data.draw(st.integers(col + 1, 33))
    part = moved.read(slice(row, bottom), slice(col, last))
    np.testing.assert_array_equal(part, whole[:, row:bottom, col:last])


@pytest.mark.parametrize("shift", [(0.3, -0.6), (-2.25, 3.5), (7.0, 0.1)])
def test_values_are_those_of_the_printed_kernel(shift: tuple[float, float]) -> None:
    found = shift_back(cube_from_array(VALUES), shift, GRID).read()
    reach = np.arange(-11, 12)
    kernel = np.outer(keys(reach - shift[0]), keys(reach - shift[1]))  # weight of the pixel at each distance
    for band, layer in zip(found, VALUES, strict=True):
        expected = convolve2d(np.pad(layer.astype(np.float64), 11, mode="edge"), kernel[::-1, ::-1], mode="valid")
        inside = np.isfinite(band)
        np.testing.assert_allclose(band[inside], expected[inside], atol=1e-5)
        rows, cols = np.mgrid[0:40, 0:33]
        there = (rows + shift[0] > -0.5) & (rows + shift[0] <= 39.5)
        there &= (cols + shift[1] > -0.5) & (cols + shift[1] <= 32.5)
        np.testing.assert_array_equal(inside, there)


def test_whole_pixels_move_values_as_they_are() -> None:
    holed = VALUES.copy()
    holed[0, 20, 20] = np.nan
    found = shift_back(cube_from_array(holed), (3.0, -5.0), GRID).read()
    np.testing.assert_array_equal(found[:, :37, 5:], holed[:, 3:, :28])
    assert np.isnan(found[:, 37:]).all() and np.isnan(found[:, :, :5]).all()


def test_no_data_reaches_as_far_as_the_kernel() -> None:
    holed = VALUES.copy()
    holed[1, 20, 20] = np.nan
    found = shift_back(cube_from_array(holed), (0.5, 0.0), GRID).read()
    assert np.argwhere(np.isnan(found[:, :39])).tolist() == [[1, 18, 20], [1, 19, 20], [1, 20, 20], [1, 21, 20]]


def test_what_is_worth_undoing() -> None:
    assert worth_undoing(0.1, -0.1) == (0.0, 0.0)
    assert worth_undoing(3.1, -0.1) == (3.0, 0.0)
    assert worth_undoing(3.3, -0.12) == (3.3, -0.12)
    assert worth_undoing(0.3, -11.02) == (0.3, -11.0)
