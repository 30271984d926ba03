"""Wavelengths and band flags, from the many places where files keep them."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.scene import Bands

_log = logging.getLogger(__name__)

_NANOMETRES = {
    "nm": 1.0, "nanometer": 1.0, "nanometers": 1.0, "nanometre": 1.0, "nanometres": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3,
    "micrometer": 1e3, "micrometers": 1e3, "micrometre": 1e3, "micrometres": 1e3,
    "mm": 1e6, "millimeters": 1e6, "millimetres": 1e6, "cm": 1e7, "centimeters": 1e7, "centimetres": 1e7,
    "m": 1e9, "meters": 1e9, "metres": 1e9, "angstrom": 0.1, "angstroms": 0.1,
}  # fmt: skip
_UNSAID = ("", "unknown", "none", "undefined")
_MICROMETRES = (0.3, 15.0)  # the range of imaging spectrometers, in which bare small numbers are taken for um
_LEAST_NANOMETRES = 100.0
# The end of a band name as "band 1 (0.455400 Micrometers)", "Band 7: 426.82 nm" or "B05 0.7 um".
_IN_NAME = re.compile(r"[\s:,(\[]*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ]+)\s*[)\]]?\s*$")


def read_bands(dataset: Any, *, header: Mapping[str, str] | None = None) -> Bands:
    """The description of an open rasterio dataset's bands; ``header``: the fields of an ENVI header.

    Wavelengths are looked for in the ENVI header, in each band's tags, in GDAL's own IMAGERY tags and in the
    band names, in this order. Those that are incomplete, not positive or of an unknown unit are left out with a
    warning: a wrong wavelength is worse than none.

    Raises:
        FormatError: a wavelength, width or flag is text or no finite number.
    """
    count = int(dataset.count)
    tags = [_tags(dataset, i) for i in dataset.indexes]
    whole = _tags(dataset) | dict(header or {})
    names = _names(dataset, header or {})
    where = str(getattr(dataset, "name", "raster"))

    raw = _values(tags, whole, "wavelength", count, where)
    widths = _values(tags, whole, "fwhm", count, where)
    unit = next((tag[k] for tag in (*tags[:1], whole) for k in _UNIT_KEYS if k in tag), "")
    centres = to_nanometres(raw, unit, where=where)
    fwhm = _scaled(widths, _factor(raw, unit) or 0.0) if centres else ()
    # A list that was left out must not come back: GDAL copies it into the IMAGERY tags and band names, too.
    if not centres and "wavelength" not in whole:
        centres, fwhm = _from_imagery(dataset)
        centres = centres or _from_names(names)

    good = _values([_as_numbers(tag) for tag in tags], _as_numbers(whole), "bbl", count, where)
    return Bands(
        count=count,
        centres=centres,
        fwhm=fwhm if all(value > 0 for value in fwhm) else (),
        good=tuple(value != 0 for value in good),
        names=_clean_names(names),
    )


def read_scaling(
    dataset: Any, *, header: Mapping[str, str] | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Factor and offset of each band by which stored values become reflectance; each empty where it does nothing.

    GDAL's own scale and offset, divided by the ENVI header's ``reflectance scale factor``.

    Raises:
        FormatError: one of them is no finite number, or a factor is zero.
    """
    where = str(getattr(dataset, "name", "raster"))
    text = (header or {}).get("reflectance_scale_factor", "").strip()
    divisor = _number(text) if text else 1.0
    if divisor is None or not math.isfinite(divisor) or divisor <= 0:
        raise FormatError(
            f"{where}: reflectance scale factor is {text[:40]!r}: expected a positive number, as 10000"
        )
    scale = tuple(float(value) / divisor for value in dataset.scales)
    offset = tuple(float(value) / divisor for value in dataset.offsets)
    for values, word in ((scale, "scale"), (offset, "offset")):
        wrong = [value for value in values if not math.isfinite(value) or (word == "scale" and value == 0)]
        if wrong:
            raise FormatError(f"{where}: the {word} of a band is {wrong[0]:g}: correct or remove it")
    return (scale if set(scale) != {1.0} else ()), (offset if set(offset) != {0.0} else ())


