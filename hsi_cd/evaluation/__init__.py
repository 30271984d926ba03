"""Judging: confusion counts, scores, baselines, intervals, significance, and the result of a run.

Stands on :mod:`hsi_cd.scene` alone. Every number comes from integer counts over labelled pixels, so the counts
of row bands, windows or processes add up to the counts of the scene. Tables, figures and pages are made of it in
:mod:`hsi_cd.reporting`.
"""

from hsi_cd.evaluation.area_estimate import Estimate, MapAccuracy, estimate_accuracy
from hsi_cd.evaluation.area_result import BIASED, AreaEstimate, biased
from hsi_cd.evaluation.baselines import Baselines, coordinate_floor, majority_counts, measure_baselines
from hsi_cd.evaluation.continuous import (
    ReliabilityCurve,
    average_precision,
    expected_calibration_error,
    reliability_curve,
    roc_auc,
)
from hsi_cd.evaluation.counts import NO_DATA, ConfusionCounts, count_confusion
from hsi_cd.evaluation.drawn_scores import (
    DrawnScores,
    SaidOfChange,
    ShapeRates,
    known_share,
    score_drawn,
    shape_rates,
)
from hsi_cd.evaluation.headline import (
    BY_SHAPE,
    FEWEST_SHAPES,
    NOT_JUDGED,
    beside_headline,
    caution,
    facts_of_few_shapes,
    few_pixels,
    judged_shapes,
    judges,
    not_judged,
    shape_interval,
    stands_on_few,
)
from hsi_cd.evaluation.interval_areas import SeriesAreas
from hsi_cd.evaluation.intervals import Interval, bootstrap_pixels, bootstrap_seeds, mean_std
from hsi_cd.evaluation.judge import judge_map, scores_elsewhere
from hsi_cd.evaluation.judge_drawn import JudgingShapes, judge_drawn
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
    "BIASED",
    "BY_SHAPE",
    "FEWEST_SHAPES",
    "NOT_JUDGED",
    "NO_DATA",
    "SCORE_NAMES",
    "AreaEstimate",
    "Baselines",
    "ClassCounts",
    "ConfusionCounts",
    "DrawnScores",
    "Estimate",
    "Interval",
    "JudgingShapes",
    "MapAccuracy",
    "ReliabilityCurve",
    "RunResult",
    "SaidOfChange",
    "SeriesAreas",
    "ShapeRates",
    "UndefinedScoreWarning",
    "all_scores",
    "average_accuracy",
    "average_precision",
    "beside_headline",
    "biased",
    "bootstrap_pixels",
    "bootstrap_seeds",
    "caution",
    "compare_maps",
    "coordinate_floor",
    "count_confusion",
    "estimate_accuracy",
    "expected_calibration_error",
    "f1",
    "facts_of_few_shapes",
    "few_pixels",
    "higher_is_better",
    "holm",
    "iou",
    "judge_drawn",
    "judge_map",
    "judged_apart",
    "judged_shapes",
    "judges",
    "kappa",
    "kappa_standard_error",
    "known_share",
    "majority_counts",
    "mcnemar",
    "mean_std",
    "measure_baselines",
    "not_judged",
    "overall_accuracy",
    "per_class_accuracy",
    "precision",
    "recall",
    "reliability_curve",
    "roc_auc",
    "score_drawn",
    "scores_elsewhere",
    "shape_interval",
    "shape_rates",
    "stands_on_few",
]
