"""Whether kinds of change are learned, from what, and by which methods."""

from __future__ import annotations

import logging

import numpy as np

from hsi_cd.config import RunConfig
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.method import Method
from hsi_cd.detectors.registry import find_method
from hsi_cd.errors import ConfigError, LabelError
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.scene import KindTable, Labels, Split
from hsi_cd.training.training_set import TrainingSet

log = logging.getLogger(__name__)

_MANY = 32
"""Kinds of change above which somebody must say that they are some: a truth map may hold numbers of fields."""
_LISTED = 8


def kinds_of(config: RunConfig, labels: Labels) -> RunConfig:
    """The configuration with whether kinds of change are learned, where it does not say it.

    They are by themselves where shapes were drawn with several kinds, and the method learns them.

    Raises:
        LabelError: the labels tell so many kinds apart that these may be something else.
    """
    table = labels.kind_table
    if table is None or "kinds" in config.model_fields_set:
        return config
    if table.count > _MANY:
        raise LabelError(
            f"{labels.name} tells {table.count} kinds of change apart, which may be numbers of something else: "
            "confirm with kinds=True that each is a kind, or take all of them for one with kinds=False"
        )
    if labels.shapes is None or not _learns_kinds(find_method(config.method)):
        return config
    listed = ", ".join(table.names[:_LISTED]) + (", ..." if table.count > _LISTED else "")
    log.warning(
        "%s tells %d kinds of change apart (%s), which are learned, too; to take them for one, say kinds=False",
        labels.name,
        table.count,
        listed,
    )
    return config.model_copy(update={"kinds": True})


def check_learns_kinds(config: RunConfig, method: Method) -> None:
    """Refuse kinds of change that are to be learned by a method that cannot.

    Raises:
        ConfigError: so it is.
    """
    if not config.kinds or _learns_kinds(method):
        return
    if not method.needs_labels:
        raise ConfigError(
            f"{method.name} learns from no label, and so no kinds of change: leave kinds=True out, or group what "
            "changed without labels, as hsi_cd.detect(pair, kinds='auto') does"
        )
    raise ConfigError(
        f"{method.name} learns no kinds of change: leave kinds=True out, or choose another method, as siamese or "
        "svm"
    )


def check_kinds_taught(kinds: KindTable, split: Split, labels: Labels) -> None:
    """Refuse a split in which a kind of change has no training pixel.

    Raises:
        LabelError: with the kinds.
    """
    taught = np.bincount(labels.kind_numbers().ravel()[split.train], minlength=kinds.count + 1)[1:]
    missing = [repr(name) for name, count in zip(kinds.names, taught.tolist(), strict=False) if not count]
    if missing:
        raise LabelError(
            f"none of the {len(split.train)} pixels of the split is of {' or '.join(missing[:_LISTED])} in "
            f"{labels.name}: let pixels of each kind teach, or say kinds=False"
        )


def with_kinds(
    fitted: Detector, method: Method, measurement: Measurement, taught: TrainingSet, *, seed: int
) -> Detector:
    """What a method has fitted, with the kinds of change that the same labels teach, if any; its scores stay.

    Args:
        fitted: the detector.
        method: whose it is.
        measurement: of the scene.
        taught: the labelled pixels, with their kinds.
        seed: of the run.
    """
    if method.fit_kinds is None or taught.kinds is None or taught.kind_table is None:
        return fitted
    changed = taught.kinds > 0
    pixels, kinds = taught.pixels[changed], taught.kinds[changed]
    return method.fit_kinds(fitted, measurement, pixels, kinds, table=taught.kind_table, seed=seed)


def _learns_kinds(method: Method) -> bool:
    return method.needs_labels and (method.fit is None or method.fit_kinds is not None)
