"""A threshold that knows rare change: where scores are commoner than unchanged ground accounts for.

Unchanged ground is not normal: it has borders, moisture, shadows, and its scores a heavy upper tail. What it does
not do is exceed a few times its own median often. That tail was measured on scenes in which nothing changed
(docs/methods.md, Thresholds), in medians of the scores, so that neither a scale nor light nor noise moves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from hsi_cd.detectors.mixture import fit_mixture, has_valley, slope_of
from hsi_cd.detectors.thresholds import (
    Posterior,
    ScoreHistogram,
    Threshold,
    automatic,
    bin_centres,
    has_one_class,
    nothing_changed,
    otsu,
)

_REACH, _POWER = (
    2.1,
    8.0,
)  # medians, and how fast the tail falls: a tenth of (reach / score)^power is above a score
_FALSE = 0.1  # share of what is called changed that may be expected to be unchanged
_STRICT = 0.01  # the same for the lower end of the share
_OF_ONE_NUMBER = (
    0.3  # medians that a tenth of the scores is below: the size of one number alone, half a normal bell
)
_FEWEST = 5  # pixels that make a tail
_FEW = 64  # scores: fewer have none
_SAME = 0.1  # share of scores of 0 from which the median tells nothing of the others


@dataclass(frozen=True)
class ShareOfChange:
    """How much of a scene changed, by the excess over the tail of unchanged ground.

    Attributes:
        value: what is called changed, less what of it is expected to be unchanged.
        low: the same of the scores of which one in a hundred is expected to be unchanged.
        high: the largest excess over the tail from any score on; change that lies among the unchanged scores
            is not in it.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """In words, as ``1.7 % (0.5 to 2.4 %)`` or ``no change found (at most 0.01 %)``."""
        value, low, high = (f"{100 * share:.2g}" for share in (self.value, self.low, self.high))
        return f"{value} % ({low} to {high} %)" if self.value > 0 else f"no change found (at most {high} %)"


def share_of_change(threshold: Threshold) -> ShareOfChange | None:
    """What a threshold found of the scene that it was chosen on; None where it estimates no share."""
    found = threshold.found
    if "classes" in found and not found.get("share", 0.0):
        return ShareOfChange(0.0, 0.0, found.get("changed_high", 0.0))
    if "changed_share" not in found:
        return None
    return ShareOfChange(*(found[f"changed_{name}"] for name in ("share", "low", "high")))


def expected_above(medians: NDArray[np.floating]) -> NDArray[np.float64]:
    """Share of unchanged scores above so many medians, at most 1.

    Example:
        >>> expected_above(np.array([4.2])).round(5).tolist()
        [0.00039]
    """
    tail: NDArray[np.float64] = np.minimum(_FALSE * (_REACH / np.maximum(medians, 1e-9)) ** _POWER, 1.0)
    return tail


def tail_threshold(histogram: ScoreHistogram, *, usual: float = 0.0) -> tuple[Threshold, Posterior]:
    """The lowest score from which on at most a tenth of the pixels is expected to be unchanged.

    This is the false discovery rate of a scene's histogram against an empirical null: the share of unchanged
    pixels above a score, by :func:`expected_above`, over the share of all pixels above it. The rarer change is,
    the farther out it has to lie. Where change is a class of its own, behind a valley of the density, and Otsu's
    threshold on the root of the score lies higher still, that one is taken. Where no score is commoner than
    unchanged ground accounts for, nothing is changed.

    Args:
        histogram: scores of a whole scene.
        usual: median score of unchanged pixels, where more than half of the scene changed; that of all by default.

    Returns:
        The threshold and a posterior probability that is 0.5 there.

    Reference:
        Efron 2004, doi:10.1198/016214504000000089; Otsu 1979, doi:10.1109/TSMC.1979.4310076
    """
    counts, total = histogram.counts, histogram.total
    if total < _FEW or counts[0] > _SAME * total:
        return automatic(histogram)
    middle = usual or histogram.quantile(0.5)
    medians = np.exp(bin_centres()) / middle
    above = np.cumsum(counts[::-1])[::-1] / total
    expected, enough = expected_above(medians), above * total >= _FEWEST
    if histogram.quantile(0.1) < _OF_ONE_NUMBER * middle:
        expected = np.maximum(expected, scipy.special.erfc(scipy.special.erfinv(0.5) * medians))
    discovered = enough & (expected <= _FALSE * above) & (medians > 1)
    one_class = not usual and has_one_class(histogram)
    if one_class or not discovered.any():
        threshold, posterior = nothing_changed(histogram, identical=not one_class)
        far = threshold.found["share"]
        share = ShareOfChange(far, far, far if one_class else _excess(above, expected))
        return Threshold("tail", threshold.value, {"classes": 1.0, "share": far} | told(share)), posterior
    first = int(np.argmax(discovered))
    used = np.flatnonzero(counts[1:]) + 1
    x, weight = bin_centres()[used], counts[used].astype(np.float64)
    valley = used.size >= 8 and has_valley(fit_mixture(x, weight, 3, tied=False))
    if valley and not usual and (split := otsu(histogram, power=0.5).value) > middle * medians[first]:
        first = int(np.searchsorted(bin_centres(), math.log(split)))
    edge = float(bin_centres()[first])
    called, wrong = float(above[first]), float(expected[first])
    strict = enough & (expected <= _STRICT * above) & (np.arange(len(above)) >= first)
    low = float((above - expected)[int(np.argmax(strict))]) if strict.any() else 0.0
    value = max(called - wrong, low)
    share = ShareOfChange(value, low, max(value, _excess(above, expected)))
    slope = slope_of(fit_mixture(x, weight, 2, tied=True), edge) if used.size >= 8 else 1.0
    found = {"valley": float(valley), "medians": float(medians[first]), "share": called} | told(share)
    return Threshold("tail", math.exp(edge), found), Posterior(edge, slope)


def _excess(above: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    return float(max((above - expected).max(), 0.0))


def told(share: ShareOfChange) -> dict[str, float]:
    """The share as a threshold keeps it, see :func:`share_of_change`."""
    return {"changed_share": share.value, "changed_low": share.low, "changed_high": share.high}
