"""Means, deviations and bootstrap intervals against numpy, scipy and closed forms."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hsi_cd.errors import ConfigError, UnknownNameError
from hsi_cd.evaluation import (
    ConfusionCounts,
    KindConfusion,
    all_scores,
    class_scores,
    count_kinds,
    kinds_kappa,
    kinds_macro_f1,
)
from hsi_cd.evaluation.intervals import bootstrap_kinds, bootstrap_pixels, bootstrap_seeds, mean_std

COUNTS = ConfusionCounts(tn=43_900, fp=376, fn=700, tp=17_395)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=20), st.sampled_from([0, 1]))
def test_mean_and_deviation_are_those_of_numpy(values, ddof):
    spread = mean_std(values, ddof=ddof)
    assert spread.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert spread.std == pytest.approx(np.std(values, ddof=ddof), abs=1e-12)
    assert (spread.count, spread.ddof) == (len(values), ddof)


def test_the_default_is_the_sample_deviation():
    values = [0.91, 0.95, 0.93]
    assert mean_std(values).std == pytest.approx(statistics.stdev(values))


@pytest.mark.parametrize(
    ("values", "mean", "std"),
    [([], math.nan, math.nan), ([0.5], 0.5, math.nan), ([0.5, math.nan], math.nan, math.nan)],
)
def test_what_has_no_mean_or_deviation(values, mean, std):
    spread = mean_std(values)
    assert [spread.mean, spread.std] == pytest.approx([mean, std], nan_ok=True)


def test_the_interval_of_a_share_is_that_of_the_binomial():
    interval = bootstrap_pixels(COUNTS, scores=["oa"], draws=20_000)["oa"]
    right = stats.binom(COUNTS.total, (COUNTS.tn + COUNTS.tp) / COUNTS.total)
    assert [interval.low, interval.high] == pytest.approx(
        [right.ppf(q) / COUNTS.total for q in (0.025, 0.975)], abs=5e-5
    )


def test_the_interval_of_kappa_is_that_of_drawing_pixels():
    counts = ConfusionCounts(tn=60, fp=10, fn=5, tp=25)
    truth = np.repeat([0, 0, 1, 1], [60, 10, 5, 25])
    called = np.repeat([0, 1, 0, 1], [60, 10, 5, 25])
    random = np.random.default_rng(5)
    kappas = []
    for _ in range(4000):
        pixels = random.integers(100, size=100)
        t, p = truth[pixels], called[pixels]
        agreed, chance = (t == p).mean(), t.mean() * p.mean() + (1 - t.mean()) * (1 - p.mean())
        kappas.append((agreed - chance) / (1 - chance))
    interval = bootstrap_pixels(counts, scores=["kappa"], draws=8000)["kappa"]
    assert [interval.low, interval.high] == pytest.approx(np.quantile(kappas, [0.025, 0.975]), abs=0.015)


@given(st.lists(st.integers(1, 400), min_size=4, max_size=4), st.integers(0, 9))
def test_the_interval_holds_the_score_and_grows_with_the_level(cells, seed):
    counts = ConfusionCounts(*cells)
    narrow, wide = (bootstrap_pixels(counts, level=level, draws=300, seed=seed) for level in (0.5, 0.99))
    scores = all_scores(counts)
    for name, interval in wide.items():
        assert interval.low <= scores[name] <= interval.high or math.isnan(interval.low)
        if not math.isnan(interval.low):
            assert interval.low <= narrow[name].low <= narrow[name].high <= interval.high


def test_one_seed_gives_one_interval():
    first, again, other = (bootstrap_pixels(COUNTS, draws=200, seed=seed)["f1"] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_several_runs_have_the_narrower_interval_of_their_mean():
    one = bootstrap_pixels(COUNTS, scores=["kappa"])["kappa"]
    four = bootstrap_pixels([COUNTS] * 4, scores=["kappa"])["kappa"]
    assert (four.high - four.low) / (one.high - one.low) == pytest.approx(0.5, abs=0.06)


def test_where_a_score_is_undefined_its_interval_is():
    intervals = bootstrap_pixels(ConfusionCounts(tn=50, fp=0, fn=0, tp=0), draws=50)
    assert math.isnan(intervals["recall"].low)
    assert (intervals["oa"].low, intervals["oa"].high) == (1.0, 1.0)
    assert math.isnan(bootstrap_pixels(ConfusionCounts(0, 0, 0, 0), draws=10)["oa"].high)
    assert math.isnan(bootstrap_pixels([], draws=10)["oa"].high)


def test_the_interval_over_seeds_against_scipy():
    values = [0.951, 0.962, 0.948, 0.957, 0.960, 0.944, 0.953, 0.959, 0.950, 0.955]
    interval = bootstrap_seeds(values, draws=20_000)
    oracle = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert [interval.low, interval.high] == pytest.approx([oracle.low, oracle.high], abs=2e-4)


@pytest.mark.parametrize("values", [[], [0.9], [0.9, math.nan]])
def test_too_few_seeds_have_no_interval(values):
    assert math.isnan(bootstrap_seeds(values).low)


def test_wrong_arguments_are_refused():
    for level in (0, 1, 1.5):
        with pytest.raises(ConfigError, match="level between 0 and 1"):
            bootstrap_pixels(COUNTS, level=level)
    with pytest.raises(ConfigError, match="0 draws"):
        bootstrap_seeds([1, 2], draws=0)
    with pytest.raises(UnknownNameError, match="did you mean 'kappa'"):
        bootstrap_pixels(COUNTS, scores=["kapa"])


KINDS = KindConfusion(((400, 12, 7), (9, 60, 15), (3, 8, 36)))


def test_intervals_of_kinds_are_those_of_drawing_pixels():
    """Pixels drawn one by one, and each drawing counted and scored."""
    table = np.array(KINDS.table)
    truth, change = (np.repeat(each.astype(np.uint8).ravel(), table.ravel()) for each in np.indices(table.shape))
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(1000):
        pixels = random.integers(len(truth), size=len(truth))
        one = count_kinds(truth[pixels], change[pixels], kinds=2)
        drawn.append([kinds_kappa(one), kinds_macro_f1(one), class_scores(one)[2].f1])
    found = bootstrap_kinds(KINDS, scores=["kappa", "f1_macro", "f1/2"])
    for column, interval in zip(np.transpose(drawn), found.values(), strict=True):
        low, high = np.quantile(column, [0.025, 0.975])
        assert interval.low == pytest.approx(low, abs=0.008) and interval.high == pytest.approx(high, abs=0.008)


def test_of_one_kind_the_intervals_are_those_of_two_classes():
    counts = ConfusionCounts(tn=900, fp=50, fn=10, tp=40)
    one = KindConfusion(((900, 50), (10, 40)))
    binary = bootstrap_pixels(counts, scores=["oa", "aa", "kappa", "f1", "precision", "recall", "iou"])
    names = ["oa", "aa", "kappa", "f1/1", "precision/1", "recall/1", "iou/1"]
    found = bootstrap_kinds(one, scores=names)
    for ours, theirs in zip(found.values(), binary.values(), strict=True):
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_a_kind_that_is_not_there_has_no_interval_and_the_means_have_one():
    absent = KindConfusion(((400, 12, 0), (9, 60, 0), (0, 0, 0)))
    found = bootstrap_kinds(absent, scores=["f1/2", "f1_macro"])
    assert math.isnan(found["f1/2"].low) and 0.8 < found["f1_macro"].low < found["f1_macro"].high < 1
    assert math.isnan(bootstrap_kinds(KindConfusion(((0, 0), (0, 0))), scores=["oa"])["oa"].low)


@pytest.mark.parametrize("name", ["auc", "f1", "f1/3", "adjusted_rand", "size/1"])
def test_scores_of_kinds_without_an_interval_are_refused(name):
    with pytest.raises(UnknownNameError, match="score of kinds of change"):
        bootstrap_kinds(KINDS, scores=[name])
