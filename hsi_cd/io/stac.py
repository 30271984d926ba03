"""STAC items: a date whose bands are the assets that a JSON document names, on disk or at addresses.

What is opened is what the user named: the item's own files in its folder or below, or its own host's. An item may
name assets anywhere, so other hosts are read only where the user allows them. SpatioTemporal Asset Catalog 1.0 and
1.1, with the extensions eo, raster and projection. https://stacspec.org
"""

from __future__ import annotations

import json
import logging
import math
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from hsi_cd.errors import FormatError
from hsi_cd.io.byte_sources import head_of
from hsi_cd.io.spectral_bands import no_band
from hsi_cd.io.stack import open_stack
from hsi_cd.places import archive_of, as_place, file_of, gdal_name, is_place, is_remote, member_of, place_name
from hsi_cd.scene import Bands, Cube

ALLOWED_HOSTS = "HSI_CD_ALLOW_HOSTS"
"""The variable of the environment that names further hosts (and buckets), with commas between them."""

_log = logging.getLogger(__name__)

_MOST_TEXT = 16 << 20  # bytes
_MOST_ASSETS = 2000
_RASTERS = re.compile(r"image/(tiff|jp2|vnd\.stac\.geotiff)\b", re.IGNORECASE)
_ENDINGS = (".tif", ".tiff", ".jp2")
_ROLES = frozenset(("data", "reflectance"))
_OTHER_ROLES = frozenset(
    ("overview", "thumbnail", "visual", "metadata", "cloud", "cloud-shadow", "shadow", "snow-ice", "snow", "water",
     "saturation", "qa", "quality", "temperature", "emissivity", "mask", "angle", "classification")
)  # fmt: skip
_THERMAL_FROM = 6000.0  # nm
_THERMAL = re.compile(r"(lwir|tir)\d*", re.IGNORECASE)
_BASELINE = "s2:processing_baseline"  # of Sentinel-2: from 04.00 on, its numbers are 1000 too large
_UNSCALED = 1e-4  # of which its items then tell nothing
_APPLIED = "earthsearch:boa_offset_applied"  # the offset that the item tells was taken off already


def read_item(path: Path) -> dict[str, Any] | None:
    """A STAC item; None of any other file.

    Args:
        path: a file on disk, at an address or in an archive.

    Raises:
        FormatError: it is a catalog or collection, or an item that is damaged.
    """
    try:
        if not is_place(path) and not path.is_file():
            return None
        if head_of(path, 64).lstrip(b"\xef\xbb\xbf \r\n\t")[:1] != b"{":
            return None
        raw = head_of(path, _MOST_TEXT + 1)
    except (FormatError, OSError):  # its reader says so
        return None
    if b'"stac_version"' not in raw:
        return None
    shown = place_name(path)
    if len(raw) > _MOST_TEXT:
        raise FormatError(f"{shown} is a STAC document of more than {_MOST_TEXT >> 20} MB: name one item")
    try:
        item = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{shown} is a STAC document, but no whole JSON ({error}): download it again") from error
    kind = item.get("type") if isinstance(item, dict) else None
    if not isinstance(item, dict) or kind != "Feature":
        raise FormatError(
            f"{shown} is no STAC item, but a {str(kind)[:40]}: name the item of one date (its links rel=item)"
        )
    if not isinstance(item.get("assets"), dict) or not isinstance(item.get("properties"), dict):
        raise FormatError(f"{shown} is a STAC item without assets and properties: download it again")
    return item


def open_item(
    path: Path, item: Mapping[str, Any], *, name: str, resample: bool = False, keep: int | None = None
) -> Cube:
    """A STAC item as a cube: the assets that are bands, by wavelength; what else it names is left out.

    Args:
        path: where the item lies.
        item: from :func:`read_item`.
        name: what messages call the cube.
        resample: bring assets of several pixel sizes to the finest grid.
        keep: bytes that decoded blocks may take.

    Raises:
        FormatError: it names no bands, a file that contradicts it, or one that the user did not name.
        GridError: its assets differ in pixel size and are not to be resampled.
    """
    placed = item_assets(path, item)
    if not placed:
        raise FormatError(
            f"{place_name(path)} names no asset that is a band (GeoTIFF or JPEG 2000 of the role data): "
            "name the files themselves"
        )
    left_out = [key for key in item["assets"] if key not in {asset.key for asset in placed.values()}]
    if left_out:
        _log.info("%s: of its assets, %s are left out, as no bands", name, ", ".join(map(str, left_out)))
    properties = item["properties"]
    cube = open_stack(
        list(placed),
        name=name,
        resample=resample,
        keep=keep,
        described=lambda place, found: _as_told(found, placed[place], properties, place_name(path)),
    )
    taken = str(properties.get("datetime") or properties.get("start_datetime") or "")[:19]
    files = map(file_of, (path, *placed))
    return replace(cube, acquired=cube.acquired or taken, files=tuple(dict.fromkeys(files)))


