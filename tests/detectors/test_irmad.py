import errno

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from sklearn.cross_decomposition import CCA

from hsi_cd.detectors.canonical import canonical_map, iterate_canonical
from hsi_cd.detectors.frontend import fit_frontend
from hsi_cd.detectors.irmad import fit_irmad
from hsi_cd.detectors.joint_spectra import JointSpectra
from hsi_cd.detectors.reweighting import joint_moments
from hsi_cd.errors import OutputError
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.prepare.moments import Moments
from hsi_cd.scene import ScenePair, cube_from_array


def dates(bands: int = 4, rows: int = 40, cols: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(min(bands, 6), rows, cols))
    mixes = rng.normal(size=(2, bands, len(hidden)))
    t1, t2 = (np.tensordot(m, hidden, 1) + rng.normal(0, 0.3, (bands, rows, cols)) for m in mixes)
    t2[:, :8, :8] = rng.normal(0, 2, (bands, 8, 8))
    return t1.astype(np.float32), t2.astype(np.float32)


def pair(t1: np.ndarray, t2: np.ndarray) -> ScenePair:
    return ScenePair(cube_from_array(t1), cube_from_array(t2))


def spectra_of(scene: ScenePair) -> JointSpectra:
    """Standardised spectra of both dates."""
    measurement = Measurement(scene)
    return JointSpectra(fit_frontend(measurement, Preparation()), measurement)


def test_canonical_correlations_against_the_generalised_eigenproblem() -> None:
    joint = np.concatenate(dates()).reshape(8, -1).astype(np.float64)
    c = np.cov(joint)
    zero = np.zeros((4, 4))
    cross = np.block([[zero, c[:4, 4:]], [c[4:, :4], zero]])
    values = scipy.linalg.eigh(cross, scipy.linalg.block_diag(c[:4, :4], c[4:, 4:]), eigvals_only=True)
    fitted = canonical_map(Moments.of(joint), ridge=0.0)
    np.testing.assert_allclose(fitted.correlation, values[::-1][:4], rtol=1e-9)
    # Differences of canonical variates are uncorrelated and, scaled, of variance 1.
    np.testing.assert_allclose(np.cov(fitted.weight @ joint, bias=True), np.eye(4), atol=1e-9)


def test_canonical_correlations_against_scikit_learn() -> None:
    joint = np.concatenate(dates()).reshape(8, -1).astype(np.float64)
    u, v = CCA(4, max_iter=20_000, tol=1e-12).fit_transform(joint[:4].T, joint[4:].T)
    expected = [abs(np.corrcoef(u[:, i], v[:, i])[0, 1]) for i in range(4)]
    fitted = canonical_map(Moments.of(joint), ridge=0.0)
    np.testing.assert_allclose(fitted.correlation, sorted(expected, reverse=True), atol=1e-6)


@pytest.mark.parametrize(("quiet", "exact"), [(0.0, 1e-6), (0.3, 2e-3)])
def test_the_iteration_against_a_loop_over_all_pixels(quiet: float, exact: float) -> None:
    """As published, and anchored to a quantile, which the histogram tells to .3 %."""
    t1, t2 = dates()
    scene = pair(t1, t2)
    frontend = fit_frontend(Measurement(scene), Preparation())
    joint = np.concatenate(frontend.apply(t1, t2)).reshape(8, -1).astype(np.float64)
    weight = np.ones(joint.shape[1])
    for _ in range(3):
        c = np.cov(joint, aweights=weight, bias=True)
        mean = np.average(joint, axis=1, weights=weight)
        # Eigenvectors of S12 S22^-1 S21 a = r^2 S11 a.
        a = scipy.linalg.eigh(c[:4, 4:] @ np.linalg.solve(c[4:, 4:], c[4:, :4]), c[:4, :4])[1]
        b = np.linalg.solve(c[4:, 4:], c[4:, :4] @ a)
        b = b / np.sqrt(np.einsum("bk,bc,ck->k", b, c[4:, 4:], b))
        r = np.einsum("bk,bc,ck->k", a, c[:4, 4:], b)
        deviation = joint - mean[:, None]
        mad = a.T @ deviation[:4] - b.T @ deviation[4:]
        squared = (mad**2 / (2 * (1 - r))[:, None]).sum(axis=0)
        if quiet:
            squared *= scipy.stats.chi2.ppf(quiet, 4) / np.quantile(squared, quiet)
        weight = scipy.stats.chi2.sf(squared, 4)
    spectra = JointSpectra(frontend, Measurement(scene))
    fitted = iterate_canonical(spectra, iterations=3, tolerance=0.0, ridge=0.0, quiet=quiet)
    np.testing.assert_allclose(fitted.correlation, np.sort(r)[::-1], rtol=exact)
    np.testing.assert_allclose(fitted.squared(joint), squared, rtol=10 * exact)


