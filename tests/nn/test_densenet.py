"""DenseNet-121 against the published architecture, written down here without a look at the module."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hsi_cd.nn.densenet import DenseNet, densenet121
from hsi_cd.nn.patch_encoder import fold_batch_norm

STAGES = DenseNet.STAGES


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small(**options: object) -> DenseNet:
    """Two layers a block, of growth 4, as after some training."""
    torch.manual_seed(0)
    settings = {"width": 8, "blocks": (2, 2, 2, 2), "growth": 4, "patch": 9, **options}
    network = DenseNet(5, **settings).double().eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if "running_mean" in name or ("norm" in name and "bias" in name):
                value.normal_(0, 0.2)
    return network


def by_the_paper(network: DenseNet, patch: Tensor, until: str) -> Tensor:
    """The strided network on one patch ``(1, C, p, p)``, from its state dictionary."""
    weights = network.state_dict()

    def normed(x: Tensor, path: str) -> Tensor:
        path = f"features.{path}"
        mean, var = weights[f"{path}.running_mean"], weights[f"{path}.running_var"]
        scale = weights[f"{path}.weight"] / (var + 1e-5).sqrt()
        return F.relu(x * scale[:, None, None] + (weights[f"{path}.bias"] - mean * scale)[:, None, None])

    def conv(x: Tensor, path: str, **options: int) -> Tensor:
        return F.conv2d(x, weights[f"features.{path}.weight"], **options)

    x = normed(conv(patch, "conv0", stride=2, padding=3), "norm0")
    for stage in STAGES[1 : STAGES.index(until) + 1]:
        if stage == "denseblock1":
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        if stage.startswith("transition"):
            x = conv(normed(x, f"{stage}.norm"), f"{stage}.conv")
            rows = [x[:, :, i : i + 2].mean(dim=2) for i in range(0, x.shape[2], 2)]  # an odd last one alone
            x = torch.stack(rows, dim=2)
            x = torch.stack([x[..., j : j + 2].mean(dim=3) for j in range(0, x.shape[3], 2)], dim=3)
            continue
        for layer in (f"{stage}.denselayer{i}" for i in (1, 2)):
            y = conv(normed(x, f"{layer}.norm1"), f"{layer}.conv1")
            x = torch.cat([x, conv(normed(y, f"{layer}.norm2"), f"{layer}.conv2", padding=1)], dim=1)
    if until == "denseblock4":
        x = normed(x, "norm5")
    return F.conv2d(x, weights["project.weight"], weights["project.bias"])


@pytest.mark.parametrize("until", STAGES)
def test_every_pixel_has_the_strided_network_on_its_own_patch(until: str) -> None:
    network, window = small(until=until), randn(2, 5, 11, 12)
    found = network(window)
    assert found.shape == (2, 8, 3, 4)
    for n, row, col in ((0, 0, 0), (1, 2, 3)):
        coarse = by_the_paper(network, window[n : n + 1, :, row : row + 9, col : col + 9], until)
        full = F.interpolate(coarse, size=(9, 9), mode="bilinear", align_corners=False)
        torch.testing.assert_close(found[n, :, row, col], full[0, :, 4, 4])
    fold_batch_norm(network)
    assert not torch.equal(network(window), found)  # something was folded
    torch.testing.assert_close(network(window), found)


@pytest.mark.parametrize("until", STAGES)
def test_each_doubling_returns_to_the_size_before_it(until: str) -> None:
    network, patch = small(until=until, upsample="transposed", patch=11), randn(1, 5, 11, 11)
    x = by_the_paper(network, patch, until)
    sides = [11, 6, 3, 2, 1]  # before each halving: the stem, the pooling, three transitions
    halvings = {"conv0": 1, "denseblock1": 2, "transition1": 3, "denseblock2": 3, "transition2": 4}
    count = halvings.get(until, 4 if until == "denseblock3" else 5)
    assert len(network.upsample) == count
    for layer, side in zip(network.upsample, reversed(sides[:count]), strict=True):
        x = F.conv_transpose2d(x, layer.weight, stride=2, padding=1, groups=8)[..., :side, :side]
    torch.testing.assert_close(network(patch)[0, :, 0, 0], x[0, :, 5, 5])


def test_the_whole_is_the_published_network() -> None:
    with torch.device("meta"):
        network = densenet121(3, width=8)
    assert sum(p.numel() for p in network.features.parameters()) == 6_953_856
    assert network.project.weight.shape == (8, 1024, 1, 1)


def test_the_smallest_patch_passes_through_the_whole() -> None:
    assert small(patch=1)(randn(3, 5, 2, 2)).shape == (3, 8, 2, 2)


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ValueError, match=r"until is 'layer2': expected conv0, .* or denseblock4"):
        small(until="layer2")
