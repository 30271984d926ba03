"""Tanager ortho products of Planet: surface reflectance, or radiance, on a map's grid in one HDF-EOS5 file.

Wavelengths, widths and usable bands are attributes of the image. Its place is text: the outer edges of the grid in
the structural metadata, the CRS a code of the grid.
"""

from __future__ import annotations

import re

import numpy as np
from affine import Affine
from rasterio.errors import CRSError

from hsi_cd.errors import FormatError
from hsi_cd.io.conventions import text_of
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.hdf5_granule import Granule, hdf5_files, holds, open_granule, told_crs
from hsi_cd.io.products.reflectance import FlagReader, StoredBands, reflectance_reader
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product, QualityMask

_GRID = "HDFEOS/GRIDS/HYP"
_FIELDS = f"{_GRID}/Data Fields"
_STRUCTURE = "HDFEOS INFORMATION/StructMetadata.0"
_IMAGES = {"surface_reflectance": "reflectance", "toa_radiance": "radiance"}
_MASKS = {"cloud": "beta_cloud_mask", "cirrus": "beta_cirrus_mask"}
_EVEN = 1e-3


def recognise(delivery: Delivery) -> str | None:
    """The file of a Tanager ortho product; None of anything else.

    Raises:
        FormatError: it is a basic product, which lies in the swath's geometry.
    """
    found = []
    for name in hdf5_files(delivery):
        if any(holds(delivery, name, f"{_FIELDS}/{image}", _STRUCTURE) for image in _IMAGES):
            found.append(name)
        elif any(holds(delivery, name, f"HDFEOS/SWATHS/HYP/Data Fields/{image}") for image in _IMAGES):
            raise FormatError(
                f"{delivery.shown(name)} is a basic product of Tanager, in the geometry of the swath, which has "
                "no map's grid: order ortho_surface_reflectance"
            )
    return found[0] if len(found) == 1 else None


def open_tanager(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """A Tanager ortho file as a cube.

    Raises:
        FormatError: it is damaged, or contradicts itself.
    """
    path = delivery.file(main)
    with open_granule(path) as granule:
        image = next(each for each in _IMAGES if granule.has(f"{_FIELDS}/{each}"))
        field = f"{_FIELDS}/{image}"
        stored, (count, rows, cols) = granule.reader(field, ("bands", "rows", "cols"), keep=keep)
        detector = _bands(granule, field, count)
        spectrum = one_spectrum([detector], where=str(path))
        kept = spectrum.bands[0]
        missing = (
            granule.number("_FillValue", field) if "_FillValue" in granule.array(field, ndim=3).attrs else -9999.0
        )
        gaps = f"{_FIELDS}/nodata_pixels"
        nothing = [FlagReader(granule.layer(gaps, (rows, cols)))] if granule.has(gaps) else []
        part = StoredBands(stored, kept, nodata=(missing,))
        reader, order = reflectance_reader([part], [detector.centres[i] for i in kept], hidden=nothing)
        bad = count - len(kept)
        masks = tuple(
            QualityMask(kind, FlagReader(granule.layer(f"{_FIELDS}/{layer}", (rows, cols))), source=layer)
            for kind, layer in _MASKS.items()
            if granule.has(f"{_FIELDS}/{layer}")
        )
        return Cube(
            name=name,
            grid=_grid(granule, rows, cols),
            bands=take_bands(Bands(count, detector.centres, detector.fwhm), [kept[i] for i in order]),
            dtype=np.dtype(np.float32),
            reader=reader,
            acquired=_acquired(main),
            marks=f"nodata_pixels and {missing:g}",
            product=Product(
                f"Tanager ortho {image.replace('_', ' ')}",
                _IMAGES[image],
                masks,
                (f"{bad} bands that good_wavelengths calls bad",) if bad else (),
            ),
        )


def _bands(granule: Granule, field: str, count: int) -> Detector:
    centres, widths = granule.numbers("wavelengths", field), granule.numbers("fwhm", field)
    # Radiance need not say which bands an atmospheric correction leaves: none was made.
    told = "good_wavelengths" in granule.array(field, ndim=3).attrs or not field.endswith("radiance")
    good = granule.numbers("good_wavelengths", field) if told else (1.0,) * count
    for word, values in (("wavelengths", centres), ("fwhm", widths), ("good_wavelengths", good)):
        if len(values) != count:
            raise FormatError(
                f"{granule.path}: {field} has {count} bands (band, row, col) but {len(values)} {word}: it is "
                "damaged, download it again"
            )
    return Detector("", centres, widths, tuple(flag == 1 for flag in good), ascending=True)


def _grid(granule: Granule, rows: int, cols: int) -> Grid:
    text = text_of(granule.file[_STRUCTURE][()])
    size = [_of(granule, text, rf"\b{word}=(\d+)") for word in ("YDim", "XDim")]
    if [int(n[0]) for n in size] != [rows, cols]:
        raise FormatError(
            f"{granule.path}: the image has {rows} x {cols} pixels but its grid {int(size[0][0])} x "
            f"{int(size[1][0])}: it is damaged, download it again"
        )
    left, top = _of(granule, text, r"\bUpperLeftPointMtrs=\(([^)]*)\)")
    right, bottom = _of(granule, text, r"\bLowerRightMtrs=\(([^)]*)\)")
    width, height = (right - left) / cols, (top - bottom) / rows
    if width <= 0 or abs(width - height) > _EVEN * width:
        raise FormatError(
            f"{granule.path}: its edges give pixels of {width:g} x {height:g} m: expected square ones; it is "
            "damaged, download it again"
        )
    code = granule.words("epsg_code", _GRID).upper().removeprefix("EPSG:")
    try:
        crs = told_crs(f"EPSG:{int(float(code))}")
    except (CRSError, ValueError, OverflowError) as error:
        raise FormatError(
            f"{granule.path}: epsg_code {code[:20]!r} is no CRS ({error}): download it again"
        ) from None
    if not crs.is_projected:
        raise FormatError(f"{granule.path}: epsg_code {code[:20]!r} is no map projection: download it again")
    return Grid(rows, cols, crs, Affine(width, 0, left, 0, -height, top))


def _of(granule: Granule, text: str, pattern: str) -> list[float]:
    """The finite numbers that the structural metadata tell."""
    found = re.search(pattern, text)
    try:
        numbers = [float(part) for part in found[1].split(",")] if found else []
    except ValueError:
        numbers = []
    if (
        not numbers
        or not np.isfinite(numbers).all()
        or len(numbers) > 2
        or ("Mtrs" in pattern) != (len(numbers) == 2)
    ):
        raise FormatError(
            f"{granule.path}: its {_STRUCTURE} does not tell {pattern[2:].split('=')[0]}: download it again"
        )
    return numbers


def _acquired(name: str) -> str:
    """The time that the file's name begins with, in ISO 8601, or an empty text."""
    found = re.match(r"(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)", name)
    return "{}-{}-{}T{}:{}:{}".format(*found.groups()) if found else ""
