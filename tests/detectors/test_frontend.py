import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.detectors.context import joint_bilateral
from hsi_cd.detectors.frontend import Frontend, fit_frontend, frontend_from_state
from hsi_cd.detectors.joint_spectra import JointSpectra
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.scene import ScenePair, cube_from_array


def scene(rows: int = 33, cols: int = 27) -> ScenePair:
    rng = np.random.default_rng(0)
    t1 = rng.normal(size=(6, rows, cols)).cumsum(axis=1).cumsum(axis=2).astype(np.float32)
    t2 = (t1 + rng.normal(size=t1.shape)).astype(np.float32)
    t1[:, 3, 4] = np.nan
    return ScenePair(cube_from_array(t1), cube_from_array(t2))


def fitted(how: Preparation | None = None, *, reach: int = 0) -> Frontend:
    return fit_frontend(Measurement(scene()), how or Preparation(), reach=reach)


def spectra_of(pair: ScenePair) -> JointSpectra:
    """Standardised spectra of both dates."""
    measurement = Measurement(pair)
    return JointSpectra(fit_frontend(measurement, Preparation()), measurement)


@given(seed=st.integers(0, 100), reach=st.integers(1, 2))
def test_the_bilateral_filter_against_a_loop(seed: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    h, w, k = 4, 3, 2
    t1, t2 = rng.normal(size=(2, k, h + 2 * reach, w + 2 * reach)).astype(np.float32)
    t1[:, 2, 1] = t2[:, 2, 1] = np.nan
    noise = np.array([0.3, 0.8], dtype=np.float32)
    s1, s2 = joint_bilateral(t1, t2, noise, reach=reach, tolerance=3.0)
    for r in range(h):
        for c in range(w):
            centre = (r + reach, c + reach)
            if np.isnan(t1[0][centre]):
                assert np.isnan(s1[:, r, c]).all()
                continue
            total, sums = 0.0, np.zeros(2 * k)
            for i in range(r, r + 2 * reach + 1):
                for j in range(c, c + 2 * reach + 1):
                    here, there = (np.concatenate([t1[:, p, q], t2[:, p, q]]) for p, q in (centre, (i, j)))
                    if np.isnan(there).any():
                        continue
                    size = (((here - there) / (3 * np.tile(noise, 2))) ** 2).mean()
                    total += math.exp(-size / 2)
                    sums += math.exp(-size / 2) * there
            np.testing.assert_allclose(
                np.concatenate([s1[:, r, c], s2[:, r, c]]), sums / total, rtol=1e-4, atol=1e-5
            )


def test_an_edge_of_either_date_stays() -> None:
    flat = np.zeros((1, 9, 9), dtype=np.float32)
    step = flat.copy()
    step[:, :, 5:] = 100
    _, smoothed = joint_bilateral(flat, step, np.ones(1, dtype=np.float32), reach=2, tolerance=3.0)
    np.testing.assert_array_equal(smoothed, step[:, 2:-2, 2:-2])


def test_a_kept_scene_gives_the_same_blocks_again() -> None:
    spectra = spectra_of(scene())
    first, second = (np.concatenate(list(spectra), axis=1) for _ in range(2))
    assert first.shape == (12, 33 * 27 - 1)
    np.testing.assert_array_equal(first, second)
    one = next(iter(spectra_of(scene())))
    one[:] = 0  # what a caller does to a block stays with the caller
    np.testing.assert_array_equal(np.concatenate(list(spectra), axis=1), first)


def test_the_state_brings_it_back() -> None:
    frontend = fitted(Preparation(projection="mnf", components=3, registration=True), reach=1)
    again = frontend_from_state(frontend.state())
    t1, t2 = scene().read()
    for a, b in zip(frontend.apply(t1, t2), again.apply(t1, t2), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(isinstance(x, torch.Tensor) for x in frontend.state()["transform"].values())


def test_standardised_bands_are_the_transform_in_single_precision() -> None:
    frontend = fitted()
    t1, t2 = scene().read()
    first, second = frontend.apply(t1, t2)
    known = np.isfinite(first[0])
    assert known.sum() == 33 * 27 - 1
    np.testing.assert_allclose(first[:, known].mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(second[:, known].std(axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(
        first[:, known], frontend.transform.apply(t1, date=0)[:, known], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("side", [40, 300])
def test_a_sample_knows_where_its_pixels_lie(side: int) -> None:
    """In a scene with holes, whether each pixel is in the sample or one of two."""
    random = np.random.default_rng(0)
    t1 = random.normal(size=(3, side, side)).astype(np.float32)
    t1[:, random.random((side, side)) < 0.2] = np.nan
    t1[:, 7:9] = np.nan
    measurement = Measurement(
        ScenePair(cube_from_array(t1), cube_from_array(random.normal(size=t1.shape).astype(np.float32)))
    )
    frontend = fit_frontend(measurement, Preparation())
    sample = JointSpectra(frontend, measurement).sample()
    joint = np.concatenate(frontend.apply(measurement.pair.t1.read(), measurement.pair.t2.read()))
    rows, cols = sample.places
    assert sample.every == -(-side * side // 65_536)
    assert sample.pixels == -(-np.isfinite(joint[0]).sum() // sample.every)
    np.testing.assert_array_equal(sample.values, joint[:, rows, cols])
    assert (np.diff(rows * side + cols) > 0).all()
