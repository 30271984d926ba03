"""Where the shift between the dates is looked for: in few tiles, spread over the scene."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.prepare.residual_shift import ShiftWatch


@pytest.mark.parametrize(
    ("length", "tops"),
    [
        (60, [0]),
        (128, [0]),
        (200, [36]),
        (255, [63]),
        (256, [0, 128]),
        (384, [0, 128, 256]),
        (1000, [0, 436, 872]),
    ],
)
def test_tiles_stand_at_both_ends_and_between_or_in_the_middle(length: int, tops: list[int]) -> None:
    assert sorted({tile.top for tile in ShiftWatch((length, 128)).tiles}) == tops
    assert sorted({tile.left for tile in ShiftWatch((128, length)).tiles}) == tops


@given(rows=st.integers(1, 3000), cols=st.integers(1, 3000))
def test_no_pixel_is_in_two_tiles_and_none_is_outside(rows: int, cols: int) -> None:
    tiles = ShiftWatch((rows, cols)).tiles
    assert len(tiles) <= 9
    for tile in tiles:
        assert 0 <= tile.top <= rows - tile.height and 0 <= tile.left <= cols - tile.width
        assert (tile.height, tile.width) == (min(rows, 128), min(cols, 128))
    for a, b in itertools.combinations(tiles, 2):
        assert abs(a.top - b.top) >= 128 or abs(a.left - b.left) >= 128


def test_a_scene_of_32_pixels_a_side_is_the_smallest_that_is_looked_at() -> None:
    assert ShiftWatch((32, 40)).tiles and ShiftWatch((40, 32)).tiles
    assert not ShiftWatch((31, 40)).tiles and not ShiftWatch((40, 31)).tiles
