"""A network over a window of any size, in tiles: small ones for a processor's cache, large ones for a GPU.

What a network computes on the way is a hundred times its input. In one piece that travels through main memory
after every step; in tiles of some 2,000 pixels it stays in a core's second-level cache. Measured on one core with
AVX-512 with the default network, a window of 128 x 136 pixels: 13-16 us a pixel in one piece, 8.2 in tiles, 7.1 in
tiles whose channels lie last (of which 3.2 are its products at the rate of a large one). Encoders of all members
stacked into one batched product, with the mixing of the attention folded into the first layer, took 7.0: not worth
a second form of each module. (The members' filters do share their work: see nn/attention.py.)
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Network = Callable[..., Tensor]
"""From both dates ``(1, C, h + 2 radius, w + 2 radius)``, validity and what is beside to ``(1, K, h, w)``."""

_CACHE_TILE = (32, 64)  # rows, cols: about 1 MB a layer of 64 channels and two dates
_STEP = 4  # tiles are multiples of the attention's blocks, except at the far edges
_GPU_BYTES = 32 << 10  # a pixel, generously: the attention's logits of one block and a few layers of features
_GPU_SHARE = 0.5  # of the free memory: several windows may be on their way
_GPU_SIDE = 1024  # beyond, a larger tile fills no GPU better
_LARGEST_THAT_COUNTS = 31 << 20  # bytes: glibc looks no farther than 32 MB
_SMALLEST = 16  # a tile this small that does not fit means that nothing does


def in_tiles(
    network: Network,
    t1: Tensor,
    t2: Tensor,
    valid: Tensor,
    *beside: Tensor,
    radius: int,
    tile: tuple[int, int] | None = None,
) -> Tensor:
    """The output of a network that pads nothing, computed tile by tile.

    Where a tile does not fit into a GPU's memory, tiles of half the height and width are tried, down to 16.

    Args:
        network: what to compute.
        t1: earlier date, ``(1, C, h + 2 radius, w + 2 radius)``.
        t2: later date, the same shape.
        valid: where both dates have data, bool ``(1, 1, h + 2 radius, w + 2 radius)``.
        beside: what else the network takes of a pixel, ``(1, n, h + 2 radius, w + 2 radius)`` each.
        radius: rows and columns that an output pixel sees on each side.
        tile: largest height and width of a tile; chosen for the device by default.

    Returns:
        ``(1, K, h, w)``, on the device of ``t1``; zeros in tiles without a valid pixel, which are not computed.

    Raises:
        torch.cuda.OutOfMemoryError: the smallest tile does not fit into the device's memory.
    """
    height, width = tile or tile_size(t1.device)
    if t1.device.type == "cpu":
        _keep_freed_memory()
    while True:
        try:
            return _in_tiles(network, (t1, t2, valid, *beside), radius, height, width)
        except torch.cuda.OutOfMemoryError:
            if max(height, width) <= _SMALLEST:
                raise
            height, width = max(_SMALLEST, height // 2), max(_SMALLEST, width // 2)
            log.info("out of device memory: going on in tiles of %d x %d pixels", height, width)
        if t1.is_cuda:
            torch.cuda.empty_cache()  # outside the handler, which would still hold the failed tile's tensors


@functools.cache
def _keep_freed_memory() -> None:
    """Let the C library keep what is freed, for the next tile.

    glibc returns free memory at the heap's end to the system as soon as it is twice the largest block that was
    ever freed, up to 64 MB; every tile would then fault its pages in anew (up to half of its time). So one block
    of the size that counts most is taken, untouched, and freed. Elsewhere this does nothing.
    """
    torch.empty(_LARGEST_THAT_COUNTS, dtype=torch.uint8)


def tile_size(device: torch.device) -> tuple[int, int]:
    """Height and width of a tile: what a core's cache holds, or what fits well into a GPU's free memory."""
    if device.type != "cuda":
        return _CACHE_TILE
    free, _ = torch.cuda.mem_get_info(device)
    side = int((free * _GPU_SHARE / _GPU_BYTES) ** 0.5)
    side = min(max(side, _SMALLEST), _GPU_SIDE)
    return side, side


def _in_tiles(network: Network, inputs: tuple[Tensor, ...], radius: int, height: int, width: int) -> Tensor:
    rows, cols = (length - 2 * radius for length in inputs[0].shape[2:])
    out = inputs[0].new_empty(0)
    tiles = [(row, col) for row in _cuts(rows, height) for col in _cuts(cols, width)]
    there = inputs[2][..., radius : radius + rows, radius : radius + cols]
    for row, col in [each for each in tiles if there[..., each[0], each[1]].any()] or tiles[:1]:
        seen = (..., slice(row.start, row.stop + 2 * radius), slice(col.start, col.stop + 2 * radius))
        parts = (x[seen].contiguous(memory_format=torch.channels_last) for x in inputs)
        tile = network(*parts)
        if not out.numel():
            out = inputs[0].new_zeros(1, tile.shape[1], rows, cols)
        out[..., row, col] = tile
    return out


def _cuts(length: int, largest: int) -> list[slice]:
    """Parts of about equal length, none above ``largest``: a last one of a few pixels would cost as much."""
    parts = -(-length // largest)
    step = -(-length // parts)
    step = min(largest, -(-step // _STEP) * _STEP)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
