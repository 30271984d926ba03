"""A matrix of runs: what is to be done, what is done already, and the doing of the rest.

Each run is a ``hsi-cd train`` in a process and a folder of its own. A run that fails, or is killed, takes no other
with it; started again, the matrix goes on where it stopped. A run that outlives a killed matrix is waited for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hsi_cd.config import RunConfig, dataset_config, parse_assignment, read_config_file, resolve
from hsi_cd.errors import HsiCdError
from hsi_cd.evaluation import RunResult


@dataclass(frozen=True)
class Job:
    """One run of a matrix.

    Attributes:
        dataset: name of the scene.
        method: name of the method.
        seed: seed of the split and the training.
        protocol: id of the protocol.
        folder: its run folder.
        settings: settings that it changes, as ``train.epochs=50``.
        arguments: further arguments of ``hsi-cd train``, which change no result.
    """

    dataset: str
    method: str
    seed: int
    protocol: str
    folder: Path
    settings: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The run in words."""
        return f"{self.dataset} {self.method} seed {self.seed}"

    def config(self) -> RunConfig:
        """The configuration that ``hsi-cd train`` resolves for it.

        Raises:
            ConfigError: a setting, the seed or the protocol is not allowed.
        """
        named = {"dataset": self.dataset, "method": self.method, "seed": self.seed}
        return resolve(
            [
                (f"configs/{self.dataset}.yaml", dataset_config(self.dataset)),
                *((f"--set {text}", parse_assignment(text)) for text in self.settings),
                ("options", named),
                ("--protocol", {"split": {"protocol": self.protocol}}),
            ]
        )

    def command(self) -> list[str]:
        """The command that does it, going on with what an earlier one left."""
        words = [sys.executable, "-m", "hsi_cd", "train", "--dataset", self.dataset, "--method", self.method]
        words += [
            "--seed",
            str(self.seed),
            "--protocol",
            self.protocol,
            "--run",
            str(self.folder),
            *(word for text in self.settings for word in ("--set", text)),
            *self.arguments,
        ]
        return [*words, "--resume"] if (self.folder / "config.yaml").is_file() else words


@dataclass(frozen=True)
class Failure:
    """A run that did not end well.

    Attributes:
        job: the run.
        reason: why, in one line.
    """

    job: Job
    reason: str


def expand(
    datasets: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    *,
    protocol: str,
    folder: Path,
    settings: Sequence[str] = (),
    arguments: Sequence[str] = (),
) -> list[Job]:
    """All runs of a matrix, seed by seed, so that a matrix stopped half-way has something of every method.

    Raises:
        ConfigError: a setting, a seed or the protocol is not allowed.
    """
    jobs = [
        Job(
            dataset,
            method,
            seed,
            protocol,
            folder / dataset / f"{method}-{protocol}-seed{seed}",
            tuple(settings),
            tuple(arguments),
        )
        for seed in seeds
        for dataset in datasets
        for method in methods
    ]
    for job in jobs:
        job.config()
    return jobs


def finished(job: Job) -> RunResult | None:
    """The result of a run that is done; None if it is not, or if its result is damaged or of another run.

    A result made with other settings is one of another run. One without its ``config.yaml`` is believed.
    """
    kept = job.folder / "config.yaml"
    try:
        text = (job.folder / "result.json").read_text(encoding="utf-8")
        result = RunResult.from_dict(json.loads(text))
        if kept.is_file() and resolve([(str(kept), read_config_file(kept))]) != job.config():
            return None
    except (OSError, ValueError, HsiCdError):
        return None
    same = (result.dataset, result.method, result.seed, result.protocol) == (
        job.dataset,
        job.method,
        job.seed,
        job.protocol,
    )
    return result if same else None


def run_missing(
    jobs: Sequence[Job], *, started: Callable[[Job], None] = lambda job: None
) -> Iterator[tuple[Job, Failure | None]]:
    """Do what is missing of a matrix, one run after the other.

    Args:
        jobs: the runs.
        started: called before each run that is not done yet.

    Yields:
        Each run that is done by now, in order, and how it failed, or None.
    """
    for job in jobs:
        if finished(job) is not None:
            yield job, None
            continue
        started(job)
        with _alone(job) as held:
            failure = None if finished(job) is not None else _run(job, held)
        yield job, failure


def _run(job: Job, held: Sequence[int]) -> Failure | None:
    ended = subprocess.run(
        job.command(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, pass_fds=held
    )
    if ended.returncode == 130:
        raise KeyboardInterrupt
    if ended.returncode == 0 and finished(job) is not None:
        return None
    if ended.returncode < 0:
        return Failure(job, f"killed by signal {-ended.returncode}")
    said = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    last = said[-1].removeprefix("hsi-cd: error: ") if said and ended.returncode else ""
    return Failure(job, last or f"ended with code {ended.returncode}, without a result of this run")


@contextmanager
def _alone(job: Job) -> Iterator[list[int]]:
    """Wait until no other process works on a run; yields what its process must hold to keep others waiting.

    The lock goes with the last process that holds it, so a run whose matrix was killed keeps it to its own end.
    """
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":  # where nothing keeps two matrices out of one folder
        yield []
        return
    import fcntl

    with (job.folder.parent / f".{job.folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield [lock.fileno()]
