"""DESIS L2A: a GeoTIFF with a metadata file; surface reflectance of one detector on a map's grid.

Gain, offset, wavelength and width of each band stand in the metadata or, where these are missing, in the ENVI
header beside the image. The second quality file holds a plane for each kind of pixel. DESIS Products
Specification, DLR, PAV-DES-TN-0006.
"""

from __future__ import annotations

import math
import re

import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.raster_layers import empty_bands, is_raster, missing_mask, open_layer, ranges
from hsi_cd.io.products.reflectance import FlagReader, StoredBands, reflectance_reader
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product, QualityMask

_IMAGE = r"DESIS-.*-SPECTRAL_IMAGE\.tif"
_MISSING = -32768.0
# The kind of pixel that each plane of QL_QUALITY-2 marks; behind them are aerosol and water vapour.
_PLANES = (
    ("shadow", (0,)),
    ("snow", (2,)),
    ("haze", (3, 4)),
    ("cloud", (5, 6)),
    ("water", (7,)),
)
_FEWEST = 8
_WORDS = ("wavelengthCenterOfBand", "wavelengthWidthOfBand", "gainOfBand", "offsetOfBand")
_LISTS = ("wavelength", "fwhm", "data gain values", "data offset values")


def recognise(delivery: Delivery) -> str | None:
    """The image of a DESIS product; None of anything else.

    Raises:
        FormatError: the metadata are missing, several products lie in the folder, or the level cannot be mapped.
    """
    found = delivery.matching(_IMAGE)
    if delivery.named is not None:
        found = [name for name in found if _stem(name) == _stem(delivery.named)]
    found = [name for name in found if is_raster(delivery, name) and _described(delivery, name)]
    if len(found) > 1:
        raise FormatError(f"{delivery.root} holds {len(found)} DESIS products: name the image of one of them")
    return found[0] if found else None


