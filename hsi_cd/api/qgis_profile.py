"""The plugin for QGIS in a user's profile: put there, and taken out.

The plugin is the folder ``hsi_cd/qgis``, copied as it is; nothing of it is imported here. A file beside it,
``installed.json``, says which command it runs, and that the folder is ours to replace or remove.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
import sysconfig
import uuid
from dataclasses import dataclass
from pathlib import Path

import hsi_cd
from hsi_cd.errors import MissingInputError, OutputError

PLUGIN = "hsi_cd_qgis"
"""The plugin's folder in a profile: not the package's name, which QGIS's Python may have, too."""

FACTS = "installed.json"
_SETTINGS = Path("QGIS") / "QGIS3.ini"
_ENABLED, _COMMAND = ("PythonPlugins", PLUGIN), ("Processing", r"Configuration\HSI_CD_COMMAND")
_OF_A_PROFILE = (_SETTINGS, Path("python"), Path("qgis.db"), Path("symbology-style.db"))
_REMEDY = (
    "run QGIS once, or name its folder with profile= "
    "(in QGIS: Settings, User Profiles, Open Active Profile Folder)"
)


@dataclass(frozen=True)
class Installed:
    """What was done.

    Attributes:
        profile: of QGIS.
        plugin: the folder in it.
        command: that the plugin runs; None after it was taken out.
        changed: whether anything was to be done.
    """

    profile: Path
    plugin: Path
    command: Path | None
    changed: bool


def install_plugin(profile: Path | None = None) -> Installed:
    """Put the plugin into a profile, in place of an earlier one, and enable it; a second time changes nothing.

    Args:
        profile: folder of the profile; by default that of which QGIS starts.

    Raises:
        MissingInputError: there is no such profile, or this environment has no command ``hsi-cd``.
        OutputError: another plugin has its place, or nothing can be written there.
    """
    home = _profile(profile)
    plugin, command = home / "python" / "plugins" / PLUGIN, _command()
    files = _files(command)
    _refuse_foreign(plugin)
    enabled = _set(_read(home / _SETTINGS), *_ENABLED, "true")
    try:
        changed = _contents(plugin) != files
        if changed:
            _replace(plugin, files)
        changed |= _write(home / _SETTINGS, enabled)
    except OSError as error:
        raise _unwritten(plugin, error) from error
    return Installed(home, plugin, command, changed)


def uninstall_plugin(profile: Path | None = None) -> Installed:
    """Take the plugin out of a profile, with its settings; where there is none, nothing is done.

    Raises:
        MissingInputError: there is no such profile.
        OutputError: another plugin has its place, or nothing can be removed there.
    """
    home = _profile(profile)
    plugin = home / "python" / "plugins" / PLUGIN
    _refuse_foreign(plugin)
    changed = plugin.exists()
    try:
        if changed:
            shutil.rmtree(plugin)
        without = _set(_set(_read(home / _SETTINGS), *_ENABLED, None), *_COMMAND, None)
        changed |= _write(home / _SETTINGS, without)
    except OSError as error:
        raise _unwritten(plugin, error) from error
    return Installed(home, plugin, None, changed)


def _unwritten(plugin: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{plugin} cannot be changed: {error.strerror or error}; see to the rights, or choose another profile"
    )


# --- Where ---


def _profile(named: Path | None) -> Path:
    home = named if named is not None else _default_profile()
    if not home.is_dir():
        raise MissingInputError(f"there is no profile of QGIS at {home}: {_REMEDY}")
    if any(home.iterdir()) and not any((home / each).exists() for each in _OF_A_PROFILE):
        raise MissingInputError(f"{home} is no profile of QGIS: it has no {_SETTINGS.as_posix()}; {_REMEDY}")
    return home.absolute()


def _default_profile() -> Path:
    """The profile with which QGIS starts."""
    folder = _user_data() / "QGIS" / "QGIS3" / "profiles"
    if os.environ.get("QGIS_CUSTOM_CONFIG_PATH"):
        folder = Path(os.environ["QGIS_CUSTOM_CONFIG_PATH"]) / "profiles"
    name = _get(_read(folder / "profiles.ini"), "core", "defaultProfile") or "default"
    return folder / name


def _user_data() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _command() -> Path:
    """The command of the environment that runs now."""
    name = "hsi-cd.exe" if os.name == "nt" else "hsi-cd"
    schemes = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))
    places = [Path(sysconfig.get_path("scripts", scheme)) / name for scheme in schemes]
    for place in places:
        if place.is_file():
            return place
    raise MissingInputError(
        f"this environment has no command hsi-cd: {places[0]} is absent, and QGIS runs it; install the package"
    )


