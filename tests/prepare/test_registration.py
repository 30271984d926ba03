import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from hsi_cd.prepare.registration import measure_shift, shift_radius, undo_shift

SHIFTS = [(0.35, 0.0), (-0.2, 0.6), (0.9, -1.3), (-0.5, -0.5), (0.0, 0.3), (1.0, 0.0)]
distance = st.floats(-2, 2)


def smooth_ground(rows: int, cols: int, *, components: int = 6, seed: int = 0) -> np.ndarray:
    ground = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(components, rows, cols)), (0, 2, 2))
    return ground / ground.std()


def two_looks(shift: tuple[float, float], *, noise: float = 0.05, rows: int = 90, cols: int = 70) -> np.ndarray:
    """Two noisy looks at one ground, the second moved by a spline of order 5; a corner of it has changed."""
    ground = smooth_ground(rows + 20, cols + 20)
    moved = np.stack([ndimage.shift(layer, shift, order=5, mode="nearest") for layer in ground])
    looks = np.stack([ground, moved])[:, :, 10:-10, 10:-10]
    looks[1, :, 20:45, 10:40] = smooth_ground(25, 30, seed=9)
    return (looks + noise * np.random.default_rng(1).normal(size=looks.shape)).astype(np.float32)


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_is_measured(shift: tuple[float, float]) -> None:
    t1, t2 = two_looks(shift)
    assert math.dist(measure_shift(t1, t2, np.full(6, 0.05, np.float32)), shift) < 0.08


@pytest.mark.parametrize("shift", SHIFTS[:3])
def test_a_shift_is_measured_around_holes(shift: tuple[float, float]) -> None:
    t1, t2 = two_looks(shift)
    t1[:, 60:75, 20:50] = np.nan
    t2[0, 5:9] = np.nan
    assert math.dist(measure_shift(t1, t2, np.full(6, 0.05, np.float32)), shift) < 0.08


def test_what_a_shift_is_measured_by_takes_little_memory() -> None:
    """Counted in components of the scene: twelve are kept blurred, eighteen are those of half of the pixels."""
    t1, t2 = two_looks((0.35, -0.6), rows=300, cols=310)
    tracemalloc.start()
    try:
        measured = measure_shift(t1, t2, np.full(6, 0.05, np.float32))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert math.dist(measured, (0.35, -0.6)) < 0.08
    assert 12 * t1[0].nbytes < most < 38 * t1[0].nbytes


def test_what_is_aligned_stays_where_it_is() -> None:
    for shift in ((0.0, 0.0), (0.1, -0.05)):
        t1, t2 = two_looks(shift)
        assert measure_shift(t1, t2, np.full(6, 0.05, np.float32)) == (0.0, 0.0)


def test_what_differs_everywhere_alike_is_no_shift() -> None:
    t1, t2 = two_looks((0.5, -0.3))
    slope = np.linspace(0, 20, t1.shape[2], dtype=np.float32)  # so that an offset looks like a step along it
    t1, t2 = t1 + slope, t2 + slope
    plain = measure_shift(t1, t2, np.full(6, 0.05, np.float32))
    offset = np.linspace(-0.4, 0.6, 6, dtype=np.float32)[:, None, None]
    assert math.dist(measure_shift(t1, t2 + offset, np.full(6, 0.05, np.float32)), plain) < 0.08


def test_the_clearest_component_leads() -> None:
    t1, t2 = two_looks((0.5, 0.5))
    noise = np.array([0.05, 0.05, 0.05, 4, 4, 4], np.float32)
    rng = np.random.default_rng(3)
    for look in (t1, t2):
        look[3:] = 4 * rng.normal(size=look[3:].shape)
    assert math.dist(measure_shift(t1, t2, noise), (0.5, 0.5)) < 0.08


@pytest.mark.parametrize("seed", range(6))
def test_dates_whose_values_do_not_compare_are_not_moved(seed: int) -> None:
    # Components as a change makes them: of other signs and gains in the dates, and a block that one of them shows.
    rng = np.random.default_rng(seed)
    ground = rng.normal(size=(6, 48, 64)).astype(np.float32)
    later = ground * np.array([0.2, 1, 0.6, -0.6, -0.8, 0.1], np.float32)[:, None, None]
    later[:, 4:14, 6:20] += 8
    assert measure_shift(ground, later, np.full(6, 0.05, np.float32)) == (0.0, 0.0)


