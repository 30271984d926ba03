"""One network that learns on many scenes, and is judged on whole scenes that it did not learn from.

Every scene is measured by itself, without labels; what the network sees of a pixel is then comparable between
scenes (see :func:`hsi_cd.detectors.siamese.fit_siamese_of_scenes`). Of each scene at most the same number of
labelled pixels teaches, and every batch holds as many of each. Whole scenes are held out in turn: each member of
the ensemble learns without some of them, and what it says of these picks the epoch, calibrates, and sets the
threshold.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.config import RunConfig, ScenesConfig
from hsi_cd.detectors.registry import find_method
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese_of_scenes
from hsi_cd.errors import BandError, ConfigError, LabelError
from hsi_cd.evaluation import ConfusionCounts, UndefinedScoreWarning, all_scores, count_confusion
from hsi_cd.prepare.band_choice import choose_bands
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Labels, check_same_bands
from hsi_cd.training.examples import LabelledScene, measured_for
from hsi_cd.training.fitting import Learned, begun, check_learning, go_through
from hsi_cd.training.folds import OutOfFold
from hsi_cd.training.keeping import NothingKept
from hsi_cd.training.many_patches import ManyPatches, odds_at, patches_of_scenes
from hsi_cd.training.starting import began_with, start_from_checkpoint
from hsi_cd.training.training_set import TrainingSet

log = logging.getLogger(__name__)

_OTHER_UNITS = 8.0  # times as large in every band: no light and no ground do that


@dataclass(frozen=True)
class TaughtScene:
    """A measured scene of several, and which of its pixels teach.

    Attributes:
        measurement: of the scene, in the bands that methods may look at.
        counts: labelled pixels with data in both dates, (unchanged, changed).
        pixels: flat indices of those that teach, int64 ``(N,)``.
        target: their classes, 0 unchanged, 1 changed, int64 ``(N,)``.
    """

    measurement: Measurement
    counts: tuple[int, int]
    pixels: NDArray[np.int64]
    target: NDArray[np.int64]

    @property
    def name(self) -> str:
        """Of the scene."""
        return self.measurement.pair.name

    @property
    def share(self) -> float:
        """Of its labelled pixels that are changed."""
        return self.counts[CHANGED] / sum(self.counts)


def check_many(config: RunConfig, names: Sequence[str], *, processes: int) -> None:
    """Refuse what several scenes cannot teach with, before anything is read.

    Args:
        config: the resolved configuration.
        names: of the scenes that teach.
        processes: how many learn together.

    Raises:
        ConfigError: there are too few scenes, two of one name, or the settings are for one scene.
    """
    method = find_method(config.method)
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ConfigError(f"two scenes are called {twice[0]}: give each its own name")
    if len(names) < 2:
        found = f"{len(names)} scene teaches" if len(names) == 1 else "no scene teaches"
        raise ConfigError(
            f"{found}, but whole scenes are held out for validation: give at least 2 that teach, or train on one "
            "scene alone"
        )
    if method.fit is not None or not method.needs_labels:
        raise ConfigError(f"{method.name} learns from one scene: several teach a network that learns from labels")
    check_learning(config, processes=processes)
    if config.train.teacher.kind != "none":
        raise ConfigError(
            f"train.teacher.kind is {config.train.teacher.kind}, which looks at the pixels of one scene: set "
            "train.teacher.kind=none for several"
        )
    if config.train.start_from is not None:
        raise ConfigError(
            f"start_from={config.train.start_from} goes on with one scene: use init=CHECKPOINT for several"
        )


def draw_scene(scene: LabelledScene, config: RunConfig, *, number: int) -> TaughtScene:
    """Measure a scene as the network will ask for it, and draw the labelled pixels that teach.

    Args:
        scene: two dates and their truth map.
        config: the run's configuration.
        number: of the scene among all, which the draw depends on.

    Raises:
        GridError: the labels are of another scene.
        BandError: the scene has bands that cannot be used, or no pixel with data.
        LabelError: one of the classes has no labelled pixel with data.
    """
    scene = scene.in_area()
    scene.pair.check_labels(scene.labels)
    measurement = Measurement(choose_bands(scene.pair, **config.bands.model_dump()), for_network=True)
    how = measured_for(config)
    valid = measurement.valid_spectra() if how is None else measurement.valid(how)
    if not valid.any():
        raise BandError(
            f"no pixel of {scene.pair.name} has data in all bands of both dates: the dates must overlap"
        )
    labels = replace(scene.labels, values=np.where(valid, scene.labels.values, np.uint8(UNLABELLED)))
    unchanged, changed, _ = labels.counts()
    for count, word in ((unchanged, "unchanged"), (changed, "changed")):
        if not count:
            raise LabelError(
                f"{scene.pair.name}: no labelled pixel with data in both dates is {word} in {labels.name}: every "
                "scene needs both classes"
            )
    pixels = draw_pixels(labels, config.scenes, np.random.default_rng([config.seed, number]))
    measurement.forget_components()  # as many scenes do not fit into memory as one does
    return TaughtScene(measurement, (unchanged, changed), pixels, labels.values.ravel()[pixels].astype(np.int64))


def draw_pixels(labels: Labels, config: ScenesConfig, random: np.random.Generator) -> NDArray[np.int64]:
    """Flat indices of the labelled pixels that teach, at most so many of each class, int64, ascending."""
    found = []
    for code, most in ((UNCHANGED, config.unchanged), (CHANGED, config.changed)):
        pixels = np.flatnonzero(labels.values.ravel() == code)
        found.append(pixels if len(pixels) <= most else random.choice(pixels, most, replace=False))
    return np.sort(np.concatenate(found)).astype(np.int64)


def learn_scenes(
    scenes: Sequence[TaughtScene],
    config: RunConfig,
    circumstances: Circumstances,
    keeper: NothingKept | None = None,
) -> Learned:
    """Teach one network by several scenes.

    Args:
        scenes: at least two, see :func:`draw_scene`.
        config: the run's configuration.
        circumstances: draws, device, processes, and when to leave.
        keeper: takes checkpoints and curves, and knows what an interrupted training left; nothing by default.

    Returns:
        The detector, which measures every scene that it maps, and what the members say of the scenes that each
        held out.

    Raises:
        BandError: the scenes' bands differ, or their values are in other units.
        Preempted: it was asked to leave.
        CheckpointError: what was left, or what it is to start from, is of other scenes.
    """
    started, keeper = time.perf_counter(), keeper or NothingKept()
    check_alike(scenes)
    measurements = [scene.measurement for scene in scenes]
    start = fit_siamese_of_scenes if config.train.init is None else start_from_checkpoint
    detectors = start(measurements, config)
    check_units(detectors)
    detector = begun(detectors[0], config, keeper)
    detector.network.to(circumstances.device)

    def patches() -> ManyPatches:
        for measurement in measurements:
            measurement.forget_components()
        each = [replace(own, network=detector.network) for own in detectors]
        pairs = [measurement.pair for measurement in measurements]
        return patches_of_scenes(each, pairs, [scene.pixels for scene in scenes])

    taught, source = _together(scenes, share=config.train.share), patches()
    ends = np.cumsum([len(scene.pixels) for scene in scenes])[:-1]
    drawn = np.split(taught.pixels, ends)
    each = [odds_at(own, source, pixels) for own, pixels in zip(detectors, drawn, strict=True)]
    told = [odds for odds in each if odds is not None]  # of all scenes, or of none
    taught = replace(taught, odds=np.concatenate(told) if told else None)
    progress, facts = go_through(detector, lambda: source, taught, config, circumstances, keeper)
    facts |= {"scenes": len(scenes), "share": taught.share} | began_with(config)
    return Learned(detector, time.perf_counter() - started, facts, progress.out_of_fold, taught.share)


def _together(scenes: Sequence[TaughtScene], *, share: float | None) -> TrainingSet:
    """The pixels of all scenes that teach, numbered on from scene to scene.

    Change is taken to be as common as it is in a scene on average, where nobody says how common it is: that is
    what is known of the next one.
    """
    shapes = [scene.measurement.pair.shape for scene in scenes]
    first = np.cumsum([0, *(rows * cols for rows, cols in shapes)])
    return TrainingSet(
        np.concatenate([scene.pixels + start for scene, start in zip(scenes, first, strict=False)]),
        np.concatenate([scene.target for scene in scenes]),
        share=float(np.mean([scene.share for scene in scenes])) if share is None else share,
        scenes=np.repeat(np.arange(len(scenes)), [len(scene.pixels) for scene in scenes]),
    )


def check_alike(scenes: Sequence[TaughtScene]) -> None:
    """Refuse scenes whose bands are not the first one's.

    Raises:
        BandError: with the difference.
    """
    first = scenes[0].measurement.pair
    for scene in scenes[1:]:
        pair = scene.measurement.pair
        names = (f"the scene {first.name}", f"the scene {pair.name}")
        check_same_bands(first.bands, pair.bands, names=names, tolerance=pair.band_tolerance)


def check_units(detectors: Sequence[SiameseDetector]) -> None:
    """Refuse scenes whose values are many times those of the first one in every band.

    Their own statistics would hide it; but a scene in other units was read otherwise than it was meant.

    Raises:
        BandError: so it is.
    """
    sizes = []
    for detector in detectors:
        transform = detector.transform
        if transform.centre is None or transform.scale is None:
            return
        sizes.append(np.abs(transform.centre).mean(axis=0) + transform.scale.mean(axis=0))
    names = detectors[0].scenes
    for size, name in zip(sizes[1:], names[1:], strict=True):
        ratio = size / sizes[0]
        if ratio.min() > _OTHER_UNITS or ratio.max() < 1 / _OTHER_UNITS:
            raise BandError(
                f"the values of {name} are about {np.median(ratio):.2g} times those of {names[0]} in every band: "
                "give all scenes in the same units, as reflectance from 0 to 1"
            )


def scene_facts(scenes: Sequence[TaughtScene], found: OutOfFold | None) -> list[dict[str, Any]]:
    """What each scene taught, and how the members that held it out do on it.

    Scores are estimated from the pixels that were drawn: the rates of either class among these, and as many pixels
    of each class as the scene has labelled.

    Args:
        scenes: those that taught.
        found: what the members say of the pixels of all, one scene behind the other; None where nothing was held
            out.

    Returns:
        Of each scene its name, labelled and taught pixels, and ``f1`` and ``kappa``, NaN where nothing is known.
    """
    facts, at = list[dict[str, Any]](), 0
    for scene in scenes:
        own = slice(at, at + len(scene.pixels))
        at = own.stop
        scores = {"f1": float("nan"), "kappa": float("nan")}
        if found is not None:
            drawn = count_confusion(scene.target.astype(np.uint8)[None], found.change[own][None])
            if drawn.changed and drawn.unchanged:  # of one network, a part alone is held out
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UndefinedScoreWarning)
                    judged = all_scores(_of_scene(drawn, scene.counts))
                scores = {name: float(judged[name]) for name in scores}
        taught = np.bincount(scene.target, minlength=2)
        facts.append(
            {
                "name": scene.name,
                "labelled": {"unchanged": scene.counts[0], "changed": scene.counts[1]},
                "taught": {"unchanged": int(taught[0]), "changed": int(taught[1])},
                **scores,
            }
        )
    return facts


def _of_scene(drawn: ConfusionCounts, counts: tuple[int, int]) -> ConfusionCounts:
    """Counts of a whole scene by the rates of those that were drawn."""
    false = round(counts[0] * drawn.fp / drawn.unchanged)
    true = round(counts[1] * drawn.tp / drawn.changed)
    return ConfusionCounts(tn=counts[0] - false, fp=false, fn=counts[1] - true, tp=true)
