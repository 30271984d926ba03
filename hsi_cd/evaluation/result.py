"""The result of one run: what was scored, where, on which pixels, and all that a reader needs to believe it.

:meth:`RunResult.to_dict` is the content of ``result.json``; writing the file is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hsi_cd.errors import FormatError
from hsi_cd.evaluation.baselines import Baselines
from hsi_cd.evaluation.counts import ConfusionCounts
from hsi_cd.evaluation.records import (
    Fact,
    as_count,
    as_fact,
    as_mapping,
    as_number,
    as_score,
    as_text,
    each,
    or_none,
    plain,
    read_record,
)

RESULT_VERSION = 1
"""Version of the layout of ``result.json``; raised when a reader of the old layout would misread the new one."""


def _counts(value: Any, where: str) -> ConfusionCounts:
    names = (f.name for f in fields(ConfusionCounts))
    counts: ConfusionCounts = read_record(ConfusionCounts, value, where, **dict.fromkeys(names, as_count))
    return counts


def _class_counts(value: Any, where: str) -> ClassCounts:
    counts: ClassCounts = read_record(ClassCounts, value, where, unchanged=as_count, changed=as_count)
    return counts


def _baselines(value: Any, where: str) -> Baselines:
    names = (f.name for f in fields(Baselines))
    baselines: Baselines = read_record(Baselines, value, where, **dict.fromkeys(names, as_score))
    return baselines


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
        return {"version": RESULT_VERSION, **plain(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunResult:
        """The result that :meth:`to_dict` wrote.

        Raises:
            FormatError: another version, a key too many or missing, or a value of the wrong kind.
        """
        data = dict(as_mapping(data, "result"))
        version = data.pop("version", None)
        if version != RESULT_VERSION:
            raise FormatError(
                f"result of version {version!r}: this software reads version {RESULT_VERSION}; update it"
            )
        result: RunResult = read_record(
            cls,
            data,
            "result",
            dataset=as_text,
            method=as_text,
            protocol=as_text,
            scope=as_text,
            counts=_counts,
            scores=each(as_score),
            test=_class_counts,
            train=or_none(_class_counts),
            seed=or_none(as_count),
            baselines=or_none(_baselines),
            threshold=or_none(as_number),
            parameters=or_none(as_count),
            train_seconds=or_none(as_number),
            map_seconds=or_none(as_number),
            hardware=or_none(as_text),
            versions=each(as_text),
            config=or_none(as_text),
            checkpoint=or_none(as_text),
            split=or_none(as_text),
            details=each(as_fact),
        )
        return result
