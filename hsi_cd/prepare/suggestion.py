"""Where a label would teach most: uncertain places, unlike what is labelled, unlike each other, and far apart.

The most uncertain pixels alone would be one blurred edge, many times over. As in batches of active learning
(Zhdanov 2019, arXiv 1901.05954; the seeding of Ash et al. 2020, arXiv 1906.03671), uncertainty decides what comes
into question and how likely it is taken, and the distance from all that is known already decides the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from hsi_cd.errors import LabelError

POOL = 0.05
"""Share of the places that come into question: the most uncertain ones."""

_POOL_EACH = 50  # places that come into question for each that is asked for, at least
_SPREAD = 0.25  # least distance, of that at which so many places would be spread evenly over the scene
_KNOWN = 2000  # labelled pixels that are compared with, at most
_LEAST = 1e-9  # of a weight: what is certain, or known already, is drawn where nothing else is left
_SIDE = 3  # pixels of a place, each way: what a person can make out


@dataclass(frozen=True)
class Places:
    """Where to draw next, the first to be looked at first.

    Attributes:
        rows: of the places' middles, ``(n,)``.
        cols: of the places' middles, ``(n,)``.
        uncertainty: 1 where change is as likely as not, 0 where it is certain, float64 ``(n,)``.
        distance: least distance between two of them, pixels, that was kept.
    """

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    uncertainty: NDArray[np.float64]
    distance: float


def uncertainty_of(probability: NDArray[np.floating], threshold: float = 0.5) -> NDArray[np.float64]:
    """How uncertain a map is: 1 at the threshold, falling linearly to 0 at the probabilities 0 and 1; 0 for NaN.

    Args:
        probability: probabilities of change, any shape.
        threshold: probability from which a pixel counts as changed, between 0 and 1.
    """
    middle = min(max(float(threshold), 1e-6), 1 - 1e-6)
    p = np.asarray(probability, dtype=np.float64)
    found: NDArray[np.float64] = np.nan_to_num(np.where(p < middle, p / middle, (1 - p) / (1 - middle)))
    return np.clip(found, 0, 1)


def suggest_places(
    uncertainty: NDArray[np.float64],
    features: NDArray[np.floating],
    *,
    free: NDArray[np.bool_],
    labelled: NDArray[np.bool_],
    number: int,
    seed: int = 0,
) -> Places:
    """Choose places to be labelled next.

    A place is a square of 3 x 3 pixels, all of them free. Its uncertainty is the mean of theirs: a blurred edge is
    narrower than that, and nobody could tell it anyway. Of the most uncertain places (5 %, at least 50 for each
    that is asked for), one after another is drawn, the likelier the more uncertain it is and the farther its
    features lie from those of all labelled pixels and of the places that were drawn before it; none is nearer to
    another than a quarter of the distance at which so many would be spread evenly. Where too few are left, the
    next most uncertain come into question; where the scene is too small for the distance, it is halved.

    Args:
        uncertainty: ``(rows, cols)``, 0 to 1.
        features: ``(features, rows, cols)``, finite where ``free`` or ``labelled`` is. They are compared as
            they are: what varies little counts little, as the noisy ones of a scene's components should.
        free: bool ``(rows, cols)``: pixels that have data and no label.
        labelled: bool ``(rows, cols)``: pixels that have data and a label.
        number: of places.
        seed: of the draw.

    Raises:
        LabelError: there are fewer places.
    """
    # Outside the scene nothing is free: places lie in it as a whole.
    whole = scipy.ndimage.binary_erosion(free, np.ones((_SIDE, _SIDE), dtype=bool))
    rows, cols = np.nonzero(whole)
    if len(rows) < number:
        raise LabelError(
            f"{number} places are asked for, but the scene has room for {len(rows)}: places are squares of 3 x 3 "
            "pixels with data and without a label; ask for fewer"
        )
    worth = scipy.ndimage.uniform_filter(uncertainty, _SIDE, mode="nearest")[rows, cols]
    order = np.argsort(-worth, kind="stable")  # the most uncertain first
    rows, cols, worth = rows[order], cols[order], np.clip(worth[order], 0, 1)
    draw = np.random.default_rng(seed)
    known = np.argwhere(labelled)
    if len(known) > _KNOWN:
        known = known[np.sort(draw.choice(len(known), _KNOWN, replace=False))]
    own = features[:, rows, cols].T.astype(np.float32)
    others = features[:, known[:, 0], known[:, 1]].T.astype(np.float32)
    apart = max(float(_SIDE), _SPREAD * float(np.sqrt(len(rows) / number)))
    pool = min(len(rows), max(_POOL_EACH * number, int(POOL * len(rows))))
    while True:
        chosen = _choose(np.stack([rows, cols], axis=1), worth, (own, others), (number, pool, apart), draw)
        if len(chosen) == number:
            return Places(rows[chosen], cols[chosen], worth[chosen], apart)
        if apart <= _SIDE:
            raise LabelError(
                f"{number} places are asked for, but only {len(chosen)} were found that do not overlap: ask for "
                "fewer"
            )
        apart = max(float(_SIDE), apart / 2)


def _choose(
    places: NDArray[np.intp],
    worth: NDArray[np.float64],
    features: tuple[NDArray[np.float32], NDArray[np.float32]],
    asked: tuple[int, int, float],
    draw: np.random.Generator,
) -> list[int]:
    """Indices of as many places as are found, drawn one after another.

    Args:
        places: rows and columns ``(n, 2)``, the most uncertain first.
        worth: their uncertainty.
        features: of the places, and of what is labelled.
        asked: how many; how many come into question at first; the least distance between two, in pixels.
        draw: source of chance.
    """
    own, others = features
    number, pool, apart = asked
    far = _nearest(own[:pool], others)  # squared distance of each in question to the nearest that is known
    free = np.ones(len(own), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < number:
        left = np.flatnonzero(free[: len(far)])
        if not len(left):
            if len(far) == len(own):
                break
            further = own[len(far) : 2 * len(far)]
            far = np.concatenate([far, _nearest(further, np.concatenate([others, own[chosen]]))])
            continue
        distance = np.where(np.isfinite(far[left]), far[left], 1.0)  # where nothing is known, all are alike
        weights = np.cumsum((worth[left] + _LEAST) * (distance + _LEAST))
        drawn = np.searchsorted(weights, draw.random() * weights[-1], side="right")
        taken = int(left[min(int(drawn), len(left) - 1)])
        chosen.append(taken)
        free &= ((places - places[taken]) ** 2).sum(axis=1) >= apart**2
        far = np.minimum(far, _nearest(own[: len(far)], own[[taken]]))
    return chosen


def _nearest(features: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared distances ``(n,)`` of features to the nearest that is known; infinity where nothing is."""
    far = np.full(len(features), np.inf)
    lengths = (known**2).sum(axis=1)
    for start in range(0, len(features) if len(known) else 0, 4096):  # all at once would be a large scene squared
        part = features[start : start + 4096]
        square = (part**2).sum(axis=1)[:, None] - 2 * part @ known.T + lengths[None]
        far[start : start + 4096] = np.maximum(square.min(axis=1), 0)
    return far
