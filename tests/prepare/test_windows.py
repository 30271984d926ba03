import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_cd.prepare.windows import Dates, read_ahead, read_window, sliding_windows
from hsi_cd.scene import Cube, ScenePair, cube_from_array

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


class CountedRows:
    """A scene whose rows count how often they are read."""

    def __init__(self, rows: int, cols: int, bands: int) -> None:
        dates = np.random.default_rng(rows).random((2, bands, rows, cols), dtype=np.float32)
        self.read = np.zeros((2, rows), dtype=int)
        self.pair = ScenePair(*(self._cube(date, values) for date, values in enumerate(dates)))

    def _cube(self, date: int, values: np.ndarray) -> Cube:
        def read(rows: slice, cols: slice) -> np.ndarray:
            self.read[date, rows] += 1
            return values[:, rows, cols]

        return replace(cube_from_array(values), reader=read)


def test_sliding_windows_keep_no_more_than_the_next_needs() -> None:
    """While a window is read, at most the rows just read or the window before it is cut are there beside it."""
    dates = np.random.default_rng(0).random((2, 30, 96, 80), dtype=np.float32)
    pair = ScenePair(*map(cube_from_array, dates))
    window = 2 * 30 * (16 + 4) * 84 * 4
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _, found in sliding_windows(pair, [slice(top, top + 16) for top in range(0, 96, 16)], radius=2):
            assert tracemalloc.get_traced_memory()[0] - before < 1.4 * window
            del found
        assert tracemalloc.get_traced_memory()[1] - before < 2.6 * window
    finally:
        tracemalloc.stop()


@settings(max_examples=2 * settings.default.max_examples)
@given(
    rows=st.integers(1, 23),
    cols=st.integers(1, 8),
    bands=st.integers(1, 3),
    radius=st.integers(0, 30),
    step=st.integers(1, 30),
    start=st.integers(0, 22),
)
def test_sliding_windows_are_those_read_one_by_one_and_read_each_row_once(
    rows: int, cols: int, bands: int, radius: int, step: int, start: int
) -> None:
    scene, first = CountedRows(rows, cols, bands), min(start, rows - 1)
    parts = [slice(r, min(r + step, rows)) for r in range(first, rows, step)]
    shown: list[int] = []

    def seen(where: slice, dates: Dates) -> None:
        assert dates[0].shape == (bands, where.stop - where.start, cols)
        np.testing.assert_array_equal(dates[1], scene.pair.t2.reader(where, slice(0, cols)))
        scene.read[1, where] -= 1
        shown.extend(range(where.start, where.stop))

    found = list(sliding_windows(scene.pair, parts, radius=radius, seen=seen))
    assert scene.read.max() <= 1
    assert shown == sorted(set(shown)) and set(range(first, rows)) <= set(shown)
    if first == 0:
        assert shown == list(range(rows))
    assert [part for part, _ in found] == parts
    for part, dates in found:
        expected = read_window(scene.pair, part, slice(0, cols), radius=radius)
        for values, wanted in zip(dates, expected, strict=True):
            np.testing.assert_array_equal(values, wanted)
