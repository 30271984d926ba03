from __future__ import annotations

import numpy as np
import pytest
import torch

from hsi_cd.config import FreezeConfig, resolve
from hsi_cd.detectors.network import build_network
from hsi_cd.errors import ConfigError
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.training.freezing import freeze, frozen_names, parameter_groups


def network(kind: str = "resnet18", **backbone: object) -> Ensemble:
    torch.manual_seed(0)
    model = {"members": 2, "attention": {"kind": "bam"}, "backbone": {"kind": kind, "width": 8, **backbone}}
    ensemble = build_network(resolve([("test", {"model": model})]).model, np.ones(4, np.float32))
    return ensemble.train()


def learning(ensemble: Ensemble) -> set[str]:
    (names, again) = (
        {name for name, parameter in member.named_parameters() if parameter.requires_grad}
        for member in ensemble.members
    )
    assert names == again
    return names


@pytest.mark.parametrize(
    ("kind", "options", "groups"),
    [
        ("pointwise", {}, ["layers.0", "layers.1", "layers.2"]),
        ("spectral_spatial", {"depth": 2}, ["stem", "layers.0"]),
        ("transformer", {"depth": 2}, ["embed", "spectral", "merge", "layers.0"]),
        ("resnet18", {"until": "layer2"}, ["conv1", "bn1", "layer1", "layer2", "project"]),
        (
            "densenet121",
            {"until": "transition1"},
            [*(f"features.{part}" for part in ("conv0", "norm0", "denseblock1", "transition1")), "project"],
        ),
        (
            "resnet18",
            {"until": "layer1", "upsample": "transposed"},
            ["conv1", "bn1", "layer1", "project", "upsample.0", "upsample.1"],
        ),
    ],
)
def test_groups_are_the_parts_of_the_encoder_in_the_order_of_the_data(kind, options, groups) -> None:
    ensemble = network(kind, **options)
    assert parameter_groups(ensemble.members[0]) == [f"backbone.{group}" for group in groups]


def test_the_first_groups_do_not_learn() -> None:
    ensemble = network()
    freeze(ensemble, FreezeConfig(groups=3), epoch=0)
    everything = {name for name, _ in ensemble.members[0].named_parameters()}
    held = everything - learning(ensemble)
    first = ("backbone.conv1.", "backbone.bn1.", "backbone.layer1.")
    assert held == {name for name in everything if name.startswith(first)}


def test_parameters_are_frozen_by_pattern() -> None:
    ensemble = network()
    freeze(ensemble, FreezeConfig(names=("backbone.layer[12].*", "attention.gamma")), epoch=0)
    everything = {name for name, _ in ensemble.members[0].named_parameters()}
    held = everything - learning(ensemble)
    wanted = {name for name in everything if name.startswith(("backbone.layer1.", "backbone.layer2."))}
    assert held == wanted | {"attention.gamma"}


def test_nothing_is_frozen_by_default() -> None:
    ensemble = network(until="conv1")
    freeze(ensemble, FreezeConfig(), epoch=0)
    assert learning(ensemble) == {name for name, _ in ensemble.members[0].named_parameters()}
    assert all(module.training for module in ensemble.modules())


def test_until_an_epoch() -> None:
    ensemble, config = network(until="layer1"), FreezeConfig(groups=2, until=3)
    for epoch in range(5):
        ensemble.train()
        freeze(ensemble, config, epoch=epoch)
        frozen = epoch < 3
        assert ("backbone.conv1.weight" not in learning(ensemble)) == frozen
        assert ensemble.members[1].backbone.bn1.training != frozen
        assert ensemble.members[1].backbone.layer1.training


def test_a_step_leaves_alone_what_is_frozen() -> None:
    ensemble, config = network(until="layer1"), FreezeConfig(groups=3)
    optimizer = torch.optim.AdamW(ensemble.parameters(), lr=0.1, weight_decay=0.5)
    before = {name: value.clone() for name, value in ensemble.state_dict().items()}
    for _ in range(2):
        ensemble.train()
        freeze(ensemble, config, epoch=0)
        side = 2 * ensemble.radius + 1
        logits = ensemble(torch.randn(6, 4, side, side), torch.randn(6, 4, side, side))
        optimizer.zero_grad()
        logits.sum().backward()
        optimizer.step()
    # Neither gradient nor weight decay nor a batch's statistics moved it.
    same = {name for name, value in ensemble.state_dict().items() if torch.equal(value, before[name])}
    encoder = {name for name in before if ".backbone." in name and ".project." not in name}
    assert encoder <= same
    assert not any(".project." in name for name in same)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"groups": 9}, r"groups is 9, but the backbone has 7 parts: backbone\.conv1, .*backbone\.project"),
        (
            {"names": ("backbone.layer5.*",)},
            r"no parameter fits 'backbone\.layer5\.\*'; they are called attention",
        ),
        ({"names": ("*",)}, "leaves nothing that learns"),
        ({"names": ("*",), "until": 2}, "leaves nothing that learns"),
    ],
)
def test_what_cannot_be_frozen_is_refused(config, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        frozen_names(network().members[0], FreezeConfig(**config))
    assert "\n" not in str(caught.value)
