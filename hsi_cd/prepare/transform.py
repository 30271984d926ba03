"""From stored spectra to the components that a detector sees: decided once, frozen, saved with the detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.projection import minimum_noise_fraction, principal_components
from hsi_cd.prepare.statistics import DateStatistics, SceneStatistics, cache_blocks


@dataclass(frozen=True)
class SceneTransform:
    """A per-pixel map from all stored bands of a date to its components: clip, then one affine map.

    Standardisation and projection are both affine, so they are folded into one matrix a date.

    Attributes:
        bands: indices of the stored bands used, int64 ``(bands,)``.
        weight: float32 ``(2 dates, components, bands)``.
        offset: float32 ``(2 dates, components)``.
        clip: lowest and highest stored value kept, float32 ``(2 dates, 2 ends, bands)``; infinite for no clipping.
        noise: standard deviation of the noise in each component, float32 ``(components,)``.
        centre: what was subtracted from each band, float64 ``(2 dates, bands)``; None where it was not kept.
        scale: what it was then divided by, the same shape.
    """

    bands: NDArray[np.int64]
    weight: NDArray[np.float32]
    offset: NDArray[np.float32]
    clip: NDArray[np.float32]
    noise: NDArray[np.float32]
    centre: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.noise)

    def apply(self, values: NDArray[np.float32], *, date: int, exact: bool = False) -> NDArray[np.float32]:
        """Components of a window of one date.

        Args:
            values: stored values, float32 ``(all bands, rows, cols)``, NaN for no data.
            date: 0 for t1, 1 for t2.
            exact: round to the same float32 in every window. Sums over bands need double precision for it, which
                costs twice the time; float32 agrees between windows to about 1e-6.

        Returns:
            float32 ``(components, rows, cols)``; NaN where any band used has no data.
        """
        used = values if len(self.bands) == len(values) else values[self.bands]
        flat = used.reshape(len(self.bands), -1)
        if np.isfinite(self.clip[date]).any():
            flat = np.clip(flat, self.clip[date, 0][:, None], self.clip[date, 1][:, None])
        components: NDArray[np.float32]
        if not exact:
            components = self.weight[date] @ flat + self.offset[date][:, None]
        elif (scaling := self._scaling[date]) is not None:
            # Centred first, no digit is lost: what does no more than scale needs no double precision.
            components = flat + scaling[0][:, None]
            components *= scaling[1][:, None]
        else:
            # Some spectra at a time, in double precision: a whole window of them would take twice its memory.
            weight = self.weight[date].astype(np.float64)
            components = np.empty((len(weight), flat.shape[1]), dtype=np.float32)
            for part in cache_blocks(flat.shape[1]):
                components[:, part] = weight @ flat[:, part] + self.offset[date][:, None]
        return components.reshape(-1, *values.shape[1:])

    @property
    def scales_only(self) -> bool:
        """Whether each component is one band, scaled."""
        return all(scaling is not None for scaling in self._scaling)

    @cached_property
    def _scaling(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]] | None]:
        """What each date's bands are to be added and then multiplied by, if the transform does no more."""
        found: list[tuple[NDArray[np.float32], NDArray[np.float32]] | None] = []
        for weight, offset in zip(self.weight, self.offset, strict=True):
            scale = diagonal_of(weight)
            found.append(None if scale is None or not scale.all() else (offset / scale, scale))
        return found


