"""Mean spectra of the kinds of a map at both dates, from sums of one reading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.prepare.stratified_sample import Areas
from hsi_cd.scene import UNCHANGED, UNLABELLED, ScenePair
from hsi_cd.scene.kind_spectra import KindSpectra

Floats = NDArray[np.float64]

_AT_ONCE = 2048  # pixels: in double precision, both dates and their difference take 48 bytes a band of each


class KindSums:
    """Sums of spectra by kind, 0 being unchanged; from near a centre, so that squares lose no digits."""

    def __init__(self, kinds: int, bands: int) -> None:
        """Nothing is added yet.

        Args:
            kinds: how many, without unchanged.
            bands: of each date.
        """
        self.count = np.zeros(kinds + 1, dtype=np.int64)
        self.area = np.zeros(kinds + 1)
        self._near: Floats | None = None
        self._known, self._sums, self._squares = np.zeros((3, kinds + 1, 3 * bands))

    def add(
        self,
        kinds: NDArray[np.uint8],
        dates: tuple[NDArray[np.float32], NDArray[np.float32]],
        areas: Floats,
    ) -> None:
        """Some pixels.

        Args:
            kinds: of each pixel, uint8 ``(pixels,)``, 0 unchanged.
            dates: their spectra, each ``(bands, pixels)``; NaN where a band is not known.
            areas: of each, ``(pixels,)``.
        """
        self.count += np.bincount(kinds, minlength=len(self.count))
        self.area += np.bincount(kinds, weights=areas, minlength=len(self.area))
        for start in range(0, len(kinds), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            t1, t2 = (date[:, part].astype(np.float64) for date in dates)
            values = np.concatenate([t1, t2, t2 - t1])
            known = np.isfinite(values)
            values[~known] = 0
            if self._near is None:
                self._near = values.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
            np.subtract(values, self._near[:, None], out=values, where=known)
            own = (kinds[part] == np.arange(len(self.count))[:, None]).astype(np.float64)
            self._known += own @ known.T
            self._sums += own @ values.T
            self._squares += own @ np.square(values, out=values).T

    def add_rows(
        self,
        values: NDArray[np.uint8],
        dates: tuple[NDArray[np.float32], NDArray[np.float32]],
        areas: Floats,
    ) -> None:
        """Some rows of a map, whose pixels without data do not count.

        Args:
            values: uint8 ``(rows, cols)``: 0 unchanged, kinds, 255 no data.
            dates: stored values, each ``(bands, rows, cols)``.
            areas: of the pixels, ``(rows, cols)``.
        """
        t1, t2 = dates
        # One row at a time: in double precision, a block of rows would take gigabytes.
        for row, kinds in enumerate(values):
            there = kinds != UNLABELLED
            self.add(kinds[there], (t1[:, row, there], t2[:, row, there]), areas[row, there])

    def spectra(self) -> dict[int, KindSpectra]:
        """Those of the kinds that any pixel has, by their numbers."""
        quiet, scatter = (each[2] for each in self._moments(UNCHANGED))
        known = scatter > 0
        found = {}
        for kind in (1 + np.flatnonzero(self.count[1:])).tolist():
            (before, after, apart), (spread1, spread2, _) = self._moments(kind)
            strength = np.full(len(quiet), np.nan)
            strength[known] = np.abs(apart - quiet)[known] / scatter[known]
            area = float(self.area[kind])
            found[kind] = KindSpectra(int(self.count[kind]), area, before, after, spread1, spread2, strength)
        return found

    def _moments(self, kind: int) -> tuple[Floats, Floats]:
        """Mean and standard deviation of both dates and of their difference, each ``(3, bands)``."""
        count = np.where(self._known[kind] > 0, self._known[kind], np.nan)
        mean = self._sums[kind] / count
        deviation = np.sqrt(np.maximum(self._squares[kind] / count - np.square(mean), 0))
        mean = mean + (0 if self._near is None else self._near)
        return mean.reshape(3, -1), deviation.reshape(3, -1)


def spectra_of_map(
    values: NDArray[np.uint8], pair: ScenePair, areas: Areas, *, window: tuple[slice, slice] | None = None
) -> dict[int, KindSpectra]:
    """Mean spectra of the kinds of a map, from one reading of the scene.

    Args:
        values: uint8 ``(rows, cols)``: 0 unchanged, 1 to K kinds, 255 no data.
        pair: the two dates.
        areas: areas of the map's pixels in some of its rows.
        window: rows and columns of the scene on which the map lies; all of it by default.
    """
    down, right = window or (slice(0, pair.shape[0]), slice(0, pair.shape[1]))
    sums = KindSums(int(values[values != UNLABELLED].max(initial=0)), pair.bands.count)
    for rows in row_blocks(*values.shape):
        dates = pair.read(slice(down.start + rows.start, down.start + rows.stop), right)
        sums.add_rows(values[rows], dates, areas(rows))
    return sums.spectra()
