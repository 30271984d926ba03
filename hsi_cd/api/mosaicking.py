"""The parts of a map that several processes made, joined. torch is imported for a checkpoint alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import CheckpointError
from hsi_cd.io import ShardSet, join_shards, read_shards

__all__ = ["join_shards", "probabilities_by", "read_shards"]


def probabilities_by(checkpoint: Path, shards: ShardSet) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """How the checkpoint of some shards turns their scores into probabilities.

    Args:
        checkpoint: the file.
        shards: what it made.

    Raises:
        CheckpointError: it is damaged, or did not make them.
    """
    import torch

    from hsi_cd.detectors.checkpoint import file_hash, load_detector

    probability = load_detector(checkpoint, device=torch.device("cpu")).probability
    if file_hash(checkpoint) != shards.tags.get("CHECKPOINT_SHA256"):
        raise CheckpointError(f"checkpoint {checkpoint} did not make these shards: give the one that did")
    return probability
