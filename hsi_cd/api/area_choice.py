"""What alone of a scene is of interest, as it is asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_cd.errors import ConfigError
from hsi_cd.paths import as_path

_SCENE, _AREA = "scene", "area"
_FORM = "minx,miny,maxx,maxy"


def checked_bounds(bounds: Sequence[float] | str) -> tuple[float, float, float, float]:
    """Four finite numbers, the smaller ones first.

    Args:
        bounds: the numbers, or a text with commas between them.

    Raises:
        ConfigError: they are none.
    """
    said = bounds if isinstance(bounds, str) else ",".join(map(str, bounds))
    try:
        values = [float(part) for part in (said.split(",") if isinstance(bounds, str) else bounds)]
    except (TypeError, ValueError):
        values = []
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise ConfigError(f"bounds are {said!r}, no four finite numbers: give them as {_FORM}")
    for axis, low, high in (("x", values[0], values[2]), ("y", values[1], values[3])):
        if low >= high:
            raise ConfigError(
                f"bounds are {said!r}, whose min {axis} ({low:.15g}) is not below the max {axis} ({high:.15g}): "
                f"give them as {_FORM}"
            )
    return values[0], values[1], values[2], values[3]


@dataclass(frozen=True)
class AreaChoice:
    """What alone of a scene is of interest, as it was asked for.

    Attributes:
        aoi: a file of polygons, or shapes in memory (a GeoDataFrame, a FeatureCollection); None without.
        bounds: ``(min x, min y, max x, max y)``; None without.
        bounds_crs: their CRS, as ``EPSG:4326``; None for the scene's.
        statistics: ``scene``: from the whole of it; ``area``: as if the scene were cut to the area.
        like: a raster of the scene's pixels that says where a scene without a place lies, or None.

    Raises:
        ConfigError: both are given, the bounds are no four numbers in their order, or nothing says where the area
            is.
    """

    aoi: Any = None
    bounds: tuple[float, float, float, float] | None = None
    bounds_crs: str | None = None
    statistics: str = _SCENE
    like: Any = None

    def __post_init__(self) -> None:
        if self.aoi is not None and self.bounds is not None:
            raise ConfigError("aoi= and bounds= both say which area is of interest: give one of them")
        if self.statistics not in (_SCENE, _AREA):
            raise ConfigError(f"statistics is {self.statistics!r}: expected 'scene' or 'area'")
        if self.bounds is None and self.bounds_crs is not None:
            raise ConfigError("bounds_crs= is the CRS of bounds, which are not given: give bounds=, too")
        if not self.is_named and self.statistics == _AREA:
            raise ConfigError(
                "statistics='area' is of an area of interest, and none is named: give aoi= or bounds=, too"
            )
        if self.bounds is not None:
            object.__setattr__(self, "bounds", checked_bounds(self.bounds))
        if isinstance(self.aoi, str | os.PathLike):
            object.__setattr__(self, "aoi", as_path(self.aoi))

    @property
    def is_named(self) -> bool:
        """Whether there is an area of interest."""
        return self.aoi is not None or self.bounds is not None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file of the polygons, where there is one."""
        return (self.aoi,) if isinstance(self.aoi, Path) else ()

    def settings(self) -> dict[str, Any] | None:
        """The same as settings of a run's section ``area``; None where nothing was asked for."""
        if not self.is_named:
            return None
        said = {"aoi": None if self.aoi is None else str(self.aoi), "bounds": self.bounds}
        return {**said, "bounds_crs": self.bounds_crs, "statistics": self.statistics}


ALL_OF_IT = AreaChoice()
"""All of a scene is of interest."""
