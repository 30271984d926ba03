"""Which pixels each batch of each member holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hsi_cd.config import TrainConfig
from hsi_cd.training.plan import Plan, make_plan
from hsi_cd.training.pseudo_labels import BATCH_SIZE, ENOUGH_STEPS, WARM_STEPS, PseudoLabels
from hsi_cd.training.samplers import SAMPLERS, Pool
from hsi_cd.training.self_training import CertainPixels, patch_places
from hsi_cd.training.training_set import TrainingSet

Positions = NDArray[np.int64]


def taught_positions(member: int, folds: NDArray[np.int64] | None, count: int) -> Positions:
    """Positions of the training pixels that a member learns from: all but its own fold."""
    if folds is None:
        return np.arange(count)
    own = np.flatnonzero(folds != member % (folds.max() + 1))
    return own if own.size else np.arange(count)


@dataclass
class Batches:
    """Draws the batches of every member, epoch by epoch.

    A position is an index into ``pixels``, where labels come first, then certain pixels, then spare ones.

    Attributes:
        plan: how long epochs and batches are.
        taught: for each member the positions of the labels that teach it.
        pixels: flat indices into the scene, int64 ``(P,)``.
        target: their classes, 0 unchanged, 1 changed, or probabilities of change where labels are soft, ``(P,)``.
        blocks: the block of the scene that each lies in, int64 ``(P,)``.
        spare: positions that the balanced sampler may fill up with.
        certain: pixels that teach beside the labels.
        sampler: name of the sampler.
        scenes: the scene that each lies in, where several teach; else None.
        last_loss: of each position when a member last saw it, float64 ``(members, P)``.
    """

    plan: Plan
    taught: list[Positions]
    pixels: NDArray[np.int64]
    target: NDArray[np.number]
    blocks: NDArray[np.int64]
    spare: Positions
    certain: CertainPixels | PseudoLabels | None
    sampler: str
    scenes: NDArray[np.int64] | None = None
    last_loss: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.last_loss = np.ones((len(self.taught), len(self.pixels)))

    def orders(self, generator: np.random.Generator) -> list[Positions]:
        """Draw an epoch: for each member the positions of its batches, one batch behind the other."""
        own = self.taught
        if self.certain is not None:
            own = [self.certain.join(labels, after=self._labelled, generator=generator) for labels in own]
        length = self.plan.batch_size * self.plan.batches
        classes = (self.target >= 0.5).astype(np.int64)
        return [
            SAMPLERS[self.sampler](
                Pool(positions, classes, self.blocks, loss, self.spare, self.scenes), length, generator
            )
            for positions, loss in zip(own, self.last_loss, strict=True)
        ]

    def steps(self, orders: list[Positions]) -> list[list[list[Positions]]]:
        """Cut an epoch: for each step of the optimiser its batches, and of each batch the part of every member."""
        size, accumulate = self.plan.batch_size, self.plan.accumulate
        batches = [[order[at : at + size] for order in orders] for at in range(0, len(orders[0]), size)]
        return [batches[first : first + accumulate] for first in range(0, len(batches), accumulate)]

    @property
    def _labelled(self) -> int:
        """Where the certain pixels begin."""
        certain = 0 if self.certain is None else len(self.certain.pixels)
        return len(self.pixels) - len(self.spare) - certain


def make_batches(
    config: TrainConfig,
    taught: TrainingSet,
    folds: NDArray[np.int64] | None,
    *,
    members: int,
    valid: NDArray[np.bool_],
) -> Batches:
    """Everything that batches are drawn from.

    Args:
        config: the loop's configuration.
        taught: the labelled pixels that teach, and the certain ones beside them.
        folds: the fold that each labelled one is held out in, ``(N,)``, or None.
        members: of the ensemble.
        valid: where both dates have data, bool ``(rows, cols)``.
    """
    pixels, target, certain = taught.pixels, taught.target, taught.certain
    labels = [taught_positions(member, folds, len(pixels)) for member in range(members)]
    if isinstance(certain, PseudoLabels):
        config = config.model_copy(update=_beside_pseudo_labels(config))
    fewest = min(certain.number(own) if certain is not None else len(own) for own in labels)
    if certain is not None:
        pixels, target = np.concatenate([pixels, certain.pixels]), np.concatenate([target, certain.target])
    teaching = len(pixels)
    options = config.sampler_options
    if config.sampler == "balanced" and options.balanced.fill == "scene":
        others = np.setdiff1d(np.flatnonzero(valid), pixels)
        pixels, target = np.append(pixels, others), np.append(target, np.zeros(len(others), dtype=np.int64))
    return Batches(
        make_plan(config, fewest),
        labels,
        pixels,
        target,
        patch_places(pixels, valid.shape[1], side=options.block.side),
        np.arange(teaching, len(pixels)),
        certain,
        config.sampler,
        taught.scenes,
    )


def _beside_pseudo_labels(config: TrainConfig) -> dict[str, int | None]:
    """How many steps of how many pixels, where nobody said it: every batch is full, however few the labels."""
    default, own = TrainConfig(), dict[str, int | None]()
    if config.batch_size == default.batch_size:
        own["batch_size"] = BATCH_SIZE
    if all(getattr(config, name) == getattr(default, name) for name in ("epochs", "min_steps", "max_steps")):
        own |= {"min_steps": None, "max_steps": ENOUGH_STEPS if config.start_from is None else WARM_STEPS}
    return own
