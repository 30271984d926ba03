"""A map made by other code, brought in as a run: judged as every run is, and a row of the tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.api.judging import check_two, judge
from hsi_cd.errors import ConfigError, GridError, HsiCdError, LabelError, OutputError
from hsi_cd.evaluation import RunResult, scores_elsewhere
from hsi_cd.io import ClassMap, map_writers, read_class_map, read_scores, write_json, write_npz
from hsi_cd.io.class_maps import TWO
from hsi_cd.io.map_classes import NO_KINDS, classes_of
from hsi_cd.io.split_files import write_split
from hsi_cd.paths import as_path
from hsi_cd.prepare.splits import near_training
from hsi_cd.runs import PROVENANCE, RESULT, Overview, find_runs, read_result
from hsi_cd.runs.recording import recording, versions
from hsi_cd.scene import UNLABELLED, Grid, Labels, Split, check_same_grid
from hsi_cd.scene.contract import check_truth_grid


@dataclass(frozen=True)
class ForeignMap:
    """A map made by other code.

    Attributes:
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed or kinds of change, 255 no data.
        grid: the map's grid; without a georeference, that of the truth is kept.
        name: what tables call the method.
        score: float32 ``(rows, cols)``, higher is more change, NaN for no data; adds the ranking scores.
        names: of the classes, the unchanged among them; more than two of a map of kinds.
        named: whether the map itself names them, see :class:`hsi_cd.io.ClassMap`.
    """

    change: NDArray[np.uint8]
    grid: Grid
    name: str
    score: NDArray[np.float32] | None = None
    names: Mapping[int, str] = field(default_factory=lambda: TWO)
    named: bool = True

    @property
    def mapped(self) -> ClassMap:
        """The map with its classes."""
        return ClassMap(self.change, self.grid, self.names, self.named)


def open_foreign_map(
    path: Path, *, name: str, score: Path | None = None, key: str | None = None, nodata: Sequence[float] = ()
) -> ForeignMap:
    """A map made by other code, from its file.

    Args:
        path: GeoTIFF, ENVI, PNG, NumPy or MATLAB.
        name: what tables call the method.
        score: file of its scores.
        key: variable of a file with several.
        nodata: values that mean no data in both, beside those that the files declare.

    Raises:
        FormatError: a file is damaged, or holds other values than classes of a map.
    """
    found = read_class_map(path, key=key, nodata=nodata)
    scores = None if score is None else read_scores(score, nodata=nodata)
    return ForeignMap(found.values, found.grid, name, scores, found.names, found.named)


def import_map(
    made: ForeignMap,
    labels: Labels,
    *,
    folder: str | os.PathLike[str],
    split: Split | None = None,
    overview: Overview | None = None,
    command: Sequence[str] = (),
) -> RunResult:
    """Judge a change map and keep it as a run folder.

    The folder holds what tables, figures and reports read: ``change.tif``; ``score.tif``, ``split.npz`` and
    ``overview.npz`` where they are given; ``provenance.json``, and, last of all, ``result.json``.

    Args:
        made: the map.
        labels: truth map; its name is that of the scene.
        folder: the run folder; made if it is not there.
        split: the pixels that taught; they do not judge. Without it, all labelled pixels judge.
        overview: pictures of the scene, for figures; a run of the same scene has them.
        command: what was typed, for the record.

    Returns:
        The result, as in ``result.json``.

    Raises:
        ConfigError: the name is empty or of several lines, or a run beside the folder has it already.
        GridError: map, truth, score and split do not lie on one grid.
        LabelError: the split's pixels have no label here: it is of another scene.
        OutputError: the folder is not empty, or cannot be written.
    """
    folder = as_path(folder)
    mapped = made.mapped
    check_two(mapped, labels)
    change, grid, kinds, score, name = mapped.values, mapped.grid, mapped.kinds, made.score, made.name.strip()
    if not name or not name.isprintable():
        raise ConfigError(f"name {name!r}: give one line of text, as tables are to call the method")
    _check_grids(change, grid, labels, split, score)
    result = judge(change, labels, dataset=labels.name, method=name, split=split, score=score, kinds=kinds)
    _check_free(folder, result)
    elsewhere = {} if labels.shapes is not None else _elsewhere(mapped, labels, split, score)
    result = replace(
        result,
        versions=versions(),
        split=None if split is None else "split.npz",
        details={**result.details, "made_by": "other code", **elsewhere},
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"run folder {folder} cannot be made ({error.strerror}): name another") from None
    with recording(folder / PROVENANCE, command, machine={}):
        place = grid if grid.is_georeferenced else labels.grid
        raster = folder / "score.tif" if score is not None else None
        tags = {"METHOD": name, "SCORE_NAME": f"score of {name}, higher is more change"}
        classes = classes_of(mapped.names if kinds is not None else NO_KINDS)
        with map_writers(folder / "change.tif", raster, grid=place, tags=tags, classes=classes) as writers:
            writers.change.write(0, change)
            if writers.score is not None and score is not None:
                writers.score.write(0, score.astype(np.float32))
        if split is not None:
            write_split(folder / "split.npz", split)
        if overview is not None:
            told = None if result.kinds is None else labels.kind_numbers()
            pictures = replace(overview, truth=labels.values, kinds=told).pictures()
            write_npz(folder / "overview.npz", pictures)
        write_json(folder / RESULT, result.to_dict())
    return result


def _elsewhere(
    mapped: ClassMap, labels: Labels, split: Split | None, score: NDArray[np.float32] | None
) -> dict[str, float]:
    """Scores on all labelled pixels, and on those far from every one that taught."""
    scopes = {"all labelled": labels.values != UNLABELLED}
    if split is not None and len(split.train):
        scopes["strict"] = split.test_mask(labels) & ~near_training(split.train_mask())
    return scores_elsewhere(mapped.values, labels, scopes, score=score, kinds=mapped.kinds)


def _check_grids(
    change: NDArray[np.uint8], grid: Grid, labels: Labels, split: Split | None, score: NDArray[np.float32] | None
) -> None:
    """Refuse what is not of one scene."""
    names = ("the map", f"the truth ({labels.name})")
    check_truth_grid(grid, labels.grid, names=names)
    check_same_grid(Grid(*change.shape), grid, names=("the map", "its grid"), remedy="give the grid of the map")
    if score is not None and score.shape != change.shape:
        raise GridError(
            f"the score has {score.shape[0]} x {score.shape[1]} pixels but the map {change.shape[0]} x "
            f"{change.shape[1]}: give the scores of this map"
        )
    if split is None:
        return
    split.test_mask(labels)  # refuses a split of another shape
    unlabelled = int((labels.values.ravel()[split.train] == UNLABELLED).sum())
    if unlabelled:
        raise LabelError(
            f"{unlabelled} of {len(split.train)} training pixels of the split have no label in {labels.name}: "
            "it is of another scene; give the split.npz of this one"
        )


def _check_free(folder: Path, result: RunResult) -> None:
    """Refuse a folder with something in it, and a name that a run beside it has for the same scene and seed."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"run folder {folder} exists and is not empty: name another")
    try:
        beside = find_runs([folder.absolute().parent])
    except HsiCdError:
        return  # no folder yet, or no run in it
    for other in beside:
        try:
            found = read_result(other)
        except HsiCdError:  # a damaged run is no reason to refuse a good one
            continue
        if (found.method, found.dataset, found.seed) == (result.method, result.dataset, result.seed):
            raise ConfigError(
                f"the name {result.method!r} is that of the run {other} on {result.dataset}: tables tell methods "
                "apart by their names; give another"
            )
