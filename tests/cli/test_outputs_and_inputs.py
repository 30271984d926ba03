"""Every command: an output that is an input is refused before any work, whatever --overwrite says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hsi_cd.datasets.simulated.simulation_files import PairFiles

Capture = pytest.CaptureFixture[str]
PAIR = ["--t1", "t1.tif", "--t2", "t2.tif"]
SAID = "no output replaces what it is made from"

CASES = {
    "detect": ["detect", *PAIR, "--output", "t1.tif"],
    "detect --score": ["detect", *PAIR, "--output", "c.tif", "--score", "t2.tif"],
    "detect --vector": ["detect", *PAIR, "--output", "c.tif", "--vector", "t2.tif"],
    "detect --save": ["detect", *PAIR, "--save", "./t2.tif"],
    "detect --like": ["detect", *PAIR, "--like", "truth.tif", "--output", "truth.tif"],
    "predict": ["predict", "--checkpoint", "c.pt", *PAIR, "--output", "t2.tif"],
    "predict --checkpoint": ["predict", "--checkpoint", "c.pt", *PAIR, "--output", "c.pt"],
    "predict --provenance": [
        "predict",
        "--checkpoint",
        "c.pt",
        *PAIR,
        "--output",
        "c.tif",
        "--provenance",
        "t1.tif",
    ],
    "mosaic": ["mosaic", "a.tif", "b.tif", "--output", "b.tif"],
    "evaluate": ["evaluate", "map.tif", "--truth", "truth.tif", "--json", "truth.tif"],
    "evaluate MAP": ["evaluate", "map.tif", "--truth", "truth.tif", "--json", "map.tif"],
    "sample": ["sample", "map.tif", "--output", "map.tif"],
    "sample --html": ["sample", "map.tif", *PAIR, "--output", "s.gpkg", "--html", "t1.tif"],
    "area": ["area", "map.tif", "--sample", "look.png", "--output", "look.png"],
    "split": ["split", "--truth", "truth.npz", "--output", "truth.npz"],
    "draw": ["draw", "truth.tif", "--output", "truth.tif"],
    "draw --like": ["draw", "truth.tif", "--like", "t1.tif", "--output", "t1.tif"],
    "suggest": ["suggest", "run", "--output", "run/result.json"],
    "suggest --html": ["suggest", "run", "--output", "next.gpkg", "--html", "look.png"],
    "info": ["info", "t1.tif", "look.png", "--png", "look.png"],
    "schedule": ["schedule", "--config", "set.png", "--png", "set.png"],
    "table": ["table", "run", "--output", "run/result.json", "--format", "json"],
    "report": ["report", "run", "--output", "run/result.json"],
    "figure": ["figure", "run", "--output", "look.png"],
    "batch": ["batch", "m.yaml", "--output", "m.yaml"],
}


@pytest.fixture
def folder(simulated: PairFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in (simulated.t1, simulated.t2, simulated.truth):
        shutil.copy(file, tmp_path)
    (tmp_path / "run").mkdir()
    for name in ("map.tif", "a.tif", "b.tif", "truth.npz"):
        shutil.copy(simulated.truth, tmp_path / name)
    for name in ("c.pt", "look.png", "set.png", "m.yaml", "run/result.json"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "run" / "score.tif").symlink_to(tmp_path / "look.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_no_command_writes_over_what_it_reads(cli: Any, folder: Path, capsys: Capture, case: str) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert cli(*CASES[case], "--overwrite") == 2
    said = capsys.readouterr().err
    assert SAID in said and said.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_run_is_not_kept_among_its_inputs(cli: Any, folder: Path, capsys: Capture, resume: list[str]) -> None:
    assert cli("train", *PAIR, "--truth", "truth.tif", "--run", ".", *resume) == 2
    assert "holds the input t1.tif: no run is kept among its inputs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (["detect", *PAIR, "--output", "c.png"], ".tif"),
        (["detect", *PAIR, "--output", "c.tif", "--score", "s.nc"], ".tif"),
        (["predict", "--checkpoint", "c.pt", *PAIR, "--output", "c.tif", "--uncertainty", "u.jp2"], ".tif"),
        (["mosaic", "a.tif", "b.tif", "--output", "c.zip"], ".tif"),
        (["detect", *PAIR, "--save", "c.tif"], ".pt"),
        (["evaluate", "map.tif", "--truth", "truth.tif", "--json", "s.csv"], ".json"),
        (["report", "run", "--output", "r.pdf"], ".html"),
        (["table", "run", "--output", "t.json"], ".txt"),
        (["info", "t1.tif", "--png", "look.jpg"], ".png"),
        (["config", "--output", "c.json"], ".yaml"),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else None,
)
def test_the_ending_of_a_name_is_the_format(
    cli: Any, folder: Path, capsys: Capture, words: list[str], ending: str
) -> None:
    there = sorted(folder.iterdir())
    assert cli(*words) == 2
    assert f"let the name end in {ending}, not in " in capsys.readouterr().err
    assert sorted(folder.iterdir()) == there


def test_a_batch_maps_no_pair_over_another(cli: Any, folder: Path, capsys: Capture) -> None:
    """The folder of a pair's maps may hold the pair itself: it is seen before the first job."""
    (folder / "maps" / "here").mkdir(parents=True)
    shutil.move("t1.tif", "maps/here/change.tif")
    Path("pairs.csv").write_text("name,t1,t2\nhere,maps/here/change.tif,t2.tif\n")
    Path("m.yaml").write_text("folder: maps\npredict: {checkpoint: c.pt, pairs: pairs.csv}\n")
    assert cli("batch", "m.yaml", "--dry-run") == 2
    assert SAID in capsys.readouterr().err
    Path("pairs.csv").write_text("name,t1,t2\nthere,t1.tif,t2.tif\n")
    assert cli("batch", "m.yaml", "--format", "csv", "--output", "pairs.csv", "--overwrite", "--dry-run") == 2
    assert SAID in capsys.readouterr().err


def test_simulate_replaces_simulations_alone(cli: Any, folder: Path, capsys: Capture) -> None:
    assert cli("simulate", ".", "--rows", 20, "--cols", 20, "--bands", 8, "--overwrite") == 2
    assert "was not simulated (there is no simulation.json beside it)" in capsys.readouterr().err
