"""Methods by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.siamese import siamese_from_state
from hsi_cd.errors import CheckpointError, unknown_name

DETECTORS: dict[str, Callable[..., Detector]] = {"siamese": siamese_from_state}
"""How each method's detector is rebuilt: ``state, *, device``."""


def detector_from_state(method: Any, state: dict[str, Any], *, device: torch.device) -> Detector:
    """The detector of a method, rebuilt from what :meth:`Detector.state` gave, scoring on ``device``.

    Raises:
        UnknownNameError: there is no such method.
        CheckpointError: the state is not one of this method.
    """
    if not isinstance(method, str):
        raise CheckpointError(f"the checkpoint's method is a {type(method).__name__}, not a name: train it again")
    if method not in DETECTORS:
        raise unknown_name("method", method, DETECTORS)
    return DETECTORS[method](state, device=device)
