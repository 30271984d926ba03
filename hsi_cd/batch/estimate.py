"""How long a batch will take, from what finished jobs took."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsi_cd.batch.jobs import Job
from hsi_cd.batch.map_jobs import JOIN_KIND, predict_kind
from hsi_cd.errors import HsiCdError
from hsi_cd.runs import PROVENANCE, read_provenance, read_result

Known = Mapping[tuple[str, ...], Sequence[float]]
"""Seconds that finished jobs took, by kind (see :attr:`~hsi_cd.batch.jobs.Job.kinds`)."""


@dataclass(frozen=True)
class Estimate:
    """How long one job will take.

    Attributes:
        seconds: the median of what finished jobs of its kind took.
        source: of which jobs, in words.
    """

    seconds: float
    source: str


def known_times(folders: Iterable[Path]) -> Known:
    """What the finished jobs below some folders took, all of their sessions together; damaged ones left out."""
    known: dict[tuple[str, ...], list[float]] = {}
    for folder in folders:
        for path in sorted(folder.rglob(PROVENANCE)):
            try:
                provenance = read_provenance(path)
                last = provenance.sessions[-1]
                seconds = provenance.seconds
                if last.outcome != "finished" or seconds is None:
                    continue
                if last.command[1:2] == ("predict",):
                    shard = _after("--shard", last.command)
                    kinds: tuple[tuple[str, ...], ...] = (
                        predict_kind(_after("--checkpoint", last.command), shard),
                    )
                elif last.command[1:2] == ("mosaic",):
                    kinds = (JOIN_KIND,)
                else:
                    result = read_result(path.parent)
                    kinds = ("train", result.method, result.dataset), ("train", result.method)
            except (HsiCdError, IndexError):
                continue
            for kind in kinds:
                known.setdefault(kind, []).append(seconds)
    return known


def estimate(job: Job, known: Known) -> Estimate | None:
    """How long a job will take, by the most alike of the finished ones; None where there is none."""
    for kind in job.kinds:
        if times := known.get(kind):
            what = {"predict": "with this checkpoint", "mosaic": "joinings"}.get(
                kind[0], f"of {' on '.join(kind[1:])}"
            )
            return Estimate(statistics.median(times), f"{len(times)} finished {what}")
    return None


def total_seconds(estimates: Sequence[Estimate | None], *, places: int) -> float | None:
    """Wall-clock time of jobs in so many places, longest first; None if nothing is known of any of them."""
    known = sorted((e.seconds for e in estimates if e is not None), reverse=True)
    if not known:
        return None
    loads = [0.0] * places
    for seconds in known:
        loads[loads.index(min(loads))] += seconds
    return max(loads)


def in_words(seconds: float) -> str:
    """A time as a person says it: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _after(option: str, command: Sequence[str]) -> str:
    return command[command.index(option) + 1] if option in command[:-1] else ""
