"""hsi-cd suggest: where to draw next."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import rasterio.features
import scipy.ndimage
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

import hsi_cd as hc
from hsi_cd.api.foreign_maps import ForeignMap, import_map
from hsi_cd.io.maps import SCORE_UNIT
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.runs import Overview

Capture = pytest.CaptureFixture[str]
PLACE = Affine(10, 0, 500000, 0, -10, 4000000)
ROWS, COLS = 80, 90
NODATA = (slice(0, ROWS), slice(80, COLS))
UNSURE = {  # fields whose probability is near .5, with how they look at date 2
    "grass": (slice(5, 25), slice(5, 30), (200, 40, 40)),
    "roof": (slice(50, 75), slice(10, 30), (90, 90, 200)),
    "water": (slice(30, 60), slice(45, 70), (10, 20, 30)),
}


def make_run(
    folder: Path, *, placed: bool = True, pictures: bool = True, whole: bool = False, split: hc.Split | None = None
) -> Path:
    """A run as it might have ended: certain but in three fields, of which the first is labelled in part."""
    rng = np.random.default_rng(0)
    probability = rng.uniform(0, 0.05, (ROWS, COLS)).astype(np.float32)
    t1 = np.full((ROWS, COLS, 3), 120, dtype=np.uint8)
    t2 = t1.copy()
    for rows, cols, colour in UNSURE.values():
        probability[rows, cols] = rng.uniform(0.35, 0.65, probability[rows, cols].shape)
        t2[rows, cols] = colour
    probability[NODATA] = np.nan
    truth = np.full((ROWS, COLS), 0 if whole else 255, dtype=np.uint8)
    truth[8:14, 8:14], truth[60:66, 60:66] = 1, 0
    truth[60:62, 76:79] = 1
    change = np.where(np.isnan(probability), 255, probability > 0.5).astype(np.uint8)
    grid = hc.Grid(ROWS, COLS, CRS.from_epsg(32633), PLACE) if placed else hc.Grid(ROWS, COLS)
    overview = Overview(t1, t2, truth) if pictures else None
    import_map(
        ForeignMap(change, grid, folder.name, probability), hc.Labels(truth, name="<b>field"), folder=folder,
        overview=overview, split=split,
    )  # fmt: skip
    with quiet_georeference(), rasterio.open(folder / "score.tif", "r+") as file:
        file.update_tags(**{SCORE_UNIT: "probability"})
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("suggest") / "run")


def read(folder: Path, name: str) -> NDArray[Any]:
    with quiet_georeference(), rasterio.open(folder / name) as file:
        values: NDArray[Any] = file.read(1)
    return values


def test_places_are_uncertain_apart_unlabelled_and_have_data(cli: Any, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "next.gpkg"
    assert cli("suggest", run, "--number", 9, "--seed", 2, "--output", out) == 0
    assert pyogrio.list_layers(out).tolist()[0] == ["suggested_places", "Polygon"]
    meta, _, geometry, fields = pyogrio.raw.read(out)
    named = dict(zip(meta["fields"], fields, strict=True))
    assert [value is None for value in named["class"]] == [True] * 9
    assert list(named["shape"]) == list(range(1, 10))
    assert CRS.from_user_input(meta["crs"]) == CRS.from_epsg(32633)
    shapes = list(zip(shapely.from_wkb(geometry), named["shape"], strict=True))
    numbers = rasterio.features.rasterize(shapes, (ROWS, COLS), transform=PLACE, dtype="int32")
    probability = read(run, "score.tif")
    unsure = np.zeros((ROWS, COLS), dtype=bool)
    for rows, cols, _ in UNSURE.values():
        unsure[rows, cols] = True
    with np.load(run / "overview.npz") as content:
        labelled = content["truth"] != 255
    middles = []
    for number in range(1, 10):
        own = numbers == number
        assert own.sum() == 9 and unsure[own].sum() >= 4  # most of it
        assert not labelled[own].any() and np.isfinite(probability[own]).all()
        assert named["probability"][number - 1] == pytest.approx(float(probability[own].mean()), abs=1e-3)
        middles.append(scipy.ndimage.center_of_mass(own))
    apart = np.linalg.norm(np.array(middles)[:, None] - np.array(middles)[None], axis=-1)
    assert apart[~np.eye(9, dtype=bool)].min() >= 6
    looks = {name for name, (rows, cols, _) in UNSURE.items() if numbers[rows, cols].any()}
    assert looks == set(UNSURE)  # unlike each other: none of the fields alone


def test_the_field_that_no_label_knows_comes_first(run: Path) -> None:
    """The labelled field is as uncertain as the others, but looks like what is known."""
    first = []
    for seed in range(10):
        places = hc.suggest(run, 2, seed=seed).places
        first += list(zip(places.rows, places.cols, strict=True))
    rows, cols, _ = UNSURE["grass"]
    inside = [rows.start <= row < rows.stop and cols.start <= col < cols.stop for row, col in first]
    assert np.mean(inside) < 0.15  # a third of all that is unsure


def test_the_same_seed_suggests_the_same(cli: Any, run: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.geojson" for name in "abc"]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        words = ["--kind", "points", "--number", 5, "--seed", seed, "--output", file]
        assert cli("suggest", run, *words) == 0
    first, again, other = (file.read_bytes() for file in files)
    assert first == again != other
    kinds = {each["geometry"]["type"] for each in json.loads(first)["features"]}
    assert kinds == {"Point"}


def test_the_page_shows_both_dates_of_each_place_and_needs_nothing_else(
    cli: Any, run: Path, tmp_path: Path, capsys: Capture
) -> None:
    page = tmp_path / "next.html"
    words = ["--number", 3, "--output", tmp_path / "next.gpkg", "--html", page, "--json"]
    assert cli("suggest", run, *words) == 0
    told = json.loads(capsys.readouterr().out)
    text = page.read_text()
    assert text.count("<img") == 6 and text.count('src="data:image/png;base64,') == 6
    assert not re.search(r"https?://|<script|<b>field", text) and "&lt;b&gt;field" in text
    for place in told["places"]:
        assert f"row {place['row']}, column {place['col']}" in text
        assert f"probability of change {place['probability']:.2f}" in text
    assert len(told["places"]) == 3


def test_dates_compare_places_by_all_bands(run: Path) -> None:
    """Two fields whose pictures are alike differ in a band that no picture shows."""
    rng = np.random.default_rng(1)
    t1 = rng.normal(100, 1, (5, ROWS, COLS)).astype(np.float32)
    t2 = t1 + rng.normal(0, 1, t1.shape).astype(np.float32)
    rows, cols, _ = UNSURE["water"]
    t2[4, rows, cols] += 200
    pair = hc.open_pair(t1, t2)
    first = [hc.suggest(run, 1, pair=pair, seed=seed).places for seed in range(4)]
    hits = [rows.start <= p.rows[0] < rows.stop and cols.start <= p.cols[0] < cols.stop for p in first]
    assert np.mean(hits) >= 0.75
    with pytest.raises(hc.errors.GridError, match="give the two dates of this run"):
        hc.suggest(run, 1, pair=hc.open_pair(t1[:, 1:], t2[:, 1:]))


def test_dates_of_another_scene_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of the same grid, as those of another year; a run keeps a digest of what it was trained on."""
    folder = make_run(tmp_path / "run")
    t1 = np.random.default_rng(1).normal(100, 1, (5, ROWS, COLS)).astype(np.float32)
    pair, other = hc.open_pair(t1, t1 + 1), hc.open_pair(t1, t1 + 2, name="later")
    record = folder / "provenance.json"
    content = json.loads(record.read_text())
    content["sessions"][-1]["pixels"] = pair.fingerprint()
    record.write_text(json.dumps(content))
    hc.suggest(folder, 1, pair=pair)
    assert "other pixels" not in caplog.text
    hc.suggest(folder, 1, pair=other)
    assert "later holds other pixels than the dates of" in caplog.text
    record.unlink()
    hc.suggest(folder, 1, pair=other)  # nothing says which they were
    assert caplog.text.count("other pixels") == 1


