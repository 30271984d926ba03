"""Spectra in the bands of a coarser sensor, against a matrix product of numpy."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.scene import Bands, cube_from_array
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.spectral_response import gaussian_response, resampled, usual_width


def bands(centres: np.ndarray, width: float) -> Bands:
    return Bands(len(centres), tuple(centres.tolist()), (width,) * len(centres))


def matrix(fine: np.ndarray, coarse: np.ndarray, width: float) -> np.ndarray:
    """Each coarser band's response at each finer one, by its standard deviation; rows of sum 1."""
    sigma = width / 2.3548200450309493
    out = np.empty((len(coarse), len(fine)))
    for i, centre in enumerate(coarse):
        for j, wave in enumerate(fine):
            out[i, j] = np.exp(-((wave - centre) ** 2) / (2 * sigma**2))
    return out / out.sum(axis=1, keepdims=True)


@given(
    step=st.floats(4, 9), ratio=st.floats(1, 4), start=st.floats(380, 500), seed=st.integers(0, 99),
)  # fmt: skip
def test_resampling_is_a_matrix_product(step: float, ratio: float, start: float, seed: int) -> None:
    fine = np.arange(400, 1000, step)
    coarse = np.arange(start, 1100, step * ratio)
    width = 1.2 * step * ratio
    response = gaussian_response(bands(fine, 1.1 * step), bands(coarse, width))
    inside = [i for i, c in enumerate(coarse) if fine[0] <= c - width / 2 and c + width / 2 <= fine[-1]]
    assert list(response.bands) == inside
    values = np.random.default_rng(seed).random((len(fine), 3, 4), dtype=np.float32)
    cube = cube_from_array(values, bands=bands(fine, step))
    kept = take_bands(bands(coarse, width), response.bands)
    made = pickle.loads(pickle.dumps(resampled(replaced(cube), response, kept)))  # noqa: S301 - its own
    expected = np.tensordot(matrix(fine, coarse[inside], width), values, axes=1)
    np.testing.assert_allclose(made.read(), expected, rtol=2e-6)
    np.testing.assert_allclose(made.read(slice(1, 2), slice(1, 3)), expected[:, 1:2, 1:3], rtol=2e-6)
    assert made.bands.centres == tuple(coarse[inside])


class Stored:
    """Reads an array; ``cube_from_array`` has a closure, which cannot be pickled."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __call__(self, rows: slice, cols: slice) -> np.ndarray:
        return self.values[:, rows, cols]


def replaced(cube: object) -> object:
    from dataclasses import replace

    return replace(cube, reader=Stored(cube.reader(slice(None), slice(None))))  # type: ignore[attr-defined, type-var]


def test_a_flat_spectrum_stays_flat_beside_gaps() -> None:
    fine = np.arange(400.0, 1000, 5)
    values = np.full((len(fine), 2, 2), 0.3, dtype=np.float32)
    values[40, 0, 0] = np.nan  # at 600 nm, in the middle of a coarser band
    values[:, 1, 1] = np.nan
    coarse = bands(np.arange(420.0, 980, 20), 24)
    response = gaussian_response(bands(fine, 6), coarse)
    made = resampled(cube_from_array(values), response, take_bands(coarse, response.bands)).read()
    centres = np.array(coarse.centres)[list(response.bands)]
    weight = matrix(fine, centres, 24)[:, 40]
    lacks = weight > 0.01
    assert lacks.any() and not lacks.all()
    np.testing.assert_array_equal(np.isnan(made[:, 0, 0]), lacks)
    np.testing.assert_allclose(made[~lacks, 0, 0], 0.3, rtol=1e-6)
    np.testing.assert_allclose(made[:, 0, 1], 0.3, rtol=1e-6)
    assert np.isnan(made[:, 1, 1]).all()


def test_bands_that_were_left_out_make_none() -> None:
    fine = np.concatenate([np.arange(400.0, 900, 7), np.arange(1000.0, 1500, 7)])
    response = gaussian_response(bands(fine, 8), bands(np.arange(410.0, 1490, 10), 12))
    made = 410 + 10 * np.array(response.bands)
    assert not ((made > 895) & (made < 1005)).any()
    assert len(made) == len(np.arange(410.0, 1490, 10)) - 11  # 900 to 1000


def test_usual_width() -> None:
    some = Bands(4, (400.0, 500.0, 600.0, 700.0), (3.0, 5.0, 9.0, 100.0))
    assert usual_width(some, 450, 650) == pytest.approx(7)
    assert np.isnan(usual_width(some, 800, 900))
