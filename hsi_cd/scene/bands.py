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


def check_same_bands(first: Bands, second: Bands, *, names: tuple[str, str], tolerance: float = 5.0) -> None:
    """Refuse two cubes whose bands differ in number or, where both tell them, in wavelength.

    Args:
        first: bands of the first cube.
        second: bands of the second cube.
        names: what the two are called in the message.
        tolerance: largest difference of centre wavelengths, nm, that is still the same band.

    Raises:
        BandError: with the first bands that differ.
    """
    a, b = names
    if first.count != second.count:
        raise BandError(f"{a} has {first.count} bands but {b} has {second.count}: keep the bands both have")
    if first.centres and second.centres:
        off = [i for i in range(first.count) if not abs(first.centres[i] - second.centres[i]) <= tolerance]
        if off:
            i = off[0]
            raise BandError(
                f"{len(off)} of {first.count} bands differ by more than {tolerance:g} nm between {a} and {b}, "
                f"first band {i + 1}: {first.centres[i]:.1f} nm against {second.centres[i]:.1f} nm; "
                "put both in the same band order"
            )
