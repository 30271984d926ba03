"""Which rasters of a product, and which bands of a raster, are spectral bands, and which only come with them.

Products bring quality flags, class maps, aerosol and water vapour, temperatures, angles and pictures for people.
As numbers beside reflectance they would enter every method unseen. The names that archives give them tell.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hsi_cd.scene import Bands, Cube
from hsi_cd.scene.cube import WindowReader

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

# What a name says, in capitals with one _ between its words and around it. "Coastal aerosol" is a band of Landsat,
# "water vapour" one of Sentinel-2.
_NO_BANDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"_(SCL|SCENE_CLASSIFICATION)_", "classes"),
        (r"_(AOT|QA_AEROSOL|SR_AEROSOL|ATMOS_OPACITY)_", "aerosol"),
        (r"_WVP_", "water vapour"),
        (r"_TCI(_[RGB])?_", "a picture in true colour"),
        (r"_ST_(B\d+|TRAD|URAD|DRAD|ATRAN|EMIS|EMSD|CDIST)_|_BT_B(AND)?\d+_|_LST_|_(SURFACE_)?TEMPERATURE_",
         "temperature"),
        (r"_(PVI|THUMB|THUMBNAIL|PREVIEW|QUICKLOOK|QUICK_LOOK|BROWSE|QL|QKL)_", "a preview"),
        (r"_(QA|BQA|QA\d+|QC|QUALITY)_", "quality flags"),
        (r"_(MSK|MASK|FMASK|CFMASK|CLOUDMASK|DATAMASK|UDM2?|CLM|CLP|CLDPRB|SNWPRB)_|^_CLOUDS?_$|_CLOUDS?_(MASK|PROB\w*|SHADOWS?)_",
         "a mask"),
        (r"_(VAA|VZA|SAA|SZA)_|_(VIEW|SUN|SOLAR|SENSOR|SATELLITE)_(MEAN_)?(AZIMUTH|ZENITH)_", "angles"),
        (r"_(DEM|DSM|DTM)_", "elevation"),
        (r"^_GAP_$|_GAP_MASK_", "a mask of gaps"),
        (r"^_SNOW_$|_SNOW_(MASK|PROB\w*)_|_(CLD|SNW)_$", "a mask"),
        (r"^_VISUAL_$", "a picture in true colour"),
    )
)  # fmt: skip
# The same number is a thermal band of one sensor and a band of another: B10 of Landsat 8 is no B10 of Sentinel-2.
_THERMAL: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(sensor), re.compile(band))
    for sensor, band in (
        (r"^_L[CT]0?[89](\d{13}[A-Z]|_)|^_HLS_L30_", r"_B(AND)?1[01]_"),
        (r"^_LT0?[45](\d{13}[A-Z]|_)", r"_B(AND)?6_"),
        (r"^_LE0?7(\d{13}[A-Z]|_)", r"_B(AND)?6_|_B6[12]_"),
        (r"^_AST_", r"_TIR_|_B(AND)?1[0-4]_"),
    )
)


def no_band(name: str) -> str | None:
    """What a name says that a raster is instead of a spectral band, in words; None where it says no such thing."""
    plain = _plain(name)
    return next((what for pattern, what in _NO_BANDS if pattern.search(plain)), None)


def is_thermal(name: str) -> bool:
    """Whether the name of a file, which tells its sensor, is that of a thermal band."""
    plain = _plain(name)
    return any(sensor.search(plain) and band.search(plain) for sensor, band in _THERMAL)


def _plain(name: str) -> str:
    # MeanSolarZenith, cloudMask: the words of names that have no _ between them.
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return "_" + "_".join(word for word in re.split(r"[^A-Za-z0-9]+", parted.upper()) if word) + "_"


def spectral_files(paths: Sequence[Path]) -> dict[Path, str]:
    """The files of a folder that are no bands, and what they are, by their names.

    None where all would be: whoever names such a folder wants them, and is told what they are called.
    """
    words = [re.split(r"[_\-. ]+", path.stem) for path in paths]
    common = set(words[0]).intersection(*words[1:]) if len(words) > 1 else set()
    found: dict[Path, str] = {}
    for path, parts in zip(paths, words, strict=True):
        what = no_band("_".join(part for part in parts if part not in common))
        if what is None and is_thermal(path.stem):
            what = "thermal"
        if what is not None:
            found[path] = what
    if len(found) < len(paths):
        return found
    if found:
        tell_all_read(str(paths[0].parent), {path.name: what for path, what in found.items()})
    return {}


def tell_left_out(where: str, left_out: Mapping[str, str], *, remedy: str) -> None:
    """One line about what is left out: names, and what they are."""
    names = ", ".join(f"{name} ({what})" for name, what in left_out.items())
    are = "is no spectral band" if len(left_out) == 1 else "are no spectral bands"
    _log.warning("%s: %s %s: left out%s", where, names, are, remedy)


def tell_all_read(where: str, called: Mapping[str, str]) -> None:
    """One line where names call everything something else than a spectral band."""
    names = ", ".join(f"{name} ({what})" for name, what in called.items())
    _log.warning("%s holds no spectral band by its names: %s: read as they are", where, names)


def spectral_cube(cube: Cube) -> Cube:
    """A cube without the bands that its band names call something else; they are told. All such ones are kept."""
    left_out = {i: what for i, name in enumerate(cube.bands.names) if (what := no_band(name)) is not None}
    if not left_out:
        return cube
    if len(left_out) == cube.bands.count:
        tell_all_read(cube.name, {cube.bands.names[i]: what for i, what in left_out.items()})
        return cube
    kept = [i for i in range(cube.bands.count) if i not in left_out]
    tell_left_out(cube.name, {cube.bands.names[i]: what for i, what in left_out.items()}, remedy="")
    return replace(
        cube,
        bands=_some(cube.bands, kept),
        reader=SomeBands(cube.reader, tuple(kept)),
        scale=_each(cube.scale, kept),
        offset=_each(cube.offset, kept),
    )


@dataclass(frozen=True)
class SomeBands:
    """Reads some of the bands of another reader.

    Attributes:
        reader: reads all.
        kept: which of them, counted from 0.
    """

    reader: WindowReader
    kept: tuple[int, ...]

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window."""
        return self.reader(rows, cols)[list(self.kept)]


def _some(bands: Bands, kept: Collection[int]) -> Bands:
    return Bands(
        count=len(kept),
        centres=_each(bands.centres, kept),
        fwhm=_each(bands.fwhm, kept),
        good=_each(bands.good, kept),
        names=_each(bands.names, kept),
    )


def _each(values: tuple[_T, ...], kept: Iterable[int]) -> tuple[_T, ...]:
    return tuple(values[i] for i in kept) if values else ()
