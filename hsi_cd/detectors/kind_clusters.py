"""Groups of change vectors: which vectors are of one kind, and how many kinds there are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError

Floats = NDArray[np.float64]
Grouping = Literal["vectors", "directions", "c2va", "mean-shift"]

MOST_KINDS = 32
"""Kinds that may be asked for: more have no colours that people tell apart."""
BANDWIDTHS = (1e-3, 1e2)
"""Range of the bandwidth of mean shift, in root mean square distances of the vectors from their mean."""

_TRIED = range(2, 16)  # numbers of kinds among which auto chooses
_NO_STRUCTURE = 0.3  # best silhouette of few groups up to which there is one kind: its parts reach .29
_FEW = 6  # groups: with more, silhouettes of the parts of one kind grow
_APART = 0.7  # of the best silhouette: groups that lie less apart are parts of a kind
_STRENGTH = 0.8  # of prediction, from which two halves find the same groups (Tibshirani and Walther 2005)
_STARTS = 20  # of the k-means, on some of the vectors; the best goes on with all
_STARTED = 2000  # vectors
_JUDGED = 2000  # vectors whose silhouettes are compared: they need all distances
_SHIFTED = 400  # vectors that mean shift moves, each by its distances to all
_BANDWIDTHS_TRIED = tuple(float(x) for x in np.geomspace(0.2, 1.2, 7))
_LEAST_SHARE = 0.01  # of the vectors a mode must have: fewer are noise, and belong to the nearest other


@dataclass(frozen=True)
class KindOptions:
    """How changed pixels are grouped.

    Attributes:
        count: number of kinds, 1 to 32; None to choose it: the most of 2 to 15 groups that two halves of the
            vectors find alike (prediction strength .8 or more) and whose mean silhouette is at least .7 of the
            best; 1 where that of 2 to 6 groups is .3 at most. Mean shift finds it itself.
        by: ``vectors`` (k-means on whitened change vectors), ``directions`` (on their directions), ``c2va`` (on
            the one angle of compressed change vector analysis), or ``mean-shift`` (modes of their density).
        bandwidth: of mean shift, in root mean square distances of the vectors from their mean, 1e-3 to 1e2; None
            for the one under which two halves of the vectors agree best.

    Raises:
        ConfigError: a value is out of its range, or says something of another grouping.
    """

    count: int | None = None
    by: Grouping = "vectors"
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        if self.by not in get_args(Grouping):
            raise ConfigError(f"kinds are grouped by {self.by!r}: expected {', '.join(get_args(Grouping))}")
        if self.count is not None and not (type(self.count) is int and 1 <= self.count <= MOST_KINDS):
            raise ConfigError(f"kinds is {self.count!r}: expected a whole number from 1 to {MOST_KINDS}, or auto")
        if self.by == "mean-shift" and self.count is not None:
            raise ConfigError(f"kinds is {self.count}, but mean shift finds how many there are: give kinds='auto'")
        if self.bandwidth is not None:
            if self.by != "mean-shift":
                raise ConfigError(
                    f"a bandwidth is of mean shift, and kinds are grouped by {self.by}: leave it out"
                )
            low, high = BANDWIDTHS
            if not low <= self.bandwidth <= high:  # not of NaN either
                raise ConfigError(f"the bandwidth is {self.bandwidth!r}: expected {low:g} to {high:g}")


def shaped(vectors: Floats, by: Grouping) -> Floats:
    """What of change vectors is compared.

    Args:
        vectors: whitened, ``(pixels, components)``.
        by: how they are grouped.

    Returns:
        ``(pixels, features)``: for ``c2va`` the angle to the vector of equal parts,
        ``arccos(sum(d) / (|d| sqrt(n)))``, 0 to pi.
    """
    if by in ("vectors", "mean-shift"):
        return vectors
    length = np.maximum(np.sqrt(np.square(vectors).sum(axis=1, keepdims=True)), 1e-12)
    directions: Floats = vectors / length
    if by == "directions":
        return directions
    cosine = directions.sum(axis=1, keepdims=True) / math.sqrt(vectors.shape[1])
    angle: Floats = np.arccos(np.clip(cosine, -1, 1))
    return angle


def nearest(features: Floats, centres: Floats) -> NDArray[np.intp]:
    """The nearest centre of each; centre by centre, since all distances at once would need their number in memory.

    Args:
        features: ``(pixels, features)``.
        centres: ``(kinds, features)``.
    """
    squared = np.stack([np.square(features - centre).sum(axis=1) for centre in centres])
    found: NDArray[np.intp] = squared.argmin(axis=0)
    return found


def find_centres(features: Floats, options: KindOptions) -> tuple[Floats, dict[str, float]]:
    """The centres of the kinds.

    Args:
        features: of :func:`shaped`, ``(pixels, features)``, at least one.
        options: how they are grouped.

    Returns:
        Centres, ``(kinds, features)``, and what led to them.

    Reference:
        Bovolo, Marchesi and Bruzzone 2012, doi:10.1109/TGRS.2011.2171493 (compressed change vectors);
        Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7 (silhouettes); Tibshirani and Walther 2005,
        doi:10.1198/106186005X59243 (prediction strength); Comaniciu and Meer 2002,
        doi:10.1109/34.1000236 (mean shift)
    """
    if options.by == "mean-shift":
        return _modes(features[:_SHIFTED], options.bandwidth)
    different = len(np.unique(features, axis=0))
    if options.count is not None:
        return _k_means(features, min(options.count, different)), {}
    return _as_many_as_differ(features, different)


def _k_means(features: Floats, count: int) -> Floats:
    """The best of many starts, which are the same each time: no seed decides what the kinds are."""
    from sklearn.cluster import KMeans

    some = features[:_STARTED]
    if len(np.unique(some, axis=0)) < count:
        some = features
    started = KMeans(count, n_init=_STARTS, random_state=0).fit(some).cluster_centers_
    found: Floats = KMeans(count, init=started, n_init=1).fit(features).cluster_centers_
    return found


def _as_many_as_differ(features: Floats, different: int) -> tuple[Floats, dict[str, float]]:
    """The most groups that lie apart, and that halves find alike.

    Silhouettes alone favour two groups where one kind differs from all others far more than these from one
    another; halves alone find the parts of a large kind alike, too. What passes both is neither.
    """
    from sklearn.metrics import silhouette_score

    judged = features[:_JUDGED]
    found: list[tuple[float, Floats]] = []
    for count in _TRIED:
        if count >= min(different, len(judged)):
            break
        centres = _k_means(features, count)
        own = nearest(judged, centres)
        found.append((float(silhouette_score(judged, own)) if np.ptp(own) else -1.0, centres))
    best = max((score for score, _ in found), default=-1.0)
    if max((score for score, centres in found if len(centres) <= _FEW), default=-1.0) > _NO_STRUCTURE:
        for score, centres in reversed(found):
            if score >= _APART * best and (alike := prediction_strength(judged, len(centres))) >= _STRENGTH:
                return centres, {"silhouette": score, "prediction strength": alike}
    return features.mean(axis=0, keepdims=True), {"silhouette": best}


def prediction_strength(features: Floats, count: int) -> float:
    """How far two halves find the same groups: 1 where each group of one is inside a group of the other.

    Of each group of a half, of one percent of it at least: the share of its pairs that the other half's centres
    leave together. The least of these, averaged over both halves.

    Args:
        features: ``(pixels, features)``, in an order that says nothing; every second is a half.
        count: number of groups.

    Reference:
        Tibshirani and Walther 2005, doi:10.1198/106186005X59243
    """
    halves = [features[half::2] for half in (0, 1)]
    if min(len(np.unique(half, axis=0)) for half in halves) <= count:
        return 0.0
    centres = [_k_means(half, count) for half in halves]
    told = []
    for half, own, other in ((halves[0], *centres), (halves[1], *reversed(centres))):
        table = np.zeros((count, count))
        np.add.at(table, (nearest(half, own), nearest(half, other)), 1)
        sizes = table.sum(axis=1)
        large = sizes >= max(2.0, _LEAST_SHARE * len(half))
        together = (table * (table - 1)).sum(axis=1)[large] / (sizes * (sizes - 1))[large]
        told.append(float(together.min()))
    return float(np.mean(told))


def _modes(features: Floats, bandwidth: float | None) -> tuple[Floats, dict[str, float]]:
    scale = math.sqrt(float(np.square(features - features.mean(axis=0)).sum(axis=1).mean()))
    if not scale > 0:
        return features[:1], {}
    chosen = _stable_bandwidth(features, scale) if bandwidth is None else bandwidth
    return _shift(features, chosen * scale), {"bandwidth": chosen}


def _shift(features: Floats, bandwidth: float) -> Floats:
    """The modes that hold enough of the vectors, at most so many as there are kinds."""
    from sklearn.cluster import MeanShift

    fitted = MeanShift(bandwidth=bandwidth).fit(features)
    share = np.bincount(fitted.labels_, minlength=len(fitted.cluster_centers_)) / len(features)
    order = np.argsort(-share, kind="stable")[:MOST_KINDS]
    kept = order[share[order] >= _LEAST_SHARE]
    centres: Floats = fitted.cluster_centers_[kept if len(kept) else order[:1]]
    return centres


def _stable_bandwidth(features: Floats, scale: float) -> float:
    """The bandwidth under which the modes of two halves give all vectors the most alike groups, two at least.

    Of bandwidths that agree as well the largest, which has the fewest kinds; the largest of all where none gives
    two kinds.
    """
    from sklearn.metrics import adjusted_rand_score

    best, agreed = _BANDWIDTHS_TRIED[-1], 0.0
    for tried in _BANDWIDTHS_TRIED:
        halves = [_shift(features[half::2], tried * scale) for half in (0, 1)]
        if min(map(len, halves)) < 2:
            continue
        alike = float(adjusted_rand_score(*(nearest(features, centres) for centres in halves)))
        if alike >= agreed:
            best, agreed = tried, alike
    return best
