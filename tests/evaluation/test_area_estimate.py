"""Area and accuracy: the published worked example, and populations that are drawn again and again."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from hsi_cd.errors import ConfigError, LabelError
from hsi_cd.evaluation import Estimate, estimate_accuracy
from hsi_cd.evaluation.binomial_intervals import wilson

# Olofsson et al. 2014, section 5: deforestation, forest gain, stable forest, stable non-forest; 30 m pixels.
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
HECTARES = 0.09 * PIXELS.sum()


def half_width(found: Estimate) -> float:
    return 1.96 * found.standard_error


def test_the_worked_example_of_the_paper() -> None:
    found = estimate_accuracy(COUNTS, PIXELS / PIXELS.sum(), pixels=PIXELS)
    areas = [(each.value * HECTARES, half_width(each) * HECTARES) for each in found.shares]
    published = [(21_158, 6_158), (11_686, 3_756), (285_770, 15_510), (581_386, 16_282)]
    for area, told in zip(areas, published, strict=True):
        assert area == pytest.approx(
            told, abs=1
        )  # the last hectare is Cochran's correction, which the paper lacks
    assert [round(each.value, 2) for each in found.users] == [0.88, 0.73, 0.93, 0.96]
    assert [round(half_width(each), 2) for each in found.users] == [0.07, 0.10, 0.04, 0.02]
    assert [round(each.value, 2) for each in found.producers] == [0.75, 0.85, 0.93, 0.96]
    assert round(half_width(found.producers[0]), 2) == 0.21
    assert (round(found.overall.value, 2), round(half_width(found.overall), 2)) == (0.95, 0.02)
    assert found.matrix[0, 0] == pytest.approx(0.0176)
    assert found.matrix.sum() == pytest.approx(1)


def test_standard_errors_are_how_far_estimates_scatter() -> None:
    """Of 1,000 samples drawn without return from a population, with a third of one stratum in each sample."""
    truth = np.array([[2700, 300], [60, 240]])  # pixels by map class and reference class
    pixels, sizes, draws = truth.sum(axis=1), np.array([200, 100]), 1000
    random = np.random.default_rng(0)
    values: dict[str, list[float]] = {"share": [], "users": [], "producers": [], "overall": []}
    errors: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(draws):
        hits = random.hypergeometric(truth[:, 1], truth[:, 0], sizes)
        counts = np.stack((sizes - hits, hits), axis=1)
        found = estimate_accuracy(counts, pixels / pixels.sum(), pixels=pixels)
        told = (found.shares[1], found.users[1], found.producers[1], found.overall)
        for name, each in zip(values, told, strict=True):
            values[name].append(each.value)
            errors[name].append(each.standard_error)
    true = {"share": 540 / 3300, "users": 0.8, "producers": 240 / 540, "overall": 2940 / 3300}
    for name, expected in true.items():
        assert np.mean(values[name]) == pytest.approx(expected, abs=0.01), name
        assert np.sqrt(np.mean(np.square(errors[name]))) == pytest.approx(np.std(values[name]), rel=0.08), name


@pytest.mark.parametrize(
    ("change", "users", "producers", "sizes"),
    [
        (0.01, 0.95, 0.9, (50, 50)),
        (0.01, 0.8, 0.7, (450, 50)),
        (0.05, 0.8, 0.8, (100, 100)),
        (0.2, 0.9, 0.9, (30, 30)),
    ],
)
@pytest.mark.quick("0.01-0.8-*", "0.2-*")
def test_intervals_of_the_area_hold_the_truth(
    change: float, users: float, producers: float, sizes: tuple[int, int]
) -> None:
    """Of 300 samples; the usual interval holds it in a tenth of those of the first of these maps."""
    size = 1_000_000
    hit = round(change * size * producers)
    called = round(hit / users)
    pixels = np.array([size - called, called])
    wrong, right = np.array([round(change * size) - hit, hit]), np.array([size - called, called])
    random = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        hits = random.hypergeometric(wrong, right - wrong, sizes)
        found = estimate_accuracy(
            np.stack((np.array(sizes) - hits, hits), axis=1), pixels / size, pixels=pixels
        ).shares[1]
        held += found.interval.low <= change <= found.interval.high
        assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert 0.92 <= held / 300 <= 0.99, held


def test_a_sample_without_an_error_has_an_interval_all_the_same() -> None:
    pixels = np.array([99_000, 1_000])
    found = estimate_accuracy(np.array([[50, 0], [0, 50]]), pixels / pixels.sum(), pixels=pixels)
    changed = found.shares[1]
    assert changed.value == pytest.approx(0.01) and changed.standard_error == 0
    assert changed.interval.low < 0.01 and 0.02 < changed.interval.high < 0.1
    assert found.users[1].interval.low < 0.95 and found.users[1].interval.high == 1
    assert found.producers[1].interval.low < 0.5 and found.producers[1].interval.high == 1


def test_where_all_pixels_were_looked_at_nothing_is_unknown() -> None:
    pixels = np.array([40, 1])
    found = estimate_accuracy(np.array([[36, 4], [1, 0]]), pixels / 41, pixels=pixels)
    assert found.shares[1].value == pytest.approx(4 / 41)
    assert (found.shares[1].interval.low, found.shares[1].interval.high) == pytest.approx((4 / 41, 4 / 41))
    assert found.shares[1].standard_error == 0


def test_a_map_of_one_class() -> None:
    found = estimate_accuracy(np.array([[48, 2]]), np.array([1.0]), pixels=np.array([10_000]))
    assert found.shares[1].value == pytest.approx(0.04)
    assert math.isnan(found.users[1].value)
    assert found.producers[1].value == 0 and found.producers[0].value == 1


@pytest.mark.parametrize("counts", [[[50, 0], [1, 0]], [[0, 0], [20, 30]]])
def test_a_stratum_with_one_or_no_point(counts: list[list[int]]) -> None:
    with pytest.raises(LabelError, match=r"stratum [01] has [01] interpreted points: at least 2 are needed"):
        estimate_accuracy(np.array(counts), np.array([0.9, 0.1]), pixels=np.array([900, 100]))


def test_weights_and_classes_that_do_not_fit() -> None:
    counts, pixels = np.array([[5, 5], [5, 5]]), np.array([90, 10])
    with pytest.raises(ConfigError, match="expected sum 1"):
        estimate_accuracy(counts, np.array([0.9, 0.3]), pixels=pixels)
    with pytest.raises(ConfigError, match="at most once"):
        estimate_accuracy(counts, np.array([0.9, 0.1]), pixels=pixels, called=[1, 1])


@pytest.mark.parametrize("size", [50, 100, 200, 300])
def test_the_interval_of_one_stratum_holds_the_proportion_in_92_percent_at_least(size: int) -> None:
    """Reckoned over all counts; and in 97 at most, but where few are on one side."""
    hits = np.arange(size + 1.0)
    low, high = wilson(hits / size, np.full(size + 1, float(size)))
    assert (np.diff(low) > 0).all() and (np.diff(high) > 0).all()
    assert np.allclose(low, 1 - high[::-1])
    for proportion in np.concatenate((np.arange(0.6, 0.99, 0.005), 3 / (size * np.arange(1, 30)))):
        held = (low <= proportion) & (proportion <= high)
        share = scipy.stats.binom.pmf(hits, size, proportion)[held].sum()
        assert 0.92 <= share <= 1
        few = size * min(proportion, 1 - proportion)
        assert share <= 0.972 or few < 6, (proportion, share)
