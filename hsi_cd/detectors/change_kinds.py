"""Kinds of change without labels: changed pixels grouped by how they changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.decision import minimum_noise, scene_scores
from hsi_cd.detectors.frontend import Frontend, fit_frontend
from hsi_cd.detectors.kind_clusters import Grouping, KindOptions, find_centres, nearest, shaped
from hsi_cd.detectors.labelfree import AUTO_OPTIONS
from hsi_cd.prepare.components import row_windows
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.statistics import row_blocks

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

_SAMPLE = 20_000  # changed pixels that are grouped, and pairs of them that are compared
_ENOUGH = 10  # vectors for each component, or a covariance is mostly chance
_OF_OTHER_KINDS = 0.3  # share of neighbouring pairs that may lie across the border of two kinds
_ROUNDS = 5  # of the trimmed covariance: it settles in three or four


@dataclass(frozen=True)
class ChangeKinds:
    """From the components of both dates to a kind of change: the nearest centre of whitened change vectors.

    Attributes:
        frontend: from stored values to registered, smoothed minimum-noise components.
        usual: difference of unchanged ground, float64 ``(components,)``.
        weight: from differences to whitened vectors, float64 ``(components, components)``.
        centres: of the kinds, float64 ``(kinds, features)``.
        by: what of the vectors is compared.
        found: what led to the centres.
    """

    frontend: Frontend
    usual: Floats
    weight: Floats
    centres: Floats
    by: Grouping
    found: Mapping[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of kinds."""
        return len(self.centres)

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its kind depends on."""
        return self.frontend.radius

    def of_window(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Kinds of a mirror-padded window, as if all of it had changed.

        Args:
            t1: stored values, float32 ``(bands, h + 2 radius, w + 2 radius)``, NaN for no data.
            t2: the later date, the same shape.

        Returns:
            uint8 ``(h, w)``: 1 to K, 0 where either date has no data.
        """
        return self.of_difference(_difference(*self.frontend.apply(t1, t2)))

    def of_difference(self, difference: Floats) -> NDArray[np.uint8]:
        """The same of differences ``(components, h, w)``."""
        kinds = np.zeros(difference.shape[1:], dtype=np.uint8)
        known = np.isfinite(difference[0])
        if self.count and known.any():
            vectors = (difference[:, known].T - self.usual) @ self.weight
            kinds[known] = 1 + nearest(shaped(vectors, self.by), self.centres)
        return kinds

    def ordered(self, order: NDArray[np.intp]) -> ChangeKinds:
        """The kinds in another order, or some of them."""
        return replace(self, centres=self.centres[order])


def fit_kinds(
    detector: Detector,
    measurement: Measurement,
    options: KindOptions,
    *,
    settings: Mapping[str, Any] | None = None,
) -> ChangeKinds:
    """Group what a detector calls changed in the scene that was measured.

    Change vectors are differences of registered, smoothed minimum-noise components, less the mean difference of
    unchanged ground, whitened: by the scatter of unchanged differences, and by that of changed pixels a smoothing
    window apart, of which most are of one kind. The second is what one kind holds of brighter, drier and denser
    ground; without it, the largest kind falls into its parcels.

    At most 20,000 changed pixels are grouped, drawn by their place alone: neither a seed nor the tiling decides.

    Args:
        detector: says what changed.
        measurement: of the scene.
        options: how changed pixels are grouped.
        settings: of the front end, as :data:`~hsi_cd.detectors.labelfree.AUTO_OPTIONS` has them; others are
            passed over.

    Raises:
        BandError: bands without data or variation.
    """
    own = AUTO_OPTIONS | {name: value for name, value in (settings or {}).items() if name in AUTO_OPTIONS}
    frontend = fit_frontend(measurement, minimum_noise(own), reach=own["reach"], tolerance=own["range"])
    seen = _Seen(2 * frontend.reach + 1)
    with single_threaded("blas"):
        for rows, difference, changed in changed_differences(detector, frontend, measurement):
            seen.add(rows, difference, changed)
        vectors, pairs = seen.vectors.values, seen.pairs.values
        components = frontend.transform.components
        if not len(vectors):
            log.warning("nothing is called changed, so there are no kinds of change")
            none = np.zeros((0, components))
            return ChangeKinds(frontend, np.zeros(components), np.eye(components), none, options.by)
        usual, weight = _whitening(seen.quiet, pairs, frontend.transform.noise)
        centres, found = find_centres(shaped((vectors - usual) @ weight, options.by), options)
    return ChangeKinds(frontend, usual, weight, centres, options.by, found)


