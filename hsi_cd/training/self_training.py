"""Labels that nobody drew: pixels of which the label-free detector is certain.

Without labels they teach alone; with few labels they teach beside them, as many as the labels say can be believed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.decision import scene_scores
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.errors import LabelError
from hsi_cd.prepare.measurement import Scene, measured

log = logging.getLogger(__name__)

_DOUBT = 0.05  # posterior of the other class up to which a pixel may teach
_PER_CLASS = (
    500  # as many of each class: the scene's own shares are not known, and rare change must be learned too
)
_ENOUGH = 10  # of each class; fewer say nothing about what change looks like here
_ROWS = 64  # scored at a time; the draw goes by them, so that nothing may change them
_WORD = 10  # pixels that the detector's own word counts for, against the labels that check it


@dataclass(frozen=True)
class CertainPixels:
    """Pixels to learn from that nobody labelled.

    Attributes:
        pixels: flat indices, int64 ``(N,)``.
        target: their classes by the label-free detector, 0 unchanged, 1 changed, int64 ``(N,)``.
        each_epoch: how many of each class join the labels in an epoch; they are drawn anew for the next.
        places: for each labelled pixel a number that it shares with those beside it, int64; an epoch takes one
            label of each place. None where every label is taken.
    """

    pixels: NDArray[np.int64]
    target: NDArray[np.int64]
    each_epoch: int
    places: NDArray[np.int64] | None = None

    def join(self, labels: NDArray[np.int64], *, after: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """What one epoch learns from: labels, and the certain pixels drawn for it.

        Args:
            labels: positions of the labelled pixels that may teach.
            after: position of the first certain pixel, behind those of all labels.
            generator: source of the draws.

        Returns:
            Positions, int64.
        """
        if self.places is not None:
            shuffled = generator.permutation(labels)
            labels = shuffled[np.unique(self.places[shuffled], return_index=True)[1]]
        by_class = [np.flatnonzero(self.target == code) for code in (0, 1)]
        drawn = np.concatenate([generator.choice(of, self.each_epoch, replace=False) for of in by_class])
        return np.append(labels, after + drawn)

    def number(self, labels: NDArray[np.int64]) -> int:
        """How many positions :meth:`join` returns."""
        taken = len(labels) if self.places is None else len(np.unique(self.places[labels]))
        return taken + 2 * self.each_epoch


@dataclass(frozen=True)
class Heard:
    """What the label-free detector says of a scene.

    Attributes:
        pools: flat indices of certain pixels, int64, up to 500 drawn among the unchanged and among the changed.
        said: its probabilities of change at the pixels that were asked for, ``(N,)``; NaN for no data.
        share: of the scene's pixels that are changed by its map.
    """

    pools: tuple[NDArray[np.int64], NDArray[np.int64]]
    said: NDArray[np.float32]
    share: float


def hear(scene: Scene, pixels: NDArray[np.int64], *, seed: int, drop_constant: bool = False) -> Heard:
    """Ask the label-free default (``auto``) what changed.

    Every certain pixel draws a random lot and the 500 smallest stay: a uniform draw that holds only itself in
    memory, however tall the scene. Drawn at random rather than from the most extreme, which are all of the one
    most striking change.

    Args:
        scene: the scene, or its measurement.
        pixels: flat indices of pixels to ask about, int64 ``(N,)``.
        seed: seed of the draw.
        drop_constant: leave constant bands out instead of refusing the scene.
    """
    measurement = measured(scene)
    detector = fit_auto(measurement, options={"drop_constant": drop_constant}, seed=seed)
    random = np.random.default_rng(seed)
    said = np.full(len(pixels), np.nan, dtype=np.float32)
    kept = [(np.empty(0, dtype=np.int64), np.empty(0)) for _ in range(2)]
    changed = valid = 0
    cols = measurement.pair.shape[1]
    for rows, scores in scene_scores(detector, measurement, rows=_ROWS):
        probability = detector.probability(scores).ravel()
        changed += int(np.count_nonzero(scores >= detector.threshold))
        valid += int(np.count_nonzero(np.isfinite(scores)))
        first = rows.start * cols
        inside = (pixels >= first) & (pixels < first + len(probability))
        said[inside] = probability[pixels[inside] - first]
        for code, certain in enumerate((probability <= _DOUBT, probability >= 1 - _DOUBT)):
            found = np.flatnonzero(certain)
            indices = np.concatenate([kept[code][0], first + found])
            lots = np.concatenate([kept[code][1], random.random(len(found))])
            smallest = np.argsort(lots)[:_PER_CLASS]
            kept[code] = indices[smallest], lots[smallest]
    return Heard((kept[0][0], kept[1][0]), said, changed / max(valid, 1))


def certain_pixels(
    scene: Scene, *, seed: int, drop_constant: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels to learn from without a label: a random 500 of each class among the certain ones.

    The label-free default (``auto``) scores the scene; where its posterior is beyond 95 %, its word is taken.

    Args:
        scene: the scene, or its measurement.
        seed: seed of the draw.
        drop_constant: leave constant bands out instead of refusing the scene.

    Returns:
        Flat indices of the pixels and their classes (0 unchanged, 1 changed), each int64.

    Raises:
        LabelError: hardly any pixel of a class is certain.
    """
    measurement = measured(scene)
    pools = hear(measurement, np.empty(0, dtype=np.int64), seed=seed, drop_constant=drop_constant).pools
    for word, pool in zip(("unchanged", "changed"), pools, strict=True):
        if len(pool) < _ENOUGH:
            raise LabelError(
                f"without labels, {len(pool)} pixels of {measurement.pair.name} are certain to be {word}: "
                f"at least {_ENOUGH} are needed to learn from; use hsi_cd.detect(pair, method='auto'), or labels"
            )
    return np.concatenate(pools), np.repeat([0, 1], [len(pool) for pool in pools])


