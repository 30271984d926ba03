"""k-means on the features of superpixels: the regions say what change looks like, each pixel is judged by that."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.decision import (
    THRESHOLD_OPTIONS,
    UNDECIDED,
    Decision,
    decision_from_state,
    minimum_noise,
)
from hsi_cd.detectors.evidence import decide_by_evidence
from hsi_cd.detectors.frontend import Frontend, fit_frontend, frontend_from_state
from hsi_cd.detectors.method_options import choose_options
from hsi_cd.detectors.mixture import STEEPEST
from hsi_cd.detectors.slic import region_means, segment
from hsi_cd.detectors.states import finite, rebuilding
from hsi_cd.detectors.thresholds import Posterior, Threshold
from hsi_cd.errors import BandError
from hsi_cd.prepare.components import row_windows
from hsi_cd.prepare.measurement import Measurement, Scene, measured
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.progress import progress
from hsi_cd.scene import Bands

log = logging.getLogger(__name__)

SUPERPIXEL_OPTIONS: dict[str, Any] = THRESHOLD_OPTIONS | {
    "components": 16,
    "registration": True,
    "reach": 2,
    "range": 3.0,
    "region": 25,
    "clusters": 4,
}
"""Options: minimum-noise components, half the smoothing window (pixels) and its range (noise deviations), mean
size of a region (pixels; 25 is the smoothing window's area), number of clusters (4: quiet and disturbed ground
without change, weak and strong change). The threshold ``nearest`` gives each pixel to the nearest centre, and
``evidence`` starts from it."""

_LEADING = 4  # components of each date that regions follow: the last ones are noise, and blur the edges
_SAMPLE = 200_000  # regions that the clusters are fitted on: more move no centre, and memory stays bounded
_STARTS = 10  # of the k-means; the best counts
_LARGEST_SHARE = 0.5  # of a scene that is change: as in the mixture of thresholds.py
_ARRAYS = ("usual", "scale", "centres", "changed")
_LEAST = 0.5  # deviations of unchanged differences, root mean square over the components, that change must reach
_FAR = 5.0  # deviations in each component that count as change where none was found
_NORMAL = 1.4826  # deviations of a normal distribution to a median absolute deviation


@dataclass(frozen=True)
class SuperpixelDetector:
    """Whether a pixel's smoothed difference is nearer to a centre of changed or of unchanged superpixels.

    With the squared distances ``d_u`` and ``d_c`` to the nearest unchanged and changed centre, and the distance
    ``gap`` between both groups' means, a pixel's place is ``t = (d_u - d_c) / gap^2``: 0 half-way, and for two
    clusters -1 and 1 at the centres. Beyond the changed centre it goes on to rise, where a ratio of distances
    would fall again. The score is ``t + sqrt(t^2 + 1)``, which orders the pixels as t does and is positive, as
    the thresholds' logarithms need: 1 half-way, about ``2 t`` for strong change, and towards 0 for none.

    Attributes:
        frontend: from stored values to smoothed minimum-noise components.
        usual: median of the regions' differences, float64 ``(components,)``.
        scale: scatter of unchanged differences, float64 ``(components,)``; see :func:`robust_scale`.
        centres: of the clusters, float64 ``(clusters, components)``, the one of least difference first.
        changed: which clusters are change, bool ``(clusters,)``.
        gap: distance between the mean of the unchanged and of the changed regions.
        decision: threshold and posterior.
    """

    frontend: Frontend
    usual: NDArray[np.float64]
    scale: NDArray[np.float64]
    centres: NDArray[np.float64]
    changed: NDArray[np.bool_]
    gap: float
    decision: Decision = UNDECIDED

    method = "superpixel"
    unit = "score"
    degrees = None

    @property
    def bands(self) -> Bands:
        """The bands it was fitted on."""
        return self.frontend.bands

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        return self.frontend.radius

    @property
    def threshold(self) -> float:
        """Score from which a pixel counts as changed."""
        return self.decision.threshold.value

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Places between the clusters, 1 half-way; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        return self.score_components(*self.frontend.project(t1, t2))

    def score_components(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of components that the front end has projected; see :class:`ComponentScoring`."""
        first, second = self.frontend.finish(first, second)
        features = features_of(first.astype(np.float64) - second, self.usual, self.scale)
        # Centre by centre: all distances at once would need clusters times the memory of the features.
        squared = np.stack([np.square(features - c[:, None, None]).sum(axis=0) for c in self.centres])
        place = (squared[~self.changed].min(axis=0) - squared[self.changed].min(axis=0)) / self.gap**2
        # exp(arcsinh(t)) is t + sqrt(t^2 + 1) without the cancellation where t is far below 0.
        score: NDArray[np.float64] = np.exp(np.arcsinh(place))
        return score.astype(np.float32)

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of change of each score, NaN for NaN."""
        return self.decision.posterior(score)

    def parameters(self) -> int:
        """Number of fitted numbers."""
        return int(self.usual.size + self.scale.size + self.centres.size + self.changed.size + 1)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`superpixel_from_state` builds the detector again."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in _ARRAYS}
        return {
            "frontend": self.frontend.state(),
            "gap": self.gap,
            "decision": self.decision.state(),
            **arrays,
        }


def robust_scale(
    means: NDArray[np.float64], noise: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What differences are usual where nothing changed, by median and median absolute deviation.

    Less than half of a scene changes, so both tell of unchanged ground: its seasons and its light, which differ in
    some components far more than the noise, and are no change. But no component counts by less than its noise: one
    that carries nothing else would be as loud as the others, once the regions' means have freed it of noise.

    Args:
        means: of each region's difference, float64 ``(components, regions)``.
        noise: deviation of each component's noise in one date, ``(components,)``.

    Returns:
        Median and scale, each float64 ``(components,)``.
    """
    usual = np.median(means, axis=1)
    scatter = _NORMAL * np.median(np.abs(means - usual[:, None]), axis=1)
    return usual, np.maximum(scatter, np.sqrt(2) * np.maximum(noise.astype(np.float64), 1e-6))


