"""Options that say what alone of a scene is of interest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from hsi_cd.api.area_choice import AreaChoice, checked_bounds
from hsi_cd.cli.options.gathering import gathering
from hsi_cd.cli.options.path_type import PathType


def _choice(
    aoi: Path | None = None, bounds: str | None = None, bounds_crs: str | None = None, statistics: str = "scene"
) -> AreaChoice:
    return AreaChoice(aoi, None if bounds is None else checked_bounds(bounds), bounds_crs, statistics)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--aoi",
        type=PathType(),
        metavar="FILE",
        help="What alone is of interest: polygons (GeoPackage, GeoJSON, Shapefile, FlatGeobuf, KML) in any CRS.",
    ),
    click.option(
        "--bounds", metavar="MINX,MINY,MAXX,MAXY", help="The same as a rectangle, in place of a file of polygons."
    ),
    click.option("--bounds-crs", metavar="CRS", help="CRS of --bounds, as EPSG:4326 [default: the scene's]."),
)

area_place_options = gathering("area", partial(_choice, statistics="scene"), *_OPTIONS)
"""Name an area of interest; the command is handed it as ``area``."""

area_options = gathering(
    "area",
    _choice,
    *_OPTIONS,
    click.option(
        "--statistics",
        type=click.Choice(["scene", "area"]),
        default="scene",
        show_default=True,
        help="With an area of interest: of the whole scene, so that its map is that of the scene; or of the area, "
        "as if the scene were cut to it.",
    ),
)
"""The same, and say where its statistics come from."""
