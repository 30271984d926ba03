"""Who teaches and who judges, as files and as numbers of pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.api.opening import open_split, truth_of
from hsi_cd.api.sources import SceneSource, TruthSource
from hsi_cd.batch.jobs import GivenSplit
from hsi_cd.io import check_outputs
from hsi_cd.io.split_files import check_split_name, write_split
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Labels, Split

__all__ = [
    "KindCounts",
    "check_split_file",
    "count_pixels",
    "count_turns",
    "kind_counts",
    "split_for",
    "write_split",
]


@dataclass(frozen=True)
class KindCounts:
    """How many pixels of a kind of change teach, and judge.

    Attributes:
        kind: its number in maps.
        name: what it is called.
        teach: pixels that teach.
        judge: pixels that judge.
    """

    kind: int
    name: str
    teach: int
    judge: int


def kind_counts(split: Split, labels: Labels) -> list[KindCounts]:
    """How many pixels of each kind of change teach and judge; under the protocol of drawn labels, both.

    Raises:
        LabelError: the labels tell no kinds apart.
        GridError: they are of another scene's shape.
    """
    numbers, table = labels.kind_numbers(), labels.kind_table
    names = () if table is None else table.names
    masks = split.train_mask(), split.train_mask() if split.all_teach(labels) else split.test_mask(labels)
    teach, judge = (np.bincount(numbers[mask], minlength=len(names) + 1) for mask in masks)
    return [KindCounts(kind, name, int(teach[kind]), int(judge[kind])) for kind, name in enumerate(names, start=1)]


def check_split_file(path: Path, *, inputs: Iterable[Path] = (), overwrite: bool) -> None:
    """Refuse a name under which no split could be written, before any work.

    Args:
        path: the file.
        inputs: the files of the truth map, which it never replaces.
        overwrite: whether a file of this name may be replaced.

    Raises:
        FormatError: its ending tells no format.
        OutputError: the file is an input, exists or cannot be written.
    """
    check_split_name(path)
    check_outputs({"the split": path}, inputs=inputs, overwrite=overwrite)


def split_for(dataset: str, root: Path, path: Path) -> GivenSplit:
    """The pixels of a file that are to teach in runs on a benchmark scene.

    Args:
        dataset: name of the scene.
        root: folder that holds one folder per scene.
        path: the file.

    Raises:
        HsiCdError: as :func:`hsi_cd.open_dataset` and :func:`hsi_cd.open_split` say.
    """
    labels = truth_of(SceneSource(dataset, root), TruthSource())
    split = open_split(path, labels)
    split.check_labelled(labels, name=str(path))
    return GivenSplit(path.absolute(), split.protocol, split.fingerprint)


def count_pixels(split: Split, labels: Labels) -> dict[str, dict[str, int]]:
    """How many labelled pixels ``teach``, ``judge``, and do ``neither``, each by class.

    Raises:
        GridError: the labels are of another scene's shape.
    """
    teach, judge = split.train_mask(), split.test_mask(labels)
    neither = (labels.values != UNLABELLED) & ~teach & ~judge
    return {name: _classes(labels, of) for name, of in (("teach", teach), ("judge", judge), ("neither", neither))}


def count_turns(split: Split, labels: Labels) -> int:
    """Shapes that judge in turn, where labels that were drawn all teach; 0 where pixels are held out."""
    return len(np.unique(split.shapes)) if split.shapes is not None and split.all_teach(labels) else 0


def _classes(labels: Labels, of: NDArray[np.bool_]) -> dict[str, int]:
    return {
        word: int(((labels.values == code) & of).sum())
        for word, code in (("unchanged", UNCHANGED), ("changed", CHANGED))
    }
