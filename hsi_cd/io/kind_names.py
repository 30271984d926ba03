"""What kinds of change are called: from a table of values and names, or from the classes that a raster names."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hsi_cd.errors import FormatError, LabelError
from hsi_cd.io.class_names import known_as
from hsi_cd.io.kinds import find_input
from hsi_cd.io.told_classes import is_bare, meaning_of
from hsi_cd.places import file_name
from hsi_cd.scene import UNCHANGED, UNLABELLED, Labels, LabelScheme

_COLUMNS = ("value", "name")
_SHOWN = 8


def read_kind_names(path: str | os.PathLike[str]) -> dict[str, str]:
    """Names by value, from a CSV with the columns ``value`` and ``name``; others are passed over.

    Args:
        path: the file, in UTF-8, with commas or semicolons.

    Raises:
        MissingInputError: there is no such file.
        FormatError: it is no such table.
        LabelError: a value is named twice, or two values have one name.
    """
    found = find_input(path)
    columns = "expected a CSV with the columns value,name"
    try:
        text = Path(found).read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        rows = list(csv.reader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ","))
    except (UnicodeDecodeError, csv.Error, OSError):
        raise FormatError(f"{found} is no table of names: {columns}") from None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    header = [cell.strip().casefold() for cell in rows[0]] if rows else []
    if not set(_COLUMNS) <= set(header):
        raise FormatError(
            f"{found} is no table of names: its columns are {', '.join(header) or 'none'}; {columns}"
        )
    value, name = (header.index(each) for each in _COLUMNS)
    names: dict[str, str] = {}
    for row in rows[1:]:
        cells = [" ".join(row[at].split()) if at < len(row) else "" for at in (value, name)]
        if not all(cells):
            raise FormatError(f"{found} has a line without a value or a name ({','.join(row)[:60]!r}): {columns}")
        if known_as(cells[0]) in names:
            raise LabelError(f"{found} names the value {cells[0]} twice: keep one of the lines")
        names[known_as(cells[0])] = cells[1]
    _refuse_twins(names, str(found))
    return names


def with_names(labels: Labels, source: str | os.PathLike[str] | Mapping[object, str] | None) -> Labels:
    """Labels whose kinds of change are called as somebody says.

    Args:
        labels: the labels.
        source: a table, see :func:`read_kind_names`, or names by value, which may be the name that the labels have
            for a kind; None for the names that they have. A kind that is not named keeps its name; names of
            unchanged and unlabelled values are passed over.

    Raises:
        LabelError: the labels tell no kinds apart, a value is none of theirs, or two kinds have one name.
        FormatError, MissingInputError: as :func:`read_kind_names` says.
    """
    if source is None:
        return labels
    if isinstance(source, Mapping):
        names, where = {known_as(value): str(name) for value, name in source.items()}, "names="
    else:
        names, where = read_kind_names(source), file_name(Path(source))
    table, scheme = labels.kind_table, labels.scheme
    if table is None:
        raise LabelError(
            f"{where} names kinds of change, but {labels.name} tells none apart, having one value for all that "
            "changed: leave names= out, or declare the values of the kinds with changed= and unchanged="
        )
    places = {known_as(name): at for at, name in enumerate(table.names)}
    places |= {known_as(value): at for at, value in enumerate(table.stored)}
    others = {known_as(value) for value in (*scheme.unchanged, *scheme.ignore)}
    if strange := [value for value in names if value not in places and value not in others]:
        own = ", ".join(map(str, table.stored[:_SHOWN])) + (", ..." if table.count > _SHOWN else "")
        raise LabelError(
            f"{where} names {', '.join(strange[:_SHOWN])}, which is no kind of change of {labels.name}: its "
            f"kinds are {own}; remove or correct the line"
        )
    given = {places[value]: name for value, name in names.items() if value in places}
    for name in given.values():
        if meaning_of(name) in (UNCHANGED, UNLABELLED):
            raise LabelError(f"{where} calls a kind of change {name!r}, which means none: give it another name")
    told = tuple(given.get(at, name) for at, name in enumerate(table.names))
    _refuse_twins(dict(zip(map(str, table.stored), told, strict=True)), where)
    return replace(labels, kind_names=told)


def names_of_legend(scheme: LabelScheme, names: Mapping[float, str]) -> tuple[str, ...]:
    """What a raster's classes are called that are kinds of change; none where it names none of them.

    Args:
        scheme: what the values mean.
        names: class names by value.
    """
    own = [" ".join(names.get(value, "").split()) for value in scheme.changed]
    if not any(name and not is_bare(name) for name in own):
        return ()
    return tuple(name or f"kind {value}" for name, value in zip(own, scheme.changed, strict=True))


def _refuse_twins(names: Mapping[str, str], where: str) -> None:
    """Refuse two values of one name.

    Raises:
        LabelError: with both.
    """
    first: dict[str, str] = {}
    for value, name in names.items():
        if (other := first.setdefault(name.casefold(), value)) != value:
            raise LabelError(
                f"{where} calls both {other} and {value} {name!r}: give each kind of change a name of its own"
            )
