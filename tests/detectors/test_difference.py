import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_cd.detectors.difference import fit_cva, fit_pca_cva, fit_sam
from hsi_cd.scene import ScenePair, cube_from_array


def dates(seed: int = 0, bands: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.gamma(4, 1, (bands, 1, 1)) + rng.normal(0, 1, (bands, 11, 9)).clip(-2, 2) * 0.3
    t2 = base + rng.normal(0, 0.1, base.shape)
    t2[:, :4, :4] += rng.normal(0, 1, (bands, 1, 1))
    return base.astype(np.float32), t2.astype(np.float32)


def pair(t1: np.ndarray, t2: np.ndarray) -> ScenePair:
    return ScenePair(cube_from_array(t1), cube_from_array(t2))


def standardised(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    return (values - values.mean(axis=(1, 2), keepdims=True)) / values.std(axis=(1, 2), keepdims=True)


def test_cva_is_the_length_of_the_difference() -> None:
    t1, t2 = dates()
    expected = np.linalg.norm(standardised(t1) - standardised(t2), axis=0)
    np.testing.assert_allclose(fit_cva(pair(t1, t2)).score(t1, t2), expected, rtol=1e-4)


def test_all_principal_components_together_are_cva() -> None:
    t1, t2 = dates()
    every = fit_pca_cva(pair(t1, t2), options={"variance": 1.0})
    np.testing.assert_allclose(every.score(t1, t2), fit_cva(pair(t1, t2)).score(t1, t2), rtol=1e-4)


@pytest.mark.parametrize("variance", [0.5, 0.8, 0.95])
def test_pca_cva_against_a_singular_value_decomposition(variance: float) -> None:
    t1, t2 = dates(1)
    difference = (standardised(t1) - standardised(t2)).reshape(5, -1)
    left, size, _ = np.linalg.svd(difference, full_matrices=False)
    kept = int(np.argmax(np.cumsum(size**2) / (size**2).sum() >= variance)) + 1
    expected = np.linalg.norm(left[:, :kept].T @ difference, axis=0).reshape(11, 9)
    detector = fit_pca_cva(pair(t1, t2), options={"variance": variance})
    assert dict(detector.found) == {"components": kept}
    np.testing.assert_allclose(detector.score(t1, t2), expected, rtol=1e-3, atol=1e-4)


def test_sam_is_the_arc_cosine() -> None:
    t1, t2 = dates()
    a, b = t1.astype(np.float64), t2.astype(np.float64)
    cosine = (a * b).sum(axis=0) / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)
    np.testing.assert_allclose(fit_sam(pair(t1, t2)).score(t1, t2), np.arccos(cosine), rtol=1e-4, atol=1e-6)


@settings(max_examples=settings.default.max_examples // 4)
@given(gain=st.floats(0.01, 100))
def test_sam_does_not_see_brightness(gain: float) -> None:
    t1, t2 = dates()
    detector = fit_sam(pair(t1, t2))
    shading = np.float32(gain) * np.linspace(0.5, 2, 9, dtype=np.float32)
    np.testing.assert_allclose(detector.score(t1, t2 * shading), detector.score(t1, t2), rtol=1e-3, atol=1e-6)


def test_sam_of_opposite_right_and_equal_spectra() -> None:
    t1, t2 = dates(bands=2)
    detector = fit_sam(pair(t1, t2))
    one = np.array([1, 0], dtype=np.float32)[:, None, None]
    other = np.array([0, 1], dtype=np.float32)[:, None, None]
    assert detector.score(one, one)[0, 0] == 0
    np.testing.assert_allclose(detector.score(one, other), np.pi / 2, rtol=1e-6)
    np.testing.assert_allclose(detector.score(one, -one), np.pi, rtol=1e-6)
    assert np.isnan(detector.score(one, 0 * one))
