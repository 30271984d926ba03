"""Scores of kinds of change: against scikit-learn, those of two classes with one kind, undefined and not 0."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from hsi_cd.evaluation import (
    KIND_SCORE_NAMES,
    ConfusionCounts,
    KindConfusion,
    UndefinedScoreWarning,
    adjusted_rand,
    all_scores,
    class_scores,
    kind_scores,
    kinds_kappa,
    kinds_macro_f1,
)


@st.composite
def confusions(draw, most=7):
    """Of any number of kinds, with classes that truth or map lack."""
    size = draw(st.integers(2, most))
    cells = draw(st.lists(st.integers(0, 25), min_size=size * size, max_size=size * size))
    table = np.reshape(cells, (size, size)) * draw(st.integers(0, 1))
    table += np.diag(draw(st.lists(st.integers(0, 25), min_size=size, max_size=size)))
    absent = draw(st.sets(st.integers(0, size - 1), max_size=2))
    table[list(absent)] = 0
    return KindConfusion(tuple(map(tuple, table.tolist())))


def as_pixels(confusion):
    table = np.array(confusion.table)
    truth, change = np.indices(table.shape)
    return np.repeat(truth.ravel(), table.ravel()), np.repeat(change.ravel(), table.ravel())


def quietly(function, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


@given(confusions())
def test_scores_are_those_of_scikit_learn(confusion):
    truth, change = as_pixels(confusion)
    there = np.unique(truth)
    found = quietly(kind_scores, confusion)
    assert list(found) == list(KIND_SCORE_NAMES)
    if not len(there):
        assert all(map(math.isnan, found.values()))
        return
    assert found["oa"] == pytest.approx(metrics.accuracy_score(truth, change), abs=1e-12)
    recalls = metrics.recall_score(truth, change, labels=there, average=None, zero_division=0)
    assert found["aa"] == pytest.approx(recalls.mean(), abs=1e-12)
    macro = metrics.f1_score(truth, change, labels=there, average="macro", zero_division=0)
    assert found["f1_macro"] == pytest.approx(macro, abs=1e-12)
    kappa = quietly(metrics.cohen_kappa_score, truth, change)
    assert found["kappa"] == pytest.approx(kappa, abs=1e-12, nan_ok=True)
    changed = truth > 0
    if changed.sum() > 1:
        rand = metrics.adjusted_rand_score(truth[changed], change[changed])
        assert found["adjusted_rand"] == pytest.approx(rand, abs=1e-12)


@given(confusions())
def test_classes_are_scored_as_scikit_learn_does_where_there_are_pixels(confusion):
    truth, change = as_pixels(confusion)
    labels = range(len(confusion.table))
    shown = {"labels": labels, "average": None, "zero_division": np.nan}
    functions = {
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "f1": metrics.f1_score,
        "iou": metrics.jaccard_score,
    }
    if not len(truth):
        return
    for name, function in functions.items():
        options = {**shown, "zero_division": 0} if name == "iou" else shown
        expected = np.where(np.isin(labels, truth), function(truth, change, **options), np.nan)
        if name == "f1":  # undefined for scikit-learn only where both are empty
            expected = np.where(np.isin(labels, truth), np.nan_to_num(expected), np.nan)
        found = [getattr(each, name) for each in class_scores(confusion)]
        assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(st.lists(st.integers(0, 10**12), min_size=4, max_size=4))
def test_one_kind_is_scored_as_two_classes(cells):
    tn, fp, fn, tp = cells
    assume(tn + fp and fn + tp)
    binary = quietly(all_scores, ConfusionCounts(tn, fp, fn, tp))
    confusion = KindConfusion(((tn, fp), (fn, tp)))
    found = quietly(kind_scores, confusion)
    assert [found["oa"], found["kappa"]] == [binary["oa"], binary["kappa"]]
    assert found["aa"] == pytest.approx(binary["aa"], abs=1e-15)
    changed = class_scores(confusion)[1]
    told = (changed.precision, changed.recall, changed.f1, changed.iou)
    assert told == pytest.approx(
        tuple(binary[n] for n in ("precision", "recall", "f1", "iou")), abs=0, nan_ok=True
    )


def test_a_kind_without_test_pixels_is_undefined_and_enters_no_mean():
    absent = KindConfusion(((8, 0, 2), (1, 3, 0), (0, 0, 0)))
    *_, last = class_scores(absent)
    assert all(map(math.isnan, (last.precision, last.recall, last.f1, last.iou)))
    scores = kind_scores(absent)
    assert scores["aa"] == pytest.approx((0.8 + 0.75) / 2)
    assert scores["f1_macro"] == pytest.approx((16 / 19 + 6 / 7) / 2)


def test_a_kind_that_the_map_never_names_is_0_and_has_no_precision():
    missed = KindConfusion(((8, 0, 0), (0, 3, 0), (4, 0, 0)))
    *_, last = class_scores(missed)
    assert (last.recall, last.f1, last.iou) == (0, 0, 0) and math.isnan(last.precision)
    assert kinds_macro_f1(missed) == pytest.approx((16 / 20 + 1 + 0) / 3)


def test_what_is_undefined_is_nan_with_one_warning():
    with pytest.warns(
        UndefinedScoreWarning, match=r"kappa, adjusted_rand of kinds.* 5 scored pixels.* 1 of 3"
    ) as told:
        scores = kind_scores(KindConfusion(((5, 0, 0), (0, 0, 0), (0, 0, 0))))
    assert len(told) == 1 and scores["oa"] == 1 and math.isnan(scores["kappa"])


def test_huge_counts_are_exact():
    """Ten times of all of it has the same Kappa, to the last bit; sums of products pass 64 bits."""
    table = np.array([[10**11, 3, 5], [7, 10**10, 11], [13, 17, 10**9]], dtype=object)
    small, large = (KindConfusion(tuple(map(tuple, (table * times).tolist()))) for times in (1, 1000))
    assert kinds_kappa(small) == kinds_kappa(large)


def test_groups_under_other_numbers_are_the_same_groups():
    swapped = KindConfusion(((9, 1, 0, 0), (0, 0, 8, 0), (0, 0, 0, 6), (0, 5, 0, 0)))
    assert adjusted_rand(swapped) == 1 and kinds_kappa(swapped) < 0.3
