"""Only an area of interest is mapped, as in the whole scene or as if the scene were cut to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import deliveries
import numpy as np
import pyogrio.raw
import pyproj
import pytest
import rasterio
import shapely
from areas_of_interest import COLS, ROWS, TWO, bounds_of, corners, covered_by, polygons, read
from rasterio.windows import Window

import hsi_cd as hc
from hsi_cd.cli.remedies import in_options
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import ConfigError
from hsi_cd.scene import Cube

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture


# --- The map ---


def test_the_map_of_polygons_is_the_whole_map_inside_and_nothing_outside(
    cli: Any, simulated: PairFiles, dates: list[str], whole_map: Path, tmp_path: Path, capsys: Capture
) -> None:
    area = polygons(tmp_path / "two parts.gpkg", simulated.t1, *TWO, crs=4326)
    names = {name: tmp_path / f"{name}.tif" for name in ("output", "score")} | {"vector": tmp_path / "v.gpkg"}
    files = [word for name, path in names.items() for word in (f"--{name}", path)]
    capsys.readouterr()
    assert cli("detect", *dates, "--aoi", area, *files, "--json") == 0
    told = json.loads(capsys.readouterr().out)["area of interest"]
    change, tags, place = read(names["output"])
    score, _, _ = read(names["score"])
    expected, _, own = read(whole_map / "change.tif")
    scores, _, _ = read(whole_map / "score.tif")
    inside = covered_by(TWO, expected.shape)
    down, across = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    window = np.s_[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    np.testing.assert_array_equal(change, np.where(inside, expected, 255)[window])
    np.testing.assert_array_equal(score, np.where(inside, scores, np.nan)[window])
    assert place.almost_equals(own @ rasterio.Affine.translation(across[0], down[0]))
    assert (tags["AREA_OF_INTEREST"], tags["AREA_STATISTICS"]) == (str(area), "scene")
    assert told.startswith(f"{inside.sum():,} pixels in rows {down[0]} to {down[-1]} and columns {across[0]} to")
    # Regions are those of the map, where they lie.
    _, _, wkb, _ = pyogrio.raw.read(names["vector"])
    found = shapely.union_all(shapely.from_wkb(wkb))
    row, col = np.mgrid[: change.shape[0], : change.shape[1]] + 0.5
    np.testing.assert_array_equal(shapely.contains_xy(found, *(place @ (col, row))), change == 1)


@pytest.mark.parametrize("method", ["auto", "cva"])
@pytest.mark.quick("cva")
def test_with_its_own_statistics_a_scene_is_as_if_cut(
    cli: Any, simulated: PairFiles, dates: list[str], whole_map: Path, tmp_path: Path, method: str
) -> None:
    options = ["--method", method]
    cut = []
    for name, path in (("t1", simulated.t1), ("t2", simulated.t2)):
        window = Window(COLS.start, ROWS.start, COLS.stop - COLS.start, ROWS.stop - ROWS.start)
        with rasterio.open(path) as file:
            profile = file.profile | {"height": window.height, "width": window.width}
            profile |= {
                "transform": file.transform @ rasterio.Affine.translation(COLS.start, ROWS.start),
                "blockxsize": 16,
                "blockysize": 16,
            }
            with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as out:
                out.write(file.read(window=window))
                for band in file.indexes:
                    out.update_tags(band, **file.tags(band))
                out.update_tags(**file.tags())
        cut += [f"--{name}", str(tmp_path / f"{name}.tif")]
    assert cli("detect", *cut, *options, "--output", tmp_path / "cut.tif", "--score", tmp_path / "cs.tif") == 0
    area = [*bounds_of(simulated.t1), "--statistics", "area"]
    files = ["--output", tmp_path / "a.tif", "--score", tmp_path / "as.tif"]
    assert cli("detect", *dates, *options, *area, *files) == 0
    for mine, other in (("a", "cut"), ("as", "cs")):
        values, tags, place = read(tmp_path / f"{mine}.tif")
        expected, _, own = read(tmp_path / f"{other}.tif")
        np.testing.assert_array_equal(values, expected)
        assert place.almost_equals(own) and tags["AREA_STATISTICS"] == "area"
    if method == "auto":  # which is another answer than the scene's
        assert (read(tmp_path / "as.tif")[0] != read(whole_map / "score.tif")[0][ROWS, COLS]).any()


def test_what_is_read(
    cli: Any,
    simulated: PairFiles,
    dates: list[str],
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To map with a checkpoint reads the area and what surrounds it; to measure reads the scene."""
    pixels = []
    plain = Cube.read

    def counting(cube: Cube, *window: slice | None) -> Any:
        values = plain(cube, *window)
        pixels.append(values.shape[1] * values.shape[2])
        return values

    monkeypatch.setattr(Cube, "read", counting)
    area = bounds_of(simulated.t1, slice(20, 24), slice(18, 21))
    predict = ["predict", "--checkpoint", trained / "best.pt", *dates, *area]
    assert cli(*predict, "--output", tmp_path / "p.tif") == 0
    radius = hc.load(trained / "best.pt").detector_.radius
    assert sum(pixels) == 2 * (4 + 2 * radius) * (3 + 2 * radius) < 2 * 48 * 40
    pixels.clear()
    assert cli(*predict, "--output", tmp_path / "own.tif", "--statistics", "area") == 0
    assert sum(pixels) == 2 * 4 * 3
    pixels.clear()
    assert cli("detect", *dates, "--method", "cva", *area, "--output", tmp_path / "d.tif") == 0
    own = sum(pixels)
    pixels.clear()
    assert cli("detect", *dates, "--method", "cva", "--output", tmp_path / "w.tif") == 0
    assert own == sum(pixels) - 2 * 48 * 40 + 2 * 4 * 3  # its radius is 0


