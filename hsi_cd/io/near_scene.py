"""Polygons cut to the surroundings of a scene, in their own coordinates, before these are turned into pixels.

A polygon of a continent, or of all the world, has corners that the scene's CRS has no place for, and edges that it
bends; what lies near the scene has neither. Longitudes of one place are one place: 181 and -179 degrees.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from hsi_cd.errors import GridError
from hsi_cd.scene import Grid
from hsi_cd.scene.contract import placement
from hsi_cd.scene.surface import transformed

_AROUND = 64  # pixels around the scene that are kept
_NODES = 33  # rows and columns of points that tell where the scene lies
_MORE = 0.125  # of its extent: what may lie between these
_STEPS = 64  # parts of that extent, longer than which no edge may be, where another CRS bends it
_TURN = 360.0


def near_scene(polygons: NDArray[np.object_], crs: CRS | None, grid: Grid) -> NDArray[np.object_]:
    """The parts of polygons that lie in a scene or around it, in their own CRS.

    Args:
        polygons: valid shapely polygons ``(polygons,)``.
        crs: their CRS; None where it is the scene's.
        grid: the scene's, with a transform.

    Returns:
        Polygons: as they were where they lie near as a whole, none where they lie elsewhere.
    """
    placed = placement(grid)
    if placed is None:
        return polygons
    t, own = placed
    col, row = np.meshgrid(*(np.linspace(-_AROUND, size + _AROUND, _NODES) for size in (grid.cols, grid.rows)))
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    bent = crs is not None and own is not None and crs != own
    if crs is not None and own is not None and bent:
        try:
            x, y = transformed(own, crs, x, y)
        except GridError:
            return polygons  # which is told where they are placed
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return polygons
    x, y = x[known], y[known]
    crs = crs or own
    degrees = crs is not None and crs.is_geographic
    if degrees and np.ptp(x % _TURN) < np.ptp(x):  # across the date line
        x = x % _TURN
    more = _MORE * np.ptp(x), _MORE * np.ptp(y)
    box = shapely.box(x.min() - more[0], y.min() - more[1], x.max() + more[0], y.max() + more[1])
    found = [_cut(polygons, turn, box) for turn in ((-_TURN, 0.0, _TURN) if degrees else (0.0,))]
    near = np.concatenate(found)
    return shapely.segmentize(near, max(np.ptp(x), np.ptp(y)) / _STEPS) if bent and len(near) else near


def _cut(polygons: NDArray[np.object_], turn: float, box: shapely.Polygon) -> NDArray[np.object_]:
    if turn:
        left, _, right, _ = shapely.bounds(polygons).T
        reach = (left + turn <= box.bounds[2]) & (right + turn >= box.bounds[0])
        polygons = shapely.transform(polygons[reach], lambda xy: xy + np.array([turn, 0.0]))
    shapely.prepare(box)
    with np.errstate(over="ignore", invalid="ignore"):  # of coordinates near the largest number
        whole = shapely.covers(box, polygons)
        partly = polygons[~whole & shapely.intersects(box, polygons)]
        parts = shapely.get_parts(shapely.intersection(partly, box))
    return np.concatenate((polygons[whole], parts[shapely.get_dimensions(parts) == 2]))
