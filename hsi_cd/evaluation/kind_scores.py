"""Scores of a map of kinds of change, as pure functions of its confusion.

The unchanged are a class like any kind. A class without a scored pixel in truth has no score: precision, recall,
F1 and IoU are undefined (NaN), never 0, and the class does not enter the means over classes. Every score of a
class, the overall accuracy and Kappa are quotients of two exact integers.

The symbols are those of :class:`~hsi_cd.evaluation.kind_confusion.KindConfusion`: n pixels, of which t_i are of
class i in truth, m_i are called i, and c_i both; sums go over all classes, means over those with t_i > 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from hsi_cd.evaluation.kind_confusion import KindConfusion
from hsi_cd.evaluation.records import RECORD, Score
from hsi_cd.evaluation.scores import UndefinedScoreWarning, quotient

KIND_SCORE_NAMES = ("oa", "aa", "kappa", "f1_macro", "adjusted_rand")
"""Names of the scores over all classes, in the order in which they are computed, stored and printed."""

CLASS_SCORE_NAMES = ("precision", "recall", "f1", "iou")
"""Names of the scores of one class."""


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class of a map of kinds, each in [0, 1]; all NaN where no scored pixel is of the class.

    Attributes:
        precision: c_i / m_i, also user's accuracy; undefined, too, where no scored pixel is called so.
        recall: c_i / t_i, also producer's accuracy.
        f1: 2 c_i / (t_i + m_i).
        iou: c_i / (t_i + m_i - c_i).
    """

    __pydantic_config__ = RECORD

    precision: Score
    recall: Score
    f1: Score
    iou: Score


def class_scores(confusion: KindConfusion) -> tuple[ClassScores, ...]:
    """Precision, recall, F1 and IoU of each class, the unchanged first.

    Reference:
        Congalton 1991, doi:10.1016/0034-4257(91)90048-B

    Example:
        >>> found = class_scores(KindConfusion(((8, 1, 1), (1, 3, 0), (0, 2, 4))))
        >>> [(round(each.precision, 3), round(each.recall, 3), round(each.f1, 3)) for each in found]
        [(0.889, 0.8, 0.842), (0.5, 0.75, 0.6), (0.8, 0.667, 0.727)]
    """
    return tuple(
        ClassScores(
            precision=quotient(right, called),
            recall=quotient(right, there),
            f1=quotient(2 * right, there + called),
            iou=quotient(right, there + called - right),
        )
        if there
        else ClassScores(math.nan, math.nan, math.nan, math.nan)
        for right, there, called in zip(confusion.right, confusion.truth, confusion.called, strict=True)
    )


def kind_scores(confusion: KindConfusion) -> dict[str, float]:
    """All scores over classes by name, in the order of :data:`KIND_SCORE_NAMES`.

    What is undefined is NaN; one warning names all of it.

    Example:
        >>> for name, value in kind_scores(KindConfusion(((8, 1, 1), (1, 3, 0), (0, 2, 4)))).items():
        ...     print(f"{name} {value:.3f}")
        oa 0.750
        aa 0.739
        kappa 0.609
        f1_macro 0.723
        adjusted_rand 0.230
    """
    scores = {name: score(confusion) for name, score in _SCORES.items()}
    undefined = [name for name, value in scores.items() if math.isnan(value)]
    if undefined:
        there = sum(count > 0 for count in confusion.truth)
        warnings.warn(
            f"undefined, given as NaN: {', '.join(undefined)} of kinds of change: the {confusion.total} scored "
            f"pixels are of {there} of {len(confusion.table)} classes; judge on pixels of several",
            UndefinedScoreWarning,
            stacklevel=2,
        )
    return scores


def kinds_overall_accuracy(confusion: KindConfusion) -> float:
    """Overall accuracy (OA): the share of pixels whose class, the kind included, is called rightly.

    OA = (sum c_i) / n, in [0, 1], higher is better. Undefined (NaN) where no pixel is scored.

    Reference:
        Congalton 1991, doi:10.1016/0034-4257(91)90048-B

    Example:
        >>> kinds_overall_accuracy(KindConfusion(((8, 1, 1), (1, 3, 0), (0, 2, 4))))
        0.75
    """
    return quotient(sum(confusion.right), confusion.total)


