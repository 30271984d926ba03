import numpy as np
import pytest

from hsi_cd.datasets.simulate import SimulationOptions, simulate_pair
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.errors import LabelError
from hsi_cd.inference import score_scene
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.self_training import certain_pixels


@pytest.fixture(scope="module")
def scene() -> ScenePair:
    made = simulate_pair(SimulationOptions(rows=72, cols=64, bands=24, seed=5))
    return ScenePair(cube_from_array(made.t1), cube_from_array(made.t2), name="fields")


def test_only_pixels_of_which_the_label_free_detector_is_certain_teach(scene: ScenePair) -> None:
    pixels, target = certain_pixels(scene, seed=0)
    detector = fit_auto(scene, seed=0)
    probability = detector.probability(score_scene(detector, scene)).ravel()[pixels]
    assert (probability[target == 1] >= 0.95).all()
    assert (probability[target == 0] <= 0.05).all()
    assert len(np.unique(pixels)) == len(pixels)
    assert min((target == 0).sum(), (target == 1).sum()) >= 10


def test_the_draw_follows_the_seed(scene: ScenePair) -> None:
    first, again, other = (certain_pixels(scene, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_pixels_without_data_never_teach(scene: ScenePair) -> None:
    t1, t2 = scene.read()
    t1[:, 20:40, 10:30] = np.nan
    holed = ScenePair(cube_from_array(t1), cube_from_array(t2), name="fields")
    pixels, _ = certain_pixels(holed, seed=0)
    assert np.isfinite(t1[0].ravel()[pixels]).all()


def test_a_scene_without_certain_change_is_refused_in_words() -> None:
    random = np.random.default_rng(0)
    values = random.random((2, 6, 24, 20), dtype=np.float32)
    with pytest.raises(LabelError, match=r"pixels of noise are certain to be .*: at least 10 are needed"):
        certain_pixels(ScenePair(*map(cube_from_array, values), name="noise"), seed=0)
