"""What goes to SLURM, on submitit's local executor and with stand-ins for SLURM's commands."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from hsi_cd.batch import slurm
from hsi_cd.batch.slurm import Request, check_cluster, make_executor, parse_minutes, queue_name, queued, submit
from hsi_cd.errors import ConfigError, DeviceError, OutputError, UnknownNameError


@dataclass(frozen=True)
class Quick:
    """A job that notes its start, and is done the so many-th time; until then it leaves with a code."""

    name: str
    folder: Path
    starts: int = 1
    code: int | str = 75
    needs: tuple[Path, ...] = ()

    def command(self) -> list[str]:
        lines = [
            "import os, sys",
            f"here = {str(self.folder)!r}; os.makedirs(here, exist_ok=True)",
            "open(here + '/starts', 'a').write(os.environ['OMP_NUM_THREADS'])",
            f"if len(open(here + '/starts').read()) < {self.starts}: sys.exit({self.code!r})",
            "open(here + '/done', 'w')",
        ]
        return [sys.executable, "-c", "\n".join(lines)]

    def is_finished(self) -> bool:
        return (self.folder / "done").exists()

    def clear(self) -> None:
        pass

    def make_room(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)


@pytest.mark.slow
def test_a_task_is_put_back_and_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the local executor, as all that is below."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the tasks cannot import the tests
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    jobs: list[Any] = [
        Quick("put back", tmp_path / "runs" / "back", starts=2),
        Quick("fails", tmp_path / "runs" / "fails", starts=9, code="the scene is bad"),
    ]
    executor = make_executor(tmp_path / "runs" / "slurm", Request(minutes=2), cluster="local")
    tasks = submit(jobs, executor, table=[sys.executable, "-c", ""], name="a")
    for task in tasks:
        task.wait()
    assert [(job.folder / "starts").read_text() for job in jobs] == ["33", "3"]
    assert jobs[0].is_finished() and not jobs[1].is_finished()
    assert "failed: fails: the scene is bad" in tasks[1].paths.stdout.read_text()


@pytest.mark.slow
def test_on_the_local_executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task does its job once, is put back when the job was pre-empted, and fails alone; then comes the table."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the tasks cannot import the tests
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    jobs: list[Any] = [
        Quick("well", tmp_path / "runs" / "well"),
        Quick("put back twice", tmp_path / "runs" / "back", starts=3),
        Quick("fails", tmp_path / "runs" / "fails", starts=9, code="the scene is bad"),
        Quick("done before", tmp_path / "runs" / "before"),
    ]
    jobs[3].folder.mkdir(parents=True)
    (jobs[3].folder / "done").touch()
    executor = make_executor(tmp_path / "runs" / "slurm", Request(minutes=2), cluster="local")
    table = [sys.executable, "-c", f"open({str(tmp_path / 'table')!r}, 'w')"]
    tasks = submit(jobs, executor, table=table, name="a")
    assert len(tasks) == 5
    for task in tasks:
        task.wait()
    assert all(job.is_finished() for job in (*jobs[:2], jobs[3])) and (tmp_path / "table").exists()
    assert [(job.folder / "starts").read_text() for job in jobs[:3]] == ["3", "333", "3"]
    assert not (jobs[3].folder / "starts").exists()
    assert "failed: fails: the scene is bad" in tasks[2].paths.stdout.read_text()


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """SLURM's commands that say what is wanted."""
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


SINFO = "printf 'main|(null)\\ngpu|gpu:a100:4(S:0-1),tmp:100\\ngpu|gpu:2\\nold|gpu\\n'"


def test_what_the_cluster_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, sinfo=SINFO, sbatch="exit 1")
    for fine in (Request(), Request("gpu", gpus=4), Request("old", gpus=1), Request(gpus=3), Request("main")):
        check_cluster(fine)
    with pytest.raises(UnknownNameError, match="no partition 'gpus': did you mean 'gpu'"):
        check_cluster(Request("gpus"))
    with pytest.raises(
        DeviceError, match="5 GPUs a node are asked for, but the nodes of partition gpu have at most 4"
    ):
        check_cluster(Request("gpu", gpus=5))
    with pytest.raises(DeviceError, match="partition main have at most 0"):
        check_cluster(Request("main", gpus=1))
    stand_in(tmp_path, monkeypatch, sinfo="echo 'slurm_load_partitions: Unable to contact' >&2; exit 1")
    with pytest.raises(OutputError, match="SLURM does not answer: slurm_load_partitions: Unable to contact"):
        check_cluster(Request())
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(DeviceError, match="sinfo and sbatch are not there"):
        check_cluster(Request())


