"""Dense scoring and the maps it writes, with a detector simple enough to check by hand."""

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import scipy.ndimage
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from hsi_cd import __version__
from hsi_cd.errors import BandError, CheckpointError, OutputError
from hsi_cd.inference import classify, score_rows, score_scene
from hsi_cd.inference.mapping import MapOptions, write_maps
from hsi_cd.inference.scoring import rows_per_band
from hsi_cd.io import MapFiles, RegionChoice
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.scene import Bands, Cube, Grid, ScenePair, cube_from_array

UTM = CRS.from_epsg(32651)
PLACE = Affine(30, 0, 200000, 0, -30, 3600000)


class MeanDifference:
    """The mean absolute difference in the 5 x 5 square around a pixel."""

    radius = 2
    threshold = 0.35
    unit = "probability"

    def __init__(self, bands: int = 3) -> None:
        self.bands = Bands(bands)
        self.windows = 0

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        return score

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        self.windows += 1
        difference = np.abs(t1 - t2).mean(axis=0)
        squares = np.lib.stride_tricks.sliding_window_view(np.nan_to_num(difference), (5, 5))
        mean: NDArray[np.float32] = squares.mean(axis=(-2, -1)).astype(np.float32)
        mean[np.isnan(difference[2:-2, 2:-2])] = np.nan
        return mean

    def parameters(self) -> int:
        return 0

    def state(self) -> dict[str, Any]:
        return {}


class Breaks(MeanDifference):
    """Fails in its second window."""

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.windows:
            raise RuntimeError("out of memory")
        return super().score(t1, t2)


