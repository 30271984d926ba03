"""Pages of reference: the door, and each package's public names, in the order of the rooms."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

Page = tuple[str, str, str]
"""Path in the site, name in the navigation, Markdown."""


def pages(root: Path) -> list[Page]:
    """The door first, then every room whose ``__init__`` says what is public; each thing stands on one page."""
    made: list[Page] = []
    shown: set[str] = set()
    for name in ["hsi_cd", *(f"hsi_cd.{room}" for room in rooms(root))]:
        module = importlib.import_module(name)
        content = _page(module, shown) if hasattr(module, "__path__") else None
        if content is not None:
            made.append((f"reference/{name.rpartition('.')[2]}.md", name, content))
    return made


def rooms(root: Path) -> list[str]:
    """The packages in the order of the layers contract."""
    told = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = told["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [part.strip().removeprefix("hsi_cd.") for layer in layers for part in layer.split("|")]


def _page(module: ModuleType, shown: set[str]) -> str | None:
    """What a package exports: functions and classes from their docstrings, constants by name and value."""
    constants, things = [], []
    for name in getattr(module, "__all__", []):
        thing = getattr(module, name)
        home = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"
        if inspect.isclass(thing) or inspect.isroutine(thing):
            if home.startswith("hsi_cd.") and home not in shown:
                shown.add(home)
                things.append(f"::: {home}")
        elif not name.startswith("__") and not inspect.ismodule(thing):
            constants.append(f"- `{name}`{_value(thing)}")
    if not things and not constants:
        return None
    about = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(module.__doc__ or ""))
    parts = [f"# {module.__name__}", about, *things]
    if constants:
        parts += ["## Constants", "\n".join(constants)]
    return "\n\n".join(parts) + "\n"


def _value(thing: Any) -> str:
    """Short values in full; of long ones, and of types, the name says enough."""
    text = repr(thing)
    return f" = `{text}`" if isinstance(thing, int | float | str | tuple | list) and len(text) < 100 else ""
