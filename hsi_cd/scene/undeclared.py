"""Numbers that fill the ground a scene does not cover, and of which no file says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.scene.cube import Cube

_SIDE = 64  # rows, and columns, of the sample: 4,096 spectra, or the whole of a small scene
_MOST_VALUES = 256  # values that are counted at a time
_BORDER_SHARE = 0.01  # of the border's pixels, that a fill reaches
_FEWEST = 4  # pixels of a fill
_FEWEST_SHARE = 1e-3  # of the scene, of a fill that does not reach its border
_PARTIAL = 0.1  # pixels with the value in some bands, for each one with it in all: below, it is no clipped value
_GAP = 0.005  # of the range of all other values: as near, a value in some bands only is one that is clipped
_GAP_ALONE = 0.5  # the same where there is one band, whose smallest value may be frequent
_DEAD = 0.95  # share of a band's other pixels with the value, from which the band says nothing
_DIGITS = 6  # in which values are the same


@dataclass(frozen=True)
class Fill:
    """A value that is most likely no measurement.

    Attributes:
        value: as it is stored.
        share: of the pixels that were seen, those that hold it in every band.
        low: smallest other value, as stored, in a sample.
        high: largest other value.
    """

    value: float
    share: float
    low: float
    high: float

    def describe(self) -> str:
        """Value and share in words."""
        return (
            f"{percent(self.share)} of its pixels hold {number(self.value)} in every band, and all else lies "
            f"between {self.low:.6g} and {self.high:.6g}"
        )

    def advise(self) -> str:
        """The same, and what to do."""
        return f"{self.describe()}; if that is no data, declare it with nodata={number(self.value)}"


class SpectraSample:
    """Spectra at even distances over a scene, kept while it is read; so much memory for any scene.

    Attributes:
        values: float32 ``(bands, spectra)`` of those that were seen.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        """For a scene of ``(rows, cols)``."""
        self._rows, self._cols = (
            np.unique(np.linspace(0, length - 1, min(length, _SIDE)).round().astype(np.intp)) for length in shape
        )
        self._parts: list[NDArray[np.float32]] = []

    def see(self, values: NDArray[np.float32], row: int, col: int = 0) -> None:
        """Take in a window ``(bands, rows, cols)``, the first pixel of which lies at ``(row, col)``."""
        rows, cols = (
            places[(places >= first) & (places < first + length)] - first
            for places, first, length in zip((self._rows, self._cols), (row, col), values.shape[1:], strict=True)
        )
        if rows.size and cols.size:
            self._parts.append(values[:, rows[:, None], cols].reshape(len(values), -1))

    @property
    def values(self) -> NDArray[np.float32]:
        """See the class."""
        return np.concatenate(self._parts, axis=1) if self._parts else np.empty((0, 0), np.float32)


