"""How far a score can be trusted: its spread over seeds, and intervals over pixels and over seeds.

Pixels of one scene are not independent: neighbours err together. Intervals over pixels take them as independent,
as the field does, and are therefore too narrow; say so where they are printed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError, unknown_name
from hsi_cd.evaluation.counts import ConfusionCounts
from hsi_cd.evaluation.kind_confusion import KindConfusion
from hsi_cd.evaluation.kind_scores import CLASS_SCORE_NAMES
from hsi_cd.evaluation.scores import SCORE_NAMES, score_fractions

_DRAWN_KINDS = ("oa", "aa", "kappa", "f1_macro")


def mean_std(values: Sequence[float], *, ddof: int = 1) -> Spread:
    """Mean and standard deviation, over seeds as a rule.

    mean = sum x / n and std = sqrt(sum (x - mean)^2 / (n - ddof)). With ``ddof`` 1, std^2 is the unbiased
    estimate of the variance over all seeds; with 0, it describes these seeds alone. Both are NaN without a value
    or where a value is NaN (a score that is undefined for one seed has no mean); std is NaN where n <= ddof.

    Reference:
        Bessel's correction; Kenney and Keeping 1951, Mathematics of Statistics, part 2

    Example:
        >>> mean_std([0.9, 0.8, 1.0])
        Spread(mean=0.9, std=0.1, count=3, ddof=1)
    """
    count = len(values)
    mean = math.fsum(values) / count if count else math.nan
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - ddof) if count > ddof else math.nan
    # Rounded at the 15th digit, below what the mean of a few numbers is good for.
    return Spread(mean=_rounded(mean), std=_rounded(math.sqrt(variance)), count=count, ddof=ddof)


def bootstrap_pixels(
    counts: ConfusionCounts | Sequence[ConfusionCounts],
    *,
    scores: Sequence[str] = SCORE_NAMES,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bootstrap intervals of scores over the test pixels.

    Drawing n pixels with replacement and counting them again is drawing the four confusion counts from a
    multinomial distribution with their own shares: no map is needed, and a scene of any size takes the same time.
    The interval is the percentile interval. For several runs, each is drawn on its own, and the interval is that
    of the mean of their scores.

    Args:
        counts: confusion counts of one run, or of several.
        scores: names of the scores, of :data:`~hsi_cd.evaluation.scores.SCORE_NAMES`.
        level: share of the draws inside the interval, between 0 and 1.
        draws: number of draws.
        seed: seed of the draws; one seed gives one interval.

    Returns:
        Interval by name of the score; NaN where the score is undefined for too many draws to tell the ends, that
        is for more than half of (1 - level) of them.

    Raises:
        UnknownNameError: there is no such score.
        ConfigError: ``level`` or ``draws`` is outside its range.

    Reference:
        Efron and Tibshirani 1986, doi:10.1214/ss/1177013815

    Example:
        >>> print(bootstrap_pixels(ConfusionCounts(tn=900, fp=50, fn=10, tp=40), scores=["oa"])["oa"])
        0.9240 to 0.9540
    """
    _check_bootstrap(level, draws)
    for name in scores:
        if name not in SCORE_NAMES:
            raise unknown_name("score of confusion counts", name, SCORE_NAMES)
    runs = [counts] if isinstance(counts, ConfusionCounts) else list(counts)
    random = np.random.default_rng(seed)
    drawn = [_draw_scores(run, scores, draws, random) for run in runs]
    means = np.mean(drawn, axis=0) if drawn else np.full((draws, len(scores)), np.nan)
    return {name: _percentiles(means[:, i], level) for i, name in enumerate(scores)}


