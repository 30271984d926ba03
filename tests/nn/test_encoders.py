"""Encoders against their formulas, written out pixel by pixel."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hsi_cd.nn.backbones import Inception, InceptionBlock
from hsi_cd.nn.spectral import Spectral
from hsi_cd.nn.transformer import SpatialLayer, SpectralLayer, SpectralSpatialTransformer


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def at(layer: nn.Module, spectrum: Tensor) -> Tensor:
    """A 1 x 1 convolution of one pixel."""
    return spectrum @ layer.weight.flatten(1).T + layer.bias


def test_an_inception_block_is_its_four_branches_side_by_side() -> None:
    torch.manual_seed(0)
    block = InceptionBlock(10).double()
    x = randn(1, 10, 7, 6)
    found = block(x)
    assert found.shape == (1, 10, 3, 2)
    for row, col in ((0, 0), (2, 1)):
        square = x[:, :, row : row + 5, col : col + 5]
        branches = [at(block.one, square[0, :, 2, 2])]
        for side, branch in ((3, block.three), (5, block.five)):
            cut = (5 - side) // 2
            inner = square[:, :, cut : 5 - cut, cut : 5 - cut]
            reduced = F.gelu(torch.einsum("oc,nchw->nohw", branch[0].weight[:, :, 0, 0], inner)
                             + branch[0].bias[:, None, None])  # fmt: skip
            branches.append((branch[2].weight * reduced).sum(dim=(1, 2, 3)) + branch[2].bias)
        branches.append(at(block.pool[1], square[0, :, 1:4, 1:4].amax(dim=(1, 2))))
        assert [len(branch) for branch in branches] == [4, 2, 2, 2]
        torch.testing.assert_close(found[0, :, row, col], F.gelu(torch.cat(branches)))


def test_inception_eats_two_pixels_a_block() -> None:
    encoder = Inception(3, width=8, depth=4)
    assert encoder.radius == 6 and encoder(torch.zeros(1, 3, 13, 15)).shape == (1, 8, 1, 3)


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("bands", [1, 5, 8])
def test_spectral_convolutions_are_sums_over_bands_around(spatial: bool, bands: int) -> None:
    torch.manual_seed(0)
    encoder = Spectral(bands, width=4, depth=3, conv="3d" if spatial else "1d", kernel=3, filters=2).double()
    with torch.no_grad():
        for layer in encoder.layers:
            layer.bias.normal_()
    side = 2 * encoder.radius + 1
    assert side == (5 if spatial else 1)
    x = randn(1, bands, side, side)
    maps = x[0][None]  # (filters, bands, rows, cols)
    for layer in encoder.layers:
        edge = 1 if spatial else 0
        rows = maps.shape[2] - 2 * edge
        made = torch.zeros(2, math.ceil(maps.shape[1] / 2), rows, rows, dtype=torch.float64)
        for out in range(2):
            for place in range(made.shape[1]):
                for i in range(rows):
                    for j in range(rows):
                        total = layer.bias[out].clone()
                        for k in range(3):
                            band = 2 * place + k - 1
                            if 0 <= band < maps.shape[1]:
                                square = maps[:, band, i : i + 2 * edge + 1, j : j + 2 * edge + 1]
                                total += (layer.weight[out, :, k] * square).sum()
                        made[out, place, i, j] = total
        maps = F.gelu(made)
    torch.testing.assert_close(encoder(x)[0, :, 0, 0], F.gelu(at(encoder.merge, maps.flatten())))


def test_four_hundred_bands_stay_few() -> None:
    encoder = Spectral(400, width=64, depth=3)
    assert encoder.merge.in_channels == 100 * 8


def naive_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One query ``(D,)`` over keys ``(K, D)``."""
    return torch.softmax(k @ q / len(q) ** 0.5, dim=0) @ v


def test_a_spectral_layer_is_attention_among_the_tokens_of_a_pixel() -> None:
    torch.manual_seed(0)
    layer = SpectralLayer(8, heads=2).double()
    x = randn(3, 5, 8)
    found = layer(x)
    for pixel in range(3):
        normed = layer.norm(x[pixel])
        q, k, v = (normed @ layer.qkv.weight.T + layer.qkv.bias).split(8, dim=-1)
        for token in range(5):
            heads = [naive_attention(q[token, h], k[:, h], v[:, h]) for h in (slice(0, 4), slice(4, 8))]
            y = x[pixel, token] + layer.out(torch.cat(heads))
            torch.testing.assert_close(found[pixel, token], y + layer.perceptron(layer.norm2(y)))


def test_a_spatial_layer_is_attention_among_the_pixels_of_a_window() -> None:
    torch.manual_seed(0)
    layer = SpatialLayer(8, window=3, heads=2).double()
    x = randn(2, 8, 6, 7)
    found = layer(x)
    assert layer.radius == 2 and found.shape == (2, 8, 2, 3)
    placed = x[:, :, 1:-1, 1:-1] + F.conv2d(x, layer.place.weight, layer.place.bias, groups=8)
    for n, row, col in ((0, 0, 0), (1, 1, 2)):
        window = placed[n, :, row : row + 3, col : col + 3].flatten(1).T  # (9, C)
        normed = layer.norm(window)
        q, k, v = at(layer.query, normed[4]), at(layer.key, normed), at(layer.value, normed)
        heads = [naive_attention(q[h], k[:, h], v[:, h]) for h in (slice(0, 4), slice(4, 8))]
        y = window[4] + at(layer.out, torch.cat(heads))
        first, _, last = layer.perceptron
        expected = y + at(last, F.gelu(at(first, layer.norm2(y))))
        torch.testing.assert_close(found[n, :, row, col], expected)


@pytest.mark.parametrize(("bands", "group"), [(1, (1, 1)), (7, (7, 1)), (8, (8, 1)), (9, (5, 2)), (155, (8, 20))])
def test_bands_are_cut_into_at_most_eight_groups(bands: int, group: tuple[int, int]) -> None:
    encoder = SpectralSpatialTransformer(bands, width=8, depth=1, heads=2)
    assert encoder.group == group


def test_tokens_are_neighbouring_bands() -> None:
    torch.manual_seed(0)
    encoder = SpectralSpatialTransformer(9, width=8, depth=1, heads=2).double()
    x = randn(1, 9, 2, 3)
    spectrum = torch.cat([x[0, :, 1, 2], torch.zeros(1, dtype=torch.float64)])
    tokens = torch.stack([encoder.embed(spectrum[2 * i : 2 * i + 2]) + encoder.position[i] for i in range(5)])
    expected = at(encoder.merge, encoder.spectral(tokens[None]).flatten())
    torch.testing.assert_close(encoder(x)[0, :, 1, 2], expected)
