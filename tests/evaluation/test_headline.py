"""No headline stands on few pixels, or on few shapes, without saying so, wherever it is printed."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest

from hsi_cd.evaluation import ClassCounts, ConfusionCounts, RunResult, all_scores, caution, shape_interval
from hsi_cd.reporting.comparison import compare_results
from hsi_cd.reporting.formats import FORMATS, results_table
from hsi_cd.reporting.html.page import report_page
from hsi_cd.reporting.html.run_section import ReportRun
from hsi_cd.reporting.label_curves import Point, curve_tables
from hsi_cd.reporting.tables import score_in_list, score_table


def run(unchanged: int, changed: int, method: str = "siamese", **facts: object) -> RunResult:
    counts = ConfusionCounts(tn=unchanged - 1, fp=1, fn=1, tp=changed - 1)
    told: dict[str, object] = {"protocol": "P1", "scope": "held-out", "seed": 0, "scores": all_scores(counts)}
    test = ClassCounts(unchanged, changed)
    return RunResult(dataset="scene", method=method, counts=counts, test=test, **(told | facts))  # type: ignore[arg-type]


SHAPES = {"shapes_unchanged": 12, "shapes_changed": 11}
DRAWN = run(
    96,
    88,
    protocol="drawn",
    scope="cross-validated by shape",
    details=SHAPES | {"interval/kappa/low": 0.25, "interval/kappa/high": 0.75, "interval/oa/low": 0.5},
)
REFUSED = replace(
    DRAWN,
    scores=dict.fromkeys(DRAWN.scores, math.nan),
    details={"shapes_unchanged": 12, "shapes_changed": 9, "not_judged": "12 unchanged + 9 changed shapes"},
)
FEW = "only 30 unchanged + 29 changed pixels judge: fewer than 30 of a class say little"


@pytest.mark.parametrize(("unchanged", "changed", "few"), [(30, 30, False), (30, 29, True), (29, 300, True)])
def test_thirty_of_each_class_are_enough(unchanged: int, changed: int, few: bool) -> None:
    assert (caution(run(unchanged, changed)) is not None) == few
    assert ("caution" in score_table(run(unchanged, changed))) == few
    assert ("(few pixels)" in score_in_list(run(unchanged, changed), "kappa")) == few


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_table_marks_the_row_and_says_why(kind: str) -> None:
    text = results_table([run(30, 29), run(900, 90, "svm")], format=kind, baselines=False)
    if kind == "csv":
        notes = {line["row"]: line["note"] for line in csv.DictReader(io.StringIO(text))}
        assert notes == {"siamese": "few pixels", "svm": ""}
        return
    assert text.count("(few pixels)") == 3 and FEW in text
    assert "siamese on scene" in text and "svm on scene" not in text


def test_reports_curves_and_notebooks_say_it() -> None:
    result = run(30, 29)
    page = report_page([ReportRun(result=result, change=np.zeros((3, 3), np.uint8))])
    assert page.count(FEW) >= 2  # the table's caption and the run's headline
    points = [Point(1.0, "1", (run(300, 290),)), Point(2.0, "2", (result,))]
    assert f"At 2: Caution, siamese on scene: {FEW}." in curve_tables(points, axis="labels")[0].caption
    assert FEW in result._repr_html_()


def test_shapes_have_intervals_of_their_own() -> None:
    ends = shape_interval(DRAWN, "kappa")
    assert ends is not None and (ends.low, ends.high) == (0.25, 0.75)
    assert shape_interval(DRAWN, "oa") is None
    assert "12 unchanged + 11 changed judge" in score_table(DRAWN) and "0.2500 to 0.7500" in score_table(DRAWN)
    cell = compare_results([DRAWN], scores=["kappa"], interval="pixels")[0].rows[0].cells[0]
    assert cell is not None and cell.ends == ("0.2500", "0.7500")


def test_what_is_not_judged_has_no_number() -> None:
    told = score_table(REFUSED).partition("truth \\ map")[0]
    assert told.count("not judged") == 1 + len(REFUSED.scores)
    table = results_table([REFUSED, replace(DRAWN, method="svm")], scores=["kappa"])
    assert "not judged: 12 unchanged + 9 changed shapes" in table
    assert table.splitlines()[-2].split()[-2:] == ["not", "judged"]
    assert score_in_list(REFUSED, "kappa") == "not judged"
    assert "undefined" not in REFUSED._repr_html_()
