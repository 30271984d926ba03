"""A simulated series: each patch is otherwise from its own date on, and some are again as they were."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hsi_cd.datasets.simulated.simulated_series import simulate_series
from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.errors import ConfigError

QUIET = {"drift": 0.0, "gain": 0.0, "path_radiance": 0.0, "snr": math.inf}


def test_dates_differ_where_and_when_the_truth_says() -> None:
    found = simulate_series(SimulationOptions(rows=40, cols=48, bands=8, seed=2, **QUIET), dates=4)
    at, back = found.changed_at, found.back_at
    assert set(np.unique(at)) == {0, 1, 2, 3} and (back > 0).any() and ((back == 0) | (back > at)).all()
    first = found.images[0]
    for date, image in enumerate(found.images):
        other = (at > 0) & (at <= date) & ~((back > 0) & (back <= date))
        differs = (image != first).any(axis=0)
        np.testing.assert_array_equal(differs, other)


def test_each_date_has_its_own_air_and_noise_and_the_seed_decides_all() -> None:
    options = SimulationOptions(rows=24, cols=24, bands=6, seed=3)
    one, two = simulate_series(options), simulate_series(options)
    assert len(one.images) == 5
    for a, b in zip(one.images, two.images, strict=True):
        np.testing.assert_array_equal(a, b)
    still = one.changed_at == 0
    for a, b in zip(one.images, one.images[1:], strict=False):
        assert (a[:, still] != b[:, still]).mean() > 0.9


def test_what_makes_no_series_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 or more"):
        simulate_series(dates=2)
    with pytest.raises(ConfigError, match="nothing changes"):
        simulate_series(SimulationOptions(rows=16, cols=16, bands=4, changed=0.0))
