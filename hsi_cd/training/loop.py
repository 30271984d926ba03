"""The training loop, to be read from top to bottom.

Every member of the ensemble holds out another fold of the labelled pixels. What the members say of the pixels
they never saw is the validation: it picks the epoch, calibrates the probabilities and sets the threshold, and no
label outside the budget is read.
"""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsi_cd.config import FreezeConfig, TrainConfig
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.errors import CheckpointError, Preempted
from hsi_cd.nn.losses import smooth_labels
from hsi_cd.progress import progress as show_progress
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.seeding import random_state, restore_random_state
from hsi_cd.scene import UNLABELLED
from hsi_cd.training.augmentation import draw_variation
from hsi_cd.training.batches import Batches, make_batches
from hsi_cd.training.disturbances import disturb
from hsi_cd.training.drawn_calibration import calibrate_drawn
from hsi_cd.training.folds import OutOfFold, deal_folds, dealt_of
from hsi_cd.training.freezing import freeze
from hsi_cd.training.held_out_weights import weigh_beside
from hsi_cd.training.journal import Journal
from hsi_cd.training.kind_learning import learn_kinds
from hsi_cd.training.many_patches import Patches
from hsi_cd.training.mean_teacher import MeanTeacher
from hsi_cd.training.optimisation import Stepper, build_loss, each_loss
from hsi_cd.training.patches import PatchSource
from hsi_cd.training.plan import tell_plan
from hsi_cd.training.pseudo_labels import PseudoLabels
from hsi_cd.training.training_set import TrainingSet
from hsi_cd.training.validation import dense_probability, held_out_logits, out_of_fold, validate

log = logging.getLogger(__name__)

_NOT_PLAIN = ("best_calibration", "out_of_fold")  # of a progress: no numbers as they are


@dataclass
class Progress:
    """Where a training stands: everything of it that is not weights, optimiser or random state."""

    epoch: int = 0
    highest_kappa: float = -math.inf
    smallest_loss: float = math.inf
    stale: int = 0  # validations since then
    best_epoch: int = 0
    best_kappa: float = math.nan
    best_loss: float = math.nan
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_calibration: Calibration = field(default_factory=Calibration)
    orders: list[Tensor] = field(default_factory=list)  # of the epoch under way, as drawn; empty between epochs
    losses: list[float] = field(default_factory=list)  # of the epoch's steps so far
    dealt: list[Tensor] = field(default_factory=list)  # pixels and their parts, for who starts from this network
    out_of_fold: OutOfFold | None = None  # where shapes or scenes judge in turn; never saved


