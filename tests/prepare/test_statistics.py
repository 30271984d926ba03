import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from hsi_cd.errors import BandError
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.statistics import (
    SceneStatistics,
    band_moments,
    percentile_limits,
    row_blocks,
    scene_statistics,
    usable_bands,
)
from hsi_cd.scene import ScenePair, cube_from_array

BLOCK = "hsi_cd.prepare.statistics._PIXELS_PER_BLOCK"


def random_dates(bands: int = 4, rows: int = 23, cols: int = 17) -> np.ndarray:
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(2, bands, bands))
    dates = np.einsum("dbk,dkrc->dbrc", mixing, rng.normal(size=(2, bands, rows, cols))) + 100
    return dates.astype(np.float32)


def as_pair(dates: np.ndarray, **options) -> ScenePair:
    return ScenePair(*(cube_from_array(d, name=n, **options) for d, n in zip(dates, ("a", "b"), strict=True)))


def every_band(dates: np.ndarray) -> np.ndarray:
    return np.arange(dates.shape[1])


def statistics_of(pair: ScenePair, bands: np.ndarray, *, clip: np.ndarray | None = None) -> SceneStatistics:
    """Of a scene, as its measurement reads it."""
    return scene_statistics(Measurement(pair).read("statistics", below=1), pair.shape, bands, clip=clip)


def moments_of(pair: ScenePair, bands: np.ndarray) -> tuple[tuple[Moments, Moments], np.ndarray]:
    return band_moments(Measurement(pair).read("statistics"), pair.shape, bands)


def assert_same(found, expected, *, rtol: float = 1e-9, noise_rtol: float | None = None) -> None:
    for date in ("t1", "t2"):
        for field in ("mean", "covariance", "low", "high", "noise"):
            tolerance = noise_rtol or rtol if field == "noise" else rtol
            a, b = getattr(getattr(found, date), field), getattr(getattr(expected, date), field)
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(), err_msg=field)
    np.testing.assert_array_equal(found.valid, expected.valid)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (7, 3), (3, 70_000), (1000, 130)])
def test_blocks_cover_every_row_once(rows: int, cols: int) -> None:
    covered = [row for block in row_blocks(rows, cols) for row in range(block.start, block.stop)]
    assert covered == list(range(rows))


