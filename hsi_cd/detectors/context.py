"""Spatial context: filters whose value at a pixel is the same, to the last bit, in every window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def joint_bilateral(
    t1: NDArray[np.float32], t2: NDArray[np.float32], noise: NDArray[np.float32], *, reach: int, tolerance: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means over those neighbours that look alike in both dates (Tomasi and Manduchi 1998).

    A neighbour counts ``exp(-d / 2)``, where ``d`` is the mean squared difference over the components of both
    dates in units of ``tolerance`` noise deviations: noise is averaged out, edges of either date stay (doi
    10.1109/ICCV.1998.710815). Neighbours without data count nothing. Summed neighbour by neighbour, so that a
    pixel's value is the same to the last bit in every window: a forest's splits see every bit.

    Args:
        t1: components of the earlier date, ``(components, h + 2 reach, w + 2 reach)``, NaN for no data.
        t2: components of the later date, the same shape; no data where t1 has none.
        noise: noise deviation of each component, ``(components,)``.
        reach: half the window, pixels.
        tolerance: range of the filter, noise deviations.

    Returns:
        Both dates smoothed, ``(components, h, w)``; NaN where the pixel itself has no data.
    """
    both = np.concatenate([t1, t2])
    known = np.isfinite(both[0])
    both = np.where(known, both, np.float32(0))
    scale = 1 / (tolerance * np.sqrt(2 * len(noise)) * np.maximum(np.concatenate([noise, noise]), 1e-6))
    key = both * scale.astype(np.float32)[:, None, None]
    height, width = known.shape[0] - 2 * reach, known.shape[1] - 2 * reach
    centre = (slice(reach, reach + height), slice(reach, reach + width))
    total = np.zeros((height, width), dtype=np.float32)
    out = np.zeros((len(both), height, width), dtype=np.float32)
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            there = (slice(down, down + height), slice(right, right + width))
            distance = np.square(key[:, *centre] - key[:, *there]).sum(axis=0)
            weight = np.where(known[there], np.exp(-distance / 2), np.float32(0))
            total += weight
            out += weight * both[:, *there]
    out /= np.maximum(total, np.float32(1e-30))
    out[:, ~known[centre]] = np.nan
    return out[: len(t1)], out[len(t1) :]


def local_median(values: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Median of the known values around each pixel.

    Args:
        values: ``(components, h + 2 radius, w + 2 radius)``, NaN for no data.
        radius: half the window.

    Returns:
        ``(components, h, w)``; NaN where the pixel itself has no data.
    """
    side = 2 * radius + 1
    height, width = values.shape[1] - 2 * radius, values.shape[2] - 2 * radius
    out = np.empty((len(values), height, width), dtype=np.float32)
    for component, plane in enumerate(values):  # one at a time: the windows are side^2 times as large
        near = np.stack([plane[r : r + height, c : c + width] for r in range(side) for c in range(side)])
        known = np.isfinite(near).sum(axis=0)
        ranked = np.sort(near, axis=0)  # NaN last
        low, high = np.maximum(known - 1, 0) // 2, known // 2
        middle = [np.take_along_axis(ranked, k[None], axis=0)[0] for k in (low, np.minimum(high, side * side - 1))]
        out[component] = np.where(np.isnan(near[side * side // 2]), np.nan, (middle[0] + middle[1]) / 2)
    return out
