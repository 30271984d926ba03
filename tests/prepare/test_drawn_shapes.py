"""Shapes of drawn labels, and folds that divide none of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from hsi_cd.errors import LabelError
from hsi_cd.prepare.drawn_shapes import count_shapes, folds_by_shape, shapes_of, untaught_shapes
from hsi_cd.prepare.splits import make_split
from hsi_cd.scene import Labels, Split


def test_areas_of_a_raster_are_shapes_where_they_touch_at_a_side_or_a_corner() -> None:
    drawn = [
        [0, 0, 255, 1, 1],
        [255, 255, 0, 1, 255],
        [1, 255, 255, 255, 0],
    ]
    labels = Labels(np.array(drawn, dtype=np.uint8))
    expected = [[1, 1, 0, 3, 3], [0, 0, 1, 3, 0], [4, 0, 0, 0, 2]]
    np.testing.assert_array_equal(shapes_of(labels), expected)


def test_shapes_that_were_drawn_are_kept_where_something_is_labelled() -> None:
    labels = Labels(np.array([[0, 0, 255, 1]], dtype=np.uint8), shapes=np.array([[7, 2, 2, 9]], dtype=np.int32))
    assert shapes_of(labels).tolist() == [[7, 2, 0, 9]]
    split = Split("drawn", 0, (1, 4), np.array([1]), shapes=np.array([2], dtype=np.int32))
    assert untaught_shapes(labels, split).tolist() == [[7, 0, 0, 9]]


def test_a_drawing_without_a_pixel_is_refused() -> None:
    with pytest.raises(LabelError, match="labels no pixel with data in both dates"):
        make_split(Labels(np.full((3, 3), 255, dtype=np.uint8)), protocol="drawn", seed=0)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 6)), min_size=2, max_size=30), st.integers(2, 6))
def test_no_fold_divides_a_shape_and_each_has_both_classes(drawn: list[tuple[int, int]], wanted: int) -> None:
    target = np.concatenate([np.full(size, code) for code, size in drawn])
    shapes = np.concatenate([np.full(size, number) for number, (_, size) in enumerate(drawn, 1)])
    folds = folds_by_shape(target, shapes, folds=wanted, seed=3)
    fewest = min(count_shapes(target, shapes))
    if fewest < 2:
        assert folds is None
        return
    assert folds is not None
    count = min(wanted, fewest)
    assert sorted(set(folds.tolist())) == list(range(count))
    for code in (0, 1):
        numbers = [len(np.unique(shapes[(folds == part) & (target == code)])) for part in range(count)]
        assert max(numbers) - min(numbers) <= 1 and min(numbers) >= 1
    assert all(len(np.unique(folds[shapes == shape])) == 1 for shape in np.unique(shapes))
    np.testing.assert_array_equal(folds, folds_by_shape(target, shapes, folds=wanted, seed=3))


@pytest.mark.parametrize("seed", range(3))
def test_the_folds_are_as_scikit_learns_for_shapes_of_one_size(seed: int) -> None:
    """As many shapes of each class in each fold; which ones, is another draw."""
    target, shapes = np.repeat([0] * 15 + [1] * 10, 4), np.repeat(np.arange(1, 26), 4)
    folds = folds_by_shape(target, shapes, folds=5, seed=seed)
    assert folds is not None
    theirs = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(target, target, shapes)
    parts = sorted(tuple(np.bincount(target[held], minlength=2)) for _, held in theirs)
    assert parts == sorted(tuple(np.bincount(target[folds == part], minlength=2)) for part in range(5))
