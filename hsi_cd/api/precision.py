"""In what numbers a fitted network computes."""

from __future__ import annotations

import torch

from hsi_cd.api.estimators import Estimator
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.errors import ConfigError

_LOWER = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def compute_in(estimator: Estimator, precision: str) -> None:
    """Let a fitted network compute its products in other numbers; what it was fitted with stays.

    Args:
        estimator: from :func:`hsi_cd.load`.
        precision: ``float32`` or ``bfloat16``, which moves probabilities by about 0.01.

    Raises:
        ConfigError: there is no such precision, or the estimator is no network.
    """
    if precision not in _LOWER:
        raise ConfigError(f"precision is {precision!r}: give {' or '.join(map(repr, _LOWER))}")
    if _LOWER[precision] == torch.float32:
        return
    if not isinstance(estimator.detector_, SiameseDetector):
        raise ConfigError(f"precision='{precision}' is for networks, and this checkpoint holds none: leave it out")
    estimator.detector_.precision = _LOWER[precision]
