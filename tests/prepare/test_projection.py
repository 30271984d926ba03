import numpy as np
import pytest
from sklearn.decomposition import PCA

from hsi_cd.prepare.projection import minimum_noise_fraction, principal_components

BANDS = 7


@pytest.fixture(scope="module")
def spectra() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.normal(size=(BANDS, BANDS)) @ rng.normal(size=(BANDS, 4000))


@pytest.fixture(scope="module")
def covariance(spectra: np.ndarray) -> np.ndarray:
    return np.cov(spectra, bias=True)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    mixing = np.eye(BANDS) + 0.3 * np.random.default_rng(4).normal(size=(BANDS, BANDS))
    return mixing @ mixing.T


def variances(matrix: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.diag(matrix @ covariance @ matrix.T)


@pytest.mark.parametrize("components", [1, 3, BANDS, BANDS + 5])
def test_pca_spans_what_scikit_learn_spans(spectra, covariance, components: int) -> None:
    matrix = principal_components(covariance, components)
    kept = min(components, BANDS)
    oracle = PCA(kept).fit(spectra.T)
    directions = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(np.sum(directions * oracle.components_, axis=1)), 1, atol=1e-9)
    share = variances(matrix, covariance)
    np.testing.assert_allclose(share / share.sum(), oracle.explained_variance_ / oracle.explained_variance_.sum())


def test_mnf_solves_its_equation(covariance, noise) -> None:
    matrix = minimum_noise_fraction(covariance, noise, BANDS)
    ratio = variances(matrix, covariance) / variances(matrix, noise)
    np.testing.assert_allclose(
        matrix @ covariance, ratio[:, None] * (matrix @ noise), atol=2e-3 * np.abs(matrix @ covariance).max()
    )


def test_mnf_puts_the_clearest_first(covariance, noise) -> None:
    matrix = minimum_noise_fraction(covariance, noise, BANDS)
    ratio = variances(matrix, covariance) / variances(matrix, noise)
    assert (np.diff(ratio) < 0).all()
    # No direction is clearer than the first.
    trials = np.random.default_rng(0).normal(size=(500, BANDS))
    assert (variances(trials, covariance) / variances(trials, noise)).max() <= ratio[0]


def test_mnf_gives_every_component_the_same_noise(covariance, noise) -> None:
    matrix = minimum_noise_fraction(covariance, noise, 4)
    level = variances(matrix, noise)
    np.testing.assert_allclose(level, level.mean(), rtol=2e-3)


def test_mnf_does_not_see_the_scale_of_a_band(covariance, noise) -> None:
    scale = np.geomspace(0.5, 2, BANDS)
    plain = minimum_noise_fraction(covariance, noise, 3)
    scaled = minimum_noise_fraction(covariance * np.outer(scale, scale), noise * np.outer(scale, scale), 3) * scale
    factor = np.sum(plain * scaled, axis=1, keepdims=True) / np.sum(scaled**2, axis=1, keepdims=True)
    np.testing.assert_allclose(scaled * factor, plain, atol=5e-3 * np.abs(plain).max())


def test_a_noisy_band_comes_last_in_mnf_and_first_in_pca() -> None:
    covariance, noise = np.diag([4.0, 3.0, 100.0]), np.diag([0.1, 0.1, 99.0])
    assert np.abs(minimum_noise_fraction(covariance, noise, 3)).argmax(axis=1).tolist() == [0, 1, 2]
    assert np.abs(principal_components(covariance, 3)).argmax(axis=1).tolist() == [2, 0, 1]


@pytest.mark.parametrize("components", [1, 3, BANDS])
def test_the_mean_variance_is_1_and_the_largest_weight_positive(covariance, noise, components: int) -> None:
    for matrix in (
        principal_components(covariance, components),
        minimum_noise_fraction(covariance, noise, components),
    ):
        assert matrix.shape == (components, BANDS)
        assert variances(matrix, covariance).mean() == pytest.approx(1)
        assert (matrix[np.arange(components), np.abs(matrix).argmax(axis=1)] > 0).all()


def test_noise_that_bands_share_entirely_can_be_inverted() -> None:
    shared = np.ones((3, 3))
    matrix = minimum_noise_fraction(shared + np.diag([3.0, 2.0, 1.0]), shared, 3)
    assert np.isfinite(matrix).all()
