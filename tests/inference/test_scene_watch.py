"""A checkpoint on a scene of other units: refused while the scene is read; the remedies that are named work."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

import hsi_cd as hc
from hsi_cd.detectors.difference import sam_from_state
from hsi_cd.errors import BandError
from hsi_cd.scene import Bands, Cube, Grid, cube_from_array

SHAPE = (6, 40, 32)


def values(seed: int) -> np.ndarray:
    r = np.random.default_rng(seed)
    spectra = 300 + 2500 * r.random((4, 6))
    fields = np.kron(r.integers(0, 4, (5, 4)), np.ones((8, 8), int))
    return (spectra[fields].transpose(2, 0, 1) + r.normal(0, 20, SHAPE)).astype(np.float32)


def dates(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    t1 = values(seed)
    t2 = t1 + np.random.default_rng(9).normal(0, 20, SHAPE).astype(np.float32)
    t2[:, 5:12, 5:12] += 900
    return t1, t2


@pytest.fixture(scope="module")
def fitted() -> hc.CVA:
    return hc.CVA().fit(hc.open_pair(*dates()))


@pytest.mark.parametrize(
    ("factor", "offset", "said"),
    [(1e-4, 0, "1/10000 of"), (100, 0, "100 times"), (1, 1000, "1000 above"), (1, -1000, "1000 below")],
)
def test_other_units_are_refused(fitted: hc.CVA, tmp_path: Path, factor: float, offset: float, said: str) -> None:
    pair = hc.open_pair(*((date * factor + offset).astype(np.float32) for date in dates()))
    with pytest.raises(BandError, match=f"the values of t1 .* about {said} .* any_units=True"):
        fitted.predict(pair).write(tmp_path / "c.tif")
    assert list(tmp_path.iterdir()) == []
    hc.predict(fitted, pair, any_units=True).write(tmp_path / "c.tif")


def test_an_offset_turns_spectra_and_a_factor_does_not(tmp_path: Path) -> None:
    """Of the spectral angle: also from a file, and where one date alone is off."""
    hc.SAM().fit(hc.open_pair(*dates())).save(tmp_path / "sam.pt")
    t1, t2 = dates()
    sam = hc.load(tmp_path / "sam.pt")
    as_it_is = sam.predict(hc.open_pair(t1, t2)).change
    np.testing.assert_array_equal(sam.predict(hc.open_pair(t1 / 8192, t2 / 8192)).change, as_it_is)
    for pair in (hc.open_pair(t1 + 1000, t2), hc.open_pair(t1 - 1000, t2 - 1000)):
        with pytest.raises(BandError, match=r"the values of t1 .* about 1000 (above|below) .* any_units=True"):
            sam.predict(pair).change  # noqa: B018
    state = sam.detector_.state()
    older = sam_from_state({name: state[name] for name in ("bands", "used", "decision")})
    assert older.statistics is None
    np.testing.assert_array_equal(older.score(t1, t2) >= older.threshold, as_it_is == 1)


@pytest.mark.parametrize("factor", [0.5, 2])
def test_other_light_and_other_ground_are_not(fitted: hc.CVA, factor: float) -> None:
    for seed in (0, 1):
        assert fitted.predict(hc.open_pair(*(date * np.float32(factor) for date in dates(seed)))).change.size


def test_identical_dates_and_no_overlap_on_a_map(fitted: hc.CVA) -> None:
    t1, t2 = dates()
    with pytest.raises(hc.errors.PairError, match="same values"):
        fitted.predict(hc.open_pair(t1, t1.copy())).change  # noqa: B018
    assert fitted.predict(hc.open_pair(t1, t1.copy(), allow_identical=True)).change.shape == (40, 32)
    t1[:, :20], t2[:, 20:] = np.nan, np.nan
    with pytest.raises(BandError, match="must overlap"):
        fitted.predict(hc.open_pair(t1, t2)).change  # noqa: B018


def test_bands_taken_by_their_place_are_told(caplog: pytest.LogCaptureFixture) -> None:
    def cube(date: np.ndarray, *centres: float) -> Cube:
        return Cube("c", Grid(40, 32), Bands(6, centres=centres), date.dtype, lambda r, c: date[:, r, c])

    waves = [450.0 + 100 * i for i in range(6)]
    t1, t2 = dates()
    known = hc.CVA().fit(hc.open_pair(cube(t1, *waves), cube(t2, *waves)))
    with caplog.at_level(logging.WARNING, "hsi_cd"):
        known.predict(hc.open_pair(cube(t1, *waves), cube(t2, *waves)))
        assert caplog.text == ""
        known.predict(hc.open_pair(t1, t2))
        assert "by their wavelengths, but scene tells none" in caplog.text
        hc.open_pair(cube(t1, *waves), t2)
        assert "c alone tells its wavelengths" in caplog.text


def test_fill_that_no_file_declares_is_told_where_it_looks_like_other_units(
    fitted: hc.CVA, caplog: pytest.LogCaptureFixture
) -> None:
    filled = [date.copy() for date in dates()]
    for date in filled:
        date[:, :, :5] = 1e20
    with pytest.raises(BandError, match=r"the values of t1 .* that the checkpoint was fitted on"):
        fitted.predict(hc.open_pair(*filled)).change  # noqa: B018
    assert "15.6 % of its pixels hold 1e+20 in every band" in caplog.text
    assert "declare it with nodata=" in caplog.text
    assert (fitted.predict(hc.open_pair(*filled, nodata=1e20)).change[:, :5] == 255).all()


def test_an_area_of_one_ground_is_judged_by_its_scene(tmp_path: Path) -> None:
    """Dark water alone lies far from all means, and is mapped as in the whole scene; other units are refused."""
    first, second = dates()
    for date in (first, second):
        date[:, :8, :8] = 0.002 * date[:, :8, :8] + 1
    fitted = hc.CVA().fit(hc.open_pair(*dates(1)))
    first, second = np.tile(first, (1, 3, 1)), np.tile(second, (1, 3, 1))
    whole = fitted.predict(hc.open_pair(first, second)).score
    place = {"transform": Affine.identity()}
    cubes = [replace(c, grid=replace(c.grid, **place)) for c in map(cube_from_array, (first, second))]
    water = (0, 0, 8, 8)
    found = fitted.predict(hc.open_pair(*cubes, bounds=water)).score
    np.testing.assert_array_equal(found, whole[:8, :8])
    with pytest.raises(BandError, match=r"the values of t1 .* about 1/"):
        _ = fitted.predict(hc.open_pair(*cubes, bounds=water, statistics="area")).score
    with pytest.raises(BandError, match=r"the values of t1 .* 10. times .* any_units=True"):
        small = [replace(c, scale=(100.0,) * 6) for c in cubes]
        _ = fitted.predict(hc.open_pair(*small, bounds=(0, 20, 20, 36))).score