def test_gains_and_offsets_of_bands_change_nothing() -> None:
    t1, t2 = dates()
    rng = np.random.default_rng(1)
    gain = rng.uniform(0.2, 5, (2, 4, 1, 1)).astype(np.float32)
    offset = rng.normal(0, 3, (2, 4, 1, 1)).astype(np.float32)
    u1, u2 = gain[0] * t1 + offset[0], gain[1] * t2 + offset[1]
    expected = fit_irmad(pair(t1, t2)).score(t1, t2)
    np.testing.assert_allclose(fit_irmad(pair(u1, u2)).score(u1, u2), expected, rtol=2e-3)


def test_it_finds_what_changed() -> None:
    t1, t2 = dates()
    detector = fit_irmad(pair(t1, t2), options={"threshold": "auto"})
    change = detector.score(t1, t2) >= detector.threshold
    assert change[:8, :8].mean() > 0.8
    assert change[8:].mean() < 0.05
    unlikely = detector.no_change_probability(detector.score(t1, t2))
    assert unlikely[:8, :8].mean() < 0.01 < unlikely[8:].mean()


@pytest.mark.parametrize("quiet", [0.0, 0.5])
@pytest.mark.slow
def test_it_converges_on_242_correlated_bands(quiet: float) -> None:
    t1, t2 = dates(bands=242, rows=50, cols=40)
    spectra = spectra_of(pair(t1, t2))
    fitted = iterate_canonical(spectra, iterations=50, tolerance=1e-3, ridge=1e-3, quiet=quiet)
    assert np.isfinite(fitted.weight).all()
    assert (fitted.correlation <= 1).all()
    if quiet:
        assert fitted.change < 1e-3
        assert fitted.iterations < 50


def test_a_full_disk_is_told_before_anything_is_written_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*asked: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hsi_cd.prepare.scratch.IN_MEMORY", 0)
    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OutputError, match=r"0\.0 GB .* \(No space left on device\): make room, or .*TMPDIR"):
        fit_irmad(pair(*dates()))


def test_weights_anchored_to_half_of_the_pixels_keep_their_spread() -> None:
    t1, t2 = dates()
    spectra = spectra_of(pair(t1, t2))
    fitted = iterate_canonical(spectra, iterations=20, tolerance=1e-3, ridge=1e-3, quiet=0.5)
    squared = np.concatenate([fitted.squared(values) for values in spectra])
    assert np.median(squared) == pytest.approx(scipy.stats.chi2.ppf(0.5, 4), rel=0.02)


def test_weighted_moments_are_those_of_repeated_pixels() -> None:
    rng = np.random.default_rng(2)
    values, times = rng.normal(size=(3, 50)), rng.integers(0, 4, 50)
    blocks = np.split(np.concatenate([values, times[None]]), 5, axis=1)
    total = joint_moments(b[:3] for b in blocks)
    np.testing.assert_allclose(total.covariance, np.cov(values, bias=True), atol=1e-12)
    weighted = Moments.of(values, weight=times.astype(np.float64))
    repeated = Moments.of(np.repeat(values, times, axis=1))
    assert weighted.count == repeated.count
    np.testing.assert_allclose(weighted.mean, repeated.mean, atol=1e-12)
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, atol=1e-12)