def read_acquired(dataset: Any, *, header: Mapping[str, str] | None = None) -> str:
    """When an open rasterio dataset was acquired, in ISO 8601, or an empty string where it does not tell."""
    tags = [dict(header or {}), _tags(dataset, space="IMAGERY"), _tags(dataset)]
    return next((day for tag in tags for key in _DATE_KEYS if key in tag and (day := _iso(tag[key]))), "")


def read_written(dataset: Any) -> str:
    """When the file of an open rasterio dataset was made, as TIFF tells it, in ISO 8601, or an empty string."""
    return _iso(_tags(dataset).get("tifftag_datetime", ""))


def _iso(text: str) -> str:
    """A date, and the time behind it if there is one, in ISO 8601; an empty string where it is none."""
    text = text.strip().strip("{}").strip().strip("\"'")
    if match := _DATE.match(text):
        year, month, day, time = match[1], match[3], match[4], match[5] or ""
    elif match := _DAY_FIRST.match(text):
        year, month, day, time = match[3], match[2], match[1], match[4] or ""
    else:
        return ""
    return f"{year}-{month}-{day}{time}".replace(" ", "T")


def to_nanometres(values: list[float], unit: str, *, where: str) -> tuple[float, ...]:
    """Wavelengths in nanometres; empty, with a warning, where the unit cannot be told.

    Raises:
        FormatError: one is not finite.
    """
    wrong = [i for i, value in enumerate(values) if not math.isfinite(value)]
    if wrong:
        raise FormatError(f"{where}: wavelength {wrong[0] + 1} is {values[wrong[0]]}: correct or remove the list")
    factor = _factor(values, unit) if values else None
    if values and factor is None:
        _log.warning("%s: wavelengths %g ... in unit %r are not understood and left out", where, values[0], unit)
    return _scaled(values, factor) if factor else ()


def known_nanometres(values: NDArray[np.float64], unit: str, *, where: str) -> NDArray[np.float64]:
    """Wavelengths in nanometres, where nothing can be done without them.

    Args:
        values: as stored.
        unit: of them; empty where none is told: then numbers over 100 are nm, those from .3 to 15 um.
        where: names the source in messages.

    Raises:
        FormatError: one is not positive and finite, or the unit is none of a wavelength.
    """
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        raise FormatError(f"{where}: wavelength {wrong[0] + 1} is {values[wrong[0]]}: expected a positive number")
    factor = _factor(values.tolist(), unit) if len(values) else None
    if factor is None:
        unsaid = unit.strip().lower() in _UNSAID
        told = "have no unit, and their numbers tell none" if unsaid else f"have the unit {unit[:40]!r}"
        raise FormatError(f"{where}: the wavelengths {told}: expected nm or um")
    return np.round(values * factor, 6)


_DATE_KEYS = (
    "acquisition_time", "acquisitiondatetime", "acquisition_date", "acquisition_datetime", "date_acquired",
    "datetime_original", "sensing_time", "start_time", "datatake_1_datatake_sensing_start", "product_start_time",
    "time_coverage_start", "acquired", "acquisitiondate", "sensing_date", "datetime",
)  # fmt: skip
_DATE = re.compile(r"(\d{4})([-/.:]?)(\d\d)\2(\d\d)([T ]\d\d:\d\d(?::\d\d)?)?")
_DAY_FIRST = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})([T ]\d\d:\d\d(?::\d\d)?)?")  # with slashes, nobody knows
_UNIT_KEYS = ("wavelength_units", "wavelength_unit", "wavelength units")


def _tags(dataset: Any, band: int = 0, *, space: str | None = None) -> dict[str, str]:
    """Tags of a dataset or band by their names in small letters; none where they are no UTF-8."""
    try:
        return {str(key).lower(): str(value) for key, value in dataset.tags(band, ns=space).items()}
    except UnicodeDecodeError:
        return {}


def _names(dataset: Any, header: Mapping[str, str]) -> list[str]:
    """Names of the bands, empty where there are none."""
    try:
        return [str(name or "") for name in dataset.descriptions]
    except UnicodeDecodeError:
        names = [" ".join(name.split()) for name in header.get("band_names", "").strip("{}").split(",")]
        return names if len(names) == dataset.count else [""] * dataset.count


