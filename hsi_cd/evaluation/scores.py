"""Scores of a change map, as pure functions of its confusion counts.

Every score is the quotient of two integers that are computed exactly, so no score loses digits to cancellation or
overflow, however large the scene. A quotient with denominator 0 is undefined: NaN with an
:class:`UndefinedScoreWarning`, never 0 or 1.

The positive class is *changed*. The symbols are those of :class:`~hsi_cd.evaluation.counts.ConfusionCounts`;
n = tn + fp + fn + tp.
"""

from __future__ import annotations

import math
import warnings

from hsi_cd.evaluation.counts import ConfusionCounts

SCORE_NAMES = ("oa", "aa", "kappa", "f1", "precision", "recall", "iou", "accuracy_unchanged", "accuracy_changed")
"""Names of the scores of :func:`all_scores`, in the order in which they are computed, stored and printed."""

_LOWER_IS_BETTER = frozenset(
    [
        "ece",
        "expected_calibration_error",
        "brier",
        "brier_score",
        "log_loss",
        "rmse",
        "overall_error",
        "false_alarms",
        "false_alarm_rate",
        "false_positive_rate",
        "fpr",
        "missed_alarms",
        "missed_alarm_rate",
        "false_negative_rate",
        "fnr",
    ]
)
"""Errors, which are better when smaller: this package's own, and what results of other code call theirs."""


def higher_is_better(name: str) -> bool:
    """Whether more of a score is better; the one place that knows, for whatever ranks or picks by a score.

    Args:
        name: name of a score, also one on other pixels, as ``strict/kappa``.

    Example:
        >>> higher_is_better("kappa"), higher_is_better("ece")
        (True, False)
    """
    return name.rpartition("/")[2].lower() not in _LOWER_IS_BETTER


def all_scores(counts: ConfusionCounts) -> dict[str, float]:
    """All scores by name, in the order of :data:`SCORE_NAMES`.

    What is undefined is NaN; one warning names all of it.

    Example:
        >>> for name, value in all_scores(ConfusionCounts(tn=90, fp=5, fn=1, tp=4)).items():
        ...     print(f"{name} {value:.3f}")
        oa 0.940
        aa 0.874
        kappa 0.542
        f1 0.571
        precision 0.444
        recall 0.800
        iou 0.400
        accuracy_unchanged 0.947
        accuracy_changed 0.800
    """
    scores = {name: quotient(*fraction) for name, fraction in score_fractions(counts).items()}
    _warn_undefined([name for name, value in scores.items() if math.isnan(value)], counts, stacklevel=3)
    return scores


def overall_accuracy(counts: ConfusionCounts) -> float:
    """Overall accuracy (OA): the share of pixels called rightly.

    OA = (tn + tp) / n, in [0, 1], higher is better. Undefined (NaN) where no pixel is scored. A rare class hardly
    moves it: compare it with the OA of the majority class.

    Reference:
        Congalton 1991, doi:10.1016/0034-4257(91)90048-B

    Example:
        >>> overall_accuracy(ConfusionCounts(tn=90, fp=5, fn=1, tp=4))
        0.94
    """
    return _score("oa", counts)


def average_accuracy(counts: ConfusionCounts) -> float:
    """Average accuracy (AA), also balanced accuracy: the mean of the two per-class recalls.

    AA = (tn / (tn + fp) + tp / (fn + tp)) / 2, in [0, 1], 0.5 for a map of one class. Undefined (NaN) where a
    class has no pixel in truth.

    Reference:
        Brodersen et al. 2010, doi:10.1109/ICPR.2010.764

    Example:
        >>> average_accuracy(ConfusionCounts(tn=9, fp=1, fn=2, tp=3))
        0.75
    """
    return _score("aa", counts)


def per_class_accuracy(counts: ConfusionCounts) -> tuple[float, float]:
    """Accuracies of the (unchanged, changed) class: the recall of each, also producer's accuracy.

    tn / (tn + fp) and tp / (fn + tp), each in [0, 1]. Undefined (NaN) for a class that has no pixel in truth.

    Reference:
        Congalton 1991, doi:10.1016/0034-4257(91)90048-B

    Example:
        >>> per_class_accuracy(ConfusionCounts(tn=9, fp=1, fn=2, tp=3))
        (0.9, 0.6)
    """
    return _score("accuracy_unchanged", counts), _score("accuracy_changed", counts)


def kappa(counts: ConfusionCounts) -> float:
    """Cohen's Kappa: agreement of map and truth beyond what their class shares give by chance.

    Kappa = (OA - pe) / (1 - pe) with pe = (sum over classes of row total x column total) / n^2, that is
    (n (tn + tp) - s) / (n^2 - s) with s = (tn + fp)(tn + fn) + (fn + tp)(fp + tp). In [-1, 1]: 1 is full
    agreement, 0 that of chance. Undefined (NaN) where pe = 1: truth and map hold the same one class, or no pixel
    is scored. Blind to a swap of the two labels in both truth and map.

    Reference:
        Cohen 1960, doi:10.1177/001316446002000104

    Example:
        >>> kappa(ConfusionCounts(tn=45, fp=15, fn=25, tp=15))
        0.13043478260869565
    """
    return _score("kappa", counts)


