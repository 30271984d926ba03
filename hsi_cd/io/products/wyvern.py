"""Wyvern Dragonette: one GeoTIFF of 23 or 31 bands, whose descriptions end in their wavelengths (``Band_503``)."""

from __future__ import annotations

import re

import numpy as np

from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.raster_layers import is_raster, open_layer
from hsi_cd.io.products.reflectance import StoredBands, reflectance_reader
from hsi_cd.io.raster import open_raster
from hsi_cd.scene import Bands, Cube
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product

_COUNTS = (23, 31)
_NAME = re.compile(r".*_(\d{3,4})")


def recognise(delivery: Delivery) -> str | None:
    """The image of a Wyvern product, by the descriptions of its bands; None of anything else."""
    names = [delivery.named] if delivery.named else delivery.matching(r"wyvern.*\.tiff?")
    found = [name for name in names if is_raster(delivery, name) and _waves(delivery, name)]
    return found[0] if len(found) == 1 else None


def open_wyvern(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """A Wyvern image as a cube, its values as they are stored.

    Raises:
        FormatError: it is damaged.
    """
    image = open_layer(delivery, main, keep=keep)
    centres = _waves(delivery, main)
    spectrum = one_spectrum([Detector("", centres)], where=image.shown)
    kept = spectrum.bands[0]
    nodata = () if image.nodata is None or np.isnan(image.nodata) else (image.nodata,)
    reader, order = reflectance_reader(
        [StoredBands(image.reader, kept, nodata=nodata)], [centres[band] for band in kept]
    )
    found = re.search(r"(20\d\d)(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)", main)
    return Cube(
        name=name,
        grid=image.grid,
        bands=take_bands(Bands(image.count, centres, names=tuple(image.descriptions)), [kept[i] for i in order]),
        dtype=np.dtype(np.float32),
        reader=reader,
        acquired="{}-{}-{}T{}:{}:{}".format(*found.groups()) if found else "",
        marks=f"{nodata[0]:g}" if nodata else "",
        product=Product("Wyvern", "values as stored"),
    )


def _waves(delivery: Delivery, name: str) -> tuple[float, ...]:
    """The wavelengths that the descriptions of a GeoTIFF's bands end in; none where they do not."""
    try:
        with open_raster(delivery.place(name), "GTiff") as dataset:
            if dataset.count not in _COUNTS:
                return ()
            found = [_NAME.fullmatch(text or "") for text in dataset.descriptions]
    except (ValueError, OSError):  # damaged: its reader says so
        return ()
    return tuple(float(match[1]) for match in found if match) if all(found) else ()
