"""Dataclasses to and from the JSON of a run folder: written plainly, read strictly by pydantic."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast

import numpy as np
from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError, WrapValidator

from hsi_cd.errors import FormatError, unknown_name

T = TypeVar("T")

RECORD = ConfigDict(extra="forbid")
"""``__pydantic_config__`` of a dataclass that is read: its fields are all the keys there are."""

Text = Annotated[str, Strict()]
Count = Annotated[int, Strict(), Field(ge=0)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Score = Annotated[Number, WrapValidator(lambda value, read: math.nan if value is None else read(value))]
"""A finite number; null is NaN."""
Fact = Text | Annotated[bool, Strict()] | Annotated[int, Strict()] | Annotated[float, Strict()] | None
"""What a flat record may hold."""


ADDED = MappingProxyType({"added": True})
"""Metadata of a field that records of the same version did not have at first: left out where it is None."""


def write_record(record: Any, version: int) -> dict[str, Any]:
    """A dataclass as JSON has it, under the version of its layout."""
    return {"version": version, **_plain(record)}


def read_record(cls: type[T], data: Any, what: str, version: int) -> T:
    """What :func:`write_record` made of a dataclass.

    Args:
        cls: the dataclass; its annotations say what is read.
        data: the JSON.
        what: what messages call it.
        version: the version of the layout that is read.

    Raises:
        FormatError: another version, a key too many or missing, or a value of the wrong kind.
    """
    if not isinstance(data, Mapping):
        raise FormatError(f"{what} is {_short(data)}: expected an object; {_REMEDY}")
    found = {key: value for key, value in data.items() if key != "version"}
    if data.get("version") != version:
        raise FormatError(
            f"{what} of version {data.get('version')!r}: this software reads version {version}; update it"
        )
    try:
        record: T = _reader(cast(Any, cls)).validate_python(found)
    except ValidationError as error:
        raise FormatError(_describe(cls, found, what, error.errors(include_url=False))) from None
    # What has a default may be left out by whoever makes a record, but is in every one that was written.
    for place in _missing(_plain(record), found, what):
        raise FormatError(f"{place} is missing; {_REMEDY}")
    return record


_REMEDY = "give a file that this software wrote"


@functools.cache
def _reader(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _plain(value: Any) -> Any:
    """Dataclasses as objects, numpy's numbers as Python's, NaN as null."""
    if is_dataclass(value):
        told = {f.name: (getattr(value, f.name), f.metadata.get("added", False)) for f in fields(value)}
        return {name: _plain(item) for name, (item, added) in told.items() if not (added and item is None)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _missing(written: Any, found: Any, place: str) -> Iterator[str]:
    """Places of keys that are written but were not found."""
    if isinstance(written, dict):
        for key, value in written.items():
            if key in found:
                yield from _missing(value, found[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}"
    elif isinstance(written, list):
        for i, (ours, theirs) in enumerate(zip(written, found, strict=True)):
            yield from _missing(ours, theirs, f"{place}[{i}]")


def _describe(cls: type, data: Mapping[str, Any], what: str, problems: Sequence[Any]) -> str:
    """One line for the first problem that pydantic found."""
    first = problems[0]
    place, value = _find(data, what, first["loc"])
    if first["type"] == "missing":
        return f"{place}.{first['loc'][-1]} is missing; {_REMEDY}"
    if first["type"] == "unexpected_keyword_argument":
        if len(first["loc"]) == 1:
            return f"{what}: {unknown_name('key', str(first['loc'][0]), (f.name for f in fields(cls)))}"
        return f"{place} is a key too many; {_REMEDY}"
    if first["type"] == "value_error":
        return f"{place}: {first['ctx']['error']}"
    expected = [problem["msg"] for problem in problems if _find(data, what, problem["loc"])[0] == place]
    if first["type"] == "dataclass_type":
        expected = ["an object"]
    words = " or ".join(message.removeprefix("Input should be ") for message in expected)
    return f"{place} is {_short(value)}: expected {words}; {_REMEDY}"


def _find(data: Any, what: str, loc: Sequence[Any]) -> tuple[str, Any]:
    """The place that pydantic means, in words, and what stands there."""
    place, value = what, data
    for part in loc:  # after the keys, pydantic tells the members of a union
        if isinstance(value, Mapping) and part in value:
            place, value = f"{place}.{part}", value[part]
        elif isinstance(value, list) and isinstance(part, int):
            place, value = f"{place}[{part}]", value[part]
    return place, value


def _short(value: Any) -> str:
    return repr(str(value)[:60])