def features_of(
    difference: NDArray[np.float64], usual: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What regions and pixels are clustered by: ``sqrt(1 + |difference - usual| / scale) - 1`` of each component.

    The root draws in the long upper tail, which would else have the few strongest changes for a cluster and take
    the rest for unchanged. Added to 1, it has not the infinite slope at 0 that would blow up rounding.

    Args:
        difference: of the components, float64 ``(components, ...)``.
        usual: difference of unchanged ground, ``(components,)``.
        scale: of the differences, ``(components,)``.

    Returns:
        float64, the shape of ``difference``; NaN where it is.
    """
    across = (-1, *[1] * (difference.ndim - 1))
    features: NDArray[np.float64] = (
        np.sqrt(1 + np.abs(difference - usual.reshape(across)) / scale.reshape(across)) - 1
    )
    return features


def merge_clusters(magnitude: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which clusters are change: those above the cut with the greatest variance between both sides (Otsu).

    Only cuts count that leave at most half of the scene above, if there is any: quiet and disturbed ground can lie
    further apart than disturbed ground and change.

    Args:
        magnitude: mean magnitude of each cluster, ascending, ``(clusters,)``.
        weight: pixels of each cluster, ``(clusters,)``.

    Returns:
        bool ``(clusters,)``: false at least at the first, and true from the cut on, at least at the last.
    """
    below, mass = np.cumsum(weight)[:-1], np.cumsum(weight * magnitude)[:-1]
    total, everything = weight.sum(), (weight * magnitude).sum()
    above = total - below
    between = below * above * np.square(mass / below - (everything - mass) / above)
    allowed = above <= _LARGEST_SHARE * total
    allowed[-1] = True
    cut = int(np.argmax(np.where(allowed, between, -np.inf)))
    changed: NDArray[np.bool_] = np.arange(len(magnitude)) > cut
    return changed


def fit_superpixel(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> SuperpixelDetector:
    """Change by k-means on the features of superpixels, without labels.

    SLIC cuts the scene into regions that follow the edges of either date: their mean difference is almost free of
    noise and of mixed pixels, so that k-means on the regions, each weighted by its size, sees the ground's classes
    of difference. The clusters are merged into changed and unchanged by their mean magnitude, and their centres
    are kept. The regions themselves are not: a pixel's region depends on the window it is seen in. What a region's
    mean is to the fit, the edge-preserving mean of the pixel's own neighbours is to its score.

    The scene is segmented in blocks of whole rows, in one pass; a region that a block's edge cuts counts as two.
    Of a scene with more than 200,000 regions, every n-th is kept.

    Args:
        scene: the scene, or its measurement.
        options: see :data:`SUPERPIXEL_OPTIONS`.
        seed: of the k-means.

    Raises:
        BandError: there are not two regions that differ.
        ConfigError: an option is out of its range, as fewer than two clusters.

    Reference:
        Achanta et al. 2012, doi:10.1109/TPAMI.2012.120 (SLIC); Celik 2009, doi:10.1109/LGRS.2009.2025059 (k-means)
    """
    chosen, measurement = choose_options(options, SUPERPIXEL_OPTIONS, method="superpixel"), measured(scene)
    frontend = fit_frontend(measurement, minimum_noise(chosen), reach=chosen["reach"], tolerance=chosen["range"])
    rows, cols = measurement.pair.shape
    every = max(1, int(np.ceil(rows * cols / chosen["region"] / _SAMPLE)))
    means, size = _sample(frontend, measurement, region=chosen["region"], every=every)
    clusters = min(chosen["clusters"], len(np.unique(means, axis=1).T))
    if clusters < 2 and not measurement.identical:
        raise BandError(
            f"the dates differ alike in all of {len(size)} regions: superpixel needs two that differ; "
            "check that the two dates are not the same file, and that they overlap"
        )
    detector, slope, found_change = _cluster(frontend, means, size, clusters=clusters, seed=seed)
    if chosen["threshold"] not in ("evidence", "nearest"):
        return decide_by_evidence(detector, measurement, chosen)
    found = {
        "gap": detector.gap,
        "regions": float(len(size)),
        "clusters": float(clusters),
        "changed_clusters": float(detector.changed.sum()),
    }
    if not found_change:
        found["classes"] = 1.0
    own = Decision(Threshold(chosen["threshold"], 1.0, found), Posterior(0.0, slope))
    return decide_by_evidence(detector, measurement, chosen, own=own)


def _regions(
    frontend: Frontend, measurement: Measurement, *, region: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Yield the mean differences and the sizes of each block's regions, as :func:`region_means` gives them."""
    noise = np.maximum(frontend.transform.noise, 1e-6)
    leading = slice(0, _LEADING)
    # As in the smoothing, two pixels differ by 1 that are `range` noise deviations apart in every component.
    scale = 1 / (frontend.tolerance * np.sqrt(2 * len(noise[leading])) * noise[leading])
    blocks = progress(list(row_blocks(*measurement.pair.shape)), desc="regions", unit="block")
    for _, window in row_windows(blocks, frontend.of_scene(measurement), radius=frontend.radius):
        first, second = frontend.finish(*window)
        known = np.isfinite(first[0])
        if not known.any():
            continue
        key = np.concatenate([date[leading] * scale.astype(np.float32)[:, None, None] for date in (first, second)])
        labels = segment(np.where(known, key, np.float32(0)), region=region)
        yield region_means((first.astype(np.float64) - second)[:, known], labels[known])


def _sample(
    frontend: Frontend, measurement: Measurement, *, region: int, every: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean differences ``(components, regions)`` and sizes ``(regions,)`` of every n-th region of a scene."""
    parts, sizes = [], []
    seen = 0
    # Here and not inside score(): the limit is one for the whole process, and score() runs in several threads.
    with single_threaded("blas"):
        for found, size in _regions(frontend, measurement, region=region):
            kept = slice(-seen % every, None, every)
            seen += len(size)
            parts.append(found[:, kept])
            sizes.append(size[kept].astype(np.float64))
    if not parts:
        raise BandError("no pixel has data in all bands of both dates: the dates must overlap")
    log.debug("superpixel: %d of %d regions are clustered", sum(map(len, sizes)), seen)
    return np.concatenate(parts, axis=1), np.concatenate(sizes)


def _cluster(
    frontend: Frontend, means: NDArray[np.float64], size: NDArray[np.float64], *, clusters: int, seed: int
) -> tuple[SuperpixelDetector, float, bool]:
    """The undecided detector, the slope of its posterior, and whether a class of change was found."""
    usual, scale = robust_scale(means, frontend.transform.noise)
    features = features_of(means, usual, scale).T
    label, centres, inertia = _k_means(features, size, clusters=clusters, seed=seed)
    # The magnitude is that of the differences themselves, not of their roots, which draw change and no change
    # closer together than quiet and disturbed ground.
    length = np.linalg.norm((means - usual[:, None]) / scale[:, None], axis=0)
    weight = np.bincount(label, weights=size).astype(np.float64)
    magnitude = np.bincount(label, weights=size * length) / weight
    order = np.argsort(magnitude)
    magnitude, weight, centres = magnitude[order], weight[order], np.ascontiguousarray(centres[order])
    found = len(weight) > 1 and float(magnitude[-1]) >= _LEAST * math.sqrt(len(usual))
    if found:
        changed = merge_clusters(magnitude, weight)
    else:  # all is one class; change is what lies far off it
        far = features_of(usual + _FAR * scale, usual, scale)
        centres = np.stack([np.average(features, axis=0, weights=size), far])
        changed, weight = np.array([False, True]), np.ones(2)
    unchanged_mean, changed_mean = (
        np.average(centres[group], axis=0, weights=weight[group]) for group in (~changed, changed)
    )
    gap = float(np.linalg.norm(changed_mean - unchanged_mean))
    # Between equally likely, equally wide round classes the log-odds are (d_u - d_c) / (2 variance), which is
    # gap^2 / (2 variance) times the place t; and near the threshold log score = t.
    variance = inertia / (size.sum() * features.shape[1])
    slope = float(np.clip(gap**2 / max(2 * variance, 1e-12), 1.0, STEEPEST))
    return SuperpixelDetector(frontend, usual, scale, centres, changed, gap), slope, found


def _k_means(
    features: NDArray[np.float64], size: NDArray[np.float64], *, clusters: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """Cluster of each region, from 0 without a gap, the centres, and the weighted sum of squares about them."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with single_threaded(), warnings.catch_warnings():  # the sums would else depend on the number of threads
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct regions than clusters: fewer clusters
        fitted = KMeans(clusters, n_init=_STARTS, random_state=seed).fit(features, sample_weight=size)
    there, label = np.unique(fitted.labels_, return_inverse=True)
    centres = fitted.cluster_centers_[there].astype(np.float64)
    return np.asarray(label, dtype=np.int64), centres, float(fitted.inertia_)


def superpixel_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> SuperpixelDetector:
    """The detector that :meth:`SuperpixelDetector.state` described; it computes on the CPU whatever ``device`` is.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    with rebuilding("detector"):
        frontend, decision = frontend_from_state(state["frontend"]), decision_from_state(state["decision"])
        gap, changed = float(state["gap"]), state["changed"].numpy()
        components, clusters = frontend.transform.components, len(changed)
        shapes = {"usual": (components,), "scale": (components,), "centres": (clusters, components)}
        arrays = {name: finite(name, state[name], shape) for name, shape in shapes.items()}
        if changed.dtype != np.bool_ or changed.all() or not changed.any() or not 0 < gap < math.inf:
            raise ValueError(f"{int(changed.sum())} of {clusters} clusters are change, {gap:g} apart")
        if not (arrays["scale"] > 0).all():
            raise ValueError("scale is not positive")
        return SuperpixelDetector(frontend, **arrays, changed=changed, gap=gap, decision=decision)
