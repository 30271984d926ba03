"""What the scores of many dates say of each pixel: when it changed, how often, how much, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from hsi_cd.scene import UNLABELLED

DateNumbers = tuple[int, int]
"""Two dates of a series, the earlier one first, by their places from 0."""

UNTOUCHED, STAYED, RETURNED, BOTH = 0, 1, 2, 3
RETURN_CLASSES = {
    UNTOUCHED: "no change",
    STAYED: "changed and stayed",
    RETURNED: "came back",
    BOTH: "came back, and changed otherwise, too",
}
"""What the band ``came back`` holds."""

BANDS = (
    "date of the largest change: year and day of the year (YYYYDDD) of the later date, 0 no change",
    "number of changes between consecutive dates",
    "magnitude of the largest change, in thresholds: 1 or more is changed",
    "first to last date: 0 unchanged, 1 changed",
    "stability: least probability of no change between consecutive dates",
    "came back: 0 no change, 1 stayed, 2 came back, 3 both",
    "intervals with data, of those between consecutive dates",
)
"""What each band of a series' raster holds, as its description says it."""


@dataclass(frozen=True)
class PairWindow:
    """A window of one pair of dates.

    Attributes:
        score: float32 ``(rows, cols)``, higher is more change, NaN for no data.
        threshold: score from which a pixel is changed.
        chance: from scores to probabilities of change.
        kinds: uint8 ``(rows, cols)``: 0 unchanged, 1 to K kinds of change, 255 no data; None where none are known.
    """

    score: NDArray[np.float32]
    threshold: float
    chance: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    kinds: NDArray[np.uint8] | None = None

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Where the pair has data, and changed."""
        return np.asarray(self.score >= self.threshold)

    @property
    def same(self) -> NDArray[np.bool_]:
        """Where the pair has data, and did not change."""
        return np.asarray(self.score < self.threshold)


def in_thresholds(score: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Scores by how many times their threshold they are: 1 or more where they reach it, whatever the rounding.

    Of a threshold that is not positive, by how much they pass it, plus 1.
    """
    found = score / np.float32(threshold) if threshold > 0 else score + np.float32(1 - threshold)
    low = np.nextafter(np.float32(1), np.float32(0))
    reached = score >= threshold
    out: NDArray[np.float32] = np.where(reached, np.maximum(found, np.float32(1)), np.minimum(found, low))
    out[np.isnan(score)] = np.nan
    return out


def pairs_of_dates(count: int, *, reference: int = 0, every: bool = False) -> tuple[DateNumbers, ...]:
    """The pairs of dates that are scored: each with the next and with the reference, and the first with the last.

    Args:
        count: number of dates.
        reference: the date that each other one is compared with.
        every: each date with each other one.
    """
    if every:
        return tuple(sorted(combinations(range(count), 2)))
    against = ((min(reference, k), max(reference, k)) for k in range(count) if k != reference)
    return tuple(sorted({*pairwise(range(count)), *against, (0, count - 1)}))


