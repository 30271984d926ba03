"""Plain comparisons of both dates' spectra: change vectors (CVA), spectral angles (SAM), principal components."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.decision import (
    THRESHOLD_OPTIONS,
    UNDECIDED,
    Decision,
    decision_from_state,
    standardised,
)
from hsi_cd.detectors.evidence import decide_by_evidence
from hsi_cd.detectors.frontend import fit_frontend
from hsi_cd.detectors.joint_spectra import JointSpectra
from hsi_cd.detectors.linear import LinearDetector
from hsi_cd.detectors.method_options import choose_options
from hsi_cd.detectors.reweighting import joint_moments
from hsi_cd.detectors.states import bands_from_state, bands_state, finite, rebuilding
from hsi_cd.errors import BandError
from hsi_cd.prepare.measurement import Scene, measured
from hsi_cd.scene import Bands

log = logging.getLogger(__name__)

_NO_ANGLE = 1e-5  # radians: what rounding leaves of none

CVA_OPTIONS: dict[str, Any] = dict(THRESHOLD_OPTIONS)
"""Options of CVA."""
SAM_OPTIONS: dict[str, Any] = dict(THRESHOLD_OPTIONS)
"""Options of the spectral angle."""
PCA_CVA_OPTIONS: dict[str, Any] = THRESHOLD_OPTIONS | {"variance": 0.99}
"""Options of PCA-CVA; ``variance`` is the share of the difference's variance that is kept."""


