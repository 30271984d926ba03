"""hsi-cd split, and trainings that are told who teaches."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.io

import hsi_cd as hc
from hsi_cd.cli.split import split as command
from hsi_cd.config import SplitConfig
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import ConfigError, LabelError
from hsi_cd.io import read_map

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def splits(simulated: PairFiles, cli: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One split of the simulated scene in every form that a training takes, the same pixels in the same order."""
    folder = tmp_path_factory.mktemp("splits")
    words = ["split", "--truth", simulated.truth, "--fraction", "0.05", "--seed", 7]
    found = {ending: folder / f"split.{ending}" for ending in ("npz", "csv", "mat")}
    for path in found.values():
        assert cli(*words, "--output", path) == 0
    with np.load(found["npz"]) as content:
        train, (rows, cols) = np.sort(content["train"]), content["shape"].tolist()
    down = train // cols + train % cols * rows + 1
    found["matlab"] = folder / "matlab.mat"
    scipy.io.savemat(found["matlab"], {"train": down.astype(float), "base": 1.0, "column_major": 1.0})
    with rasterio.open(simulated.truth) as file:
        values, profile = file.read(1), file.profile
    labelled = np.full(values.shape, 255, np.uint8)
    labelled.ravel()[train] = values.ravel()[train]
    found["raster"] = folder / "teachers.tif"
    with rasterio.open(found["raster"], "w", **profile | {"nodata": None}) as file:
        file.write(labelled, 1)
    return found


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def taught(path: Path) -> list[int]:
    with np.load(path) as content:
        return content["train"].tolist()


