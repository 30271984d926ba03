"""hsi-cd runs on the folders of real runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A finished run, a copy with another setting and another Kappa, and one that did not end."""
    runs = tmp_path / "runs"
    for name in ("a", "b", "c"):
        shutil.copytree(trained, runs / name)
    content = json.loads((runs / "b" / "result.json").read_text())
    content["scores"]["kappa"] = 0.125
    (runs / "b" / "result.json").write_text(json.dumps(content))
    config = runs / "b" / "config.yaml"
    config.write_text(config.read_text().replace("warmup: 0.2", "warmup: 0.3"))
    (runs / "c" / "result.json").unlink()
    return runs


def test_a_list(cli: Any, folder: Path, capsys: Capture) -> None:
    assert cli("runs", folder, "--scores", "kappa") == 0
    lines = capsys.readouterr().out.splitlines()
    kappa = json.loads((folder / "a" / "result.json").read_text())["scores"]["kappa"]
    assert lines[0].split() == [
        "run",
        "dataset",
        "method",
        "protocol",
        "seed",
        "state",
        "Kappa",
        "seconds",
        "started",
    ]
    rows = [line.split() for line in lines[2:]]
    assert [row[:7] for row in rows[:2]] == [
        ["a", "scene", "siamese", "P1", "3", "finished", f"{kappa:.4f}"],
        ["b", "scene", "siamese", "P1", "3", "finished", "0.1250"],
    ]
    assert rows[2][0] == "c" and rows[2][-3] == "-"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--dataset", "scene"], "ab"),
        (["--method", "svm"], ""),
        (["--protocol", "P1", "--seed", "3"], "abc"),
        (["--seed", "4"], ""),
        (["--state", "finished"], "ab"),
        (["--where", "train.warmup=0.2"], "ac"),
        (["--where", "train.warmup=0.3", "--where", "train.folds=2"], "b"),
        (["--where", "train.nothing=null"], ""),
    ],
)
def test_filters(cli: Any, folder: Path, capsys: Capture, words: list[str], expected: str) -> None:
    assert cli("runs", folder, *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "".join(Path(run["folder"]).name for run in found) == expected
    assert cli("runs", folder, *words) == 0
    out = capsys.readouterr().out
    assert ("no run is like that" in out) == (not expected)


def test_the_best(cli: Any, folder: Path, capsys: Capture) -> None:
    kappa = json.loads((folder / "a" / "result.json").read_text())["scores"]["kappa"]
    better = "a" if kappa > 0.125 else "b"
    assert cli("runs", folder, "--best", "--json") == 0
    (best,) = json.loads(capsys.readouterr().out)
    assert [Path(run).name for run in best["runs"]] == [better] and best["std"] is None
    assert best["mean"] == pytest.approx(max(kappa, 0.125)) and best["settings"]["split.fraction"] == 0.05
    assert cli("runs", folder, "--best", "--by", "kappa") == 0
    row = capsys.readouterr().out.splitlines()[2].split()
    assert row[:5] == ["scene", "P1", "siamese", "1", f"{max(kappa, 0.125):.4f}"]
    assert cli("runs", folder, "--best", "--where", "train.warmup=9") == 0
    assert "no finished run" in capsys.readouterr().out


def test_what_differs(cli: Any, folder: Path, capsys: Capture) -> None:
    assert cli("runs", "--diff", folder / "a", folder / "b") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows[0] == ["train.warmup", "0.2", "0.3"] and rows[1][:2] == ["score", "kappa"] and len(rows) == 2
    assert cli("runs", "--diff", folder / "a", folder / "a") == 0
    assert capsys.readouterr().out == "nothing differs\n"
    assert cli("runs", "--diff", folder / "a", folder / "b", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0] == {"what": "train.warmup", "a": "0.2", "b": "0.3"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "there is no folder none"),
        (["."], ". holds no run"),
        (["--scores", "kapa"], "did you mean 'kappa'"),
        (["--best", "--by", "kapa"], "did you mean 'kappa'"),
        (["--where", "seed"], "expected key=value"),
        (["--diff", "a", "b"], "a is no run folder"),
    ],
)
def test_one_line(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("runs", *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and message in err
