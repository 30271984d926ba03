"""Sentinel-2 L2A: a .SAFE folder or its zip, a JPEG 2000 file a band in three pixel sizes; surface reflectance.

Bands of 20 m come on the grid of 10 m by repetition: each pixel holds what was measured, none is made up. B01 and
B09 measure the atmosphere in pixels of 60 m, 36 of the finest, and are left out. Quantification and offset stand
in the metadata; since baseline 04.00 stored values are 1000 higher. The scene classification gives the masks.
Sentinel-2 Products Specification Document, ESA, S2-PDGS-TAS-DI-PSD.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree.ElementTree import Element

import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.nested_grids import repeated
from hsi_cd.io.products.raster_layers import Layer, missing_mask, open_layer, share_of
from hsi_cd.io.products.reflectance import FlagReader, StoredBands, reflectance_reader
from hsi_cd.io.sensor_bands import SENTINEL2A, SENTINEL2B
from hsi_cd.io.stack import StackReader
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product, QualityMask

_LEVELS = {"MTD_MSIL2A.xml": "L2A", "MTD_MSIL1C.xml": "L1C"}
_NAMES = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Bands by the number (from 0) by which the metadata call them."""
_TABLES = {"Sentinel-2A": SENTINEL2A, "Sentinel-2B": SENTINEL2B}  # where the metadata do not tell the centres
_SPECTRAL = tuple(name for name in _NAMES if name != "B10")
_ATMOSPHERE = ("B01", "B09")
_FINE = ("B02", "B03", "B04", "B08")  # of 10 m
_MASKS = (("shadow", (3,)), ("cloud", (8, 9)), ("cirrus", (10,)), ("snow", (11,)), ("water", (6,)))
_SHIFTED = 4.0  # the processing baseline from which an offset is in the stored values


def recognise(delivery: Delivery) -> str | None:
    """The metadata file of a Sentinel-2 product, where it, its folder or archive is named; None of anything else.

    Raises:
        FormatError: it is L1C.
    """
    for name, level in _LEVELS.items():
        found = delivery.matching(re.escape(name))
        if delivery.named is not None:
            found = [each for each in found if each == delivery.named]
        if len(found) == 1 and (b"User_Product" in delivery.head(found[0]) or _files(_with_folders(delivery))):
            if level != "L2A":
                raise FormatError(
                    f"{delivery.shown(found[0])} is Sentinel-2 {level}, reflectance at the top of the atmosphere: "
                    "order the same image as L2A, or name its IMG_DATA folder to take it as it is"
                )
            return found[0]
    return None


