"""Scores of a continuous map, before any threshold: its ranking and its calibration.

Only labelled pixels with a score count: 255 in the truth and NaN in the score are left out. scikit-learn is
imported where it is used, as it takes about a second to load.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError, FormatError, GridError, LabelError
from hsi_cd.evaluation.scores import UndefinedScoreWarning
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED


def roc_auc(score: NDArray[np.floating], truth: NDArray[np.uint8]) -> float:
    """Area under the receiver operating characteristic.

    AUC = P(s+ > s-) + P(s+ = s-) / 2 for the scores s+ of a changed and s- of an unchanged pixel drawn at
    random. In [0, 1]: 1 is a perfect ranking, 0.5 that of chance. Undefined (NaN with a warning) where a class
    has no pixel.

    Args:
        score: float, any shape; higher is more change; NaN where there is none.
        truth: uint8 of the same shape: 0 unchanged, 1 changed, 255 unlabelled.

    Raises:
        GridError: the arrays differ in shape.
        LabelError: the truth holds another value.

    Reference:
        Fawcett 2006, doi:10.1016/j.patrec.2005.10.010

    Example:
        >>> import numpy as np
        >>> roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1], dtype=np.uint8))
        0.75
    """
    kept, changed = _labelled(score, truth)
    if changed.all() or not changed.any():
        return _undefined("roc_auc", changed)
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(changed, kept))


def average_precision(score: NDArray[np.floating], truth: NDArray[np.uint8]) -> float:
    """Average precision of the changed class: the area under the stepped precision-recall curve.

    AP = sum over thresholds k, falling, of (R_k - R_{k-1}) P_k; equal scores share one threshold. In [0, 1];
    chance gives the share of changed pixels. Undefined (NaN with a warning) where a class has no pixel: without
    a changed pixel there is no recall, without an unchanged one every map scores 1.

    Args:
        score: float, any shape; higher is more change; NaN where there is none.
        truth: uint8 of the same shape: 0 unchanged, 1 changed, 255 unlabelled.

    Raises:
        GridError: the arrays differ in shape.
        LabelError: the truth holds another value.

    Reference:
        Davis and Goadrich 2006, doi:10.1145/1143844.1143874

    Example:
        >>> import numpy as np
        >>> average_precision(np.array([0.1, 0.9, 0.35, 0.8]), np.array([0, 0, 1, 1], dtype=np.uint8))
        0.5833333333333333
    """
    kept, changed = _labelled(score, truth)
    if changed.all() or not changed.any():
        return _undefined("average_precision", changed)
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(changed, kept))


def expected_calibration_error(
    probability: NDArray[np.floating], truth: NDArray[np.uint8], *, bins: int = 15
) -> float:
    """Expected calibration error (ECE) of a change probability.

    ECE = sum over bins b of (n_b / n) |mean probability in b - share of changed pixels in b|, over ``bins`` bins
    of equal width in [0, 1], each closed below and open above, the last closed. In [0, 1], 0 is calibrated.
    Undefined (NaN with a warning) where no labelled pixel has a probability. It is taken on the probability of
    change itself, not on the confidence in the class that was called.

    Args:
        probability: float, any shape, 0-1; NaN where there is none.
        truth: uint8 of the same shape: 0 unchanged, 1 changed, 255 unlabelled.
        bins: number of bins.

    Raises:
        ConfigError: ``bins`` is below 1.
        FormatError: a probability lies outside 0-1.
        GridError: the arrays differ in shape.
        LabelError: the truth holds another value.

    Reference:
        Naeini et al. 2015, doi:10.1609/aaai.v29i1.9602; Guo et al. 2017, arXiv:1706.04599

    Example:
        >>> import numpy as np
        >>> truth = np.array([0, 0, 1, 1], dtype=np.uint8)
        >>> expected_calibration_error(np.array([0.25, 0.25, 0.75, 0.75]), truth, bins=2)
        0.25
    """
    kept, changed = _probabilities(probability, truth, bins)
    if kept.size == 0:
        return _undefined("expected_calibration_error", changed)
    index = _bin_of(kept, bins)
    # (n_b / n) |mean p - mean y| = |sum p - sum y| / n: an empty bin adds 0 and needs no case of its own.
    gap = np.bincount(index, weights=kept, minlength=bins) - np.bincount(index, weights=changed, minlength=bins)
    return float(np.abs(gap).sum() / kept.size)


def reliability_curve(
    probability: NDArray[np.floating], truth: NDArray[np.uint8], *, bins: int = 15
) -> ReliabilityCurve:
    """How often pixels of each probability are changed in truth: on the diagonal where calibrated.

    The bins are those of :func:`expected_calibration_error`, which is the sum over them of
    (count / n) |mean - share|.

    Args:
        probability: float, any shape, 0-1; NaN where there is none.
        truth: uint8 of the same shape: 0 unchanged, 1 changed, 255 unlabelled.
        bins: number of bins.

    Returns:
        One value per bin; mean and share are NaN in an empty bin.

    Raises:
        ConfigError: ``bins`` is below 1.
        FormatError: a probability lies outside 0-1.
        GridError: the arrays differ in shape.
        LabelError: the truth holds another value.

    Reference:
        Niculescu-Mizil and Caruana 2005, doi:10.1145/1102351.1102430

    Example:
        >>> import numpy as np
        >>> truth = np.array([0, 0, 1, 1], dtype=np.uint8)
        >>> curve = reliability_curve(np.array([0.25, 0.25, 0.75, 0.75]), truth, bins=2)
        >>> curve.mean.tolist(), curve.share.tolist(), curve.count.tolist()
        ([0.25, 0.75], [0.0, 1.0], [2, 2])
    """
    kept, changed = _probabilities(probability, truth, bins)
    index = _bin_of(kept, bins)
    count = np.bincount(index, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    return ReliabilityCurve(
        mean=np.bincount(index, weights=kept, minlength=bins) / filled,
        share=np.bincount(index, weights=changed, minlength=bins) / filled,
        count=count,
    )


def _probabilities(
    probability: NDArray[np.floating], truth: NDArray[np.uint8], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities and change flags of the labelled pixels, each ``(n,)``."""
    if bins < 1:
        raise ConfigError(f"{bins} bins of the calibration error: give at least 1")
    kept, changed = _labelled(probability, truth)
    if kept.size and (kept.min() < 0 or kept.max() > 1):
        raise FormatError(
            f"probabilities from {kept.min():g} to {kept.max():g}: expected 0 to 1; give a calibrated probability"
        )
    return kept, changed


