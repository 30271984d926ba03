"""Both dates' components of all valid pixels of a scene, for the methods that pass over it again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.frontend import Frontend
from hsi_cd.errors import OutputError
from hsi_cd.prepare.components import row_windows
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.scratch import let_go, scratch_array
from hsi_cd.prepare.statistics import cache_blocks, row_blocks
from hsi_cd.prepare.windows import Dates

_SAMPLE = 65_536  # pixels that a sample holds at most
_ROUNDING = 1e-5  # of a component's size: what float32 and sums over bands leave of equal spectra


@dataclass(frozen=True)
class SampledSpectra:
    """Joint spectra of some of a scene's pixels, spread over it.

    Attributes:
        values: both dates' components, float32 ``(2 components, pixels)``.
        places: rows and columns of the pixels, int64 ``(2, pixels)``.
        every: of how many pixels one is in the sample.
    """

    values: NDArray[np.float32]
    places: NDArray[np.int64]
    every: int = 1

    @property
    def components(self) -> int:
        """Components of one date."""
        return len(self.values) // 2

    @property
    def pixels(self) -> int:
        """Pixels of the sample."""
        return int(self.values.shape[1])

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        """Yield float64 ``(2 components, pixels)``, as :class:`JointSpectra` does."""
        for part in cache_blocks(self.pixels):
            yield self.values[:, part].astype(np.float64)


class JointSpectra:
    """Both dates' components of all valid pixels, as often as they are asked for.

    In blocks of as many pixels as the processor's cache holds, so that what is done to them costs little. The
    first pass keeps them, those of a large scene in a temporary file; where there is no room for it, each pass
    makes them again.
    """

    def __init__(self, frontend: Frontend, measurement: Measurement) -> None:
        """Nothing is read yet."""
        rows, self._cols = measurement.pair.shape
        self.components = frontend.transform.components
        self.pixels = rows * self._cols  # valid or not
        self._every = max(1, -(-self.pixels // _SAMPLE))
        self._places: list[NDArray[np.int64]] = []  # of the sample, flat, as the last reading found them
        self._frontend, self._measurement = frontend, measurement
        self._kept: list[NDArray[np.float32]] | None = None  # views of one array

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        """Yield float64 ``(2 components, pixels)``: date 1's components, then date 2's."""
        if self._kept is not None:
            for values in self._kept:
                yield values.astype(np.float64)
                let_go(values)
            return
        room = self._room()
        kept, used = [], 0
        for values in self._read():
            if room is not None:
                own = room[used : used + values.size].reshape(values.shape)
                own[:] = values
                kept.append(own)
                used += values.size
                let_go(room)
            yield values.astype(np.float64)
        if room is not None:
            self._kept = kept

    def agree(self) -> bool:
        """Whether the dates differ by no more than rounding, once gain and offset of each band are undone.

        Ordinary dates differ in the first pixels, and no more are looked at.
        """
        for values in self:
            first, second = np.split(values, 2)
            size = np.abs(first).max(axis=1, initial=0) + np.abs(second).max(axis=1, initial=0)
            if (np.abs(first - second).max(axis=1, initial=0) > _ROUNDING * size).any():
                return False
        return True

    def sample(self) -> SampledSpectra:
        """Every n-th valid pixel, about 65,000 at most: the same of all spectra of one scene."""
        every, seen, parts = self._every, 0, []
        for values in self:
            parts.append(values[:, -seen % every :: every].astype(np.float32))
            seen += values.shape[1]
        places = np.stack(np.divmod(np.concatenate(self._places), self._cols))
        return SampledSpectra(np.concatenate(parts, axis=1), places, every)

    def _room(self) -> NDArray[np.float32] | None:
        """Where the spectra can be kept, or None."""
        try:
            return scratch_array((2 * self.components * self.pixels,), np.float32)  # type: ignore[return-value]
        except OutputError:
            return None

    def _read(self) -> Iterator[NDArray[np.float32]]:
        """The components of the pixels that have any, row by row; where the sample's lie is noted."""
        self._places, pixels, seen = [], 0, 0
        for values in self._components():
            known = np.isfinite(values[0])
            places = np.arange(pixels, pixels + len(known)) if known.all() else pixels + np.flatnonzero(known)
            self._places.append(places[-seen % self._every :: self._every])
            pixels, seen = pixels + len(known), seen + len(places)
            values = values if len(places) == len(known) else values[:, known]
            yield from (values[:, part] for part in cache_blocks(values.shape[1]))

    def _components(self) -> Iterator[NDArray[np.float32]]:
        """Both dates' components of all pixels, ``(2 components, pixels)``, row by row; NaN for no data."""
        frontend, measurement = self._frontend, self._measurement
        if frontend.plain:
            for _, values in measurement.read("spectra"):
                for part in _in_parts(values):
                    yield _joint(*frontend.apply(*part))
            return
        components = frontend.of_scene(measurement)
        for _, window in row_windows(row_blocks(*measurement.pair.shape), components, radius=frontend.radius):
            if frontend.radius == 0:
                for part in _in_parts(window):
                    yield _joint(*frontend.finish(*part))
            else:  # with surroundings, smaller windows would do much twice
                yield _joint(*frontend.finish(*window))


Spectra = JointSpectra | SampledSpectra
"""Both dates' components, of all pixels or of some."""


def _in_parts(dates: Dates) -> Iterator[Dates]:
    """Windows of one row each, of as many pixels as the processor's cache holds."""
    first, second = (values.reshape(len(values), 1, -1) for values in dates)
    for part in cache_blocks(first.shape[2]):
        yield first[:, :, part], second[:, :, part]


def _joint(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Both dates' components, ``(2 components, pixels)``."""
    return np.concatenate([first, second]).reshape(len(first) + len(second), -1)
