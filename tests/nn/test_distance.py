import math

import pytest
import torch

from hsi_cd.nn.distance import HEADS, DistanceHead, feature_distance


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
def test_heads_do_not_care_which_date_comes_first(name: str) -> None:
    head = HEADS[name](5, dropout=0.5).double().eval()
    f1, f2 = maps()
    torch.testing.assert_close(head(f1, f2), head(f2, f1))
