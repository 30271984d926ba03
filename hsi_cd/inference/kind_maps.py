"""Kinds of change on the whole map: counted and ordered by area first, then written row by row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.base import Detector, KindModel, LearnedKinds, kinds_in, learned_kinds
from hsi_cd.detectors.change_kinds import ChangeKinds, changed_differences
from hsi_cd.errors import ConfigError
from hsi_cd.io import MapRows
from hsi_cd.prepare.kind_sums import KindSums
from hsi_cd.prepare.library_match import KindMaterials, in_bands
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Bands, ScenePair
from hsi_cd.scene.kind_spectra import KindSpectra
from hsi_cd.scene.spectral_library import SpectralLibrary

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

_BRIGHTEST = 2.0  # reflectance of 0 to 1 has glints of water and metal above 1


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
        used: bands of the scene that are looked at, or None for all that are not flagged as bad.
        quantity: what the values are, as a product tells it (``reflectance``, ``radiance``); else empty.
    """

    kinds: tuple[KindSpectra, ...]
    bands: Bands
    unit: str
    used: tuple[int, ...] | None = None
    quantity: str = ""

    @property
    def by_number(self) -> dict[int, KindSpectra]:
        """What each kind looks like, by its value in the map."""
        return dict(enumerate(self.kinds, start=1))

    def from_to(self, library: SpectralLibrary, *, count: int = 3) -> dict[int, KindMaterials]:
        """What each kind is from and to: the entries of a library nearest to its mean spectra, by spectral angle.

        Args:
            library: spectra of materials, as :func:`hsi_cd.open_library` reads them.
            count: how many entries of each date.

        Returns:
            By the kinds' values in the map.

        Raises:
            BandError: the scene tells no wavelengths, or the library covers too few of its bands.
        """
        near = in_bands(library, self.bands, used=self.used)
        brightest = max((float(np.nanmax(kind.before)) for kind in self.kinds), default=0.0)
        if self.quantity not in ("", "reflectance"):
            told = (
                f"the dates hold {self.quantity}, and {library.name} reflectance: their angles compare two things"
            )
            log.warning("%s", told)
        elif not self.quantity and brightest > _BRIGHTEST:
            log.warning(
                "nothing tells that values of up to %.4g are reflectance: angles to %s are right where they are "
                "reflectance times a factor, and not where they are radiance or have an offset",
                brightest,
                library.name,
            )
        return {
            number: KindMaterials(near.nearest(kind.before, count), near.nearest(kind.after, count))
            for number, kind in self.by_number.items()
        }

    def named(self, names: Mapping[int, str]) -> MappedKinds:
        """The same under other names of the kinds, by number from 1."""
        return replace(self, names={UNCHANGED: self.names[UNCHANGED], **names})


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
    sums = KindSums(model.count, pair.bands.count)
    blocks = changed_differences(detector, model.frontend, measurement)
    for (rows, difference, said), (_, (t1, t2)) in zip(blocks, measurement.read("kinds"), strict=True):
        kinds = np.where(said == 1, model.of_difference(difference), np.uint8(0))
        wanted, own = _mapped(pair, rows) & ((said == 0) | (kinds > 0)), _areas_of(pair, rows, areas)
        # One row at a time: in double precision, a block of rows would take gigabytes.
        for row in np.flatnonzero(wanted.any(axis=1)):
            there = wanted[row]
            sums.add(kinds[row, there], (t1[:, row, there], t2[:, row, there]), own[row, there])
    found = sums.spectra()
    order = sorted(found, key=lambda kind: -found[kind].area)  # stable: of two as large, the earlier centre's
    quantity = "" if pair.t1.product is None else pair.t1.product.quantity
    names = {UNCHANGED: "unchanged"} | {number: f"kind {number}" for number in range(1, len(order) + 1)}
    ordered = model.ordered(np.array(order, dtype=np.intp) - 1)
    return MappedKinds(
        model=ordered,
        kinds=tuple(found[kind] for kind in order),
        bands=pair.bands,
        names=names,
        unit=unit,
        used=pair.used,
        quantity=quantity,
    )


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
