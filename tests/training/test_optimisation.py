import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hsi_cd.config import ModelConfig, TrainConfig, resolve
from hsi_cd.detectors.network import build_network
from hsi_cd.nn.losses import binary_cross_entropy
from hsi_cd.nn.schedules import Length
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.training.optimisation import Stepper, build_loss, each_loss

CPU = torch.device("cpu")


def settings(**train: Any) -> TrainConfig:
    return resolve([("test", {"train": train})]).train


@pytest.fixture
def network() -> Ensemble:
    torch.manual_seed(0)
    model = {
        "members": 2,
        "attention": {"kind": "none"},
        "backbone": {"width": 6, "depth": 2, "dropout": 0.0},
    }
    return build_network(ModelConfig.model_validate(model), np.ones(4, dtype=np.float32))


def samples(n: int = 16, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    t1, t2 = (torch.randn(n, 4, 1, 1, generator=draw) for _ in range(2))
    return t1, t2, (torch.rand(n, generator=draw) < 0.5).float()


def stepper_of(network: Ensemble, *, steps: int = 20, **train: Any) -> Stepper:
    # The default rises from nearly nothing: a constant rate lets one step be seen.
    return Stepper(network, settings(**{"schedule": "constant"} | train), Length(steps, 4), device=CPU)


def learn(network: Ensemble, stepper: Stepper, steps: int, *, start: int = 0) -> None:
    network.train()
    for seed in range(start, start + steps):
        t1, t2, target = samples(seed=seed)
        with stepper.autocast():
            logits = network(t1, t2)[:, 0, 0, 0].float()
        stepper.backward(binary_cross_entropy(logits, target))
        stepper.step()


def weights(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_gradients_of_several_batches_add_up_to_those_of_the_whole(network: Ensemble) -> None:
    other = copy.deepcopy(network)
    whole, parts = stepper_of(network), stepper_of(other)
    t1, t2, target = samples(16)
    for _ in range(3):
        whole.backward(binary_cross_entropy(network(t1, t2)[:, 0, 0, 0], target))
        whole.step()
        for at in range(0, 16, 4):
            part = slice(at, at + 4)
            loss = binary_cross_entropy(other(t1[part], t2[part])[:, 0, 0, 0], target[part])
            parts.backward(loss / 4)
        parts.step()
    for name, value in weights(network).items():
        torch.testing.assert_close(weights(other)[name], value, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_each_member_is_shortened_by_itself(network: Ensemble) -> None:
    stepper = stepper_of(network, clip_norm=0.01)
    seen = []
    stepper.optimizer.register_step_pre_hook(
        lambda *_: seen.append(
            [
                torch.cat([p.grad.ravel() for p in m.parameters() if p.grad is not None]).clone()
                for m in network.members
            ]
        )
    )
    t1, t2, target = samples()
    first, second = (member(t1, t2)[:, 0, 0, 0] for member in network.members)
    loss = binary_cross_entropy(first, target) * 100 + binary_cross_entropy(second, target) * 1e-4
    parameters = list(network.members[1].parameters())
    expected = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    stepper.backward(loss)
    stepper.step()
    long, short = seen[0]
    assert float(long.norm()) == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(short, torch.cat([g.ravel() for g in expected if g is not None]))


def test_the_average_is_the_exponential_mean_of_the_weights(network: Ensemble) -> None:
    stepper = stepper_of(network, ema=0.8)
    expected: dict[str, Tensor] = {}
    for step in range(6):
        learn(network, stepper, 1, start=step)
        now = weights(network)
        expected = {n: 0.8 * expected[n] + 0.2 * now[n] for n in now} if expected else now
    assert stepper.judged is not network
    for name, value in weights(stepper.judged).items():
        torch.testing.assert_close(value, expected[name])


def test_without_an_average_the_network_itself_is_judged(network: Ensemble) -> None:
    assert stepper_of(network).judged is network


def test_a_step_with_an_infinite_gradient_is_not_taken(network: Ensemble) -> None:
    stepper = stepper_of(network, precision="float16", schedule="cosine", ema=0.5)
    learn(network, stepper, 1)
    before, rate = weights(network), stepper.optimizer.param_groups[0]["lr"]
    average, scale = weights(stepper.judged), stepper.state_dict()["scaler"]["scale"]
    t1, t2, target = samples()
    stepper.backward(binary_cross_entropy(network(t1, t2)[:, 0, 0, 0], target) * 1e38)
    stepper.step()
    assert same(weights(network), before) and same(weights(stepper.judged), average)
    assert stepper.optimizer.param_groups[0]["lr"] == rate
    assert stepper.state_dict()["scaler"]["scale"] == scale / 2
    learn(network, stepper, 1, start=1)
    assert not same(weights(network), before) and stepper.optimizer.param_groups[0]["lr"] < rate


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_products_are_taken_in_the_configured_precision(network: Ensemble, precision: str) -> None:
    stepper = stepper_of(network, precision=precision)
    a = torch.ones(3, 3)
    with stepper.autocast():
        assert (a @ a).dtype == getattr(torch, precision)
    with stepper_of(network).autocast():
        assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.quick("bfloat16")
def test_every_precision_learns_and_keeps_weights_in_float32(network: Ensemble, precision: str) -> None:
    t1, t2, _ = samples(64)
    target = ((t1 - t2).square().mean(dim=(1, 2, 3)) > 2).float()
    stepper = stepper_of(network, precision=precision, lr=0.02)
    losses = []
    for _ in range(60):
        with stepper.autocast():
            logits = network(t1, t2)[:, 0, 0, 0].float()
        loss = binary_cross_entropy(logits, target)
        stepper.backward(loss)
        stepper.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.dtype == torch.float32 for p in network.parameters())


@pytest.mark.parametrize(
    "train",
    [
        {},
        {"schedule": "plateau", "schedule_options": {"plateau": {"patience": 0}}, "linear_warmup": 0.2},
        {"schedule": "one_cycle", "ema": 0.9},
        {"schedule": "cosine", "precision": "float16", "clip_norm": 0.1},
        {"schedule": "hold", "precision": "bfloat16", "ema": 0.5},
        {"optimizer": "adam"},
    ],
)
def test_a_stepper_goes_on_exactly_where_it_stopped(network: Ensemble, train: dict[str, Any]) -> None:
    other = copy.deepcopy(network)
    stepper = stepper_of(network, **train)
    learn(network, stepper, 7)
    stepper.schedule.validated(1.0)
    stepper.schedule.validated(2.0)
    file = io.BytesIO()
    torch.save([stepper.state_dict(), network.state_dict()], file)
    learn(network, stepper, 7, start=7)

    file.seek(0)
    state, kept = torch.load(file, weights_only=True)
    other.load_state_dict(kept)
    resumed = stepper_of(other, **train)
    resumed.load_state_dict(state)
    learn(other, resumed, 7, start=7)
    assert same(weights(network), weights(other)) and same(weights(stepper.judged), weights(resumed.judged))
    assert [g["lr"] for g in stepper.optimizer.param_groups] == [g["lr"] for g in resumed.optimizer.param_groups]


def test_the_loss_has_its_options_and_the_weight_of_the_classes() -> None:
    config = settings(loss="focal", loss_options={"focal": {"gamma": 3.0}}, class_weight=0.5)
    loss = build_loss(config, changed=4, unchanged=36)
    assert loss.keywords == {"changed_weight": 3.0, "gamma": 3.0}
    logits, target = torch.tensor([0.5]), torch.tensor([1.0])
    p = 1 / (1 + np.exp(-0.5))
    assert float(loss(logits, target)) == pytest.approx(-3 * (1 - p) ** 3 * np.log(p), rel=1e-5)


def test_the_last_loss_of_a_pixel_is_its_own() -> None:
    logits, target = torch.randn(9, requires_grad=True), torch.rand(9)
    loss = build_loss(settings(), changed=5, unchanged=4)
    expected = [float(loss(logits[i : i + 1].detach(), target[i : i + 1])) for i in range(9)]
    found = each_loss(loss, logits, target)
    assert found.dtype == np.float64 and found == pytest.approx(expected)
