"""When the images of a series were taken: told, put in order, and which of them is the reference."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from hsi_cd.api.sources import as_paths
from hsi_cd.errors import ConfigError, PairError
from hsi_cd.scene import Cube
from hsi_cd.scene.acquisition import days_of_all

__all__ = ["day_code", "in_order", "reference_of", "refuse_one_file"]

_log = logging.getLogger(__name__)

_SHOWN = 12  # dates that a message lists


def refuse_one_file(images: Sequence[Any]) -> None:
    """Refuse a file that is given as two dates.

    Raises:
        PairError: so it is.
    """
    seen: dict[tuple[str, ...], int] = {}
    for place, image in enumerate(images):
        files = tuple(os.path.realpath(path) for path in as_paths(image))
        if files and files in seen:
            raise PairError(
                f"date {seen[files] + 1} and date {place + 1} are one file, {files[0]}: give each date once, or "
                "say allow_identical=True to take it twice"
            )
        seen[files] = place


def in_order(cubes: Sequence[Cube], said: Sequence[str] | None) -> tuple[list[Cube], list[str]]:
    """The cubes and their days, the earliest first.

    Raises:
        ConfigError: a day is not told, or none.
        PairError: two are of one time.
    """
    names = [cube.name for cube in cubes]
    if said is None:
        found = days_of_all([(cube.acquired, cube.name) for cube in cubes])
        if found is None:
            silent = [n for c, n in zip(cubes, names, strict=True) if not c.acquired] or names
            raise ConfigError(
                f"nothing tells when {_listed(silent)} was taken, neither the file nor its name: give the days of "
                f"all {len(cubes)} dates by dates=, as 2019-06-01,2020-06-14, in the order of the files"
            )
        days = list(found)
    else:
        if len(said) != len(cubes):
            raise ConfigError(
                f"dates= names {len(said)} days for {len(cubes)} images: give one for each, in order"
            )
        days = [_iso(day) for day in said]
    order = sorted(range(len(cubes)), key=lambda place: days[place])
    for one, other in pairwise(order):
        if days[other].startswith(days[one]):
            raise PairError(
                f"{names[one]} and {names[other]} are both of {days[one]}: a series has one image of each date; "
                "leave one out, or say when each was taken by dates="
            )
    if order != list(range(len(cubes))):
        _log.warning(
            "the dates are put in their order: %s", _listed([f"{days[place]} ({names[place]})" for place in order])
        )
    return [cubes[place] for place in order], [days[place] for place in order]


def _iso(text: str) -> str:
    """A day, a day with its time, or a year, as it sorts."""
    word = str(text).strip()
    if len(word) == 4 and word.isdigit():
        return word
    try:
        if len(word) > 10:
            return datetime.fromisoformat(word).strftime("%Y-%m-%dT%H:%M:%S")
        return date.fromisoformat(word).isoformat()
    except ValueError:
        raise ConfigError(
            f"dates= has {word!r}, which is no day: write it as 2019-06-01, or 2019-06-01T10:30:00"
        ) from None


def day_code(day: str) -> int:
    """A day as a number that float32 holds: year and day of the year, ``2019152``; of a year alone ``2019000``."""
    if len(day) == 4:
        return int(day) * 1000
    when = date.fromisoformat(day[:10])
    return when.year * 1000 + when.timetuple().tm_yday


def reference_of(said: str | None, cubes: Sequence[Cube], days: Sequence[str]) -> int:
    """Place of the date that is called so: by its day, or the beginning of it, or its file; else the first.

    Raises:
        ConfigError: none is, or several.
    """
    if said is None:
        return 0
    files = [
        {cube.name, *(str(path) for path in cube.files), *(path.name for path in cube.files)} for cube in cubes
    ]
    found = [
        place for place, day in enumerate(days) if day.startswith(said) or said in files[place]
        or str(Path(said).absolute()) in files[place]
    ]  # fmt: skip
    if len(found) != 1:
        what = "is no date of the series" if not found else f"is {len(found)} dates of the series"
        raise ConfigError(f"reference={said!r} {what}: give one of {_listed(list(days))}, or its file's name")
    return found[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
