"""What a training shows while it learns: curves, the map and its scores, for TensorBoard and as plain CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboardX import SummaryWriter

from hsi_cd.io import write_text

CURVES = ("loss/train", "loss/val", "kappa/val", "lr")
"""The columns of ``curves.csv`` beside the epoch."""


class Tracker:
    """Writes a run's curves: event files (``tensorboard --logdir RUN``) and ``curves.csv``.

    Args:
        folder: the run folder.
        resume_at: epochs that a resumed run has behind it; what an interrupted run wrote beyond them is dropped.
    """

    def __init__(self, folder: Path, *, resume_at: int = 0) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=resume_at + 1)
        path = folder / "curves.csv"
        rows = [["epoch", *CURVES], *_rows_until(path, resume_at)]
        write_text(path, "".join(",".join(row) + "\n" for row in rows), overwrite=True)
        self._file = path.open("a", newline="", encoding="utf-8")
        self._csv = csv.writer(self._file, lineterminator="\n")

    def scalars(self, epoch: int, values: dict[str, float]) -> None:
        """Add one point to each of several curves, as ``{"loss/train": 0.3}``."""
        finite = {name: float(value) for name, value in values.items() if np.isfinite(value)}
        for name, value in finite.items():
            self._writer.add_scalar(name, value, epoch)
        self._csv.writerow([epoch, *(f"{finite[name]:.6g}" if name in finite else "" for name in CURVES)])

    def map(self, epoch: int, probability: NDArray[np.float32], threshold: float) -> None:
        """Add the change map, ``(rows, cols)``, and the histogram of its scores."""
        known = np.nan_to_num(probability)
        self._writer.add_image("map/probability", known, epoch, dataformats="HW")
        self._writer.add_image("map/change", (known >= threshold).astype(np.float32), epoch, dataformats="HW")
        self._writer.add_histogram("map/scores", known.ravel(), epoch)

    def flush(self) -> None:
        """Put on disk what was added, so that a killed run keeps its curves.

        Of the event files the last few points may be missing even so: tensorboardX writes them when it likes.
        """
        self._writer.flush()
        self._file.flush()

    def close(self) -> None:
        """Flush and close the files."""
        self._writer.close()
        self._file.close()


def _rows_until(path: Path, epoch: int) -> list[list[str]]:
    """The rows that an interrupted run wrote up to an epoch."""
    if not epoch or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        # A row that was cut off by a kill has too few fields, or a later epoch.
        whole = [row for row in csv.reader(file) if len(row) == 1 + len(CURVES) and row[0].isdigit()]
    return [row for row in whole if int(row[0]) <= epoch]
