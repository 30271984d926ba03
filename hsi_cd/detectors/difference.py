"""Plain comparisons of both dates' spectra: change vectors (CVA), spectral angles (SAM), principal components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.frontend import JointSpectra, choose_options, fit_frontend
from hsi_cd.detectors.linear import (
    THRESHOLD_OPTIONS,
    UNDECIDED,
    Decision,
    LinearDetector,
    decide,
    decision_from_state,
)
from hsi_cd.detectors.reweighting import joint_moments
from hsi_cd.errors import CheckpointError
from hsi_cd.prepare.statistics import usable_bands
from hsi_cd.scene import Bands, ScenePair

CVA_OPTIONS: dict[str, Any] = dict(THRESHOLD_OPTIONS)
"""Options of CVA."""
SAM_OPTIONS: dict[str, Any] = dict(THRESHOLD_OPTIONS)
"""Options of the spectral angle."""
PCA_CVA_OPTIONS: dict[str, Any] = THRESHOLD_OPTIONS | {"variance": 0.99}
"""Options of PCA-CVA; ``variance`` is the share of the difference's variance that is kept."""


def fit_cva(pair: ScenePair, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> LinearDetector:
    """Change vector analysis: the length of the difference of both dates' standardised spectra.

    Each date's bands have mean 0 and deviation 1, so that neither light nor a band's unit decides.

    Args:
        pair: the scene.
        options: see :data:`CVA_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Malila 1980, Change vector analysis; Bovolo and Bruzzone 2007, doi:10.1109/TGRS.2006.885408
    """
    chosen = choose_options(options, CVA_OPTIONS, method="cva")
    frontend = fit_frontend(pair, drop_constant=chosen["drop_constant"])
    one = np.eye(frontend.transform.components)
    detector = LinearDetector("cva", frontend, np.concatenate([one, -one], axis=1), np.zeros(len(one)))
    return decide(detector, pair, method=chosen["threshold"], level=chosen["level"])


def fit_pca_cva(pair: ScenePair, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> LinearDetector:
    """CVA on the leading principal components of the difference of standardised spectra.

    What the dropped components hold is mostly noise.

    Args:
        pair: the scene.
        options: see :data:`PCA_CVA_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Byrne, Crapper and Mayo 1980, doi:10.1016/0034-4257(80)90021-8
    """
    chosen = choose_options(options, PCA_CVA_OPTIONS, method="pca-cva")
    frontend = fit_frontend(pair, drop_constant=chosen["drop_constant"])
    moments = joint_moments(JointSpectra(frontend, pair))
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
    return decide(detector, pair, method=chosen["threshold"], level=chosen["level"])


@dataclass(frozen=True)
class AngleDetector:
    """The angle between both dates' stored spectra, radians, 0 to pi.

    Attributes:
        bands: the bands it was fitted on.
        used: indices of the bands used, int64.
        decision: threshold and posterior.
    """

    bands: Bands
    used: NDArray[np.int64]
    decision: Decision = UNDECIDED
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
            "bands": {
                "count": self.bands.count,
                "centres": list(self.bands.centres),
                "fwhm": list(self.bands.fwhm),
                "names": list(self.bands.names),
            },
            "used": torch.from_numpy(self.used),
            "decision": self.decision.state(),
        }


def fit_sam(pair: ScenePair, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> AngleDetector:
    """Spectral angle mapper between the dates: blind to brightness, sensitive to the shape of the spectrum.

    Args:
        pair: the scene.
        options: see :data:`SAM_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Kruse et al. 1993, doi:10.1016/0034-4257(93)90013-N
    """
    chosen = choose_options(options, SAM_OPTIONS, method="sam")
    used = usable_bands(pair, drop_constant=chosen["drop_constant"]).astype(np.int64)
    bands = pair.bands
    return decide(AngleDetector(bands, used), pair, method=chosen["threshold"], level=chosen["level"])


def sam_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> AngleDetector:
    """The detector that :meth:`AngleDetector.state` described; it computes on the CPU whatever ``device`` is.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    try:
        described = state["bands"]
        bands = Bands(
            count=described["count"],
            **{name: tuple(described[name]) for name in ("centres", "fwhm", "names")},
        )
        return AngleDetector(bands, state["used"].numpy(), decision_from_state(state["decision"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the checkpoint's detector cannot be rebuilt ({error}): fit it again") from error
