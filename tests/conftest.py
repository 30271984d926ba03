"""What all tests share."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from hsi_cd.cli.main import run

if TYPE_CHECKING:  # the process that hands out the tests reads this file, too, and needs nothing heavy
    from hsi_cd.datasets.simulated.simulation_files import PairFiles

_SHARED = Path(__file__).resolve().parents[1].parent / "shared"

# How long one example takes says more about the machine than about the code: no deadline.
# The quick suite draws the same examples each time, so that its verdict is the code's; the thorough one others.
settings.register_profile("quick", deadline=None, max_examples=20, derandomize=True, database=None)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile(os.environ.get("HSI_CD_EXAMPLES", "quick"))  # scripts/test.sh --slow says thorough


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``@pytest.mark.quick("cva", "siamese-*")``: of a test's cases, all but these are slow."""
    for item in items:
        mark = item.get_closest_marker("quick")
        if mark and not any(fnmatch(item.name, f"*[[]{pattern}]") for pattern in mark.args):
            item.add_marker(pytest.mark.slow)


gc.disable()  # while a thousand modules are loaded, of which nothing goes


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector of garbage need not look through it again and again."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests run in several processes: more threads each would only wait for one another."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real files beside the repository; tests that need them are skipped where they are absent."""
    if not _SHARED.is_dir():
        pytest.skip(f"no real files: {_SHARED} is absent")
    return _SHARED


@pytest.fixture
def figures() -> None:
    """Named by a test of a training that is to draw its figure."""


@pytest.fixture(autouse=True)
def no_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training draws nothing, which would take a quarter of its time; those that many tests share do draw."""
    run = sys.modules.get("hsi_cd.training.run")
    if run is not None and "figures" not in request.fixturenames:
        monkeypatch.setattr(run, "_draw", lambda *drawn: None)


# --- The command line on a small simulated scene: tests/cli, tests/training and tests/test_end_to_end.py ---

QUICK = {
    "split.fraction": 0.05,
    "model.members": 2,
    "train.folds": 2,
    "train.batch_size": 16,
    "train.epochs": 6,
    "train.min_steps": 6,
    "train.max_steps": 12,
    "train.validate_every": 2,
    "train.save_every": 1,
    "train.map_every": 3,
}
"""Settings of a training that takes a second and still passes through everything."""


FORKS = """
import json, os, signal, sys
import matplotlib.backends.backend_agg, tensorboardX
import scipy.interpolate, scipy.stats, sklearn.decomposition, sklearn.linear_model, sklearn.svm, torch._dynamo
import hsi_cd.api.opening, hsi_cd.cli.pretrain, hsi_cd.cli.train, hsi_cd.reporting.tables
import hsi_cd.training.pretrain.pretraining, hsi_cd.training.run
for line in sys.stdin:
    order = json.loads(line)
    if "pid" in order:
        done, status = os.waitpid(order["pid"], os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if done else None), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        break
    print(pid, flush=True)
else:
    sys.exit()
signal.signal(signal.SIGINT, signal.default_int_handler)
for number, path in enumerate([os.devnull, *order["files"]]):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
sys.argv[1:] = order["arguments"]
os.environ |= order["environment"]
exec(order["code"], {"__name__": "__main__"})
"""
"""A server that has imported all that trainings need: each of its forks does one, and ends as Python does."""


class Fork:
    """A process of its own that begins with everything imported; as far as tests need it, a ``Popen``."""

    def __init__(self, server: subprocess.Popen[str], folder: Path, **order: object) -> None:
        self.returncode: int | None = None
        self._server = server
        self._files = [folder / "stdout", folder / "stderr"]
        self.pid = self._ask(order | {"files": [str(path) for path in self._files]})

    def _ask(self, order: dict[str, object]) -> Any:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._ask({"pid": self.pid})
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < deadline, "the process did not end"
            time.sleep(0.01)
        out, err = (path.read_text() for path in self._files)
        return out, err


class HsiCd:
    """Runs ``hsi-cd``: quickly in this process, or as a user does, in one of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder  # for what forks say
        self._server: subprocess.Popen[str] | None = None

    def __call__(self, *arguments: object) -> int:
        """The exit code of a run in this process."""
        return run([str(argument) for argument in arguments])

    def start(
        self, *arguments: object, code: str | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """A process of its own; ``code`` stands in for ``python -m hsi_cd``."""
        words = ["-c", code] if code else ["-m", "hsi_cd"]
        command = [sys.executable, *words, *(str(argument) for argument in arguments)]
        variables = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
        pipe = subprocess.PIPE
        # A shell's background jobs ignore Ctrl-C, and what they start does too: a user's command does not.
        heard = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=variables)
        finally:
            signal.signal(signal.SIGINT, heard)

    def process(self, *arguments: object, code: str | None = None) -> subprocess.CompletedProcess[str]:
        """The outcome of a process of its own."""
        process = self.start(*arguments, code=code)
        stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def fork(
        self,
        *arguments: object,
        code: str = "from hsi_cd.cli.main import main; main()",
        environment: dict[str, str] | None = None,
    ) -> Fork:
        """As :meth:`start`, without the ten seconds of CPU that the imports of a training take."""
        if self._server is None:
            pipe, command = subprocess.PIPE, [sys.executable, "-c", FORKS]
            variables = os.environ | {"OMP_NUM_THREADS": "1"}
            self._server = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, text=True, env=variables, start_new_session=True
            )
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        words = [str(argument) for argument in arguments]
        return Fork(self._server, folder, arguments=words, code=code, environment=environment or {})

    def close(self) -> None:
        """End the server of forks."""
        if self._server is not None:
            self._server.communicate()

    @staticmethod
    def settings(**changes: object) -> list[str]:
        """``--set`` for the quick settings; ``train__epochs=9`` changes one."""
        values = QUICK | {name.replace("__", "."): value for name, value in changes.items()}
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HsiCd]:
    """The command line."""
    made = HsiCd(tmp_path_factory.mktemp("forks"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> PairFiles:
    """A small simulated scene; nobody writes into its folder."""
    from hsi_cd.datasets.simulated.simulation import SimulationOptions
    from hsi_cd.datasets.simulated.simulation_files import write_pair

    folder = tmp_path_factory.mktemp("simulated") / "scene"
    return write_pair(folder, SimulationOptions(rows=48, cols=40, bands=24))


@pytest.fixture(scope="session")
def dates(simulated: PairFiles) -> list[str]:
    """The options that name the simulated scene."""
    return ["--t1", str(simulated.t1), "--t2", str(simulated.t2)]


@pytest.fixture(scope="session")
def kinds_truth(simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth of the simulated scene, in which change is 1 in its left half, and 2 in its right one."""
    import rasterio

    path = tmp_path_factory.mktemp("kinds") / "truth.tif"
    with rasterio.open(simulated.truth) as file:
        truth, profile = file.read(), file.profile
    half = truth.shape[2] // 2
    truth[:, :, half:] *= 2
    with rasterio.open(path, "w", **profile) as file:
        file.write(truth)
    return path


@pytest.fixture(scope="session")
def trained(cli: HsiCd, simulated: PairFiles, dates: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick run on the simulated scene, seed 3; nobody writes into it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    options = [*dates, "--truth", simulated.truth, "--seed", 3, "--device", "cpu", "--run", folder]
    assert cli("train", *options, *cli.settings()) == 0
    return folder
