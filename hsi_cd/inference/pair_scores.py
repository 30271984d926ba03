"""What one pair of dates shows, in files: written row by row, read by windows, nothing of it kept in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import OutputError
from hsi_cd.inference.series_rule import PairWindow
from hsi_cd.io import MapRows, atomic_paths
from hsi_cd.scene import UNCHANGED


@dataclass(frozen=True)
class PairTally:
    """What a pair's map counts.

    Attributes:
        changed: pixels called changed.
        known: pixels with data.
        changed_area: area of the pixels called changed, in the unit of the areas.
        known_area: area of those with data.
        kinds: pixels and area of each kind of change, in the order of their numbers; empty where none are known.
    """

    changed: int
    known: int
    changed_area: float
    known_area: float
    kinds: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class PairScores:
    """The scores of one pair of dates, and their kinds of change where they are known.

    Attributes:
        path: file of the scores, ``.npy``, float32 ``(rows, cols)``, NaN for no data.
        threshold: score from which a pixel is changed.
        chance: from scores to probabilities of change.
        tally: what the map counts.
        kinds: file of the map of kinds, ``.npy``, uint8 ``(rows, cols)``: 0 unchanged, 1 to K, 255 no data; None
            where no kinds are known.
    """

    path: Path
    threshold: float
    chance: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    tally: PairTally
    kinds: Path | None = None

    def window(self, rows: slice, cols: slice) -> PairWindow:
        """A window of the scores."""
        kinds = None if self.kinds is None else _window(self.kinds, rows, cols)
        return PairWindow(_window(self.path, rows, cols), self.threshold, self.chance, kinds)


def _window(path: Path, rows: slice, cols: slice) -> NDArray[Any]:
    # Mapped anew each time: the pages of a map that is kept stay in memory.
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False)[rows, cols])


def write_scores(
    path: Path,
    parts: Iterable[MapRows],
    shape: tuple[int, int],
    *,
    areas: Callable[[slice], NDArray[np.float64]],
    kinds: tuple[Path, int] | None = None,
) -> PairTally:
    """Write the scores of a pair as they come, whole or not at all, and count what is changed.

    Args:
        path: the file; one that is there is replaced.
        parts: bands of rows from top to bottom, with their scores.
        shape: ``(rows, cols)`` of the whole.
        areas: areas of the pixels of some rows, ``(rows, cols)``.
        kinds: file of the map of kinds, and their number, where the parts hold kinds in place of changed.

    Raises:
        OutputError: there is no room, or no right to write.
    """
    changed, known, changed_area, known_area = 0, 0, 0.0, 0.0
    counts, sizes = np.zeros(256, np.int64), np.zeros(256)
    files = [path] if kinds is None else [path, kinds[0]]
    with atomic_paths(files, overwrite=True) as drafts:
        try:
            with ExitStack() as opened:
                score, *kind = (opened.enter_context(draft.open("wb")) for draft in drafts)
                _begin(score, np.dtype(np.float32), shape)
                for file in kind:
                    _begin(file, np.dtype(np.uint8), shape)
                for part in parts:
                    if part.score is None:
                        continue
                    score.write(np.ascontiguousarray(part.score, dtype=np.float32).data)
                    size = areas(slice(part.row, part.row + len(part.change)))
                    there = ~np.isnan(part.score)
                    called = there & (part.change != UNCHANGED)  # also where its kind is not known
                    changed, known = changed + int(called.sum()), known + int(there.sum())
                    changed_area += float(size[called].sum())
                    known_area += float(size[there].sum())
                    for file in kind:
                        file.write(np.ascontiguousarray(part.change, dtype=np.uint8).data)
                        counts += np.bincount(part.change.ravel(), minlength=256)
                        sizes += np.bincount(part.change.ravel(), weights=size.ravel(), minlength=256)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(
                f"scores of {os.fspath(path.parent)} cannot be written ({error.strerror or error}): make room, or "
                "name another folder by work= or TMPDIR"
            ) from error
    numbers = range(1, 1 if kinds is None else kinds[1] + 1)
    each = tuple((int(counts[number]), float(sizes[number])) for number in numbers)
    return PairTally(changed, known, changed_area, known_area, each)


def _begin(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
