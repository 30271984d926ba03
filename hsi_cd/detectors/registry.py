"""A method by name, and a detector from what a checkpoint holds."""

from __future__ import annotations

from typing import Any

import torch

from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.methods import METHODS, Method
from hsi_cd.errors import CheckpointError, unknown_name


def find_method(name: str) -> Method:
    """The method called ``name``.

    Raises:
        UnknownNameError: there is no such method; the known ones are listed.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]


def detector_from_state(method: Any, state: dict[str, Any], *, device: torch.device) -> Detector:
    """The detector of a method, rebuilt from what :meth:`Detector.state` gave, scoring on ``device``.

    Raises:
        UnknownNameError: there is no such method.
        CheckpointError: the state is not one of this method.
    """
    if not isinstance(method, str):
        raise CheckpointError(f"the checkpoint's method is a {type(method).__name__}, not a name: train it again")
    return find_method(method).from_state(state, device=device)
