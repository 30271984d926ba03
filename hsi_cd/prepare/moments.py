"""First and second moments of many pixels, in one pass and in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of a set of spectra, each with a weight if need be.

    Two sets merge exactly (Chan, Golub and LeVeque 1979, eq. 2.1), so a scene is summed block by block without
    the cancellation that sums of squares suffer.

    Attributes:
        count: number of spectra, or the sum of their weights.
        mean: float64 ``(bands,)``.
        scatter: float64 ``(bands, bands)``, the sum of outer products of deviations from the mean; or its diagonal
            alone, ``(bands,)``, which is all that a deviation needs and far cheaper.
    """

    count: float
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @classmethod
    def of(cls, spectra: NDArray[np.floating], *, weight: NDArray[np.float64] | None = None) -> Moments:
        """Moments of ``spectra (bands, count)``, each counted ``weight (count,)`` times, or once."""
        bands = spectra.shape[0]
        count = spectra.shape[1] if weight is None else float(weight.sum())
        if count == 0:
            return cls(0, np.zeros(bands), np.zeros((bands, bands)))
        if weight is None:
            mean = spectra.mean(axis=1, dtype=np.float64)
            deviation = spectra - mean[:, None]
            return cls(count, mean, deviation @ deviation.T)
        mean = spectra @ weight / count
        deviation = spectra - mean[:, None]
        deviation *= np.sqrt(weight)  # a matrix times its own transpose costs half of what two matrices do
        return cls(count, mean, deviation @ deviation.T)

    @classmethod
    def of_each(cls, spectra: NDArray[np.floating], *, near: NDArray[np.float64]) -> Moments:
        """Moments of each band of ``spectra (bands, count)`` for itself: the scatter is a diagonal.

        Measured from ``near (bands,)``, which should be about the mean: that of the pixels before will do. For as
        many spectra at a time as the processor's cache holds. Where a value is not finite, the mean is not.
        """
        bands, count = spectra.shape
        if count == 0:
            return cls(0, np.zeros(bands), np.zeros(bands))
        deviation = spectra.astype(np.float64)
        deviation -= near[:, None]
        away = deviation.mean(axis=1)
        squares = np.einsum("bp,bp->b", deviation, deviation)
        return cls(count, near + away, np.maximum(squares - count * np.square(away), 0))

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        if self.count == 0 or other.count == 0:
            return self if other.count == 0 else other
        gap = other.mean - self.mean
        between = np.square(gap) if self.scatter.ndim == 1 else np.outer(gap, gap)
        return Moments(
            count,
            self.mean + gap * (other.count / count),
            self.scatter + other.scatter + between * (self.count * other.count / count),
        )

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Population covariance, shaped as the scatter (divided by the count, or by the sum of the weights)."""
        return self.scatter / (self.count or 1)
