"""The options of a method: its defaults, what each may be, and what a user gave in their place."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hsi_cd.detectors.thresholds import THRESHOLDS
from hsi_cd.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class Range:
    """The numbers that an option may be; none of them is infinite.

    Attributes:
        low: the least.
        high: the greatest, or None for no bound.
        above: whether ``low`` itself is left out.
        below: whether ``high`` itself is left out.
        odd: whether only odd numbers are allowed.
    """

    low: float
    high: float | None = None
    above: bool = False
    below: bool = False
    odd: bool = False

    def __contains__(self, value: float) -> bool:
        if not math.isfinite(value) or (self.odd and value % 2 != 1):
            return False
        if value < self.low or (self.above and value == self.low):
            return False
        return self.high is None or value < self.high or (value == self.high and not self.below)

    def __str__(self) -> str:
        """In words, as ``more than 0 and at most 1``."""
        low = f"more than {self.low:g}" if self.above else f"{self.low:g} or more"
        kind = "an odd number, " if self.odd else ""
        if self.high is None:
            return f"{kind}{low}"
        if not self.above and not self.below:
            return f"{kind}{self.low:g} to {self.high:g}"
        return f"{kind}{low} and {'less than' if self.below else 'at most'} {self.high:g}"


LARGEST_REACH = 64
"""Pixels of a smoothing's half window: beyond, a window of a scene would be mostly surroundings."""

RANGES: Mapping[str, Range] = {
    "level": Range(0, 1, below=True),
    "iterations": Range(1),
    "tolerance": Range(0),
    "ridge": Range(0, 1e6),
    "quiet": Range(0, 1, below=True),
    "components": Range(1),
    "reach": Range(0, LARGEST_REACH),
    "range": Range(0, above=True),
    "variance": Range(0, 1, above=True),
    "block": Range(1, 2 * LARGEST_REACH + 1, odd=True),
    "region": Range(4),
    "clusters": Range(2),
    "folds": Range(2),
    "trees": Range(1),
}
"""What the numbers among the options of this package's methods may be: a name means the same in every method."""

FEATURES = {
    "difference": "differences of standardised bands",
    "stacked": "standardised bands of both dates",
    "pca": "principal components of both dates, and the size of their differences",
    "mnf": "minimum-noise components of both dates, and the size of their differences",
}
"""Features by name."""
CONTEXTS = {
    "none": "each pixel alone",
    "median": "medians of the components around the pixel",
    "bilateral": "means over those neighbours that look alike in both dates",
}
"""Spatial context by name."""
CHOICES: Mapping[str, Collection[str]] = {"threshold": THRESHOLDS, "features": FEATURES, "context": CONTEXTS}
"""What the names among the options of this package's methods may be."""


def choose_options(
    options: Mapping[str, Any] | None,
    defaults: Mapping[str, Any],
    *,
    method: str,
    ranges: Mapping[str, Range] = RANGES,
    choices: Mapping[str, Collection[str]] = CHOICES,
) -> dict[str, Any]:
    """A method's ``defaults`` with the ``options`` that a user gave.

    A whole number may be written as any number is, ``1e2`` for 100.

    Args:
        options: by name.
        defaults: of all options that there are.
        method: what messages call the method.
        ranges: of those options that have one.
        choices: of those options that are names of something.

    Raises:
        UnknownNameError: there is no such option, or nothing of the name that one has.
        ConfigError: an option has a value of another type than its default, or out of its range.
    """
    chosen = dict(defaults)
    for name, value in (options or {}).items():
        if name not in defaults:
            raise unknown_name(f"option of {method}", name, defaults)
        expected = type(defaults[name])
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if expected is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not expected:
            raise ConfigError(
                f"option {name} of {method} is {value!r}: expected {expected.__name__}, as {defaults[name]!r}"
            )
        if name in ranges and value not in ranges[name]:
            raise ConfigError(
                f"option {name} of {method} is {value!r}: expected {ranges[name]}, as {defaults[name]!r}"
            )
        known = {*choices.get(name, ()), defaults[name]}  # a method may have a name of its own, as its default
        if name in choices and value not in known:
            raise unknown_name(f"{name} of {method}", value, known)
        chosen[name] = value
    return chosen
