"""All files of one prediction, written together from bands of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.io.atomic import atomic_path
from hsi_cd.io.map_classes import NO_KINDS, classes_of, kind_tags
from hsi_cd.io.maps import map_writers
from hsi_cd.io.outputs import GEOTIFF, check_ending, check_outputs
from hsi_cd.io.regions import RegionChoice, Regions, check_vector, write_regions
from hsi_cd.io.sidecars import style_path, styles_beside, write_beside
from hsi_cd.scene import UNCHANGED, UNLABELLED, Grid, is_changed


@dataclass(frozen=True)
class MapRows:
    """A band of rows of a prediction.

    Attributes:
        row: its first row.
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data.
        score: float32 ``(rows, cols)``, NaN for no data; needed for a score raster and for polygons.
        uncertainty: float32 ``(rows, cols)``, NaN for no data; needed for its raster.
        probability: float32 ``(rows, cols)``, NaN for no data; by default made from the score where it is needed.
        kind_probability: float32 ``(kinds, rows, cols)``, NaN for no data; needed for its raster.
        kinds: uint8 ``(rows, cols)``: number of the kind of what changed, 0 for none, where the scores came with
            kinds that are not yet in the map.
    """

    row: int
    change: NDArray[np.uint8]
    score: NDArray[np.float32] | None = None
    uncertainty: NDArray[np.float32] | None = None
    probability: NDArray[np.float32] | None = None
    kind_probability: NDArray[np.float32] | None = None
    kinds: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class MapFiles:
    """What is written of one prediction.

    Attributes:
        change: file of the change map.
        score: file of the score raster, or None.
        uncertainty: file of the uncertainty raster, or None.
        vector: file of the changed regions as polygons (.gpkg, .geojson), or None. The map is then held in memory,
            since a region may reach over all bands of rows.
        regions: which regions these are, and how their outlines run.
        cog: write Cloud Optimized GeoTIFFs, with overviews.
        overwrite: whether existing files may be replaced.
        probability: file of the probabilities of change, or None.
        kind_probability: file of the probabilities of each kind of change, or None.
    """

    change: Path
    score: Path | None = None
    uncertainty: Path | None = None
    vector: Path | None = None
    regions: RegionChoice = field(default_factory=RegionChoice)
    cog: bool = False
    overwrite: bool = False
    probability: Path | None = None
    kind_probability: Path | None = None

    @property
    def rasters(self) -> dict[str, Path]:
        """The rasters, by what each is called in :class:`~hsi_cd.io.maps.MapWriters`' words."""
        named = {
            "change map": self.change,
            "score": self.score,
            "uncertainty": self.uncertainty,
            "probability": self.probability,
            "kind probability": self.kind_probability,
        }
        return {name: path for name, path in named.items() if path is not None}

    def check(self, *, inputs: Iterable[Path] = ()) -> None:
        """Refuse files that could not be written so, before any long work.

        Args:
            inputs: what the prediction is made from, which no output replaces.

        Raises:
            OutputError: a file is an input or another output, exists, or cannot be written.
            FormatError: a name's ending promises another format.
        """
        check_outputs(self.rasters | {"vector": self.vector}, inputs=inputs, overwrite=self.overwrite)
        for path in self.rasters.values():
            check_ending(path, GEOTIFF)


@dataclass(frozen=True)
class WrittenMap:
    """What was written.

    Attributes:
        changed: pixels that are called changed.
        valid: pixels with data.
        regions: what was written as polygons; None where none were asked for.
        kinds: pixels of each kind of change, by number; none of a map that tells none apart.
    """

    changed: int
    valid: int
    regions: Regions | None = None
    kinds: Mapping[int, int] = field(default_factory=dict)


def write_prediction(
    parts: Iterable[MapRows],
    files: MapFiles,
    *,
    grid: Grid,
    tags: Mapping[str, str],
    probability: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    kinds: Mapping[int, str] = NO_KINDS,
) -> WrittenMap:
    """Write a change map, and what is asked for beside it. All files appear together, or none.

    Args:
        parts: the bands of rows, from top to bottom and without gaps.
        files: what is written, and where to.
        grid: shape and georeference.
        tags: text to store in each raster.
        probability: from scores to change probabilities, for their raster and the polygons.
        kinds: names of the values of a map of kinds of change; none where 1 is changed.

    Returns:
        Its counts, and what was written as polygons.

    Raises:
        FormatError: the polygons' name tells no format.
        GridError: polygons are asked for on a grid without CRS and transform.
        OutputError: a file exists or cannot be written.
    """
    files.check()
    if files.vector is not None:
        check_vector(files.vector, grid)
    changes: list[NDArray[np.uint8]] = []
    probabilities: list[NDArray[np.float32]] = []
    counted = np.zeros(256, dtype=np.int64)
    with ExitStack() as opened:
        draft, styles = None, {}
        if files.vector is not None:
            taken = {style_path(path) for path in files.rasters.values()}
            alone = [files.vector] if style_path(files.vector) not in taken else []
            styles = opened.enter_context(styles_beside(alone))
            draft = opened.enter_context(atomic_path(files.vector, overwrite=files.overwrite))
        writers = opened.enter_context(
            map_writers(
                files.change,
                files.score,
                files.uncertainty,
                beside={"probability": files.probability, "kind probability": files.kind_probability},
                grid=grid,
                tags={**tags, **kind_tags(kinds)},
                cog=files.cog,
                overwrite=files.overwrite,
                classes=classes_of(kinds),
            )
        )
        for part in parts:
            chance = part.probability
            if (
                chance is None
                and part.score is not None
                and (draft is not None or writers.probability is not None)
            ):
                chance = probability(part.score)
            counted += np.bincount(part.change.ravel(), minlength=256)
            writers.change.write(part.row, part.change)
            for writer, values in (
                (writers.score, part.score),
                (writers.uncertainty, part.uncertainty),
                (writers.probability, chance),
                (writers.kind_probability, part.kind_probability),
            ):
                if writer is not None and values is not None:
                    writer.write(part.row, values)
            if draft is not None and chance is not None:
                changes.append(part.change)
                probabilities.append(chance[is_changed(part.change)])
        valid = int(counted.sum() - counted[UNLABELLED])
        pixels = {value: int(counted[value]) for value in kinds if value != UNCHANGED}
        told = WrittenMap(valid - int(counted[UNCHANGED]), valid, kinds=pixels)
        if draft is None:
            return told
        whole = np.concatenate(changes)
        found = write_regions(
            draft, whole, np.concatenate(probabilities), grid=grid, choice=files.regions, kinds=kinds
        )
        for style in styles.values():
            write_beside(style, found.style)
        return replace(told, regions=found)
