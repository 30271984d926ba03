"""How much a series of dates calls changed, from date to date: counts of its maps' pixels, which are no areas."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hsi_cd.evaluation.area_result import BIASED

INTERVAL, AGAINST, ENDS = "interval", "against the reference", "first to last"
"""Why two dates are compared: they follow each other, one is the reference, or they are the series' ends."""


@dataclass(frozen=True)
class IntervalArea:
    """What the map of two dates calls changed.

    Attributes:
        earlier: the earlier date, ISO 8601.
        later: the later date.
        kind: why they are compared: :data:`INTERVAL` where they follow one another, whatever else holds.
        threshold: score from which a pixel is changed.
        changed: pixels called changed.
        known: pixels with data in both dates.
        changed_area: area of the pixels called changed, in the unit of the table.
        known_area: area of the pixels with data.
    """

    earlier: str
    later: str
    kind: str
    threshold: float
    changed: int
    known: int
    changed_area: float
    known_area: float

    @property
    def share(self) -> float:
        """Called changed, of the pixels with data; NaN where there is none."""
        return self.changed / self.known if self.known else float("nan")


@dataclass(frozen=True)
class ReturnArea:
    """Pixels that came back, or stayed.

    Attributes:
        name: which.
        pixels: their number.
        area: their area, in the unit of the table.
    """

    name: str
    pixels: int
    area: float


@dataclass(frozen=True)
class SeriesAreas:
    """What a series calls changed; see :data:`~hsi_cd.evaluation.BIASED`.

    Attributes:
        intervals: pair by pair.
        returns: what came back is told from what stayed.
        unit: of areas: ``ha``, or ``pixels`` where the CRS tells no length.
    """

    intervals: tuple[IntervalArea, ...]
    returns: tuple[ReturnArea, ...]
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {
            "unit": self.unit,
            "intervals": [asdict(each) | {"share": each.share} for each in self.intervals],
            "returns": [asdict(each) for each in self.returns],
            "note": BIASED,
        }
