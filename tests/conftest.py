"""What all tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from hsi_cd.cli.main import run
from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.datasets.simulated.simulation_files import PairFiles, write_pair

_SHARED = Path(__file__).resolve().parents[1].parent / "shared"

# Tests run in several processes: more threads each would only wait for one another.
torch.set_num_threads(1)

# How long one example takes says more about the machine than about the code: no deadline.
settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile(os.environ.get("HSI_CD_EXAMPLES", "quick"))  # scripts/test.sh --slow says thorough


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real files beside the repository; tests that need them are skipped where they are absent."""
    if not _SHARED.is_dir():
        pytest.skip(f"no real files: {_SHARED} is absent")
    return _SHARED


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


class HsiCd:
    """Runs ``hsi-cd``: quickly in this process, or as a user does, in one of its own."""

    def __call__(self, *arguments: object) -> int:
        """The exit code of a run in this process."""
        return run([str(argument) for argument in arguments])

    def start(self, *arguments: object, code: str | None = None) -> subprocess.Popen[str]:
        """A process of its own; ``code`` stands in for ``python -m hsi_cd``."""
        words = ["-c", code] if code else ["-m", "hsi_cd"]
        command = [sys.executable, *words, *(str(argument) for argument in arguments)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        # A shell's background jobs ignore Ctrl-C, and what they start does too: a user's command does not.
        heard = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
        finally:
            signal.signal(signal.SIGINT, heard)

    def process(self, *arguments: object, code: str | None = None) -> subprocess.CompletedProcess[str]:
        """The outcome of a process of its own."""
        process = self.start(*arguments, code=code)
        stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    @staticmethod
    def settings(**changes: object) -> list[str]:
        """``--set`` for the quick settings; ``train__epochs=9`` changes one."""
        values = QUICK | {name.replace("__", "."): value for name, value in changes.items()}
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="session")
def cli() -> HsiCd:
    """The command line."""
    return HsiCd()


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> PairFiles:
    """A small simulated scene; nobody writes into its folder."""
    folder = tmp_path_factory.mktemp("simulated") / "scene"
    return write_pair(folder, SimulationOptions(rows=48, cols=40, bands=24))


@pytest.fixture(scope="session")
def dates(simulated: PairFiles) -> list[str]:
    """The options that name the simulated scene."""
    return ["--t1", str(simulated.t1), "--t2", str(simulated.t2)]


@pytest.fixture(scope="session")
def trained(cli: HsiCd, simulated: PairFiles, dates: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick run on the simulated scene, seed 3; nobody writes into it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    options = [*dates, "--truth", simulated.truth, "--seed", 3, "--device", "cpu", "--run", folder]
    assert cli("train", *options, *cli.settings()) == 0
    return folder
