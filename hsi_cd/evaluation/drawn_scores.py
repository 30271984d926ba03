"""What shapes that somebody drew tell of a map of the whole scene, and how little a few of them tell.

A drawing has as many shapes of each class as somebody cared to draw; the scene does not. So shapes tell two
rates alone: how much of what changed the map finds, and how much of what did not it calls changed. The share of
the scene that the map calls changed is known exactly, and ties the two to the share that did change,

    called = share * found + (1 - share) * false,

from which the scene's whole confusion matrix follows, and with it every score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError, GridError
from hsi_cd.evaluation.counts import NO_DATA
from hsi_cd.evaluation.intervals import Interval
from hsi_cd.scene import CHANGED, UNCHANGED

_OFF = 0.5  # in log-odds: half of the shares that a label-free map tells are nearer than that to the scene's
_TOLD = 1.25  # factor of the odds within which a share that somebody tells is taken to be right
_UNLIKE = 0.01  # drawings that are unlike their scene: people label what is easy to see


@dataclass(frozen=True)
class ShapeRates:
    """How much of each shape is called right.

    Attributes:
        unchanged: of each unchanged shape the share of its pixels that are called unchanged, ``(n,)``, 0 to 1.
        changed: of each changed one the share that are called changed, ``(m,)``.
    """

    unchanged: NDArray[np.float64]
    changed: NDArray[np.float64]


def shape_rates(target: NDArray[np.integer], shapes: NDArray[np.integer], change: NDArray[np.uint8]) -> ShapeRates:
    """How much of each shape is called right; a shape without a prediction is left out.

    Args:
        target: class of each labelled pixel, 0 unchanged, 1 changed, ``(N,)``.
        shapes: number of its shape, ``(N,)``.
        change: what it is called: 0 unchanged, 1 changed, 255 nothing, uint8 ``(N,)``.

    Raises:
        GridError: they are of other numbers of pixels.

    Example:
        >>> shape_rates(np.array([0, 0, 1]), np.array([1, 1, 2]), np.array([0, 1, 1], dtype=np.uint8))
        ShapeRates(unchanged=array([0.5]), changed=array([1.]))
    """
    if not target.shape == shapes.shape == change.shape:
        raise GridError(
            f"{target.shape} classes, {shapes.shape} shapes, {change.shape} decisions: give one of each a pixel"
        )
    rates = []
    for code in (UNCHANGED, CHANGED):
        own = (target == code) & (change != NO_DATA)
        _, shape, pixels = np.unique(shapes[own], return_inverse=True, return_counts=True)
        rates.append(np.bincount(shape, weights=change[own] == code, minlength=len(pixels)) / pixels)
    return ShapeRates(*rates)


@dataclass(frozen=True)
class SaidOfChange:
    """What a map's probabilities are, as far as their calibration stands on it.

    Attributes:
        changed: of each changed shape the mean probability of its pixels, ``(m,)``, 0 to 1.
        mean: mean probability of the scene's pixels.
        square: mean of their squares.
    """

    changed: NDArray[np.float64]
    mean: float
    square: float


@dataclass(frozen=True)
class DrawnScores:
    """Scores of a map on its whole scene, as far as shapes tell them.

    Attributes:
        scores: the median of each score, by name.
        intervals: its interval, by name.
        share: of the scene that changed, the median.
        share_interval: its interval.
    """

    scores: Mapping[str, float]
    intervals: Mapping[str, Interval]
    share: float
    share_interval: Interval


def score_drawn(
    rates: ShapeRates,
    *,
    called: float,
    share: float | None = None,
    share_interval: Interval | None = None,
    said: SaidOfChange | None = None,
    level: float = 0.95,
    draws: int = 4000,
    seed: int = 0,
) -> DrawnScores:
    """Scores of a map under the scene's own share of change, with intervals over shapes.

    Both rates are drawn by the Bayesian bootstrap over shapes. Beside those that somebody drew stand half a shape
    that is right and half a shape that is wrong (Jeffreys), or, in every other draw, one of each (Laplace): where
    few are wrong the two differ, and nothing chooses between them. So of 15 shapes that are all right, the rate of
    error is not 0 but anything up to 19 %. A shape that is partly right counts as part of a right one and part of
    a wrong one, which is never too narrow. One drawing in a hundred is taken to be unlike its scene, and to tell
    nothing. Of the rates only those are possible that the share called changed allows; each pair gives the share
    that did change, and counts as much as that share is likely.

    The Brier score of the scene, the mean of (p - y)^2 over probabilities p and truth y, needs shapes of one class
    alone: it is the mean of p^2, which the map tells, and share - 2 share E(p | changed).

    Args:
        rates: of each shape the share called right.
        called: share of the scene's pixels that the map calls changed, 0 to 1.
        share: of the scene that changed, where something else than the map tells it.
        share_interval: its 95 % interval; by default that of a label-free map, which is near in most scenes and
            off by a factor of seven in others: a Cauchy distribution of its log-odds.
        said: what the probabilities behind the map are; adds the Brier score.
        level: of the intervals, between 0 and 1.
        draws: number of draws.
        seed: seed of the draws; one seed gives one interval.

    Returns:
        Scores by the names of :data:`~hsi_cd.evaluation.scores.SCORE_NAMES`, and ``brier`` beside ``said``.

    Raises:
        ConfigError: a number is out of its range, or a class has no shape.

    Reference:
        Rubin 1981, doi:10.1214/aos/1176345338; Rogan and Gladen 1978, doi:10.1093/oxfordjournals.aje.a112510
    """
    if not 0 <= called <= 1 or not 0 < level < 1 or draws < 1 or (share is not None and not 0 < share < 1):
        raise ConfigError(
            f"called {called}, share {share}, level {level}, {draws} draws: expected shares and a level between 0 "
            "and 1, and at least 1 draw"
        )
    if not len(rates.unchanged) or not len(rates.changed):
        raise ConfigError("a class has no shape that judges: draw shapes of both")
    random = np.random.default_rng(seed)
    q = min(max(called, 1e-6), 1 - 1e-6)
    # A map that calls so much changed has found at least so much of the change, and no more of the rest.
    false = _rate(1 - rates.unchanged, 0.0, q, random.random(draws))
    lots = random.random(draws)
    found = _rate(rates.changed, q, 1.0, lots)
    apart = np.maximum(found - false, 1e-12)
    shares = np.clip((q - false) / apart, 1e-9, 1 - 1e-9)
    weight = 1 / apart
    if share is not None:
        weight = weight * _likelihood(shares, share, share_interval) / (shares * (1 - shares))
    drawn = _scores(shares, found, false)
    if said is not None:
        drawn["brier"] = _brier(shares, said, lots)
    medians = {name: _quantile(values, weight, 0.5) for name, values in drawn.items()}
    intervals = {name: _ends(values, weight, level) for name, values in drawn.items()}
    return DrawnScores(medians, intervals, _quantile(shares, weight, 0.5), _ends(shares, weight, level))


def known_share(share: float, *, level: float = 0.95) -> Interval:
    """Within what a share that somebody tells is taken to be right: its odds times or through 1.25.

    People tell such a share in one significant digit, and 0.02 means anything from 0.015 to 0.025: a quarter more
    or less. What a label-free map says, off by a factor above 1.6 in half of the scenes, is believed far less.

    Example:
        >>> ends = known_share(0.02)
        >>> round(ends.low, 4), round(ends.high, 4)
        (0.0161, 0.0249)
    """
    odds = scipy.special.logit(share) + np.array([-1, 1]) * np.log(_TOLD)
    low, high = scipy.special.expit(odds)
    return Interval(float(low), float(high), level)


def _brier(shares: NDArray[np.float64], said: SaidOfChange, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Brier score at each share; who finds more of the change, by the same lot, is surer of it, too."""
    sure = _rate(said.changed, 0.0, 1.0, uniform)
    # No more probability lies on what changed than on all of the scene; nor do squares (Cauchy and Schwarz).
    sure = np.minimum(sure, np.minimum(said.mean / shares, np.sqrt(said.square / shares)))
    return said.square + shares - 2 * shares * sure


