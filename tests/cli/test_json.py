"""With ``--json``, a command prints one JSON document on standard output, and nothing else there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import rasterio

from hsi_cd.cli.main import COMMANDS
from hsi_cd.cli.main import cli as group
from hsi_cd.cli.telling import cells_of, document
from hsi_cd.datasets.simulated.simulation_files import PairFiles

Printed = Callable[..., Any]
OTHERWISE = {
    "table": "--format json",
    "benchmark": "--format json",
    "batch": "--format json",
    "evaluate": "--json -",
    "area": "--format json",
}


@pytest.fixture
def printed(cli: Any, capsys: pytest.CaptureFixture[str]) -> Printed:
    """The document that a command prints."""

    def run(*words: object) -> Any:
        capsys.readouterr()
        assert cli(*words) == 0
        return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)

    return run


def pixels_of(path: Path) -> dict[str, float]:
    """What a map's pixels are, counted from its file."""
    with rasterio.open(path) as file:
        values = file.read(1)
    valid, changed = int((values != 255).sum()), int((values == 1).sum())
    return {"valid": valid, "changed": changed, "share": changed / valid}


def test_every_command_has_it() -> None:
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        words = {word for parameter in command.params for word in parameter.opts}
        if OTHERWISE.get(name, "").startswith("--format"):
            kind = next(p for p in command.params if "--format" in p.opts).type
            assert isinstance(kind, click.Choice) and "json" in kind.choices
        else:
            assert "--json" in words, name


def test_what_looks(printed: Printed, simulated: PairFiles, tmp_path: Path) -> None:
    assert printed("info", simulated.t1, "--json")["files"][0]["images"][0]["bands"] == 24
    assert {"name", "status"} <= printed("datasets", "--json")[0].keys()
    assert printed("datasets", "farmland", "--json")["bands"] == 155
    names = [method["name"] for method in printed("methods", "--json")]
    assert {"siamese", "cva"} <= set(names)
    assert printed("methods", "cva", "--json")["needs_labels"] is False
    shown = printed("model", "--json")
    assert shown["parameters"] > 0 and shown["layers"][0]["cost"]["kind"]
    schedule = printed("schedule", "--json", "--png", tmp_path / "a.png")
    assert len(schedule["rates"]) == schedule["steps"] and (tmp_path / "a.png").is_file()
    made = printed("simulate", tmp_path / "s", "--rows", 20, "--cols", 20, "--bands", 5, "--json")
    assert Path(made["truth"]).is_file()


def test_what_maps(printed: Printed, dates: list[str], trained: Path, tmp_path: Path) -> None:
    files = tmp_path / "c.tif", tmp_path / "a.pt"
    found = printed("detect", "--method", "cva", *dates, "--output", files[0], "--save", files[1], "--json")
    assert found["files"] == {"checkpoint": str(files[1]), "change map": str(files[0])}
    assert found["method"] == "cva" and math.isfinite(found["threshold"])
    counted = pixels_of(files[0])
    assert {name: found["pixels"][name] for name in counted} == counted and "biased" in found["pixels"]["note"]
    words = ["predict", "--checkpoint", trained / "best.pt", *dates, "--device", "cpu", "--json"]
    assert printed(*words, "--output", tmp_path / "p.tif")["unit"] == "probability"
    parts = [tmp_path / f"p{i}.tif" for i in (1, 2)]
    rows = [
        printed(*words, "--output", part, "--shard", f"{i}/2")["rows"] for i, part in enumerate(parts, start=1)
    ]
    assert rows[0][1] == rows[1][0] and rows[1][1] == 48
    joined = printed("mosaic", *parts, "--output", tmp_path / "j.tif", "--json")
    assert joined["files"] == {"change map": str(tmp_path / "j.tif")}
    counted = pixels_of(tmp_path / "p.tif")
    assert {name: joined["pixels"][name] for name in counted} == counted


