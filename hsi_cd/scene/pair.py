"""Two dates of one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import GridError
from hsi_cd.scene.bands import check_same_bands
from hsi_cd.scene.cube import Cube
from hsi_cd.scene.grid import Grid, check_same_grid
from hsi_cd.scene.labels import Labels


@dataclass(frozen=True)
class ScenePair:
    """Two co-registered cubes of the same bands.

    Attributes:
        t1: the earlier date.
        t2: the later date.
        name: what messages, runs and tables call the scene.

    Raises:
        GridError: the dates do not lie on one grid.
        BandError: the dates have other bands.
    """

    t1: Cube
    t2: Cube
    name: str = "scene"

    def __post_init__(self) -> None:
        names = (f"t1 ({self.t1.name})", f"t2 ({self.t2.name})")
        check_same_grid(self.t1.grid, self.t2.grid, names=names)
        check_same_bands(self.t1.bands, self.t2.bands, names=names)

    @property
    def grid(self) -> Grid:
        """The grid of both dates, with the georeference of the first that has one."""
        return self.t1.grid if self.t1.grid.is_georeferenced else self.t2.grid

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, cols)``."""
        return self.t1.grid.shape

    def read(
        self, rows: slice | None = None, cols: slice | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A window of both dates, each float32 ``(bands, rows, cols)``, NaN where there is no data."""
        return self.t1.read(rows, cols), self.t2.read(rows, cols)

    def check_labels(self, labels: Labels) -> None:
        """Refuse a truth map of another shape.

        Raises:
            GridError: with both shapes.
        """
        if labels.shape != self.shape:
            raise GridError(
                f"truth ({labels.name}) has {labels.shape[0]} x {labels.shape[1]} pixels but the scene has "
                f"{self.shape[0]} x {self.shape[1]}: give the truth map of this scene"
            )
