"""PCA and k-means on blocks of the difference image."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
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
from hsi_cd.detectors.frontend import Frontend, fit_frontend, frontend_from_state
from hsi_cd.detectors.method_options import choose_options
from hsi_cd.detectors.states import finite, rebuilding
from hsi_cd.detectors.thresholds import Posterior, ScoreHistogram, Threshold, has_one_class, nothing_changed
from hsi_cd.errors import BandError
from hsi_cd.prepare.measurement import Scene, measured
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import Bands

CELIK_OPTIONS: dict[str, Any] = THRESHOLD_OPTIONS | {"block": 3, "variance": 0.9}
"""Options: side of a block (odd, pixels), and the share of the blocks' variance that the eigenspace keeps. The
threshold ``nearest`` gives each pixel to the cluster whose centre is nearer, as published, and ``evidence`` starts
from it."""

_NOWHERE = 1.001  # a place beyond the changed centre, where no block is
_SAMPLE = 200_000  # blocks that the clusters are fitted on: more move no centre


def blocks_of(difference: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """The block around every pixel as a vector.

    Args:
        difference: float64 ``(h + 2 radius, w + 2 radius)``, NaN for no data.
        radius: half a block.

    Returns:
        float64 ``(side^2, h, w)``; a neighbour without data has the value of the pixel itself,
        and a pixel without data is NaN throughout.
    """
    side = 2 * radius + 1
    height, width = difference.shape[0] - 2 * radius, difference.shape[1] - 2 * radius
    shifted = [difference[r : r + height, c : c + width] for r in range(side) for c in range(side)]
    blocks = np.stack(shifted)
    centre = shifted[side * side // 2]
    filled: NDArray[np.float64] = np.where(np.isnan(blocks) | np.isnan(centre), centre, blocks)
    return filled


@dataclass(frozen=True)
class CelikDetector:
    """Where between two cluster centres the block around a pixel lies, in the eigenspace of blocks.

    The score is ``d_u / (d_u + d_c)`` with the distances to the centres of unchanged and changed blocks: 0 at the
    unchanged centre, 0.5 half-way, 1 at the changed one.

    Attributes:
        frontend: standardises both dates.
        mean: of all blocks, float64 ``(side^2,)``.
        vectors: the eigenspace, float64 ``(features, side^2)``.
        centres: of unchanged, then of changed blocks, float64 ``(2, features)``.
        decision: threshold and posterior.
    """

    frontend: Frontend
    mean: NDArray[np.float64]
    vectors: NDArray[np.float64]
    centres: NDArray[np.float64]
    decision: Decision = UNDECIDED

    method = "celik"
    unit = "score"
    degrees = None

    @property
    def bands(self) -> Bands:
        """The bands it was fitted on."""
        return self.frontend.bands

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        return int(np.sqrt(len(self.mean))) // 2

    @property
    def threshold(self) -> float:
        """Score from which a pixel counts as changed."""
        return self.decision.threshold.value

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Places between the clusters, 0 to 1; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        blocks = blocks_of(_magnitude(self.frontend, t1, t2), self.radius)
        features = self.vectors @ (blocks.reshape(len(self.mean), -1) - self.mean[:, None])
        unchanged, changed = (np.sqrt(np.square(features - c[:, None]).sum(axis=0)) for c in self.centres)
        place: NDArray[np.float64] = unchanged / np.maximum(unchanged + changed, 1e-300)
        return place.reshape(blocks.shape[1:]).astype(np.float32)

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of change of each score, NaN for NaN."""
        return self.decision.posterior(score)

    def parameters(self) -> int:
        """Number of fitted numbers."""
        return int(self.mean.size + self.vectors.size + self.centres.size)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`celik_from_state` builds the detector again."""
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("mean", "vectors", "centres")}
        return {"frontend": self.frontend.state(), "decision": self.decision.state(), **arrays}


def fit_celik(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> CelikDetector:
    """Change by k-means (k = 2) in the eigenspace of blocks of the difference image, without labels.

    The difference image is the magnitude of CVA. As published, the eigenspace comes from blocks that do not
    overlap; here they lie on a grid over the whole scene, however it is read. The clusters are fitted on all
    pixels' blocks, or on every n-th of a large scene.

    Args:
        scene: the scene, or its measurement.
        options: see :data:`CELIK_OPTIONS`.
        seed: of the k-means.

    Raises:
        BandError: fewer than two blocks have data.
        ConfigError: an option is out of its range, as an even block.

    Reference:
        Celik 2009, doi:10.1109/LGRS.2009.2025059
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    chosen, measurement = choose_options(options, CELIK_OPTIONS, method="celik"), measured(scene)
    side = chosen["block"]
    frontend = fit_frontend(measurement, standardised(chosen))
    pair = measurement.pair
    rows, cols = pair.shape
    every = max(1, -(-rows * cols // _SAMPLE))
    total = Moments(0, np.zeros(side * side), np.zeros((side * side, side * side)))
    sample = []
    lengths = ScoreHistogram()
    for block in row_blocks(rows, cols):
        difference = _magnitude(frontend, *read_window(pair, block, slice(0, cols), radius=side // 2))
        vectors = blocks_of(difference, side // 2)
        known = np.isfinite(vectors[0])
        lengths.add(vectors[side * side // 2])
        on_grid = known & _grid_centres(rows, side)[block, None] & _grid_centres(cols, side)
        total += Moments.of(vectors[:, on_grid])
        place = np.arange(block.start * cols, block.stop * cols).reshape(known.shape)
        sample.append(vectors[:, known & (place % every == 0)])
    blocks = np.concatenate(sample, axis=1)
    if blocks.shape[1] < 2 or total.count < 1:
        raise BandError(f"{blocks.shape[1]} pixels have data in both dates: clusters need more of them")
    values, basis = np.linalg.eigh(total.covariance)
    values, basis = np.maximum(values[::-1], 0), basis[:, ::-1]
    explained = np.cumsum(values) / max(float(values.sum()), 1e-300)
    kept = min(int(np.searchsorted(explained, chosen["variance"])) + 1, len(values))
    eigenspace = np.ascontiguousarray(basis[:, :kept].T)
    features = eigenspace @ (blocks - total.mean[:, None])
    with single_threaded(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all blocks are the same
        centres = KMeans(2, n_init=4, random_state=seed).fit(features.T).cluster_centers_
    # The changed cluster is the one whose blocks differ more between the dates.
    centres = centres[np.argsort((centres @ eigenspace).sum(axis=1))].astype(np.float64)
    detector = CelikDetector(frontend, total.mean, eigenspace, np.ascontiguousarray(centres))
    if chosen["threshold"] not in ("evidence", "nearest"):
        return decide_by_evidence(detector, measurement, chosen)
    gap = float(np.linalg.norm(centres[1] - centres[0]))
    # On the line between the centres, 4 (log score - log 0.5) is twice the step from the middle, in gaps.
    nearest, found = 0.5, {"gap": gap, "features": float(kept)}
    if measurement.identical or (has_one_class(lengths) and not nothing_changed(lengths)[0].found["share"]):
        nearest, found = _NOWHERE, found | {"classes": 1.0}
    own = Decision(Threshold(chosen["threshold"], nearest, found), Posterior(float(np.log(nearest)), 4.0))
    return decide_by_evidence(detector, measurement, chosen, own=own)


def _grid_centres(length: int, side: int) -> NDArray[np.bool_]:
    """Where the centres of blocks lie that cover an axis side by side, without one that would stick out."""
    position = np.arange(length)
    centres: NDArray[np.bool_] = (position % side == side // 2) & (position + side // 2 < length)
    return centres


def _magnitude(frontend: Frontend, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float64]:
    """Length of the difference of standardised spectra, float64 ``(h, w)``, NaN for no data."""
    first, second = frontend.apply(t1, t2)
    magnitude: NDArray[np.float64] = np.sqrt(np.square(first.astype(np.float64) - second).sum(axis=0))
    return magnitude


def celik_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> CelikDetector:
    """The detector that :meth:`CelikDetector.state` described; it computes on the CPU whatever ``device`` is.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    with rebuilding("detector"):
        frontend, decision = frontend_from_state(state["frontend"]), decision_from_state(state["decision"])
        pixels, features = len(state["mean"]), len(state["vectors"])
        if (side := math.isqrt(pixels)) ** 2 != pixels or side % 2 == 0:
            raise ValueError(f"blocks of {pixels} pixels, which are no odd square")
        return CelikDetector(
            frontend,
            mean=finite("mean", state["mean"], (pixels,)),
            vectors=finite("vectors", state["vectors"], (features, pixels)),
            centres=finite("centres", state["centres"], (2, features)),
            decision=decision,
        )
