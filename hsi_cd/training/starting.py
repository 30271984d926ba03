"""A training that goes on from an earlier one: of the same scene, to which labels were added, or of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special

from hsi_cd.config import RunConfig
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.refit import refit_statistics
from hsi_cd.detectors.registry import find_method
from hsi_cd.detectors.siamese import SiameseDetector, siamese_from_state
from hsi_cd.errors import CheckpointError, ConfigError, HsiCdError, LabelError, MissingInputError
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.runs.folder import RESULT
from hsi_cd.training.drawn_calibration import mean_logits
from hsi_cd.training.many_patches import odds_at
from hsi_cd.training.patches import PatchSource
from hsi_cd.training.resuming import resumed
from hsi_cd.training.training_set import Dealt, TrainingSet

_LOOKED_AT = 20_000  # pixels of a scene that tell how much of it is called changed
_FREE = {"threshold": True, "backbone": {"weights"}}  # of a model: says nothing of what its weights mean


def start_from_run(
    detector: SiameseDetector, taught: TrainingSet, config: RunConfig, interrupted: Mapping[str, Any] | None
) -> TrainingSet:
    """Give a network the weights of the run ``train.start_from``, and keep who has learned from what there.

    Args:
        detector: fitted on the scene; its network changes in place.
        taught: the labelled pixels, those of the earlier run among them.
        config: the run's configuration.
        interrupted: what this very run left, where it is resumed: it has its weights already.

    Returns:
        The same pixels, with what members have learned from, so that none judges it.

    Raises:
        MissingInputError: there is no such run, or it has not ended.
        ConfigError: the labels are not drawn, or the run was trained with other settings.
        CheckpointError: the run is of another scene, damaged, or of a version that did not keep who held out what.
        LabelError: pixels that taught it are not labelled now.
    """
    if interrupted is not None:
        return replace(taught, dealt=_dealt(interrupted["training"], "the run folder's checkpoint"))
    folder = Path(config.train.start_from or "")
    own = f"start_from={folder}"
    if taught.shapes is None:
        raise ConfigError(
            f"{own}: the protocol is {config.split.protocol}, which holds out labels that an earlier run may have "
            "learned from: leave it out, or let all labels teach (protocol drawn)"
        )
    if not (folder / RESULT).is_file():
        raise MissingInputError(f"{own}: there is no run that has ended: name the folder of one")
    content = load_checkpoint(folder / "best.pt")
    for name, then, now in _differences(content, config, own):
        raise ConfigError(
            f"{own} was trained with {name} {then}, but here it is {now}: use one setting for both, or leave "
            "it out"
        )
    elsewhere = f"{own} is a run of another scene: start from one of this scene, or leave it out"
    saved = resumed(detector, content["detector"], config, elsewhere=elsewhere)
    dealt = _dealt(content["training"], own)
    if lost := int((~np.isin(dealt.pixels, taught.pixels)).sum()):
        raise LabelError(
            f"{own} learned from {len(dealt.pixels)} labelled pixels, {lost} of which have no label now, and does "
            "not forget: name all of its labels beside the new ones, or leave it out"
        )
    detector.network.load_state_dict(saved.network.state_dict())
    return replace(taught, dealt=dealt)


def start_from_checkpoint(scenes: Sequence[Measurement], config: RunConfig) -> list[SiameseDetector]:
    """The network of the checkpoint ``train.init``, taught by other scenes, as a detector of these.

    Statistics, shift and label-free score are measured on each scene; the projection stays the checkpoint's, so
    that the network sees what it learned to see.

    Args:
        scenes: the measurements of the scenes on which it goes on to learn.
        config: the run's configuration.

    Returns:
        A detector of each scene, with one network.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: it is damaged, or holds no network.
        ConfigError: the network was trained with other settings.
        BandError: the bands of a scene are others.
    """
    path = Path(config.train.init or "")
    own, content = f"init={path}", load_checkpoint(path)
    if find_method(content["method"]).fit is not None:
        raise CheckpointError(f"{own} holds {content['method']}, which is no network: give the best.pt of one")
    for name, then, now in _differences(content, config, own):
        if name.split(".")[0] in ("bands", "prepare", "model"):
            raise ConfigError(
                f"{own} was trained with {name} {then}, but here it is {now}: leave it as the checkpoint has it"
            )
    taught = siamese_from_state(content["detector"], augment=config.train.augment)
    # The prior, and what the pixels around are worth, were weighed by the labels of the scene that these are of.
    taught = replace(taught, prior=None, calibration=taught.calibration.of_one_pixel, kind_heads=None)
    found = [replace(refit_statistics(taught, each), scenes=()) for each in scenes]
    names = tuple(each.pair.name for each in scenes)
    return found if len(found) == 1 else [replace(each, scenes=names) for each in found]


def as_common_as_before(
    detector: SiameseDetector, origin: SiameseDetector, source: PatchSource, *, seed: int
) -> Calibration:
    """The calibration with which a network calls as much of a scene changed as the one that it began as.

    A few labels say which pixels changed, and not how many: what was learned of that from other scenes stays.

    Args:
        detector: the network as it is, on the device of the patches.
        origin: the same as it began, on this scene.
        source: what they see of the scene.
        seed: seed of the pixels that are looked at.
    """
    known, pixels = origin.calibration, np.flatnonzero(source.inside.ravel())
    if len(pixels) > _LOOKED_AT:
        pixels = np.random.default_rng(seed).choice(pixels, _LOOKED_AT, replace=False)
    odds = odds_at(detector, source, pixels)
    beside = 0.0 if odds is None else known.prior * odds
    began, ended = (
        known.slope * mean_logits(each.network.eval(), source, pixels) + beside for each in (origin, detector)
    )
    limit = float(scipy.special.logit(known.threshold))
    share = float((began + known.offset >= limit).mean())
    if not 0 < share < 1:
        return known
    return replace(known, offset=limit - float(np.quantile(ended, 1 - share)))


def goes_on(folder: Path) -> bool:
    """Whether a training could start from a run: one whose network learned from labels that people drew."""
    try:
        content = load_checkpoint(folder / "best.pt")
        _dealt(content["training"], "")
    except (HsiCdError, KeyError):
        return False
    return True


def _dealt(training: Mapping[str, Any], name: str) -> Dealt:
    """What a checkpoint says of who has learned from what."""
    try:
        pixels, part = training["progress"]["dealt"]
        found = Dealt(pixels.numpy(), part.numpy())
        if {each.dtype for each in (found.pixels, found.part)} != {np.dtype(np.int64)}:
            raise ValueError
        if found.pixels.ndim != 1 or found.pixels.shape != found.part.shape:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CheckpointError(
            f"{name} does not tell which labels each member of its network held out (it is of an earlier version, "
            "or no network that learned from a drawing): train it again"
        ) from None
    return found


def _differences(content: Mapping[str, Any], config: RunConfig, own: str) -> Iterator[tuple[str, Any, Any]]:
    """Settings that decide what a network's weights mean, or who judges what, and that are others now."""
    try:
        before = RunConfig.model_validate(content["config"])
    except ValueError as error:
        raise CheckpointError(f"{own}: its settings are damaged: train it again") from error
    then, now = (dict(_deciding(each)) for each in (before, config))
    return ((name, then[name], now[name]) for name in then if then[name] != now[name])


def _deciding(config: RunConfig) -> Iterator[tuple[str, Any]]:
    yield "method", config.method
    yield "nodata", config.nodata
    yield "mask", config.mask
    # Cut to an area, a scene is another: its pixels are counted from there.
    yield "area", config.area.described if config.area.statistics == "area" else "the scene"
    yield "train.folds", config.train.folds
    for name in ("bands", "prepare", "model"):
        for key, value in getattr(config, name).model_dump(exclude=_FREE).items():
            yield f"{name}.{key}", value


def began_with(config: RunConfig) -> dict[str, Any]:
    """Which files the weights came from, for the result's record."""
    names = ("pretrained", "start_from", "init")
    return {name: file for name in names if (file := getattr(config.train, name)) is not None}
