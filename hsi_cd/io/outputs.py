"""What is asked of the names of outputs, before any work: they say what they hold, and none is an input.

One place for all of it, whichever command or function writes: :func:`check_outputs`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import rasterio
from rasterio.drivers import raster_driver_extensions

from hsi_cd.errors import FormatError, HsiCdError, OutputError
from hsi_cd.io.atomic import check_output
from hsi_cd.io.envi import find_envi_pair
from hsi_cd.io.kinds import FileKind, file_kind
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.io.raster_formats import shown_files
from hsi_cd.paths import as_path

FilePath = str | os.PathLike[str]


@dataclass(frozen=True)
class OutputKind:
    """A format that is written.

    Attributes:
        title: what people call it.
        endings: of its files' names, the usual one first.
    """

    title: str
    endings: tuple[str, ...]


GEOTIFF = OutputKind("a GeoTIFF", (".tif", ".tiff", ".gtiff"))
CHECKPOINT = OutputKind("a checkpoint", (".pt", ".pth", ".ckpt"))
JSON = OutputKind("JSON", (".json",))
YAML = OutputKind("YAML", (".yaml", ".yml"))
HTML = OutputKind("HTML", (".html", ".htm"))
PNG = OutputKind("a PNG", (".png",))
TABLES: Mapping[str, OutputKind] = {
    "text": OutputKind("plain text", (".txt", ".text", ".log", ".md")),
    "markdown": OutputKind("Markdown", (".md", ".markdown", ".txt")),
    "html": OutputKind("HTML", (*HTML.endings, ".txt")),
    "csv": OutputKind("CSV", (".csv", ".txt")),
    "latex": OutputKind("LaTeX", (".tex", ".txt")),
    "json": OutputKind("JSON", (*JSON.endings, ".txt")),
}
"""The formats of tables, by name."""

_OURS = {e for kind in (GEOTIFF, CHECKPOINT, JSON, YAML, HTML, PNG, *TABLES.values()) for e in kind.endings}
_FURTHER = _OURS.union(
    [".mat", ".npy", ".npz", ".h5", ".hdf5", ".he5", ".zarr", ".dat", ".raw", ".bin", ".hdr", ".cdf", ".nc4"],
    [".zip", ".gz", ".tar", ".tgz", ".7z", ".bz2", ".xz", ".kmz", ".jpeg", ".jp2", ".j2k", ".svg", ".pdf", ".eps"],
    [".gpkg", ".geojson", ".shp", ".kml", ".gml", ".fgb", ".parquet", ".xlsx", ".xls", ".docx", ".pkl", ".xml"],
)
_SIDE = (".hdr", ".msk", ".ovr", ".aux", ".xml", ".enp", ".rrd", ".tfw", ".pgw", ".jgw", ".wld", ".prj", ".rpb")
"""Endings of files that belong to the image of the same name beside them."""
_SHAPEFILE = (".shp", ".shx", ".dbf", ".cpg", ".qix", ".sbn", ".sbx")
"""Those of a Shapefile's, beside :data:`_SIDE`'s."""
_DATABASE = ("-wal", "-shm", "-journal")
"""What stands behind the name of a GeoPackage in those of the files that SQLite keeps beside it."""


def check_outputs(
    outputs: Mapping[str, FilePath | None],
    *,
    kind: OutputKind | None = None,
    inputs: Iterable[FilePath] = (),
    overwrite: bool = False,
) -> None:
    """Refuse outputs under names that are inputs, of another output, of another format, or cannot be written.

    Args:
        outputs: the files by what messages call them; None for those that nobody asked for.
        kind: the format of all of them; None to look at no ending.
        inputs: the files and folders that are read.
        overwrite: whether files of these names may be replaced; an input never is.

    Raises:
        OutputError: an output is an input, or another output; a file exists, or cannot be written.
        FormatError: a name's ending promises another format.
    """
    wanted = {name: as_path(path) for name, path in outputs.items() if path is not None}
    for (first, path), (second, other) in combinations(wanted.items(), 2):
        if _is_same(path, other):
            raise OutputError(f"{first} and {second} are both {path}: give each a file of its own")
    refuse_inputs(wanted.values(), inputs)
    for path in wanted.values():
        check_output(path, overwrite=True)  # whether it could be at all
        if kind is not None:
            check_ending(path, kind)
        check_output(path, overwrite=overwrite)


def check_ending(path: FilePath, kind: OutputKind) -> None:
    """Refuse a name whose ending promises another format; one that promises none passes.

    Raises:
        FormatError: so it does.
    """
    ending = Path(path).suffix.lower()
    if ending not in kind.endings and (ending in _FURTHER or ending[1:] in raster_driver_extensions()):
        said = f"let the name end in {kind.endings[0]}, not in {ending}"
        other = [name for name, table in TABLES.items() if ending == table.endings[0]]
        if other and kind in TABLES.values():
            said = f"say format='{other[0]}', or {said}"
        raise FormatError(f"{path} is to be {kind.title}: {said}")


def refuse_inputs(outputs: Iterable[FilePath], inputs: Iterable[FilePath]) -> None:
    """Refuse an output that is an input, under whatever name, or belongs to one as its header or mask.

    Raises:
        OutputError: so it is.
    """
    there = {identity: path for path in map(as_path, outputs) if (identity := _identity(path)) is not None}
    if not there:
        return  # what does not exist is no input
    for given in dict.fromkeys(map(as_path, inputs)):
        for file in _files_of(given):
            identity = _identity(file)
            path = there.get(identity) if identity is not None else None
            if path is None:
                continue
            if path.absolute() == given.absolute():
                said = "is an input"
            elif _is_same(file, given):
                said = f"is the input {given} under another name"
            else:
                said = f"belongs to the input {given}"
            raise OutputError(f"{path} {said}: no output replaces what it is made from; name another file")


def refuse_folder_of_inputs(folder: FilePath, inputs: Iterable[FilePath]) -> None:
    """Refuse to write files of fixed names into a folder from which an input is read.

    Raises:
        OutputError: so it is.
    """
    ground = as_path(folder).resolve()
    for given in map(as_path, inputs):
        found = given.resolve()
        if ground == found or ground in found.parents:
            raise OutputError(
                f"{folder} holds the input {given}: no run is kept among its inputs; name another folder"
            )


def _files_of(given: Path) -> Iterator[Path]:
    """The files of an input: of a folder all, of an image those beside it that GDAL or its header reads, too."""
    if given.is_dir():
        yield from (path for path in given.rglob("*") if path.is_file())
        return
    yield given
    if not given.is_file():
        return
    stem = given.name.removesuffix(given.suffix)
    for beside in given.parent.glob(f"{_literal(stem)}.*"):
        if beside.suffix.lower() in (*_SIDE, *(_SHAPEFILE if given.suffix.lower() in _SHAPEFILE else ())):
            yield beside
    yield from (given.with_name(given.name + ending) for ending in _DATABASE)
    with contextlib.suppress(HsiCdError, OSError):  # which it is not
        yield from find_envi_pair(given)
    try:
        kind = file_kind(given)
        if kind is FileKind.VRT:
            yield from shown_files(given)
        if not kind.is_image:  # which GDAL could take for a list of addresses
            return
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE"),
            quiet_georeference(),
            rasterio.open(given, driver=kind.value) as dataset,
        ):
            yield from (Path(name) for name in dataset.files)
    except Exception:  # whatever GDAL makes of a file that is none of its own
        return


def _literal(name: str) -> str:
    """A name as a pattern that means itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _identity(path: Path) -> tuple[int, int] | None:
    """By what the system knows a file under all of its names; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _is_same(first: Path, second: Path) -> bool:
    """Whether two names are of one file, there or to be written."""
    identity = _identity(first)
    if identity is not None and identity == _identity(second):
        return True
    return os.path.realpath(first) == os.path.realpath(second)
