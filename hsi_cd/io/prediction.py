"""All files of one prediction, written together from bands of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.io.atomic import atomic_path
from hsi_cd.io.maps import map_writers
from hsi_cd.io.outputs import GEOTIFF, check_ending, check_outputs
from hsi_cd.io.regions import check_vector, write_regions
from hsi_cd.scene import CHANGED, Grid


@dataclass(frozen=True)
class MapRows:
    """A band of rows of a prediction.

    Attributes:
        row: its first row.
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 no data.
        score: float32 ``(rows, cols)``, NaN for no data; needed for a score raster and for polygons.
        uncertainty: float32 ``(rows, cols)``, NaN for no data; needed for its raster.
    """

    row: int
    change: NDArray[np.uint8]
    score: NDArray[np.float32] | None = None
    uncertainty: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class MapFiles:
    """What is written of one prediction.

    Attributes:
        change: file of the change map.
        score: file of the score raster, or None.
        uncertainty: file of the uncertainty raster, or None.
        vector: file of the changed regions as polygons (.gpkg, .geojson), or None. The map is then held in memory,
            since a region may reach over all bands of rows.
        min_area: smallest region kept, m2 on the ground (pixels in a local CRS that tells no length).
        cog: write Cloud Optimized GeoTIFFs, with overviews.
        overwrite: whether existing files may be replaced.
    """

    change: Path
    score: Path | None = None
    uncertainty: Path | None = None
    vector: Path | None = None
    min_area: float = 0.0
    cog: bool = False
    overwrite: bool = False

    def check(self, *, inputs: Iterable[Path] = ()) -> None:
        """Refuse files that could not be written so, before any long work.

        Args:
            inputs: what the prediction is made from, which no output replaces.

        Raises:
            OutputError: a file is an input or another output, exists, or cannot be written.
            FormatError: a name's ending promises another format.
        """
        maps = {"change map": self.change, "score": self.score, "uncertainty": self.uncertainty}
        check_outputs(maps | {"vector": self.vector}, inputs=inputs, overwrite=self.overwrite)
        for path in maps.values():
            if path is not None:
                check_ending(path, GEOTIFF)


def write_prediction(
    parts: Iterable[MapRows],
    files: MapFiles,
    *,
    grid: Grid,
    tags: Mapping[str, str],
    probability: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    """Write a change map, and what is asked for beside it. All files appear together, or none.

    Args:
        parts: the bands of rows, from top to bottom and without gaps.
        files: what is written, and where to.
        grid: shape and georeference.
        tags: text to store in each raster.
        probability: from scores to change probabilities, for the polygons.

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
    with ExitStack() as opened:
        draft = None
        if files.vector is not None:
            draft = opened.enter_context(atomic_path(files.vector, overwrite=files.overwrite))
        writers = opened.enter_context(
            map_writers(
                files.change,
                files.score,
                files.uncertainty,
                grid=grid,
                tags=tags,
                cog=files.cog,
                overwrite=files.overwrite,
            )
        )
        for part in parts:
            writers.change.write(part.row, part.change)
            if writers.score is not None and part.score is not None:
                writers.score.write(part.row, part.score)
            if writers.uncertainty is not None and part.uncertainty is not None:
                writers.uncertainty.write(part.row, part.uncertainty)
            if draft is not None and part.score is not None:
                changes.append(part.change)
                probabilities.append(probability(part.score)[part.change == CHANGED])
        if draft is not None:
            whole = np.concatenate(changes)
            write_regions(draft, whole, np.concatenate(probabilities), grid=grid, min_area=files.min_area)
