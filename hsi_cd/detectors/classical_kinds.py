"""Kinds of change that labels teach a classifier, beside the one that says what changed, on the same features."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.classifiers import best_by_kappa, classifier_bytes, classifier_from_bytes
from hsi_cd.detectors.pixel_features import PixelFeatures
from hsi_cd.detectors.states import kind_table_from_state, kind_table_state
from hsi_cd.errors import LabelError
from hsi_cd.prepare.measurement import Scene, measured
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.scene import KindTable

if TYPE_CHECKING:
    from hsi_cd.detectors.classical import ClassicalDetector

_FOLDS = 5


@dataclass(frozen=True)
class ClassicalKinds:
    """A classifier of scikit-learn that tells kinds of change apart.

    Attributes:
        features: what it sees of a pixel.
        classifier: fitted on changed pixels; its classes are the numbers of the kinds.
        table: what the kinds are called.
    """

    features: PixelFeatures
    classifier: Any
    table: KindTable

    @property
    def count(self) -> int:
        """Number of kinds."""
        return self.table.count

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its kind depends on."""
        return self.features.radius

    def of_window(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Kinds of a mirror-padded window; see :meth:`hsi_cd.detectors.base.KindModel.of_window`."""
        chances = self.probabilities(t1, t2)
        known = np.isfinite(chances[0])
        return np.where(known, 1 + np.argmax(chances, axis=0), 0).astype(np.uint8)

    def probabilities(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of each kind given change; of an SVM the softmax of its decisions, uncalibrated."""
        return self.features.told(self.chances, self.count, (t1, t2))

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`kinds_from_state` builds it again; the features are given."""
        stored = torch.frombuffer(classifier_bytes(self.classifier), dtype=torch.uint8)
        return {"classifier": stored, "table": kind_table_state(self.table)}

    def chances(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """The same of features ``(n, features)``: ``(n, kinds)``."""
        if hasattr(self.classifier, "predict_proba"):
            said: NDArray[np.float64] = self.classifier.predict_proba(x)
            return said
        decided = self.classifier.decision_function(x)
        if decided.ndim == 1:  # of two kinds, how far it is on the side of the second
            decided = np.stack([-decided, decided], axis=1) / 2
        powers = np.exp(decided - decided.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares


def fit_classical_kinds(
    fitted: ClassicalDetector,
    scene: Scene,
    pixels: NDArray[np.int64],
    kinds: NDArray[np.integer],
    *,
    table: KindTable,
    seed: int = 0,
) -> ClassicalDetector:
    """Teach a classical detector kinds of change; what it says of change stays as it is.

    A second classifier of its family learns from the changed pixels alone, each kind weighing as much as another
    however many pixels it has. Its settings are those with the best Kappa in five stratified folds; a kind with
    fewer pixels than folds is in some of them only, and one with a single pixel teaches all the same.

    Args:
        fitted: the detector.
        scene: the scene, or its measurement.
        pixels: flat (row-major) indices of changed training pixels, int64 ``(n,)``.
        kinds: number of the kind of each, from 1, ``(n,)``.
        table: what the kinds are called.
        seed: of the folds, and of a forest.

    Raises:
        LabelError: a kind has no pixel with data.
    """
    with single_threaded():
        x = fitted.described.of_pixels(measured(scene), pixels)
    known = np.isfinite(x).all(axis=1)
    x, y = x[known], np.asarray(kinds, dtype=np.int64)[known]
    counted = np.bincount(y, minlength=table.count + 1)[1:]
    if (counted == 0).any():
        missing = [name for name, count in zip(table.names, counted.tolist(), strict=True) if not count]
        raise LabelError(
            f"no training pixel with data is of the kind {', '.join(missing)}: let pixels of it teach"
        )
    with single_threaded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few pixels for so many kinds: rare ones are meant
        classifier = _learn(
            fitted.method, x, y, trees=len(getattr(fitted.classifier, "estimators_", ())), seed=seed
        )
    return replace(fitted, kinds=ClassicalKinds(fitted.described, classifier, table))


def _learn(method: str, x: NDArray[np.float32], y: NDArray[np.int64], *, trees: int, seed: int) -> Any:
    """The classifier of kinds of a method, fitted."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if method == "forest":
        return RandomForestClassifier(trees, random_state=seed, n_jobs=1, class_weight="balanced").fit(x, y)
    if method == "svm":
        model = make_pipeline(
            StandardScaler(), SVC(C=10.0, class_weight="balanced")
        )  # C where nothing is held out
        grid = {"svc__C": [1.0, 10.0, 100.0], "svc__gamma": [g / x.shape[1] for g in (0.1, 0.3, 1.0, 3.0)]}
    else:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, class_weight="balanced"))
        grid = {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
    count = min(_FOLDS, int(np.bincount(y).max()))
    if count < 2:
        return model.fit(x, y)
    return best_by_kappa(model, grid, x, y, StratifiedKFold(count, shuffle=True, random_state=seed))[0]


def kinds_from_state(state: Mapping[str, Any], features: PixelFeatures) -> ClassicalKinds:
    """The kinds that :meth:`ClassicalKinds.state` described.

    Raises:
        ValueError, KeyError, TypeError: they do not make sense.
    """
    table = kind_table_from_state(state["table"])
    classifier = classifier_from_bytes(state["classifier"].numpy().tobytes())
    if classifier.n_features_in_ != features.count or list(classifier.classes_) != list(range(1, table.count + 1)):
        raise ValueError(f"a classifier of other features or kinds than {features.count} and {table.count}")
    return ClassicalKinds(features, classifier, table)
