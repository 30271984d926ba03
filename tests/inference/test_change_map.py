"""A change map as a value: when it is scored, where it lies, and what is written of it."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from scipy import ndimage

import hsi_cd as hc
from hsi_cd.errors import CheckpointError, OutputError
from hsi_cd.evaluation import BIASED
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.inference.mapping import MapOptions
from hsi_cd.scene import Bands, Grid, ScenePair, Shard, cube_from_array

UTM = CRS.from_epsg(32651)
PLACE = Affine(30, 0, 200000, 0, -30, 3600000)
TURNED = Affine.translation(4e5, 5e6) @ Affine.rotation(20) @ Affine.scale(10, -10)


class Difference:
    """The mean absolute difference of a pixel, with two members that say it and half of it."""

    radius, threshold, unit, members = 0, 0.3, "probability", 2
    bands = Bands(3)

    def __init__(self) -> None:
        self.windows = 0

    def score(self, t1: np.ndarray, t2: np.ndarray) -> np.ndarray:
        self.windows += 1
        return np.abs(t1 - t2).mean(axis=0)

    def score_and_uncertainty(self, t1: np.ndarray, t2: np.ndarray) -> np.ndarray:
        score = self.score(t1, t2)
        return np.stack([score, score / 2])

    def probability(self, score: np.ndarray) -> np.ndarray:
        return np.sqrt(score)

    def parameters(self) -> int:
        return 0

    def state(self) -> dict[str, Any]:
        return {}


def scene(rows: int = 20, cols: int = 14, **place: Any) -> ScenePair:
    dates = np.random.default_rng(0).random((2, 3, rows, cols), dtype=np.float32)
    dates[0, 1, 4, 5] = np.nan
    return ScenePair(*(cube_from_array(v, grid=Grid(rows, cols, **place)) for v in dates), name="<fields>")


def test_nothing_is_scored_before_it_is_looked_at_and_nothing_twice(tmp_path: Path) -> None:
    detector = Difference()
    change = ChangeMap(detector, scene())
    assert (change.grid.shape, change.threshold) == ((20, 14), 0.3)
    assert repr(change) == "ChangeMap of <fields>: 20 x 14 pixels, threshold 0.3 (probability)"
    assert detector.windows == 0
    expected = Difference().score(*scene().read())
    np.testing.assert_allclose(change.score, expected, rtol=1e-6)
    once = detector.windows
    np.testing.assert_array_equal(change.change, np.where(np.isnan(expected), 255, change.score >= 0.3))
    np.testing.assert_array_equal(change.probability, np.sqrt(change.score))
    assert detector.windows == once > 0
    assert change.change[4, 5] == 255
    changed, known = int((change.change == 1).sum()), int((change.change != 255).sum())
    assert f", {changed} of {known} pixels ({changed / known:.2%})".replace("%)", " %)") in repr(change)
    assert "&lt;fields&gt;" in change._repr_html_() and "<fields>" not in change._repr_html_()
    assert html.escape(BIASED[1:]) in change._repr_html_()
    np.testing.assert_allclose(change.uncertainty, change.score / 2)


def test_a_threshold_and_a_shard_of_its_own() -> None:
    pair = scene(200, 9, crs=UTM, transform=PLACE)
    whole = ChangeMap(Difference(), pair)
    part = ChangeMap(Difference(), pair, MapOptions(threshold=0.5, shard=Shard(2, 3)))
    rows = Shard(2, 3).rows(200)
    assert part.grid == pair.grid.part(rows) and part.threshold == 0.5
    np.testing.assert_array_equal(part.score, whole.score[rows])
    np.testing.assert_array_equal(part.change == 1, whole.score[rows] >= 0.5)
    elsewhere = Grid(200, 9, crs=UTM, transform=TURNED)
    assert ChangeMap(Difference(), pair, MapOptions(grid=elsewhere)).grid == elsewhere


def test_what_is_no_ensemble_has_no_uncertainty() -> None:
    change = hc.detect(scene(), method="cva")
    with pytest.raises(CheckpointError, match="no ensemble"):
        change.uncertainty  # noqa: B018


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's own
@pytest.mark.parametrize("transform", [PLACE, Affine(30, 0, 200000, 0, 25, 3600000)])
def test_the_coordinates_are_those_of_rioxarray(tmp_path: Path, transform: Affine) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    change = ChangeMap(Difference(), scene(crs=UTM, transform=transform))
    change.write(tmp_path / "change.tif")
    read = rioxarray.open_rasterio(tmp_path / "change.tif")[0]
    made = change.to_xarray()
    for axis in ("x", "y"):
        np.testing.assert_allclose(made[axis].values, read[axis].values, rtol=0, atol=1e-6)
    assert made["spatial_ref"] == read["spatial_ref"] == 0
    assert made.rio.crs.to_epsg() == 32651 and read.rio.crs == made.rio.crs
    assert made.rio.transform() == read.rio.transform() == transform
    np.testing.assert_array_equal(made["change"].values, read.values)
    np.testing.assert_array_equal(made["probability"].values, change.probability)
    assert made.attrs == {"threshold": 0.3, "scene": "<fields>"}
    made["change"].rio.to_raster(tmp_path / "again.tif")
    with rasterio.open(tmp_path / "again.tif") as again:
        assert (again.crs, again.transform) == (UTM, transform)


def test_a_turned_grid_has_a_transform_and_one_without_place_has_none(tmp_path: Path) -> None:
    pytest.importorskip("rioxarray")
    turned = ChangeMap(Difference(), scene(crs=UTM, transform=TURNED)).to_xarray()
    assert "x" not in turned.coords and turned.rio.transform(recalc=False).almost_equals(TURNED)
    assert set(ChangeMap(Difference(), scene()).to_xarray().coords) == set()


def test_a_map_comes_back_as_the_scene_of_another(tmp_path: Path) -> None:
    """What to_xarray gives, open_pair takes, with its place."""
    pytest.importorskip("xarray")
    probability = ChangeMap(Difference(), scene(crs=UTM, transform=PLACE)).to_xarray()["probability"]
    array = probability.expand_dims("band").fillna(0)
    pair = hc.open_pair(array, array)
    assert (pair.grid.crs, pair.grid.transform) == (UTM, PLACE)


def test_what_is_written_is_what_is_seen_and_is_not_overwritten(tmp_path: Path) -> None:
    change = ChangeMap(Difference(), scene(crs=UTM, transform=PLACE))
    files = {name: tmp_path / f"{name}.tif" for name in ("score", "uncertainty")}
    assert change.write(str(tmp_path / "change.tif"), **files, vector=tmp_path / "regions.geojson") is change
    for name, path in {"change": tmp_path / "change.tif", **files}.items():
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(file.read(1), getattr(change, name))
    assert (tmp_path / "regions.geojson").is_file()
    with pytest.raises(OutputError, match="exists"):
        change.write(tmp_path / "change.tif")
    before = (tmp_path / "change.tif").read_bytes()
    change.write(tmp_path / "change.tif", overwrite=True)
    assert (tmp_path / "change.tif").read_bytes() == before


@pytest.mark.parametrize("cog", [False, True])
def test_the_command_line_writes_the_same_bytes(cli: Any, dates: list[str], tmp_path: Path, cog: bool) -> None:
    words = ["detect", *dates, "--method", "cva", "--output", tmp_path / "c.tif", "--score", tmp_path / "s.tif"]
    assert cli(*words, *(["--cog"] if cog else [])) == 0
    pair = hc.open_pair(dates[1], dates[3])
    hc.detect(pair, method="cva").write(tmp_path / "c2.tif", score=tmp_path / "s2.tif", cog=cog)
    for ours, theirs in (("c.tif", "c2.tif"), ("s.tif", "s2.tif")):
        assert (tmp_path / ours).read_bytes() == (tmp_path / theirs).read_bytes()


def test_areas_of_any_size_are_written_unless_a_least_one_is_asked(tmp_path: Path) -> None:
    half_a_metre = Affine(0.5, 0, 400000, 0, -0.5, 5000000)
    change = ChangeMap(Difference(), scene(crs=UTM, transform=half_a_metre))
    counts = []
    for name, least in (("all.geojson", {}), ("large.geojson", {"min_area": 1.0})):
        change.write(tmp_path / "c.tif", vector=tmp_path / name, overwrite=True, **least)
        counts.append(pyogrio.read_info(tmp_path / name)["features"])
    assert counts[0] == ndimage.label(change.change == 1)[1] > counts[1] > 0