def random_pair(rows: int, cols: int, *, grid: Grid | None = None) -> ScenePair:
    values = np.random.default_rng(rows).random((2, 3, rows, cols), dtype=np.float32)
    values[0, 1, rows // 2, : cols // 3] = np.nan
    return ScenePair(*(cube_from_array(date, grid=grid) for date in values), name="fields")


def by_hand(pair: ScenePair) -> np.ndarray:
    t1, t2 = pair.read()
    difference = np.abs(t1 - t2).mean(axis=0)
    # SciPy calls the mirror that repeats the edge pixel "reflect".
    mean = scipy.ndimage.uniform_filter(np.nan_to_num(difference), 5, mode="reflect")
    return np.where(np.isnan(difference), np.nan, mean)


@given(rows=st.integers(1, 30), cols=st.integers(1, 12), step=st.none() | st.integers(1, 40))
def test_bands_of_any_height_make_one_map(rows: int, cols: int, step: int | None) -> None:
    pair = random_pair(rows, cols)
    found = score_scene(MeanDifference(), pair, rows=step)
    np.testing.assert_allclose(found, by_hand(pair), atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("step", [1, 7, 30])
def test_bands_come_in_order_and_without_gaps(step: int) -> None:
    nextrow = 0
    for row, scores in score_rows(MeanDifference(), random_pair(23, 6), rows=step):
        assert row == nextrow and scores.shape[1] == 6
        nextrow += len(scores)
    assert nextrow == 23


def test_the_number_of_threads_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        score_scene(MeanDifference(), random_pair(9, 9), rows=2)
        assert torch.get_num_threads() == 3
        with pytest.raises(RuntimeError):
            score_scene(Breaks(), random_pair(9, 9), rows=2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@given(bands=st.integers(1, 500), rows=st.integers(1, 10**6), cols=st.integers(1, 2000), radius=st.integers(0, 20))
def test_memory_is_bounded_whatever_the_height(bands: int, rows: int, cols: int, radius: int) -> None:
    cube = Cube("c", Grid(rows, cols), Bands(bands), np.dtype(np.float32), reader=lambda r, c: np.zeros(0))
    height = rows_per_band(ScenePair(cube, cube), radius)
    assert height >= 1
    row_bytes = 2 * 4 * bands * (cols + 2 * radius)
    assert (height + 2 * radius) * row_bytes <= max(256 << 20, (8 + 2 * radius) * row_bytes)


@given(
    bands=st.integers(1, 500),
    cols=st.integers(1, 2000),
    radius=st.integers(0, 20),
    memory=st.integers(1, 10**10),
    threads=st.integers(1, 64),
)
def test_memory_is_what_the_user_gives(bands: int, cols: int, radius: int, memory: int, threads: int) -> None:
    cube = Cube("c", Grid(10**6, cols), Bands(bands), np.dtype(np.float32), reader=lambda r, c: np.zeros(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        height = rows_per_band(ScenePair(cube, cube), radius, memory=memory)
    # Each thread scores one; one waits, and the one that is read takes twice its size.
    in_use = (threads + 3) * (height + 2 * radius) * 2 * 4 * bands * (cols + 2 * radius)
    assert height == 8 or in_use <= memory
    assert 8 <= height <= 64
    # One more row would be too much.
    assert height == 64 or in_use * (height + 1 + 2 * radius) > memory * (height + 2 * radius)


def test_without_a_word_a_quarter_of_what_is_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    cube = Cube("c", Grid(10**6, 1000), Bands(100), np.dtype(np.float32), reader=lambda r, c: np.zeros(0))
    pair = ScenePair(cube, cube)
    monkeypatch.setattr("hsi_cd.inference.scoring.free_memory", lambda: 200 << 20)
    assert rows_per_band(pair, 2) == rows_per_band(pair, 2, memory=50 << 20) < 64


def test_the_scene_is_read_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, readers = random_pair(40, 6), set()

    def read(rows: slice, cols: slice) -> NDArray[np.generic]:
        readers.add(threading.current_thread().name)
        return pair.t1.reader(rows, cols)

    score_scene(MeanDifference(), ScenePair(replace(pair.t1, reader=read), pair.t2), rows=7)
    assert readers == {"reader_0"}


def test_thresholds_count_from_themselves_and_no_data_stays() -> None:
    probability = np.array([[0.2, 0.5, 0.7, np.nan]], np.float32)
    found = classify(probability, 0.5)
    np.testing.assert_array_equal(found, [[0, 1, 1, 255]])
    assert found.dtype == np.uint8


@pytest.mark.parametrize(("threshold", "limit"), [(None, 0.35), (0.3, 0.3)])
def test_maps_are_the_scores_on_the_ground(tmp_path: Path, threshold, limit: float) -> None:
    pair = random_pair(40, 33, grid=Grid(40, 33, crs=UTM, transform=PLACE))
    paths = {"change": tmp_path / "change.tif", "score": tmp_path / "score.tif"}
    how = MapOptions(threshold=threshold, checkpoint="0123abcd")
    write_maps(MeanDifference(), pair, MapFiles(**paths), how)
    expected = score_scene(MeanDifference(), pair)
    with rasterio.open(paths["score"]) as raster:
        np.testing.assert_array_equal(raster.read(1), expected)
    with rasterio.open(paths["change"]) as raster:
        np.testing.assert_array_equal(
            raster.read(1), np.where(np.isnan(expected), 255, (expected >= limit).astype(np.uint8))
        )
    for path in paths.values():
        with rasterio.open(path) as raster:
            assert (raster.crs, raster.transform) == (UTM, PLACE)
            tags = raster.tags()
            assert tags["SOFTWARE"] == f"hsi-cd {__version__}"
            assert (tags["CHECKPOINT_SHA256"], float(tags["THRESHOLD"]), tags["SCENE"]) == (
                "0123abcd", limit, "fields"
            )  # fmt: skip


class Ensemble(MeanDifference):
    """Says that its members differ by a tenth of the score."""

    members = 2

    def score_and_uncertainty(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        score = self.score(t1, t2)
        return np.stack([score, score / 10])


def test_three_rasters_come_from_one_pass(tmp_path: Path) -> None:
    pair = random_pair(300, 8, grid=Grid(300, 8, crs=UTM, transform=PLACE))
    detector, plain = Ensemble(), MeanDifference()
    names = [tmp_path / f"{name}.tif" for name in ("change", "score", "uncertainty")]
    write_maps(detector, pair, MapFiles(*names))
    windows = detector.windows
    write_maps(plain, pair, MapFiles(tmp_path / "plain.tif", tmp_path / "plain score.tif"))
    assert windows == plain.windows > 1
    with rasterio.open(names[2]) as raster:
        assert (raster.dtypes, raster.crs, raster.transform) == (("float32",), UTM, PLACE)
        assert np.isnan(raster.nodata) and "standard deviation" in raster.descriptions[0]
        np.testing.assert_array_equal(raster.read(1), by_band(names[1]) / np.float32(10))
    np.testing.assert_array_equal(by_band(names[0]), by_band(tmp_path / "plain.tif"))
    np.testing.assert_array_equal(by_band(names[1]), by_band(tmp_path / "plain score.tif"))
    # The uncertainty alone is scored no differently.
    write_maps(detector, pair, MapFiles(tmp_path / "alone.tif", uncertainty=tmp_path / "u.tif"))
    np.testing.assert_array_equal(by_band(tmp_path / "u.tif"), by_band(names[2]))


def by_band(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read(1)


@pytest.mark.parametrize(
    ("detector", "reason"),
    [(MeanDifference(), "no ensemble"), (type("One", (Ensemble,), {"members": 1})(), "1 member")],
)
def test_what_is_no_ensemble_has_no_uncertainty(tmp_path: Path, detector: Any, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        files = MapFiles(tmp_path / "c.tif", uncertainty=tmp_path / "u.tif")
        write_maps(detector, random_pair(9, 8), files)
    assert detector.windows == 0 and not list(tmp_path.iterdir())


def test_a_place_may_come_from_elsewhere_and_the_score_is_not_forced_on_anyone(tmp_path: Path) -> None:
    grid = Grid(9, 8, crs=UTM, transform=PLACE)
    files = MapFiles(tmp_path / "change.tif")
    write_maps(MeanDifference(), random_pair(9, 8), files, MapOptions(grid=grid))
    assert {path.name for path in tmp_path.iterdir()} == {"change.tif", "change.qml", "change.tif.aux.xml"}
    with rasterio.open(tmp_path / "change.tif") as raster:
        assert (raster.crs, raster.transform) == (UTM, PLACE)


def test_a_scene_of_other_bands_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BandError, match="the checkpoint has 4 bands but the scene fields has 3"):
        write_maps(MeanDifference(bands=4), random_pair(9, 8), MapFiles(tmp_path / "change.tif"))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_map_is_kept_and_nothing_is_scored(tmp_path: Path) -> None:
    (tmp_path / "score.tif").write_bytes(b"mine")
    detector = MeanDifference()
    names = {"change": tmp_path / "change.tif", "score": tmp_path / "score.tif"}
    with pytest.raises(OutputError, match="exists"):
        write_maps(detector, random_pair(9, 8), MapFiles(**names))
    assert detector.windows == 0
    assert (tmp_path / "score.tif").read_bytes() == b"mine"
    write_maps(detector, random_pair(9, 8), MapFiles(**names, overwrite=True))
    assert sorted(path.name for path in tmp_path.glob("*.tif")) == ["change.tif", "score.tif"]
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_half_way_leaves_nothing_behind(tmp_path: Path, existing: bool) -> None:
    if existing:
        (tmp_path / "change.tif").write_bytes(b"of an earlier run")
    detector = Breaks()
    pair = random_pair(400, 8)  # more than one band of rows
    with pytest.raises(RuntimeError, match="out of memory"):
        files = MapFiles(tmp_path / "change.tif", tmp_path / "score.tif", overwrite=existing)
        write_maps(detector, pair, files)
    assert detector.windows == 1
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({"change.tif": b"of an earlier run"} if existing else {})


def test_the_dates_are_in_the_tags(tmp_path: Path) -> None:
    pair = random_pair(9, 8)
    pair = replace(pair, t1=replace(pair.t1, acquired="2004-05-01"))
    write_maps(MeanDifference(), pair, MapFiles(tmp_path / "change.tif"))
    with quiet_georeference(), rasterio.open(tmp_path / "change.tif") as file:
        assert file.tags()["T1_DATE"] == "2004-05-01"
        assert "T2_DATE" not in file.tags()


def test_a_region_over_all_row_bands_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The map is scored in bands of rows; a stripe from top to bottom is one polygon all the same."""
    rows, cols = 40, 12
    t1, t2 = np.full((2, 3, rows, cols), 5, np.float32)
    t2[:, :, 3:5] = 9
    t2[:, 20, 9] = 45  # a second region, of 5 x 5 pixels
    place = Grid(rows, cols, UTM, PLACE)
    pair = ScenePair(*(cube_from_array(values, grid=place) for values in (t1, t2)))
    monkeypatch.setattr("hsi_cd.inference.mapping.score_rows", partial(score_rows, rows=7))
    paths = {"change": tmp_path / "change.tif", "vector": tmp_path / "regions.gpkg"}
    write_maps(MeanDifference(), pair, MapFiles(**paths, regions=RegionChoice(30_000)), MapOptions(threshold=1.5))
    fields = pyogrio.raw.read(paths["vector"])[3]
    assert [field.tolist() for field in fields[:3]] == [[pytest.approx(160 * 900, rel=2e-3)], ["m2"], [160]]
    with pytest.raises(OutputError, match=r"change\.tif exists"):
        write_maps(MeanDifference(), pair, MapFiles(**(paths | {"vector": tmp_path / "again.gpkg"})))
    assert {path.name for path in tmp_path.iterdir()} == {
        "change.tif", "change.qml", "change.tif.aux.xml", "regions.gpkg", "regions.qml"
    }  # fmt: skip
