"""Which labelled pixels teach, and which judge: the protocols, and how far they keep the two apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hsi_cd.errors import ConfigError, LabelError, unknown_name
from hsi_cd.prepare.drawn_shapes import shapes_of
from hsi_cd.prepare.strata import Stratum, strata_of
from hsi_cd.scene import DRAWN, UNLABELLED, Labels, Split

STRICT_DISTANCE = 6
"""Chebyshev distance from every training pixel within which P1-strict judges nothing: patches up to 7 x 7."""


def make_split(
    labels: Labels,
    *,
    protocol: str,
    seed: int,
    fraction: float = 0.01,
    count: int = 500,
    imbalance: int = 1,
    block: int = 32,
    radius: int = 4,
    kinds: bool = False,
) -> Split:
    """Divide the labelled pixels of a scene under a protocol of :data:`PROTOCOLS`.

    Args:
        labels: truth map.
        protocol: id of the protocol.
        seed: seed of the draw.
        fraction: share of each class that teaches (P1, P1-strict), or that the teaching blocks hold at least (P3).
        count: training pixels of each class (P2).
        imbalance: unchanged training pixels for each changed one (P2).
        block: edge of a block in pixels (P3).
        radius: half a patch, (p - 1) / 2, for the guard band of P3.
        kinds: whether each kind of change is a class of its own.

    Returns:
        The split.

    Raises:
        UnknownNameError: there is no such protocol.
        ConfigError: a setting is outside its range.
        LabelError: the labels cannot give such a split.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    if not 0 < fraction < 1 or count < 1 or imbalance < 1 or block < 1 or radius < 0:
        raise ConfigError(
            f"fraction {fraction}, count {count}, imbalance {imbalance}, block {block}, radius {radius}: expected "
            "a fraction between 0 and 1, count, imbalance and block of at least 1, and a radius of at least 0"
        )
    options = SplitOptions(
        fraction=fraction, count=count, imbalance=imbalance, block=block, radius=radius, kinds=kinds
    )
    train, guard = PROTOCOLS[protocol](labels, seed, options)
    if protocol == DRAWN:
        if not len(train):
            raise LabelError(f"{labels.name} labels no pixel with data in both dates: give labels of this scene")
        return Split(protocol, seed, labels.shape, train, shapes=shapes_of(labels).ravel()[train])
    split = Split(protocol, seed, labels.shape, train, guard)
    if not split.test_mask(labels).any():
        raise LabelError(
            f"{labels.name}: protocol {protocol} leaves no labelled pixel to judge: let fewer pixels teach, or "
            "choose another protocol"
        )
    return split


def leak_share(split: Split, labels: Labels, *, radius: int) -> float:
    """Share of the test pixels whose patch overlaps the patch of a training pixel.

    Patches of (2 radius + 1) pixels a side overlap where their centres are at most 2 radius apart in Chebyshev
    distance. In [0, 1]; 0 without training pixels; NaN without test pixels. Mirrored pixels beyond the border of
    the scene are not followed: they repeat pixels of the patch itself.

    Args:
        split: the split.
        labels: the truth map it was drawn from.
        radius: half a patch, (p - 1) / 2.

    Raises:
        GridError: the labels are of another scene's shape.
    """
    test = split.test_mask(labels)
    if not test.any():
        return math.nan
    return float((distance_to(split.train_mask())[test] <= 2 * radius).mean())