def series_bands(
    read: Callable[[DateNumbers], PairWindow],
    codes: Sequence[int],
    *,
    reference: int = 0,
    every: bool = False,
) -> NDArray[np.float32]:
    """The bands of a series in a window, see :data:`BANDS`.

    A change between dates i and i+1 is **undone** where one between j and j+1 follows or came before it and the
    later date of the two changes shows no change against the earlier one: dates i and j+1 are the same, by their
    own pair where each date is scored against each other one, else because both are the same as the reference.
    All changes between i and j+1 are then part of what came back. A pixel came back where all of its changes are
    undone, stayed where none is, and did both where some are.

    Args:
        read: gives the window of a pair of :func:`pairs_of_dates`.
        codes: what stands for each date in the first band.
        reference: the date that each other one is compared with.
        every: whether each date was scored against each other one.

    Returns:
        float32 ``(7, rows, cols)``; NaN where no interval (of the fourth band, the first and the last date) has
        data.
    """
    count = len(codes)
    intervals = list(pairwise(range(count)))
    shape = read(intervals[0]).score.shape
    seen, date, likeliest = np.zeros(shape, np.int16), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    largest = np.full(shape, -np.inf, np.float32)
    changes: list[NDArray[np.bool_]] = []
    for interval in intervals:
        window = read(interval)
        ratio, changed = in_thresholds(window.score, window.threshold), window.changed
        seen += ~np.isnan(ratio)
        larger = ratio > largest
        largest[larger] = ratio[larger]
        date[larger & changed] = codes[interval[1]]
        likeliest = np.fmax(likeliest, window.chance(window.score))
        changes.append(changed)
    undone = _undone_by_pairs(read, changes) if every else _undone_by_reference(read, changes, reference)
    undone = [gone & change for gone, change in zip(undone, changes, strict=True)]
    times, back = sum(c.astype(np.int16) for c in changes), sum(c.astype(np.int16) for c in undone)
    kind = np.where(back == 0, STAYED, np.where(back == times, RETURNED, BOTH))
    kind = np.where(times == 0, UNTOUCHED, kind)
    ends = read((0, count - 1))
    first_to_last = np.where(np.isnan(ends.score), np.nan, ends.changed)
    out = np.stack([date, times, largest, first_to_last, 1 - likeliest, kind, seen]).astype(np.float32)
    unseen = seen == 0
    for band in (0, 1, 2, 4, 5):
        out[band][unseen] = np.nan
    out[-1][unseen & np.isnan(first_to_last)] = np.nan
    return out


def kinds_of_largest(windows: Iterable[PairWindow]) -> NDArray[np.uint8]:
    """The kind of the largest change between consecutive dates, that of the first band of :func:`series_bands`.

    Args:
        windows: of the pairs of consecutive dates in their order, with kinds.

    Returns:
        uint8 ``(rows, cols)``: 0 unchanged, 1 to K, 255 where no interval has data, or the kind is not known.
    """
    out, largest = np.empty(0, np.uint8), np.empty(0, np.float32)
    for window in windows:
        if window.kinds is None:
            continue
        if not len(out):
            out, largest = np.full_like(window.kinds, UNLABELLED), np.full_like(window.score, -np.inf)
        ratio = in_thresholds(window.score, window.threshold)
        larger = ratio > largest
        largest[larger], out[larger] = ratio[larger], window.kinds[larger]
    return out


def _undone_by_reference(
    read: Callable[[DateNumbers], PairWindow], changes: Sequence[NDArray[np.bool_]], reference: int
) -> list[NDArray[np.bool_]]:
    """Where each interval lies between a change away from the reference's state and one back to it."""
    count = len(changes) + 1
    everywhere = np.ones_like(changes[0])
    like = [
        everywhere if k == reference else read((min(reference, k), max(reference, k))).same for k in range(count)
    ]
    left = _so_far([change & like[k] for k, change in enumerate(changes)])
    back = _so_far([change & like[k + 1] for k, change in enumerate(changes)][::-1])[::-1]
    nowhere = ~everywhere
    before, after = [nowhere, *left[:-1]], [*back[1:], nowhere]
    # Of two different intervals: one alone cannot lead away and back.
    return [(before[k] & back[k]) | (left[k] & after[k]) for k in range(len(changes))]


def _so_far(parts: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Each part together with all before it."""
    out: list[NDArray[np.bool_]] = []
    for part in parts:
        out.append(part | out[-1] if out else part)
    return out


def _undone_by_pairs(
    read: Callable[[DateNumbers], PairWindow], changes: Sequence[NDArray[np.bool_]]
) -> list[NDArray[np.bool_]]:
    """The same, where the pair of both ends itself tells."""
    undone = [np.zeros_like(change) for change in changes]
    for i, j in combinations(range(len(changes)), 2):
        both = changes[i] & changes[j]
        if both.any():
            both &= read((i, j + 1)).same
            for k in range(i, j + 1):
                undone[k] |= both
    return undone


def count_returns(bands: NDArray[np.float32], areas: NDArray[np.float64]) -> Mapping[int, tuple[int, float]]:
    """Pixels and area of each of :data:`RETURN_CLASSES` in a window of :func:`series_bands`.

    Args:
        bands: the window.
        areas: areas of its pixels, ``(rows, cols)``.
    """
    return {
        code: (int(here.sum()), float(areas[here].sum()))
        for code in RETURN_CLASSES
        if (here := bands[5] == code).any()
    }
