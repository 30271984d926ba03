"""How a method comes by its detector: the network through the training loop, the others by one fit."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from hsi_cd.config import RunConfig
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.decision import Decision
from hsi_cd.detectors.detector_contract import fit_method
from hsi_cd.detectors.network import check_parts
from hsi_cd.detectors.registry import find_method
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.errors import ConfigError
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.scene import GIVEN, ScenePair
from hsi_cd.training.areas import area_shapes, lie_in_areas, stacked_prior, worth_of_label
from hsi_cd.training.beside_labels import beside_labels
from hsi_cd.training.folds import OutOfFold
from hsi_cd.training.freezing import frozen_names
from hsi_cd.training.growing import grown, growth
from hsi_cd.training.keeping import NothingKept
from hsi_cd.training.learned_kinds import check_learns_kinds, with_kinds
from hsi_cd.training.loop import Progress, train
from hsi_cd.training.many_patches import Patches, odds_at
from hsi_cd.training.patches import PatchSource, scene_patches
from hsi_cd.training.pretrain.encoders import use_encoders
from hsi_cd.training.pseudo_labels import PseudoLabels, scene_pseudo_labels
from hsi_cd.training.resuming import resumed
from hsi_cd.training.self_training import (
    CertainPixels,
    certain_pixels,
    hear,
    patch_places,
    trusted_pixels,
    worth_asking,
)
from hsi_cd.training.starting import as_common_as_before, began_with, start_from_checkpoint, start_from_run
from hsi_cd.training.training_set import TrainingSet
from hsi_cd.training.weight_files import load_encoder_weights

_TELL_SHARES = ("P1", "P1-strict")
"""Protocols whose labels hold the classes as the scene does, so that they calibrate a network anew."""

_AREA = 4  # labels of a patch, on average, from which those of a file lie in areas


@dataclass(frozen=True)
class Learned:
    """A detector ready to score, and how it came about.

    Attributes:
        detector: the detector.
        seconds: wall-clock time of fitting it.
        facts: what the result's record should keep, flat.
        out_of_fold: where shapes judge in turn, what the members of a network that held a pixel's shape out say
            of it; None where nothing could be held out, and for methods that are fitted at once.
        share: of the scene that changed, where it is told by something else than the labels.
    """

    detector: Detector
    seconds: float
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    out_of_fold: OutOfFold | None = None
    share: float | None = None


def learn(
    measurement: Measurement,
    taught: TrainingSet,
    config: RunConfig,
    circumstances: Circumstances,
    keeper: NothingKept | None = None,
) -> Learned:
    """Fit the configured method.

    Args:
        measurement: of the scene.
        taught: the labelled pixels that teach; only methods that need labels look at them.
        config: the run's configuration.
        circumstances: draws, device, processes, and when to leave.
        keeper: takes checkpoints and curves, and knows what an interrupted training left; nothing by default.

    Raises:
        ConfigError: the method does not learn in several processes.
        Preempted: it was asked to leave.
        LabelError: without labels, too few pixels are certain to learn from.
        CheckpointError: the network's checkpoint, or the encoder it is to start from, is of another scene.
    """
    check_learning(config, processes=circumstances.team.size)
    method, keeper = find_method(config.method), keeper or NothingKept()
    started = time.perf_counter()
    if method.fit is not None:
        labelled = (taught.pixels, taught.target) if method.needs_labels else ()
        how: dict[str, Any] = {"options": config.options, "seed": config.seed, "shapes": taught.shapes}
        fitted = fit_method(method, measurement, *labelled, **how)
        fitted = with_kinds(fitted, method, measurement, taught, seed=config.seed)
        keeper.keep(fitted)
        told = _decided(fitted) | _share_facts(config.train.share, config)
        return Learned(fitted, time.perf_counter() - started, told, share=config.train.share)
    times = 1.0
    if method.needs_labels and taught.shapes is not None:
        taught = _beside_shapes(measurement, taught, config)
    elif method.needs_labels:
        places = _places(measurement, taught, config)
        times = growth(taught.target, config.train, places=places)
        config = grown(config, times)
        if _areas_teach(measurement, taught, config):
            taught = _beside_areas(measurement, taught, config)
        else:
            taught = _beside_labels(measurement, taught, config, places=places)
            if times <= 1 and _may_weigh(config):
                taught = replace(taught, beside=beside_labels(measurement, taught.pixels, config))
    else:
        taught = TrainingSet(
            *certain_pixels(measurement, seed=config.seed, drop_constant=config.bands.drop_constant)
        )
    detector, facts, crossed = _train_network(measurement, taught, config, circumstances, keeper)
    if times > 1:
        facts["grown"] = round(times, 3)
    share = taught.share
    if isinstance(taught.certain, PseudoLabels):
        share = taught.certain.share if share is None else share
    return Learned(detector, time.perf_counter() - started, facts | _share_facts(share, config), crossed, share)


def _share_facts(share: float | None, config: RunConfig) -> dict[str, Any]:
    """What the result keeps of the share of the scene that changed, where something else than labels tells it."""
    if share is None:
        return {}
    return {"share": share, "share_from": "label-free map" if config.train.share is None else "train.share"}


def check_learning(config: RunConfig, *, processes: int) -> None:
    """Refuse what a method cannot be taught with, before anything long, and before anything is written.

    Of several processes, the one that raises first ends the others, wherever they are.

    Args:
        config: the resolved configuration.
        processes: how many learn together.

    Raises:
        ConfigError: the method, or its teacher, learns in one process; or a network is given options.
    """
    method = find_method(config.method)
    check_learns_kinds(config, method)
    if method.fit is not None:
        if config.train.start_from is not None:
            start = config.train.start_from
            raise ConfigError(f"start_from={start}: {method.name} is fitted at once, to all labels: leave it out")
        if processes > 1:
            raise ConfigError(
                f"{method.name} learns in one process, not in {processes}: start it without torchrun"
            )
        return
    check_parts(config.model)
    if processes > 1 and config.train.teacher.kind != "none":
        raise ConfigError(
            f"train.teacher.kind is {config.train.teacher.kind}: one process teaches so, not {processes}; "
            "start it without torchrun, or set train.teacher.kind=none"
        )
    if config.options:
        raise ConfigError(
            f"options.{next(iter(config.options))} is set, but {method.name} has no options: the settings of a "
            "network are those of model, train and prepare"
        )


def _places(measurement: Measurement, taught: TrainingSet, config: RunConfig) -> NDArray[np.int64] | None:
    """The place of each label, where those of a place count as one; None where each counts.

    Labels of whole blocks (P3) repeat one another: those of one patch count as one, whose kinds of change may not
    be the scene's. So do those of a file that lie in areas, as people draw them.
    """
    protocol, pixels = config.split.protocol, taught.pixels
    if protocol not in ("P3", GIVEN):
        return None
    places = patch_places(pixels, measurement.pair.shape[1], side=2 * config.split.radius + 1)
    return None if protocol == GIVEN and _AREA * len(np.unique(places)) > len(pixels) else places


def _beside_labels(
    measurement: Measurement, taught: TrainingSet, config: RunConfig, *, places: NDArray[np.int64] | None
) -> TrainingSet:
    """Ask the label-free detector what the labels leave open; many labels, drawn as they came, leave nothing.

    Labels drawn so many a class (P2), of a few blocks, or nobody knows how, do not tell how much has changed.
    """
    taught = replace(taught, share=config.train.share)
    at_most, pixels = config.train.certain, taught.pixels
    number = len(pixels) if places is None else len(np.unique(places))
    drawn_evenly = config.split.protocol not in ("P2", "P3", GIVEN)
    if not at_most or (drawn_evenly and not worth_asking(number, at_most=at_most)):
        return taught
    heard = hear(measurement, pixels, seed=config.seed, drop_constant=config.bands.drop_constant)
    share = taught.share
    if share is None and not drawn_evenly and 0 < heard.share < 1:
        share = heard.share
    certain = trusted_pixels(heard, taught.target, at_most=at_most, places=places)
    return replace(taught, certain=certain, share=share)


def _may_weigh(config: RunConfig) -> bool:
    """Whether held-out labels can weigh what counts beside the network: single ones, as common as in the scene.

    They do not where a label-free score that the network sees counts already, or labels of an earlier run.
    """
    told = config.split.protocol in _TELL_SHARES and config.train.folds > 0 and config.train.start_from is None
    counts = config.train.init is not None or (config.prepare.score and not config.train.prior)
    return told and config.model.threshold != "learned" and not counts


def _beside_shapes(measurement: Measurement, taught: TrainingSet, config: RunConfig) -> TrainingSet:
    """Let the scene itself teach beside labels that people drew: see :mod:`hsi_cd.training.pseudo_labels`."""
    if taught.shapes is None or not config.train.pseudo:
        return replace(taught, share=config.train.share)
    pseudo = scene_pseudo_labels(
        measurement,
        taught.pixels,
        taught.shapes,
        part=config.train.pseudo,
        seed=config.seed,
        drop_constant=config.bands.drop_constant,
    )
    return replace(taught, certain=pseudo, share=config.train.share)


def _areas_teach(measurement: Measurement, taught: TrainingSet, config: RunConfig) -> bool:
    """Whether labels lie in areas. A run that starts from an earlier one needs labels that all teach."""
    may_teach = config.train.pseudo > 0 and config.train.start_from is None
    return may_teach and lie_in_areas(taught.pixels, measurement.pair.shape)


def _beside_areas(measurement: Measurement, taught: TrainingSet, config: RunConfig) -> TrainingSet:
    """The same beside whole areas, each of which is a shape: see :mod:`hsi_cd.training.areas`."""
    pixels, target, shape = taught.pixels, taught.target, measurement.pair.shape
    shapes, side = area_shapes(pixels, target, shape), 2 * config.split.radius + 1
    pseudo = scene_pseudo_labels(
        measurement,
        pixels,
        shapes,
        part=config.train.pseudo,
        seed=config.seed,
        prior=stacked_prior(measurement, pixels, target, side=side, drop_constant=config.bands.drop_constant),
        worth=worth_of_label(pixels, target, shape[1], side=side),
    )
    return replace(taught, shapes=shapes, certain=pseudo, share=config.train.share)


def _train_network(
    measurement: Measurement,
    taught: TrainingSet,
    config: RunConfig,
    circumstances: Circumstances,
    keeper: NothingKept,
) -> tuple[SiameseDetector, dict[str, Any], OutOfFold | None]:
    if config.train.init is not None:
        (detector,) = start_from_checkpoint([measurement], config)
    else:
        detector = fit_siamese(measurement, config)
    origin = None if config.train.init is None else copy.deepcopy(detector)
    detector = begun(detector, config, keeper)
    if config.train.start_from is not None:
        taught = start_from_run(detector, taught, config, keeper.earlier)
    detector.network.to(circumstances.device)
    if taught.prior is not None:
        detector.prior = taught.prior

    def patches() -> PatchSource:
        measurement.forget_components()
        return scene_patches(detector, measurement)

    source = patches()
    taught = replace(taught, odds=odds_at(detector, source, taught.pixels))
    progress, facts = go_through(detector, lambda: source, taught, config, circumstances, keeper)
    if origin is not None and taught.shapes is None and config.split.protocol not in _TELL_SHARES:
        origin.network.to(circumstances.device)
        detector.calibration = as_common_as_before(detector, origin, source, seed=config.seed)
        keeper.keep(detector)
    facts |= {
        "certain_pixels": 2 * taught.certain.each_epoch if isinstance(taught.certain, CertainPixels) else 0,
        "flops": scene_flops(detector, measurement.pair),
    }
    if isinstance(taught.certain, PseudoLabels):
        facts["pseudo_labels"] = len(taught.certain.pixels)
    if (around := detector.calibration.surroundings) is not None:
        weights = {"pixel": around.own, "around": around.around, "label_free": detector.calibration.prior}
        facts |= {f"weight_{name}": round(weight, 3) for name, weight in weights.items()}
    return detector, facts | began_with(config), progress.out_of_fold


def begun(detector: SiameseDetector, config: RunConfig, keeper: NothingKept) -> SiameseDetector:
    """A fitted detector with the weights that its training begins with, or goes on with.

    Args:
        detector: fitted; its network has the weights of chance, or those of ``train.init``.
        config: the run's configuration.
        keeper: knows what an interrupted training left.

    Raises:
        ConfigError: a pattern of ``train.freeze`` names nothing.
        CheckpointError: what was left, or the encoder to start from, is of another scene.
    """
    frozen_names(detector.network.members[0], config.train.freeze)  # refused here, before anything is written
    backbone = config.model.backbone
    if keeper.earlier is not None:
        return resumed(detector, keeper.earlier["detector"], config)
    if backbone.weights is not None:
        load_encoder_weights(detector.network, Path(backbone.weights), adapt=backbone.adapt)
    elif config.train.pretrained is not None:
        use_encoders(Path(config.train.pretrained), detector)
    return detector


def go_through(
    detector: SiameseDetector,
    patches: Callable[[], Patches],
    taught: TrainingSet,
    config: RunConfig,
    circumstances: Circumstances,
    keeper: NothingKept,
) -> tuple[Progress, dict[str, Any]]:
    """Take a detector through its training.

    Args:
        detector: on the device of the circumstances.
        patches: makes what its network sees of the scene, or of several.
        taught: the pixels that teach.
        config: the run's configuration.
        circumstances: draws, device, processes, and when to leave.
        keeper: takes checkpoints and curves.

    Returns:
        How it ended, and facts for the result's record.
    """
    with keeper.journal() as journal, on_threads(config.train.threads):
        source = patches()
        with circumstances.stop.postponed():
            progress = train(detector, source, taught, config.train, circumstances=circumstances, journal=journal)
        journal.tracker.hyperparameters(
            config.model_dump(), {"best/kappa": progress.best_kappa, "best/loss": progress.best_loss}
        )
    return progress, {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "validation_kappa": progress.best_kappa,
        "validation_loss": progress.best_loss,
    }


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Let torch compute on so many threads while the block runs; 0 leaves them as they are."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def scene_flops(detector: SiameseDetector, pair: ScenePair) -> int:
    """Floating-point operations of the network for one map of the scene: two for each multiplication and addition.

    Counted by torch in the products and convolutions of one window, and scaled to the scene.
    """
    side = 64
    r = detector.network.radius
    window = torch.zeros(1, detector.channels, side + 2 * r, side + 2 * r, device=detector.device)
    detector.network.eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        detector.network(window, window)
    counted: int = counter.get_total_flops()
    return round(counted / side**2 * pair.shape[0] * pair.shape[1])


def _decided(detector: Detector) -> dict[str, Any]:
    """How a label-free detector came by its threshold, for the result's record."""
    decision = getattr(detector, "decision", None)
    if not isinstance(decision, Decision):
        return {}
    found = {f"threshold_{name}": value for name, value in decision.threshold.found.items()}
    return {"threshold_method": decision.threshold.method, **found}
