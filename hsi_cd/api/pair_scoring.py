"""The pairs of a series scored one after the other, each kept in files that a later call takes up."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd import __version__
from hsi_cd.api.dated_scenes import DateSeries
from hsi_cd.api.estimators import Estimator, check_label_free, load, make_estimator
from hsi_cd.detectors.checkpoint import file_hash
from hsi_cd.errors import BandError, ConfigError
from hsi_cd.inference.kind_maps import NamedKinds
from hsi_cd.inference.mapping import MapOptions, map_rows, rows_of_kinds
from hsi_cd.inference.pair_scores import PairScores, PairTally, write_scores
from hsi_cd.inference.series_rule import DateNumbers
from hsi_cd.io import MapRows, write_json
from hsi_cd.runs import file_identity
from hsi_cd.runs.identity import digest_of
from hsi_cd.scene import ScenePair

__all__ = ["PairScorer", "SeriesMethod"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeriesMethod:
    """What scores the pairs of a series.

    Attributes:
        method: a method without labels, which is fitted on each pair; left out of account beside a checkpoint.
        options: of the method.
        seed: of methods that draw at random.
        checkpoint: what was fitted or trained before, and scores all pairs; or None.
        refit: measure the bands' statistics on each pair, in place of the checkpoint's.
        any_units: map values that are far from all that the checkpoint was fitted on.
        device: where the network of a checkpoint computes.
        kinds: ask for kinds of change, which are told anyway where the checkpoint knows some.
    """

    method: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    checkpoint: Path | None = None
    refit: bool = False
    any_units: bool = False
    device: str = "auto"
    kinds: bool = False

    def check(self) -> None:
        """Refuse what cannot score a pair.

        Raises:
            ConfigError: the method learns from labels, or options of a method stand beside a checkpoint.
            UnknownNameError: there is no such method.
        """
        if self.checkpoint is None:
            check_label_free(self.method)
            if self.refit or self.any_units:
                raise ConfigError(
                    "refit and any_units are about a checkpoint: a method is fitted on each pair anyway"
                )
            if self.kinds:
                raise ConfigError(
                    "the kinds of change of a series are those that labels taught: give checkpoint=, the file of "
                    "a training with kinds=True, or leave kinds=True out"
                )
        elif self.options:
            raise ConfigError("options are those of a method that is fitted, and a checkpoint is: leave one out")


@dataclass(frozen=True)
class PairScorer:
    """Scores pair after pair, and takes up what a folder holds of them already.

    Attributes:
        dates: the series.
        how: what scores.
        fitted: what scores all pairs; None where each is fitted.
        folder: takes what is fitted and scored.
        areas: areas of the pixels of some rows.
        memory: bytes for the parts of a pair that are on their way at once.
        kinds: what ``fitted`` knows of kinds of change, or None.
    """

    dates: DateSeries
    how: SeriesMethod
    fitted: Estimator | None
    folder: Path
    areas: Callable[[slice], NDArray[np.float64]]
    memory: int | None
    kinds: NamedKinds | None = None

    def scores(self, numbers: DateNumbers) -> PairScores:
        """The scores of one pair, as they were kept, or made now."""
        pair = self.dates.pair(*numbers)
        stem = self.folder / f"{pair.name.replace(' to ', '_').replace(':', '')}-{self._key(pair)}"
        scores, record, model, mapped = (
            stem.with_name(stem.name + ending) for ending in (".npy", ".json", ".pt", "-kinds.npy")
        )
        shape = pair.map_grid().shape
        kinds = None if self.kinds is None else (mapped, self.kinds.model.count)
        tally = _kept(record, scores, shape, kinds)
        if tally is not None and (self.fitted is not None or model.is_file()):
            estimator = self.fitted or load(model, device=self.how.device)
            _log.info("%s: taken up as it was kept in %s", pair.name, self.folder)
        else:
            try:
                estimator, change = self._mapped(pair, model)
                tally = write_scores(scores, change, shape, areas=self.areas, kinds=kinds)
            except BandError as error:
                raise BandError(f"{pair.name}: {error}") from None
            write_json(record, asdict(tally), overwrite=True)
        detector = estimator.detector_
        path = None if kinds is None else mapped
        return PairScores(scores, detector.threshold, detector.probability, tally, path)

    def _mapped(self, pair: ScenePair, model: Path) -> tuple[Estimator, Iterator[MapRows]]:
        how = MapOptions(memory=self.memory, look_at_shift=False, any_units=self.how.any_units, register=False)
        if self.fitted is not None:
            how = replace(how, look_at_shift=True)
            estimator = self.fitted
        elif model.is_file():  # fitted before it was stopped
            estimator = load(model, device=self.how.device)
        else:
            estimator = make_estimator(self.how.method, seed=self.how.seed, **self.how.options).fit(pair)
            estimator.save(model, overwrite=True)
        change = estimator.predict(pair, how, refit=self.how.refit)
        rows = map_rows(change.detector, change.pair, change.options)
        return estimator, rows_of_kinds(rows, change.pair, change.options)

    def _key(self, pair: ScenePair) -> str:
        """By what the scores of a pair are known again: files, values, bands, area, method, version."""
        how = self.how
        told = {
            "version": __version__,
            "values": pair.fingerprint(),
            "files": [digest_of(file_identity(path)) for path in pair.files],
            "nodata": pair.nodata,
            "used": pair.used,
            "masks": pair.masks,
            "identical": pair.allow_identical,
            "fitted": [how.method, dict(how.options), how.seed]
            if how.checkpoint is None
            else file_hash(how.checkpoint),
            "refit": how.refit,
            "area": None if pair.area is None else pair.area.fingerprint,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _kept(record: Path, scores: Path, shape: tuple[int, int], kinds: tuple[Path, int] | None) -> PairTally | None:
    """What a pair's map counted, where it was kept whole, with its kinds if there are some."""
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        tally = PairTally(**told | {"kinds": tuple((int(n), float(area)) for n, area in told.get("kinds", ()))})
        there = {scores: np.dtype(np.float32)} | ({} if kinds is None else {kinds[0]: np.dtype(np.uint8)})
        found = [(np.load(path, mmap_mode="r", allow_pickle=False), dtype) for path, dtype in there.items()]
    except (OSError, ValueError, TypeError):
        return None
    whole = all(values.shape == shape and values.dtype == dtype for values, dtype in found)
    return tally if whole and len(tally.kinds) == (0 if kinds is None else kinds[1]) else None
