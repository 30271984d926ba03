"""YAML with the lines its values stand on, so that an error can name the line and the field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hsi_cd.config import read_config_file
from hsi_cd.errors import ConfigError

Place = tuple[str | int, ...]
"""Where a value is: the keys and positions that lead to it."""


@dataclass(frozen=True)
class Document:
    """A YAML file.

    Attributes:
        path: the file.
        values: its content.
        lines: the line of each place, from 1.
    """

    path: Path
    values: dict[str, Any]
    lines: Mapping[Place, int]

    def where(self, *place: str | int) -> str:
        """File, line and field of a place, for an error message; the nearest line above one that has none."""
        known = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in self.lines), ())
        line = f", line {self.lines[known]}" if known else ""
        return f"{self.path}{line}: {field_name(place)}".removesuffix(": ")


def field_name(place: Place) -> str:
    """A place in words, as ``datasets[2].t1``."""
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def read_document(path: Path) -> Document:
    """Read a YAML file of keys.

    Raises:
        MissingInputError: there is no such file.
        ConfigError: it is not YAML, no mapping, or says a key twice.
    """
    values = read_config_file(path)
    lines: dict[Place, int] = {}
    for place, node in _nodes(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader), (), ()):
        line = node.start_mark.line + 1
        if place in lines:
            raise ConfigError(
                f"{path}, line {line}: {field_name(place)} is given twice, first in line {lines[place]}: keep one"
            )
        lines[place] = line
    return Document(path, values, lines)


def _nodes(node: yaml.Node | None, place: Place, above: tuple[int, ...]) -> Iterator[tuple[Place, yaml.Node]]:
    """All places below a node, each with the node that starts its line."""
    if id(node) in above:  # an alias of something around it
        return
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield (*place, key.value), key
                yield from _nodes(value, (*place, key.value), above)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield (*place, i), item
            yield from _nodes(item, (*place, i), above)