def item_assets(path: Path, item: Mapping[str, Any]) -> dict[Path, Asset]:
    """The assets of an item that are bands, by where they lie.

    Args:
        path: where the item lies.
        item: from :func:`read_item`.

    Raises:
        FormatError: it is damaged, or names one that the user did not name.
    """
    return {_place_of(path, asset): asset for asset in _spectral(_rasters(path, item))}


@dataclass(frozen=True)
class ItemBand:
    """A band of an asset, as the item describes it; None for what it does not tell.

    Attributes:
        name: its name, or a common one as ``red``; may be empty.
        centre: wavelength, nm.
        fwhm: full width at half maximum, nm.
        scale: factor of the stored values.
        offset: what is added to them then.
        nodata: stored value that means no data.
    """

    name: str
    centre: float | None
    fwhm: float | None
    scale: float | None
    offset: float | None
    nodata: float | None


@dataclass(frozen=True)
class Asset:
    """A raster of an item.

    Attributes:
        key: its name in the item.
        href: where the item says that it lies.
        bands: its bands as described; none where the item describes none.
        is_tiff: whether it is a GeoTIFF.
    """

    key: str
    href: str
    bands: tuple[ItemBand, ...]
    is_tiff: bool

    @property
    def is_described(self) -> bool:
        """Whether the item tells what its bands are."""
        return bool(self.bands) and all(band.name or band.centre is not None for band in self.bands)


def _rasters(path: Path, item: Mapping[str, Any]) -> list[Asset]:
    """The rasters of an item that hold data."""
    shown = place_name(path)
    if len(item.get("assets", ())) > _MOST_ASSETS:
        raise FormatError(f"{shown} names more than {_MOST_ASSETS} assets: it is no item of one date")
    found = []
    for key, asset in item.get("assets", {}).items():
        if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
            raise FormatError(f"{shown}: its asset {key[:40]!r} has no href: download the item again")
        href, kind, roles = asset["href"], asset.get("type"), asset.get("roles")
        said = {str(role).lower() for role in roles} if isinstance(roles, list) else set()
        ending = urlsplit(href).path.lower()
        is_raster = _RASTERS.match(kind) is not None if isinstance(kind, str) else ending.endswith(_ENDINGS)
        if is_raster and not said & _OTHER_ROLES and (said & _ROLES or not said):
            found.append(
                Asset(key, href, _described(asset, f"{shown}: asset {key[:40]}"), not ending.endswith("2"))
            )
    return found


def _spectral(assets: Sequence[Asset]) -> list[Asset]:
    """The assets that are bands, each band once, by wavelength where all tell it."""
    if any(asset.is_described for asset in assets):
        found = [asset for asset in assets if asset.is_described]
    else:
        found = [
            a for a in assets if not no_band(a.key) and not no_band(posixpath.basename(urlsplit(a.href).path))
        ]
    found = [asset for asset in found if not any(map(_is_thermal, asset.bands))]
    single = {asset.bands[0].name for asset in found if len(asset.bands) == 1}
    # A picture in true colour repeats bands that have assets of their own.
    found = [a for a in found if len(a.bands) < 2 or not {band.name for band in a.bands} <= single]
    once: dict[object, Asset] = {}
    for asset in found:
        same = tuple((band.name, band.centre) for band in asset.bands) or asset.key
        if same not in once or (asset.is_tiff and not once[same].is_tiff):  # of which less is read for a window
            once[same] = asset
    chosen = list(once.values())
    if all(asset.bands and asset.bands[0].centre is not None for asset in chosen):
        chosen.sort(key=lambda asset: asset.bands[0].centre or 0.0)
    return chosen


def _is_thermal(band: ItemBand) -> bool:
    return _THERMAL.fullmatch(band.name) is not None or (band.centre or 0) > _THERMAL_FROM


def _described(asset: Mapping[str, Any], where: str) -> tuple[ItemBand, ...]:
    """The bands of an asset, in the words of STAC 1.0 (``eo:bands``, ``raster:bands``) or 1.1 (``bands``)."""
    lists = [asset.get(word) for word in ("bands", "eo:bands", "raster:bands")]
    given = [each for each in lists if isinstance(each, list) and each]
    count = max(map(len, given), default=0)
    if any(len(each) != count or not all(isinstance(band, dict) for band in each) for each in given):
        raise FormatError(f"{where} describes its bands in two ways that differ: download the item again")
    bands = []
    for number in range(count):
        told: dict[str, Any] = {"nodata": asset.get("nodata")} if asset.get("nodata") is not None else {}
        told |= {word: asset[f"raster:{word}"] for word in ("scale", "offset") if f"raster:{word}" in asset}
        for each in given:
            told |= {
                word.removeprefix("eo:").removeprefix("raster:"): value for word, value in each[number].items()
            }
        centre, fwhm = (_number(told, word, where) for word in ("center_wavelength", "full_width_half_max"))
        bands.append(
            ItemBand(
                str(told.get("name") or told.get("common_name") or ""),
                None if centre is None else centre * 1000,  # micrometres
                None if fwhm is None else fwhm * 1000,
                _number(told, "scale", where),
                _number(told, "offset", where),
                _number(told, "nodata", where, finite=False),
            )
        )
    return tuple(bands)


