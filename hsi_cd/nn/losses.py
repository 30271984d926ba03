"""Losses by name: pure functions of a batch, options keyword-only.

Each takes the network's change logits ``(N,)`` (the contrastive loss: feature distances ``(N,)``) and targets
``(N,)``: the probability of change, 0 or 1, or between them where samples were blended or labels smoothed, or
:data:`IGNORED`. An ignored pixel counts in no mean and has zero gradient, whatever its logit. A batch without a
labelled pixel costs 0. ``changed_weight`` is the weight of the changed class against the unchanged; a soft target
has its share of both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor

IGNORED = 255
"""Target of a pixel that teaches nothing."""

Loss = Callable[..., Tensor]
"""Takes ``output, target, *, changed_weight`` and the loss's own options; gives a scalar."""


def smooth_labels(target: Tensor, *, smoothing: float) -> Tensor:
    """Draw targets towards one half by a share (label smoothing; doi 10.1109/CVPR.2016.308); ignored ones stay.

    Args:
        target: ``(N,)``.
        smoothing: 0 changes nothing, 1 leaves no label.
    """
    return torch.where(target == IGNORED, target, target * (1 - smoothing) + smoothing / 2)


def binary_cross_entropy(logits: Tensor, target: Tensor, *, changed_weight: float = 1.0) -> Tensor:
    """Mean of ``-w y log p - (1 - y) log(1 - p)``, with ``p = sigmoid(logit)``, over all labelled pixels."""
    logits, target, kept = _labelled(logits, target)
    counted = kept.to(logits.dtype)
    counted = counted / counted.mean().clamp(min=1e-9)  # torch's mean is over all pixels, the ignored ones too
    return F.binary_cross_entropy_with_logits(
        logits, target, weight=counted, pos_weight=logits.new_tensor(changed_weight)
    )


def cross_entropy(logits: Tensor, target: Tensor, *, changed_weight: float = 1.0) -> Tensor:
    """Cross-entropy of two classes: unchanged with logit 0, changed with the network's.

    Their softmax is the sigmoid of that one logit, so a network with two outputs and this network learn the same.
    What differs from :func:`binary_cross_entropy` is the mean: as :class:`torch.nn.CrossEntropyLoss` does, it
    divides by the sum of the pixels' class weights instead of their number.
    """
    logits, target, kept = _labelled(logits, target)
    # -log softmax, as log(1 + exp(-+ logit)) does not overflow where exp would
    each = target * changed_weight * F.softplus(-logits) + (1 - target) * F.softplus(logits)
    weight = kept * _class_weight(target, changed_weight)
    return (each * kept).sum() / torch.where(kept.any(), weight.sum(), 1)


def focal(logits: Tensor, target: Tensor, *, changed_weight: float = 1.0, gamma: float = 2.0) -> Tensor:
    """Cross-entropy times ``(1 - probability of the pixel's class) ** gamma`` (doi 10.1109/ICCV.2017.324).

    What is right already counts little; ``gamma`` 0 is :func:`binary_cross_entropy`. The paper's alpha is
    ``changed_weight``.
    """
    logits, target, kept = _labelled(logits, target)
    # exp(-gamma softplus) is the power of a probability whose gradient stays finite at 0
    changed = torch.exp(-gamma * F.softplus(logits)) * F.softplus(-logits)
    unchanged = torch.exp(-gamma * F.softplus(-logits)) * F.softplus(logits)
    return _mean(target * changed_weight * changed + (1 - target) * unchanged, kept)


