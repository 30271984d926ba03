"""An area of interest is mapped as in the whole scene, and nothing is read that its pixels do not depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hsi_cd.api.bounding import judged_in
from hsi_cd.errors import BandError, FormatError, GridError, PairError, ShardError
from hsi_cd.inference import score_scene
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.inference.mapping import MapOptions
from hsi_cd.io.split_files import read_split, write_split
from hsi_cd.prepare.splits import make_split
from hsi_cd.scene import AreaOfInterest, Bands, Cube, Grid, Labels, ScenePair, Shard, Split, cube_from_array
from hsi_cd.scene.area_of_interest import OF_AREA
from hsi_cd.scene.division import Place


class SquareDifference:
    """The largest difference in the 5 x 5 square around a pixel."""

    radius, threshold, unit = 2, 0.9, "score"

    def __init__(self, bands: int = 3) -> None:
        self.bands = Bands(bands)

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        return score

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        difference = np.abs(t1 - t2).max(axis=0)
        largest = scipy.ndimage.maximum_filter(np.nan_to_num(difference), 5)[2:-2, 2:-2]
        return np.where(np.isnan(difference[2:-2, 2:-2]), np.float32(np.nan), largest)

    def parameters(self) -> int:
        return 0

    def state(self) -> dict[str, Any]:
        return {}


class Seen:
    """Windows that were read of an array."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values, self.read = values, np.zeros(values.shape[1:], dtype=int)

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        self.read[rows, cols] += 1
        return self.values[:, rows, cols]


def random_dates(rows: int, cols: int) -> NDArray[np.float32]:
    values = np.random.default_rng(rows * cols).random((2, 3, rows, cols), dtype=np.float32)
    values[0, 1, rows // 2, : cols // 3] = np.nan
    return values


@st.composite
def areas(draw: st.DrawFn) -> AreaOfInterest:
    """Any window of any scene, with any of its pixels that reach all its edges."""
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 24))
    first = [draw(st.integers(0, length - 1)) for length in shape]
    last = [draw(st.integers(low + 1, length)) for low, length in zip(first, shape, strict=True)]
    rows, cols = (slice(*ends) for ends in zip(first, last, strict=True))
    size = rows.stop - rows.start, cols.stop - cols.start
    covered = np.random.default_rng(draw(st.integers(0, 9))).random(size) < draw(st.sampled_from([0.05, 0.5, 1]))
    covered[0, 0] = covered[-1, -1] = True
    return AreaOfInterest(rows, cols, covered, Grid(*shape))


@given(area=areas(), step=st.none() | st.integers(1, 20))
def test_its_scores_are_the_whole_scenes_and_nothing_else_is_read(area: AreaOfInterest, step: int | None) -> None:
    values = random_dates(*area.scene.shape)
    whole = score_scene(SquareDifference(), ScenePair(*map(cube_from_array, values)))
    readers = [Seen(date) for date in values]
    cubes = [replace(cube_from_array(reader.values), reader=reader) for reader in readers]
    found = score_scene(SquareDifference(), ScenePair(*cubes).in_area(area), rows=step)
    expected = np.full(area.shape, np.nan, dtype=np.float32)
    expected[area.covered] = whole[area.rows, area.cols][area.covered]
    np.testing.assert_array_equal(found, expected)
    # What lies in the rectangle around the pixels of some rows and their surroundings, once each.
    near = np.zeros(area.scene.shape, dtype=bool)
    near[area.rows, area.cols] = area.covered
    near = scipy.ndimage.binary_dilation(near, np.ones((5, 5)))
    down, across = (np.flatnonzero(near.any(axis=axis)) for axis in (1, 0))
    for reader in readers:
        assert reader.read.max() == 1 and (reader.read[near] == 1).all()
        there = np.zeros(area.scene.shape, dtype=bool)
        there[down[0] : down[-1] + 1, across[0] : across[-1] + 1] = True
        assert not reader.read[~there].any()


