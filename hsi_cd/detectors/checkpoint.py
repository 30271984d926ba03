"""Checkpoints: what a detector needs to be used again, with what a training keeps beside it. Never a pickle."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from hsi_cd import __version__
from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.registry import detector_from_state, find_method
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.errors import CheckpointError, MissingInputError
from hsi_cd.io.atomic import atomic_path
from hsi_cd.nn.patch_encoder import fold_batch_norm

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
    state, place = detector.state(), find_method(method).place
    content = {"method": method, "config": config, "detector": state, "training": training or {}}
    named = {"place": place} if place else {}
    write_saved(path, {**content, **named, "digest": state_digest(state)})


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as tensors and plain values.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: the file is truncated, is no checkpoint of this project, is of a later format, or holds
            other numbers than were written.
    """
    content = read_saved(
        path,
        {"method", "detector", "config"},
        kind="checkpoint",
        by="hsi-cd train",
        wanted="the best.pt of a run folder",
    )
    # Files of earlier versions have none.
    if "digest" in content and content["digest"] != state_digest(content["detector"]):
        raise CheckpointError(
            f"checkpoint {path} was changed after it was written: copy the file again, or train again"
        )
    return content


def state_digest(state: Any) -> str:
    """SHA-256 of a detector's state, hexadecimal: of the names, types, shapes and bytes of all that it holds.

    Args:
        state: tensors and plain values in dictionaries and lists.

    Raises:
        CheckpointError: it holds something else, or itself.
    """
    digest = hashlib.sha256()
    try:
        _feed(digest, "", state)
    except (RuntimeError, TypeError):  # tensors without bytes, as sparse ones; lists in themselves
        raise CheckpointError(
            "the checkpoint's detector was not written by hsi-cd train: train it again"
        ) from None
    return digest.hexdigest()


def _feed(digest: Any, name: str, value: Any) -> None:
    if isinstance(value, dict | list | tuple):
        items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
        named = sorted(((repr(key), each) for key, each in items), key=lambda item: item[0])
        digest.update(f"{name}: {'names' if isinstance(value, dict) else 'list'} of {len(named)};".encode())
        for key, each in named:
            _feed(digest, f"{name}/{key}", each)
    elif isinstance(value, torch.Tensor):
        digest.update(f"{name}: {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    else:
        digest.update(f"{name}: {value!r};".encode())


def write_saved(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all, over an earlier file of the same run."""
    content = {"format": _FORMAT, "software": f"hsi-cd {__version__}", **content}
    with atomic_path(path, overwrite=True) as temporary:
        torch.save(content, temporary)


def read_tensors(path: Path, *, refused: str) -> Any:
    """What ``torch.save`` wrote, as tensors and plain values on the CPU; nothing is unpickled.

    Args:
        path: the file.
        refused: the message for one that cannot be read.

    Raises:
        CheckpointError: the file is damaged, or holds more than that.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on how other programs pickle; the error says enough
            return torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file fails in more ways than can be listed: whatever the reader stumbles over is its damage.
    except Exception:
        raise CheckpointError(refused) from None


def read_saved(path: Path, keys: set[str], *, kind: str, by: str, wanted: str) -> dict[str, Any]:
    """Read back what :func:`write_saved` wrote, on the CPU.

    Args:
        path: the file.
        keys: what it holds.
        kind: what a message calls it.
        by: the command that writes such files.
        wanted: what to give instead.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: the file is truncated, of another kind, or of a later format.
    """
    if not path.is_file():
        raise MissingInputError(f"{kind} {path} is not a file: give {wanted}")
    content = read_tensors(
        path,
        refused=f"{kind} {path} cannot be read: it is truncated, or not written by {by}; run that again, "
        "or copy the file again",
    )
    if not isinstance(content, dict) or not keys | {"format"} <= content.keys():
        raise CheckpointError(f"{kind} {path} was not written by {by}: give {wanted}")
    if content["format"] != _FORMAT:
        raise CheckpointError(
            f"{kind} {path} has format {content['format']} but this version reads format {_FORMAT}: "
            f"it was written by {content.get('software', 'another version')}"
        )
    return content


def load_detector(path: Path, *, device: torch.device) -> Detector:
    """The detector in a checkpoint, ready to score on ``device``, and for nothing else: its network is folded.

    Raises:
        MissingInputError: there is no such file.
        CheckpointError: the checkpoint is damaged or of another kind.
    """
    return detector_of(load_checkpoint(path), device=device)


def detector_of(content: dict[str, Any], *, device: torch.device) -> Detector:
    """The detector in what :func:`load_checkpoint` read, ready to score on ``device``, and for nothing else.

    Raises:
        CheckpointError: the checkpoint is damaged or of another kind.
    """
    place = content.get("place", "")
    detector = detector_from_state(content["method"], content["detector"], device=device, place=place)
    if isinstance(detector, SiameseDetector):
        fold_batch_norm(detector.network.eval())
    return detector


def file_hash(path: Path) -> str:
    """SHA-256 of a file, the first 16 hexadecimal digits: names a checkpoint in the maps it made."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:16]
