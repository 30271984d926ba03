"""Several processes, started by torchrun as a user does, train what one process trains."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.datasets.simulated.simulation_files import PairFiles, write_pair
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.errors import ConfigError, DeviceError
from hsi_cd.io import read_class_map, read_scores
from hsi_cd.runs.folder import read_provenance
from hsi_cd.runtime.team import ALONE, Team
from hsi_cd.training import loop

SAME = {
    "model__backbone__dropout": 0,
    "train__augment__noise": 0,
    "train__augment__gain_noise": 0,
    "train__batch_size": 15,
    "train__epochs": 4,
    "train__max_steps": 100,
}
"""Without noise and dropout inside the network, whose draws differ by process; batches of uneven parts."""

LONG = {"train__epochs": 40, "train__max_steps": 1000, "train__validate_every": 10, "train__map_every": 0}
"""Long enough to be stopped in the middle."""


@pytest.fixture(scope="module")
def words(cli: Any, simulated: PairFiles, dates: list[str]) -> list[object]:
    """The command, up to the run folder."""
    return ["train", *dates, "--truth", simulated.truth, "--device", "cpu", *cli.settings(**SAME), "--run-dir"]


@pytest.fixture(scope="module")
def alone(cli: Any, words: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    with threadpool_limits(1):
        assert cli(*words, folder) == 0
    return folder


def start(processes: int, *words: object, script: Path | None = None) -> subprocess.Popen[str]:
    """torchrun with so many processes, in a group of its own, so that a Ctrl-C reaches all of them."""
    what = [str(script)] if script else ["-m", "hsi_cd"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    pipe = subprocess.PIPE
    heard = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a background job's children would not hear it
    try:
        return subprocess.Popen(
            [*command, *what, *map(str, words)],
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    finally:
        signal.signal(signal.SIGINT, heard)


def torchrun(processes: int, *words: object, script: Path | None = None) -> subprocess.CompletedProcess[str]:
    process = start(processes, *words, script=script)
    try:
        out, err = process.communicate(timeout=900)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def ours(err: str) -> list[str]:
    """What hsi-cd said; torchrun says much more of its own when a process fails."""
    return [line for line in err.splitlines() if line.startswith("hsi-cd: ")]


def flat(calibration: dict[str, Any]) -> dict[str, float]:
    """A calibration's numbers, those of the pixels around among them."""
    around = calibration.get("surroundings", {})
    own = {name: value for name, value in calibration.items() if name != "surroundings"}
    return own | {f"around/{name}": value for name, value in around.items()}


def assert_same_up_to_float_order(folder: Path, alone: Path) -> None:
    for name in ("last.pt", "best.pt"):
        a, b = (load_checkpoint(run / name) for run in (folder, alone))
        for key, value in a["detector"]["network"].items():
            torch.testing.assert_close(value, b["detector"]["network"][key], rtol=1e-4, atol=2e-5)
        told, expected = (flat(state["detector"]["calibration"]) for state in (a, b))
        assert told == pytest.approx(expected, rel=1e-3)
        assert a["training"]["random"]["generator"] == b["training"]["random"]["generator"]
    np.testing.assert_allclose(read_scores(folder / "score.tif"), read_scores(alone / "score.tif"), atol=1e-4)
    assert (
        read_class_map(folder / "change.tif").values != read_class_map(alone / "change.tif").values
    ).mean() < 0.002
    a, b = (json.loads((run / "result.json").read_text()) for run in (folder, alone))
    assert (a["train"], a["test"], a["parameters"]) == (b["train"], b["test"], b["parameters"])
    assert a["scores"]["kappa"] == pytest.approx(b["scores"]["kappa"], abs=0.01)
    for curve in ("loss/train", "kappa/val"):
        assert curves(folder)[curve] == pytest.approx(curves(alone)[curve], abs=1e-3)


def curves(folder: Path) -> dict[str, list[float]]:
    head, *rows = [line.split(",") for line in (folder / "curves.csv").read_text().splitlines()]
    return {name: [float(row[i]) for row in rows if row[i]] for i, name in enumerate(head)}


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


