"""The verbs of the door against what the command line does with the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import ConfigError, GridError, OutputError, UnknownNameError
from hsi_cd.io import read_map, read_scores
from hsi_cd.io.split_files import read_split
from hsi_cd.scene import ScenePair


@pytest.fixture(scope="module")
def pair(simulated: PairFiles) -> ScenePair:
    return hc.open_pair(simulated.t1, simulated.t2)


@pytest.mark.parametrize("method", ["auto", "celik", "sam"])
def test_detect_is_that_of_the_command_line(
    cli: Any, dates: list[str], pair: ScenePair, tmp_path: Path, method: str
) -> None:
    files = ["--output", tmp_path / "c.tif", "--score", tmp_path / "s.tif"]
    assert cli("detect", *dates, "--method", method, "--seed", 2, *files) == 0
    change = hc.detect(pair, method, seed=2)
    np.testing.assert_array_equal(change.change, read_map(tmp_path / "c.tif")[0])
    np.testing.assert_array_equal(change.score, read_scores(tmp_path / "s.tif"))
    # A measurement at hand changes nothing.
    np.testing.assert_array_equal(hc.detect(hc.measure(pair), method, seed=2).score, change.score)


def test_detect_refuses_what_needs_labels_and_unknown_options(pair: ScenePair) -> None:
    with pytest.raises(ConfigError, match=r"svm learns from labels: use hsi_cd\.train"):
        hc.detect(pair, "svm")
    with pytest.raises(UnknownNameError, match="did you mean 'components'"):
        hc.detect(pair, component=3)


def test_train_predict_and_evaluate_are_those_of_the_command_line(
    cli: Any, dates: list[str], pair: ScenePair, simulated: PairFiles, tmp_path: Path
) -> None:
    settings = {"split.fraction": 0.05, "options.trees": 20}
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    labelled = [*dates, "--truth", simulated.truth]
    assert cli("train", *labelled, "--method", "forest", "--seed", 4, "--run", theirs, *words) == 0
    result = hc.train(pair, simulated.truth, run=mine, method="forest", seed=4, settings=settings)
    said = json.loads((theirs / "result.json").read_text())
    assert result.scores == said["scores"] and result.to_dict()["counts"] == said["counts"]
    assert read_split(mine / "split.npz").same_pixels(read_split(theirs / "split.npz"))
    np.testing.assert_array_equal(read_map(mine / "change.tif")[0], read_map(theirs / "change.tif")[0])
    with pytest.raises(OutputError, match="mine"):
        hc.train(pair, simulated.truth, run=mine, method="forest")

    change = hc.predict(mine / "best.pt", pair)
    np.testing.assert_array_equal(change.change, read_map(theirs / "change.tif")[0])
    exclude = ["--exclude", theirs / "split.npz", "--json", tmp_path / "scores.json"]
    assert cli("evaluate", theirs / "change.tif", "--truth", simulated.truth, *exclude) == 0
    said = json.loads((tmp_path / "scores.json").read_text())
    split = hc.split(hc.open_labels(simulated.truth), protocol="P1", fraction=0.05, seed=4)
    assert split.same_pixels(read_split(theirs / "split.npz"))
    for judged, excluded in (
        (change, split),
        (change, mine / "split.npz"),
        (change.change, split),
        (mine / "change.tif", split),
    ):
        found = hc.evaluate(judged, simulated.truth, exclude=excluded)
        assert found.to_dict()["counts"] == said["counts"]
        assert {name: found.scores[name] for name in said["scores"] if said["scores"][name] is not None} == {
            name: value for name, value in said["scores"].items() if value is not None
        }
    fitted = hc.Forest(seed=4, trees=20, settings={"split.fraction": 0.05}).fit(pair, simulated.truth)
    np.testing.assert_array_equal(fitted.predict(pair).change, change.change)


def test_evaluate_says_what_taught(pair: ScenePair, simulated: PairFiles) -> None:
    change = hc.detect(pair, "cva")
    labels = hc.open_labels(simulated.truth)
    apart = hc.evaluate(change, labels, protocol="P4", name="scene", method="mine")
    assert (apart.protocol, apart.seed, apart.dataset, apart.method) == ("P4", None, "scene", "mine")
    assert apart.counts.total == labels.counts()[0] + labels.counts()[1]
    split = hc.split(labels, seed=1)
    with pytest.raises(ConfigError, match="leave exclude out"):
        hc.evaluate(change, labels, protocol="P4", exclude=split)
    with pytest.raises(ConfigError, match="give 'P4', or exclude a split"):
        hc.evaluate(change, labels, protocol="P1")
    with pytest.raises(GridError, match="give both on one grid"):
        hc.evaluate(change.change[1:], labels)
    with pytest.raises(UnknownNameError, match="P9"):
        hc.split(labels, protocol="P9")


def test_methods_are_all_of_them() -> None:
    assert {"auto", "siamese", "forest"} <= hc.methods().keys()
    assert all(method.name == name for name, method in hc.methods().items())
