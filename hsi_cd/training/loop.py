"""The training loop, to be read from top to bottom.

Every member of the ensemble holds out another fold of the labelled pixels. What the members say of the pixels
they never saw is the validation: it picks the epoch, calibrates the probabilities and sets the threshold, and no
label outside the budget is read.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from hsi_cd.config import TrainConfig
from hsi_cd.detectors.siamese import Calibration, SiameseDetector
from hsi_cd.errors import CheckpointError
from hsi_cd.evaluation import count_confusion, kappa, kappa_standard_error
from hsi_cd.nn.losses import binary_cross_entropy
from hsi_cd.nn.schedules import SCHEDULES
from hsi_cd.nn.siamese import Ensemble
from hsi_cd.prepare.augment import draw_variation
from hsi_cd.prepare.patches import PatchSource
from hsi_cd.prepare.splits import stratified_folds
from hsi_cd.training.calibration import calibrate, uncalibrated, with_share
from hsi_cd.training.freezing import freeze
from hsi_cd.training.seeding import random_state, restore_random_state
from hsi_cd.training.self_training import CertainPixels
from hsi_cd.training.tracking import Tracker

log = logging.getLogger(__name__)

Save = Callable[[str, dict[str, Any]], None]
"""Writes a checkpoint called ``last`` or ``best`` with what a resumed training needs."""


@dataclass
class Progress:
    """Where a training stands: everything of it that is not weights, optimiser or random state."""

    epoch: int = 0
    highest_kappa: float = -math.inf
    best_epoch: int = 0
    best_kappa: float = math.nan
    best_loss: float = math.nan
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_calibration: Calibration = field(default_factory=Calibration)


def train(
    detector: SiameseDetector,
    source: PatchSource,
    pixels: NDArray[np.int64],
    target: NDArray[np.int64],
    config: TrainConfig,
    *,
    generator: np.random.Generator,
    tracker: Tracker,
    save: Save,
    resume: dict[str, Any] | None = None,
    certain: CertainPixels | None = None,
    share: float | None = None,
) -> Progress:
    """Train a detector's network; it ends with the best weights, calibrated.

    Args:
        detector: a fitted detector; its network learns in place.
        source: the scene's components, on the detector's device.
        pixels: flat indices of the training pixels, int64 ``(N,)``.
        target: their classes, 0 unchanged, 1 changed, ``(N,)``.
        config: the loop's configuration.
        generator: source of every draw of the loop; torch's own state serves dropout and noise.
        tracker: takes the curves.
        save: writes checkpoints.
        resume: what an interrupted training saved, to go on from there to the same weights, bit for bit.
        certain: pixels that teach beside the labels. They judge nothing: validation is by labels alone.
        share: of the scene that changed, if the labels were drawn so many a class; by default theirs.

    Returns:
        How it ended.
    """
    network = detector.network
    folds = (
        stratified_folds(target, folds=config.folds, seed=int(generator.integers(2**31))) if config.folds else None
    )
    taught = [_taught_pixels(member, folds, len(pixels)) for member in range(len(network.members))]
    fewest = min(certain.number(own) if certain else len(own) for own in taught)
    batch_size = min(config.batch_size, fewest)
    steps_per_epoch = max(1, fewest // batch_size)
    epochs = _number_of_epochs(config, steps_per_epoch)

    optimizer = _optimizer(network, config)
    schedule = SCHEDULES[config.schedule](
        optimizer, lr=config.lr, steps=epochs * steps_per_epoch, warmup=config.warmup
    )
    changed, unchanged = int((target == 1).sum()), int((target == 0).sum())
    changed_weight = (unchanged / max(changed, 1)) ** config.class_weight
    augment, progress = config.augment, Progress()
    if resume is not None:
        progress = _restore(resume, network, optimizer, schedule, generator)

    labelled = len(pixels)
    if certain is not None:
        pixels, target = np.concatenate([pixels, certain.pixels]), np.concatenate([target, certain.target])
    all_pixels, all_targets = torch.from_numpy(pixels), torch.from_numpy(target).float()
    bar = tqdm(
        range(progress.epoch, epochs),
        desc="training",
        unit="epoch",
        initial=progress.epoch,
        total=epochs,
        disable=None,
    )
    for epoch in bar:
        network.train()
        freeze(network, config.freeze, epoch=epoch)
        losses = []
        joined = [certain.join(own, after=labelled, generator=generator) for own in taught] if certain else taught
        for batches in _epoch_batches(joined, target, batch_size, steps_per_epoch, config.balanced, generator):
            loss = torch.zeros((), device=detector.device)
            for member, batch in zip(network.members, batches, strict=True):
                varied = draw_variation(
                    len(batch),
                    flips=augment.flips,
                    date_swap=augment.date_swap,
                    mixup=augment.mixup,
                    random=generator,
                )
                logits = member(*source.cut(all_pixels[batch].to(detector.device), varied))[:, 0, 0, 0]
                wanted = varied.blend(all_targets[batch].to(detector.device))
                loss = loss + binary_cross_entropy(logits, wanted, changed_weight=changed_weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(loss.item() / len(batches))
        progress.epoch = epoch + 1
        curves = {"loss/train": float(np.mean(losses)), "lr": optimizer.param_groups[0]["lr"]}

        last = progress.epoch == epochs
        if last or progress.epoch % config.validate_every == 0:
            calibration, scores, uncertainty = _validate(
                detector, source, all_pixels[:labelled], all_targets[:labelled], folds, share
            )
            curves |= scores
            # The latest epoch that is not clearly worse than the best: among epochs that few pixels cannot tell
            # apart, the one that has seen most of the schedule (the one-standard-error rule; Breiman et al. 1984).
            # Without folds that is the last epoch.
            progress.highest_kappa = max(progress.highest_kappa, scores["kappa/val"])
            if not scores["kappa/val"] < progress.highest_kappa - uncertainty:
                progress.best_epoch = progress.epoch
                progress.best_kappa, progress.best_loss = scores["kappa/val"], scores["loss/val"]
                progress.best_weights = copy.deepcopy(network.state_dict())
                progress.best_calibration = detector.calibration = calibration
                save("best", _training_state(progress, optimizer, schedule, generator))
        if config.map_every and (last or progress.epoch % config.map_every == 0):
            tracker.map(progress.epoch, dense_probability(detector, source), progress.best_calibration.threshold)
        tracker.scalars(progress.epoch, curves)
        if last or progress.epoch % config.save_every == 0:
            tracker.flush()  # before the checkpoint: a resumed run does not draw the curve up to here again
            save("last", _training_state(progress, optimizer, schedule, generator))
        bar.set_postfix({name: f"{value:.3g}" for name, value in curves.items() if name != "lr"})

    network.load_state_dict(progress.best_weights)
    detector.calibration = progress.best_calibration
    network.eval()
    log.info("best epoch %d of %d, validation Kappa %.4f", progress.best_epoch, epochs, progress.best_kappa)
    return progress


def dense_probability(detector: SiameseDetector, source: PatchSource) -> NDArray[np.float32]:
    """Change probabilities of the scene as the network stands, ``(rows, cols)``, for the curves' pictures."""
    detector.network.eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, source.shape[0], 64):
            window = slice(start, min(start + 64, source.shape[0]) + 2 * source.radius)
            logits = detector.network(
                source.t1[None, :, window], source.t2[None, :, window], source.valid[None, None, window]
            )
            rows.append(torch.sigmoid(logits)[0, 0].cpu().numpy())
    return np.concatenate(rows)


