"""Labels that lie in whole areas of a scene: what they can say of the rest of it, and what they cannot.

Labels of a few areas repeat one another, and their ground and kinds of change need not be the scene's. They are
too few to learn the scene from, and enough to say which of the label-free detectors see the change that is meant.
"""

from __future__ import annotations

import logging

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray
from scipy import ndimage

from hsi_cd.detectors.decision import scene_scores
from hsi_cd.detectors.difference import fit_cva
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.detectors.prior import Prior, log_odds
from hsi_cd.prepare.drawn_shapes import shapes_of
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.scene import UNLABELLED, Labels
from hsi_cd.training.self_training import patch_places

log = logging.getLogger(__name__)

_NEIGHBOURS = 0.5  # of a labelled pixel's eight that are labelled, on average, from which labels lie in areas
_USUAL, _SPREAD = (1.0, 0.5), 0.5  # of the weights of auto and CVA before any label: see docs/methods.md


def lie_in_areas(pixels: NDArray[np.int64], shape: tuple[int, int]) -> bool:
    """Whether labels lie in areas, so that most neighbours of a labelled pixel are labelled, too.

    Of pixels drawn at random, a share of the neighbours is labelled that is the share of all pixels.

    Args:
        pixels: flat indices of the labelled pixels, int64 ``(N,)``.
        shape: of the scene.
    """
    labelled = np.zeros(shape, dtype=np.int64)
    labelled.ravel()[pixels] = 1
    around = ndimage.convolve(labelled, np.ones((3, 3), dtype=np.int64), mode="constant") - 1
    return len(pixels) > 0 and float(around.ravel()[pixels].mean()) >= 8 * _NEIGHBOURS


def area_shapes(pixels: NDArray[np.int64], target: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.int32]:
    """The area of one class that each labelled pixel lies in, numbered from 1, int32 ``(N,)``.

    Args:
        pixels: flat indices, int64 ``(N,)``.
        target: their classes, 0 unchanged, 1 changed, ``(N,)``.
        shape: of the scene.
    """
    values = np.full(shape, UNLABELLED, dtype=np.uint8)
    values.ravel()[pixels] = target
    return shapes_of(Labels(values, name="areas")).ravel()[pixels]


def worth_of_label(pixels: NDArray[np.int64], target: NDArray[np.int64], cols: int, *, side: int) -> float:
    """How much one label of areas counts: alike, and all together as many as there are patches of each class.

    So the classes stand as the areas hold them, and labels that repeat their neighbours are not believed as if
    each said something new.

    Args:
        pixels: flat indices of the labelled pixels, int64 ``(N,)``, at least one.
        target: their classes, 0 unchanged, 1 changed, ``(N,)``.
        cols: of the scene.
        side: of a patch.
    """
    return len(np.unique(2 * patch_places(pixels, cols, side=side) + target)) / len(pixels)


def stacked_prior(
    measurement: Measurement,
    pixels: NDArray[np.int64],
    target: NDArray[np.int64],
    *,
    side: int,
    drop_constant: bool = False,
) -> Prior:
    """Two label-free detectors, ``auto`` and CVA, each weighed by what it is worth where labels are.

    Neither is better everywhere: ``auto`` sees through noise, shift and season, CVA sees change that is large in
    many bands. Their mistakes differ, so that the sum of their log-odds is better than either as a rule.

    Args:
        measurement: of the scene.
        pixels: flat indices of the labelled pixels, int64 ``(N,)``.
        target: their classes, 0 unchanged, 1 changed, ``(N,)``.
        side: of a patch, see :func:`worth_of_label`.
        drop_constant: leave constant bands out instead of refusing the scene.
    """
    how = {"drop_constant": drop_constant}
    prior = Prior(fit_auto(measurement, options=how), (fit_cva(measurement, options=how),), (1.0, 1.0))
    odds = np.full((len(pixels), len(prior.detectors)), np.nan)
    cols = measurement.pair.shape[1]
    for column, detector in enumerate(prior.detectors):
        for rows, scores in scene_scores(detector, measurement):
            inside = np.flatnonzero((pixels >= rows.start * cols) & (pixels < rows.stop * cols))
            odds[inside, column] = log_odds(detector, scores.ravel()[pixels[inside] - rows.start * cols])
    weights = stack_weights(odds, target, worth=worth_of_label(pixels, target, cols, side=side))
    log.info("label-free detectors weigh %s", ", ".join(f"{each:.2f}" for each in weights))
    return Prior(prior.detector, prior.beside, weights)


def stack_weights(
    odds: NDArray[np.floating],
    target: NDArray[np.integer],
    *,
    worth: float,
    usual: tuple[float, ...] = _USUAL,
) -> tuple[float, ...]:
    """The likeliest weights of several log-odds, each normal around a usual one with deviation 1/2, none below 0.

    There is no offset: each log-odds is even where its own detector draws the line.

    Args:
        odds: log-odds of each labelled pixel by each detector, ``(N, detectors)``; NaN for no data.
        target: 1 changed, 0 unchanged, ``(N,)``.
        worth: of one label, see :func:`worth_of_label`.
        usual: the weight of each detector before any label.

    Returns:
        The weights.
    """
    known = np.isfinite(odds).all(axis=1)
    odds, sign = odds[known], np.where(target[known] == 1, -1.0, 1.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        wrong, off = sign * (odds @ weights), (weights - usual) / _SPREAD
        value = worth * np.logaddexp(0, wrong).sum() + off @ off / 2
        return float(value), worth * odds.T @ (sign * scipy.special.expit(wrong)) + off / _SPREAD

    found = scipy.optimize.minimize(loss, np.array(usual), jac=True, bounds=[(0.0, None)] * len(usual))
    return tuple(float(each) for each in found.x)
