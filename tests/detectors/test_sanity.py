"""Scenes in which nothing changed, bands that repeat each other, options out of range: every method stays sane."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

import hsi_cd as hc
from hsi_cd.detectors.method_options import RANGES
from hsi_cd.detectors.registry import METHODS
from hsi_cd.detectors.thresholds import ScoreHistogram, automatic, has_one_class
from hsi_cd.errors import BandError, ConfigError, PairError, UnknownNameError

LABEL_FREE = [name for name, method in METHODS.items() if not method.needs_labels and method.fit is not None]
Cubes = tuple[NDArray[np.float32], NDArray[np.float32]]


def fields(seed: int = 0, *, change: bool = False, bands: int = 6) -> Cubes:
    """Fields of four materials under noise, 40 x 32 pixels; changed is a block of 8 x 8."""
    r = np.random.default_rng(seed)
    spectra = 800 + 2500 * r.random((4, bands))
    one = np.kron(r.integers(0, 4, (5, 4)), np.ones((8, 8), int))
    two = one.copy()
    if change:
        two[8:16, 8:16] = (one[8:16, 8:16] + 1) % 4
    t1, t2 = (spectra[g].transpose(2, 0, 1) + r.normal(0, 15, (bands, 40, 32)) for g in (one, two))
    return t1.astype(np.float32), t2.astype(np.float32)


@pytest.fixture(autouse=True)
def no_warning_of_python() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("method", LABEL_FREE)
@pytest.mark.quick("cva", "irmad")
def test_noise_and_gain_are_no_change(method: str, caplog: pytest.LogCaptureFixture) -> None:
    t1, t2 = fields()
    for later in (t2, np.float32(1.1) * t1):
        with caplog.at_level(logging.WARNING, "hsi_cd"):
            change = hc.detect(hc.open_pair(t1, later), method).change
        assert (change == 255).sum() == 0 and change.mean() < 0.01
        assert "no second class" in caplog.text


@pytest.mark.parametrize("method", LABEL_FREE)
@pytest.mark.quick("cva", "auto", "irmad", "superpixel")
def test_identical_dates(method: str) -> None:
    """Refused; where they are asked for, nothing has changed."""
    t1, _ = fields()
    with pytest.raises(PairError, match=r"same values everywhere: .* allow_identical=True"):
        hc.detect(hc.open_pair(t1, t1.copy()), method)
    assert not hc.detect(hc.open_pair(t1, t1.copy(), allow_identical=True), method).change.any()


@pytest.mark.parametrize("method", LABEL_FREE)
@pytest.mark.quick("cva", "irmad")
def test_bands_that_repeat_each_other(method: str) -> None:
    """Four times each band is the map of each band once."""
    t1, t2 = fields(change=True)
    once, often = (
        hc.detect(hc.open_pair(np.repeat(t1, times, 0), np.repeat(t2, times, 0)), method).change
        for times in (1, 4)
    )
    assert (once != often).mean() < 0.01
    assert often[9:15, 9:15].all() and often.mean() < 0.5


def test_combinations_of_bands_are_no_further_bands() -> None:
    t1, t2 = fields(change=True)
    mix = np.random.default_rng(1).random((12, 6)).astype(np.float32)
    pair = hc.open_pair(*(np.einsum("nb,brc->nrc", mix, date) for date in (t1, t2)))
    for method in ("auto", "irmad"):
        change = hc.detect(pair, method).change
        assert change[9:15, 9:15].all() and change.mean() < 0.2


@pytest.mark.parametrize("method", LABEL_FREE)
def test_no_pixel_in_common(method: str) -> None:
    t1, t2 = fields()
    t1[:, :20], t2[:, 20:] = np.nan, np.nan
    with pytest.raises(BandError, match=r"dates must overlap|have data in both dates"):
        hc.detect(hc.open_pair(t1, t2), method).change  # noqa: B018


def test_one_band_has_no_angle() -> None:
    t1, t2 = fields(bands=1)
    with pytest.raises(BandError, match=r"1 band .* method='cva'"):
        hc.detect(hc.open_pair(t1, t2), "sam")
    hc.detect(hc.open_pair(t1, t2), "cva")


def test_grey_copied_to_three_bands_has_no_angle(caplog: pytest.LogCaptureFixture) -> None:
    t1, t2 = (np.repeat(date, 3, 0) for date in fields(bands=1, change=True))
    with caplog.at_level(logging.WARNING, "hsi_cd"):
        assert not hc.detect(hc.open_pair(t1, t2), "sam").change.any()
    assert "bands repeat each other" in caplog.text and "method='cva'" in caplog.text
    assert hc.detect(hc.open_pair(t1, t2), "cva").change.any()


@pytest.mark.parametrize("method", ["auto", "pca-cva", "irmad", "sfa", "isfa"])
def test_an_offset_of_whole_numbers_is_no_change(method: str) -> None:
    """What rounding leaves of it falls into a few steps, which look like classes."""
    t1 = np.round(fields()[0])
    assert not hc.detect(hc.open_pair(t1, t1 + np.float32(200)), method).change.any()


@pytest.mark.parametrize("threshold", ["auto", "otsu", "kmeans"])
def test_two_pixels_that_score_the_same_are_unchanged(threshold: str) -> None:
    t1, t2 = np.array([[[1, 2]], [[5, 3]]], np.float32), np.array([[[4, 1]], [[2, 7]]], np.float32)
    assert not hc.detect(hc.open_pair(t1, t2), "cva", threshold=threshold).change.any()


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_small_differences_on_a_large_number(dtype: type) -> None:
    """float32 knows every eighth number at 1e8: refused, and what the message says leads to the right map."""
    t1, t2 = (date.round().astype(dtype) // 10 for date in fields(change=True))
    large = dtype(100_000_000)
    for method in ("cva", "sam", "irmad"):
        with pytest.raises(BandError, match=r"band 1 of t1 .* 1e\+08, .*: subtract that number from this band"):
            hc.detect(hc.open_pair(large + t1, large + t2), method)
    # Nor are dates the same because float32 takes them for it.
    with pytest.raises(BandError, match="small differences on a large number"):
        hc.detect(hc.open_pair(large + t1 % 4, large + t2 % 4), "cva")
    right = hc.detect(hc.open_pair(large + t1 - large, large + t2 - large), "cva").change
    assert right[9:15, 9:15].all() and right.mean() < 0.1


def test_a_constant_band_of_doubles_is_constant() -> None:
    t1, t2 = (date.astype(np.float64) for date in fields(change=True))
    t1[2] = 0.3 + 1e-16 * np.arange(32)
    with pytest.raises(BandError, match=r"band 3 of t1 .* is 0\.3 everywhere"):
        hc.detect(hc.open_pair(t1, t2), "cva")


def test_one_column_under_superpixels() -> None:
    t1, t2 = (date[:, :, :1] for date in fields(change=True))
    assert hc.detect(hc.open_pair(t1, t2), "superpixel").change.shape == (40, 1)


def test_scores_of_one_class() -> None:
    """The root of a chi-square is one class; with one pixel in a hundred far off, it is two."""
    score = np.sqrt(np.random.default_rng(0).chisquare(8, 10_000))
    for few, one in ((0, True), (300, False)):
        histogram = ScoreHistogram()
        histogram.add(np.where(np.arange(10_000) < few, 60, score))
        assert has_one_class(histogram) is one
        assert automatic(histogram)[0].found["share"] == pytest.approx(few / 10_000, abs=1e-3)


@pytest.mark.parametrize(
    ("method", "option", "value", "said"),
    [
        ("irmad", "ridge", -1, "0 to 1e"),
        ("irmad", "quiet", 1, "0 or more and less than 1"),
        ("auto", "components", 0, "1 or more"),
        ("auto", "reach", 65, "0 to 64"),
        ("cva", "level", 2, "0 or more and less than 1"),
        ("celik", "block", 4, "an odd number, 1 to 129"),
        ("pca-cva", "variance", 0.0, "more than 0 and at most 1"),
        ("isfa", "tolerance", float("nan"), "0 or more"),
        ("svm", "folds", 1, "2 or more"),
        ("forest", "trees", 0, "1 or more"),
    ],
)
def test_an_option_out_of_its_range(method: str, option: str, value: float, said: str) -> None:
    pair = hc.open_pair(*fields())
    labels = np.zeros((40, 32), np.uint8)
    with pytest.raises(ConfigError, match=f"option {option} of {method} is .*: expected {said}"):
        from hsi_cd.api.estimators import make_estimator

        make_estimator(method, **{option: value}).fit(pair, labels)


@pytest.mark.parametrize(
    ("method", "option", "value", "meant"),
    [
        ("cva", "threshold", "ostu", "otsu"),
        ("celik", "threshold", "nearst", "nearest"),
        ("svm", "features", "mfn", "mnf"),
        ("logistic", "context", "medain", "median"),
    ],
)
def test_an_option_that_names_nothing(method: str, option: str, value: str, meant: str) -> None:
    """Refused before anything is read."""
    with pytest.raises(UnknownNameError, match=f"no {option} of {method} '{value}': did you mean '{meant}'"):
        METHODS[method].choose({option: value})


def test_every_number_among_the_options_has_a_range_and_lies_in_it() -> None:
    for method in METHODS.values():
        for option, default in method.options.items():
            if isinstance(default, int | float) and not isinstance(default, bool):
                assert default in RANGES[option], (method.name, option)
