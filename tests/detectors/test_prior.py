"""A network that people's drawings taught scores with what the label-free detector knew before."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from hsi_cd.config import RunConfig
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.difference import fit_cva
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.detectors.prior import Prior
from hsi_cd.detectors.refit import refit_statistics
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese, siamese_from_state
from hsi_cd.errors import CheckpointError
from hsi_cd.inference import score_scene
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair, cube_from_array


@pytest.fixture(scope="module")
def scene() -> ScenePair:
    made = simulate_pair(SimulationOptions(rows=40, cols=36, bands=8, seed=5))
    return ScenePair(cube_from_array(made.t1), cube_from_array(made.t2), name="fields")


@pytest.fixture(scope="module")
def plain(scene: ScenePair) -> SiameseDetector:
    small = {"members": 1, "attention": {"kind": "none"}, "backbone": {"width": 4, "depth": 1}}
    return fit_siamese(scene, RunConfig.model_validate({"model": small, "prepare": {"components": 4}}))


@pytest.fixture(scope="module")
def detector(scene: ScenePair, plain: SiameseDetector) -> SiameseDetector:
    weighed = replace(plain.calibration, prior=0.4)
    return replace(plain, prior=Prior(fit_auto(scene, options={"components": 4})), calibration=weighed)


def test_its_log_odds_are_added_by_their_weight(
    scene: ScenePair, plain: SiameseDetector, detector: SiameseDetector
) -> None:
    assert detector.prior is not None
    free = detector.prior.detector
    odds = np.clip(logit(free.probability(score_scene(free, scene)).astype(np.float64)), -6, 6)
    expected = expit(logit(score_scene(plain, scene).astype(np.float64)) + 0.4 * odds)
    np.testing.assert_allclose(score_scene(detector, scene), expected, atol=1e-5)
    assert detector.radius > plain.radius  # it looks further than this network


def test_the_score_does_not_depend_on_the_window(scene: ScenePair, detector: SiameseDetector) -> None:
    whole = score_scene(detector, scene)
    window = read_window(scene, slice(13, 22), slice(5, 36), radius=detector.radius)
    np.testing.assert_allclose(detector.score(*window), whole[13:22, 5:36], atol=1e-5)


def test_it_travels_in_the_checkpoint(scene: ScenePair, plain: SiameseDetector, detector: SiameseDetector) -> None:
    again = siamese_from_state(detector.state())
    np.testing.assert_array_equal(score_scene(again, scene), score_scene(detector, scene))
    assert again.parameters() == detector.parameters() > plain.parameters()
    assert "prior" not in plain.state()


@pytest.mark.parametrize("weight", [float("nan"), -0.1, 2.0, None])
def test_a_damaged_one_is_refused(detector: SiameseDetector, weight: Any) -> None:
    state = detector.state()
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        siamese_from_state(state | {"prior": state["prior"] | {"weight": weight}})


@pytest.mark.parametrize("part", ["detector", "weight"])
def test_one_that_lacks_a_part_is_refused(detector: SiameseDetector, part: str) -> None:
    state = detector.state()
    left = {name: value for name, value in state["prior"].items() if name != part}
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        siamese_from_state(state | {"prior": left})


def test_another_scene_has_its_own_statistics(scene: ScenePair, detector: SiameseDetector) -> None:
    """Another gain and offset of each date change nothing once both are measured anew."""
    first, second = scene.read()
    moved = ScenePair(cube_from_array(first * 2 + 30), cube_from_array(second * 1.5 + 10), name="another day")
    np.testing.assert_allclose(
        score_scene(refit_statistics(detector, moved), moved), score_scene(detector, scene), atol=0.02
    )


@pytest.fixture(scope="module")
def stacked(scene: ScenePair, detector: SiameseDetector) -> SiameseDetector:
    assert detector.prior is not None
    return replace(detector, prior=Prior(detector.prior.detector, (fit_cva(scene),), (0.5, 1.5)))


def test_several_are_added_by_their_own_weights(
    scene: ScenePair, plain: SiameseDetector, stacked: SiameseDetector
) -> None:
    assert stacked.prior is not None
    odds = [
        np.clip(logit(each.probability(score_scene(each, scene)).astype(np.float64)), -6, 6)
        for each in stacked.prior.detectors
    ]
    both = np.clip(0.5 * odds[0] + 1.5 * odds[1], -6, 6)
    expected = expit(logit(score_scene(plain, scene).astype(np.float64)) + 0.4 * both)
    np.testing.assert_allclose(score_scene(stacked, scene), expected, atol=1e-5)
    parts = [odds for _, odds in stacked.prior.of_scene(Measurement(scene), rows=7)]
    np.testing.assert_allclose(np.concatenate(parts), both, atol=1e-4)


def test_several_travel_in_the_checkpoint(scene: ScenePair, stacked: SiameseDetector) -> None:
    again = siamese_from_state(stacked.state())
    np.testing.assert_array_equal(score_scene(again, scene), score_scene(stacked, scene))
    assert again.parameters() == stacked.parameters()


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, float("nan")], None])
def test_damaged_weights_of_several_are_refused(stacked: SiameseDetector, weights: Any) -> None:
    state = stacked.state()
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        siamese_from_state(state | {"prior": state["prior"] | {"weights": weights}})


def test_several_take_the_statistics_of_another_scene(scene: ScenePair, stacked: SiameseDetector) -> None:
    first, second = scene.read()
    moved = ScenePair(cube_from_array(first * 2 + 30), cube_from_array(second * 1.5 + 10), name="another day")
    np.testing.assert_allclose(
        score_scene(refit_statistics(stacked, moved), moved), score_scene(stacked, scene), atol=0.02
    )
