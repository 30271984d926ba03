"""Judging a map under every protocol: what is scored, and what the result says of it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hsi_cd.errors import GridError
from hsi_cd.evaluation import ClassCounts, RunResult, judge_map
from hsi_cd.reporting.tables import score_table
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


def test_kinds_of_change_have_their_recall():
    kinds = np.array([[9, 9, 2, 2], [9, 9, 5, 5]])
    labels = replace(TRUTH, kinds=kinds)
    result = judge_map(CHANGE, labels, dataset="d", method="m", details={"note": "kept"})
    assert {name: value for name, value in result.details.items() if name != "judged_pixels"} == {
        "note": "kept",
        "kind 2/recall": 0.5,
        "kind 2/pixels": 2,
        "kind 5/recall": 1.0,
        "kind 5/pixels": 2,
    }
    # The recall of all change is the mean of the kinds', weighted by their pixels.
    assert result.scores["recall"] == (0.5 * 2 + 1.0 * 2) / 4
    table = score_table(result)
    assert "kind of change" in table and "kind 5" in table and "0.5000" in table
    assert score_table(result.to_dict()) == table


def test_a_kind_counts_only_where_it_judges():
    kinds = np.array([[9, 9, 2, 2], [9, 9, 5, 5]])
    change = CHANGE.copy()
    change[1, 2:] = 255
    split = Split("P1", 3, (2, 4), np.array([0, 3]))
    result = judge_map(change, replace(TRUTH, kinds=kinds), dataset="d", method="m", split=split)
    assert result.details["kind 2/recall"] == 1.0 and result.details["kind 2/pixels"] == 1
    assert math.isnan(result.details["kind 5/recall"]) and result.details["kind 5/pixels"] == 0
    assert "undefined" in score_table(RunResult.from_dict(result.to_dict()))


def test_one_kind_is_no_kind():
    assert list(judge(None).details) == ["judged_pixels"]
    assert "kind" not in score_table(judge(None))
