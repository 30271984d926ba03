"""Threshold-free scores: against scikit-learn, a naive loop, and the definition."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from hsi_cd.errors import ConfigError, FormatError, GridError, LabelError
from hsi_cd.evaluation import (
    UndefinedScoreWarning,
    average_precision,
    expected_calibration_error,
    reliability_curve,
    roc_auc,
)


@st.composite
def scored(draw):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=8))
    truth = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 255])))
    # Few distinct values, so that ties are common.
    score = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, np.nan])))
    return score, truth


@given(scored())
def test_auc_counts_pairs_with_half_for_ties(case):
    score, truth = case
    changed = score[(truth == 1) & ~np.isnan(score)]
    unchanged = score[(truth == 0) & ~np.isnan(score)]
    assume(changed.size and unchanged.size)
    wins = (changed[:, None] > unchanged).sum() + 0.5 * (changed[:, None] == unchanged).sum()
    assert roc_auc(score, truth) == pytest.approx(wins / (changed.size * unchanged.size))


@given(scored())
def test_average_precision_is_that_of_scikit_learn(case):
    score, truth = case
    kept = (truth != 255) & ~np.isnan(score)
    assume(len(np.unique(truth[kept])) == 2)
    expected = metrics.average_precision_score(truth[kept], score[kept])
    assert average_precision(score, truth) == pytest.approx(expected)


@given(scored(), st.integers(1, 20))
def test_calibration_error_is_that_of_a_loop(case, bins):
    probability, truth = case
    kept = [(float(p), int(t)) for p, t in zip(probability.flat, truth.flat, strict=True) if t != 255 and p == p]
    assume(kept)
    expected = 0.0
    for b in range(bins):
        inside = [(p, t) for p, t in kept if b / bins <= p < (b + 1) / bins or (b == bins - 1 and p == 1)]
        if inside:
            mean = sum(p for p, _ in inside) / len(inside)
            share = sum(t for _, t in inside) / len(inside)
            expected += len(inside) / len(kept) * abs(mean - share)
    assert expected_calibration_error(probability, truth, bins=bins) == pytest.approx(expected, abs=1e-12)


def test_calibrated_probabilities_have_a_small_error():
    random = np.random.default_rng(0)
    probability = random.random(200_000)
    truth = (random.random(200_000) < probability).astype(np.uint8)
    assert expected_calibration_error(probability, truth) < 0.01
    assert expected_calibration_error(1 - probability, truth) > 0.4


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("score", [roc_auc, average_precision])
def test_one_class_is_undefined(score, value):
    with pytest.warns(UndefinedScoreWarning, match=score.__name__):
        assert math.isnan(score(np.array([0.1, 0.2]), np.array([value, 255], dtype=np.uint8)))


def test_no_labelled_pixel_is_undefined():
    with pytest.warns(UndefinedScoreWarning):
        assert math.isnan(expected_calibration_error(np.array([0.5, np.nan]), np.array([255, 1], dtype=np.uint8)))


def test_infinite_scores_keep_their_rank():
    truth = np.array([0, 0, 1, 1], dtype=np.uint8)
    assert roc_auc(np.array([-np.inf, 0.0, 1.0, np.inf], dtype=np.float32), truth) == 1
    assert roc_auc(np.array([np.inf, 0.0, 1.0, 2.0]), truth) == 0.5


def test_wrong_input_is_refused():
    truth = np.array([0, 1], dtype=np.uint8)
    with pytest.raises(GridError, match="shape 3 but the truth 2"):
        roc_auc(np.zeros(3), truth)
    with pytest.raises(LabelError, match=r"values \[0, 2\]"):
        roc_auc(np.zeros(2), truth * np.uint8(2))
    with pytest.raises(FormatError, match="from 0 to 4"):
        expected_calibration_error(np.array([0.0, 4.0]), truth)
    with pytest.raises(ConfigError, match="0 bins"):
        expected_calibration_error(np.zeros(2), truth, bins=0)


@given(st.integers(0, 999), st.integers(1, 20))
def test_the_reliability_curve_is_what_the_calibration_error_sums(seed, bins):
    random = np.random.default_rng(seed)
    probability = random.random(200)
    probability[:5] = np.nan
    truth = random.choice([0, 1, 255], size=200).astype(np.uint8)
    curve = reliability_curve(probability, truth, bins=bins)
    for i in range(bins):
        upper = 2 if i == bins - 1 else (i + 1) / bins
        inside = (probability >= i / bins) & (probability < upper) & (truth != 255)
        assert curve.count[i] == inside.sum()
        if inside.any():
            assert curve.mean[i] == pytest.approx(probability[inside].mean())
            assert curve.share[i] == pytest.approx((truth[inside] == 1).mean())
        else:
            assert np.isnan([curve.mean[i], curve.share[i]]).all()
    ece = np.nansum(curve.count * np.abs(curve.mean - curve.share)) / curve.count.sum()
    assert expected_calibration_error(probability, truth, bins=bins) == pytest.approx(ece)


def test_a_reliability_curve_without_pixels_is_empty():
    curve = reliability_curve(np.array([np.nan]), np.array([1], dtype=np.uint8), bins=3)
    assert curve.count.tolist() == [0, 0, 0]
    assert np.isnan(curve.mean).all()


def test_there_are_fifteen_bins_unless_told_otherwise():
    """0.061 and 0.065 share the first of 15 bins; of 16 bins, the first ends between them."""
    probability, truth = np.array([0.061, 0.065]), np.array([0, 1], dtype=np.uint8)
    curve = reliability_curve(probability, truth)
    assert curve.count.tolist() == [2] + [0] * 14
    assert expected_calibration_error(probability, truth) == pytest.approx(abs(0.126 - 1) / 2)