def test_what_judges_and_shows(printed: Printed, simulated: PairFiles, trained: Path, tmp_path: Path) -> None:
    words = ["evaluate", trained / "change.tif", "--truth", simulated.truth]
    result = printed(*words, "--json", "-")
    assert 0 <= result["scores"]["oa"] <= 1
    assert not Path("-").exists()
    cells = printed("table", trained, "--format", "json")
    assert [cell["column"] for cell in cells if cell["row"] == "siamese"] == ["OA (%)", "Kappa", "F1"]
    assert all(isinstance(cell["mean"], float) for cell in cells if cell["row"] == "siamese")
    assert printed("runs", trained.parent, "--json")[0]["state"] == "finished"
    assert printed("runs", trained.parent, "--best", "--json")[0]["score"] == "kappa"
    assert printed("runs", "--diff", trained, trained, "--json") == []
    report = printed("report", trained, "--output", tmp_path / "r.html", "--json")
    assert report == {"report": str(tmp_path / "r.html"), "runs": [str(trained)]}
    figure = printed("figure", trained, "--output", tmp_path / "f.png", "--json")
    assert figure["figure"] == str(tmp_path / "f.png")


def test_what_learns(printed: Printed, cli: Any, dates: list[str], simulated: PairFiles, tmp_path: Path) -> None:
    words = [*dates, "--truth", simulated.truth, "--run", tmp_path / "run", "--method", "svm", "--json"]
    found = printed("train", *words)
    assert Path(found["checkpoint"]).is_file() and found["result"]["method"]
    quick = ["--set", "pretrain.epochs=1", "--set", "pretrain.pixels=200"]
    found = printed("pretrain", *dates, "--run", tmp_path / "pre", "--json", *cli.settings()[-2:], *quick)
    assert Path(found["encoders_file"]).is_file()


def test_what_is_no_number_is_null() -> None:
    record = {"a": math.nan, "b": [math.inf, 1.5], "c": Path("x"), "d": np.float32(2), "e": np.array([1, 2])}
    assert json.loads(document(record)) == {"a": None, "b": [None, 1.5], "c": "x", "d": 2, "e": [1, 2]}


def test_cells_are_numbers_words_or_nothing() -> None:
    assert cells_of("a,b,c\n1,2.5,\nx,nan,3\n")[0] == {"a": 1, "b": 2.5, "c": None}


# --- quiet and verbose ---


@pytest.mark.parametrize("place", [0, 2, -1])
def test_quiet_prints_the_result_alone(
    cli: Any, simulated: PairFiles, trained: Path, tmp_path: Path, place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[object] = ["evaluate", trained / "change.tif", "--truth", simulated.truth]
    assert cli(*words, "--json", tmp_path / "a.json") == 0
    loud = capsys.readouterr().out
    said = [*words, "--json", tmp_path / "b.json"]
    said.insert(place % len(said) if place >= 0 else len(said), "-q")
    assert cli(*said) == 0
    quiet = capsys.readouterr().out
    assert "scores: " in loud and "scores: " not in quiet and loud.startswith(quiet.rstrip())


def test_quiet_keeps_warnings_back_and_verbose_tells_more(
    cli: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = np.random.default_rng(0).random((2, 90, 96, 4), dtype=np.float32)
    values[1, :-2] = values[0, 2:]  # a shift of two pixels, which is warned of
    values[1, -2:] = values[0, :2]
    for i in (0, 1):
        np.save(tmp_path / f"t{i + 1}.npy", values[i])
    words = ["detect", "--method", "cva", "--t1", tmp_path / "t1.npy", "--t2", tmp_path / "t2.npy"]
    words += ["--axes", "rows,cols,bands", "--output", tmp_path / "c.tif", "--overwrite"]
    said = {}
    for option in ("--quiet", "--verbose", None):
        caplog.clear()
        assert cli(*words, *([option] if option else [])) == 0
        said[option] = caplog.text
    assert said["--quiet"] == ""
    assert "phase correlation" in said[None] and "phase correlation" in said["--verbose"]
    assert len(said["--verbose"]) >= len(said[None])


def test_quiet_and_verbose_contradict(cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("methods", "-q", "-v") == 2
    assert "contradict" in capsys.readouterr().err


def test_an_error_is_told_quietly_too(cli: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("-q", "info", tmp_path / "none.tif") == 2
    assert "hsi-cd: error:" in capsys.readouterr().err


# --- groups ---


def test_the_help_groups_the_commands(cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--help") == 0
    text = capsys.readouterr().out
    titles = ["Look:", "Map:", "Learn:", "Judge:", "Many runs:", "Show:"]
    places = [text.index(f"\n{title}\n") for title in titles]
    assert places == sorted(places)
    assert places[1] < text.index("\n  detect ") < places[2] < text.index("\n  train ") < places[3]
