"""What lies beside an output for a GIS: its style (``.qml``), and the names of its classes (``.aux.xml``).

A style that somebody made stays: only one of ours, by the mark in it, is replaced. What GDAL keeps beside a raster
(statistics, overviews, masks) is of the raster that was there before, and goes when another takes its place.
"""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hsi_cd.errors import OutputError
from hsi_cd.io.atomic import atomic_paths
from hsi_cd.io.qml import MARK, Colour

_log = logging.getLogger(__name__)

_HEAD = 400  # characters of a style in which its mark stands
_OF_GDAL = (".aux.xml", ".ovr", ".msk")
_KINDS = {"integer": "0", "text": "2"}  # GDAL's codes of types of columns
_COLUMNS = (
    ("Value", "integer", "5"),  # its codes of what a column is for: the value, the name, and the colour
    ("Class", "text", "2"),
    ("Red", "integer", "6"),
    ("Green", "integer", "7"),
    ("Blue", "integer", "8"),
    ("Alpha", "integer", "9"),
)


def style_path(output: Path) -> Path:
    """Where QGIS looks for the style of a file."""
    return output.with_suffix(".qml")


def names_path(raster: Path) -> Path:
    """Where GDAL looks for what the format of a raster has no place for."""
    return raster.with_name(raster.name + ".aux.xml")


@contextmanager
def styles_beside(outputs: Iterable[Path]) -> Iterator[dict[Path, Path]]:
    """Temporary names for the styles of outputs, which appear when the block ends well.

    Enter it before the outputs' own context: these appear first then. Of outputs of one stem, as ``a.tif`` and
    ``a.gpkg``, QGIS would take one style for all: the first has it.

    Yields:
        For each output whose style is to be written its temporary name. All of them must be written.

    Raises:
        OutputError: a style cannot be written.
    """
    wanted: dict[Path, Path] = {}
    for output in outputs:
        wanted.setdefault(style_path(output), output)
    ours = {path: output for path, output in wanted.items() if not _is_made_by_hand(path)}
    with atomic_paths(list(ours), overwrite=True) as drafts:
        yield dict(zip(ours.values(), drafts, strict=True))


def _is_made_by_hand(path: Path) -> bool:
    """Whether there is a style that is not ours."""
    if not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            own = MARK in file.read(_HEAD)
    except OSError as error:
        raise OutputError(f"{path} cannot be read ({error.strerror or error}): remove it") from None
    if not own:
        _log.info("%s was saved by somebody: this style is kept", path)
    return not own


def write_beside(path: Path, text: str) -> None:
    """Write what lies beside an output under its temporary name.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"the files cannot be written in {path.parent}: {error.strerror or error}") from error


def remove_stale(rasters: Sequence[Path], *, kept: Iterable[Path] = ()) -> None:
    """Remove what GDAL kept beside rasters that were replaced.

    Args:
        rasters: those that were written.
        kept: what was written beside them.
    """
    known = set(kept)
    for beside in (raster.with_name(raster.name + ending) for raster in rasters for ending in _OF_GDAL):
        if beside not in known and beside.is_file():
            try:
                beside.unlink()
            except OSError as error:
                _log.warning("%s is of the raster that was replaced, and cannot be removed: %s", beside, error)


def class_table(colours: Mapping[int, Colour], names: Mapping[int, str]) -> str:
    """Names and colours of classes as GDAL keeps them beside a raster: category names and an attribute table.

    GeoTIFF has no place for either. Category names are a list by value, and so have blanks between.
    """
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", {"band": "1"})
    listed = ET.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ET.SubElement(listed, "Category").text = names.get(value, "")
    table = ET.SubElement(band, "GDALRasterAttributeTable", {"tableType": "thematic"})
    for i, (title, kind, use) in enumerate(_COLUMNS):
        column = ET.SubElement(table, "FieldDefn", {"index": str(i)})
        for tag, text in (("Name", title), ("Type", _KINDS[kind]), ("Usage", use)):
            ET.SubElement(column, tag).text = text
    for i, (value, colour) in enumerate(colours.items()):
        row = ET.SubElement(table, "Row", {"index": str(i)})
        for cell in (value, names[value], *colour):
            ET.SubElement(row, "F").text = str(cell)
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode") + "\n"
