"""Classifiers of scikit-learn: their settings chosen, and fitted ones as bytes that hold no pickle."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What a saved classifier may hold besides what skops trusts by itself; anything else is refused unread.
_TRUSTED = [
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.tree._tree.Tree",  # compiled code that follows its node numbers unchecked: see _check_trees
]


def classifier_bytes(classifier: Any) -> bytearray:
    """A fitted classifier in skops's format: a zip of JSON and arrays, which runs nothing when it is read."""
    from skops.io import dumps

    return bytearray(dumps(classifier))


def classifier_from_bytes(stored: bytes) -> Any:
    """The classifier that :func:`classifier_bytes` stored.

    Raises:
        ValueError: it is damaged, or holds types that no method here makes.
    """
    from skops.io import load

    try:
        classifier = load(io.BytesIO(stored), trusted=_TRUSTED)
    except Exception as error:  # skops raises whatever the damaged or forged part of the archive provokes
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    _check_numbers(classifier)
    _check_trees(classifier)
    return classifier


def count_parameters(classifier: Any) -> int:
    """Fitted numbers: support vectors with their weights, nodes of trees, or coefficients."""
    if hasattr(classifier, "calibrated_classifiers_"):
        inner = classifier.calibrated_classifiers_[0].estimator
        return count_parameters(inner) + 2
    if hasattr(classifier, "steps"):
        return count_parameters(classifier.steps[-1][1])
    if hasattr(classifier, "estimators_"):
        return int(sum(tree.tree_.node_count for tree in classifier.estimators_))
    if hasattr(classifier, "support_vectors_"):
        return int(classifier.support_vectors_.size + classifier.dual_coef_.size + 1)
    return int(classifier.coef_.size + 1)


def best_by_kappa(
    model: Any, grid: Mapping[str, Sequence[float]], x: NDArray[np.float32], y: NDArray[np.int64], folds: Any
) -> tuple[Any, dict[str, Any]]:
    """The model with the best Kappa over the folds, fitted on all, and its settings."""
    from sklearn.metrics import cohen_kappa_score, make_scorer
    from sklearn.model_selection import GridSearchCV

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fold with one class has no Kappa: it counts as 0
        search = GridSearchCV(model, grid, scoring=make_scorer(cohen_kappa_score), cv=folds, error_score=0.0)
        search.fit(x, y)
    return search.best_estimator_, {**search.best_params_, "validation_kappa": search.best_score_}


def _check_numbers(part: Any) -> None:
    """Refuse numbers that are none or infinite, wherever they stand: they would make maps without a pixel.

    Raises:
        ValueError: there is one.
    """
    if isinstance(part, np.ndarray | np.floating | float):
        values = np.asarray(part)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError("the classifier holds what is no finite number")
        inner: Iterable[Any] = values if values.dtype == object else ()
    elif isinstance(part, list | tuple):
        inner = part
    elif isinstance(part, dict):
        inner = part.values()
    elif hasattr(part, "node_count"):
        inner = (part.threshold, part.value)
    else:
        inner = getattr(part, "__dict__", {}).values()
    for each in inner:
        _check_numbers(each)


def _check_trees(classifier: Any) -> None:
    """Refuse trees whose nodes point outside of them or back, which would read foreign memory or never end.

    Raises:
        ValueError: with the number of the tree.
    """
    for number, member in enumerate(getattr(classifier, "estimators_", [])):
        tree = member.tree_
        own = np.arange(tree.node_count)
        left, right = tree.children_left, tree.children_right
        inner = left != -1
        sound = (left[inner] > own[inner]) & (right[inner] > own[inner])
        sound &= (left[inner] < tree.node_count) & (right[inner] < tree.node_count)
        sound &= (tree.feature[inner] >= 0) & (tree.feature[inner] < classifier.n_features_in_)
        if not sound.all() or tree.n_features != classifier.n_features_in_:
            raise ValueError(f"tree {number} has nodes that point nowhere")