def train(
    detector: SiameseDetector,
    source: Patches,
    taught: TrainingSet,
    config: TrainConfig,
    *,
    circumstances: Circumstances,
    journal: Journal[SiameseDetector],
) -> Progress:
    """Train a detector's network; it ends with the best weights, calibrated.

    Args:
        detector: a fitted detector on the device of the circumstances; its network learns in place.
        source: the components of the scene, or of several, on that device.
        taught: the pixels that teach.
        config: the loop's configuration.
        circumstances: draws, device, processes, and when to leave.
        journal: takes curves and checkpoints, and knows what an interrupted training left.

    Returns:
        How it ended.

    Raises:
        Preempted: it was asked to leave, and is saved.
    """
    network, target = detector.network, taught.target
    generator, device, team = circumstances.generator, circumstances.device, circumstances.team
    tracker, save = journal.tracker, journal.save
    folds, members = None, len(network.members)
    if config.folds:
        folds = deal_folds(taught, config.folds, seed=int(generator.integers(2**31)), members=members)
    batches = make_batches(config, taught, folds, members=members, valid=source.inside)
    plan = batches.plan
    tell_plan(config, plan)
    stepper = Stepper(network, config, plan.length, device=device)
    unchanged, changed = taught.counts
    loss_of = build_loss(config, changed=changed, unchanged=unchanged)
    on_distance, seed = config.loss == "contrastive", torch.initial_seed()
    forward = team.parallel(network, distance=on_distance, idle=on_distance or config.freeze != FreezeConfig())
    truth = np.full(source.shape, UNLABELLED, dtype=np.uint8)  # what the pictures of errors may know
    truth.ravel()[taught.pixels] = target
    teacher = None
    if config.teacher.kind != "none" and isinstance(source, PatchSource):
        teacher = MeanTeacher(network, source, taught.pixels, config, steps=plan.length.steps, generator=generator)
    progress = Progress()
    if taught.shapes is not None:
        told = dealt_of(taught, folds)
        progress.dealt = [torch.from_numpy(told.pixels), torch.from_numpy(told.part)]
    if journal.earlier is not None:
        progress = _restore(journal.earlier, stepper, batches, teacher, generator)
    elif config.graph:
        tracker.graph(network.members[0], source.window(2))

    bar = show_progress(
        range(progress.epoch, plan.epochs),
        desc="training",
        unit="epochs",
        initial=progress.epoch,
        total=plan.epochs,
        leave=True,
        show=team.leads,
    )
    for epoch in bar:
        if _is_stale(progress, config):  # resumed after it had ended
            break
        network.train()
        freeze(network, config.freeze, epoch=epoch)
        team.vary_noise(seed, epoch)
        if not progress.orders:  # an epoch that was left half-way goes on as it was drawn
            progress.orders = [torch.from_numpy(order) for order in batches.orders(generator)]
        steps = batches.steps([order.numpy() for order in progress.orders])
        for step in steps[len(progress.losses) :]:
            step_loss = 0.0
            for batch in step:
                samples = [_sample(batches, positions, source, config, generator) for positions in batch]
                with stepper.autocast():
                    outputs = forward([patches for patches, _ in samples])
                loss = torch.zeros((), device=device)
                for member, (output, (_, wanted)) in enumerate(zip(outputs, samples, strict=True)):
                    loss = loss + loss_of(output.float(), wanted)
                    if config.sampler == "hard":
                        batches.last_loss[member, batch[member]] = each_loss(loss_of, output.float(), wanted)
                stepper.backward(loss / len(step) * team.size)
                step_loss += loss.item() / len(step)
            if teacher is not None:
                with stepper.autocast():
                    beside = teacher(network)
                stepper.backward(beside)
                step_loss += beside.item()
            stepper.step()
            progress.losses.append(step_loss / len(network.members))
            if team.any(circumstances.stop.asked is not None):
                tracker.flush()
                save("last", detector, _training_state(progress, stepper, batches, teacher, generator))
                asked = circumstances.stop.asked or "another process"
                raise Preempted(f"{asked}: saved in epoch {epoch + 1} of {plan.epochs}; go on with resume=True")
        curves = {"loss/train": float(np.mean(progress.losses)), "lr": stepper.optimizer.param_groups[0]["lr"]}
        progress.epoch, progress.orders, progress.losses = epoch + 1, [], []

        last = progress.epoch == plan.epochs
        if last or progress.epoch % config.validate_every == 0:
            found = validate(stepper.judged, source, taught, folds, threshold=detector.model.threshold, team=team)
            curves |= {"loss/val": found.loss, "kappa/val": found.kappa}
            stepper.schedule.validated(found.loss)
            progress.stale = 0 if found.loss < progress.smallest_loss else progress.stale + 1
            progress.smallest_loss = min(progress.smallest_loss, found.loss)
            last = last or _is_stale(progress, config)
            # The latest epoch that is not clearly worse than the best: among epochs that few pixels cannot tell
            # apart, the one that has seen most of the schedule (the one-standard-error rule; Breiman et al. 1984).
            # Without folds that is the last epoch.
            progress.highest_kappa = max(progress.highest_kappa, found.kappa)
            if not found.kappa < progress.highest_kappa - found.uncertainty:
                progress.best_epoch = progress.epoch
                progress.best_kappa, progress.best_loss = found.kappa, found.loss
                progress.best_weights = copy.deepcopy(stepper.judged.state_dict())
                progress.best_calibration = detector.calibration = found.calibration
                judged = replace(detector, network=stepper.judged)
                save("best", judged, _training_state(progress, stepper, batches, teacher, generator))
        drawn = tracker.draws and config.map_every and (last or progress.epoch % config.map_every == 0)
        if drawn and isinstance(source, PatchSource):
            probability = dense_probability(stepper.judged, source)
            tracker.map(progress.epoch, probability, progress.best_calibration.threshold, truth)
            tracker.weights(progress.epoch, stepper.judged)
        tracker.scalars(progress.epoch, curves)
        if last or progress.epoch % config.save_every == 0:
            tracker.flush()  # before the checkpoint: a resumed run does not draw the curve up to here again
            save("last", detector, _training_state(progress, stepper, batches, teacher, generator))
        bar.set_postfix({name: f"{value:.3g}" for name, value in curves.items() if name != "lr"})

    network.load_state_dict(progress.best_weights)
    detector.calibration = progress.best_calibration
    network.eval()
    held_out = None
    if (taught.shapes is not None or taught.scenes is not None) and folds is not None:
        held_out = held_out_logits(network, source, taught.pixels, folds, team=team)
    if isinstance(taught.certain, PseudoLabels):
        detector.calibration = calibrate_drawn(
            network,
            source,
            target,
            taught.certain,
            held_out=held_out,
            share=taught.share,
            threshold=detector.model.threshold,
        )
        save("best", detector, _training_state(progress, stepper, batches, teacher, generator))
    if taught.beside is not None and folds is not None and isinstance(source, PatchSource):
        weighed = weigh_beside(
            network,
            source,
            taught,
            taught.beside,
            folds,
            progress.best_calibration,
            threshold=detector.model.threshold,
        )
        if weighed is None:  # the network alone, as if nothing had been asked
            detector.prior = None
        else:
            detector.calibration = weighed
        save("best", detector, _training_state(progress, stepper, batches, teacher, generator))
    known = detector.calibration
    detector.kind_heads = learn_kinds(network, source, taught, config, calibration=known, seed=seed)
    if detector.kind_heads is not None:
        save("best", detector, _training_state(progress, stepper, batches, teacher, generator))
    if held_out is not None and folds is not None:
        progress.out_of_fold = out_of_fold(detector, held_out, taught, folds)
    log.info(
        "best epoch %d of %d, validation Kappa %.4f", progress.best_epoch, progress.epoch, progress.best_kappa
    )
    return progress


