"""The part of a scene that is of interest: a window of its grid, and which of its pixels belong to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hsi_cd.scene.cube import Cube, WindowReader
from hsi_cd.scene.division import Place, Split
from hsi_cd.scene.grid import Grid
from hsi_cd.scene.labels import UNLABELLED, Labels
from hsi_cd.scene.quality import ArrayMask, without

Number = TypeVar("Number", bound=np.generic)

OF_SCENE, OF_AREA = "scene", "area"
"""Where statistics come from: the whole scene, or its area of interest, as if the scene were cut to it."""


@dataclass(frozen=True)
class AreaOfInterest:
    """Pixels of a scene that are read, mapped and judged.

    Attributes:
        rows: rows of the window around them, with plain bounds inside the scene.
        cols: columns of the window.
        covered: which pixels of the window belong to the area, bool ``(rows, cols)``.
        scene: grid of the whole scene.
        polygons: the file of the polygons that bound it, or what they are called; empty where bounds do.
        bounds: ``(min x, min y, max x, max y)``; none where polygons bound it.
        bounds_crs: CRS of the bounds, as it was named; empty for the scene's own.
        statistics: :data:`OF_SCENE`, or :data:`OF_AREA`, for which the scene is cut to the window.
    """

    rows: slice
    cols: slice
    covered: NDArray[np.bool_] = field(repr=False, compare=False)
    scene: Grid
    polygons: str = ""
    bounds: tuple[float, ...] = ()
    bounds_crs: str = ""
    statistics: str = OF_SCENE

    def __str__(self) -> str:
        if self.polygons:
            return self.polygons
        where = f" in {self.bounds_crs}" if self.bounds_crs else ""
        return ",".join(f"{value!r}" for value in self.bounds) + where

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, cols)`` of the window."""
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start

    @property
    def grid(self) -> Grid:
        """Grid of the window."""
        return self.scene.part(self.rows, self.cols)

    @property
    def is_cut(self) -> bool:
        """Whether nothing beyond the area is looked at at all."""
        return self.statistics == OF_AREA

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits by which the same pixels and source of statistics are known again."""
        told = hashlib.sha256(repr((self.rows, self.cols, self.scene.shape, self.statistics)).encode())
        told.update(np.packbits(self.covered).tobytes())
        return told.hexdigest()[:12]

    def cut(self, values: NDArray[Number]) -> NDArray[Number]:
        """The window of values of the whole scene, ``(..., rows, cols)``."""
        return values[..., self.rows, self.cols]

    def near(self, rows: slice, radius: int) -> tuple[slice, slice] | None:
        """What of some rows of the scene must be known for the area's pixels, each with its surroundings.

        Args:
            rows: rows of the scene, with plain bounds inside it.
            radius: rows and columns around a pixel that are its surroundings.

        Returns:
            Rows and columns of the scene, or None where no pixel of the area is so near.
        """
        top, bottom = self.rows.start, self.rows.stop
        seen = slice(max(rows.start - radius, top), min(rows.stop + radius, bottom))
        if seen.start >= seen.stop:
            return None
        covered = self.covered[seen.start - top : seen.stop - top]
        down, across = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        if not len(down):
            return None
        left = self.cols.start
        return (
            _reach(seen.start + down[0], seen.start + down[-1], radius, rows.start, rows.stop),
            _reach(left + across[0], left + across[-1], radius, 0, self.scene.cols),
        )

    def labels(self, labels: Labels) -> Labels:
        """Labels of the whole scene on the window, those outside of the area left out; such labels as they are."""
        if labels.shape == self.scene.shape:
            labels = replace(
                labels,
                values=self.cut(labels.values),
                kinds=None if labels.kinds is None else self.cut(labels.kinds),
                shapes=None if labels.shapes is None else self.cut(labels.shapes),
                place=None if labels.place is None else labels.place.part(self.rows, self.cols),
            )
        elif labels.shape != self.shape:
            return labels  # which are of another scene, as their reader will say
        return replace(labels, values=np.where(self.covered, labels.values, np.uint8(UNLABELLED)))

    def whole_labels(self, labels: Labels) -> Labels:
        """Labels of the whole scene without those outside of the area."""
        if labels.shape != self.scene.shape:
            return labels
        return replace(labels, values=np.where(self.of_scene(), labels.values, np.uint8(UNLABELLED)))

    def of_scene(self) -> NDArray[np.bool_]:
        """Which pixels of the whole scene belong to the area, bool ``(rows, cols)``."""
        found = np.zeros(self.scene.shape, dtype=bool)
        found[self.rows, self.cols] = self.covered
        return found

    def split(self, split: Split) -> Split:
        """A division of the scene's pixels on the window, with its place, of those that teach in the area."""
        whole = self.whole_split(split)
        if whole.shape != self.scene.shape or self.shape == self.scene.shape:
            return whole  # of another scene, as is told where it is used; or there is nothing to cut
        row, col = np.divmod(whole.train, self.scene.cols)
        return replace(
            whole,
            shape=self.shape,
            train=(row - self.rows.start) * self.shape[1] + col - self.cols.start,
            guard=None if whole.guard is None else self.cut(whole.guard),
            place=self._place,
        )

    def whole_split(self, split: Split) -> Split:
        """A division of the scene's pixels, or of the window's, on the whole scene, as :meth:`split` has it."""
        split = split.on(self.scene.shape)
        if split.shape == self.shape != self.scene.shape:
            split = replace(split, place=self._place).on(self.scene.shape)
        if split.shape != self.scene.shape:
            return split
        inside = self.of_scene().ravel()[split.train]
        shapes = None if split.shapes is None else split.shapes[inside]
        return replace(split, train=split.train[inside], shapes=shapes)

    @property
    def _place(self) -> Place:
        return Place(self.rows.start, self.cols.start, self.scene.shape)


def cut_cube(cube: Cube, area: AreaOfInterest) -> Cube:
    """A cube of nothing but the area: its window, without data where a pixel does not belong to it."""
    window = replace(
        cube,
        grid=cube.grid.part(area.rows, area.cols),
        reader=_InWindow(cube.reader, area.rows.start, area.cols.start),
    )
    return window if area.covered.all() else without(window, [ArrayMask(~area.covered)])


@dataclass(frozen=True)
class _InWindow:
    """Reads windows of a window of another reader.

    Attributes:
        reader: reads stored values ``(bands, rows, cols)`` of the whole.
        top: first row of the window.
        left: its first column.
    """

    reader: WindowReader
    top: int
    left: int

    @property
    def fresh(self) -> bool:
        """Whether what is read was made for this reading alone."""
        return bool(getattr(self.reader, "fresh", False))

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        return self.reader(_moved(rows, self.top), _moved(cols, self.left))


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _reach(first: Any, last: Any, radius: int, least: int, most: int) -> slice:
    return slice(max(int(first) - radius, least), min(int(last) + radius + 1, most))