class FillWatch:
    """Looks at a cube while it is read for something else, and tells a value that fills its border undeclared.

    A fill is one number in every band, beyond all values that are measured (-9999, -32768, 1e20), and it reaches
    the border, or lies far beyond them. A number at which measurements are clipped is in some bands of many
    pixels, too, next to others: it is none. Zero in every band is no data anyhow, see
    :func:`hsi_cd.scene.validity.empty_pixels`.

    Attributes:
        sample: spectra of the cube.
    """

    def __init__(self, cube: Cube) -> None:
        """Nothing is seen yet."""
        self.sample = SpectraSample(cube.grid.shape)
        self._shape = cube.grid.shape
        self._seen = 0  # pixels
        self._whole: dict[float, int] = {}  # pixels with this value in every band
        self._border: dict[float, int] = {}  # those of them on the border
        self._raw: dict[float, float] = {}  # the value in all its digits
        stored = cube.origin or cube
        self._integers = stored.dtype.kind in "iub"
        self._scale, self._offset = _factors(stored.scale, 1.0), _factors(stored.offset, 0.0)
        if cube.origin is not None and (len(self._scale) > 1 or len(self._offset) > 1):
            self._scale, self._offset = np.ones(1), np.zeros(1)  # which band has which, nobody says

    def see(self, values: NDArray[np.float32], row: int, col: int = 0) -> None:
        """Take in a window ``(bands, rows, cols)``, each pixel once, the first of them at ``(row, col)``."""
        self.sample.see(values, row, col)
        self._seen += values.shape[1] * values.shape[2]
        rows, cols = self._shape
        with np.errstate(over="ignore"):  # between numbers at both ends of float32
            down, across = self._constant(values)
        if not down.size:
            return
        found = self._stored(values[:1, down, across])[0]
        border = (down + row == 0) | (down + row == rows - 1) | (across + col == 0) | (across + col == cols - 1)
        for counts, seen in ((self._whole, found), (self._border, found[border])):
            for value, count in zip(*np.unique(seen, return_counts=True), strict=True):
                key = float(f"{value:.{_DIGITS}g}")
                self._raw.setdefault(key, float(value))
                counts[key] = counts.get(key, 0) + int(count)
        if len(self._whole) > _MOST_VALUES:
            kept = sorted(self._whole, key=lambda key: self._whole[key])[-_MOST_VALUES:]
            kept += [min(self._whole), max(self._whole)]
            self._whole = {key: self._whole[key] for key in set(kept)}

    def fill(self) -> Fill | None:
        """The value in what was seen, best of the whole cube; None where there is none."""
        if not self._whole:
            return None
        frequent = max(self._whole, key=lambda key: self._whole[key])
        found = [fill for key in {frequent, min(self._whole), max(self._whole)} if (fill := self._as_fill(key))]
        return max(found, key=lambda fill: fill.share, default=None)

    def _as_fill(self, key: float) -> Fill | None:
        pixels, border = self._whole[key], self._border.get(key, 0)
        around = self._shape[0] * self._shape[1] - max(0, self._shape[0] - 2) * max(0, self._shape[1] - 2)
        if pixels < _FEWEST:
            return None
        stored = self._stored(self.sample.values)
        value = self._raw[key]
        same = np.abs(stored - value) <= 10.0 ** (1 - _DIGITS) * abs(value)
        full = same.all(axis=0)
        other = ~full & np.isfinite(stored).any(axis=0)
        alive = same[:, other].mean(axis=1) < _DEAD if other.any() else np.ones(len(same), dtype=bool)
        rest = stored[:, other][alive]
        rest = rest[np.isfinite(rest) & ~same[:, other][alive]]
        if not rest.size:
            return None
        low, high = float(rest.min()), float(rest.max())
        gap = max(low - value, value - high) / max(high - low, 1e-12 * abs(value))
        partial = int(same[:, other][alive].any(axis=0).sum())
        if gap <= 0 or (len(stored) == 1 and gap < _GAP_ALONE):
            return None
        if partial > _PARTIAL * int(full.sum()) and gap < _GAP:
            return None
        reaches = border >= max(_FEWEST, _BORDER_SHARE * around)
        if not reaches and (gap < 1 or pixels < _FEWEST_SHARE * self._seen):
            return None
        return Fill(self._told(value), pixels / self._seen, low, high)

    def _constant(self, values: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the pixels of a window that hold one stored number in every band."""
        if len(values) == 1:
            # Of one band, its ends alone can be a fill.
            known = values[0][np.isfinite(values[0])]
            if not known.size:
                return np.nonzero(np.zeros(values.shape[1:], dtype=bool))  # type: ignore[return-value]
            down, across = np.nonzero((values[0] == known.min()) | (values[0] == known.max()))
            return down, across
        # The last band rules out nearly every pixel of an ordinary window; then one band after the other.
        first = self._comparable(values, 0, ...)
        near = np.abs(first) * np.float32(10.0 ** (1 - _DIGITS))
        down, across = np.nonzero(np.abs(self._comparable(values, len(values) - 1, ...) - first) <= near)
        first, near = first[down, across], near[down, across]
        for band in range(1, len(values) - 1):
            if not down.size:
                break
            same = np.abs(self._comparable(values, band, (down, across)) - first) <= near
            if not same.all():
                down, across, first, near = down[same], across[same], first[same], near[same]
        return down, across

    def _comparable(self, values: NDArray[np.float32], band: int, where: Any) -> NDArray[np.floating]:
        """A band's values at some pixels, as they are stored if its bands are scaled otherwise."""
        found: NDArray[np.floating] = values[band][where]
        plain = len(self._scale) == len(self._offset) == 1
        return found if plain else self._stored(found[None], band=band)[0]

    def _stored(self, values: NDArray[np.float32], band: int = 0) -> NDArray[np.float64]:
        """Values as they are stored, ``(bands, ...)``, the first of them of ``band``."""
        shape = (-1, *(1,) * (values.ndim - 1))
        factors = [
            part[band : band + len(values)] if len(part) > 1 else part for part in (self._scale, self._offset)
        ]
        scale, offset = (part.reshape(shape) for part in factors)
        return (values.astype(np.float64) - offset) / scale

    def _told(self, value: float) -> float:
        """The value without the rounding of the scaling."""
        if self._integers:
            return float(round(value))
        plain = self._scale[0] == 1 and self._offset[0] == 0 and len(self._scale) == len(self._offset) == 1
        return value if plain else float(f"{value:.{_DIGITS}g}")


def number(value: float) -> str:
    """A number in the fewest digits that tell it from all others of 32 bits: as it is to be typed."""
    return f"{value:.0f}" if abs(value) < 2**53 and value == round(value) else str(np.float32(value))


def percent(share: float) -> str:
    """A share in words."""
    return f"{100 * share:.3g} %"


def _factors(values: tuple[float, ...], plain: float) -> NDArray[np.float64]:
    """One number where all bands share it, else one a band."""
    distinct = set(values) or {plain}
    return np.array(list(distinct) if len(distinct) == 1 else values, dtype=np.float64)
