"""Pixels that judge what was learned without labels: whole blocks, clear of everything that taught."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError
from hsi_cd.prepare.splits import distance_to

_BLOCK = 16  # pixels: beside a large block little is lost to the border between those that teach and judge


def hold_out_blocks(
    valid: NDArray[np.bool_], *, share: float, half: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide a scene's pixels into those that teach and those, in blocks of 16 x 16, that judge.

    No patch around a teaching pixel overlaps one around a judging pixel, so neighbours give nothing away.

    Args:
        valid: where there are data, bool ``(rows, cols)``.
        share: of the blocks that hold data, to be held out; at least one block is.
        half: half a patch, in pixels.
        seed: seed of the draw.

    Returns:
        Flat indices of the pixels that teach and of those that judge, int64, ascending.

    Raises:
        ConfigError: no pixel is left to teach.
    """
    rows, cols = valid.shape
    across = math.ceil(cols / _BLOCK)
    block = np.arange(rows)[:, None] // _BLOCK * across + np.arange(cols) // _BLOCK
    with_data = np.unique(block[valid])
    count = min(max(1, round(share * len(with_data))), len(with_data))
    drawn = np.random.default_rng(seed).choice(with_data, count, replace=False)
    held = valid & np.isin(block, drawn)
    teach = valid & (distance_to(held) > 2 * half)
    if not teach.any():
        raise ConfigError(
            f"{count} of {len(with_data)} blocks of {_BLOCK} x {_BLOCK} pixels are held out, and no pixel is left "
            f"{2 * half + 1} pixels away from them: lower pretrain.held_out or pretrain.patch"
        )
    return np.flatnonzero(teach), np.flatnonzero(held)
