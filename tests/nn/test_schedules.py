import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from hsi_cd.nn.schedules import SCHEDULES, Length, Schedule, build_schedule

LR = 0.02
EPOCH = 4  # steps
STEPS = 60

OPTIONS: dict[str, dict[str, Any]] = {
    "poly": {"power": 0.9},
    "hold": {"epochs": 5, "decay": 7},
    "multiplicative": {"milestones": [3, 5, 5, 11], "factor": 0.5},
    "step": {"every": 4, "factor": 0.3},
    "exponential": {"gamma": 0.9},
    "plateau": {"patience": 1, "factor": 0.4},
    "cosine_restarts": {"cycle": 3, "growth": 2},
    "one_cycle": {"warmup": 0.2},
}


def adam(kind: type[torch.optim.Optimizer] = torch.optim.AdamW) -> torch.optim.Optimizer:
    two = [{"params": [nn.Parameter(torch.ones(1))]}, {"params": [nn.Parameter(torch.ones(2))]}]
    return kind(two, lr=LR)


def fresh(
    name: str, *, steps: int = STEPS, epoch: int = EPOCH, linear_warmup: float = 0.0, **options: Any
) -> tuple[torch.optim.Optimizer, Schedule]:
    optimizer = adam()
    options = OPTIONS.get(name, {}) | options
    return optimizer, build_schedule(name, optimizer, Length(steps, epoch), linear_warmup=linear_warmup, **options)


def loss_at(step: int) -> float:
    """Of a validation: it falls for a while, then no more."""
    return max(1.0, 1.5 - step / 40)


def run(optimizer: torch.optim.Optimizer, schedule: Any, steps: int, *, start: int = 0) -> list[float]:
    """The rate of each step; after each epoch comes a validation."""
    rates = []
    for at in range(start, start + steps):
        rates.append(optimizer.param_groups[0]["lr"])
        assert optimizer.param_groups[1]["lr"] == rates[-1]
        optimizer.step()
        if not isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
            schedule.step()
        if (at + 1) % EPOCH == 0 and isinstance(schedule, Schedule):
            schedule.validated(loss_at(at))
        elif (at + 1) % EPOCH == 0 and isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
            schedule.step(loss_at(at))
    return rates


TORCHS: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "constant": lambda o: lr_scheduler.ConstantLR(o, factor=1.0),
    "poly": lambda o: lr_scheduler.PolynomialLR(o, total_iters=STEPS, power=0.9),
    "inverse_sqrt": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / math.sqrt(1 + step / EPOCH)),
    "hold": lambda o: lr_scheduler.SequentialLR(
        o,
        [
            lr_scheduler.ConstantLR(o, factor=1.0),
            lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=7 * EPOCH),
        ],
        milestones=[5 * EPOCH],
    ),
    "multiplicative": lambda o: lr_scheduler.MultiStepLR(o, [3 * EPOCH, 5 * EPOCH, 5 * EPOCH, 11 * EPOCH], 0.5),
    "step": lambda o: lr_scheduler.StepLR(o, 4 * EPOCH, 0.3),
    "exponential": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9 ** (step / EPOCH)),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.4, patience=1),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS),
    "cosine_restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3 * EPOCH, 2),
    "one_cycle": lambda o: lr_scheduler.OneCycleLR(o, LR, total_steps=STEPS, pct_start=0.2),
}
"""The same schedule by PyTorch, where there is one by another class of its own."""


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_table_of_a_schedule_is_pytorchs_step_by_step(name: str) -> None:
    optimizer = adam()
    expected = run(optimizer, TORCHS[name](optimizer), STEPS)
    found = run(*fresh(name), STEPS)
    assert found == pytest.approx(expected, abs=1e-12)
    assert name == "constant" or len(set(found)) > 2


FORMULAS: dict[str, Callable[[int], float]] = {
    "constant": lambda t: 1.0,
    "poly": lambda t: (1 - t / STEPS) ** 0.9,
    "hold": lambda t: 1.0 if t <= 20 else max(0.0, 1 - (t - 20) / 28),
    "multiplicative": lambda t: 0.5 ** sum(t >= m for m in (12, 20, 20, 44)),
    "step": lambda t: 0.3 ** (t // 16),
    "exponential": lambda t: 0.9 ** (t / 4),
    "cosine": lambda t: (1 + math.cos(math.pi * t / STEPS)) / 2,
    "cosine_restarts": lambda t: (1 + math.cos(math.pi * ((t / 12) if t < 12 else (t - 12) / 24 % 1))) / 2,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_table_of_a_schedule_is_its_formula(name: str) -> None:
    steps = 36 if name == "cosine_restarts" else STEPS
    assert run(*fresh(name), steps) == pytest.approx([LR * FORMULAS[name](t) for t in range(steps)], abs=1e-12)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = run(*fresh("one_cycle", steps=100), 100)
    peak = rates.index(max(rates))
    assert abs(peak - 20) <= 1
    assert max(rates) == pytest.approx(LR)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] < LR / 10 and 0 <= rates[-1] < LR / 1000


def test_hold_falls_to_nothing_at_the_end_where_no_number_is_given() -> None:
    rates = run(*fresh("hold", epochs=5, decay=0), STEPS)
    assert rates[:21] == [LR] * 21
    assert rates[20:] == pytest.approx([LR * (STEPS - t) / (STEPS - 20) for t in range(20, STEPS)])


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "one_cycle"])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_a_linear_rise_goes_in_front_of_any_schedule(name: str, share: float) -> None:
    rise = round(share * STEPS)
    found = run(*fresh(name, linear_warmup=share), STEPS)
    assert found[:rise] == pytest.approx([LR * (t + 1) / rise for t in range(rise)])
    if name != "plateau":  # it waits for validations, which come when they come
        assert found[rise:] == pytest.approx(run(*fresh(name, steps=STEPS - rise), STEPS - rise))


def test_a_plateau_is_left_when_the_loss_stops_falling() -> None:
    rates = run(*fresh("plateau"), STEPS)
    first = next(t for t, rate in enumerate(rates) if rate < LR)
    stalls = next(t for t in range(EPOCH - 1, STEPS, EPOCH) if loss_at(t) == loss_at(t + EPOCH))
    assert first == stalls + 2 * EPOCH + 1  # the second validation that brings nothing is one too many
    assert sorted(set(rates), reverse=True) == pytest.approx([LR * 0.4**k for k in range(len(set(rates)))])


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 11])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.quick("0.0-1-*", "0.1-11-*", "0.5-2-*", "0.9-3-*", "0.9-5-*")
def test_any_number_of_steps(name: str, steps: int, share: float) -> None:
    warm = {"warmup": share} if name == "one_cycle" else {"linear_warmup": share}
    rates = run(*fresh(name, steps=steps, epoch=1, **warm), steps)
    assert len(rates) == steps
    assert all(0 <= rate <= LR * (1 + 1e-9) for rate in rates)


@pytest.mark.parametrize("linear_warmup", [0.0, 0.3])
@pytest.mark.parametrize("stop", [9, 18, 44])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_exactly_where_it_stopped(name: str, stop: int, linear_warmup: float) -> None:
    warm = {} if name == "one_cycle" else {"linear_warmup": linear_warmup}
    expected = run(*fresh(name, **warm), STEPS)
    optimizer, schedule = fresh(name, **warm)
    first = run(optimizer, schedule, stop)
    file = io.BytesIO()
    torch.save([optimizer.state_dict(), schedule.state_dict()], file)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    later, resumed = fresh(name, **warm)
    later.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    assert first + run(later, resumed, STEPS - stop, start=stop) == expected
