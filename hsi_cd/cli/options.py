"""Options that several commands share, and how they become scenes."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hsi_cd.cli.contract import Contract, make_pair

if TYPE_CHECKING:
    from hsi_cd.scene import Grid, Labels, LabelScheme, ScenePair

Command = TypeVar("Command", bound=Callable[..., Any])
FilePath = click.Path(path_type=Path)
Paths = tuple[Path, ...]

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
        click.option(
            "--resample", is_flag=True, help="Bring single-band files of several pixel sizes to the finest."
        ),
        click.option(
            "--axes", metavar="AXES", help="Axes of an array that does not tell them, as bands,rows,cols."
        ),
        click.option(
            "--t2", type=FilePath, metavar="PATH", multiple=True, help="Cube of the later date, as --t1."
        ),
        click.option(
            "--t1",
            type=FilePath,
            metavar="PATH",
            multiple=True,
            help="Cube of the earlier date (MATLAB, NumPy, ENVI, GeoTIFF); or a folder with one file a band; or "
            "such files, each with --t1.",
        ),
        click.option("--dataset", metavar="NAME", help="A benchmark scene; hsi-cd datasets lists them."),
    ):
        command = option(command)
    return command


def truth_options(command: Command) -> Command:
    """Name a truth map; what its values mean is handed on as ``scheme``."""

    @functools.wraps(command)
    def gathered(
        *arguments: Any, changed: str | None, unchanged: str | None, ignore: str | None, **others: Any
    ) -> Any:
        return command(*arguments, scheme=label_scheme(changed, unchanged, ignore), **others)

    decorated: Any = gathered
    for option in (
        click.option("--ignore", metavar="VALUES", help="Values of the truth map that are unlabelled."),
        click.option("--unchanged", metavar="VALUES", help="Values of the truth map that mean unchanged."),
        click.option("--changed", metavar="VALUES", help="Values of the truth map that mean changed, as 1,2,3."),
        click.option("--truth-key", metavar="NAME", help="Variable of the truth map in a MATLAB file."),
        click.option(
            "--truth",
            type=FilePath,
            metavar="FILE",
            multiple=True,
            help="Truth map (MATLAB or image). Given twice: the masks of changed, then of unchanged pixels.",
        ),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def label_scheme(changed: str | None, unchanged: str | None, ignore: str | None) -> LabelScheme | None:
    """The scheme that ``--changed``, ``--unchanged`` and ``--ignore`` declare; None where none is given.

    Raises:
        click.UsageError: a value is no whole number, or one of the classes is not declared.
        LabelError: a value is declared twice.
    """
    given = {"--changed": changed, "--unchanged": unchanged, "--ignore": ignore}
    if all(text is None for text in given.values()):
        return None
    for name in ("--changed", "--unchanged"):
        if not given[name]:
            raise click.UsageError(
                f"{name} is missing: declare both classes, as --changed 2 --unchanged 1 --ignore 0"
            )
    values: dict[str, tuple[int, ...]] = {}
    for name, text in given.items():
        try:
            values[name] = tuple(int(part) for part in (text or "").split(",") if part.strip())
        except ValueError:
            raise click.UsageError(f"{name} is {text!r}: give whole numbers, as {name} 1,2,3") from None
    from hsi_cd.scene import LabelScheme

    return LabelScheme(values["--unchanged"], values["--changed"], values["--ignore"])


def check_scene_options(dataset: str | None, t1: Paths, t2: Paths) -> None:
    """Refuse anything but a dataset or a pair of files.

    Raises:
        click.UsageError: with what to give.
    """
    if dataset is not None and (t1 or t2):
        raise click.UsageError("--dataset and --t1/--t2 name two scenes: give one of them")
    if dataset is None and not (t1 and t2):
        missing = "--t2" if t1 else "--t1"
        said = "no scene is named" if not t1 and not t2 else f"{missing} is missing"
        raise click.UsageError(f"{said}: give --dataset NAME, or --t1 FILE and --t2 FILE")


def open_scene(
    dataset: str | None,
    t1: Paths,
    t2: Paths,
    keys: tuple[str | None, str | None],
    data_root: Path,
    *,
    axes: str | None = None,
    resample: bool = False,
    truth: tuple[Path, ...] = (),
    truth_key: str | None = None,
    contract: Contract,
) -> ScenePair:
    """The scene that the options name, labels unread, if it keeps the ``contract``.

    The shape of a truth map tells the axes of bare arrays.
    """
    check_scene_options(dataset, t1, t2)
    if dataset is not None:
        if axes is not None or resample:
            raise click.UsageError("--axes and --resample are for --t1 and --t2: leave them out with --dataset")
        from hsi_cd.datasets import open_pair

        pair = open_pair(dataset, data_root)
        return make_pair(pair.t1, pair.t2, name=pair.name, contract=contract)
    from hsi_cd.io import CubeSource, map_shape, open_cubes, parse_axes

    order = parse_axes(axes) if axes is not None else None
    sources = [
        CubeSource(p[0] if len(p) == 1 else p, key=k, axes=order, resample=resample)
        for p, k in zip((t1, t2), keys, strict=True)
    ]
    expected = map_shape(truth[0], key=truth_key) if truth else None
    name = t1[0].resolve().parent.name if t1[0].stem.lower() in ("t1", "a", "before") else t1[0].stem
    return make_pair(*open_cubes(*sources, expected=expected), name=name, contract=contract)


def read_truth(
    dataset: str | None,
    truth: tuple[Path, ...],
    key: str | None,
    data_root: Path,
    *,
    scheme: LabelScheme | None = None,
) -> Labels:
    """The truth map that the options name."""
    from hsi_cd.io import MaskPair, read_labels

    if dataset is not None and truth:
        raise click.UsageError(
            "--dataset brings its own truth map: leave --truth out, or name the scene by --t1 and --t2"
        )
    if scheme is not None and (dataset is not None or len(truth) > 1):
        what = "a dataset of the catalogue" if dataset is not None else "a pair of masks"
        raise click.UsageError(f"{what} has its own label values: leave --changed, --unchanged and --ignore out")
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
    return read_labels(source, scheme=scheme, key=key)


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
