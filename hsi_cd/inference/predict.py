"""From a detector and a scene to georeferenced rasters."""

from __future__ import annotations

import os

from hsi_cd import __version__
from hsi_cd.detectors.base import Detector, check_bands
from hsi_cd.inference.scoring import change_map, score_rows
from hsi_cd.io.maps import map_writers
from hsi_cd.scene import Grid, ScenePair


def write_maps(
    detector: Detector,
    pair: ScenePair,
    *,
    change: str | os.PathLike[str],
    score: str | os.PathLike[str] | None = None,
    threshold: float | None = None,
    grid: Grid | None = None,
    checkpoint_hash: str = "",
    memory: int | None = None,
    overwrite: bool = False,
) -> None:
    """Score a scene and write its change map, and its scores if asked for.

    The scene is read, scored and written band by band: its height costs time, not memory. No labels are read.

    Args:
        detector: a fitted detector.
        pair: the scene.
        change: file of the change map.
        score: file of the score raster, or None.
        threshold: score from which a pixel counts as changed; the detector's own by default.
        grid: georeference of the outputs; the scene's own by default.
        checkpoint_hash: names the checkpoint in the outputs' tags.
        memory: bytes for the parts of the scene that are on their way at once, see
            :func:`hsi_cd.inference.scoring.rows_per_band`.
        overwrite: whether existing files may be replaced.

    Raises:
        BandError: the scene's bands are not the detector's.
        OutputError: an output exists or cannot be written.
    """
    check_bands(detector, pair)
    limit = detector.threshold if threshold is None else threshold
    tags = {
        "SOFTWARE": f"hsi-cd {__version__}",
        "CHECKPOINT_SHA256": checkpoint_hash,
        "THRESHOLD": repr(float(limit)),
        "SCORE_UNIT": detector.unit,
        "SCENE": pair.name,
    }
    with map_writers(change, score, grid=grid or pair.grid, tags=tags, overwrite=overwrite) as writers:
        for row, scores in score_rows(detector, pair, memory=memory):
            writers.change.write(row, change_map(scores, limit))
            if writers.score is not None:
                writers.score.write(row, scores)
