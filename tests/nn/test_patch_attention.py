import numpy as np
import pytest
import torch
from torch import Tensor

from hsi_cd.nn.attention import BilateralBAM
from hsi_cd.nn.patch_attention import mean_of_alike, side_by_side


def inputs(side: int = 5, channels: int = 3, depth: int = 2, n: int = 4) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    x1, x2 = torch.randn((2, n, channels, side, side), generator=generator, dtype=torch.float64)
    weight = torch.randn((depth, channels), generator=generator, dtype=torch.float64)
    bias = -2 * torch.rand((n, 1, side, side), generator=generator, dtype=torch.float64)
    return x1, x2, weight, bias


@pytest.mark.parametrize("side", [1, 3, 5])
def test_the_mean_is_the_loop_over_pixels(side: int) -> None:
    x1, x2, weight, bias = inputs(side)
    found = mean_of_alike(x1, x2, weight, bias)
    assert found.shape == (4, 6, 1, 1)
    middle = side // 2
    for n in range(4):
        dates = [x[n].numpy() for x in (x1, x2)]
        logits = [
            -sum(np.square(weight.numpy() @ (x[:, i, j] - x[:, middle, middle])).sum() for x in dates) / 4
            + float(bias[n, 0, i, j])
            for i in range(side)
            for j in range(side)
        ]
        share = np.exp(logits) / np.exp(logits).sum()
        expected = np.concatenate([x.reshape(3, -1) @ share for x in dates])
        np.testing.assert_allclose(found[n, :, 0, 0], expected, rtol=1e-10)


def test_the_gradient_of_the_weight_is_that_of_finite_differences() -> None:
    x1, x2, weight, bias = inputs()
    assert torch.autograd.gradcheck(lambda w: mean_of_alike(x1, x2, w, bias), weight.requires_grad_())


def test_patches_and_windows_teach_the_module_alike() -> None:
    """The general form answers where the input needs a gradient; both must lead to the same gradients."""
    x1, x2, _, _ = (x.float() for x in inputs(side=5, channels=4))
    valid = torch.rand((4, 1, 5, 5), generator=torch.Generator().manual_seed(0)) > 0.2
    module = BilateralBAM(4, channels=3, window=5, noise=torch.full((4,), 0.7))
    found = []
    for needs_gradient in (False, True):
        module.zero_grad()
        dates = (x.clone().requires_grad_(needs_gradient) for x in (x1, x2))
        y1, y2 = module.eval()(*dates, valid)
        (y1.square().sum() + y2.sum()).backward()
        found.append([y1.detach(), y2.detach(), *(p.grad.clone() for p in module.parameters())])
    for short, general in zip(*found, strict=True):
        torch.testing.assert_close(short, general, rtol=1e-4, atol=1e-5)


def test_dates_that_lie_side_by_side_are_not_copied() -> None:
    both = torch.randn(2, 5, 5, 6)
    t1, t2 = both.movedim(-1, 1).chunk(2, dim=1)
    joined = side_by_side(t1, t2)
    assert joined.data_ptr() == both.data_ptr()
    torch.testing.assert_close(joined, torch.cat([t1, t2], dim=1), rtol=0, atol=0)
    for pair in ((t2, t1), (t1, t1), (t1, t2.clone()), (t1, both.movedim(-1, 1)[:, 2:5])):
        torch.testing.assert_close(side_by_side(*pair), torch.cat(pair, dim=1), rtol=0, atol=0)
