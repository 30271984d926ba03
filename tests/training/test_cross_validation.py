"""What is said of a shape comes from what did not learn from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hsi_cd.config import RunConfig, parse_assignment, resolve
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.detectors.detector_contract import fit_method
from hsi_cd.detectors.registry import find_method
from hsi_cd.errors import CheckpointError, LabelError, Preempted
from hsi_cd.inference.scoring import score_scene
from hsi_cd.io import open_cube, read_labels
from hsi_cd.prepare.drawn_shapes import folds_by_shape
from hsi_cd.prepare.splits import make_split
from hsi_cd.runtime.signals import Stop
from hsi_cd.scene import UNLABELLED, Labels, ScenePair
from hsi_cd.training.cross_validation import cross_validate, scores_at
from hsi_cd.training.examples import Examples, LabelledScene, check_taught, prepare_examples
from hsi_cd.training.folds import deal_folds
from hsi_cd.training.run import run_training
from hsi_cd.training.training_set import TrainingSet


@pytest.fixture(scope="module")
def pair(simulated: PairFiles) -> ScenePair:
    return ScenePair(open_cube(simulated.t1), open_cube(simulated.t2), name="scene")


@pytest.fixture(scope="module")
def truth(simulated: PairFiles) -> NDArray[np.uint8]:
    return read_labels(simulated.truth).values


def points(truth: NDArray[np.uint8], count: int, *, pixels: int = 2) -> Labels:
    """So many shapes of each class, of pixels drawn anywhere."""
    random, shapes = np.random.default_rng(5), np.zeros(truth.shape, dtype=np.int32)
    for code in (0, 1):
        chosen = random.choice(np.flatnonzero(truth == code), count * pixels, replace=False)
        shapes.ravel()[chosen] = code * count + np.repeat(np.arange(1, count + 1), pixels)
    return Labels(np.where(shapes > 0, truth, np.uint8(UNLABELLED)), shapes=shapes)


def settings(*words: str) -> RunConfig:
    return resolve([(word, parse_assignment(word)) for word in ("split.protocol=drawn", "device=cpu", *words)])


@pytest.fixture(scope="module")
def logistic() -> RunConfig:
    return settings("method=logistic", "train.folds=2", "seed=2", "options.components=4")


@pytest.fixture(scope="module")
def examples(pair: ScenePair, truth: NDArray[np.uint8], logistic: RunConfig) -> Examples:
    return prepare_examples(LabelledScene(pair, points(truth, 11)), logistic)


def test_a_method_is_fitted_without_each_part_in_turn(examples: Examples, logistic: RunConfig) -> None:
    taught = examples.taught
    said = cross_validate(examples.measurement, taught, logistic)
    folds = folds_by_shape(taught.target, taught.shapes, folds=2, seed=2)
    assert said is not None and folds is not None and said.folds == 2
    for part in range(2):
        others, held = folds != part, folds == part
        assert not set(taught.shapes[others]) & set(taught.shapes[held])
        labelled = (taught.pixels[others], taught.target[others])
        fitted = fit_method(
            find_method("logistic"),
            examples.measurement,
            *labelled,
            options=logistic.options,
            seed=2,
            shapes=taught.shapes[others],
        )
        scene = score_scene(fitted, examples.measurement.pair).ravel()[taught.pixels[held]]
        np.testing.assert_allclose(said.probability[held], scene, atol=1e-6)
        np.testing.assert_array_equal(said.change[held], scene >= 0.5)


def test_scores_of_pixels_are_those_of_the_scene(examples: Examples, logistic: RunConfig) -> None:
    """At the borders, too, and in whatever order."""
    taught, pair = examples.taught, examples.measurement.pair
    fitted = fit_method(
        find_method("logistic"), examples.measurement, taught.pixels, taught.target, options={}, seed=0
    )
    assert fitted.radius > 0
    pixels = np.array([48 * 40 - 1, 0, 777, 39, 47 * 40, 778])
    np.testing.assert_allclose(
        scores_at(fitted, pair, pixels), score_scene(fitted, pair).ravel()[pixels], atol=1e-6
    )


def test_what_cannot_be_fitted_without_a_part_is_not_judged(
    pair: ScenePair, truth: NDArray[np.uint8], logistic: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    few = prepare_examples(LabelledScene(pair, points(truth, 2, pixels=1)), logistic)
    assert cross_validate(few.measurement, few.taught, logistic) is None
    assert "logistic cannot be cross-validated by shape" in caplog.text
    alone = prepare_examples(LabelledScene(pair, points(truth, 1, pixels=3)), logistic)
    assert cross_validate(alone.measurement, alone.taught, logistic) is None
    nothing = logistic.model_copy(update={"train": logistic.train.model_copy(update={"folds": 0})})
    assert cross_validate(few.measurement, few.taught, nothing) is None


@pytest.mark.parametrize(("members", "parts"), [(None, 5), (2, 5), (3, 3), (9, 5)])
def test_three_members_hold_out_every_shape(members: int | None, parts: int) -> None:
    target, shapes = np.repeat([0, 1], 12), np.arange(1, 25, dtype=np.int32)
    taught = TrainingSet(np.arange(24), target, shapes=shapes)
    folds = deal_folds(taught, 5, seed=0, members=members)
    assert folds is not None and folds.max() + 1 == parts


@pytest.fixture(scope="module")
def network(cli: Any) -> RunConfig:
    return settings(*cli.settings(train__epochs=8, train__map_every=0)[1::2])


@pytest.fixture(scope="module")
def whole(
    pair: ScenePair, truth: NDArray[np.uint8], network: RunConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run on eleven shapes of each class that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_training(LabelledScene(pair, points(truth, 11)), network, folder)
    return folder


def test_an_interrupted_run_ends_the_same(
    pair: ScenePair, truth: NDArray[np.uint8], network: RunConfig, whole: Path, stopping: Stop, tmp_path: Path
) -> None:
    scene, folder = LabelledScene(pair, points(truth, 11)), tmp_path / "run"
    with pytest.raises(Preempted):
        run_training(scene, network, folder, stop=stopping)
    run_training(scene, network, folder, resume=True)
    ours, theirs = (json.loads((of / "result.json").read_text()) for of in (folder, whole))
    for key in ("scores", "counts", "test", "train", "scope", "threshold"):
        assert ours[key] == theirs[key]
    assert load_checkpoint(folder / "best.pt")["digest"] == load_checkpoint(whole / "best.pt")["digest"]


def test_members_judge_the_shapes_that_they_held_out(whole: Path) -> None:
    """Two members, two folds: every shape is judged, none by a member that saw it."""
    found = json.loads((whole / "result.json").read_text())
    assert found["test"] == {"unchanged": 22, "changed": 22} and found["counts"]["unscored"] == 0
    assert (found["details"]["shapes_unchanged"], found["details"]["shapes_changed"]) == (11, 11)


def test_other_shapes_are_another_run(
    pair: ScenePair, truth: NDArray[np.uint8], network: RunConfig, whole: Path
) -> None:
    labels = points(truth, 11)
    assert labels.shapes is not None
    others = replace(labels, shapes=np.where(labels.shapes > 0, 23 - labels.shapes, 0).astype(np.int32))
    with pytest.raises(CheckpointError, match=r"another truth|other training pixels"):
        run_training(LabelledScene(pair, others), network, whole, resume=True)


def test_a_drawing_whose_labels_of_a_class_lie_under_no_data_says_so() -> None:
    """No split was named: what is to be mended is the drawing."""
    values, shapes = np.array([[0, 0, 255, 255]], dtype=np.uint8), np.array([[1, 1, 2, 2]], dtype=np.int32)
    left = Labels(values, name="labels.gpkg", shapes=shapes)
    said = (
        "none of the 2 pixels of labels.gpkg with data in both dates is changed: .* draw changed places that have"
    )
    with pytest.raises(LabelError, match=said):
        check_taught("siamese", make_split(left, seed=0, protocol="drawn"), left)
