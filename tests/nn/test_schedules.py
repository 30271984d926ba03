import math

import pytest
import torch
from torch import nn

from hsi_cd.nn.schedules import SCHEDULES

LR = 0.02


def fresh(name: str, *, steps: int, warmup: float = 0.2, kind: type[torch.optim.Optimizer] = torch.optim.AdamW):
    optimizer = kind([nn.Parameter(torch.ones(1))], lr=LR)
    return optimizer, SCHEDULES[name](optimizer, lr=LR, steps=steps, warmup=warmup)


def run(optimizer, schedule, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_constant_is_constant() -> None:
    assert run(*fresh("constant", steps=7), 7) == [LR] * 7


def test_cosine_is_half_a_cosine() -> None:
    rates = run(*fresh("cosine", steps=40), 40)
    assert rates == pytest.approx([LR * (1 + math.cos(math.pi * t / 40)) / 2 for t in range(40)])


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = run(*fresh("one_cycle", steps=100), 100)
    peak = rates.index(max(rates))
    assert abs(peak - 20) <= 1
    assert max(rates) == pytest.approx(LR)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] < LR / 10 and 0 <= rates[-1] < LR / 1000


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 11])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.2, 0.5, 0.9])
def test_any_number_of_steps(name: str, steps: int, warmup: float) -> None:
    rates = run(*fresh(name, steps=steps, warmup=warmup), steps)
    assert len(rates) == steps
    assert all(0 <= rate <= LR * (1 + 1e-9) for rate in rates)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_exactly_where_it_stopped(name: str) -> None:
    expected = run(*fresh(name, steps=30), 30)
    optimizer, schedule = fresh(name, steps=30)
    first = run(optimizer, schedule, 13)
    later, resumed = fresh(name, steps=30)
    later.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert first + run(later, resumed, 17) == expected
