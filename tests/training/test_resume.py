"""A run can be stopped at any instant, and goes on to the same weights, bit for bit."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event, SessionLog
from threadpoolctl import threadpool_limits
from torch.optim.optimizer import register_optimizer_step_post_hook

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.errors import EXIT_REQUEUE
from hsi_cd.io import read_class_map
from hsi_cd.runs.folder import read_provenance

Capture = pytest.CaptureFixture[str]

KILLED_WHILE_SAVING = """
import os, signal, sys, torch
from pathlib import Path
from hsi_cd.cli.main import main
save, calls = torch.save, 0

def save_and_die(content, path):
    global calls
    calls += 1
    save(content, path)
    if calls == 9:
        Path(path).write_bytes(Path(path).read_bytes()[:3000])
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = save_and_die
main(sys.argv[1:])
"""
"""The command line, killed with half of its ninth checkpoint written."""

KILLED_WHILE_KINDS_ARE_LEARNED = """
import os, signal
from hsi_cd.cli.main import main
from hsi_cd.training import kind_learning
teach, calls = kind_learning._teach, 0

def teach_and_die(*told):
    global calls
    calls += 1
    if calls == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return teach(*told)

kind_learning._teach = teach_and_die
main()
"""
"""The command line, killed when the first of two members has learned the kinds of change."""

EPOCHS = 24
LONG = {
    "train__epochs": EPOCHS,
    "train__max_steps": 1000,
    "train__validate_every": 5,
    "train__map_every": 0,
    "model__attention__window": 3,
    "model__backbone__width": 8,
}
"""Long enough to be stopped in the middle, a second or two, with a network that is small."""


@pytest.fixture(scope="session")
def words(cli: Any, simulated: PairFiles, dates: list[str]) -> list[object]:
    """The command, up to the run folder."""
    return ["train", *dates, "--truth", simulated.truth, "--device", "cpu", *cli.settings(**LONG), "--run"]


@pytest.fixture(scope="session")
def uninterrupted(cli: Any, words: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    with threadpool_limits(1):  # as in the processes that are stopped
        assert cli(*words, folder) == 0
    return folder


def wait_for(process: Any, reached: Callable[[], bool]) -> None:
    """Until a run has come far enough to be stopped."""
    deadline = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, f"the run ended too early: {process.communicate()}"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def saved_times(path: Path, count: int) -> Callable[[], bool]:
    """Whether a file has been replaced so many times since this was called."""
    seen: set[int] = set()

    def reached() -> bool:
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        return len(seen) >= count

    return reached


def resume(cli: Any, words: list[object], folder: Path) -> None:
    with threadpool_limits(1):
        assert cli(*words, folder, "--resume") == 0


def tensors(value: Any, name: str = "") -> dict[str, torch.Tensor]:
    """Every tensor in nested dictionaries and lists, by its path."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path: tensor for key, item in items for path, tensor in tensors(item, f"{name}.{key}").items()}


def assert_same_end(folder: Path, uninterrupted: Path) -> None:
    """Weights, optimiser and random states, bit for bit; the map; the scores."""
    for name in ("last.pt", "best.pt"):
        ours, theirs = (load_checkpoint(run / name) for run in (folder, uninterrupted))
        a, b = tensors(ours), tensors(theirs)
        assert a.keys() == b.keys() and len(a) > 100
        # A noise that was not measured is NaN in both.
        same = {path: torch.allclose(a[path], b[path], rtol=0, atol=0, equal_nan=True) for path in a}
        assert [path for path in a if not same[path]] == []
        assert ours["detector"]["calibration"] == theirs["detector"]["calibration"]
        assert ours["training"]["random"]["generator"] == theirs["training"]["random"]["generator"]
        assert ours["training"]["progress"]["epoch"] == theirs["training"]["progress"]["epoch"]
    assert (
        read_class_map(folder / "change.tif").values == read_class_map(uninterrupted / "change.tif").values
    ).all()
    ours, theirs = (json.loads((run / "result.json").read_text()) for run in (folder, uninterrupted))
    assert (ours["scores"], ours["threshold"]) == (theirs["scores"], theirs["threshold"])


