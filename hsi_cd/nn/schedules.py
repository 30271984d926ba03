"""Learning-rate schedules by name, stepped once a batch."""

from __future__ import annotations

from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR


def one_cycle(optimizer: Optimizer, *, lr: float, steps: int, warmup: float) -> LRScheduler:
    """Rise to ``lr`` over the share ``warmup`` of all steps, then fall to nearly nothing (arXiv 1708.07120)."""
    # A rise of a single step is none, and OneCycleLR would divide by its length of zero.
    return OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=warmup if warmup * steps > 1 else 0.0)


def cosine(optimizer: Optimizer, *, lr: float, steps: int, warmup: float) -> LRScheduler:
    """Half a cosine from ``lr`` to 0 (arXiv 1608.03983)."""
    return CosineAnnealingLR(optimizer, T_max=steps)


def constant(optimizer: Optimizer, *, lr: float, steps: int, warmup: float) -> LRScheduler:
    """``lr`` throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


SCHEDULES: dict[str, Callable[..., LRScheduler]] = {"one_cycle": one_cycle, "cosine": cosine, "constant": constant}
"""Schedules by name; each builder takes ``optimizer, *, lr, steps, warmup``."""
