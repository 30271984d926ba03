"""Results: what is written comes back, and nothing else is taken."""

import contextlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import FormatError
from hsi_cd.evaluation import Baselines, ClassCounts, ConfusionCounts, RunResult, all_scores

COUNTS = ConfusionCounts(tn=43_900, fp=376, fn=700, tp=17_390, unscored=5)
FULL = RunResult(
    dataset="farmland",
    method="siamese",
    protocol="P1",
    scope="held-out",
    seed=3,
    train=ClassCounts(447, 182),
    test=ClassCounts(44_276, 18_095),
    counts=COUNTS,
    scores=all_scores(COUNTS),
    baselines=Baselines(floor_oa=0.884, floor_kappa=0.719, majority_oa=0.71),
    threshold=0.4375,
    parameters=81_234,
    train_seconds=41.5,
    map_seconds=2.25,
    hardware="2 CPU cores",
    versions={"hsi-cd": "0.1.0", "torch": "2.6.0"},
    config="config.yaml",
    checkpoint="best.pt",
    split="split.npz",
    details={"epochs": 60, "best_epoch": 41, "stopped": False, "note": None},
)
BARE = RunResult(
    dataset="map",
    method="unknown",
    protocol="none",
    scope="all labelled",
    test=ClassCounts(4, 0),
    counts=ConfusionCounts(4, 0, 0, 0),
    scores={"oa": 1.0, "kappa": math.nan},
)


@pytest.mark.parametrize("result", [FULL, BARE], ids=["full", "bare"])
def test_round_trip_through_strict_json(result):
    text = json.dumps(result.to_dict(), allow_nan=False)
    back = RunResult.from_dict(json.loads(text))
    assert repr(back) == repr(result), "by repr, as NaN equals nothing"
    assert back.to_dict() == result.to_dict()


def test_nan_is_null():
    assert BARE.to_dict()["scores"] == {"oa": 1.0, "kappa": None}
    assert math.isnan(RunResult.from_dict(BARE.to_dict()).scores["kappa"])


def test_numbers_of_numpy_become_plain_ones():
    result = replace(FULL, seed=np.int64(3), threshold=np.float32(0.4375), details={"stopped": np.bool_(False)})
    written = result.to_dict()
    assert [type(written[key]) for key in ("seed", "threshold")] == [int, float]
    assert json.dumps(written["details"]) == '{"stopped": false}'


def test_the_order_of_the_scores_is_kept():
    assert list(FULL.to_dict()["scores"]) == list(FULL.scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2: this software reads version 1"),
        ({"version": None}, "version None"),
        ({"treshold": 0.5}, "did you mean 'threshold'"),
        ({"dataset": 7}, "result.dataset is '7': expected a valid string"),
        ({"seed": -1}, "result.seed"),
        ({"seed": True}, "result.seed"),
        ({"threshold": math.inf}, "result.threshold is 'inf': expected a finite number"),
        ({"counts": {"tn": 1}}, "result.counts.fp is missing"),
        ({"counts": [1, 2, 3, 4]}, "result.counts is .* expected an object"),
        ({"scores": {"oa": "high"}}, "result.scores.oa is 'high'"),
        ({"details": {"a": []}}, "result.details.a"),
        ({"test": {"unchanged": 1, "changed": 1}}, "62371 pixels for 2 test pixels"),
    ],
)
def test_anything_else_is_refused_on_one_line(change, message):
    with pytest.raises(FormatError, match=message) as caught:
        RunResult.from_dict({**FULL.to_dict(), **change})
    assert "\n" not in str(caught.value)


def test_missing_keys_are_named():
    data = FULL.to_dict()
    del data["method"]
    with pytest.raises(FormatError, match=r"result\.method is missing"):
        RunResult.from_dict(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(FULL.to_dict())), JSON)
def test_no_other_error_gets_out(key, value):
    with contextlib.suppress(FormatError):
        RunResult.from_dict({**FULL.to_dict(), key: value})


def test_counts_must_be_those_of_the_test_pixels():
    with pytest.raises(FormatError, match="count on the test pixels alone"):
        replace(FULL, counts=ConfusionCounts(1, 2, 3, 4))