def open_desis(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """A DESIS L2A product as a cube.

    Raises:
        FormatError: it is of another level, damaged, or contradicts itself.
    """
    image = open_layer(delivery, main, keep=keep)
    metadata = _beside(delivery, main, r"-METADATA\.xml")
    acquired, level = "", ""
    if metadata is not None:
        root = delivery.xml(metadata)
        said = (root.findtext(".//processingLevel") or root.findtext(".//level") or "").strip().upper()
        level = f"L{said.removeprefix('L')}" if re.fullmatch(r"L?[12][ABC]", said) else ""
        acquired = (root.findtext(".//startTime") or "").strip()[:19]
    told = re.search(r"DESIS-HSI-(L\w\w)-", main)
    level = level or (told[1] if told else "")
    if level.upper() != "L2A":
        raise FormatError(
            f"{delivery.shown(main)} is DESIS {level or 'without a level'}: order the same image as L2A (surface "
            "reflectance)"
        )
    table = _table(delivery, main, metadata, image.count)
    missing = _MISSING if image.nodata is None else image.nodata
    empty = empty_bands(image, missing)
    detector = Detector(
        "", table[0], table[1], tuple(band not in empty for band in range(image.count)), ascending=True
    )
    kept = one_spectrum([detector], where=delivery.shown(metadata or main)).bands[0]
    part = StoredBands(
        image.reader,
        kept,
        tuple(table[2][band] for band in kept),
        tuple(table[3][band] for band in kept),
        nodata=(missing,),
    )
    reader, order = reflectance_reader([part], [table[0][band] for band in kept])
    names = tuple(f"band {band + 1}" for band in range(image.count))
    bands = Bands(image.count, table[0], table[1], names=names)
    return Cube(
        name=name,
        grid=image.grid,
        bands=take_bands(bands, [kept[i] for i in order]),
        dtype=np.dtype(np.float32),
        reader=reader,
        acquired=acquired,
        marks=f"{missing:g}",
        files=() if delivery.zipped else tuple((delivery.root / each).absolute() for each in _own(delivery, main)),
        product=Product(
            "DESIS L2A",
            masks=_masks(delivery, main, image.grid),
            told=(f"bands {ranges([band + 1 for band in empty])}, which are empty",) if empty else (),
        ),
    )


def _stem(name: str) -> str:
    """What the files of one product share; QL_QUALITY-2 has a hyphen of its own."""
    return re.split(r"-(?:SPECTRAL_IMAGE|METADATA|QL_|HISTORY)", name, maxsplit=1)[0]


def _own(delivery: Delivery, main: str) -> list[str]:
    return [name for name in delivery.names if _stem(name) == _stem(main)]


def _beside(delivery: Delivery, main: str, ending: str) -> str | None:
    return next((name for name in delivery.matching(".*" + ending) if _stem(name) == _stem(main)), None)


def _described(delivery: Delivery, main: str) -> bool:
    """Whether metadata or a header lie beside an image.

    Raises:
        FormatError: neither does.
    """
    if _beside(delivery, main, r"-METADATA\.xml") or _beside(delivery, main, r"-SPECTRAL_IMAGE\.hdr"):
        return True
    raise FormatError(
        f"{delivery.shown(_stem(main))}-METADATA.xml is missing, which tells the wavelengths, gains and offsets "
        "of this DESIS image: copy the whole product"
    )


def _table(delivery: Delivery, main: str, metadata: str | None, count: int) -> list[tuple[float, ...]]:
    """Wavelengths, widths, gains and offsets of all bands."""
    lists: list[list[str]] = []
    shown = delivery.shown(metadata or main)
    if metadata is not None:
        root = delivery.xml(metadata)
        elements = next(iter(root.iter("bandCharacterisation")), None)
        bands = [] if elements is None else elements.findall("band")
        places = [_order(band.findtext("bandNumber")) for band in bands]
        if any(places):
            if sorted(places) != list(range(1, len(bands) + 1)):
                raise FormatError(
                    f"{shown} does not number its {len(bands)} bands from 1 to {len(bands)}: it is damaged, "
                    "download it again"
                )
            bands = [bands[places.index(number)] for number in range(1, len(bands) + 1)]
        lists = [[(band.findtext(word) or "").strip() for band in bands] for word in _WORDS]
    words = _WORDS
    header = _beside(delivery, main, r"-SPECTRAL_IMAGE\.hdr")
    if header is not None and not (lists and all(lists)):
        shown, words = delivery.shown(header), _LISTS
        lists = _header_lists(delivery.text(header).decode("latin-1"))
    found = []
    for word, values in zip(words, lists, strict=True):
        numbers = tuple(_number(value) for value in values)
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise FormatError(
                f"{shown} tells {sum(map(math.isfinite, numbers))} finite values of {word}, but the image has "
                f"{count} bands: they are not of one product, or damaged; download it again"
            )
        found.append(numbers)
    return found


def _header_lists(text: str) -> list[list[str]]:
    lists = []
    for word in _LISTS:
        found = re.search(rf"^\s*{word}\s*=\s*\{{([^}}]*)\}}", text, re.MULTILINE | re.IGNORECASE)
        lists.append([part.strip() for part in found[1].split(",") if part.strip()] if found else [])
    return lists


def _masks(delivery: Delivery, main: str, grid: Grid) -> tuple[QualityMask, ...]:
    name = f"{_stem(main)}-QL_QUALITY-2.tif"
    there = _beside(delivery, main, r"-QL_QUALITY-2\.tif")
    if there is None:
        return tuple(missing_mask(kind, delivery, name) for kind, _ in _PLANES if kind != "water")
    layer = open_layer(delivery, there).on(grid)
    if layer.count < _FEWEST:  # of another version, whose planes are not known
        told = f"{there} with {_FEWEST} planes or more, not {layer.count},"
        return tuple(missing_mask(kind, delivery, told) for kind, _ in _PLANES if kind != "water")
    return tuple(
        QualityMask(kind, FlagReader(layer.reader, band=plane), kind != "water", "QL_QUALITY-2")
        for kind, planes in _PLANES
        for plane in planes
    )


def _order(text: str | None) -> int:
    return int(text) if text is not None and text.strip().isdigit() else 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
