"""Each date predicted from the other, against scikit-learn's regression and the formulas written out."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.labelfree import auto_from_state, fit_auto
from hsi_cd.detectors.mutual_prediction import PredictionDetector, fit_prediction
from hsi_cd.errors import CheckpointError
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.transform import SceneTransform
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair, cube_from_array

N = 4


@pytest.fixture(scope="module")
def pair() -> ScenePair:
    made = simulate_pair(SimulationOptions(rows=60, cols=50, bands=8, seed=5))
    return ScenePair(cube_from_array(made.t1), cube_from_array(made.t2))


@pytest.fixture(scope="module")
def detector(pair: ScenePair) -> PredictionDetector:
    found = fit_auto(pair, options={"components": 4})
    assert isinstance(found, PredictionDetector)
    return found


def plain_transform() -> SceneTransform:
    one = np.stack([np.eye(N, dtype=np.float32)] * 2)
    limits = np.stack([np.full((2, N), [[-np.inf], [np.inf]], np.float32)] * 2)
    return SceneTransform(np.arange(N), one, np.zeros((2, N), np.float32), limits, np.full(N, 1e-6, np.float32))


def test_the_score_is_that_of_regressions_and_mahalanobis_distances() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(500, N)) @ rng.normal(size=(N, N))
    second = first @ rng.normal(size=(N, N)) + 0.1 * rng.normal(size=(500, N)) + 3
    joint = np.concatenate([first, second], axis=1).T
    moments = Moments.of(joint)
    expected = np.ones(500)
    for own, other in ((first, second), (second, first)):
        left = own - LinearRegression().fit(other, own).predict(other)
        covariance = left.T @ left / 500
        scaled = left / np.sqrt(np.diag(covariance))
        correlation = scaled.T @ scaled / 500
        ridge = correlation + 1e-3 * np.trace(correlation) * np.eye(N)
        white = np.einsum("pi,ip->p", scaled, np.linalg.solve(ridge, scaled.T))
        bands = np.square(scaled).sum(axis=1)
        away = other - other.mean(axis=0)
        rare = np.einsum("pi,ip->p", away, np.linalg.solve(away.T @ away / 500, away.T)) / N
        expected *= (white / white.mean() + bands / bands.mean()) / 2 / (1 + rare)
    found = fit_prediction(moments, moments, plain_transform()).score(joint)
    np.testing.assert_allclose(found, expected**0.25, rtol=2e-3)


def test_gain_and_offset_of_a_date_change_nothing(pair: ScenePair, detector: PredictionDetector) -> None:
    first, second = pair.read()
    moved = ScenePair(cube_from_array(first * 2 + 30), cube_from_array(second * 1.5 + 10))
    again = fit_auto(moved, options={"components": 4})
    window = [read_window(each, slice(0, 60), slice(0, 50), radius=detector.radius) for each in (pair, moved)]
    assert again.radius == detector.radius
    np.testing.assert_allclose(again.score(*window[1]), detector.score(*window[0]), rtol=0.02, atol=0.01)


def test_the_score_does_not_depend_on_the_window(pair: ScenePair, detector: PredictionDetector) -> None:
    whole = detector.score(*read_window(pair, slice(0, 60), slice(0, 50), radius=detector.radius))
    part = detector.score(*read_window(pair, slice(13, 22), slice(5, 36), radius=detector.radius))
    np.testing.assert_allclose(part, whole[13:22, 5:36], atol=1e-5)


def test_it_travels_in_a_file(pair: ScenePair, detector: PredictionDetector) -> None:
    window = read_window(pair, slice(0, 20), slice(0, 20), radius=detector.radius)
    np.testing.assert_array_equal(auto_from_state(detector.state()).score(*window), detector.score(*window))
    state = detector.state()
    for name in state["prediction"]:
        damaged = {**state["prediction"], name: state["prediction"][name][:1]}
        with pytest.raises(CheckpointError, match=f"cannot be rebuilt.*{name}"):
            auto_from_state(state | {"prediction": damaged})
