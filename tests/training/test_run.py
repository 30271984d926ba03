"""What a run's result may depend on, and what not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hsi_cd.training.run as run_module
from hsi_cd.config import RunConfig, parse_assignment, resolve
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.errors import BandError, ConfigError, LabelError, OutputError
from hsi_cd.evaluation import RunResult
from hsi_cd.io import open_cube, read_labels, read_map
from hsi_cd.io.split_files import read_split
from hsi_cd.runtime.team import Team
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Cube, Labels, ScenePair, Split
from hsi_cd.training.examples import LabelledScene
from hsi_cd.training.run import run_training

Train = Callable[..., RunResult]


@pytest.fixture(scope="module")
def pair(simulated: PairFiles) -> ScenePair:
    return ScenePair(open_cube(simulated.t1), open_cube(simulated.t2), name="scene")


@pytest.fixture(scope="module")
def labels(simulated: PairFiles) -> Labels:
    return read_labels(simulated.truth)


@pytest.fixture(scope="module")
def config(cli: Any) -> RunConfig:
    words = cli.settings()[1::2]
    return resolve([(word, parse_assignment(word)) for word in words])


@pytest.fixture(scope="module")
def first(
    pair: ScenePair, labels: Labels, config: RunConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunResult, Path]:
    """A run with seed 0, and its folder."""
    folder = tmp_path_factory.mktemp("first") / "run"
    return trained(pair, labels, config, folder), folder


def trained(
    pair: ScenePair,
    labels: Labels,
    config: RunConfig,
    folder: Path,
    *,
    split: Split | None = None,
    resume: bool = False,
) -> RunResult:
    result = run_training(LabelledScene(pair, labels, split), config, folder, resume=resume)
    assert result is not None
    return result


def tensors(value: Any, name: str = "") -> dict[str, torch.Tensor]:
    """Every tensor in nested dictionaries and lists, by its path."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path: tensor for key, item in items for path, tensor in tensors(item, f"{name}.{key}").items()}


def same_detector(first: Path, second: Path) -> bool:
    """Whether two runs end with the same detector, bit for bit: statistics, weights, calibration, threshold."""
    states = [load_checkpoint(folder / "best.pt")["detector"] for folder in (first, second)]
    a, b = (tensors(state) for state in states)
    plain = [(state["calibration"], state["shift"], state["bands"], state["model"]) for state in states]
    same = (torch.allclose(a[name], b[name], rtol=0, atol=0, equal_nan=True) for name in a if name in b)
    return plain[0] == plain[1] and a.keys() == b.keys() and all(same)


def same_map(first: Path, second: Path) -> bool:
    return np.array_equal(read_map(first / "change.tif")[0], read_map(second / "change.tif")[0])


def test_the_same_seed_gives_the_same_run(
    pair: ScenePair, labels: Labels, config: RunConfig, first: tuple[RunResult, Path], tmp_path: Path
) -> None:
    again = trained(pair, labels, config, tmp_path)
    assert same_detector(first[1], tmp_path) and same_map(first[1], tmp_path)
    assert again.scores == first[0].scores and again.counts == first[0].counts
    np.testing.assert_array_equal(
        read_split(first[1] / "split.npz").train, read_split(tmp_path / "split.npz").train
    )


def test_another_seed_gives_another_split_and_other_weights(
    pair: ScenePair, labels: Labels, config: RunConfig, first: tuple[RunResult, Path], tmp_path: Path
) -> None:
    trained(pair, labels, config.model_copy(update={"seed": 1}), tmp_path)
    assert not same_detector(first[1], tmp_path)
    one, other = (set(read_split(folder / "split.npz").train.tolist()) for folder in (first[1], tmp_path))
    assert len(one) == len(other) and len(one & other) < len(one) / 2


def flipped(values: np.ndarray) -> np.ndarray:
    return np.uint8(1) - values


def half_unlabelled(values: np.ndarray) -> np.ndarray:
    return np.where(np.random.default_rng(0).random(values.shape) < 0.5, np.uint8(UNLABELLED), values)


@pytest.mark.parametrize("change", [flipped, half_unlabelled])
@pytest.mark.quick("half_unlabelled")
def test_pixels_outside_the_split_choose_nothing(
    pair: ScenePair,
    labels: Labels,
    config: RunConfig,
    first: tuple[RunResult, Path],
    tmp_path: Path,
    change: Callable[[np.ndarray], np.ndarray],
) -> None:
    """With the training pixels held fast, all other labels may say what they like."""
    split = read_split(first[1] / "split.npz")
    values = change(labels.values)
    values.ravel()[split.train] = labels.values.ravel()[split.train]
    result = trained(pair, replace(labels, values=values), config, tmp_path, split=split)
    assert same_detector(first[1], tmp_path) and same_map(first[1], tmp_path)
    assert result.train == first[0].train and result.scores != first[0].scores