def test_where_all_of_the_scene_has_labels_pixels_that_taught_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taught = np.zeros((ROWS, COLS), dtype=bool)
    taught[:40], taught[:, 80:] = True, False
    split = hc.Split("P2", 0, taught.shape, np.flatnonzero(taught))
    places = hc.suggest(make_run(tmp_path / "whole", whole=True, split=split), 5).places
    assert (places.rows > 40).all()
    assert "all pixels with data have labels" in caplog.text
    with pytest.raises(hc.errors.LabelError, match="labelled already: there is nothing to suggest"):
        hc.suggest(make_run(tmp_path / "judged", whole=True), 5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--number", "650"], "650 places are asked for, but only "),
        (["--number", "9000"], "but the scene has room for "),
        (["--number", "0"], "--number"),
        (["--output", "there.gpkg"], "there.gpkg exists: pass --overwrite"),
        (["--output", "next.shp"], "next.shp is neither a GeoPackage nor GeoJSON"),
        (["--html", "next.png"], "next.png is to be HTML"),
        (["--html", "next.gpkg"], "are both next.gpkg"),
        (["--t1", "t1.tif"], "--t2 is missing"),
    ],
)
def test_bad_input_is_one_line(
    cli: Any,
    run: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.gpkg").write_text("mine")
    assert cli("suggest", run, "--output", "next.gpkg", *words) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.gpkg"]


def test_a_run_that_is_none_has_not_ended_or_lies_nowhere_is_told(
    cli: Any, run: Path, tmp_path: Path, capsys: Capture
) -> None:
    def complaint(folder: Path, *words: object) -> str:
        assert cli("suggest", folder, "--number", 2, "--output", tmp_path / "next.gpkg", *words) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    assert "there is no run folder" in complaint(tmp_path / "none")
    (tmp_path / "begun").mkdir()
    assert "the run has not ended" in complaint(tmp_path / "begun")
    assert "holds no overview.npz" in complaint(make_run(tmp_path / "bare", pictures=False))
    nowhere = make_run(tmp_path / "two" / "nowhere", placed=False)
    assert "so its shapes have no coordinates" in (said := complaint(nowhere))
    assert "--like" in said
    out = tmp_path / "placed.gpkg"
    assert cli("suggest", nowhere, "--number", 2, "--like", run / "change.tif", "--output", out) == 0
    assert out.is_file()
    make_run(tmp_path / "two" / "other")
    assert "holds 2 runs (nowhere, other): name one" in complaint(tmp_path / "two")
