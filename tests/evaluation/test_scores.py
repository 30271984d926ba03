"""Scores: against scikit-learn, exact on huge counts, undefined said aloud."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from hsi_cd.evaluation import (
    SCORE_NAMES,
    ConfusionCounts,
    UndefinedScoreWarning,
    all_scores,
    average_accuracy,
    f1,
    iou,
    kappa,
    kappa_standard_error,
    overall_accuracy,
    per_class_accuracy,
    precision,
    recall,
)

COUNTS = st.builds(ConfusionCounts, *[st.integers(0, 60)] * 4)
HUGE = st.builds(ConfusionCounts, *[st.integers(1, 10**12)] * 4)


def as_pixels(counts):
    sizes = [counts.tn, counts.fp, counts.fn, counts.tp]
    return np.repeat([0, 0, 1, 1], sizes), np.repeat([0, 1, 0, 1], sizes)


@given(COUNTS)
def test_scores_are_those_of_scikit_learn(counts):
    assume(counts.unchanged and counts.changed and counts.fp + counts.tp)
    truth, change = as_pixels(counts)
    recalls = metrics.recall_score(truth, change, average=None)
    expected = {
        "oa": metrics.accuracy_score(truth, change),
        "aa": metrics.balanced_accuracy_score(truth, change),
        "kappa": metrics.cohen_kappa_score(truth, change),
        "f1": metrics.f1_score(truth, change),
        "precision": metrics.precision_score(truth, change),
        "recall": metrics.recall_score(truth, change),
        "iou": metrics.jaccard_score(truth, change),
        "accuracy_unchanged": recalls[0],
        "accuracy_changed": recalls[1],
    }
    assert all_scores(counts) == pytest.approx(expected, abs=1e-12)


@given(COUNTS)
def test_the_standard_error_of_kappa_is_cohens(counts):
    """His chance agreement, solved from scikit-learn's Kappa and accuracy."""
    assume(counts.unchanged and counts.changed and counts.fp + counts.tp)
    truth, change = as_pixels(counts)
    agreed, found = metrics.accuracy_score(truth, change), metrics.cohen_kappa_score(truth, change)
    assume(found < 1)
    chance = (agreed - found) / (1 - found)
    expected = math.sqrt(agreed * (1 - agreed) / len(truth)) / (1 - chance)
    assert kappa_standard_error(counts) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("cells", [(0, 0, 0, 0), (5, 0, 0, 0), (0, 0, 0, 7)])
def test_the_standard_error_is_undefined_where_kappa_is(cells):
    assert math.isnan(kappa_standard_error(ConfusionCounts(*cells)))


@given(COUNTS)
def test_functions_agree_with_all_scores(counts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedScoreWarning)
        together = all_scores(counts)
        unchanged, changed = per_class_accuracy(counts)
        alone = {
            "oa": overall_accuracy(counts),
            "aa": average_accuracy(counts),
            "kappa": kappa(counts),
            "f1": f1(counts),
            "precision": precision(counts),
            "recall": recall(counts),
            "iou": iou(counts),
            "accuracy_unchanged": unchanged,
            "accuracy_changed": changed,
        }
    assert list(together) == list(SCORE_NAMES)
    assert together == pytest.approx(alone, abs=0, nan_ok=True)


@given(HUGE)
def test_huge_counts_are_exact(counts):
    n = counts.total
    oa = Fraction(counts.tn + counts.tp, n)
    called = (counts.tn + counts.fn, counts.fp + counts.tp)
    chance = Fraction(counts.unchanged * called[0] + counts.changed * called[1], n**2)
    assert kappa(counts) == float((oa - chance) / (1 - chance))
    assert overall_accuracy(counts) == float(oa)
    recalls = Fraction(counts.tn, counts.unchanged) + Fraction(counts.tp, counts.changed)
    assert average_accuracy(counts) == float(recalls / 2)


@given(HUGE)
def test_kappa_is_blind_to_a_swap_of_the_labels_and_f1_is_not(counts):
    swapped = ConfusionCounts(tn=counts.tp, fp=counts.fn, fn=counts.fp, tp=counts.tn)
    assert kappa(swapped) == kappa(counts)
    assert overall_accuracy(swapped) == overall_accuracy(counts)
    assert average_accuracy(swapped) == average_accuracy(counts)
    if counts.tn != counts.tp:
        assert Fraction(counts.tp, counts.tp + counts.fp + counts.fn) != Fraction(
            counts.tn, counts.tn + counts.fp + counts.fn
        )
    common = ConfusionCounts(tn=900, fp=30, fn=20, tp=50)
    assert f1(common) != f1(ConfusionCounts(tn=50, fp=20, fn=30, tp=900))


@pytest.mark.parametrize(
    ("counts", "undefined"),
    [
        (ConfusionCounts(0, 0, 0, 0), set(SCORE_NAMES)),
        (ConfusionCounts(9, 0, 0, 0), {"aa", "kappa", "f1", "precision", "recall", "iou", "accuracy_changed"}),
        (ConfusionCounts(0, 0, 0, 9), {"aa", "kappa", "accuracy_unchanged"}),
        (ConfusionCounts(8, 1, 0, 0), {"aa", "recall", "accuracy_changed"}),
        (ConfusionCounts(8, 0, 1, 0), {"precision"}),
    ],
)
def test_what_is_undefined_is_nan_with_one_warning(counts, undefined):
    with pytest.warns(UndefinedScoreWarning) as caught:
        scores = all_scores(counts)
    assert {name for name, value in scores.items() if math.isnan(value)} == undefined
    assert len(caught) == 1
    assert all(name in str(caught[0].message) for name in undefined)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("score", [overall_accuracy, average_accuracy, kappa, precision, recall, f1, iou])
def test_each_function_warns_once_at_the_line_of_its_caller(score):
    with pytest.warns(UndefinedScoreWarning) as caught:
        value = score(ConfusionCounts(0, 0, 0, 0))
    assert math.isnan(value)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_map_of_one_class_has_kappa_zero_where_the_truth_has_two():
    assert kappa(ConfusionCounts(tn=80, fp=0, fn=20, tp=0)) == 0


def test_unscored_pixels_enter_no_score():
    assert all_scores(ConfusionCounts(5, 1, 2, 4, unscored=99)) == all_scores(ConfusionCounts(5, 1, 2, 4))
