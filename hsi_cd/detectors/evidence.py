"""What the label-free default finds of a scene, by which the other methods without labels decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors import decision
from hsi_cd.detectors.decision import Decision, Kind, find_threshold, score_histogram, tell
from hsi_cd.detectors.labelfree import AUTO_OPTIONS, score_without_labels
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
        threshold, _ = find_threshold(
            scored.detector,
            measurement,
            chosen,
            scores=scored.scores,
            alike=scored.alike,
            usual=scored.usual,
        )
        return threshold

    return measurement.once(("evidence", drop_constant), find)


def decide(
    detector: Kind,
    measurement: Measurement,
    chosen: Mapping[str, Any],
    *,
    scores: Iterable[NDArray[np.floating]] | None = None,
    alike: bool = False,
) -> Kind:
    """:func:`hsi_cd.detectors.decision.decide`, by the evidence where the options ask for it."""
    evidence = None
    if chosen["threshold"] == "evidence":
        evidence = scene_evidence(measurement, drop_constant=chosen["drop_constant"])
    return decision.decide(detector, measurement, chosen, scores=scores, alike=alike, evidence=evidence)


def decide_from(detector: Kind, own: Decision, measurement: Measurement, chosen: Mapping[str, Any]) -> Kind:
    """``detector`` with its ``own`` decision, held to the evidence where the options ask for it.

    Args:
        detector: frozen, but undecided.
        own: its own threshold and posterior.
        measurement: of the scene.
        chosen: the method's options, ``threshold`` among them.
    """
    threshold, posterior = own.threshold, own.posterior
    if chosen["threshold"] == "evidence" and not measurement.identical:
        histogram = score_histogram(detector, measurement)
        share = histogram.above(threshold.value) / histogram.total
        threshold = replace(threshold, found=threshold.found | {"share": share})
        evidence = scene_evidence(measurement, drop_constant=chosen["drop_constant"])
        threshold, posterior = bounded(histogram, threshold, posterior, evidence)
    tell(threshold)
    decided: Kind = replace(detector, decision=Decision(threshold, posterior))  # type: ignore[type-var]
    return decided