def _taught_pixels(member: int, folds: NDArray[np.int64] | None, count: int) -> NDArray[np.int64]:
    """Positions of the training pixels that a member learns from: all but its own fold."""
    if folds is None:
        return np.arange(count)
    own = np.flatnonzero(folds != member % (folds.max() + 1))
    return own if own.size else np.arange(count)


def _number_of_epochs(config: TrainConfig, steps_per_epoch: int) -> int:
    """The epochs asked for, unless they would be too few steps to learn from ten labels or needlessly many."""
    steps = min(max(config.epochs * steps_per_epoch, config.min_steps), config.max_steps)
    return math.ceil(steps / steps_per_epoch)


def _epoch_batches(
    taught: list[NDArray[np.int64]],
    target: NDArray[np.int64],
    size: int,
    steps: int,
    balanced: bool,
    generator: np.random.Generator,
) -> Iterator[list[NDArray[np.int64]]]:
    """For each step of an epoch, the positions of each member's batch."""
    orders = [_epoch_order(own, target, size * steps, balanced, generator) for own in taught]
    for step in range(steps):
        yield [order[step * size : (step + 1) * size] for order in orders]


def _epoch_order(
    own: NDArray[np.int64], target: NDArray[np.int64], length: int, balanced: bool, generator: np.random.Generator
) -> NDArray[np.int64]:
    """A shuffled pass over a member's pixels; ``balanced`` repeats the rarer class until both are as many."""
    if not balanced:
        return generator.permutation(own)[:length]
    by_class = [own[target[own] == code] for code in np.unique(target[own])]
    share = -(-length // len(by_class))
    drawn = [np.resize(generator.permutation(pixels), share) for pixels in by_class]
    return generator.permutation(np.concatenate(drawn))[:length]


def _optimizer(network: Ensemble, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam or AdamW; only matrices outside the attention decay, since decay would undo the filter it starts as."""
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in network.named_parameters():
        decays = parameter.ndim > 1 and ".attention." not in name
        (decayed if decays else free).append(parameter)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return kind(groups, lr=config.lr, fused=True)  # one pass over the parameters in place of a dozen


def _validate(
    detector: SiameseDetector,
    source: PatchSource,
    pixels: Tensor,
    target: Tensor,
    folds: NDArray[np.int64] | None,
    share: float | None,
) -> tuple[Calibration, dict[str, float], float]:
    """Calibrate on the pixels that each member held out, score them, and say how uncertain their Kappa is."""
    wanted = detector.model.threshold
    if folds is None:
        return uncalibrated(wanted), {"loss/val": math.nan, "kappa/val": math.nan}, math.nan
    network = detector.network
    network.eval()
    total, votes = np.zeros(len(folds)), np.zeros(len(folds))
    with torch.inference_mode():
        for member, module in enumerate(network.members):
            held = np.flatnonzero(folds == member % (folds.max() + 1))
            for chunk in np.array_split(held, -(-len(held) // 4096)) if held.size else []:
                logits = module(*source.cut(pixels[chunk].to(detector.device)))
                total[chunk] += logits[:, 0, 0, 0].cpu().numpy()
                votes[chunk] += 1
    seen = votes > 0
    logits, truth = total[seen] / votes[seen], target.numpy()[seen].astype(np.float64)
    calibration = calibrate(logits, truth, threshold=wanted)
    z = calibration.slope * logits + calibration.offset
    change = (1 / (1 + np.exp(-z)) >= calibration.threshold).astype(np.uint8)
    counts = count_confusion(truth.astype(np.uint8)[None], change[None])
    scores = {"loss/val": float(np.mean(np.logaddexp(0, z) - truth * z)), "kappa/val": kappa(counts)}
    if share is not None:  # the labels judge as they were drawn; the scene is mapped as it is
        calibration = with_share(calibration, logits, truth, share=share, threshold=wanted)
    return calibration, scores, kappa_standard_error(counts)


def _training_state(
    progress: Progress, optimizer: torch.optim.Optimizer, schedule: Any, generator: np.random.Generator
) -> dict[str, Any]:
    plain = {name: value for name, value in vars(progress).items() if name != "best_calibration"}
    return {
        "progress": plain | {"best_calibration": asdict(progress.best_calibration)},
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "random": random_state(generator),
    }


def _restore(
    state: dict[str, Any],
    network: Ensemble,
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    generator: np.random.Generator,
) -> Progress:
    try:
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        restore_random_state(state["random"], generator)
        saved = state["progress"]
        progress = Progress(**saved | {"best_calibration": Calibration(**saved["best_calibration"])})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint holds no training to go on with ({error}): start without --resume"
        ) from error
    return progress
