"""Methods and parts of networks that live in other packages: found by name, ``module:Class``, and imported.

A name that the user wrote (an option, a setting, an argument) may be imported. A name that came inside a file may
not: whoever sends a checkpoint would choose what runs. :func:`load_trusted` takes such a name only where the user
has vouched for its module: it was imported before, an installed package enters it as an entry point, or the
environment's ``HSI_CD_PLUGINS`` names it.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hsi_cd.errors import CheckpointError, ConfigError

GROUPS = {"method": "hsi_cd.methods", "backbone": "hsi_cd.backbones", "attention": "hsi_cd.attentions"}
"""Entry-point groups in which a package enters what it brings, by kind."""

TRUSTED = "HSI_CD_PLUGINS"
"""Environment variable: modules that a checkpoint may have imported, separated by commas."""

_ROW = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}")
_NAMED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_named(text: object) -> bool:
    """Whether a text has the form ``module:Class``, as ``mynets.kan:KAN``."""
    return isinstance(text, str) and _NAMED.fullmatch(text) is not None


def is_row(text: object) -> bool:
    """Whether a text can be a method's own name: of letters, digits, ``.``, ``_``, ``+`` and ``-``."""
    return isinstance(text, str) and _ROW.fullmatch(text) is not None


def file_word(name: str) -> str:
    """A method's name as part of a folder's: ``mynets.kan:KAN`` is ``mynets.kan+KAN``; no two become one."""
    return name.replace(":", "+")


def load_named(name: str, *, kind: str) -> Any:
    """Import what ``module:Class`` names; only for names that the user wrote.

    The current directory is searched as well, behind all that is installed.

    Args:
        name: as ``mynets.kan:KAN``.
        kind: what a message calls it, as ``backbone``.

    Raises:
        ConfigError: it is no such name, there is no such module or class, or the import fails.
    """
    if not is_named(name):
        raise ConfigError(f"{kind} {name!r} is no name of the form module:Class, as mynets.kan:KAN")
    module, _, path = name.partition(":")
    found = _imported(module, what=f"{kind} {name}")
    for part in path.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{kind} {name}: {module} has no {path}{_nearest(part, dir(found))}")
        found = getattr(found, part)
    return found


def load_trusted(name: str, *, kind: str, allowed: Iterable[str] = ()) -> Any:
    """Import what ``module:Class`` names, from a file: only where the user has vouched for the module.

    Being importable is no contract: check the class before calling it.

    Args:
        name: as a checkpoint holds it.
        kind: what a message calls it, as ``backbone``.
        allowed: modules, or whole names, that the user lets this file have.

    Raises:
        CheckpointError: nobody vouched for the module, or it cannot be imported; it is named.
    """
    if not is_named(name):
        raise CheckpointError(f"the checkpoint's {kind} {name!r} is no name of the form module:Class")
    module = name.partition(":")[0]
    vouched = {*allowed, *(part.strip() for part in os.environ.get(TRUSTED, "").split(","))}
    packages = {module[:end] for end, letter in enumerate(module) if letter == "."}  # of one trusted, all is
    trusted = bool({name, module, *packages} & vouched)
    if module not in sys.modules and not trusted and name not in entries(kind).values():
        raise CheckpointError(
            f"the checkpoint needs the {kind} {name}, which is imported only if you trust it: import {module} "
            f"first, or set {TRUSTED}={module}"
        )
    try:
        return load_named(name, kind=kind)
    except ConfigError as error:
        raise CheckpointError(
            f"the checkpoint needs the {kind} {name}, which cannot be loaded: {error}"
        ) from error


def entries(kind: str) -> dict[str, str]:
    """What installed packages enter of a kind (see :data:`GROUPS`): names to ``module:Class``; imports nothing."""
    return {name: places[0] for name, places in _entered(kind).items()}


def entry(kind: str, name: str) -> str | None:
    """Where that is which an installed package enters by a name, as ``module:Class``; None if none does.

    Raises:
        ConfigError: two packages enter something else by one name, or it is no name.
    """
    places = _entered(kind).get(name, [])
    if len(places) > 1:
        raise ConfigError(f"{kind} {name} is entered as {' and as '.join(places)}: name the one you mean so")
    if places and not is_row(name):
        raise ConfigError(
            f"{kind} {name!r} is entered under a name that is none (letters, digits, '.', '_', '+', '-'): "
            f"name it as {places[0]}"
        )
    return places[0] if places else None


def _entered(kind: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in importlib.metadata.entry_points(group=GROUPS[kind]) if kind in GROUPS else ():
        places, place = found.setdefault(each.name, []), each.value.partition("[")[0].replace(" ", "")
        if place not in places:
            places.append(place)
    return found


def _imported(module: str, *, what: str) -> Any:
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)  # stays: what the module imports later may lie beside it
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if f"{module}.".startswith(f"{missing}."):
            raise ConfigError(
                f"{what}: there is no module {missing}: install its package, or run in the folder that it lies in"
            ) from None
        raise ConfigError(f"{what}: {module} needs the module {missing}, which is not installed") from error
    except (Exception, SystemExit) as error:  # whatever a foreign module does while it is imported
        told = " ".join(str(error).split())
        raise ConfigError(
            f"{what}: importing {module} failed ({type(error).__name__}{': ' if told else ''}{told})"
        ) from error


def _nearest(wanted: str, known: Iterable[str]) -> str:
    public = [name for name in known if not name.startswith("_")]
    near = difflib.get_close_matches(wanted, public, n=1)
    return f": did you mean {near[0]}?" if near else ""
