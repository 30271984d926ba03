import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from hsi_cd.nn.losses import binary_cross_entropy


@pytest.mark.parametrize("changed_weight", [1.0, 0.3, 4.0])
def test_the_loss_is_that_of_scikit_learn(changed_weight: float) -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(0, 3, 50), rng.integers(0, 2, 50)
    found = binary_cross_entropy(
        torch.tensor(logits), torch.tensor(target).double(), changed_weight=changed_weight
    )
    weights = np.where(target == 1, changed_weight, 1.0)
    expected = log_loss(target, 1 / (1 + np.exp(-logits)), sample_weight=weights, normalize=False) / 50
    assert float(found) == pytest.approx(expected)


def test_a_soft_target_is_a_mixture_of_both_classes() -> None:
    logits = torch.tensor([0.7, -1.2], dtype=torch.float64)
    soft, ones, zeros = (
        float(binary_cross_entropy(logits, torch.full_like(logits, t), changed_weight=2.0)) for t in (0.3, 1, 0)
    )
    assert soft == pytest.approx(0.3 * ones + 0.7 * zeros)


def test_large_logits_stay_finite() -> None:
    loss = binary_cross_entropy(torch.tensor([1e4, -1e4]), torch.tensor([0.0, 1.0]))
    assert float(loss) == pytest.approx(1e4)
