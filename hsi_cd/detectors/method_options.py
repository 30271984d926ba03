"""The options of a method: its defaults, and what a user gave in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hsi_cd.errors import ConfigError, unknown_name


def choose_options(
    options: Mapping[str, Any] | None, defaults: Mapping[str, Any], *, method: str
) -> dict[str, Any]:
    """A method's ``defaults`` with the ``options`` that a user gave.

    Raises:
        UnknownNameError: there is no such option.
        ConfigError: an option has a value of another type than its default.
    """
    chosen = dict(defaults)
    for name, value in (options or {}).items():
        if name not in defaults:
            raise unknown_name(f"option of {method}", name, defaults)
        expected = type(defaults[name])
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not expected:
            raise ConfigError(
                f"option {name} of {method} is {value!r}: expected {expected.__name__}, as {defaults[name]!r}"
            )
        chosen[name] = value
    return chosen
