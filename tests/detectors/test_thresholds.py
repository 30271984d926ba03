import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from hsi_cd.detectors.threshold_choice import choose_threshold
from hsi_cd.detectors.thresholds import (
    THRESHOLDS,
    ScoreHistogram,
    automatic,
    chi_square,
    fixed_share,
    otsu,
    two_means,
)
from hsi_cd.errors import ConfigError, UnknownNameError


def histogram(*parts: np.ndarray) -> ScoreHistogram:
    counted = ScoreHistogram()
    for part in parts:
        counted.add(part)
    return counted


def two_classes(changed: int, *, unchanged: int = 20_000, gap: float = 2.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.exp(np.concatenate([rng.normal(0, 0.4, unchanged), rng.normal(gap, 0.4, changed)]))


@given(seed=st.integers(0, 1000), size=st.integers(3, 40))
def test_otsu_has_the_greatest_variance_between_classes(seed: int, size: int) -> None:
    scores = np.random.default_rng(seed).gamma(1, 1, size) + 1e-3

    def between(threshold: float) -> float:
        upper = scores >= threshold
        if upper.all() or not upper.any():
            return 0.0
        return float(upper.mean() * (~upper).mean() * (scores[upper].mean() - scores[~upper].mean()) ** 2)

    best = max(between(value) for value in scores)
    # The histogram tells scores to 0.6 %.
    assert between(otsu(histogram(scores)).value) >= best * 0.95


def test_two_means_are_those_of_scikit_learn() -> None:
    scores = two_classes(5000)
    centres = KMeans(2, n_init=1, random_state=0).fit(scores[:, None]).cluster_centers_
    assert two_means(histogram(scores)).value == pytest.approx(centres.mean(), rel=0.02)


def test_chi_square_keeps_its_level() -> None:
    normal = np.random.default_rng(0).normal(size=(5, 200_000))
    score = np.sqrt((normal**2).sum(axis=0))
    assert (score >= chi_square(5, level=0.99).value).mean() == pytest.approx(0.01, rel=0.1)
    assert chi_square(3).value ** 2 == pytest.approx(scipy.stats.chi2.ppf(0.999, 3))


@pytest.mark.parametrize("level", [0.01, 0.1, 0.5])
def test_a_share_is_kept(level: float) -> None:
    scores = two_classes(2000)
    assert (scores >= fixed_share(histogram(scores), level=level).value).mean() == pytest.approx(level, rel=0.05)


def test_histograms_of_parts_are_that_of_the_whole() -> None:
    scores = two_classes(500).astype(np.float32)
    np.testing.assert_array_equal(histogram(*np.array_split(scores, 7)).counts, histogram(scores).counts)
    assert histogram(np.array([np.nan, 0.0, 1.0])).total == 2


@pytest.mark.parametrize("changed", [200, 2000, 10_000])
def test_the_automatic_threshold_is_near_the_best(changed: int) -> None:
    scores = two_classes(changed)
    truth = np.arange(len(scores)) >= 20_000
    threshold, posterior = automatic(histogram(scores))
    assert threshold.found["valley"] == 1
    wrong = ((scores >= threshold.value) != truth).mean()
    best = min(((scores >= t) != truth).mean() for t in np.linspace(1, 10, 200))
    assert wrong < best + 0.01
    assert posterior(np.array([threshold.value]))[0] == pytest.approx(0.5, abs=1e-4)


def test_change_in_the_tail_is_found_by_the_mixture() -> None:
    rng = np.random.default_rng(1)
    scores = np.exp(np.concatenate([rng.normal(0, 0.4, 40_000), rng.normal(1.2, 0.8, 5000)]))
    threshold, _ = automatic(histogram(scores))
    assert threshold.found["valley"] == 0
    assert threshold.found["by_mixture"] == 1
    assert threshold.found["prior"] == pytest.approx(1 / 9, abs=0.04)
    assert 2.2 < threshold.value < 4


def test_a_scale_of_the_score_scales_the_threshold() -> None:
    scores = two_classes(3000)
    one, other = (automatic(histogram(scores * factor))[0].value for factor in (1, 37.5))
    assert other == pytest.approx(37.5 * one, rel=0.03)


def test_few_or_equal_scores_still_give_a_threshold() -> None:
    for scores in (np.array([1.0, 1.1, 9.0]), np.full(1000, 2.0), np.zeros(10)):
        threshold, posterior = automatic(histogram(scores))
        assert np.isfinite(threshold.value)
        assert np.isfinite(posterior(scores)).all()
    threshold, _ = automatic(histogram(np.array([1.0, 1.1, 9.0])))
    assert 1.1 < threshold.value < 9


def test_the_posterior_is_nearly_calibrated() -> None:
    scores = two_classes(5000, gap=1.5)
    truth = np.arange(len(scores)) >= 20_000
    p = automatic(histogram(scores))[1](scores)
    index = np.minimum((p * 10).astype(int), 9)
    gap = [abs(p[index == k].sum() - truth[index == k].sum()) for k in range(10)]
    assert sum(gap) / len(scores) < 0.03


def test_wrong_names_and_levels_are_refused() -> None:
    counted = histogram(two_classes(100))
    with pytest.raises(UnknownNameError, match="did you mean 'otsu'"):
        choose_threshold(counted, "otsuu")
    with pytest.raises(ConfigError, match="known distribution"):
        choose_threshold(counted, "chi2")
    with pytest.raises(ConfigError, match="level"):
        choose_threshold(counted, "share", level=1.5)
    with pytest.raises(ConfigError, match="level"):
        choose_threshold(counted, "chi2", level=2.0, degrees=3)
    with pytest.raises(ConfigError, match="nearest needs clusters"):
        choose_threshold(counted, "nearest")
    for name in set(THRESHOLDS) - {"nearest"}:
        assert choose_threshold(counted, name, degrees=3)[0].method == name
