"""NEON surface reflectance: a flight line or a tile on a map's grid, in one HDF5 file.

Everything lies in a group that is called as the site. Bands in the two windows of water vapour that the file names
are left out. Of the ancillary images the map of haze, clouds and water gives the masks, by the classes of the
atmospheric correction that made it (ATCOR-4); the weather indicator rates whole flights and is no mask. NEON
Imaging Spectrometer Radiance to Reflectance ATBD, NEON.DOC.001288.
"""

from __future__ import annotations

import re

import h5py
import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsi_cd.errors import FormatError
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.hdf5_granule import Granule, hdf5_files, open_granule, told_crs
from hsi_cd.io.products.raster_layers import ranges
from hsi_cd.io.products.reflectance import FlagReader, StoredBands, reflectance_reader
from hsi_cd.io.wavelengths import to_nanometres
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product, QualityMask

_MOST_SITES = 32  # groups at the top of a file that are looked into; NEON's have one
_MISSING = -9999.0
_CLASSES = "Ancillary_Imagery/Haze_Cloud_Water_Map"
_MASKS = (
    ("cloud", (15, 16)),
    ("shadow", (1, 22)),
    ("cirrus", (2, 3, 4, 8, 9, 10, 18, 19)),
    ("haze", (11, 12, 13, 14)),
    ("snow", (7,)),
    ("water", (17,)),
)
_SHOWN = ("water",)
_UTM = {"north": 32600, "south": 32700}  # EPSG codes of WGS 84 / UTM, before the zone
_OFF = 0.5  # pixels that the extent in words may differ from the grid


def recognise(delivery: Delivery) -> str | None:
    """The file of a NEON product; None of anything else.

    Raises:
        FormatError: it is radiance at the sensor, or several tiles lie in the folder.
    """
    found = []
    for name in hdf5_files(delivery):
        kind = _kind(delivery, name)
        if kind == "Radiance":
            raise FormatError(
                f"{delivery.shown(name)} is NEON radiance at the sensor: order the same flight line or tile as "
                "surface reflectance (DP1.30006 or DP3.30006)"
            )
        if kind is not None:
            found.append(name)
    return delivery.only(found, "NEON files")


