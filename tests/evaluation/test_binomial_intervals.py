"""Intervals of proportions against scipy's own, and against searches for their ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from hsi_cd.evaluation.binomial_intervals import Bounded, share_of, sum_of, wilson


@pytest.mark.parametrize("size", [50, 333])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_from_some_counts_on_it_is_that_of_scipy(size: int, level: float) -> None:
    for hits in (0, 8, size // 3, size - 8, size):
        low, high = wilson(np.array([hits / size]), np.array([float(size)]), level=level)
        expected = scipy.stats.binomtest(hits, size).proportion_ci(level, method="wilson")
        assert low[0] == pytest.approx(expected.low, abs=1e-12)
        assert high[0] == pytest.approx(expected.high, abs=1e-12)


@pytest.mark.parametrize("hits", [1, 2, 3])
def test_of_a_few_it_begins_where_so_many_are_seldom_counted(hits: int) -> None:
    """By search: the proportion of which so many, or more, are counted with a probability of 7 %."""
    size = 120
    least = scipy.optimize.brentq(lambda p: scipy.stats.binom.sf(hits - 1, size, p) - 0.07, 1e-9, hits / size)
    usual = scipy.stats.binomtest(hits, size).proportion_ci(0.95, method="wilson").low
    low, high = wilson(np.array([hits, size - hits]) / size, np.array([float(size)] * 2))
    assert low[0] == pytest.approx(min(least, usual), abs=1e-9)
    assert high[1] == pytest.approx(1 - low[0], abs=1e-12)


def test_where_nothing_was_seen_there_is_a_width_and_where_all_was_counted_there_is_none() -> None:
    low, high = wilson(np.array([0.0, 1.0, 0.3]), np.array([50.0, 50.0, np.inf]))
    assert low[0] == 0 and 0.03 < high[0] < 0.1
    assert high[1] == 1 and 0.9 < low[1] < 0.97
    assert low[2] == high[2] == 0.3


def test_a_sum_has_the_usual_interval_where_samples_are_large() -> None:
    weights, p, size = np.array([0.7, 0.3]), np.array([0.2, 0.6]), np.array([20_000.0, 30_000.0])
    found = sum_of(weights, p, wilson(p, size))
    half = 1.959964 * math.sqrt(float(weights**2 @ (p * (1 - p) / size)))
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=5e-5)


def test_the_ends_of_a_share_are_where_its_contrast_could_just_be_none() -> None:
    """By search: at the end, the interval of (1 - share) part - share other just touches 0."""
    part, other = Bounded(0.04, 0.03, 0.046), Bounded(0.01, 0.004, 0.03)

    def touches(share: float, below: float, above: float) -> float:
        contrast = (1 - share) * part.value - share * other.value
        return contrast**2 - ((1 - share) * below) ** 2 - (share * above) ** 2

    found = share_of(part, other)
    assert found.value == pytest.approx(0.8)
    low = scipy.optimize.brentq(touches, 0.01, 0.8, args=(part.value - part.low, other.high - other.value))
    high = scipy.optimize.brentq(touches, 0.8, 0.999, args=(part.high - part.value, other.value - other.low))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_shares_at_the_edge() -> None:
    nothing = Bounded(0.0, 0.0, 0.0)
    seen, unseen = Bounded(0.1, 0.05, 0.2), Bounded(0.0, 0.0, 0.06)
    assert share_of(seen, nothing).high == 1
    assert share_of(seen, unseen).value == share_of(seen, unseen).high == 1
    assert 0 < share_of(seen, unseen).low < 1
    assert share_of(unseen, seen).value == share_of(unseen, seen).low == 0
    assert share_of(nothing, seen) == Bounded(0.0, 0.0, 0.0)
    assert math.isnan(share_of(nothing, nothing).value)
    assert share_of(seen, Bounded(0.01, 0.0, 0.2)).low > 0  # where the quadratic's coefficient is below 0
