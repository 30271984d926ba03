import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.prepare.windows import read_window
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
