"""The doing of many runs: a process each, with a bar, and a line for each that failed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.remedies import for_command
from hsi_cd.cli.telling import is_quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hsi_cd.batch.jobs import Job
    from hsi_cd.batch.slots import Slot


def run_with_bar(jobs: Mapping[Job, str], slots: Sequence[Slot], *, tell: bool = False) -> list[str]:
    """Do what is missing of a batch, with a progress bar and the names of what runs.

    Args:
        jobs: what each job is called.
        slots: the places for processes.
        tell: write a line for each job that ends, for a log.

    Returns:
        A line for each job that failed, in the order of the jobs.
    """
    import time

    from hsi_cd.batch.estimate import in_words
    from hsi_cd.batch.runner import run_missing
    from hsi_cd.progress import Bar, progress

    failed: dict[Job, str] = {}
    since: dict[Job, float] = {}
    done = 0
    bar: Bar[None] = progress((), total=len(jobs), desc="runs", unit="runs", leave=True)
    with bar:

        def show() -> None:
            bar.set_description(", ".join(jobs[job] for job in since) or "nothing to do")
            bar.set_postfix_str(f"{len(failed)} failed" if failed else "")

        def start(job: Job, slot: Slot) -> None:
            since[job] = time.monotonic()
            show()

        for job, failure in run_missing(list(jobs), slots=slots, started=start):
            done += 1
            if failure is not None:
                failed[job] = f"failed: {jobs[job]}: {for_command(failure.reason, 'batch')}"
            if tell and job in since:
                took = in_words(time.monotonic() - since[job])
                line = failed.get(job, f"done: {jobs[job]} ({took})")
                _write(f"[{done}/{len(jobs)}] {line}")
            since.pop(job, None)
            bar.update()
            show()
    return [failed[job] for job in jobs if job in failed]


def tell_changed(jobs: Iterable[Job]) -> None:
    """Say which runs are done anew, as their files changed, and how many do not say from which they were made."""
    if is_quiet():
        return
    from hsi_cd.batch.jobs import TrainJob

    unknown = 0
    for job in jobs:
        if changed := job.changed():
            click.echo(f"{job.name} is done anew: {'; '.join(changed)}", err=True)
        elif isinstance(job, TrainJob) and not job.tells_inputs() and job.is_finished():
            unknown += 1
    if unknown:
        many = "1 finished run does" if unknown == 1 else f"{unknown} finished runs do"
        click.echo(f"{many} not say from which files: it is unknown whether these have changed", err=True)


def _write(line: str) -> None:
    """A line on standard error, above the bar if there is one."""
    from tqdm import tqdm

    if not is_quiet():
        tqdm.write(line, file=sys.stderr)
