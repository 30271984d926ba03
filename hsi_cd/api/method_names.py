"""The methods by name."""

from __future__ import annotations

import json

from hsi_cd.batch.jobs import ChosenMethod
from hsi_cd.detectors.method import Method
from hsi_cd.detectors.registry import all_methods, find_method

__all__ = ["Method", "all_methods", "chosen_method", "find_method"]


def chosen_method(name: str) -> ChosenMethod:
    """A method that the user named, for a matrix of runs; each run is a process that is given the name again.

    Raises:
        UnknownNameError: there is no such method.
        ConfigError: it is of another package, and cannot be used.
    """
    method = find_method(name)
    brings = json.dumps(method.settings) if method.settings else ""
    return ChosenMethod(method.name, method.row if method.row != method.name else "", brings)
