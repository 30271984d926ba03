"""Which bands of a cube a picture shows as red, green and blue: by their true wavelengths, and told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsi_cd.scene.bands import Bands

TRUE_COLOUR = (640.0, 550.0, 460.0)
"""Red, green and blue, nm."""

NEAR_INFRARED = (860.0, 660.0, 560.0)
"""Near infrared, red and green, nm: vegetation is red."""

_NEAR = 60.0  # nm from what is wanted, beyond which a band is of another part of the spectrum


@dataclass(frozen=True)
class ShownBands:
    """The bands of a picture.

    Attributes:
        indices: of the bands shown as red, green and blue, counted from 0.
        words: which they are, as ``860, 661 and 560 nm``.
    """

    indices: tuple[int, int, int]
    words: str


def shown_bands(
    bands: Bands, wanted: Sequence[float] = NEAR_INFRARED, *, used: Sequence[int] | None = None
) -> ShownBands:
    """The bands that a picture of three colours shows.

    Those nearest to what is wanted. Where a sensor does not see that part of the spectrum, as one of the shortwave
    infrared alone, or where two of the three would be one band, three that are spread over what it sees, the
    longest waves in red. Without known wavelengths, see :meth:`Bands.nearest`; of few bands, the first three.

    Args:
        bands: the cube's.
        wanted: wavelengths of red, green and blue, nm.
        used: the bands that may be shown; by default those that the sensor does not flag as bad.
    """
    allowed = (
        list(used) if used is not None else [i for i in range(bands.count) if not bands.good or bands.good[i]]
    )
    allowed = allowed or list(range(bands.count))
    centres = tuple(bands.centres[i] for i in allowed) if bands.centres else ()
    chosen = Bands(len(allowed), centres).nearest(wanted)
    if centres:
        off = max(abs(centres[i] - wave) for i, wave in zip(chosen, wanted, strict=True))
        if off > _NEAR or len(set(chosen)) < len(chosen):
            ordered = sorted(range(len(allowed)), key=lambda i: centres[i])
            chosen = [ordered[len(ordered) * part // 6] for part in (5, 3, 1)]
    elif len(set(chosen)) < len(chosen):  # a picture of few bands: red, green and blue lead by custom
        chosen = [min(i, len(allowed) - 1) for i in range(3)]
    red, green, blue = (allowed[i] for i in chosen)
    told = [f"{bands.centres[i]:.0f}" if centres else str(i + 1) for i in (red, green, blue)]
    text = f"{told[0]}, {told[1]} and {told[2]}"
    return ShownBands((red, green, blue), f"{text} nm" if centres else f"bands {text}")
