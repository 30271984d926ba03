"""EnMAP L2A: a folder of rasters (GeoTIFF, JPEG 2000 or ENVI) with a metadata file; reflectance on a map's grid.

Gain, offset, wavelength and width of each band stand in the metadata. The VNIR and the SWIR detector overlap at
902-993 nm; the bands in the water vapour at 1400 nm are delivered, and are empty. EnMAP Ground Segment, Product
Specification (EN-PCV-ICD-2009).
"""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.detector_overlap import Detector, one_spectrum
from hsi_cd.io.products.raster_layers import Layer, empty_bands, is_raster, missing_mask, open_layer, ranges
from hsi_cd.io.products.reflectance import FlagReader, StoredBands, reflectance_reader
from hsi_cd.scene import Bands, Cube
from hsi_cd.scene.matching import take_bands
from hsi_cd.scene.product import Product, QualityMask

_ROOT = b"<level_X"  # of every EnMAP metadata file
_METADATA = r".*-METADATA\.XML"
_KINDS = ("TIF", "TIFF", "JP2", "BSQ", "BIL", "BIP")
_IMAGE = rf"-SPECTRAL_IMAGE(_COG)?\.({'|'.join(_KINDS)})"
_NAMED = r"ENMAP.*____(L\w\w)-.*" + _IMAGE
_BANDS = "specific/bandCharacterisation/bandID"
# The kind, the layer, the values that count, and whether it is always delivered.
_MASKS: tuple[tuple[str, str, tuple[int, ...], bool], ...] = (
    ("cloud", "QL_QUALITY_CLOUD", (), True),
    ("shadow", "QL_QUALITY_CLOUDSHADOW", (), True),
    ("cirrus", "QL_QUALITY_CIRRUS", (), True),
    ("haze", "QL_QUALITY_HAZE", (), False),
    ("snow", "QL_QUALITY_SNOW", (), True),
    ("water", "QL_QUALITY_CLASSES", (2,), False),
)
_SHOWN = ("water",)  # told, and left in unless it is asked for


def recognise(delivery: Delivery) -> str | None:
    """The metadata file of an EnMAP product; None of anything else.

    Raises:
        FormatError: the metadata are missing, several products lie in the folder, or the level cannot be mapped.
    """
    found = [name for name in delivery.matching(_METADATA) if _ROOT in delivery.head(name)]
    if delivery.named is not None:
        found = [name for name in found if _key(name) == _key(delivery.named)]
    if not found:
        images = [name for name in delivery.matching(_NAMED) if delivery.named in (None, name)]
        if images and is_raster(delivery, images[0]):
            raise FormatError(
                f"{delivery.shown(_stem(images[0]))}-METADATA.XML is missing, which tells the wavelengths, "
                "gains and offsets of this EnMAP image: copy the whole product"
            )
        return None
    if len(found) > 1:
        names = ", ".join(name.rsplit("/", 1)[-1] for name in found[:3])
        raise FormatError(
            f"{delivery.root} holds {len(found)} EnMAP products ({names} ...): name one of these files"
        )
    return found[0]


