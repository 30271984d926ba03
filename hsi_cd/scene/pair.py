"""Two dates of one place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hsi_cd.scene.area_of_interest import AreaOfInterest, cut_cube
from hsi_cd.scene.bands import Bands
from hsi_cd.scene.contract import check_same_grid, check_truth_grid
from hsi_cd.scene.cube import Cube
from hsi_cd.scene.grid import Grid
from hsi_cd.scene.labels import Labels
from hsi_cd.scene.matching import BAND_TOLERANCE, check_same_bands

Value = TypeVar("Value")


@dataclass(frozen=True)
class Registered:
    """What was done to lay date 2 on date 1.

    Attributes:
        down: pixels that date 2 showed everything too far down, which were undone; 0 where that was not worth it.
        right: the same to the right.
        pixels: fingerprint of the pair before, by which it is known again.
        told: how it was found, and how sure, in words.
    """

    down: float
    right: float
    pixels: str
    told: str = field(default="", compare=False)

    @property
    def moved(self) -> bool:
        """Whether date 2 is resampled at all."""
        return (self.down, self.right) != (0.0, 0.0)


@dataclass(frozen=True)
class ScenePair:
    """Two co-registered cubes of the same bands.

    Attributes:
        t1: the earlier date.
        t2: the later date.
        name: what messages, runs and tables call the scene.
        band_tolerance: largest difference of centre wavelengths, nm, that is still the same band.
        used: ascending indices of the bands that methods may look at, or None for all.
        nodata: stored values that were declared to mean no data, beside what the files say, for the record.
        allow_identical: whether the dates may hold the same values everywhere, else refused when
            they are read.
        registered: what was done to lay date 2 on date 1, or None where nobody asked.
        masks: what masks leave out of the dates, in the words in which it was asked for, for the record; none
            where no date has a mask.
        area: what of the scene is of interest, or None for all of it. Where statistics come from the area, the
            dates are cut to it; else they are the whole scene.

    Raises:
        GridError: the dates do not lie on one grid.
        BandError: the dates have other bands.
    """

    t1: Cube
    t2: Cube
    name: str = "scene"
    band_tolerance: float = BAND_TOLERANCE
    used: tuple[int, ...] | None = None
    nodata: tuple[float, ...] = ()
    allow_identical: bool = False
    registered: Registered | None = None
    masks: tuple[str, ...] = ()
    area: AreaOfInterest | None = None

    def __post_init__(self) -> None:
        names = (f"t1 ({self.t1.name})", f"t2 ({self.t2.name})")
        check_same_grid(
            self.t1.grid, self.t2.grid, names=names, remedy="resample t2 to the grid of t1, or use align=True"
        )
        check_same_bands(self.t1.bands, self.t2.bands, names=names, tolerance=self.band_tolerance)

    def __repr__(self) -> str:
        """One line: a cube's own, with all that its file says, would fill a page."""
        centres, crs = self.bands.centres, self.grid.crs or self.grid.gcp_crs
        code = None if crs is None else crs.to_epsg()
        place = f"EPSG:{code}" if code else "georeferenced" if self.grid.is_georeferenced else "no georeference"
        told = f", {min(centres):.0f}-{max(centres):.0f} nm" if centres else ""
        return (
            f"ScenePair {self.name}: {self.t1.name} and {self.t2.name}, {self.shape[0]} x {self.shape[1]} pixels, "
            f"{self.bands.count} bands{told}, {place}"
        )

    @property
    def grid(self) -> Grid:
        """The grid of both dates, with the georeference of the first that has one."""
        return self.t1.grid if self.t1.grid.is_georeferenced else self.t2.grid

    @property
    def scene_grid(self) -> Grid:
        """The grid of the whole scene, also where the dates are cut to an area of interest."""
        return self.grid if self.area is None else self.area.scene

    @property
    def focus(self) -> AreaOfInterest | None:
        """What alone is mapped of dates that are the whole scene; None where all of them is."""
        return None if self.area is None or self.area.is_cut else self.area

    def in_area(self, area: AreaOfInterest) -> ScenePair:
        """The scene with an area of interest, on its own grid; cut to it where statistics come from the area."""
        if not area.is_cut:
            return replace(self, area=area)
        return replace(self, t1=cut_cube(self.t1, area), t2=cut_cube(self.t2, area), area=area)

    def map_grid(self, whole: Grid | None = None) -> Grid:
        """The grid of a map of the scene: of its area of interest, where there is one.

        Args:
            whole: a georeference of the whole scene in place of the dates' own.
        """
        grid = whole or self.scene_grid
        return grid if self.area is None else grid.part(self.area.rows, self.area.cols)

    @property
    def bands(self) -> Bands:
        """The bands, as described by the date that tells their wavelengths, or else their names."""
        described = [cube.bands for cube in (self.t1, self.t2)]
        told = [b for b in described if b.centres] or [b for b in described if b.names]
        return told[0] if told else described[0]

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, cols)``."""
        return self.t1.grid.shape

    @property
    def mask(self) -> str:
        """What masks leave out, as one text."""
        return " and ".join(self.masks)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that both dates are read from, none of what lies in memory."""
        return (*self.t1.files, *self.t2.files)

    def read(
        self, rows: slice | None = None, cols: slice | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A window of both dates, each float32 ``(bands, rows, cols)``, NaN where there is no data."""
        return self.of_both(lambda cube: cube.read(rows, cols))

    def of_both(self, read: Callable[[Cube], Value]) -> tuple[Value, Value]:
        """What ``read`` makes of each date, side by side: most of reading is decoding and converting."""
        with ThreadPoolExecutor(1, thread_name_prefix="later date") as beside:
            later = beside.submit(read, self.t2)
            return read(self.t1), later.result()

    def fingerprint(self) -> str:
        """A digest of three rows of both dates: other files, bands, or files read otherwise do not share it."""
        digest = hashlib.sha256()
        for row in (0, self.shape[0] // 2, self.shape[0] - 1):
            for values in self.read(slice(row, row + 1)):
                digest.update(values.tobytes())
        return digest.hexdigest()[:16]

    def check_labels(self, labels: Labels) -> None:
        """Refuse a truth map that lies elsewhere: of another shape or, where both are georeferenced, another grid.

        Raises:
            GridError: with the difference.
        """
        names = (f"truth ({labels.name})", "the scene")
        cut = self.area is not None and self.area.is_cut and labels.shape == self.shape
        check_truth_grid(labels.grid, self.grid if cut else self.scene_grid, names=names)
