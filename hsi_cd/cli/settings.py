"""The configuration that a command's options decide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_cd.cli.options import Paths, check_scene_options

if TYPE_CHECKING:
    from hsi_cd.config import RunConfig

Layers = list[tuple[str, Mapping[str, Any]]]
"""Settings from several places, later ones winning, each with what a message calls it."""


def run_config(
    config_file: Path | None,
    assignments: tuple[str, ...],
    layers: Layers,
    *,
    t1: Paths,
    t2: Paths,
) -> RunConfig:
    """The configuration of a run: defaults, the scene's own file, ``--config``, ``--set``, then other options.

    Args:
        config_file: the file that ``--config`` names.
        assignments: what ``--set`` was given, as ``train.epochs=50``.
        layers: what other options say, with what a message calls them.
        t1: files of the earlier date, which a dataset excludes.
        t2: files of the later date.

    Raises:
        ConfigError: an unknown key, or a value that is not allowed.
        UnknownNameError: there is no such dataset.
        click.UsageError: anything but a dataset or a pair of files is named.
    """
    from hsi_cd import config as configuration

    layers = [("--set " + text, configuration.parse_assignment(text)) for text in assignments] + layers
    if config_file is not None:
        layers.insert(0, (str(config_file), configuration.read_config(config_file)))
    config = configuration.resolve(layers)
    check_scene_options(config.dataset, t1, t2)
    if config.dataset is None:
        return config
    from hsi_cd.datasets import find_entry

    name = find_entry(config.dataset).name
    scene = (f"configs/{name}.yaml", configuration.dataset_config(name))
    return configuration.resolve([scene, *layers, ("options", {"dataset": name})])
