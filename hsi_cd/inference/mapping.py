"""From a detector and a scene to georeferenced rasters."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch

from hsi_cd import __version__
from hsi_cd.detectors.base import Detector, check_bands, uncertain
from hsi_cd.detectors.refit import refit_statistics
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.inference.scoring import change_map, score_rows
from hsi_cd.io import MapRows, shard_tags, write_prediction
from hsi_cd.scene import Grid, ScenePair, Shard


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
    shard: Shard | None = None,
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
        shard: write this part of the scene alone, for :func:`hsi_cd.io.joining.join_shards`; COGs and polygons
            are for the whole.
        overwrite: whether existing files may be replaced.

    Raises:
        ShardError: there are more shards than rows.
        BandError: the scene's bands are not the detector's.
        GridError: regions of a scene without CRS and transform are asked for.
        CheckpointError: uncertainty is asked of a detector that is no ensemble, or a refit of one that cannot.
        OutputError: an output exists or cannot be written.
    """
    rows = shard.rows(pair.shape[0]) if shard is not None else slice(0, pair.shape[0])
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
    if isinstance(detector, SiameseDetector) and detector.precision != torch.float32:
        tags["PRECISION"] = str(detector.precision).removeprefix("torch.")
    grid = grid or pair.grid
    if shard is not None:
        tags |= shard_tags(shard, pair, grid)
    write_prediction(
        _map_rows(detector, pair, rows, limit=limit, spread=spread, memory=memory),
        change=change,
        score=score,
        uncertainty=uncertainty,
        grid=grid if shard is None else grid.part(rows),
        tags=tags,
        cog=cog,
        vector=vector,
        probability=detector.probability,
        min_area=min_area,
        overwrite=overwrite,
    )


def _map_rows(
    detector: Detector, pair: ScenePair, rows: slice, *, limit: float, spread: bool, memory: int | None
) -> Iterator[MapRows]:
    """The bands of some rows of a scene as they are scored, counted from the first of these rows."""
    for row, found in score_rows(detector, pair, within=rows, uncertainty=spread, memory=memory):
        scores = found[0] if spread else found
        yield MapRows(row - rows.start, change_map(scores, limit), scores, found[1] if spread else None)
