"""Judging: confusion counts, scores, baselines, the result of a run, its table and its figure.

Stands on :mod:`hsi_cd.scene` alone. Every number comes from integer counts over labelled pixels, so the counts
of row bands, windows or processes add up to the counts of the scene.

The figure lives in :mod:`hsi_cd.evaluation.figures` and is not imported here: it loads matplotlib, which
counting pixels does not need.
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
from hsi_cd.evaluation.formats import results_table
from hsi_cd.evaluation.images import class_image, error_image, false_colour, stretch_limits
from hsi_cd.evaluation.intervals import bootstrap_pixels, bootstrap_seeds, mean_std
from hsi_cd.evaluation.judge import judge_map, scores_elsewhere
from hsi_cd.evaluation.result import ClassCounts, RunResult
from hsi_cd.evaluation.runs import find_runs, read_result
from hsi_cd.evaluation.scores import (
    SCORE_NAMES,
    UndefinedScoreWarning,
    all_scores,
    average_accuracy,
    f1,
    iou,
    kappa,
    kappa_standard_error,
    overall_accuracy,
    per_class_accuracy,
    precision,
    recall,
)
from hsi_cd.evaluation.significance import compare_maps, holm, mcnemar
from hsi_cd.evaluation.tables import SCORE_TITLES, confusion_table, score_table

__all__ = [
    "NO_DATA",
    "SCORE_NAMES",
    "SCORE_TITLES",
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
    "class_image",
    "compare_maps",
    "confusion_table",
    "coordinate_floor",
    "count_confusion",
    "error_image",
    "expected_calibration_error",
    "f1",
    "false_colour",
    "find_runs",
    "holm",
    "iou",
    "judge_map",
    "kappa",
    "kappa_standard_error",
    "majority_counts",
    "mcnemar",
    "mean_std",
    "measure_baselines",
    "overall_accuracy",
    "per_class_accuracy",
    "precision",
    "read_result",
    "recall",
    "reliability_curve",
    "results_table",
    "roc_auc",
    "score_table",
    "scores_elsewhere",
    "stretch_limits",
]