# --- The folder ---


def _files(command: Path) -> dict[str, bytes]:
    """The plugin's files by name."""
    source = Path(hsi_cd.__file__).parent / "qgis"
    files = {path.name: path.read_bytes() for path in sorted(source.glob("*.py"))}
    facts = {"plugin": PLUGIN, "version": hsi_cd.__version__, "command": str(command)}
    files[FACTS] = json.dumps(facts, indent=2).encode() + b"\n"
    files["metadata.txt"] = _METADATA.format(version=hsi_cd.__version__).encode()
    return files


_METADATA = """[general]
name=hsi-cd
description=Hyperspectral change detection in the Processing toolbox
about=Inspect two dates, register them, map what changed, learn from drawn labels, judge the map. Runs the \
command hsi-cd of the environment from which it was installed.
version={version}
qgisMinimumVersion=3.22
author=the authors of hsi-cd
email=none
tags=hyperspectral,change detection,remote sensing
category=Analysis
hasProcessingProvider=yes
experimental=False
deprecated=False
"""


def _refuse_foreign(plugin: Path) -> None:
    """Refuse what we did not put there, be it a link to a developer's own folder."""
    if not os.path.lexists(plugin):
        return
    try:
        ours = not plugin.is_symlink() and json.loads(_read(plugin / FACTS))["plugin"] == PLUGIN
    except (ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise OutputError(f"{plugin} is there, and hsi-cd did not put it there: move it away first")


def _contents(plugin: Path) -> dict[str, bytes]:
    """Files of the folder, but what Python and QGIS leave in it."""
    return {path.name: path.read_bytes() for path in plugin.glob("*") if path.is_file()}


def _replace(plugin: Path, files: dict[str, bytes]) -> None:
    """The folder appears whole, or the earlier one stays."""
    plugin.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:12]
    draft, earlier = (plugin.with_name(f".{PLUGIN}.{mark}.{what}") for what in ("new", "old"))
    try:
        draft.mkdir()
        for name, content in files.items():
            (draft / name).write_bytes(content)
        if plugin.exists():
            plugin.rename(earlier)
        draft.rename(plugin)
    finally:
        if earlier.exists() and not plugin.exists():
            earlier.rename(plugin)
        for folder in (draft, earlier):
            shutil.rmtree(folder, ignore_errors=True)


# --- QGIS's settings: an INI file of Qt, whose other lines stay as they are ---


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="surrogateescape") if path.is_file() else ""


def _write(path: Path, text: str) -> bool:
    """Whether anything was to be written; the file appears whole."""
    if text == _read(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    try:
        draft.write_bytes(text.encode("utf-8", errors="surrogateescape"))
        if path.exists():
            shutil.copymode(path, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _section(lines: list[str], section: str) -> tuple[int, int] | None:
    """Where a section's own lines begin and end."""
    heads = [i for i, line in enumerate(lines) if re.fullmatch(r"\[.*\]\s*", line)]
    for head, end in itertools.pairwise([*heads, len(lines)]):
        if lines[head].strip() == f"[{section}]":
            return head + 1, end
    return None


def _get(text: str, section: str, key: str) -> str:
    lines = text.splitlines()
    place = _section(lines, section)
    for line in lines[slice(*place)] if place else ():
        name, _, value = line.partition("=")
        if name == key:
            return value.strip()
    return ""


def _set(text: str, section: str, key: str, value: str | None) -> str:
    """The text with a value set, or, for None, without its line; a section that is then empty goes with it."""
    lines = text.splitlines(keepends=True)
    place = _section(lines, section)
    if place is None:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        return text if value is None else f"{text}{gap}[{section}]\n{key}={value}\n"
    own = lines[slice(*place)]
    found = [i for i, line in enumerate(own) if line.partition("=")[0] == key]
    if value is None and not found:
        return text
    if value is None:
        own = [line for i, line in enumerate(own) if i not in found]
        head = place[0] - (0 if any(line.strip() for line in own) else 1)
        kept = own if head == place[0] else []
        return "".join([*lines[:head], *kept, *lines[place[1] :]])
    new = f"{key}={value}\n"
    if found:
        own[found[0]] = new
    else:
        own.insert(0, new)
    return "".join([*lines[: place[0]], *own, *lines[place[1] :]])
