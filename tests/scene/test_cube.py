from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.scene import Bands, Grid, cube_from_array

bound = st.none() | st.integers(-8, 8)


@given(rows=st.tuples(bound, bound), cols=st.tuples(bound, bound))
def test_a_window_is_the_slice_of_the_array(rows, cols) -> None:
    values = np.arange(2 * 5 * 6, dtype=np.int16).reshape(2, 5, 6)
    window = cube_from_array(values).read(slice(*rows), slice(*cols))
    np.testing.assert_array_equal(window, values[:, slice(*rows), slice(*cols)])
    assert window.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_nodata_becomes_nan_and_nothing_else(dtype) -> None:
    values = np.array([[[0, 1], [7, 0]]], dtype=dtype)
    window = cube_from_array(values, nodata=7).read()
    np.testing.assert_array_equal(window, [[[0, 1], [np.nan, 0]]])


@pytest.mark.parametrize("nodata", [-9999.0, 1e6, float("nan"), None])
def test_nodata_that_the_type_cannot_hold_hides_nothing(nodata) -> None:
    values = np.array([[[0, 255]]], dtype=np.uint8)
    np.testing.assert_array_equal(cube_from_array(values, nodata=nodata).read(), values)


def test_numbers_without_end_become_nan() -> None:
    values = np.array([[[np.inf, -np.inf, np.nan, 1e300, 2]]])
    np.testing.assert_array_equal(cube_from_array(values).read(), [[[np.nan] * 4 + [2]]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_array_behind_a_cube_is_never_written(dtype) -> None:
    values = np.array([[[np.inf, 7, 2]]], dtype=dtype)
    before = values.copy()
    cube_from_array(values, nodata=7).read()[...] = 0
    np.testing.assert_array_equal(values, before)


def test_a_cube_knows_its_description() -> None:
    cube = cube_from_array(np.zeros((3, 4, 5), np.float32))
    assert (cube.grid, cube.bands, cube.dtype) == (Grid(4, 5), Bands(3), np.dtype(np.float32))


def test_a_declared_offset_saves_digits_that_float32_would_lose() -> None:
    values = 100_000_000 + np.arange(6, dtype=np.int32).reshape(1, 2, 3)
    cube = replace(cube_from_array(values, nodata=100_000_004), scale=(0.5,), offset=(-5e7,))
    np.testing.assert_array_equal(cube.read(), [[[0, 0.5, 1], [1.5, np.nan, 2.5]]])