@pytest.mark.slow
def test_killed_in_the_middle(cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = cli.fork(*words, folder)
    wait_for(process, saved_times(folder / "last.pt", 8))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    epoch = load_checkpoint(folder / "last.pt")["training"]["progress"]["epoch"]
    assert 8 <= epoch < EPOCHS and not (folder / "result.json").exists()
    resume(cli, words, folder)
    assert_same_end(folder, uninterrupted)
    ours, theirs = (curve(run, "loss/train") for run in (folder, uninterrupted))
    # tensorboardX may lose what it had not written when it was killed; nothing else is missing, or drawn twice.
    assert set(range(1, EPOCHS + 1)) - set(ours) <= set(range(epoch + 1))
    assert ours.items() <= theirs.items()
    assert (folder / "curves.csv").read_text() == (uninterrupted / "curves.csv").read_text()


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(
    cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert cli.process(*words, folder, code=KILLED_WHILE_SAVING).returncode == -signal.SIGKILL
    assert load_checkpoint(folder / "last.pt")["training"]["progress"]["epoch"] < 9
    resume(cli, words, folder)
    assert_same_end(folder, uninterrupted)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_killed_while_kinds_are_learned(cli: Any, dates: list[str], kinds_truth: Path, tmp_path: Path) -> None:
    words = ["train", *dates, "--truth", kinds_truth, "--changed", "1,2", "--unchanged", "0", "--kinds"]
    words += ["--device", "cpu", *cli.settings(), "--run"]
    folder, uninterrupted = tmp_path / "run", tmp_path / "uninterrupted"
    process = cli.fork(*words, folder, code=KILLED_WHILE_KINDS_ARE_LEARNED)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert "kinds" not in load_checkpoint(folder / "best.pt")["detector"]
    resume(cli, words, folder)
    with threadpool_limits(1):
        assert cli(*words, uninterrupted) == 0
    assert "kinds" in load_checkpoint(folder / "best.pt")["detector"]
    assert_same_end(folder, uninterrupted)
    assert set(np.unique(read_class_map(folder / "change.tif").values)) == {0, 1, 2}


@pytest.mark.slow
def test_killed_before_the_first_checkpoint(
    cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    seldom = [*words[:-1], "--set", "train.save_every=1000", "--run"]
    process = cli.fork(*seldom, folder)
    wait_for(process, lambda: any(folder.glob("events.out.tfevents.*")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "last.pt").exists()
    resume(cli, seldom, folder)
    ours, theirs = (tensors(load_checkpoint(run / "last.pt")) for run in (folder, uninterrupted))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert curve(folder, "loss/train") == curve(uninterrupted, "loss/train")


@pytest.mark.slow
def test_stopped_by_ctrl_c(cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = cli.fork(*words, folder)
    wait_for(process, saved_times(folder / "last.pt", 3))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("hsi-cd: error: interrupted") and err.count("\n") == 1
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    resume(cli, words, folder)
    assert_same_end(folder, uninterrupted)


@contextmanager
def asked_at_step(number: int, signum: signal.Signals) -> Iterator[None]:
    """This process is sent a signal in the middle of its so many-th step of the optimiser."""
    steps = 0

    def hook(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == number:
            os.kill(os.getpid(), signum)

    handle = register_optimizer_step_post_hook(hook)
    try:
        yield
    finally:
        handle.remove()


# Epochs of 7 steps: left in the first, at the end of an epoch, before a validation (every 5), in the middle.
@pytest.mark.parametrize("leaves", [(1, 34), (1, 6, 28, 17)], ids=["twice", "again and again"])
@pytest.mark.slow
def test_asked_to_leave_it_saves_at_the_next_step(
    cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path, capsys: Capture, leaves: tuple[int, ...]
) -> None:
    """At any place in an epoch: nothing is lost, nothing is done twice."""
    folder, more, taken = tmp_path / "run", [], []
    before = signal.getsignal(signal.SIGTERM)
    for steps, signum in zip(leaves, itertools.cycle((signal.SIGTERM, signal.SIGUSR1))):
        with asked_at_step(steps, signum), threadpool_limits(1):
            assert cli(*words, folder, *more) == EXIT_REQUEUE == 75
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"hsi-cd: error: asked to leave by {signum.name}: saved in epoch ")
        progress = load_checkpoint(folder / "last.pt")["training"]["progress"]
        taken.append(7 * progress["epoch"] + len(progress["losses"]))
        assert [len(order) for order in progress["orders"]] == [7 * 16] * 2  # batches of 16, two members
        more = ["--resume"]
    assert taken == list(itertools.accumulate(leaves))
    assert signal.getsignal(signal.SIGTERM) == before
    resume(cli, words, folder)
    assert_same_end(folder, uninterrupted)
    assert curve(folder, "loss/train") == curve(uninterrupted, "loss/train")
    assert (folder / "curves.csv").read_text() == (uninterrupted / "curves.csv").read_text()
    sessions = read_provenance(folder).sessions
    assert [session.outcome for session in sessions] == ["pre-empted"] * len(leaves) + ["finished"]
    assert sessions[1].command == ("hsi-cd", *map(str, words), str(folder), "--resume")


@pytest.mark.slow
def test_a_process_that_is_asked_to_leave(
    cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = cli.fork(*words, folder)
    wait_for(process, saved_times(folder / "last.pt", 3))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (EXIT_REQUEUE, "")
    assert err.startswith("hsi-cd: error: asked to leave by SIGTERM") and err.count("\n") == 1
    resume(cli, words, folder)
    assert_same_end(folder, uninterrupted)


@pytest.mark.slow
def test_asked_to_leave_where_there_is_no_step(
    cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the map is drawn it leaves at once; all of the training is kept."""
    folder = tmp_path / "run"

    def ask(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    with monkeypatch.context() as patched, threadpool_limits(1):
        patched.setattr("hsi_cd.training.run.judge_map", ask)
        assert cli(*words, folder) == EXIT_REQUEUE
    assert not (folder / "result.json").exists()
    resume(cli, words, folder)
    assert_same_end(folder, uninterrupted)


@pytest.mark.slow
def test_resumed_when_there_is_nothing_left_to_do(
    cli: Any, words: list[object], uninterrupted: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted, folder)
    resume(cli, words, folder)
    assert_same_end(folder, uninterrupted)
    assert curve(folder, "loss/train") == curve(uninterrupted, "loss/train")


def curve(folder: Path, tag: str) -> dict[int, float]:
    """A curve as TensorBoard shows it: what was written before a restart counts up to its step."""
    points: dict[int, float] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):  # by second, then by number
        data, at = path.read_bytes(), 0
        while at + 12 <= len(data):
            end = at + 12 + int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : end])
            at = end + 4
            if event.session_log.status == SessionLog.START:
                points = {step: value for step, value in points.items() if step < event.step}
            for value in event.summary.value:
                if value.tag == tag:
                    points[event.step] = value.simple_value
    return points
