"""How long a batch takes, by what finished jobs took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.batch.estimate import Estimate, estimate, in_words, known_times, total_seconds
from hsi_cd.batch.jobs import TrainJob
from hsi_cd.batch.map_jobs import PredictJob
from hsi_cd.evaluation import ClassCounts, ConfusionCounts, RunResult
from hsi_cd.runs.provenance import Provenance, Session


def leave(
    folder: Path, *sessions: tuple[float | None, str | None], command: tuple[str, ...] = ("hsi-cd", "train")
) -> None:
    folder.mkdir(parents=True)
    made = [Session(command=command, started="", host="", seconds=s, outcome=o) for s, o in sessions]
    (folder / "provenance.json").write_text(json.dumps(Provenance(tuple(made)).to_dict()))


def result(folder: Path, method: str, dataset: str) -> None:
    counts = ConfusionCounts(tn=5, fp=1, fn=1, tp=3)
    made = RunResult(
        scope="held-out",
        counts=counts,
        scores={},
        test=ClassCounts(6, 4),
        dataset=dataset,
        method=method,
        protocol="P1",
    )
    (folder / "result.json").write_text(json.dumps(made.to_dict()))


def train(method: str, dataset: str) -> TrainJob:
    return TrainJob(dataset, method, 0, "P1", Path("x"))


@pytest.fixture
def known(tmp_path: Path) -> Any:
    for i, seconds in enumerate((10.0, 30.0, 11.0)):
        leave(tmp_path / f"svm-a-{i}", (seconds, "finished"))
        result(tmp_path / f"svm-a-{i}", "svm", "a")
    leave(tmp_path / "svm-b", (40.0, "pre-empted"), (60.0, "finished"))
    result(tmp_path / "svm-b", "svm", "b")
    leave(tmp_path / "killed", (None, None), (5.0, "finished"))  # nobody knows how long the killed one took
    result(tmp_path / "killed", "cva", "a")
    leave(tmp_path / "failed", (7.0, "failed"))
    leave(tmp_path / "damaged", (7.0, "finished"))
    leave(tmp_path / "map", (8.0, "finished"), command=("hsi-cd", "predict", "--checkpoint", "/c.pt", "--t1", "a"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "provenance.json").write_text("{")
    return known_times([tmp_path])


def test_the_most_alike_decide(known: Any) -> None:
    assert estimate(train("svm", "a"), known) == Estimate(11.0, "3 finished of svm on a")
    assert estimate(train("svm", "b"), known) == Estimate(100.0, "1 finished of svm on b")
    assert estimate(train("svm", "c"), known) == Estimate(20.5, "4 finished of svm")
    assert estimate(train("cva", "a"), known) is None
    pair = PredictJob("p", Path("p"), Path("/c.pt"), Path("a"), Path("b"))
    assert estimate(pair, known) == Estimate(8.0, "1 finished with this checkpoint")
    assert estimate(PredictJob("p", Path("p"), Path("/d.pt"), Path("a"), Path("b")), known) is None


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=20), st.integers(1, 6))
def test_a_total_lies_between_the_bounds_of_any_schedule(seconds: list[float], places: int) -> None:
    total = total_seconds([Estimate(s, "") for s in seconds], places=places)
    least = max(*seconds, sum(seconds) / places)
    assert total is not None and least * 0.999999 <= total <= min(sum(seconds), 4 / 3 * 2 * least) * 1.000001
    assert total_seconds([Estimate(s, "") for s in seconds], places=1) == pytest.approx(sum(seconds))


def test_what_is_not_known() -> None:
    assert total_seconds([None, None], places=2) is None
    assert total_seconds([None, Estimate(3.0, "")], places=2) == 3.0


def test_times_in_words() -> None:
    assert [in_words(s) for s in (0.4, 89, 90, 3000, 5399, 5400, 36_000 + 120)] == [
        "0 s",
        "89 s",
        "2 min",
        "50 min",
        "1 h 30 min",
        "1 h 30 min",
        "10 h 02 min",
    ]
