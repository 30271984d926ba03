"""Weight files of torchvision, made here: its names and shapes, by the formula of the paper and of that library.

They are written down without a look at this project's networks; that library itself is not needed.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hsi_cd.config import resolve
from hsi_cd.detectors.network import build_network
from hsi_cd.errors import CheckpointError, MissingInputError
from hsi_cd.nn.resnet import ResNet
from hsi_cd.nn.siamese_network import Ensemble
from hsi_cd.training.weight_files import load_encoder_weights

STAGES = ResNet.STAGES
LAYERS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
PARAMETERS = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}
"""With the classifier of 1000 classes, as torchvision's documentation gives them."""


def norm(path: str, channels: int) -> dict[str, tuple[int, ...]]:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{path}.{name}": (channels,) for name in vectors} | {f"{path}.num_batches_tracked": ()}


def names_and_shapes(kind: str) -> dict[str, tuple[int, ...]]:
    """Every entry of the state dictionary, in its order."""
    expansion = 4 if kind == "resnet50" else 1
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    width = 64
    for layer, count in enumerate(LAYERS[kind], 1):
        planes = 64 * 2 ** (layer - 1)
        for block in range(count):
            path, out = f"layer{layer}.{block}", planes * expansion
            convolutions = [(planes, width, 3), (planes, planes, 3)]
            if expansion == 4:
                convolutions = [(planes, width, 1), (planes, planes, 3), (out, planes, 1)]
            for index, (outer, inner, side) in enumerate(convolutions, 1):
                shapes[f"{path}.conv{index}.weight"] = (outer, inner, side, side)
                shapes |= norm(f"{path}.bn{index}", outer)
            if width != out or (layer > 1 and block == 0):
                shapes[f"{path}.downsample.0.weight"] = (out, width, 1, 1)
                shapes |= norm(f"{path}.downsample.1", out)
            width = out
    return shapes | {"fc.weight": (1000, width), "fc.bias": (1000,)}


def values(kind: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.tensor(7) if shape == () else torch.rand(shape, generator=generator)
        for name, shape in names_and_shapes(kind).items()
    }


def network(kind: str = "resnet18", *, bands: int = 4, **backbone: object) -> Ensemble:
    torch.manual_seed(0)
    model = {"members": 2, "attention": {"kind": "none"}, "backbone": {"kind": kind, "width": 8, **backbone}}
    return build_network(resolve([("test", {"model": model})]).model, np.ones(bands, np.float32))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "resnet18.pth"
    torch.save(values("resnet18"), path)
    return path


@pytest.mark.parametrize("kind", LAYERS)
def test_the_formula_gives_the_parameters_that_torchvision_documents(kind: str) -> None:
    counts = [
        math.prod(shape)
        for name, shape in names_and_shapes(kind).items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    ]
    assert sum(counts) == PARAMETERS[kind]


@pytest.mark.parametrize("kind", LAYERS)
def test_resnets_have_the_names_and_shapes_of_torchvision(kind: str) -> None:
    with torch.device("meta"):
        encoder = network(kind, bands=3).members[0].backbone
    wanted = {name: shape for name, shape in names_and_shapes(kind).items() if not name.startswith("fc.")}
    state = encoder.state_dict()
    assert {name: tuple(state[name].shape) for name in encoder.pretrained_names()} == wanted
    assert list(encoder.pretrained_names()) == list(wanted)  # in the same order, too


@pytest.mark.parametrize("adapt", ["repeat", "mean", "random"])
@pytest.mark.quick("mean")
def test_every_member_starts_from_the_file(file: Path, adapt: str, caplog: pytest.LogCaptureFixture) -> None:
    ensemble, plain = network(), network()
    loaded = load_encoder_weights(ensemble, file, adapt=adapt)
    expected = values("resnet18")
    first = expected.pop("conv1.weight")
    by_hand = {
        "repeat": first[:, [0, 1, 2, 0]] * 3 / 4,
        "mean": first.mean(dim=1, keepdim=True).repeat(1, 4, 1, 1) * 3 / 4,
    }
    for member, untouched in zip(ensemble.members, plain.members, strict=True):
        state = member.backbone.state_dict()
        for name in expected.keys() - {"fc.weight", "fc.bias"}:
            torch.testing.assert_close(state[name], expected[name], rtol=0, atol=0)
        own = untouched.backbone.state_dict()
        torch.testing.assert_close(state["conv1.weight"], by_hand.get(adapt, own["conv1.weight"]))
        torch.testing.assert_close(state["project.weight"], own["project.weight"])
    assert loaded.extra == ("fc.weight", "fc.bias") and loaded.absent == ()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_file_of_as_many_bands_is_taken_as_it_is(file: Path) -> None:
    ensemble = network(bands=3)
    load_encoder_weights(ensemble, file, adapt="repeat")
    found = ensemble.members[1].backbone.conv1.weight
    torch.testing.assert_close(found, values("resnet18")["conv1.weight"], rtol=0, atol=0)


