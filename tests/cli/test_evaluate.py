from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.io
import sklearn.metrics

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.io.split_files import read_split

Capture = pytest.CaptureFixture[str]


def write_band(path: Path, values: np.ndarray) -> Path:
    profile = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": "uint8"}
    with quiet_georeference(), rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(values.astype(np.uint8), 1)
    return path


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray]:
    """A change map and its truth, which agree in three quarters of the pixels."""
    draw = np.random.default_rng(0)
    truth = (draw.random((30, 20)) < 0.3).astype(np.uint8)
    return truth ^ (draw.random(truth.shape) < 0.25), truth


def scores_of(cli: Any, folder: Path, *words: object) -> dict[str, Any]:
    file = folder / "scores.json"
    assert cli("evaluate", *words, "--json", file) == 0
    return json.loads(file.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def assert_scikit_learns(result: dict[str, Any], truth: np.ndarray, change: np.ndarray) -> None:
    tn, fp, fn, tp = sklearn.metrics.confusion_matrix(truth, change).ravel().tolist()
    assert result["counts"] == {"tn": tn, "fp": fp, "fn": fn, "tp": tp, "unscored": 0}
    scores = result["scores"]
    assert scores["kappa"] == pytest.approx(sklearn.metrics.cohen_kappa_score(truth, change))
    assert scores["oa"] == pytest.approx(sklearn.metrics.accuracy_score(truth, change))
    assert scores["f1"] == pytest.approx(sklearn.metrics.f1_score(truth, change))
    assert scores["iou"] == pytest.approx(sklearn.metrics.jaccard_score(truth, change))


def test_no_data_of_other_software_is_no_prediction(
    cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path, capsys: Capture
) -> None:
    change, truth = maps
    stored = change.astype(np.int16)
    stored[:4] = -9999
    np.save(tmp_path / "map.npy", stored)
    words = [tmp_path / "map.npy", "--truth", write_band(tmp_path / "truth.tif", truth)]
    assert cli("evaluate", *words) == 2
    assert capsys.readouterr().err.endswith("declare other values of no data with --nodata\n")
    result = scores_of(cli, tmp_path, *words, "--nodata", "-9999")
    assert result["counts"]["unscored"] == 80
    assert result["scores"]["kappa"] == pytest.approx(
        sklearn.metrics.cohen_kappa_score(truth[4:].ravel(), change[4:].ravel())
    )


def test_all_labelled_pixels_judge(
    cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, truth = maps
    words = [write_band(tmp_path / "map.tif", change), "--truth", write_band(tmp_path / "truth.tif", truth)]
    result = scores_of(cli, tmp_path, *words)
    assert_scikit_learns(result, truth.ravel(), change.ravel())
    assert (result["scope"], result["protocol"], result["train"]) == ("all labelled", "none", None)
    out, err = capsys.readouterr()
    assert "all labelled" in out and "Kappa" in out and err == ""


def test_excluded_are_the_splits_pixels_and_no_others(
    cli: Any, trained: Path, simulated: PairFiles, tmp_path: Path
) -> None:
    words = [trained / "change.tif", "--truth", simulated.truth, "--exclude", trained / "split.npz"]
    result = scores_of(cli, tmp_path, *words)
    with rasterio.open(simulated.truth) as truth, rasterio.open(trained / "change.tif") as change:
        kept = np.setdiff1d(np.arange(48 * 40), read_split(trained / "split.npz").train)
        assert_scikit_learns(result, truth.read(1).ravel()[kept], change.read(1).ravel()[kept])
    run = json.loads((trained / "result.json").read_text())
    for name in ("counts", "train", "test", "protocol", "scope", "seed", "baselines"):
        assert result[name] == run[name]
    assert {name: run["scores"][name] for name in result["scores"]} == result["scores"]


@pytest.mark.filterwarnings("ignore::hsi_cd.evaluation.scores.UndefinedScoreWarning")
def test_a_score_without_a_value_is_null(cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    truth = write_band(tmp_path / "truth.tif", maps[1])
    result = scores_of(cli, tmp_path, write_band(tmp_path / "map.tif", np.zeros((30, 20))), "--truth", truth)
    assert result["scores"]["precision"] is None
    assert result["scores"]["recall"] == 0


@pytest.mark.filterwarnings("default::hsi_cd.evaluation.scores.UndefinedScoreWarning")
def test_a_warning_is_one_line(
    cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as in a process that nobody tests
    truth = write_band(tmp_path / "truth.tif", maps[1])
    assert cli("evaluate", write_band(tmp_path / "map.tif", np.zeros((30, 20))), "--truth", truth) == 0
    err = capsys.readouterr().err
    assert err.startswith("WARNING: undefined") and err.count("\n") == 1


def test_unlabelled_pixels_judge_nothing(cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    change, truth = maps
    sparse = np.where(np.random.default_rng(1).random(truth.shape) < 0.4, truth, 255)
    words = [write_band(tmp_path / "map.tif", change), "--truth", write_band(tmp_path / "truth.tif", sparse)]
    labelled = sparse != 255
    assert_scikit_learns(scores_of(cli, tmp_path, *words), truth[labelled], change[labelled])


def test_labelled_pixels_without_a_prediction_are_counted_apart(
    cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path
) -> None:
    change, truth = maps
    holed = change.copy()
    holed[:3] = 255
    words = [write_band(tmp_path / "map.tif", holed), "--truth", write_band(tmp_path / "truth.tif", truth)]
    result = scores_of(cli, tmp_path, *words)
    assert result["counts"]["unscored"] == 60
    assert result["test"]["unchanged"] + result["test"]["changed"] == 600


@pytest.mark.parametrize("suffix", ["tif", "mat"])
def test_a_truth_in_two_masks(cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path, suffix: str) -> None:
    change, truth = maps
    masks = {"changed": truth == 1, "unchanged": truth == 0}
    masks["changed"][:5] = masks["unchanged"][:5] = False
    words: list[object] = [write_band(tmp_path / "map.tif", change)]
    for name, mask in masks.items():
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "tif":
            write_band(path, mask * 255)
        else:
            scipy.io.savemat(path, {name: mask.astype(np.uint8)})
        words += ["--truth", path]
    assert_scikit_learns(scores_of(cli, tmp_path, *words), truth[5:].ravel(), change[5:].ravel())


def test_a_key_chooses_the_matlab_variable(cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    change, truth = maps
    scipy.io.savemat(tmp_path / "truth.mat", {"first": change, "second": truth})
    words = [write_band(tmp_path / "map.tif", change), "--truth", tmp_path / "truth.mat", "--truth-key", "second"]
    assert_scikit_learns(scores_of(cli, tmp_path, *words), truth.ravel(), change.ravel())


def test_the_json_is_replaced_only_on_demand(cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    change, truth = maps
    words = [write_band(tmp_path / "map.tif", change), "--truth", write_band(tmp_path / "truth.tif", truth)]
    scores = tmp_path / "scores.json"
    scores.write_text("mine")
    assert cli("evaluate", *words, "--json", scores) == 2
    assert scores.read_text() == "mine"
    assert cli("evaluate", *words, "--json", scores, "--overwrite") == 0
    assert json.loads(scores.read_text())["scope"] == "all labelled"


def test_p4_is_of_all_labels_and_excludes_nothing(
    cli: Any, maps: tuple[np.ndarray, ...], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, truth = maps
    words = [write_band(tmp_path / "map.tif", change), "--truth", write_band(tmp_path / "truth.tif", truth)]
    result = scores_of(cli, tmp_path, *words, "--protocol", "P4")
    assert_scikit_learns(result, truth.ravel(), change.ravel())
    assert (result["protocol"], result["scope"], result["seed"]) == ("P4", "all labelled", None)
    assert re.search(r"^ +protocol +P4$", capsys.readouterr().out, re.MULTILINE)
    assert cli("evaluate", *words, "--protocol", "P4", "--exclude", trained / "split.npz") == 2
    assert "leave --exclude out" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::hsi_cd.evaluation.scores.UndefinedScoreWarning")
def test_the_head_line_counts_the_pixels_that_are_scored(
    cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path, capsys: Capture
) -> None:
    change, truth = maps
    truth_file = write_band(tmp_path / "truth.tif", truth)
    change = change.copy()
    change[:20] = 255
    changed = int(truth[20:].sum())
    assert cli("evaluate", write_band(tmp_path / "map.tif", change), "--truth", truth_file) == 0
    line = f"scored on    {200 - changed} unchanged + {changed} changed pixels: all labelled but 400 without a"
    assert re.sub(" +", " ", line) in re.sub(" +", " ", capsys.readouterr().out)


def test_nan_may_be_declared_unlabelled(
    cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path, capsys: Capture
) -> None:
    change, truth = maps
    stored = truth.astype(float)
    stored[:3] = np.nan
    np.save(tmp_path / "truth.npy", stored)
    words = ["evaluate", write_band(tmp_path / "map.tif", change), "--truth", tmp_path / "truth.npy"]
    for declared in ([], ["--ignore", "nan"], ["--changed", 1, "--unchanged", 0, "--ignore", "nan"]):
        assert cli(*words, *declared) == 0
        assert f"{(stored == 0).sum()} unchanged + {(stored == 1).sum()} changed" in capsys.readouterr().out
    assert cli(*words, "--changed", "nan", "--unchanged", 0) == 2


def test_what_colours_refuse_is_read_as_declared(
    cli: Any, maps: tuple[np.ndarray, ...], tmp_path: Path, capsys: Capture
) -> None:
    change, truth = maps
    path = write_band(tmp_path / "truth.tif", truth)
    with quiet_georeference(), rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (200, 30, 30, 255), 1: (230, 230, 230, 255)})
    words = ["evaluate", write_band(tmp_path / "map.tif", change), "--truth", path]
    assert cli(*words) == 2
    assert "0 red, 1 grey 230" in (err := capsys.readouterr().err) and "with --changed and --unchanged" in err
    assert_scikit_learns(
        scores_of(cli, tmp_path, *words[1:], "--changed", 1, "--unchanged", 0), truth.ravel(), change.ravel()
    )