def bootstrap_kinds(
    confusions: KindConfusion | Sequence[KindConfusion],
    *,
    scores: Sequence[str],
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bootstrap intervals of scores of kinds of change over the test pixels, as those of :func:`bootstrap_pixels`.

    Args:
        confusions: of one run, or of several on the same classes.
        scores: ``oa``, ``aa``, ``kappa``, ``f1_macro``; or ``precision``, ``recall``, ``f1``, ``iou`` of class i,
            as ``f1/3``.
        level: share of the draws inside the interval, between 0 and 1.
        draws: number of draws.
        seed: seed of the draws.

    Returns:
        Interval by name of the score; NaN where the score is undefined for too many draws to tell the ends.

    Raises:
        UnknownNameError: there is no such score.
        ConfigError: ``level`` or ``draws`` is outside its range.

    Reference:
        Efron and Tibshirani 1986, doi:10.1214/ss/1177013815

    Example:
        >>> found = bootstrap_kinds(KindConfusion(((90, 5, 5), (2, 30, 8), (1, 4, 25))), scores=["oa", "f1/2"])
        >>> print(found["oa"])
        0.8000 to 0.9059
    """
    _check_bootstrap(level, draws)
    runs = [confusions] if isinstance(confusions, KindConfusion) else list(confusions)
    random = np.random.default_rng(seed)
    drawn = [_draw_kinds(run, scores, draws, random) for run in runs]
    means = np.mean(drawn, axis=0) if drawn else np.full((draws, len(scores)), np.nan)
    return {name: _percentiles(means[:, i], level) for i, name in enumerate(scores)}


def bootstrap_seeds(values: Sequence[float], *, level: float = 0.95, draws: int = 2000, seed: int = 0) -> Interval:
    """Bootstrap interval of the mean of one score over seeds.

    As many values as there are seeds are drawn with replacement, and averaged; the interval is the percentile
    interval of these means. NaN below two values, or where a value is NaN. With few seeds it is too narrow, by a
    factor of about sqrt((n - 1) / n).

    Args:
        values: one score of each seed.
        level: share of the draws inside the interval, between 0 and 1.
        draws: number of draws.
        seed: seed of the draws.

    Raises:
        ConfigError: ``level`` or ``draws`` is outside its range.

    Reference:
        Efron and Tibshirani 1986, doi:10.1214/ss/1177013815

    Example:
        >>> print(bootstrap_seeds([0.90, 0.92, 0.94, 0.91]))
        0.9050 to 0.9325
    """
    _check_bootstrap(level, draws)
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2 or np.isnan(sample).any():
        return Interval(math.nan, math.nan, level)
    index = np.random.default_rng(seed).integers(sample.size, size=(draws, sample.size))
    return _percentiles(sample[index].mean(axis=1), level)


def _draw_scores(
    counts: ConfusionCounts, scores: Sequence[str], draws: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Scores of ``draws`` samples of pixels, ``(draws, scores)``."""
    out = np.full((draws, len(scores)), np.nan)
    if not counts.total:
        return out
    shares = np.array([counts.tn, counts.fp, counts.fn, counts.tp], dtype=np.float64) / counts.total
    for row, sample in enumerate(random.multinomial(counts.total, shares, size=draws).tolist()):
        fractions = score_fractions(ConfusionCounts(*sample))
        for column, name in enumerate(scores):
            numerator, denominator = fractions[name]
            if denominator:
                out[row, column] = numerator / denominator
    return out


def _draw_kinds(
    confusion: KindConfusion, scores: Sequence[str], draws: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """The same of a confusion of kinds: a class that a draw holds no pixel of enters none of its means."""
    for name in scores:
        kind, _, number = name.partition("/")
        known = kind in CLASS_SCORE_NAMES and number.isdecimal() and int(number) <= confusion.kinds
        if name not in _DRAWN_KINDS and not known:
            raise unknown_name("score of kinds of change", name, (*_DRAWN_KINDS, "f1/1"))
    if not confusion.total:
        return np.full((draws, len(scores)), np.nan)
    cells = np.array(confusion.table, dtype=np.float64)
    samples = random.multinomial(confusion.total, cells.ravel() / confusion.total, size=draws)
    tables = samples.reshape(draws, *cells.shape).astype(np.float64)
    right = np.diagonal(tables, axis1=1, axis2=2)
    there, called = tables.sum(axis=2), tables.sum(axis=1)
    total = float(confusion.total)
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = (there * called).sum(axis=1)
        absent = np.where(there > 0, 0.0, np.nan)
        by_class = {
            "precision": right / called + absent,
            "recall": right / there,
            "f1": 2 * right / (there + called) + absent,
            "iou": right / (there + called - right) + absent,
        }
        known = there > 0
        found = {
            "oa": right.sum(axis=1) / total,
            "aa": np.where(known, by_class["recall"], 0.0).sum(axis=1) / known.sum(axis=1),
            "kappa": (total * right.sum(axis=1) - chance) / (total**2 - chance),
            "f1_macro": np.where(known, by_class["f1"], 0.0).sum(axis=1) / known.sum(axis=1),
        }
    columns = []
    for name in scores:
        kind, _, number = name.partition("/")
        columns.append(by_class[kind][:, int(number)] if number else found[name])
    return np.column_stack(columns)


def _percentiles(values: NDArray[np.float64], level: float) -> Interval:
    tail = (1 - level) / 2
    undefined = np.isnan(values)
    if undefined.mean() > tail:
        return Interval(math.nan, math.nan, level)
    low, high = np.quantile(values[~undefined], [tail, 1 - tail])
    return Interval(float(low), float(high), level)


def _check_bootstrap(level: float, draws: int) -> None:
    if not 0 < level < 1 or draws < 1:
        raise ConfigError(
            f"level {level} and {draws} draws: expected a level between 0 and 1, and at least 1 draw"
        )


def _rounded(value: float) -> float:
    return float(f"{value:.15g}")


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of ``count`` values.

    Attributes:
        mean: their mean.
        std: their standard deviation.
        count: how many they are.
        ddof: what was taken off ``count`` in the standard deviation.
    """

    mean: float
    std: float
    count: int
    ddof: int


@dataclass(frozen=True)
class Interval:
    """Ends of a confidence interval; NaN where it has none."""

    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.low:.4f} to {self.high:.4f}"
