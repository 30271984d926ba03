from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

CONFIGS = Path(__file__).parents[2] / "configs"
Capture = pytest.CaptureFixture[str]


def shown(cli: Any, capsys: Capture, *words: object) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The cells of each layer, and the facts below the table."""
    assert cli("model", *words) == 0
    said = capsys.readouterr()
    table, facts = said.out.strip().split("\n\n")
    head, *rows = table.splitlines()
    assert head.split() == ["layer", "kind", "output", "parameters", "part", "learns", "FLOPs"]
    # Aligned: every column but the last starts or ends at one place in every line.
    assert len({len(row) for row in [table.splitlines()[0], *rows]}) == 1
    cells = [re.split(r"  +", row.strip()) for row in rows]
    return {row[0]: row[1:] for row in cells}, dict(
        re.split(r"  +", line, maxsplit=1) for line in facts.splitlines()
    )


def test_the_default_network(cli: Any, capsys: Capture) -> None:
    layers, facts = shown(cli, capsys)
    assert layers["backbone.layers.0"] == ["PointwiseConv", "64 x 1 x 1", "1,088", "1", "yes", "4,096"]
    assert layers["backbone.layers.2"][3:5] == ["3", "yes"]
    assert layers["attention.value"] == ["PointwiseConv", "16 x 1 x 1", "256", "yes", f"{2 * 2 * 256:,}"]
    assert facts["input"] == "16 channels, two dates"
    assert facts["parameters"] == "91,220, of which 91,220 learn from the start"
    assert facts["receptive field"] == "9 x 9 pixels"
    parameters = sum(int(row[2].replace(",", "")) for row in layers.values())
    assert 5 * parameters == 91_220


@pytest.mark.parametrize(
    ("words", "channels"),
    [
        (["--bands", 6], 6),
        (["--bands", 400], 16),
        (["--bands", 400, "--set", "prepare.projection=none"], 400),
        (["--set", "dataset=taizhou"], 6),
        (["--set", "dataset=farmland", "--set", "prepare.projection=none"], 155),
        (["--set", "dataset=farmland", "--bands", 20, "--set", "prepare.projection=none"], 20),
    ],
)
def test_the_network_sees_components_or_bands(
    cli: Any, capsys: Capture, words: list[object], channels: int
) -> None:
    _, facts = shown(cli, capsys, *words, "--set", "model.members=1")
    assert facts["input"] == f"{channels} channels, two dates"


def test_what_is_frozen(cli: Any, capsys: Capture) -> None:
    words = ["--set", "freeze.groups=2", "--set", "freeze.names=['head.out.*']"]
    layers, facts = shown(cli, capsys, *words)
    learns = {name: cells[-2] for name, cells in layers.items()}
    frozen = {name for name, word in learns.items() if word == "no"}
    assert frozen == {"backbone.layers.0", "backbone.layers.1", "head.out"}
    assert facts["parameters"] == f"91,220, of which {91_220 - 5 * (1088 + 4160 + 65):,} learn from the start"
    layers, _ = shown(cli, capsys, *words, "--set", "freeze.until=9")
    assert layers["head.out"][-2] == "after epoch 9"


@pytest.mark.slow
def test_what_a_weight_file_gives(cli: Any, capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "some.pth"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.bias": torch.zeros(3)}, path)
    words = [
        "--set",
        "backbone.kind=resnet18",
        "--set",
        "backbone.until=conv1",
        "--set",
        f"backbone.weights={path}",
    ]
    _, facts = shown(cli, capsys, *words)
    assert "1 tensors taken; conv1.weight from 3 to 16 bands (repeat)" in facts["weights"]
    assert "absent in the file: bn1.weight, bn1.bias, bn1.running_mean" in facts["weights"]
    assert facts["weights"].endswith("extra in the file: fc.bias")


def test_a_configuration_file_is_shown(cli: Any, capsys: Capture) -> None:
    path = CONFIGS / "examples" / "backbone-transformer.yaml"
    layers, facts = shown(cli, capsys, "--config", path, "--bands", 30)
    assert layers["backbone.embed"][1] == "8 x 16"  # 30 bands in eight groups
    assert facts["members"] == "2, each as above"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "prepare.projection=none"], "say how many by --bands N"),
        (["--bands", 0], "--bands"),
        (["--config", "none.yaml"], "none.yaml is not a file"),
        (["--set", "backbone.until=layer2"], "pointwise has no layers of those names: until is for resnet18"),
        (["--set", "model.backbone.kind=resnet"], "model.backbone.kind is 'resnet'"),
        (["--set", "train.freeze.groups=4"], "groups is 4, but the backbone has 3 parts"),
        (
            ["--set", "backbone.kind=resnet18", "--set", "backbone.weights=none.pth"],
            "weights none.pth is not a file",
        ),
    ],
)
def test_bad_input_is_one_line(cli: Any, capsys: Capture, words: list[object], message: str) -> None:
    assert cli("model", *words) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and message in said.err
