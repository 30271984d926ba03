"""Learning-rate schedules by name: PyTorch's own, counted in epochs and stepped once an optimiser step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


@dataclass(frozen=True)
class Length:
    """How long a schedule is.

    Attributes:
        steps: of the optimiser, in all.
        epoch: steps of one epoch.
    """

    steps: int
    epoch: int


@dataclass(frozen=True)
class Schedule:
    """What moves the learning rate: with every step, and with every validation where it waits for one."""

    stepped: LRScheduler
    plateau: ReduceLROnPlateau | None = None

    def step(self) -> None:
        """After a step of the optimiser."""
        self.stepped.step()

    def validated(self, loss: float) -> None:
        """After a validation, with its loss."""
        if self.plateau is not None:
            self.plateau.step(loss)

    def state_dict(self) -> dict[str, Any]:
        """Plain values from which :meth:`load_state_dict` goes on."""
        return {
            "stepped": self.stepped.state_dict(),
            "plateau": self.plateau.state_dict() if self.plateau is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken; the optimiser's own state holds the rate itself."""
        self.stepped.load_state_dict(state["stepped"])
        if self.plateau is not None:
            self.plateau.load_state_dict(state["plateau"])


def constant(optimizer: Optimizer, length: Length) -> LRScheduler:
    """The same rate throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def poly(optimizer: Optimizer, length: Length, *, power: float) -> LRScheduler:
    """``(1 - step / steps) ** power``, the polynomial decay of DeepLab (arXiv 1606.00915); 1 is linear."""
    return LambdaLR(optimizer, lambda step: max(0.0, 1 - step / length.steps) ** power)


def inverse_sqrt(optimizer: Optimizer, length: Length) -> LRScheduler:
    """``1 / sqrt(1 + epochs passed)``, as Transformers are taught (arXiv 1706.03762)."""
    return LambdaLR(optimizer, lambda step: (1 + step / length.epoch) ** -0.5)


def hold(optimizer: Optimizer, length: Length, *, epochs: int, decay: int) -> LRScheduler:
    """Hold the rate for ``epochs``, then let it fall linearly to 0 over ``decay`` epochs; 0: to the end of all."""
    start = epochs * length.epoch
    end = start + decay * length.epoch if decay else max(length.steps, start + 1)
    return LambdaLR(optimizer, lambda step: min(1.0, max(0.0, (end - step) / (end - start))))


def multiplicative(
    optimizer: Optimizer, length: Length, *, milestones: Sequence[int], factor: float
) -> LRScheduler:
    """Multiply the rate by ``factor`` when each of the ``milestones`` (epochs) is reached."""
    steps = [epoch * length.epoch for epoch in milestones]
    return MultiplicativeLR(optimizer, lambda step: factor ** steps.count(step))


def step(optimizer: Optimizer, length: Length, *, every: int, factor: float) -> LRScheduler:
    """Multiply the rate by ``factor`` every so many epochs."""
    return StepLR(optimizer, step_size=every * length.epoch, gamma=factor)


def exponential(optimizer: Optimizer, length: Length, *, gamma: float) -> LRScheduler:
    """Multiply the rate by ``gamma`` over each epoch, a little with each of its steps."""
    return ExponentialLR(optimizer, gamma=gamma ** (1 / length.epoch))


def cosine(optimizer: Optimizer, length: Length) -> LRScheduler:
    """Half a cosine down to 0 (arXiv 1608.03983)."""
    return CosineAnnealingLR(optimizer, T_max=length.steps)


def cosine_restarts(optimizer: Optimizer, length: Length, *, cycle: int, growth: int) -> LRScheduler:
    """Half a cosine down to 0 in ``cycle`` epochs, again and again, each ``growth`` times as long (1608.03983)."""
    return CosineAnnealingWarmRestarts(optimizer, T_0=cycle * length.epoch, T_mult=growth)


def one_cycle(optimizer: Optimizer, length: Length, *, warmup: float) -> LRScheduler:
    """Rise over the share ``warmup`` of all steps, then fall to nearly nothing (arXiv 1708.07120)."""
    return OneCycleLR(
        optimizer,
        max_lr=optimizer.param_groups[0]["lr"],
        total_steps=length.steps,
        # A rise of a single step is none, and OneCycleLR would divide by its length of zero.
        pct_start=warmup if warmup * length.steps > 1 else 0.0,
    )


def plateau(optimizer: Optimizer, length: Length, *, patience: int, factor: float) -> ReduceLROnPlateau:
    """Multiply the rate by ``factor`` after more than ``patience`` validations without a smaller loss."""
    return ReduceLROnPlateau(optimizer, factor=factor, patience=patience)


SCHEDULES: dict[str, Callable[..., LRScheduler]] = {
    "constant": constant,
    "poly": poly,
    "inverse_sqrt": inverse_sqrt,
    "hold": hold,
    "multiplicative": multiplicative,
    "step": step,
    "exponential": exponential,
    "plateau": plateau,
    "cosine": cosine,
    "cosine_restarts": cosine_restarts,
    "one_cycle": one_cycle,
}
"""Schedules by name; each builder takes ``optimizer, length`` and its own options."""


def build_schedule(
    name: str, optimizer: Optimizer, length: Length, *, linear_warmup: float = 0.0, **options: Any
) -> Schedule:
    """A schedule for an optimiser, whose rate is the highest of the schedule.

    Args:
        name: one of :data:`SCHEDULES`.
        optimizer: what it moves the rate of.
        length: how long the training is.
        linear_warmup: share of the steps over which the rate first rises linearly, before the schedule begins
            (arXiv 1706.02677); not for ``one_cycle``, which rises by itself.
        options: the schedule's own.
    """
    rise = round(linear_warmup * length.steps)
    if name == "plateau":
        # Neither knows of the other's rate: both multiply the one that is there.
        return Schedule(_rise(optimizer, rise), plateau(optimizer, length, **options))
    if rise < 2:
        return Schedule(SCHEDULES[name](optimizer, length, **options))
    rest = Length(max(length.steps - rise, 1), length.epoch)
    parts = [_rise(optimizer, rise), SCHEDULES[name](optimizer, rest, **options)]
    return Schedule(SequentialLR(optimizer, parts, milestones=[rise]))


def _rise(optimizer: Optimizer, steps: int) -> LRScheduler:
    """From ``1 / steps`` of the rate up to all of it, which the last of the ``steps`` has; then as it is."""
    steps = max(steps, 1)
    return LinearLR(optimizer, start_factor=1 / steps, total_iters=max(steps - 1, 1))
