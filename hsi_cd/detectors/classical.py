"""Few labels, no network: support vectors, random forests, logistic regression on features of both dates."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.classifiers import classifier_bytes, classifier_from_bytes, count_parameters
from hsi_cd.detectors.context import local_median
from hsi_cd.detectors.frontend import Frontend, fit_frontend, frontend_from_state
from hsi_cd.detectors.method_options import FEATURES, choose_options
from hsi_cd.detectors.states import found_from_state, rebuilding, whole
from hsi_cd.errors import LabelError
from hsi_cd.prepare.drawn_shapes import folds_by_shape
from hsi_cd.prepare.measurement import Measurement, Preparation, Scene, measured
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.progress import progress
from hsi_cd.scene import Bands

_COMMON: dict[str, Any] = {
    "features": "mnf",
    "context": "bilateral",
    "reach": 2,
    "components": 16,
    "registration": True,
    "folds": 5,
    "drop_constant": False,
}
SVM_OPTIONS: dict[str, Any] = dict(_COMMON)
"""Options of the support vector machine; ``folds`` of the cross-validation inside the training pixels."""
FOREST_OPTIONS: dict[str, Any] = _COMMON | {"trees": 300}
"""Options of the random forest."""
LOGISTIC_OPTIONS: dict[str, Any] = dict(_COMMON)
"""Options of the logistic regression."""


@dataclass(frozen=True)
class ClassicalDetector:
    """A classifier of scikit-learn on each pixel's features.

    Attributes:
        method: the method's name.
        frontend: from stored values to components.
        features: a name of :data:`~hsi_cd.detectors.method_options.FEATURES`.
        median: half the window of the median context; 0 for none.
        classifier: fitted, with ``predict_proba``.
        found: what cross-validation chose, for the result's record.
    """

    method: str
    frontend: Frontend
    features: str
    median: int
    classifier: Any
    found: tuple[tuple[str, float], ...] = ()

    unit = "probability"
    threshold = 0.5

    @property
    def bands(self) -> Bands:
        """The bands it was fitted on."""
        return self.frontend.bands

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        return self.frontend.radius + self.median

    def describe(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of a mirror-padded window, float32 ``(features, h, w)``, NaN for no data."""
        return self.describe_components(*self.frontend.project(t1, t2))

    def describe_components(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of components that the front end has projected."""
        first, second = self.frontend.finish(first, second)
        if self.median:
            first, second = (local_median(x, self.median) for x in (first, second))
        if self.features == "difference":
            return second - first
        if self.features == "stacked":
            return np.concatenate([first, second])
        return np.concatenate([first, second, np.abs(second - first)])

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change probabilities; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        features = self.describe(t1, t2)
        flat = features.reshape(len(features), -1).T
        known = np.isfinite(flat).all(axis=1)
        score = np.full(len(flat), np.nan, dtype=np.float32)
        if known.any():
            score[known] = self.classifier.predict_proba(np.ascontiguousarray(flat[known]))[:, 1]
        return score.reshape(features.shape[1:])

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score is a probability already."""
        return score

    def parameters(self) -> int:
        """Number of fitted numbers: support vectors with their weights, tree nodes, or coefficients."""
        return count_parameters(self.classifier)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`classical_from_state` builds the detector again.

        The classifier is in skops's format (a zip of JSON and arrays, no pickle), as bytes.
        """
        return {
            "method": self.method,
            "frontend": self.frontend.state(),
            "features": self.features,
            "median": self.median,
            "classifier": torch.frombuffer(classifier_bytes(self.classifier), dtype=torch.uint8),
            "found": dict(self.found),
        }


def fit_svm(
    scene: Scene,
    pixels: NDArray[np.int64],
    target: NDArray[np.integer],
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    shapes: NDArray[np.integer] | None = None,
) -> ClassicalDetector:
    """Support vector machine with a radial kernel.

    C and gamma are those with the best Kappa in a stratified cross-validation inside the training pixels; Platt's
    sigmoid, fitted on held-out decisions, makes probabilities of the decisions.

    Args:
        scene: the scene, or its measurement.
        pixels: flat (row-major) indices of the training pixels, int64 ``(n,)``.
        target: 1 changed, 0 unchanged, ``(n,)``.
        options: see :data:`SVM_OPTIONS`.
        seed: of the folds.
        shapes: number of the shape that each pixel was drawn with, ``(n,)``: no fold divides one.

    Raises:
        LabelError: a class has fewer than two pixels with data.

    Reference:
        Cortes and Vapnik 1995, doi:10.1007/BF00994018; Platt 1999, Probabilistic outputs for
        support vector machines
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    def learn(x: NDArray[np.float32], y: NDArray[np.int64], folds: Any) -> tuple[Any, dict[str, Any]]:
        grid = {"svc__C": [1.0, 10.0, 100.0], "svc__gamma": [g / x.shape[1] for g in (0.1, 0.3, 1.0, 3.0)]}
        model, best = _search(make_pipeline(StandardScaler(), SVC()), grid, x, y, folds)
        return CalibratedClassifierCV(model, method="sigmoid", cv=folds, ensemble=False).fit(x, y), best

    return _fit("svm", SVM_OPTIONS, learn, scene, pixels, target, options=options, seed=seed, shapes=shapes)


def fit_forest(
    scene: Scene,
    pixels: NDArray[np.int64],
    target: NDArray[np.integer],
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    shapes: NDArray[np.integer] | None = None,
) -> ClassicalDetector:
    """Random forest; arguments as in :func:`fit_svm`, options in :data:`FOREST_OPTIONS`.

    Reference:
        Breiman 2001, doi:10.1023/A:1010933404324
    """
    from sklearn.ensemble import RandomForestClassifier

    trees = choose_options(options, FOREST_OPTIONS, method="forest")["trees"]

    def learn(x: NDArray[np.float32], y: NDArray[np.int64], folds: Any) -> tuple[Any, dict[str, Any]]:
        return RandomForestClassifier(trees, random_state=seed, n_jobs=1).fit(x, y), {}

    return _fit("forest", FOREST_OPTIONS, learn, scene, pixels, target, options=options, seed=seed, shapes=shapes)


def fit_logistic(
    scene: Scene,
    pixels: NDArray[np.int64],
    target: NDArray[np.integer],
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    shapes: NDArray[np.integer] | None = None,
) -> ClassicalDetector:
    """Logistic regression, C by cross-validation; arguments as in :func:`fit_svm`, see :data:`LOGISTIC_OPTIONS`.

    Reference:
        Cox 1958, doi:10.1111/j.2517-6161.1958.tb00292.x
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def learn(x: NDArray[np.float32], y: NDArray[np.int64], folds: Any) -> tuple[Any, dict[str, Any]]:
        grid = {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
        return _search(make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)), grid, x, y, folds)

    return _fit(
        "logistic", LOGISTIC_OPTIONS, learn, scene, pixels, target, options=options, seed=seed, shapes=shapes
    )


def _search(
    model: Any, grid: dict[str, list[float]], x: NDArray[np.float32], y: NDArray[np.int64], folds: Any
) -> tuple[Any, dict[str, Any]]:
    """The model with the best Kappa over the folds, fitted on all, and its settings."""
    from sklearn.metrics import cohen_kappa_score, make_scorer
    from sklearn.model_selection import GridSearchCV

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fold with one class has no Kappa: it counts as 0
        search = GridSearchCV(model, grid, scoring=make_scorer(cohen_kappa_score), cv=folds, error_score=0.0)
        search.fit(x, y)
    return search.best_estimator_, {**search.best_params_, "validation_kappa": search.best_score_}


def _fit(
    method: str,
    defaults: Mapping[str, Any],
    learn: Callable[[NDArray[np.float32], NDArray[np.int64], Any], tuple[Any, dict[str, Any]]],
    scene: Scene,
    pixels: NDArray[np.int64],
    target: NDArray[np.integer],
    *,
    options: Mapping[str, Any] | None,
    seed: int,
    shapes: NDArray[np.integer] | None,
) -> ClassicalDetector:
    chosen = choose_options(options, defaults, method=method)
    _check_classes(target)
    measurement = measured(scene)
    frontend = fit_frontend(
        measurement, preparation(chosen), reach=chosen["reach"] if chosen["context"] == "bilateral" else 0
    )
    median = chosen["reach"] if chosen["context"] == "median" else 0
    untrained = ClassicalDetector(method, frontend, chosen["features"], median, None)
    with single_threaded():
        x = _training_features(untrained, measurement, pixels)
    known_pixels = np.isfinite(x).all(axis=1)
    x, y = x[known_pixels], np.asarray(target, dtype=np.int64)[known_pixels]
    _check_classes(y)
    folds = _folds(y, None if shapes is None else shapes[known_pixels], chosen["folds"], seed=seed)
    with single_threaded():
        classifier, best = learn(x, y, folds)
    found = tuple((name.split("__")[-1], float(value)) for name, value in best.items())
    return ClassicalDetector(method, frontend, chosen["features"], median, classifier, found)


def _folds(y: NDArray[np.int64], shapes: NDArray[np.integer] | None, wanted: int, *, seed: int) -> Any:
    """Stratified folds, as scikit-learn takes them; of whole shapes, where each class has two."""
    from sklearn.model_selection import StratifiedKFold

    parts = None if shapes is None else folds_by_shape(y, shapes, folds=wanted, seed=seed)
    if parts is not None:
        return [(np.flatnonzero(parts != part), np.flatnonzero(parts == part)) for part in range(parts.max() + 1)]
    count = min(wanted, int(np.bincount(y, minlength=2).min()))
    return StratifiedKFold(max(count, 2), shuffle=True, random_state=seed)


def preparation(options: Mapping[str, Any]) -> Preparation:
    """How spectra are prepared for these options."""
    projected = options["features"] in ("pca", "mnf")
    return Preparation(
        projection=options["features"] if projected else "none",
        components=options["components"],
        registration=options["registration"],
        drop_constant=options["drop_constant"],
        noise=options["context"] == "bilateral" and options["reach"] > 0,
    )


def _check_classes(target: NDArray[np.integer]) -> None:
    """Refuse labels that cannot be cross-validated.

    Raises:
        LabelError: with the counts.
    """
    unchanged, changed = int((target == 0).sum()), int((target == 1).sum())
    if min(unchanged, changed) < 2:
        raise LabelError(
            f"{unchanged} unchanged and {changed} changed training pixels: expected at least 2 of each; "
            "raise split.fraction or label more pixels"
        )


def _training_features(
    detector: ClassicalDetector, measurement: Measurement, pixels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Features of the training pixels, ``(n, features)``, in their own order."""
    rows, cols = measurement.pair.shape
    out: NDArray[np.float32] | None = None
    components = detector.frontend.of_scene(measurement)
    for block in progress(list(row_blocks(rows, cols)), desc="features", unit="block"):
        inside = np.flatnonzero((pixels >= block.start * cols) & (pixels < block.stop * cols))
        if inside.size == 0:
            continue
        features = detector.describe_components(*components.window(block, slice(0, cols), radius=detector.radius))
        components.let_go()
        if out is None:
            out = np.full((len(pixels), len(features)), np.nan, dtype=np.float32)
        out[inside] = features.reshape(len(features), -1)[:, pixels[inside] - block.start * cols].T
    if out is None:
        raise LabelError("no training pixel lies inside the scene: give pixel indices of this scene")
    return out


def classical_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> ClassicalDetector:
    """The detector that :meth:`ClassicalDetector.state` described; it computes on the CPU whatever ``device`` is.

    Raises:
        CheckpointError: parts are missing, or the classifier holds types that no method here makes.
    """
    with rebuilding("classifier"):
        frontend, median = frontend_from_state(state["frontend"]), whole(state["median"], "median", least=0)
        features, components = state["features"], frontend.transform.components
        if features not in FEATURES:
            raise ValueError(f"features {features!r}")
        classifier = classifier_from_bytes(state["classifier"].numpy().tobytes())
        wanted = {"difference": components, "stacked": 2 * components}.get(features, 3 * components)
        if classifier.n_features_in_ != wanted or list(classifier.classes_) != [0, 1]:
            raise ValueError(
                f"a classifier of {classifier.n_features_in_} features, not of {wanted} and two classes"
            )
        found = found_from_state(state["found"])
        return ClassicalDetector(str(state["method"]), frontend, features, median, classifier, found)
