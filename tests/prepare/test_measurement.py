"""What is measured once and handed to every method: how often it reads, and what it warns of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from hsi_cd.errors import BandError
from hsi_cd.prepare.measurement import Measurement, Preparation, measured
from hsi_cd.prepare.residual_shift import residual_shift
from hsi_cd.scene import ScenePair, cube_from_array

ROWS, COLS, BANDS = 70, 40, 5


class Counted:
    """A scene that counts how often each row of each date is read."""

    def __init__(self, dates: np.ndarray) -> None:
        self.rows = np.zeros((2, dates.shape[2]), dtype=int)
        self.pair = ScenePair(*(self._cube(date, values) for date, values in enumerate(dates)), name="fields")

    def _cube(self, date: int, values: np.ndarray) -> Any:
        plain = cube_from_array(values)

        def read(rows: slice, cols: slice) -> np.ndarray:
            self.rows[date, rows] += 1
            return values[:, rows, cols]

        return replace(plain, reader=read)

    def since(self) -> int:
        """How often the most often read row was read since the last call."""
        most, self.rows[:] = int(self.rows.max()), 0
        return most


def ground(shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    first = ndimage.gaussian_filter(rng.normal(size=(BANDS, ROWS + 20, COLS + 20)), (0, 1.5, 1.5))
    second = np.stack([ndimage.shift(band, (shift, 0), order=3, mode="nearest") for band in first])
    both = np.stack([first, 1.3 * second + 0.2])[:, :, 10:-10, 10:-10]
    return (10 * both + 0.2 * rng.normal(size=both.shape)).astype(np.float32)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    monkeypatch.setattr("hsi_cd.prepare.statistics._PIXELS_PER_BLOCK", 16 * COLS)
    return Counted(ground())


MNF = Preparation(projection="mnf", components=3, registration=True)
ASKED: dict[str, tuple[Callable[[Measurement], object], int]] = {
    "moments": (lambda m: m.moments(Preparation()), 1),
    "validity with moments": (lambda m: m.valid(Preparation()), 1),
    "validity alone": (lambda m: m.valid_spectra(), 1),
    "statistics": (lambda m: m.statistics(MNF), 2),  # once, and the row below a block with it
    "shift": (lambda m: m.residual_shift, 1),
    "components": (lambda m: m.components(m.transform(MNF), exact=True), 3),
    "clipped statistics": (lambda m: m.statistics(replace(MNF, clip_percent=2.0)), 4),
}


@pytest.mark.parametrize("what", ASKED)
def test_nothing_is_read_before_it_is_asked_for_and_nothing_twice(counted: Counted, what: str) -> None:
    ask, readings = ASKED[what]
    measurement = Measurement(counted.pair)
    assert repr(measurement) == "Measurement of fields: 70 x 40 pixels, 5 bands"
    assert measured(measurement) is measurement and measured(counted.pair).pair is counted.pair
    assert counted.since() == 0
    measurement.bands()
    assert counted.since() <= 1  # a few rows, in which every band varies
    first = ask(measurement)
    assert 0 < counted.since() <= readings
    again = ask(measurement)
    assert counted.since() == 0
    assert again is first or what in ("moments", "validity with moments", "validity alone")


def test_what_one_method_measured_the_next_need_not(counted: Counted) -> None:
    measurement = Measurement(counted.pair)
    measurement.components(measurement.transform(MNF), exact=True)
    counted.since()
    assert measurement.residual_shift is not None  # seen in passing
    measurement.valid(MNF)
    measurement.statistics(replace(MNF, projection="pca", components=2))
    measurement.transform(replace(MNF, scaling="minmax", joint=True))
    assert counted.since() == 0
    measurement.components(measurement.transform(replace(MNF, components=2)), exact=True)
    assert counted.since() == 1
    measurement.forget_components()
    measurement.components(measurement.transform(replace(MNF, components=2)), exact=True)
    assert counted.since() == 1


def test_each_reading_gives_every_row_once_and_those_below(counted: Counted) -> None:
    whole = counted.pair.read()
    for below in (0, 1, 3):
        rows = []
        for block, dates in Measurement(counted.pair).read("rows", below=below):
            rows += list(range(block.start, block.stop))
            for values, expected in zip(dates, whole, strict=True):
                np.testing.assert_array_equal(values, expected[:, block.start : block.stop + below])
        assert rows == list(range(ROWS))


def test_a_shift_is_told_once_whatever_is_measured(caplog: pytest.LogCaptureFixture) -> None:
    pair = Counted(ground(2.0)).pair
    measurement = Measurement(pair)
    measurement.statistics(MNF)
    measurement.moments(Preparation())
    found = measurement.residual_shift
    assert [record.message for record in caplog.records if "lies" in record.message] == [
        f"t2 lies {found.describe() if found else ''} off t1, by phase correlation: edges will look like change; "
        "register the dates first, by register=True"
    ]
    assert found == residual_shift(pair)
    caplog.clear()
    measurement = Measurement(Counted(ground(0.0)).pair)
    assert measurement.residual_shift is not None and measurement.residual_shift.size < 0.2
    assert not caplog.records


def test_a_reading_that_ends_early_tells_no_shift(counted: Counted) -> None:
    measurement = Measurement(counted.pair)
    next(measurement.read("begun"))
    assert measurement.residual_shift == residual_shift(counted.pair)


def test_the_limits_of_clipping_are_the_percentiles(counted: Counted) -> None:
    measurement = Measurement(counted.pair)
    bands = measurement.bands()
    assert measurement.limits(Preparation(), bands) is None
    limits = measurement.limits(Preparation(clip_percent=5.0), bands)
    assert limits is not None
    for date, values in enumerate(counted.pair.read()):
        expected = np.percentile(values.reshape(BANDS, -1), [5, 95], axis=1)
        np.testing.assert_allclose(limits[date], expected, atol=0.05)
    clipped = measurement.statistics(replace(MNF, clip_percent=5.0))
    assert (clipped.t1.high <= limits[0, 1] + 1e-3).all()
    np.testing.assert_allclose(measurement.transform(replace(MNF, clip_percent=5.0)).clip, limits, rtol=1e-6)


def test_a_dead_band_is_refused_or_left_out() -> None:
    dates = ground()
    dates[1, 2] = 3
    measurement = Measurement(Counted(dates).pair)
    with pytest.raises(BandError, match="band 3 of t2"):
        measurement.transform(MNF)
    np.testing.assert_array_equal(measurement.transform(replace(MNF, drop_constant=True)).bands, [0, 1, 3, 4])