def _sample(
    batches: Batches,
    positions: NDArray[np.int64],
    source: Patches,
    config: TrainConfig,
    generator: np.random.Generator,
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Patches of a batch of one member, varied as configured, and their targets ``(N,)``."""
    vary, device = config.augment, source.valid.device
    varied = draw_variation(
        len(positions),
        flips=vary.flips,
        turns=vary.turns,
        date_swap=vary.date_swap,
        mixup=vary.mixup,
        random=generator,
    )
    patches = source.cut(torch.from_numpy(batches.pixels[positions]).to(device), varied)
    patches = disturb(*patches, config=vary, random=generator)
    wanted = varied.blend(torch.from_numpy(batches.target[positions]).float().to(device))
    if config.label_smoothing:
        wanted = smooth_labels(wanted, smoothing=config.label_smoothing)
    return patches, wanted


def _is_stale(progress: Progress, config: TrainConfig) -> bool:
    """Whether the validation loss has not become smaller for so long that the training ends."""
    return bool(config.patience) and progress.stale >= config.patience


def _training_state(
    progress: Progress,
    stepper: Stepper,
    batches: Batches,
    teacher: MeanTeacher | None,
    generator: np.random.Generator,
) -> dict[str, Any]:
    plain = {name: value for name, value in vars(progress).items() if name not in _NOT_PLAIN}
    return {
        "progress": plain | {"best_calibration": asdict(progress.best_calibration)},
        "steps": stepper.state_dict(),
        "last_loss": torch.from_numpy(batches.last_loss),
        "teacher": teacher.state_dict() if teacher is not None else None,
        "random": random_state(generator),
    }


def _restore(
    state: dict[str, Any],
    stepper: Stepper,
    batches: Batches,
    teacher: MeanTeacher | None,
    generator: np.random.Generator,
) -> Progress:
    try:
        stepper.load_state_dict(state["steps"])
        batches.last_loss[:] = state["last_loss"].numpy()
        if teacher is not None:
            teacher.load_state_dict(state["teacher"])
        restore_random_state(state["random"], generator)
        saved = state["progress"]
        progress = Progress(**saved | {"best_calibration": Calibration(**saved["best_calibration"])})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint holds no training to go on with ({error}): start without resume=True"
        ) from error
    return progress