def changed_differences(
    detector: Detector, frontend: Frontend, measurement: Measurement
) -> Iterator[tuple[slice, Floats, NDArray[np.int8]]]:
    """The differences of a scene in blocks of rows, and what a detector says of them.

    Yields:
        The block's rows; differences, float64 ``(components, rows, cols)``; 1 changed, 0 unchanged, -1 unknown.
    """
    blocks = list(row_blocks(*measurement.pair.shape))
    windows = row_windows(blocks, frontend.of_scene(measurement), radius=frontend.radius)
    for (rows, scores), (_, window) in zip(scene_scores(detector, measurement), windows, strict=True):
        difference = _difference(*frontend.finish(*window))
        said = (scores >= detector.threshold).astype(np.int8)
        said[np.isnan(scores)] = -1
        yield rows, difference, said


def _difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> Floats:
    return second.astype(np.float64) - first


class _Sample:
    """Vectors of the lowest of numbers that their places give them: the same ones however the scene is cut."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.uint64], Floats]] = []
        self._held = 0

    def add(self, places: NDArray[np.int64], vectors: Floats) -> None:
        self._parts.append((_scrambled(places), vectors))
        self._held += len(vectors)
        if self._held > 3 * _SAMPLE:
            self._parts = [self._lowest()]
            self._held = len(self._parts[0][1])

    @property
    def values(self) -> Floats:
        return self._lowest()[1] if self._parts else np.zeros((0, 0))

    def _lowest(self) -> tuple[NDArray[np.uint64], Floats]:
        numbers, vectors = (np.concatenate(each) for each in zip(*self._parts, strict=True))
        order = np.argsort(numbers, kind="stable")[:_SAMPLE]
        return numbers[order], vectors[order]


class _Seen:
    """What a pass over the scene gathers: unchanged moments, changed vectors, and pairs of changed neighbours."""

    def __init__(self, apart: int) -> None:
        self.quiet: Moments | None = None
        self.vectors, self.pairs = _Sample(), _Sample()
        self._apart = apart

    def add(self, rows: slice, difference: Floats, said: NDArray[np.int8]) -> None:
        known = np.isfinite(difference[0])
        quiet, changed = known & (said == 0), known & (said == 1)
        moments = Moments.of(difference[:, quiet])
        self.quiet = moments if self.quiet is None else self.quiet + moments
        height, cols = changed.shape
        places = (np.arange(rows.start, rows.stop)[:, None] * cols + np.arange(cols)).astype(np.int64)
        self.vectors.add(places[changed], difference[:, changed].T)
        for number, (down, right) in enumerate(((self._apart, 0), (0, self._apart))):
            ends = np.s_[down:, right:], np.s_[: max(height - down, 0), : max(cols - right, 0)]
            both = changed[ends[0]] & changed[ends[1]]
            far, near = (difference[(slice(None), *end)][:, both].T for end in ends)
            self.pairs.add(2 * places[ends[1]][both] + number, far - near)


def _scrambled(places: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number for each place, as if drawn by lot (SplitMix64's finaliser)."""
    mixed = places.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    out: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return out


def _whitening(quiet: Moments | None, pairs: Floats, noise: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Mean unchanged difference, and what vectors are multiplied with: see :func:`fit_kinds`."""
    count = len(noise)
    if quiet is not None and quiet.count >= _ENOUGH * count:
        usual, scatter = quiet.mean, quiet.scatter / quiet.count
    else:  # all has changed: there is the noise of two dates
        usual, scatter = np.zeros(count), np.diag(2 * np.square(noise.astype(np.float64)))
    weight = _whitener(scatter)
    if len(pairs) >= _ENOUGH * count:
        weight = weight @ _whitener(np.eye(count) + _trimmed(pairs @ weight) / 2)
    return usual, weight


def _trimmed(vectors: Floats) -> Floats:
    """Second moments of vectors without the share that lies farthest off by them, as pairs of two kinds do."""
    moments: Floats = vectors.T @ vectors / len(vectors)
    for _ in range(_ROUNDS):
        far = np.square(vectors @ _whitener(moments)).sum(axis=1)
        kept = vectors[far <= np.quantile(far, 1 - _OF_OTHER_KINDS)]
        moments = kept.T @ kept / len(kept)
    return moments


def _whitener(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    whitener: Floats = vectors / np.sqrt(np.maximum(values, max(1e-9 * float(values[-1]), 1e-300)))
    return whitener
