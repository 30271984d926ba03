"""Orthorectified flight lines as ENVI files: the header tells bands and place; lines lie rotated on the map."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hsi_cd.errors import FormatError, HsiCdError
from hsi_cd.io.envi import EnviHeader, find_envi_pair, read_envi_header
from hsi_cd.io.kinds import FileKind, file_kind
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.reflectance import StoredBands, reflectance_reader
from hsi_cd.io.raster_cubes import open_raster_cube
from hsi_cd.scene import Cube
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product

RADIANCE = "radiance (uW/cm2/nm/sr)"
"""The quantity of JPL's radiance at the sensor: a tenth of the numbers in W/m2/sr/um."""
_MISSING = -9999.0
_SPECTROMETERS = 4  # that an instrument has at most, each with wavelengths that ascend
# Angles, places, tables and water vapour, which come with the images in ENVI files of their own.
_BESIDE_IMAGES = re.compile(r"_(obs|igm|glt|loc|h2o|eph|lonlat)(_|\.|$)", re.IGNORECASE)


def envi_images(delivery: Delivery, pattern: str) -> dict[str, EnviHeader]:
    """The ENVI images on disk of such names: the one that is named, by itself or its header, or those of a folder.

    A folder may hold thousands of other files: only those beside which a header lies are opened.

    Args:
        delivery: the files.
        pattern: expression of the data file's whole name; case is left out.

    Returns:
        The header of each, by the name of the data file.
    """
    if delivery.zipped:
        return {}
    wanted = [name for name in delivery.matching(pattern) if not _BESIDE_IMAGES.search(name)]
    if delivery.named is not None:
        stem, _, ending = delivery.named.rpartition(".")
        if ending.lower() == "hdr":
            wanted = [name for name in wanted if stem in (name, name.rpartition(".")[0])]
        else:
            wanted = [name for name in wanted if name == delivery.named]
    headed = {name[: -len(".hdr")].casefold() for name in delivery.names if name.casefold().endswith(".hdr")}
    wanted = [name for name in wanted if headed & {name.casefold(), name.rpartition(".")[0].casefold()}]
    found = ((name, _header_of(delivery, name)) for name in wanted)
    return {name: header for name, header in found if header is not None}


def _header_of(delivery: Delivery, name: str) -> EnviHeader | None:
    """The header of an ENVI data file; None where a file is none, or has none."""
    path = delivery.root / name
    try:
        if file_kind(path) is not FileKind.RAW:
            return None
        return read_envi_header(find_envi_pair(path)[1], given=path)
    except (HsiCdError, OSError):
        return None


def open_flight_line(
    delivery: Delivery,
    main: str,
    name: str,
    keep: int | None,
    *,
    title: str,
    acquired: str,
    scaling: Callable[[Cube], tuple[str, Sequence[float], Sequence[float]]] | None = None,
) -> Cube:
    """An ENVI flight line as a cube; what its header calls bad bands is left out.

    Args:
        delivery: the files.
        main: the data file.
        name: what messages call the cube.
        keep: bytes that decoded blocks may take.
        title: the sensor.
        acquired: when it was flown, where the header does not tell.
        scaling: of the file as any raster, the quantity, what each band is multiplied by (empty for what the
            header says), and the stored values that are no data beside -9999 and the header's. By default
            reflectance.

    Raises:
        FormatError: it is damaged, or its header does not tell wavelengths, in their order, and place.
    """
    path = delivery.root / main
    data, header = find_envi_pair(path)
    cube = open_raster_cube(path, file_kind(path), name=name, keep=keep)
    if not cube.bands.centres or cube.grid.transform is None or cube.grid.crs is None:
        what = "wavelengths" if not cube.bands.centres else "map info"
        raise FormatError(
            f"{header} tells no {what} of this {title} image: copy its header again, or take the orthorectified "
            "file"
        )
    quantity, scale, nothing = ("reflectance", (), ()) if scaling is None else scaling(cube)
    scale = tuple(scale) or cube.scale
    good = cube.bands.good or (True,) * cube.bands.count
    detectors = _detectors(cube.bands.centres, cube.bands.fwhm, good)
    if len(detectors) > _SPECTROMETERS:
        raise FormatError(
            f"{header}: its wavelengths step back {len(detectors) - 1} times, as those of no {title} image do: "
            "the list is damaged or turned round; copy the header again"
        )
    spectrum = one_spectrum(detectors, where=str(header))
    starts = itertools.accumulate((len(each.centres) for each in detectors), initial=0)
    kept = [first + band for first, bands in zip(starts, spectrum.bands, strict=False) for band in bands]
    nodata = tuple(dict.fromkeys((_MISSING, *nothing, *(() if cube.nodata is None else (cube.nodata,)))))
    part = StoredBands(
        cube.reader,
        tuple(kept),
        tuple(scale[band] for band in kept) if scale else (),
        tuple(cube.offset[band] for band in kept) if cube.offset else (),
        nodata=nodata,
    )
    reader, order = reflectance_reader([part], [cube.bands.centres[band] for band in kept])
    bad = good.count(False)
    told = (f"{bad} bands that the header calls bad (bbl)",) if bad else ()
    return replace(
        cube,
        bands=take_bands(replace(cube.bands, good=(), names=()), [kept[i] for i in order]),
        dtype=np.dtype(np.float32),
        reader=reader,
        nodata=None,
        scale=(),
        offset=(),
        acquired=cube.acquired or acquired,
        marks=" and ".join(f"{value:g}" for value in nodata),
        files=(data.absolute(), header.absolute()),
        product=Product(f"{title} {quantity.split()[0]}", quantity, told=(*told, *spectrum.told)),
    )


def _detectors(centres: Sequence[float], widths: Sequence[float], good: Sequence[bool]) -> list[Detector]:
    """The spectrometers of an instrument: where the wavelengths step back, the next one begins."""
    starts = [0, *(i for i in range(1, len(centres)) if centres[i] < centres[i - 1]), len(centres)]
    spans = [slice(*ends) for ends in itertools.pairwise(starts)]
    return [
        Detector(
            f"spectrometer {number}" if len(spans) > 1 else "", tuple(centres[s]), tuple(widths[s]), tuple(good[s])
        )
        for number, s in enumerate(spans, start=1)
    ]
