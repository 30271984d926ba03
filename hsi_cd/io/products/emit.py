"""EMIT L2A: surface reflectance in the geometry of the swath, with the table that puts it on the ground.

The table (``location/glt_x``, ``glt_y``, counted from 1, 0 for none) lies on the grid that ``geotransform`` and
``spatial_ref`` of the file tell. Clouds are told by a file of their own, ``EMIT_L2A_MASK_...``, which is found
beside the image by its time and shape. EMIT L2A Algorithm Theoretical Basis Document, JPL D-107862.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import CRSError

from hsi_cd.errors import FormatError
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.emit_masks import MASK, find_masks
from hsi_cd.io.products.hdf5_granule import Granule, hdf5_files, holds, open_granule, told_crs
from hsi_cd.io.products.reflectance import StoredBands, reflectance_reader
from hsi_cd.io.products.swath import Loaded, Swath
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product

_IMAGE = "reflectance"
_TABLE = ("location/glt_y", "location/glt_x")
_PARAMETERS = "sensor_band_parameters"
_MISSING = -9999.0
_OFF = 2.0  # pixels: how far the table may lie off the latitudes and longitudes, of half of the pixels
_CHECKED = 32  # rows of the table that are compared with them


def recognise(delivery: Delivery) -> str | None:
    """The image of an EMIT granule; None of anything else.

    Raises:
        FormatError: it holds radiance or uncertainty, or several granules lie in one folder.
    """
    own = [name for name in hdf5_files(delivery) if holds(delivery, name, *_TABLE)]
    images = [name for name in own if holds(delivery, name, _IMAGE)]
    if len(images) > 1:
        raise FormatError(
            f"{delivery.path} holds {len(images)} EMIT granules: name one of their EMIT_L2A_RFL files"
        )
    if images:
        return images[0]
    for name in own:
        shown = delivery.shown(name)
        if holds(delivery, name, "radiance"):
            raise FormatError(
                f"{shown} is EMIT L1B, at-sensor radiance, which differs from day to day with sun and air: order "
                "the same granule as EMIT L2A (EMIT_L2A_RFL, surface reflectance)"
            )
        if holds(delivery, name, MASK) or holds(delivery, name, "reflectance_uncertainty"):
            raise FormatError(
                f"{shown} is the mask or the uncertainty of an EMIT granule: name its image (EMIT_L2A_RFL), "
                "beside which the mask is found"
            )
    return None


def open_emit(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """An EMIT L2A granule as a cube on the grid of its table.

    Raises:
        FormatError: it is damaged, or contradicts itself.
    """
    path = delivery.file(main)
    with open_granule(path) as granule:
        image = granule.array(_IMAGE, ndim=3)
        # A window of the ground crosses the swath: several rows of chunks would be decoded again and again.
        crossed = image.chunks is not None and image.chunks[0] < image.shape[0]
        stored, (count, rows, cols) = granule.reader(
            _IMAGE, ("rows", "cols", "bands"), keep=1 if crossed and keep is None else keep
        )
        detector = _bands(granule, count)
        kept = one_spectrum([detector], where=str(path)).bands[0]
        missing = granule.numbers("_FillValue", _IMAGE)[0] if "_FillValue" in image.attrs else _MISSING
        part = StoredBands(stored, kept, nodata=tuple({missing, _MISSING}))
        reader, order = reflectance_reader([part], [detector.centres[i] for i in kept])
        grid = _grid(granule)
        acquired = granule.words("time_coverage_start", default="")[:19]
        table = Loaded(partial(_table, path, (rows, cols)))
        _check_places(granule, (rows, cols), grid, table)
    found = find_masks(delivery, main, (rows, cols), acquired)
    bad = count - len(kept)
    told = (f"{bad} bands that good_wavelengths calls bad",) if bad else ()
    cube = Cube(
        name=name,
        grid=grid,
        bands=take_bands(Bands(count, detector.centres, detector.fwhm), [kept[i] for i in order]),
        dtype=np.dtype(np.float32),
        reader=reader,
        acquired=acquired,
        marks=f"{missing:g} and 0 in the lookup table",
        files=(path.absolute(), *found.files),
        product=Product("EMIT L2A", masks=found.missing, told=told),
    )
    return Swath(cube, table, found.flags, found.masks).on_its_grid()


def _bands(granule: Granule, count: int) -> Detector:
    centres, widths, good = (
        granule.listed(f"{_PARAMETERS}/{word}") for word in ("wavelengths", "fwhm", "good_wavelengths")
    )
    for word, values in (("wavelengths", centres), ("fwhm", widths), ("good_wavelengths", good)):
        if len(values) != count:
            raise FormatError(
                f"{granule.path}: {_IMAGE} has {count} bands (downtrack, crosstrack, band) but {len(values)} "
                f"{word}: it is damaged, download it again"
            )
    strange = [flag for flag in good if flag not in (0, 1)]
    if strange:
        raise FormatError(
            f"{granule.path}: good_wavelengths holds {strange[0]:g}: expected 0 or 1; it is damaged, download it "
            "again"
        )
    return Detector("", centres, widths, tuple(flag == 1 for flag in good), ascending=True)


def _grid(granule: Granule) -> Grid:
    """The grid of the table."""
    numbers = granule.numbers("geotransform")
    if len(numbers) != 6 or not np.isfinite(numbers).all():
        raise FormatError(f"{granule.path}: geotransform is no list of six numbers: download it again")
    transform = Affine.from_gdal(*numbers)
    words = granule.words("spatial_ref")
    try:
        crs = told_crs(words)
    except (CRSError, ValueError) as error:
        raise FormatError(f"{granule.path}: its CRS {words[:60]!r} is not understood ({error})") from None
    rows, cols = granule.array(_TABLE[0], ndim=2).shape
    corners = [transform @ (x, y) for x in (0, cols) for y in (0, rows)]
    wild = crs.is_geographic and any(abs(lon) > 360 or abs(lat) > 90 for lon, lat in corners)
    if not transform.is_rectilinear or transform.a <= 0 or transform.e >= 0 or wild:
        shown = ", ".join(f"{number:g}" for number in numbers)
        raise FormatError(
            f"{granule.path}: geotransform is {shown}: expected an upright grid of {rows} x {cols} pixels on the "
            "earth; it is damaged, download it again"
        )
    return Grid(int(rows), int(cols), crs, transform)


def _table(path: Path, shape: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows and columns of the swath, counted from 0, of each pixel of the ground.

    Raises:
        FormatError: the table points out of the swath, or contradicts itself.
    """
    with open_granule(path) as granule:
        arrays = [granule.array(name, ndim=2) for name in _TABLE]
        if arrays[0].shape != arrays[1].shape or any(each.dtype.kind not in "iu" for each in arrays):
            raise FormatError(
                f"{path}: glt_x and glt_y are no whole numbers of one shape: it is damaged, download it again"
            )
        found = [np.asarray(each[...], dtype=np.int32) for each in arrays]
    for name, values, most in zip(_TABLE, found, shape, strict=True):
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        if low < 0 or high > most:
            raise FormatError(
                f"{path}: {name} points to {low if low < 0 else high}: expected 1 to {most}, or 0 for none; the "
                "lookup table is damaged, download it again"
            )
    if not found[0].any() or ((found[0] == 0) != (found[1] == 0)).any():
        raise FormatError(
            f"{path}: glt_x and glt_y do not point to pixels at the same places: the lookup table is damaged, "
            "download it again"
        )
    found[0] -= 1  # so that 0 becomes NOWHERE
    found[1] -= 1
    return found[0], found[1]


