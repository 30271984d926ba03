"""Each pixel attends to the window around it: functions, in which blocks of queries share their keys."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hsi_cd.nn.neighbourhoods import windows

_OUTSIDE = -torch.inf  # of keys outside the window: even beside a window without data no softmax may see them
_BLOCK = 4  # queries are answered in blocks of 4 x 4, which share the keys around them
_BLOCKS_AT_ONCE = 96  # of all heads, on a CPU: some 2 MB


def local_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_bias: Tensor,
    *,
    radius: int,
    distance: bool = False,
    heads: int = 1,
) -> Tensor:
    """Softmax attention of each pixel over the window around it.

    ``out_i = sum_j softmax_j(logit_ij + key_bias_j) value_j`` for all ``j`` no farther than ``radius`` rows and
    columns from ``i``, with ``logit_ij = query_i . key_j``, or ``-|query_i - key_j|^2 / 2`` for ``distance``. A
    query may look into several maps at once (T of them, as two dates): one softmax over the windows of all.
    Several heads, each with channels of its own in query and key, may share one value.

    Queries are taken in blocks of up to 4 x 4, whose keys are one matrix, and a single patch (one query) is the
    same code with a block of one. Measured on one CPU core (AVX-512, torch 2.13), 32 x 64 queries, a window of
    9 x 9, 24 channels of query, 32 of value, ns a query, channels last (first): an unfolded copy of every
    window 11,700 (13,400), 81 shifted products 2,700 (1,250), ``scaled_dot_product_attention`` with a mask on
    blocks of 4 520 (700), of 8 610 (690); as here, blocks of 2 655 (1,190), of 4 416 (576), of 8 512 (582), of
    16 1,055 (1,100). All agree to 2e-6.

    Args:
        query: ``(N, heads D, h, w)``, the channels of the first head first.
        key: ``(T N, heads D, h + 2 radius, w + 2 radius)``, the first of the T maps of every query first.
        value: ``(T N, V, h + 2 radius, w + 2 radius)``.
        key_bias: ``(T N, 1, h + 2 radius, w + 2 radius)``, added to the logits of each key.
        radius: half the window.
        distance: take distances instead of products.
        heads: number of heads.

    Returns:
        ``(N, heads V, h, w)``.
    """
    if torch.is_autocast_enabled(query.device.type):
        # Distances are differences of large numbers, and need all their digits.
        with torch.autocast(query.device.type, enabled=False):
            full = (x.float() for x in (query, key, value, key_bias))
            return local_attention(*full, radius=radius, distance=distance, heads=heads)
    n, _, h, w = query.shape
    block = min(_BLOCK, max(h, w))
    down, right = -h % block, -w % block
    query, key, value, key_bias = (_repeat_edge(x, down, right) for x in (query, key, value, key_bias))
    outside = _outside_window(block, radius, like=query).repeat(1, len(key) // n)
    # Where no gradient needs all of it at once, as many rows of blocks as stay in a core's cache.
    step = h + down
    if not (query.is_cuda or torch.is_grad_enabled()):
        step = block * max(1, _BLOCKS_AT_ONCE // (n * heads * ((w + right) // block)))
    parts = []
    for at in range(0, h + down, step):
        around = (slice(None), slice(None), slice(at, at + step + 2 * radius))
        seen = key[around], value[around], key_bias[around], outside
        parts.append(_attend(query[:, :, at : at + step], *seen, radius=radius, distance=distance, heads=heads))
    out = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    return out[:, :h, :w].permute(0, 3, 1, 2)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_bias: Tensor,
    outside: Tensor,
    *,
    radius: int,
    distance: bool,
    heads: int,
) -> Tensor:
    """:func:`local_attention` of whole blocks, ``(N, h, w, heads V)``; ``outside`` as :func:`_outside_window`."""
    n, _, h, w = query.shape
    block = math.isqrt(len(outside))
    rows, cols = h // block, w // block

    def blocks(x: Tensor, side: int, heads: int = 1, *, minus: Tensor | None = None) -> Tensor:
        # (T N, heads D, H, W) -> (N', heads, T * side * side, D), with N' = N * rows * cols
        # A patch is left alone: nothing to cut, nothing to add up going backward.
        x = x[:, :, None, None] if rows * cols == 1 else windows(x, side, block)
        x = x.view(-1, n, heads, x.shape[1] // heads, *x.shape[2:]).permute(0, 1, 4, 5, 2, 6, 7, 3)
        if minus is not None:
            # Into the order it is needed in, which saves a copy, where no gradient forbids it.
            out = None if torch.is_grad_enabled() else x.new_empty(x.shape)
            x = torch.sub(x, minus.view(n, rows, cols, heads, 1, 1, -1), out=out)
        x = x.reshape(len(x), n * rows * cols, heads, side * side, -1)
        return x[0] if len(x) == 1 else x.movedim(0, 2).flatten(2, 3)

    span = block + 2 * radius
    q, bias = blocks(query, block, heads), blocks(key_bias, span)[..., 0]
    centre = None
    if distance:
        # |q - k|^2 = |q|^2 - 2 q . k + |k|^2, and the softmax over keys cancels |q|^2. Measured from one of the
        # block's queries, since far from the origin the terms would cancel in most of their digits.
        centre = q[:, :, block**2 // 2, None]
        q = q - centre
    k = blocks(key, span, heads, minus=centre)
    if distance:
        bias = bias - k.square().matmul(k.new_full((k.shape[-1], 1), 0.5))[..., 0]
    # The product is added to bias and mask in place: one pass less over the largest array here.
    logits = (bias[:, :, None] + outside.expand(heads, -1, -1)).flatten(0, 1)
    logits = logits.baddbmm_(q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2))
    out = torch.bmm(logits.softmax(dim=-1).view(len(q), heads * block**2, -1), blocks(value, span)[:, 0])
    out = out.view(n, rows, cols, heads, block, block, -1).permute(0, 1, 4, 2, 5, 3, 6)
    return out.reshape(n, h, w, -1)


def _repeat_edge(x: Tensor, down: int, right: int) -> Tensor:
    """``x`` with its last row repeated ``down`` times and its last column ``right`` times."""
    if down:
        x = torch.cat([x, x[:, :, -1:].expand(-1, -1, down, -1)], dim=2)
    if right:
        x = torch.cat([x, x[..., -1:].expand(-1, -1, -1, right)], dim=3)
    return x


def _outside_window(block: int, radius: int, *, like: Tensor) -> Tensor:
    """``(block^2, (block + 2 radius)^2)``: 0 where a key lies in the query's window, else minus infinity."""
    query = torch.arange(block, device=like.device)
    key = torch.arange(block + 2 * radius, device=like.device)
    near = (key[None, :] - query[:, None] - radius).abs() <= radius
    inside = near[:, None, :, None] & near[None, :, None, :]
    mask = torch.zeros(inside.shape, dtype=like.dtype, device=like.device).masked_fill(~inside, _OUTSIDE)
    return mask.reshape(block * block, -1)


