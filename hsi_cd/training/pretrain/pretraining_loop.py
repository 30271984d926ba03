"""The loop that teaches encoders from a scene without labels, to be read from top to bottom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hsi_cd.config import PretrainConfig
from hsi_cd.errors import CheckpointError, Preempted
from hsi_cd.nn.schedules import Length, build_schedule
from hsi_cd.progress import progress as show_progress
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.seeding import random_state, restore_random_state
from hsi_cd.training.journal import Journal
from hsi_cd.training.patches import PatchSource

_JUDGED = 4096  # held-out pixels that judge, at most: enough for three digits
_CHUNK = 1024  # pixels judged at a time
_WARMUP = 0.2  # share of the steps that rise


def pretrain(
    tasks: nn.ModuleList,
    source: PatchSource,
    taught: NDArray[np.int64],
    held: NDArray[np.int64],
    config: PretrainConfig,
    *,
    circumstances: Circumstances,
    journal: Journal[nn.ModuleList],
) -> dict[str, float]:
    """Train the tasks, each on draws of its own; they end as the last epoch leaves them.

    Args:
        tasks: what learns, in place.
        source: the scene's components, with patches of the size that the tasks take.
        taught: flat indices of the pixels that teach, int64.
        held: flat indices of those that judge.
        config: how long and how fast.
        circumstances: draws, device, and when to leave.
        journal: takes curves and checkpoints, and knows what an interrupted run left.

    Returns:
        How well the held-out pixels are told at the end, as in the curves.

    Raises:
        Preempted: it was asked to leave, and is saved.
    """
    generator, device, stop = circumstances.generator, circumstances.device, circumstances.stop
    taught_pixels, held_pixels = torch.from_numpy(taught), torch.from_numpy(held)
    if len(held) > _JUDGED:
        held_pixels = held_pixels[np.linspace(0, len(held) - 1, _JUDGED).round().astype(np.int64)]
    drawn = min(config.pixels, len(taught))
    batch_size = min(config.batch_size, drawn)
    steps = drawn // batch_size
    optimizer = torch.optim.AdamW(tasks.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    schedule = build_schedule("one_cycle", optimizer, Length(config.epochs * steps, steps), warmup=_WARMUP)
    done, judged, under_way = 0, dict[str, float](), None
    if journal.earlier is not None:
        done, judged, under_way = _restore(journal.earlier, tasks, optimizer, schedule, generator)

    def keep(epochs: int, under_way: _Epoch | None) -> None:
        journal.tracker.flush()  # before the checkpoint: a resumed run does not draw the curve up to here again
        journal.save(
            "last",
            tasks,
            {
                "epoch": epochs,
                "under_way": under_way and under_way.state(),
                "judged": judged,
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "random": random_state(generator),
            },
        )

    bar = show_progress(
        range(done, config.epochs),
        desc="pre-training",
        unit="epochs",
        initial=done,
        total=config.epochs,
        leave=True,
    )
    for epoch in bar:
        tasks.train()
        if under_way is None:
            under_way = _Epoch.drawn(generator, len(taught), drawn, tasks=len(tasks))
        for step in range(len(under_way.losses), steps):
            loss = torch.zeros((), device=device)
            for task, order in zip(tasks, under_way.orders, strict=True):
                batch = taught_pixels[order[step * batch_size : (step + 1) * batch_size]]
                loss = loss + task(*both_dates(source, batch.to(device)), generator=under_way.draws).loss
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            under_way.losses.append(loss.item() / len(tasks))
            if stop.asked:
                keep(epoch, under_way)
                raise Preempted(
                    f"{stop.asked}: saved in epoch {epoch + 1} of {config.epochs}; go on with resume=True"
                )
        curves = {"loss/train": float(np.mean(under_way.losses)), "lr": optimizer.param_groups[0]["lr"]}
        under_way = None

        last = epoch + 1 == config.epochs
        if last or (epoch + 1) % config.validate_every == 0:
            judged = judge(tasks, source, held_pixels)
            curves |= judged
        journal.tracker.scalars(epoch + 1, curves)
        if last or (epoch + 1) % config.save_every == 0:
            keep(epoch + 1, None)
        bar.set_postfix({name: f"{value:.3g}" for name, value in curves.items() if name != "lr"})
    return judged


@dataclass
class _Epoch:
    """An epoch that has begun: which pixels each task sees, in which order, and the losses of its steps so far."""

    orders: list[Tensor]
    draws: torch.Generator
    losses: list[float]

    @classmethod
    def drawn(cls, generator: np.random.Generator, pixels: int, drawn: int, *, tasks: int) -> _Epoch:
        orders = [torch.from_numpy(generator.permutation(pixels)[:drawn]) for _ in range(tasks)]
        return cls(orders, torch.Generator().manual_seed(int(generator.integers(2**63))), [])

    def state(self) -> dict[str, Any]:
        return {"orders": self.orders, "draws": self.draws.get_state(), "losses": self.losses}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> _Epoch:
        draws = torch.Generator()
        draws.set_state(state["draws"])
        return cls(state["orders"], draws, list(state["losses"]))


def both_dates(source: PatchSource, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Patches of both dates, ``(2 N, C, s, s)``, and their validity, bool ``(2 N, 1, s, s)``."""
    t1, t2, valid = source.cut(pixels)
    return torch.cat([t1, t2]), torch.cat([valid, valid])


def judge(tasks: nn.ModuleList, source: PatchSource, pixels: Tensor) -> dict[str, float]:
    """How well held-out pixels are told, the mean over the tasks.

    ``explained/val`` is the share of the judged values' variance that is explained, ``1 - sum (x' - x)^2 / sum
    (x - mean)^2``: 0 for telling each channel's mean, 1 for telling all.

    Args:
        tasks: what is judged.
        source: the scene's components.
        pixels: flat indices, int64.
    """
    tasks.eval()
    sums: dict[str, float] = {}
    with torch.inference_mode():
        for task in tasks:
            draws = torch.Generator().manual_seed(0)  # the same every time: curves show learning, not luck
            error, moments = 0.0, torch.zeros(3, source.both.shape[-1] // 2, dtype=torch.float64)
            for chunk in torch.split(pixels, _CHUNK):
                told = task(*both_dates(source, chunk.to(source.both.device)), generator=draws)
                terms = {"loss/val": told.loss} | {f"{name}/val": value for name, value in told.terms.items()}
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.item() * len(chunk) / len(pixels) / len(tasks)
                target = torch.where(told.judged, told.target, 0).double()
                error += float((torch.where(told.judged, told.values, 0).double() - target).square().sum())
                moments += torch.stack(
                    [x.sum(dim=(0, 2, 3)) for x in (told.judged.double(), target, target.square())]
                ).cpu()
            count, first, second = moments
            spread = float((second - first.square() / count.clamp_min(1)).sum())
            explained = 1 - error / spread if spread > 0 else math.nan
            sums["explained/val"] = sums.get("explained/val", 0.0) + explained / len(tasks)
    return sums


def _restore(
    state: dict[str, Any],
    tasks: nn.ModuleList,
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    generator: np.random.Generator,
) -> tuple[int, dict[str, float], _Epoch | None]:
    try:
        tasks.load_state_dict(state["tasks"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        restore_random_state(state["random"], generator)
        under_way = None if state["under_way"] is None else _Epoch.restored(state["under_way"])
        return int(state["epoch"]), dict(state["judged"]), under_way
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the checkpoint holds no pre-training to go on with ({next(iter(str(error).splitlines()), '')}): "
            "start without resume=True"
        ) from error
