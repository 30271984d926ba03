"""What a reading of a scene tells in passing: undeclared fill, and bands that cost much of the map."""

from __future__ import annotations

import numpy as np
import pytest

import hsi_cd as hc
from hsi_cd.errors import BandError
from hsi_cd.prepare.band_choice import choose_bands
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.scene import ScenePair

Log = pytest.LogCaptureFixture
MNF = Preparation(projection="mnf", components=2)


def dates(bands: int = 4, rows: int = 30, cols: int = 20) -> np.ndarray:
    return np.random.default_rng(0).uniform(100, 900, (2, bands, rows, cols)).astype(np.float32)


def told(pair: ScenePair, caplog: Log, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings of a measurement that reads in several blocks, with a row of the next, and twice."""
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 7 * pair.shape[1])
    caplog.clear()
    measurement = Measurement(pair)
    measurement.statistics(MNF)
    measurement.moments(Preparation())
    return [record.getMessage() for record in caplog.records if "pixels" in record.getMessage()]


def test_a_clean_scene_is_passed_over(caplog: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(hc.open_pair(*dates()), caplog, monkeypatch) == []


def test_fill_is_told_of_each_date_and_not_once_it_is_declared(
    caplog: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    t1, t2 = dates()
    t1[:, :3] = -9999
    t2[:, :, -5:] = 32000
    first, second = told(hc.open_pair(t1, t2), caplog, monkeypatch)
    assert first.startswith("t1 (array): 10 % of its pixels hold -9999 in every band")
    assert second.startswith("t2 (array): 25 % of its pixels hold 32000 in every band")
    assert first.endswith("declare it with nodata=-9999") and second.endswith("declare it with nodata=32000")
    (left,) = told(hc.open_pair(t1, t2, nodata=-9999), caplog, monkeypatch)
    assert left == second
    pair = hc.open_pair(t1, t2, nodata=[-9999, 32000])
    assert told(pair, caplog, monkeypatch) == []
    assert pair.nodata == (-9999, 32000)
    expected = (t1[0] == -9999) | (t2[0] == 32000)
    np.testing.assert_array_equal(~Measurement(pair).valid(Preparation()), expected)


def test_a_band_that_costs_much_is_named_and_left_out(caplog: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    t1, t2 = dates()
    t1[2, :, :15] = np.nan  # three quarters of one band
    t1[:, :3] = np.nan  # a border, which no band costs
    pair = hc.open_pair(t1, t2)
    (message,) = told(pair, caplog, monkeypatch)
    assert message.startswith("about 67.5 % of the scene's pixels have data, but not in every band")
    assert "band 3 (band 3 of t1) lacks 67.5 %;" in message and "band 1" not in message
    chosen = choose_bands(pair, drop_partly_empty=True)
    assert chosen.used == (0, 1, 3)
    assert told(chosen, caplog, monkeypatch) == []
    assert Measurement(chosen).valid(Preparation()).mean() == 0.9
    assert choose_bands(chosen, drop_partly_empty=True).used == (0, 1, 3)


def test_single_gaps_are_no_reason_to_leave_a_band_out(caplog: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    t1, t2 = dates()
    t2[1, 4, 4:9] = np.nan  # 5 of 600
    pair = hc.open_pair(t1, t2)
    assert told(pair, caplog, monkeypatch) == []
    assert choose_bands(pair, drop_partly_empty=True).used == (0, 1, 2, 3)


def test_a_scene_of_gaps_is_refused() -> None:
    t1, t2 = dates(2)
    t1[0, :10], t1[1, 20:] = np.nan, np.nan
    with pytest.raises(BandError, match=r"all 2 bands .* leave drop_partly_empty out"):
        choose_bands(hc.open_pair(t1, t2), drop_partly_empty=True)
