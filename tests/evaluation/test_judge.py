"""Judging a map under every protocol: what is scored, and what the result says of it."""

import math

import numpy as np
import pytest

from hsi_cd.errors import GridError
from hsi_cd.evaluation import ClassCounts, RunResult, judge_map
from hsi_cd.scene import Labels, Split

TRUTH = Labels(np.array([[0, 0, 1, 1], [0, 255, 1, 1]], np.uint8))
CHANGE = np.array([[0, 1, 1, 0], [0, 1, 1, 1]], np.uint8)


def judge(split, **facts) -> RunResult:
    return judge_map(CHANGE, TRUTH, dataset="d", method="m", split=split, **facts)


def test_held_out():
    result = judge(Split("P1", 3, (2, 4), np.array([0, 3])))
    assert (result.protocol, result.scope, result.seed) == ("P1", "held-out", 3)
    assert (result.train, result.test) == (ClassCounts(1, 1), ClassCounts(2, 3))
    assert (result.counts.tn, result.counts.fp, result.counts.fn, result.counts.tp) == (1, 1, 0, 3)
    assert result.scores["oa"] == 0.8


def test_the_guard_judges_nothing():
    guard = np.zeros((2, 4), bool)
    guard[0, 1:] = True
    result = judge(Split("P1-strict", 3, (2, 4), np.array([0, 3]), guard))
    assert result.scope == "held-out, beyond the guard"
    assert (result.test, result.scores["oa"]) == (ClassCounts(1, 2), 1.0)


def test_nothing_taught():
    result = judge(Split("P4", 0, (2, 4), np.empty(0, np.int64)))
    assert (result.protocol, result.scope, result.train) == ("P4", "all labelled", None)
    assert result.test == ClassCounts(3, 4)
    assert math.isnan(result.baselines.floor_oa)
    assert result.baselines.majority_oa == 4 / 7
    assert RunResult.from_dict(result.to_dict()).to_dict() == result.to_dict()


def test_without_a_split_all_labelled_pixels_judge():
    result = judge(None, train_seconds=2.0)
    assert (result.protocol, result.scope, result.baselines, result.train_seconds) == (
        "none",
        "all labelled",
        None,
        2,
    )
    assert result.test == ClassCounts(3, 4)


def test_a_map_of_another_scene_is_refused():
    with pytest.raises(GridError, match="4 x 2 pixels but the truth"):
        judge_map(CHANGE.T, TRUTH, dataset="d", method="m")
