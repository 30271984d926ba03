"""Only an area of interest teaches, is mapped and judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
import yaml
from areas_of_interest import COLS, ROWS, TWO, bounds_of, corners, covered_by, polygons, read

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import ConfigError

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture


def train(cli: Any, simulated: PairFiles, run: Path, *more: object, method: str = "forest") -> int:
    """With few trees by default, which are fitted sooner than anything else that learns from labels."""
    named = ["--t1", simulated.t1, "--t2", simulated.t2, "--truth", simulated.truth]
    own = ["--set", "split.fraction=0.1", "--set", "options.trees=12"] if method == "forest" else []
    return int(cli("train", *named, "--method", method, "--run", run, *own, *more))


@pytest.mark.quick("scene")
@pytest.mark.parametrize("statistics", ["scene", "area"])
def test_a_run_of_an_area(
    cli: Any,
    figures: None,
    simulated: PairFiles,
    dates: list[str],
    tmp_path: Path,
    statistics: str,
    caplog: Log,
    capsys: Capture,
) -> None:
    run, area = tmp_path / "run", [*bounds_of(simulated.t1), "--statistics", statistics]
    assert train(cli, simulated, run, *area) == 0
    truth = read(simulated.truth)[0][ROWS, COLS]
    assert "labelled pixels lie outside of the area of interest" in caplog.text
    change, tags, place = read(run / "change.tif")
    assert change.shape == truth.shape and tags["AREA_STATISTICS"] == statistics
    assert place.almost_equals(read(simulated.t1)[2] @ rasterio.Affine.translation(COLS.start, ROWS.start))
    split, result = hc.open_split(run / "split.npz"), json.loads((run / "result.json").read_text())
    assert split.shape == truth.shape
    judged = ~split.train_mask()
    counts = [[int((judged & (truth == t) & (change == c)).sum()) for c in (0, 1)] for t in (0, 1)]
    told = {"tn": counts[0][0], "fp": counts[0][1], "fn": counts[1][0], "tp": counts[1][1], "unscored": 0}
    assert result["counts"] == told
    # The checkpoint maps the area so, and the whole scene as it maps the area.
    words = ["predict", "--checkpoint", run / "best.pt", *dates]
    assert cli(*words, *area, "--output", tmp_path / "p.tif") == 0
    np.testing.assert_array_equal(read(tmp_path / "p.tif")[0], change)
    assert cli(*words, "--output", tmp_path / "w.tif") == 0
    if statistics == "scene":
        np.testing.assert_array_equal(read(tmp_path / "w.tif")[0][ROWS, COLS], change)
    kept = yaml.safe_load((run / "config.yaml").read_text())["area"]
    assert kept == {
        "aoi": None,
        "bounds": list(corners(simulated.t1)),
        "bounds_crs": None,
        "statistics": statistics,
    }
    # Its settings make it again; what shows runs shows it.
    assert train(cli, simulated, tmp_path / "again", "--config", run / "config.yaml") == 0
    np.testing.assert_array_equal(read(tmp_path / "again" / "change.tif")[0], change)
    assert cli("report", run, "--output", tmp_path / "r.html") == 0
    assert cli("suggest", run, *dates, "--number", 3, "--output", tmp_path / "s.gpkg") == 0
    # Nobody is judged by what taught.
    capsys.readouterr()
    judge = ["evaluate", run / "change.tif", "--truth", simulated.truth, "--align", "--exclude", run / "split.npz"]
    assert cli(*judge, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["counts"] == told


def test_a_network_of_an_area_learns_from_its_labels_alone(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert train(cli, simulated, run, *bounds_of(simulated.t1), *cli.settings(), method="siamese") == 0
    assert read(run / "change.tif")[0].shape == (33, 24)
    assert cli("predict", "--checkpoint", run / "best.pt", *dates, "--output", tmp_path / "w.tif") == 0
    np.testing.assert_array_equal(read(tmp_path / "w.tif")[0][ROWS, COLS], read(run / "change.tif")[0])


@pytest.mark.quick("area")
@pytest.mark.parametrize("statistics", ["scene", "area"])
def test_drawn_labels_outside_of_the_area_are_left_out(
    cli: Any, simulated: PairFiles, tmp_path: Path, statistics: str, caplog: Log
) -> None:
    truth = read(simulated.truth)[0]
    rng, features = np.random.default_rng(3), []
    place = read(simulated.t1)[2]
    for code, word in ((0, "unchanged"), (1, "changed")):
        for row, col in rng.permutation(np.argwhere(truth == code))[:40]:
            x, y = place @ (float(col) + 0.5, float(row) + 0.5)
            features.append(
                (shapely.Point(x, y), word, ROWS.start <= row < ROWS.stop and COLS.start <= col < COLS.stop)
            )
    wkb = np.array([shapely.to_wkb(each[0]) for each in features], dtype=object)
    words = np.array([each[1] for each in features], dtype=object)
    with rasterio.open(simulated.t1) as file:
        crs = f"EPSG:{file.crs.to_epsg()}"
    pyogrio.raw.write(tmp_path / "l.gpkg", wkb, [words], ["class"], geometry_type="Point", crs=crs)
    named = ["--t1", simulated.t1, "--t2", simulated.t2, "--truth", tmp_path / "l.gpkg", "--method", "logistic"]
    area = [*bounds_of(simulated.t1), "--statistics", statistics]
    assert cli("train", *named, *area, "--run", tmp_path / "run") == 0
    inside = sum(each[2] for each in features)
    split = hc.open_split(tmp_path / "run" / "split.npz")
    assert split.shape == (33, 24) and len(split.train) == inside
    assert f"{80 - inside} of 80 labelled pixels lie outside of the area of interest" in caplog.text
    assert json.loads((tmp_path / "run" / "result.json").read_text())["protocol"] == "drawn"


@pytest.mark.quick("scene")
@pytest.mark.parametrize("statistics", ["scene", "area"])
def test_a_split_of_the_whole_scene_teaches_in_the_area(
    cli: Any, simulated: PairFiles, tmp_path: Path, statistics: str
) -> None:
    assert cli("split", "--truth", simulated.truth, "--output", tmp_path / "s.npz", "--fraction", "0.2") == 0
    area = [*bounds_of(simulated.t1), "--statistics", statistics, "--split", tmp_path / "s.npz"]
    named = ["--t1", simulated.t1, "--t2", simulated.t2, "--truth", simulated.truth, "--method", "logistic"]
    assert cli("train", *named, *area, "--run", tmp_path / "run") == 0
    given, kept = (hc.open_split(path) for path in (tmp_path / "s.npz", tmp_path / "run" / "split.npz"))
    np.testing.assert_array_equal(kept.train_mask(), given.train_mask()[ROWS, COLS])
    # What a run of the area kept teaches again in it.
    again = [*area[:-1], tmp_path / "run" / "split.npz"]
    assert cli("train", *named, *again, "--run", tmp_path / "again") == 0
    np.testing.assert_array_equal(
        read(tmp_path / "again" / "change.tif")[0], read(tmp_path / "run" / "change.tif")[0]
    )


def test_a_split_of_the_whole_scene_teaches_inside_of_polygons(
    cli: Any, simulated: PairFiles, tmp_path: Path
) -> None:
    assert cli("split", "--truth", simulated.truth, "--output", tmp_path / "s.npz", "--fraction", "0.2") == 0
    area = ["--aoi", polygons(tmp_path / "two.gpkg", simulated.t1, *TWO), "--split", tmp_path / "s.npz"]
    named = ["--t1", simulated.t1, "--t2", simulated.t2, "--truth", simulated.truth, "--method", "logistic"]
    assert cli("train", *named, *area, "--run", tmp_path / "run") == 0
    given, kept = (hc.open_split(path) for path in (tmp_path / "s.npz", tmp_path / "run" / "split.npz"))
    inside = covered_by(TWO, given.shape)
    assert len(kept.train) < len(given.train)
    np.testing.assert_array_equal(kept.on(given.shape).train_mask(), given.train_mask() & inside)


@pytest.mark.parametrize("statistics", ["scene", "area"])
@pytest.mark.quick("area")
def test_the_whole_map_is_judged_without_what_taught_in_an_area(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, statistics: str, capsys: Capture
) -> None:
    run, area = tmp_path / "run", [*bounds_of(simulated.t1), "--statistics", statistics]
    assert train(cli, simulated, run, *area) == 0
    assert cli("predict", "--checkpoint", run / "best.pt", *dates, "--output", tmp_path / "w.tif") == 0
    change, truth = read(tmp_path / "w.tif")[0], read(simulated.truth)[0]
    split = hc.open_split(run / "split.npz")
    free = np.ones(truth.shape, dtype=bool)
    free[ROWS, COLS] = ~split.train_mask()
    judge = ["evaluate", tmp_path / "w.tif", "--truth", simulated.truth, "--exclude", run / "split.npz"]
    for rows, cols in ((slice(0, 48), slice(0, 40)), (ROWS, COLS), (slice(10, 43), slice(2, 26))):
        capsys.readouterr()
        assert cli(*judge, *bounds_of(simulated.t1, rows, cols), "--json", "-") == 0
        told = json.loads(capsys.readouterr().out)
        inside = np.zeros(truth.shape, dtype=bool)
        inside[rows, cols] = True
        counts = {
            name: int((inside & free & (truth == t) & (change == c)).sum())
            for name, t, c in (("tn", 0, 0), ("fp", 0, 1), ("fn", 1, 0), ("tp", 1, 1))
        }
        assert told["counts"] == counts | {"unscored": 0} and told["protocol"] == "P1"
    assert (
        hc.evaluate(tmp_path / "w.tif", simulated.truth, exclude=split).counts
        == hc.evaluate(tmp_path / "w.tif", simulated.truth, exclude=split.on(truth.shape)).counts
    )
    # The same pixels teach in the whole scene.
    assert train(cli, simulated, tmp_path / "again", "--split", run / "split.npz") == 0
    kept = hc.open_split(tmp_path / "again" / "split.npz")
    np.testing.assert_array_equal(kept.train_mask()[ROWS, COLS], split.train_mask())
    assert len(kept.train) == len(split.train)


def test_to_resume_with_another_area_is_refused(
    cli: Any, simulated: PairFiles, tmp_path: Path, capsys: Capture
) -> None:
    run, area = tmp_path / "run", polygons(tmp_path / "a.gpkg", simulated.t1, shapely.box(5, 5, 35, 40))
    assert train(cli, simulated, run, "--aoi", area) == 0
    (run / "result.json").unlink()
    capsys.readouterr()
    for other, said in (
        ([], f"aoi: {area} then, aoi: null now"),
        (["--aoi", area, "--statistics", "area"], "statistics: scene then, statistics: area now"),
    ):
        assert train(cli, simulated, run, *other, "--resume") == 2
        err = capsys.readouterr().err
        assert said in err and "resume with the same options" in err and err.count("\n") == 1
    assert train(cli, simulated, run, "--aoi", area, "--resume") == 0
    (run / "result.json").unlink()
    area.unlink()
    polygons(area, simulated.t1, shapely.box(5, 5, 35, 41))
    assert train(cli, simulated, run, "--aoi", area, "--resume") == 2
    assert f"{area} has another content" in capsys.readouterr().err


def test_a_map_is_judged_in_an_area(
    cli: Any, simulated: PairFiles, whole_map: Path, tmp_path: Path, capsys: Capture
) -> None:
    area = polygons(tmp_path / "a.gpkg", simulated.t1, *TWO, crs=3857)
    change, truth = read(whole_map / "change.tif")[0], read(simulated.truth)[0]
    capsys.readouterr()
    assert cli("evaluate", whole_map / "change.tif", "--truth", simulated.truth, "--aoi", area, "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)
    inside = covered_by(TWO, truth.shape)
    counts = {
        name: int((inside & (truth == t) & (change == c)).sum())
        for name, t, c in (("tn", 0, 0), ("fp", 0, 1), ("fn", 1, 0), ("tp", 1, 1))
    }
    assert found["counts"] == counts | {"unscored": 0} and found["details"]["area_of_interest"] == str(area)
    same = hc.evaluate(whole_map / "change.tif", simulated.truth, aoi=area)
    assert same.scores["kappa"] == found["scores"]["kappa"]


def test_in_python(simulated: PairFiles) -> None:
    pair = hc.open_pair(simulated.t1, simulated.t2, bounds=corners(simulated.t1))
    expected = hc.detect(hc.open_pair(simulated.t1, simulated.t2))
    found = hc.detect(pair)
    np.testing.assert_array_equal(found.change, expected.change[ROWS, COLS])
    assert found.grid.shape == found.score.shape == (33, 24) and found.grid == pair.map_grid()
    truth = hc.open_labels(simulated.truth)
    scores = hc.evaluate(expected, truth, bounds=corners(simulated.t1)).scores
    assert hc.evaluate(found, truth).scores["kappa"] == scores["kappa"]
    fitted = hc.Logistic(settings={"split.fraction": 0.1}).fit(pair, truth)
    assert fitted.split_ is not None and fitted.split_.shape == (33, 24)
    result = hc.evaluate(fitted.predict(pair), truth, exclude=fitted.split_)
    assert result.test is not None
    with pytest.raises(
        ConfigError, match=r"settings of area are 0.0,.* was opened with .*: open it with the same aoi="
    ):
        hc.Logistic(settings={"area.bounds": [0, 0, 1, 1]}).fit(pair, truth)
    places = hc.suggest(found, 3, labels=hc.Labels(np.where(np.eye(48, 40), 0, 255).astype(np.uint8)))
    assert len(places) == 3
