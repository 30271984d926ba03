"""Paths as people write them. Every path that comes from outside passes here: options, YAML, Python."""

from __future__ import annotations

import os
from pathlib import Path


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path in which ``~`` at the beginning is the home folder, as it is in a shell.

    A shell expands it only at the beginning of a word: not in ``--run=~/runs``, and nobody does in YAML or Python.
    A name that begins with ``~`` and is nobody's home stays as it is.

    Example:
        >>> as_path("~/runs") == Path.home() / "runs", as_path("a~/b").as_posix()
        (True, 'a~/b')
    """
    named = Path(path)
    try:
        return named.expanduser()
    except RuntimeError:
        return named
