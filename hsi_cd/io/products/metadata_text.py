"""Metadata in lines of ``NAME = value`` with groups, as the USGS writes them (``_MTL.txt``)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hsi_cd.errors import FormatError

_MOST_LINES = 20_000


def parse_metadata(text: bytes) -> dict[str, str]:
    """The values by their names, and by ``GROUP/NAME`` where they stand in a group; quotes are taken off.

    A name that stands in several groups keeps, alone, the value of the first.

    Args:
        text: the file.
    """
    found: dict[str, str] = {}
    groups: list[str] = []
    for line in text.decode("latin-1").splitlines()[:_MOST_LINES]:
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            continue
        if name == "GROUP":
            groups.append(value)
        elif name == "END_GROUP":
            groups = groups[:-1]
        else:
            plain = value.strip('"').strip()
            found.setdefault(name, plain)
            if groups:
                found.setdefault(f"{groups[-1]}/{name}", plain)
    return found


def number_of(metadata: Mapping[str, str], name: str, shown: str, *, default: float | None = None) -> float:
    """A value that is a finite number.

    Args:
        metadata: the values.
        name: of the value.
        shown: what messages call the file.
        default: taken where it is not told.

    Raises:
        FormatError: it is none, or not told.
    """
    if name not in metadata and default is not None:
        return default
    try:
        value = float(metadata.get(name, ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        told = repr(metadata[name][:20]) if name in metadata else "missing"
        raise FormatError(f"{shown}: {name} is {told}: expected a finite number; it is damaged, download it again")
    return value
