"""What a training shows while it learns: curves, the map and its scores, in tensorboardX's event files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboardX import SummaryWriter


class Tracker:
    """Writes a run's curves for TensorBoard (``tensorboard --logdir RUN``).

    Args:
        folder: the run folder.
        resume_at: epochs that a resumed run has behind it; what an interrupted run wrote beyond them is hidden.
    """

    def __init__(self, folder: Path, *, resume_at: int = 0) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=resume_at + 1)

    def scalars(self, epoch: int, values: dict[str, float]) -> None:
        """Add one point to each of several curves, as ``{"loss/train": 0.3}``."""
        for name, value in values.items():
            if np.isfinite(value):
                self._writer.add_scalar(name, value, epoch)

    def map(self, epoch: int, probability: NDArray[np.float32], threshold: float) -> None:
        """Add the change map, ``(rows, cols)``, and the histogram of its scores."""
        known = np.nan_to_num(probability)
        self._writer.add_image("map/probability", known, epoch, dataformats="HW")
        self._writer.add_image("map/change", (known >= threshold).astype(np.float32), epoch, dataformats="HW")
        self._writer.add_histogram("map/scores", known.ravel(), epoch)

    def flush(self) -> None:
        """Put on disk what was added, so that a killed run keeps its curves."""
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
