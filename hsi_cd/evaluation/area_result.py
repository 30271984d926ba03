"""How much changed, as a reference sample tells it of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.evaluation.area_estimate import Estimate, MapAccuracy

BIASED = (
    "A map's own pixel count is a biased measure of area: what is mapped wrongly is in it, what was missed is not"
)
"""What stands wherever a count, a share or a sum of areas of a map's pixels is told."""


def biased(told: str) -> str:
    """A count, or share, of a map's pixels as it is told, with what it is not and how the area is found."""
    return f"{told} ({BIASED[0].lower()}{BIASED[1:]}; hsi-cd sample and hsi-cd area estimate it)"


@dataclass(frozen=True)
class AreaEstimate:
    """Area and accuracy, each with its interval.

    Attributes:
        classes: of the reference: ``unchanged`` and ``changed``, or unchanged, which comes first, and the kinds of
            change.
        strata: names of the classes that the map has, in the order of the rows below.
        counts: interpreted points, int64 ``(strata, classes)``: map in the rows, reference in the columns.
        pixels: pixels of each stratum, int64 ``(strata,)``.
        mapped: area of each stratum by its pixels alone, in :attr:`unit`, float64 ``(strata,)``; see
            :data:`BIASED`.
        accuracy: accuracies, and shares of the area.
        unit: of areas: ``ha``, or ``pixels`` where the map's CRS tells no length.
        left_out: points that were drawn and enter nothing: not interpreted, or no longer in the file.
    """

    classes: tuple[str, ...]
    strata: tuple[str, ...]
    counts: NDArray[np.int64]
    pixels: NDArray[np.int64]
    mapped: NDArray[np.float64]
    accuracy: MapAccuracy
    unit: str
    left_out: int

    @property
    def total(self) -> float:
        """Area of all pixels with data, in :attr:`unit`."""
        return float(self.mapped.sum())

    @property
    def areas(self) -> dict[str, Estimate]:
        """Area of each class on the ground, in :attr:`unit`."""
        shares = zip(self.classes, self.accuracy.shares, strict=True)
        return {name: share.times(self.total) for name, share in shares}

    @property
    def changed_share(self) -> Estimate:
        """The share of the area that changed, whatever the kind: what is left of the unchanged one's."""
        shares = self.accuracy.shares
        return shares[1] if len(shares) == 2 else shares[0].complement()

    @property
    def changed(self) -> Estimate:
        """The area that changed, whatever the kind, in :attr:`unit`."""
        return self.changed_share.times(self.total)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        found = self.accuracy
        per_class = zip(self.classes, found.shares, found.users, found.producers, strict=True)
        areas, mapped = self.areas, dict(zip(self.strata, self.mapped.tolist(), strict=True))
        return {
            "unit": self.unit,
            "total": self.total,
            "points": int(self.counts.sum()),
            "left_out": self.left_out,
            "overall_accuracy": _plain(found.overall),
            "changed": {"area": _plain(self.changed), "share": _plain(self.changed_share)},
            "classes": {
                name: {
                    "area": _plain(areas[name]),
                    "share": _plain(share),
                    "users_accuracy": _plain(users),
                    "producers_accuracy": _plain(producers),
                    "mapped_area": mapped.get(name, 0.0),
                }
                for name, share, users, producers in per_class
            },
            "strata": {
                name: {
                    "pixels": int(pixels),
                    "points": dict(zip(self.classes, row.tolist(), strict=True)),
                    "shares": dict(zip(self.classes, shares.tolist(), strict=True)),
                }
                for name, pixels, row, shares in zip(
                    self.strata, self.pixels, self.counts, found.matrix, strict=True
                )
            },
            "note": BIASED,
        }


def _plain(found: Estimate) -> dict[str, float]:
    low, high = found.interval.low, found.interval.high
    return {"value": found.value, "standard_error": found.standard_error, "low": low, "high": high}
