"""Pseudo-labels beside labels that people drew: what the label-free detector believes of the scene's own pixels.

A drawing is a few places in which somebody looked, as many of change as of no change. It says what change is
meant; it does not say what the rest of the scene looks like, nor how much of it changed. The scene itself says
that: pixels from all over it join every batch, with what the label-free detector believes of them as their soft
label, as far as it is not in doubt itself. Labels outvote it where they are; where nobody drew, the network stays
with it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.detectors.prior import Prior
from hsi_cd.prepare.measurement import Measurement

log = logging.getLogger(__name__)

ENOUGH_STEPS, BATCH_SIZE = 400, 64
"""Steps of a training beside pseudo-labels, and pixels of a batch, where nobody asks for others: more steps of
small batches do better than fewer of large ones in the same time, and this is short enough to wait for."""

WARM_STEPS = 160
"""Steps of such a training that goes on from an earlier run; measured, too: docs/drawing.md says how."""

_PIXELS = 8192  # of the scene, drawn once
_DOUBT = 1.0  # log-odds, either way: what is nearer to even teaches nothing, see docs/methods.md, Drawn labels
_SHARPENED = 2.0  # times its log-odds: the detector's posterior is wider than what a pixel's neighbours tell
_EPOCH = 256  # positions: labels and pixels of the scene together
_ROWS = 64  # scored at a time; the draw goes by them, so that nothing may change them


@dataclass(frozen=True)
class SceneDraw:
    """Pixels of a scene, drawn uniformly, and what the label-free detector says of them.

    Attributes:
        pixels: flat indices, int64 ``(N,)``.
        odds: the detector's log-odds of change, float32 ``(N,)``.
        lots: what they drew, ``(N,)``: the smallest of the scene stay.
    """

    pixels: NDArray[np.int64]
    odds: NDArray[np.float32]
    lots: NDArray[np.float64]

    @classmethod
    def of_nothing(cls) -> SceneDraw:
        """No pixel yet."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), np.empty(0))

    def join(self, pixels: NDArray[np.int64], odds: NDArray[np.float32], lots: NDArray[np.float64]) -> SceneDraw:
        """Those of both that have the smallest lots."""
        lots = np.append(self.lots, lots)
        smallest = np.argsort(lots)[:_PIXELS]
        pixels, odds = np.append(self.pixels, pixels), np.append(self.odds, odds)
        return SceneDraw(pixels[smallest], odds[smallest], lots[smallest])


@dataclass(frozen=True)
class PseudoLabels:
    """Pixels of the whole scene with soft labels, and how they and the labels make an epoch.

    Attributes:
        pixels: flat indices, int64 ``(N,)``.
        target: their probabilities of change, by the label-free detector's log-odds, doubled, float32 ``(N,)``.
        shapes: number of the shape that each labelled pixel was drawn with, ``(labels,)``.
        part: of an epoch, and so of a batch, that is pixels of the scene, between 0 and 1.
        share: of the scene's pixels that are changed by the label-free map; None where the labels tell it.
        prior: the label-free detector, which stays in the score.
        known: its log-odds of the labelled pixels, float32 ``(labels,)``; NaN where they have no data.
        everywhere: pixels of the whole scene, whether it is in doubt of them or not.
        worth: of one label, where labels hold the classes as their areas do; None for shapes that people drew.
    """

    pixels: NDArray[np.int64]
    target: NDArray[np.float32]
    shapes: NDArray[np.integer]
    part: float
    share: float | None
    prior: Prior
    known: NDArray[np.float32]
    everywhere: SceneDraw
    worth: float | None = None

    def join(self, labels: NDArray[np.int64], *, after: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """What one epoch learns from: labels, drawn such that shapes count alike, and pixels of the scene.

        Args:
            labels: positions of the labelled pixels that may teach.
            after: position of the first pseudo-label, behind those of all labels.
            generator: source of the draws.

        Returns:
            Positions, int64.
        """
        _, shape, pixels = np.unique(self.shapes[labels], return_inverse=True, return_counts=True)
        chance = 1 / pixels[shape]
        count = round(self.part * _EPOCH)
        drawn = generator.choice(labels, _EPOCH - count, p=chance / chance.sum())
        beside = generator.choice(len(self.pixels), count)
        return np.append(drawn, after + beside)

    def number(self, labels: NDArray[np.int64]) -> int:
        """How many positions :meth:`join` returns."""
        return _EPOCH


def scene_pseudo_labels(
    measurement: Measurement,
    labelled: NDArray[np.int64],
    shapes: NDArray[np.integer],
    *,
    part: float,
    seed: int,
    prior: Prior | None = None,
    worth: float | None = None,
    drop_constant: bool = False,
) -> PseudoLabels:
    """Ask what needs no label about pixels from all over the scene.

    Every pixel draws a random lot and the smallest stay: a uniform draw that holds only itself in memory. Pixels
    of which the detector is in doubt stay out, unless it is in doubt of all.

    Args:
        measurement: of the scene.
        labelled: flat indices of the labelled pixels, int64 ``(labels,)``.
        shapes: number of the shape that each of them was drawn with, ``(labels,)``.
        part: of a batch that is pixels of the scene, between 0 and 1.
        seed: seed of the draw.
        prior: who is asked; the label-free default (``auto``) where nobody says.
        worth: of one label, where labels tell how common change is; None where they do not.
        drop_constant: leave constant bands out instead of refusing the scene, where nobody says who is asked.
    """
    if prior is None:
        prior = Prior(fit_auto(measurement, options={"drop_constant": drop_constant}, seed=seed))
    said = np.full(len(labelled), np.nan, dtype=np.float32)
    random = np.random.default_rng(seed)
    everywhere = certain = SceneDraw.of_nothing()
    changed = valid = 0
    cols = measurement.pair.shape[1]
    for rows, found in prior.of_scene(measurement, rows=_ROWS):
        known = np.flatnonzero(np.isfinite(found))
        first = rows.start * cols
        inside = (labelled >= first) & (labelled < first + found.size)
        said[inside] = found.ravel()[labelled[inside] - first]
        odds = found.ravel()[known]
        changed += int(np.count_nonzero(odds >= 0))
        valid += len(known)
        lots, sure = random.random(len(known)), np.abs(odds) >= _DOUBT
        everywhere = everywhere.join(first + known, odds, lots)
        certain = certain.join(first + known[sure], odds[sure], lots[sure])
    taught = certain if len(certain.pixels) else everywhere
    target = scipy.special.expit(_SHARPENED * taught.odds)
    share = changed / max(valid, 1)
    log.info("label-free: %.2f %% of the scene changed", 100 * share)
    told = share if worth is None else None
    return PseudoLabels(taught.pixels, target, shapes, part, told, prior, said, everywhere, worth)
