"""What the commands that do many runs share: their options, the places for processes, and the doing with a bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hsi_cd.cli.options import data_root_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hsi_cd.batch.jobs import Job
    from hsi_cd.batch.slots import Slot

Command = TypeVar("Command", bound=Callable[..., Any])


def seeds_option(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """``0-4`` or ``0,3,7`` or both, as numbers."""
    from hsi_cd.batch.matrix import parse_seeds
    from hsi_cd.errors import ConfigError

    try:
        return parse_seeds(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


def gpus_option(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | str | None:
    """``0,1`` as numbers, or ``all``."""
    if value is None or value == "all":
        return value
    words = [word.strip() for word in value.split(",")]
    if not all(word.isdigit() for word in words):
        raise click.BadParameter(f"{value!r} is neither numbers with commas, as 0,1, nor all")
    return tuple(dict.fromkeys(int(word) for word in words))


def names(option: str, text: str) -> list[str]:
    """The names in a list with commas, each once.

    Raises:
        click.UsageError: there is none.
    """
    found = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not found:
        raise click.UsageError(f"{option} {text!r} names nothing: give one or more names, with commas")
    return found


def matrix_options(command: Command) -> Command:
    """Name the scenes, methods and seeds of a matrix, and what all of its runs share."""
    for option in (
        click.option(
            "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a setting of every run."
        ),
        data_root_option,
        click.option(
            "--seeds",
            default="0-4",
            show_default=True,
            callback=seeds_option,
            help="A range, or numbers with commas.",
        ),
        click.option("--methods", required=True, metavar="X,Y", help="Methods, with commas; see hsi-cd methods."),
        click.option("--datasets", required=True, metavar="A,B", help="Benchmark scenes, with commas."),
    ):
        command = option(command)
    return command


def place_options(command: Command) -> Command:
    """Say how many processes run at a time, and where."""
    for option in (
        click.option(
            "--gpus",
            metavar="N,N",
            callback=gpus_option,
            help="One process for each of these GPUs, as nvidia-smi counts them, or for all.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="So many processes on the CPU, which share its cores  [default: one, with all of the machine].",
        ),
    ):
        command = option(command)
    return command


def runs_option(folder: str) -> Callable[[Command], Command]:
    """Name the folder that the runs go to."""
    return click.option(
        "--runs", type=click.Path(path_type=Path), default=folder, show_default=True, help="Folder of the runs."
    )


def find_names(datasets: str, methods: str) -> tuple[list[str], list[str]]:
    """The scenes and methods that two lists with commas name.

    Raises:
        UnknownNameError: there is no such scene or method.
        click.UsageError: a list names nothing.
    """
    from hsi_cd.datasets import find_entry
    from hsi_cd.detectors.registry import find_method

    scenes = [find_entry(name).name for name in names("--datasets", datasets)]
    chosen = [find_method(name).name for name in names("--methods", methods)]
    return list(dict.fromkeys(scenes)), list(dict.fromkeys(chosen))


def find_slots(workers: int | None, gpus: tuple[int, ...] | str | None) -> Sequence[Slot]:
    """The places for processes that the options name.

    Raises:
        DeviceError: a GPU is not there.
        click.UsageError: both are given.
    """
    from hsi_cd.batch.slots import ONE, cpu_slots, gpu_slots

    if workers is not None and gpus is not None:
        raise click.UsageError("--workers is for the CPU and --gpus for GPUs: give one of them")
    if gpus is not None:
        return gpu_slots(None if isinstance(gpus, str) else gpus)
    return ONE if workers is None else cpu_slots(workers)


def run_with_bar(jobs: Mapping[Job, str], slots: Sequence[Slot], *, tell: bool = False) -> list[str]:
    """Do what is missing of a batch, with a progress bar and the names of what runs.

    Args:
        jobs: what each job is called.
        slots: the places for processes.
        tell: write a line for each job that ends, for a log.

    Returns:
        A line for each job that failed, in the order of the jobs.
    """
    import sys
    import time

    from tqdm import tqdm

    from hsi_cd.batch.estimate import in_words
    from hsi_cd.batch.runner import run_missing
    from hsi_cd.runtime.signals import heed_signals

    failed: dict[Job, str] = {}
    since: dict[Job, float] = {}
    done = 0
    with tqdm(total=len(jobs), unit="run", disable=None) as bar:

        def show() -> None:
            bar.set_description(", ".join(jobs[job] for job in since) or "nothing to do")
            bar.set_postfix_str(f"{len(failed)} failed" if failed else "")

        def start(job: Job, slot: Slot) -> None:
            since[job] = time.monotonic()
            show()

        click.get_current_context().with_resource(heed_signals())
        for job, failure in run_missing(list(jobs), slots=slots, started=start):
            done += 1
            if failure is not None:
                failed[job] = f"failed: {jobs[job]}: {failure.reason}"
            if tell and job in since:
                took = in_words(time.monotonic() - since[job])
                line = failed.get(job, f"done: {jobs[job]} ({took})")
                bar.write(f"[{done}/{len(jobs)}] {line}", file=sys.stderr)
            since.pop(job, None)
            bar.update()
            show()
    return [failed[job] for job in jobs if job in failed]
