"""The doing of what is missing of a batch: several processes at a time, each in a place of its own.

A job that fails, or is killed, takes no other with it; one that was pre-empted is put back. Started again, a batch
goes on where it stopped: what is finished is skipped, and a process that outlived a killed batch is waited for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hsi_cd.batch.jobs import Job
from hsi_cd.batch.slots import ONE, Slot
from hsi_cd.errors import EXIT_REQUEUE
from hsi_cd.progress import MARK

ATTEMPTS = 20
"""So often may a job be pre-empted before it counts as failed; each time it has come at least one step further."""

_PREEMPTED = {EXIT_REQUEUE} | {-getattr(signal, s) for s in ("SIGTERM", "SIGUSR1") if hasattr(signal, s)}
"""Exit codes of what was asked to leave; those of the signals, if it was asked before it could listen."""

_PATIENCE = 120.0
"""Seconds that a job may take to save when the batch is stopped."""


@dataclass(frozen=True)
class Failure:
    """A job that did not end well.

    Attributes:
        job: the job.
        reason: why, in one line.
        preempted: whether it was asked to leave, and would go on if it were started again.
    """

    job: Job
    reason: str
    preempted: bool = False


@dataclass
class _Running:
    job: Job
    slot: Slot
    process: subprocess.Popen[bytes]
    log: Path
    begin: int
    held: ExitStack


def run_missing(
    jobs: Sequence[Job],
    *,
    slots: Sequence[Slot] = ONE,
    attempts: int = ATTEMPTS,
    started: Callable[[Job, Slot], None] = lambda job, slot: None,
) -> Iterator[tuple[Job, Failure | None]]:
    """Do what is missing of a batch, in its order as far as there are free places.

    A job that needs others of the batch waits until they have ended, and fails if one of them did not end well.
    When the caller stops, or is interrupted, what runs is asked to save and leave.

    Args:
        jobs: the jobs.
        slots: the places for processes.
        attempts: how often a job is started until it ends in another way than by pre-emption.
        started: called for each job that is started, with its place.

    Yields:
        Each job that is done by now, as it ends, and how it failed, or None.
    """
    waiting, running = list(jobs), list[_Running]()
    starts: Counter[Path] = Counter()
    ended: dict[Path, bool] = {}  # by folder: whether well
    own = {job.folder for job in jobs}
    free = list(slots)
    places = Path(os.path.commonpath([job.folder.absolute().parent for job in jobs])) if jobs else Path()
    try:
        while waiting or running:
            for job in list(waiting) if free else ():
                needed = [folder for folder in job.needs if folder in own and not ended.get(folder)]
                if not all(folder in ended for folder in needed):
                    continue  # and no look at its files yet: this comes round ten times a second
                if job.is_finished():
                    waiting.remove(job)
                    ended[job.folder] = True
                    yield job, None
                elif needed:
                    waiting.remove(job)
                    ended[job.folder] = False
                    yield job, Failure(job, f"{len(needed)} of the {len(job.needs)} parts it needs failed")
                elif free and (now := _start(job, free, places)):
                    waiting.remove(job)
                    free.remove(now.slot)
                    running.append(now)
                    starts[job.folder] += 1
                    started(job, now.slot)
                if not free:
                    break
            for run in list(running):
                code = run.process.poll()
                if code is None:
                    continue
                running.remove(run)
                run.held.close()
                free.append(run.slot)
                failure = _failure(run, code)
                if failure and failure.preempted and starts[run.job.folder] < attempts:
                    waiting.append(run.job)
                else:
                    ended[run.job.folder] = failure is None
                    yield run.job, failure
            if running or waiting:
                time.sleep(0.1)
    finally:
        _stop(running)


def reason_in(log: Path, begin: int = 0) -> str:
    """The last line of a log, from a place in it on: why a job failed; empty if it told its progress alone."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(begin, log.stat().st_size - 10_000))
        said = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        told = [line for line in said if not line.startswith(MARK)]
        return told[-1].removeprefix("hsi-cd: error: ") if told else ""
    return ""


def log_of(job: Job) -> Path:
    """Where what a job says is kept, beside its folder."""
    return job.folder.with_name(f"{job.folder.name}.log")


def start_process(
    command: Sequence[str], *, log: IO[bytes], environment: Mapping[str, str], held: Sequence[int]
) -> subprocess.Popen[bytes]:
    """A process in a session of its own, so that Ctrl-C reaches the batch alone, which then asks it to leave."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | environment,
        pass_fds=held,
        start_new_session=True,
    )


def _start(job: Job, free: Sequence[Slot], places: Path) -> _Running | None:
    """Start a job in the first place that is free; None as long as somebody else works on it, or in all places."""
    with ExitStack() as held:
        job.make_room()
        lock = _lock(job.folder, held)
        if lock is None or job.is_finished():  # somebody may have finished it a moment ago
            return None
        for slot in free:
            place = _lock(places / slot.name.replace(" ", "-"), held) if slot.exclusive else -1
            if place is not None:
                break
        else:
            return None
        job.clear()
        log = log_of(job)
        with log.open("ab") as output:
            begin = output.tell()
            process = start_process(
                job.command(),
                log=output,
                environment=slot.environment,
                held=[handle for handle in (lock, place) if handle >= 0],
            )
        return _Running(job, slot, process, log, begin, held.pop_all())


def _lock(path: Path, held: ExitStack) -> int | None:
    """Take the lock of a folder or a place; None if somebody has it.

    The lock goes with the last process that holds its handle, so a job whose batch was killed keeps it to its end.
    """
    if sys.platform == "win32":  # where nothing keeps two batches out of one folder
        return -1
    import fcntl

    with ExitStack() as opened:
        file = opened.enter_context(path.with_name(f".{path.name}.lock").open("w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        held.push(opened.pop_all())
        return file.fileno()


def _failure(run: _Running, code: int) -> Failure | None:
    if code == 0 and run.job.is_finished():
        return None
    if code in _PREEMPTED:
        return Failure(run.job, "pre-empted again and again", preempted=True)
    if code < 0:
        reason = f"killed by signal {-code}"
        with run.log.open("a", encoding="utf-8") as log:  # where it is looked for when the table is made later
            log.write(f"{reason}\n")
        return Failure(run.job, reason)
    said = reason_in(run.log, run.begin) if code else ""
    return Failure(run.job, said or f"ended with code {code}, without a result of this run")


def _stop(running: Sequence[_Running]) -> None:
    """Ask what runs to save and leave, and end what does not."""
    for run in running:
        run.process.terminate()
    deadline = time.monotonic() + _PATIENCE
    for run in running:
        try:
            run.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            run.process.kill()
            run.process.wait()
        run.held.close()
