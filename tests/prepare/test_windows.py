import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.prepare.windows import read_ahead, read_window
from hsi_cd.scene import ScenePair, cube_from_array

FAR = 40


@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    corner=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
    extent=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    radius=st.integers(0, 6),
)
def test_a_window_is_a_crop_of_the_padded_scene(size, corner, extent, radius) -> None:
    dates = np.random.default_rng(1).random((2, 3, *size), dtype=np.float32)
    pair = ScenePair(*(cube_from_array(date) for date in dates))
    (top, left), (rows, cols) = corner, extent
    found = read_window(pair, slice(top, top + rows), slice(left, left + cols), radius=radius)
    padded = np.pad(dates, ((0, 0), (0, 0), (FAR, FAR), (FAR, FAR)), mode="symmetric")
    crop = padded[
        :, :, top - radius + FAR : top + rows + radius + FAR, left - radius + FAR : left + cols + radius + FAR
    ]
    np.testing.assert_array_equal(found, crop)


def test_only_what_is_needed_is_read() -> None:
    asked = []
    cube = cube_from_array(np.zeros((1, 100, 50), np.float32))

    def reader(rows: slice, cols: slice) -> np.ndarray:
        asked.append((rows.start, rows.stop, cols.start, cols.stop))
        return np.zeros((1, rows.stop - rows.start, cols.stop - cols.start), np.float32)

    watched = type(cube)(cube.name, cube.grid, cube.bands, cube.dtype, reader)
    read_window(ScenePair(watched, watched), slice(90, 100), slice(0, 50), radius=3)
    assert asked == [(87, 100, 0, 50)] * 2


def test_parts_are_made_ahead_in_their_order_by_one_other_thread() -> None:
    made: list[tuple[int, str]] = []

    def part(number: int) -> int:
        made.append((number, threading.current_thread().name))
        return number

    seen = []
    for number in read_ahead(map(part, range(5))):
        assert len(made) <= number + 2, "more than one part waits"
        seen.append(number)
    assert seen == list(range(5)) and [number for number, _ in made] == seen
    assert {name for _, name in made} == {"reader_0"}


def test_what_goes_wrong_while_reading_is_raised_in_its_turn() -> None:
    parts = read_ahead(10 // divisor for divisor in (5, 2, 0, 1))
    assert [next(parts), next(parts)] == [2, 5]
    with pytest.raises(ZeroDivisionError):
        next(parts)


def test_a_caller_that_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    parts = read_ahead(range(100))
    next(parts)
    parts.close()
    assert threading.active_count() == before
    assert list(read_ahead([])) == []
