"""Judging: confusion counts, scores, baselines, intervals, significance, and the result of a run.

Stands on :mod:`hsi_cd.scene` alone. Every number comes from integer counts over labelled pixels, so the counts
of row bands, windows or processes add up to the counts of the scene. Tables, figures and pages are made of it in
:mod:`hsi_cd.reporting`.
"""

from hsi_cd.evaluation.baselines import Baselines, coordinate_floor, majority_counts, measure_baselines
from hsi_cd.evaluation.continuous import (
    ReliabilityCurve,
    average_precision,
    expected_calibration_error,
    reliability_curve,
    roc_auc,
)
from hsi_cd.evaluation.counts import NO_DATA, ConfusionCounts, count_confusion
from hsi_cd.evaluation.intervals import bootstrap_pixels, bootstrap_seeds, mean_std
from hsi_cd.evaluation.judge import judge_map, scores_elsewhere
from hsi_cd.evaluation.judged_pixels import judged_apart
from hsi_cd.evaluation.result import ClassCounts, RunResult
from hsi_cd.evaluation.scores import (
    SCORE_NAMES,
    UndefinedScoreWarning,
    all_scores,
    average_accuracy,
    f1,
    higher_is_better,
    iou,
    kappa,
    kappa_standard_error,
    overall_accuracy,
    per_class_accuracy,
    precision,
    recall,
)
from hsi_cd.evaluation.significance import compare_maps, holm, mcnemar

__all__ = [
    "NO_DATA",
    "SCORE_NAMES",
    "Baselines",
    "ClassCounts",
    "ConfusionCounts",
    "ReliabilityCurve",
    "RunResult",
    "UndefinedScoreWarning",
    "all_scores",
    "average_accuracy",
    "average_precision",
    "bootstrap_pixels",
    "bootstrap_seeds",
    "compare_maps",
    "coordinate_floor",
    "count_confusion",
    "expected_calibration_error",
    "f1",
    "higher_is_better",
    "holm",
    "iou",
    "judge_map",
    "judged_apart",
    "kappa",
    "kappa_standard_error",
    "majority_counts",
    "mcnemar",
    "mean_std",
    "measure_baselines",
    "overall_accuracy",
    "per_class_accuracy",
    "precision",
    "recall",
    "reliability_curve",
    "roc_auc",
    "scores_elsewhere",
]
