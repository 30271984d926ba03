"""Area and accuracy from a stratified random sample of a map: the estimators of Olofsson et al. 2014.

A map's own pixel count is no estimate of an area: what is mapped wrongly as change is in it, and what was missed
is not. A random sample of each class of the map, interpreted, tells how much of either there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError, LabelError
from hsi_cd.evaluation.binomial_intervals import Bounded, share_of, sum_of, wilson
from hsi_cd.evaluation.intervals import Interval

Array = NDArray[np.float64]

FEWEST = 2
"""Interpreted points of a stratum from which its variance can be told."""


@dataclass(frozen=True)
class Estimate:
    """What a sample tells of a number.

    Attributes:
        value: the estimate; NaN where the sample does not define it.
        standard_error: square root of the estimated variance, by the formula of Olofsson et al.; 0 where no error
            was seen, which the interval does not follow.
        interval: in which the truth lies.
    """

    value: float
    standard_error: float
    interval: Interval

    def times(self, factor: float) -> Estimate:
        """The estimate in another unit."""
        ends = Interval(self.interval.low * factor, self.interval.high * factor, self.interval.level)
        return Estimate(self.value * factor, self.standard_error * factor, ends)

    def complement(self) -> Estimate:
        """Of a share: what the rest of the whole is."""
        ends = Interval(1 - self.interval.high, 1 - self.interval.low, self.interval.level)
        return Estimate(1 - self.value, self.standard_error, ends)


@dataclass(frozen=True)
class MapAccuracy:
    """Accuracy of a map, and the share of each class on the ground, as a sample tells them.

    Attributes:
        matrix: the error matrix in shares of the area, float64 ``(strata, classes)``: the class of the map in the
            rows, that of the reference in the columns.
        shares: of the area, that each class has on the ground.
        users: user's accuracy of each class; NaN where the map does not have it.
        producers: producer's accuracy of each class; NaN where the sample does not have it.
        overall: overall accuracy.
    """

    matrix: Array
    shares: tuple[Estimate, ...]
    users: tuple[Estimate, ...]
    producers: tuple[Estimate, ...]
    overall: Estimate


def estimate_accuracy(
    counts: NDArray[np.integer],
    weights: Array,
    *,
    pixels: NDArray[np.integer],
    called: Sequence[int] | None = None,
    level: float = 0.95,
) -> MapAccuracy:
    """Accuracy and shares from the counts of a stratified random sample.

    Estimates and standard errors are the equations 1 to 4, 5 to 7 and 9 to 11 of Olofsson et al., with Cochran's
    correction where the sample is a good part of a stratum. Intervals are not plus or minus 1.96 standard errors,
    which cover the truth far too seldom where change is rare: a user's accuracy has Wilson's, modified for few
    counts, and what is summed over strata the one that MOVER makes of theirs. With large samples all agree.

    Args:
        counts: interpreted points, ``(strata, classes)``: the class of the map in the rows, that of the reference
            in the columns.
        weights: the strata's shares of the area, ``(strata,)``; their sum is 1.
        pixels: number of pixels of each stratum, ``(strata,)``.
        called: the class, as the index of a column, that the map gives to each stratum; each once; by default
            the stratum's own index.
        level: of the intervals.

    Returns:
        The estimates, a class for each column.

    Raises:
        LabelError: a stratum has fewer than two points, and more pixels than points.
        ConfigError: shapes or weights do not fit.

    Reference:
        Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015; Stehman 2014, doi:10.1080/01431161.2014.930207

    Example:
        >>> counts = np.array([[97, 3], [6, 44]])
        >>> found = estimate_accuracy(counts, np.array([0.9, 0.1]), pixels=np.array([9000, 1000]))
        >>> print(round(found.shares[1].value, 4), found.shares[1].interval)
        0.115 0.0933 to 0.1641
    """
    n, size = np.asarray(counts, dtype=np.float64), np.asarray(pixels, dtype=np.float64)
    drawn = n.sum(axis=1)
    names = list(range(len(n))) if called is None else list(called)
    if weights.shape != drawn.shape or size.shape != drawn.shape or not math.isclose(weights.sum(), 1):
        raise ConfigError(f"{len(n)} strata with {len(weights)} weights of sum {weights.sum():g}: expected sum 1")
    if len(set(names)) != len(n) or not set(names) <= set(range(n.shape[1])):
        raise ConfigError(f"strata of the classes {names}: expected each of {n.shape[1]} classes at most once")
    for stratum, (have, there) in enumerate(zip(drawn, size, strict=True)):
        if have < min(FEWEST, there):
            raise LabelError(f"stratum {stratum} has {have:g} interpreted points: at least {FEWEST} are needed")
    left = np.maximum(0.0, 1 - drawn / size)  # Cochran's correction: nothing is unknown where all is sampled
    effective = np.divide(drawn - 1, left, out=np.full(len(n), np.inf), where=left > 0) + 1
    p = n / drawn[:, None]
    variance = left[:, None] * p * (1 - p) / np.maximum(drawn - 1, 1)[:, None]
    sizes = np.broadcast_to(effective[:, None], p.shape)
    ends = wilson(p, sizes, level=level)
    own = np.array([p[stratum, name] for stratum, name in enumerate(names)])
    own_variance = np.array([variance[stratum, name] for stratum, name in enumerate(names)])
    own_ends = tuple(np.array([end[s, name] for s, name in enumerate(names)]) for end in ends)

    shares, users, producers = [], [], []
    for name in range(n.shape[1]):
        of_class = ends[0][:, name], ends[1][:, name]
        shares.append(
            _estimate(sum_of(weights, p[:, name], of_class), _root(weights**2 @ variance[:, name]), level=level)
        )
        mine = np.array([each == name for each in names])
        users.append(_users(p[mine, name], variance[mine, name], effective[mine], level))
        part, other = (
            sum_of(weights[which], p[which, name], (of_class[0][which], of_class[1][which]))
            for which in (mine, ~mine)
        )
        found = share_of(part, other)
        # Equation 7: of what the map has of the class, and of what it has of it elsewhere.
        terms = weights**2 * variance[:, name] * np.where(mine, (1 - found.value) ** 2, found.value**2)
        total = part.value + other.value
        error = _root(terms.sum()) / total if total > 0 else math.nan
        producers.append(_estimate(found, error, level=level))
    overall = sum_of(weights, own, (own_ends[0], own_ends[1]))
    return MapAccuracy(
        matrix=weights[:, None] * p,
        shares=tuple(shares),
        users=tuple(users),
        producers=tuple(producers),
        overall=_estimate(overall, _root(weights**2 @ own_variance), level=level),
    )


def _users(p: Array, variance: Array, size: Array, level: float) -> Estimate:
    """User's accuracy of the one stratum that is given, or of none."""
    if not len(p):
        return Estimate(math.nan, math.nan, Interval(math.nan, math.nan, level))
    low, high = wilson(p, size, level=level)
    return _estimate(Bounded(float(p[0]), float(low[0]), float(high[0])), _root(variance[0]), level=level)


def _estimate(found: Bounded, error: float, *, level: float) -> Estimate:
    low, high = found.low, found.high
    if not math.isnan(low):
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(found.value, error, Interval(low, high, level))


def _root(variance: float) -> float:
    return math.sqrt(float(variance))
