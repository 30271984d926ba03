"""What the label-free default finds of a scene, by which the other methods without labels decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.decision import Decision, Kind, decide, find_threshold, score_histogram
from hsi_cd.detectors.labelfree import AUTO_OPTIONS, score_without_labels, threshold_of
from hsi_cd.detectors.mutual_prediction import PredictionDetector
from hsi_cd.detectors.share_bounds import bounded
from hsi_cd.detectors.thresholds import Threshold
from hsi_cd.prepare.measurement import Measurement


def scene_evidence(measurement: Measurement, *, drop_constant: bool = False) -> Threshold | None:
    """The threshold of the default on a scene, with the share that it finds; found once for all methods.

    Args:
        measurement: of the scene.
        drop_constant: leave constant bands out instead of refusing the scene.

    Returns:
        The threshold; None where the scene is too small or its dates have too little in common.
    """

    def find() -> Threshold | None:
        chosen = AUTO_OPTIONS | {"drop_constant": drop_constant}
        scored = score_without_labels(measurement, chosen)
        if not isinstance(scored.detector, PredictionDetector):
            return None
        return threshold_of(scored, measurement, chosen)[0]

    return measurement.once(("evidence", drop_constant), find)


def decide_by_evidence(
    detector: Kind,
    measurement: Measurement,
    chosen: Mapping[str, Any],
    *,
    scores: Iterable[NDArray[np.floating]] | None = None,
    alike: bool = False,
    own: Decision | None = None,
) -> Kind:
    """``detector`` with the threshold that its options choose, held to the evidence where they ask for it.

    Args:
        detector: frozen, but undecided.
        measurement: of the scene.
        chosen: the method's options, ``threshold`` and ``level`` among them.
        scores: of all pixels, where they are at hand; found on the scene by default.
        alike: whether the dates differ by gain, offset and rounding alone, so that scores mean nothing.
        own: a threshold of the method's own, of which the scores are to say nothing but the share above it.

    Raises:
        BandError: no pixel has a score.
    """
    histogram = score_histogram(detector, measurement, scores)
    if own is None:
        threshold, posterior = find_threshold(histogram, detector, measurement, chosen, alike=alike)
    else:
        threshold, posterior = own.threshold, own.posterior
        share = histogram.above(threshold.value) / histogram.total
        threshold = replace(threshold, found=threshold.found | {"share": share})
    if chosen["threshold"] == "evidence" and not (alike or measurement.identical):
        evidence = scene_evidence(measurement, drop_constant=chosen["drop_constant"])
        threshold, posterior = bounded(histogram, threshold, posterior, evidence)
    return decide(detector, threshold, posterior)