@pytest.mark.parametrize("until", STAGES)
@pytest.mark.quick("layer2")
def test_a_prefix_takes_its_own_layers(file: Path, until: str, caplog: pytest.LogCaptureFixture) -> None:
    loaded = load_encoder_weights(network(until=until), file, adapt="repeat")
    last = STAGES.index(until)
    beyond = [name for name in names_and_shapes("resnet18") if name.startswith(("fc", *STAGES[last + 1 :]))]
    assert list(loaded.extra) == beyond and not loaded.absent and not caplog.records
    assert len(loaded.loaded) + len(beyond) == len(names_and_shapes("resnet18"))


def test_absent_and_extra_names_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = values("resnet18")
    for name in ("layer1.0.conv2.weight", "bn1.running_mean"):
        del content[name]
    torch.save(content | {"mask_token": torch.zeros(3)}, tmp_path / "a.pth")
    loaded = load_encoder_weights(network(), tmp_path / "a.pth", adapt="mean")
    assert set(loaded.absent) == {"layer1.0.conv2.weight", "bn1.running_mean"}
    assert set(loaded.extra) == {"fc.weight", "fc.bias", "mask_token"}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for name in (*loaded.absent, *loaded.extra, "conv1.weight from 3 to 4 bands (mean)"):
        assert name in record.getMessage()


def test_many_names_are_counted(file: Path) -> None:
    said = str(load_encoder_weights(network(until="conv1"), file, adapt="repeat"))
    assert "layer1.0.conv1.weight, layer1.0.bn1.weight" in said
    assert f"and {len(names_and_shapes('resnet18')) - 6 - 6} more" in said


def test_files_of_older_torch_count_no_batches(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = {name: value for name, value in values("resnet18").items() if not name.endswith("tracked")}
    torch.save(content, tmp_path / "old.pth")
    loaded = load_encoder_weights(network(), tmp_path / "old.pth", adapt="repeat")
    assert loaded.absent and not caplog.records


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.zeros(3)}, "hold nothing of this encoder: their first name is a, its first conv1.weight"),
        ({}, "hold nothing of this encoder: their first name is missing"),
        ({"state_dict": {"conv1.weight": torch.zeros(3)}}, "hold a dict that is no state dictionary"),
        ([torch.zeros(3)], "hold a list that is no state dictionary"),
        ({"conv1.weight": torch.zeros(32, 3, 7, 7)}, r"conv1.weight has shape \(32, 3, 7, 7\), expected \(64, 4"),
        ({"conv1.weight": torch.zeros(64)}, r"conv1.weight has shape \(64,\), expected \(64, 4, 7, 7\)"),
        (
            {"layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)},
            r"another network: layer1.0.conv1.weight has shape \(64, 64, 1, 1\), expected \(64, 64, 3, 3\)",
        ),
    ],
)
@pytest.mark.quick("content0-*", "content4-*")
def test_a_file_that_does_not_fit_is_one_clear_line(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "a.pth")
    ensemble = network()
    before = {name: value.clone() for name, value in ensemble.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        load_encoder_weights(ensemble, tmp_path / "a.pth", adapt="repeat")
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in ensemble.state_dict().items())


