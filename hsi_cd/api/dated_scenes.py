"""Many dates of one place: opened, put in their order, on one grid and with one set of bands."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hsi_cd.api.area_choice import AreaChoice, checked_bounds
from hsi_cd.api.bounding import find_area
from hsi_cd.api.masking import Masks, mask_own, mask_with, parse_masks
from hsi_cd.api.opening import open_dates, scene_name
from hsi_cd.api.pairing import choose_bands, warn_of_doubts
from hsi_cd.api.product_pairs import check_together, put_on, with_common_bands
from hsi_cd.api.registering import describe_shift, laid_by, register
from hsi_cd.api.series_days import in_order, reference_of, refuse_one_file
from hsi_cd.api.sources import Contract, SceneSource, as_paths, as_values
from hsi_cd.errors import BandError, ConfigError, RegistrationError
from hsi_cd.prepare import alignment
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.progress import progress
from hsi_cd.scene import AreaOfInterest, Cube, Grid, ScenePair, check_same_bands, check_same_grid, matching
from hsi_cd.scene.area_of_interest import cut_cube
from hsi_cd.scene.contract import is_same_grid

__all__ = ["DateSeries", "SeriesSource", "open_series", "opened_series", "registered_series", "with_chosen_bands"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeriesSource:
    """Where the dates of a series lie, and when they were taken.

    Attributes:
        images: the dates, each in any of the forms that :func:`hsi_cd.open_pair` takes.
        days: when each was taken, ISO 8601, in the order of the images; None to be told by them.
        reference: the date that each other one is compared with, by its day or its file's name; None for the
            first.
        key: variable of files with several.
        axes: axes of bare arrays as stored; None to find them.
        resample: bring single-band files of several pixel sizes to the finest.
        name: what messages call the place; None for a name from the first file.
        memory: bytes for blocks of the files that are kept decoded, of two dates together.
    """

    images: Sequence[Any]
    days: Sequence[str] | None = None
    reference: str | None = None
    key: str | None = None
    axes: str | Sequence[str] | None = None
    resample: bool = False
    name: str | None = None
    memory: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are named."""
        return tuple(path for image in self.images for path in as_paths(image))