def test_the_labels_of_training_pixels_do_matter(
    pair: ScenePair,
    labels: Labels,
    config: RunConfig,
    first: tuple[RunResult, Path],
    tmp_path: Path,
) -> None:
    """The other side of the test above: it would notice."""
    split = read_split(first[1] / "split.npz")
    values = labels.values.copy()
    values.ravel()[split.train[:3]] ^= 1
    trained(pair, replace(labels, values=values), config, tmp_path, split=split)
    assert not same_detector(first[1], tmp_path)


def test_pixels_without_data_neither_teach_nor_judge(
    pair: ScenePair, labels: Labels, config: RunConfig, tmp_path: Path
) -> None:
    hole = (slice(5, 20), slice(8, 24))
    result = trained(with_hole(pair, hole), labels, config, tmp_path)
    split = read_split(tmp_path / "split.npz")
    taught = np.zeros(split.shape, dtype=bool)
    taught.ravel()[split.train] = True
    assert not taught[hole].any()
    assert result.train is not None
    for code, word in ((UNCHANGED, "unchanged"), (CHANGED, "changed")):
        usable = (labels.values == code).sum() - (labels.values[hole] == code).sum()
        assert getattr(result.train, word) + getattr(result.test, word) == usable
    change, _ = read_map(tmp_path / "change.tif")
    assert (change[hole] == UNLABELLED).all()


def with_hole(pair: ScenePair, hole: tuple[slice, slice]) -> ScenePair:
    """The pair with a rectangle of date 1 without data."""

    def read(rows: slice, cols: slice) -> np.ndarray:
        values = pair.t1.reader(slice(0, pair.shape[0]), slice(0, pair.shape[1])).copy()
        values[:, hole[0], hole[1]] = pair.t1.nodata
        return values[:, rows, cols]

    return replace(pair, t1=replace(pair.t1, reader=read))


def test_refused_input_leaves_no_folder(
    pair: ScenePair, labels: Labels, config: RunConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "run"
    flat = Cube("flat", pair.t1.grid, pair.t1.bands, pair.t1.dtype, lambda r, c: pair.t1.reader(r, c) * 0, None)
    with pytest.raises(BandError):
        trained(replace(pair, t1=flat), labels, config, folder)
    scarce = config.model_copy(update={"split": config.split.model_copy(update={"fraction": 1e-4})})
    with pytest.raises(LabelError):
        trained(pair, labels, scarce, folder)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_midway_can_be_resumed(
    pair: ScenePair,
    labels: Labels,
    config: RunConfig,
    first: tuple[RunResult, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk is full when the map is written: the training is not lost, and no half map is found."""
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "write_maps", _full_disk)
        with pytest.raises(OutputError):
            trained(pair, labels, config, tmp_path)
    assert not list(tmp_path.glob("*.tif")) and not (tmp_path / "result.json").exists()
    result = trained(pair, labels, config, tmp_path, resume=True)
    assert same_detector(first[1], tmp_path) and result.scores == first[0].scores


def _full_disk(*_: object, **__: object) -> None:
    raise OutputError("the disk is full")


@pytest.mark.parametrize("labelled", [1, 2, 3])
@pytest.mark.quick("1")
def test_a_handful_of_labels_is_enough_to_run(
    pair: ScenePair, labels: Labels, config: RunConfig, tmp_path: Path, labelled: int
) -> None:
    values = np.full_like(labels.values, UNLABELLED)
    for code in (UNCHANGED, CHANGED):
        pixels = np.flatnonzero(labels.values == code)[: 20 * labelled]
        values.ravel()[pixels] = code
    result = trained(pair, replace(labels, values=values), config, tmp_path)
    assert result.train is not None and result.train.changed == result.train.unchanged == labelled


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "svm"}, "svm learns in one process, not in 2"),
        ({"train": {"teacher": {"kind": "mean_teacher"}}}, "one process teaches so, not 2"),
        ({"options": {"trees": 5}}, "siamese has no options"),
    ],
)
def test_what_cannot_be_taught_so_is_refused_before_a_folder_is_made(
    pair: ScenePair,
    labels: Labels,
    config: RunConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    words: str,
) -> None:
    """Of several processes, the first that says so ends the others: one that had a folder would leave it."""
    monkeypatch.setattr(run_module, "make_folder", lambda *_: pytest.fail("a folder is made"))
    own = resolve([("run", config.model_dump()), ("changes", changes)])
    with pytest.raises(ConfigError, match=words):
        run_training(LabelledScene(pair, labels), own, tmp_path / "run", team=Team(rank=0, size=2))
