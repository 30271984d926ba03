"""Values to and from the JSON of a run folder: written plainly, read strictly, every fault with its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from hsi_cd.errors import FormatError, unknown_name

Fact = str | int | float | bool | None
"""What a flat record may hold."""


def plain(value: Any) -> Any:
    """Values as JSON has them: dataclasses as objects, numpy's numbers as Python's, NaN as null."""
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def read_record(cls: type, data: Any, where: str, **readers: Any) -> Any:
    """A dataclass from a JSON object that must have exactly its keys; ``readers`` turn one value each."""
    data = as_mapping(data, where)
    for key in data:
        if key not in readers:
            raise FormatError(f"{where}: {unknown_name('key', str(key), readers)}")
    missing = [key for key in readers if key not in data]
    if missing:
        raise FormatError(f"{where}: {', '.join(missing)} missing: expected {', '.join(readers)}")
    return cls(**{key: read(data[key], f"{where}.{key}") for key, read in readers.items()})


def as_mapping(value: Any, where: str) -> Mapping[str, Any]:
    """An object, as a mapping."""
    if not isinstance(value, Mapping):
        raise wrong(where, value, "an object")
    return value


def as_text(value: Any, where: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise wrong(where, value, "a text")
    return value


def as_count(value: Any, where: str) -> int:
    """A whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise wrong(where, value, "a whole number, 0 or more")
    return value


def as_number(value: Any, where: str) -> float:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise wrong(where, value, "a finite number")
    return float(value)


def as_score(value: Any, where: str) -> float:
    """A score: null is NaN."""
    return math.nan if value is None else as_number(value, where)


def as_fact(value: Any, where: str) -> Fact:
    """A text, a number, true, false or null."""
    if value is not None and not isinstance(value, str | int | float | bool):
        raise wrong(where, value, "a text, a number, true, false or null")
    return value


def or_none(read: Any) -> Any:
    """A reader that lets null be None."""
    return lambda value, where: None if value is None else read(value, where)


def listed(read: Any) -> Any:
    """A reader of a list whose items are all alike, as a tuple."""

    def read_list(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise wrong(where, value, "a list")
        return tuple(read(item, f"{where}[{i}]") for i, item in enumerate(value))

    return read_list


def each(read: Any) -> Any:
    """A reader of an object whose values are all alike."""
    return lambda value, where: {
        as_text(key, where): read(item, f"{where}.{key}") for key, item in as_mapping(value, where).items()
    }


def wrong(where: str, value: Any, expected: str) -> FormatError:
    """The error for a value that is not what was expected at its place."""
    return FormatError(
        f"{where} is {str(value)[:60]!r}: expected {expected}; give a file that this software wrote"
    )
