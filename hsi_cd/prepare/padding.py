"""Mirror padding as the field does it: the edge pixel is repeated.

Codes that call it ``mirror_hsi`` do what ``numpy.pad(mode="symmetric")`` does: ``c b a | a b c | c b a``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mirror_index(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Which pixels of an axis stand at positions ``start`` to ``stop - 1`` of its endless mirror.

    Args:
        start: first position; negative positions lie before the axis.
        stop: one past the last position; may lie beyond the axis.
        length: number of pixels on the axis, at least 1.

    Returns:
        Indices into the axis, ``(stop - start,)``. Any padding works on any length: the mirror has period
        ``2 * length``.

    Example:
        >>> mirror_index(-2, 5, 3).tolist()
        [1, 0, 0, 1, 2, 2, 1]
    """
    position = np.arange(start, stop) % (2 * length)
    return np.where(position < length, position, 2 * length - 1 - position)


def mirror_pad(values: NDArray[np.generic], radius: int) -> NDArray[np.generic]:
    """``values (..., rows, cols)`` with ``radius`` mirrored pixels on each side of the last two axes."""
    rows = mirror_index(-radius, values.shape[-2] + radius, values.shape[-2])
    cols = mirror_index(-radius, values.shape[-1] + radius, values.shape[-1])
    return values[..., rows[:, None], cols]
