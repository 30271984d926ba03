"""A matrix of runs, with a stand-in for the process of a run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsi_cd.batch import matrix
from hsi_cd.batch.matrix import Job, expand, finished, run_missing
from hsi_cd.config import to_yaml
from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import ConfusionCounts, RunResult
from hsi_cd.evaluation.result import ClassCounts

Done = subprocess.CompletedProcess


def jobs_in(folder: Path, methods: tuple[str, ...] = ("cva", "svm"), **more: Any) -> list[Job]:
    return expand(["taizhou"], methods, [0, 1], protocol="P1", folder=folder, **more)


def leave(job: Job, **other: Any) -> Path:
    """What a run that ends well leaves of a job."""
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "config.yaml").write_text(to_yaml(job.config()))
    named = {"dataset": job.dataset, "method": job.method, "seed": job.seed, "protocol": job.protocol} | other
    counts = ConfusionCounts(tn=5, fp=1, fn=1, tp=3)
    result = RunResult(scope="held-out", counts=counts, scores={"oa": 0.8}, test=ClassCounts(6, 4), **named)
    (job.folder / "result.json").write_text(json.dumps(result.to_dict()))
    return job.folder / "result.json"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return jobs_in(tmp_path)[0]


def test_seeds_are_the_outer_loop(tmp_path: Path) -> None:
    jobs = expand(["taizhou", "rennes"], ["cva", "svm"], [4, 2], protocol="P2", folder=tmp_path)
    scenes = ["taizhou", "taizhou", "rennes", "rennes"] * 2
    assert [j.dataset for j in jobs] == scenes
    assert [j.method for j in jobs] == ["cva", "svm"] * 4
    assert [j.seed for j in jobs] == [4] * 4 + [2] * 4
    assert jobs[6].folder == tmp_path / "rennes" / "cva-P2-seed2"
    assert len({j.folder for j in jobs}) == 8
    assert jobs[0].name == "taizhou cva seed 4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "P9"}, "P1-strict"),
        ({"settings": ["train.epohcs=3"]}, "did you mean train.epochs"),
        ({"settings": ["train.epochs=0"]}, "train.epochs is 0"),
        ({"seeds": [-1]}, "seed is -1"),
    ],
)
def test_what_cannot_run_is_refused_at_once(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    words = {"seeds": [0], "protocol": "P1", "folder": tmp_path} | change
    with pytest.raises(ConfigError, match=message):
        expand(["taizhou"], ["cva"], **words)


def test_the_command_is_what_a_user_would_type(tmp_path: Path) -> None:
    job = jobs_in(tmp_path, settings=["split.fraction=0.05"], arguments=["--data-root", "d"])[1]
    words = ["train", "--dataset", "taizhou", "--method", "svm", "--seed", "0", "--protocol", "P1"]
    expected = [sys.executable, "-m", "hsi_cd", *words, "--run", str(job.folder)]
    expected += ["--set", "split.fraction=0.05", "--data-root", "d"]
    assert job.command() == expected
    leave(job)
    assert job.command() == [*expected, "--resume"]
    assert job.config().split.fraction == 0.05


def test_finished_runs(job: Job) -> None:
    assert finished(job) is None
    result = leave(job)
    found = finished(job)
    assert found is not None and found.scores["oa"] == 0.8
    (job.folder / "config.yaml").unlink()
    assert finished(job) == found
    result.write_text(result.read_text()[:-20])
    assert finished(job) is None
    result.write_text("[]")
    assert finished(job) is None


@pytest.mark.parametrize(
    "other", [{"dataset": "rennes"}, {"method": "sam"}, {"seed": 1}, {"seed": None}, {"protocol": "P2"}], ids=str
)
def test_the_result_of_another_run_does_not_count(job: Job, other: dict[str, Any]) -> None:
    leave(job, **other)
    assert finished(job) is None


def test_a_result_of_other_settings_does_not_count(job: Job) -> None:
    leave(replace(job, settings=("options.threshold=otsu",)))
    assert finished(job) is None
    assert finished(replace(job, settings=("options.threshold=otsu",))) is not None
    (job.folder / "config.yaml").write_text("nonsense: [")
    assert finished(job) is None


def test_what_is_missing_is_run_and_a_failure_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_in(tmp_path, ("cva", "sam", "svm"))
    leave(jobs[0])
    outcomes = {
        jobs[1].folder: (2, "WARNING: odd\nhsi-cd: error: the scene is bad\n\n", False),
        jobs[2].folder: (0, "", True),
        jobs[3].folder: (-signal.SIGKILL, "half of the scene is no data\n", False),
        jobs[4].folder: (1, "", False),
        jobs[5].folder: (0, "WARNING: odd\n", False),
    }
    ran = []

    def run(command: list[str], **options: Any) -> Done[str]:
        job = next(job for job in jobs if str(job.folder) in command)
        ran.append(job)
        code, said, leaves = outcomes[job.folder]
        if leaves:
            leave(job)
        return Done(command, code, "", said)

    monkeypatch.setattr(matrix.subprocess, "run", run)
    announced: list[Job] = []
    ended = list(run_missing(jobs, started=announced.append))
    assert [job for job, _ in ended] == jobs
    assert ran == announced == jobs[1:]
    assert [failure and failure.reason for _, failure in ended] == [
        None,
        "the scene is bad",
        None,
        "killed by signal 9",
        "ended with code 1, without a result of this run",
        "ended with code 0, without a result of this run",
    ]
    ran.clear()
    list(run_missing(jobs))
    assert ran == [jobs[1], *jobs[3:]]


def test_an_interrupted_run_interrupts_the_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix.subprocess, "run", lambda command, **options: Done(command, 130, "", ""))
    with pytest.raises(KeyboardInterrupt):
        list(run_missing(jobs_in(tmp_path)))


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_run_that_outlives_its_matrix_is_waited_for(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The orphan holds the lock to its end; then its result is there, and nothing is run a second time."""
    orphans: list[subprocess.Popen[bytes]] = []

    def start_only(command: list[str], *, pass_fds: list[int], **options: Any) -> Done[str]:
        assert not orphans, "run a second time"
        orphans.append(subprocess.Popen(["sleep", "60"], pass_fds=pass_fds))
        return Done(command, -signal.SIGKILL, "", "")

    monkeypatch.setattr(matrix.subprocess, "run", start_only)
    list(run_missing([job]))
    ended: list[Any] = []
    second = threading.Thread(target=lambda: ended.extend(run_missing([job])))
    second.start()
    time.sleep(0.3)
    assert not ended
    leave(job)
    orphans[0].kill()
    orphans[0].wait()
    second.join(timeout=10)
    assert ended == [(job, None)]
