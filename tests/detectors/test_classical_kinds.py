"""Classifiers of kinds of change: scikit-learn as oracle, kinds of one pixel, and the way through a checkpoint."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hsi_cd.detectors.base import KindModel, LearnedKinds, kinds_in, learned_kinds
from hsi_cd.detectors.classical import classical_from_state, fit_forest, fit_logistic, fit_svm
from hsi_cd.detectors.classical_kinds import fit_classical_kinds
from hsi_cd.errors import CheckpointError
from hsi_cd.scene import KindTable, ScenePair, cube_from_array

OPTIONS = {"context": "none", "registration": False, "features": "difference"}
TABLE = KindTable((4, 6, 9), ("burnt", "built", "flooded"))
FITS = {"svm": (fit_svm, {}), "forest": (fit_forest, {"trees": 12}), "logistic": (fit_logistic, {})}


def taught(rare: int = 6) -> tuple[ScenePair, NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8]]:
    """A scene, its training pixels, their kinds (0 unchanged), and the kinds of all pixels; the last is rare."""
    rng = np.random.default_rng(4)
    kind = np.zeros((26, 20), dtype=np.uint8)
    kind[2:12, 2:10], kind[15:24, 3:12], kind[4:10, 14:18] = 1, 2, 3
    moved = np.array([[0, 0, 0, 0], [3, 0, -1, 0], [0, 3, 0, 1], [-2, -2, 2, 2]])[kind].transpose(2, 0, 1)
    t1 = rng.normal(size=(4, *kind.shape))
    t2 = t1 + rng.normal(0, 0.3, t1.shape) + moved
    t2[:, 0, 0] = np.nan
    pair = ScenePair(*(cube_from_array(t.astype(np.float32)) for t in (t1, t2)))
    flat = kind.ravel()
    pixels = np.concatenate([np.flatnonzero(flat == k)[1 : 1 + n] for k, n in enumerate((40, 20, 15, rare))])
    return pair, pixels, flat[pixels], kind


def fitted(method: str, rare: int = 6) -> tuple[Any, ScenePair, NDArray[np.uint8]]:
    fit, options = FITS[method]
    pair, pixels, kinds, truth = taught(rare)
    detector = fit(pair, pixels, (kinds > 0).astype(np.int64), options=OPTIONS | options, seed=1)
    changed = kinds > 0
    with_kinds = fit_classical_kinds(detector, pair, pixels[changed], kinds[changed], table=TABLE, seed=1)
    np.testing.assert_array_equal(with_kinds.score(*pair.read()), detector.score(*pair.read()))
    assert kinds_in(detector) is None and detector.state().keys() == with_kinds.state().keys() - {"kinds"}
    return with_kinds, pair, truth


@pytest.mark.parametrize("method", FITS)
def test_kinds_are_told_with_probabilities_and_nothing_where_there_is_no_data(method: str) -> None:
    detector, pair, truth = fitted(method)
    model = learned_kinds(detector)
    assert isinstance(model, LearnedKinds) and isinstance(model, KindModel)
    assert (model.count, model.table) == (3, TABLE)
    told, chances = model.of_window(*pair.read()), model.probabilities(*pair.read())
    assert (told[truth > 0] == truth[truth > 0]).mean() > 0.9
    assert told[0, 0] == 0 and np.isnan(chances[:, 0, 0]).all()
    known = told > 0
    assert known.sum() == known.size - 1
    np.testing.assert_allclose(chances.sum(axis=0)[known], 1, atol=1e-5)
    np.testing.assert_array_equal(1 + chances[:, known].argmax(axis=0), told[known])


@pytest.mark.parametrize("method", FITS)
def test_one_pass_tells_the_same_scores_and_kinds(method: str) -> None:
    detector, pair, _ = fitted(method)
    score, kinds = detector.score_and_kinds(*pair.read(), threshold=0.4)
    np.testing.assert_array_equal(score, detector.score(*pair.read()))
    changed = score >= 0.4
    np.testing.assert_array_equal(kinds[changed], detector.kinds.of_window(*pair.read())[changed])
    assert np.isnan(kinds[0, 0]) and (kinds[~changed & np.isfinite(score)] == 0).all()


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize("rare", [1, 2])
def test_a_kind_of_one_pixel_is_learned(method: str, rare: int) -> None:
    detector, pair, truth = fitted(method, rare)
    told = learned_kinds(detector).of_window(*pair.read())
    assert (told[truth < 3] != 0).sum() == (truth < 3).sum() - 1
    assert (told[truth == 3] == 3).any()


@pytest.mark.parametrize("method", ["svm", "logistic"])
def test_scikit_learn_with_the_same_settings_says_the_same(method: str) -> None:
    detector, pair, _ = fitted(method)
    _, pixels, kinds, _ = taught()
    t1, t2 = (date.astype(np.float64) for date in pair.read())
    there = np.isfinite(t2[0])
    z1, z2 = (
        (v - v[:, there].mean(axis=1)[:, None, None]) / v[:, there].std(axis=1)[:, None, None] for v in (t1, t2)
    )
    x, changed = (z2 - z1).reshape(4, -1).T, kinds > 0
    own = detector.kinds.classifier.steps[-1][1]
    settings = {"C": own.C, "class_weight": "balanced"} | ({"gamma": own.gamma} if method == "svm" else {})
    oracle = make_pipeline(StandardScaler(), (SVC if method == "svm" else LogisticRegression)(**settings))
    oracle.fit(x[pixels[changed]], kinds[changed])
    known = np.isfinite(x).all(axis=1)
    told = detector.kinds.of_window(*pair.read()).ravel()[known]
    assert (told == oracle.predict(x[known])).mean() > 0.99  # single precision here, double there


@pytest.mark.parametrize("method", FITS)
def test_kinds_travel_in_the_checkpoint_without_a_pickle(method: str) -> None:
    detector, pair, _ = fitted(method)
    file = io.BytesIO()
    torch.save(detector.state(), file)
    file.seek(0)
    again = classical_from_state(torch.load(file, weights_only=True))
    assert again.kinds.table == TABLE
    np.testing.assert_array_equal(
        again.kinds.probabilities(*pair.read()), detector.kinds.probabilities(*pair.read())
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kinds: kinds["table"].update(names=["burnt", "built"]),
        lambda kinds: kinds["table"].update(names=["burnt", "built", "built"]),
        lambda kinds: kinds["table"].update(stored=[4, 6, "9"]),
        lambda kinds: kinds["table"].update(stored=[4, 6], names=["burnt", "built"]),
        lambda kinds: kinds.update(classifier=kinds["classifier"][:-40]),
        lambda kinds: kinds.pop("table"),
    ],
)
def test_damaged_kinds_are_refused(spoil: Any) -> None:
    state = copy.deepcopy(fitted("logistic")[0].state())
    spoil(state["kinds"])
    with pytest.raises(CheckpointError, match="the checkpoint's classifier cannot be rebuilt"):
        classical_from_state(state)


def test_a_detector_without_kinds_says_what_to_do() -> None:
    pair, pixels, kinds, _ = taught()
    detector = fit_logistic(pair, pixels, (kinds > 0).astype(np.int64), options=OPTIONS)
    with pytest.raises(CheckpointError, match=r"trained without kinds of change.*or train with kinds=True"):
        learned_kinds(detector)
    with pytest.raises(CheckpointError, match="trained without kinds of change"):
        detector.score_and_kinds(*pair.read(), threshold=0.5)
