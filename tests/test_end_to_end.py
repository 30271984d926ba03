"""What the README promises, through the real command line; and the real scenes, where they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import sklearn.metrics

from hsi_cd.io import COLOURS
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.io.split_files import read_split


def read_band(path: Path) -> np.ndarray:
    with quiet_georeference(), rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize("apart", [["train"], ["all"]], ids=["quick", "all"])
@pytest.mark.slow
def test_simulate_train_predict_evaluate(
    cli: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], apart: list[str]
) -> None:
    """Four processes, or one beside this one, each with nothing but the files of the ones before."""

    def hsi_cd(*words: object) -> str:
        if words[0] not in apart and apart != ["all"]:
            capsys.readouterr()
            assert cli(*words) == 0
            said = capsys.readouterr()
            assert said.err == ""
            return said.out
        done = cli.process(*words)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    scene, run, change = tmp_path / "scene", tmp_path / "run", tmp_path / "change.tif"
    out = hsi_cd("simulate", scene, "--rows", 64, "--cols", 64, "--bands", 30, "--shift", 0.2)
    assert f"hsi-cd train --t1 {scene}/t1.tif --t2 {scene}/t2.tif --truth {scene}/truth.tif" in out
    dates = ["--t1", scene / "t1.tif", "--t2", scene / "t2.tif"]
    learning = cli.settings(train__epochs=60, train__max_steps=200, train__validate_every=20)
    out = hsi_cd("train", *dates, "--truth", scene / "truth.tif", "--run", run, *learning)
    assert f"{run} holds change.tif" in out and f"hsi-cd predict --checkpoint {run}/best.pt" in out
    shutil.move(scene / "truth.tif", tmp_path / "hidden.tif")
    hsi_cd("predict", "--checkpoint", run / "best.pt", *dates, "--output", change)
    np.testing.assert_array_equal(read_band(change), read_band(run / "change.tif"))
    words = ["--truth", tmp_path / "hidden.tif", "--exclude", run / "split.npz"]
    table = hsi_cd("evaluate", change, *words, "--json", tmp_path / "scores.json")
    scores, result = (json.loads(p.read_text()) for p in (tmp_path / "scores.json", run / "result.json"))
    assert scores["counts"] == result["counts"] and "held-out" in table
    # Not a benchmark, but no chance either: it has learned.
    assert scores["scores"]["kappa"] > 0.5


@pytest.fixture(scope="module", params=["forest", pytest.param("siamese", marks=pytest.mark.slow)])
def taizhou(cli: Any, shared: Path, tmp_path_factory: pytest.TempPathFactory, request: Any) -> Path:
    """A short run on the real ENVI pair with its sparse truth."""
    folder = tmp_path_factory.mktemp("taizhou") / "run"
    short = ["--set", "split.fraction=0.01", "--set", "options.trees=12"]
    if request.param == "siamese":
        short = cli.settings(split__fraction=0.01, train__map_every=0)
    words = ["--dataset", "Taizhou", "--data-root", shared / "scenes", "--method", request.param]
    assert cli("train", *words, "--run", folder, *short) == 0
    return folder


def test_taizhou_counts_and_scores(taizhou: Path) -> None:
    result = json.loads((taizhou / "result.json").read_text())
    assert (result["dataset"], result["protocol"], result["scope"]) == ("taizhou", "P1", "held-out")
    assert result["train"] == {"unchanged": 171, "changed": 42}
    assert result["test"] == {"unchanged": 17_163 - 171, "changed": 4_227 - 42}
    assert result["counts"]["unscored"] == 0


def test_taizhou_lies_in_its_utm_zone_and_has_colours(taizhou: Path, shared: Path) -> None:
    source = shared / "scenes" / "taizhou" / "2000TM"
    with rasterio.open(source) as scene, rasterio.open(taizhou / "change.tif") as change:
        assert change.crs == scene.crs and change.transform == scene.transform
        assert change.crs.to_epsg() == 32651 or ("UTM" in change.crs.to_wkt() and "51" in change.crs.to_wkt())
        assert change.shape == (400, 400) and change.nodata == 255
        assert {value: change.colormap(1)[value] for value in COLOURS} == COLOURS


def test_taizhou_is_predicted_without_its_truth_and_then_judged(
    cli: Any, taizhou: Path, shared: Path, tmp_path: Path
) -> None:
    (tmp_path / "root" / "taizhou").mkdir(parents=True)
    for name in ("2000TM", "2000TM.HDR", "2003TM", "2003TM.HDR"):
        shutil.copy(shared / "scenes" / "taizhou" / name, tmp_path / "root" / "taizhou")
    change = tmp_path / "change.tif"
    words = ["--dataset", "taizhou", "--data-root", tmp_path / "root", "--output", change]
    assert cli("predict", "--checkpoint", taizhou / "best.pt", *words) == 0
    np.testing.assert_array_equal(read_band(change), read_band(taizhou / "change.tif"))

    words = ["--dataset", "taizhou", "--data-root", shared / "scenes", "--exclude", taizhou / "split.npz"]
    assert cli("evaluate", change, *words, "--json", tmp_path / "scores.json") == 0
    scores, result = (json.loads(p.read_text()) for p in (tmp_path / "scores.json", taizhou / "result.json"))
    assert scores["counts"] == result["counts"]

    truth = np.full((400, 400), 255)
    truth[read_band(shared / "scenes" / "taizhou" / "unchanged.bmp") > 0] = 0
    truth[read_band(shared / "scenes" / "taizhou" / "change.bmp") > 0] = 1
    truth.ravel()[read_split(taizhou / "split.npz").train] = 255
    judged = truth != 255
    kappa = sklearn.metrics.cohen_kappa_score(truth[judged], read_band(change)[judged])
    assert scores["scores"]["kappa"] == pytest.approx(kappa)


@pytest.mark.slow
def test_farmland_counts_are_the_fields(cli: Any, shared: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    short = cli.settings(split__fraction=0.01, model__members=1, train__epochs=1, train__map_every=0)
    assert cli("train", "--dataset", "farmland", "--data-root", shared / "scenes", "--run", run, *short) == 0
    result = json.loads((run / "result.json").read_text())
    assert result["train"] == {"unchanged": 447, "changed": 182}
    assert result["test"] == {"unchanged": 44_276, "changed": 18_095}
    assert read_band(run / "change.tif").shape == (450, 140)
