import math

import pytest
import torch

from hsi_cd.config import HEADS
from hsi_cd.nn.distance import ConcatenationHead, CosineHead, DistanceHead, EuclideanHead, feature_distance
from hsi_cd.plugins import load_named


def maps(n: int = 2, channels: int = 5, rows: int = 3, cols: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    f1, f2 = torch.randn((2, n, channels, rows, cols), generator=generator, dtype=torch.float64)
    return f1, f2


@pytest.mark.parametrize("weighted", [False, True])
def test_the_distance_is_over_channels_at_every_pixel(weighted: bool) -> None:
    f1, f2 = maps()
    weight = (
        torch.tensor([0.5, 0, 2, 1, 3], dtype=torch.float64) if weighted else torch.ones(5, dtype=torch.float64)
    )
    found = feature_distance(f1, f2, weight if weighted else None, eps=1e-6)
    assert found.shape == (2, 1, 3, 4)
    for n in range(2):
        for r in range(3):
            for c in range(4):
                squares = [float(weight[k]) * float(f1[n, k, r, c] - f2[n, k, r, c]) ** 2 for k in range(5)]
                assert float(found[n, 0, r, c]) == pytest.approx(math.sqrt(sum(squares) / 5 + 1e-6))


def test_it_is_not_the_distance_along_the_width() -> None:
    f1, f2 = maps()
    along_width = torch.nn.functional.pairwise_distance(f1, f2)
    assert along_width.shape == (2, 5, 3)
    channels_last = torch.nn.functional.pairwise_distance(f1.movedim(1, -1), f2.movedim(1, -1), eps=0)
    torch.testing.assert_close(feature_distance(f1, f2, eps=0)[:, 0] * 5**0.5, channels_last)


def test_the_gradient_is_finite_where_the_dates_agree() -> None:
    f1, _ = maps()
    f1.requires_grad_()
    feature_distance(f1, f1.detach().clone()).sum().backward()
    assert torch.isfinite(f1.grad).all()


def test_the_distance_head_grows_with_the_distance_alone() -> None:
    head = DistanceHead(5).double()
    f1, f2 = maps()
    order = feature_distance(f1, f2).flatten().argsort()
    torch.testing.assert_close(head(f1, f2).flatten().argsort(), order)
    assert (head(f1, f1) < head(f1, f2)).all()


@pytest.mark.parametrize("name", HEADS)
def test_heads_say_whether_the_dates_may_be_exchanged(name: str) -> None:
    head = load_named(HEADS[name], kind="head")(5, dropout=0.5).double().eval()
    f1, f2 = maps()
    assert torch.allclose(head(f1, f2), head(f2, f1)) == head.symmetric


@pytest.mark.parametrize("name", HEADS)
def test_the_gradient_is_finite_where_nothing_is_there(name: str) -> None:
    head = load_named(HEADS[name], kind="head")(5, dropout=0.0).double()
    f1, f2 = (torch.zeros(1, 5, 2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    head(f1, f2).sum().backward()
    assert torch.isfinite(f1.grad).all() and torch.isfinite(f2.grad).all()


def test_the_euclidean_head_weighs_all_channels_alike() -> None:
    head = EuclideanHead(5).double()
    assert sum(p.numel() for p in head.parameters()) == 2
    with torch.no_grad():
        head.alpha.fill_(1.5)
    f1, f2 = maps()
    for n in range(2):
        squares = (f1[n, :, 1, 2] - f2[n, :, 1, 2]).square().mean()
        assert head(f1, f2)[n, 0, 1, 2].item() == pytest.approx(-2 + 1.5 * math.sqrt(float(squares) + 1e-6))


def test_the_cosine_head_sees_angles_and_no_lengths() -> None:
    head = CosineHead(5).double()
    with torch.no_grad():
        head.alpha.fill_(3.0)
    f1, f2 = maps()
    a, b = f1[1, :, 2, 3], f2[1, :, 2, 3]
    cosine = float(a @ b / (a.norm() * b.norm()))
    assert head(f1, f2)[1, 0, 2, 3].item() == pytest.approx(-2 + 3 * (1 - cosine))
    torch.testing.assert_close(head(5 * f1, 0.2 * f2), head(f1, f2))


@pytest.mark.parametrize("name", ["difference", "concatenation"])
def test_perceptrons_see_both_dates_at_every_pixel(name: str) -> None:
    head = load_named(HEADS[name], kind="head")(5, dropout=0.5).double().eval()
    f1, f2 = maps()
    a, b = f1[1, :, 2, 3], f2[1, :, 2, 3]
    seen = torch.cat([a, b]) if isinstance(head, ConcatenationHead) else (a - b).abs()
    hidden = torch.nn.functional.gelu(head.hidden.weight[:, :, 0, 0] @ seen + head.hidden.bias)
    expected = head.out.weight[0, :, 0, 0] @ hidden + head.out.bias[0]
    assert head(f1, f2)[1, 0, 2, 3].item() == pytest.approx(expected.item())


def test_the_directed_head_sees_how_it_differs_what_it_is_and_the_way() -> None:
    head = load_named(HEADS["directed_mlp"], kind="head")(5, dropout=0.5).double().eval()
    f1, f2 = maps()
    a, b = f1[1, :, 2, 3], f2[1, :, 2, 3]
    seen = torch.cat([(a - b).abs(), a + b, b - a])
    hidden = torch.nn.functional.gelu(head.hidden.weight[:, :, 0, 0] @ seen + head.hidden.bias)
    expected = head.distance(f1, f2)[1, 0, 2, 3] + head.out.weight[0, :, 0, 0] @ hidden + head.out.bias[0]
    assert head(f1, f2)[1, 0, 2, 3].item() == pytest.approx(expected.item())
