"""Run folders as values: the result, the curves and the pictures that a run left, read strictly."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError, MissingInputError
from hsi_cd.evaluation import RunResult
from hsi_cd.paths import as_path
from hsi_cd.runs.provenance import Provenance

log = logging.getLogger(__name__)

T = TypeVar("T")
RESULT = "result.json"
PROVENANCE = "provenance.json"
SCENES = "scenes.json"
_SHOWN = (RESULT, "change.tif", "score.tif", "overview.npz", "split.npz", "curves.csv", "config.yaml", PROVENANCE)

_LONGEST = 100  # characters of what says which bands pictures show
_NAMED = 5  # paths that a warning lists


def find_runs(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Run folders among ``paths``.

    A folder with a ``result.json`` is a run. Any other folder stands for the runs somewhere below it, in the order
    of their names; runs in it that did not end have no result and are passed over. Of several paths, as a pattern
    of the shell names them, files and folders without a run that ended are left out with a warning.

    Returns:
        The run folders in the order given, each once.

    Raises:
        MissingInputError: a path is not there, or none of them holds a run that ended.
    """
    found: dict[Path, None] = {}
    faults: dict[Path, MissingInputError] = {}
    for path in map(as_path, paths):
        folder = path.parent if path.name == RESULT else path
        if not folder.exists():
            raise MissingInputError(f"there is no run folder {folder}: name one that hsi-cd train wrote")
        if not folder.is_dir():
            faults[folder] = MissingInputError(f"{folder} is a file: name a run folder that hsi-cd train wrote")
            continue
        runs = [folder] if (folder / RESULT).is_file() else sorted(r.parent for r in folder.rglob(RESULT))
        if not runs:
            faults[folder] = MissingInputError(
                f"{folder} holds no {RESULT}: the run has not ended (train with resume=True goes on with it), or "
                "this is no run"
            )
        found.update(dict.fromkeys(runs))
    if faults and not found:
        raise next(iter(faults.values()))
    if faults:
        named = ", ".join(path.name for path in list(faults)[:_NAMED])
        more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        log.warning("left out, as no run that ended is there: %s%s", named, more)
    return list(found)


def files_shown(folders: Iterable[Path]) -> list[Path]:
    """The files of run folders that tables, figures and reports are made from."""
    return [folder / name for folder in folders for name in _SHOWN if (folder / name).is_file()]


def read_result(folder: str | os.PathLike[str]) -> RunResult:
    """The result of a run.

    Args:
        folder: the run folder.

    Raises:
        MissingInputError: there is no ``result.json`` in it.
        FormatError: it is damaged, of another version, or not a result.
    """
    path = as_path(folder) / RESULT
    if not path.is_file():
        raise MissingInputError(f"{path} is not there: the run has not ended, or this is no run folder")
    return _read_json(path, RunResult.from_dict)


def read_provenance(path: str | os.PathLike[str]) -> Provenance:
    """Where a result comes from.

    Args:
        path: its ``provenance.json``, or the run folder that holds it.

    Raises:
        MissingInputError: there is none.
        FormatError: it is damaged, or of another version.
    """
    path = as_path(path)
    path = path / PROVENANCE if path.is_dir() else path
    if not path.is_file():
        raise MissingInputError(f"{path} is not there: the run was made by an earlier version, or is no run")
    return _read_json(path, Provenance.from_dict)


def read_curves(folder: str | os.PathLike[str]) -> Mapping[str, NDArray[np.float64]]:
    """The curves of a run: ``curves.csv``, one column per curve.

    Returns:
        float64 ``(epochs,)`` by name, ``epoch`` among them; NaN where a curve has no point; nothing where the run
        left no curves.

    Raises:
        FormatError: the file is damaged.
    """
    path = as_path(folder) / "curves.csv"
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
        header, *points = rows or [[]]
        if "epoch" not in header or len(set(header)) != len(header):
            raise ValueError("no column of epochs")
        # A run that is being written, or was killed, may end in half a line.
        if points and len(points[-1]) < len(header):
            points.pop()
        table = [[float(cell) if cell else math.nan for cell in row] for row in points]
        columns = np.array(table, dtype=np.float64).reshape(len(table), len(header)).T
    except (ValueError, csv.Error):
        raise FormatError(
            f"{path} is damaged: expected columns of numbers with their names above, epoch among them"
        ) from None
    return dict(zip(header, columns, strict=True))


def read_overview(folder: str | os.PathLike[str]) -> Overview | None:
    """The pictures of a run's scene: ``overview.npz``; None where the run left none.

    Raises:
        FormatError: the file is damaged.
    """
    path = as_path(folder) / "overview.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as content:
            t1, t2, truth = (content[name] for name in ("t1", "t2", "truth"))
            shown = str(content["shown"])[:_LONGEST] if "shown" in content else ""  # not in earlier versions
            kinds = content.get("kinds")
    except (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        raise FormatError(f"{path} is damaged: expected the pictures t1, t2 and truth") from None
    maps = [truth] if kinds is None else [truth, kinds]
    shapes = t1.shape == t2.shape == (*maps[-1].shape, 3) and truth.ndim == 2 and maps[-1].shape == truth.shape
    if not shapes or any(array.dtype != np.uint8 for array in (t1, t2, *maps)):
        raise FormatError(
            f"{path} is damaged: t1 {t1.shape}, t2 {t2.shape}, truth {truth.shape}; expected (rows, cols, 3) "
            "twice and (rows, cols), all uint8"
        )
    return Overview(t1=t1, t2=t2, truth=truth, shown=shown if shown.isprintable() else "", kinds=kinds)


def _read_json(path: Path, read: Callable[[Any], T]) -> T:
    try:
        data = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise FormatError(f"{path} is damaged: it is not JSON; run again or take it from a backup") from None
    try:
        return read(data)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


@dataclass(frozen=True)
class Overview:
    """What a run keeps of its scene to be looked at.

    Attributes:
        t1: false colour of the first date, uint8 ``(rows, cols, 3)``.
        t2: the same of the second date, under the same stretch.
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed, 255 unlabelled.
        shown: which bands the pictures show, in words; empty where an earlier version did not say.
        kinds: kinds of change of the truth, uint8 ``(rows, cols)``: 0 unchanged, 1 to K, 255 unlabelled; None
            where the run was not judged by kinds.
    """

    t1: NDArray[np.uint8]
    t2: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    shown: str = ""
    kinds: NDArray[np.uint8] | None = None

    def pictures(self) -> dict[str, NDArray[Any]]:
        """What ``overview.npz`` holds."""
        told = {"t1": self.t1, "t2": self.t2, "truth": self.truth, "shown": np.array(self.shown)}
        return told if self.kinds is None else {**told, "kinds": self.kinds}