def open_neon(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """A NEON reflectance file as a cube.

    Raises:
        FormatError: it is damaged, or contradicts itself.
    """
    path = delivery.file(main)
    with open_granule(path) as granule:
        top = _top(granule)
        image, about = f"{top}/Reflectance_Data", f"{top}/Metadata"
        stored, (count, rows, cols) = granule.reader(image, ("rows", "cols", "bands"), keep=keep)
        centres, widths = _bands(granule, about, count)
        grid = _grid(granule, about, image, (rows, cols))
        windows = _windows(granule, top)
        usable = tuple(not any(low <= centre <= high for low, high in windows) for centre in centres)
        kept = one_spectrum([Detector("", centres, widths, usable, ascending=True)], where=str(path)).bands[0]
        told = granule.array(image, ndim=3).attrs
        missing = granule.number("Data_Ignore_Value", image) if "Data_Ignore_Value" in told else _MISSING
        part = StoredBands(stored, kept, _scale(granule, image, len(kept)), nodata=(missing,))
        reader, order = reflectance_reader([part], [centres[band] for band in kept])
        bad = [band + 1 for band in range(count) if not usable[band]]
        masks = tuple(
            QualityMask(
                kind,
                FlagReader(granule.layer(f"{about}/{_CLASSES}", (rows, cols)), values),
                kind not in _SHOWN,
                _CLASSES.rpartition("/")[2],
            )
            for kind, values in _MASKS
            if granule.has(f"{about}/{_CLASSES}")
        )
        names = tuple(f"band {band + 1}" for band in range(count))
        return Cube(
            name=name,
            grid=grid,
            bands=take_bands(Bands(count, centres, widths, names=names), [kept[i] for i in order]),
            dtype=np.dtype(np.float32),
            reader=reader,
            acquired=_acquired(granule, about, main),
            marks=f"{missing:g}",
            product=Product(
                "NEON bidirectional reflectance" if "bidirectional" in main.casefold() else "NEON reflectance",
                masks=masks,
                told=(f"bands {ranges(bad)}, in the file's windows of water vapour",) if bad else (),
            ),
        )


def _kind(delivery: Delivery, name: str) -> str | None:
    """Whether a file is NEON's ``Reflectance`` or ``Radiance``; None of another file."""
    try:
        with open_granule(delivery.file(name)) as granule:
            for site in _sites(granule):
                if granule.has(f"{site}/Reflectance/Reflectance_Data"):
                    return "Reflectance"
                if granule.has(f"{site}/Radiance/Metadata/Spectral_Data"):
                    return "Radiance"
    except FormatError:
        return None
    return None


def _sites(granule: Granule) -> list[str]:
    return [name for name in granule.file if isinstance(granule.file.get(name, getlink=True), h5py.HardLink)][
        :_MOST_SITES
    ]


def _top(granule: Granule) -> str:
    """The group of the image."""
    found = [
        f"{site}/Reflectance" for site in _sites(granule) if granule.has(f"{site}/Reflectance/Reflectance_Data")
    ]
    if len(found) != 1:
        raise FormatError(f"{granule.path} holds the reflectance of {len(found)} sites: expected one")
    return found[0]


def _bands(granule: Granule, about: str, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Wavelengths and widths, nm, of all bands; widths may be missing."""
    place, wide = f"{about}/Spectral_Data/Wavelength", f"{about}/Spectral_Data/FWHM"
    listed = granule.listed(place)
    widths = granule.listed(wide) if granule.has(wide) else ()
    if len(listed) != count or len(widths) not in (0, count):
        raise FormatError(
            f"{granule.path}: Reflectance_Data has {count} bands (row, column, band) but {len(listed)} "
            f"wavelengths and {len(widths)} widths: it is damaged, or its axes are in another order; download it "
            "again"
        )
    centres = to_nanometres(list(listed), _unit(granule, place), where=str(granule.path))
    if not centres:
        raise FormatError(f"{granule.path}: the unit of {place} is not understood: download it again")
    # Widths have no unit of their own in some files: they are a few nanometres, or thousandths of a micrometre.
    unit = _unit(granule, wide) if widths else ""
    return centres, to_nanometres(
        list(widths), unit or ("nm" if max(widths, default=1) >= 1 else "um"), where=wide
    )


def _unit(granule: Granule, name: str) -> str:
    return next(
        (text for word in ("Units", "units", "Unit") if (text := granule.words(word, name, default=""))), ""
    )


def _windows(granule: Granule, top: str) -> list[tuple[float, float]]:
    """The ranges of wavelengths, nm, that the file calls bad."""
    windows = []
    for word in ("Band_Window_1_Nanometers", "Band_Window_2_Nanometers"):
        if not granule.words(word, top, default=""):
            continue
        ends = granule.numbers(word, top)
        if len(ends) != 2 or not np.isfinite(ends).all() or ends[0] > ends[1]:
            raise FormatError(
                f"{granule.path}: {word} is {ends}: expected two wavelengths, in nm; download it again"
            )
        windows.append((ends[0], ends[1]))
    return windows


def _scale(granule: Granule, image: str, count: int) -> tuple[float, ...]:
    """What each stored value is multiplied by; nothing of values that are stored as they are."""
    divisor = granule.number("Scale_Factor", image)
    if divisor == 1 and granule.array(image, ndim=3).dtype.kind == "f":
        return ()
    if divisor <= 0:
        raise FormatError(f"{granule.path}: Scale_Factor of {image} is {divisor:g}: expected a positive number")
    return (1 / divisor,) * count


def _grid(granule: Granule, about: str, image: str, shape: tuple[int, int]) -> Grid:
    """The grid, from the map information; what else tells a size or an extent must agree."""
    rows, cols = shape
    text = granule.said(f"{about}/Coordinate_System/Map_Info")
    parts = [part.strip() for part in text.strip("{} ").split(",")]
    try:
        col, row, left, top, width, height = (float(part) for part in parts[1:7])
    except ValueError:
        col = row = left = top = width = height = np.nan
    if not np.isfinite([col, row, left, top, width, height]).all() or width <= 0 or height <= 0:
        raise FormatError(
            f"{granule.path}: Map_Info is {text[:80]!r}: expected a pixel, its place and its size; download it "
            "again"
        )
    turned = next((part for part in parts if part.lower().startswith("rotation")), "=0").partition("=")[2].strip()
    if turned not in ("", "0") and not re.fullmatch(r"-?0*\.?0*", turned):
        raise FormatError(f"{granule.path}: Map_Info tells a rotation of {turned[:20]}: NEON's grids are upright")
    transform = Affine(width, 0, left - (col - 1) * width, 0, -height, top + (row - 1) * height)
    _check_extent(granule, image, transform, shape)
    return Grid(rows, cols, _crs(granule, about, parts), transform)


def _check_extent(granule: Granule, image: str, transform: Affine, shape: tuple[int, int]) -> None:
    told = granule.array(image, ndim=3).attrs
    if "Spatial_Extent_meters" not in told:
        return
    ends = granule.numbers("Spatial_Extent_meters", image)
    right, bottom = transform @ (shape[1], shape[0])
    own = (transform.c, right, bottom, transform.f)
    if len(ends) != 4 or any(
        not abs(end - edge) <= _OFF * transform.a for end, edge in zip(ends, own, strict=True)
    ):
        placed, extent = (", ".join(f"{end:.10g}" for end in each) for each in (own, ends[:4]))
        raise FormatError(
            f"{granule.path}: the image of {shape[0]} x {shape[1]} pixels covers {placed} by its Map_Info, but "
            f"Spatial_Extent_meters is {extent} (left, right, bottom, top): it is damaged, download it again"
        )


def _crs(granule: Granule, about: str, map_info: list[str]) -> CRS:
    """The CRS, from the first that tells one: its code, its text, the map information."""
    place = f"{about}/Coordinate_System"
    code = granule.said(f"{place}/EPSG Code", default="").upper().removeprefix("EPSG:").strip()
    texts = [f"EPSG:{int(float(code))}" if re.fullmatch(r"\d+(\.0*)?", code) and float(code) else code]
    texts += [granule.said(f"{place}/{word}", default="") for word in ("Coordinate_System_String", "Proj4")]
    plain = [part.lower() for part in map_info]
    zone = ""
    if plain[0] == "utm" and len(plain) > 9 and plain[9].replace("-", "") == "wgs84" and plain[7].isdigit():
        zone = f"EPSG:{_UTM[plain[8]] + int(plain[7])}" if plain[8] in _UTM else ""
    for text in (*texts, zone):
        try:
            crs = told_crs(text) if text else None
        except (CRSError, ValueError):
            crs = None
        if crs is not None and crs.is_projected:
            break
    else:
        raise FormatError(
            f"{granule.path}: neither the EPSG code {code[:20]!r} nor its Map_Info tells a map projection that is "
            "understood: download it again"
        )
    told = crs.to_epsg()
    if zone and told is not None and zone != f"EPSG:{told}" and told // 100 in (326, 327):
        raise FormatError(
            f"{granule.path}: its CRS is EPSG:{told}, but its Map_Info says {zone}: download it again"
        )
    return crs


def _acquired(granule: Granule, about: str, name: str) -> str:
    """When it was flown, in ISO 8601: by its name or the first flight of a tile; empty where neither tells."""
    found = re.search(r"_(20\d\d)(\d\d)(\d\d)_(?:(\d\d)(\d\d)(\d\d)_)?", name)
    if found:
        day = "-".join(found.groups()[:3])
        return f"{day}T{':'.join(found.groups()[3:])}" if found[4] else day
    logs = granule.file[f"{about}/Logs"] if granule.has(f"{about}/Logs") else {}
    days = sorted(match[0] for flight in logs if (match := re.search(r"20\d{6}", str(flight))))
    return f"{days[0][:4]}-{days[0][4:6]}-{days[0][6:]}" if days else ""