def open_sentinel2(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """A Sentinel-2 L2A product as a cube.

    Raises:
        FormatError: it is damaged, lacks bands, or contradicts itself.
    """
    whole = _with_folders(delivery)
    root, shown = delivery.xml(main), delivery.shown(main)
    files = _files(whole)
    if len(files) < 2:
        raise FormatError(
            f"{shown} has {len(files)} bands below GRANULE/.../IMG_DATA: expected B02 to B12; copy the whole "
            "product"
        )
    fine = [band for band in _FINE if "/R10m/" in files.get(band, "")]
    lacking = [band for band in _FINE if fine and band not in fine]
    if lacking:
        raise FormatError(
            f"{shown}: its IMG_DATA/R10m/..._{lacking[0]}_10m.jp2 is missing: copy the whole product"
        )
    share = share_of(keep, len(files))
    layers = {band: open_layer(whole, file, keep=share) for band, file in files.items()}
    grid = min((layer.grid for layer in layers.values()), key=_pixel)
    readers = [repeated(layer.reader, layer.grid, grid, layer.shown) for layer in layers.values()]
    bands = list(layers)
    divisor = _value(root, "BOA_QUANTIFICATION_VALUE", shown, default=10000.0)
    offsets = _offsets(root, shown)
    craft = (_text(root, "SPACECRAFT_NAME") or "Sentinel-2A").strip()
    centres, widths = _waves(root, craft, shown)
    every = Bands(
        len(bands), tuple(centres[b] for b in bands), tuple(widths[b] for b in bands), names=tuple(bands)
    )
    kept = one_spectrum([Detector("", every.centres, every.fwhm)], where=shown).bands[0]
    part = StoredBands(
        StackReader(readers),
        kept,
        (1 / divisor,) * len(kept),
        tuple(offsets[bands[i]] / divisor for i in kept),
        nodata=(0.0,),
    )
    reader, order = reflectance_reader([part], [every.centres[i] for i in kept])
    return Cube(
        name=name,
        grid=grid,
        bands=take_bands(every, [kept[i] for i in order]),
        dtype=np.dtype(np.float32),
        reader=reader,
        acquired=(_text(root, "PRODUCT_START_TIME") or "").strip()[:19],
        marks="0",
        files=() if delivery.zipped else (delivery.root.absolute(),),
        product=Product("Sentinel-2 L2A", masks=_masks(whole, grid), told=_told(layers, grid)),
    )


def _with_folders(delivery: Delivery) -> Delivery:
    """A product of which one file was named, with all that lies below it."""
    return delivery if delivery.named is None else replace(delivery, named=None)


def _files(delivery: Delivery) -> dict[str, str]:
    """Of each band, its file of the finest pixels."""
    found: dict[str, tuple[int, str]] = {}
    for name in delivery.names:
        match = re.search(r"IMG_DATA/R(\d\d)m/[^/]*_(B\d[\dA])_\1m\.jp2$", name)
        if match and match[2] in _SPECTRAL:
            size = int(match[1])
            if match[2] not in found or size < found[match[2]][0]:
                found[match[2]] = (size, name)
    return {band: found[band][1] for band in _SPECTRAL if band in found and band not in _ATMOSPHERE}


def _masks(delivery: Delivery, grid: Grid) -> tuple[QualityMask, ...]:
    layers = sorted(name for name in delivery.names if re.search(r"IMG_DATA/R\d\dm/[^/]*_SCL_\d\dm\.jp2$", name))
    if not layers:  # of 20 m, if there are two
        return tuple(missing_mask(kind, delivery, "IMG_DATA/R20m/..._SCL_20m.jp2") for kind, _ in _MASKS[:4])
    layer = open_layer(delivery, layers[0])
    reader = repeated(layer.reader, layer.grid, grid, layer.shown)
    return tuple(QualityMask(kind, FlagReader(reader, values), kind != "water", "SCL") for kind, values in _MASKS)


def _told(layers: dict[str, Layer], grid: Grid) -> tuple[str, ...]:
    coarse = [band for band, layer in layers.items() if layer.grid.shape != grid.shape]
    lacking = [band for band in _SPECTRAL if band not in layers and band not in _ATMOSPHERE]
    told = [f"{' and '.join(_ATMOSPHERE)}, which measure the atmosphere"]
    told += [f"{', '.join(lacking)}, which are not there"] if lacking else []
    return (
        *told,
        *((f"nothing of {', '.join(coarse)}, repeated onto pixels of {_pixel(grid):g} m",) if coarse else ()),
    )


def _offsets(root: Element, shown: str) -> dict[str, float]:
    """What is added to the stored values of each band."""
    found = {}
    for element in root.iter("BOA_ADD_OFFSET"):
        number = element.get("band_id", "")
        if not number.isdigit() or int(number) >= len(_NAMES):
            raise FormatError(f"{shown}: BOA_ADD_OFFSET is of band {number[:20]!r}: expected 0 to 12")
        found[_NAMES[int(number)]] = _finite(element.text, "BOA_ADD_OFFSET", shown)
    if found:
        return {band: found.get(band, 0.0) for band in _SPECTRAL}
    baseline = _finite(_text(root, "PROCESSING_BASELINE") or "0", "PROCESSING_BASELINE", shown)
    return dict.fromkeys(_SPECTRAL, -1000.0 if baseline >= _SHIFTED else 0.0)


def _waves(root: Element, craft: str, shown: str) -> tuple[dict[str, float], dict[str, float]]:
    """Wavelengths, as the metadata tell them or else the sensor's table, and widths."""
    table = _TABLES.get(craft, SENTINEL2A)
    known = {band: table[f"B{band[1:].lstrip('0')}"] for band in _SPECTRAL}
    centres, widths = ({band: pair[i] for band, pair in known.items()} for i in range(2))
    for element in root.iter("Spectral_Information"):
        number, centre = element.get("bandId", ""), element.findtext("Wavelength/CENTRAL")
        if number.isdigit() and int(number) < len(_NAMES) and centre and _NAMES[int(number)] in centres:
            centres[_NAMES[int(number)]] = _finite(centre, "CENTRAL", shown)
    return centres, widths


def _value(root: Element, word: str, shown: str, *, default: float) -> float:
    text = _text(root, word)
    value = default if text is None else _finite(text, word, shown)
    if value <= 0:
        raise FormatError(f"{shown}: {word} is {value:g}: expected a positive number; download it again")
    return value


def _text(root: Element, word: str) -> str | None:
    return next((element.text for element in root.iter(word)), None)


def _finite(text: str | None, word: str, shown: str) -> float:
    try:
        value = float((text or "").strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{shown}: {word} is {(text or '')[:20]!r}: expected a finite number; download it again")
    return value


def _pixel(grid: Grid) -> float:
    return abs(grid.transform.a) if grid.transform is not None else math.inf
