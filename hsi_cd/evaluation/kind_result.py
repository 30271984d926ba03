"""What a result says of kinds of change: confusion, scores, and the classes one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.evaluation.baselines import KindBaselines, measure_kind_baselines
from hsi_cd.evaluation.kind_confusion import KindConfusion, count_kinds
from hsi_cd.evaluation.kind_scores import CLASS_SCORE_NAMES, ClassScores, class_scores, kind_scores
from hsi_cd.evaluation.records import RECORD, Count, Score, Text
from hsi_cd.scene import KindTable, Split

_NUMBERED = re.compile(r"(?:kind|class|type)?\W*\d+", re.IGNORECASE)


@dataclass(frozen=True)
class KindResult:
    """A map of kinds judged against a truth of kinds, on the pixels that judge the map of two classes.

    Attributes:
        names: of the classes: the unchanged, then kinds 1 to K.
        confusion: how many pixels of each class are called what.
        scores: over all classes, by name, in printing order; NaN where undefined.
        classes: scores of each class.
        train: training pixels of each class, or None where nothing was trained or it is not known.
        baselines: what is scored on the same pixels without looking at the images.

    Raises:
        FormatError: names, classes or training pixels are not as many as the confusion has classes.
    """

    __pydantic_config__ = RECORD

    names: tuple[Text, ...]
    confusion: KindConfusion
    scores: Mapping[Text, Score]
    classes: tuple[ClassScores, ...]
    train: tuple[Count, ...] | None = None
    baselines: KindBaselines | None = None

    def __post_init__(self) -> None:
        numbers = {len(self.confusion.table), len(self.names), len(self.classes)}
        if self.train is not None:
            numbers.add(len(self.train))
        if len(numbers) > 1:
            raise FormatError(f"{' and '.join(map(str, sorted(numbers)))} classes of one map of kinds")

    def score(self, name: str) -> float | None:
        """A score by name: one over all classes, or of one as ``f1/soil to grass``; None where there is none."""
        kind, of_class, called = name.partition("/")
        if not of_class:
            return self.scores.get(name)
        known = kind in CLASS_SCORE_NAMES and called in self.names
        return float(getattr(self.classes[self.names.index(called)], kind)) if known else None

    def undefined(self) -> list[str]:
        """A sentence without a full stop for each class that has no score, or no precision."""
        told = []
        for name, there, called in zip(self.names, self.confusion.truth, self.confusion.called, strict=True):
            if not there:
                told.append(f"{name}: no scored pixel is of it, so that it has no score and enters no mean")
            elif not called:
                told.append(f"{name}: no scored pixel is called so, so that it has no precision")
        return told


def judge_kinds(
    change: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    names: Sequence[str],
    *,
    where: NDArray[np.bool_],
    split: Split | None = None,
) -> KindResult:
    """Score a map of kinds.

    Args:
        change: uint8 ``(rows, cols)``: 0 unchanged, 1 to K, 255 no data.
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 to K, 255 unlabelled.
        names: of the classes, the unchanged first.
        where: bool ``(rows, cols)``: the pixels that judge.
        split: the pixels that taught.

    Raises:
        LabelError: map or truth holds a kind that has no name.
    """
    kinds = len(names) - 1
    confusion = count_kinds(truth, change, kinds=kinds, where=where)
    facts: dict[str, Any] = {}
    if split is not None:
        facts["baselines"] = measure_kind_baselines(split.train, truth, where, kinds=kinds)
        if len(split.train):
            facts["train"] = tuple(np.bincount(truth.ravel()[split.train], minlength=256)[: kinds + 1].tolist())
    return KindResult(tuple(names), confusion, kind_scores(confusion), class_scores(confusion), **facts)


def is_numbered(name: str) -> bool:
    """Whether a kind has a number for a name, as ``kind 3``.

    Example:
        >>> is_numbered("kind 3"), is_numbered("soil to grass")
        (True, False)
    """
    return _NUMBERED.fullmatch(name.strip()) is not None


def class_names(truth: KindTable, mapped: Mapping[int, str]) -> tuple[str, ...]:
    """What the classes of truth and map are called, by number: as the truth says, unless the map alone has a name.

    Args:
        truth: kinds of the truth.
        mapped: names of the map's kinds by number.
    """
    last = max(truth.count, *mapped)
    known = {**{number: f"kind {number}" for number in range(1, last + 1)}, **mapped}
    known |= {
        number: name
        for number, name in truth.by_number.items()
        if number not in mapped or is_numbered(mapped[number]) or not is_numbered(name)
    }
    names = [_one_line(known[number]) for number in range(last + 1)]
    # One of the map's own may be called as another one of the truth.
    twice = {name for name in names if names.count(name) > 1}
    return tuple(f"{name} ({number})" if name in twice else name for number, name in enumerate(names))


def _one_line(name: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