def fit_cva(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> LinearDetector:
    """Change vector analysis: the length of the difference of both dates' standardised spectra.

    Each date's bands have mean 0 and deviation 1, so that neither light nor a band's unit decides.

    Args:
        scene: the scene, or its measurement.
        options: see :data:`CVA_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Malila 1980, Change vector analysis; Bovolo and Bruzzone 2007, doi:10.1109/TGRS.2006.885408
    """
    chosen, measurement = choose_options(options, CVA_OPTIONS, method="cva"), measured(scene)
    frontend = fit_frontend(measurement, standardised(chosen))
    one = np.eye(frontend.transform.components)
    detector = LinearDetector("cva", frontend, np.concatenate([one, -one], axis=1), np.zeros(len(one)))
    return decide_by_evidence(detector, measurement, chosen)


def fit_pca_cva(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> LinearDetector:
    """CVA on the leading principal components of the difference of standardised spectra.

    What the dropped components hold is mostly noise.

    Args:
        scene: the scene, or its measurement.
        options: see :data:`PCA_CVA_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Byrne, Crapper and Mayo 1980, doi:10.1016/0034-4257(80)90021-8
    """
    chosen, measurement = choose_options(options, PCA_CVA_OPTIONS, method="pca-cva"), measured(scene)
    frontend = fit_frontend(measurement, standardised(chosen))
    spectra = JointSpectra(frontend, measurement)
    moments = joint_moments(spectra)
    count = frontend.transform.components
    one = np.eye(count)
    difference = np.concatenate([one, -one], axis=1)
    values, vectors = scipy.linalg.eigh(difference @ moments.covariance @ difference.T)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    explained = np.cumsum(values) / max(float(values.sum()), 1e-300)
    kept = min(int(np.searchsorted(explained, chosen["variance"])) + 1, count)
    weight = vectors[:, :kept].T @ difference
    offset = -weight @ moments.mean
    detector = LinearDetector("pca-cva", frontend, weight, offset, found=(("components", float(kept)),))
    scores, alike = detector.score_spectra(spectra), spectra.agree()
    return decide_by_evidence(detector, measurement, chosen, scores=scores, alike=alike)


@dataclass(frozen=True)
class BandStatistics:
    """What the bands of both dates were like where a detector was fitted that does not scale them.

    Attributes:
        bands: indices of the bands used, int64 ``(bands,)``.
        centre: their means, float64 ``(2 dates, bands)``.
        scale: their deviations, the same shape.
    """

    bands: NDArray[np.int64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]


@dataclass(frozen=True)
class AngleDetector:
    """The angle between both dates' stored spectra, radians, 0 to pi.

    Attributes:
        bands: the bands it was fitted on.
        used: indices of the bands used, int64.
        decision: threshold and posterior.
        statistics: of the scene it was fitted on: what is added to a spectrum turns it. None in older files.
    """

    bands: Bands
    used: NDArray[np.int64]
    decision: Decision = UNDECIDED
    statistics: BandStatistics | None = None
    method: str = field(default="sam", init=False)

    unit = "score"
    radius = 0
    degrees = None

    @property
    def threshold(self) -> float:
        """Angle from which a pixel counts as changed."""
        return self.decision.threshold.value

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Angles; see :meth:`hsi_cd.detectors.base.Detector.score`. NaN where a spectrum is all zero."""
        a, b = (x[self.used].astype(np.float64) for x in (t1, t2))
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = (x / np.sqrt(np.square(x).sum(axis=0)) for x in (a, b))
        # The arc cosine of the product loses half the digits of a small angle; this form loses none.
        chord = np.sqrt(np.square(a - b).sum(axis=0))
        angle: NDArray[np.float64] = 2 * np.arcsin(np.minimum(chord / 2, 1))
        return angle.astype(np.float32)

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of change of each score, NaN for NaN."""
        return self.decision.posterior(score)

    def parameters(self) -> int:
        """Number of fitted numbers: none but the threshold."""
        return 1

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`sam_from_state` builds the detector again."""
        return {
            "bands": bands_state(self.bands),
            "used": torch.from_numpy(self.used),
            "decision": self.decision.state(),
        } | {
            name: torch.from_numpy(getattr(self.statistics, name))
            for name in ("centre", "scale")
            if self.statistics is not None
        }


def fit_sam(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> AngleDetector:
    """Spectral angle mapper between the dates: blind to brightness, sensitive to the shape of the spectrum.

    Args:
        scene: the scene, or its measurement.
        options: see :data:`SAM_OPTIONS`.
        seed: not used; every method takes one.

    Raises:
        BandError: there is one band, which has no angle.

    Reference:
        Kruse et al. 1993, doi:10.1016/0034-4257(93)90013-N
    """
    chosen, measurement = choose_options(options, SAM_OPTIONS, method="sam"), measured(scene)
    used = measurement.bands(drop_constant=chosen["drop_constant"]).astype(np.int64)
    if len(used) < 2:
        raise BandError(
            f"{measurement.pair.name} has {len(used)} band to look at, and a spectral angle needs 2 or more: use "
            "another method, as hsi_cd.detect(pair, method='cva')"
        )
    transform = measurement.transform(standardised(chosen))
    statistics = None
    if transform.centre is not None and transform.scale is not None:
        statistics = BandStatistics(used, transform.centre, transform.scale)
    detector = decide_by_evidence(
        AngleDetector(measurement.pair.bands, used, statistics=statistics), measurement, chosen
    )
    if detector.threshold < _NO_ANGLE and not measurement.identical:
        log.warning(
            "all spectral angles are next to 0: the dates differ in brightness alone, to which sam is blind, or "
            "the bands repeat each other; use a method that sees brightness, as hsi_cd.detect(pair, method='cva')"
        )
    return detector


def sam_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> AngleDetector:
    """The detector that :meth:`AngleDetector.state` described; it computes on the CPU whatever ``device`` is.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    with rebuilding("detector"):
        bands, used = bands_from_state(state["bands"]), state["used"].numpy()
        if used.dtype != np.int64 or used.ndim != 1 or not used.size:
            raise ValueError(f"the bands used are {used.dtype} of shape {used.shape}")
        if used[0] < 0 or used[-1] >= bands.count or not (np.diff(used) > 0).all():
            raise ValueError(f"the bands used are not ascending indices of {bands.count} bands")
        statistics = None
        if "centre" in state:
            centre, scale = (finite(name, state[name], (2, len(used))) for name in ("centre", "scale"))
            if not (scale > 0).all():
                raise ValueError("a band has no deviation")
            statistics = BandStatistics(used, centre, scale)
        return AngleDetector(bands, used, decision_from_state(state["decision"]), statistics)
