from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hsi_cd.detectors.classical import classical_from_state, fit_forest, fit_logistic, fit_svm
from hsi_cd.detectors.context import local_median
from hsi_cd.errors import CheckpointError, LabelError, UnknownNameError
from hsi_cd.scene import ScenePair, cube_from_array

OPTIONS = {"context": "none", "registration": False}


def dates() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    t1 = rng.normal(size=(4, 25, 21))
    t2 = t1 + rng.normal(0, 0.5, t1.shape)
    t2[:, 6:16, 3:14] += np.array([1, -1, 1, 1])[:, None, None]
    truth = np.zeros((25, 21), dtype=np.int64)
    truth[6:16, 3:14] = 1
    return t1.astype(np.float32), t2.astype(np.float32), truth


def taught() -> tuple[ScenePair, np.ndarray, np.ndarray]:
    t1, t2, truth = dates()
    pixels = np.random.default_rng(1).choice(truth.size, 80, replace=False)
    return ScenePair(cube_from_array(t1), cube_from_array(t2)), pixels, truth.ravel()[pixels]


def naive_features(kind: str) -> np.ndarray:
    """``(pixels, features)``, straight from the definition."""
    t1, t2, _ = dates()
    z1, z2 = (
        ((v - v.mean(axis=(1, 2), keepdims=True)) / v.std(axis=(1, 2), keepdims=True)).reshape(4, -1).T
        for v in (t1.astype(np.float64), t2.astype(np.float64))
    )
    return z2 - z1 if kind == "difference" else np.concatenate([z1, z2], axis=1)


def settings(detector: Any) -> dict[str, float]:
    return dict(detector.found)


@pytest.mark.parametrize("kind", ["difference", "stacked"])
def test_support_vectors_score_as_scikit_learn_does(kind: str) -> None:
    scene, pixels, target = taught()
    detector = fit_svm(scene, pixels, target, options=OPTIONS | {"features": kind}, seed=2)
    best = settings(detector)
    x = naive_features(kind)
    model = make_pipeline(StandardScaler(), SVC(C=best["C"], gamma=best["gamma"]))
    folds = StratifiedKFold(5, shuffle=True, random_state=2)
    expected = CalibratedClassifierCV(model, method="sigmoid", cv=folds, ensemble=False).fit(x[pixels], target)
    score = detector.score(*scene.read())
    np.testing.assert_allclose(
        score.ravel(), expected.predict_proba(x)[:, 1], atol=2e-3
    )  # libsvm's tolerance is 1e-3


@pytest.mark.parametrize("kind", ["difference", "stacked"])
def test_logistic_regression_scores_as_scikit_learn_does(kind: str) -> None:
    scene, pixels, target = taught()
    detector = fit_logistic(scene, pixels, target, options=OPTIONS | {"features": kind})
    x = naive_features(kind)
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=settings(detector)["C"])).fit(
        x[pixels], target
    )
    score = detector.score(*scene.read())
    np.testing.assert_allclose(score.ravel(), expected.predict_proba(x)[:, 1], atol=1e-3)


def test_the_forest_scores_as_scikit_learn_does() -> None:
    scene, pixels, target = taught()
    options = OPTIONS | {"features": "stacked", "trees": 30}
    detector = fit_forest(scene, pixels, target, options=options, seed=5)
    x = naive_features("stacked").astype(np.float32)
    expected = RandomForestClassifier(30, random_state=5).fit(x[pixels], target).predict_proba(x)[:, 1]
    score = detector.score(*scene.read()).ravel()
    # A split between two values may fall on the other side of a pixel by the last bit of the standardisation.
    assert np.mean(np.abs(score - expected) < 1e-6) > 0.98


