"""What a training stands on once all its input has proved good: the measured scene, its labels, who teaches."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from hsi_cd.config import AUTO_MASK, AreaConfig, RegisterConfig, RunConfig, resolve
from hsi_cd.detectors.network import check_parts
from hsi_cd.detectors.registry import find_method
from hsi_cd.detectors.siamese import preparation
from hsi_cd.errors import BandError, ConfigError, LabelError
from hsi_cd.prepare.band_choice import choose_bands
from hsi_cd.prepare.drawn_shapes import default_protocol
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.prepare.splits import make_split
from hsi_cd.prepare.strata import check_kinds
from hsi_cd.scene import CHANGED, DRAWN, GIVEN, UNCHANGED, UNLABELLED, KindTable, Labels, ScenePair, Split
from hsi_cd.training.learned_kinds import check_kinds_taught, kinds_of
from hsi_cd.training.training_set import TrainingSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledScene:
    """Two dates, their truth map, and who teaches, if that was decided elsewhere.

    Attributes:
        pair: the scene.
        labels: its truth map.
        split: the pixels that teach; by default the configured protocol draws them.
    """

    pair: ScenePair
    labels: Labels
    split: Split | None = None

    def in_area(self) -> LabelledScene:
        """The same with labels and split on the pixels of the pair, without those outside of its area of interest.

        Raises:
            LabelError: no label lies in the area.
        """
        area = self.pair.area
        if area is None:
            return self
        own, given = (area.labels, area.split) if area.is_cut else (area.whole_labels, area.whole_split)
        labels, split = own(self.labels), None if self.split is None else given(self.split)
        there, left = (int((each.values != UNLABELLED).sum()) for each in (self.labels, labels))
        if there and not left:
            raise LabelError(
                f"none of the {there} labelled pixels of {labels.name} lies in the area of interest ({area}): "
                "give labels in it, or a larger area"
            )
        if there > left:
            log.warning(
                "%d of %d labelled pixels lie outside of the area of interest (%s): they neither teach nor judge",
                there - left,
                there,
                area,
            )
        return LabelledScene(self.pair, labels, split)


@dataclass(frozen=True)
class Examples:
    """A measured scene and its labels, divided.

    Attributes:
        measurement: of the scene, in the bands that methods may look at.
        labels: the truth map, unlabelled where either date has no data.
        split: which labelled pixels teach, and which judge.
        kinds: the kinds of change that are learned, too; None where they are not.
    """

    measurement: Measurement
    labels: Labels
    split: Split
    kinds: KindTable | None = None

    @property
    def taught(self) -> TrainingSet:
        """The pixels that teach, with their classes, and their shapes under the protocol of drawn labels."""
        pixels = self.split.train
        target = self.labels.values.ravel()[pixels].astype(np.int64)
        kinds = None if self.kinds is None else self.labels.kind_numbers().ravel()[pixels]
        return TrainingSet(pixels, target, shapes=self.split.shapes, kinds=kinds, kind_table=self.kinds)

    def on_map(self) -> tuple[Labels, Split]:
        """Labels and split on the grid of the map: that of the scene, or of its area of interest."""
        area = self.measurement.pair.area
        return (self.labels, self.split) if area is None else (area.labels(self.labels), area.split(self.split))


def config_of(config: RunConfig, split: Split | None, labels: Labels) -> RunConfig:
    """The configuration with the protocol of the labels where it names none, or with what a given split says.

    Args:
        config: the configuration, in which a protocol draws.
        split: the pixels that teach, or None where the protocol draws them; it tells its protocol and its
            fingerprint.
        labels: the truth map: shapes are divided otherwise than a map, unless a protocol is named.

    Raises:
        ConfigError: the configuration tells of a given split, and there is none or another.
        LabelError: the labels tell very many kinds of change apart, and nobody said whether they are meant.
    """
    config = kinds_of(config, labels)
    told = config.split.given
    if split is None:
        if told is not None or config.split.protocol == GIVEN:
            raise ConfigError(
                f"split.protocol is {config.split.protocol} and split.given {told}: these settings are of a run "
                "whose pixels were given, not drawn; give the same by split=FILE, or set split.protocol and "
                "split.given=null"
            )
        if "protocol" in config.split.model_fields_set:
            return config
        own = config.split.model_copy(update={"protocol": default_protocol(labels)})
        return config.model_copy(update={"split": own})
    if told not in (None, split.fingerprint):
        raise ConfigError(
            f"split.given is {told} but the split's fingerprint is {split.fingerprint}: these settings are of a "
            "run with another split; give that one by split=FILE, or set split.given=null"
        )
    own = config.split.model_copy(update={"protocol": split.protocol, "given": split.fingerprint})
    return resolve([("the split", config.model_copy(update={"split": own}).model_dump())])


def declared_of(config: RunConfig, pair: ScenePair) -> RunConfig:
    """The configuration with what a scene was declared to hold as no data, what masks and bounds it, and so on.

    Raises:
        ConfigError: the configuration says otherwise, and the scene is open already.
    """
    config = bounded_of(masked_of(registered_of(config, pair), pair), pair)
    if config.nodata == pair.nodata:
        return config
    if config.nodata:
        told, known = (", ".join(f"{v:g}" for v in values) or "none" for values in (config.nodata, pair.nodata))
        raise ConfigError(
            f"the setting nodata is {told}, but the scene {pair.name} was opened with {known}: open it with the "
            "same values of nodata="
        )
    return config.model_copy(update={"nodata": pair.nodata})


def masked_of(config: RunConfig, pair: ScenePair) -> RunConfig:
    """The configuration with what masks leave out of a scene, in the words in which it was asked for.

    Raises:
        ConfigError: the configuration says otherwise, and the scene is open already.
    """
    if not pair.masks or config.mask == pair.masks:  # of a scene without masks, what is asked for changes nothing
        return config
    if config.mask != AUTO_MASK:
        raise ConfigError(
            f"the setting mask is {' and '.join(config.mask)}, but the scene {pair.name} was opened with "
            f"{pair.mask}: open it with the same mask="
        )
    return config.model_copy(update={"mask": pair.masks})


def bounded_of(config: RunConfig, pair: ScenePair) -> RunConfig:
    """The configuration with a scene's area of interest.

    Raises:
        ConfigError: the configuration says otherwise, and the scene is open already.
    """
    area, kept = pair.area, AreaConfig()
    if area is not None:
        said = {"aoi": area.polygons, "bounds": area.bounds, "bounds_crs": area.bounds_crs}
        told = {name: value or None for name, value in said.items()}
        kept = AreaConfig.model_validate({**told, "statistics": area.statistics})
    if config.area == kept:
        return config
    if config.area.is_named:
        asked, known = (each.described or "none" for each in (config.area, kept))
        raise ConfigError(
            f"the settings of area are {asked}, but the scene {pair.name} was opened with {known}: open it with "
            "the same aoi= or bounds="
        )
    return config.model_copy(update={"area": kept})


def registered_of(config: RunConfig, pair: ScenePair) -> RunConfig:
    """The configuration with what was undone to lay a scene's date 2 on date 1, for predictions to do the same.

    Raises:
        ConfigError: the dates are to be registered, and the scene is open already.
    """
    done = pair.registered
    if done is None and config.coregister.dates:
        raise ConfigError(
            f"the setting coregister.dates is true, but the scene {pair.name} was opened without: open it with "
            "register=True"
        )
    kept = RegisterConfig()
    if done is not None:
        kept = RegisterConfig(dates=True, shift=(done.down, done.right), pixels=done.pixels)
    return config if kept == config.coregister else config.model_copy(update={"coregister": kept})


def measured_for(config: RunConfig) -> Preparation | None:
    """How the configured method has spectra prepared; None where it takes them as they are."""
    method = find_method(config.method)
    if method.fit is None:
        return preparation(config)
    return method.preparation(method.choose(config.options))


def prepare_examples(
    scene: LabelledScene,
    config: RunConfig,
    *,
    measurement: Measurement | None = None,
    taught_elsewhere: bool = False,
) -> Examples:
    """Measure a scene as the configured method will ask for it, and divide its labels.

    Args:
        scene: two dates and their truth map.
        config: the run's configuration.
        measurement: what was measured on the scene before, for other methods.
        taught_elsewhere: whether other scenes teach, so that none of its pixels needs to.

    Raises:
        UnknownNameError: there is no such method.
        GridError: labels or split are of another scene.
        BandError: the scene has bands that cannot be used.
        LabelError: a class has too few labelled pixels, or the method learns from labels and gets none.
    """
    if find_method(config.method).fit is None:
        check_parts(config.model)  # before anything is read
    how = measured_for(config)
    scene = scene.in_area()
    scene.pair.check_labels(scene.labels)
    pair = choose_bands(scene.pair, **config.bands.model_dump())
    if measurement is None or measurement.pair is not pair:
        measurement = Measurement(pair, for_network=find_method(config.method).fit is None)
    valid = measurement.valid_spectra() if how is None else measurement.valid(how)
    if not valid.any():
        raise BandError("no pixel has data in all bands of both dates: the dates must overlap")
    labelled = scene.labels.values != UNLABELLED
    if lost := int((labelled & ~valid).sum()):
        log.warning("%d labelled pixels have no data in one of the dates: they neither teach nor judge", lost)
    labels = replace(scene.labels, values=np.where(valid, scene.labels.values, np.uint8(UNLABELLED)))
    kinds = check_kinds(labels) if config.kinds else None
    if scene.split is None:
        own = config.split.model_dump(exclude={"given"})
        split = make_split(labels, seed=config.seed, kinds=config.kinds, **own)
    else:
        split = _usable(scene.split, scene.labels, labels)
    if not taught_elsewhere:
        check_taught(config.method, split, labels)
    if kinds is not None:
        check_kinds_taught(kinds, split, labels)
    return Examples(measurement, labels, split, kinds)


def check_taught(method: str, split: Split, labels: Labels) -> None:
    """Refuse a method that learns from labels where nobody teaches, or one class only.

    Raises:
        LabelError: a class has no training pixel.
    """
    if not find_method(method).needs_labels:
        return
    if not len(split.train):
        raise LabelError(
            f"protocol {split.protocol} gives no training pixel, but {method} learns from labels: "
            "choose a method without labels, or another protocol"
        )
    taught = set(np.unique(labels.values.ravel()[split.train]).tolist())
    for code, word in ((UNCHANGED, "unchanged"), (CHANGED, "changed")):
        if code not in taught:
            if split.protocol == DRAWN:
                raise LabelError(
                    f"none of the {len(split.train)} pixels of {labels.name} with data in both dates is {word}: "
                    f"{method} learns from both classes; draw {word} places that have data"
                )
            raise LabelError(
                f"none of the {len(split.train)} pixels of the split is {word} in {labels.name}: {method} learns "
                "from both classes; let pixels of each teach"
            )
    if not split.test_mask(labels).any() and not split.all_teach(labels):
        raise LabelError(
            f"all labelled pixels of {labels.name} teach, so that none is left to judge: let fewer teach"
        )


def _usable(split: Split, labels: Labels, valid: Labels) -> Split:
    """A given split without the pixels that have no data.

    Raises:
        GridError: it is of another scene's shape.
        LabelError: a pixel teaches that nobody labelled.
    """
    split.check_labelled(labels)
    left = valid.values.ravel()[split.train] != UNLABELLED
    shapes = None if split.shapes is None else split.shapes[left]
    return replace(split, train=split.train[left], shapes=shapes)
