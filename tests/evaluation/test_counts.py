"""Counting: against scikit-learn, by parts, and blind to what nobody labelled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix

from hsi_cd.errors import GridError, LabelError
from hsi_cd.evaluation import ConfusionCounts, count_confusion

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)
TRUTHS = st.sampled_from([0, 1, 255])


@st.composite
def maps(draw):
    """A truth, a change map and a mask of judged pixels of one shape."""
    shape = draw(SHAPES)
    truth = draw(hnp.arrays(np.uint8, shape, elements=TRUTHS))
    change = draw(hnp.arrays(np.uint8, shape, elements=TRUTHS))
    return truth, change, draw(hnp.arrays(bool, shape))


@given(maps())
def test_counts_are_those_of_scikit_learn(case):
    truth, change, where = case
    counts = count_confusion(truth, change, where=where)
    scored = where & (truth != 255) & (change != 255)
    if scored.any():
        expected = confusion_matrix(truth[scored], change[scored], labels=[0, 1])
        assert [[counts.tn, counts.fp], [counts.fn, counts.tp]] == expected.tolist()
    assert counts.total == scored.sum()
    assert counts.unscored == (where & (truth != 255) & (change == 255)).sum()
    assert counts.unchanged + counts.changed == counts.total


@given(maps(), st.integers(0, 12))
def test_counts_of_parts_add_up(case, cut):
    truth, change, where = case
    parts = [
        count_confusion(truth[rows], change[rows], where=where[rows]) for rows in (slice(cut), slice(cut, None))
    ]
    assert parts[0] + parts[1] == count_confusion(truth, change, where=where)


@given(maps(), st.randoms())
def test_ignored_pixels_never_matter(case, random):
    truth, change, where = case
    expected = count_confusion(truth, change, where=where)
    changed_truth, changed_map = truth.copy(), change.copy()
    for index in zip(*np.nonzero(~where), strict=True):
        changed_truth[index] = random.randrange(256)
    for index in zip(*np.nonzero(~where | (truth == 255)), strict=True):
        changed_map[index] = random.randrange(256)
    assert count_confusion(changed_truth, changed_map, where=where) == expected


def test_counting_changes_no_input():
    truth = np.array([[0, 255], [1, 1]], dtype=np.uint8)
    change = np.array([[0, 1], [1, 255]], dtype=np.uint8)
    where = np.array([[True, True], [False, True]])
    for array in (truth, change, where):
        array.flags.writeable = False
    assert count_confusion(truth, change, where=where) == ConfusionCounts(1, 0, 0, 0, unscored=1)


def test_counts_are_python_integers():
    counts = ConfusionCounts(*np.array([2**62, 1, 1, 2**62]))
    assert type(counts.tn) is int
    assert (counts + counts).tn == 2**63


def test_other_shapes_are_refused():
    ones = np.ones((2, 3), dtype=np.uint8)
    with pytest.raises(GridError, match="3 x 2 but the truth 2 x 3"):
        count_confusion(ones, ones.T.copy())
    with pytest.raises(GridError, match="mask"):
        count_confusion(ones, ones, where=np.ones(6, dtype=bool))


def test_unexpected_values_are_named_with_their_number():
    good, bad = np.ones((1, 3), dtype=np.uint8), np.array([[2, 2, 7]], dtype=np.uint8)
    with pytest.raises(LabelError, match=r"truth: unexpected values 2 \(2 pixels\), 7 \(1 pixels\)"):
        count_confusion(bad, good)
    with pytest.raises(LabelError, match="predicted map: unexpected values 2"):
        count_confusion(good, bad)
    with pytest.raises(LabelError, match="float64"):
        count_confusion(good, good.astype(float))
    with pytest.raises(LabelError, match="expected bool"):
        count_confusion(good, good, where=np.array([[0, 1, 2]]))


def test_negative_counts_are_refused():
    with pytest.raises(LabelError, match="-1 pixels of fp"):
        ConfusionCounts(1, -1, 0, 0)


@pytest.mark.parametrize(
    ("kinds", "told"),
    [(8, r"9 \(1 pixels\): expected"), (9, r"9 \(1 pixels\) and 1 more: "), (10, r"9 \(1 pixels\) and 2 more: ")],
)
def test_eight_wrong_values_are_told_and_the_others_counted(kinds, told):
    truth = np.arange(2, 2 + kinds, dtype=np.uint8)[np.newaxis]
    with pytest.raises(LabelError, match=r"values 2 \(1 pixels\), .*" + told):
        count_confusion(truth, np.zeros_like(truth))
