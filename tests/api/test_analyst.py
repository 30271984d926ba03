"""A simulated analyst, who draws, trains, and draws on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hsi_cd as hc
from hsi_cd.api import analyst
from hsi_cd.api.analyst import STRATEGIES, Analyst, ask_analyst
from hsi_cd.api.analyst_rounds import Rounds
from hsi_cd.errors import ConfigError, LabelError, UnknownNameError

ROWS, COLS = 50, 60
TAUGHT = {"train.epochs": 3}


@pytest.fixture(scope="module")
def scene() -> tuple[hc.ScenePair, hc.Labels]:
    """A field that becomes brighter, beside one that does so in other bands."""
    rng = np.random.default_rng(0)
    truth = np.zeros((ROWS, COLS), dtype=np.uint8)
    truth[5:25, 5:25] = truth[25:45, 35:55] = 1
    t1 = rng.normal(100, 2, (6, ROWS, COLS)).astype(np.float32)
    t2 = t1 + rng.normal(0, 2, t1.shape).astype(np.float32)
    t2[:3, 5:25, 5:25] += 30
    t2[3:, 25:45, 35:55] += 30
    return hc.open_pair(t1, t2, name="fields"), hc.Labels(truth)


@pytest.mark.quick("uncertain")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_round_is_judged_on_the_whole_truth(
    scene: tuple[hc.ScenePair, hc.Labels], strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, truth = scene
    seen: list[hc.Labels] = []

    class Quick:
        """Learns nothing, and keeps what it should have learned from."""

        def fit(self, scene: object, labels: hc.Labels) -> Quick:
            seen.append(labels)
            return self

        def predict(self, pair: hc.ScenePair) -> hc.ChangeMap:
            return hc.detect(pair, "cva", threshold="otsu")

    def make(method: str, *, seed: int, settings: dict[str, Any]) -> Quick:
        assert (method, seed, settings) == ("logistic", 1, TAUGHT)
        return Quick()

    monkeypatch.setattr(analyst, "make_estimator", make)
    rounds = list(ask_analyst(pair, truth, Analyst("logistic", strategy, (2, 4), seed=1, settings=TAUGHT)))
    assert [number for number, _ in rounds] == [2, 4]
    for _, result in rounds:
        assert (result.counts.unchanged, result.counts.changed) == truth.counts()[:2]
        assert result.method.endswith(f", {strategy}") and result.seed == 1 and result.dataset == "fields"
    first, last = seen
    assert first.shapes is not None and last.shapes is not None
    np.testing.assert_array_equal(first.shapes, hc.draw(truth, 2, seed=1).shapes)
    assert first.shapes.max() == 4 and last.shapes.max() == 8
    drawn = last.values != 255
    assert (last.values[drawn] == truth.values[drawn]).all()
    np.testing.assert_array_equal(last.shapes[first.shapes > 0], first.shapes[first.shapes > 0])
    more = hc.draw(truth, 4, seed=1).shapes
    assert more is not None and np.array_equal(last.shapes, more) == (strategy == "random")


def test_who_cannot_draw_is_told(scene: tuple[hc.ScenePair, hc.Labels]) -> None:
    with pytest.raises(UnknownNameError, match="there is no strategy 'uncertian': did you mean 'uncertain'"):
        Analyst("logistic", "uncertian", (2,))
    with pytest.raises(ConfigError, match="cva learns from no label"):
        Analyst("cva", "random", (2,))
    for shapes in ((), (0, 2), (4, 2)):
        with pytest.raises(ConfigError, match="expected numbers of each class from 1, ascending"):
            Analyst("logistic", "random", shapes)
    with pytest.raises(ConfigError, match="expected points or squares"):
        Analyst("logistic", "random", (2,), kind="blobs")
    with pytest.raises(LabelError, match="room for"):
        list(ask_analyst(*scene, Analyst("logistic", "random", (500,))))


class StoppedError(Exception):
    """What a test stops an analyst by."""


@pytest.mark.quick("uncertain")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_was_stopped_goes_on(
    scene: tuple[hc.ScenePair, hc.Labels],
    strategy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Stopped anywhere, it ends with the results of one whom nobody stopped, and does no round twice."""
    pair, truth = scene
    make, fits, stop_at = analyst.make_estimator, [0], [99]

    class Counted:
        def __init__(self, method: str, **options: Any) -> None:
            self.own = make(method, **options)

        def fit(self, *data: Any) -> hc.Estimator:
            if fits[0] == stop_at[0]:
                raise StoppedError
            fits[0] += 1
            return self.own.fit(*data)

    monkeypatch.setattr(analyst, "make_estimator", Counted)
    who = Analyst("logistic", strategy, (2, 3, 5), seed=1, settings={"train.folds": 2})
    whole = list(ask_analyst(pair, truth, who, tmp_path / "whole"))
    assert fits == [3] and [number for number, _ in whole] == [2, 3, 5]
    again = list(ask_analyst(pair, truth, who, tmp_path / "whole"))
    assert fits == [3] and [(n, r.to_dict()) for n, r in again] == [(n, r.to_dict()) for n, r in whole]
    folder, fits[0], stop_at[0] = tmp_path / "stopped", 0, 1  # while the second round is fitted
    with pytest.raises(StoppedError):
        list(ask_analyst(pair, truth, who, folder))
    stop_at[0] = 99
    resumed = list(ask_analyst(pair, truth, who, folder))
    assert fits == [3]
    assert [(n, r.to_dict()) for n, r in resumed] == [(n, r.to_dict()) for n, r in whole]
    for name in ("shapes-3.json", "shapes-5.json"):  # stopped before anything was drawn for the next round
        (folder / name).unlink()
    fits[0] = 0
    resumed = list(ask_analyst(pair, truth, who, folder))
    assert fits == [2 if strategy == "random" else 3]
    assert [(n, r.to_dict()) for n, r in resumed] == [(n, r.to_dict()) for n, r in whole]
    (folder / "shapes-5.json").write_text("{")
    assert "done anew" not in caplog.text
    fits[0] = 0
    list(ask_analyst(pair, truth, who, folder))
    assert "shapes-5.json is damaged: this round is done anew" in caplog.text and fits[0] in (1, 2)
    fits[0] = 0
    list(ask_analyst(pair, truth, replace(who, settings={"train.folds": 3}), folder))
    assert "shapes-2.json was made with another setting of settings" in caplog.text and fits == [3]


@pytest.mark.parametrize("harm", ["stands_on", "labels", "pixels", "result", "all"])
def test_a_round_that_is_damaged_is_told_and_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    values = np.array([[0, 1, 255]], dtype=np.uint8)
    labels = hc.Labels(values, shapes=np.array([[1, 2, 0]], dtype=np.int32))
    rounds = Rounds(tmp_path, labels, (1,), {"seed": 0})
    rounds.write(0, labels)
    kept = rounds.read(0)
    assert kept is not None and kept.result is None and not caplog.text
    np.testing.assert_array_equal(kept.labels.shapes, labels.shapes)
    path = tmp_path / "shapes-1.json"
    content = json.loads(path.read_text())
    wrong = {"labels": content["labels"] | {"pixels": [0, 3]}} if harm == "pixels" else {harm: "x"}
    path.write_text(json.dumps([] if harm == "all" else content | wrong))
    assert rounds.read(0) is None
    assert "shapes-1.json is damaged: this round is done anew" in caplog.text
