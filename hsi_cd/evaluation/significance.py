"""Whether two maps differ by more than chance: McNemar's and Stuart and Maxwell's tests, Holm's correction.

Pixels of one scene are not independent: neighbours err together. The tests take them as independent, as the field
does, and are therefore too sure of themselves; say so where it is printed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

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
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed (or 1 to K kinds of change), 255 unlabelled.
        first: uint8 ``(rows, cols)``: a change map with the same classes, 255 no data. A kind that is another one
            is wrong.
        second: the same of the other map.
        where: bool ``(rows, cols)``: the pixels that judge; all by default. Pixels without a label, or without a
            prediction of either map, are left out.

    Raises:
        GridError: the arrays differ in shape.
    """
    judged = _judged_by_both(truth, first, second, where)
    right, also_right = (first == truth)[judged], (second == truth)[judged]
    return mcnemar_counts(int((right & ~also_right).sum()), int((~right & also_right).sum()))


def _judged_by_both(
    truth: NDArray[np.uint8], first: NDArray[np.uint8], second: NDArray[np.uint8], where: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Labelled pixels that judge, and of which both maps say something."""
    for name, array in (("first map", first), ("second map", second), ("mask of judged pixels", where)):
        if array is not None and array.shape != truth.shape:
            raise GridError(
                f"the {name} has shape {array.shape} but the truth {truth.shape}: give both on one grid"
            )
    judged: NDArray[np.bool_] = (truth != UNLABELLED) & (first != NO_DATA) & (second != NO_DATA)
    if where is not None:
        judged &= where
    return judged


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


def stuart_maxwell(
    truth: NDArray[np.uint8],
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    *,
    where: NDArray[np.bool_] | None = None,
) -> StuartMaxwell:
    """Stuart and Maxwell's test between two maps on the same test pixels; see :func:`stuart_maxwell_table`.

    Arguments and errors are those of :func:`mcnemar`.
    """
    judged = _judged_by_both(truth, first, second, where)
    pairs = first[judged].astype(np.intp) * 256 + second[judged]
    return stuart_maxwell_table(np.bincount(pairs, minlength=65536).reshape(256, 256))


def stuart_maxwell_table(table: ArrayLike) -> StuartMaxwell:
    """Stuart and Maxwell's test: do two maps give each class to equally many pixels?

    With n_ij pixels that the first map calls i and the second j, d_i = n_i. - n_.i, and S the estimated covariance
    of the d (S_ii = n_i. + n_.i - 2 n_ii, S_ij = -(n_ij + n_ji)), d' S^-1 d is chi-square if the class shares of
    both maps are the same; S^-1 is a pseudo-inverse and the degrees of freedom are the rank of S: the number of
    classes that differ anywhere, less one for each group of classes mixed up with one another. p is in [0, 1], and
    1 where the maps agree on every pixel. With two classes it is McNemar's test without correction, (b - c)^2 / (b
    + c). It says nothing of which map is right.

    Args:
        table: integers ``(classes, classes)``, the classes of the first map in the rows.

    Raises:
        LabelError: the table is not square, or holds a negative number.

    Reference:
        Stuart 1955, doi:10.1093/biomet/42.3-4.412; Maxwell 1970, doi:10.1192/bjp.116.535.651

    Example:
        >>> found = stuart_maxwell_table([[20, 10, 5], [3, 30, 15], [0, 5, 40]])
        >>> round(found.statistic, 2), found.degrees, round(found.p_value, 3)
        (13.76, 2, 0.001)
    """
    # Graphs are wanted of two maps of kinds alone, and take a while to load.
    from scipy.sparse.csgraph import connected_components

    counts = np.asarray(table, dtype=np.int64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise LabelError(f"a table of shape {counts.shape}: expected a square of counts, none negative")
    disagreement = counts + counts.T
    np.fill_diagonal(disagreement, 0)
    there = disagreement.any(axis=0)
    apart = (counts.sum(axis=1) - counts.sum(axis=0))[there].astype(np.float64)
    mixed = disagreement[np.ix_(there, there)]
    groups, _ = connected_components(mixed, directed=False)
    degrees = int(there.sum()) - int(groups)
    if degrees < 1:
        return StuartMaxwell(0.0, 0, 1.0)
    # S is the Laplacian of the graph of classes that are mixed up: its rank is known, and its inverse on d exists.
    covariance = np.diag(mixed.sum(axis=1)) - mixed.astype(np.float64)
    statistic = float(apart @ np.linalg.pinv(covariance, hermitian=True) @ apart)
    return StuartMaxwell(statistic, degrees, float(scipy.special.chdtrc(degrees, statistic)))


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
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed (or 1 to K kinds of change), 255 unlabelled.
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
class StuartMaxwell:
    """Outcome of Stuart and Maxwell's test.

    Attributes:
        statistic: chi-square statistic.
        degrees: its degrees of freedom; 0 where the maps agree everywhere.
        p_value: probability of a statistic at least as large if the class shares of both maps are the same.
    """

    statistic: float
    degrees: int
    p_value: float


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