def _check_places(granule: Granule, shape: tuple[int, int], grid: Grid, table: Loaded) -> None:
    """Refuse a table that puts pixels elsewhere than their latitudes and longitudes say.

    Raises:
        FormatError: with how far they lie apart; or these are of another shape.
    """
    row, col = table.arrays
    if not (granule.has("location/lat") and granule.has("location/lon")) or grid.transform is None:
        return
    if grid.crs is None or not grid.crs.is_geographic:
        return
    places = [granule.array(f"location/{word}", ndim=2) for word in ("lon", "lat")]
    if any(tuple(each.shape) != shape for each in places):
        raise FormatError(
            f"{granule.path}: {_IMAGE} has {shape[0]} x {shape[1]} pixels (downtrack, crosstrack, band), but its "
            f"latitudes {places[1].shape[0]} x {places[1].shape[1]}: it is damaged, download it again"
        )
    lon, lat = (each[...] for each in places)
    seen = np.flatnonzero((row >= 0).any(axis=1))
    chosen = seen[np.linspace(0, len(seen) - 1, min(len(seen), _CHECKED)).astype(int)]
    down, across = np.nonzero(row[chosen] >= 0)
    at = row[chosen][down, across], col[chosen][down, across]
    there = np.isfinite(lon[at]) & np.isfinite(lat[at]) & (lon[at] != _MISSING) & (lat[at] != _MISSING)
    if not there.any():
        return
    x, y = (~grid.transform) @ (lon[at][there], lat[at][there])
    off = float(np.median(np.hypot(x - across[there] - 0.5, y - chosen[down][there] - 0.5)))
    if not off <= _OFF:
        raise FormatError(
            f"{granule.path}: its lookup table puts pixels {off:.3g} pixels off their latitudes and longitudes: "
            "it is damaged, download it again"
        )
