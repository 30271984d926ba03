"""The configuration of a run, with what its method brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hsi_cd.config import RunConfig, resolve
from hsi_cd.detectors.registry import find_method


def resolve_run(layers: list[tuple[str, Mapping[str, Any]]]) -> RunConfig:
    """The configuration that settings decide, with those that make the network a method of another package."""
    config = resolve(layers)
    own = find_method(config.method)
    return resolve([(f"method {own.name}", own.settings), *layers]) if own.settings else config
