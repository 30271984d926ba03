"""Whether two maps differ by more than chance: McNemar's test on the same test pixels, Holm's correction.

Pixels of one scene are not independent: neighbours err together. The test takes them as independent, as the field
does, and is therefore too sure of itself; say so where it is printed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError, GridError, LabelError
from hsi_cd.evaluation.counts import NO_DATA
from hsi_cd.scene import UNLABELLED

EXACT_BELOW = 25
"""Number of discordant pixels below which McNemar's test is the exact one."""


def mcnemar(
    truth: NDArray[np.uint8],
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    *,
    where: NDArray[np.bool_] | None = None,
) -> McNemar:
    """McNemar's test between two maps on the same test pixels; see :func:`mcnemar_counts`.

    Args:
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled.
        first: uint8 ``(rows, cols)``: a change map: 0 unchanged, 1 changed, 255 no data.
        second: the same of the other map.
        where: bool ``(rows, cols)``: the pixels that judge; all by default. Pixels without a label, or without a
            prediction of either map, are left out.

    Raises:
        GridError: the arrays differ in shape.
    """
    for name, array in (("first map", first), ("second map", second), ("mask of judged pixels", where)):
        if array is not None and array.shape != truth.shape:
            raise GridError(
                f"the {name} has shape {array.shape} but the truth {truth.shape}: give both on one grid"
            )
    judged = (truth != UNLABELLED) & (first != NO_DATA) & (second != NO_DATA)
    if where is not None:
        judged &= where
    right, also_right = (first == truth)[judged], (second == truth)[judged]
    return mcnemar_counts(int((right & ~also_right).sum()), int((~right & also_right).sum()))


def mcnemar_counts(only_first: int, only_second: int) -> McNemar:
    """McNemar's test: do two maps err equally often?

    With b pixels that only the first map calls rightly and c that only the second does, b is binomial(b + c, 1/2)
    if both err equally often. Below 25 such pixels p is exact, p = min(1, 2 P(X <= min(b, c))); from there on
    it is that of the statistic (max(|b - c| - 1, 0))^2 / (b + c), chi-square with one degree of freedom. p is in
    [0, 1], and 1 where the maps agree on every pixel.

    Args:
        only_first: b.
        only_second: c.

    Raises:
        LabelError: a count is negative.

    Reference:
        McNemar 1947, doi:10.1007/BF02295996; Edwards 1948, doi:10.1007/BF02289261

    Example:
        >>> mcnemar_counts(1, 8)
        McNemar(only_first=1, only_second=8, statistic=4.0, p_value=0.0390625, exact=True)
    """
    if min(only_first, only_second) < 0:
        raise LabelError(f"{only_first} and {only_second} discordant pixels: a count cannot be negative")
    total = only_first + only_second
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / total if total else 0.0
    if total < EXACT_BELOW:
        tail = sum(math.comb(total, k) for k in range(min(only_first, only_second) + 1))
        p_value = min(1.0, 2 * tail / 2**total)
    else:
        p_value = math.erfc(math.sqrt(statistic / 2))
    return McNemar(only_first, only_second, statistic, p_value, total < EXACT_BELOW)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction of several tests, which holds the probability of any false alarm at the level.

    The i-th smallest of m values (i from 0) becomes the largest of (m - j) p_j over j <= i, at most 1. Compare the
    corrected values with the level itself.

    Returns:
        Corrected values, in the order given.

    Raises:
        ConfigError: a value lies outside 0-1.

    Reference:
        Holm 1979, https://www.jstor.org/stable/4615733

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ConfigError(f"p values {list(p_values)[:8]}: expected numbers from 0 to 1")
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def compare_maps(
    truth: NDArray[np.uint8], maps: Mapping[str, NDArray[np.uint8]], *, where: NDArray[np.bool_] | None = None
) -> tuple[Comparison, ...]:
    """McNemar's test between every two of several maps, corrected by Holm over all of them.

    Args:
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled.
        maps: change maps by name.
        where: bool ``(rows, cols)``: the pixels that judge.

    Raises:
        GridError: the arrays differ in shape.
    """
    pairs = [
        Comparison(a, b, mcnemar(truth, maps[a], maps[b], where=where)) for a, b in itertools.combinations(maps, 2)
    ]
    return correct(pairs)


def correct(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The same comparisons with Holm's correction over all of them."""
    corrected = holm([comparison.test.p_value for comparison in comparisons])
    return tuple(replace(c, corrected=p) for c, p in zip(comparisons, corrected, strict=True))


@dataclass(frozen=True)
class McNemar:
    """Outcome of McNemar's test.

    Attributes:
        only_first: pixels that only the first map calls rightly.
        only_second: pixels that only the second map calls rightly.
        statistic: chi-square statistic with continuity correction.
        p_value: probability of a difference at least as large if both err equally often.
        exact: whether ``p_value`` is that of the binomial distribution, not of chi-square.
    """

    only_first: int
    only_second: int
    statistic: float
    p_value: float
    exact: bool


@dataclass(frozen=True)
class Comparison:
    """Two maps compared.

    Attributes:
        first: name of the one.
        second: name of the other.
        test: McNemar's test between them.
        corrected: its p value after Holm's correction over all comparisons; NaN before.
    """

    first: str
    second: str
    test: McNemar
    corrected: float = math.nan
