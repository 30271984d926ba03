"""Few labels, no network: support vectors, random forests, logistic regression on features of both dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.classical_kinds import ClassicalKinds, kinds_from_state
from hsi_cd.detectors.classifiers import (
    best_by_kappa,
    classifier_bytes,
    classifier_from_bytes,
    count_parameters,
)
from hsi_cd.detectors.frontend import Frontend, fit_frontend
from hsi_cd.detectors.method_options import choose_options
from hsi_cd.detectors.pixel_features import PixelFeatures, features_from_state
from hsi_cd.detectors.states import found_from_state, rebuilding
from hsi_cd.errors import CheckpointError, LabelError
from hsi_cd.prepare.drawn_shapes import folds_by_shape
from hsi_cd.prepare.measurement import Preparation, Scene, measured
from hsi_cd.prepare.single_threaded import single_threaded
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
        described: what the classifier sees of a pixel.
        classifier: fitted, with ``predict_proba``.
        found: what cross-validation chose, for the result's record.
        kinds: tells kinds of change apart, where labels taught them.
    """

    method: str
    described: PixelFeatures
    classifier: Any
    found: tuple[tuple[str, float], ...] = ()
    kinds: ClassicalKinds | None = None

    unit = "probability"
    threshold = 0.5

    @property
    def frontend(self) -> Frontend:
        """From stored values to components."""
        return self.described.frontend

    @property
    def bands(self) -> Bands:
        """The bands it was fitted on."""
        return self.frontend.bands

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its score depends on."""
        return self.described.radius

    def score(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change probabilities; see :meth:`hsi_cd.detectors.base.Detector.score`."""
        found: NDArray[np.float32] = self.described.told(self.classifier.predict_proba, 2, (t1, t2))[1]
        return found

    def score_and_kinds(
        self, t1: NDArray[np.float32], t2: NDArray[np.float32], *, threshold: float
    ) -> NDArray[np.float32]:
        """Change probabilities, and the kinds of what changed, of features that are made once.

        Args:
            t1: as for :meth:`score`.
            t2: the later date.
            threshold: probability from which a pixel counts as changed.

        Returns:
            float32 ``(2, h, w)``: probabilities, then numbers of kinds, 0 where a pixel has not changed; NaN where
            either date has no data.

        Raises:
            CheckpointError: it has learned no kinds.
        """
        kinds = self.kinds
        if kinds is None:
            raise CheckpointError(f"{self.method} was trained without kinds of change: train it with kinds=True")

        def say(x: NDArray[np.float32]) -> NDArray[np.float32]:
            said = np.zeros((len(x), 2), dtype=np.float32)
            said[:, 0] = self.classifier.predict_proba(x)[:, 1]
            changed = said[:, 0] >= threshold
            if changed.any():
                said[changed, 1] = 1 + kinds.chances(x[changed]).argmax(axis=1)
            return said

        return self.described.told(say, 2, (t1, t2))

    def probability(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score is a probability already."""
        return score

    def parameters(self) -> int:
        """Number of fitted numbers: support vectors with their weights, tree nodes, or coefficients."""
        own = count_parameters(self.classifier)
        return own if self.kinds is None else own + count_parameters(self.kinds.classifier)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`classical_from_state` builds the detector again.

        The classifier is in skops's format (a zip of JSON and arrays, no pickle), as bytes.
        """
        return {
            "method": self.method,
            **self.described.state(),
            "classifier": torch.frombuffer(classifier_bytes(self.classifier), dtype=torch.uint8),
            "found": dict(self.found),
            **({} if self.kinds is None else {"kinds": self.kinds.state()}),
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
        model, best = best_by_kappa(make_pipeline(StandardScaler(), SVC()), grid, x, y, folds)
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
        return best_by_kappa(make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)), grid, x, y, folds)

    return _fit(
        "logistic", LOGISTIC_OPTIONS, learn, scene, pixels, target, options=options, seed=seed, shapes=shapes
    )


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
    described = PixelFeatures(frontend, chosen["features"], median)
    with single_threaded():
        x = described.of_pixels(measurement, pixels)
    known_pixels = np.isfinite(x).all(axis=1)
    x, y = x[known_pixels], np.asarray(target, dtype=np.int64)[known_pixels]
    _check_classes(y)
    folds = _folds(y, None if shapes is None else shapes[known_pixels], chosen["folds"], seed=seed)
    with single_threaded():
        classifier, best = learn(x, y, folds)
    found = tuple((name.split("__")[-1], float(value)) for name, value in best.items())
    return ClassicalDetector(method, described, classifier, found)


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


def classical_from_state(state: Mapping[str, Any], *, device: torch.device | None = None) -> ClassicalDetector:
    """The detector that :meth:`ClassicalDetector.state` described; it computes on the CPU whatever ``device`` is.

    Raises:
        CheckpointError: parts are missing, or the classifier holds types that no method here makes.
    """
    with rebuilding("classifier"):
        described = features_from_state(state)
        classifier = classifier_from_bytes(state["classifier"].numpy().tobytes())
        if classifier.n_features_in_ != described.count or list(classifier.classes_) != [0, 1]:
            raise ValueError(
                f"a classifier of {classifier.n_features_in_} features, not of {described.count} and two classes"
            )
        found = found_from_state(state["found"])
        kinds = kinds_from_state(state["kinds"], described) if "kinds" in state else None
        return ClassicalDetector(str(state["method"]), described, classifier, found, kinds)
