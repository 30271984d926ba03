"""Dates of two sensors in one set of bands: the coarser one's, to which the finer one's spectra are resampled."""

from __future__ import annotations

from dataclasses import dataclass

from hsi_cd.errors import BandError
from hsi_cd.scene import Bands, Cube, matching
from hsi_cd.scene.spectral_response import gaussian_response, resampled, usual_width

LEAST_BANDS = 3
"""Bands that two sensors must share: fewer tell brightness, but hardly one material from another."""

_WORTH = 0.8  # of the bands that match by wavelength: so many must be made for resampling to be worth it


@dataclass(frozen=True)
class SharedSpectrum:
    """Two dates in one set of bands.

    Attributes:
        t1: the earlier date.
        t2: the later date.
        told: in words, what was resampled and what was left out.
    """

    t1: Cube
    t2: Cube
    told: str


def one_spectrum_of(t1: Cube, t2: Cube, *, tolerance: float) -> SharedSpectrum | None:
    """Two dates of two sensors in the bands of the coarser one, over the range that both measure.

    The coarser sensor is the one whose bands are usually wider in that range. The other's spectra are resampled to
    those of its bands that they cover, by a Gaussian response of their widths; nothing is read yet.

    Args:
        t1: the earlier date.
        t2: the later date.
        tolerance: largest difference of centre wavelengths, nm, of the same band.

    Returns:
        None where the bands are the same within the tolerance, a date tells no wavelengths or widths, or matching
        bands by wavelength keeps more of them (two multispectral sensors, whose bands leave gaps).

    Raises:
        BandError: too few bands overlap.
    """
    if not all(cube.bands.centres and cube.bands.fwhm for cube in (t1, t2)):
        return None
    match = matching.match_bands(t1.bands, t2.bands, tolerance=tolerance)
    if match.is_same:
        return None
    low, high = (pick(each(c.bands.centres) for c in (t1, t2)) for pick, each in ((max, min), (min, max)))
    # A sensor without a band in that range makes none: NaN is smaller than nothing.
    first_is_coarse = not usual_width(t1.bands, low, high) < usual_width(t2.bands, low, high)
    coarse, fine = (t1, t2) if first_is_coarse else (t2, t1)
    response = gaussian_response(fine.bands, coarse.bands)
    if len(response.bands) < max(LEAST_BANDS, _WORTH * len(match.first)):
        if len(match.first) >= LEAST_BANDS:
            return None
        raise BandError(
            f"t1 ({t1.name}) measures {_range(t1.bands)} and t2 ({t2.name}) {_range(t2.bands)}: "
            f"{len(response.bands)} of the {coarse.bands.count} bands of {coarse.name} can be made of those of "
            f"{fine.name}, and {len(match.first)} match within {tolerance:g} nm, but at least {LEAST_BANDS} must; "
            "give two dates whose sensors share more of the spectrum"
        )
    bands = matching.take_bands(coarse.bands, response.bands)
    made = resampled(fine, response, bands)
    kept = matching.select_bands(coarse, response.bands)
    left = coarse.bands.count - bands.count
    dates = ("t1", "t2") if first_is_coarse else ("t2", "t1")
    told = (
        f"the spectra of {dates[1]} ({fine.name}, {fine.bands.count} bands) are resampled to {bands.count} bands "
        f"of {dates[0]} ({coarse.name}), {_range(bands)}, by a Gaussian response of their fwhm"
    )
    if left:
        told += f"; the {left} others of {dates[0]}, which {dates[1]} does not cover, are left out"
    return SharedSpectrum(*((kept, made) if first_is_coarse else (made, kept)), told)


def _range(bands: Bands) -> str:
    return f"{min(bands.centres):.0f}-{max(bands.centres):.0f} nm"
