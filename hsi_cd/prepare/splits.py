"""Which labelled pixels teach, and which judge."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import LabelError, unknown_name
from hsi_cd.scene import CHANGED, UNCHANGED, Labels, Split


def split_p1(labels: Labels, *, seed: int, fraction: float) -> NDArray[np.int64]:
    """Protocol P1: ``floor(fraction)`` of each class, drawn at random.

    Unchanged pixels first, then changed ones, both from one ``RandomState(seed)`` with
    ``choice(..., replace=False)`` over the class's pixels in row-major order: the field's own draw, so that
    counts and pixels can be compared.

    Args:
        labels: truth map.
        seed: seed of the draw.
        fraction: share of each class that teaches.

    Returns:
        Flat indices, int64: unchanged ones, then changed ones.

    Raises:
        LabelError: a class has too few labelled pixels for one training pixel.
    """
    state = np.random.RandomState(seed)  # the protocol names this generator
    drawn = []
    for code, word in ((UNCHANGED, "unchanged"), (CHANGED, "changed")):
        pixels = np.flatnonzero(labels.values == code)
        # In decimals: 0.29 * 100 is 28.999... in binary, and floor would take one pixel too few.
        count = int(Fraction(str(fraction)) * len(pixels))
        if count == 0:
            raise LabelError(
                f"{labels.name} has {len(pixels)} {word} pixels, {fraction:.2%} of which is no training pixel: "
                "both classes need some, so label more pixels or raise split.fraction"
            )
        drawn.append(state.choice(pixels, count, replace=False))
    return np.concatenate(drawn).astype(np.int64)


PROTOCOLS: dict[str, Callable[..., NDArray[np.int64]]] = {"P1": split_p1}
"""Protocols by id; each takes labels, ``seed`` and ``fraction`` and returns the training pixels."""


def make_split(labels: Labels, *, protocol: str, seed: int, fraction: float) -> Split:
    """Draw the training pixels of ``labels`` under a protocol of :data:`PROTOCOLS`.

    Raises:
        UnknownNameError: there is no such protocol.
        LabelError: a class cannot give a training pixel.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    train = PROTOCOLS[protocol](labels, seed=seed, fraction=fraction)
    return Split(protocol, seed, labels.shape, train)


def stratified_folds(target: NDArray[np.integer], *, folds: int, seed: int) -> NDArray[np.int64]:
    """Deal the training pixels into ``folds`` parts with both classes in each as evenly as can be.

    Args:
        target: class of each training pixel, ``(count,)``.
        folds: number of parts.
        seed: seed of the deal.

    Returns:
        Part of each pixel, int64 ``(count,)`` in ``0 .. folds - 1``.
    """
    random = np.random.default_rng(seed)
    part = np.empty(len(target), dtype=np.int64)
    dealt = 0
    for code in np.unique(target):
        pixels = random.permutation(np.flatnonzero(target == code))
        # Go on where the last class stopped, so that small classes do not all fall into the first parts.
        part[pixels] = (dealt + np.arange(len(pixels))) % folds
        dealt += len(pixels)
    return part