def trusted_pixels(
    heard: Heard, target: NDArray[np.int64], *, at_most: int, places: NDArray[np.int64] | None = None
) -> CertainPixels | None:
    """Certain pixels to teach beside the labels, so many of each class that one of them is expected to be wrong.

    How often the label-free detector errs where it is certain, the labels tell; its own word, 5 %, counts for
    ten pixels, which is all there is to go by when no label lies where it is certain. Where it is right, few
    labels get help from many pixels; where it takes another kind of change for the wanted one, from hardly any.

    Args:
        heard: what the detector says, asked about the labelled pixels.
        target: their classes, 0 unchanged, 1 changed, ``(N,)``.
        at_most: of each class.
        places: for each label a number that it shares with those beside it, ``(N,)``, where labels were drawn by
            places: all labels of a place then count, and teach, as one. By default each counts.

    Returns:
        The pixels; None where there are none to speak of beside so many labels.
    """
    number = len(target) if places is None else len(np.unique(places))
    count = min(at_most, int(1 / largest_error(heard.said, target, places=places)), *map(len, heard.pools))
    log.info("certain pixels: %d of each class beside %d labels", count, number)
    if not worth_asking(number, at_most=count):
        return None
    pixels, classes = np.concatenate(heard.pools), np.repeat([0, 1], [len(pool) for pool in heard.pools])
    return CertainPixels(pixels, classes, each_epoch=count, places=places)


def patch_places(pixels: NDArray[np.int64], cols: int, *, side: int) -> NDArray[np.int64]:
    """Number the places of pixels in a grid of patches: those of one patch share a number.

    Args:
        pixels: flat indices, int64 ``(N,)``.
        cols: width of the scene.
        side: of a patch, in pixels.
    """
    return pixels // cols // side * -(-cols // side) + pixels % cols // side


def worth_asking(labels: int, *, at_most: int) -> bool:
    """Whether certain pixels, ``at_most`` of each class, count beside so many labels: a quarter of them at least.

    Beside more labels they were measured to change nothing, or to be worth less than their errors.
    """
    return 4 * 2 * at_most >= labels and at_most > 0


def largest_error(
    said: NDArray[np.float32], target: NDArray[np.int64], *, places: NDArray[np.int64] | None = None
) -> float:
    """How often a detector is wrong where it is certain, in the class where it is wrong more often.

    The mean of the Beta posterior of each class's error rate, ``(wrong + 10 * 0.05) / (certain + 10)``.

    Args:
        said: its probabilities of change at labelled pixels, ``(N,)``; NaN where it has none.
        target: their classes, 0 unchanged, 1 changed, ``(N,)``.
        places: for each pixel the number of its place, ``(N,)``: all pixels of a place count as one.

    Returns:
        A rate in 0 to 1.
    """
    places = np.arange(len(target)) if places is None else places
    rates = []
    for code, certain in ((0, said <= _DOUBT), (1, said >= 1 - _DOUBT)):
        _, place, pixels = np.unique(places[certain], return_inverse=True, return_counts=True)
        wrong = np.sum((target[certain] != code) / pixels[place])
        rates.append((wrong + _WORD * _DOUBT) / (len(pixels) + _WORD))
    return float(max(rates))
