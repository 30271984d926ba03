"""hsi-cd curve on a real scene with quick methods."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsi_cd.batch import runner
from hsi_cd.errors import LabelError

Capture = pytest.CaptureFixture[str]
Curve = Callable[..., int]


@pytest.fixture
def curve(cli: Any, shared: Path, tmp_path: Path) -> Curve:
    def run(*more: object) -> int:
        words = ["--datasets", "taizhou", "--data-root", shared / "scenes", "--runs", tmp_path / "runs"]
        return cli("curve", *words, *more)

    return run


def results(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        str(path.parent.relative_to(folder / "runs")): json.loads(path.read_text())
        for path in (folder / "runs").rglob("result.json")
    }


@pytest.mark.slow
def test_a_curve_over_labels(curve: Curve, quick: list[list[str]], tmp_path: Path, capsys: Capture) -> None:
    """The table is the mean and deviation of the runs; what is done is not done again; a gap stops no other."""
    table, figure = tmp_path / "curve.csv", tmp_path / "curve.png"
    named = ["--methods", "logistic,cva", "--labels", "5000,40", "--seeds", "0,1"]
    assert curve(*named, "--output", figure, "--table", table) == 2
    out, err = capsys.readouterr()
    assert figure.read_bytes().startswith(b"\x89PNG") and f"table: {table}\nfigure: {figure}\n" in out
    failed = [line for line in err.splitlines() if not line.startswith("progress: ")]  # of a slow machine
    assert len(failed) == 4 and len(quick) == 8
    assert failed[0].startswith("failed: taizhou logistic seed 0, split.count=5000: change.bmp")
    assert "4227 changed pixels, 5000 of which are to teach" in failed[0]

    found = results(tmp_path)
    assert len(found) == 4
    kept = found["count=40/taizhou/logistic-P2-seed1"]
    assert kept["train"] == {"unchanged": 40, "changed": 40}
    assert (kept["test"]["unchanged"], kept["test"]["changed"]) == (17163 - 40, 4227 - 40)
    rows = {(row["row"], row["column"]): row for row in csv.DictReader(table.read_text().splitlines())}
    assert [column for name, column in rows if name == "cva"] == ["40", "5,000"]
    for method in ("logistic", "cva"):
        kappas = [found[f"count=40/taizhou/{method}-P2-seed{s}"]["scores"]["kappa"] for s in (0, 1)]
        row = rows[method, "40"]
        assert float(row["mean"]) == pytest.approx(statistics.mean(kappas))
        assert float(row["std"]) == pytest.approx(statistics.stdev(kappas))
        assert rows[method, "5,000"]["runs"] == "0"

    quick.clear()
    assert curve("--methods", "logistic", "--labels", "40", "--seeds", "0-1") == 0
    assert not quick and "seeds 0, 1" in capsys.readouterr().out


@pytest.mark.slow
def test_curves_over_shares_and_over_imbalance(
    curve: Curve, quick: list[list[str]], tmp_path: Path, capsys: Capture
) -> None:
    """Shares are P1; rare change in the training set leaves all other pixels to judge, as they are."""
    table = tmp_path / "curve.md"
    assert curve("--methods", "cva", "--fractions", "0.001,0.01", "--seeds", "0", "--table", table) == 0
    assert results(tmp_path)["fraction=0.001/taizhou/cva-P1-seed0"]["scores"]["kappa"] > 0
    assert "| Method | 0.1 % | 1 % |" in table.read_text()

    assert curve("--methods", "logistic", "--imbalance", "200", "--changed", "6", "--seeds", "0") == 0
    assert "unchanged training pixels for each changed one, 6 changed" in capsys.readouterr().out
    rare = results(tmp_path)["count=6-imbalance=200/taizhou/logistic-P2-seed0"]
    assert rare["train"] == {"unchanged": 1200, "changed": 6}
    assert rare["test"] == {"unchanged": 17163 - 1200, "changed": 4227 - 6}


REFUSED = {
    "no axis": ([], "no axis is named"),
    "two axes": (["--labels", "5", "--fractions", "0.1"], "--labels and --fractions name 2 axes"),
    "no number": (["--labels", "5,x"], "--labels: 'x' is no number: give whole numbers"),
    "half a label": (["--labels", "2.5"], "'2.5' is no number: give whole numbers"),
    "no label": (["--labels", "0"], "split.count is 0"),
    "a share of all": (["--fractions", "1.5"], "split.fraction is 1.5"),
    "changed alone": (["--labels", "5", "--changed", "5"], "--changed goes with --imbalance"),
    "its own setting": (["--labels", "5", "--set", "split.count=7"], "the curve sets split.count itself"),
    "score": (["--labels", "5", "--score", "kapa"], "did you mean 'kappa'"),
    "method": (["--labels", "5", "--methods", "cvaa"], "did you mean 'cva'"),
    "figure": (["--labels", "5", "--output", "curve.svg"], "name it .png or .pdf"),
    "table": (["--labels", "5", "--table", "curve.xls"], "the suffix is '.xls'"),
    "folder": (["--labels", "5", "--output", "no/curve.png"], "the folder no does not exist"),
}


@pytest.mark.parametrize(("more", "message"), REFUSED.values(), ids=REFUSED)
def test_one_line_before_anything_starts(
    cli: Any,
    tmp_path: Path,
    more: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "start_process", None)
    assert cli("curve", "--datasets", "taizhou", "--methods", "cva", "--seeds", "0", *more) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("hsi-cd: error: ")
    assert message in err
    assert not list(tmp_path.iterdir())


def test_an_analyst_draws_a_curve(curve: Curve, tmp_path: Path, capsys: Capture, monkeypatch: Any) -> None:
    """Each strategy is a row, each number of shapes a column; the rounds are tested beside the analyst."""
    from hsi_cd.api import analyst
    from hsi_cd.evaluation import judge_map

    def ask(pair: Any, truth: Any, who: analyst.Analyst, folder: Path) -> Any:
        assert folder == tmp_path / "runs" / f"strategy={who.strategy}" / "taizhou" / f"logistic-seed{who.seed}"
        assert dict(who.settings) == {"split": {"count": 20}}
        for number in who.shapes:
            if who.strategy == "uncertain" and who.seed == 1:
                raise LabelError("no room is left")
            values = truth.values.copy()
            values[:, : 40 * number if who.strategy == "random" else 1] = 0
            result = judge_map(values, truth, dataset=pair.name, method=who.title)
            yield number, replace(result, seed=who.seed)

    monkeypatch.setattr(analyst, "ask_analyst", ask)
    words = ["--methods", "logistic", "--strategy", "random,uncertain", "--shapes", "5,2", "--seeds", "0,1"]
    table = tmp_path / "curve.csv"
    assert curve(*words, "--set", "split.count=20", "--table", table) == 2
    out, err = capsys.readouterr()
    assert "failed: taizhou logistic, uncertain, seed 1: no room is left" in err
    assert "shapes of each class that are drawn" in out and "all labelled pixels" in out
    rows = {
        (row["row"], row["column"]): float(row["mean"]) for row in csv.DictReader(table.read_text().splitlines())
    }
    assert [column for name, column in rows if name == "logistic, random"] == ["2", "5"]
    assert rows["logistic, random", "5"] < rows["logistic, random", "2"] < rows["logistic, uncertain", "2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--strategy", "random"], "--strategy and --shapes go together"),
        (["--shapes", "5"], "--strategy and --shapes go together"),
        (["--strategy", "randon", "--shapes", "5"], "there is no strategy 'randon': did you mean 'random'"),
        (["--strategy", "random", "--shapes", "0,5"], "--shapes 0,5: give numbers from 1"),
        (["--strategy", "random", "--shapes", "5", "--labels", "5"], "leave --labels out"),
        (["--strategy", "random", "--shapes", "5", "--workers", "2"], "leave --workers and --gpus out"),
        (["--strategy", "random", "--shapes", "5", "--methods", "cva"], "cva learns from no label"),
    ],
)
def test_what_no_analyst_can_do_is_one_line(curve: Curve, capsys: Capture, words: list[str], said: str) -> None:
    assert curve("--methods", "logistic", *words) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
