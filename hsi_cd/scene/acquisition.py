"""On which days dates were taken, as far as their files or the files' names tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_YEAR = re.compile(r"(?<!\d)(?:19[5-9]\d|20\d\d)(?!\d)")


def days_of(first: tuple[str, str], second: tuple[str, str]) -> tuple[str, str] | None:
    """The days of two cubes, see :func:`days_of_all`."""
    found = days_of_all((first, second))
    return None if found is None else (found[0], found[1])


def days_of_all(told: Sequence[tuple[str, str]]) -> tuple[str, ...] | None:
    """The days of cubes in a form that sorts, from what all of them tell alike; None where they do not.

    What the files say counts first. A name counts where all names hold a whole date (``20190601``,
    ``2019-06-01``), or a year, and are otherwise the same: a number of four digits alone may be anything.

    Args:
        told: of each cube what its file says of its acquisition (ISO 8601, or empty), and its name.

    Returns:
        ISO 8601, with the time of the day where all files tell one; or years.
    """
    said = [_DAY.match(acquired) for acquired, _ in told]
    days = [_day(match) if match else "" for match in said]
    if all(days):
        # A time of the day decides where all tell one.
        times = [acquired[10:19] for acquired, _ in told]
        return tuple(map("".join, zip(days, times, strict=True))) if all(times) else tuple(days)
    names = [name for _, name in told]
    named = [next((day for m in _DAY.finditer(name) if (day := _day(m))), "") for name in names]
    if all(named):
        return tuple(named)
    years = [_YEAR.findall(name) for name in names]
    if all(len(each) == 1 for each in years) and len({_YEAR.sub("", name) for name in names}) == 1:
        return tuple(each[0] for each in years)
    return None


def _day(match: re.Match[str]) -> str:
    """ISO 8601, or an empty string where the digits are no day."""
    try:
        return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
    except ValueError:
        return ""
