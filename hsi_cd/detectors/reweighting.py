"""Moments of both dates together, with each pixel weighted by its probability of no change.

What IR-MAD and iterated SFA share: passes over a scene whose spectra may not fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
import scipy.special
from numpy.typing import NDArray

from hsi_cd.detectors.joint_spectra import Spectra
from hsi_cd.detectors.thresholds import ScoreHistogram
from hsi_cd.errors import BandError
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.scratch import scratch_array
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.windows import read_ahead

Map = TypeVar("Map", bound="DifferenceMap")


@dataclass(frozen=True)
class DifferenceMap:
    """Differences of combinations of both dates' components, each scaled to the deviation it has without change.

    Attributes:
        weight: float64 ``(features, 2 components)``.
        offset: float64 ``(features,)``.
    """

    weight: NDArray[np.float64]
    offset: NDArray[np.float64]

    def scaled(self, factor: float) -> Self:
        """The map whose squared differences are ``factor`` times as large."""
        root = float(np.sqrt(factor))
        return replace(self, weight=self.weight * root, offset=self.offset * root)

    def squared(self, spectra: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared length of the scaled differences of ``spectra (2 components, pixels)``, ``(pixels,)``."""
        difference = self.weight @ spectra
        difference += self.offset[:, None]
        squared: NDArray[np.float64] = np.einsum("fp,fp->p", difference, difference)
        return squared


def joint_moments(
    spectra: Iterable[NDArray[np.float64]], *, weights: Iterable[NDArray[np.float64]] | None = None
) -> Moments:
    """Moments of both dates together, in one pass.

    Args:
        spectra: blocks ``(2 components, pixels)``.
        weights: of the pixels of each block, ``(pixels,)``; all 1 by default.

    Raises:
        BandError: no pixel has any weight.
    """
    total: Moments | None = None
    weigh = iter(weights) if weights is not None else None
    # One thread: see prepare/statistics.py.
    with single_threaded("blas"):
        for values in read_ahead(spectra):
            part = Moments.of(values, weight=None if weigh is None else next(weigh))
            total = part if total is None else total + part
    if total is None or total.count <= 0:
        raise BandError("no pixel has data in all bands of both dates: the dates must overlap")
    return total


def _squared_differences(spectra: Spectra, fitted: DifferenceMap) -> list[NDArray[np.float64]]:
    """Squared differences of all valid pixels, ``(pixels,)`` for each block of ``spectra``; one pass.

    Raises:
        OutputError: there is no room for that file.
    """
    kept: NDArray[np.float64] = scratch_array((spectra.pixels,), np.float64)  # type: ignore[assignment]
    parts, start = [], 0
    with single_threaded("blas"):
        for values in read_ahead(spectra):
            parts.append(kept[start : start + values.shape[1]])
            parts[-1][:] = fitted.squared(values)
            start += values.shape[1]
    return parts


def chi_square_weight(squared: NDArray[np.float64], degrees: int) -> NDArray[np.float64]:
    """Probability that an unchanged pixel's squared score is larger still."""
    return np.asarray(scipy.special.chdtrc(degrees, squared), dtype=np.float64)


def _spread_scale(squared: Iterable[NDArray[np.float64]], *, share: float, degrees: int) -> float:
    """Factor that brings the ``share`` quantile of squared differences to that of the chi-square distribution.

    Reweighted methods measure the spread of what the last iteration kept, which shrinks with every iteration if
    the differences have heavier tails than normal ones: at last a handful of pixels is left that agree by chance.
    Anchored to a quantile of all pixels, the weights cannot shrink.

    Args:
        squared: differences, any shapes.
        share: of all pixels, taken to be unchanged; 0 leaves the spread as it is.
        degrees: degrees of freedom.
    """
    if not share:
        return 1.0
    histogram = ScoreHistogram()
    for values in squared:
        histogram.add(values)
    return float(scipy.special.chdtri(degrees, 1 - share)) / max(histogram.quantile(share), 1e-12)


def anchored(spectra: Spectra, fitted: Map, *, quiet: float) -> Map:
    """``fitted`` with the spread of its differences anchored to all pixels; one pass, none for ``quiet`` 0.

    Args:
        spectra: of both dates.
        fitted: the map.
        quiet: share of the pixels taken to be unchanged, see :func:`_spread_scale`.
    """
    if not quiet:
        return fitted
    squared = _squared_differences(spectra, fitted)
    return fitted.scaled(_spread_scale(squared, share=quiet, degrees=len(fitted.offset)))


def reweighted(spectra: Spectra, fitted: Map, *, quiet: float) -> tuple[Map, Moments]:
    """:func:`anchored`, and the moments with each pixel weighted by its probability of no change; two passes."""
    squared = _squared_differences(spectra, fitted)
    factor = _spread_scale(squared, share=quiet, degrees=len(fitted.offset))
    weights = (chi_square_weight(factor * part, len(fitted.offset)) for part in squared)
    return fitted.scaled(factor), joint_moments(spectra, weights=weights)


def too_much_alike(ridge: float) -> BandError:
    """The error of bands whose covariance is singular with this ridge."""
    return BandError(f"the bands are too much alike for a ridge of {ridge:g}: raise the option ridge, as to 0.001")
