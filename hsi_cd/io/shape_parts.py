"""The single points, lines and areas that drawn features are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse.csgraph
import shapely
from numpy.typing import NDArray

from hsi_cd.io.vector_files import ShapeTable

_SEVERAL = (4, 5, 6, 7)  # shapely's types that have parts: points, lines, polygons, collections


@dataclass(frozen=True)
class ShapeParts:
    """The parts of a table's features, each a point, a line, a polygon, or polygons that touch.

    Attributes:
        geometry: shapely geometries ``(parts,)``.
        owner: index of the feature of each.
        features: number of features.
    """

    geometry: NDArray[np.object_]
    owner: NDArray[np.intp]
    features: int


def parts_of(table: ShapeTable, notes: list[str]) -> ShapeParts:
    """The parts of a table's features; polygons that cross themselves are made valid, which is noted."""
    parts, owner = table.geometry, np.arange(len(table))
    while True:
        parts, of = shapely.get_parts(parts, return_index=True)  # drops what is None
        owner = owner[of]
        if not np.isin(shapely.get_type_id(parts), _SEVERAL).any():
            break
    kept = ~shapely.is_empty(parts) & is_finite(parts)
    parts, owner = parts[kept], owner[kept]
    crossed = np.flatnonzero(~shapely.is_valid(parts))
    for i in crossed:
        valid = shapely.get_parts(shapely.make_valid(parts[i]))
        dimensions = shapely.get_dimensions(valid)
        parts[i] = shapely.union_all(valid[dimensions == dimensions.max()])
    if len(crossed):
        notes.append(f"{len(crossed)} of {len(parts)} shapes cross themselves and are mended (shapely.make_valid)")
    return ShapeParts(*_joined(parts, owner), len(table))


def _joined(parts: NDArray[np.object_], owner: NDArray[np.intp]) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Parts and their features, with polygons of one feature that touch as one part: an area in two pieces."""
    several = np.bincount(owner, minlength=1)[owner] > 1 if len(owner) else np.zeros(0, dtype=bool)
    own = np.flatnonzero(several & (shapely.get_dimensions(parts) == 2))
    if not len(own):
        return parts, owner
    first, second = shapely.STRtree(parts[own]).query(parts[own], predicate="intersects")
    same = owner[own[first]] == owner[own[second]]
    touch = scipy.sparse.coo_array((np.ones(int(same.sum())), (first[same], second[same])), (len(own), len(own)))
    _, group = scipy.sparse.csgraph.connected_components(touch, directed=False)
    kept = np.ones(len(parts), dtype=bool)
    for members in (own[group == number] for number in np.flatnonzero(np.bincount(group) > 1)):
        parts[members[0]] = shapely.union_all(parts[members])
        kept[members[1:]] = False
    return parts[kept], owner[kept]


def is_finite(geometry: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Whether all coordinates of shapes are numbers, bool ``(shapes,)``."""
    coordinates, of = shapely.get_coordinates(geometry, return_index=True)
    finite = np.ones(len(geometry), dtype=bool)
    finite[of[~np.isfinite(coordinates).all(axis=1)]] = False
    return finite
