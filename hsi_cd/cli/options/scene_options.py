"""Options that name a scene: a dataset of the catalogue, or two files."""

from __future__ import annotations

import re
from pathlib import Path

import click

from hsi_cd.api.sources import SceneSource
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.path_type import PathType

FilePath = PathType()

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

data_root_option = click.option(
    "--data-root",
    type=PathType(file_okay=False),
    envvar="HSI_CD_DATA",
    default="data",
    show_default=True,
    show_envvar=True,
    help="Folder that holds one folder per dataset.",
)


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


def _source(
    dataset: str | None,
    t1: tuple[Path, ...],
    t2: tuple[Path, ...],
    axes: str | None,
    resample: bool,
    t1_key: str | None,
    t2_key: str | None,
    memory: int | None,
    data_root: Path,
) -> SceneSource:
    return SceneSource(
        dataset=dataset,
        root=data_root,
        t1=t1 or None,
        t2=t2 or None,
        keys=(t1_key, t2_key),
        axes=axes,
        resample=resample,
        memory=None if memory is None else memory // 2,  # the other half is for the parts on their way
    )


scene_options = gathering(
    "source",
    _source,
    click.option("--dataset", metavar="NAME", help="A benchmark scene; hsi-cd datasets lists them."),
    click.option(
        "--t1",
        type=FilePath,
        metavar="PATH",
        multiple=True,
        help="Cube of the earlier date (MATLAB, NumPy, ENVI, GeoTIFF), or a product as its archive delivers it "
        "(file, folder, zip); or a folder with one file a band; or such files, each with --t1.",
    ),
    click.option("--t2", type=FilePath, metavar="PATH", multiple=True, help="Cube of the later date, as --t1."),
    click.option("--axes", metavar="AXES", help="Axes of an array that does not tell them, as bands,rows,cols."),
    click.option("--resample", is_flag=True, help="Bring single-band files of several pixel sizes to the finest."),
    click.option("--t1-key", metavar="NAME", help="Variable of t1, if its file holds several arrays."),
    click.option("--t2-key", metavar="NAME", help="Variable of t2, if its file holds several arrays."),
    click.option(
        "--memory",
        type=parse_bytes,
        metavar="SIZE",
        help="Memory for the scene, as 500MB or 2GiB: half for blocks of its files that are kept decoded, half "
        "for the parts on their way; the program takes some 400 MB more [default: enough, at most half of what "
        "is free].",
    ),
    data_root_option,
)
"""Name a scene; the command is handed it as ``source``."""


def check_scene(source: SceneSource) -> None:
    """Refuse anything but a dataset or a pair of files.

    Raises:
        click.UsageError: with what to give.
    """
    if source.dataset is not None and (source.t1 or source.t2):
        raise click.UsageError("--dataset and --t1/--t2 name two scenes: give one of them")
    if source.dataset is None and not (source.t1 and source.t2):
        missing = "--t2" if source.t1 else "--t1"
        said = "no scene is named" if not source.t1 and not source.t2 else f"{missing} is missing"
        raise click.UsageError(f"{said}: give --dataset NAME, or --t1 FILE and --t2 FILE")
    if source.dataset is not None and (source.axes is not None or source.resample):
        raise click.UsageError("--axes and --resample are for --t1 and --t2: leave them out with --dataset")
