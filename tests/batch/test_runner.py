"""The doing of a batch, with quick commands in place of trainings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hsi_cd.batch import runner
from hsi_cd.batch.runner import log_of, reason_in, run_missing
from hsi_cd.batch.slots import Slot, cpu_slots
from hsi_cd.errors import EXIT_REQUEUE


@dataclass(frozen=True)
class Script:
    """A job that runs a few lines of Python, and is finished when its folder holds ``done``."""

    name: str
    folder: Path
    code: str = ""
    ends: bool = True
    needs: tuple[Path, ...] = ()

    def command(self) -> list[str]:
        lines = [
            "import os, signal, sys, time",
            f"here = {str(self.folder)!r}; os.makedirs(here, exist_ok=True)",
            "print(os.getpid(), file=open(here + '/pid', 'w'), flush=True)",
            "print(os.environ.get('PLACE'), file=open(here + '/starts', 'a'), flush=True)",
            self.code,
            "open(here + '/done', 'w')" if self.ends else "",
        ]
        return [sys.executable, "-c", "\n".join(lines)]

    def is_finished(self) -> bool:
        return (self.folder / "done").exists()

    def clear(self) -> None:
        pass

    def make_room(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)

    @property
    def starts(self) -> list[str]:
        path = self.folder / "starts"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Any]:
    return lambda name, code="", **more: Script(name, tmp_path / "runs" / name, code, **more)


def reasons(jobs: list[Any], **more: Any) -> dict[str, str | None]:
    return {job.name: failure and failure.reason for job, failure in run_missing(jobs, **more)}


def test_a_job_waits_for_what_it_needs(job: Any, tmp_path: Path) -> None:
    """For all of it, whatever the order; it is never started where a part failed, or if it is finished already."""
    parts = [job("a"), job("b", "time.sleep(1)"), job("bad", "sys.exit(1)")]
    a, b, bad = (part.folder for part in parts)
    there = f"assert os.path.exists({str(a / 'done')!r}) and os.path.exists({str(b / 'done')!r})"
    whole = job("whole", there, needs=(a, b))
    never = job("never", needs=(a, bad))
    last = job("last", there, needs=(whole.folder, never.folder))
    alone = job("alone", needs=(tmp_path / "of another batch",))
    before = job("before", needs=(bad,))
    before.folder.mkdir(parents=True)
    (before.folder / "done").touch()
    found = reasons([last, whole, never, alone, before, *parts], slots=cpu_slots(2))
    assert found == {
        "a": None,
        "b": None,
        "whole": None,
        "alone": None,
        "before": None,
        "bad": "ended with code 1, without a result of this run",
        "never": "1 of the 2 parts it needs failed",
        "last": "1 of the 2 parts it needs failed",
    }
    assert not never.starts and not last.starts and whole.starts == ["None"]


def test_what_is_missing_is_run_and_a_failure_stops_no_other(job: Any) -> None:
    jobs = [
        job("done before"),
        job(
            "says why",
            "print('WARNING: odd'); print('hsi-cd: error: the scene is bad\\n', file=sys.stderr); sys.exit(2)",
        ),
        job("ends well", "print('a table')"),
        job("killed", "os.kill(os.getpid(), signal.SIGKILL)"),
        job("silent", "sys.exit(1)"),
        job("leaves nothing", "print('fine')", ends=False),
    ]
    jobs[0].folder.mkdir(parents=True)
    (jobs[0].folder / "done").touch()
    begun: list[Any] = []
    found = reasons(jobs, started=lambda job, slot: begun.append(job))
    assert found == {
        "done before": None,
        "says why": "the scene is bad",
        "ends well": None,
        "killed": "killed by signal 9",
        "silent": "ended with code 1, without a result of this run",
        "leaves nothing": "ended with code 0, without a result of this run",
    }
    assert list(found) == [job.name for job in jobs] and begun == jobs[1:]
    assert log_of(jobs[2]).read_text() == "a table\n"
    assert reason_in(log_of(jobs[3])) == "killed by signal 9"
    # What failed is tried again; what it said before is no reason for what happens now.
    mended = [replace(jobs[1], code=""), *jobs[4:5]]
    assert list(reasons(mended).values()) == [None, "ended with code 1, without a result of this run"]
    assert [len(job.starts) for job in jobs] == [0, 2, 1, 1, 2, 1]


def test_several_at_a_time_each_in_its_place(job: Any) -> None:
    """Two places: never more than two at once, and both are used."""
    code = "time.sleep(0.3)"
    jobs = [job(f"j{i}", code) for i in range(6)]
    slots = [Slot("a", {"PLACE": "a"}), Slot("b", {"PLACE": "b"})]
    now: set[str] = set()
    most = 0

    def start(job: Any, slot: Slot) -> None:
        nonlocal most
        now.add(job.name)
        most = max(most, len(now))

    for ended, failure in run_missing(jobs, slots=slots, started=start):
        now.discard(ended.name)
        assert failure is None
    assert most == 2
    places = [job.starts[0] for job in jobs]
    assert set(places) == {"a", "b"} and all(len(job.starts) == 1 for job in jobs)


@pytest.mark.parametrize(
    "leave",
    [f"sys.exit({EXIT_REQUEUE})", "os.kill(os.getpid(), signal.SIGTERM)", "os.kill(os.getpid(), signal.SIGUSR1)"],
)
@pytest.mark.quick("sys.exit*")
def test_what_was_pre_empted_is_put_back(job: Any, leave: str) -> None:
    """Its second start ends well; one that never comes further is given up."""
    once = job("once", f"if len(open(here + '/starts').read().split()) < 3: {leave}")
    assert reasons([once, job("other")]) == {"other": None, "once": None}
    assert len(once.starts) == 3
    assert reasons([job("always", leave)], attempts=2) == {"always": "pre-empted again and again"}
    assert len(job("always").starts) == 2


def test_when_it_is_stopped_what_runs_may_save(job: Any) -> None:
    """Ctrl-C reaches the batch alone; it asks its processes to leave, and waits for them."""
    saves = "signal.signal(signal.SIGTERM, lambda *_: (open(here + '/saved', 'w'), sys.exit(75)))"
    slow = [job(name, f"{saves}; open(here + '/ready', 'w'); time.sleep(60)") for name in ("a", "b")]

    def interrupt() -> None:
        while not all((one.folder / "ready").exists() for one in slow):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(run_missing(slow, slots=cpu_slots(2)))
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    assert all((one.folder / "saved").exists() for one in slow)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_run_that_outlives_its_batch_is_waited_for(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The orphan holds the lock to its end; then its result is there, and nothing is run a second time."""
    one = job("one", "time.sleep(60)")
    ending = run_missing([one], started=lambda *_: None)
    orphans: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], *, held: list[int], **_: Any) -> subprocess.Popen[bytes]:
        assert not orphans, "run a second time"
        orphans.append(subprocess.Popen(["sleep", "60"], pass_fds=held))
        return subprocess.Popen(["sh", "-c", "kill -9 $$"])

    monkeypatch.setattr(runner, "start_process", start)
    assert [failure.reason for _, failure in ending if failure] == ["killed by signal 9"]
    ended: list[Any] = []
    second = threading.Thread(target=lambda: ended.extend(run_missing([one])))
    second.start()
    time.sleep(0.5)
    assert not ended
    one.folder.mkdir()
    (one.folder / "done").touch()
    orphans[0].kill()
    orphans[0].wait()
    second.join(timeout=10)
    assert ended == [(one, None)]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_gpu_that_an_orphan_holds_is_not_used(job: Any) -> None:
    """Its memory is taken: another job waits for it, or takes another GPU."""
    gpus = [Slot(f"gpu {i}", {"PLACE": str(i)}, exclusive=True) for i in (0, 1)]
    first, second, third = job("first", "time.sleep(60)"), job("second"), job("third")
    running, other = run_missing([first], slots=gpus[:1]), run_missing([second, third], slots=gpus)
    thread = threading.Thread(target=lambda: next(running))
    thread.start()
    while not first.starts:
        time.sleep(0.01)
    try:
        assert [failure for _, failure in other] == [None, None]
        assert second.starts == third.starts == ["1"]
    finally:
        os.kill(int((first.folder / "pid").read_text()), signal.SIGKILL)
        thread.join()


def test_the_reason_is_the_last_line(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert reason_in(log) == ""
    log.write_bytes(b"first\n\xff second \n\n" + b"")
    assert reason_in(log) == "\ufffd second"
    assert reason_in(log, len(log.read_bytes())) == ""
    log.write_text("x" * 30_000 + "\nhsi-cd: error: last\n")
    assert reason_in(log) == "last"
