"""A training grows with its labels: how much, what changes, what stays; it resumes to the same weights."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from hsi_cd.config import RunConfig, resolve
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.errors import EXIT_REQUEUE
from hsi_cd.training.growing import LONGEST, grown, growth
from hsi_cd.training.plan import make_plan
from tests.training.test_resume import asked_at_step, assert_same_end


def settings(**assigned: Any) -> RunConfig:
    nested: dict[str, Any] = {}
    for key, value in assigned.items():
        *path, last = key.split("__")
        at = nested
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return resolve([("test", nested)])


def labels(unchanged: int, changed: int) -> Any:
    return np.repeat([0, 1], [unchanged, changed])


@pytest.mark.parametrize(
    ("unchanged", "changed", "times"),
    [
        (1860, 49, 1),
        (447, 183, 1),
        (5000, 200, 1),
        (5000, 300, 1.5),
        (300, 5000, 1.5),
        (10**5, 10**4, 2.5),
        (9, 0, 1),
    ],
)
def test_it_goes_by_the_rarer_class(unchanged: int, changed: int, times: float) -> None:
    """1 % of rennes, of the farmland stand-in, the boundary, beyond it, the other class, the longest."""
    assert growth(labels(unchanged, changed), settings().train) == times <= LONGEST


def test_the_boundary_can_be_set_and_lifted() -> None:
    target = labels(500, 400)
    assert growth(target, settings(train__many=320).train) == 1.25
    assert growth(target, settings(train__many=None).train) == 1


def test_labels_of_a_place_count_as_one() -> None:
    places = np.arange(2400) // 4  # 300 places of each class
    assert growth(labels(1200, 1200), settings().train, places=places) == 1.5


def test_few_labels_change_nothing() -> None:
    config = settings()
    assert grown(config, 1.0) is config


@pytest.mark.parametrize(("times", "steps"), [(1.5, 1350), (2.5, 2250)])
def test_steps_follow_the_labels(times: float, steps: int) -> None:
    """Of 15,000 pixels and batches of 128, an epoch has 117 steps; the last one is finished."""
    train = grown(settings(), times).train
    assert train.max_steps == steps and train.batch_size == 128
    assert steps <= make_plan(train, 15_000).length.steps < steps + 117
    assert 900 <= make_plan(settings().train, 15_000).length.steps < 900 + 117


def test_what_many_labels_are_taught() -> None:
    config = grown(settings(), 2.0)
    assert config.model.head == "directed_mlp"
    augment = config.train.augment
    assert (augment.date_swap, augment.mixup, augment.noise, augment.gain_noise) == (False, 0.2, 1.0, 0.03)
    alike = config.model_dump(exclude={"train": {"max_steps", "augment"}, "model": {"head", "backbone"}})
    assert alike == settings().model_dump(
        exclude={"train": {"max_steps", "augment"}, "model": {"head", "backbone"}}
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model__head", "difference"),
        ("train__augment__mixup", 0.1),
        ("train__epochs", 50),
        ("train__max_steps", 700),
        ("train__max_steps", None),
        ("train__min_steps", 700),
    ],
)
def test_what_somebody_chose_stays(key: str, value: Any) -> None:
    asked = settings(**{key: value})
    config = grown(asked, 2.0)
    before, after = (at.model_dump() for at in (asked, config))
    for part in key.split("__"):
        before, after = before[part], after[part]
    assert before == after
    if key.endswith(("epochs", "steps")):
        bounds = ("epochs", "min_steps", "max_steps")
        assert all(getattr(config.train, name) == getattr(asked.train, name) for name in bounds)
    if key == "model__head":
        assert config.train.augment.date_swap  # what tells no dates apart may see them exchanged


def test_the_table_of_many_labels_is_of_the_shipped_runs() -> None:
    """docs/results.md, the network's 10 %: means of the rows of data/results/many_labels.csv."""
    root = Path(__file__).resolve().parents[2]
    with (root / "data" / "results" / "many_labels.csv").open(newline="") as file:
        runs = [row for row in csv.DictReader(file) if (row["method"], row["share"]) == ("siamese", "0.1")]
    page = (root / "docs" / "results.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| 10 % |"))
    for scene, cell in zip(("taizhou", "rennes", "farmland"), row.split("|")[2:5], strict=True):
        kappas = [float(run["kappa"]) for run in runs if run["scene"] == scene]
        assert len(kappas) == 2 and float(cell.split("/")[0]) == pytest.approx(np.mean(kappas), abs=6e-4)


@pytest.fixture(scope="module")
def words(cli: Any, simulated: PairFiles, dates: list[str]) -> list[object]:
    """A training beside whose two classes ten labels are many, small and short."""
    small = {"train__many": 10, "split__fraction": 0.1, "model__attention__window": 3, "model__backbone__width": 8}
    return ["train", *dates, "--truth", simulated.truth, "--device", "cpu", *cli.settings(**small), "--run"]


@pytest.mark.slow
def test_it_goes_on_bit_for_bit(cli: Any, words: list[object], tmp_path: Path) -> None:
    """The run folder keeps what was asked; the network, and a resumed one, is what grew."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    with threadpool_limits(1):
        assert cli(*words, whole) == 0
        with asked_at_step(5, signal.SIGTERM):
            assert cli(*words, stopped) == EXIT_REQUEUE
        assert cli(*words, stopped, "--resume") == 0
    assert_same_end(stopped, whole)
    details = json.loads((whole / "result.json").read_text())["details"]
    assert details["grown"] > 1
    saved = load_checkpoint(whole / "best.pt")
    assert (
        saved["config"]["model"]["head"] == "distance_mlp" and saved["detector"]["model"]["head"] == "directed_mlp"
    )
    hidden = saved["detector"]["network"]["members.0.head.hidden.weight"]
    assert isinstance(hidden, torch.Tensor) and hidden.shape[:2] == (8, 24)
