"""How a method comes by its detector: the network through the training loop, the others by one fit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from hsi_cd.config import RunConfig
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.checkpoint import save_checkpoint
from hsi_cd.detectors.registry import find_method
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.errors import ConfigError, LabelError
from hsi_cd.runtime.signals import Stop
from hsi_cd.runtime.team import ALONE, Team
from hsi_cd.scene import ScenePair
from hsi_cd.training.freezing import frozen_names
from hsi_cd.training.loop import train
from hsi_cd.training.patches import scene_patches
from hsi_cd.training.pretrain.encoders import use_encoders
from hsi_cd.training.resuming import resumed
from hsi_cd.training.self_training import (
    CertainPixels,
    certain_pixels,
    hear,
    patch_places,
    trusted_pixels,
    worth_asking,
)
from hsi_cd.training.tracking import NoTracker, Tracker
from hsi_cd.training.weight_files import load_encoder_weights


@dataclass(frozen=True)
class Learned:
    """A detector ready to score, and how it came about.

    Attributes:
        detector: the detector.
        seconds: wall-clock time of fitting it.
        facts: what the result's record should keep, flat.
    """

    detector: Detector
    seconds: float
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)


def check_taught(method: str, protocol: str, pixels: NDArray[np.int64]) -> None:
    """Refuse a method that learns from labels where the protocol gives it none.

    Raises:
        LabelError: there is no training pixel.
    """
    if find_method(method).needs_labels and not len(pixels):
        raise LabelError(
            f"protocol {protocol} gives no training pixel, but {method} learns from labels: "
            "choose a method without labels (hsi-cd methods), or another protocol"
        )


def learn(
    pair: ScenePair,
    pixels: NDArray[np.int64],
    target: NDArray[np.int64],
    config: RunConfig,
    folder: Path,
    *,
    generator: np.random.Generator,
    device: torch.device,
    earlier: dict[str, Any] | None = None,
    team: Team = ALONE,
    stop: Stop | None = None,
) -> Learned:
    """Fit the configured method, and leave its checkpoint ``best.pt`` in the run folder.

    Args:
        pair: the scene.
        pixels: flat indices of the training pixels, int64; only methods that need labels look at them.
        target: their classes, 0 unchanged, 1 changed.
        config: the run's configuration.
        folder: the run folder.
        generator: source of the training loop's draws.
        device: where a network computes.
        earlier: a network's ``last.pt``, loaded, to go on with.
        team: the processes that train a network together; the first leaves the checkpoints.
        stop: says when to save and leave; by default nothing does.

    Raises:
        ConfigError: the method does not learn in several processes.
        Preempted: it was asked to leave.
        LabelError: the method needs labels and there is none.
        CheckpointError: the network's checkpoint, or the encoder it is to start from, is of another scene.
    """
    method = find_method(config.method)
    check_taught(config.method, config.split.protocol, pixels)
    started = time.perf_counter()
    if method.fit is not None:
        if team.size > 1:
            raise ConfigError(
                f"{method.name} learns in one process, not in {team.size}: start it without torchrun"
            )
        taught = (pixels, target) if method.needs_labels else ()
        fitted = method.fit(pair, *taught, options=config.options, seed=config.seed)
        save_checkpoint(folder / "best.pt", fitted, method=config.method, config=config.model_dump())
        return Learned(fitted, time.perf_counter() - started, _decided(fitted))
    if team.size > 1 and config.train.teacher.kind != "none":
        raise ConfigError(
            f"train.teacher.kind is {config.train.teacher.kind}: one process teaches so, not {team.size}; "
            "start it without torchrun, or set train.teacher.kind=none"
        )
    if config.options:
        raise ConfigError(
            f"options.{next(iter(config.options))} is set, but {method.name} has no options: the settings of a "
            "network are those of model, train and prepare"
        )
    if method.needs_labels:
        beside = _beside_labels(pair, pixels, target, config)
    else:
        pixels, target = certain_pixels(pair, seed=config.seed)
        beside = Beside()
    detector, facts = _train_network(
        pair,
        pixels,
        target,
        beside,
        config,
        folder,
        generator=generator,
        device=device,
        earlier=earlier,
        team=team,
        stop=stop or Stop(),
    )
    return Learned(detector, time.perf_counter() - started, facts)


@dataclass(frozen=True)
class Beside:
    """What a network learns beside its labels, from the label-free detector.

    Attributes:
        certain: pixels that teach beside few labels.
        share: of the scene that changed, where the labels were not drawn to tell it.
    """

    certain: CertainPixels | None = None
    share: float | None = None


def _beside_labels(
    pair: ScenePair, pixels: NDArray[np.int64], target: NDArray[np.int64], config: RunConfig
) -> Beside:
    """Ask the label-free detector what the labels leave open; many labels, drawn as they came, leave nothing.

    Labels of whole blocks (P3) repeat one another: those of one patch count as one, whose kinds of change may not
    be the scene's. Labels drawn so many a class (P2) or of a few blocks do not tell how much has changed.
    """
    at_most, protocol = config.train.certain, config.split.protocol
    places = patch_places(pixels, pair.shape[1], side=2 * config.split.radius + 1) if protocol == "P3" else None
    number = len(pixels) if places is None else len(np.unique(places))
    drawn_evenly = protocol not in ("P2", "P3")
    if not at_most or (drawn_evenly and not worth_asking(number, at_most=at_most)):
        return Beside()
    heard = hear(pair, pixels, seed=config.seed)
    share = heard.share if not drawn_evenly and 0 < heard.share < 1 else None
    return Beside(trusted_pixels(heard, target, at_most=at_most, places=places), share)


def _train_network(
    pair: ScenePair,
    pixels: NDArray[np.int64],
    target: NDArray[np.int64],
    beside: Beside,
    config: RunConfig,
    folder: Path,
    *,
    generator: np.random.Generator,
    device: torch.device,
    earlier: dict[str, Any] | None,
    team: Team,
    stop: Stop,
) -> tuple[SiameseDetector, dict[str, Any]]:
    detector, _ = fit_siamese(pair, config)
    frozen_names(detector.network.members[0], config.train.freeze)  # refused here, before anything is written
    backbone = config.model.backbone
    if earlier is not None:
        detector = resumed(detector, earlier["detector"], config)
    elif backbone.weights is not None:
        load_encoder_weights(detector.network, Path(backbone.weights), adapt=backbone.adapt)
    elif config.train.pretrained is not None:
        use_encoders(Path(config.train.pretrained), detector)
    detector.network.to(device)

    def save(name: str, state: SiameseDetector, training: dict[str, Any]) -> None:
        if team.leads:
            save_checkpoint(
                folder / f"{name}.pt",
                state,
                method=config.method,
                config=config.model_dump(),
                training=training,
            )

    threads = torch.get_num_threads()
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    passed = earlier["training"]["progress"]["epoch"] if earlier else 0
    tracker = Tracker(folder, resume_at=passed) if team.leads else NoTracker()
    try:
        patches = scene_patches(detector, pair)
        with stop.postponed():
            progress = train(
                detector,
                patches,
                pixels,
                target,
                config.train,
                generator=generator,
                tracker=tracker,
                save=save,
                resume=earlier["training"] if earlier else None,
                certain=beside.certain,
                share=beside.share,
                team=team,
                stop=stop,
            )
        tracker.hyperparameters(
            config.model_dump(), {"best/kappa": progress.best_kappa, "best/loss": progress.best_loss}
        )
    finally:
        tracker.close()
        torch.set_num_threads(threads)
    facts: dict[str, Any] = {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "validation_kappa": progress.best_kappa,
        "validation_loss": progress.best_loss,
        "certain_pixels": 2 * beside.certain.each_epoch if beside.certain else 0,
        "flops": scene_flops(detector, pair),
    }
    if config.train.pretrained is not None:
        facts["pretrained"] = config.train.pretrained
    return detector, facts


def scene_flops(detector: SiameseDetector, pair: ScenePair) -> int:
    """Floating-point operations of the network for one map of the scene: two for each multiplication and addition.

    Counted by torch in the products and convolutions of one window, and scaled to the scene.
    """
    side = 64
    r, components = detector.network.radius, detector.transform.components
    window = torch.zeros(1, components, side + 2 * r, side + 2 * r, device=detector.device)
    detector.network.eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        detector.network(window, window)
    counted: int = counter.get_total_flops()
    return round(counted / side**2 * pair.shape[0] * pair.shape[1])


def _decided(detector: Detector) -> dict[str, Any]:
    """How a label-free detector came by its threshold, for the result's record."""
    decision = getattr(detector, "decision", None)
    if decision is None:
        return {}
    found = {f"threshold_{name}": value for name, value in decision.threshold.found.items()}
    return {"threshold_method": decision.threshold.method, **found}
