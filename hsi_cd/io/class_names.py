"""Names of drawn classes as they are declared, and values of fields as text that is compared with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsi_cd.errors import LabelError
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, LabelScheme


@dataclass(frozen=True)
class ClassNames:
    """Which values of a field of drawn shapes mean what, as text or as numbers.

    Attributes:
        unchanged: of unchanged places.
        changed: of changed places; several are kinds of change.
        ignore: of shapes that are left out.

    Raises:
        LabelError: a name is declared twice.
    """

    unchanged: tuple[str, ...]
    changed: tuple[str, ...]
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        said = [known_as(value) for value in (*self.unchanged, *self.changed, *self.ignore)]
        twice = sorted({value for value in said if said.count(value) > 1})
        if twice:
            raise LabelError(
                f"class {', '.join(map(repr, twice))} is declared twice: it is changed, unchanged or ignored"
            )

    @property
    def codes(self) -> dict[str, int]:
        """UNCHANGED, CHANGED or UNLABELLED by value, in small letters."""
        told = ((self.unchanged, UNCHANGED), (self.changed, CHANGED), (self.ignore, UNLABELLED))
        codes = {known_as(value): code for values, code in told for value in values}
        for word, number in (("true", "1"), ("false", "0")):  # as which fields of truth values are read
            if word in codes:
                codes.setdefault(number, codes[word])
        return codes

    def describe(self) -> str:
        """In words, as ``burnt changed, forest/meadow unchanged``."""
        parts = ((self.unchanged, "unchanged"), (self.changed, "changed"), (self.ignore, "left out"))
        return ", ".join(f"{'/'.join(values)} {word}" for values, word in parts if values)


def declared(scheme: LabelScheme | ClassNames | None) -> ClassNames | None:
    """A scheme of numbers as one of names, as which fields of text tell numbers, too."""
    if scheme is None or isinstance(scheme, ClassNames):
        return scheme
    unchanged, changed, ignore = (tuple(map(str, v)) for v in (scheme.unchanged, scheme.changed, scheme.ignore))
    return ClassNames(unchanged, changed, ignore)


def text_of_value(value: Any) -> str | None:
    """A value as text; None where there is none. A number is the same text however it is stored."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    text = " ".join(str(value).split())
    if is_number(text):
        return f"{float(text):.15g}"
    return None if text in ("", "NaT", "<NA>") else text  # as pandas writes what is missing


def known_as(value: Any) -> str:
    """The text by which a value is known again, whatever its letters' case."""
    return (text_of_value(value) or "").casefold()


def is_number(text: str) -> bool:
    """Whether a text is a number as people and files write it."""
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", text, re.IGNORECASE | re.ASCII) is not None
