"""Stratified random samples: every pixel as likely as it is large, and sizes as they were published."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError
from hsi_cd.prepare.stratified_sample import Stratum, allocate, draw_points, measure_strata, size_for


def ones(rows: slice) -> NDArray[np.float64]:
    return np.ones((rows.stop - rows.start, 12))


def a_map() -> NDArray[np.uint8]:
    change = np.zeros((600, 12), dtype=np.uint8)
    change[255:258] = 1
    change[:, 11] = 255
    return change


def test_strata_are_counted_over_all_blocks() -> None:
    strata = measure_strata(a_map(), lambda rows: ones(rows) * 2.5)
    assert strata == (Stratum(0, 6567, 6567 * 2.5), Stratum(1, 33, 33 * 2.5))


def test_points_lie_in_their_classes_none_twice_and_the_seed_tells_all() -> None:
    change = a_map()
    rows, cols = draw_points(change, {0: 40, 1: 33}, ones, seed=3)
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == 73
    assert np.bincount(change[rows, cols], minlength=256)[[0, 1, 255]].tolist() == [40, 33, 0]
    again = draw_points(change, {0: 40, 1: 33}, ones, seed=3)
    assert np.array_equal(rows, again[0]) and np.array_equal(cols, again[1])
    assert not np.array_equal(rows, draw_points(change, {0: 40, 1: 33}, ones, seed=4)[0])
    assert 5 < (change[rows, cols][:36] == 1).sum() < 30  # a random order, which tells no class


@pytest.mark.parametrize("heavy", [1.0, 3.0])
def test_a_pixel_is_drawn_as_often_as_it_is_large(heavy: float) -> None:
    """The first of three thirds, whose pixels are of another size; beyond what chance alone tells it is wrong."""
    change = np.zeros((300, 12), dtype=np.uint8)

    def areas(rows: slice) -> NDArray[np.float64]:
        found = ones(rows)
        found[: max(0, 100 - rows.start)] *= heavy  # the first 100 rows
        return found

    draws = 600
    hits = sum(int((draw_points(change, {0: 2}, areas, seed=seed)[0] < 100).sum()) for seed in range(draws))
    expected = 100 * heavy / (100 * heavy + 200)
    error = np.sqrt(expected * (1 - expected) / (2 * draws))
    assert hits / (2 * draws) == pytest.approx(expected, abs=4 * error)


STRATA = tuple(Stratum(code, pixels, float(pixels)) for code, pixels in enumerate((9_000_000, 1_000_000)))


def test_allocation_fixes_what_is_rare_and_shares_the_rest() -> None:
    assert allocate(STRATA) == {0: 50, 1: 50}
    assert allocate(STRATA, per_stratum=50, total=400) == {0: 350, 1: 50}
    assert allocate(STRATA, per_stratum=50, total=1000) == {0: 900, 1: 100}
    assert allocate((Stratum(0, 500, 500.0), Stratum(1, 7, 7.0)), per_stratum=50) == {0: 50, 1: 7}
    assert allocate((Stratum(1, 30, 30.0),), per_stratum=50, total=80) == {1: 30}


def test_the_size_for_a_standard_error_is_cochrans() -> None:
    """(sum of W_i S_i / S(O))^2 with S_i = sqrt(U_i (1 - U_i)): 0.9 x 0.3 + 0.1 x 0.4583, over 0.01, squared."""
    assert size_for(STRATA, 0.01) == 998
    assert allocate(STRATA, standard_error=0.01) == {0: 898, 1: 100}
    assert allocate(STRATA, standard_error=0.2) == {0: 50, 1: 50}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"per_stratum": 1}, "at least 2 points"),
        ({"total": 60}, "total is 60: 2 strata get 50 points each at least"),
        ({"total": 60, "standard_error": 0.01}, "give one of them"),
        ({"standard_error": 0.0}, r"expected 0\.001 to 0\.5"),
    ],
)
def test_numbers_that_there_are_not(asked: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        allocate(STRATA, **asked)  # type: ignore[arg-type]
