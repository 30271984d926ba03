"""How well a method does on shapes that it did not learn from, where all labels teach and none is held out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.config import RunConfig
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.detector_contract import fit_method
from hsi_cd.detectors.registry import find_method
from hsi_cd.errors import HsiCdError
from hsi_cd.evaluation import BY_SHAPE, NO_DATA, JudgingShapes, known_share
from hsi_cd.prepare.drawn_shapes import judging_shapes_of
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair
from hsi_cd.training.examples import Examples
from hsi_cd.training.fitting import Learned
from hsi_cd.training.folds import OutOfFold, deal_folds
from hsi_cd.training.training_set import TrainingSet

log = logging.getLogger(__name__)

_TILE = 32  # pixels a side: labels are few and lie in places, and only those are read


def cross_validate(measurement: Measurement, taught: TrainingSet, config: RunConfig) -> OutOfFold | None:
    """Fit the configured method without each part of the shapes in turn, and ask it about that part.

    Args:
        measurement: of the scene.
        taught: the labelled pixels with their shapes.
        config: the run's configuration; ``train.folds`` is the number of parts, at most.

    Returns:
        What was said; None where no part can be held out, because a class has one shape alone, ``train.folds`` is
        0, or the method cannot be fitted without it.
    """
    folds = deal_folds(taught, config.train.folds, seed=config.seed)
    if folds is None:
        return None
    method, said = find_method(config.method), np.full(len(folds), np.nan, dtype=np.float32)
    change = np.full(len(folds), NO_DATA, dtype=np.uint8)
    for part in range(int(folds.max()) + 1):
        held = folds == part
        labelled = (taught.pixels[~held], taught.target[~held])
        shapes = None if taught.shapes is None else taught.shapes[~held]
        how: dict[str, Any] = {"options": config.options, "seed": config.seed, "shapes": shapes}
        try:
            fitted = fit_method(method, measurement, *labelled, **how)
        except HsiCdError as error:
            log.warning("%s cannot be cross-validated by shape: %s", method.name, error)
            return None
        score = scores_at(fitted, measurement.pair, taught.pixels[held])
        said[held] = fitted.probability(score)
        change[held] = np.where(np.isnan(score), NO_DATA, score >= fitted.threshold)
    return OutOfFold(change, said, int(folds.max()) + 1)


def judging_shapes(examples: Examples, learned: Learned, config: RunConfig) -> JudgingShapes:
    """The shapes that judge in turn, and what is said of each by what did not learn from it.

    A method without labels has learned from none: its map is judged by all of them.

    Args:
        examples: the scene and its labels, all of which teach.
        learned: what was learned from them.
        config: the run's configuration.
    """
    taught, shape = examples.taught, examples.labels.shape
    shapes = np.zeros(shape, dtype=np.int32)
    shapes.ravel()[taught.pixels] = 0 if taught.shapes is None else taught.shapes
    judging = judging_shapes_of(examples.labels, shapes)
    if left := len(np.unique(shapes)) - len(np.unique(judging)):
        log.info("%d shapes at places that suggest named teach, and do not judge: they are hard ones", left)
    shapes = judging
    method = find_method(config.method)
    known = learned.share if learned.share is not None and 0 < learned.share < 1 else None
    ends = None if config.train.share is None else known_share(config.train.share)
    if not method.needs_labels:
        return JudgingShapes(shapes, "all labelled", share=known, share_interval=ends)
    said = learned.out_of_fold if method.fit is None else cross_validate(examples.measurement, taught, config)
    decided = np.full(shape, NO_DATA, dtype=np.uint8)
    probability = np.full(shape, np.nan, dtype=np.float32)
    if said is not None:
        decided.ravel()[taught.pixels] = said.change
        probability.ravel()[taught.pixels] = said.probability
    return JudgingShapes(shapes, BY_SHAPE, decided, probability, probability, known, ends)


def scores_at(detector: Detector, pair: ScenePair, pixels: NDArray[np.int64]) -> NDArray[np.float32]:
    """A detector's scores of single pixels; only the tiles that hold one are read.

    Args:
        detector: a fitted detector.
        pair: the scene.
        pixels: flat indices, int64 ``(N,)``.

    Returns:
        float32 ``(N,)``, NaN for no data.
    """
    out = np.full(len(pixels), np.nan, dtype=np.float32)
    row, col = np.divmod(pixels, pair.shape[1])
    with single_threaded("blas"):
        for rows, cols, inside in _tiles(row, col, pair.shape):
            score = detector.score(*read_window(pair, rows, cols, radius=detector.radius))
            out[inside] = score[row[inside] - rows.start, col[inside] - cols.start]
    return out


def _tiles(
    row: NDArray[np.int64], col: NDArray[np.int64], shape: tuple[int, int]
) -> Iterator[tuple[slice, slice, NDArray[np.intp]]]:
    """Rows and columns of each tile with a pixel in it, and which pixels those are."""
    across = -(-shape[1] // _TILE)
    tile = row // _TILE * across + col // _TILE
    for number in np.unique(tile):
        top, left = (int(of) * _TILE for of in divmod(number, across))
        rows, cols = slice(top, min(top + _TILE, shape[0])), slice(left, min(left + _TILE, shape[1]))
        yield rows, cols, np.flatnonzero(tile == number)
