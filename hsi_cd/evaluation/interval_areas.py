"""How much a series of dates calls changed, from date to date: counts of its maps' pixels, which are no areas."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hsi_cd.evaluation.area_result import BIASED

INTERVAL, AGAINST, ENDS = "interval", "against the reference", "first to last"
"""Why two dates are compared: they follow each other, one is the reference, or they are the series' ends."""


@dataclass(frozen=True)
class NamedArea:
    """Pixels that came back, or stayed, or changed in one way.

    Attributes:
        name: which.
        pixels: their number.
        area: their area, in the unit of the table.
    """

    name: str
    pixels: int
    area: float


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
        kinds: each kind of change; empty where none are known.
    """

    earlier: str
    later: str
    kind: str
    threshold: float
    changed: int
    known: int
    changed_area: float
    known_area: float
    kinds: tuple[NamedArea, ...] = ()

    @property
    def share(self) -> float:
        """Called changed, of the pixels with data; NaN where there is none."""
        return self.changed / self.known if self.known else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; kinds where some are known."""
        told = asdict(self) | {"share": self.share}
        return told if self.kinds else {name: value for name, value in told.items() if name != "kinds"}


@dataclass(frozen=True)
class SeriesAreas:
    """What a series calls changed; see :data:`~hsi_cd.evaluation.BIASED`.

    Attributes:
        intervals: pair by pair.
        returns: what came back is told from what stayed.
        unit: of areas: ``ha``, or ``pixels`` where the CRS tells no length.
    """

    intervals: tuple[IntervalArea, ...]
    returns: tuple[NamedArea, ...]
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {
            "unit": self.unit,
            "intervals": [each.to_dict() for each in self.intervals],
            "returns": [asdict(each) for each in self.returns],
            "note": BIASED,
        }
