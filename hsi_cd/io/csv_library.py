"""Spectral libraries as tables: a column a spectrum beside one of wavelengths, or a row a spectrum."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.io.envi_library import check_values, made_library, without_marks
from hsi_cd.io.wavelengths import known_nanometres
from hsi_cd.scene.spectral_library import LibraryEntry, SpectralLibrary

Floats = NDArray[np.float64]

_DELIMITERS = (",", ";", "\t")
_MISSING = ("", "na", "n/a", "nan", "null", "none", "-")
_IN_BRACKETS = re.compile(r"[(\[]\s*([^)\]]+?)\s*[)\]]")
_UNIT = re.compile(
    r"(?:^|[\s_\-./])(nm|um|µm|μm|nanomet(?:er|re)s?|micromet(?:er|re)s?|microns?)\s*$", re.IGNORECASE
)
_OTHER = re.compile(r"wave\s*number|frequency|energy|\b[tg]?hz\b|cm-1|cm\^-1|1/cm", re.IGNORECASE)
# A wavelength in a heading, as 450.5, X450.5 (as R writes it) or "450.5 nm".
_HEADING = re.compile(r"^\s*X?(\d+(?:\.\d*)?)\s*(nm|um|µm|μm)?\s*$", re.IGNORECASE)
_OF_WAVELENGTHS = re.compile(r"wave|lambda|^\s*wl\b|\b(nm|um|µm|μm)\b", re.IGNORECASE)


def read_csv_library(path: Path, text: str) -> SpectralLibrary:
    """Read a table with one line of headings.

    A column a spectrum: the first column holds wavelengths, in nm or um as its heading says. A row a spectrum: the
    headings but the first are wavelengths, the first column holds names.

    Args:
        path: the file, for messages.
        text: what it holds.

    Raises:
        FormatError: it is neither, wavelengths are not told, or a cell is no number.
    """
    lines = _lines(path, text)
    head = next(lines, [])
    if len(head) < 2:
        raise FormatError(f"{path} has no line of headings of two columns or more: expected a table (CSV)")
    told = [_HEADING.match(cell) for cell in head[1:]]
    if _number(head[0]) is not None and all(_number(cell) is not None for cell in head[1:]):
        raise FormatError(
            f"{path} begins with numbers: expected a line of headings, as wavelength (nm),soil,grass; add one"
        )
    first = next(lines, [""])
    lines = itertools.chain([first], lines)
    # X1, X2 are names of columns, too: where wavelengths stand below, they are.
    if all(told) and not (_OF_WAVELENGTHS.search(head[0]) and _number(first[0]) is not None):
        return _by_rows(path, head, [match for match in told if match], lines)
    return _by_columns(path, head, lines)


def _by_columns(path: Path, head: list[str], lines: Iterator[list[str]]) -> SpectralLibrary:
    rows = _table(path, len(head), lines, named=False)[1]
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(head))
    if not len(values) or not np.isfinite(values[:, 0]).all():
        raise FormatError(
            f"{path} has no wavelength in each line of its first column ({head[0][:40]!r}), and its headings are "
            "none: expected a column of them, or a heading a wavelength"
        )
    wavelengths = known_nanometres(values[:, 0], _unit_of(head[0]), where=f"{path}, column {head[0][:40]!r}")
    kept, empty = [], []
    for column, name in enumerate(head[1:], start=1):
        if not name.strip() and not np.isfinite(values[:, column]).any():
            continue  # of a line that ends in its delimiter
        try:
            own = without_marks(values[:, column])
            kept.append(LibraryEntry.of(name.strip() or f"column {column + 1}", wavelengths, own))
        except FormatError:
            empty.append(name)
    return made_library(path, kept, how="a column each", left_out=empty)


def _by_rows(
    path: Path, head: list[str], told: list[re.Match[str]], lines: Iterator[list[str]]
) -> SpectralLibrary:
    units = {(match[2] or "").lower() for match in told}
    if len(units) > 1:
        raise FormatError(f"{path} has headings in several units ({', '.join(sorted(units))}): expected one")
    unit = units.pop() or (_unit_of(head[0]) if "wave" in head[0].lower() or "(" in head[0] else "")
    wavelengths = known_nanometres(np.array([float(match[1]) for match in told]), unit, where=f"{path}, headings")
    names, rows = _table(path, len(head), lines, named=True)
    kept, empty = [], []
    for number, (name, values) in enumerate(zip(names, rows, strict=True), start=1):
        try:
            kept.append(LibraryEntry.of(name or f"row {number}", wavelengths, without_marks(values)))
        except FormatError:
            empty.append(name)
    return made_library(path, kept, how="a row each", left_out=empty)


def _table(path: Path, columns: int, lines: Iterator[list[str]], *, named: bool) -> tuple[list[str], list[Floats]]:
    """The lines' first cells, where they are names, and all numbers."""
    names: list[str] = []
    rows: list[Floats] = []
    for number, line in enumerate(lines, start=2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != columns:
            raise FormatError(f"{path}, line {number}, has {len(line)} cells: expected {columns}, as its headings")
        check_values((len(rows) + 1) * columns, path)
        names.append(line[0].strip() if named else "")
        rows.append(_numbers(path, number, line[1:] if named else line))
    return names, rows


def _numbers(path: Path, number: int, cells: list[str]) -> Floats:
    values = np.empty(len(cells))
    for column, cell in enumerate(cells):
        value = np.nan if cell.strip().lower() in _MISSING else _number(cell)
        if value is None:
            raise FormatError(f"{path}, line {number}, has {cell[:40]!r}: expected a number")
        values[column] = value
    return values


def _lines(path: Path, text: str) -> Iterator[list[str]]:
    first = text[: text.find("\n") if "\n" in text else len(text)]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        yield from csv.reader(io.StringIO(text), delimiter=delimiter)
    except csv.Error as error:
        raise FormatError(f"{path} is no table ({error}): expected CSV") from None


def _unit_of(heading: str) -> str:
    """The unit that a heading tells: in brackets, or as its last word; empty where it tells none."""
    bracketed = _IN_BRACKETS.search(heading)
    if bracketed:
        return bracketed[1]
    if _OTHER.search(heading):
        return heading.strip()
    ending = _UNIT.search(heading)
    return ending[1] if ending else ""


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
