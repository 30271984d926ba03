"""Wavelengths of satellites' bands that files tell by their names alone, as B02 or SR_B2.

The same name means other light on another sensor: B2 is 492 nm on Sentinel-2 and 561 nm on Landsat 7. So the
sensor must be told, by the file's name, its tags, or a band that only one sensor has; else nothing is said of
wavelengths. Centres and widths are of the sensors' own documents; the readers of their products use them, too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hsi_cd.scene import Bands, Cube

_log = logging.getLogger(__name__)

Table = Mapping[str, tuple[float, float]]
"""Centre and width (fwhm), nm, by the band's name without zeros before its number."""

SENTINEL2A: Table = {
    "B1": (442.7, 21.0), "B2": (492.4, 66.0), "B3": (559.8, 36.0), "B4": (664.6, 31.0), "B5": (704.1, 15.0),
    "B6": (740.5, 15.0), "B7": (782.8, 20.0), "B8": (832.8, 106.0), "B8A": (864.7, 21.0), "B9": (945.1, 20.0),
    "B10": (1373.5, 31.0), "B11": (1613.7, 91.0), "B12": (2202.4, 175.0),
}  # fmt: skip
SENTINEL2B: Table = {
    "B1": (442.2, 21.0), "B2": (492.1, 66.0), "B3": (559.0, 36.0), "B4": (664.9, 31.0), "B5": (703.8, 16.0),
    "B6": (739.1, 15.0), "B7": (779.7, 20.0), "B8": (832.9, 106.0), "B8A": (864.0, 22.0), "B9": (943.2, 21.0),
    "B10": (1376.9, 30.0), "B11": (1610.4, 94.0), "B12": (2185.7, 185.0),
}  # fmt: skip
OLI: Table = {
    "B1": (442.96, 15.98), "B2": (482.04, 60.04), "B3": (561.41, 57.33), "B4": (654.59, 37.47),
    "B5": (864.67, 28.25), "B6": (1608.86, 84.72), "B7": (2200.73, 186.66), "B8": (589.50, 172.40),
    "B9": (1373.43, 20.39),
}  # fmt: skip
ETM: Table = {
    "B1": (478.7, 66.4), "B2": (561.0, 78.5), "B3": (661.4, 60.3), "B4": (834.6, 122.2), "B5": (1650.3, 191.1),
    "B7": (2208.1, 252.9),
}  # fmt: skip
TM: Table = {
    "B1": (486.0, 66.0), "B2": (571.0, 81.0), "B3": (661.0, 67.0), "B4": (838.0, 128.0), "B5": (1677.0, 217.0),
    "B7": (2217.0, 252.0),
}  # fmt: skip
_TABLES: Mapping[str, Table] = {"Sentinel-2": SENTINEL2A, "Landsat 8-9": OLI, "Landsat 7": ETM, "Landsat 4-5": TM}
# What names and tags say, in capitals with one _ between their words and around them.
_SAYS = tuple(
    (sensor, re.compile(pattern))
    for sensor, pattern in (
        ("Sentinel-2",
         r"_S2[ABC]?_|_MSI_|_MSIL[12][AC]_|_SENTINEL_?2[ABC]?_|_HLS_S30_|_T\d\d[A-Z]{3}_(20\d{6}T\d{6}|A\d{6})_"),
        ("Landsat 8-9", r"_L[CO]0?[89](_|\d{13})|_OLI_|_LANDSAT_?[89]_|_HLS_L30_"),
        ("Landsat 7", r"_LE0?7(_|\d{13})|_ETM_|_LANDSAT_?7_"),
        ("Landsat 4-5", r"_LT0?[45](_|\d{13})|_LANDSAT_?[45]_"),
    )
)  # fmt: skip
_BAND = re.compile(r"(?:^|_)(SR_)?(B\d{1,2}A?)(?=_|$)")


def told_sensor(texts: Iterable[str]) -> str:
    """The sensor that the names or tags of a file tell; empty where they tell none, or several."""
    plain = [_plain(text) for text in texts]
    found = {sensor for sensor, pattern in _SAYS if any(pattern.search(text) for text in plain)}
    return found.pop() if len(found) == 1 else ""


def with_known_waves(cube: Cube, names: Sequence[str] = ()) -> Cube:
    """A cube with the wavelengths and widths of its bands, where their names and the sensor tell them.

    Args:
        cube: that it tells wavelengths of its own is left as it is.
        names: of the files of its bands, which say more than the bands' own; by default the bands' own.
    """
    bands = cube.bands
    own = _bands_of(names) or _bands_of(bands.names)
    if bands.centres or len(own) != bands.count or len({band for _, band in own}) != len(own):
        return cube
    sensor = cube.sensor or _sensor_of(own)
    table = _TABLES.get(sensor)
    if table is None or not all(band in table for _, band in own):
        _log.info(
            "%s: its bands are called %s ..., as those of several sensors are, and nothing tells the sensor: "
            "their wavelengths are not known",
            cube.name,
            own[0][1],
        )
        return cube
    _log.info("%s: wavelengths and widths are those of %s, by the names of its bands", cube.name, sensor)
    centres, fwhm = (tuple(table[band][i] for _, band in own) for i in range(2))
    known = Bands(bands.count, centres, fwhm, good=bands.good, names=bands.names)
    return replace(cube, bands=known, sensor=sensor)


def _bands_of(names: Sequence[str]) -> list[tuple[bool, str]]:
    """Of each name whether it says SR_ (surface reflectance), and its band as ``B2``; empty where one has none."""
    found = []
    for name in names:
        matches = _BAND.findall(_plain(name).strip("_"))
        if len(matches) != 1:
            return []
        prefix, band = matches[0]
        found.append((bool(prefix), re.sub(r"^B0*(?=\d)", "B", band)))
    return found


def _sensor_of(bands: Sequence[tuple[bool, str]]) -> str:
    """The only sensor that has such bands: B8A is Sentinel-2's; of Landsat's SR bands, B6 is that of 8 and 9."""
    names = {band for _, band in bands}
    if "B8A" in names:
        return "Sentinel-2"
    return "Landsat 8-9" if "B6" in names and all(prefix for prefix, _ in bands) else ""


def _plain(text: str) -> str:
    return "_" + "_".join(word for word in re.split(r"[^A-Za-z0-9]+", text.upper()) if word) + "_"
