"""Layers of shapes written as GeoPackage or GeoJSON, with the style in which a GIS shows them.

A GeoPackage holds its style itself, in the table ``layer_styles`` that QGIS made the custom; GeoJSON cannot.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from hsi_cd.errors import OutputError
from hsi_cd.io.qml import ShapeStyle, shapes_qml
from hsi_cd.io.sld import shapes_sld

VECTOR_DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON"}
"""Kinds of vector files, by the ending of their name."""

STYLES = "layer_styles"
"""The table of a GeoPackage that holds styles, which is no layer of its own."""

_NO_DATE = "1970-01-01T00:00:00.000Z"  # of a GeoPackage, so that the same content is the same file
_VERSION = "1.3"  # of GeoPackage: GDAL 3.6, with QGIS 3.22, warns of a later one
_MIXED = "Unknown"
# As QGIS makes it, to the letter: it looks for these columns.
_TABLE = f"""CREATE TABLE {STYLES} (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
 f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT,
 styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME)"""


def write_layer(
    path: Path,
    wkb: NDArray[np.object_],
    fields: Mapping[str, NDArray[Any]],
    *,
    layer: str,
    crs: CRS | None,
    geometry: str,
    style: ShapeStyle,
    description: str = "",
) -> str | None:
    """Write a file of one layer. The same content is the same file.

    Args:
        path: the file, ending in .gpkg or .geojson; the caller sees to it that it does not exist.
        wkb: well-known binary of each shape, ``(features,)``.
        fields: values by field, one for each shape.
        layer: its name.
        crs: of the shapes.
        geometry: ``Point``, ``Polygon``, or ``Unknown`` where there are several.
        style: how it is shown.
        description: what the file says of the layer, which QGIS shows among its properties.

    Returns:
        The style as QGIS reads it, which a GeoPackage holds; None where one style cannot show the geometries.

    Raises:
        OutputError: the file cannot be written.
    """
    # Here, because pyogrio brings a GDAL of its own, which reading and writing rasters does not need.
    import pyogrio.raw
    from pyogrio.errors import DataSourceError, FeatureError

    driver = VECTOR_DRIVERS[path.suffix.lower()]
    try:
        with _no_date():
            pyogrio.raw.write(
                os.fspath(path),
                wkb,
                list(fields.values()),
                list(fields),
                layer=layer,
                driver=driver,
                geometry_type=geometry,
                crs=crs.to_wkt() if crs is not None else None,
                layer_options={
                    **({"RFC7946": "YES"} if driver == "GeoJSON" else {}),
                    **({"DESCRIPTION": description} if description else {}),
                },
                dataset_options={"VERSION": _VERSION} if driver == "GPKG" else {},
            )
        told = None if geometry == _MIXED else shapes_qml(style, geometry)
        if driver == "GPKG" and told is not None:
            _keep_style(path, layer, told, shapes_sld(style, geometry, layer=layer), title=style.title)
    except (DataSourceError, FeatureError, sqlite3.Error) as error:
        raise OutputError(f"{path} cannot be written ({str(error).splitlines()[0]}): is the disk full?") from error
    return told


def _keep_style(path: Path, layer: str, qml: str, sld: str, *, title: str) -> None:
    """Put a style, in QGIS's words and the standard's, into a GeoPackage as that of its layer."""
    with closing(sqlite3.connect(path)) as file, file:
        column = file.execute("SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,))
        (shapes,) = column.fetchone()
        file.execute(_TABLE)
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
            "VALUES (?, 'attributes', ?, '', ?, 0)",
            (STYLES, STYLES, _NO_DATE),
        )
        file.execute(
            f"INSERT INTO {STYLES} (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
            "styleQML, styleSLD, useAsDefault, description, owner, update_time) "
            "VALUES ('', '', ?, ?, ?, ?, ?, 1, ?, '', ?)",
            (layer, shapes, title, qml, sld, title, _NO_DATE),
        )


@contextmanager
def _no_date() -> Iterator[None]:
    """GDAL writes no date of its own while this lasts."""
    import pyogrio

    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _NO_DATE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
