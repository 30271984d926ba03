"""Through the door: a few labels at random, and what counts beside what the network learned from them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.io import read_map
from hsi_cd.scene import Labels, ScenePair, cube_from_array

SHORT: dict[str, Any] = {
    "model": {"members": 3, "attention": {"kind": "none"}, "backbone": {"width": 8, "depth": 1}},
    "train": {"folds": 3, "max_steps": 30, "min_steps": 30, "map_every": 0, "certain": 0},
    "split": {"protocol": "P1", "fraction": 0.04},
}


@pytest.fixture(scope="module")
def scene() -> tuple[ScenePair, Labels]:
    made = simulate_pair(SimulationOptions(rows=70, cols=60, bands=12, seed=5))
    pair = ScenePair(cube_from_array(made.t1), cube_from_array(made.t2), name="fields")
    return pair, Labels(made.truth, name="truth")


def trained(scene: tuple[ScenePair, Labels], run: Path, **own: Any) -> dict[str, Any]:
    settings = {name: {**part, **own.get(name, {})} for name, part in SHORT.items()}
    hc.train(*scene, run=run, settings=settings)
    told: dict[str, Any] = json.loads((run / "result.json").read_text())
    return told


@pytest.mark.slow
def test_surroundings_and_label_free_detectors_stay_in_the_score(
    scene: tuple[ScenePair, Labels], tmp_path: Path
) -> None:
    with_all = trained(scene, tmp_path / "all")
    alone = trained(scene, tmp_path / "alone", model={"around": 1}, train={"prior": False})
    assert with_all["details"]["weight_label_free"] > 0 and "weight_around" not in alone["details"]
    states = [load_checkpoint(tmp_path / name / "best.pt")["detector"] for name in ("all", "alone")]
    assert "prior" in states[0] and states[0]["calibration"]["surroundings"]["reach"] == 6
    assert "prior" not in states[1] and "surroundings" not in states[1]["calibration"]
    # The training is the same: what counts beside it is weighed at its end.
    for name, weights in states[0]["network"].items():
        np.testing.assert_array_equal(weights.numpy(), states[1]["network"][name].numpy())
    assert with_all["scores"]["kappa"] > alone["scores"]["kappa"]
    predicted = hc.load(tmp_path / "all" / "best.pt").predict(scene[0])
    np.testing.assert_array_equal(predicted.change, read_map(tmp_path / "all" / "change.tif")[0])


@pytest.mark.parametrize(
    "own", [{"train": {"folds": 0}}, {"model": {"threshold": "learned"}}, {"train": {"many": 10}}]
)
def test_nothing_counts_beside_where_no_held_out_label_can_weigh_it_or_labels_are_many(
    scene: tuple[ScenePair, Labels], tmp_path: Path, own: dict[str, Any]
) -> None:
    merged = {name: {**SHORT[name], **part} for name, part in own.items()}
    assert "weight_around" not in trained(scene, tmp_path / "run", **merged)["details"]