@pytest.mark.parametrize("features", ["difference", "stacked", "pca", "mnf"])
@pytest.mark.parametrize("context", ["none", "median", "bilateral"])
@pytest.mark.quick("none-difference", "none-stacked", "bilateral-mnf")
def test_every_feature_in_every_context_tells_change(features: str, context: str) -> None:
    scene, pixels, target = taught()
    options = {"features": features, "context": context, "reach": 1}
    detector = fit_logistic(scene, pixels, target, options=options)
    assert detector.radius == (0 if context == "none" else 1) + (
        detector.frontend.radius - detector.frontend.reach
    )
    t1, t2, truth = dates()
    r = detector.radius
    padded = (np.pad(x, ((0, 0), (r, r), (r, r)), mode="symmetric") for x in (t1, t2))
    score = detector.score(*padded)
    assert score.shape == truth.shape
    assert ((score >= 0.5) == truth).mean() > (0.55 if features == "difference" else 0.75)


def test_the_order_of_the_training_pixels_is_kept() -> None:
    scene, pixels, target = taught()
    one = fit_logistic(scene, pixels, target, options=OPTIONS | {"features": "stacked", "folds": 2})
    x = naive_features("stacked")[pixels]
    inner = clone(one.classifier).fit(x, target)
    np.testing.assert_allclose(inner.predict_proba(x), one.classifier.predict_proba(x), atol=1e-3)


def test_the_median_is_that_of_the_known_neighbours() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 9, 8)).astype(np.float32)
    values[:, 2, 2:5] = np.nan
    out = local_median(values, 1)
    for r in range(7):
        for c in range(6):
            if np.isnan(values[0, r + 1, c + 1]):
                assert np.isnan(out[:, r, c]).all()
            else:
                expected = np.nanmedian(values[:, r : r + 3, c : c + 3].reshape(2, -1), axis=1)
                np.testing.assert_allclose(out[:, r, c], expected, rtol=1e-6)


def test_wrong_names_and_foreign_pixels_are_refused() -> None:
    scene, pixels, target = taught()
    with pytest.raises(UnknownNameError, match="no features of svm 'mnff'"):
        fit_svm(scene, pixels, target, options={"features": "mnff"})
    with pytest.raises(UnknownNameError, match="no context of svm"):
        fit_svm(scene, pixels, target, options={"context": "mean"})
    with pytest.raises(LabelError, match="inside the scene"):
        fit_svm(scene, pixels + 10_000, target)


def test_trees_that_point_nowhere_and_foreign_types_are_refused() -> None:
    from collections import Counter

    import torch
    from skops.io import dumps

    scene, pixels, target = taught()
    detector = fit_forest(scene, pixels, target, options=OPTIONS | {"trees": 3})
    state = detector.state()
    detector.classifier.estimators_[1].tree_.children_left[0] = 10_000
    with pytest.raises(CheckpointError, match="tree 1 has nodes that point nowhere"):
        classical_from_state(detector.state())
    forged = state | {"classifier": torch.frombuffer(bytearray(dumps(Counter("abc"))), dtype=torch.uint8)}
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        classical_from_state(forged)
    cut = state | {"classifier": state["classifier"][:-100]}
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        classical_from_state(cut)


def test_folds_of_drawn_labels_divide_no_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """What chooses settings and fits the sigmoid holds whole shapes out; and it is saved with them."""
    scene, _, _ = taught()
    truth, shapes = dates()[2].ravel(), np.repeat(np.arange(1, 9), 4)
    pixels = np.concatenate([np.flatnonzero(truth == code)[:16] for code in (0, 1)])
    held = []

    class Watched(GridSearchCV):  # type: ignore[misc]
        def fit(self, x: Any, y: Any) -> Any:
            held.extend(set(shapes[test]) & set(shapes[train]) for train, test in self.cv)
            return super().fit(x, y)

    monkeypatch.setattr("sklearn.model_selection.GridSearchCV", Watched)
    fitted = fit_svm(scene, pixels, truth[pixels], options=OPTIONS, shapes=shapes)
    assert held == [set()] * 4  # as many as either class has shapes
    assert classical_from_state(fitted.state()).parameters() == fitted.parameters()