def kappa_standard_error(counts: ConfusionCounts) -> float:
    """Standard error of Kappa as an estimate from a sample of pixels.

    sqrt(OA (1 - OA) / n) / (1 - pe), with pe as for :func:`kappa`: how far chance in drawing the pixels moves it.
    At least 0. Undefined (NaN) where Kappa is.

    Reference:
        Cohen 1960, eq. 7, doi:10.1177/001316446002000104

    Example:
        >>> round(kappa_standard_error(ConfusionCounts(tn=45, fp=15, fn=25, tp=15)), 4)
        0.1065
    """
    n, agreed = counts.total, counts.tn + counts.tp
    chance = (counts.tn + counts.fp) * (counts.tn + counts.fn) + (counts.fn + counts.tp) * (counts.fp + counts.tp)
    if n == 0 or chance == n * n:
        return math.nan
    return math.sqrt(agreed * (n - agreed) / n) * n / (n * n - chance)


def precision(counts: ConfusionCounts) -> float:
    """Precision of the changed class, also user's accuracy: the share of pixels called changed that are.

    Precision = tp / (tp + fp), in [0, 1]. Undefined (NaN) where no scored pixel is called changed.

    Reference:
        Powers 2011, arXiv:2010.16061

    Example:
        >>> precision(ConfusionCounts(tn=90, fp=1, fn=5, tp=4))
        0.8
    """
    return _score("precision", counts)


def recall(counts: ConfusionCounts) -> float:
    """Recall of the changed class: the share of changed pixels that are found.

    Recall = tp / (tp + fn), in [0, 1]; the same as the accuracy of the changed class. Undefined (NaN) where no
    scored pixel is changed.

    Reference:
        Powers 2011, arXiv:2010.16061

    Example:
        >>> recall(ConfusionCounts(tn=90, fp=5, fn=1, tp=4))
        0.8
    """
    return _score("recall", counts)


def f1(counts: ConfusionCounts) -> float:
    """F1 of the changed class: the harmonic mean of precision and recall, also the Dice coefficient.

    F1 = 2 tp / (2 tp + fp + fn), in [0, 1]. Undefined (NaN) where no scored pixel is changed or called changed.

    Reference:
        Dice 1945, doi:10.2307/1932409

    Example:
        >>> f1(ConfusionCounts(tn=90, fp=3, fn=1, tp=4))
        0.6666666666666666
    """
    return _score("f1", counts)


def iou(counts: ConfusionCounts) -> float:
    """Intersection over union of the changed class, also the Jaccard index.

    IoU = tp / (tp + fp + fn), in [0, 1]; F1 / (2 - F1). Undefined (NaN) where no scored pixel is changed or called
    changed.

    Reference:
        Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x

    Example:
        >>> iou(ConfusionCounts(tn=90, fp=3, fn=1, tp=4))
        0.5
    """
    return _score("iou", counts)


def score_fractions(counts: ConfusionCounts) -> dict[str, tuple[int, int]]:
    """Numerator and denominator of every score, exact, in the order of :data:`SCORE_NAMES`; 0 / 0 is undefined."""
    tn, fp, fn, tp, n = counts.tn, counts.fp, counts.fn, counts.tp, counts.total
    chance = (tn + fp) * (tn + fn) + (fn + tp) * (fp + tp)
    return {
        "oa": (tn + tp, n),
        "aa": (tn * (fn + tp) + tp * (tn + fp), 2 * (tn + fp) * (fn + tp)),
        "kappa": (n * (tn + tp) - chance, n * n - chance),
        "f1": (2 * tp, 2 * tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "iou": (tp, tp + fp + fn),
        "accuracy_unchanged": (tn, tn + fp),
        "accuracy_changed": (tp, fn + tp),
    }


def _score(name: str, counts: ConfusionCounts) -> float:
    """One score by name, with a warning where it is undefined."""
    value = quotient(*score_fractions(counts)[name])
    if math.isnan(value):
        _warn_undefined([name], counts, stacklevel=4)
    return value


def quotient(numerator: int, denominator: int) -> float:
    """One integer by another, NaN by 0."""
    # Python divides integers of any size to the nearest float.
    return numerator / denominator if denominator else math.nan


def _warn_undefined(names: list[str], counts: ConfusionCounts, *, stacklevel: int) -> None:
    if not names:
        return
    warnings.warn(
        f"undefined, given as NaN: {', '.join(names)}: of {counts.total} scored pixels {counts.changed} are "
        f"changed and {counts.fp + counts.tp} called changed; judge on pixels of both classes",
        UndefinedScoreWarning,
        stacklevel=stacklevel,
    )


class UndefinedScoreWarning(UserWarning):
    """A score has no value for these pixels and is given as NaN."""
