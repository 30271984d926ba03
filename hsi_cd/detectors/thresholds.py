"""From the scores of a whole scene to the score from which a pixel counts as changed. No labels are read.

All methods work on one histogram of the logarithm of the score: it is filled in one streaming pass, merges across
processes, and tells every score to 0.6 %, from 1e-11 to 1e11.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import scipy.special
from numpy.typing import NDArray

from hsi_cd.detectors.mixture import STEEPEST, crossing_of, fit_mixture, has_valley, slope_of
from hsi_cd.errors import ConfigError

_LOW, _HIGH, _BINS = -25.0, 25.0, 8192
_FEW = 64  # scores: fewer tell no mixture
_WORTH_A_COMPONENT = 1e-3  # nats a score; BIC takes neighbours for independent, and never stops
_LARGEST_PRIOR = 0.5  # of change
_TAILS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # shares of the scores whose quantiles tell how far a tail reaches
_IN_A_TAIL = 5  # scores: fewer tell no quantile
# Largest skew and reach of one class, see has_one_class.
_ONE_CLASS = ((1.3, 1.05), (1.05, 1.15), (0.9, 1.45))
_FARTHEST = 2.0  # times as far as the farthest of so many Rayleigh scores: no noise goes there
_DEEP = 2.0  # times as dense as the valley before it: a class of its own, however near
_BEYOND = 1e-7  # share of unchanged scores above the threshold where no pixel is changed


def bin_centres() -> NDArray[np.float64]:
    """Logarithms of the scores in the middle of the histogram's bins, float64 ``(8192,)``."""
    width = (_HIGH - _LOW) / _BINS
    return np.asarray(_LOW + width * (np.arange(_BINS) + 0.5), dtype=np.float64)


@dataclass
class ScoreHistogram:
    """How often which score occurs, equally wide bins in the logarithm.

    Attributes:
        counts: int64 ``(8192,)``; scores below exp(-25), zero among them, are in the first bin.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, dtype=np.int64))

    def add(self, scores: NDArray[np.floating]) -> None:
        """Count ``scores``, any shape, not negative; NaN is left out."""
        known = scores[np.isfinite(scores)].astype(np.float64)
        log = np.log(np.maximum(known, 1e-300))
        index = np.clip(((log - _LOW) * (_BINS / (_HIGH - _LOW))).astype(np.int64), 0, _BINS - 1)
        self.counts += np.bincount(index, minlength=_BINS)

    @property
    def total(self) -> int:
        """Number of scores."""
        return int(self.counts.sum())

    def above(self, score: float) -> int:
        """Number of scores from ``score`` on, to a bin."""
        return int(self.counts[bin_centres() >= math.log(max(score, 1e-300))].sum())

    def quantile(self, share: float) -> float:
        """Score below which ``share`` of all scores lie, to half a bin; 0 where there are none."""
        if self.total == 0:
            return 0.0
        cumulated = np.cumsum(self.counts)
        return float(np.exp(bin_centres()[int(np.searchsorted(cumulated, share * self.total))]))


@dataclass(frozen=True)
class Posterior:
    """Probability of change for a score: ``1 / (1 + exp(-slope (log score - centre)))``.

    Two bells of equal width in the log score have exactly this posterior; it rises everywhere.

    Attributes:
        centre: logarithm of the score that is as likely changed as not.
        slope: how fast doubt turns into certainty.
    """

    centre: float
    slope: float

    def __call__(self, score: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probabilities of ``score``, the same shape; NaN where the score is NaN."""
        log = np.log(np.maximum(score, 1e-300, dtype=np.float64))
        return np.asarray(scipy.special.expit(self.slope * (log - self.centre)), dtype=np.float32)


@dataclass(frozen=True)
class Threshold:
    """A threshold and what led to it.

    Attributes:
        method: the method's name.
        value: score from which a pixel counts as changed.
        found: what the method found, for the result's record.
    """

    method: str
    value: float
    found: dict[str, float]