@pytest.mark.slow
def test_two_started_processes_train_what_one_does(
    cli: Any, words: list[object], alone: Path, tmp_path: Path
) -> None:
    """As below, by processes that are told what torchrun tells its own."""
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}
    ranks = [{"RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]
    team = [cli.start(*words, tmp_path / "run", environment=told | rank) for rank in ranks]
    said = [process.communicate() for process in team]
    assert [process.returncode for process in team] == [0, 0], said
    assert [out.count("best.pt") for out, _ in said] == [2, 0]  # the closing lines of one process
    assert_same_up_to_float_order(tmp_path / "run", alone)


@pytest.mark.slow
def test_two_processes_train_what_one_does(words: list[object], alone: Path, tmp_path: Path) -> None:
    done = torchrun(2, *words, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best.pt") == 2  # the closing lines of one process
    assert {path.name.split(".")[0] for path in (tmp_path / "run").iterdir()} == {
        path.name.split(".")[0] for path in alone.iterdir()
    }
    assert len(list((tmp_path / "run").glob("events.*"))) == 1
    assert_same_up_to_float_order(tmp_path / "run", alone)


@pytest.mark.slow
def test_two_processes_learn_the_kinds_that_one_does(
    cli: Any, dates: list[str], kinds_truth: Path, tmp_path: Path
) -> None:
    words = ["train", *dates, "--truth", kinds_truth, "--changed", "1,2", "--unchanged", "0", "--kinds"]
    words += ["--device", "cpu", *cli.settings(**SAME), "--run-dir"]
    with threadpool_limits(1):
        assert cli(*words, tmp_path / "alone") == 0
    done = torchrun(2, *words, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert_same_up_to_float_order(tmp_path / "run", tmp_path / "alone")
    kinds = [load_checkpoint(tmp_path / run / "best.pt")["detector"]["kinds"] for run in ("run", "alone")]
    assert kinds[0]["names"] == kinds[1]["names"] and kinds[0]["stored"] == kinds[1]["stored"]
    for one, other in zip(*(each["heads"].values() for each in kinds), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)
    assert set(np.unique(read_class_map(tmp_path / "run" / "change.tif").values)) == {0, 1, 2}


@pytest.mark.slow
def test_two_processes_learn_from_many_scenes_as_one_does(cli: Any, tmp_path: Path) -> None:
    entries = []
    for seed, name in enumerate("abc"):
        pair = write_pair(tmp_path / name, SimulationOptions(rows=30, cols=28, bands=6, seed=seed))
        entries.append({"name": name, "t1": str(pair.t1), "t2": str(pair.t2), "truth": str(pair.truth)})
    (tmp_path / "scenes.yaml").write_text(json.dumps({"scenes": entries}))
    more = SAME | {"scenes__changed": 40, "scenes__unchanged": 60, "train__max_steps": 12}
    words = ["train", "--scenes", tmp_path / "scenes.yaml", "--hold-out", "c", "--device", "cpu"]
    words += [*cli.settings(**more), "--run-dir"]
    with threadpool_limits(1):
        assert cli(*words, tmp_path / "alone") == 0
    done = torchrun(2, *words, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert_same_up_to_float_order(tmp_path / "run", tmp_path / "alone")
    one, two = (json.loads((tmp_path / run / "scenes.json").read_text()) for run in ("alone", "run"))
    assert one["share"] == two["share"] and len(two["scenes"]) == 2


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(
    cli: Any, words: list[object], alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun by one, ended by three, whose parts of a batch of 15 are of 5; the last batches are uneven."""

    def stop(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, threadpool_limits(1):
        patched.setattr(loop, "validate", stop)  # at the end of the second epoch
        assert cli(*words, tmp_path / "run") == 130
    assert load_checkpoint(tmp_path / "run" / "last.pt")["training"]["progress"]["epoch"] == 1
    done = torchrun(3, *words, tmp_path / "run", "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_up_to_float_order(tmp_path / "run", alone)


PROPERTIES = """
import multiprocessing, os, sys
import numpy as np, torch
from torch import nn
from hsi_cd.runtime.team import join_team

class Member(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.GELU(), nn.Conv2d(3, 1, 1))
    def forward(self, t1, t2, *, distance):
        return self.net(t1 - t2)

class Ensemble(nn.Module):
    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList([Member(), Member()])

def gradients(network, forward, inputs, size):
    a, b = forward(iter(inputs))
    # No sum over samples: neither could be put together from the losses of parts.
    loss = a.std(correction=0) / (1 + b.square().sum()) + a.logsumexp(0)
    network.zero_grad()
    (loss * size).backward()
    learning = [p.grad.clone() for p in network.parameters() if p.requires_grad]
    assert all(p.grad is None for p in network.parameters() if not p.requires_grad)
    return [a.detach(), b.detach(), loss.detach(), *learning]

def assert_same(team, network, forward, count):
    inputs = [tuple(torch.randn(count, 2, 3, 3) for _ in range(2)) for _ in range(2)]
    together = gradients(network, forward, inputs, team.size)
    def plain(batches):
        return [m(*own, distance=False)[:, 0, 0, 0] for m, own in zip(network.members, batches)]
    for mine, theirs in zip(together, gradients(network, plain, inputs, 1), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)

def check():
    with join_team(device="cpu") as team:
        assert (team.size, team.leads) == (3, os.environ["RANK"] == "0")
        torch.manual_seed(team.rank)  # the first one's weights count
        first, second = Ensemble(), Ensemble()
        forward, resting = team.parallel(first), team.parallel(second, idle=True)
        torch.manual_seed(7)
        for count in (1, 2, 3, 4, 7, 16):
            assert_same(team, first, forward, count)
        frozen = [second.members[0].net[0], second.members[1].net[2]]
        for learns in (False, True):  # frozen, and thawed again
            for part in frozen:
                part.requires_grad_(learns)
            assert_same(team, second, resting, 5)
        counts = np.array([2**60 + team.rank, team.rank], dtype=np.int64)
        assert team.sum(counts).tolist() == [3 * 2**60 + 3, 3] and team.sum(counts).dtype == np.int64
        votes = np.zeros(10, dtype=np.int64)
        votes[team.part(10)] += 1
        assert team.sum(votes).tolist() == [1] * 10
        torch.manual_seed(5)
        drawn = []
        for epoch in (3, 4, 3):
            if not team.leads:
                team.vary_noise(5, epoch)
            drawn.append(torch.rand(1).double().numpy())
        everyones = np.stack([team.sum(np.where(np.arange(3) == team.rank, d, 0.0)) for d in drawn])
        assert len(np.unique(everyones[0])) == 3, everyones
        assert (everyones[0, 1:] == everyones[2, 1:]).all() and (everyones[0, 1:] != everyones[1, 1:]).all()
        print("said by", team.rank, flush=True)

def start(rank, port):
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 3, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in told.items()}
    check()

fork = multiprocessing.get_context("fork")  # so that torch is imported once
processes = [fork.Process(target=start, args=(rank, sys.argv[1])) for rank in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit(max(abs(process.exitcode) for process in processes))
"""


@pytest.mark.slow
def test_parts_of_any_size_have_the_gradient_of_the_whole(cli: Any) -> None:
    """In three processes that torchrun did not start, but whose surroundings say what it would have said."""
    done = cli.process(free_port(), code=PROPERTIES)  # none of the warm ones: their threads have been seen to hang
    assert (done.returncode, done.stdout) == (0, "said by 0\n"), done.stderr


ONE_FAILS = """
import os, sys
from hsi_cd.cli.main import main
from hsi_cd.training import loop

def fail(*_, **__):
    raise MemoryError("no memory is left on this node")

if os.environ["RANK"] == "1":
    loop.validate = fail
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_one_that_fails_ends_all_and_says_why(words: list[object], tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(ONE_FAILS)
    started = time.monotonic()
    done = torchrun(2, *words, tmp_path / "run", script=tmp_path / "fails.py")
    assert done.returncode != 0 and time.monotonic() - started < 120
    assert ours(done.stderr) == ["hsi-cd: error: no memory is left on this node"]
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_bad_input_is_told_once() -> None:
    done = torchrun(2, "train", "--dataset", "farmlnd")
    assert done.returncode != 0
    (line,) = ours(done.stderr)
    assert "did you mean 'farmland'?" in line


def test_other_commands_run_in_one_process(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("hsi_cd.cli.main.first_to_speak", lambda: True)
    assert cli("predict", "--checkpoint", tmp_path / "a.pt") == 2
    assert "torchrun started 2 processes, but predict runs in one" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "1")  # torchrun with one process
    assert cli("methods") == 0


@pytest.fixture
def long_words(cli: Any, simulated: PairFiles, dates: list[str]) -> list[object]:
    """A longer training, with noise and dropout."""
    return ["train", *dates, "--truth", simulated.truth, "--device", "cpu", *cli.settings(**LONG), "--run-dir"]


@pytest.mark.slow
def test_ctrl_c_ends_all_and_the_run_goes_on(long_words: list[object], tmp_path: Path) -> None:
    process = start(2, *long_words, tmp_path / "run")
    wait_for(process, (tmp_path / "run" / "last.pt").exists)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode != 0 and out == ""
    assert len(ours(err)) == 1 and "interrupted" in ours(err)[0]
    with pytest.raises(ProcessLookupError):  # nobody of the group is left
        os.killpg(process.pid, 0)
    done = torchrun(2, *long_words, tmp_path / "run", "--resume")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_asked_to_leave_all_save_at_the_same_step(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path
) -> None:
    """torchrun hands SIGTERM on; in the middle of an epoch, nothing is lost and nothing is done twice."""
    settings = cli.settings(**SAME | LONG)
    words = ["train", *dates, "--truth", simulated.truth, "--device", "cpu", *settings, "--run-dir"]
    process = start(2, *words, tmp_path / "run")
    wait_for(process, (tmp_path / "run" / "last.pt").exists)
    process.terminate()
    _, err = process.communicate(timeout=90)
    assert process.returncode != 0
    assert [line.partition(": saved in epoch ")[0] for line in ours(err)] == [
        "hsi-cd: error: asked to leave by SIGTERM"
    ]
    assert read_provenance(tmp_path / "run").sessions[-1].outcome == "pre-empted"
    with threadpool_limits(1):
        assert cli(*words, tmp_path / "run", "--resume") == 0
        assert cli(*words, tmp_path / "whole") == 0
    assert_same_up_to_float_order(tmp_path / "run", tmp_path / "whole")


def wait_for(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not reached() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    if not reached() or process.poll() is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"the run ended too early, or never began: {process.communicate()}")


@pytest.mark.slow
def test_resumed_by_as_many_the_noise_is_the_same(long_words: list[object], tmp_path: Path) -> None:
    """With dropout and noise on, two processes that were stopped end in the weights of two that were not."""
    assert torchrun(2, *long_words, tmp_path / "whole").returncode == 0
    process = start(2, *long_words, tmp_path / "stopped")
    wait_for(process, (tmp_path / "stopped" / "last.pt").exists)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (process.pid, *map(int, workers)):  # torchrun's workers are no members of its group
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "stopped" / "result.json").exists()
    assert torchrun(2, *long_words, tmp_path / "stopped", "--resume").returncode == 0
    a, b = (load_checkpoint(tmp_path / name / "last.pt")["detector"]["network"] for name in ("whole", "stopped"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_one_process_is_a_team_of_its_own() -> None:
    assert (ALONE.leads, ALONE.part(7), ALONE.sum(np.arange(3)).tolist()) == (True, slice(0, 7), [0, 1, 2])
    parts = [Team(rank, 4).part(10) for rank in range(4)]
    assert [(part.start, part.stop) for part in parts] == [(0, 2), (2, 5), (5, 7), (7, 10)]


def test_normalising_over_batches_needs_gpus() -> None:
    """On CPUs each process would see its own part of the batch alone."""
    with pytest.raises(ConfigError, match="several processes do together on GPUs alone"):
        Team(0, 2).parallel(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)))


def test_a_gpu_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert Team(5, 8, 1).device(cuda) == torch.device("cuda", 1) and taken == [1]
    assert (Team(5, 8, 1).device(cpu), ALONE.device(cuda)) == (cpu, cuda)
    with pytest.raises(DeviceError, match="torch finds 2 GPUs: give --nproc-per-node 2"):
        Team(2, 4, 2).device(cuda)


@pytest.mark.slow
def test_methods_without_a_loop_train_in_one_process(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path
) -> None:
    words = ["train", "--method", "svm", *dates, "--truth", simulated.truth, "--set", "split.fraction=0.05"]
    done = torchrun(2, *words, "--run-dir", tmp_path / "run")
    assert done.returncode != 0
    assert ours(done.stderr) == ["hsi-cd: error: svm learns in one process, not in 2: start it without torchrun"]
    assert not (tmp_path / "run").exists()
