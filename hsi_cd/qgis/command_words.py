"""From what a dialog holds to the words of a command line."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from .algorithms import Algorithm, Parameter
from .layer_sources import Bounds, Source, SourceError, one_layer

_PATHS = ("date", "map", "mask", "polygons", "file", "folder", "raster", "vector", "html", "json", "csv", "run")


def words_for(algorithm: Algorithm, values: Mapping[str, Any]) -> list[str]:
    """The command and its arguments.

    Args:
        algorithm: what is run.
        values: by the parameters' names: a :class:`Source` for what is read, a list of them for labels,
            :class:`Bounds` for an extent, else text, numbers, booleans. What is absent, None or empty is left to
            the command's own default.

    Raises:
        SourceError: what is needed is missing, or the further options cannot be read.

    Example:
        >>> from .algorithms import ALGORITHMS
        >>> register = ALGORITHMS[1]
        >>> words_for(register, {"T1": Source("a.tif"), "T2": Source("b.tif"), "OUTPUT": "c.tif"})
        ['register', '--output', 'c.tif', '--overwrite', '--', 'a.tif', 'b.tif']
    """
    options: list[str] = []
    arguments: list[str] = []
    given = _with_folders(algorithm, values)
    for parameter in algorithm.parameters:
        value = given.get(parameter.name)
        if value is None or value == "" or value == []:
            if parameter.needed:
                raise SourceError(f"{parameter.title}: nothing is chosen; choose one")
            continue
        if parameter.kind == "further":
            options += _split(str(value), parameter.title)
        elif parameter.kind != "page" and parameter.name not in algorithm.stand_ins():
            found = _words(parameter, value)
            if parameter.option:
                options += found
            else:
                arguments += found
    return [algorithm.command, *options, *algorithm.always, *(["--", *arguments] if arguments else [])]


def _with_folders(algorithm: Algorithm, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, in which a folder stands in for its date."""
    folders = {of: values[name] for name, of in algorithm.stand_ins().items() if values.get(name)}
    return dict(values) | folders


def _words(parameter: Parameter, value: Any) -> list[str]:
    """An option with its value, or the value of an argument."""
    if parameter.kind == "switch":
        return [parameter.option] if value else []
    if isinstance(value, Bounds):
        words = [parameter.option, ",".join(repr(float(each)) for each in value.rectangle)]
        return [*words, *([f"{parameter.option}-crs", value.crs] if value.crs else [])]
    if parameter.kind in ("labels", "points"):
        sources = value if isinstance(value, list) else [value]
        words = [word for source in sources for word in (parameter.option, source.path)]
        layer = one_layer(sources, parameter.title)
        return [*words, *(["--layer", layer] if layer else [])]
    if parameter.kind in _PATHS:
        text = value.path if isinstance(value, Source) else str(value)
    elif parameter.kind == "whole":
        text = str(int(value))
    elif parameter.kind == "number":
        text = repr(float(value))
    else:
        text = str(value)
    return [parameter.option, text] if parameter.option else [text]


def _split(text: str, title: str) -> list[str]:
    """As a shell divides a line into words; on Windows, where paths have backslashes, these stay."""
    try:
        words = shlex.split(text, posix=os.name == "posix")
    except ValueError as error:
        raise SourceError(f"{title}: {text} cannot be read ({error}): write it as on the command line") from error
    return words if os.name == "posix" else [word.strip('"') for word in words]


def in_columns(text: str) -> str:
    """A text whose columns stay where they are in QGIS's log, which makes one of several spaces.

    Example:
        >>> in_columns("Kappa  0.8 !").split("\u00a0")
        ['Kappa', '', '0.8 !']
    """
    return re.sub(r"^ +| {2,}", lambda found: "\u00a0" * len(found[0]), text, flags=re.MULTILINE)


def shown(words: list[str]) -> str:
    """A command as it is typed in a shell."""
    return " ".join(shlex.quote(word) for word in words)
