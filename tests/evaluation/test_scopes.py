import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score, roc_auc_score

from hsi_cd.evaluation import RunResult, judge_map, scores_elsewhere
from hsi_cd.reporting.tables import score_table
from hsi_cd.scene import UNLABELLED, Labels

SHAPE = (12, 9)


def scene() -> tuple[Labels, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    truth = random.choice([0, 1, UNLABELLED], size=SHAPE).astype(np.uint8)
    score = random.random(SHAPE, dtype=np.float32)
    return Labels(truth), (score > 0.4).astype(np.uint8), score


def test_each_scope_is_scored_on_its_own_pixels() -> None:
    labels, change, score = scene()
    half = np.zeros(SHAPE, dtype=bool)
    half[:6] = True
    found = scores_elsewhere(change, labels, {"strict": half}, score=score, probability=score)
    where = half & (labels.values != UNLABELLED)
    truth = labels.values[where]
    assert found["strict/kappa"] == pytest.approx(cohen_kappa_score(truth, change[where]))
    assert found["strict/recall"] == pytest.approx(recall_score(truth, change[where]))
    assert found["strict/auc"] == pytest.approx(roc_auc_score(truth, score[where]))
    assert {"strict/ece", "strict/average_precision", "strict/oa"} <= set(found)


def test_a_scope_without_pixels_has_no_scores_and_makes_no_noise() -> None:
    labels, change, score = scene()
    found = scores_elsewhere(change, labels, {"strict": np.zeros(SHAPE, dtype=bool)}, score=score)
    assert all(math.isnan(value) for value in found.values())


def test_the_table_has_a_column_for_each_scope() -> None:
    labels, change, _ = scene()
    everywhere = scores_elsewhere(change, labels, {"all labelled": np.ones(SHAPE, dtype=bool)})
    result = judge_map(change, labels, dataset="fields", method="cva", details=everywhere)
    again = RunResult.from_dict(result.to_dict())
    header, kappa = (
        next(line for line in score_table(again).splitlines() if line.split()[:1] == [word])
        for word in ("score", "Kappa")
    )
    assert header.endswith("all labelled")
    assert kappa.split()[1] == kappa.split()[-1]  # without a split, the map is judged on all labelled pixels