def otsu(histogram: ScoreHistogram, *, power: float = 1.0) -> Threshold:
    """The split of the scores into two classes with the greatest variance between them.

    Args:
        histogram: scores of a whole scene.
        power: exponent that the scores are raised to first; 1 is the method as published.

    Reference:
        Otsu 1979, doi:10.1109/TSMC.1979.4310076
    """
    value = np.exp(power * bin_centres())
    weight = histogram.counts / max(histogram.total, 1)
    share, mass = np.cumsum(weight), np.cumsum(weight * value)
    between = np.square(mass[-1] * share - mass) / np.maximum(share * (1 - share), 1e-12)
    best = int(np.argmax(between))
    variance = float((weight * np.square(value - mass[-1])).sum())
    found = {"separability": float(between[best]) / max(variance, 1e-300), "share": float(1 - share[best])}
    return Threshold("otsu", float(np.exp(bin_centres()[best] + (_HIGH - _LOW) / _BINS / 2)), found)


def two_means(histogram: ScoreHistogram) -> Threshold:
    """Half-way between the means of two classes, each score in the class of the nearer mean (k-means, k = 2).

    Starts from the 10 % and 99 % quantiles and repeats until nothing moves, as Lloyd's algorithm does.
    """
    value, counts = np.exp(bin_centres()), histogram.counts
    low, high = histogram.quantile(0.1), histogram.quantile(0.99)
    for _ in range(1000):
        upper = value >= (low + high) / 2
        n_low, n_high = counts[~upper].sum(), counts[upper].sum()
        new_low = float(counts[~upper] @ value[~upper]) / n_low if n_low else low
        new_high = float(counts[upper] @ value[upper]) / n_high if n_high else high
        if (new_low, new_high) == (low, high):
            break
        low, high = new_low, new_high
    share = float(counts[value >= (low + high) / 2].sum()) / max(histogram.total, 1)
    return Threshold("kmeans", (low + high) / 2, {"low": low, "high": high, "share": share})


