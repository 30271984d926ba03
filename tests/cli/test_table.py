"""hsi-cd table, figure and report on small hand-made run folders, and on real ones."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from click.testing import CliRunner, Result
from PIL import Image
from rasterio.crs import CRS

from hsi_cd.cli.figure import figure
from hsi_cd.cli.report import report
from hsi_cd.cli.table import COSTS, table
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import HsiCdError
from hsi_cd.evaluation import judge_map
from hsi_cd.io import map_writers, write_json, write_npz
from hsi_cd.io.split_files import write_split
from hsi_cd.prepare.splits import make_split
from hsi_cd.reporting.cells import COST_TITLES
from hsi_cd.reporting.formats import FORMATS
from hsi_cd.runs.folder import read_result
from hsi_cd.scene import Grid, Labels

SHAPE = (40, 50)
GRID = Grid(*SHAPE, CRS.from_epsg(32651), Affine(30, 0, 203325, 0, -30, 3604935))


def make_run(folder: Path, method: str, dataset: str = "taizhou", seed: int = 0, wrong: float = 0.1) -> Path:
    """A run folder as hsi-cd train leaves it, without the checkpoint."""
    folder.mkdir(parents=True)
    random = np.random.default_rng([seed, int(100 * wrong)])
    truth = np.zeros(SHAPE, np.uint8)
    truth[10:30, 10:25] = 1
    labels = Labels(truth)
    split = make_split(labels, protocol="P1", seed=seed, fraction=0.02)
    change = np.where(random.random(SHAPE) < wrong, 1 - truth, truth).astype(np.uint8)
    score = np.clip(0.7 * change + 0.3 * random.random(SHAPE), 0, 1).astype(np.float32)
    with map_writers(folder / "change.tif", folder / "score.tif", grid=GRID) as writers:
        writers.change.write(0, change)
        assert writers.score is not None
        writers.score.write(0, score)
    write_split(folder / "split.npz", split)
    dates = random.integers(0, 255, (2, *SHAPE, 3)).astype(np.uint8)
    write_npz(folder / "overview.npz", {"t1": dates[0], "t2": dates[1], "truth": truth})
    (folder / "curves.csv").write_text(
        "epoch,loss/train,loss/val,kappa/val,lr\n1,0.5,0.6,0.7,0.1\n2,0.3,0.4,0.8,0.1\n"
    )
    (folder / "config.yaml").write_text(f"method: {method}\n")
    result = judge_map(
        change,
        labels,
        dataset=dataset,
        method=method,
        split=split,
        probability=score,
        parameters=900,
        map_seconds=0.5,
    )
    write_json(folder / "result.json", result.to_dict())
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods with two seeds each on one scene, one of them on a second scene; nobody writes into it."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        make_run(folder / f"a-siamese-{seed}", "siamese", seed=seed, wrong=0.05)
        make_run(folder / f"b-svm-{seed}", "svm", seed=seed, wrong=0.2)
    make_run(folder / "c-siamese-rennes", "siamese", "rennes")
    return folder


@pytest.fixture
def own(runs: Path, tmp_path: Path) -> Path:
    """One run folder to be damaged."""
    return Path(shutil.copytree(runs / "a-siamese-0", tmp_path / "run"))


def invoke(command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], prog_name="hsi-cd")


def output(command, *arguments: object) -> str:
    result = invoke(command, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(command, *arguments: object) -> str:
    """The one line of an error that the user caused."""
    result = invoke(command, *arguments)
    assert isinstance(result.exception, HsiCdError), result.output
    assert "\n" not in str(result.exception)
    return f"{type(result.exception).__name__}: {result.exception}"


# --- table ---


def test_a_folder_of_runs_becomes_one_table(runs: Path) -> None:
    lines = output(table, runs).splitlines()
    assert lines[0].startswith("Protocol P1, scored on held-out pixels;")
    assert "seeds 0, 1. Other seeds: siamese on rennes: seed 0. OA in %." in lines[0]
    body = {line.split()[0]: line for line in lines[2:] if line.split()}
    expected = np.mean([100 * read_result(runs / f"a-siamese-{seed}").scores["oa"] for seed in (0, 1)])
    assert f"{expected:.2f} +- " in body["siamese"]
    assert body["svm"].split()[-3:] == ["-", "-", "-"]


@pytest.mark.parametrize("kind", list(FORMATS))
def test_every_format_goes_to_a_file_or_the_terminal(runs: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "table.txt"
    assert output(table, runs, "--format", kind, "--output", file) == f"table: {file}\n"
    assert file.read_text() == output(table, runs, "--format", kind)
    assert "OutputError" in refused(table, runs, "--output", file)
    output(table, runs, "--output", file, "--overwrite")


def test_the_options_reach_the_table(runs: Path) -> None:
    text = output(table, runs, "--scores", "f1, kappa", "--percent", "f1", "--columns", "score", "--costs")
    assert [line.split() for line in text.splitlines() if "Method" in line] == [
        ["Method", "F1", "(%)", "Kappa", "Parameters", "Map", "(s)"]
    ] * 2
    assert "siamese F1" in output(table, runs, "--rows", "dataset", "--no-baselines")
    assert "coordinate floor" not in output(table, runs, "--no-baselines")
    assert "ddof = 0" in output(table, runs, "--ddof", "0")
    assert "bootstrap interval over test pixels" in output(table, runs, "--interval", "pixels")
    assert tuple(COST_TITLES) == COSTS


def test_what_a_table_refuses(runs: Path, own: Path) -> None:
    assert "given twice" in refused(table, runs / "a-siamese-0", own)
    assert "UnknownNameError" in refused(table, runs, "--scores", "kapa")
    assert "MissingInputError" in refused(table, runs / "none")
    result = read_result(own)
    write_json(own / "result.json", replace(result, protocol="P2").to_dict(), overwrite=True)
    assert "two protocols cannot share a table" in refused(table, runs, own)
    (own / "result.json").write_text("{")
    assert "FormatError" in refused(table, runs, own)
    assert invoke(table).exit_code == 2


# --- figure ---


@pytest.mark.parametrize(
    ("names", "options"),
    [(["a-siamese-0"], []), (["a-siamese-0", "b-svm-0", "b-svm-1"], []), (["a-siamese-0"], ["--split"])],
    ids=["panel", "side by side", "split"],
)
@pytest.mark.quick("panel")
def test_figures(runs: Path, tmp_path: Path, names: list[str], options: list[str]) -> None:
    folders = [runs / name for name in names]
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        file = tmp_path / f"figure{suffix}"
        assert output(figure, *folders, "--output", file, *options) == f"figure: {file}\n"
        assert file.read_bytes().startswith(magic)
    sizes = []
    for dpi in (60, 120):
        output(figure, *folders, "--output", tmp_path / "f.png", "--dpi", dpi, "--overwrite", *options)
        with Image.open(tmp_path / "f.png") as image:
            sizes.append(image.size[0])
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=2)


def test_a_score_beyond_1_and_a_run_without_score(own: Path, tmp_path: Path) -> None:
    with map_writers(tmp_path / "change.tif", own / "score.tif", grid=GRID, overwrite=True) as writers:
        writers.change.write(0, np.zeros(SHAPE, np.uint8))
        writers.score.write(0, np.linspace(0, 40, 2000, dtype=np.float32).reshape(SHAPE))
    output(figure, own, "--output", tmp_path / "a.png")
    (own / "score.tif").unlink()
    output(figure, own, "--output", tmp_path / "b.png")


def test_what_a_figure_refuses(runs: Path, own: Path, tmp_path: Path) -> None:
    file = tmp_path / "figure.png"
    assert "name runs of one scene" in refused(figure, own, runs / "c-siamese-rennes", "--output", file)
    assert "a split is of one" in refused(figure, runs, "--split", "--output", file)
    assert "suffix" in refused(figure, own, "--output", tmp_path / "figure.jpg")
    (own / "split.npz").unlink()
    assert "holds no split.npz" in refused(figure, own, "--split", "--output", file)
    (own / "overview.npz").unlink()
    assert "holds no overview.npz" in refused(figure, own, "--output", file)
    (own / "change.tif").unlink()
    assert "MissingInputError" in refused(figure, own, "--output", file)
    assert not file.exists()


def test_files_of_two_runs_in_one_folder_are_refused(own: Path, tmp_path: Path) -> None:
    pictures = {
        "t1": np.zeros((4, 5, 3), np.uint8),
        "t2": np.zeros((4, 5, 3), np.uint8),
        "truth": np.zeros((4, 5), np.uint8),
    }
    write_npz(own / "overview.npz", pictures, overwrite=True)
    assert "of 4 x 5 pixels but change.tif of 40 x 50" in refused(figure, own, "--output", tmp_path / "f.png")


# --- report ---


def test_a_report_of_all_runs(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    assert output(report, runs, "--output", file, "--title", "My report") == f"report: {file}\n"
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "<title>My report</title>" in page
    assert page.count('class="viewer"') == 2
    for name in ("siamese, seed 0", "svm, seed 1"):
        assert f'data-run="{name}"' in page
    assert "<polyline" in page and "McNemar" in page and "method: svm" in page
    assert "OutputError" in refused(report, runs, "--output", file)


def test_a_report_of_a_run_that_left_little(own: Path, tmp_path: Path) -> None:
    for name in ("score.tif", "overview.npz", "split.npz", "curves.csv", "config.yaml"):
        (own / name).unlink()
    output(report, own, "--output", tmp_path / "report.html")


def test_damage_is_named(own: Path, tmp_path: Path) -> None:
    for name, error in (
        ("curves.csv", "FormatError"),
        ("overview.npz", "FormatError"),
        ("split.npz", "FormatError"),
    ):
        whole = (own / name).read_bytes()
        (own / name).write_bytes(b"x,y\n1\n")
        message = refused(report, own, "--output", tmp_path / "report.html")
        assert error in message and name in message
        (own / name).write_bytes(whole)


# --- all three through the command line, on real run folders ---


@pytest.fixture(scope="module")
def real(cli: Any, simulated: PairFiles, dates: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two methods, one of them with two seeds; nobody writes into it."""
    folder = tmp_path_factory.mktemp("real")
    for method, seed in (("cva", 0), ("cva", 1), ("logistic", 0)):
        words = ["train", *dates, "--truth", simulated.truth, "--set", "split.fraction=0.05", "--method", method]
        assert cli(*words, "--seed", seed, "--run", folder / f"{method}-{seed}") == 0
    return folder