def test_a_damaged_or_missing_file_is_one_clear_line(tmp_path: Path, file: Path) -> None:
    with pytest.raises(MissingInputError, match="is not a file"):
        load_encoder_weights(network(), tmp_path / "none.pth", adapt="repeat")
    (tmp_path / "cut.pth").write_bytes(file.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_encoder_weights(network(), tmp_path / "cut.pth", adapt="repeat")


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "touched",)

    torch.save({"conv1.weight": Touch()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        load_encoder_weights(network(), tmp_path / "evil.pth", adapt="repeat")
    assert not (tmp_path / "touched").exists()


DENSE = (6, 12, 24, 16)


def densenet_names_and_shapes(*, old: bool = False) -> dict[str, tuple[int, ...]]:
    """Every entry of torchvision's DenseNet-121, in its order; ``old`` as its files were until version 0.3."""
    dot = "." if old else ""
    shapes = {"features.conv0.weight": (64, 3, 7, 7), **norm("features.norm0", 64)}
    width = 64
    for block, layers in enumerate(DENSE, 1):
        for layer in range(1, layers + 1):
            path = f"features.denseblock{block}.denselayer{layer}"
            shapes |= norm(f"{path}.norm{dot}1", width)
            shapes[f"{path}.conv{dot}1.weight"] = (128, width, 1, 1)
            shapes |= norm(f"{path}.norm{dot}2", 128)
            shapes[f"{path}.conv{dot}2.weight"] = (32, 128, 3, 3)
            width += 32
        if block < 4:
            path = f"features.transition{block}"
            shapes |= {**norm(f"{path}.norm", width), f"{path}.conv.weight": (width // 2, width, 1, 1)}
            width //= 2
    shapes |= norm("features.norm5", width)
    return shapes | {"classifier.weight": (1000, width), "classifier.bias": (1000,)}


def densenet_file(path: Path, **options: bool) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    content = {
        name: torch.tensor(7) if shape == () else torch.rand(shape, generator=generator)
        for name, shape in densenet_names_and_shapes(**options).items()
    }
    torch.save(content, path)
    return content


def test_densenet_has_the_names_and_shapes_of_torchvision() -> None:
    with torch.device("meta"):
        encoder = network("densenet121", bands=3).members[0].backbone
    expected = densenet_names_and_shapes()
    counted = [math.prod(shape) for name, shape in expected.items() if name.endswith(("weight", "bias"))]
    assert sum(counted) == 7_978_856  # with the classifier, as torchvision's documentation gives it
    expected = {name: shape for name, shape in expected.items() if not name.startswith("classifier")}
    found = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    assert {name: found[name] for name in encoder.pretrained_names()} == expected


@pytest.mark.parametrize("old", [False, True])
def test_a_densenet_starts_from_a_file_of_any_version(tmp_path: Path, old: bool) -> None:
    content = densenet_file(tmp_path / "densenet121.pth", old=old)
    ensemble = network("densenet121", until="transition1")
    loaded = load_encoder_weights(ensemble, tmp_path / "densenet121.pth", adapt="repeat")
    assert not loaded.absent and not loaded.surprising
    assert "features.conv0.weight from 3 to 4 bands (repeat)" in loaded.first
    for member in ensemble.members:
        state = member.backbone.state_dict()
        torch.testing.assert_close(
            state["features.conv0.weight"], content["features.conv0.weight"][:, [0, 1, 2, 0]] * 3 / 4
        )
        layer = "features.denseblock1.denselayer6"
        dot = "." if old else ""
        for name, ours in (
            (f"norm{dot}2.running_var", "norm2.running_var"),
            (f"conv{dot}1.weight", "conv1.weight"),
        ):
            assert torch.equal(state[f"{layer}.{ours}"], content[f"{layer}.{name}"])
        assert torch.equal(state["features.transition1.conv.weight"], content["features.transition1.conv.weight"])


@pytest.mark.slow
def test_what_no_densenet_has_is_surprising(tmp_path: Path) -> None:
    content = densenet_file(tmp_path / "a.pth")
    torch.save(content | {"features.other.weight": torch.zeros(1)}, tmp_path / "a.pth")
    assert load_encoder_weights(network("densenet121"), tmp_path / "a.pth", adapt="mean").surprising
    with pytest.raises(
        CheckpointError, match=r"hold nothing of this encoder: .* its first features\.conv0\.weight"
    ):
        torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "b.pth")
        load_encoder_weights(network("densenet121", until="conv0"), tmp_path / "b.pth", adapt="mean")
