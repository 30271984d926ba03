"""On which days two dates were taken, as far as their files or the files' names tell."""

from __future__ import annotations

import re
from datetime import date

_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_YEAR = re.compile(r"(?<!\d)(?:19[5-9]\d|20\d\d)(?!\d)")


def days_of(first: tuple[str, str], second: tuple[str, str]) -> tuple[str, str] | None:
    """The days of two cubes in a form that sorts, from what both tell alike; None where they do not.

    What the files say counts first. A name counts where both names hold a whole date (``20190601``,
    ``2019-06-01``), or a year, and are otherwise the same: a number of four digits alone may be anything.

    Args:
        first: what the first cube's file says of its acquisition (ISO 8601, or empty), and its name.
        second: the same of the second cube.
    """
    said = [_DAY.match(acquired) for acquired, _ in (first, second)]
    if said[0] and said[1]:
        # A time of the day decides where both tell one.
        times = [acquired[10:19] for acquired, _ in (first, second)]
        days = [_day(match) for match in said if match]
        if all(days):
            return (days[0] + times[0], days[1] + times[1]) if all(times) else (days[0], days[1])
    names = (first[1], second[1])
    named = [next((day for m in _DAY.finditer(name) if (day := _day(m))), "") for name in names]
    if all(named):
        return named[0], named[1]
    years = [_YEAR.findall(name) for name in names]
    if len(years[0]) == len(years[1]) == 1 and _YEAR.sub("", names[0]) == _YEAR.sub("", names[1]):
        return years[0][0], years[1][0]
    return None


def _day(match: re.Match[str]) -> str:
    """ISO 8601, or an empty string where the digits are no day."""
    try:
        return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
    except ValueError:
        return ""
