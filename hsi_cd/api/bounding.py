"""What alone of a scene is of interest, found on its grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hsi_cd.api.area_choice import AreaChoice
from hsi_cd.api.truths import grid_like
from hsi_cd.config import AreaConfig
from hsi_cd.errors import GridError, LabelError
from hsi_cd.io.area_polygons import area_of_bounds, area_of_polygons
from hsi_cd.io.split_files import read_split
from hsi_cd.scene import UNLABELLED, AreaOfInterest, Grid, Labels, ScenePair, Split

__all__ = ["choice_of", "find_area", "in_area", "judged_in", "split_of", "told_of_area"]


def find_area(choice: AreaChoice, grid: Grid, *, place: str = "the scene") -> AreaOfInterest | None:
    """The pixels of a grid that an area of interest covers; None where none is named.

    Args:
        choice: how it is named.
        grid: the grid.
        place: what messages call it.

    Raises:
        MissingInputError: the file of its polygons does not exist.
        FormatError: it holds no polygon.
        GridError: the area cannot be found on the grid, or covers no pixel of it.
    """
    if choice.bounds is not None:
        found = area_of_bounds(choice.bounds, grid, crs=choice.bounds_crs, place=place)
    elif choice.aoi is not None:
        found = area_of_polygons(choice.aoi, grid, place=place)
    else:
        return None
    return replace(found, statistics=choice.statistics)


def in_area(pair: ScenePair, choice: AreaChoice) -> ScenePair:
    """A scene with its area of interest, where one is named.

    Raises:
        HsiCdError: as :func:`find_area` says.
    """
    if not choice.is_named:
        return pair
    told = choice.like is None or pair.grid.is_georeferenced
    area = find_area(choice, pair.grid if told else grid_like(choice.like, pair.shape))
    if area is None:
        return pair
    # Which no output may replace.
    files = tuple(path.absolute() for path in choice.files)
    t1, t2 = (replace(cube, files=(*cube.files, *files)) for cube in (pair.t1, pair.t2))
    return replace(pair, t1=t1, t2=t2).in_area(area)


def judged_in(area: AreaOfInterest, labels: Labels, split: Split | None) -> tuple[Labels, Split | None]:
    """Labels and division of a whole scene or map without what lies outside of an area of interest.

    A shape that taught outside of it judges nothing inside.

    Raises:
        LabelError: no label lies in it.
    """
    found = area.whole_labels(labels)
    if split is not None and split.shape == labels.shape:
        inside = area.of_scene().ravel()[split.train]
        if labels.shapes is not None:
            taught, left = (np.unique(labels.shapes.ravel()[split.train[which]]) for which in (~inside, inside))
            across = np.isin(labels.shapes, np.setdiff1d(taught, left))
            found = replace(found, values=np.where(across, np.uint8(UNLABELLED), found.values))
        shapes = None if split.shapes is None else split.shapes[inside]
        split = replace(split, train=split.train[inside], shapes=shapes)
    if not (found.values != UNLABELLED).any():
        raise LabelError(
            f"no labelled pixel of {labels.name} lies in the area of interest ({area}): give labels in it, or a "
            "larger area"
        )
    return found, split


def split_of(path: Path, labels: Labels, area: AreaOfInterest | None) -> Split:
    """Which pixels teach, from a file of the whole scene or, as a run leaves it, of its area of interest.

    Args:
        path: the file.
        labels: the labels of the whole scene.
        area: its area of interest, or None.

    Raises:
        HsiCdError: as :func:`hsi_cd.open_split` says.
    """
    try:
        return read_split(path, labels)
    except GridError:
        if area is None or area.shape == labels.shape:
            raise
        try:
            return read_split(path, area.labels(labels))
        except GridError:
            pass
        raise


def told_of_area(area: AreaOfInterest | None) -> dict[str, str]:
    """What a command says of the area of interest of its scene: nothing where there is none."""
    if area is None:
        return {}
    count = int(area.covered.sum())
    return {
        "area of interest": f"{count:,} pixel{'s' if count != 1 else ''} in {_lines('row', area.rows)} and "
        f"{_lines('column', area.cols)} of {area.scene.rows} x {area.scene.cols}; "
        f"statistics of the {area.statistics}"
    }


def _lines(noun: str, part: slice) -> str:
    return f"{noun} {part.start}" if part.stop - part.start == 1 else f"{noun}s {part.start} to {part.stop - 1}"


def choice_of(config: AreaConfig) -> AreaChoice:
    """What a run's settings say of its area of interest."""
    return AreaChoice(config.aoi, config.bounds, config.bounds_crs, config.statistics)
