"""What of a spectral library a spectrum of a scene is nearest to, by spectral angle."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import BandError
from hsi_cd.scene import Bands
from hsi_cd.scene.spectral_library import LibraryEntry, SpectralLibrary
from hsi_cd.scene.spectral_response import gaussian_response

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

_FEWEST = 3  # bands: in two, every angle is between two numbers
_LEAST_SHARE = 0.25  # of the scene's bands: a spectrum told by fewer is another spectrum
_AS_MANY = 0.9  # of the bands of the best covered entry: angles over fewer are smaller by that alone
_STEPS = 3.0  # usual steps of an entry from which it has a gap, and
_GAP = 30.0  # nm, up to which it has none: water vapour, deleted channels
_KEPT = 16  # weights of different wavelengths that are kept at once


@dataclass(frozen=True)
class NearEntry:
    """An entry of a library that is near to a spectrum.

    Attributes:
        name: of the entry.
        angle: spectral angle between the two, 0 to pi: the smaller, the more alike; their brightness counts for
            nothing.
    """

    name: str
    angle: float

    def __str__(self) -> str:
        return f"{self.name} ({f'{self.angle:.2f}'.removeprefix('0')} rad)"


@dataclass(frozen=True)
class KindMaterials:
    """What a kind of change is from and to.

    Attributes:
        before: entries nearest to its mean spectrum at the earlier date, the nearest first.
        after: the same at the later date.
    """

    before: tuple[NearEntry, ...]
    after: tuple[NearEntry, ...]

    def __str__(self) -> str:
        first, second = (str(near[0]) if near else "nothing known" for near in (self.before, self.after))
        return f"{first} to {second}"


@dataclass(frozen=True)
class LibraryInBands:
    """The entries of a library in the bands of a scene.

    Attributes:
        name: of the library.
        names: of the entries.
        values: float64 ``(entries, bands)``; NaN where an entry does not cover a band.
        told: which of both are compared, in words.
    """

    name: str
    names: tuple[str, ...]
    values: Floats
    told: str

    def nearest(self, spectrum: Floats, count: int = 3) -> tuple[NearEntry, ...]:
        """The entries nearest to a spectrum, the nearest first.

        Args:
            spectrum: float64 ``(bands,)``, NaN where a band is not known.
            count: how many.
        """
        angles = spectral_angles(spectrum, self.values)
        order = np.argsort(angles, kind="stable")[:count]
        return tuple(NearEntry(self.names[i], float(angles[i])) for i in order.tolist() if np.isfinite(angles[i]))


def spectral_angles(spectrum: Floats, entries: Floats) -> Floats:
    """Angle between a spectrum and each of some others, ``arccos(x . y / (|x| |y|))``, over the bands both have.

    Args:
        spectrum: float64 ``(bands,)``; NaN where a band is not known.
        entries: float64 ``(entries, bands)``, likewise.

    Returns:
        Radians, float64 ``(entries,)``; NaN where one of the two is 0 in all bands that they share.

    Reference:
        Kruse et al. 1993, doi:10.1016/0034-4257(93)90013-N
    """
    both = np.isfinite(entries) & np.isfinite(spectrum)
    ours, theirs = np.where(both, spectrum, 0), np.where(both, entries, 0)
    lengths = np.sqrt(np.square(ours).sum(axis=1) * np.square(theirs).sum(axis=1))
    cosine = np.full(len(entries), np.nan)
    np.divide((ours * theirs).sum(axis=1), lengths, out=cosine, where=lengths > 0)
    angles: Floats = np.arccos(np.clip(cosine, -1, 1))
    return angles


def in_bands(library: SpectralLibrary, bands: Bands, *, used: tuple[int, ...] | None = None) -> LibraryInBands:
    """A library as a scene would see it.

    Where the scene's bands have widths and an entry has steps of at most half of them, it is weighted by the
    bands' Gaussian response; else its values are interpolated linearly. No gap of it is bridged. Entries that
    cover fewer bands than 90 % of those of the best covered are left out, which is told.

    Args:
        library: spectra of materials.
        bands: of the scene.
        used: which of them are compared; by default those that are not flagged as bad.

    Raises:
        BandError: the scene tells no wavelengths, or the library covers too few of its bands.
    """
    if not bands.centres:
        raise BandError(
            f"the scene tells no wavelengths, and the spectra of {library.name} are told by them: give dates that "
            "tell them"
        )
    wanted = np.zeros(bands.count, dtype=bool)
    wanted[list(used) if used is not None else np.flatnonzero(bands.good or (True,) * bands.count)] = True
    made: dict[int, tuple[Floats, NDArray[np.bool_]]] = {}  # megabytes each
    values = np.full((len(library.entries), bands.count), np.nan)
    for row, entry in enumerate(library.entries):
        # Entries over the same wavelengths share one array of them, and so the weights.
        if id(entry.wavelengths) not in made:
            if len(made) == _KEPT:
                del made[next(iter(made))]
            made[id(entry.wavelengths)] = _weights(entry, bands)
        weights, covered = made[id(entry.wavelengths)]
        values[row, covered] = weights[covered] @ entry.values
    values[:, ~wanted] = np.nan
    count = np.isfinite(values).sum(axis=1)
    most, least = int(count.max()), max(_FEWEST, int(np.ceil(_LEAST_SHARE * wanted.sum())))
    if most < least:
        ours = f"{min(bands.centres):.0f} to {max(bands.centres):.0f} nm"
        raise BandError(
            f"{library} covers {most} of the {int(wanted.sum())} bands of the scene ({ours}): "
            f"expected {least} at least; give a library of these wavelengths"
        )
    kept = np.flatnonzero(count >= max(least, _AS_MANY * most))
    covered = np.isfinite(values[kept]).any(axis=0)
    centres = np.asarray(bands.centres)[covered]
    told = f"{len(kept):,} spectra in {int(covered.sum())} bands, {centres.min():.0f} to {centres.max():.0f} nm"
    if len(kept) < len(count):
        told += f"; {len(count) - len(kept):,} that cover fewer are left out"
    names = tuple(library.entries[i].name for i in kept)
    return LibraryInBands(library.name, names, values[kept], told)


def _weights(entry: LibraryEntry, bands: Bands) -> tuple[Floats, NDArray[np.bool_]]:
    """What makes the bands of the values of an entry, ``(bands, values)``, and which bands it covers."""
    x, centres = entry.wavelengths, np.asarray(bands.centres)
    steps = np.diff(x)
    right = np.clip(np.searchsorted(x, centres), 1, len(x) - 1)
    step = steps[right - 1]
    inside = (centres >= x[0]) & (centres <= x[-1])
    near = slice(max(int(right.min()) - 1, 0), int(right.max()))  # steps among the scene's bands
    usual = float(np.median(steps[near]))
    met = (x[right] == centres) | (x[right - 1] == centres)
    covered = inside & (met | (step <= max(_STEPS * usual, _GAP)))
    share = np.clip((centres - x[right - 1]) / step, 0, 1)
    weights = np.zeros((bands.count, len(x)))
    rows = np.arange(bands.count)
    weights[rows, right - 1], weights[rows, right] = 1 - share, share
    if bands.fwhm:
        response = gaussian_response(Bands(len(x), tuple(x.tolist())), bands)
        fine = np.zeros(bands.count, dtype=bool)
        fine[list(response.bands)] = True
        own = {band: row for row, band in enumerate(response.bands)}
        for band in np.flatnonzero(fine & (step <= np.asarray(bands.fwhm) / 2)).tolist():
            weights[band], covered[band] = response.weights[own[band]], True
    return weights, covered
