import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from hsi_cd.config import resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.labelfree import fit_auto
from hsi_cd.errors import BandError, LabelError
from hsi_cd.inference import score_scene
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.seeding import seeded
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.fitting import learn
from hsi_cd.training.self_training import (
    CertainPixels,
    Heard,
    certain_pixels,
    hear,
    largest_error,
    patch_places,
    trusted_pixels,
)
from hsi_cd.training.training_set import TrainingSet


@pytest.fixture(scope="module")
def scene() -> ScenePair:
    made = simulate_pair(SimulationOptions(rows=72, cols=64, bands=24, seed=5))
    return ScenePair(cube_from_array(made.t1), cube_from_array(made.t2), name="fields")


@pytest.fixture(scope="module")
def drawn(scene: ScenePair) -> tuple[np.ndarray, np.ndarray]:
    """Certain pixels and their classes, of one draw."""
    return certain_pixels(scene, seed=3)


@pytest.fixture(scope="module")
def heard(scene: ScenePair, drawn: tuple[np.ndarray, np.ndarray]) -> Heard:
    """What is heard of all of these."""
    return hear(scene, drawn[0], seed=0)


def test_only_pixels_of_which_the_label_free_detector_is_certain_teach(scene: ScenePair) -> None:
    pixels, target = certain_pixels(scene, seed=0)
    detector = fit_auto(scene, seed=0)
    probability = detector.probability(score_scene(detector, scene)).ravel()[pixels]
    assert (probability[target == 1] >= 0.95).all()
    assert (probability[target == 0] <= 0.05).all()
    assert len(np.unique(pixels)) == len(pixels)
    assert min((target == 0).sum(), (target == 1).sum()) >= 10


