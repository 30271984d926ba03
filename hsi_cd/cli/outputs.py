"""Options of the commands that write maps, beside the maps' names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hsi_cd.scene import Grid

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Extras:
    """What is written in another form, or beside the maps.

    Attributes:
        cog: write Cloud Optimized GeoTIFFs.
        vector: file of the changed regions as polygons, or None.
        min_area: smallest region kept.
    """

    cog: bool = False
    vector: Path | None = None
    min_area: float = 0.0

    def check(self, grid: Grid, *, overwrite: bool) -> None:
        """Refuse polygons that could not be written, before any long work.

        Raises:
            OutputError: the file exists or cannot be written.
            FormatError: its name's ending tells no format.
            GridError: the scene has no CRS and transform.
        """
        from hsi_cd.io import check_output, check_vector

        if self.vector is not None:
            check_output(self.vector, overwrite=overwrite)
            check_vector(self.vector, grid)


def asked_maps(
    output: Path | None, score: Path | None, uncertainty: Path | None = None, *, overwrite: bool
) -> dict[str, Path]:
    """The maps that are asked for, by their options, if each could be written to a file of its own.

    Raises:
        click.UsageError: two of them are one file.
        OutputError: a file exists or cannot be written.
    """
    from hsi_cd.io import check_output

    maps = {"--output": output, "--score": score, "--uncertainty": uncertainty}
    asked = {option: path for option, path in maps.items() if path is not None}
    for (first, path), (second, other) in combinations(asked.items(), 2):
        if path.absolute() == other.absolute():
            raise click.UsageError(f"{first} and {second} are both {path}: give each map a file of its own")
    for target in asked.values():
        check_output(target, overwrite=overwrite)
    return asked


def tell_written(maps: dict[str, Path], extras: Extras) -> None:
    """Say where the maps of :func:`asked_maps` are, and the polygons."""
    words = {"--output": "change map", "--score": "change probabilities", "--uncertainty": "uncertainty"}
    for option, path in maps.items():
        click.echo(f"{words[option]}: {path}")
    if extras.vector is not None:
        click.echo(f"changed regions: {extras.vector}")


def extra_options(command: Command) -> Command:
    """Options that are handed to the command together, as ``extras``."""

    @functools.wraps(command)
    def gathered(*arguments: Any, cog: bool, vector: Path | None, min_area: float | None, **others: Any) -> Any:
        if min_area is not None and vector is None:
            raise click.UsageError("--min-area is about polygons: give --vector FILE, too")
        return command(*arguments, extras=Extras(cog, vector, min_area or 0.0), **others)

    decorated: Any = gathered
    for option in (
        click.option(
            "--min-area",
            type=click.FloatRange(min=0),
            metavar="AREA",
            help="Leave out smaller regions; in the CRS's unit squared, m2 where that is degrees.",
        ),
        click.option(
            "--vector",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Changed regions as polygons (.gpkg, .geojson), with area and mean probability.",
        ),
        click.option("--cog", is_flag=True, help="Write Cloud Optimized GeoTIFFs, with overviews."),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


provenance_option = click.option(
    "--provenance",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep a record (JSON) of command, files, versions, machine and time. Its folder must be these maps' "
    "alone: what a killed command left half-written in it is removed.",
)


def recorded(provenance: Path | None, *, inputs: Iterable[Path]) -> AbstractContextManager[None]:
    """Keep a record of this command while the block runs, if one is asked for by :data:`provenance_option`.

    Args:
        provenance: the file, or None.
        inputs: files that are read.

    Raises:
        OutputError: the file cannot be written.
    """
    if provenance is None:
        return nullcontext()
    from hsi_cd.io import check_output, remove_drafts
    from hsi_cd.runs.recording import recording
    from hsi_cd.runtime.device import machine

    check_output(provenance, overwrite=True)
    remove_drafts(provenance.parent)
    return recording(provenance, click.get_current_context().obj, machine=machine(), inputs=inputs)