def tversky(
    logits: Tensor,
    target: Tensor,
    *,
    changed_weight: float = 1.0,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
) -> Tensor:
    """One minus the Tversky index of the batch (doi 10.1007/978-3-319-67389-9_44).

    ``(TP + s) / (TP + alpha FP + beta FN + s)`` with soft counts, ``TP = sum min(p, y)``, ``FP = sum max(p - y,
    0)``, ``FN = sum max(y - p, 0)``: for targets 0 and 1 these are the paper's sums of products, and for soft
    ones the loss is least at ``p = y``, as the products' is not (arXiv 2303.16296).

    Args:
        logits: ``(N,)``.
        target: ``(N,)``.
        changed_weight: how often each changed pixel is counted, in all three sums.
        alpha: cost of a false positive.
        beta: cost of a false negative.
        smooth: added above and below, where a batch may hold no changed pixel.
    """
    logits, target, kept = _labelled(logits, target)
    weight = kept * _class_weight(target, changed_weight)
    p = torch.sigmoid(logits)
    hit = (weight * torch.minimum(p, target)).sum()
    false_positive = (weight * (p - target).clamp(min=0)).sum()
    false_negative = (weight * (target - p).clamp(min=0)).sum()
    return 1 - (hit + smooth) / (hit + alpha * false_positive + beta * false_negative + smooth)


def dice(logits: Tensor, target: Tensor, *, changed_weight: float = 1.0, smooth: float = 1.0) -> Tensor:
    """One minus the batch's Dice coefficient, the Tversky index that counts both errors half.

    ``(2 TP + s) / (sum p + sum y + s)`` (doi 10.1007/978-3-319-67558-9_28); arguments as for :func:`tversky`.
    """
    return tversky(logits, target, changed_weight=changed_weight, alpha=0.5, beta=0.5, smooth=smooth / 2)


def hinge(logits: Tensor, target: Tensor, *, changed_weight: float = 1.0) -> Tensor:
    """Mean of ``max(0, 1 - logit)`` where changed, ``max(0, 1 + logit)`` where not (doi 10.1007/BF00994018)."""
    logits, target, kept = _labelled(logits, target)
    changed, unchanged = (1 - logits).clamp(min=0), (1 + logits).clamp(min=0)
    return _mean(target * changed_weight * changed + (1 - target) * unchanged, kept)


def contrastive(distance: Tensor, target: Tensor, *, changed_weight: float = 1.0, margin: float = 2.0) -> Tensor:
    """Batch-balanced contrastive loss of STANet (doi 10.3390/rs12101662): unlike is far apart, like is near.

    ``mean over unchanged of d^2 / 2 + w mean over changed of max(0, margin - d)^2 / 2``: each class is averaged
    by itself, so that rare change weighs as much as its absence.

    Args:
        distance: of the two dates' features, ``(N,)``, not negative.
        target: 0 unchanged, 1 changed or ignored, ``(N,)``; a pair is alike or not, so there is no soft target.
        changed_weight: of the changed pixels' mean.
        margin: distance from which a changed pixel costs nothing.
    """
    distance, target, _ = _labelled(distance, target, fill=-1)
    unchanged = _mean(distance.square(), target == 0)
    changed = _mean((margin - distance).clamp(min=0).square(), target == 1)
    return (unchanged + changed_weight * changed) / 2


LOSSES: dict[str, Loss] = {
    "bce": binary_cross_entropy,
    "cross_entropy": cross_entropy,
    "focal": focal,
    "dice": dice,
    "tversky": tversky,
    "hinge": hinge,
    "contrastive": contrastive,
}
"""Losses by name."""


def _labelled(output: Tensor, target: Tensor, *, fill: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Output and target with harmless numbers where ignored, and where they are not (a selection waits for a GPU).

    Of what is replaced here no gradient comes back, not even that of a NaN.
    """
    kept = target != IGNORED
    return torch.where(kept, output, 0.0), torch.where(kept, target, fill).to(output.dtype), kept


def _class_weight(target: Tensor, changed_weight: float) -> Tensor:
    return 1 + (changed_weight - 1) * target


def _mean(each: Tensor, kept: Tensor) -> Tensor:
    """Mean of what is kept, 0 where nothing is."""
    return (each * kept).sum() / kept.sum().clamp(min=1)
