"""Where to draw next: places of a run's scene whose labels would teach most."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.bounding import choice_of, find_area, in_area
from hsi_cd.api.opening import open_labels
from hsi_cd.api.registering import fitted_settings, laid_like
from hsi_cd.api.run_folders import open_run
from hsi_cd.api.suggestions import KINDS, PlaceKind, Suggestions, windows_of
from hsi_cd.config import AreaConfig, read_config_file
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.checkpoint import load_detector
from hsi_cd.errors import ConfigError, GridError, HsiCdError, LabelError, MissingInputError
from hsi_cd.inference.change_map import ChangeMap
from hsi_cd.io import HTML, check_outputs
from hsi_cd.io.regions import check_vector_name
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.prepare.suggestion import suggest_places, uncertainty_of
from hsi_cd.reporting.images import false_colour, stretch_limits
from hsi_cd.runs import find_runs, read_provenance
from hsi_cd.runs.folder import files_shown
from hsi_cd.scene import UNLABELLED, Grid, Labels, ScenePair, check_same_grid
from hsi_cd.scene.shown_bands import shown_bands
from hsi_cd.training.starting import goes_on

FilePath = str | os.PathLike[str]
_COMPONENTS = 8
_log = logging.getLogger(__name__)


def suggest(
    source: FilePath | ChangeMap,
    number: int = 20,
    *,
    kind: PlaceKind = "squares",
    labels: Any = None,
    pair: ScenePair | None = None,
    within: NDArray[np.bool_] | AreaChoice | None = None,
    seed: int = 0,
) -> Suggestions:
    """Say where to draw next.

    Places (3 x 3 pixels with data and without a label; where all of the scene has labels, that did not teach) are
    chosen among the most uncertain ones of a map, the likelier, the less they look like what is labelled and like
    each other, and far enough apart; see :func:`hsi_cd.prepare.suggestion.suggest_places`.

    Args:
        source: a run folder that ended, or a map.
        number: of places.
        kind: ``squares`` are 3 x 3 pixels; ``points`` the pixel in their middle.
        labels: what is labelled already, in any form that :func:`hsi_cd.open_labels` takes; a run knows it.
        pair: a run's two dates, to compare places by all of their bands; by default they are compared by the
            pictures of both dates that the run keeps (near infrared, red and green). A map knows them.
        within: bool ``(rows, cols)``, or an area of interest: where places may lie; by default everywhere.
        seed: of the draw; the same seed suggests the same.

    Returns:
        The places; ``write`` makes a vector file of them, ``write_page`` a page to look at.

    Raises:
        MissingInputError: there is no such run, it has not ended, or has no scores or pictures.
        ConfigError: there are several runs in the folder, a map comes without labels or a run with them, or a
            number or a kind that there is not.
        GridError: pair, labels or ``within`` are of another scene.
        LabelError: fewer places are left than are asked for.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind is {kind!r}: expected {' or '.join(KINDS)}")
    if number < 1:
        raise ConfigError(f"number is {number}: expected at least 1 place")
    if seed < 0:
        raise ConfigError(f"seed is {seed}: expected 0 or more")
    if isinstance(source, ChangeMap):
        if labels is None or pair is not None:
            raise ConfigError("a map knows its dates, but not what is labelled: give labels, and leave pair out")
        known = _of_map(source, open_labels(labels, like=source.pair))
    else:
        if labels is not None:
            raise ConfigError("a run knows what is labelled: leave labels out")
        known = _of_run(_one_run(source), pair)
    there = np.isfinite(known.probability) & np.isfinite(known.features).all(axis=0)
    labelled = _labelled(known, there)
    if isinstance(within, AreaChoice):
        area = find_area(within, known.grid, place="the map")
        within = None if area is None else area.of_scene()
    if within is not None and within.shape != there.shape:
        raise GridError(f"within has the shape {within.shape} but the scene {there.shape}: give one of its shape")
    places = suggest_places(
        uncertainty_of(known.probability, known.threshold),
        known.features,
        free=there & ~labelled & (True if within is None else within),
        labelled=there & labelled,
        number=number,
        seed=seed,
    )
    each = [known.probability[window].mean() for window in windows_of(places, kind)]
    return Suggestions(
        places, np.array(each, dtype=np.float32), kind, known.grid, known.pictures, known.scene, known.shown
    )


def check_suggestions(
    run: FilePath, *, output: Path, page: Path | None, like: Path | None, overwrite: bool
) -> None:
    """Refuse files that could not be written, before any work.

    Raises:
        OutputError: a file is an input or the other one, exists or cannot be written.
        FormatError: a name's ending tells another format.
    """
    inputs = [*files_shown([_one_run(run)]), *([] if like is None else [like])]
    check_outputs({"output": output, "the page": page}, inputs=inputs, overwrite=overwrite)
    check_outputs({"the page": page}, kind=HTML, overwrite=overwrite)
    check_vector_name(output)


def can_start_from(run: FilePath) -> bool:
    """Whether a training with further labels can go on from a run: its network learned from drawn labels."""
    return goes_on(_one_run(run))


def _one_run(run: FilePath) -> Path:
    found = find_runs([run])
    if len(found) > 1:
        named = ", ".join(path.name for path in found[:5])
        raise ConfigError(f"{run} holds {len(found)} runs ({named}{', ...' if len(found) > 5 else ''}): name one")
    return found[0]


