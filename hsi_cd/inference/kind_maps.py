"""Kinds of change on the whole map: counted and ordered by area first, then written row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.base import Detector, KindModel, LearnedKinds, kinds_in, learned_kinds
from hsi_cd.detectors.change_kinds import ChangeKinds, changed_differences
from hsi_cd.errors import ConfigError
from hsi_cd.io import MapRows
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Bands, ScenePair

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KindSpectra:
    """What changed pixels of one kind look like.

    Attributes:
        pixels: how many there are.
        area: of them, in the unit of the areas.
        before: mean stored spectrum of the earlier date, float64 ``(bands,)``.
        after: of the later date.
        before_deviation: standard deviation over the kind's pixels, of the earlier date.
        after_deviation: of the later date.
        strength: of each band: how far the kind's mean difference is from that of unchanged pixels, in standard
            deviations of these; NaN where that does not vary.
    """

    pixels: int
    area: float
    before: Floats
    after: Floats
    before_deviation: Floats
    after_deviation: Floats
    strength: Floats

    @property
    def leading(self) -> NDArray[np.intp]:
        """Bands by how much they carry the kind, the strongest first; those without a strength last."""
        return np.argsort(-np.nan_to_num(self.strength, nan=-1.0), kind="stable")


@dataclass(frozen=True)
class NamedKinds:
    """The kinds of change that a map tells apart.

    Attributes:
        model: from both dates to a kind.
        names: of the values of the map, the unchanged first.
    """

    model: KindModel
    names: Mapping[int, str]

    @property
    def learned(self) -> LearnedKinds:
        """The model, if it knows probabilities.

        Raises:
            ConfigError: the kinds were found without labels.
        """
        if not isinstance(self.model, LearnedKinds):
            raise ConfigError(
                "kinds of change that were found without labels have no probabilities: leave kind_probability= "
                "out, or train with kinds=True"
            )
        return self.model


@dataclass(frozen=True)
class MappedKinds(NamedKinds):
    """The kinds of change of a scene, the largest first.

    Attributes:
        kinds: what each looks like.
        bands: of the scene.
        unit: of the areas: ``m2``, or ``pixels`` where the scene tells no length.
    """

    kinds: tuple[KindSpectra, ...]
    bands: Bands
    unit: str

    def named(self, names: Mapping[int, str]) -> MappedKinds:
        """The same under other names of the kinds, by number from 1."""
        return replace(self, names={UNCHANGED: self.names[UNCHANGED], **names})


class _Sums:
    """Sums of spectra by kind, 0 being unchanged; from near a centre, so that squares lose no digits."""

    def __init__(self, kinds: int, bands: int) -> None:
        self.count = np.zeros(kinds + 1, dtype=np.int64)
        self.area = np.zeros(kinds + 1)
        self._near: Floats | None = None
        self._sums = np.zeros((kinds + 1, 3, bands))
        self._squares = np.zeros((kinds + 1, 3, bands))

    def add(self, kinds: NDArray[np.uint8], spectra: Floats, areas: Floats) -> None:
        """Pixels with their kinds, both dates' spectra ``(2, bands, pixels)`` and areas."""
        values = np.concatenate([spectra, spectra[1:] - spectra[:1]])
        if self._near is None:
            self._near = values.mean(axis=2)
        values -= self._near[:, :, None]
        for kind in np.unique(kinds):
            own = values[:, :, kinds == kind]
            self.count[kind] += own.shape[2]
            self.area[kind] += float(areas[kinds == kind].sum())
            self._sums[kind] += own.sum(axis=2)
            self._squares[kind] += np.square(own).sum(axis=2)

    def moments(self, kind: int) -> tuple[Floats, Floats]:
        """Mean and standard deviation of both dates and of their difference, each ``(3, bands)``."""
        count = max(int(self.count[kind]), 1)
        mean = self._sums[kind] / count
        deviation = np.sqrt(np.maximum(self._squares[kind] / count - np.square(mean), 0))
        return mean + (0 if self._near is None else self._near), deviation


