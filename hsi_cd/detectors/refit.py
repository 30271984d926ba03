"""A trained network on another scene: the scene's own statistics in place of the training scene's.

A checkpoint's statistics travel with it, and as a rule nothing is measured anew when it predicts. On another scene
of the same sensor they may be wrong: another day has other light, haze and calibration. Measured there without
labels, they undo what one gain and one offset for each band and date can undo. The network, its calibration and
its threshold stay: ground that the training scene did not have, and other kinds of change, stay unknown to them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hsi_cd.config import RunConfig
from hsi_cd.detectors.base import Detector, check_bands
from hsi_cd.detectors.decision import minimum_noise, standardised
from hsi_cd.detectors.difference import CVA_OPTIONS
from hsi_cd.detectors.frontend import Frontend, registered
from hsi_cd.detectors.labelfree import AUTO_OPTIONS, LabelFree
from hsi_cd.detectors.score_input import fit_score_input
from hsi_cd.detectors.siamese import SiameseDetector, preparation
from hsi_cd.errors import BandError, CheckpointError
from hsi_cd.prepare.measurement import Measurement, Preparation, Scene, measured
from hsi_cd.prepare.statistics import SceneStatistics
from hsi_cd.prepare.transform import refit_transform


def refit_statistics(detector: Detector, scene: Scene) -> SiameseDetector:
    """The detector with the statistics of another scene. No labels are read.

    Centre and scale of each band and date, the limits of clipping, the noise and the shift are measured anew, as
    the training measured them; the projection from standardised bands to components stays. A label-free
    score among the components is fitted anew. One streaming pass over
    the scene, three where it clips; the shift is measured with all components in memory.

    Args:
        detector: a trained network.
        scene: the other scene, with the same bands, or its measurement.

    Raises:
        CheckpointError: the detector is no network, or its checkpoint does not say how the scene was measured.
        BandError: the scene's bands are not the detector's, or one that it uses does not vary.
    """
    if not isinstance(detector, SiameseDetector):
        raise CheckpointError(
            "statistics can be refitted for a trained network alone: leave refit=True out, or run this "
            "checkpoint's method on the scene itself"
        )
    prepare, transform = detector.prepare, detector.transform
    if prepare is None or transform.centre is None or transform.scale is None:
        raise CheckpointError(
            "the checkpoint does not hold the band statistics of its scene, as it is of an older version: leave "
            "refit=True out, or train it again"
        )
    measurement = measured(scene)
    check_bands(detector, measurement.pair)
    frontend = _refitted(detector.frontend, measurement, preparation(RunConfig(prepare=prepare)))
    prior = detector.prior
    if prior is not None:
        first, *beside = (_refitted_detector(each, measurement) for each in prior.detectors)
        prior = replace(prior, detector=first, beside=tuple(beside))
    scored = detector.scored
    if scored is not None:  # the label-free detector learns from the scene that it scores
        scored = fit_score_input(measurement, drop_constant=len(transform.bands) < detector.bands.count)
    return replace(detector, frontend=frontend, prior=prior, scored=scored)


def _refitted_detector(detector: LabelFree, measurement: Measurement) -> LabelFree:
    """A label-free detector of a prior with the statistics of another scene."""
    prepared = minimum_noise(AUTO_OPTIONS) if detector.method == "auto" else standardised(CVA_OPTIONS)
    return replace(detector, frontend=_refitted(detector.frontend, measurement, prepared))


def _refitted(frontend: Frontend, measurement: Measurement, how: Preparation) -> Frontend:
    """A front end with the statistics, and the shift, of another scene."""
    transform = frontend.transform
    statistics = measurement.statistics(how, transform.bands)
    _check_varies(statistics, transform.bands, measurement.pair.name)
    clip = measurement.limits(how, transform.bands)
    moved = refit_transform(transform, statistics, scaling=how.scaling, joint=how.joint, clip=clip)
    frontend = replace(frontend, transform=moved, shift=(0.0, 0.0))
    return registered(frontend, measurement) if how.registration else frontend


def _check_varies(statistics: SceneStatistics, bands: np.ndarray, name: str) -> None:
    for date, found in (("t1", statistics.t1), ("t2", statistics.t2)):
        flat = np.flatnonzero(~(found.low < found.high))
        if len(flat):
            raise BandError(
                f"band {bands[flat[0]] + 1} of {date} of {name} is {found.low[flat[0]]:g} everywhere: its "
                "statistics cannot be refitted; leave refit=True out"
            )
