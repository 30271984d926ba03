"""A matrix of runs: what is to be done, what is done already, and the doing of the rest.

Each run is a ``hsi-cd train`` in a process and a folder of its own. A run that fails, or is killed, takes no other
with it; started again, the matrix goes on where it stopped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        arguments: further arguments of ``hsi-cd train``.
    """

    dataset: str
    method: str
    seed: int
    protocol: str
    folder: Path
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The run in words."""
        return f"{self.dataset} {self.method} seed {self.seed}"

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
    arguments: Sequence[str] = (),
) -> list[Job]:
    """All runs of a matrix, seed by seed, so that a matrix stopped half-way has something of every method."""
    return [
        Job(
            dataset, method, seed, protocol, folder / dataset / f"{method}-{protocol}-seed{seed}", tuple(arguments)
        )
        for seed in seeds
        for dataset in datasets
        for method in methods
    ]


def finished(job: Job) -> RunResult | None:
    """The result of a run that is done; None if it is not, or if its result is damaged or of another run."""
    try:
        text = (job.folder / "result.json").read_text(encoding="utf-8")
        result = RunResult.from_dict(json.loads(text))
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
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        ended = subprocess.run(
            job.command(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if ended.returncode == 130:
            raise KeyboardInterrupt
        if ended.returncode == 0 and finished(job) is not None:
            yield job, None
            continue
        said = [line for line in ended.stderr.splitlines() if line.strip()]
        yield job, Failure(job, said[-1] if said else f"ended with code {ended.returncode} and said nothing")