@dataclass(frozen=True)
class _Known:
    """What is known of a scene and its map.

    Attributes:
        scene: what the scene is called.
        probability: of change, float32 ``(rows, cols)``, NaN for no data.
        threshold: probability from which a pixel counts as changed.
        labels: what is labelled, uint8 ``(rows, cols)``, 255 where nothing is.
        taught: bool ``(rows, cols)``: what taught; None where that is not known.
        features: by which places are compared, ``(features, rows, cols)``.
        pictures: both dates in false colour.
        grid: of the map.
        shown: which bands the pictures show, in words.
    """

    scene: str
    probability: NDArray[np.float32]
    threshold: float
    labels: NDArray[np.uint8]
    taught: NDArray[np.bool_] | None
    features: NDArray[np.floating]
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    grid: Grid
    shown: str


def _of_run(folder: Path, pair: ScenePair | None) -> _Known:
    run = open_run(folder)
    if run.overview is None:
        raise MissingInputError(
            f"{folder} holds no overview.npz, which says what is labelled: train again, or name another run"
        )
    if run.score is None:
        raise MissingInputError(f"{folder} holds no score.tif: nothing says where its map is uncertain")
    pictures = run.overview.t1, run.overview.t2
    if pair is None:
        features = _compared(*(np.moveaxis(each, -1, 0).astype(np.float32) for each in pictures))
    else:
        names = (f"the run {folder}", f"the scene {pair.name}")
        kept = folder / "config.yaml"
        settings = read_config_file(kept) if kept.is_file() else {}
        if pair.area is None and "area" in settings:
            pair = in_area(pair, choice_of(AreaConfig.model_validate(settings["area"])))
        check_same_grid(run.grid, pair.map_grid(), names=names, remedy="give the two dates of this run")
        laid = laid_like(pair, fitted_settings(settings))
        _warn_of_other_pixels(folder, laid)
        features = _components(laid)
    if run.gives_probabilities:
        probability, threshold = run.score, run.result.threshold
    else:
        detector = load_detector(folder / "best.pt", device=torch.device("cpu"))
        probability, threshold = _probability(run.score, detector.threshold, detector)
    taught = None if run.split is None else run.split.train_mask()
    return _Known(
        run.result.dataset,
        probability,
        0.5 if threshold is None else float(threshold),
        run.overview.truth,
        taught,
        features,
        pictures,
        run.grid,
        run.overview.shown,
    )


def _warn_of_other_pixels(folder: Path, pair: ScenePair) -> None:
    """Tell where two dates are not those of a run; what an earlier version kept does not say."""
    try:
        sessions = read_provenance(folder).sessions
    except HsiCdError:  # none, or a damaged one
        return
    known = {session.pixels for session in sessions if session.pixels}
    if known and pair.fingerprint() not in known:
        _log.warning(
            "%s holds other pixels than the dates of %s (other files, or other options for them): places are "
            "compared by them all the same",
            pair.name,
            folder,
        )


def _of_map(change: ChangeMap, labels: Labels) -> _Known:
    pair = change.pair
    if change.grid.shape != pair.map_grid().shape:
        raise GridError("the map is a part of its scene: give the map of the whole scene")
    pair.check_labels(labels)
    area = pair.area
    labels = labels if area is None else area.labels(labels)
    probability, threshold = _probability(change.score, change.threshold, change.detector)
    shown = shown_bands(pair.bands, used=pair.used)
    inside = (slice(None), slice(None)) if pair.focus is None else (pair.focus.rows, pair.focus.cols)
    dates = tuple(each[list(shown.indices)] for each in pair.read(*inside))
    limits = stretch_limits(*dates)
    t1, t2 = (false_colour(each, limits=limits) for each in dates)
    return _Known(
        pair.name,
        probability,
        threshold,
        labels.values,
        None,
        _components(pair),
        (t1, t2),
        change.grid,
        shown.words,
    )


def _probability(
    score: NDArray[np.float32], threshold: float, detector: Detector
) -> tuple[NDArray[np.float32], float]:
    """Probabilities of change, NaN for no data, and from which a pixel counts as changed."""
    found = detector.probability(np.append(score.ravel(), np.float32(threshold)))
    return found[:-1].reshape(score.shape), float(found[-1])


def _components(pair: ScenePair) -> NDArray[np.floating]:
    """The first components of all bands of both dates, and their difference; NaN for no data."""
    measurement = Measurement(pair)
    how = Preparation(projection="mnf", components=_COMPONENTS, drop_constant=True, exact=False)
    components = measurement.components(measurement.transform(how), exact=False)
    area = pair.focus
    rows, cols = (slice(0, length) for length in pair.shape) if area is None else (area.rows, area.cols)
    return _compared(*components.window(rows, cols))


def _compared(t1: NDArray[np.floating], t2: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.concatenate([t1, t2, t2 - t1])


def _labelled(known: _Known, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is labelled already; where all of the scene is, as a benchmark's, what taught."""
    labelled: NDArray[np.bool_] = known.labels != UNLABELLED
    if (there & ~labelled).any():
        return labelled
    taught = known.taught
    if taught is None or not taught.any() or not (there & ~taught).any():
        raise LabelError(f"{known.scene}: all pixels with data are labelled already: there is nothing to suggest")
    _log.warning(
        "%s: all pixels with data have labels: places are suggested among those that did not teach", known.scene
    )
    return taught
