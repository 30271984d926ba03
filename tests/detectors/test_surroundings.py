"""A network whose calibration lets the pixels around have a say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from scipy.special import expit, logit

from hsi_cd.config import RunConfig
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese, siamese_from_state
from hsi_cd.detectors.surroundings import Surroundings
from hsi_cd.errors import CheckpointError
from hsi_cd.inference import score_scene
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import ScenePair, cube_from_array


@pytest.fixture(scope="module")
def scene() -> ScenePair:
    """With a hole without data."""
    made = simulate_pair(SimulationOptions(rows=40, cols=36, bands=8, seed=5))
    first = made.t1.astype(np.float32)
    first[:, 10:14, 20:22] = np.nan
    return ScenePair(cube_from_array(first), cube_from_array(made.t2), name="fields")


@pytest.fixture(scope="module")
def plain(scene: ScenePair) -> SiameseDetector:
    small = {"members": 2, "attention": {"kind": "none"}, "backbone": {"width": 4, "depth": 1}}
    fitted = fit_siamese(scene, RunConfig.model_validate({"model": small, "prepare": {"components": 4}}))
    return replace(fitted, calibration=Calibration(slope=1.5, offset=-0.2, threshold=0.4))


@pytest.fixture(scope="module")
def detector(plain: SiameseDetector) -> SiameseDetector:
    return replace(plain, calibration=replace(plain.calibration, surroundings=Surroundings(2, 0.3, 0.9, -0.1)))


def test_the_mean_probability_around_counts_by_its_weight(
    scene: ScenePair, plain: SiameseDetector, detector: SiameseDetector
) -> None:
    alone = score_scene(plain, scene).astype(np.float64)
    known = np.isfinite(alone)
    assert 0 < (~known).sum() < 20
    # scipy's "reflect" repeats the edge pixel, as the scene's mirror does.
    mean = uniform_filter(np.where(known, alone, 0), 5, mode="reflect") / np.maximum(
        uniform_filter(known.astype(float), 5, mode="reflect"), 1e-9
    )
    expected = np.where(known, expit(0.3 * logit(alone) + 0.9 * logit(mean) - 0.1), np.nan)
    np.testing.assert_allclose(score_scene(detector, scene), expected, atol=2e-5)
    assert detector.radius == plain.radius + 2


def test_the_score_does_not_depend_on_the_window(scene: ScenePair, detector: SiameseDetector) -> None:
    whole = score_scene(detector, scene)
    window = read_window(scene, slice(13, 22), slice(5, 36), radius=detector.radius)
    np.testing.assert_allclose(detector.score(*window), whole[13:22, 5:36], atol=1e-5)
    both = detector.score_and_uncertainty(*window)
    np.testing.assert_allclose(both[0], whole[13:22, 5:36], atol=1e-5)
    assert np.nanmax(both[1]) > 0 and (np.isnan(both[1]) == np.isnan(both[0])).all()


def test_without_the_pixels_around_a_uniform_place_scores_the_same(detector: SiameseDetector) -> None:
    """What is worth of one scene's surroundings does not go to another's; see train.init."""
    known = detector.calibration
    z, alone = torch.full((1, 5, 5), 1.7), known.of_one_pixel
    assert known.surroundings is not None and alone.surroundings is None and alone.threshold == known.threshold
    expected = known.surroundings.log_odds(known.slope * z + known.offset, torch.ones(5, 5, dtype=torch.bool))
    assert float(alone.slope * z[0, 0, 0] + alone.offset) == pytest.approx(float(expected.squeeze()), abs=1e-5)
    assert alone.of_one_pixel == alone


def test_it_travels_in_the_checkpoint(scene: ScenePair, detector: SiameseDetector) -> None:
    again = siamese_from_state(detector.state())
    assert again.calibration == detector.calibration
    np.testing.assert_array_equal(score_scene(again, scene), score_scene(detector, scene))


@pytest.mark.parametrize(
    "wrong",
    [{"reach": -1}, {"reach": 1000}, {"own": -1.0}, {"around": float("nan")}, {"offset": None}, {"own": "much"}],
)
def test_one_that_makes_no_sense_is_refused(detector: SiameseDetector, wrong: dict[str, Any]) -> None:
    state = detector.state()
    state["calibration"]["surroundings"] |= wrong
    with pytest.raises(CheckpointError):
        siamese_from_state(state)