def test_what_lies_between_two_polygons_is_not_read() -> None:
    values = random_dates(300, 40)
    covered = np.zeros((280, 30), dtype=bool)
    covered[:5, :4] = covered[-6:, -3:] = True
    area = AreaOfInterest(slice(10, 290), slice(5, 35), covered, Grid(300, 40))
    readers = [Seen(date) for date in values]
    pair = ScenePair(*(replace(cube_from_array(reader.values), reader=reader) for reader in readers))
    shown = []
    how = MapOptions(seen=lambda rows, dates: shown.append((rows, dates[0].shape)), any_units=True)
    change = ChangeMap(SquareDifference(), pair.in_area(area), how)
    assert change.change.shape == change.grid.shape == (280, 30)
    assert (change.change[~covered] == 255).all() and (change.change[covered] != 255).all()
    for reader in readers:
        assert reader.read.sum() == 9 * 8 + 10 * 7
    # Who looks on sees the rows of the window, once each, whatever surrounds them.
    assert [row for rows, _ in shown for row in range(rows.start, rows.stop)] == list(range(280))
    assert all(shape == (3, rows.stop - rows.start, 30) for rows, shape in shown)


def test_cut_to_it_a_scene_is_as_if_nothing_else_were_there() -> None:
    values = random_dates(30, 20)
    covered = np.ones((12, 9), dtype=bool)
    covered[3:5, 2] = False
    area = AreaOfInterest(slice(4, 16), slice(7, 16), covered, Grid(30, 20), statistics=OF_AREA)
    pair = ScenePair(*map(cube_from_array, values)).in_area(area)
    assert pair.shape == (12, 9) and pair.scene_grid.shape == (30, 20) and pair.focus is None
    own = values[:, :, 4:16, 7:16].copy()
    own[:, :, ~covered] = np.nan
    for found, expected in zip(pair.read(), own, strict=True):
        missing = np.isnan(expected).all(axis=0)
        np.testing.assert_array_equal(found[:, ~missing], expected[:, ~missing])
        assert np.isnan(found[:, missing]).all()
    whole = score_scene(SquareDifference(), ScenePair(*map(cube_from_array, own)))
    np.testing.assert_array_equal(score_scene(SquareDifference(), pair), whole)


def test_a_shard_of_an_area_is_refused() -> None:
    pair = ScenePair(*map(cube_from_array, random_dates(30, 20)))
    area = AreaOfInterest(slice(0, 9), slice(0, 9), np.ones((9, 9), dtype=bool), Grid(30, 20), bounds=(0, 0, 9, 9))
    with pytest.raises(ShardError, match=r"area of interest \(0,0,9,9\) is mapped alone: leave the shard or"):
        _ = ChangeMap(SquareDifference(), pair.in_area(area), MapOptions(shard=Shard(1, 2))).change


def test_an_area_without_data_or_without_change_is_told(caplog: pytest.LogCaptureFixture) -> None:
    values = random_dates(30, 20)
    values[1, :, :6, :6] = values[0, :, :6, :6]
    values[0, :, 20:, 12:] = np.nan
    pair = ScenePair(*map(cube_from_array, values), name="fields")

    def mapped(pair: ScenePair, rows: slice, cols: slice) -> np.ndarray:
        covered = np.ones((rows.stop - rows.start, cols.stop - cols.start), dtype=bool)
        return ChangeMap(SquareDifference(), pair.in_area(AreaOfInterest(rows, cols, covered, pair.grid))).change

    with pytest.raises(BandError, match=r"no pixel of the area of interest \(\) of fields has data"):
        mapped(pair, slice(24, 30), slice(15, 20))
    mapped(pair, slice(0, 4), slice(0, 4))
    assert "both dates hold the same values everywhere in the area of interest" in caplog.text
    same = ScenePair(*(cube_from_array(values[0]) for _ in range(2)))
    with pytest.raises(PairError, match="hold the same values everywhere"):
        mapped(same, slice(0, 4), slice(0, 4))