def _bin_of(probability: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """The bin of each probability: closed below and open above, the last closed."""
    return np.minimum((probability * bins).astype(np.intp), bins - 1)


def _labelled(
    score: NDArray[np.floating], truth: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and change flags of the labelled pixels that have a score, each ``(n,)``."""
    if score.shape != truth.shape:
        raise GridError(
            f"the score has shape {' x '.join(map(str, score.shape))} but the truth "
            f"{' x '.join(map(str, truth.shape))}: give the truth of this map"
        )
    labelled = truth != UNLABELLED
    values = np.unique(truth[labelled]).tolist()
    if not set(values) <= {UNCHANGED, CHANGED}:
        raise LabelError(f"truth: values {values[:8]}: expected 0 unchanged, 1 changed, 255 unlabelled")
    labelled &= ~np.isnan(score)
    # An infinite score has its place in the ranking; scikit-learn takes finite numbers alone.
    return np.nan_to_num(score[labelled].astype(np.float64)), truth[labelled] == CHANGED


def _undefined(name: str, changed: NDArray[np.bool_]) -> float:
    warnings.warn(
        f"undefined, given as NaN: {name}: of {changed.size} scored pixels {int(changed.sum())} are changed; "
        "judge on pixels of both classes",
        UndefinedScoreWarning,
        stacklevel=3,
    )
    return math.nan


@dataclass(frozen=True)
class ReliabilityCurve:
    """Calibration in bins of equal width between 0 and 1, each array ``(bins,)``.

    Attributes:
        mean: mean probability of the pixels in the bin.
        share: share of them that are changed in truth.
        count: how many they are.
    """

    mean: NDArray[np.float64]
    share: NDArray[np.float64]
    count: NDArray[np.intp]
