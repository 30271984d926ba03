"""Labels of whole areas choose among the detectors that need none."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from hsi_cd.config import resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.inference import score_scene
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.splits import make_split
from hsi_cd.runtime.circumstances import Circumstances
from hsi_cd.runtime.seeding import seeded
from hsi_cd.scene import Labels, ScenePair, cube_from_array
from hsi_cd.training.areas import area_shapes, lie_in_areas, stack_weights, stacked_prior, worth_of_label
from hsi_cd.training.fitting import learn
from hsi_cd.training.training_set import TrainingSet

_RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("protocol", "fraction", "areas"),
    [("P1", 0.01, False), ("P1", 0.1, False), ("P1", 0.3, False), ("P2", 0.01, False), ("P3", 0.01, True)],
)
def test_labels_lie_in_areas_where_their_neighbours_are_labelled(
    protocol: str, fraction: float, areas: bool
) -> None:
    labels = Labels((_RANDOM.random((96, 128)) < 0.2).astype(np.uint8), name="anywhere")
    split = make_split(labels, protocol=protocol, seed=0, fraction=fraction)
    assert lie_in_areas(split.train, labels.shape) is areas


def test_nothing_labelled_lies_in_no_area() -> None:
    assert not lie_in_areas(np.empty(0, dtype=np.int64), (5, 5))


def test_an_area_is_of_one_class_and_touches_no_other_of_it() -> None:
    rows = ["00..1", "01..1", "..0.."]
    flat = np.array([ord(letter) for letter in "".join(rows)])
    pixels = np.flatnonzero(flat != ord("."))
    numbers = area_shapes(pixels, (flat[pixels] == ord("1")).astype(np.int64), (3, 5))
    # In row-major order: 0 0 1 | 0 1 1 | 0, the last unchanged one touches none of the first three.
    first, second, right, _, middle, _, last = numbers.tolist()
    assert first == second == numbers[3]
    assert right == numbers[5]
    assert len({first, right, middle, last}) == 4
    assert min(numbers) >= 1


def _posterior(odds: np.ndarray, target: np.ndarray, weights: tuple[float, float]) -> float:
    """Of labels that count whole, by the formula itself."""
    said = expit(odds @ np.array(weights))
    likelihood = np.where(target == 1, said, 1 - said)
    before = sum((each - usual) ** 2 for each, usual in zip(weights, (1.0, 0.5), strict=True))
    return float(np.log(likelihood).sum() - before / (2 * 0.5**2))


def test_weights_are_the_likeliest_ones() -> None:
    odds = _RANDOM.normal(size=(60, 2)) * 3
    target = (_RANDOM.random(60) < expit(1.5 * odds[:, 0] + 0.1 * odds[:, 1])).astype(np.int64)
    found = stack_weights(odds, target, worth=1.0)
    grid = np.linspace(0, 3, 61)
    best = max(((a, b) for a in grid for b in grid), key=lambda each: _posterior(odds, target, each))
    assert found == pytest.approx(best, abs=0.05)
    assert found[0] > 1
    assert found[1] < 0.5


def test_a_label_counts_as_much_as_it_is_worth() -> None:
    """Repeated fifty times, and each worth a fiftieth, labels say what they said once."""
    odds, target = np.array([[3.0, -3.0], [-3.0, 3.0]]), np.array([1, 0])
    once = stack_weights(odds, target, worth=1.0)
    often = np.repeat(odds, 50, axis=0), np.repeat(target, 50)
    assert stack_weights(*often, worth=1 / 50) == pytest.approx(once, abs=1e-4)
    assert stack_weights(*often, worth=1.0)[1] < once[1] < 0.5
    assert stack_weights(odds, target, worth=0.0) == (1.0, 0.5)


def test_labels_without_data_say_nothing() -> None:
    odds, target = np.array([[3.0, -3.0], [np.nan, np.nan]]), np.array([1, 1])
    assert stack_weights(odds, target, worth=1.0) == pytest.approx(stack_weights(odds[:1], target[:1], worth=1.0))
    assert stack_weights(odds[1:], target[1:], worth=1.0) == (1.0, 0.5)


def test_all_labels_are_worth_the_patches_of_each_class_that_they_lie_in() -> None:
    """Eight columns in patches of 3 x 3: four labels in the first, of both classes, and two in another."""
    pixels = np.array([0, 1, 8, 9, 31, 38])
    assert worth_of_label(pixels, np.array([0, 1, 1, 1, 1, 1]), 8, side=3) == 3 / 6
    assert worth_of_label(pixels, np.zeros(6, dtype=np.int64), 8, side=3) == 2 / 6


@pytest.fixture(scope="module")
def scene() -> tuple[ScenePair, Labels]:
    made = simulate_pair(SimulationOptions(rows=72, cols=64, bands=12, seed=5))
    pair = ScenePair(cube_from_array(made.t1), cube_from_array(made.t2), name="fields")
    return pair, Labels(made.truth, name="fields")


def test_the_stack_is_weighed_by_what_each_says_of_the_labels(scene: tuple[ScenePair, Labels]) -> None:
    pair, labels = scene
    split = make_split(labels, protocol="P3", seed=0, block=16, radius=2)
    target = labels.values.ravel()[split.train].astype(np.int64)
    measurement = Measurement(pair)
    prior = stacked_prior(measurement, split.train, target, side=5)
    assert [each.method for each in prior.detectors] == ["auto", "cva"]
    odds = []
    for detector in prior.detectors:
        said = detector.probability(score_scene(detector, pair)).ravel()[split.train].astype(np.float64)
        odds.append(np.clip(np.log(said / (1 - said)), -6, 6))
    row, col = np.divmod(split.train, 64)
    worth = len({*zip(row // 5, col // 5, target, strict=True)}) / len(target)
    assert prior.weights == pytest.approx(stack_weights(np.stack(odds, 1), target, worth=worth), abs=1e-3)


@pytest.mark.slow
def test_a_network_that_areas_taught_keeps_the_stack_in_its_score(scene: tuple[ScenePair, Labels]) -> None:
    """The same labels, drawn at random, leave it alone."""
    pair, labels = scene
    small: dict[str, Any] = {
        "model": {"members": 2, "attention": {"kind": "none"}, "backbone": {"width": 4, "depth": 1}},
        "prepare": {"components": 4},
        "train": {"epochs": 2, "min_steps": None, "max_steps": 4, "folds": 2, "map_every": 0},
    }
    for protocol, kept in (("P3", True), ("P1", False)):
        config = resolve([("here", small | {"split": {"protocol": protocol, "fraction": 0.2, "block": 16}})])
        split = make_split(labels, protocol=protocol, seed=0, fraction=0.2, block=16)
        taught = TrainingSet(split.train, labels.values.ravel()[split.train].astype(np.int64))
        with seeded(0, deterministic=True) as generator:
            learned = learn(Measurement(pair), taught, config, Circumstances(generator, torch.device("cpu")))
        detector = learned.detector
        assert isinstance(detector, SiameseDetector)
        assert (detector.prior is not None) is kept
        if detector.prior is not None:
            assert len(detector.prior.weights) == 2
            assert "share" not in learned.facts  # the labels say where the line is
            assert detector.calibration.prior in (0.5, 1.0)
            assert np.isfinite(score_scene(detector, pair)).any()
