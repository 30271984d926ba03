"""Held-out shapes and the scene itself say what a network that learned from a drawing is worth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation import SimulationOptions, simulate_pair
from hsi_cd.detectors.network_calibration import Calibration
from hsi_cd.scene import ScenePair, cube_from_array
from hsi_cd.training.drawn_calibration import (
    calibrate_drawn,
    label_free_is_better,
    missed_offset,
    prior_weight,
    share_weight,
)
from hsi_cd.training.pseudo_labels import PseudoLabels, SceneDraw


class Said(nn.Module):
    """A network that says of each pixel what it was given; its patches are the numbers of the pixels."""

    def __init__(self, logits: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.from_numpy(logits)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.logits[pixels][:, None, None, None]


@dataclass
class Numbers:
    valid: Tensor

    def cut(self, pixels: Tensor) -> tuple[Tensor]:
        return (pixels,)


def calibrated(shapes: int = 10, *, worth: float | None = None, **how: Any) -> Calibration:
    """Of a scene of which the label-free map calls a tenth changed, by so many shapes a class, a pixel each.

    Where their pixels are worth something, they are of whole areas, and say the share themselves.
    """
    target = np.arange(2 * shapes) % 2
    scene = SceneDraw(np.arange(len(SCORES)), ODDS, np.zeros(len(SCORES)))
    known = np.where(target == 1, 1, -1).astype(np.float32)
    none: Any = None
    share = 0.1 if worth is None else None
    pseudo = PseudoLabels(scene.pixels, ODDS, np.arange(2 * shapes), 0.5, share, none, known, scene, worth)
    network, source = Said(SCORES), Numbers(torch.ones(1))
    return calibrate_drawn(network, source, target, pseudo, **{"held_out": None, **how})  # type: ignore[arg-type]


SCORES = np.random.default_rng(0).normal(0, 3, 3000)
ODDS = np.random.default_rng(1).normal(0, 2, 3000).astype(np.float32)


@pytest.mark.parametrize("shapes", [1, 5, 10, 50])
def test_few_shapes_leave_the_share_to_the_scene(shapes: int) -> None:
    """So many logits lie above the boundary as the share says, times what the share is worth beside the shapes."""
    found = calibrated(shapes)
    at_share = np.sort(SCORES + 0.25 * ODDS)[int(0.9 * 2999)]
    assert -found.offset == pytest.approx(10 / (10 + shapes) * at_share, abs=0.02)
    assert (found.slope, found.threshold, found.prior) == (1.0, 0.5, 0.25)
    assert share_weight(shapes) == 10 / (10 + shapes)


@pytest.mark.parametrize("told", [0.02, 0.3])
def test_a_share_that_is_told_is_what_is_called_changed(told: float) -> None:
    found = calibrated(share=told)
    assert (SCORES + 0.25 * ODDS + found.offset >= 0).mean() == pytest.approx(told, abs=1e-3)


def test_a_threshold_that_is_set_is_kept() -> None:
    assert calibrated(threshold=0.7).threshold == 0.7
    assert calibrated(threshold="learned", held_out=np.zeros(20)) == Calibration()


def test_held_out_shapes_weigh_the_label_free_map() -> None:
    """Networks that know nothing leave it to the map that is right; those that know all need it less."""
    target = np.arange(20) % 2
    helpless, sure = (calibrated(held_out=scale * (2.0 * target - 1)) for scale in (0.01, 9.0))
    assert helpless.prior > 0.35 > sure.prior == pytest.approx(0.25, abs=0.01)
    at_share = np.quantile(SCORES + helpless.prior * ODDS, 0.9)
    assert helpless.offset == pytest.approx(-0.5 * at_share, abs=0.02)


def test_where_the_label_free_map_is_better_it_is_the_map(caplog: pytest.LogCaptureFixture) -> None:
    target = np.arange(20) % 2
    found = calibrated(held_out=np.where(np.arange(20) < 12, 1 - 2.0 * target, 2.0 * target - 1))
    assert (found.slope, found.offset, found.prior) == (0.0, 0.0, 1.0)
    assert "better by the label-free map (100 % of the unchanged, 100 % of the changed ones right)" in caplog.text
    assert "(40 %, 40 %)" in caplog.text


def _expected_kappa(probability: np.ndarray, threshold: float) -> float:
    """Of a map, if each pixel is changed with the probability that is told, by the formula itself."""
    called = probability >= threshold
    agree = np.where(called, probability, 1 - probability).mean()
    chance = called.mean() * probability.mean() + (1 - called.mean()) * (1 - probability.mean())
    return float((agree - chance) / (1 - chance))


@pytest.mark.parametrize("scale", [0.2, 1.0])
def test_labels_of_areas_say_where_change_is_missed_and_the_scene_where_the_line_is(scale: float) -> None:
    target = np.arange(20) % 2
    held_out = scale * np.random.default_rng(3).normal(4.5 * target - 4, 0.1)
    found = calibrated(worth=0.8, held_out=held_out)
    assert (found.slope, found.prior) == (1.0, 0.5)
    known = np.where(target == 1, 1, -1)
    assert found.offset == pytest.approx(missed_offset(held_out + 0.5 * known, target, worth=0.8))
    assert found.offset > 0.1
    probability = 1 / (1 + np.exp(-(SCORES + 0.5 * ODDS + found.offset)))
    best = max(_expected_kappa(probability, at) for at in np.linspace(0.01, 0.99, 981))
    assert _expected_kappa(probability, found.threshold) == pytest.approx(best, abs=1e-5)
    assert found.threshold != 0.5
    nobody = calibrated(worth=0.8)
    assert nobody.offset == 0
    assert nobody.prior == 0.5


def test_areas_give_way_to_a_share_and_a_threshold_that_are_told() -> None:
    held_out = np.where(np.arange(20) % 2 == 1, 1.0, -4.0)
    assert calibrated(worth=0.8, held_out=held_out, threshold=0.7).threshold == 0.7
    found = calibrated(worth=0.8, held_out=held_out, share=0.2)
    assert (SCORES + 0.5 * ODDS + found.offset >= 0).mean() == pytest.approx(0.2, abs=1e-3)
    assert found.threshold == 0.5


@pytest.mark.parametrize("middle", [-2.0, 0.0, 2.0])
def test_what_is_missed_is_the_likeliest_offset_and_no_label_takes_change_away(middle: float) -> None:
    """Against a search over a grid."""
    random = np.random.default_rng(4)
    target = (random.random(60) < 0.3).astype(np.int64)
    logits = middle + random.normal(0, 1, 60) + 2 * target - 1
    logits[5] = np.nan

    def loss(offset: float) -> float:
        p = 0.03 + 0.94 / (1 + np.exp(-(logits + offset)))
        return -0.25 * float(np.nansum(np.log(np.where(target == 1, p, 1 - p)))) + offset**2 / 32

    grid = np.linspace(0, 12, 4801)
    found = missed_offset(logits, target, worth=0.25)
    assert found == pytest.approx(grid[np.argmin([loss(each) for each in grid])], abs=0.026)
    assert found > 0.5 if middle < 0 else found < 1e-3


def test_a_kind_of_change_that_nothing_shows_moves_no_line() -> None:
    """A tenth of the change lies far below all that did not change: to call it changed, all would have to be."""
    target = np.repeat([0, 1, 1], [500, 180, 20])
    logits = np.repeat([-6.0, 6.0, -9.0], [500, 180, 20])
    assert missed_offset(logits, target, worth=0.1) < 1
    assert missed_offset(logits[target == 1], target[target == 1], worth=0.1) > 3


def test_no_label_misses_nothing() -> None:
    assert missed_offset(np.empty(0), np.empty(0, dtype=np.int64), worth=1.0) == 0


@pytest.mark.parametrize(
    ("wrong", "better"),
    [((), False), ((1,), False), ((0, 1, 2), False), (tuple(range(0, 8, 2)), True), (tuple(range(6)), True)],
)
def test_better_means_by_more_than_two_standard_errors(wrong: tuple[int, ...], better: bool) -> None:
    """The map is right of ten shapes of each class; the networks wrong of some, whatever their pixels."""
    shapes = np.repeat(np.arange(20), np.random.default_rng(2).integers(1, 9, 20))
    target = shapes % 2
    right = 2.0 * target - 1
    said = np.where(np.isin(shapes, wrong), -right, right)
    each = np.array([[s in wrong for s in range(code, 20, 2)] for code in (0, 1)], dtype=float)
    expected = each.mean(axis=1).sum() > 2 * np.sqrt(each.var(axis=1, ddof=1).sum() / 10)
    assert label_free_is_better(said, right, target, shapes) == better == expected
    unknown = np.full(len(shapes), np.nan)
    assert not label_free_is_better(unknown, right, target, shapes)


def test_a_class_with_one_shape_does_not_choose_the_label_free_map() -> None:
    """However wrong the networks are of it, and of the other class: one shape may be chance."""
    target = np.array([0, 1, 1, 1, 1])
    right = 2.0 * target - 1
    assert not label_free_is_better(-right, right, target, np.arange(5))
    assert label_free_is_better(
        -right[[0, 0, 0, 1, 2, 3]], right[[0, 0, 0, 1, 2, 3]], np.repeat([0, 1], 3), np.arange(6)
    )


def test_networks_that_learned_nothing_give_the_map_without_labels(caplog: pytest.LogCaptureFixture) -> None:
    """Through the door: four steps at no rate worth the name."""
    made = simulate_pair(SimulationOptions(rows=90, cols=80, bands=16, seed=5))
    scene = ScenePair(cube_from_array(made.t1), cube_from_array(made.t2), name="fields")
    labels = hc.draw(hc.Labels(made.truth), 15, seed=1)
    settings = {"train.epochs": 1, "train.lr": 1e-6, "model.attention.kind": "none"}
    change = hc.Siamese(members=2, settings=settings).fit(scene, labels).predict(scene)
    assert "the map is the label-free one" in caplog.text
    np.testing.assert_array_equal(np.asarray(change.change), np.asarray(hc.detect(scene).change))


@pytest.mark.quick("-1.0-below")
@pytest.mark.parametrize(("agrees", "bound"), [(1.0, "above"), (-1.0, "below"), (0.0, "same")])
def test_shapes_weigh_what_the_label_free_detector_says(agrees: float, bound: str) -> None:
    """Against a search over a grid, with each shape counted once, however many pixels it has."""
    random = np.random.default_rng(1)
    shapes = np.repeat(np.arange(30), random.integers(1, 12, 30))
    target = (shapes % 2).astype(np.int64)
    logits = (2 * target - 1) * 0.5 + random.normal(0, 1, len(target))
    log_odds = agrees * (2 * target - 1) * 3 + random.normal(0, 1, len(target)) * abs(agrees)
    logits[3], log_odds[7] = np.nan, np.nan  # nobody said anything: left out
    found = prior_weight(logits, log_odds, target, shapes)

    def loss(weight: float) -> float:
        total = np.log(weight / 0.25) ** 2 / 2
        for shape in np.unique(shapes):
            own = (shapes == shape) & np.isfinite(logits) & np.isfinite(log_odds)
            p = 1 / (1 + np.exp(-(logits[own] + weight * log_odds[own])))
            total -= np.log(np.where(target[own] == 1, p, 1 - p)).mean()
        return float(total)

    grid = np.exp(np.linspace(np.log(0.002), 0, 2000))
    assert found == pytest.approx(grid[np.argmin([loss(weight) for weight in grid])], rel=5e-3)
    assert {"above": found > 0.3, "below": found < 0.1, "same": found == pytest.approx(0.25, abs=1e-3)}[bound]


def test_no_shape_leaves_the_usual_weight() -> None:
    nothing = np.empty(0)
    assert prior_weight(nothing, nothing, nothing.astype(np.int64), nothing.astype(np.int64)) == pytest.approx(
        0.25, abs=1e-3
    )
