"""The scores of one pair of dates in a file: written row by row, read by windows, nothing of it kept in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import OutputError
from hsi_cd.inference.series_rule import PairWindow
from hsi_cd.io import MapRows, atomic_path
from hsi_cd.scene import CHANGED, UNLABELLED


@dataclass(frozen=True)
class PairTally:
    """What a pair's map counts.

    Attributes:
        changed: pixels called changed.
        known: pixels with data.
        changed_area: area of the pixels called changed, in the unit of the areas.
        known_area: area of those with data.
    """

    changed: int
    known: int
    changed_area: float
    known_area: float


@dataclass(frozen=True)
class PairScores:
    """The scores of one pair of dates.

    Attributes:
        path: file of the scores, ``.npy``, float32 ``(rows, cols)``, NaN for no data.
        threshold: score from which a pixel is changed.
        chance: from scores to probabilities of change.
        tally: what the map counts.
    """

    path: Path
    threshold: float
    chance: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    tally: PairTally

    def window(self, rows: slice, cols: slice) -> PairWindow:
        """A window of the scores."""
        # Mapped anew each time: the pages of a map that is kept stay in memory.
        score = np.array(np.load(self.path, mmap_mode="r", allow_pickle=False)[rows, cols])
        return PairWindow(score, self.threshold, self.chance)


def write_scores(
    path: Path,
    parts: Iterable[MapRows],
    shape: tuple[int, int],
    *,
    areas: Callable[[slice], NDArray[np.float64]],
) -> PairTally:
    """Write the scores of a pair as they come, whole or not at all, and count what is changed.

    Args:
        path: the file; one that is there is replaced.
        parts: bands of rows from top to bottom, with their scores.
        shape: ``(rows, cols)`` of the whole.
        areas: areas of the pixels of some rows, ``(rows, cols)``.

    Raises:
        OutputError: there is no room, or no right to write.
    """
    changed, known, changed_area, known_area = 0, 0, 0.0, 0.0
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    with atomic_path(path, overwrite=True) as draft:
        try:
            with draft.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                for part in parts:
                    if part.score is None:
                        continue
                    file.write(np.ascontiguousarray(part.score, dtype=np.float32).data)
                    size = areas(slice(part.row, part.row + len(part.change)))
                    called, there = part.change == CHANGED, part.change != UNLABELLED
                    changed, known = changed + int(called.sum()), known + int(there.sum())
                    changed_area += float(size[called].sum())
                    known_area += float(size[there].sum())
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(
                f"scores of {os.fspath(path.parent)} cannot be written ({error.strerror or error}): make room, or "
                "name another folder by work= or TMPDIR"
            ) from error
    return PairTally(changed, known, changed_area, known_area)
