"""A batch on a SLURM cluster: an array of tasks, one a job, and a task after them that makes the table.

Submitting, requeueing and the log files are submitit's. A task does its job as a local batch does, under the same
lock, so that a batch may be submitted twice, or go on locally, without anything being done twice.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hsi_cd.batch.jobs import Job
from hsi_cd.batch.runner import run_missing
from hsi_cd.batch.slots import THREADS, Slot
from hsi_cd.errors import ConfigError, DeviceError, OutputError, Preempted, unknown_name

if TYPE_CHECKING:
    from submitit import AutoExecutor
    from submitit.helpers import DelayedSubmission

LARGEST_ARRAY = 1000
"""Tasks of one array: SLURM's own limit, MaxArraySize, is 1001 unless it was changed."""

_TIMES_OUT = 1000
"""A task may use up its time limit so often; each time it goes on where it was."""


@dataclass(frozen=True)
class Request:
    """What is asked of the cluster for each task.

    Attributes:
        partition: the partition, or None for the default.
        minutes: time limit of one task; one that needs longer saves, and goes on in another.
        gpus: GPUs.
        cpus: cores.
        further: other parameters of ``sbatch``, as ``{"account": "geo"}``.
        at_once: tasks that run at the same time.
    """

    partition: str | None = None
    minutes: int = 60
    gpus: int = 0
    cpus: int = 1
    further: Mapping[str, str] = field(default_factory=dict)
    at_once: int = 256


