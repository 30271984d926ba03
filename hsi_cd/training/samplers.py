"""Samplers by name: in which order a member of the ensemble meets its pixels in an epoch.

Every sampler draws from the run's one generator, anew for each epoch, and gives as many positions as are wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pool:
    """What an epoch of one member can be drawn from.

    Attributes:
        own: positions of the pixels that teach this member, int64 ``(N,)``.
        target: class of the pixel at each position, 0 unchanged, 1 changed, int64 ``(P,)``.
        blocks: number of the block of the scene that each position lies in, int64 ``(P,)``.
        last_loss: of each position when it was last seen by this member, float64 ``(P,)``; 1 before.
        spare: positions of random pixels of the scene that may stand for unchanged ones; none by default.
        scenes: number of the scene that each position lies in, int64 ``(P,)``; None where there is one.
    """

    own: NDArray[np.int64]
    target: NDArray[np.int64]
    blocks: NDArray[np.int64]
    last_loss: NDArray[np.float64]
    spare: NDArray[np.int64]
    scenes: NDArray[np.int64] | None = None


Sampler = Callable[[Pool, int, np.random.Generator], NDArray[np.int64]]


def shuffle(pool: Pool, length: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Every pixel once, in random order."""
    return generator.permutation(pool.own)[:length]


def balanced(pool: Pool, length: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """As many pixels of each class, in random order; those of a class that has too few come again.

    Where too few are unchanged and there are ``spare`` pixels, these fill up in place of repetition: drawn from
    all over the scene and taken as unchanged, as most of a scene is. Some are not: they are wrong as often as
    change is common.
    """
    by_class = {code: pool.own[pool.target[pool.own] == code] for code in np.unique(pool.target[pool.own])}
    share = -(-length // len(by_class))
    drawn = []
    for code, pixels in by_class.items():
        shuffled = generator.permutation(pixels)
        missing = share - len(pixels)
        if code == 0 and missing > 0 and len(pool.spare):
            fill = generator.choice(pool.spare, missing, replace=missing > len(pool.spare))
            drawn.append(np.concatenate([shuffled, fill]))
        else:
            drawn.append(np.resize(shuffled, share))
    return generator.permutation(np.concatenate(drawn))[:length]


def hard(pool: Pool, length: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Pixels by how badly they were last learned, with replacement (hard examples; arXiv 1604.03540, 1511.06343).

    Half of the draws are uniform, half in proportion to each pixel's last loss: no pixel is forgotten, and a wrong
    label does not take over.
    """
    loss = pool.last_loss[pool.own]
    chance = 0.5 / len(loss) + 0.5 * loss / loss.sum() if loss.sum() > 0 else None
    return generator.choice(pool.own, length, p=chance)


def block(pool: Pool, length: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Every pixel once, each stretch of the order from all over the scene: neighbours tell a batch the same.

    The pixels of a block are laid out evenly over the epoch, in random order and from a random start.
    """
    _, number, size = np.unique(pool.blocks[pool.own], return_inverse=True, return_counts=True)
    shuffled = generator.permutation(len(pool.own))
    ordered = shuffled[np.argsort(number[shuffled], kind="stable")]  # block by block, each in random order
    rank = np.arange(len(ordered)) - np.repeat(np.cumsum(size) - size, size)
    place = (rank + np.repeat(generator.random(len(size)), size)) / np.repeat(size, size)
    return pool.own[ordered[np.argsort(place, kind="stable")]][:length]


def scenes(pool: Pool, length: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """As many pixels of each scene, and in each as many of each class, in random order."""
    number = np.zeros(len(pool.own), dtype=np.int64) if pool.scenes is None else pool.scenes[pool.own]
    there = np.unique(number)
    share = -(-length // len(there))
    drawn = [balanced(replace(pool, own=pool.own[number == scene]), share, generator) for scene in there]
    return generator.permutation(np.concatenate(drawn))[:length]


SAMPLERS: dict[str, Sampler] = {
    "shuffle": shuffle,
    "balanced": balanced,
    "hard": hard,
    "block": block,
    "scenes": scenes,
}
"""Samplers by name; each takes ``pool, length, generator``."""
