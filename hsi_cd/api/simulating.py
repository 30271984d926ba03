"""A scene pair with known truth, made from formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.datasets.simulated.simulation_files import PairFiles, write_pair

__all__ = ["PairFiles", "simulate_scene"]


def simulate_scene(directory: Path, *, overwrite: bool = False, **settings: Any) -> PairFiles:
    """Simulate a scene and write it: both dates, truth and settings, or none of them.

    Args:
        directory: folder to write to; made if it does not exist.
        overwrite: whether a scene that lies there already may be replaced.
        settings: those of :class:`~hsi_cd.datasets.simulated.simulation.SimulationOptions`.

    Raises:
        ConfigError: a setting is outside its range.
        OutputError: the folder holds a scene already, or cannot be written.
    """
    return write_pair(directory, SimulationOptions(**settings), overwrite=overwrite)