def test_noise_is_no_shift_and_the_ground_moved_by_as_much_is_one() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        ground, *noise = rng.normal(size=(3, 6, 40, 40)).astype(np.float32)
        assert measure_shift(*(ground + each for each in noise), np.ones(6, np.float32)) == (0.0, 0.0)
    t1, t2 = two_looks((0.3, -0.2), rows=60, cols=60, noise=0.3)
    assert math.dist(measure_shift(t1, t2, np.full(6, 0.3, np.float32)), (0.3, -0.2)) < 0.08


@pytest.mark.parametrize(
    "dates",
    [
        np.zeros((2, 3, 40, 40)),
        np.full((2, 3, 40, 40), np.nan),
        np.broadcast_to(np.sin(np.arange(40)), (2, 3, 40, 40)),  # no slope down the columns
        np.random.default_rng(0).normal(size=(2, 3, 15, 40)),
        np.random.default_rng(0).normal(size=(2, 3, 1, 1)),
    ],
    ids=["flat", "empty", "stripes", "small", "one pixel"],
)
def test_where_nothing_can_be_told_nothing_moves(dates: np.ndarray) -> None:
    t1, t2 = dates.astype(np.float32)
    assert measure_shift(t1, t2, np.ones(3, np.float32)) == (0.0, 0.0)


def keys_kernel(x: float) -> float:
    """Keys's cubic convolution with a = -1/2."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


@given(down=distance, right=distance, more=st.integers(0, 2))
def test_interpolation_is_that_of_keys(down: float, right: float, more: int) -> None:
    radius = shift_radius((down, right)) + more
    values = np.random.default_rng(0).normal(size=(2, 2 * radius + 3, 2 * radius + 2)).astype(np.float32)
    found = undo_shift(values, (down, right), radius=radius)
    rows, cols = np.arange(values.shape[1]), np.arange(values.shape[2])
    assert found.shape == (2, 3, 2)
    for r in range(3):
        for c in range(2):
            by_row = np.array([keys_kernel(r + radius + down - row) for row in rows])
            by_col = np.array([keys_kernel(c + radius + right - col) for col in cols])
            expected = np.einsum("krc,r,c->k", values.astype(np.float64), by_row, by_col)
            np.testing.assert_allclose(found[:, r, c], expected, atol=2e-5)


@given(down=distance, right=distance)
def test_the_radius_is_enough_and_no_more(down: float, right: float) -> None:
    radius = shift_radius((down, right))
    size = 2 * radius + 1
    assert np.isfinite(undo_shift(np.zeros((1, size, size), np.float32), (down, right), radius=radius)).all()
    if radius:  # the outermost ring is read
        ring = np.full((1, size, size), np.nan, np.float32)
        ring[:, 1:-1, 1:-1] = 0
        assert np.isnan(undo_shift(ring, (down, right), radius=radius)).all()


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0, -1), (-2, 2), (1, 1)])
def test_whole_pixels_are_moved_exactly(shift: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=(2, 11, 12)).astype(np.float32)
    radius = shift_radius((float(shift[0]), float(shift[1])))
    assert radius == max(map(abs, shift))
    found = undo_shift(values, (float(shift[0]), float(shift[1])), radius=radius)
    rolled = np.roll(values, (-shift[0], -shift[1]), axis=(1, 2))
    np.testing.assert_array_equal(found, rolled[:, radius : 11 - radius, radius : 12 - radius])


@pytest.mark.parametrize("shift", SHIFTS)
def test_an_independent_shift_is_undone(shift: tuple[float, float]) -> None:
    t1, t2 = two_looks(shift, noise=0)
    radius = shift_radius(shift)
    found = undo_shift(t2, shift, radius=radius)
    error = np.abs(found - t1[:, radius : t1.shape[1] - radius, radius : t1.shape[2] - radius])
    error[:, 10:55, 5:50] = 0  # what changed there
    assert error.max() < 0.1 < np.abs(t2 - t1)[:, 60:].max() or shift == (0, 0)
    assert error.mean() < 0.01
