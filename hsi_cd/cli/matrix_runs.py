"""What the commands that do a matrix of runs share: its options, and the doing of it with a bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hsi_cd.cli.options import data_root_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hsi_cd.batch.matrix import Job

Command = TypeVar("Command", bound=Callable[..., Any])


def parse_seeds(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """``0-4`` or ``0,3,7`` or both, as numbers."""
    seeds: list[int] = []
    for part in value.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            seeds += range(int(first), int(last) + 1) if dash else [int(first)]
        except (ValueError, OverflowError, MemoryError):
            raise click.BadParameter(f"{part!r} is neither a number nor a range, as 0-4") from None
    if not seeds:
        raise click.BadParameter(f"{value!r} names no seed: give 0-4 or 0,3,7")
    return tuple(dict.fromkeys(seeds))


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
            callback=parse_seeds,
            help="A range, or numbers with commas.",
        ),
        click.option("--methods", required=True, metavar="X,Y", help="Methods, with commas; see hsi-cd methods."),
        click.option("--datasets", required=True, metavar="A,B", help="Benchmark scenes, with commas."),
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


def run_with_bar(jobs: Mapping[Job, str]) -> list[str]:
    """Do what is missing of a matrix, with a progress bar.

    Args:
        jobs: what each run is called.

    Returns:
        A line for each run that failed.
    """
    from tqdm import tqdm

    from hsi_cd.batch.matrix import run_missing

    failed = []
    with tqdm(total=len(jobs), unit="run", disable=None) as bar:
        for job, failure in run_missing(list(jobs), started=lambda job: bar.set_description(jobs[job])):
            bar.update()
            if failure is not None:
                failed.append(f"failed: {jobs[job]}: {failure.reason}")
    return failed
