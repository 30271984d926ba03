from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hsi_cd.nn.patch_encoder import adapt_bands, doubling, fold_batch_norm, per_patch
from hsi_cd.nn.resnet import BasicBlock, Bottleneck, ResNet

STAGES = ResNet.STAGES


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def resnet(**options: object) -> ResNet:
    torch.manual_seed(0)
    settings = {"width": 8, "blocks": (2, 1, 1, 1), "patch": 9, **options}
    return ResNet(5, **settings).double().eval()  # type: ignore[arg-type]


def by_the_paper(network: ResNet, patch: Tensor, layers: int) -> Tensor:
    """The strided network on one patch ``(1, C, p, p)``, from its state dictionary."""
    weights = network.state_dict()

    def normed(x: Tensor, path: str) -> Tensor:
        mean, var = weights[f"{path}.running_mean"], weights[f"{path}.running_var"]
        scale = weights[f"{path}.weight"] / (var + 1e-5).sqrt()
        return x * scale[:, None, None] + (weights[f"{path}.bias"] - mean * scale)[:, None, None]

    x = F.conv2d(patch, weights["conv1.weight"], stride=2, padding=3)
    x = F.relu(normed(x, "bn1"))
    if layers:
        x = F.max_pool2d(x, 3, stride=2, padding=1)
    for layer, block in itertools.product(range(1, layers + 1), range(2)):
        path = f"layer{layer}.{block}"
        if f"{path}.conv1.weight" not in weights:
            continue
        stride = 2 if layer > 1 and block == 0 else 1
        deep = f"{path}.conv3.weight" in weights
        past = x
        if f"{path}.downsample.0.weight" in weights:
            past = F.conv2d(x, weights[f"{path}.downsample.0.weight"], stride=stride)
            past = normed(past, f"{path}.downsample.1")
        if deep:  # the stride lies in the 3 x 3 convolution
            y = F.relu(normed(F.conv2d(x, weights[f"{path}.conv1.weight"]), f"{path}.bn1"))
            y = F.conv2d(y, weights[f"{path}.conv2.weight"], stride=stride, padding=1)
            y = normed(F.conv2d(F.relu(normed(y, f"{path}.bn2")), weights[f"{path}.conv3.weight"]), f"{path}.bn3")
        else:
            y = F.conv2d(x, weights[f"{path}.conv1.weight"], stride=stride, padding=1)
            y = F.relu(normed(y, f"{path}.bn1"))
            y = normed(F.conv2d(y, weights[f"{path}.conv2.weight"], padding=1), f"{path}.bn2")
        x = F.relu(y + past)
    return F.conv2d(x, weights["project.weight"], weights["project.bias"])


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("until", STAGES)
def test_every_pixel_has_the_strided_network_on_its_own_patch(until: str, bottleneck: bool) -> None:
    network = resnet(until=until, bottleneck=bottleneck)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if "running_mean" in name or ("bn" in name and "bias" in name):
                value.normal_(0, 0.2)
    window = randn(2, 5, 11, 12)
    found = network(window)
    assert found.shape == (2, 8, 3, 4)
    for n, row, col in ((0, 0, 0), (1, 2, 3), (0, 1, 2)):
        coarse = by_the_paper(network, window[n : n + 1, :, row : row + 9, col : col + 9], STAGES.index(until))
        full = F.interpolate(coarse, size=(9, 9), mode="bilinear", align_corners=False)
        torch.testing.assert_close(found[n, :, row, col], full[0, :, 4, 4])


@pytest.mark.parametrize("until", STAGES)
def test_each_doubling_returns_to_the_size_before_it(until: str) -> None:
    network = resnet(until=until, upsample="transposed", patch=11)
    assert len(network.upsample) == STAGES.index(until) + 1
    patch = randn(1, 5, 11, 11)
    x = by_the_paper(network, patch, STAGES.index(until))
    sizes = [11, 6, 3, 2, 1, 1]  # halved, rounded up, five times
    for layer, size in zip(network.upsample, reversed(sizes[: STAGES.index(until) + 1]), strict=True):
        x = F.conv_transpose2d(x, layer.weight, stride=2, padding=1, groups=8)[..., :size, :size]
    torch.testing.assert_close(network(patch)[0, :, 0, 0], x[0, :, 5, 5])


def test_a_transposed_convolution_starts_as_bilinear_interpolation() -> None:
    x = randn(1, 3, 5, 6)
    found = doubling(3).double()(x)
    expected = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_patches_are_encoded_a_few_at_a_time_outside_training() -> None:
    asked = []

    def encode(patches: Tensor) -> Tensor:
        asked.append(len(patches))
        return patches.mean(dim=(2, 3), keepdim=True)

    window = randn(2, 3, 12, 9)
    whole = per_patch(encode, window, side=5, at_most=None)
    torch.testing.assert_close(whole, F.avg_pool2d(window, 5, stride=1))
    torch.testing.assert_close(per_patch(encode, window, side=5, at_most=25), whole)
    assert asked == [80, 20, 20, 20, 20]
    asked.clear()
    single = randn(7, 3, 5, 5)
    torch.testing.assert_close(per_patch(encode, single, side=5, at_most=3), F.avg_pool2d(single, 5))
    assert asked == [3, 3, 1]


def test_training_takes_its_batch_statistics_from_all_patches() -> None:
    network = resnet(until="conv1").train()
    window = randn(1, 5, 40, 40)
    network(window)
    patches = window.unfold(2, 9, 1).unfold(3, 9, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 5, 9, 9)
    features = F.conv2d(patches, network.conv1.weight, stride=2, padding=3)
    torch.testing.assert_close(network.bn1.running_mean, 0.1 * features.mean(dim=(0, 2, 3)))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_block_halves_only_where_it_is_told(block: type) -> None:
    x = randn(1, 64, 7, 7)
    assert block(64, 64, stride=1).double()(x).shape[-2:] == (7, 7)
    assert block(64, 32, stride=2).double()(x).shape[-2:] == (4, 4)


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 16, 155])
def test_filters_for_other_bands_answer_grey_images_alike(bands: int) -> None:
    filters = randn(4, 3, 7, 7)
    for how in ("repeat", "mean"):
        adapted = adapt_bands(filters, bands, how=how)
        assert adapted.shape == (4, bands, 7, 7)
        for out, band in itertools.product(range(4), range(bands)):
            plain = filters[out, band % 3] if how == "repeat" or bands == 3 else filters[out].sum(dim=0) / 3
            torch.testing.assert_close(adapted[out, band], plain * 3 / bands)
        if how == "mean" or bands % 3 == 0:
            torch.testing.assert_close(adapted.sum(dim=1), filters.sum(dim=1))


@pytest.mark.parametrize("bottleneck", [False, True])
def test_folded_it_gives_the_same(bottleneck: bool) -> None:
    """With norms as a training leaves them: no mean is 0, no deviation 1."""
    torch.manual_seed(0)
    network = ResNet(5, width=8, blocks=(2, 1, 1, 1), bottleneck=bottleneck, until="layer2", patch=7).eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        for values in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
            assert values is not None
            values.uniform_(0.5, 1.5)
    patches = torch.randn(3, 5, 9, 8)
    with torch.no_grad():
        before = network(patches)
        fold_batch_norm(network)
        torch.testing.assert_close(network(patches), before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))
    assert len(norms) == (12 if bottleneck else 8)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
