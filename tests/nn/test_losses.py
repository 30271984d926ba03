import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss
from torch import Tensor

from hsi_cd.nn.losses import (
    IGNORED,
    LOSSES,
    binary_cross_entropy,
    contrastive,
    cross_entropy,
    dice,
    focal,
    hinge,
    smooth_labels,
    tversky,
)

SOFT = [name for name in LOSSES if name != "contrastive"]
"""Losses that understand blended targets."""


def batch(n: int = 40, *, seed: int = 0, ignored: int = 5) -> tuple[Tensor, Tensor]:
    """Outputs (positive, as distances are, for all losses alike) and targets, the last ones ignored."""
    rng = np.random.default_rng(seed)
    output, target = torch.tensor(rng.uniform(0.05, 3, n)), torch.tensor(rng.integers(0, 2, n)).double()
    target[n - ignored :] = IGNORED
    return output, target


def probability(z: float) -> float:
    return 1 / (1 + math.exp(-z))


# --- Each loss against a loop over its pixels, as its paper has it ---


def naive_bce(z: list[float], y: list[float], w: float) -> float:
    each = [
        -w * t * math.log(probability(a)) - (1 - t) * math.log(probability(-a)) for a, t in zip(z, y, strict=True)
    ]
    return sum(each) / len(each)


def naive_cross_entropy(z: list[float], y: list[float], w: float) -> float:
    total = weights = 0.0
    for a, t in zip(z, y, strict=True):
        norm = math.exp(0) + math.exp(a)
        total += -w * t * math.log(math.exp(a) / norm) - (1 - t) * math.log(1 / norm)
        weights += w * t + (1 - t)
    return total / weights


def naive_focal(z: list[float], y: list[float], w: float) -> float:
    total = 0.0
    for a, t in zip(z, y, strict=True):
        p = probability(a)
        total += -w * t * (1 - p) ** 2 * math.log(p) - (1 - t) * p**2 * math.log(1 - p)
    return total / len(z)


def naive_tversky(z: list[float], y: list[float], w: float, alpha: float = 0.3, beta: float = 0.7) -> float:
    hit = wrong = missed = 0.0
    for a, t in zip(z, y, strict=True):
        p, n = probability(a), w if t else 1
        hit, wrong, missed = hit + n * p * t, wrong + n * p * (1 - t), missed + n * (1 - p) * t
    return 1 - (hit + 1) / (hit + alpha * wrong + beta * missed + 1)


def naive_dice(z: list[float], y: list[float], w: float) -> float:
    weights = [w if t else 1 for t in y]
    both = sum(n * probability(a) * t for n, a, t in zip(weights, z, y, strict=True))
    sums = sum(n * (probability(a) + t) for n, a, t in zip(weights, z, y, strict=True))
    return 1 - (2 * both + 1) / (sums + 1)


def naive_hinge(z: list[float], y: list[float], w: float) -> float:
    return sum(w * max(0, 1 - a) if t else max(0, 1 + a) for a, t in zip(z, y, strict=True)) / len(z)


def naive_contrastive(d: list[float], y: list[float], w: float) -> float:
    near = [a**2 for a, t in zip(d, y, strict=True) if t == 0]
    far = [max(0.0, 2 - a) ** 2 for a, t in zip(d, y, strict=True) if t == 1]
    return sum(near) / max(len(near), 1) / 2 + w * sum(far) / max(len(far), 1) / 2


NAIVE: dict[str, Callable[[list[float], list[float], float], float]] = {
    "bce": naive_bce,
    "cross_entropy": naive_cross_entropy,
    "focal": naive_focal,
    "tversky": naive_tversky,
    "dice": naive_dice,
    "hinge": naive_hinge,
    "contrastive": naive_contrastive,
}


