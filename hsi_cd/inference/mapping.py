"""From a detector and a scene to georeferenced rasters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from hsi_cd import __version__
from hsi_cd.detectors.base import Detector, KindScorer, check_bands, kinds_in, learned_kinds, uncertain
from hsi_cd.detectors.decision import told_share
from hsi_cd.detectors.measures import score_name
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.errors import BandError, ConfigError, ShardError
from hsi_cd.inference.kind_maps import MappedKinds, NamedKinds, kind_rows
from hsi_cd.inference.scene_watch import SceneWatch
from hsi_cd.inference.scoring import classify, score_rows
from hsi_cd.io import MapFiles, MapRows, WrittenMap, shard_tags, write_prediction
from hsi_cd.prepare.data_watch import DataWatch
from hsi_cd.prepare.measurement import tell_shift
from hsi_cd.prepare.residual_shift import ShiftWatch
from hsi_cd.prepare.windows import Dates
from hsi_cd.scene import AreaOfInterest, Grid, ScenePair, Shard
from hsi_cd.scene.area_of_interest import OF_AREA


@dataclass(frozen=True)
class MapOptions:
    """How a scene is mapped, beside the detector.

    Attributes:
        threshold: score from which a pixel counts as changed; the detector's own by default.
        grid: georeference of the outputs; the scene's own by default.
        shard: map this part of the scene alone, for :func:`hsi_cd.io.joining.join_shards`; COGs and polygons are
            for the whole.
        memory: bytes for the parts of the scene that are on their way at once, see
            :func:`hsi_cd.inference.scoring.rows_per_band`.
        checkpoint: names the checkpoint in the outputs' tags.
        statistics: says in the outputs' tags whose statistics were used.
        look_at_shift: while reading, look how far the dates lie off each other, for undeclared fill and for bands
            with gaps, and warn where that is much; measuring a scene has looked already.
        seen: is shown all rows that are read, once each, from top to bottom.
        any_units: map a scene whose values are far from all that the detector was fitted on.
        register: lay date 2 on date 1 first; by default as what was fitted did. Of estimators alone, which know.
        kinds: write the kind of each changed pixel in place of 1.
        learned: whether the kinds are those that labels taught; by default where some were. Of estimators alone,
            which know.
    """

    threshold: float | None = None
    grid: Grid | None = None
    shard: Shard | None = None
    memory: int | None = None
    checkpoint: str = ""
    statistics: str = "of what the detector was fitted on"
    look_at_shift: bool = True
    seen: Callable[[slice, Dates], None] | None = None
    any_units: bool = False
    register: bool | None = None
    kinds: NamedKinds | None = None
    learned: bool | None = None

    def __post_init__(self) -> None:
        """What was counted of kinds that were found is of the map of one threshold.

        Raises:
            ConfigError: kinds that were found without labels, and a threshold.
        """
        if self.threshold is not None and isinstance(self.kinds, MappedKinds):
            raise ConfigError(
                f"threshold is {self.threshold:g}, but the kinds of change were found and counted with the "
                "method's own: leave threshold= out"
            )


def write_maps(
    detector: Detector,
    pair: ScenePair,
    files: MapFiles,
    how: MapOptions | None = None,
    *,
    see: Callable[[MapRows], None] | None = None,
) -> WrittenMap:
    """Score a scene, or its area of interest, and write its change map, and what is asked for beside it.

    The scene is read, scored and written band by band: its height costs time, not memory. No labels are read.

    Args:
        detector: a fitted detector.
        pair: the scene.
        files: what is written, and where to.
        how: threshold, georeference, part of the scene, memory; the defaults otherwise.
        see: is shown the rows of the map as they are written, once each, from top to bottom.

    Returns:
        Its counts, and what was written as polygons.

    Raises:
        ShardError: there are more shards than rows, or a shard of an area of interest is asked for.
        BandError: the scene's bands are not the detector's.
        GridError: regions of a scene without CRS and transform are asked for.
        CheckpointError: uncertainty is asked of a detector that is no ensemble, or probabilities of kinds of one
            that knows none.
        ConfigError: probabilities of kinds of a map that has none, or of kinds that were found without labels.
        OutputError: an output exists or cannot be written.
    """
    how = how or MapOptions()
    files.check(inputs=pair.files)
    grid = pair.map_grid(how.grid)
    tags = _tags(detector, pair, how)
    if how.shard is not None:
        _check_shard(pair)
        tags |= shard_tags(how.shard, pair, grid)
        grid = grid.part(how.shard.rows(pair.shape[0]))
    chances, kinds = files.kind_probability is not None, how.kinds
    if chances and kinds is None:
        learned_kinds(detector)  # which says what is missing
        raise ConfigError(
            "the map has no kinds of change, of which probabilities are asked: leave kinds=False out"
        )
    rows = map_rows(detector, pair, how, uncertainty=files.uncertainty is not None)
    rows = rows_of_kinds(rows, pair, how, chances=chances)
    return write_prediction(
        rows if see is None else _shown(rows, see),
        files,
        grid=grid,
        tags=tags,
        probability=detector.probability,
        kinds={} if kinds is None else kinds.names,
    )


def _shown(rows: Iterator[MapRows], see: Callable[[MapRows], None]) -> Iterator[MapRows]:
    for part in rows:
        see(part)
        yield part


def rows_of_kinds(
    rows: Iterator[MapRows], pair: ScenePair, how: MapOptions, *, chances: bool = False
) -> Iterator[MapRows]:
    """Rows of a map with their kinds of change, where these are asked for; see :func:`kind_rows`."""
    if how.kinds is None:
        return rows
    if chances:
        _ = how.kinds.learned  # refused before anything is scored
    top = 0 if how.shard is None else how.shard.rows(pair.shape[0]).start
    return kind_rows(rows, pair, how.kinds, top=top, chances=chances)


def map_rows(
    detector: Detector, pair: ScenePair, how: MapOptions, *, uncertainty: bool = False
) -> Iterator[MapRows]:
    """The bands of rows of a map as they are scored, counted from the first row that is mapped.

    Args:
        detector: a fitted detector.
        pair: the scene.
        how: threshold, part of the scene, memory.
        uncertainty: ask the detector how far its members differ, too.

    Raises:
        BandError: the scene's bands are not the detector's, its values are in other units, or no pixel has data.
        PairError: the dates hold the same values.
        ShardError: a shard of an area of interest is asked for.
        CheckpointError: uncertainty is asked of a detector that is no ensemble.
    """
    check_bands(detector, pair)
    if how.shard is not None:
        _check_shard(pair)
    if uncertainty:
        uncertain(detector)
    return _map_rows(detector, pair, how, uncertainty=uncertainty)


def _map_rows(detector: Detector, pair: ScenePair, how: MapOptions, *, uncertainty: bool) -> Iterator[MapRows]:
    area = pair.focus
    rows = how.shard.rows(pair.shape[0]) if how.shard is not None else None
    top, shape = (0, pair.shape) if area is None else (area.rows.start, area.shape)
    top = top if rows is None else rows.start
    limit = detector.threshold if how.threshold is None else how.threshold
    lost = 0
    look = how.look_at_shift and how.shard is None
    mapped = pair if area is None else pair.in_area(replace(area, statistics=OF_AREA))
    watch, data = (ShiftWatch(shape), DataWatch(mapped)) if look else (None, None)

    scene = SceneWatch(detector, pair, any_units=how.any_units)
    known = False

    def seen(read: slice, dates: Dates) -> None:
        scene.see(read, dates)
        if area is not None and how.shard is None:
            read, dates = _inside(area, read, dates)
        if not len(dates[0][0]):
            return
        if watch is not None and data is not None:
            watch.see(read.start, dates)
            data.see(read.start, dates)
        if how.seen is not None:
            how.seen(read, dates)

    def check_units(*, whole: bool) -> None:
        try:
            scene.check_units(whole=whole)
        except BandError:
            if data is not None:
                data.tell_fill()  # which may be why
            raise

    kinds = None if uncertainty else _kinds_at_once(detector, how, limit)
    for row, found in score_rows(
        detector, pair, within=rows, uncertainty=uncertainty, kinds=kinds, memory=how.memory, seen=seen
    ):
        scores, beside = (found, None) if found.ndim == 2 else (found[0], found[1])
        lost += int(np.isnan(scores).sum())
        check_units(whole=False)
        known = known or not np.isnan(scores).all()
        part = MapRows(row - top, classify(scores, limit), scores, beside if uncertainty else None)
        if kinds is not None and beside is not None:
            part = replace(part, kinds=np.nan_to_num(beside).astype(np.uint8))
        yield part
    if known:
        check_units(whole=True)
    if how.shard is None:  # a part may hold nothing, or nothing that differs
        scene.check_dates()
        if not known:
            where = pair.name if pair.area is None else f"the area of interest ({pair.area}) of {pair.name}"
            raise BandError(f"no pixel of {where} has data in all bands of both dates: the dates must overlap")
    if watch is not None and data is not None:
        tell_shift(watch.shift())
        data.tell(unmapped=lost / (shape[0] * shape[1]))


def _kinds_at_once(detector: Detector, how: MapOptions, limit: float) -> tuple[KindScorer, float] | None:
    """The detector and the score from which it is asked for kinds, if it tells those of the map in one pass."""
    if how.kinds is None or not isinstance(detector, KindScorer) or how.kinds.model != kinds_in(detector):
        return None
    return detector, limit


def _inside(area: AreaOfInterest, rows: slice, dates: Dates) -> tuple[slice, Dates]:
    """What was read of an area of interest, in rows of its window: without what only surrounds it."""
    start, stop = max(rows.start, area.rows.start), max(min(rows.stop, area.rows.stop), area.rows.start)
    stop, own = max(start, stop), area.rows.start
    covered = area.covered[start - own : stop - own]
    t1, t2 = (
        np.where(covered, date[:, start - rows.start : stop - rows.start, area.cols], np.float32(np.nan))
        for date in dates
    )
    return slice(start - own, stop - own), (t1, t2)


def _check_shard(pair: ScenePair) -> None:
    if pair.area is not None:
        raise ShardError(
            f"a shard is a part of a whole scene, but an area of interest ({pair.area}) is mapped alone: leave "
            "the shard or the area out"
        )


def _registered(pair: ScenePair) -> dict[str, str]:
    """What was undone to lay date 2 on date 1, (down, right) in pixels."""
    done = pair.registered
    return {} if done is None else {"REGISTERED": f"{done.down!r} {done.right!r}"}


def area_tags(area: AreaOfInterest | None) -> dict[str, str]:
    """What alone was mapped of the scene, and where its statistics came from."""
    return {} if area is None else {"AREA_OF_INTEREST": str(area), "AREA_STATISTICS": area.statistics}


def _tags(detector: Detector, pair: ScenePair, how: MapOptions) -> dict[str, str]:
    """What each raster says of how it was made."""
    limit = detector.threshold if how.threshold is None else how.threshold
    tags = {
        "SOFTWARE": f"hsi-cd {__version__}",
        "CHECKPOINT_SHA256": how.checkpoint,
        "THRESHOLD": repr(float(limit)),
        "SCORE_UNIT": detector.unit,
        "SCORE_NAME": score_name(detector),
        "SCENE": pair.name,
        "METHOD": str(getattr(detector, "method", "siamese")),
        "STATISTICS": how.statistics,
        **({"NODATA": " ".join(map(repr, pair.nodata))} if pair.nodata else {}),
        **_registered(pair),
        **({"MASK": pair.mask} if pair.mask else {}),
        **area_tags(pair.area),
        **{name: date for name, date in (("T1_DATE", pair.t1.acquired), ("T2_DATE", pair.t2.acquired)) if date},
    }
    if isinstance(detector, SiameseDetector) and detector.precision != torch.float32:
        tags["PRECISION"] = str(detector.precision).removeprefix("torch.")
    if how.threshold is None and (share := told_share(detector)) is not None:
        tags["CHANGE_SHARE"] = str(share)
    return tags
