"""Landsat Collection 2 Level 2: a GeoTIFF a band with a metadata file; surface reflectance on a map's grid.

Scale and offset stand in the metadata. The words of bits of QA_PIXEL give the masks. Landsat 8-9 Collection 2
Level 2 Science Product Guide, USGS, LSDS-1619.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.metadata_text import number_of, parse_metadata
from hsi_cd.io.products.raster_layers import missing_mask, open_layer, share_of
from hsi_cd.io.products.reflectance import FlagReader, StoredBands, reflectance_reader
from hsi_cd.io.sensor_bands import ETM, OLI, TM
from hsi_cd.io.stack import StackReader
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product, QualityMask

_SCENE = r"L[CETO]0\d_.*"
_METADATA = rf"{_SCENE}_MTL\.txt"
_GROUP = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
_SCALE, _OFFSET = 2.75e-5, -0.2
_BANDS = (1, 2, 3, 4, 5, 6, 7)  # of surface reflectance; TM and ETM+ measure heat in B6
_SENSORS = {"LC08": OLI, "LC09": OLI, "LO08": OLI, "LO09": OLI, "LE07": ETM, "LT05": TM, "LT04": TM}
_BITS = (
    ("cloud", (1 << 1) | (1 << 3)),  # cloud, and the pixels around it
    ("cirrus", 1 << 2),
    ("shadow", 1 << 4),
    ("snow", 1 << 5),
    ("water", 1 << 7),
)


def recognise(delivery: Delivery) -> str | None:
    """The metadata file of a Level 2 product, where it or its folder or archive is named; None of anything else.

    Level 1, in numbers at the top of the atmosphere, is left to be read as a folder of bands.

    Raises:
        FormatError: several products lie in the folder, or the metadata of one are missing.
    """
    found = [name for name in delivery.matching(_METADATA) if b"=" in delivery.head(name)]
    if delivery.named is not None:
        found = [name for name in found if name == delivery.named]
    found = [name for name in found if delivery.matching(rf"{re.escape(_stem(name))}_SR_B\d\.TIF")]
    if not found:
        _refuse_without_metadata(delivery)
    if len(found) > 1:
        raise FormatError(f"{delivery.root} holds {len(found)} Landsat products: name the _MTL.txt of one of them")
    return found[0] if found else None


def _refuse_without_metadata(delivery: Delivery) -> None:
    """Refuse a delivered folder or archive that lost its metadata; bands alone are read as a folder of bands.

    Raises:
        FormatError: quality layers lie beside bands, and no metadata do.
    """
    if delivery.named is not None:
        return
    for layer in delivery.matching(rf"{_SCENE}_QA_PIXEL\.TIF"):
        stem = re.sub(r"_QA_PIXEL\.TIF$", "", layer, flags=re.IGNORECASE)
        if delivery.matching(rf"{re.escape(stem.rsplit('/', 1)[-1])}_SR_B\d\.TIF"):
            raise FormatError(
                f"{delivery.shown(stem)}_MTL.txt is missing or empty, which tells the scale of these bands of "
                "Landsat: copy the whole product, or name its bands one by one to take the numbers as stored"
            )


def open_landsat(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """A Landsat Collection 2 Level 2 product as a cube.

    Raises:
        FormatError: it is damaged, lacks bands, or contradicts itself.
    """
    metadata, shown = parse_metadata(delivery.text(main)), delivery.shown(main)
    prefix, stem = main.rsplit("/", 1)[-1], _stem(main.rsplit("/", 1)[-1])
    table = _SENSORS.get(prefix[:4].upper())
    if table is None:
        raise FormatError(
            f"{shown} is of {prefix[:4]}, no sensor whose wavelengths are known: expected LC08 to LT04"
        )
    there = {each.rsplit("/", 1)[-1].casefold(): each for each in delivery.names}
    files = {band: there.get(f"{stem}_SR_B{band}.TIF".casefold()) for band in _BANDS if f"B{band}" in table}
    lacking = [band for band, file in files.items() if file is None]
    if lacking:
        raise FormatError(f"{delivery.shown(stem)}_SR_B{lacking[0]}.TIF is missing: copy the whole product")
    share = share_of(keep, len(files))
    layers = [open_layer(delivery, file, keep=share) for file in files.values() if file is not None]
    grid = layers[0].grid
    for layer in layers:
        layer.on(grid)
        if layer.count != 1:
            raise FormatError(f"{layer.shown} has {layer.count} bands: expected one; download it again")
    bands = list(files)
    centres, widths = (tuple(table[f"B{band}"][i] for band in bands) for i in range(2))
    kept = one_spectrum([Detector("", centres, widths)], where=shown).bands[0]
    factors = [_scaling(metadata, bands[i], shown) for i in kept]
    part = StoredBands(
        StackReader([layer.reader for layer in layers]),
        kept,
        tuple(scale for scale, _ in factors),
        tuple(offset for _, offset in factors),
        nodata=(0.0,),
    )
    reader, order = reflectance_reader([part], [centres[i] for i in kept])
    names = tuple(f"SR_B{band}" for band in bands)
    day, time = metadata.get("DATE_ACQUIRED", ""), metadata.get("SCENE_CENTER_TIME", "")[:8]
    return Cube(
        name=name,
        grid=grid,
        bands=take_bands(Bands(len(bands), centres, widths, names=names), [kept[i] for i in order]),
        dtype=np.dtype(np.float32),
        reader=reader,
        acquired=f"{day}T{time}" if day and time else day,
        marks="0",
        files=() if delivery.zipped else tuple(
            (delivery.root / each).absolute() for each in delivery.names if stem in each
        ),
        product=Product("Landsat Collection 2 L2", masks=_masks(delivery, stem, there, grid)),
    )  # fmt: skip


def _stem(name: str) -> str:
    """What the files of a product share, without its folder."""
    return re.sub(r"_MTL\.txt$", "", name.rsplit("/", 1)[-1], flags=re.IGNORECASE)


def _scaling(metadata: Mapping[str, str], band: int, shown: str) -> tuple[float, float]:
    scale, offset = (
        number_of(metadata, f"{_GROUP}/REFLECTANCE_{word}_BAND_{band}", shown, default=plain)
        for word, plain in (("MULT", _SCALE), ("ADD", _OFFSET))
    )
    if scale <= 0:
        raise FormatError(f"{shown}: REFLECTANCE_MULT_BAND_{band} is {scale:g}: expected a positive number")
    return scale, offset


def _masks(delivery: Delivery, stem: str, there: Mapping[str, str], grid: Grid) -> tuple[QualityMask, ...]:
    name = f"{stem}_QA_PIXEL.TIF"
    file = there.get(name.casefold())
    if file is None:
        return tuple(missing_mask(kind, delivery, name) for kind, _ in _BITS if kind != "water")
    reader = open_layer(delivery, file).on(grid).reader
    return tuple(
        QualityMask(kind, FlagReader(reader, bits=bits), kind != "water", "QA_PIXEL") for kind, bits in _BITS
    )
