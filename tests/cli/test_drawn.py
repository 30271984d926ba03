"""Labels as people draw them: all teach, shapes judge in turn, and few of them judge nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import brier_score_loss, cohen_kappa_score

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.evaluation import BIASED
from hsi_cd.io import read_labels
from hsi_cd.io.split_files import read_split
from hsi_cd.scene import UNLABELLED, Labels

Capture = pytest.CaptureFixture[str]
Draw = Callable[[int], Path]


def drawn(truth: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
    """So many separate pairs of pixels inside each class, numbered from 1, unchanged ones first."""
    shapes = np.zeros(truth.shape, dtype=np.int32)
    taken = np.zeros(truth.shape, dtype=bool)
    for code, first in ((0, 1), (1, count + 1)):
        found = 0
        for row, col in np.argwhere(ndimage.binary_erosion(truth == code, np.ones((1, 3)))):
            around = taken[max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 4]
            if found < count and not around.any() and col + 1 < truth.shape[1]:
                shapes[row, col : col + 2] = first + found
                taken[row, col : col + 2] = True
                found += 1
        assert found == count
    return shapes


@pytest.fixture(scope="module")
def draw(simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> Draw:
    """A raster that labels so many shapes of each class, and nothing else."""

    def raster(count: int) -> Path:
        path = tmp_path_factory.mktemp("drawn") / "drawn.tif"
        with rasterio.open(simulated.truth) as file:
            truth, profile = read_labels(simulated.truth).values, file.profile
        values = np.where(drawn(truth, count) > 0, truth + 1, 0).astype(np.uint8)
        with rasterio.open(path, "w", **(profile | {"dtype": "uint8", "nodata": None})) as file:
            file.write(values, 1)
        return path

    return raster


@pytest.fixture(scope="module")
def runs(cli: Any, draw: Draw, dates: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each method on twelve shapes of each class; nobody writes into their folders."""
    truth, folders = draw(12), {}
    for method in ("siamese", "logistic", "cva"):
        folders[method] = tmp_path_factory.mktemp(method) / "run"
        words = [
            "--unchanged",
            1,
            "--changed",
            2,
            "--ignore",
            0,
            "--protocol",
            "drawn",
            "--method",
            method,
            "--device",
            "cpu",
        ]
        settings = cli.settings(train__map_every=0) if method == "siamese" else ["--set", "train.folds=2"]
        options = ["--truth", truth, *words, "--run", folders[method], *settings]
        assert cli("train", *dates, *options) == 0
    return folders


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("method", ["siamese", "logistic", "cva"])
def test_every_label_teaches_and_every_shape_judges(runs: dict[str, Path], method: str) -> None:
    found, split = record(runs[method]), read_split(runs[method] / "split.npz")
    assert found["protocol"] == "drawn"
    assert found["scope"] == ("all labelled" if method == "cva" else "cross-validated by shape")
    assert found["test"] == {"unchanged": 24, "changed": 24}
    assert found["train"] == (None if method == "cva" else found["test"])
    assert found["counts"]["unscored"] == 0
    assert (found["details"]["shapes_unchanged"], found["details"]["shapes_changed"]) == (12, 12)
    assert split.protocol == "drawn" and len(split.train) == 48
    assert split.shapes is not None and np.unique(split.shapes, return_counts=True)[1].tolist() == [2] * 24
    for name in ("oa", "kappa", "f1"):
        low, high = (found["details"][f"interval/{name}/{end}"] for end in ("low", "high"))
        assert -1 <= low < found["scores"][name] < high <= 1
    assert not [name for name in found["details"] if name.startswith(("strict/", "all labelled/"))]
    assert yaml.safe_load((runs[method] / "config.yaml").read_text())["split"]["protocol"] == "drawn"


def test_the_table_says_on_what_it_stands(cli: Any, runs: dict[str, Path], capsys: Capture) -> None:
    assert cli("table", runs["logistic"], runs["cva"]) == 0
    said = capsys.readouterr().out
    assert "Protocol drawn, cross-validated by shape" in said
    assert "logistic on scene: only 24 unchanged + 24 changed pixels judge" in said
    assert said.count("(few pixels)") == 6  # of two methods three scores