def dilated_attention(
    query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor, *, reach: int, dilation: int
) -> Tensor:
    """:func:`local_attention` over keys ``dilation`` pixels apart, ``reach`` of them to each side.

    Pixels whose rows and columns agree modulo ``dilation`` see only each other, so each of the
    ``dilation ** 2`` lattices is a local attention of its own.

    Args:
        query: ``(N, D, h, w)``.
        key: ``(T N, D, h + 2 reach dilation, w + 2 reach dilation)``.
        value: ``(T N, V, ...)``, the size of ``key``.
        key_bias: ``(T N, 1, ...)``, the size of ``key``.
        reach: number of keys to each side.
        dilation: distance of neighbouring keys.

    Returns:
        ``(N, V, h, w)``.
    """
    if dilation == 1:
        return local_attention(query, key, value, key_bias, radius=reach)
    n, _, h, w = query.shape
    out = value.new_zeros(n, value.shape[1], h, w)
    for row in range(min(dilation, h)):
        for col in range(min(dilation, w)):
            lattice = (..., slice(row, None, dilation), slice(col, None, dilation))
            q, k, v, b = query[lattice], key[lattice], value[lattice], key_bias[lattice]
            # The key lattice can be one longer than this lattice of queries needs.
            need = (..., slice(q.shape[2] + 2 * reach), slice(q.shape[3] + 2 * reach))
            out[lattice] = local_attention(q, k[need], v[need], b[need], radius=reach)
    return out
