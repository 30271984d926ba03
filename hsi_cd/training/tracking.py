"""What a training shows while it learns: for TensorBoard, as plain CSV, and as a log to read."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import hparams
from torch import Tensor, nn

from hsi_cd.io import write_text
from hsi_cd.reporting.images import error_image
from hsi_cd.training.graph import network_graph

CURVES = ("loss/train", "loss/val", "kappa/val", "lr")
"""The columns of ``curves.csv`` beside the epoch, in a training."""


class Tracker:
    """Writes what a run shows: event files (``tensorboard --logdir RUN``), ``curves.csv`` and ``train.log``.

    Args:
        folder: the run folder.
        resume_at: epochs that a resumed run has behind it; what an interrupted run wrote beyond them is dropped.
        curves: the columns of ``curves.csv`` and of the log beside the epoch.
    """

    draws = True
    """Whether what :meth:`map` is given goes anywhere: a map of the scene takes as long as a hundred steps."""

    def __init__(self, folder: Path, *, resume_at: int = 0, curves: tuple[str, ...] = CURVES) -> None:
        self._curves = curves
        # The name tells only the second: a session that begins in the same one must not replace the one before.
        earlier = len(list(folder.glob("events.out.tfevents.*")))
        suffix = f".{earlier}" if earlier else ""
        self._writer = SummaryWriter(str(folder), purge_step=resume_at + 1, filename_suffix=suffix)
        path = folder / "curves.csv"
        rows = [["epoch", *curves], *_rows_until(path, resume_at, fields=1 + len(curves))]
        write_text(path, "".join(",".join(row) + "\n" for row in rows), overwrite=True)
        self._file = path.open("a", newline="", encoding="utf-8")
        self._csv = csv.writer(self._file, lineterminator="\n")
        path = folder / "train.log"
        self._widths = [max(12, len(name)) for name in curves]
        head = self._log_line(("date", "time"), "epoch", curves)
        lines = [head, *_lines_until(path, resume_at, length=len(head))]
        write_text(path, "".join(line + "\n" for line in lines), overwrite=True)
        self._log = path.open("a", encoding="utf-8")

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Add one point to each of several curves, as ``{"loss/train": 0.3}``."""
        finite = {name: float(value) for name, value in values.items() if np.isfinite(value)}
        for name, value in finite.items():
            self._writer.add_scalar(name, value, epoch)
        texts = [f"{finite[name]:.6g}" if name in finite else "" for name in self._curves]
        self._csv.writerow([epoch, *texts])
        now = time.localtime()
        stamp = time.strftime("%Y-%m-%d", now), time.strftime("%H:%M:%S", now)
        self._log.write(self._log_line(stamp, str(epoch), texts) + "\n")

    def map(
        self, epoch: int, probability: NDArray[np.float32], threshold: float, truth: NDArray[np.uint8]
    ) -> None:
        """Add the change map, the histogram of its scores, and its errors.

        Args:
            epoch: when.
            probability: of change, ``(rows, cols)``, NaN for no data.
            threshold: from which a pixel is called changed.
            truth: labels inside the budget, uint8 ``(rows, cols)``, 255 elsewhere.
        """
        known = np.nan_to_num(probability)
        change = (known >= threshold).astype(np.uint8)
        self._writer.add_image("map/probability", known, epoch, dataformats="HW")
        self._writer.add_image("map/change", change.astype(np.float32), epoch, dataformats="HW")
        self._writer.add_image("map/errors", error_image(truth, change), epoch, dataformats="HWC")
        self._writer.add_histogram("map/scores", known.ravel(), epoch)

    def weights(self, epoch: int, network: nn.Module) -> None:
        """Add a histogram of each of a network's parameters."""
        for name, parameter in network.named_parameters():
            values = parameter.detach().float().cpu().numpy()
            self._writer.add_histogram(f"weights/{name.replace('.', '/')}", values.ravel(), epoch)

    def graph(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Add the graph of a network, as it computes an example of its inputs."""
        graph = network_graph(network, inputs)
        self._writer.file_writer.add_event(Event(graph_def=graph.SerializeToString()))

    def hyperparameters(self, settings: Mapping[str, Any], results: Mapping[str, float]) -> None:
        """Add the settings of a run and what they came to, for TensorBoard's table of runs.

        Args:
            settings: nested as in a configuration.
            results: numbers by name; those that are not finite are left out.
        """
        finite = {name: float(value) for name, value in results.items() if math.isfinite(value)}
        for summary in hparams(dict(_flat(settings)), finite):
            self._writer.file_writer.add_summary(summary)
        for name, value in finite.items():
            self._writer.add_scalar(name, value)

    def flush(self) -> None:
        """Put on disk what was added, so that a killed run keeps its curves.

        Of the event files the last few points may be missing even so: tensorboardX writes them when it likes.
        """
        self._writer.flush()
        self._file.flush()
        self._log.flush()

    def close(self) -> None:
        """Flush and close the files."""
        self._writer.close()
        self._file.close()
        self._log.close()

    def _log_line(self, stamp: tuple[str, str], epoch: str, values: Sequence[str]) -> str:
        """One line of the log, its columns under one another."""
        day, clock = stamp
        columns = [f"{value or '-':>{width}}" for value, width in zip(values, self._widths, strict=True)]
        return " ".join([f"{day:<10} {clock:<8} {epoch:>6}", *columns])


class NoTracker(Tracker):
    """Takes curves and keeps none: for trainings, or their processes, that write nothing."""

    draws = False

    def __init__(self) -> None:
        pass

    def _nothing(self, *_: object, **__: object) -> None:
        pass

    scalars = map = weights = graph = hyperparameters = flush = close = _nothing


def _rows_until(path: Path, epoch: int, *, fields: int) -> list[list[str]]:
    """The rows that an interrupted run wrote up to an epoch."""
    if not epoch or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        # A row that was cut off by a kill has too few fields, or a later epoch.
        whole = [row for row in csv.reader(file) if len(row) == fields and row[0].isdigit()]
    return [row for row in whole if int(row[0]) <= epoch]


def _lines_until(path: Path, epoch: int, *, length: int) -> list[str]:
    """The lines of the log that an interrupted run wrote up to an epoch; one that was cut off is too short."""
    if not epoch or not path.is_file():
        return []
    lines = [line for line in path.read_text(encoding="utf-8").splitlines()[1:] if len(line) == length]
    return [line for line in lines if line.split()[2].isdigit() and int(line.split()[2]) <= epoch]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str | int | float | bool]]:
    """Nested settings as ``(train.lr, 0.003)``; lists and nothing as text."""
    flat: list[tuple[str, str | int | float | bool]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{prefix}{name}.")
        else:
            flat.append((prefix + name, value if isinstance(value, str | int | float) else str(value)))
    return flat
