"""hsi-cd batch on simulated scenes with quick methods."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from hsi_cd.batch import runner
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.io import read_map

Capture = pytest.CaptureFixture[str]
Write = Callable[..., Path]


@pytest.fixture
def matrix(tmp_path: Path, simulated: PairFiles) -> Write:
    """Writes a matrix of the simulated scene; fields may be changed, added, or taken away with None."""

    def write(**fields: Any) -> Path:
        scene = {"name": "hill", "t1": str(simulated.t1), "t2": str(simulated.t2), "truth": str(simulated.truth)}
        content = {"folder": "runs", "datasets": [scene], "methods": ["cva"], "seeds": "0"} | fields
        path = tmp_path / "m.yaml"
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
        return path

    return write


def results(folder: Path) -> dict[str, dict[str, Any]]:
    found = sorted((folder / "runs").rglob("result.json"))
    return {str(path.parent.relative_to(folder / "runs")): json.loads(path.read_text()) for path in found}


def test_a_matrix(cli: Any, matrix: Write, quick: list[list[str]], tmp_path: Path, capsys: Capture) -> None:
    """The plan, a line for each run, the failures, and the table of each protocol, a row for each variant."""
    path = matrix(
        methods=["cva", "svm"],
        protocols=["P1", "P4"],
        settings={"split.fraction": 0.05},
        variants={"plain": {}, "otsu": {"options.threshold": "otsu"}},
    )
    assert cli("batch", path, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "8 of 8 to do, 1 at a time: an unknown time" in err and not quick and not (tmp_path / "runs").exists()
    assert f"  otsu hill svm seed 0: {tmp_path}/runs/otsu/hill/svm-P4-seed0\n" in out

    assert cli("batch", path, "--output", tmp_path / "table.txt") == 2
    out, err = capsys.readouterr()
    assert len(quick) == 8 and out == f"table: {tmp_path / 'table.txt'}\n"
    assert set(results(tmp_path)) == {
        "plain/hill/cva-P1-seed0",
        "plain/hill/svm-P1-seed0",
        "otsu/hill/cva-P1-seed0",
        "plain/hill/cva-P4-seed0",
        "otsu/hill/cva-P4-seed0",
    }
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 3 and failed[0].startswith("failed: otsu hill svm seed 0: there is no option of svm")
    assert "svm learns from labels" in failed[1] and "there is no option of svm" in failed[2]
    lines = [line for line in err.splitlines() if line.startswith("[")]
    assert len(lines) == 8 and lines[0].startswith("[1/8] done: plain hill cva seed 0 (")
    table = (tmp_path / "table.txt").read_text()
    p1, p4 = table.split("P4\n")
    assert p1.startswith("P1\n")
    for part, names in ((p1, {"cva plain", "svm plain", "cva otsu"}), (p4, {"cva plain", "cva otsu"})):
        assert {
            " ".join(line.split()[:2]) for line in part.splitlines() if line.split()[:1] in (["cva"], ["svm"])
        } == names
    kappa = results(tmp_path)["otsu/hill/cva-P4-seed0"]["scores"]["kappa"]
    assert f"{kappa:.4f}" in next(line for line in p4.splitlines() if "cva otsu" in line)

    quick.clear()
    assert cli("batch", path, "--collect") == 2
    out, err = capsys.readouterr()
    assert out == table and err.splitlines() == failed and not quick
    assert cli("batch", matrix(), "--dry-run") == 0  # another matrix in the same folder: other runs
    assert "1 of 1 to do, 1 at a time: about " in capsys.readouterr().err


def test_what_was_made_from_other_files_is_done_anew(
    cli: Any, matrix: Write, quick: list[list[str]], tmp_path: Path, simulated: PairFiles, capsys: Capture
) -> None:
    """A corrected truth map: the same command says so, does the run again, and its table is the new one."""
    scene = {name: str(tmp_path / f"{name}.tif") for name in ("t1", "t2", "truth")}
    for name in scene:
        Path(scene[name]).write_bytes(getattr(simulated, name).read_bytes())
    path = matrix(datasets=[{"name": "hill", **scene}])
    assert cli("batch", path) == 0
    (before,) = results(tmp_path).values()
    Path(scene["t1"]).touch()
    assert cli("batch", path) == 0 and len(quick) == 1
    assert "done anew" not in capsys.readouterr().err

    with rasterio.open(scene["truth"], "r+") as file:
        file.write(np.where(np.arange(40) < 20, 0, file.read(1)), 1)
    assert cli("batch", path, "--dry-run") == 0
    err = capsys.readouterr().err
    assert f"hill cva seed 0 is done anew: {scene['truth']} has another content\n" in err
    assert "1 of 1 to do" in err and len(quick) == 1
    assert cli("batch", path) == 0 and len(quick) == 2 and "--resume" not in quick[1]
    (after,) = results(tmp_path).values()
    assert before["test"]["changed"] > after["test"]["changed"]
    assert cli("batch", path) == 0 and len(quick) == 2

    record = tmp_path / "runs" / "hill" / "cva-P1-seed0" / "provenance.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"sessions": []}))  # of an earlier version
    capsys.readouterr()
    assert cli("batch", path) == 0 and len(quick) == 2
    assert "1 finished run does not say from which files" in capsys.readouterr().err


def test_estimates_come_from_finished_runs(
    cli: Any, matrix: Write, quick: list[list[str]], tmp_path: Path, capsys: Capture
) -> None:
    assert cli("batch", matrix()) == 0
    record = tmp_path / "runs" / "hill" / "cva-P1-seed0" / "provenance.json"
    content = json.loads(record.read_text())
    content["sessions"][0]["seconds"] = 1200.0
    record.write_text(json.dumps(content))
    capsys.readouterr()
    assert cli("batch", matrix(seeds="0-4", methods=["cva", "sam"]), "--dry-run", "--workers", 2) == 0
    err = capsys.readouterr().err
    assert "cva hill" in err and "20 min" in err and "1 finished of cva on hill" in err
    assert "9 of 10 to do, 2 at a time: about 40 min and 5 jobs of unknown length" in err
    assert cli("batch", matrix(folder="elsewhere"), "--dry-run", "--history", tmp_path / "runs") == 0
    assert "1 of 1 to do, 1 at a time: about 20 min\n" in capsys.readouterr().err


@pytest.fixture
def pairs(matrix: Write, trained: Path, simulated: PairFiles, tmp_path: Path) -> Write:
    """A matrix of predictions: three dates of a place, and a pair whose second date is no image."""
    for name, source in (("20200101", simulated.t1), ("20200601", simulated.t2), ("20210101", simulated.t1)):
        (tmp_path / f"hill_{name}.tif").write_bytes(source.read_bytes())
    (tmp_path / "bog_20200101.tif").write_bytes(simulated.t1.read_bytes())
    (tmp_path / "bog_20200601.tif").write_text("no image")
    section = {"checkpoint": str(trained / "best.pt"), "pattern": "{name}_{date:%Y%m%d}.tif"}
    return lambda folder="runs", **more: matrix(
        folder=folder, datasets=None, methods=None, seeds=None, predict=section | more
    )


def test_pairs_to_map(
    cli: Any,
    pairs: Write,
    quick: list[list[str]],
    trained: Path,
    simulated: PairFiles,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    """Each pair is mapped as predict maps it; one that fails stops no other; what is done is not done again."""
    assert cli("batch", pairs()) == 2
    out, err = capsys.readouterr()
    names = ["hill_20200101_20200601", "hill_20200601_20210101"]
    assert out.splitlines() == [f"mapped: {name}: {tmp_path}/runs/{name}/change.tif" for name in names]
    failed = err.splitlines()[-1]
    assert (
        failed.startswith("failed: bog_20200101_20200601: ") and "bog_20200601.tif" in failed and len(quick) == 3
    )
    alone = tmp_path / "alone.tif"
    words = ["--checkpoint", trained / "best.pt", "--t1", simulated.t1, "--t2", simulated.t2]
    assert cli("predict", *words, "--output", alone) == 0
    assert (read_map(tmp_path / "runs" / names[0] / "change.tif")[0] == read_map(alone)[0]).all()

    quick.clear()
    (tmp_path / "bog_20200601.tif").write_bytes(simulated.t2.read_bytes())
    with rasterio.open(simulated.t2) as raster:
        turned, profile = raster.read()[:, ::-1], raster.profile
    with rasterio.open(tmp_path / "hill_20210101.tif", "w", **profile) as raster:
        raster.write(turned)  # another image: mapped anew
    assert cli("batch", pairs()) == 0
    assert [command[command.index("--t2") + 1] for command in quick] == [
        f"{tmp_path}/bog_20200601.tif",
        f"{tmp_path}/hill_20210101.tif",
    ]
    quick.clear()
    assert cli("batch", pairs()) == 0 and not quick
    assert cli("batch", pairs(arguments=["--threshold", "0.9"]), "--dry-run") == 0
    assert "3 of 3 to do" in capsys.readouterr().err


def test_a_dry_run_looks_whether_the_inputs_are_there(
    cli: Any, matrix: Write, pairs: Write, tmp_path: Path, simulated: PairFiles, capsys: Capture
) -> None:
    own = {"name": "hill", "t1": str(simulated.t1), "t2": "gone.tif", "truth": str(simulated.truth)}
    path = matrix(datasets=[own, "taizhou"], data_root="scenes", seeds="0-1")
    assert cli("batch", path, "--dry-run") == 2
    out, err = capsys.readouterr()
    assert "hill cva seed 1" in out and "4 of 4 to do" in err
    first, second = [line for line in err.splitlines() if line.startswith("missing: ")]
    assert first == f"missing: {tmp_path / 'gone.tif'} does not exist"
    assert second.startswith(f"missing: dataset taizhou: the data root {tmp_path / 'scenes'} does not exist")
    assert cli("batch", path, "--dry-run", "--format", "json") == 2
    assert len(json.loads(capsys.readouterr().out)["missing"]) == 2
    assert cli("batch", pairs(checkpoint="gone.pt"), "--dry-run") == 2
    assert f"missing: {tmp_path / 'gone.pt'} does not exist" in capsys.readouterr().err


@pytest.mark.slow
def test_pairs_in_shards(
    cli: Any, pairs: Write, quick: list[list[str]], trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    """The joined maps are those of one process, byte for byte; a pair whose shards fail is never joined."""
    again = ["--memory", "64M"]
    assert cli("batch", pairs(folder="whole", arguments=again)) == 2
    capsys.readouterr()
    quick.clear()
    in_shards = {"folder": "parts", "shards": 3, "arguments": again}
    assert cli("batch", pairs(**in_shards)) == 2
    out, err = capsys.readouterr()
    names = ["hill_20200101_20200601", "hill_20200601_20210101"]
    assert out.splitlines() == [f"mapped: {name}: {tmp_path}/parts/{name}/change.tif" for name in names]
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert [line.split(": ")[1] for line in failed] == [
        *(f"bog_20200101_20200601 shard {i}/3" for i in (1, 2, 3)),
        "bog_20200101_20200601",
    ]
    assert "bog_20200601.tif" in failed[0] and failed[3].endswith(": 3 of the 3 parts it needs failed")
    assert [command[3] for command in quick].count("mosaic") == 2 and len(quick) == 3 * 3 + 2
    for name in names:
        for kind in ("change", "score"):
            parts, whole = (tmp_path / folder / name / f"{kind}.tif" for folder in ("parts", "whole"))
            assert parts.read_bytes() == whole.read_bytes()

    quick.clear()
    (tmp_path / "parts" / names[0] / "shards" / "2-of-3" / "score.tif").unlink()
    assert cli("batch", pairs(**in_shards), "--dry-run") == 0
    err = capsys.readouterr().err
    assert f"{trained}/best.pt in 3 shards" in err and "shards, joined" in err and "finished joinings" in err
    assert cli("batch", pairs(**in_shards)) == 2
    # The shard that is made again is the same byte for byte: the maps that were joined of it stand.
    assert [command[3] for command in quick if "bog" not in " ".join(command)] == ["predict"]
    quick.clear()
    assert cli("batch", pairs(**in_shards, join=["--cog"])) == 2
    assert [command[3] for command in quick if "bog" not in " ".join(command)] == ["mosaic", "mosaic"]
    assert cli("batch", pairs(folder="other", shards=3, arguments=["--cog"])) == 2
    assert (
        "predict.arguments: --cog, --vector and --min-area are for the whole map: say" in capsys.readouterr().err
    )
    assert cli("batch", pairs(folder="other", join=["--cog"])) == 2
    assert "predict.join is for shards: say shards, or" in capsys.readouterr().err
    assert cli("batch", pairs(folder="other", shards=0)) == 2
    assert "predict.shards is '0': " in capsys.readouterr().err and not (tmp_path / "other").exists()


@pytest.mark.slow
def test_asked_to_leave_it_lets_its_runs_save(cli: Any, matrix: Write, tmp_path: Path) -> None:
    """The real processes: SIGTERM, then on to the same result."""
    settings = {word.split("=")[0]: json.loads(word.split("=")[1]) for word in cli.settings()[1::2]}
    settings |= {"train.min_steps": 600, "train.max_steps": 600, "train.save_every": 5, "train.map_every": 0}
    path = matrix(methods=["siamese"], settings=settings)
    folder = tmp_path / "runs" / "hill" / "siamese-P1-seed0"
    batch = cli.start("batch", path)
    deadline = time.monotonic() + 300
    while not (folder / "last.pt").exists():
        assert batch.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    batch.send_signal(signal.SIGTERM)
    _, err = batch.communicate(timeout=300)
    assert batch.returncode == 75 and "asked to leave by SIGTERM" in err.splitlines()[-1]
    assert "asked to leave by SIGTERM: saved in epoch" in (folder.parent / "siamese-P1-seed0.log").read_text()
    assert not (folder / "result.json").exists() and (folder / "last.pt").exists()
    done = cli.process("batch", path)
    assert done.returncode == 0 and "siamese" in done.stdout
    sessions = json.loads((folder / "provenance.json").read_text())["sessions"]
    assert [session["outcome"] for session in sessions] == ["pre-empted", "finished"]


REFUSED = {
    "no file": (["none.yaml"], {}, "config none.yaml is not a file"),
    "field": ([], {"sedes": 1}, "sedes is no field of a matrix: did you mean seeds?"),
    "dataset": (
        [],
        {"datasets": ["taizho"]},
        "line 1: datasets[1]: there is no dataset 'taizho': did you mean 'taizhou'",
    ),
    "method": ([], {"methods": ["cvaa"]}, "line 1: methods[1]: there is no method 'cvaa': did you mean 'cva'"),
    "argument": (
        [],
        {"arguments": ["--algin"]},
        "m.yaml, line 1: datasets[1].arguments: No such option '--algin'",
    ),
    "seed as argument": ([], {"arguments": ["--seed", "7"]}, "--seed is not for here: say it in its own field"),
    "setting as argument": (
        [],
        {"arguments": ["--set", "seed=7"]},
        "--set is not for here: say it under settings",
    ),
    "gpu": (["--gpus", "0"], {}, "nvidia-smi finds no GPU here: use --workers"),
    "gpus": (["--gpus", "a"], {}, "'a' is neither numbers with commas, as 0,1, nor all"),
    "both": (["--gpus", "0", "--workers", "2"], {}, "--workers is for the CPU and --gpus for GPUs"),
    "no worker": (["--workers", "0"], {}, "0 is not in the range x>=1"),
    "no cluster": (["--slurm"], {}, "there is no SLURM: sinfo and sbatch are not there"),
    "partition alone": (["--partition", "gpu"], {}, "--partition is for a cluster: give --slurm, too"),
    "time": (["--slurm", "--time", "soon"], {}, "'soon' is no time limit"),
    "both places": (["--slurm", "--workers", "2"], {}, "--slurm is for a cluster; --workers"),
    "score": (["--scores", "kapa"], {}, "did you mean 'kappa'"),
    "output": (["--output", "no/table.txt"], {}, "the folder no does not exist"),
}


@pytest.mark.parametrize(("words", "fields", "message"), REFUSED.values(), ids=REFUSED)
def test_one_line_before_anything_starts(
    cli: Any,
    matrix: Write,
    tmp_path: Path,
    words: list[str],
    fields: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # neither nvidia-smi nor SLURM
    monkeypatch.setattr(runner, "start_process", None)
    path = matrix(**fields)
    assert cli("batch", *(words if words[:1] == ["none.yaml"] else [path, *words])) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("hsi-cd: error: ")
    assert message in err
    assert list(tmp_path.iterdir()) == [path]
