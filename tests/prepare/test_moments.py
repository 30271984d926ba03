import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.prepare.moments import Moments


def merged(parts: list[np.ndarray]) -> Moments:
    total = Moments.of(parts[0])
    for part in parts[1:]:
        total += Moments.of(part)
    return total


@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6), bands=st.integers(1, 5))
def test_merged_parts_are_the_whole(sizes: list[int], bands: int) -> None:
    rng = np.random.default_rng(sum(sizes) + bands)
    parts = [rng.normal(3 * i, 1 + i, (bands, size)) for i, size in enumerate(sizes)]
    total, whole = merged(parts), np.concatenate(parts, axis=1)
    assert total.count == whole.shape[1]
    if total.count:
        np.testing.assert_allclose(total.mean, whole.mean(axis=1), atol=1e-12)
        expected = np.cov(whole, bias=True).reshape(bands, bands)
        np.testing.assert_allclose(total.covariance, expected, atol=1e-10)


def test_a_large_offset_costs_no_digits() -> None:
    rng = np.random.default_rng(0)
    small = rng.standard_normal((3, 10_000))
    total = merged(np.split(small + 1e6, 10, axis=1))
    np.testing.assert_allclose(total.covariance, np.cov(small, bias=True), atol=1e-8)


def test_nothing_has_no_moments() -> None:
    empty = Moments.of(np.zeros((2, 0)))
    assert empty.count == 0
    np.testing.assert_array_equal(empty.covariance, np.zeros((2, 2)))
    np.testing.assert_array_equal((empty + empty).mean, np.zeros(2))


@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6), bands=st.integers(1, 5), off=st.floats(-3, 3))
def test_moments_of_each_band_measured_from_another_value_are_its_own(
    sizes: list[int], bands: int, off: float
) -> None:
    rng = np.random.default_rng(sum(sizes) + bands)
    parts = [rng.normal(3 * i, 1 + i, (bands, size)) for i, size in enumerate(sizes)]
    total, whole = Moments.of_each(parts[0], near=np.full(bands, off)), np.concatenate(parts, axis=1)
    for part in parts[1:]:
        total += Moments.of_each(part, near=np.full(bands, off))
    assert total.count == whole.shape[1]
    if total.count:
        np.testing.assert_allclose(total.mean, whole.mean(axis=1), atol=1e-12)
        np.testing.assert_allclose(total.covariance, whole.var(axis=1), atol=1e-10)
    else:
        np.testing.assert_array_equal(total.covariance, np.zeros(bands))