def test_a_table_of_real_runs(cli: Any, real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("table", real, "--scores", "kappa", "--costs") == 0
    lines = capsys.readouterr().out.splitlines()
    found = [read_result(real / f"cva-{seed}").scores["kappa"] for seed in (0, 1)]
    row = next(line for line in lines if line.split()[:1] == ["cva"])
    assert f"{np.mean(found):.4f}" in row and f"{np.std(found, ddof=1):.4f}" in row
    assert cli("table", real, "--format", "latex", "--output", tmp_path / "t.tex") == 0
    assert r"\toprule" in (tmp_path / "t.tex").read_text()
    asked = [
        "--format",
        "latex",
        "--label",
        "tab:x",
        "--wide",
        "--order",
        "logistic",
        "--names",
        "cva=CVA, logistic=LR",
    ]
    assert cli("table", real, *asked, "--output", tmp_path / "t.tex", "--overwrite") == 0
    text = (tmp_path / "t.tex").read_text()
    assert r"\begin{table*}" in text and r"\label{tab:x}" in text and text.index("\nLR &") < text.index("\nCVA &")
    for words, told in (
        (["--label", "tab:x"], "are of LaTeX tables: give --format latex, too"),
        (["--names", "cva"], "'cva' is to be called nothing: give NAME=CALLED"),
        (["--order", "cav"], "did you mean 'cva'"),
    ):
        capsys.readouterr()
        assert cli("table", real, *words) == 2
        assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "options"),
    [(["logistic-0"], []), (["cva-0", "cva-1", "logistic-0"], []), (["cva-0"], ["--split"])],
    ids=["panel", "side by side", "split"],
)
@pytest.mark.quick("panel")
@pytest.mark.slow
def test_figures_of_real_runs(cli: Any, real: Path, tmp_path: Path, names: list[str], options: list[str]) -> None:
    file = tmp_path / "f.png"
    words = ["figure", *(real / name for name in names), "--output", file, *options]
    assert cli(*words, "--dpi", 100) == 0
    with Image.open(file) as image:
        assert all(200 < side < 3000 for side in image.size)
        drawn = np.asarray(image.convert("RGB"))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 50
    before = file.read_bytes()
    assert cli(*words) == 2
    assert file.read_bytes() == before


def test_a_report_of_real_runs_loads_nothing(cli: Any, real: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    assert cli("report", real, "--output", file) == 0
    page = file.read_text(encoding="utf-8")
    loads = re.findall(r"""(?:src|srcset|data|href|xlink:href|action)\s*=\s*["']([^"']+)""", page)
    loads += re.findall(r"""(?:url\(|@import)\s*["']?([^"')]+)""", page)
    assert loads and all(load.startswith(("data:", "#")) for load in loads)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|importScripts|sendBeacon)\b", page)
    for name in ("cva, seed 0", "cva, seed 1", "logistic, seed 0"):
        assert f'data-run="{name}"' in page
    before = file.read_bytes()
    assert cli("report", real, "--output", file) == 2
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", ["table", "figure", "report"])
@pytest.mark.parametrize("missing", ["no", "."])
def test_folders_without_runs(
    cli: Any, command: str, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, tmp_path / missing, "--output", tmp_path / "out.png"]
    assert cli(*words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("hsi-cd: error: ")
    absent = "does not exist" if command == "report" else "there is no run folder"
    assert (absent if missing == "no" else "holds no result.json") in err
    assert not list(tmp_path.iterdir())
