"""From the scores of a whole scene to the threshold of a method without labels, and its probabilities."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.frontend import Frontend
from hsi_cd.detectors.states import found_from_state
from hsi_cd.detectors.tail import ShareOfChange, share_of_change
from hsi_cd.detectors.threshold_choice import choose_threshold
from hsi_cd.detectors.thresholds import Posterior, ScoreHistogram, Threshold, nothing_changed
from hsi_cd.errors import BandError
from hsi_cd.prepare.components import row_windows
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.prepare.windows import read_window
from hsi_cd.progress import progress

log = logging.getLogger(__name__)

NO_SECOND_CLASS = (
    "no change found: there is no second class among the scores, and nothing is called changed, but pixels far "
    "beyond the others; "
    "threshold='share' or another by name decides otherwise"
)
"""What is told where a scene has one class alone."""

THRESHOLD_OPTIONS: dict[str, Any] = {"threshold": "evidence", "level": 0.0, "drop_constant": False}
"""Options that every method without labels has."""


@dataclass(frozen=True)
class Decision:
    """From a score to change.

    Attributes:
        threshold: the threshold and what led to it.
        posterior: from a score to a probability of change.
    """

    threshold: Threshold
    posterior: Posterior

    @property
    def share(self) -> ShareOfChange | None:
        """How much of the scene changed that the threshold was chosen on; None where that is not estimated."""
        return share_of_change(self.threshold)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`decision_from_state` builds it again."""
        return {
            "method": self.threshold.method,
            "value": self.threshold.value,
            "found": dict(self.threshold.found),
            "centre": self.posterior.centre,
            "slope": self.posterior.slope,
        }


def told_share(detector: object) -> ShareOfChange | None:
    """The share of change that a detector's own threshold estimated; None where there is none."""
    decision = getattr(detector, "decision", None)
    return decision.share if isinstance(decision, Decision) else None


UNDECIDED = Decision(Threshold("none", float("inf"), {}), Posterior(0.0, 1.0))
"""The decision of a detector that has not seen its own scores yet: nothing is changed."""


def decision_from_state(state: Mapping[str, Any]) -> Decision:
    """The decision that :meth:`Decision.state` described.

    Raises:
        ValueError, KeyError, TypeError: it does not make sense.
    """
    threshold = Threshold(str(state["method"]), float(state["value"]), dict(found_from_state(state["found"])))
    posterior = Posterior(float(state["centre"]), float(state["slope"]))
    if not 0 <= threshold.value < math.inf:
        raise ValueError(f"a threshold of {threshold.value:g}")
    if not (math.isfinite(posterior.centre) and 0 < posterior.slope < math.inf):
        raise ValueError(f"a posterior of centre {posterior.centre:g} and slope {posterior.slope:g}")
    return Decision(threshold, posterior)


class Scoring(Protocol):
    """As much of a detector as a pass over a scene needs."""

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        ...

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of a mirror-padded window."""
        ...


@runtime_checkable
class ComponentScoring(Scoring, Protocol):
    """A detector that can score what its front end has projected already."""

    @property
    def frontend(self) -> Frontend:
        """From stored values to components."""
        ...

    def score_components(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of a mirror-padded window of projected components, which are not written in."""
        ...


class LabelFree(Scoring, Protocol):
    """A frozen detector whose threshold is still to be chosen."""

    @property
    def decision(self) -> Decision:
        """Threshold and posterior."""
        ...

    @property
    def degrees(self) -> int | None:
        """Degrees of freedom of the squared score where nothing changed, or None."""
        ...


Kind = TypeVar("Kind", bound=LabelFree)


def decide(detector: Kind, threshold: Threshold, posterior: Posterior) -> Kind:
    """The frozen ``detector`` with a threshold and a posterior, and what they found in the log."""
    if "classes" in threshold.found:
        log.warning(NO_SECOND_CLASS)
    elif (share := share_of_change(threshold)) is not None:
        log.info("share of the scene that changed: %s", share)
    decided: Kind = replace(detector, decision=Decision(threshold, posterior))  # type: ignore[type-var]
    return decided


def find_threshold(
    histogram: ScoreHistogram,
    detector: LabelFree,
    measurement: Measurement,
    chosen: Mapping[str, Any],
    *,
    alike: bool = False,
    usual: float = 0.0,
) -> tuple[Threshold, Posterior]:
    """The threshold that a method's options choose, and the posterior.

    Args:
        histogram: of the detector's scores of the whole scene.
        detector: frozen, but undecided.
        measurement: of the scene.
        chosen: the method's options, ``threshold`` and ``level`` among them.
        alike: whether the dates differ by gain, offset and rounding alone, so that scores mean nothing.
        usual: median score of unchanged pixels, where more than half of the scene changed; 0 where less did.
    """
    if alike or measurement.identical:
        return nothing_changed(histogram, identical=True)
    return choose_threshold(
        histogram, chosen["threshold"], level=chosen["level"], degrees=detector.degrees, usual=usual
    )


def score_histogram(
    detector: Scoring, measurement: Measurement, scores: Iterable[NDArray[np.floating]] | None = None
) -> ScoreHistogram:
    """How often which score occurs in the scene.

    Args:
        detector: what scores.
        measurement: of the scene.
        scores: of all pixels, where they are at hand; found on the scene by default.

    Raises:
        BandError: no pixel has a score.
    """
    histogram = ScoreHistogram()
    # Here and not inside score(): the limit is one for the whole process, and score() runs in several threads.
    with single_threaded("blas"):
        for found in scores if scores is not None else (s for _, s in scene_scores(detector, measurement)):
            histogram.add(found)
    if histogram.total == 0:
        raise BandError("no pixel has data in all bands of both dates: the dates must overlap")
    return histogram


def scene_scores(
    detector: Scoring, measurement: Measurement, *, rows: int | None = None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """A detector's scores of the scene it was fitted on, without reading again what the measurement has kept.

    Args:
        detector: the detector.
        measurement: of the scene.
        rows: height of the blocks; about 65,000 pixels by default.

    Yields:
        The rows of a block and their scores, float32 ``(rows, cols)``, NaN for no data.
    """
    height, cols = measurement.pair.shape
    blocks = list(row_blocks(height, cols))
    if rows is not None:
        blocks = [slice(start, min(start + rows, height)) for start in range(0, height, rows)]
    if isinstance(detector, ComponentScoring) and not detector.frontend.plain:
        components = detector.frontend.of_scene(measurement)
        for block, window in row_windows(
            progress(blocks, desc="threshold", unit="block"), components, radius=detector.radius
        ):
            yield block, detector.score_components(*window)
    elif detector.radius or rows is not None:
        for block in progress(blocks, desc="threshold", unit="block"):
            window = read_window(measurement.pair, block, slice(0, cols), radius=detector.radius)
            yield block, detector.score(*window)
    else:
        for block, values in measurement.read("threshold"):
            yield block, detector.score(*values)


def standardised(options: Mapping[str, Any]) -> Preparation:
    """How the plain methods have their spectra prepared: each band of each date with mean 0 and deviation 1."""
    return Preparation(drop_constant=options["drop_constant"])


def minimum_noise(options: Mapping[str, Any]) -> Preparation:
    """How the methods have them prepared that compare minimum-noise components of registered dates."""
    return Preparation(
        projection="mnf",
        components=options["components"],
        registration=options["registration"],
        drop_constant=options["drop_constant"],
    )
