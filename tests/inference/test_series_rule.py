"""What many dates say of a pixel, against the same rule said pixel by pixel in plain Python."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from hsi_cd.inference.series_rule import (
    BOTH,
    RETURNED,
    STAYED,
    UNTOUCHED,
    PairWindow,
    count_returns,
    in_thresholds,
    pairs_of_dates,
    series_bands,
)

LIMIT = 2.5


def chance(score: np.ndarray) -> np.ndarray:
    return np.asarray(score / (1 + score), dtype=np.float32)


def scores_of(count: int, seed: int) -> dict[tuple[int, int], np.ndarray]:
    """Scores of every pair of dates, half of them changed, a tenth without data."""
    random = np.random.default_rng(seed)
    found = {}
    for pair in combinations(range(count), 2):
        score = random.uniform(0, 2 * LIMIT, (20, 30)).astype(np.float32)
        score[random.random(score.shape) < 0.1] = np.nan
        found[pair] = score
    return found


def by_hand(scores: dict[tuple[int, int], float], codes: list[int], reference: int, every: bool) -> list[float]:
    """The bands of one pixel."""
    count = len(codes)
    intervals = list(pairwise(range(count)))
    known = [k for k, pair in enumerate(intervals) if not np.isnan(scores[pair])]
    changed = [k for k in known if scores[intervals[k]] >= LIMIT]

    def like_reference(date: int) -> bool:
        return date == reference or scores[min(date, reference), max(date, reference)] < LIMIT

    undone = set()
    for i, j in combinations(changed, 2):
        same = scores[i, j + 1] < LIMIT if every else like_reference(i) and like_reference(j + 1)
        if same:
            undone |= {k for k in changed if i <= k <= j}
    ends = scores[0, count - 1]
    first_to_last = float("nan") if np.isnan(ends) else float(ends >= LIMIT)
    if not known:
        seen = float("nan") if np.isnan(ends) else 0.0
        return [float("nan")] * 3 + [first_to_last] + [float("nan")] * 2 + [seen]
    largest = max(known, key=lambda k: scores[intervals[k]])
    date = codes[largest + 1] if largest in changed else 0
    kind = (
        UNTOUCHED if not changed else STAYED if not undone else RETURNED if len(undone) == len(changed) else BOTH
    )
    stable = min(1 - chance(np.float32(scores[intervals[k]])) for k in known)
    size = scores[intervals[largest]] / LIMIT
    return [date, len(changed), size, first_to_last, float(stable), kind, len(known)]


@pytest.mark.parametrize(
    ("count", "reference", "every"), [(5, 0, False), (5, 2, False), (4, 3, False), (5, 0, True)]
)
def test_the_bands_are_those_of_the_rule(count: int, reference: int, every: bool) -> None:
    scores = scores_of(count, seed=count + reference)
    wanted = set(pairs_of_dates(count, reference=reference, every=every))
    codes = [2019000 + place for place in range(count)]

    def read(pair: tuple[int, int]) -> PairWindow:
        assert pair in wanted  # nothing else was scored
        return PairWindow(scores[pair], LIMIT, chance)

    found = series_bands(read, codes, reference=reference, every=every)
    expected = [
        by_hand({pair: score[at] for pair, score in scores.items()}, codes, reference, every)
        for at in np.ndindex(20, 30)
    ]
    np.testing.assert_allclose(found.reshape(7, -1).T, np.array(expected), rtol=1e-6, atol=1e-6)
    kinds = set(np.unique(found[5][~np.isnan(found[5])]).tolist())
    assert kinds == {UNTOUCHED, STAYED, RETURNED, BOTH}
    areas = np.full((20, 30), 2.0)
    assert count_returns(found, areas)[RETURNED] == (
        int((found[5] == RETURNED).sum()),
        2.0 * (found[5] == 2).sum(),
    )


def test_the_pairs_that_are_compared() -> None:
    assert pairs_of_dates(2) == ((0, 1),)
    assert pairs_of_dates(4) == ((0, 1), (0, 2), (0, 3), (1, 2), (2, 3))
    assert pairs_of_dates(4, reference=2) == ((0, 1), (0, 2), (0, 3), (1, 2), (2, 3))
    assert pairs_of_dates(5, reference=2) == ((0, 1), (0, 2), (0, 4), (1, 2), (2, 3), (2, 4), (3, 4))
    assert len(pairs_of_dates(30)) == 2 * 29 - 1 and len(pairs_of_dates(30, every=True)) == 435


@pytest.mark.parametrize("threshold", [7.494430586723262, 0.1, 1e-3, 0.0])
def test_a_score_reaches_its_threshold_or_does_not_whatever_the_rounding(threshold: float) -> None:
    near = np.nextafter(np.float32(threshold), np.float32([-1, 1e9, threshold]))
    score = np.concatenate([near, np.float32([0, threshold, 2 * threshold + 1, np.nan])]).astype(np.float32)
    found = in_thresholds(score, threshold)
    np.testing.assert_array_equal(found >= 1, score >= threshold)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(score))
