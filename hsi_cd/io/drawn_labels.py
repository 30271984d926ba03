"""Labels as people draw them: points, lines and polygons with a class, put on the pixels of a scene."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hsi_cd.errors import GridError, LabelError
from hsi_cd.io.burning import NOBODY, PixelShapes, are_there, burn
from hsi_cd.io.class_fields import UNSAID, ShapeClasses, classes_of
from hsi_cd.io.class_names import ClassNames, declared
from hsi_cd.io.shape_parts import ShapeParts, parts_of
from hsi_cd.io.vector_files import ShapeTable
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Grid, Labels, LabelScheme
from hsi_cd.scene.contract import crs_name, holds, placement
from hsi_cd.scene.surface import transformed

_log = logging.getLogger(__name__)

_WORDS = {UNCHANGED: "unchanged", CHANGED: "changed"}
_MUCH = 0.5  # share of the rectangle around a shape beyond the scene from which it is told


@dataclass(frozen=True)
class _Drawn:
    """Shapes that have a class, one part of a feature each, in pixels of the scene.

    Attributes:
        geometry: shapely geometries ``(shapes,)``.
        codes: UNCHANGED or CHANGED of each.
        kinds: kind of change of each; zeros where there is one kind.
        table: index of the table that each comes from.
    """

    geometry: NDArray[np.object_]
    codes: NDArray[np.int16]
    kinds: NDArray[np.int32]
    table: NDArray[np.intp]

    def of(self, which: NDArray[np.bool_]) -> _Drawn:
        return _Drawn(self.geometry[which], self.codes[which], self.kinds[which], self.table[which])


def labels_of_shapes(
    tables: Sequence[ShapeTable],
    grid: Grid,
    *,
    scheme: LabelScheme | ClassNames | None = None,
    field: str | None = None,
    place: str = "the scene",
    kinds: bool = False,
) -> Labels:
    """The labels that drawn shapes give to the pixels of a scene.

    A pixel belongs to the polygon that covers its centre, to the line that touches it, to the point that lies in
    it; a polygon that covers no centre gets the pixel of which it covers most. Of shapes of one class, the first
    keeps a pixel that several claim; a pixel that shapes of both classes claim is unlabelled, and told. Parts
    of a feature that lie apart are shapes of their own. Features without a class, or of an ignored one, label
    nothing.

    Args:
        tables: shapes with their fields, in the order in which they are numbered.
        grid: the scene's, with its georeference.
        scheme: what the values of the field mean; by default told from them.
        field: the field that tells the class; by default found.
        place: what messages call the grid.
        kinds: whether values that nobody declared are kinds of change, all but those that mean unchanged.

    Returns:
        Labels ``(rows, cols)`` with the number of the shape of each labelled pixel.

    Raises:
        GridError: the grid has no place, or its CRS cannot be related to that of the shapes.
        LabelError: classes are not understood, no shape lies in the scene, or they are all of one class.
    """
    name = " + ".join(dict.fromkeys(table.name for table in tables))
    found = classes_of(tables, names=declared(scheme), field=field, kinds=kinds)
    notes: list[str] = []
    drawn = _drawn([parts_of(table, notes) for table in tables], found, notes, name)
    places = [in_pixels(drawn.geometry[drawn.table == i], table, grid, place) for i, table in enumerate(tables)]
    drawn = replace(drawn, geometry=np.concatenate(places))
    count, drawn = len(drawn.codes), _inside(drawn, grid, notes)
    if not len(drawn.codes):
        raise LabelError(f"{name}: none of its {count} shapes lies in {place}, {_where(tables, grid)}")
    if len(codes := np.unique(drawn.codes)) < 2:
        other = _WORDS[CHANGED if codes[0] == UNCHANGED else UNCHANGED]
        left = f" ({'; '.join(notes)})" if notes else ""
        raise LabelError(
            f"{name}: all {len(drawn.codes)} shapes in {place} are {_WORDS[int(codes[0])]}{left}: draw places "
            f"that are {other}, too, or name a second file of labels beside it"
        )
    values, shapes, contradicted = _burnt(drawn, grid, notes)
    if notes:
        _log.warning("%s: %s", name, "; ".join(notes))
    for code, word in _WORDS.items():
        if not (values == code).any():
            if contradicted:
                raise LabelError(
                    f"{name}: shapes of both classes lie on every pixel that is drawn {word}: draw them apart"
                )
            raise LabelError(
                f"{name}: no shape that is {word} covers the middle of a pixel of {place}: draw further inside"
            )
    of_pixels = None
    if found.scheme is not None:
        by_number = np.concatenate(([0], np.where(drawn.codes == CHANGED, drawn.kinds, 0))).astype(np.int32)
        of_pixels = by_number[shapes]
    own = found.scheme or Labels(values).scheme
    asked = np.array([table.is_suggested for table in tables])[drawn.table]
    suggested = tuple((np.flatnonzero(asked) + 1).tolist())
    told: dict[str, Any] = {
        "kinds": of_pixels,
        "kind_names": found.names,
        "shapes": shapes,
        "suggested": suggested,
    }
    return Labels(values, scheme=own, name=name, place=grid, **told)


def _drawn(pieces: Sequence[ShapeParts], found: ShapeClasses, notes: list[str], name: str) -> _Drawn:
    """The parts of the features that label something; the others are noted.

    Raises:
        LabelError: none does.
    """
    firsts = np.cumsum([0, *(each.features for each in pieces)])
    owner = np.concatenate([each.owner + first for each, first in zip(pieces, firsts, strict=False)])
    table = np.repeat(np.arange(len(pieces)), [len(each.owner) for each in pieces])
    count = int(firsts[-1])
    if not count:
        raise LabelError(f"{name} holds no shape: draw some of changed and of unchanged places")
    there = np.isin(np.arange(count), owner)
    unsaid, left = found.codes == UNSAID, found.codes == UNLABELLED
    if not (there & ~unsaid & ~left).any():
        what = "points, lines or polygons" if not there.any() else "a class: fill in changed or unchanged"
        raise LabelError(f"{name}: none of its {count} features has {what}")
    for which, said in (
        (unsaid & there, "have no class yet and are left out"),
        (~there, "have no points, lines or polygons and are left out"),
        (left & there, "are of a class that is ignored"),
    ):
        if which.any():
            notes.append(f"{int(which.sum())} of {count} features {said}")
    wanted = ~(unsaid | left)[owner]
    owner = owner[wanted]
    kinds = np.zeros(len(owner), np.int32) if found.kinds is None else found.kinds[owner]
    geometry = np.concatenate([each.geometry for each in pieces])[wanted]
    return _Drawn(geometry, found.codes[owner], kinds, table[wanted])


def in_pixels(shapes: NDArray[np.object_], table: ShapeTable, grid: Grid, place: str) -> NDArray[np.object_]:
    """Shapes of a table in pixels of the grid; beside it where the grid's CRS has no such place.

    Args:
        shapes: shapely geometries ``(shapes,)``.
        table: the table that they come from, with its CRS.
        grid: the grid.
        place: what messages call it.

    Raises:
        GridError: the grid has no place, or its CRS cannot be related to that of the shapes.
    """
    placed = placement(grid)
    if placed is None or placed[1] is None:
        lacks = "CRS" if placed is not None else "CRS and transform"
        raise GridError(
            f"{table.name} holds shapes in {crs_name(table.crs)}, but {place} has no {lacks} by which to place "
            "them on its pixels: georeference it first, or give labels as a raster of its pixels"
        )
    to_pixel, crs = ~placed[0], placed[1]
    coordinates, of = shapely.get_coordinates(shapes, return_index=True)
    x, y = coordinates.T
    if crs != table.crs and len(x):
        try:
            x, y = transformed(table.crs, crs, x, y)
        except GridError as error:
            raise GridError(
                f"the CRS of {table.name} ({crs_name(table.crs)}) cannot be related to that of {place} "
                f"({crs_name(crs)}): {error}; draw them on the scene itself"
            ) from error
    moved = np.stack(
        (to_pixel.a * x + to_pixel.b * y + to_pixel.c, to_pixel.d * x + to_pixel.e * y + to_pixel.f), 1
    )
    geometry, beyond = shapes.copy(), np.zeros(len(shapes), dtype=bool)
    beyond[of[~np.isfinite(moved).all(axis=1)]] = True
    geometry[beyond] = shapely.Point(-1, -1)
    geometry[~beyond] = shapely.set_coordinates(geometry[~beyond], moved[~beyond[of]])
    return geometry


def _inside(drawn: _Drawn, grid: Grid, notes: list[str]) -> _Drawn:
    """The shapes that reach into the scene; those beyond it, and those that are mostly, are noted."""
    left, top, right, bottom = shapely.bounds(drawn.geometry).T
    scene = shapely.box(0, 0, grid.cols, grid.rows)
    shapely.prepare(scene)
    inside = (right >= 0) & (bottom >= 0) & (left < grid.cols) & (top < grid.rows)
    inside &= shapely.intersects(scene, drawn.geometry)  # which the rectangle around a shape may, and itself not
    if outside := int((~inside).sum()):
        notes.append(f"{outside} of {len(drawn.codes)} shapes lie outside of the scene and are left out")
    across, down = (
        np.where(high > low, np.minimum(high, size) - np.maximum(low, 0), 1) / np.where(high > low, high - low, 1)
        for low, high, size in ((left, right, grid.cols), (top, bottom, grid.rows))
    )
    if cut := int((inside & (across * down < _MUCH)).sum()):
        notes.append(f"{cut} of {len(drawn.codes)} shapes lie mostly outside of the scene and are cut")
    return drawn.of(inside)


def _burnt(drawn: _Drawn, grid: Grid, notes: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int32], bool]:
    """Class and shape of each pixel; what shapes of both classes claim is unlabelled, and noted.

    Returns:
        The classes, the shapes, and whether shapes of both classes claim any pixel.
    """
    every = PixelShapes(drawn.geometry, np.arange(1, len(drawn.codes) + 1, dtype=np.int32))
    unchanged, changed = (burn(every.of(drawn.codes == code), grid.shape) for code in (UNCHANGED, CHANGED))
    if idle := int((~are_there(every.numbers, unchanged) & ~are_there(every.numbers, changed)).sum()):
        notes.append(
            f"{idle} of {len(drawn.codes)} shapes label no pixel: they cover no pixel's middle in the scene, or "
            "lie under others of their class"
        )
    both = (unchanged != NOBODY) & (changed != NOBODY)
    values = np.full(grid.shape, UNLABELLED, dtype=np.uint8)
    values[unchanged != NOBODY], values[changed != NOBODY] = UNCHANGED, CHANGED
    values[both] = UNLABELLED
    claimed = np.append(unchanged[both], changed[both])
    shapes = np.minimum(unchanged, changed, out=unchanged)
    shapes[both] = NOBODY
    if pixels := int(both.sum()):
        notes.append(f"{pixels} pixels are claimed by shapes of both classes and are left unlabelled")
        if lost := int((are_there(every.numbers, claimed) & ~are_there(every.numbers, shapes)).sum()):
            notes.append(f"{lost} of {len(drawn.codes)} shapes have no other pixel")
    shapes[shapes == NOBODY] = 0
    return values, shapes, pixels > 0


def _where(tables: Sequence[ShapeTable], grid: Grid) -> str:
    """Where shapes lie and where the scene, in words."""
    bounds = [b for table in tables if len(table) and np.isfinite(b := shapely.total_bounds(table.geometry)).all()]
    placed = placement(grid)
    if not bounds or placed is None:  # pragma: no cover - shapes without coordinates were refused before
        return "check its CRS"
    crs = tables[0].crs
    x0, y0, x1, y1 = bounds[0]
    corners = [placed[0] @ corner for corner in ((0, 0), (grid.cols, 0), (0, grid.rows), (grid.cols, grid.rows))]
    xs, ys = zip(*corners, strict=True)
    theirs = f"{x0:.6g} to {x1:.6g}, {y0:.6g} to {y1:.6g} in {crs_name(crs)}"
    ours = f"{min(xs):.6g} to {max(xs):.6g}, {min(ys):.6g} to {max(ys):.6g}"
    ours += f" in {crs_name(placed[1])}" if placed[1] is not None else ""
    if crs.is_geographic and (max(abs(x0), abs(x1)) > 361 or max(abs(y0), abs(y1)) > 91):
        return f"and its coordinates ({theirs}) are no degrees: assign the CRS that it was drawn in"
    if crs.is_geographic and holds(grid, (y0 + y1) / 2, (x0 + x1) / 2, crs):
        return f"but they would if their coordinates ({theirs}) were swapped: write longitude before latitude"
    return f"which covers {ours}; they cover {theirs}: give labels of this scene, and check their CRS"
