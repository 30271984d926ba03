import numpy as np
import pytest

from hsi_cd.errors import GridError
from hsi_cd.scene import Labels, Split

VALUES = np.array([[0, 1, 255], [1, 0, 0]], np.uint8)


def split(train: list[int], shape: tuple[int, int] = (2, 3)) -> Split:
    return Split("P1", 0, shape, np.array(train, np.int64))


def test_what_does_not_teach_is_scored_unless_unlabelled() -> None:
    mask = split([1, 4]).test_mask(Labels(VALUES))
    np.testing.assert_array_equal(mask, [[True, False, False], [True, False, True]])


def test_the_order_of_the_array_in_memory_plays_no_part() -> None:
    mask = split([1, 4]).test_mask(Labels(np.asfortranarray(VALUES)))
    np.testing.assert_array_equal(mask, [[True, False, False], [True, False, True]])


def test_the_labels_are_left_as_they_were() -> None:
    before = VALUES.copy()
    split([0]).test_mask(Labels(VALUES))
    np.testing.assert_array_equal(VALUES, before)


def test_labels_of_another_scene_are_refused() -> None:
    with pytest.raises(GridError, match="3 x 2 pixels but truth has 2 x 3"):
        split([0], shape=(3, 2)).test_mask(Labels(VALUES))


def test_the_guard_neither_teaches_nor_judges() -> None:
    guard = np.array([[True, False, True], [False, False, False]])
    guarded = Split("P1-strict", 0, (2, 3), np.array([1, 4]), guard)
    np.testing.assert_array_equal(guarded.test_mask(Labels(VALUES)), [[False, False, False], [True, False, True]])
    np.testing.assert_array_equal(guarded.train_mask(), [[False, True, False], [False, True, False]])
    with pytest.raises(GridError, match="guard"):
        Split("P1-strict", 0, (2, 3), np.array([1, 4]), guard.T)


def test_where_nothing_teaches_all_labelled_pixels_judge() -> None:
    nothing = split([])
    np.testing.assert_array_equal(nothing.test_mask(Labels(VALUES)), VALUES != 255)
    assert nothing.scope == "all labelled"
    assert split([1]).scope == "held-out"
