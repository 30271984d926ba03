"""The methods by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hsi_cd.detectors.method import Method
from hsi_cd.detectors.registry import METHODS, find_method

__all__ = ["Method", "built_in_methods", "find_method", "method_name", "method_names"]


def method_name(name: str) -> str:
    """A method's name, if there is such a method; also ``module:Class``.

    Raises:
        UnknownNameError: there is none.
    """
    return find_method(name).name


def method_names(names: Iterable[str]) -> list[str]:
    """Names of methods, each once; see :func:`method_name`."""
    return list(dict.fromkeys(method_name(name) for name in names))


def built_in_methods() -> Mapping[str, Method]:
    """The methods of this package by name; those of others are not imported to be listed."""
    return METHODS
