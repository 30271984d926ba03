"""The configuration of a run, with what its method brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hsi_cd.config import RunConfig, resolve
from hsi_cd.detectors.registry import find_method


def resolve_run(layers: list[tuple[str, Mapping[str, Any]]]) -> RunConfig:
    """The configuration that settings decide, with those that make the network a method of another package.

    Raises:
        UnknownNameError: there is no such method.
        ConfigError: an unknown key, a value that is not allowed, or a method that cannot be used.
    """
    said = [layer["method"] for _, layer in layers if isinstance(layer.get("method"), str)]
    if not said:
        return resolve(layers)
    own = find_method(said[-1])
    # First, so that what the user says wins; together, since a setting may be an option of a part it brings.
    return resolve([(f"method {own.name}", own.settings), *layers] if own.settings else layers)
