"""AVIRIS-3, AVIRIS-5 and AVIRIS-NG: orthorectified reflectance, as NetCDF or as ENVI files.

The NetCDF file keeps the image in the group ``reflectance`` with its wavelengths, and its place as attributes of
the variable of its projection. ENVI files tell all in the header; flight lines lie rotated on the map.
"""

from __future__ import annotations

import re

import numpy as np
from affine import Affine
from rasterio.errors import CRSError

from hsi_cd.errors import FormatError
from hsi_cd.io.conventions import even_spacing
from hsi_cd.io.kinds import FileKind, file_kind
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.flight_lines import RADIANCE, envi_images, open_flight_line
from hsi_cd.io.products.hdf5_granule import Granule, hdf5_files, holds, open_granule, told_crs
from hsi_cd.io.products.reflectance import StoredBands, reflectance_reader
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product

_IMAGE = "reflectance/reflectance"
_MISSING = -9999.0
_PROJECTION = "transverse_mercator"
_RADIANCE = r"_rdn(_|$)"
_ENVI = r"(AV3|AV5|ang)\d{8}t\d{6}(?!.*\.hdr$).*_(rfl|corr|rdn).*"
_SENSORS = {"av3": "AVIRIS-3", "av5": "AVIRIS-5", "ang": "AVIRIS-NG"}
_EDGE = 0.51  # of a pixel: how far the first coordinate may lie off the middle of the first pixel
_OFF = 1e-3  # of a pixel: how far coordinates may lie off the transform


def recognise(delivery: Delivery) -> str | None:
    """The file of an AVIRIS product; None of anything else.

    Raises:
        FormatError: it is not orthorectified, or a folder holds several.
    """
    found = [n for n in hdf5_files(delivery) if holds(delivery, n, _IMAGE, "reflectance/wavelength")]
    if len(found) == 1:
        if not holds(delivery, found[0], _PROJECTION):
            raise FormatError(
                f"{delivery.shown(found[0])} is AVIRIS reflectance in the geometry of the flight line, which "
                "has no map's grid: take the orthorectified file (_RFL_ORT)"
            )
        return found[0]
    return delivery.only(list(envi_images(delivery, _ENVI)), "AVIRIS images")


def open_aviris(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """An AVIRIS product as a cube.

    Raises:
        FormatError: it is damaged, or contradicts itself.
    """
    path = delivery.file(main)
    if file_kind(path) is not FileKind.HDF5:
        scaling = (lambda _: (RADIANCE, (), ())) if re.search(_RADIANCE, main, re.IGNORECASE) else None
        return open_flight_line(
            delivery, main, name, keep, title=_sensor(main), acquired=_flown(main), scaling=scaling
        )
    with open_granule(path) as granule:
        stored, (count, rows, cols) = granule.reader(_IMAGE, ("bands", "rows", "cols"), keep=keep)
        centres = granule.listed("reflectance/wavelength")
        widths = granule.listed("reflectance/fwhm") if granule.has("reflectance/fwhm") else ()
        if len(centres) != count or len(widths) not in (0, count):
            raise FormatError(
                f"{path}: {_IMAGE} has {count} bands (wavelength, northing, easting) but {len(centres)} "
                f"wavelengths and {len(widths)} widths: it is damaged, download it again"
            )
        kept = one_spectrum([Detector("", centres, widths, ascending=True)], where=str(path)).bands[0]
        attributes = granule.array(_IMAGE, ndim=3).attrs
        missing = granule.numbers("_FillValue", _IMAGE)[0] if "_FillValue" in attributes else _MISSING
        part = StoredBands(stored, kept, nodata=tuple({missing, _MISSING}))
        reader, order = reflectance_reader([part], [centres[band] for band in kept])
        return Cube(
            name=name,
            grid=_grid(granule, rows, cols),
            bands=take_bands(Bands(count, centres, widths), [kept[i] for i in order]),
            dtype=np.dtype(np.float32),
            reader=reader,
            acquired=granule.words("time_coverage_start", default="")[:19] or _flown(main),
            marks=f"{missing:g}",
            product=Product(f"{_sensor(main)} reflectance"),
        )


def _grid(granule: Granule, rows: int, cols: int) -> Grid:
    """The grid, from the attributes of the projection; coordinates beside it must agree."""
    stored = granule.attribute("GeoTransform", _PROJECTION)
    text = " ".join(map(str, stored)) if np.size(stored) == 6 else granule.words("GeoTransform", _PROJECTION)
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != 6 or not np.isfinite(numbers).all():
        raise FormatError(
            f"{granule.path}: GeoTransform is {text[:60]!r}: expected six numbers; download it again"
        )
    transform = Affine.from_gdal(*numbers)
    if abs(transform.determinant) < 1e-12:
        raise FormatError(f"{granule.path}: GeoTransform {text[:60]!r} gives pixels of no size: download it again")
    words = granule.words("spatial_ref", _PROJECTION, default="") or granule.words("crs_wkt", _PROJECTION)
    try:
        crs = told_crs(words)
    except (CRSError, ValueError) as error:
        raise FormatError(f"{granule.path}: its CRS {words[:60]!r} is not understood ({error})") from None
    for axis, size, step, start in (
        ("easting", cols, transform.a, transform.c),
        ("northing", rows, transform.e, transform.f),
    ):
        if transform.is_rectilinear and granule.has(axis):
            places = np.asarray(granule.listed(axis))
            spacing = even_spacing(places)
            # They may be of the pixels' middles or of their edges.
            apart = abs(places[0] - (start + step / 2)) / abs(step) if len(places) else 0.0
            if (
                len(places) != size
                or not apart <= _EDGE
                or (spacing is not None and abs(spacing - step) > _OFF * abs(step))
            ):
                raise FormatError(
                    f"{granule.path}: {axis} has {len(places)} values for {size} pixels of {abs(step):g} m, from "
                    f"{start:.10g}: it contradicts its transform; download it again"
                )
    return Grid(rows, cols, crs, transform)


def _sensor(name: str) -> str:
    return _SENSORS.get(name[:3].lower(), "AVIRIS")


def _flown(name: str) -> str:
    """The time in the file's name, in ISO 8601, or an empty text."""
    found = re.match(r"[A-Za-z0-9]{3}(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)", name)
    return "{}-{}-{}T{}:{}:{}".format(*found.groups()) if found else ""
