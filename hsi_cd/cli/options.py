"""Options that several commands share, and how they become scenes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hsi_cd.scene import Grid, Labels, ScenePair

Command = TypeVar("Command", bound=Callable[..., Any])
FilePath = click.Path(path_type=Path)

_UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "KI": 2**10,
    "MI": 2**20,
    "GI": 2**30,
    "TI": 2**40,
}


def parse_bytes(text: str) -> int:
    """The number of bytes that ``text`` names, as 500MB, 1.5G or 2GiB.

    Raises:
        click.BadParameter: it names none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([KMGT]I?|)B?", text.strip().upper())
    size = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size < 1:
        raise click.BadParameter(f"{text!r} is no size: give bytes, as 500MB or 2GiB")
    return size


memory_option = click.option(
    "--memory",
    type=parse_bytes,
    metavar="SIZE",
    help="Memory for the parts of the scene that are on their way, as 500MB or 2GiB; the program takes some "
    "400 MB more [default: enough, at most a quarter of what is free].",
)

data_root_option = click.option(
    "--data-root",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="HSI_CD_DATA",
    default="data",
    show_default=True,
    show_envvar=True,
    help="Folder that holds one folder per dataset.",
)


def scene_options(command: Command) -> Command:
    """Name a scene: a dataset of the catalogue, or two files."""
    for option in (
        data_root_option,
        click.option("--t2-key", metavar="NAME", help="Variable of t2, if it is a MATLAB file with several."),
        click.option("--t1-key", metavar="NAME", help="Variable of t1, if it is a MATLAB file with several."),
        click.option("--t2", type=FilePath, metavar="FILE", help="Cube of the later date."),
        click.option(
            "--t1", type=FilePath, metavar="FILE", help="Cube of the earlier date (MATLAB, ENVI, GeoTIFF)."
        ),
        click.option("--dataset", metavar="NAME", help="A benchmark scene; hsi-cd datasets lists them."),
    ):
        command = option(command)
    return command


def truth_options(command: Command) -> Command:
    """Name a truth map."""
    for option in (
        click.option("--truth-key", metavar="NAME", help="Variable of the truth map in a MATLAB file."),
        click.option(
            "--truth",
            type=FilePath,
            metavar="FILE",
            multiple=True,
            help="Truth map (MATLAB or image). Given twice: the masks of changed, then of unchanged pixels.",
        ),
    ):
        command = option(command)
    return command


def check_scene_options(dataset: str | None, t1: Path | None, t2: Path | None) -> None:
    """Refuse anything but a dataset or a pair of files.

    Raises:
        click.UsageError: with what to give.
    """
    if dataset is not None and (t1 is not None or t2 is not None):
        raise click.UsageError("--dataset and --t1/--t2 name two scenes: give one of them")
    if dataset is None and (t1 is None or t2 is None):
        missing = "--t1" if t1 is None else "--t2"
        said = "no scene is named" if t1 is None and t2 is None else f"{missing} is missing"
        raise click.UsageError(f"{said}: give --dataset NAME, or --t1 FILE and --t2 FILE")


def open_scene(
    dataset: str | None, t1: Path | None, t2: Path | None, keys: tuple[str | None, str | None], data_root: Path
) -> ScenePair:
    """The scene that the options name, labels unread."""
    check_scene_options(dataset, t1, t2)
    if dataset is not None:
        from hsi_cd.datasets import open_pair

        return open_pair(dataset, data_root)
    from hsi_cd.io import open_cube
    from hsi_cd.scene import ScenePair

    if t1 is None or t2 is None:  # pragma: no cover - refused above; here for the type checker
        raise click.UsageError("--t1 and --t2 are needed")
    name = t1.resolve().parent.name if t1.stem.lower() in ("t1", "a", "before") else t1.stem
    return ScenePair(open_cube(t1, key=keys[0]), open_cube(t2, key=keys[1]), name=name)


def read_truth(dataset: str | None, truth: tuple[Path, ...], key: str | None, data_root: Path) -> Labels:
    """The truth map that the options name."""
    from hsi_cd.io import MaskPair, read_labels

    if dataset is not None and truth:
        raise click.UsageError(
            "--dataset brings its own truth map: leave --truth out, or name the scene by --t1 and --t2"
        )
    if dataset is not None:
        from hsi_cd.datasets import open_dataset

        return open_dataset(dataset, data_root)[1]
    if not truth:
        raise click.UsageError("no truth map is named: give --truth FILE, or --dataset NAME")
    if len(truth) > 2:
        raise click.UsageError(
            f"--truth is given {len(truth)} times: give one map, or two masks (changed, unchanged)"
        )
    source = truth[0] if len(truth) == 1 else MaskPair(changed=truth[0], unchanged=truth[1])
    return read_labels(source, key=key)


def grid_like(path: Path, shape: tuple[int, int]) -> Grid:
    """The georeference of a raster, for a scene that has none of its own."""
    from hsi_cd.errors import GridError
    from hsi_cd.io import open_cube

    grid = open_cube(path).grid
    if grid.shape != shape:
        raise GridError(
            f"--like {path} has {grid.rows} x {grid.cols} pixels but the scene has {shape[0]} x {shape[1]}: "
            "give a raster of the same pixels"
        )
    if not grid.is_georeferenced:
        raise GridError(
            f"--like {path} has no georeference to take: give a raster with a CRS and transform or GCPs"
        )
    return grid
