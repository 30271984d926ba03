"""Kinds of change on the whole map: told row by row, and counted as they go by."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from hsi_cd.detectors.base import Detector, KindModel, LearnedKinds, kinds_in, learned_kinds
from hsi_cd.detectors.change_kinds import ChangeKinds
from hsi_cd.errors import ConfigError
from hsi_cd.io import MapRows
from hsi_cd.prepare.kind_sums import KindSums
from hsi_cd.prepare.library_match import KindMaterials, in_bands
from hsi_cd.prepare.stratified_sample import areas_of
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Bands, Grid, ScenePair
from hsi_cd.scene.kind_spectra import KindSpectra
from hsi_cd.scene.spectral_library import SpectralLibrary

log = logging.getLogger(__name__)

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
class KindCounts:
    """What the pixels of each kind of a map are.

    Attributes:
        spectra: what each kind that any pixel has looks like, by its value in the map.
        unit: of the areas: ``m2``, or ``pixels`` where the scene tells no length.
    """

    spectra: Mapping[int, KindSpectra]
    unit: str


@dataclass(frozen=True)
class MappedKinds(NamedKinds):
    """The kinds of change of a map: the largest first where no labels taught them, else as the truth has them.

    Attributes:
        bands: of the scene.
        counting: counts their pixels; asked once, when they are first looked at.
        used: bands of the scene that are looked at, or None for all that are not flagged as bad.
        quantity: what the values are, as a product tells it (``reflectance``, ``radiance``); else empty.
    """

    bands: Bands
    counting: Callable[[], KindCounts] = field(repr=False)
    used: tuple[int, ...] | None = None
    quantity: str = ""

    @cached_property
    def counts(self) -> KindCounts:
        """The pixels of each kind; of kinds that labels taught the scene is mapped for it where it was not."""
        return self.counting()

    @property
    def by_number(self) -> dict[int, KindSpectra]:
        """What each kind that any pixel has looks like, by its value in the map."""
        return dict(self.counts.spectra)

    @property
    def kinds(self) -> tuple[KindSpectra, ...]:
        """The same in the order of these values."""
        return tuple(self.counts.spectra.values())

    @property
    def absent(self) -> tuple[int, ...]:
        """Values of the kinds that no pixel has."""
        return tuple(n for n in self.names if n != UNCHANGED and n not in self.counts.spectra)

    @property
    def unit(self) -> str:
        """Of the areas: ``m2``, or ``pixels`` where the scene tells no length."""
        return self.counts.unit

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


class KindCounter:
    """Counts the kinds of a map while its rows go by; memory is that of some rows."""

    def __init__(self, pair: ScenePair, kinds: int, grid: Grid, *, top: int = 0) -> None:
        """Nothing is counted yet.

        Args:
            pair: the scene.
            kinds: how many.
            grid: of the map: of the scene, of a part of it, or of its area of interest.
            top: row of the scene in which the map begins; of an area of interest, its own.
        """
        self._pair, self._top, self._cols = pair, top, slice(0, pair.shape[1])
        if pair.focus is not None:
            self._top, self._cols = pair.focus.rows.start, pair.focus.cols
        self._areas, self._unit = areas_of(grid)
        self._sums = KindSums(kinds, pair.bands.count)

    def see(self, part: MapRows) -> None:
        """Some rows of the map: 0 unchanged, 1 to K kinds, 255 no data."""
        rows = slice(part.row, part.row + len(part.change))
        dates = self._pair.read(slice(self._top + rows.start, self._top + rows.stop), self._cols)
        self._sums.add_rows(part.change, dates, self._areas(rows))

    def counts(self) -> KindCounts:
        """Of all that was seen."""
        return KindCounts(self._sums.spectra(), self._unit)


def by_area(model: ChangeKinds, counts: KindCounts, pair: ScenePair) -> MappedKinds:
    """Kinds that were found without labels in the order of their areas, the largest first.

    Args:
        model: the kinds, fitted on the scene. Those that no pixel has are left out.
        counts: of their pixels, by the model's numbers.
        pair: the scene.
    """
    found = counts.spectra
    order = sorted(found, key=lambda kind: -found[kind].area)  # stable: of two as large, the earlier centre's
    names = {UNCHANGED: "unchanged"} | {number: f"kind {number}" for number in range(1, len(order) + 1)}
    ordered = KindCounts({number: found[kind] for number, kind in enumerate(order, start=1)}, counts.unit)
    own = NamedKinds(model.ordered(np.array(order, dtype=np.intp) - 1), names)
    return mapped_kinds(own, pair, lambda: ordered)


def mapped_kinds(kinds: NamedKinds, pair: ScenePair, counting: Callable[[], KindCounts]) -> MappedKinds:
    """Kinds with what they are of a scene.

    Args:
        kinds: as the map tells them apart.
        pair: the scene.
        counting: counts their pixels.
    """
    quantity = "" if pair.t1.product is None else pair.t1.product.quantity
    return MappedKinds(kinds.model, kinds.names, pair.bands, counting, used=pair.used, quantity=quantity)


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