def test_the_split_is_what_train_draws(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """Under P3, whose blocks and guard are many options; from Python, too."""
    words = ["--truth", simulated.truth, "--protocol", "P3", "--seed", 4]
    draw = {"block": 12, "radius": 2, "fraction": 0.05}
    options = [word for name, value in draw.items() for word in (f"--{name}", value)]
    assert cli("split", *words, *options, "--output", tmp_path / "s.npz", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    settings = [word for name, value in draw.items() for word in ("--set", f"split.{name}={value}")]
    assert cli("train", *dates, *words, *settings, "--method", "logistic", "--run", tmp_path / "run") == 0
    ours, theirs = (hc.open_split(path) for path in (tmp_path / "s.npz", tmp_path / "run" / "split.npz"))
    assert ours.same_pixels(theirs) and ours.protocol == "P3" and ours.seed == 4
    assert hc.split(simulated.truth, protocol="P3", seed=4, **draw).same_pixels(ours)
    result = record(tmp_path / "run")
    assert told["teach"] == result["train"] and told["judge"] == result["test"]
    assert sum(told["neither"].values()) > 0
    assert (told["protocol"], told["seed"], told["shape"]) == ("P3", 4, [48, 40])


def test_the_help_names_the_defaults_of_a_run() -> None:
    defaults = SplitConfig().model_dump()
    for parameter in command.params:
        if parameter.name in defaults and parameter.name != "protocol":
            assert f"[default: {defaults[parameter.name]}]" in parameter.help  # type: ignore[attr-defined]
    told = {p.name: p for p in command.params}["protocol"].help  # type: ignore[attr-defined]
    assert told.endswith(f"else {defaults['protocol']}]")


def test_a_table_for_other_software(splits: dict[str, Path]) -> None:
    with splits["csv"].open() as file:
        header, *lines = list(csv.reader(file))
    assert header == ["row", "col"]
    assert [int(row) * 40 + int(col) for row, col in lines] == taught(splits["npz"])
    mat = scipy.io.loadmat(splits["mat"])
    pairs = (mat["rows"].ravel() - 1) * 40 + mat["cols"].ravel() - 1
    assert pairs.tolist() == taught(splits["npz"]) and mat["base"].item() == 1


@pytest.mark.parametrize("form", ["npz", "csv", "mat", "matlab", "raster"])
@pytest.mark.quick("npz", "raster")
@pytest.mark.slow
def test_the_pixels_of_a_file_teach_and_do_not_judge(
    cli: Any, simulated: PairFiles, dates: list[str], splits: dict[str, Path], form: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["train", *dates, "--truth", simulated.truth, "--method", "logistic", "--seed", 3, "--run", run]
    assert cli(*words, "--split", splits[form]) == 0
    assert sorted(taught(run / "split.npz")) == sorted(taught(splits["npz"]))
    result = record(run)
    known = form == "npz"  # which tells how it was drawn
    assert (result["protocol"], result["seed"], result["scope"]) == ("P1" if known else "file", 3, "held-out")
    with rasterio.open(simulated.truth) as file:
        truth = file.read(1).ravel()
    pixels = np.array(taught(splits["npz"]))
    assert result["train"] == {"unchanged": int((truth[pixels] == 0).sum()), "changed": int(truth[pixels].sum())}
    assert result["test"]["changed"] == int(truth.sum() - truth[pixels].sum())
    given = hc.open_split(run / "split.npz").fingerprint
    assert result["details"]["split_given"] == given
    config = (run / "config.yaml").read_text()
    assert f"given: {given}" in config and f"protocol: {result['protocol']}" in config
    inputs = json.loads((run / "provenance.json").read_text())["sessions"][0]["inputs"]
    assert str(splits[form]) in inputs and len(inputs) == 4  # the dates, the truth, and who teaches
    scored = ["evaluate", run / "change.tif", "--truth", simulated.truth, "--exclude", splits[form]]
    assert cli(*scored, "--json", tmp_path / "scores.json") == 0
    assert json.loads((tmp_path / "scores.json").read_text())["counts"] == result["counts"]


@pytest.mark.slow
def test_the_same_from_python(
    simulated: PairFiles, splits: dict[str, Path], tmp_path: Path, cli: Any, dates: list[str]
) -> None:
    pair, labels = hc.open_pair(simulated.t1, simulated.t2), hc.open_labels(simulated.truth)
    result = hc.train(pair, labels, run=tmp_path / "a", method="logistic", split=splits["csv"], seed=3)
    divided = hc.open_split(splits["csv"], labels)
    other = hc.Logistic(seed=3).fit(pair, labels, split=divided)
    assert other.split_.same_pixels(divided)
    np.testing.assert_array_equal(other.predict(pair).change, read_map(tmp_path / "a" / "change.tif")[0])
    assert result.protocol == "file"
    words = ["train", *dates, "--truth", simulated.truth, "--method", "logistic", "--seed", 3]
    assert cli(*words, "--split", splits["csv"], "--run", tmp_path / "b") == 0
    assert (tmp_path / "b" / "config.yaml").read_text() == (tmp_path / "a" / "config.yaml").read_text()
    with pytest.raises(ConfigError, match="protocol is 'P2', and a split says who teaches"):
        hc.train(pair, labels, run=tmp_path / "c", protocol="P2", split=divided)
    with pytest.raises(ConfigError, match=r"of a run whose pixels were given.*give the same by split=FILE"):
        hc.train(pair, labels, run=tmp_path / "c", settings={"split.given": divided.fingerprint})
    with pytest.raises(ConfigError, match="these settings are of a run with another split"):
        hc.train(pair, labels, run=tmp_path / "c", settings={"split.given": "0" * 12}, split=divided)
    assert not (tmp_path / "c").exists()


def test_a_run_goes_on_with_the_same_split_alone(
    cli: Any, simulated: PairFiles, dates: list[str], splits: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    words = ["train", *dates, "--truth", simulated.truth, "--method", "logistic", "--run", tmp_path / "run"]
    assert cli(*words, "--split", splits["csv"]) == 0
    before = record(tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "less.csv").write_text("".join(splits["csv"].read_text().splitlines(keepends=True)[:-1]))
    capsys.readouterr()
    for other in ([], ["--split", splits["npz"]], ["--split", tmp_path / "less.csv"]):
        assert cli(*words, *other, "--resume") == 2
        assert "was started with another configuration" in capsys.readouterr().err
    moved = shutil.copy(splits["csv"], tmp_path / "moved.csv")  # the pixels count, not the file's name
    assert cli(*words, "--split", moved, "--resume") == 0
    after = record(tmp_path / "run")
    assert after["scores"] == before["scores"] and after["counts"] == before["counts"]


@pytest.mark.usefixtures("figures")
@pytest.mark.slow
def test_runs_of_a_file_share_a_table(
    cli: Any, simulated: PairFiles, dates: list[str], splits: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    words = ["train", *dates, "--truth", simulated.truth, "--split", splits["csv"]]
    for method, seed in (("logistic", 0), ("logistic", 1), ("cva", 0)):
        assert cli(*words, "--method", method, "--seed", seed, "--run", tmp_path / f"{method}{seed}") == 0
    capsys.readouterr()
    assert cli("table", tmp_path) == 0
    out = capsys.readouterr().out
    assert "Training pixels from a file, scored on held-out pixels" in out and "seeds 0, 1" in out
    assert "logistic" in out and "cva" in out
    assert cli("figure", tmp_path / "cva0", "--split", "--output", tmp_path / "split.png") == 0
    assert cli("runs", tmp_path, "--protocol", "file", "--json") == 0
    assert len(json.loads(capsys.readouterr().out.partition("\n")[2])) == 3


def test_a_network_learns_from_areas_that_were_drawn(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path
) -> None:
    """Three polygons of each class: many labels, few places."""
    with rasterio.open(simulated.truth) as file:
        truth = file.read(1)
    pixels = [(row, col) for row in range(8, 40) for col in range(4, 36) if row % 16 < 9 and col % 16 < 9]
    assert {truth[pixel] for pixel in pixels} == {0, 1}
    (tmp_path / "drawn.csv").write_text("row,col\n" + "".join(f"{row},{col}\n" for row, col in pixels))
    words = ["train", *dates, "--truth", simulated.truth, "--split", tmp_path / "drawn.csv", "--device", "cpu"]
    assert cli(*words, *cli.settings(), "--run", tmp_path / "run") == 0
    result = record(tmp_path / "run")
    assert result["train"]["unchanged"] + result["train"]["changed"] == len(pixels)
    assert result["protocol"] == "file" and result["scores"]["kappa"] > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("row,col\n47,39\n48,0\n", "outside the scene of 48 x 40 pixels, first row 48, column 0"),
        ("index\n5\n5\n", "names 1 pixels twice"),
        ("index\n", "names no pixel"),
        ("UNCHANGED", "none of the 3 pixels of the split is changed"),
        ("ALL", "all labelled pixels of truth.tif teach, so that none is left to judge"),
    ],
)
def test_one_line_and_no_folder(
    cli: Any,
    simulated: PairFiles,
    dates: list[str],
    content: str,
    message: str,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    with rasterio.open(simulated.truth) as file:
        truth = file.read(1).ravel()
    chosen = {"UNCHANGED": np.flatnonzero(truth == 0)[:3], "ALL": np.arange(truth.size)}.get(content)
    text = content if chosen is None else "index\n" + "".join(f"{i}\n" for i in chosen)
    (tmp_path / "s.csv").write_text(text)
    words = ["train", *dates, "--truth", simulated.truth, "--method", "svm", "--run", tmp_path / "run"]
    assert cli(*words, "--split", tmp_path / "s.csv") == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_unlabelled_pixel_and_a_split_of_another_scene(
    cli: Any, simulated: PairFiles, dates: list[str], splits: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    with rasterio.open(simulated.truth) as file:
        values, profile = file.read(1), file.profile
    values.ravel()[taught(splits["npz"])[:2]] = 255
    with rasterio.open(tmp_path / "truth.tif", "w", **profile | {"nodata": None}) as file:
        file.write(values, 1)
    words = ["train", *dates, "--method", "svm", "--run", tmp_path / "run", "--truth", tmp_path / "truth.tif"]
    for form, said in (("npz", "2 of 95 pixels of the split"), ("csv", "2 of"), ("raster", "2 of")):
        assert cli(*words, "--split", splits[form]) == 2
        err = capsys.readouterr().err
        assert said in err and "are unlabelled in truth.tif: nothing tells what they teach" in err
    hc.open_labels(np.array([[0, 1], [1, 0]]))
    assert cli("split", "--truth", simulated.truth, "--output", tmp_path / "s.csv", "--count", 5) == 0
    capsys.readouterr()
    np.savez(tmp_path / "other.npz", train=[1], shape=(4, 4), protocol="P1", seed=0)
    assert cli(*words, "--split", tmp_path / "other.npz") == 2
    assert "of a scene of 4 x 4 pixels but truth.tif has 48 x 40" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_protocol_beside_a_split(
    cli: Any, simulated: PairFiles, dates: list[str], splits: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    words = ["train", *dates, "--truth", simulated.truth, "--run", tmp_path / "run", "--split", splits["npz"]]
    for more in (["--protocol", "P1"], ["--set", "split.protocol=P2"]):
        assert cli(*words, *more) == 2
        assert f"{' '.join(more)} draws the pixels that teach, and --split names them" in capsys.readouterr().err
    assert cli(*words[:-2], "--protocol", "file") == 2
    assert "give the same by --split FILE" in capsys.readouterr().err


def test_the_file_of_a_split_is_not_replaced_unasked(
    cli: Any, simulated: PairFiles, tmp_path: Path, capsys: Capture
) -> None:
    words = ["split", "--truth", simulated.truth, "--output", tmp_path / "s.npz"]
    assert cli(*words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"next: hsi-cd train ... --split {tmp_path / 's.npz'}"
    assert cli(*words) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert cli(*words, "--overwrite", "--seed", 1) == 0
    for more, said in (
        (["--output", tmp_path / "s.txt"], "name it .npz, .csv, .mat"),
        (["--output", tmp_path / "t.csv", "--protocol", "P1-strict"], "a .csv cannot say: name it .npz or .mat"),
        (["--output", tmp_path / "t.npz", "--protocol", "P9"], "P1"),
        (["--output", tmp_path / "t.npz", "--fraction", 2], "fraction 2.0"),
    ):
        capsys.readouterr()
        assert cli("split", "--truth", simulated.truth, *more) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "t.npz").exists() and not (tmp_path / "t.csv").exists()


def test_an_option_of_a_split_that_is_none(simulated: PairFiles) -> None:
    with pytest.raises(LookupError, match="did you mean 'fraction'"):
        hc.split(simulated.truth, fractoin=0.1)
    with pytest.raises(LabelError):
        hc.split(simulated.truth, protocol="P2", count=10**6)
