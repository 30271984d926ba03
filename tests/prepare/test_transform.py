import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.projection import minimum_noise_fraction, principal_components
from hsi_cd.prepare.statistics import SceneStatistics, band_moments, percentile_limits, scene_statistics
from hsi_cd.prepare.transform import SceneTransform, fit_transform, refit_transform, standardise
from hsi_cd.scene import ScenePair, cube_from_array

USED = np.array([0, 2, 3, 4, 6])
HOLE = (slice(3, 5), slice(2, 9))


@pytest.fixture(scope="module")
def dates() -> np.ndarray:
    rng = np.random.default_rng(8)
    mixing = rng.normal(size=(7, 7))
    values = np.einsum("bk,dkrc->dbrc", mixing, rng.normal(size=(2, 7, 30, 20)))
    values = values * np.geomspace(1, 100, 7)[:, None, None] + np.array([500, 700])[:, None, None, None]
    values[(0, 3, *HOLE)] = np.nan
    return values.astype(np.float32)


def limits(pair: ScenePair, percent: float) -> np.ndarray | None:
    if not percent:
        return None
    return percentile_limits(lambda: Measurement(pair).read("percentiles"), USED, percent=percent)


def statistics_of(pair: ScenePair, clip: np.ndarray | None = None) -> SceneStatistics:
    return scene_statistics(Measurement(pair).read("statistics", below=1), pair.shape, USED, clip=clip)


def fit(dates: np.ndarray, *, clip_percent: float = 0, **options) -> SceneTransform:
    pair = ScenePair(*map(cube_from_array, dates))
    clip = limits(pair, clip_percent)
    options = {"scaling": "zscore", "joint": False, "projection": "mnf", "components": 3} | options
    return fit_transform(statistics_of(pair, clip), USED, clip=clip, **options)


def directly(dates: np.ndarray, *, scaling: str, joint: bool, projection: str, clip_percent: float) -> np.ndarray:
    """The same components, computed from all pixels at once in float64: ``(2 dates, components, rows, cols)``."""
    pair = ScenePair(*map(cube_from_array, dates))
    values = dates[:, USED].astype(np.float64)
    clip = None
    if clip_percent:
        clip = limits(pair, clip_percent)
        values = np.clip(values, clip[:, 0, :, None, None], clip[:, 1, :, None, None])
    valid = np.isfinite(values).all(axis=(0, 1))
    pixels = values[:, :, valid]
    pooled = np.broadcast_to(np.concatenate(list(pixels), axis=1), (2, len(USED), 2 * valid.sum()))
    source = pooled if joint else pixels
    if scaling == "zscore":
        centre, scale = source.mean(axis=2), source.std(axis=2)
    else:
        centre, scale = source.min(axis=2), np.ptp(source, axis=2)
    standard = (values - centre[:, :, None, None]) / scale[:, :, None, None]
    if projection == "none":
        return standard
    both = np.concatenate(list(standard[:, :, valid]), axis=1)
    covariance = np.cov(both, bias=True)
    if projection == "pca":
        matrix = principal_components(covariance, 3)
    else:
        measured = statistics_of(pair, clip)
        noise = (
            measured.t1.noise / np.outer(scale[0], scale[0]) + measured.t2.noise / np.outer(scale[1], scale[1])
        ) / 2
        matrix = minimum_noise_fraction(covariance, noise, 3)
    return np.einsum("kb,dbrc->dkrc", matrix, standard - both.mean(axis=1)[None, :, None, None])


@pytest.mark.parametrize(
    ("scaling", "joint", "projection", "clip_percent"),
    list(itertools.product(["zscore", "minmax"], [False, True], ["mnf", "pca", "none"], [0, 2])),
)
def test_components_are_those_of_a_direct_computation(dates, scaling, joint, projection, clip_percent) -> None:
    options = {"scaling": scaling, "joint": joint, "projection": projection, "clip_percent": clip_percent}
    transform = fit(dates, **options)
    expected = directly(dates, **options)
    for date in range(2):
        found = transform.apply(dates[date], date=date)
        assert found.dtype == np.float32
        valid = np.isfinite(dates[date][USED]).all(axis=0)
        np.testing.assert_array_equal(np.isfinite(found), np.broadcast_to(valid, found.shape))
        np.testing.assert_allclose(found[:, valid], expected[date][:, valid], atol=2e-4)


