import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.prepare.padding import mirror_index, mirror_pad


@given(length=st.integers(1, 9), before=st.integers(0, 40), after=st.integers(0, 40))
def test_the_mirror_is_that_of_numpy(length: int, before: int, after: int) -> None:
    expected = np.pad(np.arange(length), (before, after), mode="symmetric")
    np.testing.assert_array_equal(mirror_index(-before, length + after, length), expected)


@given(length=st.integers(1, 9), start=st.integers(-40, 40), count=st.integers(0, 20))
def test_any_stretch_of_the_endless_mirror(length: int, start: int, count: int) -> None:
    endless = np.pad(np.arange(length), 80, mode="symmetric")
    np.testing.assert_array_equal(mirror_index(start, start + count, length), endless[start + 80 :][:count])


@given(rows=st.integers(1, 6), cols=st.integers(1, 6), radius=st.integers(0, 20))
def test_two_axes_are_padded_and_others_left(rows: int, cols: int, radius: int) -> None:
    values = np.random.default_rng(0).random((2, 3, rows, cols))
    expected = np.pad(values, ((0, 0), (0, 0), (radius, radius), (radius, radius)), mode="symmetric")
    np.testing.assert_array_equal(mirror_pad(values, radius), expected)