@pytest.mark.parametrize("name", LOSSES)
@given(
    pixels=st.lists(st.tuples(st.floats(0.05, 6), st.sampled_from([0, 1])), min_size=1, max_size=12),
    ignored=st.integers(0, 3),
    weight=st.sampled_from([1.0, 0.3, 4.0]),
)
def test_a_loss_is_its_loop_over_the_labelled_pixels(
    name: str, pixels: list[tuple[float, int]], ignored: int, weight: float
) -> None:
    z, y = [a for a, _ in pixels], [float(t) for _, t in pixels]
    if name != "contrastive":  # a distance is not negative; a logit is
        z = [-a if i % 2 else a for i, a in enumerate(z)]
    output = torch.tensor(z + [1e3] * ignored, dtype=torch.float64)
    target = torch.tensor(y + [IGNORED] * ignored, dtype=torch.float64)
    found = LOSSES[name](output, target, changed_weight=weight)
    assert found.shape == ()
    assert float(found) == pytest.approx(NAIVE[name](z, y, weight), rel=1e-9, abs=1e-12)


# --- The same numbers from those who have them already ---


@pytest.mark.parametrize("changed_weight", [1.0, 0.3, 4.0])
def test_bce_is_that_of_scikit_learn(changed_weight: float) -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(0, 3, 50), rng.integers(0, 2, 50)
    found = binary_cross_entropy(
        torch.tensor(logits), torch.tensor(target).double(), changed_weight=changed_weight
    )
    weights = np.where(target == 1, changed_weight, 1.0)
    expected = log_loss(target, 1 / (1 + np.exp(-logits)), sample_weight=weights, normalize=False) / 50
    assert float(found) == pytest.approx(expected)


@given(n=st.integers(1, 300), seed=st.integers(0, 9), weight=st.sampled_from([1.0, 0.7, 3.3]))
def test_bce_without_ignored_pixels_is_torchs_to_the_last_bit(n: int, seed: int, weight: float) -> None:
    torch.manual_seed(seed)
    logits, target = torch.randn(n, requires_grad=True), torch.rand(n)
    ours = binary_cross_entropy(logits, target, changed_weight=weight)
    theirs = F.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(weight))
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)))


@pytest.mark.parametrize("changed_weight", [1.0, 0.3, 4.0])
def test_cross_entropy_is_torchs_of_two_logits(changed_weight: float) -> None:
    z, y = batch()
    two = torch.stack([torch.zeros_like(z), z], dim=1)
    weight = torch.tensor([1.0, changed_weight], dtype=torch.float64)
    expected = F.cross_entropy(two, y.long(), weight=weight, ignore_index=IGNORED)
    assert float(cross_entropy(z, y, changed_weight=changed_weight)) == pytest.approx(float(expected))


def test_without_weights_cross_entropy_and_focal_of_gamma_0_are_bce() -> None:
    z, y = batch()
    expected = float(binary_cross_entropy(z, y))
    assert float(cross_entropy(z, y)) == pytest.approx(expected)
    assert float(focal(z, y, gamma=0)) == pytest.approx(expected)


def test_dice_of_certain_predictions_is_one_minus_f1() -> None:
    rng = np.random.default_rng(1)
    said, truth = rng.integers(0, 2, (2, 200))
    found = dice(torch.tensor(said * 200.0 - 100), torch.tensor(truth).double(), smooth=0.0)
    assert float(found) == pytest.approx(1 - f1_score(truth, said))


