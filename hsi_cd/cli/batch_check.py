"""The commands of a batch, parsed before any starts: a wrong option ends the batch, not each of its jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsi_cd.cli.remedies import in_options
from hsi_cd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hsi_cd.batch.jobs import Job
    from hsi_cd.batch.matrix import Matrix

_DECIDED = {
    "train": ("dataset", "t1", "t2", "truth", "folder", "name", "method", "seed", "protocol", "split", "resume"),
    "predict": ("dataset", "t1", "t2", "checkpoint", "output", "score", "shard", "provenance", "overwrite"),
    "mosaic": ("shards", "output", "score", "uncertainty", "provenance", "overwrite"),
}
"""Parameters that the matrix decides, by command."""

_WHOLE = ("cog", "vector", "min_area", "sieve", "simplify")
"""Parameters of ``predict`` that a shard has no use for."""

_SETTINGS = ("assignments", "config_file", "dropped", "device", "nodata")
"""Parameters of ``train`` that change settings: a matrix says them where a finished run is known by them."""


def check_commands(matrix: Matrix) -> None:
    """Refuse arguments that the commands would refuse, or that would undo what the matrix says.

    Raises:
        ConfigError: with the line and the field.
    """
    from dataclasses import replace

    from hsi_cd.batch.map_jobs import PROGRAM
    from hsi_cd.cli.main import cli

    seen = set()
    for job, where in matrix.places.items():
        bare = replace(job, arguments=())
        command, *words = bare.command()[len(PROGRAM) :]
        known = (command, job.arguments, where)
        if known in seen:
            continue
        seen.add(known)
        found = cli.get_command(click.Context(cli), command)
        if found is None:
            continue
        try:
            with_arguments = found.make_context(command, [*words, *job.arguments])
        except click.ClickException as error:
            raise ConfigError(f"{where}: {error.format_message()}") from None
        without = found.make_context(command, list(words))
        for name in (*_DECIDED[command], *(_SETTINGS if command == "train" else ())):
            if with_arguments.params.get(name) != without.params.get(name):
                say = "under settings" if name in _SETTINGS else "in its own field, or leave it out"
                raise ConfigError(f"{where}: --{_option(found, name)} is not for here: say it {say}")
        if with_arguments.params.get("shard") and any(with_arguments.params[name] for name in _WHOLE):
            raise ConfigError(
                f"{where}: --cog, --vector and --min-area are for the whole map: say them under join"
            )


def missing_inputs(jobs: Sequence[Job], data_root: Path) -> list[str]:
    """What jobs would read and is not there, each once, in words.

    Args:
        jobs: what is to be done.
        data_root: folder of the catalogue's scenes, where a job names none.
    """
    from hsi_cd.api.benchmarks import missing_files
    from hsi_cd.batch.jobs import TrainJob

    found: dict[str, None] = {}
    for job in jobs:
        if isinstance(job, TrainJob) and not job.files:
            words = job.arguments
            named = next((words[i + 1] for i, word in enumerate(words[:-1]) if word == "--data-root"), data_root)
            if said := missing_files(job.dataset, Path(named)):
                found[in_options(said)] = None
        found |= {f"{path} does not exist": None for path in job.inputs() if not path.exists()}
    return list(found)


def safe_inputs(matrix: Matrix) -> list[Path]:
    """The files that a batch reads, if no job of it would replace one.

    Raises:
        OutputError: one would.
    """
    from hsi_cd.batch.jobs import TrainJob
    from hsi_cd.batch.map_jobs import MAPS
    from hsi_cd.io import refuse_folder_of_inputs, refuse_inputs

    maps = []
    read = list(matrix.reads)
    for job in matrix.jobs:
        own = job.inputs()
        if isinstance(job, TrainJob):
            refuse_folder_of_inputs(job.folder, own)
        else:
            maps += [job.folder / f"{name}.tif" for name in MAPS]
        read += own
    refuse_inputs(maps, read)
    return list(dict.fromkeys(read))


def _option(command: click.Command, name: str) -> str:
    options = next(p.opts for p in command.params if p.name == name)
    return options[0].lstrip("-")
