"""AVIRIS Classic: orthorectified flight lines of 224 bands, radiance or surface reflectance, as ENVI files.

Radiance is stored in big-endian integers, which the factors of the ``.gain`` file beside it divide to
uW/cm2/nm/sr; cells beside the flight line hold -50. Four spectrometers overlap where they join. JPL, AVIRIS
Distribution Document.
"""

from __future__ import annotations

import math
import re

from hsi_cd.errors import FormatError
from hsi_cd.io.products.delivery import Delivery
from hsi_cd.io.products.flight_lines import RADIANCE, envi_images, open_flight_line
from hsi_cd.scene import Cube

_FLIGHT = r"f(\d\d)(\d\d)(\d\d)t\d\dp\d\d_?r\d\d"
_BANDS = 224
_REFLECTANCE = re.compile(r"_?(rfl|refl|corr|reflectance)", re.IGNORECASE)
_BESIDE = -50.0  # what cells beside the flight line hold


def recognise(delivery: Delivery) -> str | None:
    """The data file of an AVIRIS Classic image; None of anything else.

    Raises:
        FormatError: a folder holds several.
    """
    found = [
        name
        for name, header in envi_images(delivery, r".*").items()
        if header.bands == _BANDS
        and (re.match(_FLIGHT, name, re.IGNORECASE) or _gain_file(delivery, name) is not None)
    ]
    return delivery.only(found, "AVIRIS Classic images")


def open_aviris_classic(delivery: Delivery, main: str, name: str, keep: int | None) -> Cube:
    """An AVIRIS Classic flight line as a cube.

    Raises:
        FormatError: it is damaged, not orthorectified, or lacks its gains or scale.
    """
    shown = delivery.shown(main)

    def scaling(cube: Cube) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
        whole = cube.dtype.kind in "iu"
        if _REFLECTANCE.search(main) or cube.scale:
            if whole and not cube.scale:
                raise FormatError(
                    f"{shown}: its header lacks the reflectance scale factor, by which its integers become "
                    "reflectance: copy the header again, or add it"
                )
            return "reflectance", (), () if whole else (_BESIDE,)
        if not whole:  # radiance as others made it of the integers
            return RADIANCE, (), (_BESIDE,)
        gain = _gain_file(delivery, main)
        if gain is None:
            raise FormatError(
                f"{delivery.shown(re.split('_sc01|_ort', main)[0])}.gain is missing, which tells the factors of "
                "this AVIRIS radiance: copy the whole product, or order it as surface reflectance"
            )
        return RADIANCE, tuple(1 / factor for factor in _gains(delivery, gain)), (_BESIDE,)

    return open_flight_line(
        delivery, main, name, keep, title="AVIRIS Classic", acquired=_flown(main), scaling=scaling
    )


def _gain_file(delivery: Delivery, image: str) -> str | None:
    """The file of gains of an image: whose name the image's begins with, or the only one of its flight line."""
    found = delivery.matching(r".*\.gain")
    own = [name for name in found if image.casefold().startswith(name[: -len(".gain")].casefold())]
    flight = re.match(_FLIGHT, image, re.IGNORECASE)
    if not own and flight:
        own = [name for name in found if name.casefold().startswith(flight[0].casefold())]
    return own[0] if len(own) == 1 else None


def _gains(delivery: Delivery, name: str) -> list[float]:
    """The factors of all bands: a column, and the number of the band behind it."""
    gains: list[float] = []
    for number, line in enumerate(delivery.text(name).decode("latin-1").splitlines(), start=1):
        parts = line.replace(",", " ").split()
        if not parts:
            continue
        try:
            factor, *band = (float(part) for part in parts[:2])
        except ValueError:
            factor, band = math.nan, []
        if not (math.isfinite(factor) and factor > 0) or (band and band[0] != len(gains) + 1):
            raise FormatError(
                f"{delivery.shown(name)}: line {number} is {line.strip()[:40]!r}: expected a positive factor "
                f"and the number of band {len(gains) + 1}; it is damaged, copy it again"
            )
        gains.append(factor)
    if len(gains) != _BANDS:
        raise FormatError(
            f"{delivery.shown(name)} tells {len(gains)} gains: expected {_BANDS}; it is damaged, copy it again"
        )
    return gains


def _flown(name: str) -> str:
    """The day in the file's name, in ISO 8601, or an empty text."""
    found = re.match(_FLIGHT, name, re.IGNORECASE)
    if not found:
        return ""
    return f"{'19' if int(found[1]) > 80 else '20'}{found[1]}-{found[2]}-{found[3]}"
