"""Paths as people write them. Every path that comes from outside passes here: options, YAML, Python."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import unquote

from hsi_cd.errors import ConfigError
from hsi_cd.places import as_place

_LONGEST_NAME, _LONGEST_PATH = 255, 4095  # bytes that the usual file systems and Linux take


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path in which ``~`` at the beginning is the home folder, as it is in a shell.

    A URL as ``file:///home/me/a%20b.tif``, which browsers and GIS hand out, is the path that it means.

    A shell expands it only at the beginning of a word: not in ``--run=~/runs``, and nobody does in YAML or Python.
    A name that begins with ``~`` and is nobody's home stays as it is. An address, and a file in an archive, become
    paths that stand for them, see :mod:`hsi_cd.places`.

    Raises:
        ConfigError: no file can have this name: it is empty, as where a shell's variable is not set, holds a zero
            byte, is longer than file systems take, lies on another machine, or is an address or an archive's name
            that can be none.

    Example:
        >>> as_path("~/runs") == Path.home() / "runs", as_path("a~/b").as_posix()
        (True, 'a~/b')
    """
    text = os.fspath(path)
    if not text:
        raise ConfigError("the name of a file or folder is empty: give one ('.' is the current folder)")
    if "\0" in text:
        raise ConfigError(f"{text!r} names no file, as it holds a zero byte: give another name")
    place = as_place(text)
    if place is not None:
        return place
    named = _of_url(text) if text[:7].lower() == "file://" else Path(path)
    with contextlib.suppress(RuntimeError):  # nobody's home
        named = named.expanduser()
    longest = max((len(os.fsencode(part)) for part in named.parts), default=0)
    if longest > _LONGEST_NAME or len(os.fsencode(named)) > _LONGEST_PATH:
        raise ConfigError(
            f"{str(named)[:40]}... names no file: a name has at most {_LONGEST_NAME} bytes and a path "
            f"{_LONGEST_PATH}, but it has {max(longest, len(os.fsencode(named)))}: give a shorter one"
        )
    return named


def _of_url(text: str) -> Path:
    """The path that a ``file://`` URL means (RFC 8089)."""
    host, slash, name = text[7:].partition("/")
    if host.lower() not in ("", "localhost") or not slash or "\0" in unquote(name):
        raise ConfigError(
            f"{text[:80]} names no file of this machine: expected file:///folder/name, or the path itself"
        )
    return Path("/" + unquote(name))
