"""Intervals of proportions that were counted in a sample, of their weighted sums, and of ratios of such sums.

The usual plus or minus 1.96 standard errors has no width where a sample of a stratum holds no error, and that is
what most samples of a good map hold. Here each proportion has an interval that is honest there, too, and what is
made of several is found from their ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

Array = NDArray[np.float64]


_FEWER = 1.4
"""Probability, in parts of ``1 - level``, of counting as many at the end of the interval of a few: 7 % of 95 %."""


def wilson(proportion: Array, size: Array, *, level: float = 0.95) -> tuple[Array, Array]:
    """Wilson's score interval of proportions, widened where a few were counted.

    Wilson's own interval starts too high above one, two or three counts, so that it holds a small proportion in as
    few as 84 % of the samples. As Brown, Cai and DasGupta advise, it starts here where so many, or more, would be
    counted with a small probability: theirs is ``1 - level``, here it is 1.4 times that, which keeps the interval
    narrower and from holding far too often. Where all but a few were counted it is the same from above.
    From some five counts on it is Wilson's.

    Args:
        proportion: counted shares x / n, ``(...)``, 0 to 1.
        size: numbers n that they were counted in, the same shape; infinite where all that there is was counted.
        level: share of samples whose interval holds the truth, about.

    Returns:
        Lower and upper ends, each of the same shape; 0 where nothing was counted below, 1 where all was above.

    Reference:
        Wilson 1927, doi:10.1080/01621459.1927.10502953; Brown, Cai and DasGupta 2001, doi:10.1214/ss/1009213286,
        section 4.1.1

    Example:
        >>> low, high = wilson(np.array([0.02, 1.0]), np.array([50.0, 50.0]))
        >>> np.round(low, 4), np.round(high, 4)
        (array([0.0015, 0.9287]), array([0.105, 1.   ]))
    """
    z2, whole = normal_quantile(level) ** 2, np.isinf(size)
    n = np.where(whole, 1.0, size)
    middle = (proportion + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (proportion * (1 - proportion) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    low = np.minimum(middle - half, _least(proportion, n, level))
    high = np.maximum(middle + half, 1 - _least(1 - proportion, n, level))
    low, high = np.where(proportion <= 0, 0.0, low), np.where(proportion >= 1, 1.0, high)
    return np.where(whole, proportion, low), np.where(whole, proportion, high)


def _least(proportion: Array, n: Array, level: float) -> Array:
    """Of which proportion so many, or more, are counted with the small probability; 1 where nothing was."""
    hits = proportion * n
    found = scipy.special.betaincinv(np.where(hits > 0, hits, 1.0), n - hits + 1, _FEWER * (1 - level))
    return np.where(hits > 0, found, 1.0)


@dataclass(frozen=True)
class Bounded:
    """A weighted sum of independent proportions with its ends.

    Attributes:
        value: the sum.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def sum_of(weights: Array, proportion: Array, ends: tuple[Array, Array]) -> Bounded:
    """A weighted sum of independent proportions, its ends from theirs (MOVER).

    The distances from the estimates to their ends take the place of standard errors, each side by itself: the
    interval is not symmetric where those are not, and has a width where a sample holds no error.

    Args:
        weights: of the proportions, ``(n,)``, 0 or more.
        proportion: estimates ``(n,)``.
        ends: lower and upper ends of their intervals, ``(n,)`` each.

    Reference:
        Zou, Huang and Zhang 2009, doi:10.1016/j.csda.2008.09.033
    """
    value = float(weights @ proportion)
    below = math.sqrt(float(np.sum((weights * (proportion - ends[0])) ** 2)))
    above = math.sqrt(float(np.sum((weights * (ends[1] - proportion)) ** 2)))
    return Bounded(value, value - below, value + above)


def share_of(part: Bounded, other: Bounded) -> Bounded:
    """The share ``part / (part + other)`` of two independent sums, its ends from theirs (MOVER of a ratio).

    A share is possible where ``(1 - share) part - share other``, with its own interval, could be 0. NaN where both
    are 0.

    Reference:
        Donner and Zou 2012, doi:10.1177/0962280210383351
    """
    a, b = part.value, other.value
    if a + b <= 0:
        return Bounded(math.nan, math.nan, math.nan)
    low = _odds(a, b, a - part.low, other.high - b, lower=True)
    high = _odds(a, b, part.high - a, b - other.low, lower=False)
    return Bounded(a / (a + b), *(1.0 if math.isinf(odds) else odds / (1 + odds) for odds in (low, high)))


def _odds(a: float, b: float, reach_a: float, reach_b: float, *, lower: bool) -> float:
    """The end of the interval of a / b: the root r of (a - r b)^2 = reach_a^2 + r^2 reach_b^2 on that side."""
    square, constant = b * b - reach_b * reach_b, a * a - reach_a * reach_a
    root = math.sqrt(max(0.0, a * a * b * b - square * constant))
    if lower:  # in the form that is exact where the square's coefficient is 0 or below
        return constant / (a * b + root) if a * b + root > 0 else 0.0
    return (a * b + root) / square if square > 0 else math.inf


def normal_quantile(level: float) -> float:
    """Of the standard normal distribution: how far the middle ``level`` of it reaches, 1.96 for 95 %."""
    return float(scipy.special.ndtri((1 + level) / 2))