def test_tversky_weighs_the_two_errors_apart() -> None:
    z, y = torch.tensor([50.0, 50.0, -50.0, 50.0]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    assert float(tversky(z, y, alpha=0.2, beta=0.9, smooth=0.0)) == pytest.approx(1 - 2 / (2 + 0.2 + 0.9))


def test_options_of_the_contrastive_loss() -> None:
    d, y = torch.tensor([0.5, 1.0, 2.5]), torch.tensor([0.0, 1.0, 1.0])
    assert float(contrastive(d, y, margin=3.0)) == pytest.approx(0.25 / 2 + (4 + 0.25) / 2 / 2)


# --- What all of them keep to ---


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    z, y = batch()
    assert torch.autograd.gradcheck(lambda output: LOSSES[name](output, y, changed_weight=1.7), z.requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("wild", [0.3, 1e30, math.inf, math.nan])
def test_ignored_pixels_have_no_gradient_and_no_say(name: str, wild: float) -> None:
    z, y = batch()
    expected = LOSSES[name](z[:-5], y[:-5])
    z[-5:] = wild
    z.requires_grad_()
    loss = LOSSES[name](z, y)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, z)
    assert (gradient[-5:] == 0).all() and torch.isfinite(gradient).all() and (gradient[:-5] != 0).any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_labels_costs_nothing(name: str) -> None:
    z = torch.tensor([0.4, 2.0], requires_grad=True)
    loss = LOSSES[name](z, torch.full((2,), float(IGNORED)))
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.item() == 0 and (gradient == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_changes_nothing_it_is_given(name: str) -> None:
    z, y = batch()
    before = z.clone(), y.clone()
    LOSSES[name](z, y)
    assert torch.equal(z, before[0]) and torch.equal(y, before[1])


@pytest.mark.parametrize("name", LOSSES)
def test_large_outputs_stay_finite(name: str) -> None:
    z = torch.tensor([1e4, 1e-6 if name == "contrastive" else -1e4], requires_grad=True)
    loss = LOSSES[name](z, torch.tensor([0.0, 1.0]))
    (gradient,) = torch.autograd.grad(loss, z)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", SOFT)
def test_being_right_costs_less_than_being_wrong(name: str) -> None:
    y = torch.tensor([0.0, 1.0, 1.0, 0.0])
    z = (2 * y - 1) * 3
    costs = [float(LOSSES[name](output, y)) for output in (z, torch.zeros(4), -z)]
    assert costs == sorted(costs) and costs[0] < costs[1] < costs[2]


@pytest.mark.parametrize("name", ["bce", "focal", "hinge"])
def test_a_soft_target_is_a_mixture_of_both_classes(name: str) -> None:
    z = torch.tensor([0.7, -1.2], dtype=torch.float64)
    soft, ones, zeros = (float(LOSSES[name](z, torch.full_like(z, t), changed_weight=2.0)) for t in (0.3, 1, 0))
    assert soft == pytest.approx(0.3 * ones + 0.7 * zeros)


@pytest.mark.parametrize("name", ["bce", "cross_entropy", "dice", "tversky"])
@pytest.mark.parametrize("target", [0.2, 0.5, 0.9])
def test_a_soft_target_is_what_the_network_should_say(name: str, target: float) -> None:
    grid = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    costs = [float(LOSSES[name](torch.logit(p)[None], torch.tensor([target]).double())) for p in grid]
    assert float(grid[int(np.argmin(costs))]) == pytest.approx(target)


def test_hinge_asks_for_no_more_than_its_margin() -> None:
    z = torch.tensor([1.5, -1.5, 1.0], requires_grad=True)
    loss = hinge(z, torch.tensor([1.0, 0.0, 1.0]))
    assert loss.item() == 0


def test_smoothing_draws_labels_towards_one_half() -> None:
    y = torch.tensor([0.0, 1.0, 0.25, IGNORED])
    torch.testing.assert_close(smooth_labels(y, smoothing=0.1), torch.tensor([0.05, 0.95, 0.275, IGNORED]))
    assert torch.equal(smooth_labels(y, smoothing=0.0), y)


def test_smoothing_is_torchs() -> None:
    z, y = batch(ignored=0)
    two = torch.stack([torch.zeros_like(z), z], dim=1)
    expected = F.cross_entropy(two, y.long(), label_smoothing=0.2)
    assert float(cross_entropy(z, smooth_labels(y, smoothing=0.2))) == pytest.approx(float(expected))


def test_the_loss_of_each_sample_is_that_of_a_batch_of_one() -> None:
    z, y = batch(8, ignored=0)
    for loss in LOSSES.values():
        each = torch.func.vmap(loss)(z[:, None], y[:, None])
        torch.testing.assert_close(each, torch.stack([loss(z[i : i + 1], y[i : i + 1]) for i in range(8)]))
