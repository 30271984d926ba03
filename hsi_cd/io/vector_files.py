"""Points, lines and polygons, from files and from what GeoPandas holds in memory, as tables of shapes."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsi_cd.errors import FormatError, GridError, LabelError
from hsi_cd.io.kinds import find_input, vector_title
from hsi_cd.io.told_classes import meaning_of
from hsi_cd.io.vector_writing import STYLES
from hsi_cd.paths import as_path

_log = logging.getLogger(__name__)

_WGS84 = CRS.from_epsg(4326)
_LISTED = 12
# What every KML file has beside its own fields, none of which tells a class; its names and descriptions may.
_KML_FIELDS = ("id", "timestamp", "begin", "end", "altitudemode", "tessellate", "extrude", "visibility",
               "draworder", "icon", "snippet", "gx_media_links")  # fmt: skip


@dataclass(frozen=True)
class ShapeTable:
    """A layer of shapes with what is said of each.

    Attributes:
        name: what messages call it.
        layer: its name in the file; the file's own where it has but one.
        crs: of the coordinates, in the order x, y (longitude, latitude).
        geometry: shapely geometries in two dimensions ``(features,)``; None where a feature has none.
        fields: by name, the values of each feature, ``(features,)``.
        is_class: whether its layer's name is the class of its shapes, as those of its other layers are of theirs.
    """

    name: str
    layer: str
    crs: CRS
    geometry: NDArray[np.object_]
    fields: Mapping[str, NDArray[Any]]
    is_class: bool = False

    def __len__(self) -> int:
        """Number of features."""
        return len(self.geometry)

    @property
    def is_suggested(self) -> bool:
        """Whether these are places that ``suggest`` named, by their fields, whose names a Shapefile cuts."""
        names = {name.lower()[:10] for name in self.fields}
        return {"class", "shape", "probability"[:10]} <= names


def is_vector_file(path: str | os.PathLike[str]) -> bool:
    """Whether this is a file of shapes that can be read; False where there is no file."""
    return vector_title(as_path(path)) is not None


def is_shapes(source: Any) -> bool:
    """Whether this holds shapes in memory: a GeoDataFrame, or a mapping as GeoJSON is written."""
    return (isinstance(source, Mapping) and "type" in source) or hasattr(source, "__geo_interface__")


def has_layer(path: str | os.PathLike[str], layer: str) -> bool:
    """Whether a file has a layer of this name, whatever its letters' case.

    Raises:
        MissingInputError: the file does not exist.
        FormatError: it is damaged, or of another kind.
    """
    return any(name.casefold() == layer.casefold() for name in _layers_of(path)[2])


def read_shapes(path: str | os.PathLike[str], *, layer: str | None = None) -> list[ShapeTable]:
    """Read shapes from a GeoPackage, GeoJSON, Shapefile, FlatGeobuf or KML file.

    Args:
        path: the file; of a Shapefile the ``.shp``.
        layer: the layer to read; by default the only one with shapes, or all of them where their names are those
            of classes, as folders of KML are called *changed* and *unchanged*.

    Returns:
        A table for each layer that is read.

    Raises:
        MissingInputError: the file does not exist.
        FormatError: it is damaged, of another kind, or a table without shapes.
        GridError: it does not tell the CRS of its coordinates.
        LabelError: it has several layers, or none of this name; they are listed.
    """
    found, title, layers = _layers_of(path)
    shaped = [name for name, has_shapes in layers.items() if has_shapes]
    if layer is not None:
        same = [name for name in layers if name == layer] or [
            n for n in layers if n.casefold() == layer.casefold()
        ]
        if len(same) != 1:
            raise LabelError(f"{found} has no layer {layer!r}: its layers are {_quoted(list(layers))}")
        if same[0] not in shaped:
            raise FormatError(
                f"the layer {same[0]!r} of {found} is a table without shapes: name another by layer="
            )
        shaped = same
    elif not shaped:
        raise FormatError(f"{found} ({title}) holds no layer of shapes: draw points, lines or polygons")
    tables = [_read_layer(found, title, each, alone=len(layers) == 1) for each in shaped]
    filled = [table for table in tables if len(table)] or tables[:1]
    if len(filled) > 1 and any(meaning_of(table.layer) is None for table in filled):
        listed = _quoted([table.layer for table in filled])
        raise LabelError(f"{found} has {len(filled)} layers of shapes ({listed}): name one by layer=")
    return [replace(table, is_class=len(filled) > 1) for table in filled]


def read_layers(path: str | os.PathLike[str]) -> list[ShapeTable]:
    """All layers of shapes of a file, whatever they hold.

    Raises:
        HsiCdError: as :func:`read_shapes` says.
    """
    found, title, layers = _layers_of(path)
    return [_read_layer(found, title, name, alone=len(layers) == 1) for name, shaped in layers.items() if shaped]


def _layers_of(path: str | os.PathLike[str]) -> tuple[Path, str, dict[str, bool]]:
    """The file, its format, and whether each of its layers has shapes.

    Raises:
        MissingInputError: the file does not exist.
        FormatError: it is damaged, or of another kind.
    """
    import pyogrio

    found = find_input(path)
    title = vector_title(found)
    if title is None:
        raise FormatError(
            f"{found} is no file of shapes: give a GeoPackage, GeoJSON, Shapefile, FlatGeobuf or KML"
        )
    if title == "GML":
        raise FormatError(
            f"{found} is GML, which is not read: convert it, as with ogr2ogr {found.stem}.gpkg {found.name}"
        )
    if "!" in str(found.absolute()):
        raise FormatError(f"{found} has a '!' in its path, with which GDAL looks into archives: rename it")
    if title == "Shapefile":
        _check_siblings(found)
    listed = _calling(found, title, pyogrio.list_layers)
    if not len(listed) and title != "GeoPackage":  # which alone may have none
        raise FormatError(
            f"{found} ({title}) cannot be read (no layer is found): it is damaged; copy or export it again"
        )
    return found, title, {str(name): kind is not None for name, kind in listed if name != STYLES}


def _check_siblings(path: Path) -> None:
    """Refuse a Shapefile that is cut, or lacks the files in which its shapes are counted and its fields lie."""
    there = {each.suffix.lower(): each for each in path.parent.iterdir() if each.stem == path.stem}
    absent = [ending for ending in (".shp", ".shx", ".dbf") if ending not in there]
    if absent:
        raise FormatError(
            f"{path} is a Shapefile without {' and '.join(path.stem + ending for ending in absent)}: a Shapefile "
            "is several files of one name; copy all of them"
        )
    for each in (there[".shp"], there[".shx"]):
        # Both say in their header how many words of 16 bits they hold; GDAL reads shapes that are cut off as none.
        with each.open("rb") as file:
            told, held = 2 * int.from_bytes(file.read(28)[24:], "big"), each.stat().st_size
        if held < told:
            raise FormatError(f"{each} holds {held:,} of its {told:,} bytes: it is cut; copy or export it again")


def shapes_in_memory(source: Any) -> ShapeTable:
    """The shapes of a GeoDataFrame, or of any mapping or object that tells them as GeoJSON does.

    Args:
        source: with ``__geo_interface__``, and with ``crs``, as GeoPandas has it; or a mapping, which is in WGS 84
            longitude and latitude (RFC 7946) where it has no member ``crs``.

    Raises:
        FormatError: it is no collection of features.
        GridError: it does not tell its CRS.
    """
    name = f"the {type(source).__name__}"
    try:
        told = source if isinstance(source, Mapping) else source.__geo_interface__
        features = told["features"] if told.get("type") == "FeatureCollection" else [told]
        if not all(each["type"] == "Feature" for each in features):
            raise KeyError("type")
        geometry = np.array([None, *(_shape(each.get("geometry")) for each in features)], dtype=object)[1:]
        properties = [each.get("properties") or {} for each in features]
        if not all(isinstance(each, Mapping) for each in properties):
            raise KeyError("properties")
    except (KeyError, TypeError, AttributeError, ValueError, shapely.errors.ShapelyError) as error:
        raise FormatError(
            f"{name} holds no shapes that are understood ({' '.join(str(error).split())[:80]}): give a "
            "FeatureCollection, as GeoDataFrame.__geo_interface__ is one, or the file"
        ) from None
    names = dict.fromkeys(key for each in properties for key in each)
    fields = {str(key): _column([each.get(key) for each in properties]) for key in names}
    return ShapeTable(name, "", _crs_in_memory(source, told, name), shapely.force_2d(geometry), fields)


def _shape(geometry: Any) -> Any:
    return None if geometry is None else shapely.geometry.shape(geometry)


def _column(values: Sequence[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _crs_in_memory(source: Any, told: Mapping[str, Any], name: str) -> CRS:
    if isinstance(source, Mapping):
        given = source.get("crs", _WGS84)
        if isinstance(given, Mapping) and isinstance(given.get("properties"), Mapping):
            given = given["properties"].get("name")
    else:
        given = getattr(source, "crs", None)
    if given is None:
        raise GridError(
            f"{name} tells no CRS, so nothing says where its shapes lie: set it, as with set_crs('EPSG:4326')"
        )
    if hasattr(given, "to_wkt"):
        given = given.to_wkt()
    return _crs(given, name)


def _read_layer(path: Path, title: str, layer: str, *, alone: bool) -> ShapeTable:
    """One layer, whole; messages call it by its name, too, where it is not the file's only one.

    Raises:
        FormatError: it is damaged.
        GridError: it tells no CRS.
    """
    import pyogrio
    import pyogrio.raw

    name = path.name if alone else f"{path.name}, layer {layer!r}"
    told, _, wkb, values = _calling(
        path, title, lambda place: pyogrio.raw.read(place, layer=layer, force_2d=True, datetime_as_string=True)
    )
    expected = int(_calling(path, title, lambda place: pyogrio.read_info(place, layer=layer))["features"])
    if wkb is None:
        raise FormatError(f"{name} is a table without shapes: draw points, lines or polygons")
    if len(wkb) < expected:
        raise FormatError(f"{path} ({title}) is damaged: {expected} shapes are announced and {len(wkb)} there")
    names = [str(field) for field in told["fields"]]
    left = _KML_FIELDS if title == "KML" else ()
    fields = {field: column for field, column in zip(names, values, strict=True) if field.casefold() not in left}
    with np.errstate(invalid="ignore"):  # of coordinates that are no numbers
        geometry = shapely.from_wkb(wkb, on_invalid="ignore")
    return ShapeTable(name, layer, _crs_of_file(told["crs"], path, title), shapely.force_2d(geometry), fields)


def _calling(path: Path, title: str, call: Any) -> Any:
    """What a function of pyogrio answers on a file; its warnings (of measures, of curves) concern nobody here.

    Raises:
        FormatError: the file is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(os.fspath(path.absolute()))
    except (RuntimeError, ValueError, OSError) as error:  # all that pyogrio raises
        said = " ".join(str(error).split())
        raise FormatError(
            f"{path} ({title}) cannot be read ({said[:160]}): it is damaged; copy or export it again"
        ) from None


def _crs_of_file(told: str | None, path: Path, title: str) -> CRS:
    if not told or "undefined" in told.casefold()[:80]:
        beside = f"no {path.stem}.prj lies beside it" if title == "Shapefile" else "it is undefined"
        raise GridError(
            f"{path} tells no CRS ({beside}), so nothing says where its shapes lie: assign the one that they were "
            f"drawn in, as with ogr2ogr -a_srs EPSG:4326 {path.stem}-placed.gpkg {path.name}"
        )
    return _crs(told, path)


def _crs(told: Any, name: object) -> CRS:
    try:
        with rasterio.Env():  # in which PROJ prints nothing of its own
            return CRS.from_user_input(told)
    except (CRSError, ValueError, TypeError):
        raise GridError(f"{name} has a CRS that is not understood ({str(told)[:60]!r}): assign another") from None


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(repr(name[:40]) for name in names[:_LISTED]) + more
