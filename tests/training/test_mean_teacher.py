"""Unlabelled pixels that teach through a running mean of the network."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hsi_cd.config import RunConfig, resolve
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.checkpoint import load_checkpoint
from hsi_cd.detectors.siamese import SiameseDetector, fit_siamese
from hsi_cd.errors import LabelError
from hsi_cd.nn.neighbourhoods import crop
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.mean_teacher import MeanTeacher, consistency, pseudo_labels, ramp_up
from hsi_cd.training.patches import scene_patches
from tests.training.test_resume import assert_same_end, resume, saved_times, tensors, wait_for

KINDS = ("mean_teacher", "pseudo_label")


def test_consistency_is_the_squared_difference_of_probabilities() -> None:
    student, teacher = torch.randn(9, requires_grad=True), torch.randn(9, requires_grad=True)
    found = consistency(student, teacher)
    squares = [
        (1 / (1 + math.exp(-s)) - 1 / (1 + math.exp(-t))) ** 2
        for s, t in zip(student.tolist(), teacher.tolist(), strict=True)
    ]
    assert found.item() == pytest.approx(sum(squares) / 9, rel=1e-5)
    found.backward()
    assert student.grad is not None and (student.grad != 0).all() and teacher.grad is None


def test_pseudo_labels_are_the_confident_classes_and_the_others_have_no_gradient() -> None:
    teacher = torch.tensor([4.0, -4.0, 0.5, -0.5, 2.9, 3.0], requires_grad=True)  # sigmoid(2.944) = 0.95
    student = torch.randn(6, requires_grad=True)
    found = pseudo_labels(student, teacher, confidence=0.95)
    p = torch.sigmoid(student).tolist()
    assert found.item() == pytest.approx(-(math.log(p[0]) + math.log(1 - p[1]) + math.log(p[5])) / 6, rel=1e-5)
    found.backward()
    assert student.grad is not None and teacher.grad is None
    assert (student.grad != 0).tolist() == [True, True, False, False, False, True]
    assert pseudo_labels(student, torch.zeros(6), confidence=0.95).item() == 0


def test_the_weight_rises_to_one() -> None:
    weights = [ramp_up(step, steps=10) for step in range(14)]
    assert weights[0] == pytest.approx(math.exp(-5)) and weights[5] == pytest.approx(math.exp(-1.25))
    assert weights == sorted(weights) and weights[10:] == [1, 1, 1, 1]
    assert ramp_up(0, steps=0) == 1


@pytest.fixture(scope="module")
def scene() -> ScenePair:
    pair = simulate_pair(SimulationOptions(rows=48, cols=40, bands=16))
    return ScenePair(*(cube_from_array(values) for values in (pair.t1, pair.t2)), name="simulated")


def configuration(**teacher: Any) -> RunConfig:
    model = {"members": 2, "attention": {"kind": "none"}}
    return resolve([("test", {"model": model, "train": {"teacher": teacher}})])


def network(scene: ScenePair, config: RunConfig) -> SiameseDetector:
    torch.manual_seed(0)
    return fit_siamese(scene, config)


def test_teachers_follow_their_members_by_a_running_mean(scene: ScenePair) -> None:
    """``teacher = decay teacher + (1 - decay) member``, from the member at the start; a loop is the oracle."""
    config = configuration(kind="mean_teacher", decay=0.8)
    detector = network(scene, config)
    teacher = teach(detector, scene, config)
    means = [p.detach().clone() for p in detector.network.parameters()]
    for step in range(4):
        teacher(detector.network)
        if step:
            for mean, parameter in zip(means, detector.network.parameters(), strict=True):
                mean.mul_(0.8).add_(parameter.detach(), alpha=0.2)
        for mean, found in zip(means, teacher.average.module.parameters(), strict=True):
            torch.testing.assert_close(found, mean)
        with torch.no_grad():
            for parameter in detector.network.parameters():
                parameter.add_(torch.randn_like(parameter))


def teach(
    detector: SiameseDetector, scene: ScenePair, config: RunConfig, labelled: tuple[int, ...] = ()
) -> MeanTeacher:
    return MeanTeacher(
        detector.network,
        scene_patches(detector, scene),
        np.array(labelled, dtype=np.int64),
        config.train,
        steps=100,
        generator=np.random.default_rng(0),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_unlabelled_pixels_teach_the_members_and_not_the_teachers(scene: ScenePair, kind: str) -> None:
    config = configuration(kind=kind, confidence=0.51, ramp=0.0, weight=3.0)
    detector = network(scene, config)
    detector.network.train()
    loss = teach(detector, scene, config)(detector.network)
    loss.backward()
    assert loss.item() > 0
    assert any(p.grad is not None and (p.grad != 0).any() for p in detector.network.parameters())
    once = teach(detector, scene, configuration(kind=kind, confidence=0.51, ramp=0.0, weight=1.0))
    torch.manual_seed(5)
    first = once(detector.network).item()
    torch.manual_seed(5)
    assert teach(detector, scene, config)(detector.network).item() == pytest.approx(3 * first, rel=1e-5)


class Recorder(nn.Module):
    """Remembers what it is shown of date 1 at the centre."""

    def __init__(self, seen: list[torch.Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen = seen

    def forward(self, t1: torch.Tensor, t2: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        centre = t1.shape[-1] // 2
        self.seen.append(t1[:, :, centre, centre])
        assert valid[:, 0, centre, centre].all()
        return self.weight.expand(len(t1), 1, 1, 1)

    def __deepcopy__(self, memo: object) -> Recorder:
        return Recorder(self.seen)


def test_labelled_pixels_and_pixels_without_data_are_not_drawn(scene: ScenePair) -> None:
    config = configuration(kind="mean_teacher", batch_size=4000)
    detector = network(scene, config)
    values = scene.t1.read().copy()
    values[:, 10:14] = np.nan
    holes = ScenePair(cube_from_array(values), scene.t2)
    seen: list[torch.Tensor] = []
    source = scene_patches(detector, holes)
    labelled = np.arange(40 * 4, dtype=np.int64)  # the first rows
    detector.network.members = nn.ModuleList([Recorder(seen)])
    teacher = MeanTeacher(
        detector.network, source, labelled, config.train, steps=10, generator=np.random.default_rng(0)
    )
    teacher(detector.network)
    inside = crop(source.t1, source.radius).permute(1, 2, 0)
    shown = {tuple(row) for row in torch.cat(seen).tolist()}
    may = {tuple(pixel) for row in [*range(4, 10), *range(14, 48)] for pixel in inside[row].tolist()}
    swapped = {tuple(pixel) for pixel in crop(source.t2, source.radius).flatten(1).T.tolist()}
    may_not = {tuple(pixel) for row in [*range(4), *range(10, 14)] for pixel in inside[row].tolist()}
    assert len(shown & may) > 0.8 * len(may) and shown <= may | swapped and not shown & may_not


def test_a_scene_of_labels_alone_has_nothing_to_add(scene: ScenePair) -> None:
    config = configuration(kind="pseudo_label")
    with pytest.raises(LabelError, match=r"all 1920 with data are training pixels: set it to none"):
        teach(network(scene, config), scene, config, tuple(range(48 * 40)))


def test_the_draws_of_the_labels_are_left_as_they_are(scene: ScenePair) -> None:
    config = configuration(kind="mean_teacher")
    detector = network(scene, config)
    ours, theirs = np.random.default_rng(7), np.random.default_rng(7)
    teacher = MeanTeacher(
        detector.network,
        scene_patches(detector, scene),
        np.empty(0, np.int64),
        config.train,
        steps=10,
        generator=ours,
    )
    teacher(detector.network)
    np.testing.assert_array_equal(ours.random(9), theirs.random(9))


def test_its_state_goes_on_where_it_was(scene: ScenePair) -> None:
    config = configuration(kind="mean_teacher", decay=0.5)
    detector = network(scene, config)
    teacher = teach(detector, scene, config)
    teacher(detector.network)
    with torch.no_grad():
        for parameter in detector.network.parameters():
            parameter.mul_(1.1)
    state = copy.deepcopy(teacher.state_dict())
    again = teach(detector, scene, config)
    again.load_state_dict(state)
    losses = []
    for each in (teacher, again):
        torch.manual_seed(3)
        losses.append(each(detector.network).item())
    assert losses[0] == losses[1] > 0
    a, b = tensors(teacher.state_dict()), tensors(again.state_dict())
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_killed_ends_as_one_that_was_not(
    cli: Any, simulated: Any, dates: list[str], tmp_path: Path, kind: str
) -> None:
    changes = {"train__epochs": 15, "train__max_steps": 1000, "train__validate_every": 5, "train__map_every": 0}
    more = {"train__teacher__kind": kind, "train__teacher__confidence": 0.6, "train__teacher__batch_size": 16}
    settings = cli.settings(**changes, **more)
    words = ["train", *dates, "--truth", simulated.truth, "--device", "cpu", *settings, "--run"]
    whole, folder = tmp_path / "whole", tmp_path / "run"
    undisturbed = cli.fork(*words, whole)
    assert undisturbed.communicate() and undisturbed.returncode == 0
    process = cli.fork(*words, folder)
    wait_for(process, saved_times(folder / "last.pt", 6))
    process.kill()
    process.communicate()
    assert not (folder / "result.json").exists()
    resume(cli, words, folder)
    assert_same_end(folder, whole)
    assert len(tensors(load_checkpoint(folder / "last.pt")["training"]["teacher"])) > 20
