import numpy as np
import pytest

from hsi_cd.detectors.frontend import fit_frontend
from hsi_cd.detectors.joint_spectra import JointSpectra
from hsi_cd.detectors.reweighting import joint_moments
from hsi_cd.detectors.slow_features import fit_isfa, fit_sfa, slow_eigenproblem, slow_map
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.scene import ScenePair, cube_from_array


def dates(bands: int = 5, rows: int = 40, cols: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(bands, rows, cols))
    mix = rng.normal(size=(bands, bands))
    t1 = np.tensordot(mix, hidden, 1) + rng.normal(0, 0.2, hidden.shape)
    t2 = 1.3 * np.tensordot(mix, hidden, 1) + 2 + rng.normal(0, 0.2, hidden.shape)
    t2[:, :8, :8] = rng.normal(2, 3, (bands, 8, 8))
    return t1.astype(np.float32), t2.astype(np.float32)


def pair() -> ScenePair:
    t1, t2 = dates()
    return ScenePair(cube_from_array(t1), cube_from_array(t2))


def spectra_of(scene: ScenePair) -> JointSpectra:
    """Standardised spectra of both dates."""
    measurement = Measurement(scene)
    return JointSpectra(fit_frontend(measurement, Preparation()), measurement)


def test_the_eigenproblem_is_solved() -> None:
    scene = pair()
    joint = np.concatenate(list(spectra_of(scene)), axis=1)
    x, y = joint[:5], joint[5:]
    x, y = ((v - v.mean(axis=1, keepdims=True)) / v.std(axis=1, keepdims=True) for v in (x, y))
    a = (x - y) @ (x - y).T / x.shape[1]
    b = (x @ x.T + y @ y.T) / (2 * x.shape[1])
    moments = joint_moments([joint])
    found_a, found_b = slow_eigenproblem(moments)
    np.testing.assert_allclose(found_a, a, atol=1e-9)
    np.testing.assert_allclose(found_b, b, atol=1e-9)
    fitted = slow_map(moments, ridge=0.0)
    residual = a @ fitted.vectors.T - b @ fitted.vectors.T * fitted.slowness
    np.testing.assert_allclose(residual, 0, atol=1e-8)
    np.testing.assert_allclose(fitted.vectors @ b @ fitted.vectors.T, np.eye(5), atol=1e-8)
    assert (np.diff(fitted.slowness) >= 0).all()
    # Each scaled difference has variance 1, and they are uncorrelated.
    np.testing.assert_allclose(np.cov(fitted.weight @ joint, bias=True), np.eye(5), atol=1e-6)


def test_the_score_is_the_sum_over_slowness() -> None:
    t1, t2 = dates()
    x, y = ((v - v.mean(axis=(1, 2), keepdims=True)) / v.std(axis=(1, 2), keepdims=True) for v in (t1, t2))
    detector = fit_sfa(pair(), options={"ridge": 0.0})
    scene = pair()
    fitted = slow_map(joint_moments(spectra_of(scene)), ridge=0.0)
    difference = np.tensordot(fitted.vectors, x - y, 1)
    expected = np.sqrt((difference**2 / fitted.slowness[:, None, None]).sum(axis=0))
    np.testing.assert_allclose(detector.score(t1, t2), expected, rtol=1e-3)


@pytest.mark.parametrize("quiet", [0.0, 0.5])
def test_reweighting_finds_what_changed(quiet: float) -> None:
    t1, t2 = dates()
    detector = fit_isfa(pair(), options={"quiet": quiet})
    score = detector.score(t1, t2)
    assert np.median(score[:8, :8]) > 3 * np.median(score[8:])
    assert 1 < dict(detector.found)["iterations"] < 50
    plain = fit_sfa(pair()).score(t1, t2)
    assert np.median(score[:8, :8]) / np.median(score[8:]) > np.median(plain[:8, :8]) / np.median(plain[8:])
