"""Scene pairs to map: from a table, or from files whose names tell a place and a date."""

from __future__ import annotations

import csv
import difflib
import logging
import math
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from hsi_cd.errors import ConfigError, MissingInputError
from hsi_cd.paths import as_path

COLUMNS = ("name", "t1", "t2", "checkpoint", "nodata")
"""Columns of a table of pairs; only t1 and t2 must be there."""

NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}")
"""What may name a pair, a scene or a variant: it becomes a folder."""

log = logging.getLogger(__name__)

_NAMED = 5  # files that a warning lists
_NOTES = (".yaml", ".yml", ".csv", ".txt", ".md", ".json", ".xml", ".log", ".pt", ".pdf", ".html", ".py", ".sh")

_DIGITS = {"%Y": r"\d{4}", "%y": r"\d{2}", "%j": r"\d{3}", "%b": r"[^\W\d_]+", "%B": r"[^\W\d_]+"}
_DIGITS |= {f"%{letter}": r"\d{2}" for letter in "mdHMS"}


@dataclass(frozen=True)
class Pair:
    """Two dates of one scene.

    Attributes:
        name: what the pair is called; a folder of this name takes its maps.
        t1: the earlier date.
        t2: the later date.
        checkpoint: what maps it, if not the one of the matrix.
        nodata: stored values that mean no data, beside those that the files and the matrix declare.
    """

    name: str
    t1: Path
    t2: Path
    checkpoint: Path | None = None
    nodata: tuple[float, ...] = ()


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a CSV file; paths in it are relative to its own folder.

    Whether the files are there is not looked at: a pair without files fails by itself.

    Raises:
        MissingInputError: there is no such file.
        ConfigError: a column or a value is missing, unknown or given twice; with its line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise MissingInputError(
            f"pairs {path} is not a file: give a CSV file with the columns t1 and t2"
        ) from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"pairs {path} is no CSV file: {error}") from None
    if damaged := next((line for line, row in rows if any("\0" in cell for cell in row)), None):
        raise ConfigError(f"pairs {path} is no CSV file: line {damaged} holds a zero byte; write the file again")
    if not rows:
        raise ConfigError(f"pairs {path} is empty: give the columns {', '.join(COLUMNS)} and a line a pair")
    (first, header), *body = rows
    _check_header(header, f"{path}, line {first}")
    pairs: dict[str, Pair] = {}
    for line, cells in body:
        where = f"{path}, line {line}"
        if len(cells) != len(header):
            raise ConfigError(f"{where} has {len(cells)} cells, but there are {len(header)} columns: {header}")
        row = dict(zip(header, cells, strict=True))
        for column in ("t1", "t2"):
            if not row[column]:
                raise ConfigError(f"{where}: {column} is empty: give a file")
        here = path.absolute().parent
        t1, t2 = here / as_path(row["t1"]), here / as_path(row["t2"])
        name = row.get("name") or f"{t1.stem}_{t2.stem}"
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{where}: name is {name!r}: it names a folder; use letters, digits, '.', '_' and '-'"
            )
        if name in pairs:
            raise ConfigError(f"{where}: there is a pair called {name} already: give each its own name")
        checkpoint = row.get("checkpoint")
        maps = here / as_path(checkpoint) if checkpoint else None
        pairs[name] = Pair(name, t1, t2, maps, _values(row.get("nodata", ""), where))
    if not pairs:
        raise ConfigError(f"pairs {path} holds no pair: give a line for each below the header")
    return list(pairs.values())


def _values(text: str, where: str) -> tuple[float, ...]:
    """The numbers of a cell, with spaces between them."""
    try:
        found = tuple(float(word) for word in text.split())
    except ValueError:
        found = (math.nan,)
    if not all(math.isfinite(value) for value in found):
        raise ConfigError(f"{where}: nodata is {text!r}: give numbers with spaces between them, as -9999")
    return found


