"""The result of one run: what was scored, where, on which pixels, and all that a reader needs to believe it.

:meth:`RunResult.to_dict` is the content of ``result.json``; writing the file is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hsi_cd.errors import FormatError
from hsi_cd.evaluation.baselines import Baselines
from hsi_cd.evaluation.counts import ConfusionCounts
from hsi_cd.evaluation.kind_result import KindResult
from hsi_cd.evaluation.notebook import result_table
from hsi_cd.evaluation.records import ADDED, RECORD, Count, Fact, Number, Score, Text, read_record, write_record

RESULT_VERSION = 1
"""Version of the layout of ``result.json``; raised when a reader of the old layout would misread the new one."""


@dataclass(frozen=True)
class ClassCounts:
    """Numbers of pixels of each class.

    Attributes:
        unchanged: pixels that are unchanged in truth.
        changed: pixels that are changed in truth.
    """

    __pydantic_config__ = RECORD

    unchanged: Count
    changed: Count


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
        kinds: the same map judged by its kinds of change; None where map or truth tells none apart.

    Raises:
        FormatError: the confusion counts are not those of as many pixels as ``test``, or not those of the kinds.
    """

    __pydantic_config__ = RECORD

    dataset: Text
    method: Text
    protocol: Text
    scope: Text
    counts: ConfusionCounts
    scores: Mapping[Text, Score]
    test: ClassCounts
    train: ClassCounts | None = None
    seed: Count | None = None
    baselines: Baselines | None = None
    threshold: Number | None = None
    parameters: Count | None = None
    train_seconds: Number | None = None
    map_seconds: Number | None = None
    hardware: Text | None = None
    versions: Mapping[Text, Text] = field(default_factory=dict)
    config: Text | None = None
    checkpoint: Text | None = None
    split: Text | None = None
    details: Mapping[Text, Fact] = field(default_factory=dict)
    kinds: KindResult | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        counted, expected = self.counts.total + self.counts.unscored, self.test.unchanged + self.test.changed
        if counted != expected:
            raise FormatError(
                f"confusion counts of {counted} pixels for {expected} test pixels: count on the test pixels alone"
            )
        if self.kinds is not None and self.kinds.confusion.binary != self.counts:
            raise FormatError(
                "the confusion of kinds is not that of these counts: judge one map on the same pixels"
            )

    @property
    def scored(self) -> ClassCounts:
        """The pixels that enter the scores: of those of ``test`` the ones with a prediction."""
        return ClassCounts(self.counts.unchanged, self.counts.changed)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``: strings, numbers, None (also for NaN), lists and dictionaries alone."""
        return write_record(self, RESULT_VERSION)

    def _repr_html_(self) -> str:
        """The result as a notebook shows it."""
        return result_table(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunResult:
        """The result that :meth:`to_dict` wrote.

        Raises:
            FormatError: another version, a key too many or missing, or a value of the wrong kind.
        """
        return read_record(cls, data, "result", RESULT_VERSION)
