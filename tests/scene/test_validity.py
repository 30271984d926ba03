from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsi_cd.scene import cube_from_array

DTYPES = [np.uint8, np.int16, np.uint16, np.float32]


def expected(stored: np.ndarray, nodata: float | None, saturated: float | None) -> np.ndarray:
    """The documented rule, pixel by pixel."""
    bands, rows, cols = stored.shape
    lost = np.zeros((rows, cols), dtype=bool)
    for r in range(rows):
        for c in range(cols):
            known = [v for v in stored[:, r, c].tolist() if v != nodata]
            if saturated is not None:
                lost[r, c] = any(v >= saturated for v in known)
            elif bands > 1 and np.issubdtype(stored.dtype, np.integer):
                clipped = sum(v == np.iinfo(stored.dtype).max for v in known)
                lost[r, c] = 2 * clipped >= bands
            if bands > 1 and not any(known):
                lost[r, c] = True
    return lost


@given(data=st.data(), dtype=st.sampled_from(DTYPES), saturated=st.sampled_from([None, 100.0]))
def test_empty_pixels_are_nan_in_every_band_and_no_others_change(data, dtype, saturated) -> None:
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 3e4
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)))
    stored = data.draw(arrays(dtype, shape, elements=st.sampled_from([0, 1, 7, 99, 100, top])))
    values = replace(cube_from_array(stored, nodata=7), saturated=saturated).read()
    lost = expected(stored, 7, saturated)
    assert np.isnan(values[:, lost]).all()
    np.testing.assert_array_equal(np.isnan(values[:, ~lost]), stored[:, ~lost] == 7)
    kept = ~np.isnan(values)
    np.testing.assert_array_equal(values[kept], stored[kept].astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_ordinary_dark_and_bright_pixels_are_data(dtype) -> None:
    """Single zeros, and a single clipped band of three, are values like others."""
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 3e4
    stored = np.array([[[0, top]], [[0, 5]], [[3, 9]]], dtype=dtype)
    np.testing.assert_array_equal(cube_from_array(stored).read(), stored.astype(np.float32))


def test_a_band_without_data_anywhere_does_not_count_as_saturated() -> None:
    """Whole bands filled with the type's largest number, declared as no data, leave the other bands alone."""
    stored = np.full((4, 2, 2), 65535, np.uint16)
    stored[2:] = 12
    values = cube_from_array(stored, nodata=65535).read()
    assert np.isnan(values[:2]).all() and (values[2:] == 12).all()


def test_zero_beside_bands_without_data_is_an_empty_pixel() -> None:
    stored = np.array([[[-1, -1]], [[0, 0]], [[0, 4]]], np.int16)
    assert np.isnan(cube_from_array(stored, nodata=-1).read()[:, 0, 0]).all()
    np.testing.assert_array_equal(cube_from_array(stored, nodata=-1).read()[1:, 0, 1], [0, 4])
