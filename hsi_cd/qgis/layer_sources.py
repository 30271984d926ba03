"""What a layer of QGIS is called by its provider, and which file that is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

RASTERS, VECTORS = "gdal", "ogr"
"""The providers that read files."""

_WITHIN = {  # GDAL's names of a part of a file, whose whole the command reads
    "NETCDF": r'"?(?P<path>[^"]+?)"?:[^:"/\\]+',
    "HDF5": r'"?(?P<path>[^"]+?)"?:/{1,2}.+',
    "SENTINEL2_L1C": r"(?P<path>.+):[^:]+:[^:]+",
    "SENTINEL2_L2A": r"(?P<path>.+):[^:]+:[^:]+",
}
_DRIVER = re.compile(r"(?P<driver>[A-Za-z][A-Za-z0-9_]+):(?P<rest>.+)", re.DOTALL)
_ARCHIVED_PRODUCT = re.compile(r"/vsi(?:zip|tar)/(?P<path>.+?\.(?:zip|tar|tgz|tar\.gz))/.+", re.IGNORECASE)


class SourceError(ValueError):
    """A layer is no file that the command can read; the message says so in one line."""


@dataclass(frozen=True)
class Source:
    """A file, and the layer in it.

    Attributes:
        path: of the file, as the command takes it.
        layer: its name, where the file holds several; else empty.
    """

    path: str
    layer: str = ""


@dataclass(frozen=True)
class Bounds:
    """A rectangle.

    Attributes:
        rectangle: least x, least y, greatest x, greatest y.
        crs: theirs, as EPSG:4326 or as WKT; empty for the scene's.
    """

    rectangle: tuple[float, float, float, float]
    crs: str = ""


def raster_source(source: str, provider: str, title: str) -> Source:
    """The file behind a raster layer.

    A variable of a NetCDF or HDF5 file, and a subset of a Sentinel-2 product, stand for their file, since the
    command knows products as a whole. Names of archives and addresses (``/vsizip/...``, ``/vsicurl/...``) are the
    command's own, too.

    Args:
        source: as the layer has it.
        provider: of the layer.
        title: of the parameter, for the message.

    Raises:
        SourceError: no file is behind it, or it is a part of one that has no name on the command line.

    Example:
        >>> raster_source('NETCDF:"/a/emit.nc":reflectance', "gdal", "t1").path
        '/a/emit.nc'
    """
    if provider != RASTERS:
        raise SourceError(f"{title}: the layer comes from {provider}, not from a file: save it as a GeoTIFF first")
    name = source.partition("|")[0]
    found = _DRIVER.fullmatch(name)
    if found is None or _is_there(name) or len(found["driver"]) == 1 or found["rest"].startswith("//"):
        return Source(name)  # a path, one with a drive's letter, or an address
    pattern = _WITHIN.get(found["driver"].upper())
    within = re.fullmatch(pattern, found["rest"], re.DOTALL) if pattern else None
    if within is None:
        raise SourceError(f"{title}: {name} is a part of a file: choose the file itself")
    archived = _ARCHIVED_PRODUCT.fullmatch(within["path"])
    return Source(_from_root(archived["path"]) if archived else within["path"])


def vector_source(source: str, provider: str, title: str) -> Source:
    """The file behind a vector layer, and the layer's name in it.

    Raises:
        SourceError: no file is behind it, or only some of its features are shown.

    Example:
        >>> vector_source("/a/labels.gpkg|layername=drawn", "ogr", "labels")
        Source(path='/a/labels.gpkg', layer='drawn')
    """
    if provider != VECTORS:
        raise SourceError(
            f"{title}: the layer comes from {provider}, not from a file: save it as a GeoPackage first"
        )
    path, *facts = source.split("|")
    told = dict(fact.partition("=")[::2] for fact in facts)
    if "subset" in told or "layerid" in told:
        raise SourceError(f"{title}: {source} is a part of a file: save what it shows as a GeoPackage first")
    return Source(path, told.get("layername", ""))


def one_layer(sources: list[Source], title: str) -> str:
    """The one name of a layer that the command is told for several files; empty where none is needed.

    Raises:
        SourceError: two files would need two names.
    """
    names = sorted({source.layer for source in sources if source.layer})
    if len(names) > 1:
        raise SourceError(
            f"{title}: layers {', '.join(names)} lie in files with several layers, and the command takes "
            "one name: save one as a file of its own"
        )
    return names[0] if names else ""


def _from_root(path: str) -> str:
    """``/vsizip//home/a.zip`` and ``/vsizip/home/a.zip`` are one archive to GDAL."""
    rooted = "/" + path.lstrip("/")
    return path if _is_there(path) or not _is_there(rooted) else rooted


def _is_there(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - a pathlib.Path refuses the long names that layers may have
