"""hsi-cd benchmark on a real scene with quick methods."""

from __future__ import annotations

import json
import re
import shutil
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import hsi_cd as hc
from hsi_cd.batch import runner

Capture = pytest.CaptureFixture[str]
Benchmark = Callable[..., int]


@pytest.fixture
def benchmark(cli: Any, shared: Path, tmp_path: Path) -> Benchmark:
    def run(*more: object) -> int:
        return cli("benchmark", *words(shared, tmp_path), *more)

    return run


def words(shared: Path, folder: Path) -> list[object]:
    return ["--datasets", "taizhou", "--data-root", shared / "scenes", "--runs", folder / "runs"]


def results(folder: Path) -> dict[str, Path]:
    return {path.parent.name: path for path in (folder / "runs").rglob("result.json")}


def made(folder: Path) -> dict[str, int]:
    return {name: path.stat().st_mtime_ns for name, path in results(folder).items()}


def kappas(folder: Path, method: str) -> list[float]:
    found = sorted(name for name in results(folder) if name.startswith(method))
    return [json.loads(results(folder)[name].read_text())["scores"]["kappa"] for name in found]


def test_the_table_of_a_matrix(
    benchmark: Benchmark, quick: list[list[str]], tmp_path: Path, capsys: Capture
) -> None:
    """Mean and deviation over seeds; what is done is not done again, what is missing is; LaTeX to a file."""
    assert benchmark("--methods", "cva", "--seeds", "0,1") == 0
    out, err = capsys.readouterr()
    told = [line for line in err.splitlines() if not line.startswith("progress: ")]  # of a run of half a minute
    assert told == [] and len(quick) == 2
    assert set(made(tmp_path)) == {"cva-P1-seed0", "cva-P1-seed1"}
    row = next(line for line in out.splitlines() if line.split()[:1] == ["cva"])
    cells = [tuple(map(float, cell)) for cell in re.findall(r"([\d.]+) \+- ([\d.]+)", row)]
    found = kappas(tmp_path, "cva")
    assert cells[1] == pytest.approx((statistics.mean(found), statistics.stdev(found)), abs=6e-5)

    before, file = made(tmp_path), tmp_path / "table.tex"
    assert benchmark("--methods", "cva,sam", "--seeds", "0-1", "--format", "latex", "--output", file) == 0
    assert len(quick) == 4
    assert {name: made(tmp_path)[name] for name in before} == before
    assert capsys.readouterr().out == f"table: {file}\n"
    text = file.read_text()
    assert r"\toprule" in text and r"\end{table}" in text and "sam" in text
    assert benchmark("--methods", "cva", "--seeds", "0", "--format", "latex", "--output", file) == 2
    assert "exists: pass --overwrite" in capsys.readouterr().err
    assert len(quick) == 4

    # Other settings are other runs: their results must not be taken for these.
    assert benchmark("--methods", "cva", "--seeds", "0", "--set", "options.threshold=otsu") == 2
    assert "was started with another configuration" in capsys.readouterr().err
    assert {name: made(tmp_path)[name] for name in before} == before


@pytest.mark.slow
def test_an_ablation_crosses_settings(
    benchmark: Benchmark, quick: list[list[str]], tmp_path: Path, capsys: Capture
) -> None:
    """A run and a row for each combination, with its settings and no other's."""
    vary = ["--vary", "options.threshold=otsu,auto", "--vary", "bands.drop_constant=true,false"]
    assert benchmark("--methods", "cva", "--seeds", "0", *vary) == 0
    out, err = capsys.readouterr()
    assert err == "" and len(quick) == 4
    for threshold in ("otsu", "auto"):
        for drop in ("true", "false"):
            name = f"{threshold}+{drop}"
            folder = tmp_path / "runs" / name / "taizhou" / "cva-P1-seed0"
            config = yaml.safe_load((folder / "config.yaml").read_text())
            assert config["options"] == {"threshold": threshold}
            assert config["bands"]["drop_constant"] is (drop == "true")
            kappa = json.loads((folder / "result.json").read_text())["scores"]["kappa"]
            assert f"{kappa:.4f}" in next(line for line in out.splitlines() if f"cva {name} " in line)
    assert benchmark("--methods", "cva", "--seeds", "0", *vary) == 0
    assert len(quick) == 4 and capsys.readouterr().out == out


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        (["options.threshold"], "expected key=value,value"),
        (["options.threshold="], "expected key=value,value"),
        (["options.threshold=a/b"], "'a/b' would name a folder, and cannot"),
        (["train.lr=1,2", "train.lr=3"], "--vary train.lr is given twice"),
        (["backbone.depth=1,2", "model.backbone.depth=3"], "--vary model.backbone.depth is given twice"),
        (["train.losss=bce,focal"], "train.loss"),
    ],
)
def test_what_cannot_be_varied(benchmark: Benchmark, vary: list[str], said: str, capsys: Capture) -> None:
    words = [word for text in vary for word in ("--vary", text)]
    assert benchmark("--methods", "cva", "--seeds", "0", *words) == 2
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1


def test_failures_are_named_at_the_end(
    benchmark: Benchmark, quick: list[list[str]], tmp_path: Path, capsys: Capture
) -> None:
    """An option that only one of the methods has, and a scene that is not there."""
    more = ["--datasets", "river,taizhou", "--methods", "cva,pca-cva", "--set", "options.variance=0.9"]
    assert benchmark(*more, "--seeds", "2") == 2
    out, err = capsys.readouterr()
    assert set(made(tmp_path)) == {"pca-cva-P1-seed2"}
    assert "pca-cva" in out
    lines = err.splitlines()
    assert [line.split(":")[:2] for line in lines] == [
        ["failed", " river cva seed 2"],
        ["failed", " river pca-cva seed 2"],
        ["failed", " taizhou cva seed 2"],
    ]
    assert "river_before.mat" in lines[0] and "there is no option of cva 'variance'" in lines[2]
    assert "error:" not in err and len(quick) == 4


