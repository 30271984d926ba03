"""GDAL's virtual rasters (VRT) without what they could do beyond showing files: mosaics and stacks, nothing else.

A VRT may run Python, fetch an address, or open any file of the machine. So GDAL never gets the file: it is parsed
here, only what is listed below is taken over into a text of our own, and each source in it is a file that was
looked at, opened by the one driver that its content asks for. What was checked is thereby what is opened, whatever
happens to the VRT later. https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

import numpy as np

from hsi_cd.errors import FormatError
from hsi_cd.io.kinds import FileKind, file_kind
from hsi_cd.io.memory import check_plausible

_MOST_TEXT = 64 << 20  # bytes
_MOST_SOURCES = 100_000  # of all bands together
_DEEPEST = 8  # elements in which one lies
_LONGEST = 1000  # letters of a number, or of six: patterns take a time that grows with it
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")  # a document type, in which entities would be declared
_WHOLE = r"\d{1,10}"
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_VALUE = rf"(?i)({_NUMBER}|[-+]?(nan|inf)(inity)?)"
_CRS = r"(?s)EPSG:\d+|[A-Z][A-Z0-9_]*\[.*\]|"  # no name of a file or address, which GDAL would fetch
_ANY = r"(?s).*"
_TYPES = {
    "Byte": "u1", "Int8": "i1", "UInt16": "u2", "Int16": "i2", "UInt32": "u4", "Int32": "i4", "UInt64": "u8",
    "Int64": "i8", "Float32": "f4", "Float64": "f8",
}  # fmt: skip
_DOMAINS = ("", "RPC", "IMAGE_STRUCTURE", "IMAGERY", "ENVI")  # of metadata that say something and open nothing
_REMEDY = "if you trust it, write what it shows as a GeoTIFF, as with rio convert {path} {stem}.tif"

Locate = Callable[[Path, FileKind], tuple[object, str]]
"""The driver that reads a file of this kind, and what it opens; refuses what is damaged."""


@dataclass(frozen=True)
class _Element:
    """What is taken over of an element: all else in it is refused, but for what says nothing of the image.

    Attributes:
        attributes: its attributes, and the patterns of their values.
        children: names of the elements in it.
        text: the pattern of its text.
        left_out: names of attributes and elements that are not taken over, because they say nothing of the image.
    """

    attributes: dict[str, str] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    text: str = ""
    left_out: tuple[str, ...] = ()


_SHOWN = ("SourceFilename", "SourceBand", "SrcRect", "DstRect")
_RECT = _Element(dict.fromkeys(("xOff", "yOff", "xSize", "ySize"), _NUMBER))
_RESAMPLING = {"resampling": "nearest|bilinear|cubic|cubicspline|lanczos|average|mode"}
_AXES = {"dataAxisToSRSAxisMapping": r"-?\d(,-?\d)*", "coordinateEpoch": _NUMBER}
_ELEMENTS = {
    "VRTDataset": _Element(
        {"rasterXSize": _WHOLE, "rasterYSize": _WHOLE},
        ("SRS", "GeoTransform", "GCPList", "Metadata", "MaskBand", "VRTRasterBand"),
        left_out=("OverviewList", "BlockXSize", "BlockYSize"),
    ),
    "SRS": _Element(_AXES, text=_CRS),
    "GeoTransform": _Element(text=rf"({_NUMBER}\s*,\s*){{5}}{_NUMBER}"),
    "GCPList": _Element({"Projection": _CRS, **_AXES}, ("GCP",)),
    "GCP": _Element({"Id": _ANY, "Info": _ANY, **dict.fromkeys(("Pixel", "Line", "X", "Y", "Z"), _NUMBER)}),
    "Metadata": _Element({"domain": _ANY}, ("MDI",)),
    "MDI": _Element({"key": _ANY}, text=_ANY),
    "MaskBand": _Element(children=("VRTRasterBand",)),
    "VRTRasterBand": _Element(
        {"dataType": "|".join(_TYPES), "band": _WHOLE},
        ("Metadata", "Description", "UnitType", "NoDataValue", "Offset", "Scale", "ColorInterp", "CategoryNames",
         "ColorTable", "GDALRasterAttributeTable", "SimpleSource", "ComplexSource", "MaskBand"),
        left_out=("blockXSize", "blockYSize", "Histograms", "Overview", "HideNoDataValue"),
    ),
    "Description": _Element(text=_ANY),
    "UnitType": _Element(text=_ANY),
    "NoDataValue": _Element(text=_VALUE),
    "Offset": _Element(text=_NUMBER),
    "Scale": _Element(text=_NUMBER),
    "ColorInterp": _Element(text=r"\w+"),
    "CategoryNames": _Element(children=("Category",)),
    "Category": _Element(text=_ANY),
    "ColorTable": _Element(children=("Entry",)),
    "Entry": _Element(dict.fromkeys(("c1", "c2", "c3", "c4"), _WHOLE)),
    "GDALRasterAttributeTable": _Element(
        {"tableType": r"\w+", "Row0Min": _NUMBER, "BinSize": _NUMBER}, ("FieldDefn", "Row")
    ),
    "FieldDefn": _Element({"index": _WHOLE}, ("Name", "Type", "Usage")),
    "Name": _Element(text=_ANY),
    "Type": _Element({"typeAsString": r"\w+"}, text=_WHOLE),
    "Usage": _Element({"usageAsString": r"\w+"}, text=_WHOLE),
    "Row": _Element({"index": _WHOLE}, ("F",)),
    "F": _Element(text=_ANY),
    "SimpleSource": _Element(_RESAMPLING, _SHOWN, left_out=("SourceProperties",)),
    "ComplexSource": _Element(
        _RESAMPLING,
        (*_SHOWN, "UseMaskBand", "NODATA", "ScaleOffset", "ScaleRatio"),
        left_out=("SourceProperties",),
    ),
    "SourceFilename": _Element({"relativeToVRT": "0|1", "relativetoVRT": "0|1"}, text=_ANY, left_out=("shared",)),
    "SourceBand": _Element(text=rf"(mask,)?{_WHOLE}|mask"),
    "SrcRect": _RECT,
    "DstRect": _RECT,
    "UseMaskBand": _Element(text="true|false"),
    "NODATA": _Element(text=_VALUE),
    "ScaleOffset": _Element(text=_NUMBER),
    "ScaleRatio": _Element(text=_NUMBER),
}  # fmt: skip
"""All that is understood; GDAL itself does not tell small letters from capitals, which here are refused."""


@dataclass(frozen=True)
class VirtualRaster:
    """A VRT that was checked.

    Attributes:
        path: the file.
        text: what GDAL is given.
        sources: the files that it shows, each once.
    """

    path: Path
    text: str
    sources: tuple[Path, ...]

    def __str__(self) -> str:
        return str(self.path)


def read_virtual(path: Path, locate: Locate) -> VirtualRaster:
    """Check a VRT: no scripts, no addresses, and no file but those in its own folder and the folders below.

    Args:
        path: the VRT.
        locate: checks a source, and tells its driver.

    Raises:
        FormatError: it holds anything else, is damaged, or describes far more than its files can hold.
    """
    root = _parsed(path)
    checking = _Checking(path, path.resolve().parent, locate)
    taken = checking.taken(root)
    types = [_TYPES[band.get("dataType", "Byte")] for band in taken.findall("VRTRasterBand")]
    if not types or not checking.drivers:
        raise FormatError(f"{path} is a virtual raster (VRT) that shows no file: write it again")
    rows, cols = (int(taken.get(f"raster{axis}Size", "0")) for axis in "YX")
    sources = tuple(checking.drivers)
    stored = sum(each.stat().st_size for each in sources)
    check_plausible(path, (rows, cols, len(types)), np.result_type(*types).itemsize, stored=stored)
    return VirtualRaster(path.absolute(), ElementTree.tostring(taken, encoding="unicode"), sources)


class _Checking:
    """The way through one VRT.

    Attributes:
        path: the VRT.
        folder: where its sources must lie.
        locate: checks a source, and tells its driver.
        drivers: the driver of each source that was found.
    """

    def __init__(self, path: Path, folder: Path, locate: Locate) -> None:
        self.path, self.folder, self.locate = path, folder, locate
        self.drivers: dict[Path, str] = {}
        self._count = 0

    def taken(self, element: ElementTree.Element, depth: int = 0) -> ElementTree.Element:
        """What of an element is understood, in a new one.

        Args:
            element: as it was parsed.
            depth: of how many elements it lies in.
        """
        if depth > _DEEPEST:
            self._refuse(f"holds {element.tag} in {element.tag}, again and again")
        rule = _ELEMENTS[element.tag]
        out = ElementTree.Element(element.tag)
        if "subClass" in element.attrib:
            self._refuse(f"computes ({element.tag} {element.attrib['subClass'][:40]}) instead of showing files")
        for name, value in element.attrib.items():
            if name in rule.left_out:
                continue
            if name not in rule.attributes or not _fits(rule.attributes[name], value):
                self._refuse(f"has {name}={value[:40]!r} in {element.tag}, which is not understood")
            out.set(name, value)
        text = element.text or ""
        if element.tag == "SourceFilename":
            out.attrib = {"relativeToVRT": "0", "shared": "1"}
            out.text = self._source(text, any(element.get(name) == "1" for name in rule.attributes))
            return out
        if not _fits(rule.text, text):
            self._refuse(f"has {text.strip()[:40]!r} as {element.tag}, which is not understood")
        out.text = text
        for child in element:
            if child.tag in rule.left_out or _says_nothing(child):
                continue
            if child.tag not in rule.children:
                self._refuse(f"holds {child.tag[:40]} in {element.tag}, which is not read")
            out.append(self.taken(child, depth + 1))
        return out

    def _source(self, name: str, relative: bool) -> str:
        """What GDAL is to open for a source: a file that was looked at, by its driver."""
        self._count += 1
        if self._count > _MOST_SOURCES:
            raise FormatError(f"{self.path} shows more than {_MOST_SOURCES} pieces: make GeoTIFFs of parts of it")
        try:
            found = (self.folder / name if relative else Path(name)).resolve(strict=True)
            regular = stat.S_ISREG(found.stat().st_mode)
        except (OSError, ValueError, RuntimeError):
            raise FormatError(
                f"{self.path} shows {name[:200]!r}, which is no file on disk: a virtual raster (VRT) is read if "
                "it shows files in its own folder or below, no addresses; name the files themselves"
            ) from None
        if not found.is_relative_to(self.folder) or not regular or "?" in str(found):
            raise FormatError(
                f"{self.path} shows {name[:200]!r}, which is no file in the folder of the virtual raster (VRT) or "
                "below: write the VRT there, as with gdalbuildvrt, or name the files themselves"
            )
        if found not in self.drivers:
            kind = file_kind(found)
            if kind is FileKind.VRT:
                self._refuse(f"shows another virtual raster ({name[:200]})")
            if not kind.is_image and kind not in (FileKind.RAW, FileKind.ENVI_HEADER):
                self._refuse(
                    f"shows a {kind.title} file ({name[:200]}), not a raster as GeoTIFF, JPEG 2000 or ENVI"
                )
            self.drivers[found] = self.locate(found, kind)[1]
        return f"vrt://{found}?if={self.drivers[found]}"

    def _refuse(self, what: str) -> NoReturn:
        raise FormatError(
            f"{self.path} is a virtual raster (VRT) that {what}: only mosaics and stacks of files are read; "
            + _REMEDY.format(path=self.path, stem=self.path.with_suffix(""))
        )


def _parsed(path: Path) -> ElementTree.Element:
    with path.open("rb") as handle:
        raw = handle.read(_MOST_TEXT + 1)
    if len(raw) > _MOST_TEXT:
        raise FormatError(f"{path} is a virtual raster (VRT) of more than {_MOST_TEXT >> 20} MB: split it")
    try:
        text = raw.decode("utf-8-sig")  # and no other encoding, in which a declaration could hide
        if _DECLARATION.search(text) is not None:
            raise FormatError(f"{path} declares a document type, which no virtual raster (VRT) needs: remove it")
        root = ElementTree.fromstring(text)
    except FormatError:
        raise
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FormatError(
            f"{path} cannot be read as a virtual raster (VRT) ({error}): it is truncated or damaged; copy it again"
        ) from error
    if root.tag != "VRTDataset":
        raise FormatError(f"{path} holds {root.tag[:40]}, not a virtual raster (VRT): name the raster itself")
    return root


def _fits(pattern: str, text: str) -> bool:
    if pattern in (_ANY, _CRS):
        return re.fullmatch(pattern, text.strip()) is not None
    return len(text) <= _LONGEST and re.fullmatch(pattern, text.strip()) is not None


def _says_nothing(element: ElementTree.Element) -> bool:
    """Whether it is metadata of no use here, as of a camera, or of a table of places that GDAL would open."""
    if element.tag != "Metadata":
        return False
    return element.get("domain", "") not in _DOMAINS or element.get("format") is not None