@pytest.mark.parametrize("projection", ["mnf", "pca", "none"])
@pytest.mark.parametrize("clip_percent", [0, 5])
def test_a_pixel_without_one_used_band_has_no_component(dates, projection: str, clip_percent: float) -> None:
    transform = fit(dates, projection=projection, clip_percent=clip_percent)
    for band in USED:
        values = np.array(dates[1])
        values[band, 7, 8] = np.nan
        missing = np.isnan(transform.apply(values, date=1))
        expected = np.zeros(missing.shape, bool)
        expected[:, 7, 8] = True
        np.testing.assert_array_equal(missing, expected)


def test_a_band_not_used_never_matters(dates) -> None:
    transform = fit(dates)
    values = np.array(dates[1])
    values[[1, 5]] = np.nan
    np.testing.assert_array_equal(transform.apply(values, date=1), transform.apply(dates[1], date=1))


def test_units_never_matter(dates) -> None:
    scale = np.array([0.01, 3, 40, 1e-4, 1, 7, 100], np.float32)[:, None, None]
    plain, scaled = fit(dates), fit(dates * scale)
    for date in range(2):
        expected = plain.apply(dates[date], date=date)
        found = scaled.apply(dates[date] * scale, date=date)
        # An eigenvector's sign follows its largest weight, which is of the standardised bands: the same here.
        np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("projection", ["mnf", "pca", "none"])
def test_the_noise_is_that_of_the_components(dates, projection: str) -> None:
    transform = fit(dates, projection=projection, components=5)
    measured = statistics_of(ScenePair(*map(cube_from_array, dates)))
    expected = np.mean(
        [np.diag(w @ s.noise @ w.T) for w, s in zip(transform.weight, (measured.t1, measured.t2), strict=True)],
        axis=0,
    )
    np.testing.assert_allclose(transform.noise, np.sqrt(expected), rtol=1e-4)
    assert transform.components == 5


def test_no_projection_keeps_all_bands(dates) -> None:
    assert fit(dates, projection="none", components=2).components == len(USED)
    assert fit(dates, projection="pca", components=99).components == len(USED)


def test_a_band_constant_among_the_valid_pixels_is_left_unscaled(dates) -> None:
    values = np.array(dates)
    values[0, 2] = 5
    values[(0, 2, *HOLE)] = 6  # varies only where another band has no data
    for scaling in ("zscore", "minmax"):
        found = fit(values, scaling=scaling, projection="none").apply(values[0], date=0)
        seen = np.isfinite(found[1])
        np.testing.assert_allclose(found[1][seen], 0, atol=1e-6)


def measured(dates: np.ndarray, *, clip_percent: float = 0) -> tuple[SceneStatistics, np.ndarray | None]:
    pair = ScenePair(*map(cube_from_array, dates))
    clip = limits(pair, clip_percent)
    return statistics_of(pair, clip), clip


def refit(transform: SceneTransform, dates: np.ndarray, *, clip_percent: float = 0, **options) -> SceneTransform:
    statistics, clip = measured(dates, clip_percent=clip_percent)
    return refit_transform(transform, statistics, clip=clip, **options)


@pytest.mark.parametrize(("scaling", "clip_percent"), list(itertools.product(["zscore", "minmax"], [0, 2])))
@pytest.mark.parametrize("projection", ["mnf", "none"])
def test_refitted_components_do_not_see_gain_and_offset(dates, scaling, clip_percent, projection) -> None:
    """Another gain and offset for each band and date, with joint statistics for each band, is the same scene."""
    rng = np.random.default_rng(3)
    for joint in (False, True):
        gain, offset = rng.uniform(0.5, 2, (2, 7, 1, 1)), rng.uniform(-40, 40, (2, 7, 1, 1))
        if joint:
            gain[1], offset[1] = gain[0], offset[0]
        seen = (dates * gain + offset).astype(np.float32)
        options = {"scaling": scaling, "joint": joint}
        transform = fit(dates, projection=projection, clip_percent=clip_percent, **options)
        moved = refit(transform, seen, clip_percent=clip_percent, **options)
        for date in range(2):
            expected = transform.apply(dates[date], date=date)
            np.testing.assert_allclose(moved.apply(seen[date], date=date), expected, atol=2e-3)
        np.testing.assert_allclose(moved.noise, transform.noise, rtol=1e-3)
        # Without it, the components are others.
        assert np.nanmax(np.abs(transform.apply(seen[0], date=0) - transform.apply(dates[0], date=0))) > 0.1


