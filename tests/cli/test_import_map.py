"""A map made by other code becomes a row of the tables, judged as a run of hsi-cd is."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsi_cd.evaluation import count_confusion, kappa, roc_auc
from hsi_cd.io import CubeSource, open_cubes, read_labels, read_map
from hsi_cd.io.split_files import read_split, write_split
from hsi_cd.scene import Split

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def distance(simulated: Any) -> np.ndarray:
    """What other code may compute: the distance of the two dates' spectra."""
    t1, t2 = (
        np.asarray(cube.read(), dtype=float) for cube in open_cubes(*map(CubeSource, (simulated.t1, simulated.t2)))
    )
    return np.linalg.norm(t2 - t1, axis=0).astype(np.float32)


@pytest.fixture(scope="module")
def mine(distance: np.ndarray) -> np.ndarray:
    return (distance > np.quantile(distance, 0.85)).astype(np.uint8)


def test_a_map_of_numpy_stands_beside_a_run(
    cli: Any, trained: Path, mine: np.ndarray, distance: np.ndarray, tmp_path: Path, capsys: Capture
) -> None:
    np.save(tmp_path / "mine.npy", mine)
    np.save(tmp_path / "distance.npy", distance)
    run = tmp_path / "runs" / "mine"
    options = ["--name", "Spectral <distance>", "--like", trained, "--run", run]
    assert cli("import-map", tmp_path / "mine.npy", *options, "--score", tmp_path / "distance.npy") == 0
    assert "Spectral <distance>" in capsys.readouterr().out

    theirs, ours = (json.loads((folder / "result.json").read_text()) for folder in (trained, run))
    assert all(
        ours[key] == theirs[key] for key in ("dataset", "protocol", "scope", "seed", "test", "train", "baselines")
    )
    split = read_split(trained / "split.npz")
    with np.load(trained / "overview.npz") as pictures:
        truth = pictures["truth"]
    judged = truth != 255
    judged.ravel()[split.train] = False
    agreed = mine[judged] == truth[judged]
    assert ours["scores"]["oa"] == pytest.approx(agreed.mean(), abs=1e-12)
    assert ours["scores"]["kappa"] == pytest.approx(kappa(count_confusion(truth, mine, where=judged)), abs=1e-12)
    assert ours["scores"]["auc"] == pytest.approx(roc_auc(distance[judged], truth[judged]), abs=1e-12)
    np.testing.assert_array_equal(read_map(run / "change.tif")[0], mine)

    assert cli("table", trained, run, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    named = {row["row"]: float(row["mean"]) for row in rows if row["column"] == "Kappa" and row["mean"]}
    kappas = {result["method"]: result["scores"]["kappa"] for result in (ours, theirs)}
    assert set(kappas) == {"Spectral <distance>", "siamese"}
    assert {method: named[method] for method in kappas} == pytest.approx(kappas, abs=1e-12)

    assert cli("report", trained, run, "--output", tmp_path / "report.html") == 0
    page = (tmp_path / "report.html").read_text()
    assert "Do the maps differ?" in page and "Spectral &lt;distance&gt;" in page and "<distance>" not in page
    assert cli("figure", run, "--output", tmp_path / "figure.png") == 0
    assert cli("runs", tmp_path / "runs") == 0


def test_truth_and_split_are_named(
    cli: Any, simulated: Any, trained: Path, mine: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "mine.npy", mine)
    run = tmp_path / "run"
    named = ["--truth", simulated.truth, "--split", trained / "split.npz", "--dataset", "fields"]
    assert cli("import-map", tmp_path / "mine.npy", "--name", "mine", *named, "--run", run) == 0
    result = json.loads((run / "result.json").read_text())
    assert (result["dataset"], result["method"], result["split"]) == ("fields", "mine", "split.npz")
    labels = read_labels(simulated.truth)
    assert read_map(run / "change.tif")[1] == labels.grid, "the georeference is the truth's, as the array has none"
    everything = tmp_path / "everything"
    assert (
        cli("import-map", run / "change.tif", "--name", "all", "--truth", simulated.truth, "--run", everything)
        == 0
    )
    told = json.loads((everything / "result.json").read_text())
    assert (told["scope"], told["train"], told["split"]) == ("all labelled", None, None)
    assert sum(told["test"].values()) == (labels.values != 255).sum()


def test_what_cannot_be_is_refused(
    cli: Any, simulated: Any, trained: Path, mine: np.ndarray, tmp_path: Path, capsys: Capture
) -> None:
    good, small, odd, wide = (tmp_path / f"{name}.npy" for name in ("good", "small", "odd", "wide"))
    np.save(good, mine)
    np.save(small, mine[:-1])
    np.save(odd, 2 * mine)
    np.save(wide, np.zeros((3, *mine.shape), np.uint8))
    truth = read_labels(simulated.truth).values.copy()
    truth[0] = 255
    np.save(tmp_path / "truth.npy", truth)
    other, foreign = tmp_path / "other.npz", tmp_path / "foreign.npz"
    write_split(other, Split("P1", 0, (4, 4), np.array([1])))
    write_split(foreign, Split("P1", 0, truth.shape, np.array([0, 1, 2, 100])))

    def complaint(*words: object, name: str = "mine") -> str:
        folder = tmp_path / "refused" / "run"
        assert cli("import-map", *words, "--name", name, "--run", folder) == 2
        said = capsys.readouterr().err
        assert not folder.exists() and said.count("\n") == 1
        return said

    named = ["--truth", simulated.truth]
    assert "must cover the same pixels" in complaint(small, *named)
    assert "it holds 0, 2" in complaint(odd, *named)
    assert "wide.npy" in complaint(wide, *named)
    assert "other.npz is of a scene of 4 x 4" in complaint(good, *named, "--split", other)
    foreign_named = ["--truth", tmp_path / "truth.npy", "--split", foreign]
    assert "3 of 4 training pixels of the split have no label in truth.npy" in complaint(good, *foreign_named)
    assert "give one line of text" in complaint(good, *named, name=" ")
    assert "give one line of text" in complaint(good, *named, name="a\nb")
    assert "no truth map" in complaint(good)
    assert "--like brings" in complaint(good, "--like", trained, *named)
    assert "the score has" in complaint(good, *named, "--score", small)


def test_a_name_is_used_once_and_no_folder_is_overwritten(
    cli: Any, simulated: Any, mine: np.ndarray, tmp_path: Path, capsys: Capture
) -> None:
    np.save(tmp_path / "mine.npy", mine)
    words = ["import-map", tmp_path / "mine.npy", "--truth", simulated.truth, "--name"]
    assert cli(*words, "mine", "--run", tmp_path / "runs" / "a") == 0
    before = (tmp_path / "runs" / "a" / "result.json").read_bytes()
    assert cli(*words, "mine", "--run", tmp_path / "runs" / "b") == 2
    assert (
        "the name 'mine' is that of the run" in capsys.readouterr().err and not (tmp_path / "runs" / "b").exists()
    )
    assert cli(*words, "yours", "--run", tmp_path / "runs" / "a") == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert (tmp_path / "runs" / "a" / "result.json").read_bytes() == before
    assert cli(*words, "yours", "--run", tmp_path / "runs" / "b") == 0
