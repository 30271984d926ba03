"""The terminal's table: content, columns, units."""

import math
from dataclasses import replace

import pytest

from hsi_cd.errors import UnknownNameError
from hsi_cd.evaluation import Baselines, ClassCounts, ConfusionCounts, RunResult, all_scores
from hsi_cd.reporting.tables import score_table

COUNTS = ConfusionCounts(tn=43_900, fp=376, fn=700, tp=17_395)
RUN = RunResult(
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
)
EXPECTED = r"""
farmland: siamese
  protocol     P1, seed 3
  trained on   447 unchanged + 182 changed pixels
  scored on    44,276 unchanged + 18,095 changed pixels: held-out
  threshold    0.4375
  parameters   81,234
  time         train 41.5 s, map 2.2 s (2 CPU cores)

  score                 this map   coordinate floor   majority class
  ------------------------------------------------------------------
  OA (%)                   98.27              88.40            71.00
  AA (%)                   97.64                  -                -
  Kappa                   0.9579             0.7190                -
  F1                      0.9700                  -                -
  Precision               0.9788                  -                -
  Recall                  0.9613                  -                -
  IoU                     0.9417                  -                -
  Accuracy, unchanged     0.9915                  -                -
  Accuracy, changed       0.9613                  -                -

  truth \ map   unchanged   changed      sum
  ------------------------------------------
  unchanged        43,900       376   44,276
  changed             700    17,395   18,095
  sum              44,600    17,771   62,371
"""


def test_the_whole_table():
    assert score_table(RUN) == EXPECTED.strip("\n")


def test_a_result_and_its_dictionary_give_one_table():
    assert score_table(RUN.to_dict()) == score_table(RUN)


def test_the_user_chooses_what_is_in_percent():
    table = score_table(RUN, percent=("kappa",))
    assert "Kappa (%)" in table
    assert "95.79" in table
    assert "0.9827" in table


def test_a_wrong_score_name_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'kappa'"):
        score_table(RUN, percent=("kapa",))


def test_without_training_and_baselines():
    bare = RunResult(
        dataset="map.tif",
        method="given map",
        protocol="none",
        scope="all labelled",
        test=ClassCounts(4, 2),
        counts=ConfusionCounts(4, 0, 0, 0, unscored=2),
        scores={"oa": 1.0, "kappa": math.nan},
    )
    table = score_table(bare)
    assert "floor" not in table
    assert "trained on" not in table
    assert "undefined" in table
    assert "2 labelled pixels have no prediction" in table


def test_more_scores_follow_the_known_ones():
    table = score_table(replace(RUN, scores={"roc_auc": 0.987, "own": 0.5, **RUN.scores}))
    lines = [line.split("  ")[1] for line in table.splitlines() if line.startswith("  ")]
    assert lines.index("Accuracy, changed") < lines.index("ROC AUC") < lines.index("own")


def test_ascii_alone_and_no_trailing_blanks():
    table = score_table(RUN)
    assert table.isascii()
    assert all(line == line.rstrip() for line in table.splitlines())