def test_to_predict_in_an_area_is_to_predict(
    cli: Any, simulated: PairFiles, dates: list[str], trained: Path, tmp_path: Path
) -> None:
    names = {name: tmp_path / f"{name}.tif" for name in ("output", "score", "uncertainty")}
    words = ["predict", "--checkpoint", trained / "best.pt", *dates]
    assert cli(*words, *(word for name, path in names.items() for word in (f"--{name}", path))) == 0
    expected = {name: read(path)[0] for name, path in names.items()}
    area = polygons(tmp_path / "a.gpkg", simulated.t1, *TWO)
    files = [word for name, path in names.items() for word in (f"--{name}", path)]
    assert cli(*words, "--aoi", area, *files, "--overwrite") == 0
    inside = covered_by(TWO, (48, 40))
    down, across = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    window = np.s_[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    for name, path in names.items():
        nothing = 255 if name == "output" else np.nan
        np.testing.assert_array_equal(read(path)[0], np.where(inside, expected[name], nothing)[window])
    refit = ["--refit-statistics", "--overwrite", "--score", names["score"], "--output", names["output"]]
    assert cli(*words, *refit) == 0
    anew = read(names["score"])[0]
    assert cli(*words, *refit, *bounds_of(simulated.t1)) == 0
    np.testing.assert_array_equal(read(names["score"])[0], anew[ROWS, COLS])


# --- What is there besides: products, registration, masks, info ---


def test_two_products_and_their_masks(cli: Any, tmp_path: Path) -> None:
    first, second = (deliveries.enmap(tmp_path, date) for date in (1, 2))
    named = ["--t1", first, "--t2", second]
    assert cli("detect", *named, "--output", tmp_path / "w.tif") == 0
    whole, _, _ = read(tmp_path / "w.tif")
    area = [*bounds_of(tmp_path / "w.tif", slice(2, 33), slice(10, 46)), "--mask", "auto"]
    assert cli("detect", *named, *area, "--output", tmp_path / "a.tif") == 0
    found, tags, _ = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, whole[2:33, 10:46])
    assert tags["MASK"] == "auto" and (found == 255).any() and (found == 1).any()