def _likelihood(shares: NDArray[np.float64], told: float, ends: Interval | None) -> NDArray[np.float64]:
    """How likely each share is where one was told, up to a factor, in log-odds."""
    off = scipy.special.logit(shares) - scipy.special.logit(told)
    if ends is None:
        return np.asarray(1 / (1 + (off / _OFF) ** 2), dtype=np.float64)
    odds = scipy.special.logit(np.clip([ends.low, ends.high], 1e-9, 1 - 1e-9))
    squares = (off * 2 * 1.96 / max(float(odds[1] - odds[0]), 1e-3)) ** 2 / 2
    return np.asarray(np.exp(squares.min() - squares), dtype=np.float64)


def _rate(hits: NDArray[np.float64], low: float, high: float, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws of a rate between two bounds, given the share of each shape that hit."""
    beside = np.where(np.arange(len(uniform)) % 2, 0.5, 1.0)
    a, b = beside + float(hits.sum()), beside + float((1 - hits).sum())
    below, above = scipy.special.betainc(a, b, low), scipy.special.betainc(a, b, high)
    like, unlike = (1 - _UNLIKE) * (above - below), _UNLIKE * (high - low)
    part = like / (like + unlike)
    place = np.minimum(uniform / np.maximum(part, 1e-300), 1)
    told = scipy.special.betaincinv(a, b, below + place * (above - below))
    anything = low + np.maximum(uniform - part, 0) / (1 - part) * (high - low)
    return np.clip(np.where(uniform < part, told, anything), low, high)


def _scores(
    share: NDArray[np.float64], found: NDArray[np.float64], false: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """The scores of confusion matrices of these rates, in shares of the scene."""
    tp, fn, fp, tn = share * found, share * (1 - found), (1 - share) * false, (1 - share) * (1 - false)
    chance = (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn)
    return {
        "oa": tp + tn,
        "aa": (found + 1 - false) / 2,
        "kappa": 2 * (tp * tn - fp * fn) / np.maximum(chance, 1e-300),
        "f1": 2 * tp / np.maximum(2 * tp + fp + fn, 1e-300),
        "precision": tp / np.maximum(tp + fp, 1e-300),
        "recall": found,
        "iou": tp / np.maximum(tp + fp + fn, 1e-300),
        "accuracy_unchanged": 1 - false,
        "accuracy_changed": found,
    }


def _ends(values: NDArray[np.float64], weight: NDArray[np.float64], level: float) -> Interval:
    low, high = (_quantile(values, weight, part) for part in ((1 - level) / 2, (1 + level) / 2))
    return Interval(low, high, level)


def _quantile(values: NDArray[np.float64], weight: NDArray[np.float64], part: float) -> float:
    """The value below which so much of the weight lies."""
    order = np.argsort(values)
    passed = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(passed, part * passed[-1])])