def test_standardising_alone_is_the_transform_without_projection(dates) -> None:
    pair = ScenePair(*map(cube_from_array, dates))
    moments, _ = band_moments(Measurement(pair).read("statistics"), pair.shape, USED)
    plain, full = standardise(moments, USED), fit(dates, projection="none")
    for name in ("weight", "offset", "centre", "scale"):
        np.testing.assert_allclose(getattr(plain, name), getattr(full, name), rtol=1e-5, err_msg=name)
    np.testing.assert_array_equal(plain.clip, full.clip)
    assert plain.components == full.components


@pytest.mark.parametrize(("scaling", "joint"), list(itertools.product(["zscore", "minmax"], [False, True])))
def test_a_refit_keeps_the_projection_and_takes_the_scaling(dates, scaling: str, joint: bool) -> None:
    """Against the projection read off the transform, applied to directly standardised spectra."""
    other = (dates[:, :, ::-1] ** 2 / 50 + 3).astype(np.float32)
    transform = fit(dates, scaling=scaling, joint=joint)
    moved = refit(transform, other, scaling=scaling, joint=joint)
    expected = directly(other, scaling=scaling, joint=joint, projection="none", clip_percent=0)
    standard = directly(dates, scaling=scaling, joint=joint, projection="none", clip_percent=0)
    for date in range(2):
        # From standardised bands to components the transform is affine: found by least squares on its own scene.
        seen = np.isfinite(standard[date]).all(axis=0)
        inputs = np.vstack([standard[date][:, seen], np.ones(seen.sum())])
        affine, *_ = np.linalg.lstsq(inputs.T, transform.apply(dates[date], date=date)[:, seen].T, rcond=None)
        there = np.isfinite(expected[date]).all(axis=0)
        wanted = affine.T @ np.vstack([expected[date][:, there], np.ones(there.sum())])
        found = moved.apply(other[date], date=date)[:, there]
        np.testing.assert_allclose(found, wanted, atol=2e-3 * np.abs(wanted).max())


def test_a_refit_on_the_same_scene_changes_nothing(dates) -> None:
    transform = fit(dates)
    again = refit(transform, dates, scaling="zscore", joint=False)
    for name in ("weight", "offset", "noise"):
        np.testing.assert_allclose(getattr(again, name), getattr(transform, name), rtol=1e-4, atol=1e-5)


def test_a_transform_without_its_scaling_cannot_be_refitted(dates) -> None:
    with pytest.raises(ValueError, match="centre and scale"):
        refit(replace(fit(dates), centre=None, scale=None), dates, scaling="zscore", joint=False)


def test_exact_components_are_the_same_bits_in_every_window_and_take_little_memory() -> None:
    """Double precision is for some spectra at a time: a window in it would take twice what the window does."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(40, 60, 210)).astype(np.float32)
    weight, offset = rng.normal(size=(2, 4, 40)).astype(np.float32), rng.normal(size=(2, 4)).astype(np.float32)
    clip = np.full((2, 2, 40), np.inf, np.float32) * np.array([-1, 1], np.float32)[:, None]
    transform = SceneTransform(np.arange(40), weight, offset, clip, np.ones(4, np.float32))
    tracemalloc.start()
    try:
        found = transform.apply(values, date=1, exact=True)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 0.6 * values.nbytes
    whole = np.tensordot(weight[1].astype(np.float64), values.astype(np.float64), 1) + offset[1][:, None, None]
    np.testing.assert_array_equal(found, whole.astype(np.float32))
    for rows, cols in ((slice(0, 1), slice(0, 210)), (slice(7, 31), slice(3, 99)), (slice(2, 60), slice(1, 8))):
        part = transform.apply(values[:, rows, cols], date=1, exact=True)
        np.testing.assert_array_equal(part, found[:, rows, cols])
