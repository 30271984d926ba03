"""What a raster of classes says of its values: the names of its classes, and the colours they are shown in."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from hsi_cd.io.conventions import text_of

Colour = tuple[int, int, int, int]

_JPEG = "JPEG"
_MOST_CLASSES = 4096  # rows of an attribute table looked at: a label map has few
_VALUE_USES, _NAME_USE = ("3", "5"), "2"  # GDAL's codes: the smallest value, or the only one; the class's name
_ANY_USE, _NUMBERS = "0", ("0", "1")  # its codes of a column for any use, and of columns of numbers
_VALUE_NAMES = ("value", "val", "dn", "id", "code", "gridcode", "classid", "classvalue", "pixelvalue")
_NO_VALUES = ("count", "histogram", "area", "oid", "objectid", "fid", "rowid", "red", "green", "blue", "alpha")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # which XML may not hold
_TEXT = "2"  # GDAL's code of a column of text


@dataclass(frozen=True)
class Legend:
    """What a raster tells about the meaning of its values. All of it may be absent.

    Attributes:
        colours: colour of each value, red, green, blue and opacity, 0-255.
        names: class name of each value.
        white_is_zero: whether the file says that its smallest value is shown white (TIFF's WhiteIsZero).
        lossy: name of the compression that changed the values, as ``JPEG``; empty where they are as written.
    """

    colours: Mapping[float, Colour] = field(default_factory=dict)
    names: Mapping[float, str] = field(default_factory=dict)
    white_is_zero: bool = False
    lossy: str = ""


NO_LEGEND = Legend()
"""Of arrays, and of rasters that tell nothing."""


def read_legend(dataset: Any) -> Legend:
    """The legend of the first band of an open rasterio dataset.

    Class names are those of ENVI's header, of GDAL's category names or a raster attribute table, in the file or in
    the ``.aux.xml`` beside it, or of the CF conventions' flags.
    """
    try:
        colours = {float(value): colour for value, colour in dataset.colormap(1).items()}
    except ValueError:  # there is none
        colours = {}
    told = dataset.tags(ns="IMAGE_STRUCTURE")
    return Legend(
        colours=colours,
        names=flag_names(dataset.tags(1)) | _class_names(dataset),
        white_is_zero=told.get("MINISWHITE") == "YES",
        lossy=_lossy(dataset, told),
    )


def _lossy(dataset: Any, told: Mapping[str, str]) -> str:
    packed = told.get("COMPRESSION", "")
    if dataset.driver == "JPEG" or _JPEG in packed.split():  # also "YCbCr JPEG"
        return _JPEG
    if told.get("COMPRESSION_REVERSIBILITY", "").startswith("LOSSY"):
        return f"lossy {packed}".strip() if packed else f"lossy {dataset.driver}"
    return ""


def flag_names(attributes: Mapping[str, Any]) -> dict[float, str]:
    """Class names as the CF conventions write them: ``flag_values`` and ``flag_meanings`` of as many words.

    Args:
        attributes: of the array; as numbers and text, or all as text, as GDAL hands them over.
    """
    told, words = attributes.get("flag_values", ""), text_of(attributes.get("flag_meanings", "")).split()
    numbers = re.findall(r"[^\s,{}\[\]]+", told) if isinstance(told, str) else np.ravel(told).tolist()
    try:
        values = [float(number.rstrip("bsBS") if isinstance(number, str) else number) for number in numbers]
    except (TypeError, ValueError):
        return {}
    return dict(zip(values, words, strict=True)) if len(values) == len(words) else {}


def _class_names(dataset: Any) -> dict[float, str]:
    """Class names by value, from GDAL's own description of the band.

    rasterio does not hand category names and attribute tables over, but a VRT, which holds no pixel, lists both.
    """
    with MemoryFile(ext=".vrt") as memory:
        try:
            rasterio.shutil.copy(dataset, memory.name, driver="VRT")
            band = ET.fromstring(_as_text(memory.read())).find("VRTRasterBand")
        except (RasterioError, ET.ParseError):
            return {}
    if band is None:
        return {}
    names = {float(i): (each.text or "").strip() for i, each in enumerate(band.iterfind("CategoryNames/Category"))}
    table = band.find("GDALRasterAttributeTable")
    if table is not None:
        names |= dict(_table_names(table))  # made by hand, where category names come with a format
    return {value: name for value, name in names.items() if name}


def _as_text(description: bytes) -> str:
    """GDAL's description, whose names are in the encoding of the file they come from: UTF-8 or Latin-1."""
    try:
        text = description.decode("utf-8")
    except UnicodeDecodeError:
        text = description.decode("latin-1")
    return _CONTROL.sub(" ", text)


def _table_names(table: ET.Element) -> Iterator[tuple[float, str]]:
    """Value and name of each row of a raster attribute table that has both."""
    columns = [
        (each.findtext("Name", "").casefold(), each.findtext("Type", ""), each.findtext("Usage", ""))
        for each in table.iterfind("FieldDefn")
    ]
    values = [i for i, (_, _, use) in enumerate(columns) if use in _VALUE_USES]
    named = {re.sub(r"[\W_]+", "", name): i for i, (name, _, _) in enumerate(columns)}
    values += [named[name] for name in _VALUE_NAMES if name in named]
    values += _of_its_own(table, columns)
    texts = [i for i, (_, _, use) in enumerate(columns) if use == _NAME_USE]
    texts += [i for i, (_, kind, _) in enumerate(columns) if kind == _TEXT]
    if not texts:
        return
    for number, row in enumerate(table.iterfind("Row")):
        cells = [each.text or "" for each in row.iterfind("F")]
        if number == _MOST_CLASSES:
            return
        try:
            # Without a column of values, the rows stand for them.
            yield (float(cells[values[0]]) if values else float(number)), cells[texts[0]].strip()
        except (IndexError, ValueError):
            continue


def _of_its_own(table: ET.Element, columns: Sequence[tuple[str, str, str]]) -> list[int]:
    """The columns of numbers of no known use that differ from row to row, as values do that have another name."""
    free = [i for i, (_, kind, use) in enumerate(columns) if kind in _NUMBERS and use == _ANY_USE]
    rows = [[each.text or "" for each in row.iterfind("F")] for row in table.findall("Row")[:_MOST_CLASSES]]
    return [
        i
        for i in free
        if not columns[i][0].startswith(_NO_VALUES) and len({tuple(row[i : i + 1]) for row in rows}) == len(rows)
    ]
