"""From a detector and a scene to georeferenced rasters."""

from __future__ import annotations

import os
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from hsi_cd import __version__
from hsi_cd.detectors.base import Detector, check_bands, uncertain
from hsi_cd.detectors.refit import refit_statistics
from hsi_cd.inference.scoring import change_map, score_rows
from hsi_cd.io import atomic_path, check_vector, map_writers, write_regions
from hsi_cd.scene import CHANGED, Grid, ScenePair


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
    cog: bool = False,
    vector: str | os.PathLike[str] | None = None,
    min_area: float = 0.0,
    memory: int | None = None,
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
        cog: write Cloud Optimized GeoTIFFs, with overviews.
        vector: file of the changed regions as polygons (.gpkg, .geojson), or None. The map is then held in memory,
            since a region may reach over all row bands.
        min_area: smallest region kept, in the CRS's unit squared (m2 where it is in degrees).
        memory: bytes for the parts of the scene that are on their way at once, see
            :func:`hsi_cd.inference.scoring.rows_per_band`.
        overwrite: whether existing files may be replaced.

    Raises:
        BandError: the scene's bands are not the detector's.
        GridError: regions of a scene without CRS and transform are asked for.
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
        **{name: date for name, date in (("T1_DATE", pair.t1.acquired), ("T2_DATE", pair.t2.acquired)) if date},
    }
    grid = grid or pair.grid
    if vector is not None:
        check_vector(vector, grid)
    changes: list[NDArray[np.uint8]] = []
    probabilities: list[NDArray[np.float32]] = []
    with ExitStack() as files:
        draft = None if vector is None else files.enter_context(atomic_path(vector, overwrite=overwrite))
        writers = files.enter_context(
            map_writers(change, score, uncertainty, grid=grid, tags=tags, cog=cog, overwrite=overwrite)
        )
        for row, found in score_rows(detector, pair, uncertainty=spread, memory=memory):
            scores = found[0] if spread else found
            called = change_map(scores, limit)
            writers.change.write(row, called)
            if writers.score is not None:
                writers.score.write(row, scores)
            if writers.uncertainty is not None:
                writers.uncertainty.write(row, found[1])
            if draft is not None:
                changes.append(called)
                probabilities.append(detector.probability(scores)[called == CHANGED])
        if draft is not None:
            whole = np.concatenate(changes)
            write_regions(draft, whole, np.concatenate(probabilities), grid=grid, min_area=min_area)
