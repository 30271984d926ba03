"""How two dates lie against each other, measured without labels on tiles; refused where no shift undoes it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import RegistrationError
from hsi_cd.prepare.geometry_vote import Distortion, distortion_of, robust_mean
from hsi_cd.prepare.tile_correlation import (
    Fit,
    between_pixels,
    edges_both_ways,
    edges_of,
    fit_tile,
    highest,
    middle_of_match,
)
from hsi_cd.prepare.turned_search import AROUND, SIDE, turn_in_words
from hsi_cd.scene import Cube, ScenePair

LARGEST = 64
"""Pixels each way that are undone."""

SMALLEST_SCENE = 32
"""Side of the smallest scene in which a shift can be told, pixels."""

_REACH = 2 * LARGEST  # what lies further off is told as nothing in common
_LOOKS = 4  # groups of neighbouring bands, each with edges of its own
_WIDE = (160, 3)  # side of the tiles of the search, and most of them down and across
_NEAR = (96, 5)  # the same of those that refine what was found
_FEWEST = 4  # tiles that tell a shift which the search hardly told
_MARGIN = 16  # pixels around a refining tile
_BLOCK_BYTES = 1 << 25  # of bands that are read at once
_STANDS_OUT = 12.0  # deviations of the whole search: dates of two places reach 10
_HARDLY = 7.0  # the same of small scenes, where more of the tiles must agree in turn
_ALONE = (5.0, 1.6)  # the same, and times the next peak, where none comes near: those of two places reach 1.3
_MISSED = 0.03  # pixels each way by which known shifts of real scenes were missed, however many the tiles
_AGREE = 1.0  # pixels from the vote within which a tile agrees
_AGREEING = 0.4  # share of the tiles that must
_NEARLY_ALL = 0.75  # the same where the search hardly told
_AT_CORNERS = 1.0  # pixels by which a turn or a scale moves the corners, from which it is told
_TOO_FAR = (2.5, 3.5)  # pixels there from which a turn and a scale are refused, and with what stretches beside
_TOO_MUCH = (0.19, 0.0045)  # degrees, or share, of which a pixel there is enough: terrain reaches .12 and .0037


@dataclass(frozen=True)
class Coregistration:
    """Where date 2 lies against date 1: what t1 shows at ``(r, c)``, t2 shows at ``(r + down, c + right)``.

    Attributes:
        down: pixels down.
        right: pixels to the right.
        error: standard error of each of them, pixels: from how far the tiles differ, and what known shifts of real
            scenes were missed by.
        spread: median distance of the tiles' own shifts from this one, pixels: what a shift of the whole leaves.
        agree: tiles within a pixel of it.
        tiles: tiles that had data and edges enough to tell.
        distortion: what turns or scales the dates against each other beside the shift, where it moves the corners
            by more than a pixel; else None.
    """

    down: float
    right: float
    error: float
    spread: float
    agree: int
    tiles: int
    distortion: Distortion | None = None

    @property
    def size(self) -> float:
        """Length of the shift, pixels."""
        return math.hypot(self.down, self.right)

    def describe(self) -> str:
        """The shift in words, with its size and how sure it is."""
        vertical, horizontal = "down" if self.down >= 0 else "up", "right" if self.right >= 0 else "left"
        found = self.distortion
        beside = (
            "" if found is None else f"; beside, t2 is {found.describe()}, {found.at_corners:.1f} at the corners"
        )
        return (
            f"{abs(self.down):.2f} pixels {vertical} and {abs(self.right):.2f} {horizontal} ({self.size:.2f}) "
            f"+- {self.error:.2f}; {self.agree} of {self.tiles} tiles agree{beside}"
        )


def measure_coregistration(pair: ScenePair) -> Coregistration:
    """How date 2 lies against date 1, by the edges that both share.

    Up to nine tiles are looked for within 128 pixels each way, all together; what they find is refined on up to 25
    tiles, each to 1/100 pixel, and these vote. Time and memory do not grow with the scene. Nothing but a shift can
    be undone, so that all else is refused.

    Args:
        pair: the scene.

    Raises:
        RegistrationError: the scene is too small, a date has no edges, the dates show too little in common, are
            shifted by more than 64 pixels, or turned or scaled against each other; with what was found.
    """
    if min(pair.shape) < SMALLEST_SCENE:
        raise RegistrationError(
            f"the shift between the dates cannot be measured: the scene is {pair.shape[0]} x {pair.shape[1]} "
            f"pixels, and {SMALLEST_SCENE} each way are needed"
        )
    near, clear, where = _search(pair)
    found, places, alone = _refine(pair, near)
    tiles = len(found)
    centre = robust_mean(found) if tiles else np.zeros(2)
    distances = np.hypot(*(found - centre).T) if tiles else np.empty(0)
    agree = int((distances <= _AGREE).sum())
    distortion = distortion_of(found, places, pair.shape, alone=alone)
    if distortion is not None and distortion.at_corners <= _AT_CORNERS:
        distortion = None
    if distortion is not None and _is_too_much(distortion):
        raise _distorted(distortion)
    far = max(map(abs, near)) > LARGEST  # little of a small scene meets there, and tells nothing
    if not clear and (far or tiles < _FEWEST or agree < _NEARLY_ALL * tiles):
        raise _turned(pair, where) or _nothing_in_common()
    if not tiles or agree < max(2, _AGREEING * tiles):
        raise RegistrationError(
            f"the dates do not lie at one shift: {agree} of {tiles} tiles agree within a pixel; they are "
            "distorted against each other, or little of them is the same: orthorectify both alike"
        )
    spread = float(np.median(distances))
    error = math.hypot(_MISSED, 1.4826 * spread / math.sqrt(max(1.0, alone * agree)))
    result = Coregistration(float(centre[0]), float(centre[1]), error, spread, agree, tiles, distortion)
    _check_size(result.down, result.right)
    return result


def _check_size(down: float, right: float) -> None:
    if max(abs(down), abs(right)) > LARGEST + 0.5:
        raise RegistrationError(
            f"t2 lies {math.hypot(down, right):.1f} pixels off t1 ({down:+.1f} down, {right:+.1f} right), and up "
            f"to {LARGEST} are undone: correct the georeference of one of them first"
        )


def _is_too_much(found: Distortion) -> bool:
    """Whether a shift alone would leave a turn or a scale that matters."""
    if found.rigid_at_corners > _TOO_FAR[0] or found.at_corners > _TOO_FAR[1]:
        return True
    much = abs(found.turn) >= _TOO_MUCH[0] or abs(found.scale) >= _TOO_MUCH[1]
    return much and found.rigid_at_corners > _AT_CORNERS


def _distorted(found: Distortion) -> RegistrationError:
    return RegistrationError(
        f"t2 is {found.describe()} against t1, which moves the corners by {found.at_corners:.1f} pixels: a shift "
        "alone does not undo it; orthorectify or warp t2 onto t1 first"
    )


# --- The search ---


def _search(pair: ScenePair) -> tuple[tuple[int, int], bool, tuple[float, float]]:
    """The whole shift at which all tiles together fit best.

    Returns:
        The shift, whether it stands out by itself, and the middle of the tile where most data meets.

    Raises:
        RegistrationError: there is none.
    """
    rows, cols = pair.shape
    size = min(_WIDE[0], rows), min(_WIDE[0], cols)
    fits: list[Fit] = []
    places: list[tuple[float, float]] = []
    edged = [False, False]
    for top, left in itertools.product(_starts(rows, *_WIDE), _starts(cols, *_WIDE)):
        first = (max(0, top - _REACH), max(0, left - _REACH))
        last = (min(rows, top + size[0] + _REACH), min(cols, left + size[1] + _REACH))
        tile = edges_of(read_looks(pair.t1, slice(top, top + size[0]), slice(left, left + size[1])))
        window = edges_of(read_looks(pair.t2, slice(first[0], last[0]), slice(first[1], last[1])))
        edged = [edged[0] or not tile.flat, edged[1] or not window.flat]
        if tile.flat or window.flat:
            continue
        fits.append(fit_tile(tile, window, (first[0] - top, first[1] - left), reach=_REACH))
        places.append((top + size[0] / 2, left + size[1] / 2))
    for date, name, has in zip(("t1", "t2"), (pair.t1.name, pair.t2.name), edged, strict=True):
        if not has:
            raise RegistrationError(
                f"the shift between the dates cannot be measured: {date} ({name}) is flat or without data, so "
                "that it has no edge to go by"
            )
    where = max(zip((float(fit.count.max()) for fit in fits), places, strict=True), default=(0.0, (0.0, 0.0)))[1]
    surfaces = [fit.standing_out() for fit in fits]
    together = sum(surfaces, np.zeros((2 * _REACH + 1, 2 * _REACH + 1))) / math.sqrt(max(1, len(surfaces)))
    peak, height, second = highest(together)
    if height >= _STANDS_OUT and height > 1.1 * second:
        return peak, True, where
    single = [(found[0], z) for found, z in ((highest(each), highest(each)[1]) for each in surfaces)]
    clear = [i for i, (_, z) in enumerate(single) if z >= _STANDS_OUT]
    if len(clear) >= 4:
        offsets = np.array([single[i][0] for i in clear], dtype=np.float64)
        distortion = distortion_of(offsets, np.array([places[i] for i in clear]), pair.shape, within=2.0)
        if distortion is not None and _is_too_much(distortion):
            raise _distorted(distortion)
    if (height >= _HARDLY and height > 1.1 * second) or (height >= _ALONE[0] and height > _ALONE[1] * second):
        return peak, False, where
    raise _turned(pair, where) or _nothing_in_common()


def _turned(pair: ScenePair, where: tuple[float, float]) -> RegistrationError | None:
    """Where the dates are alike once one is turned or scaled: the refusal that says so."""
    # About the scene's middle first: what is turned there stays in place.
    for place in ((pair.shape[0] / 2, pair.shape[1] / 2), where):
        spans = [
            [_around(at, SIDE + 2 * margin, length) for at, length in zip(place, pair.shape, strict=True)]
            for margin in (0, AROUND)
        ]
        words = turn_in_words(read_looks(pair.t1, *spans[0]), read_looks(pair.t2, *spans[1]))
        if words is not None:
            return RegistrationError(
                f"t2 is {words} against t1: a shift alone does not undo it; orthorectify or warp t2 onto t1 first"
            )
    return None


def _around(place: float, side: int, length: int) -> slice:
    """Pixels around a place, as many on each side as the scene has there."""
    half = int(min(side / 2, place, length - place))
    return slice(int(place) - half, int(place) + half)


def _nothing_in_common() -> RegistrationError:
    return RegistrationError(
        f"the dates show too little in common within {_REACH} pixels to tell a shift: another place, cloud, too "
        "few pixels with data in both, a turn of more than 12 degrees or a scale of more than 10 %"
    )


# --- Its refinement ---


def _refine(pair: ScenePair, near: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The shift that each tile tells, near the one that was found.

    Returns:
        Shifts (down, right) and where the tiles tell them (row, col), each ``(tiles, 2)``, and by how many tiles
        without an overlap one of them counts, 0 to 1.
    """
    rows, cols = pair.shape
    # Where t1 and the shifted t2 both lie.
    first = [max(0, -near[axis]) for axis in (0, 1)]
    length = [pair.shape[axis] - abs(near[axis]) for axis in (0, 1)]
    if min(length) < SMALLEST_SCENE // 2:
        return np.empty((0, 2)), np.empty((0, 2)), 1.0
    side = min(_NEAR[0], max(24, min(length) // 2))
    size = [min(side, each) for each in length]
    shifts, places = [], []
    starts = [_overlapping(each, side) for each in length]
    alone = math.prod(max(1.0, each / side) for each in length) / math.prod(map(len, starts))
    for top, left in itertools.product(*starts):
        row, col = first[0] + top, first[1] + left
        here = read_looks(pair.t1, slice(row, row + size[0]), slice(col, col + size[1]))
        begin = [max(0, row + near[0] - _MARGIN), max(0, col + near[1] - _MARGIN)]
        end = [min(rows, row + near[0] + size[0] + _MARGIN), min(cols, col + near[1] + size[1] + _MARGIN)]
        around = read_looks(pair.t2, slice(begin[0], end[0]), slice(begin[1], end[1]))
        told = _of_tile(here, around, (begin[0] - row - near[0], begin[1] - col - near[1]))
        if told is not None:
            (down, right), (at_row, at_col) = told
            shifts.append((near[0] + down, near[1] + right))
            places.append((row + at_row, col + at_col))
    told_by = [np.array(each, dtype=np.float64).reshape(-1, 2) for each in (shifts, places)]
    return told_by[0], told_by[1], min(1.0, alone)


def _of_tile(
    here: NDArray[np.float32], around: NDArray[np.float32], origin: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The shift that one tile tells, and the middle of what tells it; None where it has no edge."""
    (tile, straight), (window, straight_around) = edges_both_ways(here), edges_both_ways(around)
    if min(tile.there.sum(), window.there.sum()) < tile.there.size / 8 or tile.flat or window.flat:
        return None
    whole = highest(fit_tile(tile, window, origin, reach=_MARGIN).values)[0]
    fit = fit_tile(straight, straight_around, origin, reach=_MARGIN, signs_at=whole)
    near = [slice(place + _MARGIN - 1, place + _MARGIN + 2) for place in whole]
    around_it = np.full_like(fit.values, -np.inf)
    around_it[near[0], near[1]] = fit.values[near[0], near[1]]  # it decides the fraction, not where to look
    told = between_pixels(fit, highest(around_it)[0])
    return None if told is None else (told, middle_of_match(tile, window, origin, whole))


def _starts(length: int, size: int, most: int) -> list[int]:
    """First pixels of tiles spread along an axis, hardly overlapping."""
    room = max(0, length - size)
    count = min(most, 1 + round(room / size)) if room <= size // 4 else min(most, max(2, 1 + room // size))
    return _spread(room, count)


def _overlapping(length: int, size: int) -> list[int]:
    """The same, overlapping by half."""
    room = max(0, length - size)
    return _spread(room, min(_NEAR[1], 1 + math.ceil(room / (size / 2))))


def _spread(room: int, count: int) -> list[int]:
    return [room // 2] if count == 1 else [round(i * room / (count - 1)) for i in range(count)]


def read_looks(cube: Cube, rows: slice, cols: slice) -> NDArray[np.float32]:
    """Means over groups of neighbouring bands of a window, ``(looks, rows, cols)``, NaN where a group has no data.

    Read some rows at a time, so that many bands take no more memory than few.
    """
    groups = np.array_split(np.arange(cube.bands.count), min(_LOOKS, cube.bands.count))
    height, width = rows.stop - rows.start, cols.stop - cols.start
    out = np.empty((len(groups), height, width), dtype=np.float32)
    step = max(1, _BLOCK_BYTES // max(1, 4 * cube.bands.count * width))
    for start in range(0, height, step):
        stop = min(height, start + step)
        values = cube.read(slice(rows.start + start, rows.start + stop), cols)
        for look, group in zip(out, groups, strict=True):
            part = values[group[0] : group[-1] + 1]
            known = np.isfinite(part)
            count = known.sum(axis=0)
            total = np.where(known, part, 0).sum(axis=0, dtype=np.float64)
            look[start:stop] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return out
