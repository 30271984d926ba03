import numpy as np
import pytest

from hsi_cd.errors import LabelError
from hsi_cd.scene import Labels, LabelScheme


def test_stored_values_become_codes() -> None:
    scheme = LabelScheme(unchanged=(7,), changed=(1, 2, 3), ignore=(0,))
    stored = np.array([[0, 1, 2], [3, 7, 7]])
    np.testing.assert_array_equal(scheme.encode(stored), [[255, 1, 1], [1, 0, 0]])


def test_changed_may_be_255() -> None:
    scheme = LabelScheme(unchanged=(0,), changed=(255,))
    np.testing.assert_array_equal(scheme.encode(np.array([[0, 255]], np.uint8)), [[0, 1]])


def test_unexplained_values_are_listed_with_their_counts() -> None:
    scheme = LabelScheme(unchanged=(0,), changed=(1,))
    with pytest.raises(
        LabelError, match=r"gt\.mat: .* 2 \(3 pixels\), 9 \(1 pixels\): expected 0 unchanged, 1 ch"
    ):
        scheme.encode(np.array([[0, 1, 2, 2], [2, 9, 0, 0]]), name="gt.mat")


def test_many_unexplained_values_are_cut_short() -> None:
    with pytest.raises(LabelError, match="and 12 more: expected 0 unchanged"):
        LabelScheme(unchanged=(0,), changed=()).encode(np.arange(21))


def test_nan_is_not_explained() -> None:
    with pytest.raises(LabelError, match=r"nan \(1 pixels\)"):
        LabelScheme(unchanged=(0,), changed=(1,)).encode(np.array([0, 1, np.nan]))


def test_counts_tell_the_classes_apart() -> None:
    assert Labels(np.array([[0, 0, 1], [255, 255, 255]], np.uint8)).counts() == (2, 1, 3)


def test_a_truth_is_known_again_by_all_that_it_tells() -> None:
    """Values, shape and, where changed, the kinds: what lies under unchanged pixels says nothing."""
    values, kinds = np.array([[0, 1, 255]], dtype=np.uint8), np.array([[0, 2, 0]])
    same = Labels(values.copy(), kinds=np.array([[9, 2, 0]]))
    assert Labels(values, kinds=kinds).fingerprint() == same.fingerprint()
    others = (Labels(values), Labels(values.T), Labels(values[:, ::-1]), Labels(values, kinds=kinds + 1))
    assert len({labels.fingerprint() for labels in (same, *others)}) == 5
