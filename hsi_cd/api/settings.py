"""The configuration of a run, with what its method brings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hsi_cd.config import RunConfig, resolve
from hsi_cd.detectors.registry import find_method
from hsi_cd.paths import as_path

GOING_ON: Mapping[str, Any] = {"epochs": 60, "lr": 3e-4, "certain": 0}
"""How a network goes on that other scenes taught: few small steps, by labels alone."""


def resolve_run(layers: list[tuple[str, Mapping[str, Any]]]) -> RunConfig:
    """The configuration that settings decide, with those that make the network a method of another package.

    Raises:
        UnknownNameError: there is no such method.
        ConfigError: an unknown key, a value that is not allowed, or a method that cannot be used.
        CheckpointError: the network of a damaged checkpoint is to go on to learn.
    """
    layers = [*_settings_of_init(layers), *layers]
    said = [layer["method"] for _, layer in layers if isinstance(layer.get("method"), str)]
    if not said:
        return resolve(layers)
    own = find_method(said[-1])
    # First, so that what the user says wins; together, since a setting may be an option of a part it brings.
    return resolve([(f"method {own.name}", own.settings), *layers] if own.settings else layers)


def _settings_of_init(layers: Iterable[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    """What a checkpoint says of its network, where one is named that goes on to learn: that stays as it is."""
    sections = [layer["train"] for _, layer in layers if isinstance(layer.get("train"), Mapping)]
    named = [section["init"] for section in sections if "init" in section]
    if not named or not isinstance(named[-1], str):
        return []
    from hsi_cd.detectors.checkpoint import load_checkpoint

    known = load_checkpoint(as_path(named[-1]))["config"]
    kept = {name: known[name] for name in ("bands", "prepare", "model") if name in known}
    if "model" in kept:
        kept["model"] = {**kept["model"], "backbone": {**kept["model"]["backbone"], "weights": None}}
    return [(f"the checkpoint {named[-1]}", {**kept, "train": GOING_ON})]