def test_dates_that_are_registered(cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    moved = tmp_path / "moved.tif"
    with rasterio.open(simulated.t2) as file, rasterio.open(moved, "w", **file.profile) as out:
        out.write(np.roll(file.read(), 2, axis=2))
    named = ["detect", "--t1", simulated.t1, "--t2", moved, "--register"]
    assert cli(*named, "--like", simulated.t1, "--output", tmp_path / "w.tif") == 0
    assert cli(*named, *bounds_of(simulated.t1), "--output", tmp_path / "a.tif") == 0
    (whole, tags, _), (found, own, _) = read(tmp_path / "w.tif"), read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, whole[ROWS, COLS])
    assert tags["REGISTERED"] == own["REGISTERED"]


def test_info_looks_at_the_area(
    cli: Any, simulated: PairFiles, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    area = polygons(tmp_path / "a.gpkg", simulated.t1, *TWO)
    assert cli("info", simulated.t1, simulated.t2, "--aoi", area, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    image = found["files"][0]["images"][0]
    inside = covered_by(TWO, (48, 40))
    down, across = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert (image["rows"], image["cols"]) == (down[-1] + 1 - down[0], across[-1] + 1 - across[0])
    pair = hc.open_pair(simulated.t1, simulated.t2)
    assert image["high"] == pytest.approx(float(pair.t1.read()[:, inside].max()))
    assert image["low"] == pytest.approx(float(pair.t1.read()[:, inside].min()))
    assert found["pair"]["verdict"] == "fits"
    assert found["next"]["command"][-4:-2] == ["--aoi", str(area)]
    assert cli(*found["next"]["command"][1:]) == 0
    assert read(tmp_path / "change.tif")[1]["AREA_OF_INTEREST"] == str(area)


# --- What is refused ---


def test_what_is_refused(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, capsys: Capture
) -> None:
    area = polygons(tmp_path / "a.gpkg", simulated.t1, *TWO)
    far = polygons(tmp_path / "far.gpkg", simulated.t1, shapely.box(5000, 0, 5010, 10))
    empty = tmp_path / "empty.gpkg"
    pyogrio.raw.write(empty, np.array([], dtype=object), [], [], geometry_type="Polygon", crs="EPSG:4326")
    with rasterio.open(simulated.t1) as file:
        to_degrees = pyproj.Transformer.from_crs(file.crs.to_epsg(), 4326, always_xy=True)
    degrees = "--bounds=" + ",".join(map(repr, to_degrees.transform_bounds(*corners(simulated.t1))))
    out = tmp_path / "change.tif"
    for words, said in (
        (["--aoi", far], "far.gpkg) lies outside of the scene: their middles lie"),
        (["--aoi", empty], "is empty: it holds no shape; draw polygons around it"),
        (["--aoi", simulated.truth], "is no file of polygons"),
        (["--aoi", tmp_path / "none.gpkg"], "none.gpkg"),
        (["--aoi", area, "--bounds=0,0,1,1"], "--aoi and --bounds both say which area"),
        (["--bounds=0,0,1"], "bounds are '0,0,1', no four finite numbers: give them as minx,miny,maxx,maxy"),
        (["--bounds=0,0,1,b"], "no four finite numbers"),
        (["--bounds=0,0,1,nan"], "no four finite numbers"),
        (["--bounds=5,0,1,9"], "whose min x (5) is not below the max x (1)"),
        (["--bounds=2600100.5,0,2600100.25,9"], "whose min x (2600100.5) is not below the max x (2600100.25)"),
        (["--bounds=0,9,1,9"], "whose min y (9) is not below the max y (9)"),
        ([degrees], "look like degrees"),
        (["--bounds=0,0,1,1", "--bounds-crs", "EPSG:abc"], "no CRS that is known"),
        (["--bounds-crs", "EPSG:4326"], "which are not given: give --bounds, too"),
        (["--statistics", "area"], "none is named: give --aoi or --bounds, too"),
    ):
        capsys.readouterr()
        assert cli("detect", *dates, *words, "--output", out) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1 and not out.exists(), (words, err)
    # The remedy that is told is typed.
    capsys.readouterr()
    cli("detect", *dates, degrees, "--output", out)
    remedy = capsys.readouterr().err.strip().rpartition("say ")[2].split()
    assert remedy == ["--bounds-crs", "EPSG:4326"]
    assert cli("detect", *dates, degrees, *remedy, "--output", out) == 0
    assert (read(out)[0] != 255).any()


def test_a_scene_without_a_place_has_no_area(
    cli: Any, tmp_path: Path, simulated: PairFiles, capsys: Capture
) -> None:
    area = polygons(tmp_path / "a.gpkg", simulated.t1, *TWO)
    for name, path in (("t1", simulated.t1), ("t2", simulated.t2)):
        with rasterio.open(path) as file:
            np.save(tmp_path / f"{name}.npy", file.read())
    named = ["detect", "--t1", tmp_path / "t1.npy", "--t2", tmp_path / "t2.npy", "--axes", "bands,rows,cols"]
    for words, said in (
        (
            ["--aoi", area],
            "but the scene has no CRS and transform by which to find it there: georeference it first",
        ),
        (["--bounds=0,0,9,9"], "cannot be found: the scene has no CRS and transform; georeference it first"),
    ):
        assert cli(*named, *words, "--output", tmp_path / "c.tif") == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1 and not (tmp_path / "c.tif").exists()
    # Where it lies, another raster of its pixels says.
    assert cli(*named, "--like", simulated.t1, "--aoi", area, "--output", tmp_path / "c.tif") == 0
    assert cli(*named, "--like", simulated.t1, "--output", tmp_path / "w.tif") == 0
    change, _, place = read(tmp_path / "c.tif")
    inside = covered_by(TWO, (48, 40))
    down, across = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    window = np.s_[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    np.testing.assert_array_equal(change, np.where(inside, read(tmp_path / "w.tif")[0], 255)[window])
    assert place.almost_equals(read(simulated.t1)[2] @ rasterio.Affine.translation(across[0], down[0]))


def test_an_area_that_cannot_be_used(
    cli: Any, simulated: PairFiles, dates: list[str], trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    area = polygons(tmp_path / "a.gpkg", simulated.t1, *TWO)
    predict = ["predict", "--checkpoint", trained / "best.pt", *dates, "--aoi", area]
    assert cli(*predict, "--shard", "1/2", "--output", tmp_path / "c.tif") == 2
    assert "--shard is for the whole scene: leave --aoi and --bounds out" in capsys.readouterr().err
    assert cli("detect", *dates, "--aoi", area, "--output", area, "--overwrite") == 2
    assert "a.gpkg" in capsys.readouterr().err and pyogrio.read_info(area)["features"] == 2
    unlabelled = tmp_path / "u.tif"
    with rasterio.open(simulated.truth) as file, rasterio.open(unlabelled, "w", **file.profile) as out:
        values = file.read()
        values[:, ROWS, COLS] = 255
        out.write(values)
    named = ["train", *dates, "--truth", unlabelled, "--method", "logistic", "--run", tmp_path / "run"]
    assert cli(*named, *bounds_of(simulated.t1)) == 2
    err = capsys.readouterr().err
    assert "labelled pixels of u.tif lies in the area of interest" in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert cli("evaluate", simulated.truth, "--truth", unlabelled, *bounds_of(simulated.t1)) == 2
    assert "no labelled pixel of u.tif lies in the area of interest" in capsys.readouterr().err


def test_the_library_says_it_in_its_own_words() -> None:
    with pytest.raises(ConfigError, match="bounds_crs= is the CRS of bounds") as caught:
        hc.open_pair(np.zeros((2, 9, 9)), np.ones((2, 9, 9)), bounds_crs="EPSG:4326")
    assert in_options(str(caught.value)).startswith("--bounds-crs is the CRS of bounds")
