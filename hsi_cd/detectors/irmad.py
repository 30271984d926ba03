"""IR-MAD: differences of canonical variates, fitted on the pixels that did not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hsi_cd.detectors.canonical import iterate_canonical
from hsi_cd.detectors.decision import THRESHOLD_OPTIONS, standardised
from hsi_cd.detectors.evidence import decide_by_evidence
from hsi_cd.detectors.frontend import fit_frontend
from hsi_cd.detectors.joint_spectra import JointSpectra
from hsi_cd.detectors.linear import LinearDetector
from hsi_cd.detectors.method_options import choose_options
from hsi_cd.prepare.measurement import Scene, measured

IRMAD_OPTIONS: dict[str, Any] = THRESHOLD_OPTIONS | {
    "iterations": 50,
    "tolerance": 1e-3,
    "ridge": 1e-3,
    "quiet": 0.5,
}
"""Options of IR-MAD; ``ridge`` is a share of each date's mean variance, ``quiet`` the share of the pixels that
anchors the reweighting, 0 for the method as published (which shrinks to a few pixels on many bands)."""


def fit_irmad(scene: Scene, *, options: Mapping[str, Any] | None = None, seed: int = 0) -> LinearDetector:
    """Iteratively reweighted multivariate alteration detection, without labels.

    Each date's bands are standardised, so gains and offsets of a band change nothing, and the ridge treats all
    bands alike. A pass over the scene an iteration.

    Args:
        scene: the scene, or its measurement.
        options: see :data:`IRMAD_OPTIONS`.
        seed: not used; every method takes one.

    Reference:
        Nielsen 2007, doi:10.1109/TIP.2006.888195
    """
    chosen, measurement = choose_options(options, IRMAD_OPTIONS, method="irmad"), measured(scene)
    frontend = fit_frontend(measurement, standardised(chosen))
    spectra = JointSpectra(frontend, measurement)
    fitted = iterate_canonical(
        spectra,
        iterations=chosen["iterations"],
        tolerance=chosen["tolerance"],
        ridge=chosen["ridge"],
        quiet=chosen["quiet"],
    )
    found = (("iterations", float(fitted.iterations)), ("last_change", fitted.change))
    detector = LinearDetector("irmad", frontend, fitted.weight, fitted.offset, True, found=found)
    scores, alike = detector.score_spectra(spectra), spectra.agree()
    return decide_by_evidence(detector, measurement, chosen, scores=scores, alike=alike)
