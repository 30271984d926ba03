"""The dates of a series by a pattern of their files' names."""

from __future__ import annotations

from pathlib import Path

from hsi_cd.batch.pairs import dated_files, stamp_of
from hsi_cd.errors import ConfigError

__all__ = ["dates_of_pattern"]

_DAY, _TIME = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"


def dates_of_pattern(pattern: str) -> tuple[list[Path], list[str]]:
    """The files of a pattern, the earliest first, and their days.

    Args:
        pattern: as ``scenes/field_{date:%Y%m%d}.tif``; ``*`` stands for anything within a name, and ``{name}`` for
            the name of the place, of which all files must have one.

    Raises:
        ConfigError: no file is called so, they are of several places, or the pattern tells no date.
    """
    listed = dated_files(pattern, Path(), where="the pattern")
    if not listed.files:
        raise ConfigError(f"no file is called as the pattern {pattern!r} says: a series has at least two dates")
    if len(listed.files) > 1:
        names = ", ".join(list(listed.files)[:6])
        raise ConfigError(
            f"the pattern {pattern!r} finds {len(listed.files)} places ({names}): a series is of one; write its "
            "name in place of {name}"
        )
    (files,) = listed.files.values()
    listed.tell_left_out({})
    days = sorted(files)
    form = _DAY if stamp_of(days) == "%Y%m%d" else _TIME
    return [files[day] for day in days], [day.strftime(form) for day in days]