def test_a_cube_is_read_in_the_same_way_when_it_is_cut() -> None:
    """Scale, offset, no data and saturation are those of the stored values."""
    stored = np.random.default_rng(0).integers(0, 7, (2, 12, 10)).astype(np.uint8)
    cube = Cube(
        "c", Grid(12, 10), Bands(2), stored.dtype, lambda r, c: stored[:, r, c], 3.0, (0.5, 2.0), (1.0, 0.0)
    )
    cube = replace(cube, saturated=6.0)
    area = AreaOfInterest(slice(3, 9), slice(2, 9), np.ones((6, 7), dtype=bool), cube.grid, statistics=OF_AREA)
    pair = ScenePair(cube, cube).in_area(area)
    np.testing.assert_array_equal(pair.t1.read(), cube.read()[:, 3:9, 2:9])
    np.testing.assert_array_equal(pair.t1.read(slice(1, 3), slice(0, 2)), cube.read()[:, 4:6, 2:4])


def test_a_split_of_an_area_finds_its_pixels_in_the_scene(tmp_path: Path) -> None:
    """Also from its file, with what is too near to judge, and in another area of the scene."""
    labels = Labels(np.random.default_rng(0).integers(0, 2, (30, 20)).astype(np.uint8))
    split = make_split(labels, protocol="P1-strict", seed=3, fraction=0.01)
    assert split.guard is not None and split.guard.any() and not split.guard.all()
    area, other = (
        AreaOfInterest(rows, cols, np.ones((12, 9), dtype=bool), Grid(30, 20))
        for rows, cols in ((slice(4, 16), slice(7, 16)), (slice(9, 21), slice(5, 14)))
    )
    own = area.split(split)
    assert own.place == Place(4, 7, (30, 20)) and 0 < len(own.train) < len(split.train)
    write_split(tmp_path / "s.npz", own)
    expected = np.zeros((30, 20), dtype=bool)
    expected[4:16, 7:16] = split.train_mask()[4:16, 7:16]
    guard = np.zeros((30, 20), dtype=bool)
    guard[4:16, 7:16] = split.guard[4:16, 7:16]
    for found in (read_split(tmp_path / "s.npz", labels), area.whole_split(own), own.on((30, 20))):
        assert found.shape == (30, 20) and found.guard is not None
        np.testing.assert_array_equal(found.train_mask(), expected)
        np.testing.assert_array_equal(found.guard, guard)
    np.testing.assert_array_equal(other.split(own).train_mask(), expected[9:21, 5:14])
    assert read_split(tmp_path / "s.npz").same_pixels(own)
    with pytest.raises(GridError, match="of a scene of 12 x 9 pixels but"):
        read_split(tmp_path / "s.npz", Labels(labels.values[:, :19]))
    with np.load(tmp_path / "s.npz") as content:
        kept = dict(content)
    for place in ([20, 7, 30, 20], [-1, 7, 30, 20], [4, 7, 30]):
        np.savez(tmp_path / "wrong.npz", **kept | {"place": np.array(place)})
        with pytest.raises(FormatError, match="is damaged: its pixels do not fit"):
            read_split(tmp_path / "wrong.npz")


def test_a_shape_that_taught_beside_an_area_does_not_judge_in_it() -> None:
    values, shapes = np.full((6, 10), 255, dtype=np.uint8), np.zeros((6, 10), dtype=np.int32)
    for number, (rows, cols, code) in enumerate(
        [(1, slice(1, 9), 0), (3, slice(5, 9), 1), (5, slice(5, 9), 0)], 1
    ):
        values[rows, cols], shapes[rows, cols] = code, number
    area = AreaOfInterest(slice(0, 6), slice(4, 10), np.ones((6, 6), dtype=bool), Grid(6, 10))
    train = np.array([1 * 10 + 2, 3 * 10 + 6])  # of shape 1 beside the area, of shape 2 in it
    labels, split = judged_in(area, Labels(values, shapes=shapes), Split("drawn", 0, (6, 10), train))
    assert split is not None and split.train.tolist() == [36]
    expected = np.where(shapes == 1, 255, values)
    expected[:, :4] = 255
    np.testing.assert_array_equal(labels.values, expected)
