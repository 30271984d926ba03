from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score

from hsi_cd.config import TrainConfig, resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.detectors.thresholds import Posterior
from hsi_cd.inference import score_scene
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.seeding import seeded
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training import pseudo_labels
from hsi_cd.training.batches import make_batches
from hsi_cd.training.fitting import learn
from hsi_cd.training.pseudo_labels import PseudoLabels, SceneDraw, scene_pseudo_labels
from hsi_cd.training.training_set import TrainingSet


@pytest.fixture(scope="module")
def scene() -> ScenePair:
    made = simulate_pair(SimulationOptions(rows=72, cols=64, bands=24, seed=5))
    t1, t2 = made.t1.astype(np.float32), made.t2.astype(np.float32)
    t1[:, :8] = np.nan
    return ScenePair(cube_from_array(t1), cube_from_array(t2), name="fields")


_UNASKED: dict[str, Any] = {
    "prior": None,
    "known": None,
    "everywhere": None,
}  # not looked at while batches are drawn


def test_the_scene_teaches_what_the_label_free_detector_says_of_it(scene: ScenePair) -> None:
    """All pixels with data of which it is in no doubt, fewer than are asked for, its log-odds doubled."""
    detector = fit_auto(scene, seed=0)
    scores = score_scene(detector, scene)
    # The second has no data; the last two end and begin a part that is scored at once.
    labelled = np.array([700, 5, 4000, 1999, 64 * 64 - 1, 64 * 64])
    found = scene_pseudo_labels(Measurement(scene), labelled, np.arange(6), part=0.5, seed=0)
    probability = detector.probability(scores).ravel().astype(np.float64)
    odds = np.log(probability / (1 - probability))
    certain = np.flatnonzero(np.abs(odds) >= 1)  # NaN is not
    assert 0 < len(certain) < np.isfinite(scores).sum()
    np.testing.assert_array_equal(np.sort(found.pixels), certain)
    np.testing.assert_array_equal(np.sort(found.everywhere.pixels), np.flatnonzero(np.isfinite(scores)))
    clipped = np.clip(odds, -6, 6)
    np.testing.assert_allclose(found.everywhere.odds, clipped[found.everywhere.pixels], atol=1e-4)
    np.testing.assert_allclose(found.target, 1 / (1 + np.exp(-2 * clipped[found.pixels])), atol=1e-6)
    np.testing.assert_allclose(found.known, clipped[labelled], atol=1e-4)
    assert np.isnan(found.known).tolist() == [False, True, False, False, False, False]
    assert found.share == pytest.approx((scores[8:] >= detector.threshold).mean())


def test_of_a_large_scene_the_pixels_with_the_smallest_lots_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the scene comes in parts: a uniform draw of its pixels, each with its own log-odds."""
    monkeypatch.setattr(pseudo_labels, "_PIXELS", 50)
    random = np.random.default_rng(0)
    lots, odds = random.random(400), random.normal(size=400).astype(np.float32)
    expected = np.argsort(lots)[:50]
    for cuts in ((), (1, 7, 60, 350), tuple(range(3, 400, 3))):
        drawn = SceneDraw.of_nothing()
        for part in np.split(np.arange(400), cuts):
            drawn = drawn.join(part, odds[part], lots[part])
        np.testing.assert_array_equal(drawn.pixels, expected)
        np.testing.assert_array_equal(drawn.odds, odds[expected])


def test_a_detector_that_is_in_doubt_of_all_teaches_its_doubt(
    scene: ScenePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fit_auto(scene, seed=0)
    unsure = replace(plain.decision, posterior=Posterior(plain.decision.posterior.centre, 1e-3))
    monkeypatch.setattr(pseudo_labels, "fit_auto", lambda *_, **__: replace(plain, decision=unsure))
    found = scene_pseudo_labels(Measurement(scene), np.array([700]), np.arange(1), part=0.5, seed=0)
    assert len(found.pixels) == 64 * 64
    np.testing.assert_allclose(found.target, 0.5, atol=0.05)


@pytest.mark.parametrize("part", [0.25, 0.75])
def test_shapes_count_alike_however_large(part: float) -> None:
    """One shape of ninety pixels and one of ten; the scene has its part of every batch, with soft labels."""
    shapes = np.repeat([1, 2], [90, 10])
    target = np.repeat([0, 1], [90, 10])
    pseudo = PseudoLabels(np.arange(100, 110), np.full(10, 0.3, dtype=np.float32), shapes, part, 0.2, **_UNASKED)
    taught = TrainingSet(np.arange(100), target, pseudo, shapes=shapes.astype(np.int32))
    drawn = make_batches(TrainConfig(), taught, None, members=1, valid=np.ones((11, 10), dtype=bool))
    assert (drawn.plan.batches, drawn.plan.epochs, drawn.plan.batch_size) == (4, 100, 64)
    longer = make_batches(TrainConfig(epochs=500), taught, None, members=1, valid=np.ones((11, 10), dtype=bool))
    assert longer.plan.epochs == 500
    generator = np.random.default_rng(0)
    positions = np.concatenate([drawn.orders(generator)[0] for _ in range(50)])
    assert np.mean(positions >= 100) == part
    labels = positions[positions < 100]
    assert np.mean(labels >= 90) == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(drawn.target[positions[positions >= 100]], 0.3, rtol=1e-6)
    assert taught.counts == (1, 1)


def _map(scene: ScenePair, taught: TrainingSet, **settings: float) -> np.ndarray:
    small = {"members": 2, "attention": {"kind": "none"}}
    train = {"train": {"min_steps": 60, "max_steps": 60, "map_every": 0, **settings}, "model": small}
    with seeded(0, deterministic=True) as generator:
        circumstances = Circumstances(generator, torch.device("cpu"))
        learned = learn(Measurement(scene), taught, resolve([("test", train)]), circumstances)
    return score_scene(learned.detector, scene) >= learned.detector.threshold


@pytest.mark.slow
def test_a_small_drawing_leaves_the_map_as_good_as_without_labels() -> None:
    """Two places of each class alone teach that little of the scene is like them; the scene tells the rest."""
    made = simulate_pair(SimulationOptions(rows=72, cols=64, bands=24, seed=5))
    scene = ScenePair(cube_from_array(made.t1), cube_from_array(made.t2), name="fields")
    truth = made.truth.ravel() == 1
    random = np.random.default_rng(0)
    pixels = np.concatenate([random.choice(np.flatnonzero(truth == code), 2, replace=False) for code in (0, 1)])
    taught = TrainingSet(pixels, truth[pixels].astype(np.int64), shapes=np.arange(1, 5, dtype=np.int32))
    detector = fit_auto(scene, seed=0)
    free = cohen_kappa_score(truth, (score_scene(detector, scene) >= detector.threshold).ravel())
    beside, alone = (_map(scene, taught, pseudo=part) for part in (0.5, 0.0))
    assert cohen_kappa_score(truth, beside.ravel()) > free - 0.05
    assert cohen_kappa_score(truth, alone.ravel()) < free - 0.1
    assert _map(scene, taught, share=0.02).mean() < beside.mean()  # what is told moves the map
