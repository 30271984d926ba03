"""McNemar's test and Holm's correction against scipy, brute force and worked examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hsi_cd.errors import ConfigError, GridError, LabelError
from hsi_cd.evaluation.significance import (
    compare_maps,
    holm,
    mcnemar,
    mcnemar_counts,
    stuart_maxwell,
    stuart_maxwell_table,
)


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


def test_the_textbook_case_of_stuart_and_maxwell():
    """Two raters of 128 patients in three classes; R: DescTools::StuartMaxwellTest gives 13.765, p = 0.001026."""
    found = stuart_maxwell_table([[20, 10, 5], [3, 30, 15], [0, 5, 40]])
    assert (round(found.statistic, 3), found.degrees, round(found.p_value, 6)) == (13.765, 2, 0.001026)


def test_three_classes_by_the_closed_form():
    """Fleiss and Everitt 1971 (Brit. J. Math. Stat. Psych. 24): the statistic without any matrix."""
    table = np.array([[35, 7, 12], [2, 40, 9], [5, 1, 50]])
    mean = (table + table.T) / 2
    d = table.sum(1) - table.sum(0)
    a, b, c = mean[0, 1], mean[0, 2], mean[1, 2]
    expected = (c * d[0] ** 2 + b * d[1] ** 2 + a * d[2] ** 2) / (2 * (a * b + a * c + b * c))
    assert stuart_maxwell_table(table).statistic == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_of_two_classes_it_is_mcnemars_without_correction(a, b, c, d):
    found = stuart_maxwell_table([[a, b], [c, d]])
    if b + c == 0:
        assert (found.statistic, found.degrees, found.p_value) == (0, 0, 1)
        return
    assert found.statistic == pytest.approx((b - c) ** 2 / (b + c), abs=1e-9)
    assert found.degrees == 1 and found.p_value == pytest.approx(stats.chi2.sf((b - c) ** 2 / (b + c), 1))


@given(st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_many_classes_by_the_inverse_without_the_last_one(classes, seed):
    table = np.random.default_rng(seed).integers(1, 30, (classes, classes))
    d = (table.sum(1) - table.sum(0))[:-1]
    covariance = np.diag(table.sum(1) + table.sum(0)) - table - table.T
    expected = d @ np.linalg.solve(covariance[:-1, :-1], d)
    found = stuart_maxwell_table(table)
    assert found.degrees == classes - 1
    assert found.statistic == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(stats.chi2.sf(expected, classes - 1), abs=1e-9)


def test_groups_of_classes_that_are_never_mixed_up_are_tested_together():
    """Two pairs of classes: twice McNemar's, with a degree of freedom each; a fifth class agrees everywhere."""
    table = np.zeros((5, 5), int)
    table[0, 1], table[1, 0], table[2, 3], table[3, 2], table[4, 4] = 9, 4, 1, 12, 70
    found = stuart_maxwell_table(table)
    assert found.degrees == 2
    assert found.statistic == pytest.approx(25 / 13 + 121 / 13)


def test_maps_of_kinds_are_compared_where_both_say_something():
    truth = np.array([[0, 1, 2, 2, 1, 255, 0]], np.uint8)
    first = np.array([[0, 1, 1, 2, 255, 1, 2]], np.uint8)
    second = np.array([[1, 2, 1, 2, 1, 0, 2]], np.uint8)
    test = mcnemar(truth, first, second)
    assert (test.only_first, test.only_second) == (2, 0)  # of the third, both name another kind
    where = np.array([[True, True, True, True, True, True, False]])
    found = stuart_maxwell(truth, first, second, where=where)
    assert found == stuart_maxwell_table([[0, 1, 0], [0, 1, 1], [0, 0, 1]])


@pytest.mark.parametrize("table", [[[1, 2]], [1, 2], [[1, -1], [0, 3]]])
def test_what_is_no_table_of_two_maps_is_refused(table):
    with pytest.raises(LabelError, match="expected a square of counts"):
        stuart_maxwell_table(table)
