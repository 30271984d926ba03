"""Whether results were judged on the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hsi_cd.evaluation import ClassCounts, ConfusionCounts, RunResult, judge_map, judged_apart
from hsi_cd.scene import Labels, Split


def result(method: str, seed: int = 0, digest: str | None = None, changed: int = 20, **facts: Any) -> RunResult:
    counts = ConfusionCounts(tn=80, fp=0, fn=0, tp=changed)
    named = {"protocol": "P3", "scope": "held-out"} | facts
    details = {} if digest is None else {"judged_pixels": digest}
    test = ClassCounts(80, changed)
    return RunResult(
        dataset="hill", method=method, seed=seed, counts=counts, scores={}, test=test, details=details, **named
    )


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([result("a", digest="x"), result("b", digest="x")], None),
        ([result("a", digest="x"), result("b", digest="y")], "as many, but other ones: a on 100, b on 100"),
        ([result("a", digest="x"), result("b", digest="y", changed=30)], "(a on 100, b on 110)"),
        ([result("a", digest="x"), result("b")], None),  # of an earlier version: as many of each class
        ([result("a", digest="x"), result("b", changed=30)], "(a on 100, b on 110)"),
        ([result("a", 0, "x"), result("a", 1, "y", changed=30)], None),  # P3 draws blocks for each seed
        ([result("a", 0, "x", protocol="P1"), result("a", 1, "y", protocol="P1")], None),
        ([result("a", 0, protocol="P1"), result("a", 1, changed=30, protocol="P1")], "(a on 100 or 110)"),
    ],
)
def test_who_was_judged_on_other_pixels(results: list[RunResult], told: str | None) -> None:
    apart = judged_apart(results)
    assert list(apart) == ([] if told is None else ["hill"])
    assert told is None or (told in apart["hill"] and apart["hill"].startswith("Not judged on the same pixels of"))


def test_the_digest_is_of_the_pixels_that_are_scored() -> None:
    truth = np.array([[0, 1, 255], [1, 0, 0]], dtype=np.uint8)
    split = Split("P1", 0, (2, 3), np.array([0]))

    def digest(change: list[list[int]], truth: Any = truth, split: Split | None = None) -> Any:
        map_ = np.array(change, dtype=np.uint8)
        named = {"dataset": "hill", "method": "m", "split": split}
        return judge_map(map_, Labels(truth), **named).details["judged_pixels"]

    whole = digest([[0, 1, 0], [1, 0, 1]])
    assert whole == digest([[1, 1, 1], [1, 1, 1]])  # whatever the map says
    assert whole == digest([[0, 1, 255], [1, 0, 0]])  # where nobody labelled
    others = [
        digest([[0, 1, 0], [1, 0, 255]]),  # no data at a labelled pixel
        digest([[0, 1, 0], [1, 0, 1]], split=split),
        digest([[0, 1, 0], [1, 0, 1]], truth=np.where(truth == 1, 0, truth).astype(np.uint8) + (truth == 0)),
    ]
    assert len({whole, *others}) == 4