def _check_header(header: list[str], where: str) -> None:
    for column in header:
        if column not in COLUMNS:
            near = difflib.get_close_matches(column, COLUMNS, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(COLUMNS)}"
            raise ConfigError(f"{where}: there is no column {column!r}: {hint}")
    missing = [column for column in ("t1", "t2") if column not in header]
    if missing or len(set(header)) < len(header):
        said = f"column {missing[0]} is missing" if missing else "a column is there twice"
        raise ConfigError(f"{where}: {said}: expected t1 and t2, and name, checkpoint and nodata if you like")


def find_pairs(pattern: str, root: Path, *, ends: bool, where: str) -> list[Pair]:
    """Pairs of files whose names tell what they show and when.

    Args:
        pattern: as ``scenes/{name}_{date:%Y%m%d}.tif``; ``*`` stands for anything within a name.
        root: where a relative pattern starts.
        ends: pair each place's first date with its last, rather than each date with the next.
        where: file, line and field, for messages.

    Files beside those of the pattern that make no pair are told in a warning: a name in capitals, a date that is
    none, a date without another of its place.

    Raises:
        ConfigError: the pattern has no date, or there are no two dates of anything.
    """
    pattern = as_path(pattern).as_posix()
    listed = dated_files(pattern, root, where=where)
    found = listed.files
    pairs = []
    for name, files in found.items():
        days = sorted(files)
        couples = [(days[0], days[-1])] if ends else list(pairwise(days))
        stamp = stamp_of(days)
        pairs += [
            Pair(f"{name}_{a.strftime(stamp)}_{b.strftime(stamp)}", files[a], files[b])
            for a, b in couples
            if a < b
        ]
    single = [path for files in found.values() if len(files) == 1 for path in files.values()]
    listed.tell_left_out({"no partner": single})
    if not pairs:
        said = (
            f"only single dates are there, of {', '.join(list(found)[:3])}"
            if found
            else f"no file below {root} is called so"
        )
        raise ConfigError(f"{where} is {pattern!r}: {said}; two dates of one name make a pair")
    return pairs


def stamp_of(days: Iterable[datetime]) -> str:
    """How dates are written in names: with the time of the day only where one is told."""
    return "%Y%m%d" if all(day.time() == datetime.min.time() for day in days) else "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class DatedFiles:
    """Files whose names tell what they show and when.

    Attributes:
        files: of each place its files by their dates.
        undated: files of the pattern whose digits are no date.
        strange: files beside them that the pattern does not fit.
    """

    files: Mapping[str, Mapping[datetime, Path]]
    undated: Sequence[Path]
    strange: Sequence[Path]

    def tell_left_out(self, more: Mapping[str, Sequence[Path]]) -> None:
        """Warn of the files that make nothing, by why they do not; ``more`` are the caller's own reasons."""
        _tell_left_out({"fit no pattern": self.strange, "no readable date": self.undated, **more})


def dated_files(pattern: str, root: Path, *, where: str) -> DatedFiles:
    """The files of a pattern, see :func:`find_pairs`.

    Raises:
        ConfigError: the pattern has no date, or two files are of one place and date.
    """
    pattern = as_path(pattern).as_posix()
    expression, glob, letters = _expression(pattern, where)
    found: dict[str, dict[datetime, Path]] = {}
    like_it = sorted(_matching(root, glob))
    strange, undated = dict.fromkeys([*like_it, *_beside(root, glob)]), list[Path]()
    for path in like_it:
        match = expression.fullmatch(path.as_posix() if Path(pattern).is_absolute() else _below(path, root))
        if match is None:
            continue
        del strange[path]
        when = _date({letter: match[letter] for letter in letters})
        if when is None:  # digits that are no date
            undated.append(path)
            continue
        name = match.groupdict().get("name") or "scene"
        earlier = found.setdefault(name, {}).setdefault(when, path)
        if earlier != path:
            raise ConfigError(
                f"{where}: {earlier.name} and {path.name} are both {name} at {when}: be more specific"
            )
    known = {
        (path.parent, path.stem) for path in (*undated, *(p for files in found.values() for p in files.values()))
    }
    return DatedFiles(found, undated, [path for path in strange if not _describes(path, known)])


