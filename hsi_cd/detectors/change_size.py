"""Whether what is called changed differs as other ground does: small differences are drift, light and shift.

A score says how unusual a difference is, and where the dates agree to a hair a shift of a third of a pixel is most
unusual. But what changed has become other ground. How much other ground differs is seen by comparing each pixel of
date 1 with a pixel of date 2 from elsewhere: half of these pairs differ by less than the median, most drift by far
less than that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.joint_spectra import SampledSpectra
from hsi_cd.detectors.mutual_prediction import standardised_length
from hsi_cd.detectors.rare_drift import drifting
from hsi_cd.detectors.tail import ShareOfChange, share_of_change, told
from hsi_cd.detectors.thresholds import Posterior, ScoreHistogram, Threshold, nothing_changed
from hsi_cd.prepare.transform import SceneTransform

_LEAST = 0.3  # of the median difference of unrelated pixels that half of what is called changed must reach
_HALF, _SURE = 0.5, 0.9  # of what is called changed that must be other ground, and where it is not, from higher up
_FEWEST = 5  # pixels of the sample that can tell


@dataclass(frozen=True)
class ChangeSizes:
    """Scores and sizes of a sample of a scene's pixels.

    Attributes:
        score: float ``(pixels,)``, in the sample's order.
        large: whether each differs as much as other ground does, bool ``(pixels,)``.
        spectra: the sample.
    """

    score: NDArray[np.floating]
    large: NDArray[np.bool_]
    spectra: SampledSpectra

    @classmethod
    def of(cls, score: NDArray[np.floating], spectra: SampledSpectra, transform: SceneTransform) -> Self:
        """Those of a sample with the scores ``(pixels,)``."""
        half, dates = spectra.pixels // 2, np.split(spectra.values, 2)
        unrelated = replace(spectra, values=np.concatenate([dates[0], np.roll(dates[1], half, axis=1)]))
        usual = float(np.median(standardised_length(unrelated, transform)))
        return cls(score, standardised_length(spectra, transform) >= _LEAST * usual, spectra)

    def large_from(self, value: float) -> float:
        """Share of the pixels from a score on that differ as much as other ground does; 1 where there are few."""
        called = self.score >= value
        return 1.0 if np.count_nonzero(called) < _FEWEST else float(self.large[called].mean())

    def least(self, value: float) -> float:
        """``value`` if half of the pixels from it on became other ground; else from where nine in ten did.

        That is, they differ as much as other ground does, and are not of a rare material all of which drifted.
        Infinity where no score is high enough.
        """
        called = self.score >= value
        if np.count_nonzero(called) < _FEWEST:
            return value
        order = np.argsort(-self.score, kind="stable")[: np.count_nonzero(called)]
        changed = (self.large & ~drifting(self.spectra, called))[order]
        share = np.cumsum(changed) / np.arange(1, len(order) + 1)
        if share[-1] >= _HALF:
            return value
        enough = np.flatnonzero(share[_FEWEST - 1 :] >= _SURE)
        return float(self.score[order[enough[-1] + _FEWEST - 1]]) if len(enough) else np.inf


def large_enough(
    histogram: ScoreHistogram, threshold: Threshold, posterior: Posterior, sizes: ChangeSizes
) -> tuple[Threshold, Posterior]:
    """A threshold by the tail, raised until half of what is called changed became other ground.

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
