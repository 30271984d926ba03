"""What the bands of a cube measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsi_cd.errors import BandError


@dataclass(frozen=True)
class Bands:
    """Description of a cube's bands, in file order.

    Attributes:
        count: number of bands.
        centres: centre wavelengths in nanometres, or empty where the file tells none.
        fwhm: full widths at half maximum in nanometres, or empty.
        good: the sensor's own good-band flags (True = usable), or empty.
        names: band names, or empty.
    """

    count: int
    centres: tuple[float, ...] = ()
    fwhm: tuple[float, ...] = ()
    good: tuple[bool, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("centres", "fwhm", "good", "names"):
            length = len(getattr(self, field))
            if length not in (0, self.count):
                raise BandError(f"{length} values of {field} for {self.count} bands: there must be one a band")

    def nearest(self, wavelengths: Sequence[float]) -> list[int]:
        """Indices of the bands nearest to ``wavelengths`` (nm), for display.

        Without known centres, bands at the same relative positions between 400 and 2500 nm are taken.
        """
        if self.centres:
            return [min(range(self.count), key=lambda i: abs(self.centres[i] - w)) for w in wavelengths]
        return [min(self.count - 1, max(0, int((w - 400) / 2100 * self.count))) for w in wavelengths]
