"""Labels as people draw them, from a map of the truth: few shapes, in clear places, in the part that is looked at.

Pixels drawn at random from a truth are nobody's labels. An analyst looks at a part of the scene, finds a changed
object, marks it well inside, marks something that did not change beside it, goes on like that, and looks elsewhere
when nothing is left to mark. That is what is simulated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from hsi_cd.errors import ConfigError, LabelError
from hsi_cd.scene import CHANGED, UNCHANGED, UNLABELLED, Labels

ShapeKind = Literal["points", "squares", "blobs"]

KINDS: tuple[ShapeKind, ...] = get_args(ShapeKind)
"""What may be drawn: single pixels, squares of 3 x 3, irregular connected areas."""

BLOB_PIXELS = (5, 40)
"""Fewest and most pixels of a blob."""

_ORDER = (CHANGED, UNCHANGED)  # people find a change first, then something beside it that did not change
_WORDS = {CHANGED: "changed", UNCHANGED: "unchanged"}
_VIEW = 16  # pixels that a view shows at least, each way
_LOOKS = 32  # views that are tried before one is taken that shows one class only
# How good a place is: the shape fits and overlaps no other; keeps a pixel away from all others; and from the
# border of its object, too.
_FITS, _APART, _INSIDE = 1, 2, 3


def draw_labels(truth: Labels, shapes: int = 15, *, kind: ShapeKind = "squares", seed: int = 0) -> Labels:
    """Draw labels over a truth map.

    Shapes are drawn in turn, a changed one, then an unchanged one, as follows:

    1. The view is a window of half the scene's rows and half its columns (at least 16 of each) around a place
       drawn at random among those where the first shape may lie, such that the other class has a place in it,
       too, where there is such a view.
    2. A place in the view is drawn at random, all pixels alike: the shape lies in one object (a connected area of
       its class), keeps a pixel away from the object's border, and a pixel away from every other shape. A border
       is where the class ends or labels do; the scene's edge is none.
    3. Where the view has no such place left, the view moves to one that has, as in 1. Where the scene has none
       left, shapes may lie at the border of their object, and where that fails, touch another. They never overlap.

    No step depends on how many shapes follow: the first k of a larger drawing with the same seed are the drawing
    of k.

    Args:
        truth: the truth map.
        shapes: shapes of each class.
        kind: ``points`` are one pixel each, ``squares`` 3 x 3, ``blobs`` irregular connected areas of 5 to 40.
        seed: of the draw.

    Returns:
        The labels that are drawn, all else unlabelled, with the number of each pixel's shape: odd for
        changed ones, even for unchanged ones. Kinds of change are not told apart.

    Raises:
        ConfigError: no such kind, fewer than one shape, or a negative seed.
        LabelError: the truth lacks a class, or has no room for so many shapes.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind is {kind!r}: expected {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if shapes < 1:
        raise ConfigError(f"shapes is {shapes}: expected at least 1 of each class")
    if seed < 0:
        raise ConfigError(f"seed is {seed}: expected 0 or more")
    for code in _ORDER:
        if not (truth.values == code).any():
            raise LabelError(f"{truth.name} has no {_WORDS[code]} pixel, and shapes of both classes are drawn")
    sheet = _Sheet.over(truth.values, kind)
    draw = np.random.default_rng(seed)
    view: tuple[slice, slice] | None = None
    for number in range(1, 2 * shapes + 1):
        code = _ORDER[(number - 1) % 2]
        view = _draw_shape(sheet, code, number, view, draw)
        if view is None:
            raise LabelError(
                f"{truth.name} has room for {(number - 1) // 2} {_WORDS[code]} {kind}, and {shapes} are asked "
                "for: ask for fewer" + ("" if kind == "points" else ", or for points")
            )
    drawn = np.where(sheet.numbers > 0, truth.values, np.uint8(UNLABELLED))
    return Labels(drawn, name=f"{truth.name} ({shapes} {kind} a class)", place=truth.place, shapes=sheet.numbers)


@dataclass(frozen=True)
class _Sheet:
    """What is drawn, and where there is room.

    Attributes:
        kind: what is drawn.
        numbers: int32 ``(rows, cols)``, numbers of the shapes, 0 where nothing is drawn.
        places: by class, uint8 ``(rows, cols)``: how good a place for a shape's middle a pixel is, 0 for none.
    """

    kind: ShapeKind
    numbers: NDArray[np.int32]
    places: dict[int, NDArray[np.uint8]]

    @classmethod
    def over(cls, values: NDArray[np.uint8], kind: ShapeKind) -> _Sheet:
        """An empty sheet over a truth."""
        reach = int(kind == "squares")  # pixels from a shape's middle to its edge
        places = {}
        for code in _ORDER:
            depth = _depth(values == code)
            good = np.zeros(values.shape, dtype=np.uint8)
            good[depth > reach] = _APART
            good[depth > reach + 1] = _INSIDE
            if reach:
                good[[0, -1]] = 0
                good[:, [0, -1]] = 0
            if kind == "blobs":
                _leave_out_small(good)
            places[code] = good
        return cls(kind, np.zeros(values.shape, dtype=np.int32), places)

    def footprint(self, row: int, col: int, code: int, draw: np.random.Generator) -> NDArray[np.intp] | None:
        """The pixels ``(n, 2)`` of a shape around a place; None where no blob can grow."""
        if self.kind == "points":
            return np.array([[row, col]])
        if self.kind == "squares":
            down, right = np.indices((3, 3)).reshape(2, -1)
            return np.stack([row - 1 + down, col - 1 + right], axis=1)
        return _grow(self.places[code], row, col, draw)

    def put(self, pixels: NDArray[np.intp], number: int) -> None:
        """Draw a shape, and take the room from all others."""
        self.numbers[pixels[:, 0], pixels[:, 1]] = number
        reach = int(self.kind == "squares")
        (top, left), (bottom, right) = pixels.min(axis=0), pixels.max(axis=0)
        around = tuple(slice(max(0, a - 3), b + 4) for a, b in ((top, bottom), (left, right)))
        away = scipy.ndimage.distance_transform_cdt(self.numbers[around] != number, metric="chessboard")
        for places in self.places.values():
            near = places[around]
            near[away <= reach] = 0
            np.minimum(near, _FITS, out=near, where=away <= reach + 1)


def _depth(own: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Steps, diagonal ones included, from each pixel of a class to the nearest that is none; 0 outside.

    Outside the scene an object may go on: its edge is no border.
    """
    if own.all():  # nothing to measure a distance to
        return np.full(own.shape, max(own.shape), dtype=np.int32)
    depth: NDArray[np.int32] = scipy.ndimage.distance_transform_cdt(own, metric="chessboard")
    return depth


def _leave_out_small(good: NDArray[np.uint8]) -> None:
    """Take places away where no blob can grow, so that none is tried in vain."""
    for level, below in ((_INSIDE, _APART), (_APART, 0)):
        areas, count = scipy.ndimage.label(good >= level)
        small = np.bincount(areas.ravel(), minlength=count + 1) < BLOB_PIXELS[0]
        small[0] = False
        good[small[areas]] = below


def _draw_shape(
    sheet: _Sheet, code: int, number: int, view: tuple[slice, slice] | None, draw: np.random.Generator
) -> tuple[slice, slice] | None:
    """Draw one shape, and say in which view; None where the scene has no place left."""
    places = sheet.places[code]
    other = sheet.places[_ORDER[1 - _ORDER.index(code)]]
    for level in (_INSIDE, _APART, _FITS):
        while True:
            if view is None or not (places[view] >= level).any():
                moved = _look(places >= level, other, level, draw)
                if moved is None:
                    break  # the next level, in the view as it is
                view = moved
            rows, cols = np.nonzero(places[view] >= level)
            chosen = int(draw.integers(len(rows)))
            row, col = int(rows[chosen]) + view[0].start, int(cols[chosen]) + view[1].start
            pixels = sheet.footprint(row, col, code, draw)
            if pixels is not None:
                sheet.put(pixels, number)
                return view
            places[row, col] = min(int(places[row, col]), level) - 1
    return None


def _look(
    wanted: NDArray[np.bool_], other: NDArray[np.uint8], level: int, draw: np.random.Generator
) -> tuple[slice, slice] | None:
    """A view of a place that is wanted, and of one of the other class if one is found; None where none is left."""
    where = np.flatnonzero(wanted)
    if not len(where):
        return None
    view = None
    for place in where[draw.permutation(len(where))[:_LOOKS]]:
        view = _around(int(place), wanted.shape)
        if (other[view] >= level).any():
            break
    return view


def _around(place: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The view around a pixel, given by its flat index, moved into the scene where it would leave it."""
    sides = []
    for middle, size in zip(divmod(place, shape[1]), shape, strict=True):
        shown = min(size, max(_VIEW, size // 2))
        start = min(max(0, middle - shown // 2), size - shown)
        sides.append(slice(start, start + shown))
    return sides[0], sides[1]


def _grow(places: NDArray[np.uint8], row: int, col: int, draw: np.random.Generator) -> NDArray[np.intp] | None:
    """A connected area around a pixel, grown at random over places as good as its own; None where too few are.

    A neighbour is the likelier to be taken, the more of its own neighbours are: outlines are irregular but not
    frayed.
    """
    fewest, most = BLOB_PIXELS
    level = places[row, col]
    asked = int(draw.integers(fewest, most + 1))
    taken = {(row, col)}
    edge: dict[tuple[int, int], int] = {}  # free neighbours of what is taken, with the number of taken ones beside

    def add(pixel: tuple[int, int]) -> None:
        taken.add(pixel)
        edge.pop(pixel, None)
        for down, right in ((-1, 0), (0, -1), (0, 1), (1, 0)):
            beside = (pixel[0] + down, pixel[1] + right)
            inside = 0 <= beside[0] < places.shape[0] and 0 <= beside[1] < places.shape[1]
            if inside and places[beside] >= level and beside not in taken:
                edge[beside] = edge.get(beside, 0) + 1

    add((row, col))
    while len(taken) < asked and edge:
        weights = np.cumsum(np.square(list(edge.values())))
        add(list(edge)[int(np.searchsorted(weights, draw.integers(weights[-1]), side="right"))])
    return np.array(sorted(taken)) if len(taken) >= fewest else None
