"""Windows of a product's stored values as what they mean: reflectance, in the order of wavelengths.

Scale and offset are applied in double precision and rounded once, so that each value is the float32 nearest to
what the product says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import FormatError
from hsi_cd.scene.cube import WindowReader
from hsi_cd.scene.product import MaskReader

_SCALES = (1e-7, 0.1)  # of all products that store integers: what is beyond is no factor
_OFFSET = 10.0
_MOST = 1e4  # what no reflectance and no radiance reaches: floats beyond it are damage, and hold nothing


@dataclass(frozen=True)
class StoredBands:
    """Bands that a product keeps in one array, a detector's or all.

    Attributes:
        reader: reads windows of stored values, ``(all bands of the array, rows, cols)``.
        bands: those that are wanted, counted from 0, in the order of the cube.
        scale: what each of them is multiplied by, or empty for 1.
        offset: what is then added to each, or empty for 0.
        nodata: stored values that mean nothing in the band in which they stand.
        flaws: reads, for all bands of the array, where a value is flawed: anything but 0. None where none is told.
    """

    reader: WindowReader
    bands: tuple[int, ...]
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    nodata: tuple[float, ...] = ()
    flaws: WindowReader | None = None

    def __post_init__(self) -> None:
        for word, low, high in (("scale", *_SCALES), ("offset", -_OFFSET, _OFFSET)):
            values = getattr(self, word)
            if len(values) not in (0, len(self.bands)):
                raise FormatError(f"{len(values)} values of {word} for {len(self.bands)} bands: download it again")
            wrong = next((i for i, value in enumerate(values) if not low <= value <= high), None)
            if wrong is not None:
                raise FormatError(
                    f"the {word} of band {self.bands[wrong] + 1} is {values[wrong]:g}: expected {low:g} to "
                    f"{high:g}, by which stored numbers become reflectance; it is damaged, download it again"
                )


@dataclass(frozen=True)
class ReflectanceReader:
    """Reads windows of float32 values, NaN where the product says that there are none.

    Attributes:
        parts: the arrays, each with the bands that it gives to the cube.
        order: where each band of the cube is among those of the parts, taken one upon the other.
        hidden: what covers pixels that hold nothing in any band (padding).
        fill: a pixel whose bands all hold this stored value holds nothing; None for no such value.
    """

    parts: tuple[StoredBands, ...]
    order: tuple[int, ...]
    hidden: tuple[MaskReader, ...] = ()
    fill: float | None = None
    fresh: ClassVar[bool] = True  # its windows are made anew, and nobody else holds them

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """Values ``(bands, rows, cols)`` of a window."""
        place = {source: at for at, source in enumerate(self.order)}
        height, width = max(0, rows.stop - rows.start), max(0, cols.stop - cols.start)
        values = np.empty((len(self.order), height, width), dtype=np.float32)
        nothing = np.zeros((height, width), dtype=bool)
        for hidden in self.hidden:
            nothing |= hidden(rows, cols)
        filled = np.full((height, width), self.fill is not None)
        first = 0
        for part in self.parts:
            stored = part.reader(rows, cols)
            flaws = None if part.flaws is None else part.flaws(rows, cols)
            for i, band in enumerate(part.bands):
                known = stored[band]
                if self.fill is not None:
                    filled &= known == self.fill
                out = values[place[first + i]]
                out[:] = _scaled(known, part, i)
                for value in part.nodata:
                    out[known == value] = np.nan
                if known.dtype.kind == "f":
                    out[np.abs(out) > _MOST] = np.nan
                if flaws is not None:
                    out[flaws[band] != 0] = np.nan
            first += len(part.bands)
        values[:, nothing | filled] = np.nan
        return values


def _scaled(stored: NDArray[np.generic], part: StoredBands, band: int) -> NDArray[np.generic]:
    if not part.scale and not part.offset:
        return stored
    factor = part.scale[band] if part.scale else 1.0
    return stored.astype(np.float64) * factor + (part.offset[band] if part.offset else 0.0)


@dataclass(frozen=True)
class FlagReader:
    """A quality mask out of a layer of flags or classes.

    Attributes:
        reader: reads windows of stored values, ``(bands, rows, cols)``; the first band holds the layer.
        values: those that count; empty where any but 0 does.
        bits: where it is a word of bits, those of which any must be set.
        band: the band that holds the layer, counted from 0.
    """

    reader: WindowReader
    values: tuple[int, ...] = ()
    bits: int = 0
    band: int = 0

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)`` of a window."""
        stored = self.reader(rows, cols)[self.band]
        if self.bits:
            flagged: NDArray[np.bool_] = (stored.astype(np.int64) & self.bits) != 0
            return flagged
        found: NDArray[np.bool_] = np.isin(stored, self.values) if self.values else stored != 0
        return found


@dataclass(frozen=True)
class EqualsReader:
    """A mask of the pixels of a layer that hold one value, as 0 where a product keeps no angle of the sun.

    Attributes:
        reader: reads windows ``(1, rows, cols)``.
        value: the value.
    """

    reader: WindowReader
    value: float

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.bool_]:
        """Bool ``(rows, cols)`` of a window."""
        found: NDArray[np.bool_] = self.reader(rows, cols)[0] == self.value
        return found


def reflectance_reader(
    parts: Sequence[StoredBands],
    centres: Sequence[float],
    *,
    hidden: Sequence[MaskReader] = (),
    fill: float | None = None,
) -> tuple[ReflectanceReader, tuple[int, ...]]:
    """A reader whose bands ascend in wavelength, and where each of them was among those of the parts.

    Args:
        parts: the arrays, with the bands that are wanted.
        centres: wavelengths, nm, of the wanted bands of all parts, one upon the other.
        hidden: what covers pixels that hold nothing.
        fill: a pixel whose bands all hold this stored value holds nothing.
    """
    order = tuple(int(i) for i in np.argsort(np.asarray(centres, dtype=np.float64), kind="stable"))
    return ReflectanceReader(tuple(parts), order, tuple(hidden), fill), order
