"""Encoders learn from a scene without labels: the loop, to be read from top to bottom, and the run around it.

Pixels of both dates teach; whole blocks of the scene are held out and judge. No label is read.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from hsi_cd.config import PretrainConfig, RunConfig
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.errors import CheckpointError, ConfigError, Preempted
from hsi_cd.io import remove_drafts, write_json
from hsi_cd.nn.pretext import TASKS
from hsi_cd.nn.schedules import Length, build_schedule
from hsi_cd.prepare.bands import choose_bands
from hsi_cd.prepare.held_out import hold_out_blocks
from hsi_cd.prepare.patches import PatchSource
from hsi_cd.scene import ScenePair
from hsi_cd.training.checkpoint import read_saved, resumed, write_saved
from hsi_cd.training.encoders import backbones, save_encoders
from hsi_cd.training.preemption import Stop
from hsi_cd.training.provenance import versions
from hsi_cd.training.run_folder import check_folder, hardware, make_folder
from hsi_cd.training.seeding import choose_device, random_state, restore_random_state, seed_everything
from hsi_cd.training.tracking import Tracker
from hsi_cd.training.weight_files import load_resnet_weights

CURVES = ("loss/train", "loss/val", "explained/val", "reconstruction/val", "kl/val", "lr")
"""The columns of ``curves.csv`` beside the epoch."""

_JUDGED = 4096  # held-out pixels that judge, at most: enough for three digits
_CHUNK = 1024  # pixels judged at a time
_WARMUP = 0.2  # share of the steps that rise


def run_pretraining(
    pair: ScenePair, config: RunConfig, folder: Path, *, resume: bool = False, stop: Stop | None = None
) -> dict[str, Any]:
    """Pre-train one encoder for each member of the network, on one scene, without labels.

    The folder ends with ``config.yaml`` (resolved), ``last.pt`` (to go on from), the curves (event files and
    ``curves.csv``), ``encoder.pt`` and, last of all, ``pretrain.json``.

    Args:
        pair: the scene.
        config: the resolved configuration; its ``bands``, ``prepare`` and ``model`` must be those of the training
            that will use the encoders.
        folder: the run folder; made if it is not there.
        resume: go on with what an interrupted run of the same configuration left in the folder.
        stop: says when to save, after the step under way, and leave.

    Returns:
        What ``pretrain.json`` holds.

    Raises:
        BandError: the scene has bands that cannot be used.
        ConfigError: the task cannot be set on so few channels or pixels.
        OutputError: the folder holds another run, or cannot be written.
        CheckpointError: the run cannot be resumed.
        Preempted: it was asked to leave, and is saved.
    """
    stop = stop or Stop()
    device = choose_device(config.device)
    check_folder(folder, config, resume=resume)
    started = time.perf_counter()
    generator = seed_everything(config.seed, deterministic=config.deterministic, benchmark=config.benchmark)
    pair = choose_bands(pair, **config.bands.model_dump())
    detector, _ = fit_siamese(pair, config)
    earlier = _earlier(folder / "last.pt") if resume else None
    if earlier is not None:
        detector = resumed(detector, earlier["detector"], config)
    elif config.model.backbone.weights is not None:
        weights = Path(config.model.backbone.weights)
        load_resnet_weights(detector.network, weights, adapt=config.model.backbone.adapt)
    detector.network.to(device)
    tasks = build_tasks(detector, config.pretrain).to(device)
    half = tasks[0].patch // 2 + int(backbones(detector)[0].radius)  # type: ignore[arg-type, operator]
    source = detector.patches(pair, radius=half)
    taught, held = hold_out_blocks(source.inside, share=config.pretrain.held_out, half=half, seed=config.seed)
    # Nothing is written before all input has proved good: a refused scene leaves no folder behind.
    if resume:
        remove_drafts(folder)
    else:
        make_folder(folder, config)

    threads = torch.get_num_threads()
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    tracker = Tracker(folder, resume_at=earlier["epoch"] if earlier else 0, curves=CURVES)

    def save(training: dict[str, Any]) -> None:
        write_saved(folder / "last.pt", {"detector": detector.state(), "tasks": tasks.state_dict(), **training})

    try:
        with stop.postponed():
            judged = pretrain(
                tasks,
                source,
                taught,
                held,
                config.pretrain,
                generator=generator,
                tracker=tracker,
                save=save,
                stop=stop,
                resume=earlier,
            )
    finally:
        tracker.close()
        torch.set_num_threads(threads)
    encoders = [tasks.get_submodule(f"{number}.backbone") for number in range(len(tasks))]
    save_encoders(folder / "encoder.pt", detector, encoders, scene=pair.name, task=config.pretrain.task)
    facts = {
        "dataset": pair.name,
        "task": config.pretrain.task,
        "seed": config.seed,
        "encoders": len(encoders),
        "channels": detector.transform.components,
        "backbone": config.model.backbone.model_dump(),
        "parameters": sum(p.numel() for e in encoders for p in e.parameters()),
        "pixels": {"taught": len(taught), "held_out": len(held)},
        "epochs": config.pretrain.epochs,
        "held_out": judged,
        "seconds": time.perf_counter() - started,
        "hardware": hardware(device),
        "versions": versions(),
        "config": "config.yaml",
        "encoder": "encoder.pt",
    }
    write_json(folder / "pretrain.json", facts, overwrite=True)
    return facts


def build_tasks(detector: SiameseDetector, config: PretrainConfig) -> nn.ModuleList:
    """The configured task around a backbone for each member, as the network would start with.

    Raises:
        ConfigError: channels are to be hidden, and there is but one.
    """
    channels = detector.transform.components
    if config.task == "masked" and channels < 2:
        raise ConfigError(
            f"pretrain.task masked needs at least 2 channels but the scene has {channels}: use --task vae, or "
            "keep more with prepare.components"
        )
    # Components have deviations of about 1: where there is no noise to speak of, errors count in hundredths.
    noise = torch.from_numpy(detector.transform.noise).clamp_min(0.01)
    return nn.ModuleList(
        TASKS[config.task](
            copy.deepcopy(backbone),
            noise,
            patch=config.patch,
            share=config.hidden,
            contiguous=config.contiguous,
            latent=config.latent,
            beta=config.beta,
        )
        for backbone in backbones(detector)
    )


def pretrain(
    tasks: nn.ModuleList,
    source: PatchSource,
    taught: NDArray[np.int64],
    held: NDArray[np.int64],
    config: PretrainConfig,
    *,
    generator: np.random.Generator,
    tracker: Tracker,
    save: Callable[[dict[str, Any]], None],
    stop: Stop,
    resume: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Train the tasks, each on draws of its own; they end as the last epoch leaves them.

    Args:
        tasks: what learns, in place.
        source: the scene's components, with patches of the size that the tasks take.
        taught: flat indices of the pixels that teach, int64.
        held: flat indices of those that judge.
        config: how long and how fast.
        generator: source of every draw.
        tracker: takes the curves.
        save: writes what a resumed run needs beside the tasks' own weights.
        stop: says when to save, after the step under way, and leave.
        resume: what an interrupted run saved.

    Returns:
        How well the held-out pixels are told at the end, as in the curves.

    Raises:
        Preempted: it was asked to leave, and is saved.
    """
    taught_pixels, held_pixels = torch.from_numpy(taught), torch.from_numpy(held)
    if len(held) > _JUDGED:
        held_pixels = held_pixels[np.linspace(0, len(held) - 1, _JUDGED).round().astype(np.int64)]
    drawn = min(config.pixels, len(taught))
    batch_size = min(config.batch_size, drawn)
    steps = drawn // batch_size
    device = source.both.device
    optimizer = torch.optim.AdamW(tasks.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    schedule = build_schedule("one_cycle", optimizer, Length(config.epochs * steps, steps), warmup=_WARMUP)
    done, judged, under_way = 0, dict[str, float](), None
    if resume is not None:
        done, judged, under_way = _restore(resume, tasks, optimizer, schedule, generator)

    def keep(epochs: int, under_way: _Epoch | None) -> None:
        tracker.flush()  # before the checkpoint: a resumed run does not draw the curve up to here again
        save(
            {
                "epoch": epochs,
                "under_way": under_way and under_way.state(),
                "judged": judged,
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "random": random_state(generator),
            }
        )

    bar = tqdm(
        range(done, config.epochs),
        desc="pre-training",
        unit="epoch",
        initial=done,
        total=config.epochs,
        disable=None,
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
                    f"{stop.asked}: saved in epoch {epoch + 1} of {config.epochs}; go on with --resume"
                )
        curves = {"loss/train": float(np.mean(under_way.losses)), "lr": optimizer.param_groups[0]["lr"]}
        under_way = None

        last = epoch + 1 == config.epochs
        if last or (epoch + 1) % config.validate_every == 0:
            judged = judge(tasks, source, held_pixels)
            curves |= judged
        tracker.scalars(epoch + 1, curves)
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


def _earlier(path: Path) -> dict[str, Any] | None:
    """What an interrupted run saved, if it came so far."""
    if not path.exists():
        return None
    return read_saved(
        path,
        {"detector", "tasks", "epoch", "under_way", "judged", "optimizer", "schedule", "random"},
        kind="checkpoint",
        by="hsi-cd pretrain",
        wanted="the folder of a pre-training",
    )


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
            "start without --resume"
        ) from error
