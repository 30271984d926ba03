"""Dates of two sensors in one set of bands: which are taken, against numpy; and when they are left as they are."""

from __future__ import annotations

import numpy as np
import pytest

import hsi_cd as hc
from hsi_cd.errors import BandError, HsiCdError
from hsi_cd.scene import Bands, Cube, cube_from_array
from hsi_cd.scene.product import Product


def date(title: str, centres: np.ndarray, width: float, *, seed: int = 0) -> Cube:
    values = np.random.default_rng(seed).random((len(centres), 5, 6), dtype=np.float32)
    bands = Bands(len(centres), tuple(centres.tolist()), (width,) * len(centres))
    cube = cube_from_array(values, name=title.lower(), bands=bands)
    return Cube(**{**cube.__dict__, "product": Product(title)})


FINE, COARSE = np.arange(400.0, 1000, 6), np.arange(382.0, 1100, 25)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_finer_comes_into_the_bands_of_the_coarser(swapped: bool, caplog: pytest.LogCaptureFixture) -> None:
    fine, coarse = date("A", FINE, 7), date("B", COARSE, 30, seed=1)
    pair = hc.open_pair(*((coarse, fine) if swapped else (fine, coarse)))
    made, kept = (pair.t2, pair.t1) if swapped else (pair.t1, pair.t2)
    inside = (FINE[0] + 15 <= COARSE) & (FINE[-1] - 15 >= COARSE)
    assert np.array_equal(made.bands.centres, COARSE[inside]) and made.bands == kept.bands
    weights = np.exp(-np.log(16) * ((FINE - COARSE[inside, None]) / 30) ** 2)
    values = np.tensordot(weights / weights.sum(axis=1, keepdims=True), fine.read(), axes=1)
    np.testing.assert_allclose(made.read(), values, rtol=2e-6)
    np.testing.assert_array_equal(kept.read(), coarse.read()[inside])
    names = ("t2", "t1") if swapped else ("t1", "t2")
    assert f"the spectra of {names[0]} (a, 100 bands) are resampled to {inside.sum()} bands of {names[1]}" in (
        caplog.text
    )
    assert f"the {(~inside).sum()} others of {names[1]}" in caplog.text


def test_bands_that_agree_are_left_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    first, second = date("A", FINE, 7), date("B", FINE + 1, 8, seed=1)
    pair = hc.open_pair(first, second)
    np.testing.assert_array_equal(pair.t1.read(), first.read())
    np.testing.assert_array_equal(pair.t2.read(), second.read())
    assert "resampled" not in caplog.text


def test_one_sensor_is_matched_by_wavelength(caplog: pytest.LogCaptureFixture) -> None:
    pair = hc.open_pair(date("A", FINE, 7), date("A", FINE[3:], 7, seed=1))
    assert pair.bands.count == len(FINE) - 3 and "resampled" not in caplog.text


def test_two_multispectral_sensors_are_matched_by_wavelength(caplog: pytest.LogCaptureFixture) -> None:
    first = date("A", np.array([443.0, 482, 561, 655, 865, 1609, 2201]), 50)
    second = date("B", np.array([443.0, 490, 560, 665, 705, 865, 1610, 2190]), 60, seed=1)
    pair = hc.open_pair(first, second)
    assert pair.t1.bands.centres == (443, 482, 561, 655, 865, 1609, 2201) and "resampled" not in caplog.text
    assert pair.t2.bands.count == 7 and "left out: 705" in caplog.text


@pytest.mark.parametrize("other", [np.arange(1000.0, 1700, 25), np.arange(955.0, 1700, 25)])
def test_too_few_bands_are_refused_with_how_many(other: np.ndarray) -> None:
    inside = int(((other >= FINE[0] + 15) & (other <= FINE[-1] - 15)).sum())
    assert inside < 3
    said = rf"t1 \(a\) measures 400-994 nm and t2 \(b\) {other[0]:.0f}-{other[-1]:.0f} nm: {inside} of the"
    with pytest.raises(BandError, match=said) as caught:
        hc.open_pair(date("A", FINE, 7), date("B", other, 30))
    assert isinstance(caught.value, HsiCdError) and "at least 3 must" in str(caught.value)