@pytest.mark.slow
def test_a_damaged_result_is_made_again(
    benchmark: Benchmark, quick: list[list[str]], tmp_path: Path, capsys: Capture
) -> None:
    assert benchmark("--methods", "cva", "--seeds", "0") == 0
    table = capsys.readouterr().out
    path = results(tmp_path)["cva-P1-seed0"]
    path.write_text(path.read_text()[:100])
    assert benchmark("--methods", "cva", "--seeds", "0") == 0
    assert capsys.readouterr().out == table
    assert quick[1] == [*quick[0], "--resume"]
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    assert benchmark("--methods", "cva", "--seeds", "0", "--runs", tmp_path / "elsewhere") == 0
    assert len(quick) == 2 and not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_finished(cli: Any, shared: Path, tmp_path: Path) -> None:
    """The real processes: killed after its first run, the benchmark goes on with the second."""
    command = ["benchmark", *words(shared, tmp_path), "--methods", "cva,pca-cva", "--seeds", "0"]
    first = cli.start(*command)
    deadline = time.monotonic() + 120
    while not results(tmp_path):
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)  # well into the second run, which outlives its benchmark
    first.send_signal(signal.SIGKILL)
    first.communicate()
    before = made(tmp_path)
    done = cli.process(*command)
    assert (done.returncode, done.stderr) == (0, "")
    after = made(tmp_path)
    assert set(after) == {"cva-P1-seed0", "pca-cva-P1-seed0"}
    assert {name: after[name] for name in before} == before
    assert re.search(r"^ +pca-cva .*^ +coordinate floor", done.stdout, re.MULTILINE | re.DOTALL)
    assert not [path for path in tmp_path.rglob(".*") if path.suffix != ".lock"]


REFUSED = {
    "dataset": (["--datasets", "taizho"], "did you mean 'taizhou'"),
    "no dataset": (["--datasets", ","], "--datasets ',' names nothing"),
    "method": (["--methods", "cvaa"], "did you mean 'cva'"),
    "no method": (["--methods", ""], "--methods '' names nothing"),
    "words for seeds": (["--seeds", "0-x"], "'0-x' is neither a number nor a range"),
    "backward seeds": (["--seeds", "4-0"], "names no seed"),
    "negative seed": (["--seeds", "-3"], "neither a number nor a range"),
    "huge seed": (["--seeds", "4294967296"], "seed is 4294967296"),
    "protocol": (["--protocol", "P9"], "'P1', 'P1-strict', 'P2', 'P3', 'P4', 'drawn' or 'file'"),
    "setting": (["--set", "train.epohcs=3"], "did you mean train.epochs"),
    "value": (["--set", "train.epochs=0"], "train.epochs is 0"),
    "no value": (["--set", "train.epochs"], "expected key=value"),
    "score": (["--scores", "oa,kapa"], "did you mean 'kappa'"),
    "no score": (["--scores", ","], "--scores ',' names nothing"),
    "format": (["--format", "latx"], "'latx' is not one of"),
    "output": (["--output", "no/table.tex"], "the folder no does not exist"),
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
    assert cli("benchmark", "--datasets", "taizhou", "--methods", "cva", "--seeds", "0", *more) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("hsi-cd: error: ")
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_split_teaches_in_every_run(
    benchmark: Benchmark,
    cli: Any,
    shared: Path,
    quick: list[list[str]],
    tmp_path: Path,
    capsys: Capture,
) -> None:
    """The pixels of a file, in child processes; done again only for other pixels."""
    scene = ["--dataset", "taizhou", "--data-root", shared / "scenes"]
    for seed in (7, 8):
        words = ["--protocol", "P2", "--count", 40, "--seed", seed, "--output", tmp_path / f"{seed}.csv"]
        assert cli("split", *scene, *words) == 0
    capsys.readouterr()
    more = ["--methods", "cva,sam", "--seeds", "0,1"]
    assert benchmark(*more, "--split", tmp_path / "7.csv") == 0
    out = capsys.readouterr().out
    assert len(quick) == 4 and not any("--protocol" in command for command in quick)
    assert "Training pixels from a file, scored on held-out pixels" in out and "seeds 0, 1" in out
    splits = {path.parent.name: hc.open_split(path.parent / "split.npz") for path in results(tmp_path).values()}
    given = hc.open_split(tmp_path / "7.csv", hc.open_dataset("taizhou", shared / "scenes")[1])
    assert all(split.same_pixels(given) for split in splits.values())
    assert set(splits) == {f"{m}-file-{given.fingerprint}-seed{s}" for m in ("cva", "sam") for s in (0, 1)}
    assert benchmark(*more, "--split", tmp_path / "7.csv") == 0 and len(quick) == 4
    assert benchmark("--methods", "cva", "--seeds", "0", "--split", tmp_path / "8.csv") == 0 and len(quick) == 5
    capsys.readouterr()
    for wrong, said in (
        (["--protocol", "P2"], "--protocol P2 draws the pixels that teach, and --split names them"),
        (["--set", "split.protocol=P2"], "--set split.protocol=P2 draws the pixels"),
        (["--datasets", "taizhou,rennes"], "--split names pixels of one scene, and --datasets names 2"),
    ):
        assert benchmark(*more, "--split", tmp_path / "7.csv", *wrong) == 2
        assert said in capsys.readouterr().err
    assert len(quick) == 5