def test_moments_are_those_of_numpy_over_pixels_valid_in_both_dates() -> None:
    dates = random_dates()
    dates[0, 2, 3, 4] = np.nan
    dates[1, 0, 10, 11] = np.inf
    valid = np.ones(dates.shape[2:], bool)
    valid[3, 4] = valid[10, 11] = False
    found = statistics_of(as_pair(dates), every_band(dates))
    np.testing.assert_array_equal(found.valid, valid)
    for statistics, values in zip((found.t1, found.t2), dates, strict=True):
        spectra = values[:, valid].astype(np.float64)
        np.testing.assert_allclose(statistics.mean, spectra.mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(statistics.covariance, np.cov(spectra, bias=True), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(statistics.deviation, spectra.std(axis=1), rtol=1e-9)
        np.testing.assert_array_equal(statistics.low, spectra.min(axis=1))
        np.testing.assert_array_equal(statistics.high, spectra.max(axis=1))


@pytest.mark.parametrize("pixels", [1, 17, 50, 4096])
def test_band_moments_are_those_of_numpy_however_they_are_cut(
    pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsi_cd.prepare.statistics.PIXELS_IN_CACHE", pixels)
    dates = random_dates()
    dates[0, 2, 3, 4] = dates[1, 0, 10:12] = np.nan
    dates[:, 1] += 1e4  # what single precision cannot square
    used = np.array([0, 1, 2])
    valid = np.isfinite(dates[:, used]).all(axis=(0, 1))
    found, where = moments_of(as_pair(dates), used)
    np.testing.assert_array_equal(where, valid)
    for moments, values in zip(found, dates, strict=True):
        spectra = values[used][:, valid].astype(np.float64)
        assert moments.count == valid.sum()
        np.testing.assert_allclose(moments.mean, spectra.mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(moments.covariance, spectra.var(axis=1), rtol=1e-6)


@pytest.mark.parametrize("garbage", [0.0, 1e30, -77.0])
def test_what_stands_in_a_pixel_without_data_never_matters(garbage: float) -> None:
    dates = random_dates()
    holes = np.random.default_rng(0).random(dates.shape[2:]) < 0.2
    one_band = dates.copy()
    one_band[1, 2, holes] = np.nan
    others = one_band.copy()
    others[0][:, holes] = garbage
    others[1, [0, 1, 3]] = np.where(holes, np.float32(garbage), others[1, [0, 1, 3]])
    expected = statistics_of(as_pair(one_band), every_band(dates))
    assert_same(statistics_of(as_pair(others), every_band(dates)), expected, rtol=0)


def test_nodata_counts_as_nan() -> None:
    dates = np.rint(random_dates() * 10).astype(np.uint16)
    stored, as_nan = dates.copy(), dates.astype(np.float32)
    stored[0, 1, 5:9], as_nan[0, 1, 5:9] = 0, np.nan
    found = statistics_of(as_pair(stored, nodata=0), every_band(dates))
    assert_same(found, statistics_of(as_pair(as_nan), every_band(dates)), rtol=0)


def test_bands_not_used_never_matter() -> None:
    dates = random_dates()
    other = dates.copy()
    other[:, 1] = np.nan
    used = np.array([0, 2, 3])
    assert_same(statistics_of(as_pair(other), used), statistics_of(as_pair(dates), used), rtol=0)


@pytest.mark.parametrize("pixels", [1, 17 * 5, 17 * 22])
def test_the_size_of_blocks_plays_no_part(pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dates = random_dates(rows=200)
    expected = statistics_of(as_pair(dates), every_band(dates))
    monkeypatch.setattr(BLOCK, pixels)
    # Which differences are the smaller ones is decided block by block.
    noise_rtol = 0.25 if pixels < 17 * 5 else 0.06
    assert_same(statistics_of(as_pair(dates), every_band(dates)), expected, noise_rtol=noise_rtol)


def test_clipped_statistics_are_those_of_clipped_values() -> None:
    dates = random_dates()
    clip = np.stack([np.quantile(date, [0.1, 0.8], axis=(1, 2)) for date in dates])
    clipped = np.clip(dates, clip[:, 0, :, None, None], clip[:, 1, :, None, None])
    found = statistics_of(as_pair(dates), every_band(dates), clip=clip)
    for statistics, values in zip((found.t1, found.t2), clipped, strict=True):
        np.testing.assert_allclose(statistics.covariance, np.cov(values.reshape(4, -1), bias=True), atol=1e-4)
        np.testing.assert_allclose(statistics.high, values.max(axis=(1, 2)), rtol=1e-6)


def smooth_ground_with_noise(deviation: np.ndarray, *, step: float = 0, shared: float = 0) -> np.ndarray:
    """Smooth ground with two steps, and noise of which a part is the same in all bands."""
    rng = np.random.default_rng(2)
    shape = (len(deviation), 120, 90)
    ground = gaussian_filter(rng.normal(size=shape), (0, 12, 12))
    ground *= 5 / ground.std()
    ground[:, 30:60] += step
    noise = np.sqrt(1 - shared) * rng.normal(size=shape) + np.sqrt(shared) * rng.normal(size=shape[1:])
    return (ground + deviation[:, None, None] * noise).astype(np.float32)


def measured_noise(deviation: np.ndarray, **options: float) -> np.ndarray:
    dates = np.stack([smooth_ground_with_noise(deviation, **options)] * 2)
    return statistics_of(as_pair(dates), every_band(dates)).t1.noise


def correlation(covariance: np.ndarray) -> np.ndarray:
    deviation = np.sqrt(np.diag(covariance))
    return covariance / np.outer(deviation, deviation)


def test_the_noise_of_a_smooth_scene_is_recovered() -> None:
    deviation = np.geomspace(2, 20, 12)
    noise = measured_noise(deviation)
    # The largest differences are left out, so noise comes out smaller, but by one factor for all bands.
    ratio = np.diag(noise) / deviation**2
    assert ratio.min() > 0.6 and ratio.max() < 1.05
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=0.08)
    assert np.abs(correlation(noise) - np.eye(12)).max() < 0.05


def test_edges_are_not_taken_for_noise() -> None:
    # The steps alone would add step^2 / 180 = 13 to the variance of each band's differences.
    deviation = np.full(12, 2.0)
    np.testing.assert_allclose(measured_noise(deviation, step=50), measured_noise(deviation), atol=0.6)


def test_noise_that_bands_share_shows_as_correlation() -> None:
    off = correlation(measured_noise(np.full(6, 8.0), shared=0.7))[~np.eye(6, dtype=bool)]
    assert off.min() > 0.25 and off.max() < 0.75


@pytest.mark.parametrize(("value", "why"), [(7.0, "is 7 everywhere"), (np.nan, "has no data")])
@pytest.mark.parametrize("date", [0, 1])
def test_a_dead_band_is_refused_by_name_and_dropped_on_request(value: float, why: str, date: int) -> None:
    dates = random_dates()
    dates[date, 2] = value
    with pytest.raises(BandError, match=rf"band 3 of t{date + 1} \({'ab'[date]}\) {why}: .*drop_constant=True"):
        usable_bands(as_pair(dates))
    np.testing.assert_array_equal(usable_bands(as_pair(dates), drop_constant=True), [0, 1, 3])


def test_a_band_with_holes_that_is_else_constant_is_dead() -> None:
    dates = random_dates()
    dates[0, 1, :5], dates[0, 1, 5:] = 3, np.nan
    with pytest.raises(BandError, match=r"band 2 of t1 \(a\) is 3 everywhere"):
        usable_bands(as_pair(dates))


def test_a_band_may_vary_first_in_its_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BLOCK, 17 * 2)
    dates = random_dates()
    dates[:, 2] = 5
    dates[:, 2, -1, -1] = 6
    np.testing.assert_array_equal(usable_bands(as_pair(dates)), [0, 1, 2, 3])


def test_a_scene_of_dead_bands_is_refused_even_if_they_may_be_dropped() -> None:
    with pytest.raises(
        BandError, match=r"no band of scene varies \(band 1 of t1 \(a\) is 1 everywhere, and so on\)"
    ):
        usable_bands(as_pair(np.ones((2, 4, 5, 5), np.float32) * [[[[1]]], [[[2]]]]), drop_constant=True)


def test_dates_that_do_not_overlap_are_refused() -> None:
    dates = random_dates()
    dates[0, :, :12] = np.nan
    dates[1, :, 12:] = np.nan
    with pytest.raises(BandError, match="0 pixels have data in all 4 bands of both dates"):
        statistics_of(as_pair(dates), every_band(dates))
    with pytest.raises(BandError, match="0 pixels have data in all 4 bands of both dates"):
        moments_of(as_pair(dates), every_band(dates))


@pytest.mark.parametrize("percent", [0.5, 2, 25])
def test_percentiles_are_those_of_numpy_to_one_bin(percent: float) -> None:
    dates = random_dates(rows=60)
    dates[0, 1, ::3] = np.nan
    pair = as_pair(dates)
    found = percentile_limits(lambda: Measurement(pair).read("percentiles"), np.array([1, 3]), percent=percent)
    for date in range(2):
        values = dates[date, [1, 3]][:, np.isfinite(dates[0, 1])]  # what one date lacks counts in neither
        expected = np.nanpercentile(values, [percent, 100 - percent], axis=1)
        bin_width = (np.nanmax(values, axis=1) - np.nanmin(values, axis=1)) / 4096
        # numpy interpolates between neighbouring pixels; any value between them is a percentile.
        below = np.nanpercentile(values, [percent, 100 - percent], axis=1, method="lower")
        above = np.nanpercentile(values, [percent, 100 - percent], axis=1, method="higher")
        gap = np.abs(found[date] - expected)
        assert (gap <= bin_width + (above - below)).all()