@dataclass(frozen=True)
class DateSeries:
    """Dates of one place on one grid, with one set of bands, the earliest first.

    Attributes:
        cubes: the dates.
        days: when each was taken, ISO 8601: a day, a day with its time, or a year.
        reference: place of the date that each other one is compared with, whose grid and bands all have.
        name: what messages call the place.
        contract: what was asked of the dates.
        used: indices of the bands that methods may look at, or None for all.
        registered: what was done to lay each date on the reference, in words; None where nobody asked.
        masks: what masks leave out, in the words in which it was asked for.
        area: what of the place is of interest, or None for all of it; the dates are cut to it, or whole, as those
            of a :class:`~hsi_cd.scene.ScenePair` are.
    """

    cubes: tuple[Cube, ...]
    days: tuple[str, ...]
    reference: int
    name: str
    contract: Contract
    used: tuple[int, ...] | None = None
    registered: tuple[str, ...] | None = None
    masks: tuple[str, ...] = ()
    area: AreaOfInterest | None = None

    @property
    def grid(self) -> Grid:
        """The grid of all dates, with the georeference of the first that has one."""
        own = self.cubes[self.reference].grid
        placed = (cube.grid for cube in self.cubes if cube.grid.is_georeferenced)
        return own if own.is_georeferenced else next(placed, own)

    @property
    def map_grid(self) -> Grid:
        """The grid of what is written: of the area of interest, where there is one."""
        return self.grid if self.area is None else self.area.grid

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the dates and their area of interest are read from, each once."""
        dates = (path for cube in self.cubes for path in cube.files)
        return tuple(dict.fromkeys((*dates, *(path.absolute() for path in self.contract.area.files))))

    def in_area(self, area: AreaOfInterest) -> DateSeries:
        """The dates with an area of interest on their grid; cut to it where statistics come from the area."""
        cubes = tuple(cut_cube(cube, area) for cube in self.cubes) if area.is_cut else self.cubes
        return replace(self, cubes=cubes, area=area)

    def pair(self, first: int, second: int) -> ScenePair:
        """Two of the dates as a scene, with readers of its own: what they keep goes when it goes."""
        t1, t2 = (fresh(self.cubes[place]) for place in (first, second))
        return ScenePair(
            t1,
            t2,
            name=f"{self.days[first]} to {self.days[second]}",
            band_tolerance=self.contract.band_tolerance,
            used=self.used,
            nodata=self.contract.nodata,
            allow_identical=self.contract.allow_identical,
            masks=self.masks,
            area=self.area,
        )

    def label(self, place: int) -> str:
        """What messages call a date."""
        return f"{self.days[place]} ({self.cubes[place].name})"

    def __repr__(self) -> str:
        rows, cols = self.grid.shape
        return (
            f"DateSeries {self.name}: {len(self.days)} dates from {self.days[0]} to {self.days[-1]}, {rows} x "
            f"{cols} pixels, {self.cubes[self.reference].bands.count} bands, reference {self.days[self.reference]}"
        )


def open_series(
    images: Sequence[Any],
    *,
    dates: Sequence[str] | None = None,
    reference: str | None = None,
    align: bool = False,
    register: bool | None = None,
    common_bands: bool = False,
    band_tolerance: float = 5.0,
    saturated: float | None = None,
    nodata: float | Sequence[float] | None = None,
    allow_identical: bool = False,
    mask: Any = "auto",
    aoi: Any = None,
    bounds: Sequence[float] | None = None,
    bounds_crs: str | None = None,
    statistics: str = "scene",
    axes: str | Sequence[str] | None = None,
    key: str | None = None,
    resample: bool = False,
    name: str | None = None,
    memory: int | None = None,
) -> DateSeries:
    """Open many dates of one place, for :func:`hsi_cd.series`.

    Args:
        images: the dates, each in any of the forms that :func:`hsi_cd.open_pair` takes.
        dates: when each was taken, as ``2019-06-01`` or ``2019-06-01T10:30:00``, in the order of the images; by
            default as the files tell, or else their names. Images out of order are sorted, which is told.
        reference: the date that each other one is compared with, by its day or its file's name; its grid and bands
            are those of all. By default the first.
        align: resample dates of other grids onto the reference's, bilinearly.
        register: measure the shift of each date against the reference and undo it.
        common_bands: keep the bands that all dates have, in one order.
        band_tolerance: largest difference of centre wavelengths, nm, of the same band.
        saturated: stored value from which a pixel is saturated.
        nodata: stored values that mean no data in all dates, beside those that the files declare.
        allow_identical: take dates that are one file, or hold the same values.
        mask: what is left out of each date, see :func:`hsi_cd.open_pair`.
        aoi: what alone is compared, as polygons, see :func:`hsi_cd.open_pair`; so are the three that follow.
        bounds: the same as ``(min x, min y, max x, max y)``.
        bounds_crs: their CRS; by default the reference's.
        statistics: ``scene`` or ``area``.
        axes: axes of bare arrays as stored.
        key: variable of files with several.
        resample: bring single-band files of several pixel sizes to the finest.
        name: what messages call the place.
        memory: bytes for blocks of the files that are kept decoded, of two dates together.

    Returns:
        The series; no pixel has been read but those that show that each date holds some, and for ``register``.

    Raises:
        ConfigError: fewer than two dates, one that nothing tells, or no such reference.
        PairError: two dates are of one time, or one file.
        GridError: a date lies on another grid and is not, or cannot be, aligned; the area of interest covers no
            pixel of the reference.
        BandError: a date has other bands, or no pixel with data.
        RegistrationError: no shift lays a date on the reference.
    """
    source = SeriesSource(images, dates, reference, key, axes, resample, name, memory)
    area = AreaChoice(aoi, None if bounds is None else checked_bounds(bounds), bounds_crs, statistics)
    contract = Contract(
        align, common_bands, band_tolerance, saturated, as_values(nodata), allow_identical, register, mask, area
    )
    return opened_series(source, contract)


def opened_series(source: SeriesSource, contract: Contract) -> DateSeries:
    """:func:`open_series`, told by values."""
    if len(source.images) < 2:
        raise ConfigError(f"a series of {len(source.images)} dates: give at least two, each with its own file")
    cubes = _open_all(source)
    if not contract.allow_identical:
        refuse_one_file(source.images)
    cubes, days = in_order(cubes, source.days)
    reference = reference_of(source.reference, cubes, days)
    if contract.saturated is not None:
        cubes = [replace(cube, saturated=contract.saturated) for cube in cubes]
    if contract.nodata:
        cubes = [replace(cube, fill=contract.nodata) for cube in cubes]
    masks = parse_masks(contract.mask)
    has_masks = any(cube.product is not None and cube.product.masks for cube in cubes)
    cubes = _together(cubes, days, reference, masks=masks, contract=contract)
    series = DateSeries(
        tuple(cubes),
        tuple(days),
        reference,
        source.name or scene_name(cubes[0].files or None),
        contract,
        masks=masks.asked if has_masks or masks.drawn else (),
    )
    for place in range(len(cubes)):
        if place != reference:
            warn_of_doubts(series.pair(min(place, reference), max(place, reference)))
    area = find_area(contract.area, series.grid)
    series = series if area is None else series.in_area(area)
    _refuse_empty(series)
    return registered_series(series) if contract.register else series


def registered_series(series: DateSeries) -> DateSeries:
    """A series whose dates are laid on the reference, each by the shift between the two.

    Raises:
        RegistrationError: a date cannot be; it is named.
    """
    cubes, told = list(series.cubes), ["the reference"] * len(series.cubes)
    for place in range(len(cubes)):
        if place == series.reference:
            continue
        pair = replace(series.pair(series.reference, place), name=series.label(place))
        try:
            done = register(pair).registered
        except RegistrationError as error:
            raise RegistrationError(f"{series.label(place)}: {error}") from None
        if done is not None:
            onto = ScenePair(series.cubes[series.reference], cubes[place])
            cubes[place] = laid_by(onto, done).t2
            told[place] = describe_shift(done.down, done.right)
            _log.info("%s: %s", series.label(place), done.told)
    return replace(series, cubes=tuple(cubes), registered=tuple(told))


def with_chosen_bands(series: DateSeries, **dropped: bool) -> DateSeries:
    """A series that shows its methods only bands that no date would have left out.

    Args:
        series: the series.
        dropped: as :func:`hsi_cd.choose_bands` takes them.

    Raises:
        BandError: no band is left.
    """
    if not any(dropped.values()):
        return series
    kept = set(range(series.cubes[0].bands.count))
    for place in range(len(series.cubes)):
        if place != series.reference:
            pair = choose_bands(series.pair(series.reference, place), **dropped)
            kept &= kept if pair.used is None else set(pair.used)
    if not kept:
        raise BandError(f"no band of {series.name} is left in all dates: drop fewer kinds of bands")
    return replace(series, used=tuple(sorted(kept)))


def fresh(cube: Cube) -> Cube:
    """A cube of files with readers of its own, which hold nothing yet; one in memory as it is.

    What a reader keeps decoded for the next window would else stay for each date of a series.
    """
    return copy.deepcopy(cube) if cube.files else cube


def _open_all(source: SeriesSource) -> list[Cube]:
    """The cubes; one that does not tell its axes is read like the first."""
    first: Cube | None = None
    cubes: list[Cube] = []
    for image in source.images[1:]:
        both = SceneSource(
            t1=source.images[0],
            t2=image,
            keys=(source.key, source.key),
            axes=source.axes,
            resample=source.resample,
            memory=source.memory,
        )
        opened = open_dates(both, None)
        first = first or opened[0]
        cubes.append(opened[1])
    return cubes if first is None else [first, *cubes]


def _together(
    cubes: Sequence[Cube], days: Sequence[str], reference: int, *, masks: Masks, contract: Contract
) -> list[Cube]:
    """The dates on the grid of the reference, with one set of bands, without what masks cover.

    Raises:
        GridError, BandError: a date does not go with the reference; it is named, with what to do.
    """
    base, tolerance = days[reference], contract.band_tolerance
    for place, cube in enumerate(cubes):
        check_together(cubes[reference], cube, names=(base, days[place]))
    own = mask_own(cubes[reference], masks, date=base)
    laid = [
        own if place == reference else put_on(own, cube, masks, names=(base, days[place]))
        for place, cube in enumerate(cubes)
    ]
    if contract.align:
        laid = [c if is_same_grid(own.grid, c.grid) else alignment.align(c, own.grid) for c in laid]
    label = [f"{day} ({cube.name})" for day, cube in zip(days, laid, strict=True)]
    for place, cube in enumerate(laid):
        remedy = "resample {second} to the grid of {first}, or use align=True"
        check_same_grid(own.grid, cube.grid, names=(label[reference], label[place]), remedy=remedy)
    own = _with_bands_of_all(own, laid, reference, days=days, contract=contract)
    laid[reference] = own
    for place, cube in enumerate(laid):
        names = (label[reference], label[place])
        check_same_bands(own.bands, cube.bands, names=names, tolerance=tolerance)
        if own.bands.centres and cube.bands.centres:  # or two dates could lie further apart than each from it
            laid[place] = replace(cube, bands=replace(cube.bands, centres=own.bands.centres))
    return mask_with(laid, masks, align=contract.align) if masks.drawn else laid


def _with_bands_of_all(
    own: Cube, laid: list[Cube], reference: int, *, days: Sequence[str], contract: Contract
) -> Cube:
    """The reference with the bands that all dates have; the others are brought to these in their list.

    Of several sensors, spectra are those of the coarsest, to which the dates of the reference's own sensor are
    resampled as the reference is.
    """
    tolerance, before = contract.band_tolerance, own
    sensors = {cube.product.title for cube in laid if cube.product is not None}
    others = [place for place in range(len(laid)) if place != reference]

    def shared(place: int, *, told: bool) -> tuple[Cube, Cube]:
        both = (days[reference], days[place])
        first, second = with_common_bands(
            own, laid[place], tolerance, names=both, several=len(sensors) > 1, told=told
        )
        return (
            matching.common_bands(first, second, tolerance=tolerance) if contract.common_bands else (first, second)
        )

    for place in others:
        own, _ = shared(place, told=False)
    if own.bands.count != before.bands.count:
        _log.warning(
            "of %s (%s) %d of %d bands are left, which all dates have or can be made to have",
            days[reference], own.name, own.bands.count, before.bands.count,
        )  # fmt: skip
    for place in others:
        _, laid[place] = shared(place, told=True)
    return own


def _refuse_empty(series: DateSeries) -> None:
    """Refuse a date without any pixel that has data.

    Raises:
        BandError: so it is.
    """
    for place in progress(range(len(series.cubes)), desc="dates", unit="date"):
        cube = fresh(series.cubes[place])
        for block in row_blocks(*cube.grid.shape):
            if np.isfinite(cube.read(block)).any():
                break
        else:
            raise BandError(
                f"{series.label(place)} has no pixel with data, after what its masks leave out: leave this date "
                "out, or say mask='none' to keep what masks cover"
            )