def distance_to(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Chebyshev distance of every pixel to the nearest one of ``mask``; larger than the scene where there is none.

    Args:
        mask: bool ``(rows, cols)``.

    Returns:
        int64 ``(rows, cols)``, exact.
    """
    if not mask.any():
        return np.full(mask.shape, sum(mask.shape), dtype=np.int64)
    # Exact for this metric: the chamfer weights (1, 1) are the distance itself.
    distance = ndimage.distance_transform_cdt(~mask, metric="chessboard")
    return np.asarray(distance, dtype=np.int64)


def near_training(taught: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where P1-strict does not judge: within Chebyshev distance 6 of a training pixel, those pixels included."""
    return distance_to(taught) <= STRICT_DISTANCE


def split_p1(labels: Labels, *, seed: int, fraction: float, kinds: bool = False) -> NDArray[np.int64]:
    """Protocol P1: ``floor(fraction)`` of each class, drawn at random; of a kind of change, one pixel at least.

    Unchanged pixels first, then changed ones, or those of each kind in turn, all from one ``RandomState(seed)``
    with ``choice(..., replace=False)`` over the class's pixels in row-major order: the field's own draw, so that
    counts and pixels can be compared. The unchanged pixels are the same with kinds and without.

    Args:
        labels: truth map.
        seed: seed of the draw.
        fraction: share of each class that teaches.
        kinds: whether each kind of change is a class of its own.

    Returns:
        Flat indices, int64: unchanged ones, then changed ones, kind by kind.

    Raises:
        LabelError: a class has too few labelled pixels for one training pixel.
    """
    classes, counts = strata_of(labels, kinds=kinds), []
    for each in classes:
        # In decimals: 0.29 * 100 is 28.999... in binary, and floor would take one pixel too few.
        drawn = int(Fraction(str(fraction)) * len(each))
        counts.append(max(drawn, 1) if each.is_kind else drawn)
        if counts[-1] == 0:
            raise LabelError(
                f"{labels.name} has {len(each)} {each.name} pixels, {fraction:.2%} of which is no training pixel: "
                "both classes need some, so label more pixels or raise split.fraction"
            )
    return _draw(classes, seed=seed, counts=counts)


def split_p2(
    labels: Labels, *, seed: int, count: int, imbalance: int = 1, kinds: bool = False
) -> NDArray[np.int64]:
    """Protocol P2: ``count`` pixels of each class, drawn as P1 draws.

    Change is rarer than this in most scenes, and in what an analyst labels of them: ``imbalance`` draws so many
    unchanged pixels for each changed one. The pixels that judge are all others, in the scene's own proportion.

    Args:
        labels: truth map.
        seed: seed of the draw.
        count: training pixels of each class; 500 in the protocol's name.
        imbalance: unchanged training pixels for each changed one; 1 in the protocol.
        kinds: draw ``count`` pixels of each kind of change, of a rare one half of its pixels.

    Returns:
        Flat indices, int64: unchanged ones, then changed ones, kind by kind.

    Raises:
        LabelError: a class has no more pixels than are to teach, so that none is left to judge.
    """
    classes, counts = strata_of(labels, kinds=kinds), []
    lower = "split.count or split.imbalance" if imbalance > 1 else "split.count"
    for place, each in enumerate(classes):
        counts.append(min(count, len(each) // 2) if each.is_kind else count * (1 if place else imbalance))
        if len(each) <= counts[-1]:
            raise LabelError(
                f"{labels.name} has {len(each)} {each.name} pixels, {counts[-1]} of which are to teach: some must "
                f"be left to judge, so lower {lower}, or choose protocol P1"
            )
    return _draw(classes, seed=seed, counts=counts)


def split_p3(
    labels: Labels, *, seed: int, fraction: float, block: int, radius: int, kinds: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Protocol P3: whole blocks of the scene teach, the others judge, and no patch reaches from one to the other.

    The scene is cut into blocks of ``block`` x ``block`` pixels. They are drawn in random order, and teach, until
    the pixels that they teach with hold ``fraction`` of each class. A pixel teaches if its patch lies wholly in
    teaching blocks, and judges if its patch lies wholly in the others: half a patch on either side of every border
    between the two does neither. So the patches of a training and a test pixel share no pixel.

    Args:
        labels: truth map.
        seed: seed of the draw.
        fraction: least share of each class that teaches.
        block: edge of a block in pixels.
        radius: half a patch, (p - 1) / 2.
        kinds: whether each kind of change is a class of its own.

    Returns:
        Flat indices of the training pixels, int64, in row-major order, and the guard, bool ``(rows, cols)``.

    Raises:
        LabelError: the blocks are too small for a patch, or nothing is left to judge.
    """
    rows, cols = labels.shape
    across = -(-cols // block)
    number = (np.arange(rows) // block * across)[:, np.newaxis] + np.arange(cols) // block
    classes = strata_of(labels, kinds=kinds)
    wanted = [fraction * len(each) for each in classes]
    order = np.random.default_rng(seed).permutation(int(number.max()) + 1)
    taken: list[int] = []
    for next_block in order[:-1]:  # one block at least must judge
        taken.append(int(next_block))
        teaching = np.isin(number, taken)
        train = _within(teaching, radius) & (labels.values != UNLABELLED)
        taught = [np.count_nonzero(train.ravel()[each.pixels]) for each in classes]
        if all(have >= max(want, 1) for have, want in zip(taught, wanted, strict=True)):
            judging = _within(~teaching, radius)
            return np.flatnonzero(train).astype(np.int64), ~train & ~judging
    raise LabelError(
        f"{labels.name}: no {max(len(order) - 1, 0)} of its {len(order)} blocks of {block} x {block} pixels teach "
        f"{fraction:.2%} of each class with a guard band of {radius} pixels: choose larger or smaller blocks "
        "(split.block), or a smaller split.fraction"
    )


def _p1(labels: Labels, seed: int, options: SplitOptions) -> Drawn:
    return split_p1(labels, seed=seed, fraction=options.fraction, kinds=options.kinds), None


def _p1_strict(labels: Labels, seed: int, options: SplitOptions) -> Drawn:
    train, _ = _p1(labels, seed, options)
    taught = Split("P1", seed, labels.shape, train).train_mask()
    return train, near_training(taught) & ~taught


def _p2(labels: Labels, seed: int, options: SplitOptions) -> Drawn:
    how = {"count": options.count, "imbalance": options.imbalance}
    return split_p2(labels, seed=seed, **how, kinds=options.kinds), None


def _p3(labels: Labels, seed: int, options: SplitOptions) -> Drawn:
    how = {"block": options.block, "radius": options.radius}
    return split_p3(labels, seed=seed, fraction=options.fraction, **how, kinds=options.kinds)


def _p4(labels: Labels, seed: int, options: SplitOptions) -> Drawn:
    return np.empty(0, dtype=np.int64), None


def _drawn(labels: Labels, seed: int, options: SplitOptions) -> Drawn:
    return np.flatnonzero(labels.values != UNLABELLED).astype(np.int64), None


Drawn = tuple[NDArray[np.int64], NDArray[np.bool_] | None]

PROTOCOLS: dict[str, Callable[[Labels, int, SplitOptions], Drawn]] = {
    "P1": _p1,
    "P1-strict": _p1_strict,
    "P2": _p2,
    "P3": _p3,
    "P4": _p4,
    DRAWN: _drawn,
}
"""Protocols by id; each returns the training pixels and the guard, or None where it has none."""


def _draw(classes: Sequence[Stratum], *, seed: int, counts: list[int]) -> NDArray[np.int64]:
    """Pixels of one class after the other, all from one generator."""
    state = np.random.RandomState(seed)  # the protocol names this generator
    drawn = [state.choice(each.pixels, count, replace=False) for each, count in zip(classes, counts, strict=True)]
    return np.concatenate(drawn).astype(np.int64)


def _within(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Pixels of ``mask`` whose patch lies wholly in it; beyond the border the patch mirrors what is inside."""
    inside: NDArray[np.bool_] = distance_to(~mask) > radius
    return inside


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


@dataclass(frozen=True)
class SplitOptions:
    """What the protocols can be told; each takes what it needs. See :func:`make_split`."""

    fraction: float
    count: int
    imbalance: int
    block: int
    radius: int
    kinds: bool = False