def _number(told: Mapping[str, Any], word: str, where: str, *, finite: bool = True) -> float | None:
    value = told.get(word)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        finite, number = True, math.inf
    if finite and not math.isfinite(number):
        raise FormatError(f"{where}: {word} is {str(value)[:40]!r}, no number: download the item again")
    return number


def _place_of(path: Path, asset: Asset) -> Path:
    """Where an asset lies, if that is a place that the user named.

    Raises:
        FormatError: it is not.
    """
    shown, href = place_name(path), asset.href
    remote = is_remote(path)
    whole = urljoin(gdal_name(path).removeprefix("/vsicurl/"), href) if remote else href
    parts = urlsplit(whole)
    if parts.scheme.lower() in ("https", "http", "s3"):
        own = urlsplit(gdal_name(path).removeprefix("/vsicurl/")).netloc.lower() if remote else ""
        host = parts.netloc.lower()
        allowed = {each.strip().lower() for each in os.environ.get(ALLOWED_HOSTS, "").split(",")}
        if not host or (host != own and host not in allowed):
            raise FormatError(
                f"{shown} names its asset {asset.key} at {host[:100]!r}, which you did not: if it is to be read "
                f"there, set {ALLOWED_HOSTS}={host[:100]} in the environment"
            )
        found = as_place(whole)
        if found is not None:
            return found
    archive = archive_of(path)
    if archive is not None and not parts.scheme:
        member = posixpath.normpath(posixpath.join(posixpath.dirname(member_of(path)), href))
        if not member.startswith(("/", "..")):
            return Path(f"{path.as_posix().partition('}/')[0]}}}/{member}")
    elif not remote:
        folder = path.resolve().parent
        try:
            inside = (folder / href.removeprefix("file://")).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            raise FormatError(f"{shown} names its asset {asset.key} {href[:100]!r}, which is not there") from None
        if inside.is_file() and inside.is_relative_to(folder):
            return inside
    raise FormatError(
        f"{shown} names its asset {asset.key} {href[:100]!r}, which lies neither beside it nor below: name "
        "the files themselves"
    )


def _as_told(cube: Cube, asset: Asset, properties: Mapping[str, Any], shown: str) -> Cube:
    """What a file holds, with what the item tells of it.

    Raises:
        FormatError: they contradict each other.
    """
    bands, count = asset.bands, cube.bands.count
    where = f"{shown}: its asset {asset.key}"
    if not bands:
        return cube
    if len(bands) != count:
        raise FormatError(f"{where} has {count} bands, but the item describes {len(bands)}: name the file itself")
    centres = tuple(band.centre for band in bands if band.centre is not None)
    widths = tuple(band.fwhm for band in bands if band.fwhm is not None)
    names = tuple(band.name for band in bands if band.name)
    scale, offset = _scaling(bands, properties)
    for word, own, told in (("scale", cube.scale, scale), ("offset", cube.offset, offset)):
        if own and told and own != told:
            raise FormatError(
                f"{where} has the {word} {own[0]:g}, but the item tells {told[0]:g}: one of them is wrong; name "
                "the file itself"
            )
    empty = {str(band.nodata) for band in bands}
    nodata = bands[0].nodata if len(empty) == 1 else None
    return replace(
        cube,
        bands=Bands(
            count,
            centres if len(centres) == count else cube.bands.centres,
            widths if len(widths) == count else cube.bands.fwhm,
            cube.bands.good,
            names if len(names) == count else cube.bands.names,
        ),
        scale=cube.scale or scale,
        offset=cube.offset or offset,
        nodata=nodata if cube.nodata is None else cube.nodata,
    )


def _scaling(
    bands: Sequence[ItemBand], properties: Mapping[str, Any]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and offset of each band, empty where they change nothing."""
    scale = tuple(1.0 if band.scale is None else band.scale for band in bands)
    offset = tuple(0.0 if band.offset is None else band.offset for band in bands)
    if _APPLIED in properties and properties[_APPLIED] is True:
        offset = (0.0,) * len(bands)
    if _BASELINE in properties and all(band.scale is None and band.offset is None for band in bands):
        late = _version(properties[_BASELINE]) >= (4, 0)
        scale, offset = (_UNSCALED,) * len(bands), (-1000 * _UNSCALED if late else 0.0,) * len(bands)
    changes = _differs(scale, 1.0) or _differs(offset, 0.0)
    return scale if changes else (), offset if _differs(offset, 0.0) else ()


def _version(text: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", str(text)))


def _differs(values: Iterable[float], neutral: float) -> bool:
    return any(value != neutral for value in values)
