"""Losses on logits: pure functions, options keyword-only."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor


def binary_cross_entropy(logits: Tensor, target: Tensor, *, changed_weight: float = 1.0) -> Tensor:
    """Mean binary cross-entropy.

    Args:
        logits: ``(N,)``.
        target: probability of change, ``(N,)`` in 0 to 1; soft where samples were blended.
        changed_weight: weight of the changed class against the unchanged.

    Returns:
        A scalar.
    """
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=logits.new_tensor(changed_weight))