def test_the_report_tells_the_shapes(cli: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert cli("report", runs["siamese"], runs["cva"], "--output", page) == 0
    told = page.read_text()
    assert "12 unchanged + 12 changed" in told and "95 % interval of Kappa" in told


def test_the_labels_that_taught_do_not_judge(
    cli: Any, runs: dict[str, Path], simulated: PairFiles, draw: Draw, tmp_path: Path, capsys: Capture
) -> None:
    """The whole truth judges the rest of the map; the drawing itself has nothing left."""
    options = ["--exclude", runs["logistic"] / "split.npz", "--json", tmp_path / "scores.json"]
    assert cli("evaluate", runs["logistic"] / "change.tif", "--truth", simulated.truth, *options) == 0
    found = json.loads((tmp_path / "scores.json").read_text())
    labelled = int((read_labels(simulated.truth).values != UNLABELLED).sum())
    assert found["scope"] == "held-out" and sum(found["test"].values()) == labelled - 48
    capsys.readouterr()
    scheme = ["--unchanged", 1, "--changed", 2, "--ignore", 0]
    assert cli("evaluate", runs["logistic"] / "change.tif", "--truth", draw(12), *scheme, *options[:2]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.quick("1")
def test_fewer_than_ten_shapes_of_a_class_judge_nothing(
    cli: Any, draw: Draw, dates: list[str], tmp_path: Path, capsys: Capture, count: int
) -> None:
    words = ["--unchanged", 1, "--changed", 2, "--ignore", 0, "--protocol", "drawn", "--method", "logistic"]
    words += ["--set", "train.folds=2"]
    assert cli("train", *dates, "--truth", draw(count), *words, "--run", tmp_path / "run") == 0
    said = capsys.readouterr().out
    assert (
        f"not judged: {count if count > 1 else 0} unchanged + {count if count > 1 else 0} changed shapes" in said
    )
    assert "0.9" not in said.split("\n\n")[1]  # the table of scores
    scores = record(tmp_path / "run")["scores"]
    assert {name for name, value in scores.items() if value is None} == set(scores)


def test_shapes_make_it_the_default(simulated: PairFiles, tmp_path: Path) -> None:
    """A truth map is divided by P1; the same labels, drawn, are not; a named protocol is kept."""
    truth = read_labels(simulated.truth)
    shapes = drawn(truth.values, 12)
    labels = replace(truth, values=np.where(shapes > 0, truth.values, np.uint8(UNLABELLED)), shapes=shapes)
    assert hc.split(truth).protocol == "P1"
    assert hc.split(labels).protocol == "drawn"
    assert hc.split(labels, protocol="P2", count=3).protocol == "P2"
    pair = hc.open_pair(simulated.t1, simulated.t2)
    result = hc.train(pair, labels, run=tmp_path / "run", method="logistic", settings={"train.folds": 2})
    assert (result.protocol, result.scope) == ("drawn", "cross-validated by shape")
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["split"]["protocol"] == "drawn"
    assert "12 unchanged + 12 changed shapes judge" in result._repr_html_()
    fitted = hc.Logistic().fit(pair, labels)
    assert fitted.split_.protocol == "drawn" and len(fitted.split_.train) == 48


def test_drawn_labels_judge_another_map_by_shape(simulated: PairFiles) -> None:
    """Shapes of which a pixel taught are left out whole."""
    truth = read_labels(simulated.truth)
    shapes = drawn(truth.values, 12)
    labels = Labels(np.where(shapes > 0, truth.values, np.uint8(UNLABELLED)), shapes=shapes)
    taught = np.flatnonzero(np.isin(shapes.ravel(), [1, 13]))[::2]  # half of each of two shapes
    split = hc.Split("file", 0, truth.shape, taught)
    result = hc.evaluate(truth.values, labels, exclude=split)
    assert (result.details["shapes_unchanged"], result.details["shapes_changed"]) == (11, 11)
    assert result.counts.total == 44
    elsewhere = np.flatnonzero(shapes.ravel() == 0)[:9]
    assert hc.evaluate(truth.values, labels, exclude=hc.Split("file", 0, truth.shape, elsewhere)).train is None
    assert result.scores["accuracy_changed"] < 1  # eleven shapes that are all right do not prove it
    assert result.details["interval/kappa/high"] > 0.95


@pytest.mark.slow
def test_one_drawing_teaches_and_another_judges(
    cli: Any, dates: list[str], simulated: PairFiles, tmp_path: Path
) -> None:
    """From the files of a GIS: no protocol is named, and shapes judge as shapes."""
    for seed in (1, 2):
        options = ["--shapes", 12, "--kind", "points", "--seed", seed, "--output", tmp_path / f"{seed}.gpkg"]
        assert cli("draw", simulated.truth, *options) == 0
    options = ["--truth", tmp_path / "1.gpkg", "--method", "logistic", "--set", "train.folds=2"]
    assert cli("train", *dates, *options, "--run", tmp_path / "run") == 0
    assert (record(tmp_path / "run")["protocol"], record(tmp_path / "run")["scope"]) == (
        "drawn",
        "cross-validated by shape",
    )
    options = ["--truth", tmp_path / "2.gpkg", "--exclude", tmp_path / "run" / "split.npz"]
    assert cli("evaluate", tmp_path / "run" / "change.tif", *options, "--json", tmp_path / "scores.json") == 0
    found = json.loads((tmp_path / "scores.json").read_text())
    both = read_split(tmp_path / "run" / "split.npz").train
    judging = read_labels(simulated.truth).values.ravel()[both]
    assert found["scope"] == "held-out" and len(judging) == 24
    assert found["details"]["shapes_changed"] == found["test"]["changed"] <= 12


def test_pixels_of_a_few_shapes_judge_one_by_one_and_it_is_said(
    cli: Any, simulated: PairFiles, runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    assert cli("draw", simulated.truth, "--shapes", 4, "--output", tmp_path / "few.gpkg") == 0
    capsys.readouterr()
    change = runs["logistic"] / "change.tif"
    assert cli("evaluate", change, "--truth", tmp_path / "few.gpkg", "--json", tmp_path / "scores.json") == 0
    said, found = capsys.readouterr().out, json.loads((tmp_path / "scores.json").read_text())
    assert "of only 4 unchanged + 4 changed shapes: fewer than 10 of a class say little" in said
    values = hc.open_labels(tmp_path / "few.gpkg", like=change).values
    where = values != UNLABELLED
    with rasterio.open(change) as file:
        called = file.read(1)[where]
    assert found["scores"]["kappa"] == pytest.approx(cohen_kappa_score(values[where], called))
    words = ["--name", "Other", "--truth", tmp_path / "few.gpkg", "--run", tmp_path / "other"]
    assert cli("import-map", change, *words) == 0 and cli("table", tmp_path / "other") == 0
    assert "(few pixels)" in capsys.readouterr().out


def test_the_analyst_tells_the_share(
    cli: Any, draw: Draw, dates: list[str], runs: dict[str, Path], tmp_path: Path
) -> None:
    """Beside the label-free map's by default; what is told is what is called changed, and judges."""
    details = record(runs["siamese"])["details"]
    assert details["share_from"] == "label-free map" and 0 < details["share"] < 1
    words = ["--unchanged", 1, "--changed", 2, "--ignore", 0, "--protocol", "drawn", "--device", "cpu"]
    options = ["--truth", draw(12), *words, "--share", 0.003, "--run", tmp_path / "run", *cli.settings()]
    assert cli("train", *dates, *options) == 0
    told = record(tmp_path / "run")["details"]
    assert (told["share"], told["share_from"]) == (0.003, "train.share")
    with rasterio.open(tmp_path / "run" / "change.tif") as file:
        assert (file.read(1) == 1).mean() == pytest.approx(0.003, abs=0.0005)
    low, high = (told[f"interval/share_changed/{end}"] for end in ("low", "high"))
    assert 0.0022 < low < told["share_changed"] < high < 0.0041  # what is told is believed, nearly


@pytest.mark.slow
def test_a_method_that_is_fitted_is_judged_by_the_told_share_too(
    cli: Any, draw: Draw, dates: list[str], runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    words = ["--unchanged", 1, "--changed", 2, "--ignore", 0, "--protocol", "drawn", "--method", "logistic"]
    words += ["--truth", draw(12), "--set", "train.folds=2", "--share", 0.2, "--run", tmp_path / "run"]
    assert cli("train", *dates, *words) == 0
    said, details, before = capsys.readouterr().out, record(tmp_path / "run")["details"], record(runs["logistic"])
    assert "share" not in before["details"] and (details["share"], details["share_from"]) == (0.2, "train.share")
    widths = [
        found["interval/share_changed/high"] - found["interval/share_changed/low"]
        for found in (details, before["details"])
    ]
    assert widths[0] < min(widths[1], 0.1)
    assert "% called changed, 20.00 % were told" in said and BIASED in said


def test_the_calibration_is_that_of_the_scene(
    cli: Any, runs: dict[str, Path], simulated: PairFiles, tmp_path: Path
) -> None:
    """Told with its interval in the table and in the report; no label judges the scene here but those drawn."""
    details = record(runs["siamese"])["details"]
    with rasterio.open(runs["siamese"] / "score.tif") as file:
        probability = file.read(1).astype(np.float64)
    with rasterio.open(runs["siamese"] / "change.tif") as file:
        called = file.read(1) == 1
    assert details["mean_probability"] == pytest.approx(probability.mean())
    assert details["called_changed"] == pytest.approx(called.mean())
    assert 0 <= details["interval/brier/low"] < details["brier"] < details["interval/brier/high"] <= 1
    true = brier_score_loss(read_labels(simulated.truth).values.ravel(), probability.ravel())
    # One draw of twelve shapes may miss; how often an interval holds is tested where many are drawn.
    assert abs(true - details["brier"]) < details["interval/brier/high"] - details["interval/brier/low"]
    page = tmp_path / "report.html"
    assert cli("report", runs["siamese"], "--output", page) == 0
    told = f"Brier score {details['brier']:.4f}, 95 % interval {details['interval/brier/low']:.4f} to"
    assert told in page.read_text() and "% by the label-free map" in page.read_text()


@pytest.mark.parametrize("share", ["0", "1", "1.5", "much"])
def test_a_share_that_is_none_is_refused(
    cli: Any, draw: Draw, dates: list[str], tmp_path: Path, capsys: Capture, share: str
) -> None:
    assert cli("train", *dates, "--truth", draw(12), "--share", share, "--run", tmp_path / "run") == 2
    assert "--share" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_suggest_says_what_to_type_next_and_it_goes_on_from_the_run(
    cli: Any, draw: Draw, dates: list[str], runs: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    for method in ("siamese", "logistic"):
        words = ["--number", 3, "--output", tmp_path / f"{method}.gpkg"]
        assert cli("suggest", runs[method], *words) == 0
        said = capsys.readouterr().out.splitlines()[-1]
        told = f"hsi-cd train ... --truth {tmp_path / f'{method}.gpkg'}"
        start = f" --start-from {runs['siamese']}" if method == "siamese" else ""
        assert said.endswith(f"{told}{start}")
    words = ["--unchanged", 1, "--changed", 2, "--ignore", 0, "--protocol", "drawn", "--device", "cpu"]
    options = [*dates, *words, "--start-from", runs["siamese"], *cli.settings(train__map_every=0)]
    assert cli("train", *options, "--truth", draw(14), "--run", tmp_path / "run") == 0
    found = record(tmp_path / "run")
    assert found["details"]["start_from"] == str(runs["siamese"]) and found["train"] == {
        "unchanged": 28,
        "changed": 28,
    }
    assert found["counts"]["unscored"] == 0
    inputs = json.loads((tmp_path / "run" / "provenance.json").read_text())["sessions"][-1]["inputs"]
    assert str(runs["siamese"] / "best.pt") in inputs
    capsys.readouterr()
    assert cli("train", *options, "--truth", draw(11), "--run", tmp_path / "other") == 2
    said = capsys.readouterr().err
    assert "--start-from" in said and "4 of which have no label now" in said and said.count("\n") == 1
    assert (
        cli("train", *options, "--truth", draw(14), "--set", "model.members=1", "--run", tmp_path / "other") == 2
    )
    said = capsys.readouterr().err
    assert "model.members 2, but here it is 1" in said and said.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_python_goes_on_too(simulated: PairFiles, runs: dict[str, Path], draw: Draw, tmp_path: Path) -> None:
    """The same run by the door; the scene is checked, not the names of its files."""
    pair = hc.open_pair(simulated.t1, simulated.t2)
    values = hc.open_labels(draw(14), unchanged=1, changed=2, ignore=0).values
    kept = yaml.safe_load((runs["siamese"] / "config.yaml").read_text())
    settings = {
        "model": kept["model"],
        "prepare": kept["prepare"],
        "train.epochs": 2,
        "train.folds": kept["train"]["folds"],
    }
    how = {"protocol": "drawn", "start_from": runs["siamese"], "settings": settings}
    result = hc.train(pair, values, run=tmp_path / "run", **how)
    assert result.details["start_from"] == str(runs["siamese"])
    with pytest.raises(hc.errors.MissingInputError, match=r"start_from=.*none: there is no run that has ended"):
        hc.train(pair, values, run=tmp_path / "other", **how | {"start_from": tmp_path / "none"})
