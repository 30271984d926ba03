"""What pixels of one kind of change look like at both dates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KindSpectra:
    """What changed pixels of one kind look like.

    Attributes:
        pixels: how many there are.
        area: of them, in the unit of the areas.
        before: mean stored spectrum of the earlier date, float64 ``(bands,)``.
        after: of the later date.
        before_deviation: standard deviation over the kind's pixels, of the earlier date.
        after_deviation: of the later date.
        strength: of each band: how far the kind's mean difference is from that of unchanged pixels, in standard
            deviations of these; NaN where that does not vary.
    """

    pixels: int
    area: float
    before: Floats
    after: Floats
    before_deviation: Floats
    after_deviation: Floats
    strength: Floats

    @property
    def leading(self) -> NDArray[np.intp]:
        """Bands by how much they carry the kind, the strongest first; those without a strength last."""
        return np.argsort(-np.nan_to_num(self.strength, nan=-1.0), kind="stable")
