"""Results: what is written comes back, and nothing else is taken."""

import contextlib
import json
import math
from dataclasses import replace
from html.parser import HTMLParser

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
        ({"counts": {**FULL.to_dict()["counts"], "tpp": 1}}, r"result\.counts\.tpp is a key too many"),
        ({"counts": {"tn": 1, "fp": 2, "fn": 3, "tp": -4}}, r"result\.counts\.tp is '-4': expected greater"),
        ({"baselines": {"floor_oa": True, "floor_kappa": 0, "majority_oa": 0}}, r"result\.baselines\.floor_oa"),
        ({"versions": {"torch": 2}}, r"result\.versions\.torch is '2': expected a valid string"),
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


def test_what_has_a_default_is_missing_too():
    """A run writes every key: one that is absent was taken away, and is not read as its default."""
    data = FULL.to_dict()
    del data["counts"]["unscored"]
    counts = {"tn": 44_271, "fp": 5, "fn": 700, "tp": 17_395}
    with pytest.raises(FormatError, match=r"result\.counts\.unscored is missing"):
        RunResult.from_dict({**data, "counts": counts, "test": {"unchanged": 44_276, "changed": 18_095}})
    with pytest.raises(FormatError, match=r"result\.seed is missing"):
        RunResult.from_dict({key: value for key, value in FULL.to_dict().items() if key != "seed"})


def test_a_fact_is_of_any_kind_but_no_list():
    facts = {"text": "1", "whole": 1, "number": 1.0, "yes": True, "none": None}
    read = RunResult.from_dict({**FULL.to_dict(), "details": facts}).details
    assert [(name, type(value)) for name, value in read.items()] == [(n, type(v)) for n, v in facts.items()]
    with pytest.raises(FormatError, match=r"result\.details\.a is '\[\]': expected a valid string or .* boolean"):
        RunResult.from_dict({**FULL.to_dict(), "details": {"a": []}})


class Cells(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        assert not attrs
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_a_notebook_shows_scores_and_pixels():
    shown = Cells(FULL._repr_html_())
    assert shown.words[0] == (
        "siamese on farmland: protocol P1, seed 3; scored on 44,276 unchanged + 18,090 changed pixels (held-out); "
        "trained on 447 unchanged + 182 changed pixels; 5 labelled pixels have no prediction and enter no score"
    )
    at = shown.words.index("kappa")
    assert shown.words[at + 1 : at + 3] == [f"{FULL.scores['kappa']:.4f}", "0.7190"]
    assert shown.tags.count("tr") == 1 + len(FULL.scores)
    assert Cells(BARE._repr_html_()).words == [
        "unknown on map: protocol none; scored on 4 unchanged + 0 changed pixels (all labelled); "
        "only 4 unchanged + 0 changed pixels judge: fewer than 30 of a class say little",
        *["score", "this map", "oa", "1.0000", "kappa", "undefined"],
    ]


def test_no_text_of_a_result_is_an_element():
    evil = "<script>alert(1)</script>\"'&amp;"
    names = dict.fromkeys(("dataset", "method", "protocol", "scope"), evil)
    shown = Cells(replace(BARE, **names, scores={evil: 1.0})._repr_html_())
    assert set(shown.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert "".join(shown.words).count(evil) == 5


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
