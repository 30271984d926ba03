"""What a simulated analyst drew and scored so far, kept in a folder, so that one who was stopped goes on."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hsi_cd.errors import HsiCdError
from hsi_cd.evaluation import RunResult
from hsi_cd.io import write_json
from hsi_cd.scene import UNLABELLED, Labels

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes:
        labels: what was drawn for it, and before.
        result: of the map that was learned from them; None where the analyst was stopped before.
    """

    labels: Labels
    result: RunResult | None = None


@dataclass(frozen=True)
class Rounds:
    """The rounds of one analyst.

    Attributes:
        folder: where they lie, a file for each; None keeps nothing.
        truth: what the analyst sees.
        numbers: shapes of each class after which a map is made, ascending.
        stands_on: all else that decides a round, as JSON has it: one that stood on something else is done anew.
    """

    folder: Path | None
    truth: Labels
    numbers: tuple[int, ...]
    stands_on: Mapping[str, Any]

    def read(self, turn: int) -> Round | None:
        """What is kept of a round; None where nothing is, or it is damaged, or stood on something else."""
        path = self._path(turn)
        if path is None or not path.is_file():
            return None
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            then = dict(kept["stands_on"])
            pixels, classes, shapes = (np.array(kept["labels"][name]) for name in ("pixels", "classes", "shapes"))
            values = np.full(self.truth.shape, UNLABELLED, dtype=np.uint8)
            numbers = np.zeros(self.truth.shape, dtype=np.int32)
            values.ravel()[pixels], numbers.ravel()[pixels] = classes, shapes
            result = None if kept["result"] is None else RunResult.from_dict(kept["result"])
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, HsiCdError):
            _log.warning("%s is damaged: this round is done anew", path)
            return None
        now = self._stands_on(turn)
        if then != now:
            differs = next((name for name in now if then.get(name) != now[name]), "what is no more")
            _log.warning("%s was made with another setting of %s: this round is done anew", path, differs)
            return None
        labels = replace(self.truth, values=values, shapes=numbers, kinds=None)
        return Round(labels, result)

    def write(self, turn: int, labels: Labels, result: RunResult | None = None) -> None:
        """Keep a round, whole or not at all."""
        path = self._path(turn)
        if path is None or labels.shapes is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.flatnonzero(labels.values != UNLABELLED)
        drawn = {
            "pixels": pixels.tolist(),
            "classes": labels.values.ravel()[pixels].tolist(),
            "shapes": labels.shapes.ravel()[pixels].tolist(),
        }
        kept = {"stands_on": self._stands_on(turn), "labels": drawn, "result": result and result.to_dict()}
        write_json(path, kept, overwrite=True)

    def _path(self, turn: int) -> Path | None:
        return None if self.folder is None else self.folder / f"shapes-{self.numbers[turn]}.json"

    def _stands_on(self, turn: int) -> dict[str, Any]:
        return {**self.stands_on, "shapes": list(self.numbers[: turn + 1])}
