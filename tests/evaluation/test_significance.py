"""McNemar's test and Holm's correction against scipy, brute force and worked examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hsi_cd.errors import ConfigError, GridError, LabelError
from hsi_cd.evaluation.significance import compare_maps, holm, mcnemar, mcnemar_counts


@given(st.integers(0, 24), st.integers(0, 24))
def test_few_discordant_pixels_take_the_binomial(b, c):
    test = mcnemar_counts(b, c)
    if b + c >= 25:
        assert not test.exact
    else:
        assert test.exact
        assert test.p_value == pytest.approx(stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0, rel=1e-12)


@given(st.integers(0, 10**7), st.integers(25, 10**7))
def test_many_take_chi_square(b, c):
    test = mcnemar_counts(b, c)
    statistic = max(abs(b - c) - 1, 0) ** 2 / (b + c)
    assert not test.exact
    assert test.statistic == pytest.approx(statistic)
    assert test.p_value == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-9)


def test_a_textbook_case():
    # Approval of a prime minister, Agresti (1990), p. 350; R: mcnemar.test(..., correct = TRUE).
    test = mcnemar_counts(150, 86)
    assert test.statistic == pytest.approx(16.8178, abs=1e-4)
    assert test.p_value == pytest.approx(4.115e-05, rel=1e-3)


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_order_of_the_maps_plays_no_part(b, c):
    assert mcnemar_counts(b, c).p_value == mcnemar_counts(c, b).p_value
    assert 0 <= mcnemar_counts(b, c).p_value <= 1


@given(st.integers(0, 999))
def test_pixels_are_counted_as_in_a_loop(seed):
    random = np.random.default_rng(seed)
    truth, first, second = (random.choice([0, 1, 255], size=(6, 7)).astype(np.uint8) for _ in range(3))
    where = random.random((6, 7)) < 0.7
    b = c = 0
    for at in np.ndindex(6, 7):
        if not where[at] or 255 in (truth[at], first[at], second[at]):
            continue
        b += first[at] == truth[at] != second[at]
        c += second[at] == truth[at] != first[at]
    test = mcnemar(truth, first, second, where=where)
    assert (test.only_first, test.only_second) == (b, c)


def test_other_grids_are_refused():
    with pytest.raises(GridError, match="second map has shape"):
        mcnemar(*(np.zeros(shape, np.uint8) for shape in [(2, 3), (2, 3), (3, 2)]))


def test_negative_counts_are_refused():
    with pytest.raises(LabelError, match="negative"):
        mcnemar_counts(-1, 3)


@given(st.lists(st.floats(0, 1), max_size=6), st.floats(0.001, 0.999))
def test_holm_rejects_what_the_stepwise_procedure_rejects(values, level):
    # The procedure as Holm wrote it: go up until the first p that is above level / (m - i).
    rejected = set()
    for i, k in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        bound = (len(values) - i) * values[k]
        if bound > level:
            break
        rejected.add(k)
    assert {k for k, p in enumerate(holm(values)) if p <= level} == rejected


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_lies_between_the_value_and_bonferroni(values):
    for p, corrected in zip(values, holm(values), strict=True):
        assert p <= corrected <= min(1, len(values) * p)
    order = sorted(range(len(values)), key=values.__getitem__)
    assert all(holm(values)[a] <= holm(values)[b] for a, b in itertools.pairwise(order))


def test_what_is_no_probability_is_refused():
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="from 0 to 1"):
            holm([0.5, wrong])


def test_every_pair_of_maps_is_compared_once_and_corrected_together():
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, (40, 40)).astype(np.uint8)
    maps = {}
    for name, share in {"a": 0.05, "b": 0.06, "c": 0.3}.items():
        maps[name] = np.where(random.random(truth.shape) < share, 1 - truth, truth).astype(np.uint8)
    pairs = compare_maps(truth, maps)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.corrected for pair in pairs] == holm([pair.test.p_value for pair in pairs])
    assert [pair.corrected < 0.05 for pair in pairs] == [False, True, True]
