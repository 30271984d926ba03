"""The benchmark scenes by name: the right one for what was typed, what is on disk, what a scene brings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hsi_cd.config import dataset_config
from hsi_cd.datasets import DatasetState, dataset_files, describe, find_entry, missing_files

__all__ = [
    "DatasetState",
    "dataset_bands",
    "dataset_files",
    "dataset_name",
    "dataset_names",
    "dataset_settings",
    "describe",
    "missing_files",
]


def dataset_name(name: str) -> str:
    """A scene's name, from it or an alias.

    Raises:
        UnknownNameError: there is no such scene.
    """
    return find_entry(name).name


def dataset_names(names: Iterable[str]) -> list[str]:
    """Names of scenes, each once; see :func:`dataset_name`."""
    return list(dict.fromkeys(dataset_name(name) for name in names))


def dataset_bands(name: str) -> int:
    """Number of bands of a scene.

    Raises:
        UnknownNameError: there is no such scene.
    """
    return find_entry(name).bands


def dataset_settings(name: str) -> tuple[str, Mapping[str, Any]]:
    """The settings that come with a scene, and what a message calls their file.

    Raises:
        UnknownNameError: there is no such scene.
    """
    found = dataset_name(name)
    return f"configs/{found}.yaml", dataset_config(found)
