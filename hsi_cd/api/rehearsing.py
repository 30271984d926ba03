"""What a configuration will do, before anything is trained: its network, and its learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from hsi_cd.api.benchmarks import dataset_bands
from hsi_cd.config import RunConfig, TrainConfig
from hsi_cd.errors import ConfigError
from hsi_cd.reporting.figures import save_figure
from hsi_cd.reporting.rate_curve import rate_figure
from hsi_cd.training.optimisation import configured_schedule
from hsi_cd.training.plan import Plan, make_plan, overruled
from hsi_cd.training.summary import Layer, ModelSummary, summarise

__all__ = ["Layer", "ModelSummary", "Rates", "draw_rates", "network_of", "rates_of"]


@dataclass(frozen=True)
class Rates:
    """The learning rate over a training.

    Attributes:
        schedule: name of the schedule.
        epochs: length of the training.
        steps_per_epoch: of the optimiser.
        taught: training pixels that each member learns.
        why: why the epochs are other than those that are set; empty where they are not.
        rates: of each step.
    """

    schedule: str
    epochs: int
    steps_per_epoch: int
    taught: int
    why: str
    rates: list[float]


def network_of(config: RunConfig, *, bands: int | None = None) -> ModelSummary:
    """A configuration's network, measured.

    Args:
        config: the configuration.
        bands: of the scene; by default those of the configured dataset, else enough for the components.

    Raises:
        ConfigError: without a projection the network sees all bands, and their number is not known.
    """
    if bands is None and config.dataset is not None:
        bands = dataset_bands(config.dataset)
    if config.prepare.projection != "none":
        channels = min(config.prepare.components, bands or config.prepare.components)
    elif bands is None:
        raise ConfigError("without a projection the network sees all bands: say how many by bands=N")
    else:
        channels = bands
    return summarise(config, channels=channels)


def rates_of(config: TrainConfig, labels: int) -> Rates:
    """The learning rate of every step of a training.

    A plateau waits for validations, which only a training has: it is shown as if none brought a smaller loss after
    the first.

    Args:
        config: the training's settings.
        labels: training pixels.
    """
    taught = labels - labels // config.folds if config.folds else labels
    plan = make_plan(config, taught)
    steps = _rates(config, plan)
    return Rates(config.schedule, plan.epochs, plan.length.epoch, taught, overruled(config, plan) or "", steps)


def draw_rates(rates: Rates, path: Path, *, overwrite: bool) -> None:
    """Draw the curve, as .png or .pdf.

    Raises:
        OutputError: the file cannot be written.
    """
    figure = rate_figure(rates.rates, steps_per_epoch=rates.steps_per_epoch, title=rates.schedule)
    save_figure(figure, path, overwrite=overwrite)


def _rates(config: TrainConfig, plan: Plan) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.lr, momentum=0.9)
    moved = configured_schedule(config, optimizer, plan.length)
    rates = []
    for step in range(1, plan.length.steps + 1):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        moved.step()
        if step % (plan.length.epoch * config.validate_every) == 0:
            moved.validated(1.0)
    return rates
