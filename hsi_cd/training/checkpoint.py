"""Checkpoints: what a detector needs to be used again, and what a training needs to go on. Never a pickle."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import torch

from hsi_cd import __version__
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.registry import detector_from_state
from hsi_cd.errors import CheckpointError, MissingInputError
from hsi_cd.io.atomic import atomic_path

_FORMAT = 1


def save_checkpoint(
    path: Path, detector: Detector, *, method: str, config: dict[str, Any], training: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint, whole or not at all, over an earlier one of the same run.

    Args:
        path: where to.
        detector: the detector with its frozen statistics, threshold and weights.
        method: the method's name, by which the detector is rebuilt.
        config: the resolved configuration.
        training: what a resumed training needs: optimiser, schedule, epoch, random states.
    """
    content = {
        "format": _FORMAT,
        "software": f"hsi-cd {__version__}",
        "method": method,
        "config": config,
        "detector": detector.state(),
        "training": training or {},
    }
    with atomic_path(path, overwrite=True) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as tensors and plain values.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: the file is truncated, is no checkpoint of this project, or is of a later format.
    """
    if not path.is_file():
        raise MissingInputError(f"checkpoint {path} is not a file: give the best.pt of a run folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on how other programs pickle; the error says enough
            content = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file fails in more ways than can be listed: whatever the reader stumbles over is its damage.
    except Exception:
        raise CheckpointError(
            f"checkpoint {path} cannot be read: it is truncated, or not written by hsi-cd; train again, "
            "or copy the file again"
        ) from None
    if not isinstance(content, dict) or not {"format", "method", "detector", "config"} <= content.keys():
        raise CheckpointError(
            f"checkpoint {path} was not written by hsi-cd train: give the best.pt of a run folder"
        )
    if content["format"] != _FORMAT:
        raise CheckpointError(
            f"checkpoint {path} has format {content['format']} but this version reads format {_FORMAT}: "
            f"it was written by {content.get('software', 'another version')}"
        )
    return content


def load_detector(path: Path, *, device: torch.device) -> Detector:
    """The detector in a checkpoint, ready to score on ``device``.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: the checkpoint is damaged or of another kind.
    """
    content = load_checkpoint(path)
    return detector_from_state(content["method"], content["detector"], device=device)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, the first 16 hexadecimal digits: names a checkpoint in the maps it made."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:16]
