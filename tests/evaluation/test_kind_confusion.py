"""Confusion of kinds of change: against scikit-learn, additive, exact, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from hsi_cd.errors import GridError, LabelError
from hsi_cd.evaluation import KindConfusion, count_confusion, count_kinds, merged


@st.composite
def maps(draw):
    """Number of kinds, truth, map and the pixels that judge."""
    kinds, size = draw(st.integers(1, 9)), draw(st.integers(0, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    truth, change = random.choice([*range(kinds + 1), 255], (2, size)).astype(np.uint8)
    return kinds, truth, change, random.random(size) < 0.8


@given(maps())
def test_counts_are_those_of_scikit_learn(case):
    kinds, truth, change, where = case
    found = count_kinds(truth, change, kinds=kinds, where=where)
    judged = where & (truth != 255)
    scored = judged & (change != 255)
    assert found.unscored == (judged & (change == 255)).sum()
    assert found.total == scored.sum()
    if scored.any():
        expected = metrics.confusion_matrix(truth[scored], change[scored], labels=range(kinds + 1))
        assert np.array_equal(found.table, expected)
    # Merged kinds are the counts of two classes.
    assert found.binary == count_confusion(merged(truth), merged(change), where=where)


@given(maps(), st.integers(0, 40))
def test_counts_of_parts_add_up(case, cut):
    kinds, truth, change, where = case
    parts = [
        count_kinds(truth[part], change[part], kinds=kinds, where=where[part])
        for part in (slice(None, cut), slice(cut, None))
    ]
    assert parts[0] + parts[1] == count_kinds(truth, change, kinds=kinds, where=where)


def test_counts_are_python_integers():
    found = KindConfusion(tuple(map(tuple, np.array([[2**62, 1], [2**62, 2**62]]))), np.int64(3))
    assert found.total == 3 * 2**62 + 1
    assert {type(count) for row in found.table for count in row} == {int} and type(found.unscored) is int


def test_what_means_nothing_is_named_with_its_number():
    truth = np.array([[0, 1, 2, 3]], np.uint8)
    with pytest.raises(LabelError, match=r"predicted map: unexpected values 4 \(2 pixels\): expected 0 unch"):
        count_kinds(truth, np.array([[0, 4, 4, 1]], np.uint8), kinds=3)
    with pytest.raises(LabelError, match=r"truth: unexpected values 3 \(1 pixels\)"):
        count_kinds(truth, truth, kinds=2)
    with pytest.raises(GridError, match="shape 4 x 1"):
        count_kinds(truth, truth.T, kinds=3)
    with pytest.raises(LabelError, match="int64 numbers"):
        count_kinds(truth, truth.astype(np.int64), kinds=3)
    with pytest.raises(LabelError, match="255 kinds of change: a map tells 1 to 254"):
        count_kinds(truth, truth, kinds=255)


@pytest.mark.parametrize("table", [((1,),), ((1, 2), (3,)), ((1, 2), (-1, 3)), ()])
def test_what_is_no_confusion_is_refused(table):
    with pytest.raises(LabelError):
        KindConfusion(table)


def test_confusions_of_other_kinds_do_not_add_up():
    with pytest.raises(LabelError, match="of 1 and of 2 kinds"):
        KindConfusion(((1, 0), (0, 1))) + KindConfusion(((1, 0, 0),) * 3)
