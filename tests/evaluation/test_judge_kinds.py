"""A map of kinds judged by a truth of kinds: beside the binary scores, kept, and old results read as ever."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics
from sklearn.neighbors import KNeighborsClassifier

from hsi_cd.errors import FormatError, LabelError
from hsi_cd.evaluation import RunResult, judge_map, merged, scores_elsewhere
from hsi_cd.reporting.tables import score_table
from hsi_cd.scene import Labels, LabelScheme, Split

NAMES = ("soil to grass", "cut", "flooded")
KINDS = dict(enumerate(NAMES, start=1))


def scene():
    """Truth with kinds 2, 5 and 9, a map with errors and holes, and a split."""
    random = np.random.default_rng(3)
    stored = random.choice([0, 2, 5, 9], p=[0.6, 0.2, 0.15, 0.05], size=(40, 30))
    labels = Labels(
        np.where(random.random(stored.shape) < 0.1, 255, stored > 0).astype(np.uint8),
        scheme=LabelScheme((0,), (2, 5, 9)),
        kinds=stored,
        kind_names=NAMES,
    )
    change = np.where(
        random.random(stored.shape) < 0.2, random.integers(0, 4, stored.shape), labels.kind_numbers()
    )
    change = np.where(labels.values == 255, 0, change).astype(np.uint8)
    change[0, :5] = 255
    labelled = np.flatnonzero(labels.values.ravel() != 255)
    return labels, change, Split("P1", 4, stored.shape, np.sort(random.permutation(labelled)[:60]))


LABELS, CHANGE, SPLIT = scene()


def judge(**facts) -> RunResult:
    return judge_map(CHANGE, LABELS, dataset="d", method="m", split=SPLIT, kinds=KINDS, **facts)


def test_the_binary_result_is_that_of_merged_kinds():
    alone = judge_map(merged(CHANGE), LABELS, dataset="d", method="m", split=SPLIT)
    assert replace(judge(), kinds=None) == alone and alone.kinds is None


def test_kinds_are_judged_on_the_pixels_that_judge():
    result, numbers = judge(), LABELS.kind_numbers()
    judged = SPLIT.test_mask(LABELS) & (CHANGE != 255)
    truth, change = numbers[judged], CHANGE[judged]
    assert np.array_equal(result.kinds.confusion.table, metrics.confusion_matrix(truth, change))
    assert result.kinds.confusion.unscored == result.counts.unscored > 0
    assert result.kinds.scores["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, change))
    assert result.kinds.score("f1/cut") == pytest.approx(metrics.f1_score(truth == 2, change == 2))
    assert result.kinds.names == ("unchanged", *NAMES)
    assert result.kinds.train == tuple(np.bincount(numbers.ravel()[SPLIT.train], minlength=4))
    assert sum(result.kinds.train) == 60


def test_the_floors_are_those_of_rows_and_columns():
    numbers, test = LABELS.kind_numbers(), SPLIT.test_mask(LABELS)
    nearest = KNeighborsClassifier(n_neighbors=1)
    nearest.fit(np.argwhere(SPLIT.train_mask()), numbers[SPLIT.train_mask()])
    floor, truth = nearest.predict(np.argwhere(test)), numbers[test]
    found = judge().kinds.baselines
    assert found.floor_oa == pytest.approx(metrics.accuracy_score(truth, floor))
    assert found.floor_kappa == pytest.approx(metrics.cohen_kappa_score(truth, floor))
    assert found.floor_f1_macro == pytest.approx(metrics.f1_score(truth, floor, average="macro"))
    assert found.majority_oa == pytest.approx(np.bincount(truth).max() / len(truth))


def test_without_training_there_is_no_floor():
    split = Split("P4", 0, LABELS.shape, np.empty(0, np.int64))
    kinds = judge_map(CHANGE, LABELS, dataset="d", method="m", split=split, kinds=KINDS).kinds
    assert math.isnan(kinds.baselines.floor_kappa) and kinds.baselines.majority_oa > 0 and kinds.train is None


def test_a_result_is_written_and_read_back():
    result = judge()
    assert RunResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_a_kind_that_nobody_judges_is_null_in_the_file():
    named = replace(LABELS, scheme=LabelScheme((0,), (2, 5, 9, 11)), kind_names=(*NAMES, "burnt"))
    result = judge_map(CHANGE, named, dataset="d", method="m", split=SPLIT, kinds={**KINDS, 4: "burnt"})
    told = result.to_dict()["kinds"]["classes"][4]
    assert told == dict.fromkeys(("precision", "recall", "f1", "iou"))
    again = RunResult.from_dict(result.to_dict())
    assert math.isnan(again.kinds.classes[4].f1)
    assert "burnt: no scored pixel is of it" in score_table(again)
    assert again.kinds.scores == judge().kinds.scores


def test_results_without_kinds_are_written_and_read_as_ever():
    alone = judge_map(merged(CHANGE), LABELS, dataset="d", method="m", split=SPLIT).to_dict()
    assert "kinds" not in alone
    assert RunResult.from_dict(alone).kinds is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kinds: kinds.pop("names"), "result.kinds.names is missing"),
        (lambda kinds: kinds["names"].append("x"), "classes of one map"),
        (lambda kinds: kinds["confusion"]["table"][1].pop(), "expected a square"),
        (lambda kinds: kinds["confusion"]["table"][1].__setitem__(1, 0), "not that of these counts"),
        (lambda kinds: kinds.update(more=1), "a key too many"),
    ],
)
def test_a_damaged_result_is_refused(change, message):
    told = json.loads(json.dumps(judge().to_dict()))
    change(told["kinds"])
    with pytest.raises(FormatError, match=message):
        RunResult.from_dict(told)


def test_a_truth_of_two_classes_judges_no_kinds():
    labels = Labels(LABELS.values)
    result = judge_map(CHANGE, labels, dataset="d", method="m", split=SPLIT, kinds=KINDS)
    assert result.kinds is None and result.counts == judge().counts


def test_a_kind_beyond_those_of_the_truth_is_a_class_of_its_own():
    change = np.where(CHANGE == 3, 5, CHANGE).astype(np.uint8)
    result = judge_map(change, LABELS, dataset="d", method="m", kinds={**KINDS, 5: "fifth"})
    assert result.kinds.names == ("unchanged", *NAMES, "kind 4", "fifth")
    assert math.isnan(result.kinds.score("f1/fifth")) and result.kinds.score("recall/flooded") < 0.2
    with pytest.raises(LabelError, match="unexpected values 5"):
        judge_map(change, LABELS, dataset="d", method="m", kinds=KINDS)


def test_other_pixels_have_their_scores_of_kinds():
    where = np.zeros(LABELS.shape, bool)
    where[20:] = True
    found = scores_elsewhere(CHANGE, LABELS, {"strict": where}, kinds=KINDS)
    own = judge_map(CHANGE[20:], crop(20), dataset="d", method="m", kinds=KINDS)
    assert found["strict/kinds/f1_macro"] == own.kinds.scores["f1_macro"]
    assert found["strict/kappa"] == own.scores["kappa"]
    alone = scores_elsewhere(merged(CHANGE), LABELS, {"strict": where})
    assert alone == {name: value for name, value in found.items() if "/kinds/" not in name}


def crop(rows: int) -> Labels:
    return replace(LABELS, values=LABELS.values[rows:], kinds=LABELS.kinds[rows:])


def test_the_table_lines_up_and_tells_everything():
    elsewhere = scores_elsewhere(CHANGE, LABELS, {"strict": LABELS.values < 2}, kinds=KINDS)
    text = score_table(judge(details=elsewhere))
    assert "kinds of change: 3 and the unchanged, 4 classes" in text
    row = next(line for line in text.splitlines() if line.startswith("  soil to grass"))
    kinds = judge().kinds
    cells = row.split("   ")[1:]
    assert f"{kinds.classes[1].precision:.4f}" in row and f"{kinds.confusion.truth[1]:,}" in row and len(cells) > 6
    macro = next(line for line in text.splitlines() if line.startswith("  Macro F1"))
    assert macro.split()[2:] == [
        f"{value:.4f}" if value is not None else "-"
        for value in (kinds.scores["f1_macro"], kinds.baselines.floor_f1_macro, None)
    ] + [f"{elsewhere['strict/kinds/f1_macro']:.4f}"]
    assert "3 flooded" in text and "few pixels judge" not in text
    few = score_table(judge_map(CHANGE[25:], crop(25), dataset="d", method="m", kinds=KINDS))
    assert "few pixels judge flooded (" in few
    assert "kind of change" not in text  # the recalls of a map of two classes


def test_what_is_mapped_and_not_judged_is_told():
    result = replace(judge(), kinds=None, details={"kinds_not_judged": "mapped and not judged: so it is"})
    assert "  kinds of change   mapped and not judged: so it is" in score_table(result)
