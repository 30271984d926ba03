"""A stratified random sample of a map: how many points each class gets, and which pixels they are."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError
from hsi_cd.scene import CHANGED, UNLABELLED, Grid
from hsi_cd.scene.contract import crs_name
from hsi_cd.scene.surface import pixel_areas

_log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Areas = Callable[[slice], Array]

_BLOCK = 256  # rows that are looked at at once
_EXPECTED = 0.9, 0.7  # user's accuracies on which a sample's size is reckoned: of no change, of change


@dataclass(frozen=True)
class Stratum:
    """The pixels of one class of a map.

    Attributes:
        code: the class, as the map has it.
        pixels: how many they are.
        area: the sum of their areas, in the unit of the areas given.
    """

    code: int
    pixels: int
    area: float


def areas_of(grid: Grid) -> tuple[Areas, str]:
    """Areas of the pixels of some rows, and their unit; one each where the map does not tell where it lies."""
    if grid.transform is None or grid.crs is None:
        return (lambda rows: np.ones((rows.stop - rows.start, grid.cols))), "pixels"
    areas = pixel_areas(grid)
    if not areas.true:
        what = "those of its plane" if areas.unit == "m2" else "counts of pixels, since it tells no length"
        _log.warning("the CRS %s is tied to no ellipsoid: areas are %s", crs_name(grid.crs), what)
    return areas.of, areas.unit


def class_totals(change: NDArray[np.uint8], areas: Areas) -> tuple[NDArray[np.int64], Array]:
    """Pixels of each value of a map, int64 ``(256,)``, and the sum of their areas, float64 ``(256,)``."""
    pixels, area = np.zeros(256, dtype=np.int64), np.zeros(256)
    for rows in _blocks(len(change)):
        codes = change[rows].ravel()
        pixels += np.bincount(codes, minlength=256)
        area += np.bincount(codes, weights=areas(rows).ravel(), minlength=256)
    return pixels, area


def measure_strata(change: NDArray[np.uint8], areas: Areas) -> tuple[Stratum, ...]:
    """The classes of a map, with the number and the area of their pixels, the least code first.

    Args:
        change: uint8 ``(rows, cols)``: classes, 255 no data, which is no stratum.
        areas: of the pixels of some rows, ``(rows, cols)``.
    """
    pixels, area = class_totals(change, areas)
    return tuple(Stratum(c, int(pixels[c]), float(area[c])) for c in range(256) if pixels[c] and c != UNLABELLED)


def allocate(
    strata: tuple[Stratum, ...],
    *,
    per_stratum: int = 50,
    total: int | None = None,
    standard_error: float | None = None,
) -> dict[int, int]:
    """How many points each stratum gets.

    Every stratum gets ``per_stratum``, or all of its pixels where these are fewer. Where a total is given, or a
    standard error from which it is reckoned, strata beyond their proportional part keep these, and the others
    share the rest by their areas: as Olofsson et al. advise, so that a rare class is sampled and a wide one, in
    which a few omissions are a large area, has most of the points.

    Args:
        strata: the strata.
        per_stratum: least number of points of each.
        total: number of points of all; at least ``per_stratum`` of each come all the same.
        standard_error: of the overall accuracy that is to be reached, in place of a total; by Cochran's equation
            (5.25), with user's accuracies of .9 where the map sees no change and .7 where it sees some.

    Returns:
        Number of points by the strata's codes.

    Raises:
        ConfigError: a number that there is not, or a total below what the strata get at least.

    Reference:
        Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015, section 5.1
    """
    if per_stratum < 2:
        raise ConfigError(
            f"per_stratum is {per_stratum}: expected at least 2 points, without which no variance is"
        )
    if total is not None and standard_error is not None:
        raise ConfigError("a total and a standard error are both given: give one of them")
    if standard_error is not None:
        if not 0.001 <= standard_error < 0.5:
            raise ConfigError(f"standard_error is {standard_error:g}: expected 0.001 to 0.5, as 0.01")
        total = size_for(strata, standard_error)
    least = {each.code: min(per_stratum, each.pixels) for each in strata}
    if total is None:
        return least
    if standard_error is None and total < sum(least.values()):
        raise ConfigError(
            f"total is {total}: {len(strata)} strata get {per_stratum} points each at least; give a larger total, "
            "or a smaller per_stratum="
        )
    # Those that their part would leave with too few keep the least; what they take is not the others' to share.
    fixed: dict[int, int] = {}
    while True:
        shared = [each for each in strata if each.code not in fixed]
        area, left = sum(each.area for each in shared), total - sum(fixed.values())
        part = {each.code: left * each.area / area for each in shared} if shared else {}
        poor = [each.code for each in shared if part[each.code] < least[each.code]]
        if not poor:
            break
        fixed |= {code: least[code] for code in poor}
    there = {each.code: each.pixels for each in strata}
    return {
        each.code: min(there[each.code], fixed.get(each.code) or math.floor(part[each.code] + 0.5))
        for each in strata
    }


def size_for(strata: tuple[Stratum, ...], standard_error: float) -> int:
    """Number of points by which the overall accuracy has a standard error; see :func:`allocate`."""
    whole = sum(each.area for each in strata)
    spread = 0.0
    for each in strata:
        users = _EXPECTED[each.code >= CHANGED]
        spread += each.area / whole * math.sqrt(users * (1 - users))
    return math.ceil((spread / standard_error) ** 2)


def draw_points(
    change: NDArray[np.uint8], sizes: Mapping[int, int], areas: Areas, *, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw pixels of each class at random, none twice, in a random order.

    A pixel is drawn the likelier, the larger it is: where all cover the same, as in most projections, all are
    equally likely; in longitude and latitude a hectare is, wherever it lies.

    Args:
        change: uint8 ``(rows, cols)``: classes.
        sizes: number of points by class; no more than it has pixels.
        areas: of the pixels of some rows, ``(rows, cols)``.
        seed: of the draw; the same seed draws the same.

    Returns:
        Rows and columns of the points, ``(points,)`` each.

    Reference:
        Efraimidis and Spirakis 2006, doi:10.1016/j.ipl.2005.11.003
    """
    random = np.random.default_rng(seed)
    cols = change.shape[1]
    kept = {code: (np.empty(0), np.empty(0, dtype=np.int64)) for code in sizes}
    for rows in _blocks(len(change)):
        keys = random.standard_exponential((rows.stop - rows.start, cols)) / areas(rows)
        for code, size in sizes.items():
            found = np.flatnonzero(change[rows] == code)
            key = np.concatenate((kept[code][0], keys.ravel()[found]))
            place = np.concatenate((kept[code][1], found + rows.start * cols))
            if len(key) > size:
                least = np.argpartition(key, size)[:size] if size else np.empty(0, dtype=np.intp)
                key, place = key[least], place[least]
            kept[code] = key, place
    # In order of place first, so that nothing depends on how a partition leaves equals.
    places = np.sort(np.concatenate([place for _, place in kept.values()]))
    random.shuffle(places)
    return np.divmod(places, cols)


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(row, min(row + _BLOCK, rows)) for row in range(0, rows, _BLOCK))
