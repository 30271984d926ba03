"""The result of one run: what was scored, where, on which pixels, and all that a reader needs to believe it.

:meth:`RunResult.to_dict` is the content of ``result.json``; writing the file is the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from hsi_cd.errors import FormatError, unknown_name
from hsi_cd.evaluation.baselines import Baselines
from hsi_cd.evaluation.counts import ConfusionCounts

RESULT_VERSION = 1
"""Version of the layout of ``result.json``; raised when a reader of the old layout would misread the new one."""

Fact = str | int | float | bool | None


def _plain(value: Any) -> Any:
    """Values as JSON has them: dataclasses as objects, numpy's numbers as Python's, NaN as null."""
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _record(cls: type, data: Any, where: str, **readers: Any) -> Any:
    """A dataclass from a JSON object that must have exactly its keys; ``readers`` turn one value each."""
    data = _mapping(data, where)
    for key in data:
        if key not in readers:
            raise FormatError(f"{where}: {unknown_name('key', str(key), readers)}")
    missing = [key for key in readers if key not in data]
    if missing:
        raise FormatError(f"{where}: {', '.join(missing)} missing: expected {', '.join(readers)}")
    return cls(**{key: read(data[key], f"{where}.{key}") for key, read in readers.items()})


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(where, value, "an object")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, value, "a text")
    return value


def _count(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong(where, value, "a whole number, 0 or more")
    return value


def _number(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise _wrong(where, value, "a finite number")
    return float(value)


def _score(value: Any, where: str) -> float:
    return math.nan if value is None else _number(value, where)


def _fact(value: Any, where: str) -> Fact:
    if value is not None and not isinstance(value, str | int | float | bool):
        raise _wrong(where, value, "a text, a number, true, false or null")
    return value


def _or_none(read: Any) -> Any:
    return lambda value, where: None if value is None else read(value, where)


def _each(read: Any) -> Any:
    return lambda value, where: {
        _text(key, where): read(item, f"{where}.{key}") for key, item in _mapping(value, where).items()
    }


def _counts(value: Any, where: str) -> ConfusionCounts:
    names = (f.name for f in fields(ConfusionCounts))
    counts: ConfusionCounts = _record(ConfusionCounts, value, where, **dict.fromkeys(names, _count))
    return counts


def _class_counts(value: Any, where: str) -> ClassCounts:
    counts: ClassCounts = _record(ClassCounts, value, where, unchanged=_count, changed=_count)
    return counts


def _baselines(value: Any, where: str) -> Baselines:
    names = (f.name for f in fields(Baselines))
    baselines: Baselines = _record(Baselines, value, where, **dict.fromkeys(names, _score))
    return baselines


def _wrong(where: str, value: Any, expected: str) -> FormatError:
    return FormatError(f"{where} is {str(value)[:60]!r}: expected {expected}; give a result.json of this software")


@dataclass(frozen=True)
class ClassCounts:
    """Numbers of pixels of each class.

    Attributes:
        unchanged: pixels that are unchanged in truth.
        changed: pixels that are changed in truth.
    """

    unchanged: int
    changed: int


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One map judged against one truth.

    Attributes:
        dataset: name of the scene.
        method: name of the detector.
        protocol: how the training pixels were chosen, as ``P1``.
        scope: which pixels judge, as ``held-out``.
        counts: confusion counts on these pixels.
        scores: scores by name, in printing order; NaN where undefined.
        test: labelled pixels that judge, those without a prediction included.
        train: training pixels, or None where nothing was trained or it is not known.
        seed: seed of the split and the training.
        baselines: what is scored on the same pixels without looking at the images.
        threshold: score from which a pixel is called changed.
        parameters: number of trained parameters.
        train_seconds: wall-clock time of training.
        map_seconds: wall-clock time of scoring the whole scene.
        hardware: the machine, in words.
        versions: versions by package, the software's own among them.
        config: path of the resolved configuration, relative to the run folder.
        checkpoint: path of the checkpoint, relative to the run folder.
        split: path of the split's indices, relative to the run folder.
        details: anything else worth keeping with the result, flat.

    Raises:
        FormatError: the confusion counts are not those of as many pixels as ``test``.
    """

    dataset: str
    method: str
    protocol: str
    scope: str
    counts: ConfusionCounts
    scores: Mapping[str, float]
    test: ClassCounts
    train: ClassCounts | None = None
    seed: int | None = None
    baselines: Baselines | None = None
    threshold: float | None = None
    parameters: int | None = None
    train_seconds: float | None = None
    map_seconds: float | None = None
    hardware: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    config: str | None = None
    checkpoint: str | None = None
    split: str | None = None
    details: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counted, expected = self.counts.total + self.counts.unscored, self.test.unchanged + self.test.changed
        if counted != expected:
            raise FormatError(
                f"confusion counts of {counted} pixels for {expected} test pixels: count on the test pixels alone"
            )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``: strings, numbers, None (also for NaN), lists and dictionaries alone."""
        return {"version": RESULT_VERSION, **_plain(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunResult:
        """The result that :meth:`to_dict` wrote.

        Raises:
            FormatError: another version, a key too many or missing, or a value of the wrong kind.
        """
        data = dict(_mapping(data, "result"))
        version = data.pop("version", None)
        if version != RESULT_VERSION:
            raise FormatError(
                f"result of version {version!r}: this software reads version {RESULT_VERSION}; update it"
            )
        result: RunResult = _record(
            cls,
            data,
            "result",
            dataset=_text,
            method=_text,
            protocol=_text,
            scope=_text,
            counts=_counts,
            scores=_each(_score),
            test=_class_counts,
            train=_or_none(_class_counts),
            seed=_or_none(_count),
            baselines=_or_none(_baselines),
            threshold=_or_none(_number),
            parameters=_or_none(_count),
            train_seconds=_or_none(_number),
            map_seconds=_or_none(_number),
            hardware=_or_none(_text),
            versions=_each(_text),
            config=_or_none(_text),
            checkpoint=_or_none(_text),
            split=_or_none(_text),
            details=_each(_fact),
        )
        return result