def test_what_sbatch_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The array, its limits, requeueing, and the table after it; a refusal is one line."""
    said = f"cat $1 >> {tmp_path}/asked; echo Submitted batch job 17"
    stand_in(
        tmp_path, monkeypatch, srun="exit 1", sbatch=said, sinfo=SINFO, squeue="printf '17_[0-3]\\n17_4\\n18\\n'"
    )
    request = Request("gpu", minutes=90, gpus=2, cpus=8, further={"account": "geo"}, at_once=3)
    jobs: list[Any] = [Quick(f"j{i}", tmp_path / "runs" / f"j{i}") for i in range(5)]
    tasks = submit(jobs, make_executor(tmp_path / "slurm", request), table=["true"], name="hsi-cd-x")
    assert [task.job_id for task in tasks] == ["17_0", "17_1", "17_2", "17_3", "17_4", "17"]
    asked = (tmp_path / "asked").read_text()
    array, after = asked.split("#!/bin/bash")[1:]
    for line in ("partition=gpu", "time=90", "gpus-per-node=2", "cpus-per-task=8", "account=geo", "requeue"):
        assert f"#SBATCH --{line}\n" in array and f"#SBATCH --{line}\n" in after
    assert "#SBATCH --array=0-4%3\n" in array and "#SBATCH --job-name=hsi-cd-x\n" in array
    assert f"{tmp_path}/slurm/%A_%a_0_log.out" in array and "dependency" not in array
    assert "#SBATCH --dependency=afterany:17\n" in after and "--array" not in after
    assert queued("hsi-cd-x") == ["17", "18"]
    monkeypatch.setattr(slurm, "LARGEST_ARRAY", 2)
    submit(jobs, make_executor(tmp_path / "slurm", request), table=["true"], name="hsi-cd-x")
    assert (tmp_path / "asked").read_text().count("#!/bin/bash") == 2 + 4

    (tmp_path / "asked").unlink()
    whole: Any = Quick("whole", tmp_path / "runs" / "whole", needs=(jobs[0].folder, jobs[1].folder))
    submit([whole, *jobs[:2]], make_executor(tmp_path / "slurm", request), table=["true"], name="hsi-cd-x")
    parts, joined, after = (tmp_path / "asked").read_text().split("#!/bin/bash")[1:]
    assert "--array=0-1%" in parts and "dependency" not in parts
    assert all("#SBATCH --dependency=afterany:17\n" in wave for wave in (joined, after))

    stand_in(
        tmp_path,
        monkeypatch,
        sbatch="echo 'sbatch: error: Batch job submission failed: Invalid account' >&2; exit 1",
    )
    with pytest.raises(OutputError, match=r"SLURM refuses the batch: .*Invalid account"):
        submit(jobs, make_executor(tmp_path / "slurm", request), table=["true"], name="hsi-cd-x")


def test_the_name_in_the_queue_is_the_folder_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert queue_name(Path("a")) == queue_name(tmp_path / "a") != queue_name(Path("b"))


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("90:30", 91),
        ("1:30:00", 90),
        ("0:00:01", 1),
        ("2-0", 2880),
        ("1-12", 2160),
        ("1-00:30", 1470),
        ("1-1:1:1", 1502),
    ],
)
def test_time_limits_as_slurm_says_them(text: str, minutes: int) -> None:
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize("text", ["", "0", "0:00:00", "soon", "1h", "-5", "1:2:3:4"])
def test_what_is_no_time_limit(text: str) -> None:
    with pytest.raises(ConfigError, match="is no time limit"):
        parse_minutes(text)


def test_without_submitit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"pip install 'hsi-cd\[slurm\]'"):
        make_executor(tmp_path, Request())
    assert not any(tmp_path.iterdir())