def test_the_draw_follows_the_seed(scene: ScenePair, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    first, again, other = drawn[0], *(certain_pixels(scene, seed=seed)[0] for seed in (3, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_pixels_without_data_never_teach(scene: ScenePair) -> None:
    t1, t2 = scene.read()
    t1[:, 20:40, 10:30] = np.nan
    holed = ScenePair(cube_from_array(t1), cube_from_array(t2), name="fields")
    pixels, _ = certain_pixels(holed, seed=0)
    assert np.isfinite(t1[0].ravel()[pixels]).all()


def test_constant_bands_are_left_out_where_the_run_leaves_them_out(scene: ScenePair) -> None:
    t1, t2 = scene.read()
    t1[3] = t2[3] = 7
    flat = ScenePair(cube_from_array(t1), cube_from_array(t2), name="fields")
    with pytest.raises(BandError):
        hear(flat, np.arange(4), seed=0)
    assert np.isfinite(hear(flat, np.arange(4), seed=0, drop_constant=True).said).all()


def test_a_scene_without_certain_change_is_refused_in_words() -> None:
    random = np.random.default_rng(0)
    values = random.random((2, 6, 24, 20), dtype=np.float32)
    with pytest.raises(LabelError, match=r"pixels of noise are certain to be .*: at least 10 are needed"):
        certain_pixels(ScenePair(*map(cube_from_array, values), name="noise"), seed=0)


def test_the_labels_say_how_many_certain_pixels_are_believed() -> None:
    """The error rate is the mean of its Beta posterior, the detector's own word counting for ten pixels."""
    said = np.array([0.01] * 30 + [0.99] * 20 + [0.5] * 5 + [np.nan] * 2, dtype=np.float32)
    right = np.array([0] * 30 + [1] * 20 + [0] * 7)
    assert largest_error(said, right) == pytest.approx(0.5 / 30)
    wrong = right.copy()
    wrong[30:36] = 0  # six of the twenty that were certain to be changed
    assert largest_error(said, wrong) == pytest.approx(6.5 / 30)
    unheard = np.full(4, 0.5, dtype=np.float32)
    assert largest_error(unheard, np.array([0, 1, 0, 1])) == pytest.approx(0.05)


def test_few_labels_are_joined_by_certain_pixels_and_many_are_not(
    scene: ScenePair, drawn: tuple[np.ndarray, np.ndarray], heard: Heard
) -> None:
    pixels, target = drawn  # labels that agree with the detector
    few = np.concatenate([np.flatnonzero(target == code)[:5] for code in (0, 1)])
    of_few = hear(scene, pixels[few], seed=0)
    joined = trusted_pixels(of_few, target[few], at_most=100)
    assert joined is not None
    assert joined.each_epoch == int(15 / 0.5)  # five of each class agree: one error is expected in thirty
    contradicted = trusted_pixels(of_few, 1 - target[few], at_most=100)
    assert contradicted is not None
    assert contradicted.each_epoch == int(15 / 5.5)
    assert trusted_pixels(of_few, target[few], at_most=1) is None  # two pixels beside ten labels
    assert trusted_pixels(heard, 1 - target, at_most=100) is None


def test_what_is_heard_is_the_label_free_map(scene: ScenePair) -> None:
    detector = fit_auto(scene, seed=0)
    scores = score_scene(detector, scene)
    asked = np.array([5, 4000, 77, 64 * 72 - 1])
    heard = hear(scene, asked, seed=0)
    np.testing.assert_allclose(heard.said, detector.probability(scores).ravel()[asked], atol=1e-6)
    assert heard.share == pytest.approx((scores >= detector.threshold).mean())


def test_an_epoch_draws_as_many_of_each_class_anew(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, target = drawn
    certain = CertainPixels(pixels, target, each_epoch=7)
    generator = np.random.default_rng(0)
    labels = np.array([4, 1, 3])
    first, second = (certain.join(labels, after=5, generator=generator) for _ in range(2))
    for joined in (first, second):
        assert len(joined) == certain.number(labels) == 3 + 14
        assert joined[:3].tolist() == [4, 1, 3]
        drawn = joined[3:] - 5
        assert len(np.unique(drawn)) == 14
        assert target[drawn].sum() == 7
    assert not np.array_equal(first, second)


@given(
    places=st.lists(st.integers(0, 5), min_size=1, max_size=40),
    taught=st.sets(st.integers(0, 39), min_size=1),
    seed=st.integers(0, 99),
)
def test_an_epoch_takes_one_label_of_each_place(places: list[int], taught: set[int], seed: int) -> None:
    labels = np.array(sorted(position % len(places) for position in taught))
    certain = CertainPixels(np.arange(100, 104), np.array([0, 0, 1, 1]), 1, places=np.array(places))
    joined = certain.join(labels, after=len(places), generator=np.random.default_rng(seed))
    assert len(joined) == certain.number(labels)
    taken = joined[:-2]
    assert set(taken) <= set(labels)
    assert sorted(places[label] for label in taken) == sorted({places[label] for label in labels})


def test_every_label_of_a_place_has_its_turn() -> None:
    certain = CertainPixels(np.arange(100, 102), np.array([0, 1]), 1, places=np.zeros(4, dtype=np.int64))
    generator = np.random.default_rng(0)
    seen = {int(certain.join(np.arange(4), after=4, generator=generator)[0]) for _ in range(60)}
    assert seen == {0, 1, 2, 3}


@given(rows=st.integers(1, 30), cols=st.integers(1, 30), side=st.integers(1, 13))
def test_pixels_of_one_patch_share_a_place(rows: int, cols: int, side: int) -> None:
    places = patch_places(np.arange(rows * cols), cols, side=side).reshape(rows, cols)
    patch: dict[tuple[int, int], int] = {}
    for row in range(rows):
        for col in range(cols):
            assert patch.setdefault((row // side, col // side), places[row, col]) == places[row, col]
    assert len(set(patch.values())) == len(patch)


def test_labels_of_one_place_speak_with_one_voice() -> None:
    """Four labels of one place contradict, six of six other places agree: one of seven is wrong."""
    said = np.full(10, 0.99, dtype=np.float32)
    target = np.array([0] * 4 + [1] * 6)
    places = np.array([7] * 4 + list(range(6)))
    assert largest_error(said, target, places=places) == pytest.approx((1 + 0.5) / (7 + 10))
    half = np.array([0, 0, 1, 1] + [1] * 6)
    assert largest_error(said, half, places=places) == pytest.approx((0.5 + 0.5) / (7 + 10))


def test_many_labels_of_few_places_are_few_labels(
    scene: ScenePair, drawn: tuple[np.ndarray, np.ndarray], heard: Heard
) -> None:
    pixels, target = drawn
    contradicting = 1 - target
    assert trusted_pixels(heard, contradicting, at_most=100) is None  # one certain pixel beside a thousand labels
    places = patch_places(pixels, scene.shape[1], side=40)
    joined = trusted_pixels(heard, target, at_most=100, places=places)
    assert joined is not None
    assert joined.number(np.arange(len(pixels))) == len(np.unique(places)) + 2 * joined.each_epoch


@pytest.mark.slow
def test_certain_pixels_help_where_labels_are_few(scene: ScenePair) -> None:
    """With five labels a class, the network that hears them too maps the scene better."""
    truth = simulate_pair(SimulationOptions(rows=72, cols=64, bands=24, seed=5)).truth
    random = np.random.default_rng(1)
    pixels = np.concatenate([random.choice(np.flatnonzero(truth.ravel() == code), 5, False) for code in (0, 1)])
    alone, beside = (_kappa(scene, truth, pixels, "P1", certain=n) for n in (0, 100))
    assert beside > alone


@pytest.mark.slow
def test_certain_pixels_help_where_labels_are_of_one_block(scene: ScenePair) -> None:
    """A block of four hundred labels shows one place: under P3 the rest of the scene has a say."""
    truth = simulate_pair(SimulationOptions(rows=72, cols=64, bands=24, seed=5)).truth
    corners = [(row, col) for row in range(0, 53, 4) for col in range(0, 45, 4)]
    row, col = max(corners, key=lambda at: min(_both(truth, at)))
    pixels = (np.arange(row, row + 20)[:, None] * 64 + np.arange(col, col + 20)).ravel()
    alone, beside = (_kappa(scene, truth, pixels, "P3", certain=n) for n in (0, 100))
    assert beside > alone + 0.02


def _both(truth: np.ndarray, at: tuple[int, int]) -> tuple[int, int]:
    block = truth[at[0] : at[0] + 20, at[1] : at[1] + 20]
    return int((block == 0).sum()), int((block == 1).sum())


def _kappa(scene: ScenePair, truth: np.ndarray, pixels: np.ndarray, protocol: str, *, certain: int) -> float:
    """Kappa of the whole map of a network taught by ``pixels``."""
    config = resolve(
        [
            (
                "test",
                {
                    "train": {"certain": certain, "pseudo": 0, "min_steps": 150, "max_steps": 150, "map_every": 0},
                    "split": {"protocol": protocol},
                },
            )
        ]
    )
    taught = TrainingSet(pixels, truth.ravel()[pixels].astype(np.int64))
    with seeded(0, deterministic=True) as generator:
        circumstances = Circumstances(generator, torch.device("cpu"))
        learned = learn(Measurement(scene), taught, config, circumstances)
    assert (learned.facts["certain_pixels"] > 0) == (certain > 0)
    change = score_scene(learned.detector, scene) >= learned.detector.threshold
    return float(cohen_kappa_score(truth.ravel(), change.ravel()))