def _values(tags: list[dict[str, str]], whole: dict[str, str], key: str, count: int, where: str) -> list[float]:
    """One number a band, from the list for the whole file or else from each band's tags."""
    # The list first: from one that is too long GDAL fills the tags of the bands that there are.
    if key in whole:
        return _list_values(whole, key, count, where)
    values = _band_values(tags, key)
    given = [tag[key] for tag in tags if tag.get(key, "").strip()]
    if len(given) == count:
        _refuse_text(given, key, where)
    return values


def _as_numbers(tags: Mapping[str, str]) -> dict[str, str]:
    """The list of good bands with 1 and 0 for True and False, as Python's programs write them."""
    flags = re.sub(r"\btrue\b", "1", tags.get("bbl", ""), flags=re.IGNORECASE)
    return dict(tags) | ({"bbl": re.sub(r"\bfalse\b", "0", flags, flags=re.IGNORECASE)} if flags else {})


def _band_values(tags: list[dict[str, str]], key: str) -> list[float]:
    """One number from each band's tags, or nothing where a band has none."""
    values = [_number(tag.get(key, "")) for tag in tags]
    return [value for value in values if value is not None] if None not in values else []


def _list_values(tags: dict[str, str], key: str, count: int, where: str) -> list[float]:
    """Numbers from a list as ``{ 0.48, 0.56 }``, or nothing where it is absent or of another length."""
    text = tags.get(key, "").strip().strip("{}")
    if not text:
        return []
    parts = [part.strip() for part in text.split(",") if part.strip()]
    numbers = [value for part in parts if (value := _number(part)) is not None]
    _refuse_text(parts, key, where)
    if len(numbers) != count:
        _log.warning("%s: %d values of %s for %d bands are left out", where, len(parts), key, count)
        return []
    return numbers


def _refuse_text(parts: list[str], key: str, where: str) -> None:
    """Refuse a list of which some are no finite numbers: what it says of its bands cannot be trusted."""
    wrong = [
        i for i, part in enumerate(parts) if not math.isfinite(math.nan if (v := _number(part)) is None else v)
    ]
    if wrong:
        raise FormatError(
            f"{where}: {key} {wrong[0] + 1} of {len(parts)} is {parts[wrong[0]][:40]!r}: expected a finite "
            "number; correct or remove the list"
        )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _scaled(values: list[float], factor: float) -> tuple[float, ...]:
    # Rounded, because 0.4554 um is 455.4 nm and not 455.40000000000003.
    return tuple(round(value * factor, 6) for value in values)


def _factor(values: list[float], unit: str) -> float | None:
    """What to multiply by to get nanometres, or None where that is unknown."""
    if not all(0 < value < float("inf") for value in values):
        return None
    word = unit.strip().lower()
    if word not in _UNSAID:
        return _NANOMETRES.get(word)
    if min(values) > _LEAST_NANOMETRES:
        return 1.0
    return 1e3 if _MICROMETRES[0] <= min(values) and max(values) <= _MICROMETRES[1] else None


def _from_imagery(dataset: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Centres and widths from GDAL's IMAGERY tags, which round to whole nanometres."""
    tags = [_tags(dataset, i, space="IMAGERY") for i in dataset.indexes]
    centres = _band_values(tags, "central_wavelength_um")
    widths = _band_values(tags, "fwhm_um")
    if not centres or min(centres) <= 0:
        return (), ()
    return _scaled(centres, 1e3), _scaled(widths, 1e3)


def _from_names(names: list[str]) -> tuple[float, ...]:
    """Centres from names that end in a number with its unit; all bands must have one."""
    centres = []
    for name in names:
        match = _IN_NAME.search(name)
        factor = _NANOMETRES.get(match[2].lower()) if match else None
        # Metres and the like are left out: "10 m" in a band name is the pixel size.
        if match is None or factor is None or not 0 < factor <= 1e3 or float(match[1]) <= 0:
            return ()
        centres.append(round(float(match[1]) * factor, 6))
    return tuple(centres)


def _clean_names(names: list[str]) -> tuple[str, ...]:
    """Names without the wavelength that GDAL appends; empty where no band has a name."""
    if not any(names):
        return ()
    cleaned = []
    for i, name in enumerate(names):
        match = _IN_NAME.search(name)
        cut = name[: match.start()].strip() if match and match[2].lower() in _NANOMETRES else name.strip()
        cleaned.append(cut or name.strip() or f"band {i + 1}")
    return tuple(cleaned)
