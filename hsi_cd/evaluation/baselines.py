"""What a score is worth: how far one comes without looking at the images.

Training and test pixels drawn at random from one scene lie side by side, and land cover is smooth: a classifier
that knows nothing but row and column scores well. A method is worth what it adds to this floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError, LabelError
from hsi_cd.evaluation.counts import NO_DATA, ConfusionCounts, count_confusion
from hsi_cd.evaluation.kind_confusion import count_kinds
from hsi_cd.evaluation.kind_scores import kinds_kappa, kinds_macro_f1, kinds_overall_accuracy
from hsi_cd.evaluation.records import RECORD, Score
from hsi_cd.evaluation.scores import kappa, overall_accuracy
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED


def measure_baselines(
    train_index: NDArray[np.integer], labels: NDArray[np.uint8], test: NDArray[np.bool_]
) -> Baselines:
    """The coordinate floor and the majority class on the test pixels; arguments as of :func:`coordinate_floor`.

    Where nothing was taught there is no floor, and it is NaN.
    """
    majority_oa = overall_accuracy(majority_counts(labels, test))
    if np.asarray(train_index).size == 0:
        return Baselines(floor_oa=math.nan, floor_kappa=math.nan, majority_oa=majority_oa)
    floor = coordinate_floor(train_index, labels, test)
    return Baselines(floor_oa=overall_accuracy(floor), floor_kappa=kappa(floor), majority_oa=majority_oa)


def measure_kind_baselines(
    train_index: NDArray[np.integer], labels: NDArray[np.uint8], test: NDArray[np.bool_], *, kinds: int
) -> KindBaselines:
    """The same for kinds of change: labels are 0 unchanged, 1 to ``kinds``, 255 unlabelled.

    The majority class is the most frequent one among the test pixels, the unchanged or a kind.
    """
    there = np.bincount(labels[test], minlength=256)[: kinds + 1]
    if not there.any():
        return KindBaselines(math.nan, math.nan, math.nan, math.nan)
    majority_oa = int(there.max()) / int(there.sum())
    if np.asarray(train_index).size == 0:
        return KindBaselines(math.nan, math.nan, math.nan, majority_oa)
    floor = count_kinds(labels, nearest_taught(train_index, labels, test), kinds=kinds, where=test)
    return KindBaselines(kinds_overall_accuracy(floor), kinds_kappa(floor), kinds_macro_f1(floor), majority_oa)


def coordinate_floor(
    train_index: NDArray[np.integer], labels: NDArray[np.uint8], test: NDArray[np.bool_]
) -> ConfusionCounts:
    """Confusion counts of a nearest-neighbour classifier on row and column alone.

    Each test pixel takes the label of the nearest training pixel (Euclidean distance in pixels).

    Args:
        train_index: integers ``(n,)``, row-major flat indices of the training pixels; all of them must be
            labelled.
        labels: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled.
        test: bool ``(rows, cols)``: the pixels that judge; unlabelled ones among them are ignored.

    Returns:
        Counts over the labelled test pixels.

    Raises:
        GridError: ``test`` has another shape.
        LabelError: there is no training pixel, or one lies outside the map or has no label.

    Reference:
        Cover and Hart 1967, doi:10.1109/TIT.1967.1053964

    Example:
        >>> import numpy as np
        >>> labels = np.array([[0, 0, 0, 1, 1, 0]], dtype=np.uint8)
        >>> train = np.array([1, 4])
        >>> test = np.array([[True, False, True, True, False, True]])
        >>> coordinate_floor(train, labels, test)
        ConfusionCounts(tn=2, fp=1, fn=0, tp=1, unscored=0)
    """
    return count_confusion(labels, nearest_taught(train_index, labels, test), where=test)


def nearest_taught(
    train_index: NDArray[np.integer], labels: NDArray[np.uint8], test: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The map of the coordinate floor, uint8 ``(rows, cols)``: 255 where nothing judges.

    Arguments and errors are those of :func:`coordinate_floor`; labels may be kinds of change, too.
    """
    if test.shape != labels.shape:
        raise GridError(
            f"the test mask has shape {test.shape} but the labels {labels.shape}: give both on one grid"
        )
    index = np.asarray(train_index).ravel()
    if index.size == 0:
        raise LabelError(
            "no training pixel: the coordinate floor needs at least one; leave it out without training"
        )
    if index.min() < 0 or index.max() >= labels.size:
        raise LabelError(
            f"training pixels from {index.min()} to {index.max()} in a map of {labels.size} pixels: "
            "give the split of this truth map"
        )
    taught = labels.ravel()[index]
    if (taught == UNLABELLED).any():
        count = int((taught == UNLABELLED).sum())
        raise LabelError(
            f"{count} of {index.size} training pixels have no label: give the split of this truth map"
        )

    # scikit-learn takes about a second to load, and counting pixels does not need it.
    from sklearn.neighbors import NearestNeighbors

    predicted = np.full(labels.shape, NO_DATA, dtype=np.uint8)
    judged = test & (labels != UNLABELLED)
    if judged.any():
        nearest = NearestNeighbors(n_neighbors=1).fit(np.column_stack(np.unravel_index(index, labels.shape)))
        predicted[judged] = taught[nearest.kneighbors(np.argwhere(judged), return_distance=False)[:, 0]]
    return predicted


def majority_counts(labels: NDArray[np.uint8], test: NDArray[np.bool_]) -> ConfusionCounts:
    """Confusion counts of the map that calls every pixel the class most frequent among the test pixels.

    Args:
        labels: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled.
        test: bool ``(rows, cols)``: the pixels that judge; unlabelled ones among them are ignored.

    Raises:
        GridError: ``test`` has another shape.

    Example:
        >>> import numpy as np
        >>> majority_counts(np.array([[0, 0, 1, 255]], dtype=np.uint8), np.ones((1, 4), dtype=bool))
        ConfusionCounts(tn=2, fp=0, fn=1, tp=0, unscored=0)
    """
    one_class = count_confusion(labels, np.full(labels.shape, UNCHANGED, dtype=np.uint8), where=test)
    if one_class.changed <= one_class.unchanged:
        return one_class
    return count_confusion(labels, np.full(labels.shape, CHANGED, dtype=np.uint8), where=test)


@dataclass(frozen=True)
class Baselines:
    """What was scored on the same pixels without looking at the images; NaN where undefined.

    Attributes:
        floor_oa: overall accuracy of the coordinate floor, 0-1.
        floor_kappa: Kappa of the coordinate floor.
        majority_oa: overall accuracy of the majority class, 0-1.
    """

    __pydantic_config__ = RECORD

    floor_oa: Score
    floor_kappa: Score
    majority_oa: Score


@dataclass(frozen=True)
class KindBaselines:
    """What was scored on the kinds of the same pixels without looking at the images; NaN where undefined.

    Attributes:
        floor_oa: overall accuracy of the coordinate floor, 0-1.
        floor_kappa: Kappa of the coordinate floor.
        floor_f1_macro: its macro F1.
        majority_oa: overall accuracy of the most frequent class, 0-1.
    """

    __pydantic_config__ = RECORD

    floor_oa: Score
    floor_kappa: Score
    floor_f1_macro: Score
    majority_oa: Score
