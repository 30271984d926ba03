"""Whether what is called changed differs as other ground does: small differences are drift, light and shift.

A score says how unusual a difference is, and where the dates agree to a hair a shift of a third of a pixel is most
unusual. But what changed has become other ground. How much other ground differs is seen by comparing each pixel of
date 1 with a pixel of date 2 from elsewhere: half of these pairs differ by less than the median, most drift by far
less than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.joint_spectra import SampledSpectra
from hsi_cd.detectors.mutual_prediction import standardised_length
from hsi_cd.detectors.tail import ShareOfChange, share_of_change, told
from hsi_cd.detectors.thresholds import Posterior, ScoreHistogram, Threshold, nothing_changed
from hsi_cd.prepare.transform import SceneTransform

_LEAST = 0.3  # of the median difference of unrelated pixels that half of what is called changed must reach
_HALF, _SURE = 0.5, 0.9  # of what is called changed that must be that large, and where it is not, from higher up
_FEWEST = 5  # pixels of the sample that can tell


@dataclass(frozen=True)
class ChangeSizes:
    """Scores and sizes of a sample of a scene's pixels, the highest score first.

    Attributes:
        score: float ``(pixels,)``.
        large: share of the pixels up to each that differ as much as other ground does, ``(pixels,)``.
    """

    score: NDArray[np.floating]
    large: NDArray[np.float64]

    @classmethod
    def of(cls, score: NDArray[np.floating], spectra: SampledSpectra, transform: SceneTransform) -> Self:
        """Those of a sample with the scores ``(pixels,)``."""
        half, dates = spectra.pixels // 2, np.split(spectra.values, 2)
        unrelated = SampledSpectra(np.concatenate([dates[0], np.roll(dates[1], half, axis=1)]))
        usual = float(np.median(standardised_length(unrelated, transform)))
        size, order = standardised_length(spectra, transform), np.argsort(-score, kind="stable")
        large = np.cumsum(size[order] >= _LEAST * usual) / np.arange(1, len(order) + 1)
        return cls(score[order], large)

    def large_from(self, value: float) -> float:
        """Share of the pixels from a score on that differ as much as other ground does; 1 where there are few."""
        count = int(np.count_nonzero(self.score >= value))
        return 1.0 if count < _FEWEST else float(self.large[count - 1])

    def least(self, value: float) -> float:
        """``value`` if half of the pixels from it on are large; else from where nine in ten are, or infinity."""
        if self.large_from(value) >= _HALF:
            return value
        count = int(np.count_nonzero(self.score >= value))
        enough = np.flatnonzero(self.large[_FEWEST - 1 : count] >= _SURE)
        return float(self.score[enough[-1] + _FEWEST - 1]) if len(enough) else np.inf


def large_enough(
    histogram: ScoreHistogram, threshold: Threshold, posterior: Posterior, sizes: ChangeSizes
) -> tuple[Threshold, Posterior]:
    """A threshold by the tail, raised until half of what is called changed differs as other ground does.

    Args:
        histogram: scores of the whole scene.
        threshold: by the tail.
        posterior: of it.
        sizes: of a sample of the scene.
    """
    share = share_of_change(threshold)
    if share is None or not share.value or (value := sizes.least(threshold.value)) == threshold.value:
        return threshold, posterior
    if not np.isfinite(value):
        found, none = nothing_changed(histogram, identical=True)
        nothing = told(ShareOfChange(0.0, 0.0, share.high))
        return Threshold(threshold.method, found.value, found.found | nothing), none
    called = histogram.above(value) / histogram.total
    less = share.value * called / threshold.found["share"]
    found_now = threshold.found | {"share": called} | told(ShareOfChange(less, min(share.low, less), share.high))
    return Threshold(threshold.method, value, found_now), Posterior(float(np.log(value)), posterior.slope)