def open_enmap(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """An EnMAP L2A product as a cube.

    Raises:
        FormatError: it is of another level, damaged, contradicts itself, or lacks its image.
    """
    root, shown = delivery.xml(main), delivery.shown(main)
    level = (root.findtext("base/level") or root.findtext("metadata/schema/processingLevel") or "").strip()
    if level != "L2A":
        why = {
            "L1B": "at-sensor radiance of two detectors that are not co-registered",
            "L1C": "at-sensor radiance",
        }.get(level, "of a level that is not known")
        raise FormatError(f"{shown} is EnMAP {level or 'without a level'}, {why}: order the same image as L2A")
    image = _image(delivery, main, keep)
    lists = _band_table(root, shown, image.count)
    missing = _number(root.findtext("specific/backgroundValue"), "backgroundValue", shown)
    empty = empty_bands(image, missing)
    usable = _expected(root, shown, image.count)
    usable[list(empty)] = False
    unexpected = [int(i) + 1 for i in np.flatnonzero(~usable) if i not in empty]
    detectors = _detectors(root, shown, lists, usable)
    spectrum = one_spectrum(detectors, where=shown)
    first = len(detectors[0].centres)
    kept = (*spectrum.bands[0], *(first + band for band in spectrum.bands[1]))
    part = StoredBands(
        image.reader,
        kept,
        tuple(lists["GainOfBand"][i] for i in kept),
        tuple(lists["OffsetOfBand"][i] for i in kept),
        nodata=tuple({missing} | ({image.nodata} if image.nodata is not None else set())),
    )
    names = tuple(f"band {band + 1}" for band in range(image.count))
    bands = Bands(image.count, lists["wavelengthCenterOfBand"], lists["FWHMOfBand"], names=names)
    reader, order = reflectance_reader([part], [bands.centres[i] for i in kept])
    told = [f"bands {ranges([i + 1 for i in empty])}, which are empty"] if empty else []
    told += [f"bands {ranges(unexpected)}, which the metadata do not expect"] if unexpected else []
    return Cube(
        name=name,
        grid=image.grid,
        bands=take_bands(bands, [kept[i] for i in order]),
        dtype=np.dtype(np.float32),
        reader=reader,
        acquired=(root.findtext("base/temporalCoverage/startTime") or "").strip()[:19],
        marks=f"{missing:g}",
        files=() if delivery.zipped else tuple((delivery.root / each).absolute() for each in _own(delivery, main)),
        product=Product("EnMAP L2A", masks=_masks(delivery, main, image), told=(*told, *spectrum.told)),
    )


def _stem(name: str) -> str:
    """What the files of one product share: their name up to the last hyphen."""
    return name.rsplit("-", 1)[0]


def _key(name: str) -> str:
    """The same without case, which archives and people change."""
    return _stem(name).casefold()


def _own(delivery: Delivery, main: str) -> list[str]:
    """The files of one product, where several lie in a folder."""
    return [name for name in delivery.names if _key(name) == _key(main)]


def _image(delivery: Delivery, main: str, keep: int | None) -> Layer:
    stem = _stem(main)
    found = [name for name in delivery.matching(".*" + _IMAGE) if _key(name) == _key(main)]
    if not found:
        raise FormatError(f"{delivery.shown(stem)}-SPECTRAL_IMAGE.TIF is missing: copy the whole product")
    if len(found) > 1:
        raise FormatError(
            f"{delivery.path} holds the image {len(found)} times ({', '.join(found[:3])}): keep one of them"
        )
    return open_layer(delivery, found[0], keep=keep)


def _masks(delivery: Delivery, main: str, image: Layer) -> tuple[QualityMask, ...]:
    names = {name.casefold(): name for name in delivery.names}
    masks = []
    for kind, layer, values, always in _MASKS:
        wanted = [f"{_stem(main)}-{layer}{end}.{ending}" for ending in _KINDS for end in ("", "_COG")]
        there = next((names[each.casefold()] for each in wanted if each.casefold() in names), None)
        if there is not None:
            reader = open_layer(delivery, there).on(image.grid).reader
            masks.append(QualityMask(kind, FlagReader(reader, values), kind not in _SHOWN, layer))
        elif always:
            masks.append(missing_mask(kind, delivery, wanted[0]))
    return tuple(masks)


def _band_table(root: Element, shown: str, count: int) -> dict[str, tuple[float, ...]]:
    """What the metadata say of each band, in the order of the image."""
    bands = {}
    for element in root.findall(_BANDS):
        number = element.get("number", "")
        bands[int(number) if number.isdigit() else 0] = element
    if sorted(bands) != list(range(1, count + 1)):
        raise FormatError(
            f"{shown} describes {len(bands)} bands, but the image has {count}: they are not of one product, or "
            "damaged; download it again"
        )
    words = ("wavelengthCenterOfBand", "FWHMOfBand", "GainOfBand", "OffsetOfBand")
    return {
        word: tuple(_number(bands[i].findtext(word), f"{word} of band {i}", shown) for i in sorted(bands))
        for word in words
    }


def _expected(root: Element, shown: str, count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The bands that the metadata expect to hold something; all where they do not say."""
    usable = np.zeros(count, dtype=bool)
    lists = [
        root.findtext(f"specific/{detector}ProductQuality/expectedChannelsList") for detector in ("vnir", "swir")
    ]
    if not all(text and text.strip() for text in lists):
        return ~usable
    for text in lists:
        for part in (text or "").replace(" ", "").split(","):
            if not part.isdigit() or not 1 <= int(part) <= count:
                raise FormatError(
                    f"{shown}: expectedChannelsList holds {part[:20]!r}: expected bands 1 to {count}"
                )
            usable[int(part) - 1] = True
    return usable


def _detectors(
    root: Element,
    shown: str,
    lists: dict[str, tuple[float, ...]],
    usable: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> list[Detector]:
    centres, widths = lists["wavelengthCenterOfBand"], lists["FWHMOfBand"]
    first = int(_number(root.findtext("specific/numberOfVNIRBands"), "numberOfVNIRBands", shown))
    if not 0 < first < len(centres):
        raise FormatError(f"{shown}: numberOfVNIRBands is {first} of {len(centres)} bands: download it again")
    return [
        Detector(name, centres[part], widths[part], tuple(bool(flag) for flag in usable[part]), ascending=True)
        for name, part in (("VNIR", slice(0, first)), ("SWIR", slice(first, None)))
    ]


def _number(text: str | None, word: str, shown: str) -> float:
    try:
        value = float((text or "").strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        found = "missing" if text is None else repr(text.strip()[:20])
        raise FormatError(
            f"{shown}: {word} is {found}: expected a finite number; it is damaged, download it again"
        )
    return value