def _matching(root: Path, glob: str) -> Iterable[Path]:
    """Files by a pattern with ``*``, relative to a folder or absolute."""
    path = Path(glob)
    return Path(path.anchor).glob(str(path.relative_to(path.anchor))) if path.is_absolute() else root.glob(glob)


def _beside(root: Path, glob: str) -> list[Path]:
    """The files in the folders that a pattern looks into; neither hidden ones nor notes are scenes."""
    above = Path(glob).parent.as_posix()
    folders = [root] if above == "." else _matching(root, above)
    files = (path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()))
    return [p for p in files if p.is_file() and not p.name.startswith(".") and p.suffix.lower() not in _NOTES]


def _describes(path: Path, known: Container[tuple[Path, str]]) -> bool:
    """Whether a file is named like a known one, with an ending of its own: ``a.hdr`` or ``a.tif.msk``."""
    return any((path.parent, path.name.rsplit(".", n)[0]) in known for n in (1, 2))


def _tell_left_out(left: Mapping[str, Sequence[Path]]) -> None:
    """Warn of files that make no pair, by why they do not."""
    parts = []
    for why, files in left.items():
        if files:
            names = ", ".join(path.name for path in files[:_NAMED])
            more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            parts.append(f"{names}{more} ({why})")
    count = sum(map(len, left.values()))
    if count:
        log.warning("%s left out: %s", "1 file is" if count == 1 else f"{count} files are", "; ".join(parts))


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _date(told: Mapping[str, str]) -> datetime | None:
    """The date of what a name tells by strptime's letters; None where there is no such date."""
    text, form = " ".join(told.values()), " ".join(f"%{letter}" for letter in told)
    try:
        when = datetime.strptime(text, form)
    except ValueError:
        return None
    # Written again, since strptime takes day 366 of any year, and of two tellings of a month the last.
    return when if when.strftime(form).casefold() == text.casefold() else None


def _expression(pattern: str, where: str) -> tuple[re.Pattern[str], str, list[str]]:
    """The pattern as a regular expression and with ``*``, and the letters of its dates, which are its groups.

    What is told twice, as a year by a folder and a file's name, must be the same both times.
    """
    expression, glob, letters, named = "", "", list[str](), False
    for part in re.split(r"(\{[^{}]*\}|\*)", Path(pattern).as_posix()):
        if part == "*":
            expression, glob = expression + r"[^/]*", glob + "*"
        elif part == "{name}":
            expression += "(?P=name)" if named else r"(?P<name>[A-Za-z0-9][\w.+-]*?)"
            glob, named = glob + "*", True
        elif part.startswith("{date:"):
            for token in re.split(r"(%.)", part[6:-1]):
                letter = token[1:]
                if not token.startswith("%"):
                    expression += re.escape(token)
                elif token not in _DIGITS:
                    raise ConfigError(f"{where} is {pattern!r}: {token} is not known in a date; as %Y%m%d")
                elif letter in letters:
                    expression += f"(?P={letter})"
                else:
                    expression += f"(?P<{letter}>{_DIGITS[token]})"
                    letters.append(letter)
            glob += "*"
        elif part.startswith("{"):
            raise ConfigError(f"{where} is {pattern!r}: {part} is not known; use {{name}} and {{date:%Y%m%d}}")
        else:
            # '?' and '[' are letters of a name, here as in the expression.
            expression, glob = expression + re.escape(part), glob + re.sub(r"[?\[]", r"[\g<0>]", part)
    if not letters:
        raise ConfigError(f"{where} is {pattern!r}: it tells no date; as scenes/{{name}}_{{date:%Y%m%d}}.tif")
    if not {"Y", "y"} & set(letters):
        raise ConfigError(
            f"{where} is {pattern!r}: its dates tell no year, so nothing says which is the earlier; say where "
            "the year stands, as {date:%Y}/{name}_{date:%m%d}.tif, or give the pairs as a table by pairs"
        )
    return re.compile(expression), re.sub(r"\*+", "*", glob), letters
