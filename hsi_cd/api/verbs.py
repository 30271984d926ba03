"""What one does with scenes, in one call each; the command line calls these."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.api.area_choice import AreaChoice, checked_bounds
from hsi_cd.api.area_samples import opened_map
from hsi_cd.api.bounding import find_area, judged_in, split_of
from hsi_cd.api.estimators import Estimator, check_label_free, load, make_estimator
from hsi_cd.api.judging import check_two, judge
from hsi_cd.api.kinds_of_change import Kinds, find_kinds, kind_options
from hsi_cd.api.settings import resolve_run
from hsi_cd.api.sources import TruthSource
from hsi_cd.api.truths import read_truth
from hsi_cd.config import SplitConfig
from hsi_cd.config.layers import nested_settings
from hsi_cd.detectors.method import Method
from hsi_cd.detectors.registry import all_methods
from hsi_cd.errors import ConfigError, GridError, unknown_name
from hsi_cd.evaluation import RunResult
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.inference.mapping import MapOptions
from hsi_cd.paths import as_path
from hsi_cd.prepare.drawn_shapes import default_protocol
from hsi_cd.prepare.measurement import Measurement, Scene
from hsi_cd.prepare.splits import make_split
from hsi_cd.scene import Grid, Labels, ScenePair, Split
from hsi_cd.scene.contract import check_truth_grid

FilePath = str | os.PathLike[str]

OF_THESE_DATES = "of these two dates"
"""Whose statistics a map of :func:`detect` was made with, as its tags say."""


def measure(pair: ScenePair) -> Measurement:
    """The measurement of a scene without labels, to be handed to several methods.

    It reads when a method first asks for something, and nothing twice; ``residual_shift`` tells how far the dates
    lie off each other.

    Args:
        pair: the scene.
    """
    return Measurement(pair)


def detect(
    scene: Scene, method: str = "auto", *, kinds: Kinds | None = None, seed: int = 0, **options: Any
) -> ChangeMap:
    """Map a scene without any label.

    Args:
        scene: the scene, or its measurement.
        method: a method without labels; :func:`methods` lists them.
        kinds: tell kinds of change apart: how many, ``"auto"``, or :class:`KindOptions`. The map is then written
            with the kinds, and has them as ``kind`` and ``kinds``.
        seed: of methods that draw at random.
        options: of the method.

    Returns:
        The map, scored when it is looked at or written.

    Raises:
        UnknownNameError: there is no such method, or it has no such option.
        ConfigError: the method learns from labels, or kinds are out of their range.
        BandError: bands without data or variation.
    """
    check_label_free(method)
    wanted = None if kinds is None else kind_options(kinds)
    estimator = make_estimator(method, seed=seed, **options).fit(scene)
    # The measurement has looked how far the dates lie off each other.
    found = None if wanted is None else find_kinds(estimator, wanted)
    how = MapOptions(look_at_shift=False, statistics=OF_THESE_DATES, kinds=found)
    return estimator.predict(estimator.measurement_.pair, how)


def predict(
    fitted: Estimator | FilePath,
    pair: ScenePair,
    *,
    threshold: float | None = None,
    refit: bool = False,
    any_units: bool = False,
    kinds: bool | None = None,
    device: str = "auto",
) -> ChangeMap:
    """Map a scene with what was fitted on it or on another. No labels are read.

    Args:
        fitted: a fitted estimator, or the file of a checkpoint.
        pair: the scene, with the same bands.
        threshold: score from which a pixel counts as changed; by default the fitted one.
        refit: measure the bands' statistics and the shift on this scene.
        any_units: map a scene whose values are far from all that was fitted on.
        kinds: whether the map tells kinds of change apart; by default where labels taught some.
        device: where the network of a checkpoint computes: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        CheckpointError: the checkpoint is damaged, or kinds are asked for and none were taught.
        BandError: the scene's bands are others, or its values are in other units (told when it is mapped).
    """
    estimator = fitted if isinstance(fitted, Estimator) else load(fitted, device=device)
    return estimator.predict(
        pair, MapOptions(threshold=threshold, any_units=any_units, learned=kinds), refit=refit
    )


def split(
    labels: Any, *, protocol: str | None = None, seed: int = 0, kinds: bool = False, **options: Any
) -> Split:
    """Divide a truth map's labelled pixels into those that teach and those that judge.

    Args:
        labels: the truth map, in any form that :func:`hsi_cd.open_labels` takes.
        protocol: P1, P1-strict, P2, P3, P4 or drawn; by default drawn where the labels are shapes, else P1.
        seed: of the draw.
        kinds: whether each kind of change is a class of its own, as for a training that learns them.
        options: ``fraction``, ``count``, ``imbalance``, ``block``, ``radius``, by default those of a run's
            settings; see :func:`hsi_cd.prepare.splits.make_split`.

    Raises:
        LabelError: the labels cannot give such a split.
        UnknownNameError: there is no such protocol or option.
        ConfigError: an option is out of its range.
    """
    known = SplitConfig().model_dump(exclude={"protocol", "given"})
    for name in options:
        if name not in known:
            raise unknown_name("option of a split", name, known)
    truth = read_truth(TruthSource(labels, kinds=kinds))
    own = protocol or default_protocol(truth)
    return make_split(truth, protocol=own, seed=seed, kinds=kinds, **{**known, **options})


def evaluate(
    change: ChangeMap | NDArray[np.uint8] | FilePath,
    labels: Any,
    *,
    exclude: Split | FilePath | None = None,
    protocol: str | None = None,
    name: str | None = None,
    method: str | None = None,
    nodata: float | Sequence[float] | None = None,
    aoi: Any = None,
    bounds: Sequence[float] | None = None,
    bounds_crs: str | None = None,
) -> RunResult:
    """Score a change map against a truth map. Only labelled pixels count.

    Args:
        change: a map, its values (0 unchanged, 1 changed or 1 to 254 kinds of change, 255 or masked no data), or
            its file. Where map and truth both tell kinds, which go by their numbers, the map is judged by them,
            too.
        labels: the truth map, in any form that :func:`hsi_cd.open_labels` takes. Where they are shapes, a shape
            of which no pixel taught judges as one, and scores have intervals over shapes.
        exclude: the split, or its file (:func:`hsi_cd.open_split`), whose teaching pixels judge nothing.
        protocol: ``P4`` says that no label of this scene taught the map.
        name: what the result calls the scene.
        method: what it calls the map's method.
        nodata: values of a map's file that mean no data, beside those that it declares.
        aoi: where alone is judged: a file of polygons, or shapes in memory, see :func:`hsi_cd.open_pair`.
        bounds: the same as ``(min x, min y, max x, max y)``.
        bounds_crs: their CRS; by default the map's.

    Returns:
        The result: protocol, pixels, confusion counts and scores; a table in a notebook.

    Raises:
        GridError: map and truth lie on different grids, or the area of interest covers no pixel of the map.
        LabelError: no label lies in the area of interest, or map and truth number their kinds differently.
        ConfigError: ``protocol`` beside ``exclude``, or another than P4.
    """
    if protocol is not None and (protocol != "P4" or exclude is not None):
        why = "protocol='P4' says that no pixel of this scene taught: leave exclude out"
        raise ConfigError(why if protocol == "P4" else f"protocol is {protocol!r}: give 'P4', or exclude a split")
    shown: dict[str, Any] = {}
    area, choice = None, AreaChoice(aoi, None if bounds is None else checked_bounds(bounds), bounds_crs)
    if isinstance(change, ChangeMap):
        mapped, grid, area = opened_map(change), change.grid, change.pair.area
        name, method = name or change.pair.name, method or change.method
        shown = {"score": change.score, "probability": change.probability, "threshold": change.threshold}
    elif isinstance(change, np.ndarray):
        mapped, grid = opened_map(change), None
    else:
        mapped = opened_map(change, nodata)
        grid, method = mapped.grid, method or Path(change).name
    source = labels if isinstance(labels, TruthSource) else TruthSource(labels)
    # Labels of a scene judge the map of its area.
    drawn_on = change.options.grid or area.scene if isinstance(change, ChangeMap) and area is not None else grid
    truth = read_truth(source, drawn_on, place="the map")
    check_two(mapped, truth)
    values = mapped.values
    whole, truth = truth, truth if area is None else area.labels(truth)
    if grid is not None:
        names = ("the map", f"the truth ({truth.name})")
        check_truth_grid(grid, truth.grid, names=names)
    elif values.shape != truth.shape:
        raise GridError(f"the map has shape {values.shape} but the truth {truth.shape}: give both on one grid")
    divided = exclude if isinstance(exclude, Split | None) else split_of(as_path(exclude), whole, area)
    divided = divided if area is None or divided is None else area.split(divided)
    divided = None if divided is None else divided.on(truth.shape)
    if (judged := find_area(choice, grid or Grid(*truth.shape), place="the map")) is not None:
        truth, divided = judged_in(judged, truth, divided)
        shown["details"] = {"area_of_interest": str(judged)}
    if protocol is not None:
        divided = Split(protocol, 0, truth.shape, np.empty(0, dtype=np.int64))
    shown |= {"kinds": mapped.kinds, "split": divided}
    result = judge(values, truth, dataset=name or truth.name, method=method or "map", **shown)
    return replace(result, seed=None) if protocol is not None else result


def train(
    pair: ScenePair,
    labels: Any,
    *,
    run: FilePath,
    method: str = "siamese",
    protocol: str | None = None,
    seed: int = 0,
    split: Split | FilePath | None = None,
    start_from: FilePath | None = None,
    init: FilePath | None = None,
    kinds: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> RunResult:
    """Learn from a scene's labels, map the scene, judge the map, and leave all of it in a run folder.

    Args:
        pair: the scene.
        labels: its truth map, in any form that :func:`hsi_cd.open_labels` takes.
        run: the run folder, which must not be there or be empty.
        method: what learns; :func:`methods` lists them.
        protocol: which labelled pixels teach; by default drawn where the labels are shapes, else P1, or as
            ``split`` says.
        seed: of the split, the weights and the batches.
        split: the labelled pixels that teach, or the file that names them (:func:`hsi_cd.open_split`).
        start_from: folder of an earlier run of the scene, whose drawn labels are all among these: its network
            goes on to learn, and no member judges a shape that it ever learned from.
        init: checkpoint of other scenes, as :func:`train_scenes` leaves one, whose network goes on to learn here.
        kinds: whether the kinds of change that the labels tell apart are learned and mapped, too; by default of
            shapes that were drawn with several.
        settings: further settings, as ``{"train.epochs": 50}``; ``hsi-cd config`` lists all.
        resume: go on with an interrupted run of the same settings.

    Raises:
        OutputError: the folder holds another run, or cannot be written.
        LabelError: a class has too few labelled pixels.
        ConfigError: both a protocol and a split are given, a setting is wrong, or another than the earlier run's.
        CheckpointError: the run cannot be resumed, or the earlier run is of another scene.
    """
    from hsi_cd.training.examples import LabelledScene
    from hsi_cd.training.run import run_training

    if protocol is not None and split is not None:
        raise ConfigError(f"protocol is {protocol!r}, and a split says who teaches: leave one of the two out")
    options: dict[str, Any] = {"method": method, "seed": seed}
    if protocol is not None:
        options["split"] = {"protocol": protocol}
    if kinds is not None:
        options["kinds"] = kinds
    starts = {"start_from": start_from, "init": init}
    options["train"] = {name: str(as_path(file)) for name, file in starts.items() if file is not None}
    config = resolve_run([("options", options), ("settings", nested_settings(settings or {}))])
    truth: Labels = read_truth(TruthSource(labels, kinds=config.kinds), pair.scene_grid)
    named = [] if split is None or isinstance(split, Split) else [as_path(split)]
    named += map(Path, config.weight_files)
    divided = split if split is None or isinstance(split, Split) else split_of(as_path(split), truth, pair.area)
    scene = LabelledScene(pair, truth, divided)
    result = run_training(scene, config, as_path(run), resume=resume, inputs=named)
    if result is None:  # never of one process alone
        raise ConfigError("train runs in one process: start several by torchrun -m hsi_cd train")
    return result


def methods() -> dict[str, Method]:
    """All methods by name: those built in, and those that installed packages enter."""
    return all_methods()
