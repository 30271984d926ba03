"""A run in which encoders learn from a scene without labels: what it reads, keeps and writes around the loop.

Pixels of both dates teach; whole blocks of the scene are held out and judge. No label is read.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hsi_cd.config import PretrainConfig, RunConfig
from hsi_cd.detectors.checkpoint import read_saved, write_saved
from hsi_cd.detectors.network import check_parts
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.errors import ConfigError
from hsi_cd.io import remove_drafts, write_json
from hsi_cd.nn.pretext import TASKS
from hsi_cd.prepare.band_choice import choose_bands
from hsi_cd.prepare.held_out import hold_out_blocks
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.runs.folder import PROVENANCE
from hsi_cd.runs.making import check_folder, check_inputs, make_folder
from hsi_cd.runs.recording import recording, versions
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.device import choose_device, hardware, machine
from hsi_cd.runtime.seeding import seed_everything
from hsi_cd.runtime.signals import Stop
from hsi_cd.scene import ScenePair
from hsi_cd.training.examples import declared_of
from hsi_cd.training.journal import Journal
from hsi_cd.training.patches import scene_patches
from hsi_cd.training.pretrain.encoders import backbones, save_encoders
from hsi_cd.training.pretrain.pretraining_loop import pretrain
from hsi_cd.training.resuming import resumed
from hsi_cd.training.tracking import Tracker
from hsi_cd.training.weight_files import load_encoder_weights

CURVES = ("loss/train", "loss/val", "explained/val", "reconstruction/val", "kl/val", "lr")
"""The columns of ``curves.csv`` beside the epoch."""


def run_pretraining(
    pair: ScenePair,
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    stop: Stop | None = None,
    command: Sequence[str] = (),
    inputs: Iterable[Path] = (),
) -> dict[str, Any]:
    """Pre-train one encoder for each member of the network, on one scene, without labels.

    The folder ends with ``config.yaml`` (resolved), ``last.pt`` (to go on from), the curves (event files and
    ``curves.csv``), ``provenance.json``, ``encoder.pt`` and, last of all, ``pretrain.json``.

    Args:
        pair: the scene.
        config: the resolved configuration; its ``bands``, ``prepare`` and ``model`` must be those of the training
            that will use the encoders.
        folder: the run folder; made if it is not there.
        resume: go on with what an interrupted run of the same configuration left in the folder.
        stop: says when to save, after the step under way, and leave.
        command: what was typed, for the record.
        inputs: files that decided something, those of the scene first: for the record, and to know them again.

    Returns:
        What ``pretrain.json`` holds.

    Raises:
        BandError: the scene has bands that cannot be used.
        ConfigError: the task cannot be set on so few channels or pixels.
        OutputError: the folder holds another run, or cannot be written.
        CheckpointError: the run cannot be resumed.
        Preempted: it was asked to leave, and is saved.
    """
    config = declared_of(config, pair)
    stop = stop or Stop()
    device = choose_device(config.device)
    check_folder(folder, config, resume=resume, inputs=pair.files)
    inputs, pixels = tuple(inputs), pair.fingerprint()
    if resume:
        check_inputs(folder, inputs, pixels)
    started = time.perf_counter()
    generator = seed_everything(config.seed, deterministic=config.deterministic, benchmark=config.benchmark)
    pair = choose_bands(pair, **config.bands.model_dump())
    check_parts(config.model)
    measurement = Measurement(pair)
    detector = fit_siamese(measurement, config)
    earlier = _earlier(folder / "last.pt") if resume else None
    if earlier is not None:
        detector = resumed(detector, earlier["detector"], config)
    elif config.model.backbone.weights is not None:
        weights = Path(config.model.backbone.weights)
        load_encoder_weights(detector.network, weights, adapt=config.model.backbone.adapt)
    detector.network.to(device)
    tasks = build_tasks(detector, config.pretrain).to(device)
    half = tasks[0].patch // 2 + int(backbones(detector)[0].radius)  # type: ignore[arg-type, operator]
    measurement.forget_components()
    source = scene_patches(detector, measurement, radius=half)
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

    def save(name: str, learned: nn.ModuleList, training: dict[str, Any]) -> None:
        write_saved(
            folder / f"{name}.pt", {"detector": detector.state(), "tasks": learned.state_dict(), **training}
        )

    record = recording(folder / PROVENANCE, command, machine=machine(), inputs=inputs, pixels=pixels)
    try:
        with record, stop.postponed():
            judged = pretrain(
                tasks,
                source,
                taught,
                held,
                config.pretrain,
                circumstances=Circumstances(generator, device, stop=stop),
                journal=Journal(tracker, save, earlier),
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
        "channels": detector.channels,
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
    channels = detector.channels
    if config.task == "masked" and channels < 2:
        raise ConfigError(
            f"pretrain.task masked needs at least 2 channels but the scene has {channels}: use pretrain.task=vae, "
            "or keep more with prepare.components"
        )
    # Components have deviations of about 1: where there is no noise to speak of, errors count in hundredths.
    noise = torch.from_numpy(detector.noise).clamp_min(0.01)
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
