"""Reference samples as files: points to be interpreted, with what is needed to estimate from them.

The design travels in the fields of each point, and not beside them: whatever program filled them in, and whatever
format it saved, the number of pixels of each stratum and the map that they were drawn from are still there. Names
of fields have ten letters at most, which is what a Shapefile keeps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hsi_cd.errors import LabelError
from hsi_cd.io.class_fields import classes_of
from hsi_cd.io.class_maps import TWO
from hsi_cd.io.class_names import ClassNames, declared, text_of_value
from hsi_cd.io.drawn_labels import in_pixels
from hsi_cd.io.reference_kinds import kinds_of
from hsi_cd.io.regions import in_place
from hsi_cd.io.shape_files import write_features
from hsi_cd.io.vector_files import ShapeTable, read_shapes
from hsi_cd.scene import Grid, LabelScheme
from hsi_cd.scene.contract import placement

REFERENCE = "reference"
"""The field to be filled in."""


def called(name: str) -> str:
    """What the field ``stratum`` says: never a bare class, which somebody could take for what is there."""
    return f"called {name}"


_LAYER = "reference_sample"
_WHOLE = ("id", "row", "col", "pixels", "drawn")  # fields that hold whole numbers
_FIELDS = (*_WHOLE, "stratum", "area", "unit", "map", REFERENCE)
_SHOWN = 5
_UNITS = "m2", "pixels"


@dataclass(frozen=True)
class ReferencePoints:
    """The points of a sample, as a file has them.

    Attributes:
        name: what messages call it.
        id: number of each point, ``(points,)``.
        row: its row in the map.
        col: its column.
        stratum: class that the map gave it.
        pixels: number of pixels of its stratum.
        drawn: number of points that were drawn of its stratum.
        area: area of its stratum.
        unit: of the areas.
        map: by what the map is known again.
        reference: class that is there, UNLABELLED, or :data:`~hsi_cd.io.class_fields.UNSAID` of each.
        xy: where it lies, in columns and rows of the map, ``(points, 2)``; None where the map has no place.
    """

    name: str
    id: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    stratum: NDArray[np.int64]
    pixels: NDArray[np.int64]
    drawn: NDArray[np.int64]
    area: NDArray[np.float64]
    unit: str
    map: str
    reference: NDArray[np.int16]
    xy: NDArray[np.float64] | None


def write_reference_points(
    path: str | os.PathLike[str],
    fields: Mapping[str, NDArray[Any]],
    *,
    grid: Grid,
    overwrite: bool = False,
) -> None:
    """Write the points of a sample, each in the middle of its pixel.

    Args:
        path: the file, ending in .gpkg or .geojson.
        fields: by the names of :class:`ReferencePoints`, one value for each point; ``row`` and ``col`` place it.
        grid: of the map.
        overwrite: whether a file of this name may be replaced.

    Raises:
        FormatError: the name's ending tells no format.
        GridError: the grid has no CRS and transform.
        OutputError: the file exists or cannot be written.
    """
    middle = shapely.points(np.asarray(fields["col"]) + 0.5, np.asarray(fields["row"]) + 0.5)
    write_features(
        path, in_place(middle, grid), fields, grid=grid, layer=_LAYER, told_by=REFERENCE, overwrite=overwrite
    )


def read_reference_points(
    path: str | os.PathLike[str],
    grid: Grid,
    *,
    names: Mapping[int, str] = TWO,
    scheme: LabelScheme | ClassNames | None = None,
    layer: str | None = None,
    field: str | None = None,
) -> ReferencePoints:
    """Read the points of a sample, whose field ``reference`` somebody has filled in.

    Args:
        path: the file, in any format and CRS that drawn labels may have.
        grid: of the map.
        names: of the map's classes, by code. Of kinds of change the field says these, or the codes.
        scheme: what the values of the field mean; by default told from them, as those of drawn labels are.
        layer: the layer, where the file has several.
        field: the field that tells the class, in place of ``reference``.

    Raises:
        LabelError: it is no sample, points were added or are there twice, or a class is not understood.
        HsiCdError: as :func:`hsi_cd.io.vector_files.read_shapes` says.
    """
    table = read_shapes(path, layer=layer)[0]
    held = {name.lower(): values for name, values in table.fields.items()}
    absent = [name for name in _FIELDS if name not in held and not (name == REFERENCE and field)]
    if absent:
        raise LabelError(
            f"{table.name} is no reference sample: it has no field {', '.join(absent)}; interpret the points of a "
            "file that sample_map wrote"
        )
    if not len(table):
        raise LabelError(f"{table.name} holds no point: interpret those of a file that sample_map wrote")
    named = {name.lower(): name for name in table.fields}
    by_hand = np.array([text_of_value(value) is None for value in held["id"]], dtype=bool)
    if by_hand.any():
        raise LabelError(
            f"{table.name}: {by_hand.sum()} of its {len(table)} features have no id: what was drawn by hand is no "
            "part of a random sample; remove them"
        )
    whole = {name: _whole(table.name, name, held[name]) for name in _WHOLE}
    if len(set(whole["id"].tolist())) < len(table):
        numbers, count = np.unique(whole["id"], return_counts=True)
        twice = ", ".join(map(str, numbers[count > 1][:_SHOWN].tolist()))
        raise LabelError(f"{table.name}: the points with the id {twice} are there twice: keep each once")
    at = np.stack((whole["row"], whole["col"]))
    places, count = np.unique(at, axis=1, return_counts=True)
    if (count > 1).any():
        same = (at == places[:, [int(np.argmax(count > 1))]]).all(axis=0)
        listed = ", ".join(map(str, whole["id"][same][:_SHOWN].tolist()))
        raise LabelError(f"{table.name}: the points {listed} are the same pixel: keep the one that was drawn")
    codes = {called(name): code for code, name in names.items()}
    words = [text_of_value(value) or "" for value in held["stratum"]]
    if strange := sorted({word for word in words if word not in codes}):
        raise LabelError(f"{table.name}: stratum {strange[0]!r}: expected {' or '.join(codes)}, as it was written")
    told = field or named[REFERENCE]
    if names.keys() == TWO.keys():
        reference = classes_of([table], names=declared(scheme), field=told).codes
    else:
        reference = kinds_of(table, names, declared(scheme), field=told)
    try:
        area = np.array(held["area"], dtype=np.float64)
    except (TypeError, ValueError):
        raise LabelError(
            f"{table.name}: a field area holds no number: it was changed since it was drawn"
        ) from None
    unit = _only(table.name, "unit", held["unit"])
    if unit not in _UNITS:
        raise LabelError(
            f"{table.name}: the unit {unit[:40]!r} is none of {' and '.join(_UNITS)}: take the fields from the "
            "file that sample_map wrote"
        )
    return ReferencePoints(
        name=table.name,
        **whole,
        stratum=np.array([codes[word] for word in words], dtype=np.int64),
        area=area,
        unit=unit,
        map=_only(table.name, "map", held["map"]),
        reference=reference,
        xy=_places(table, grid),
    )


def _whole(name: str, field: str, values: NDArray[Any]) -> NDArray[np.int64]:
    try:
        found = np.array([float(value) for value in values])
        if not np.array_equal(found, np.round(found)):
            raise ValueError
    except (TypeError, ValueError):
        raise LabelError(
            f"{name}: a field {field} holds no whole number: it was changed since it was drawn"
        ) from None
    return found.astype(np.int64)


def _only(name: str, field: str, values: NDArray[Any]) -> str:
    """The one value that all points share."""
    found = sorted({text_of_value(value) or "" for value in values})
    if len(found) != 1:
        said = ", ".join(map(repr, found[:_SHOWN]))
        raise LabelError(f"{name}: its points have the {field} {said}: give the points of one sample")
    return found[0]


def _places(table: ShapeTable, grid: Grid) -> NDArray[np.float64] | None:
    """Where the points lie in the map, NaN for one without a place; None where the map has no CRS."""
    placed = placement(grid)
    if placed is None or placed[1] is None:
        return None
    points = np.array([shapely.Point() if each is None else each for each in table.geometry], dtype=object)
    middle = shapely.centroid(points)
    there = ~shapely.is_empty(middle)
    found = np.full((len(points), 2), np.nan)
    found[there] = shapely.get_coordinates(in_pixels(middle[there], table, grid, "the map"))
    return found
