"""Many runs at once: what there is, which is best, what differs."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from hsi_cd.config import resolve, to_yaml
from hsi_cd.errors import MissingInputError
from hsi_cd.evaluation import ClassCounts, ConfusionCounts, RunResult
from hsi_cd.runs.listing import best_runs, differences, flat, read_run, read_runs
from hsi_cd.runs.provenance import Provenance, Session


def leave(
    folder: Path,
    kappa: float | None,
    *,
    seed: int = 0,
    method: str = "svm",
    outcome: str | None = "finished",
    **settings: Any,
) -> Path:
    """What a run leaves; without Kappa it has not ended."""
    folder.mkdir(parents=True)
    named = {"dataset": "taizhou", "method": method, "seed": seed}
    (folder / "config.yaml").write_text(to_yaml(resolve([("test", named | settings)])))
    session = Session(
        command=("hsi-cd", "train"),
        started="2026-01-01T10:00:00+00:00",
        host="h",
        versions={"torch": "2"},
        outcome=outcome,
        seconds=None if outcome is None else 2.0,
        commits={"software": f"c{seed}"},
    )
    (folder / "provenance.json").write_text(json.dumps(Provenance((session,)).to_dict()))
    if kappa is not None:
        counts = ConfusionCounts(tn=5, fp=1, fn=1, tp=3)
        result = RunResult(
            scope="held-out",
            counts=counts,
            scores={"kappa": kappa, "oa": 0.5},
            test=ClassCounts(6, 4),
            protocol="P1",
            **named,
        )
        (folder / "result.json").write_text(json.dumps(result.to_dict()))
    return folder


def test_states(tmp_path: Path) -> None:
    leave(tmp_path / "a" / "done", 0.5)
    leave(tmp_path / "b", None, outcome=None)
    leave(tmp_path / "c", None, outcome="pre-empted")
    (leave(tmp_path / "d", 0.5) / "result.json").write_text("{")
    (leave(tmp_path / "e", 0.5) / "config.yaml").unlink()
    (tmp_path / "e" / "provenance.json").unlink()
    (tmp_path / "empty").mkdir()
    found = read_runs(tmp_path)
    assert [(run.folder.name, run.state) for run in found] == [
        ("done", "finished"),
        ("b", "unfinished"),
        ("c", "pre-empted"),
        ("d", "damaged"),
        ("e", "finished"),
    ]
    assert {(run.dataset, run.method, run.protocol, run.seed) for run in found} == {("taizhou", "svm", "P1", 0)}
    assert found[0].started == "2026-01-01T10:00:00+00:00" and found[4].started == ""
    assert (
        found[0].score("kappa") == 0.5 and math.isnan(found[0].score("f1")) and math.isnan(found[1].score("kappa"))
    )
    for nothing in ("none", "empty"):
        with pytest.raises(MissingInputError, match=nothing):
            read_runs(tmp_path / nothing)


def test_the_best_is_so_by_its_mean_not_by_its_luckiest_seed(tmp_path: Path) -> None:
    lucky, steady = (0.95, 0.5), (0.8, 0.85)
    for seed in (0, 1):
        leave(tmp_path / f"lucky{seed}", lucky[seed], seed=seed, method="cva")
        leave(tmp_path / f"steady{seed}", steady[seed], seed=seed, split={"fraction": 0.05})
        leave(tmp_path / f"default{seed}", 0.1, seed=seed)
    leave(tmp_path / "undefined", math.nan, method="sam")
    (best,) = best_runs(read_runs(tmp_path), score="kappa")
    assert (best.dataset, best.protocol, best.method, len(best.runs)) == ("taizhou", "P1", "svm", 2)
    assert best.mean == pytest.approx(statistics.mean(steady)) and best.std == pytest.approx(
        statistics.stdev(steady)
    )
    assert best.changed == {"split.fraction": 0.05}
    assert best_runs(read_runs(tmp_path), score="f1") == []


@pytest.mark.parametrize(("score", "method"), [("ece", "cva"), ("strict/ece", "cva"), ("kappa", "svm")])
def test_the_best_has_the_lowest_error(tmp_path: Path, score: str, method: str) -> None:
    for name, value in (("cva", 0.1), ("svm", 0.3), ("sam", 0.2)):
        path = leave(tmp_path / name, 0.5, method=name) / "result.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"scores": {score: value}}))
    (best,) = best_runs(read_runs(tmp_path), score=score)
    assert best.method == method


def test_other_pixels_are_told_where_the_best_is_chosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, digest in (("cva", "a"), ("svm", "b")):
        path = leave(tmp_path / name, 0.5, method=name) / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"details": {"judged_pixels": digest}}))
    best_runs(read_runs(tmp_path), score="kappa")
    assert "Not judged on the same pixels of taizhou" in caplog.text


def test_what_differs(tmp_path: Path) -> None:
    a = read_run(leave(tmp_path / "a", 0.5, seed=0))
    b = read_run(leave(tmp_path / "b", 0.25, seed=1, train={"batch_size": 7}))
    assert differences(a, b) == [
        ("seed", "0", "1"),
        ("train.batch_size", "128", "7"),
        ("commit of software", "c0", "c1"),
        ("score kappa", "0.5", "0.25"),
    ]
    assert differences(a, a) == []
    unfinished = read_run(leave(tmp_path / "c", None, outcome="failed"))
    assert ("state", "finished", "failed") in differences(a, unfinished)
    assert ("score oa", "0.5", "-") in differences(a, unfinished)


def test_nested_keys() -> None:
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": {}}) == {"a.b": 1, "a.c.d": [2], "e": {}}