def map_kinds(
    detector: Detector,
    measurement: Measurement,
    model: ChangeKinds,
    *,
    areas: Callable[[slice], Floats],
    unit: str,
) -> MappedKinds:
    """Count the kinds of a scene, or of its area of interest, and order them by area; one pass.

    Args:
        detector: says what changed.
        measurement: of the scene.
        model: the kinds, fitted on it. Those that no pixel has are left out.
        areas: areas of the map's pixels in some of its rows, ``(rows, cols)``.
        unit: of them.
    """
    pair = measurement.pair
    sums = _Sums(model.count, pair.bands.count)
    blocks = changed_differences(detector, model.frontend, measurement)
    for (rows, difference, said), (_, dates) in zip(blocks, measurement.read("kinds"), strict=True):
        kinds = np.where(said == 1, model.of_difference(difference), np.uint8(0))
        wanted, own = _mapped(pair, rows) & ((said == 0) | (kinds > 0)), _areas_of(pair, rows, areas)
        # One row at a time: in double precision, a block of rows would take gigabytes.
        for row in np.flatnonzero(wanted.any(axis=1)):
            there = wanted[row]
            spectra = np.stack([date[:, row, there] for date in dates]).astype(np.float64)
            sums.add(kinds[row, there], spectra, own[row, there])
    order = np.argsort(-sums.area[1:], kind="stable")
    order = order[sums.count[1 + order] > 0]
    quiet, scatter = (each[2] for each in sums.moments(UNCHANGED))
    known = scatter > 0
    found = []
    for kind in (1 + order).tolist():
        mean, deviation = sums.moments(kind)
        strength = np.full(len(quiet), np.nan)
        strength[known] = np.abs(mean[2] - quiet)[known] / scatter[known]
        (before, after, _), (apart1, apart2, _) = mean, deviation
        area = float(sums.area[kind])
        found.append(KindSpectra(int(sums.count[kind]), area, before, after, apart1, apart2, strength))
    names = {UNCHANGED: "unchanged"} | {number: f"kind {number}" for number in range(1, len(found) + 1)}
    return MappedKinds(model.ordered(order), names, tuple(found), pair.bands, unit)


def _mapped(pair: ScenePair, rows: slice) -> NDArray[np.bool_]:
    """Which pixels of some rows are mapped."""
    area = pair.focus
    inside = np.ones((rows.stop - rows.start, pair.shape[1]), dtype=bool)
    if area is not None:
        inside[:] = False
        top, bottom = max(rows.start, area.rows.start), min(rows.stop, area.rows.stop)
        if top < bottom:
            own = area.covered[top - area.rows.start : bottom - area.rows.start]
            inside[top - rows.start : bottom - rows.start, area.cols] = own
    return inside


def _areas_of(pair: ScenePair, rows: slice, areas: Callable[[slice], Floats]) -> Floats:
    """Areas of all pixels of some rows of the scene; 0 outside of the map."""
    area = pair.focus
    if area is None:
        return areas(rows)
    out = np.zeros((rows.stop - rows.start, pair.shape[1]))
    top, bottom = max(rows.start, area.rows.start), min(rows.stop, area.rows.stop)
    if top < bottom:
        own = slice(top - area.rows.start, bottom - area.rows.start)
        out[top - rows.start : bottom - rows.start, area.cols] = areas(own)
    return out


def taught_kinds(detector: Detector, asked: bool | None = None) -> NamedKinds | None:
    """The kinds of change that labels taught a detector, as its map has them.

    Args:
        detector: a fitted detector.
        asked: whether the map is to have kinds; by default where the detector knows some.

    Raises:
        CheckpointError: kinds are asked for, and it knows none.
    """
    if asked is False or (asked is None and kinds_in(detector) is None):
        return None
    model = learned_kinds(detector)
    return NamedKinds(model, model.table.by_number)


def kind_rows(
    parts: Iterator[MapRows], pair: ScenePair, kinds: NamedKinds, *, top: int = 0, chances: bool = False
) -> Iterator[MapRows]:
    """The rows of a map with the kind of each changed pixel in place of 1.

    A changed pixel whose surroundings lack what tells its kind has no data.

    Args:
        parts: rows of the map of the scene, of a part of it, or of its area of interest.
        pair: the scene.
        kinds: from both dates to a kind.
        top: row of the scene from which the parts are counted; of an area of interest, its own.
        chances: tell the probability of each kind given change, too, of all pixels with data.

    Raises:
        ConfigError: probabilities of kinds that were found without labels.
    """
    area, model = pair.focus, kinds.model
    first, cols = (top, slice(0, pair.shape[1])) if area is None else (area.rows.start, area.cols)
    for part in parts:
        changed = part.change == CHANGED
        if chances or changed.any():
            told, said = part.kinds, None
            if chances or told is None:
                rows = slice(first + part.row, first + part.row + len(part.change))
                window = read_window(pair, rows, cols, radius=model.radius)
                told = model.of_window(*window) if told is None else told
            if chances:
                unknown = part.change == UNLABELLED
                said = np.where(unknown, np.float32(np.nan), kinds.learned.probabilities(*window))
            values = np.where(changed, np.where(told > 0, told, np.uint8(UNLABELLED)), part.change)
            part = replace(part, change=values, kind_probability=said)
        yield part