def diagonal_of(matrix: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """The diagonal of a matrix that is nothing else, or None: to scale costs far less than a product.

    Args:
        matrix: ``(n, m)``.

    Returns:
        float32 ``(n,)``, or None.
    """
    diagonal = np.diagonal(matrix)
    alone = matrix.shape[0] == matrix.shape[1] and np.count_nonzero(matrix) == np.count_nonzero(diagonal)
    return diagonal.astype(np.float32) if alone else None


def fit_transform(
    statistics: SceneStatistics,
    bands: NDArray[np.integer],
    *,
    scaling: str,
    joint: bool,
    projection: str,
    components: int,
    clip: NDArray[np.float64] | None = None,
) -> SceneTransform:
    """The transform that a scene's statistics and the options decide.

    Args:
        statistics: of the scene, in the bands used (and after clipping, if there is any).
        bands: indices of the bands used.
        scaling: ``zscore`` (mean 0, deviation 1) or ``minmax`` (0 to 1).
        joint: scale both dates alike, by their pooled statistics, instead of each by its own.
        projection: ``mnf``, ``pca`` or ``none``, fitted on both dates together.
        components: how many to keep, at most as many as there are bands; all for ``none``.
        clip: the limits that were used for the statistics, ``(2 dates, 2 ends, bands)``.

    Returns:
        The frozen transform.
    """
    return fit_transforms(
        [statistics],
        bands,
        scaling=scaling,
        joint=joint,
        projection=projection,
        components=components,
        clips=[clip],
    )[0]


def fit_transforms(
    scenes: Sequence[SceneStatistics],
    bands: NDArray[np.integer],
    *,
    scaling: str,
    joint: bool,
    projection: str,
    components: int,
    clips: Sequence[NDArray[np.float64] | None],
) -> list[SceneTransform]:
    """The transforms of several scenes: each standardised by its own statistics, then one projection for all.

    What a component is made of is then the same in every scene, which the projection of each scene alone is not.
    Scenes count alike, whatever their size.

    Args:
        scenes: the scenes' statistics, in the bands used (and after clipping, if there is any).
        bands: indices of the bands used, the same in every scene.
        scaling: as for :func:`fit_transform`, like the rest.
        joint: scale both dates of a scene alike.
        projection: ``mnf``, ``pca`` or ``none``.
        components: how many to keep.
        clips: the limits that were used for the statistics of each scene.

    Returns:
        The frozen transform of each scene.
    """
    own = [_standardised(statistics, scaling=scaling, joint=joint) for statistics in scenes]
    covariance = np.mean([scene.covariance for scene in own], axis=0)
    noise = np.mean([scene.noise for scene in own], axis=0)
    pooled_mean = np.mean([scene.mean for scene in own], axis=0)
    if projection == "mnf":
        matrix = minimum_noise_fraction(covariance, noise, components)
    elif projection == "pca":
        matrix = principal_components(covariance, components)
    else:
        matrix, pooled_mean = np.eye(len(bands)), np.zeros(len(bands))
    transforms = []
    for scene, clip in zip(own, clips, strict=True):
        weight = matrix[None] / scene.scale[:, None, :]
        offset = -np.einsum("dkb,db->dk", weight, scene.centre) - (matrix @ pooled_mean)[None]
        deviation = np.sqrt(np.maximum(np.einsum("kb,bc,kc->k", matrix, scene.noise, matrix), 0))
        transforms.append(
            SceneTransform(
                bands=np.asarray(bands, dtype=np.int64),
                weight=weight.astype(np.float32),
                offset=offset.astype(np.float32),
                clip=_limits(clip, len(bands)),
                noise=deviation.astype(np.float32),
                centre=np.array(scene.centre),
                scale=np.array(scene.scale),
            )
        )
    return transforms


@dataclass(frozen=True)
class _Standardised:
    """Moments of the standardised spectra of both dates of a scene together, equally many pixels in each."""

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise: NDArray[np.float64]


def _standardised(statistics: SceneStatistics, *, scaling: str, joint: bool) -> _Standardised:
    dates = (statistics.t1, statistics.t2)
    centre, scale = _scaling(dates, kind=scaling, joint=joint)
    means = np.stack([(d.mean - c) / s for d, c, s in zip(dates, centre, scale, strict=True)])
    pooled_mean = means.mean(axis=0)
    covariance = np.mean(
        [
            d.covariance / np.outer(s, s) + np.outer(m - pooled_mean, m - pooled_mean)
            for d, s, m in zip(dates, scale, means, strict=True)
        ],
        axis=0,
    )
    noise = np.mean([d.noise / np.outer(s, s) for d, s in zip(dates, scale, strict=True)], axis=0)
    return _Standardised(centre, scale, pooled_mean, covariance, noise)


def standardise(dates: tuple[Moments, Moments], bands: NDArray[np.integer]) -> SceneTransform:
    """The transform that gives each band of each date mean 0 and deviation 1, and nothing more.

    Args:
        dates: moments of the bands used; see :func:`hsi_cd.prepare.statistics.band_moments`.
        bands: indices of the bands used.

    Returns:
        The frozen transform; its noise was not measured and is NaN.
    """
    centre = np.stack([d.mean for d in dates])
    scale = _positive(np.sqrt(np.stack([d.covariance for d in dates])))
    return SceneTransform(
        bands=np.asarray(bands, dtype=np.int64),
        weight=np.stack([np.diag(1 / each) for each in scale]).astype(np.float32),
        offset=(-centre / scale).astype(np.float32),
        clip=_limits(None, len(bands)),
        noise=np.full(len(bands), np.nan, dtype=np.float32),
        centre=centre,
        scale=scale,
    )


def refit_transform(
    transform: SceneTransform,
    statistics: SceneStatistics,
    *,
    scaling: str,
    joint: bool,
    clip: NDArray[np.float64] | None = None,
) -> SceneTransform:
    """The same projection behind the standardisation of another scene.

    A sensor's gain and path radiance on another day are undone band by band; what a component is made of stays, so
    that what was learned from components still applies.

    Args:
        transform: fitted on one scene, with its ``centre`` and ``scale``.
        statistics: of the other scene, in the same bands (and after clipping, if there is any).
        scaling: as the transform was fitted, ``zscore`` or ``minmax``.
        joint: as the transform was fitted.
        clip: the limits that were used for the statistics, ``(2 dates, 2 ends, bands)``.

    Returns:
        The transform of the other scene.

    Raises:
        ValueError: the transform does not know its centre and scale.
    """
    if transform.centre is None or transform.scale is None:
        raise ValueError("the transform does not know its centre and scale")
    dates = (statistics.t1, statistics.t2)
    centre, scale = _scaling(dates, kind=scaling, joint=joint)
    then = transform.weight.astype(np.float64)
    weight = then * (transform.scale / scale)[:, None, :]
    offset = transform.offset + np.einsum("dkb,db->dk", then, transform.centre)
    offset = offset - np.einsum("dkb,db->dk", weight, centre)
    noise = np.mean([np.einsum("kb,bc,kc->k", w, d.noise, w) for w, d in zip(weight, dates, strict=True)], axis=0)
    return SceneTransform(
        bands=transform.bands,
        weight=weight.astype(np.float32),
        offset=offset.astype(np.float32),
        clip=_limits(clip, len(transform.bands)),
        noise=np.sqrt(np.maximum(noise, 0)).astype(np.float32),
        centre=np.array(centre),
        scale=np.array(scale),
    )


def _limits(clip: NDArray[np.float64] | None, bands: int) -> NDArray[np.float32]:
    """Limits of clipping, float32 ``(2 dates, 2 ends, bands)``; infinite for None."""
    if clip is None:
        clip = np.stack([np.full((2, bands), -np.inf), np.full((2, bands), np.inf)], axis=1)
    return clip.astype(np.float32)


def _scaling(
    dates: tuple[DateStatistics, DateStatistics], *, kind: str, joint: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and scale of each date, each float64 ``(2 dates, bands)``."""
    mean = np.stack([d.mean for d in dates])
    variance = np.stack([np.diag(d.covariance) for d in dates])
    low, high = np.stack([d.low for d in dates]), np.stack([d.high for d in dates])
    if joint:
        # The pooled variance is the mean variance plus the variance of the two means.
        variance = np.broadcast_to(variance.mean(axis=0) + mean.var(axis=0), mean.shape)
        mean = np.broadcast_to(mean.mean(axis=0), mean.shape)
        low = np.broadcast_to(low.min(axis=0), mean.shape)
        high = np.broadcast_to(high.max(axis=0), mean.shape)
    if kind == "minmax":
        return low, _positive(high - low)
    return mean, _positive(np.sqrt(variance))


def _positive(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """A band that is constant among the valid pixels, though not in the whole scene, is left unscaled."""
    return np.where(scale > 0, scale, 1.0)