def chi_square(degrees: int, *, level: float = 0.999) -> Threshold:
    """The ``level`` quantile of the score of an unchanged pixel, whose square is chi-square distributed.

    Args:
        degrees: degrees of freedom: the number of squares that the squared score sums.
        level: share of the unchanged pixels that stay below.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level {level!r} of the chi-square threshold: expected between 0 and 1, as 0.999")
    value = float(np.sqrt(scipy.special.chdtri(degrees, 1 - level)))
    return Threshold("chi2", value, {"level": level, "degrees": float(degrees)})


def fixed_share(histogram: ScoreHistogram, *, level: float = 0.1) -> Threshold:
    """The score that a share ``level`` of all pixels reaches."""
    if not 0 < level < 1:
        raise ConfigError(f"level {level!r} of the share threshold: expected between 0 and 1, as 0.1")
    return Threshold("share", histogram.quantile(1 - level), {"share": level})


def has_one_class(histogram: ScoreHistogram) -> bool:
    """Whether the scores are those of one class alone, as where nothing changed.

    The length of a difference of noise is distributed as the root of a weighted sum of squared normal numbers. Its
    logarithm leans to the left, or is about even, and its upper tail reaches no farther than that of two equal
    normal numbers (Rayleigh's), whose quantile of ``1 - p`` is ``sqrt(log2(1 / p))`` medians. Change puts scores
    far above the median: they lean to the right, or reach farther. What leans more to the left may reach a little
    farther, since heavy tails on both sides are noise of unequal strength.

    Args:
        histogram: scores of a whole scene.
    """
    counts = histogram.counts
    total = histogram.total
    # Where many pixels are identical to the last bit, the others are a class of their own.
    if total < _FEW or counts[0] > 0.1 * total:
        return False
    cumulated, centres = np.cumsum(counts), bin_centres()

    def log_quantile(share: float) -> float:
        return float(centres[int(np.searchsorted(cumulated, share * total))])

    middle, skew, reach = log_quantile(0.5), 0.0, 0.0
    used = np.flatnonzero(counts[1:]) + 1
    if used.size >= 8:
        fit = fit_mixture(centres[used], counts[used].astype(np.float64), 3, tied=False)
        if has_valley(fit, depth=_DEEP):
            return False
    for tail in (p for p in (0.05, *_TAILS) if p == 0.05 or p * total >= _IN_A_TAIL):
        up, down = log_quantile(1 - tail) - middle, middle - log_quantile(tail)
        skew = max(skew, up / max(down, (_HIGH - _LOW) / _BINS))
        reach = max(reach, float(np.exp(up)) / math.sqrt(math.log2(1 / tail)))
    return any(skew < most and reach <= farthest for most, farthest in _ONE_CLASS)


def nothing_changed(histogram: ScoreHistogram, *, identical: bool = False) -> tuple[Threshold, Posterior]:
    """A threshold above all scores of one class.

    Pixels far beyond it, if there are any, alone are changed; none where the dates are ``identical``.
    """
    middle = histogram.quantile(0.5)
    highest = float(np.exp(bin_centres()[int(np.flatnonzero(histogram.counts)[-1])] + (_HIGH - _LOW) / _BINS))
    value = middle * math.sqrt(math.log2(1 / _BEYOND))
    if identical or highest <= _FARTHEST * middle * math.sqrt(math.log2(histogram.total)):
        value = max(value, highest)
    share = float(histogram.counts[bin_centres() >= math.log(value)].sum() / histogram.total)
    return Threshold("auto", value, {"classes": 1.0, "share": share}), Posterior(math.log(value), STEEPEST)


def automatic(histogram: ScoreHistogram) -> tuple[Threshold, Posterior]:
    """The automatic threshold, and a posterior probability that is 0.5 there.

    Where the density of the log score falls from its peak and rises again (a valley: change is a class of its
    own), the threshold is Otsu's on the root of the score, whose long upper tail would else draw it up. Where the
    density falls on and on, change hides in the tail of no-change, and Otsu takes too much of it: there a mixture
    is fitted by EM, whose prior adapts to rare change, of one log-normal component of change and one of
    no-change, or two where the second (disturbed ground) explains the scores better by 0.001 nats a pixel. Where
    the scores are those of one class alone (:func:`has_one_class`), nothing is changed.

    Args:
        histogram: scores of a whole scene.

    Returns:
        The threshold and the posterior.

    Reference:
        Otsu 1979, doi:10.1109/TSMC.1979.4310076; Bruzzone and Fernandez Prieto 2000, doi:10.1109/36.843009 (EM)
    """
    if has_one_class(histogram):
        return nothing_changed(histogram)
    root = otsu(histogram, power=0.5)
    counts = histogram.counts.astype(np.float64)
    counts[0] = 0  # identical pixels: unchanged for certain, and no part of any bell
    used = np.flatnonzero(counts)
    if counts.sum() < _FEW or used.size < 8:
        found = root.found | {"components": 0.0}
        return Threshold("auto", root.value, found), Posterior(float(np.log(root.value)), STEEPEST)
    x, weight = bin_centres()[used], counts[used]
    valley = has_valley(fit_mixture(x, weight, 3, tied=False))
    fitted = fit_mixture(x, weight, 2, tied=True)
    if not valley:
        third = fit_mixture(x, weight, 3, tied=True)
        fitted = third if third.likelihood > fitted.likelihood + _WORTH_A_COMPONENT else fitted
    crossing = crossing_of(fitted)
    # A mixture that calls most of the scene changed, or nothing, has taken one class for both.
    sound = crossing is not None and crossing < x[-1] and fitted.share[-1] <= _LARGEST_PRIOR
    by_mixture = crossing is not None and sound and not valley
    edge = float(crossing) if by_mixture and crossing is not None else float(np.log(root.value))
    found = {
        "valley": float(valley),
        "by_mixture": float(by_mixture),
        "components": float(len(fitted.share)),
        "otsu": root.value,
        "prior": float(fitted.share[-1]),
        "unchanged": float(np.exp(fitted.mean[0])),
        "changed": float(np.exp(fitted.mean[-1])),
        "share": float(counts[bin_centres() >= edge].sum() / histogram.total),
    }
    return Threshold("auto", float(np.exp(edge)), found), Posterior(
        edge, slope_of(fitted, crossing if crossing is not None else edge)
    )


THRESHOLDS = {
    "auto": "Otsu on the root of the score, with a mixture (EM) where change hides in the tail of no-change",
    "tail": "at most a tenth of what is called changed is expected to be unchanged, by the tail of no-change",
    "evidence": "auto, or the method's own, moved to a share of change near the one that the default finds",
    "nearest": "the nearer of the clusters' centres",
    "otsu": "greatest variance between the two classes",
    "kmeans": "half way between the means of two clusters",
    "chi2": "a quantile of the score's distribution where nothing changed",
    "share": "a fixed share of the pixels is changed",
}
"""Thresholds by name, with one line on each."""
