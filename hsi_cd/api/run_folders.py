"""Run folders opened, to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError
from hsi_cd.evaluation import RunResult, merged
from hsi_cd.io import ClassMap, read_class_map, read_own_map, read_score_name, read_scores
from hsi_cd.io.split_files import read_split
from hsi_cd.reporting.figures import KindPanels
from hsi_cd.runs import Overview, read_curves, read_overview, read_result
from hsi_cd.scene import UNCHANGED, UNLABELLED, Grid, Labels, LabelScheme, Split


def open_run(folder: Path) -> RunFolder:
    """All that a run folder has to show.

    Args:
        folder: a run folder with a result and a change map.

    Raises:
        MissingInputError: the result or the change map is not there.
        FormatError: a file is damaged.
        GridError: maps, pictures and split differ in shape.
    """
    result = read_result(folder)
    mapped = _read_map(folder / "change.tif", result)
    change, grid = mapped.values, mapped.grid
    score = read_scores(folder / "score.tif") if (folder / "score.tif").is_file() else None
    named = ("", False) if score is None else read_score_name(folder / "score.tif")
    overview = read_overview(folder)
    split = read_split(folder / "split.npz") if (folder / "split.npz").is_file() else None
    shapes = {
        "score.tif": score.shape if score is not None else None,
        "overview.npz": overview.truth.shape if overview else None,
        "split.npz": split.shape if split else None,
    }
    for name, shape in shapes.items():
        if shape is not None and shape != change.shape:
            raise GridError(
                f"{folder / name} is of {shape[0]} x {shape[1]} pixels but change.tif of {change.shape[0]} x "
                f"{change.shape[1]}: the folder holds files of two runs; run again"
            )
    config = folder / "config.yaml"
    return RunFolder(
        folder=folder,
        result=result,
        change=merged(change),
        grid=grid,
        score=score,
        score_name=named[0],
        gives_probabilities=named[1],
        overview=overview,
        split=split,
        curves=read_curves(folder),
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
        kinds=None if mapped.kinds is None else _kinds_of(mapped, result, overview),
    )


def _read_map(path: Path, result: RunResult) -> ClassMap:
    """The map of a run, by the kinds that its result tells, if it does."""
    if result.kinds is None or not path.is_file():
        return read_class_map(path)
    return read_own_map(path, dict(enumerate(result.kinds.names[1:], start=1)))


def _kinds_of(mapped: ClassMap, result: RunResult, overview: Overview | None) -> KindPanels:
    """The map of kinds, and the truth that it was judged by."""
    names = dict(mapped.kinds or {})
    if result.kinds is not None:
        names = dict(enumerate(result.kinds.names[1:], start=1))
    return KindPanels(names, mapped.values, None if overview is None else overview.kinds)


@dataclass(frozen=True)
class RunFolder:
    """What a run left.

    Attributes:
        folder: where it lies.
        result: its result.
        change: the change map, uint8 ``(rows, cols)``.
        grid: the grid of the map.
        score: the scores, float32 ``(rows, cols)``, or None.
        score_name: what the scores are, as ``spectral angle (radians)``; empty where that is not told.
        gives_probabilities: whether they are known to be probabilities of change.
        overview: pictures of the dates, and the truth, or None.
        split: which pixels taught, or None.
        curves: float64 ``(epochs,)`` by name.
        config: the resolved configuration as text.
        kinds: the map of kinds of change, and its truth; None where the map tells none apart.
    """

    folder: Path
    result: RunResult
    change: NDArray[np.uint8]
    grid: Grid
    score: NDArray[np.float32] | None
    score_name: str
    gives_probabilities: bool
    overview: Overview | None
    split: Split | None
    curves: Mapping[str, NDArray[np.float64]]
    config: str
    kinds: KindPanels | None = None

    def labels(self) -> Labels | None:
        """The truth that the run was judged against; None where the run kept none."""
        if self.overview is None:
            return None
        labels, kinds = Labels(self.overview.truth, name=f"{self.folder} (truth)"), self.result.kinds
        if kinds is None or self.overview.kinds is None:
            return labels
        numbers = tuple(range(1, len(kinds.names)))
        scheme = LabelScheme((UNCHANGED,), numbers, (UNLABELLED,))
        return replace(labels, scheme=scheme, kinds=self.overview.kinds, kind_names=kinds.names[1:])
