"""Where more than half of a scene changed: unchanged ground is looked for among the pixels that differ least.

Reweighting that starts from all pixels learns what most of them do, and where most changed that is the change.
Of the quarter of the pixels whose standardised spectra differ least, most are unchanged even then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.canonical import CanonicalMap, iterate_canonical
from hsi_cd.detectors.change_size import ChangeSizes
from hsi_cd.detectors.joint_spectra import SampledSpectra
from hsi_cd.detectors.mixture import fit_mixture
from hsi_cd.detectors.mutual_prediction import fit_prediction, standardised_length
from hsi_cd.detectors.reweighting import chi_square_weight, joint_moments
from hsi_cd.detectors.tail import tail_threshold
from hsi_cd.detectors.thresholds import ScoreHistogram, bin_centres
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.transform import SceneTransform

_ALIKE = 0.25  # of the pixels start the fit, and anchor its reweighting
_DEEP = 2.0  # times as dense as the valley between them: two classes
_DIFFERS = 0.9  # of what is beyond the tail that differs as other ground does; where most changed, .99 do
_MOST = 0.4  # of the scores beyond the tail of unchanged ground: about half of the scene, some of which is missed


@dataclass(frozen=True)
class Majority:
    """What tells unchanged pixels where most of a scene changed.

    Attributes:
        unchanged: differences that are small where nothing changed.
        usual: median score of unchanged pixels.
    """

    unchanged: CanonicalMap
    usual: float


def find_majority(
    spectra: SampledSpectra, smoothed: SampledSpectra, transform: SceneTransform, chosen: Mapping[str, Any]
) -> Majority | None:
    """What tells unchanged pixels, if more than half of the scene changed; None where less did, or none is sure.

    That is where, by the fit that starts from the pixels that differ least, more than two fifths of the scores lie
    beyond the tail of those that it keeps for unchanged (of 60 % changed it finds 40 to 60 %), a valley of the
    density parts the two, and nine in ten of what is beyond differ as other ground does: a fit that starts from
    few materials takes the others for change.

    Args:
        spectra: a sample of the scene, unsmoothed.
        smoothed: of the same pixels.
        transform: from bands to components.
        chosen: the options of the reweighting.

    Reference:
        Rousseeuw and Van Driessen 2006, doi:10.1007/s10618-005-0024-4 (least trimmed squares: fits that start from
        few pixels and are repeated on those that they fit best)
    """
    length = standardised_length(spectra, transform)
    alike = length <= np.quantile(length, _ALIKE)
    start = Moments.of(spectra.values[:, alike].astype(np.float64))
    unchanged = iterate_canonical(
        spectra,
        iterations=chosen["iterations"],
        tolerance=chosen["tolerance"],
        ridge=chosen["ridge"],
        quiet=_ALIKE,
        start=start,
    )
    weights = [chi_square_weight(unchanged.squared(joint), len(unchanged.offset)) for joint in smoothed]
    weight = np.concatenate(weights)
    prediction = fit_prediction(joint_moments(smoothed, weights=iter(weights)), joint_moments(smoothed), transform)
    score = np.concatenate([prediction.score(joint) for joint in smoothed])
    usual, histogram = usual_score(score, weight), ScoreHistogram()
    histogram.add(score)
    threshold, _ = tail_threshold(histogram, usual=usual)
    if threshold.found["share"] <= _MOST or not parted(histogram, usual):
        return None
    differs = ChangeSizes.of(score, smoothed, transform).large_from(threshold.value) >= _DIFFERS
    return Majority(unchanged, usual) if differs else None


def parted(histogram: ScoreHistogram, usual: float) -> bool:
    """Whether the density of the log score halves beyond the ``usual`` one, and doubles again."""
    used = np.flatnonzero(histogram.counts[1:]) + 1
    if used.size < 8:
        return False
    fit = fit_mixture(bin_centres()[used], histogram.counts[used].astype(np.float64), 3, tied=False)
    density = fit.densities(np.linspace(math.log(usual), fit.mean[-1] + fit.deviation[-1], 400)).sum(axis=0)
    beyond = np.maximum.accumulate(density[::-1])[::-1]
    return bool((np.minimum(beyond, density[0]) > _DEEP * density).any())


def usual_score(score: NDArray[np.floating], weight: NDArray[np.float64]) -> float:
    """Median of the scores, each counted by its weight."""
    order = np.argsort(score)
    cumulated = np.cumsum(weight[order])
    return float(score[order][int(np.searchsorted(cumulated, cumulated[-1] / 2))])
