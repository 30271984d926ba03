"""From a detector and a scene to georeferenced rasters."""

from __future__ import annotations

import os

from hsi_cd import __version__
from hsi_cd.detectors.base import Detector, check_bands, uncertain
from hsi_cd.detectors.refit import refit_statistics
from hsi_cd.inference.scoring import change_map, score_rows
from hsi_cd.io.maps import map_writers
from hsi_cd.scene import Grid, ScenePair


def write_maps(
    detector: Detector,
    pair: ScenePair,
    *,
    change: str | os.PathLike[str],
    score: str | os.PathLike[str] | None = None,
    uncertainty: str | os.PathLike[str] | None = None,
    threshold: float | None = None,
    refit: bool = False,
    grid: Grid | None = None,
    checkpoint_hash: str = "",
    overwrite: bool = False,
) -> None:
    """Score a scene and write its change map, and its scores and their uncertainty if asked for.

    The scene is read, scored and written band by band: its height costs time, not memory. No labels are read.

    Args:
        detector: a fitted detector.
        pair: the scene.
        change: file of the change map.
        score: file of the score raster, or None.
        uncertainty: file of the uncertainty raster, or None; see
            :class:`~hsi_cd.detectors.base.UncertainDetector`.
        threshold: score from which a pixel counts as changed; the detector's own by default.
        refit: measure the scene's statistics and shift anew, in place of those the detector was fitted with; see
            :func:`hsi_cd.detectors.refit.refit_statistics`.
        grid: georeference of the outputs; the scene's own by default.
        checkpoint_hash: names the checkpoint in the outputs' tags.
        overwrite: whether existing files may be replaced.

    Raises:
        BandError: the scene's bands are not the detector's.
        CheckpointError: uncertainty is asked of a detector that is no ensemble, or a refit of one that cannot.
        OutputError: an output exists or cannot be written.
    """
    check_bands(detector, pair)
    spread = uncertainty is not None
    if spread:
        uncertain(detector)
    if refit:
        detector = refit_statistics(detector, pair)
    limit = detector.threshold if threshold is None else threshold
    tags = {
        "SOFTWARE": f"hsi-cd {__version__}",
        "CHECKPOINT_SHA256": checkpoint_hash,
        "THRESHOLD": repr(float(limit)),
        "SCORE_UNIT": detector.unit,
        "SCENE": pair.name,
        "STATISTICS": "refitted on the scene" if refit else "of the detector",
    }
    with map_writers(
        change, score, uncertainty, grid=grid or pair.grid, tags=tags, overwrite=overwrite
    ) as writers:
        for row, found in score_rows(detector, pair, uncertainty=spread):
            scores = found[0] if spread else found
            writers.change.write(row, change_map(scores, limit))
            if writers.score is not None:
                writers.score.write(row, scores)
            if writers.uncertainty is not None:
                writers.uncertainty.write(row, found[1])