def kinds_average_accuracy(confusion: KindConfusion) -> float:
    """Average accuracy (AA), also balanced accuracy: the mean of the recalls of the classes.

    AA = mean of c_i / t_i over classes with t_i > 0, in [0, 1]; 1 over their number for a map of one class.
    Undefined (NaN) where no pixel is scored.

    Reference:
        Brodersen et al. 2010, doi:10.1109/ICPR.2010.764

    Example:
        >>> kinds_average_accuracy(KindConfusion(((8, 2, 0), (1, 3, 0), (0, 0, 0))))
        0.775
    """
    return _mean([each.recall for each in class_scores(confusion)])


def kinds_kappa(confusion: KindConfusion) -> float:
    """Cohen's Kappa over all classes: agreement beyond what the class shares give by chance.

    Kappa = (n sum c_i - s) / (n^2 - s) with s = sum t_i m_i. In [-1, 1]: 1 is full agreement, 0 that of chance.
    Undefined (NaN) where truth and map hold the same one class, or no pixel is scored. With one kind it is that of
    :func:`~hsi_cd.evaluation.scores.kappa`.

    Reference:
        Cohen 1960, doi:10.1177/001316446002000104

    Example:
        >>> round(kinds_kappa(KindConfusion(((8, 1, 1), (1, 3, 0), (0, 2, 4)))), 4)
        0.6094
    """
    chance = sum(there * called for there, called in zip(confusion.truth, confusion.called, strict=True))
    square = confusion.total**2
    return quotient(confusion.total * sum(confusion.right) - chance, square - chance)


def kinds_macro_f1(confusion: KindConfusion) -> float:
    """Macro F1: the mean of the F1 of the classes, each as important as any other.

    Mean of 2 c_i / (t_i + m_i) over classes with t_i > 0, in [0, 1]. A class that the map never names has F1 = 0;
    one without a pixel in truth does not enter. Undefined (NaN) where no pixel is scored.

    Reference:
        Opitz and Burst 2019, arXiv:1911.03347

    Example:
        >>> kinds_macro_f1(KindConfusion(((8, 0, 0), (0, 2, 2), (0, 0, 4))))
        0.8222222222222223
    """
    return _mean([each.f1 for each in class_scores(confusion)])


def adjusted_rand(confusion: KindConfusion) -> float:
    """Adjusted Rand index of the kinds on truly changed pixels: how well the map groups them, by whatever names.

    With N = C(changed pixels, 2), r = sum over kinds C(t_i, 2), q = sum over what they are called C(m_j, 2) and a
    = sum over cells C(n_ij, 2), all of truly changed pixels: (a - r q / N) / ((r + q) / 2 - r q / N). At most 1,
    about 0 for groups at random. Pixels that the map misses are a group of their own. It judges kinds that were
    found without labels, whose numbers mean nothing. Undefined (NaN) below two changed pixels; 1 where both have
    the same one group, or all groups have one pixel.

    Reference:
        Hubert and Arabie 1985, doi:10.1007/BF01908075

    Example:
        >>> adjusted_rand(KindConfusion(((9, 0, 0), (0, 0, 5), (0, 4, 0))))
        1.0
    """
    changed = confusion.table[1:]
    cells = sum(_pairs(count) for row in changed for count in row)
    rows = sum(_pairs(sum(row)) for row in changed)
    columns = sum(_pairs(sum(column)) for column in zip(*changed, strict=True))
    every = _pairs(sum(map(sum, changed)))
    if not every:
        return math.nan
    top, bottom = 2 * (cells * every - rows * columns), every * (rows + columns) - 2 * rows * columns
    return quotient(top, bottom) if bottom else 1.0


_SCORES = {
    "oa": kinds_overall_accuracy,
    "aa": kinds_average_accuracy,
    "kappa": kinds_kappa,
    "f1_macro": kinds_macro_f1,
    "adjusted_rand": adjusted_rand,
}


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _mean(values: Sequence[float]) -> float:
    """Of those that are defined."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
