"""Options of the commands that do a matrix of runs: what is crossed, where it runs, and the table of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.path_type import PathType
from hsi_cd.cli.options.scene_options import data_root_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hsi_cd.batch.jobs import ChosenMethod
    from hsi_cd.batch.slots import Slot


@dataclass(frozen=True)
class MatrixChoice:
    """Scenes, methods and seeds that are crossed, and what all of their runs share.

    Attributes:
        datasets: names of benchmark scenes, with commas; None where none is named.
        methods: names of methods, with commas.
        seeds: the seeds.
        data_root: folder of the benchmark scenes.
        assignments: settings of every run.
        kinds: learn, map and judge kinds of change.
    """

    datasets: str | None
    methods: str
    seeds: tuple[int, ...]
    data_root: Path
    assignments: tuple[str, ...]
    kinds: bool = False

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings of every run, with what its own options say."""
        return (*self.assignments, *(["kinds=true"] if self.kinds else []))

    def names(self) -> tuple[list[str], list[ChosenMethod]]:
        """The scenes and the methods, those of other packages among them.

        Raises:
            UnknownNameError: there is no such scene or method.
            click.UsageError: a list names nothing.
        """
        from hsi_cd.api.benchmarks import dataset_names

        if self.datasets is None:
            raise click.UsageError("Missing option '--datasets'.")
        scenes, chosen = listed("--datasets", self.datasets), self.chosen()
        return dataset_names(scenes), chosen

    def chosen(self) -> list[ChosenMethod]:
        """The methods alone.

        Raises:
            UnknownNameError: there is no such method.
            click.UsageError: the list names nothing.
        """
        from hsi_cd.api.method_names import chosen_method

        return list(dict.fromkeys(chosen_method(name) for name in listed("--methods", self.methods)))


@dataclass(frozen=True)
class Places:
    """How many processes run at a time, and where.

    Attributes:
        workers: so many on the CPU, or None.
        gpus: one on each of these GPUs, on ``all``, or None.
    """

    workers: int | None = None
    gpus: tuple[int, ...] | str | None = None

    @property
    def are_named(self) -> bool:
        """Whether the options say anything."""
        return self.workers is not None or self.gpus is not None

    def slots(self) -> Sequence[Slot]:
        """The places.

        Raises:
            DeviceError: a GPU is not there.
            click.UsageError: both are given.
        """
        from hsi_cd.batch.slots import ONE, cpu_slots, gpu_slots

        if self.workers is not None and self.gpus is not None:
            raise click.UsageError("--workers is for the CPU and --gpus for GPUs: give one of them")
        if self.gpus is not None:
            return gpu_slots(None if isinstance(self.gpus, str) else self.gpus)
        return ONE if self.workers is None else cpu_slots(self.workers)


@dataclass(frozen=True)
class TableChoice:
    """The table of results.

    Attributes:
        scores: the scores shown, with commas.
        kind: its format.
        output: the file it goes to; None for standard output.
        overwrite: replace the file if it exists.
    """

    scores: str = "oa,kappa,f1"
    kind: str = "text"
    output: Path | None = None
    overwrite: bool = False

    def check(self, *, inputs: Iterable[Path] = ()) -> list[str]:
        """The scores, if there are such, and the file can be written.

        Args:
            inputs: files that are read, which the table never replaces.

        Raises:
            UnknownNameError: there is no such score.
            OutputError: the file is an input, exists or cannot be written.
            FormatError: its name's ending promises another format.
        """
        from hsi_cd.errors import unknown_name
        from hsi_cd.io import TABLES, check_outputs
        from hsi_cd.reporting.tables import SCORE_TITLES

        check_outputs({"--output": self.output}, kind=TABLES[self.kind], inputs=inputs, overwrite=self.overwrite)
        shown = listed("--scores", self.scores)
        for name in shown:
            if name not in SCORE_TITLES:
                raise unknown_name("score", name, SCORE_TITLES)
        return shown

    def put(self, words: str) -> str:
        """Write the table to its file, if there is one.

        Returns:
            What is to be printed: the table, or where it is.
        """
        from hsi_cd.io import write_text

        if self.output is None:
            return words
        write_text(self.output, words + "\n", overwrite=self.overwrite)
        return f"table: {self.output}"


def listed(option: str, text: str) -> list[str]:
    """The names in a list with commas, each once.

    Raises:
        click.UsageError: there is none.
    """
    found = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not found:
        raise click.UsageError(f"{option} {text!r} names nothing: give one or more names, with commas")
    return found


def _seeds(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """``0-4`` or ``0,3,7`` or both, as numbers."""
    from hsi_cd.batch.matrix import parse_seeds
    from hsi_cd.errors import ConfigError

    try:
        return parse_seeds(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


def _gpus(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | str | None:
    """``0,1`` as numbers, or ``all``."""
    if value is None or value == "all":
        return value
    words = [word.strip() for word in value.split(",")]
    if not all(word.isdigit() for word in words):
        raise click.BadParameter(f"{value!r} is neither numbers with commas, as 0,1, nor all")
    return tuple(dict.fromkeys(int(word) for word in words))


matrix_options = gathering(
    "matrix",
    MatrixChoice,
    click.option("--datasets", metavar="A,B", help="Benchmark scenes, with commas."),
    click.option("--methods", required=True, metavar="X,Y", help="Methods, with commas; see hsi-cd methods."),
    click.option(
        "--seeds", default="0-4", show_default=True, callback=_seeds, help="A range, or numbers with commas."
    ),
    data_root_option,
    click.option(
        "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a setting of every run."
    ),
    click.option(
        "--kinds", is_flag=True, help="Learn, map and judge kinds of change; a table of them follows (kinds=true)."
    ),
)
"""Name scenes, methods and seeds; the command is handed them as ``matrix``."""

place_options = gathering(
    "places",
    Places,
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="So many processes on the CPU, which share its cores  [default: one, with all of the machine].",
    ),
    click.option(
        "--gpus",
        metavar="N,N",
        callback=_gpus,
        help="One process for each of these GPUs, as nvidia-smi counts them, or for all.",
    ),
)
"""Say where processes run; the command is handed it as ``places``."""

FORMATS = ("text", "markdown", "html", "csv", "latex", "json")
"""Formats of a table of results."""

table_options = gathering(
    "table",
    TableChoice,
    click.option("--scores", default="oa,kappa,f1", show_default=True, help="Scores of the table, with commas."),
    click.option("--format", "kind", type=click.Choice(FORMATS), default="text", show_default=True),
    click.option("--output", type=PathType(), metavar="FILE", help="Write the table to a file."),
    click.option("--overwrite", is_flag=True, help="Replace the file if it exists."),
)
"""Say how the table looks and where it goes; the command is handed it as ``table``."""


def runs_option(folder: str) -> Callable[[Any], Any]:
    """Name the folder that the runs go to."""
    return click.option("--runs", type=PathType(), default=folder, show_default=True, help="Folder of the runs.")
