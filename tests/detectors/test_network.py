"""The network of a configuration: parts by name, of this package and of others."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hsi_cd.config import (
    ATTENTIONS,
    BACKBONES,
    HEADS,
    AttentionConfig,
    BackboneConfig,
    ModelConfig,
    parse_assignment,
    resolve,
    to_yaml,
)
from hsi_cd.detectors.network import build_network, check_parts, find_part
from hsi_cd.errors import CheckpointError, ConfigError
from hsi_cd.nn.siamese_network import Ensemble

PARTS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, channels, *, width, gain=1.0, grow=0, out=None):
        super().__init__()
        if gain < 0:
            raise RuntimeError("no gain\\nbelow 0")
        self.layer = nn.Conv2d(channels, width + grow, 3)
        self.gain, self.radius, self.out_channels = gain, 1, width if out is None else out
    def forward(self, x):
        return self.gain * self.layer(x)

class Pads(Net):
    def __init__(self, channels, *, width):
        super().__init__(channels, width=width)
        self.layer = nn.Conv2d(channels, width, 3, padding=1)
        self.radius = 0

class NoRadius(Net):
    def __init__(self, channels, *, width):
        super().__init__(channels, width=width)
        del self.radius

class Needs(Net):
    def __init__(self, channels, *, width, colour):
        super().__init__(channels, width=width)

class Fails(Net):
    def forward(self, x):
        return x.nothing

class Half(nn.Module):
    radius = 0
    def __init__(self, channels, share=0.5):
        super().__init__()
        self.share = share
    def forward(self, x1, x2, valid):
        return x1 * self.share, x2 * self.share

class Mean(nn.Module):
    symmetric = True
    def __init__(self, channels, dropout):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
    def forward(self, f1, f2):
        return ((f1 - f2).abs() * self.scale).mean(dim=1, keepdim=True)

def function(channels, *, width):
    return Net(channels, width=width)
"""


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module with parts of a network, which the user may name."""
    (tmp_path / "other_parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path
    sys.modules.pop("other_parts", None)


def configured(**model: Any) -> ModelConfig:
    return resolve([("--set", {"model": {"members": 2, **model}})]).model


def build(model: ModelConfig) -> Ensemble:
    torch.manual_seed(0)
    return build_network(model, np.linspace(0.1, 0.5, 6, dtype=np.float32))


@pytest.mark.parametrize("what", ["attention", "backbone", "head"])
def test_an_option_is_a_setting_with_the_same_default(what: str) -> None:
    """A signature may repeat a default for those who build a part by hand; it must not contradict it."""
    known = {"attention": ATTENTIONS, "backbone": BACKBONES, "head": HEADS}[what]
    section = {"attention": AttentionConfig, "backbone": BackboneConfig, "head": BackboneConfig}[what]()
    taken = set()
    for name in known:
        for option, parameter in find_part(what, name, known).takes.items():
            if hasattr(section, option):
                taken.add(option)
                default = parameter.default
                assert default in (inspect.Parameter.empty, getattr(section, option)) or option == "dropout", name
    network_wide = {"place", "spread", "kind", "dropout", "weights", "adapt"}
    if what != "head":
        assert taken == type(section).model_fields.keys() - network_wide


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"backbone": {"until": "layer2"}}, r"until is 'layer2', but pointwise has no layers .* and densenet121"),
        ({"backbone": {"weights": "a.pth"}}, r"weights is 'a\.pth', but pointwise .*resnet18, "),
        (
            {"backbone": {"kind": "resnet18", "until": "layer9"}},
            r"model\.backbone: until is 'layer9': .* or layer4",
        ),
        ({"backbone": {"kind": "densenet121", "until": "layer1"}}, r"until is 'layer1': expected conv0, "),
        ({"backbone": {"kind": "transformer", "width": 10}}, r"width is 10: .*4 heads needs a multiple"),
        ({"backbone": {"kind": "inception", "width": 3}}, r"model\.backbone: width is 3: .*at least 4"),
        ({"attention": {"place": "features"}}, r"model\.attention: bilateral .* place: input"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(model: dict[str, Any], message: str) -> None:
    for refuse in (build, check_parts):
        with pytest.raises(ConfigError, match=message) as caught:
            refuse(configured(**model))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", BACKBONES)
def test_a_check_costs_no_random_numbers(kind: str) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    check_parts(configured(backbone={"kind": kind}))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_parts_of_another_package_with_options_of_their_own(parts: Path) -> None:
    words = ("backbone.kind=other_parts:Net", "backbone.gain=2.5", "attention.kind=other_parts:Half")
    words += ("attention.share=0.25", "head=other_parts:Mean", "backbone.width=8")
    model = resolve([("--set " + word, parse_assignment(f"model.{word}")) for word in words]).model
    network = build(model)
    member = network.members[0]
    assert (member.backbone.gain, member.attention.share) == (2.5, 0.25) and network.radius == 1
    assert network(*torch.randn(2, 1, 6, 5, 6)).shape == (1, 1, 3, 4)
    config = resolve([("", {"model": model.model_dump()})])
    assert config.model == model and "gain: 2.5" in to_yaml(config)  # what a checkpoint and a run folder keep
    check_parts(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "other_parts:Nett"}, r"backbone other_parts:Nett: other_parts has no Nett: did you mean Net\?"),
        ({"kind": "other_parts:function"}, r"function is no class of torch\.nn\.Module"),
        (
            {"kind": "other_parts:Pads"},
            r"another value in a window than in its own patch of 1 x 1|gives .* expected",
        ),
        ({"kind": "other_parts:NoRadius"}, r"must have radius.* its radius is missing"),
        ({"kind": "other_parts:Needs"}, r"Needs needs colour: set model\.backbone\.colour"),
        ({"kind": "other_parts:Fails"}, r"fails on a window \(AttributeError: "),
        (
            {"kind": "other_parts:Net", "out": 3},
            r"must have out_channels 64 \(model\.backbone\.width\): they are 3",
        ),
        (
            {"kind": "other_parts:Net", "grow": 3},
            r"gives \(2, 67, 2, 3\) for a window .* expected \(2, 64, 2, 3\)",
        ),
        ({"kind": "other_parts:Net", "gain": -1}, r"cannot be built \(RuntimeError: no gain below 0\)"),
        (
            {"kind": "other_parts:Net", "gian": 1},
            r"unknown key model\.backbone\.gian: other_parts:Net takes width, ",
        ),
        ({"gain": 1}, r"unknown key model\.backbone\.gain"),
    ],
)
def test_a_part_that_keeps_no_contract_is_refused(parts: Path, model: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build(configured(backbone=model))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_imports_no_part_by_itself(parts: Path) -> None:
    model = ModelConfig.model_validate({"backbone": {"kind": "other_parts:Net", "gain": 2.0}})
    with pytest.raises(CheckpointError, match=r"needs the backbone other_parts:Net, .* import other_parts first"):
        build(model)
    assert "other_parts" not in sys.modules
    resolve([("--set", {"model": {"backbone": {"kind": "other_parts:Net"}}})])  # the user names it
    assert build(model).members[0].backbone.gain == 2.0


@pytest.mark.parametrize("kind", ["os:_exit", "os:system", "builtins:exec", "sys:exit"])
def test_what_a_checkpoint_names_is_not_called_before_it_is_checked(kind: str) -> None:
    with pytest.raises(ConfigError, match="is no class of torch"):
        build(ModelConfig.model_validate({"backbone": {"kind": kind}}))
