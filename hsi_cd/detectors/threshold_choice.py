"""The threshold that a method's options name, on the histogram of its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hsi_cd.detectors.tail import tail_threshold
from hsi_cd.detectors.thresholds import (
    THRESHOLDS,
    Posterior,
    ScoreHistogram,
    Threshold,
    automatic,
    chi_square,
    fixed_share,
    nothing_changed,
    otsu,
    two_means,
)
from hsi_cd.errors import ConfigError, unknown_name


def choose_threshold(
    histogram: ScoreHistogram,
    method: str,
    *,
    level: float = 0.0,
    degrees: int | None = None,
    usual: float = 0.0,
) -> tuple[Threshold, Posterior]:
    """The threshold of a method, and the posterior probability of change.

    The posterior is that of the ``tail`` where this is asked for, and else the automatic one.

    Args:
        histogram: scores of a whole scene.
        method: a name of :data:`THRESHOLDS`.
        level: quantile of ``chi2`` or share of ``share``; their own default for 0.
        degrees: degrees of freedom of the squared score, or None where it is not chi-square distributed.
        usual: median score of unchanged pixels for the ``tail``, where more than half of the scene changed.

    Raises:
        UnknownNameError: there is no such method.
        ConfigError: the method does not fit the score, or the level is out of range.
    """
    if method not in THRESHOLDS:
        raise unknown_name("threshold", method, THRESHOLDS)
    if np.count_nonzero(histogram.counts) == 1 and method in ("auto", "tail", "evidence", "otsu", "kmeans"):
        # All pixels score the same: there are no two classes to be told apart.
        return nothing_changed(histogram, identical=True)
    if method == "tail":
        return tail_threshold(histogram, usual=usual)
    found, posterior = automatic(histogram)
    if method == "auto":
        return found, posterior
    if method == "evidence":
        return replace(found, method=method), posterior
    if method == "nearest":
        raise ConfigError("threshold nearest needs clusters: use celik or superpixel, or auto")
    if method == "chi2":
        if degrees is None:
            raise ConfigError(
                "threshold chi2 needs a score with a known distribution: use irmad, sfa or isfa, or auto"
            )
        return chi_square(degrees, **({"level": level} if level else {})), posterior
    if method == "share":
        return fixed_share(histogram, **({"level": level} if level else {})), posterior
    plain: dict[str, Callable[[ScoreHistogram], Threshold]] = {"otsu": otsu, "kmeans": two_means}
    return plain[method](histogram), posterior
