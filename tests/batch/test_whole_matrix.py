"""A matrix of 3 scenes, 3 methods and 3 seeds, as a user does it: killed twice; and on a real SLURM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import slurm_cluster

from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.datasets.simulated.simulation_files import write_pair
from hsi_cd.runs.folder import read_provenance

pytestmark = pytest.mark.slow

SCENES, METHODS, SEEDS = ("hill", "lake", "town"), ("cva", "sam", "svm"), (0, 1, 2)


@pytest.fixture(scope="module")
def cluster() -> ModuleType:
    if reason := slurm_cluster.why_not():
        pytest.skip(f"no SLURM: {reason}")
    return slurm_cluster


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    for i, name in enumerate(SCENES):
        write_pair(folder / name, SimulationOptions(rows=40, cols=36, bands=16, seed=i))
    return folder


def matrix(folder: Path, name: str, **fields: Any) -> Path:
    own = [{"name": n} | {k: f"{n}/{k}.tif" for k in ("t1", "t2", "truth")} for n in SCENES]
    content = {"folder": f"runs-{name}", "datasets": own, "methods": METHODS, "seeds": "0-2"}
    content |= {"settings": {"split.fraction": 0.05}} | fields
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


def scores(folder: Path) -> dict[str, dict[str, float]]:
    found = {path.parent: json.loads(path.read_text()) for path in sorted(folder.rglob("result.json"))}
    return {str(path.relative_to(folder)): content["scores"] for path, content in found.items()}


def finished(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("result.json")}


def wait_for_runs(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    deadline = time.monotonic() + 1200
    while len(finished(folder)) < count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def local(cli: Any, scenes: Path) -> Path:
    """The folder of the matrix, done with two processes, killed once with SIGKILL and once with SIGTERM."""
    path, folder = matrix(scenes, "local"), scenes / "runs-local"
    command = ["batch", path, "--workers", 2]
    first = cli.start(*command)
    wait_for_runs(first, folder, 4)
    first.kill()
    first.communicate()
    before = finished(folder)

    second = cli.start(*command)
    wait_for_runs(second, folder, 14)
    second.send_signal(signal.SIGTERM)
    _, err = second.communicate(timeout=300)
    assert second.returncode == 75 and err.splitlines()[-1].startswith("hsi-cd: error: asked to leave by SIGTERM")
    middle = finished(folder)

    third = cli.start(*command)
    out, err = third.communicate(timeout=3000)
    assert third.returncode == 0, err
    after = finished(folder)
    assert {path: after[path] for path in middle} == middle
    assert {path: after[path] for path in before} == before
    rows = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert set(METHODS) <= rows and all(f"{scene} Kappa" in out for scene in SCENES) and "seeds 0-2" in out
    return folder


def test_killed_twice_it_ends_in_the_full_table(local: Path) -> None:
    """Every run has its result, and no run came to its end twice."""
    names = {f"{scene}/{method}-P1-seed{seed}" for scene in SCENES for method in METHODS for seed in SEEDS}
    assert set(scores(local)) == names
    outcomes = {name: [s.outcome for s in read_provenance(local / name).sessions] for name in names}
    assert all(found.count("finished") == 1 and found[-1] == "finished" for found in outcomes.values())
    assert not [path for path in local.rglob(".*") if path.suffix != ".lock"]


@pytest.fixture(scope="module")
def slurm(cluster: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with cluster.slurm_cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment | {"OMP_NUM_THREADS": "1"}


def hsi_cd(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hsi_cd", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def queue(environment: dict[str, str]) -> str:
    return subprocess.run(["squeue", "-h"], env=environment, capture_output=True, text=True, check=True).stdout


def wait_for_queue(environment: dict[str, str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while found := queue(environment):
        assert time.monotonic() < deadline, found
        time.sleep(1)


def test_slurm_gives_the_same_scores(cli: Any, slurm: dict[str, str], scenes: Path, local: Path) -> None:
    path, folder = matrix(scenes, "slurm"), scenes / "runs-slurm"
    refused = {
        ("--partition", "mian"): "there is no partition 'mian': did you mean 'main'?",
        ("--gpus-per-node", "2"): "--gpus-per-node is 2, but the nodes of this cluster have at most 0",
    }
    for words, message in refused.items():
        done = hsi_cd(slurm, "batch", path, "--slurm", *words)
        assert done.returncode == 2 and message in done.stderr
    assert not queue(slurm) and not folder.exists()

    # Somebody's file lies where a run is to go: its line stands in the end, and it stops no other.
    taken = folder / "hill" / "svm-P1-seed0"
    taken.mkdir(parents=True)
    (taken / "mine.txt").touch()
    done = hsi_cd(slurm, "batch", path, "--slurm", "--partition", "main", "--time", "30")
    assert done.returncode == 0, done.stderr
    assert "submitted 27 jobs as " in done.stdout
    again = hsi_cd(slurm, "batch", path, "--slurm")
    assert again.returncode == 2 and "is in the queue already" in again.stderr
    wait_for_queue(slurm, 3000)

    expected, found = scores(local), scores(folder)
    assert found == {name: values for name, values in expected.items() if name != "hill/svm-P1-seed0"}
    assert len(list((folder / "slurm").glob("*_*_0_log.out"))) == 27
    assert "failed: hill svm seed 0: run folder" in "".join(
        f.read_text() for f in (folder / "slurm").glob("*.err")
    )
    before = finished(folder)

    (taken / "mine.txt").unlink()
    done = hsi_cd(slurm, "batch", path, "--slurm", "--partition", "main", "--time", "30")
    assert done.returncode == 0 and "submitted 1 jobs as " in done.stdout, done.stderr
    wait_for_queue(slurm, 600)
    assert scores(folder) == expected and before.items() <= finished(folder).items()
    table = (folder / "table.txt").read_text()
    assert all(method in table for method in METHODS) and "seeds 0-2" in table
    here = cli.process("batch", path, "--collect")
    assert here.returncode == 0 and here.stdout == table
    assert {s.outcome for name in expected for s in read_provenance(folder / name).sessions} == {"finished"}


def test_pre_empted_on_slurm_it_goes_on(slurm: dict[str, str], scenes: Path, cli: Any) -> None:
    """A job with priority takes the nodes; the training saves, waits in the queue, and ends the same."""
    settings = {"split.fraction": 0.05, "model.members": 2, "train.folds": 2, "train.batch_size": 16}
    settings |= {"train.min_steps": 600, "train.max_steps": 600, "train.save_every": 5, "train.map_every": 0}
    own = [{"name": "hill", "t1": "hill/t1.tif", "t2": "hill/t2.tif", "truth": "hill/truth.tif"}]
    fields = {"datasets": own, "methods": ["siamese"], "seeds": 0, "settings": settings}
    path = matrix(scenes, "preempted", **fields)
    assert hsi_cd(slurm, "batch", path, "--slurm", "--partition", "main", "--time", "30").returncode == 0
    run = scenes / "runs-preempted" / "hill" / "siamese-P1-seed0"
    deadline = time.monotonic() + 300
    while not (run / "last.pt").exists():
        assert time.monotonic() < deadline, queue(slurm)
        time.sleep(0.2)
    urgent = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 2"]
    subprocess.run(urgent, env=slurm, check=True, capture_output=True)
    wait_for_queue(slurm, 1200)
    outcomes = [session.outcome for session in read_provenance(run).sessions]
    assert outcomes == ["pre-empted", "finished"]
    log = (run.parent / "siamese-P1-seed0.log").read_text()
    assert "asked to leave by SIGTERM: saved in epoch " in log

    whole = matrix(scenes, "undisturbed", **fields)
    done = cli.process("batch", whole)
    assert done.returncode == 0, done.stderr
    assert scores(scenes / "runs-preempted") == scores(scenes / "runs-undisturbed")
