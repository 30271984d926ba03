"""How a training is cut into epochs, steps and batches."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from hsi_cd.config import TrainConfig
from hsi_cd.nn.schedules import Length

log = logging.getLogger(__name__)


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

    The epochs are those of the configuration, as far as its fewest and most steps allow: where nobody asked for a
    number of epochs, that is enough to learn from ten labels, and not needlessly much from many.
    """
    batch_size = min(config.batch_size, pixels)
    batches = max(1, pixels // batch_size)
    steps = -(-batches // config.accumulate)
    wanted = max(config.epochs * steps, config.min_steps or 0)
    if config.max_steps is not None:
        wanted = min(wanted, config.max_steps)
    return Plan(batch_size, batches, config.accumulate, math.ceil(wanted / steps))


def overruled(config: TrainConfig, plan: Plan) -> str | None:
    """Which bound of the steps changes the number of epochs, and how to lift it, in one line; or None."""
    if plan.epochs == config.epochs:
        return None
    bound = _bound(config, plan)
    return (
        f"train.epochs is {config.epochs:,}, but train.{bound} {getattr(config, bound):,} makes it "
        f"{plan.epochs:,}: set train.{bound}=null to lift it"
    )


def tell_plan(config: TrainConfig, plan: Plan) -> None:
    """Log the plan; with a warning where a bound that is the default overrules epochs that are not.

    So it is in a file that began as a copy of the defaults, and in runs of versions whose bounds always held.
    """
    length, told = plan.length, overruled(config, plan)
    log.info("training: %d epochs of %d steps, %d steps in all", plan.epochs, length.epoch, length.steps)
    default, bound = TrainConfig(), _bound(config, plan)
    if told and config.epochs != default.epochs and getattr(config, bound) == getattr(default, bound):
        log.warning("%s", told)


def _bound(config: TrainConfig, plan: Plan) -> str:
    return "min_steps" if plan.epochs > config.epochs else "max_steps"
