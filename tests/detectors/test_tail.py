"""A threshold that knows rare change: nothing in noise, rare change where it lies, the same for every scale."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.tail import expected_above, share_of_change, tail_threshold
from hsi_cd.detectors.thresholds import ScoreHistogram


def histogram(scores: np.ndarray) -> ScoreHistogram:
    counted = ScoreHistogram()
    counted.add(scores)
    return counted


def rare(changed: int, *, far: float = 8.0, seed: int = 0) -> np.ndarray:
    """Root of a chi-square with 6 degrees, and change so many medians away."""
    rng = np.random.default_rng(seed)
    quiet = np.sqrt(rng.chisquare(6, 40_000))
    return np.concatenate([quiet, np.median(quiet) * far * np.exp(rng.normal(0, 0.1, changed))])


@settings(max_examples=settings.default.max_examples // 5)
@given(degrees=st.integers(1, 30), seed=st.integers(0, 1000))
def test_noise_alone_has_no_change(degrees: int, seed: int) -> None:
    scores = np.sqrt(np.random.default_rng(seed).chisquare(degrees, 10_000))
    threshold, posterior = tail_threshold(histogram(scores))
    share = share_of_change(threshold)
    assert share is not None and share.value == share.low == 0 <= share.high < 0.03
    assert str(share).startswith("no change found (at most ")
    assert not (scores >= threshold.value).any() and (posterior(scores) < 0.5).all()


@settings(max_examples=settings.default.max_examples // 5)
@given(changed=st.integers(40, 8000), seed=st.integers(0, 100))
def test_change_far_out_is_found_however_rare(changed: int, seed: int) -> None:
    scores = rare(changed, seed=seed)
    threshold, posterior = tail_threshold(histogram(scores))
    called = scores >= threshold.value
    assert called[40_000:].mean() > 0.99 and called[:40_000].mean() < 1e-3
    share = share_of_change(threshold)
    assert share is not None and share.low <= share.value <= share.high
    assert share.low * 0.95 < changed / len(scores) < share.high * 1.05 + 1e-4
    assert posterior(np.array([threshold.value]))[0] == pytest.approx(0.5, abs=1e-3)


@settings(max_examples=settings.default.max_examples // 5)
@given(factor=st.floats(1e-3, 1e3), changed=st.just(0) | st.integers(80, 3000))
def test_a_scale_of_the_score_changes_nothing(factor: float, changed: int) -> None:
    scores = rare(changed, far=6.0)
    one, other = (tail_threshold(histogram(scores * times))[0] for times in (1.0, factor))
    assert ("classes" in one.found) == ("classes" in other.found) == (changed == 0)
    if changed:
        assert other.value == pytest.approx(factor * one.value, rel=0.02)
        assert other.found["changed_share"] == pytest.approx(one.found["changed_share"], rel=0.05, abs=1e-4)


def test_no_more_than_a_tenth_of_what_is_called_is_expected_to_be_unchanged() -> None:
    """By counting, not by the histogram."""
    scores = rare(300, far=4.5)
    threshold, _ = tail_threshold(histogram(scores))
    middle = float(np.median(scores))

    def false(limit: float) -> float:
        tail = 0.1 * (2.1 * middle / limit) ** 8
        return float(tail / np.mean(scores >= limit))

    assert false(threshold.value) <= 0.1 * 1.1
    assert all(false(threshold.value * step) > 0.09 for step in (0.95, 0.9, 0.8))
    assert expected_above(np.array([2.1, 0.0])).tolist() == pytest.approx([0.1, 1.0])


def test_scores_without_a_tail_still_have_a_threshold() -> None:
    for scores in (np.array([1.0, 1.1, 9.0]), np.zeros(100), np.append(np.zeros(500), rare(0))):
        threshold, posterior = tail_threshold(histogram(scores))
        assert math.isfinite(threshold.value) and np.isfinite(posterior(scores)).all()


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
@pytest.mark.quick("0")
def test_other_light_haze_and_season_are_no_change(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    made = simulate_pair(SimulationOptions(rows=90, cols=90, bands=12, changed=0, seed=seed))
    found = hc.detect(hc.open_pair(*(date.astype(np.float32) for date in (made.t1, made.t2))))
    assert found.change.mean() < 1e-3
    assert "no change found" in caplog.text


def test_one_percent_of_change_is_found() -> None:
    made = simulate_pair(SimulationOptions(rows=110, cols=110, bands=20, changed=0.015, seed=1))
    found = hc.detect(hc.open_pair(*(date.astype(np.float32) for date in (made.t1, made.t2))))
    change, truth = found.change == 1, made.truth == 1
    assert (change & truth).sum() > 0.6 * truth.sum() and (change & ~truth).sum() < 0.4 * truth.sum()
