"""The catalogue of benchmark scenes, and the simulator."""

from hsi_cd.datasets.catalogue import (
    CATALOGUE,
    DatasetState,
    dataset_files,
    describe,
    find_entry,
    missing_files,
    open_dataset,
    open_pair,
)
from hsi_cd.datasets.entries import SceneEntry

__all__ = [
    "CATALOGUE",
    "DatasetState",
    "SceneEntry",
    "dataset_files",
    "describe",
    "find_entry",
    "missing_files",
    "open_dataset",
    "open_pair",
]
