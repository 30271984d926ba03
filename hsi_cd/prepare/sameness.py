"""Whether two dates hold the same numbers: one file given twice, or a copy of it, is no scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import PairError
from hsi_cd.scene import ScenePair


class Sameness:
    """Compares both dates while they are read for something else; ordinary dates differ in the first rows."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        self._compared = self.differ = False

    def see(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> None:
        """Take in a window of both dates, NaN for no data."""
        if not self.differ:
            known = np.isfinite(t1) & np.isfinite(t2)
            self._compared = self._compared or bool(known.any())
            self.differ = bool((known & (t1 != t2)).any())

    @property
    def identical(self) -> bool:
        """Whether there was something to compare, and all of it was the same."""
        return self._compared and not self.differ


def identical_dates(pair: ScenePair) -> PairError:
    """The error for a scene whose dates hold the same numbers."""
    return PairError(
        f"t1 ({pair.t1.name}) and t2 ({pair.t2.name}) hold the same values everywhere: give two dates, or say "
        "allow_identical=True to map them all the same"
    )
