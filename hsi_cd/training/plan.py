"""How a training is cut into epochs, steps and batches."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hsi_cd.config import TrainConfig
from hsi_cd.nn.schedules import Length


@dataclass(frozen=True)
class Plan:
    """How long a training is.

    Attributes:
        batch_size: pixels of a batch.
        batches: of an epoch.
        accumulate: batches of one step of the optimiser; the last step of an epoch may have fewer.
        epochs: of the training.
    """

    batch_size: int
    batches: int
    accumulate: int
    epochs: int

    @property
    def length(self) -> Length:
        """The same in steps of the optimiser, for the schedule."""
        epoch = -(-self.batches // self.accumulate)
        return Length(self.epochs * epoch, epoch)


def make_plan(config: TrainConfig, pixels: int) -> Plan:
    """The plan for a number of training pixels, those of the member that has fewest.

    The epochs are those asked for, unless they would be too few steps to learn from ten labels, or needlessly
    many.
    """
    batch_size = min(config.batch_size, pixels)
    batches = max(1, pixels // batch_size)
    steps = -(-batches // config.accumulate)
    wanted = min(max(config.epochs * steps, config.min_steps), config.max_steps)
    return Plan(batch_size, batches, config.accumulate, math.ceil(wanted / steps))
