"""One answer to how much changed, for every method without labels: the default's; where, each says for itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

import hsi_cd as hc
from hsi_cd.api.estimators import make_estimator
from hsi_cd.datasets.simulated.simulation import SimulatedPair, SimulationOptions, simulate_pair
from hsi_cd.detectors.change_size import ChangeSizes
from hsi_cd.detectors.decision import told_share
from hsi_cd.detectors.joint_spectra import SampledSpectra
from hsi_cd.detectors.rare_drift import drifting
from hsi_cd.detectors.registry import METHODS
from hsi_cd.detectors.share_bounds import bounded
from hsi_cd.detectors.thresholds import ScoreHistogram, Threshold, automatic
from hsi_cd.errors import ConfigError
from hsi_cd.prepare.measurement import Measurement

LABEL_FREE = [name for name, method in METHODS.items() if not method.needs_labels and method.fit is not None]


def simulated(changed: float, seed: int, *, side: int = 90, bands: int = 12) -> SimulatedPair:
    return simulate_pair(SimulationOptions(rows=side, cols=side, bands=bands, changed=changed, seed=seed))


def measurement_of(t1: NDArray[np.generic], t2: NDArray[np.generic]) -> Measurement:
    return Measurement(hc.open_pair(t1.astype(np.float32), t2.astype(np.float32)))


def test_where_nothing_changed_no_method_finds_change() -> None:
    """Light, haze, season, noise and a shift alone; by its own threshold cva calls 12 % of this scene changed."""
    made = simulated(0, 4)
    measurement = measurement_of(made.t1, made.t2)
    for method in LABEL_FREE:
        found = make_estimator(method).fit(measurement)
        assert found.predict(measurement.pair).change.mean() < 1e-3, method
        assert str(told_share(found.detector_)).startswith("no change found"), method
    plain = make_estimator("cva", threshold="auto").fit(measurement)
    assert plain.predict(measurement.pair).change.mean() > 0.05


@pytest.mark.parametrize("method", ["auto", "cva", "sam"])
@pytest.mark.quick("cva")
def test_a_shift_by_a_third_of_a_pixel_is_no_change(method: str) -> None:
    t1 = simulated(0, 1).t1.astype(np.float32)
    later = np.float32(0.7) * t1[:, :, :-1] + np.float32(0.3) * t1[:, :, 1:]
    measurement = measurement_of(t1[:, :, :-1], later)
    found = make_estimator(method).fit(measurement)
    assert found.predict(measurement.pair).change.mean() < 1e-3


@pytest.mark.slow
def test_every_method_calls_about_as_much_changed_as_the_default() -> None:
    made = simulated(0.1, 2)
    measurement = measurement_of(made.t1, made.t2)
    called = {name: make_estimator(name).fit(measurement).predict(measurement.pair) for name in LABEL_FREE}
    usual = called["auto"].change.mean()
    assert 0.05 < usual < 0.15
    for name, found in called.items():
        assert usual / 1.35 < found.change.mean() < usual * 1.35, name


@pytest.mark.parametrize("seed", [2, 3, 4])
@pytest.mark.quick("2")
def test_sixty_percent_of_change_is_found_as_such(seed: int) -> None:
    made = simulated(0.6, seed, side=110, bands=30)
    found = hc.detect(hc.open_pair(made.t1.astype(np.float32), made.t2.astype(np.float32)))
    assert 0.48 < found.change.mean() < 0.7
    assert cohen_kappa_score(made.truth.ravel(), found.change.ravel()) > 0.6


@pytest.mark.parametrize("share", [0.002, 0.05, 0.5])
def test_a_threshold_moves_no_farther_than_it_must(share: float) -> None:
    scores = np.exp(np.random.default_rng(0).normal(size=50_000))
    histogram = ScoreHistogram()
    histogram.add(scores)
    own, posterior = automatic(histogram)
    evidence = Threshold("tail", 1.0, {"share": share, "changed_share": share})
    for value, expected in ((0.01, 1.25 * share), (1e4, share / 1.25)):
        moved, odds = bounded(histogram, Threshold("auto", value, own.found), posterior, evidence)
        assert np.mean(scores >= moved.value) == pytest.approx(expected, rel=0.03, abs=1e-4)
        assert odds(np.array([moved.value]))[0] == pytest.approx(0.5, abs=0.05)
        assert moved.found["own"] == value and moved.found["changed_share"] == share
    within = Threshold("auto", float(np.quantile(scores, 1 - 1.1 * share)), own.found)
    assert bounded(histogram, within, posterior, evidence)[0].value == within.value
    assert bounded(histogram, within, posterior, None)[0] is within


def test_small_differences_raise_the_threshold_to_where_the_large_ones_are() -> None:
    score = np.arange(100, 0, -1.0)
    values = np.random.default_rng(0).normal(size=(4, 100)).astype(np.float32)
    spectra = SampledSpectra(values, np.indices((10, 10)).reshape(2, -1))
    few = ChangeSizes(score, np.arange(100) < 10, spectra)
    assert few.least(95.0) == 95.0 and few.least(85.0) == 85.0  # ten of sixteen are large
    assert few.least(50.0) == 90.0  # ten of eleven are
    assert ChangeSizes(score, np.zeros(100, dtype=bool), spectra).least(50.0) == np.inf


def test_clusters_are_for_those_who_have_some() -> None:
    made = simulated(0, 1)
    pair = hc.open_pair(made.t1.astype(np.float32), made.t2.astype(np.float32))
    with pytest.raises(ConfigError, match="nearest needs clusters: use celik or superpixel, or auto"):
        hc.detect(pair, "cva", threshold="nearest").change  # noqa: B018
    hc.detect(pair, "celik", threshold="nearest").change  # noqa: B018
    hc.detect(pair, "cva", threshold="auto").change  # noqa: B018


def test_a_rare_material_that_drifts_everywhere_is_no_change() -> None:
    """Houses of this unchanged scene brighten as nothing else does; .8 % of it was called changed."""
    made = simulated(0, 10, side=150, bands=40)
    found = hc.detect(hc.open_pair(made.t1.astype(np.float32), made.t2.astype(np.float32)))
    assert not found.change.any()


def places_of(*squares: tuple[int, int], side: int = 60) -> NDArray[np.bool_]:
    """Squares of 4 x 4 pixels in a scene."""
    where = np.zeros((side, side), dtype=bool)
    for row, col in squares:
        where[row : row + 4, col : col + 4] = True
    return where


FOUR = places_of((3, 3), (10, 40), (30, 20), (50, 50))


@pytest.mark.parametrize(
    ("called", "also", "expected"),
    [
        (FOUR, "neither", True),
        (FOUR, "before", False),  # some of the material stayed what it was
        (FOUR, "after", False),  # it became what was there before
        (places_of((3, 3), (50, 50)), "neither", False),  # two lakes that both dried up
        (places_of((3, 3)), "neither", False),
    ],
)
def test_only_a_material_of_its_own_that_went_the_same_way_everywhere_drifted(
    called: NDArray[np.bool_], also: str, expected: bool
) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(4, 60, 60)).astype(np.float32)
    material = np.array([[30, 10], [-20, 40]], dtype=np.float32)  # of either date
    values[:, called] += material.reshape(4, 1)
    elsewhere = places_of(*((row, 30) for row in range(0, 60, 6)))
    if also == "before":
        values[:2, elsewhere] += material[0][:, None]
    elif also == "after":
        values[2:, elsewhere] += material[1][:, None]
    spectra = SampledSpectra(values.reshape(4, -1), np.indices((60, 60)).reshape(2, -1))
    found = drifting(spectra, called.ravel())
    assert np.array_equal(found, called.ravel() & expected)


def test_what_is_common_did_not_drift() -> None:
    """Of a fifth of a scene the prediction would have known."""
    called = np.zeros((60, 60), dtype=bool)
    called[::10] = called[1::10] = True
    values = np.where(called, np.float32(30), np.float32(0))[None].repeat(4, axis=0)
    spectra = SampledSpectra(values.reshape(4, -1), np.indices((60, 60)).reshape(2, -1))
    assert not drifting(spectra, called.ravel()).any()
