"""Mixtures of normal components on the logarithm of a score, fitted by EM on its histogram, without chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STARTS = (0.5, 0.7, 0.9, 0.97)  # shares that the lowest component of a mixture may start with
STEEPEST = 20.0  # slope of a posterior: certainty needs at least a few per cent of score
_LEAST_DEVIATION = 0.05  # narrower components stand for single numbers, as 8-bit data have


@dataclass(frozen=True)
class Mixture:
    """Normal components of the log score, the lowest first, each ``(components,)``."""

    share: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    likelihood: float

    def densities(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share times density of each component at ``x (n,)``: ``(components, n)``."""
        z = (x - self.mean[:, None]) / self.deviation[:, None]
        dense: NDArray[np.float64] = (
            (self.share / self.deviation)[:, None] * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        )
        return dense


def crossing_of(fit: Mixture) -> float | None:
    """Log score, above the commonest component, from which the uppermost is likelier than all others together."""
    x = np.linspace(fit.mean[int(np.argmax(fit.share[:-1]))], fit.mean[-1] + 4 * fit.deviation[-1], 4000)
    densities = fit.densities(x)
    ahead = densities[-1] >= densities[:-1].sum(axis=0)
    return float(x[int(np.argmax(ahead))]) if ahead.any() else None


def slope_of(fit: Mixture, at: float) -> float:
    """How fast the logarithm of the odds of the uppermost component rises at ``at``, kept within reason."""
    low, high = (fit.densities(np.array([at + step])) for step in (-0.05, 0.05))
    rise = [float(np.log((d[-1] / d[:-1].sum(axis=0))[0])) if (d > 0).all() else 0.0 for d in (low, high)]
    return float(np.clip((rise[1] - rise[0]) / 0.1, 1.0, STEEPEST))


def fit_mixture(x: NDArray[np.float64], weight: NDArray[np.float64], components: int, *, tied: bool) -> Mixture:
    """The likeliest of several fits, each started elsewhere; no chance is involved.

    With ``tied``, all components but the uppermost have one deviation, and the uppermost at least that.
    """
    cumulated = (np.cumsum(weight) - weight / 2) / weight.sum()
    fits = []
    for low in _STARTS:
        edges = np.append(np.linspace(low, max(low, 0.97), components - 1), 1.0)
        lower = np.append(0.0, edges[:-1])
        start = np.interp((edges + lower) / 2, cumulated, x)
        fits.append(_expectation_maximisation(x, weight, start, tied=tied))
    return max(fits, key=lambda fit: fit.likelihood)


def _expectation_maximisation(
    x: NDArray[np.float64], weight: NDArray[np.float64], start: NDArray[np.float64], *, tied: bool
) -> Mixture:
    """EM of normal components from the means ``start`` (Dempster, Laird and Rubin 1977)."""
    total = weight.sum()
    nearest = np.abs(x - start[:, None]).argmin(axis=0)
    member = (nearest == np.arange(len(start))[:, None]) + 1e-3
    member = member / member.sum(axis=0)
    before = -np.inf
    for _ in range(2000):
        mass = member @ weight
        mean = (member * x) @ weight / mass
        variance = (member * np.square(x - mean[:, None])) @ weight / mass
        if tied:
            variance[:-1] = variance[:-1] @ mass[:-1] / mass[:-1].sum()
            variance[-1] = max(variance[-1], variance[0])
        fit = Mixture(mass / total, mean, np.sqrt(np.maximum(variance, _LEAST_DEVIATION**2)), before)
        densities = fit.densities(x)
        sums = np.maximum(densities.sum(axis=0), 1e-300)
        likelihood = float(weight @ np.log(sums) / total)
        member = densities / sums
        if likelihood - before < 1e-7:
            break
        before = likelihood
    order = np.argsort(fit.mean)
    return Mixture(fit.share[order], fit.mean[order], fit.deviation[order], likelihood)


def has_valley(fit: Mixture, *, depth: float = 1.02) -> bool:
    """Whether the density falls and rises again between the commonest score and the uppermost component.

    Args:
        fit: the mixture.
        depth: how many times as dense it is to be behind the valley as in it.
    """
    x = np.linspace(fit.mean[0], fit.mean[-1] + fit.deviation[-1], 400)
    density = fit.densities(x).sum(axis=0)
    top = int(np.argmax(density))
    after = density[top:]
    lowest = np.minimum.accumulate(after)
    return bool((after > depth * lowest).any())