class Task:
    """One job, as SLURM runs it. Asked to leave, it lets the job save, and has itself requeued."""

    def __call__(self, job: Job) -> None:
        """Do a job.

        Raises:
            SystemExit: it failed, with its exit code for SLURM; or it was put back.
        """
        threads = os.environ.get("SLURM_CPUS_PER_TASK", "1")
        slot = Slot("task", dict.fromkeys(THREADS, threads))
        requeue = _signal_of_submitit()
        requeued = signal.getsignal(requeue)
        for signum in (requeue, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(signum, _leave)
        try:
            ((_, failure),) = run_missing([job], slots=[slot], attempts=1)
            left = failure is not None and failure.preempted
        except Preempted:
            left = True
        if left:
            # submitit's own handler calls checkpoint, has SLURM requeue this task, and ends the process.
            signal.signal(requeue, requeued)
            signal.raise_signal(requeue)
        if failure is not None:
            print(f"failed: {job.name}: {failure.reason}", flush=True)  # noqa: T201 - the task's log
            raise SystemExit(2)

    def checkpoint(self, job: Job) -> DelayedSubmission:
        """What submitit puts into the queue again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


def run_command(command: Sequence[str]) -> None:
    """The task after the array: make the table.

    Raises:
        SystemExit: with the exit code of the command, if it is not 0.
    """
    if code := subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode:
        raise SystemExit(code)


def check_cluster(request: Request) -> None:
    """Refuse what the cluster does not have, before anything is submitted.

    Raises:
        DeviceError: there is no SLURM here, or no node of the partition has so many GPUs.
        UnknownNameError: there is no such partition.
    """
    if shutil.which("sinfo") is None or shutil.which("sbatch") is None:
        raise DeviceError(
            "there is no SLURM: sinfo and sbatch are not there: submit from a login node of a SLURM cluster"
        )
    nodes = [line.split("|") for line in _ask("sinfo", "--noheader", "--format=%R|%G")]
    partitions = {name for name, _ in nodes}
    if request.partition is not None and request.partition not in partitions:
        raise unknown_name("partition", request.partition, partitions)
    generic = [gres for name, gres in nodes if request.partition in (None, name)]
    most = max((_gpus_in(gres) for gres in generic), default=0)
    if request.gpus > most:
        where = f"partition {request.partition}" if request.partition else "this cluster"
        raise DeviceError(
            f"{request.gpus} GPUs a node are asked for, but the nodes of {where} have at most {most}: ask for less"
        )


def make_executor(folder: Path, request: Request, *, cluster: str = "slurm") -> AutoExecutor:
    """The executor of submitit for a batch whose logs go to ``folder``.

    Args:
        folder: a folder that all nodes see.
        request: what is asked for each task.
        cluster: ``slurm``, or ``local`` for processes on this machine, to try it without a cluster.

    Raises:
        ConfigError: submitit is not installed.
    """
    try:
        from submitit import AutoExecutor
    except ModuleNotFoundError:
        raise ConfigError("a SLURM cluster needs submitit: pip install 'hsi-cd[slurm]'") from None
    executor = AutoExecutor(folder=folder.absolute(), cluster=cluster, slurm_max_num_timeout=_TIMES_OUT)
    asked: dict[str, Any] = {"slurm_partition": request.partition, "gpus_per_node": request.gpus or None}
    executor.update_parameters(
        **{name: value for name, value in asked.items() if value is not None},
        timeout_min=request.minutes,
        slurm_cpus_per_task=request.cpus,
        slurm_array_parallelism=request.at_once,
        # The shell of the batch script must outlive the signal that its steps are to answer.
        slurm_setup=["trap : TERM USR1"],
        slurm_additional_parameters={"requeue": True, **request.further},
    )
    return executor


def submit(jobs: Sequence[Job], executor: AutoExecutor, *, table: Sequence[str], name: str) -> list[Any]:
    """Put a batch into the queue.

    Args:
        jobs: what is missing of it.
        executor: of :func:`make_executor`.
        table: the command that makes the table, run when all jobs have ended, well or not.
        name: what the queue calls it.

    Returns:
        The jobs of submitit: one for each of ours, those that need others last, then that of the table. They tell
        their ``job_id``.

    Raises:
        OutputError: the cluster refuses it.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    executor.update_parameters(name=name)
    tasks: list[Any] = []
    # What needs other jobs is queued after all of those that need none.
    first, second = ([job for job in jobs if bool(job.needs) == later] for later in (False, True))
    try:
        for wave in (first, second):
            for start in range(0, len(wave), LARGEST_ARRAY):
                tasks += executor.map_array(Task(), wave[start : start + LARGEST_ARRAY])
            if tasks:
                executor.update_parameters(slurm_dependency=f"afterany:{':'.join(array_ids(tasks))}")
        last = executor.submit(run_command, list(table))
    except (FailedJobError, FailedSubmissionError) as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        raise OutputError(
            f"SLURM refuses the batch: {said[-1].strip() if said else 'it does not say why'}"
        ) from None
    return [*tasks, last]


def array_ids(tasks: Sequence[Any]) -> list[str]:
    """The ids of the arrays that some tasks are of, each once."""
    return list(dict.fromkeys(task.job_id.split("_")[0] for task in tasks))


def queue_name(folder: Path) -> str:
    """What the queue calls the batch of a folder."""
    return f"hsi-cd-{sha256(str(folder.absolute()).encode()).hexdigest()[:8]}"


def queued(name: str) -> list[str]:
    """Ids of the tasks of a batch that are waiting or running."""
    return sorted({line.split("_")[0] for line in _ask("squeue", "--noheader", f"--name={name}", "--format=%i")})


def parse_minutes(text: str) -> int:
    """SLURM's ways to say a time limit (``90``, ``1:30:00``, ``2-12``, ``2-12:30``) in minutes, rounded up.

    Raises:
        ConfigError: it is none of them.
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no time limit: give minutes, H:MM:SS or D-HH:MM")
    days, *parts = found.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, [*numbers, 0][:2]
    total = ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
    if not total:
        raise ConfigError(f"{text!r} is no time limit: give minutes, H:MM:SS or D-HH:MM")
    return -(-total // 60)


def _gpus_in(gres: str) -> int:
    """The GPUs in SLURM's words for what a node has, as ``gpu:a100:4(S:0-1),tmp:100``."""
    counts = re.findall(r"(?:^|,)gpu(?::[^:,(]+)?:(\d+)", gres)
    return sum(map(int, counts)) or int(re.search(r"(?:^|,)gpu(?:,|$)", gres) is not None)


def _ask(*command: str) -> list[str]:
    """The lines that a command of SLURM says.

    Raises:
        OutputError: it fails.
    """
    try:
        said = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=120
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise OutputError(f"SLURM does not answer: {error}") from None
    if said.returncode:
        words = " ".join(said.stderr.split())
        raise OutputError(f"SLURM does not answer: {words or command[0]}")
    return [line.strip() for line in said.stdout.splitlines() if line.strip()]


def _signal_of_submitit() -> signal.Signals:
    from submitit import JobEnvironment

    return signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]


def _leave(signum: int, frame: FrameType | None) -> None:
    raise Preempted(signal.Signals(signum).name)
