"""Labels that nobody drew: pixels of which the label-free detector is certain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.errors import LabelError
from hsi_cd.inference.scoring import score_rows
from hsi_cd.scene import ScenePair

_CERTAIN = 0.95  # posterior of the class from which a pixel may teach
_PER_CLASS = (
    500  # as many of each class: the scene's own shares are not known, and rare change must be learned too
)
_ENOUGH = 10  # of each class; fewer say nothing about what change looks like here


def certain_pixels(pair: ScenePair, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels to learn from without a label: a random 500 of each class among the certain ones.

    The label-free default (``auto``) scores the scene; where its posterior is beyond 95 %, its word is taken.
    Drawn at random among those rather than from the most extreme, which are all of the one most striking change.

    Args:
        pair: the scene.
        seed: seed of the draw.

    Returns:
        Flat indices of the pixels and their classes (0 unchanged, 1 changed), each int64.

    Raises:
        LabelError: hardly any pixel of a class is certain.
    """
    detector = fit_auto(pair, seed=seed)
    unchanged, changed = [], []
    for row, scores in score_rows(detector, pair):
        probability = detector.probability(scores)
        first = row * pair.shape[1]
        unchanged.append(first + np.flatnonzero(probability <= 1 - _CERTAIN))
        changed.append(first + np.flatnonzero(probability >= _CERTAIN))
    random = np.random.default_rng(seed)
    drawn = []
    for word, found in (("unchanged", unchanged), ("changed", changed)):
        pixels = np.concatenate(found)
        if len(pixels) < _ENOUGH:
            raise LabelError(
                f"without labels, {len(pixels)} pixels of {pair.name} are certain to be {word}: "
                f"at least {_ENOUGH} are needed to learn from; use hsi-cd detect --method auto, or labels"
            )
        drawn.append(random.choice(pixels, min(_PER_CLASS, len(pixels)), replace=False))
    target = np.repeat([0, 1], [len(part) for part in drawn])
    return np.concatenate(drawn).astype(np.int64), target.astype(np.int64)
