"""Bands of several detectors as one spectrum: ascending, each wavelength measured once, the usable ones alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from hsi_cd.errors import FormatError

_RANGE = (200.0, 20_000.0)  # nm, in which optical sensors measure


@dataclass(frozen=True)
class Detector:
    """The bands of one detector, as the product lists them.

    Attributes:
        name: as ``VNIR``; of the only one, empty.
        centres: wavelengths, nm, in any order.
        fwhm: full widths at half maximum, nm, of as many bands; empty where they are not told.
        usable: whether each band is to be taken; empty for all.
        ascending: whether the product lists them from the shorter to the longer waves: a list that steps back is
            turned round, or another's.
    """

    name: str
    centres: tuple[float, ...]
    fwhm: tuple[float, ...] = ()
    usable: tuple[bool, ...] = ()
    ascending: bool = False

    def takes(self, band: int) -> bool:
        """Whether a band, counted from 0, is usable."""
        return not self.usable or self.usable[band]


@dataclass(frozen=True)
class Spectrum:
    """Which bands make the spectrum.

    Attributes:
        bands: of each detector, those that are taken, counted from 0, by wavelength.
        told: what of an overlap was left out, in words.
    """

    bands: tuple[tuple[int, ...], ...]
    told: tuple[str, ...]


def one_spectrum(detectors: Sequence[Detector], *, where: str) -> Spectrum:
    """The bands to take of each detector.

    Where two detectors overlap and the product does not say whose bands to take, those of the one that measures
    the longer waves are taken from its first wavelength on: the other's are at the weak end of its silicon there.

    Args:
        detectors: from the shorter to the longer waves.
        where: what messages call the file.

    Raises:
        FormatError: a wavelength or width of a usable band is none, none is usable, or they do not ascend as the
            product's do.
    """
    for each in detectors:
        _check(each, where)
    taken: list[tuple[int, ...]] = []
    told = []
    for number, each in enumerate(detectors):
        following = [c for d in detectors[number + 1 :] for i, c in enumerate(d.centres) if d.takes(i)]
        end = min(following, default=math.inf)
        own = [i for i in range(len(each.centres)) if each.takes(i)]
        kept = sorted((i for i in own if each.centres[i] < end), key=lambda i, each=each: each.centres[i])  # type: ignore[misc]
        cut = sorted(each.centres[i] for i in own if each.centres[i] >= end)
        if cut:
            told.append(
                f"{len(cut)} bands of {each.name} at {cut[0]:.0f}-{cut[-1]:.0f} nm, where "
                f"{detectors[number + 1].name} measures, too"
            )
        taken.append(tuple(kept))
    if not any(taken):
        raise FormatError(f"{where} has no usable band: it is damaged, or of another product")
    return Spectrum(tuple(taken), tuple(told))


def _check(detector: Detector, where: str) -> None:
    count = len(detector.centres)
    name = f" of {detector.name}" if detector.name else ""
    for word in ("fwhm", "usable"):
        length = len(getattr(detector, word))
        if length not in (0, count):
            raise FormatError(f"{where}: {length} values of {word} for {count} wavelengths{name}: copy it again")
    for i, centre in enumerate(detector.centres):
        if not detector.takes(i):
            continue
        width = detector.fwhm[i] if detector.fwhm else 1.0
        if not _RANGE[0] <= centre <= _RANGE[1]:
            raise FormatError(
                f"{where}: the wavelength of band {i + 1}{name} is {centre:g} nm: expected {_RANGE[0]:g} to "
                f"{_RANGE[1]:g}; the file is damaged, copy it again"
            )
        if not 0 < width < centre:
            raise FormatError(
                f"{where}: the fwhm of band {i + 1}{name} is {width:g} nm: the file is damaged, copy it again"
            )
    used = [i for i in range(count) if detector.takes(i)]
    back = next((pair for pair in itertools.pairwise(used) if not _ascends(detector, *pair)), None)
    if detector.ascending and back is not None:
        first, second = (f"band {i + 1} is at {detector.centres[i]:g} nm" for i in back)
        raise FormatError(
            f"{where}: the wavelengths{name} do not ascend, as this product's do: {first}, {second}; the list is "
            "damaged or turned round, download it again"
        )


def _ascends(detector: Detector, first: int, second: int) -> bool:
    return detector.centres[first] < detector.centres[second]
