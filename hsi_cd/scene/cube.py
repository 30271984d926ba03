"""A hyperspectral cube: values on demand, by windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import BandError
from hsi_cd.scene.bands import Bands
from hsi_cd.scene.grid import Grid
from hsi_cd.scene.product import Product
from hsi_cd.scene.validity import empty_pixels

_IN_CACHE = 1 << 17  # values that are converted at a time

WindowReader = Callable[[slice, slice], NDArray[np.generic]]
"""Reads ``(rows, cols)`` slices, with plain non-negative bounds, as an array ``(bands, rows, cols)``: a masked one
where the source itself says that values are none."""


@dataclass(frozen=True)
class Cube:
    """One date of a scene.

    A cube holds no pixels: it knows how to read a window of them. Where they come from (a file, an array) is
    hidden in ``reader``.

    Attributes:
        name: what messages call this cube, usually the file's name.
        grid: shape and georeference.
        bands: description of the bands.
        dtype: number type of the stored values.
        reader: reads a window of stored values.
        nodata: stored value that means "nothing here", or None.
        scale: factor of each band by which stored values become reflectance, or empty for 1.
        offset: what is then added to each band, or empty for 0.
        acquired: when it was taken, ISO 8601 as far as the file tells (``2006-05-03``), or empty.
        written: when its file was made, likewise: often, but not always, when it was taken.
        saturated: stored value from which a pixel is saturated, or None for the rule of
            :func:`hsi_cd.scene.validity.empty_pixels`.
        fill: further stored values that mean "nothing here", as the user declares them.
        sensor: what took it, where its file's name, its tags or its bands tell, as ``Sentinel-2``; else empty.
        marks: what else the source marks such pixels with, in words (a mask, an alpha band), or empty.
        origin: the cube that this one's windows are made of, or None where they come as stored.
        files: the files, or the folder, that it is read from; none of what lies in memory. No output replaces one.
        product: what is known of it because it is a product of an archive, or None.
    """

    name: str
    grid: Grid
    bands: Bands
    dtype: np.dtype[np.generic]
    reader: WindowReader = field(repr=False)
    nodata: float | None = None
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    acquired: str = ""
    written: str = ""
    saturated: float | None = None
    fill: tuple[float, ...] = ()
    sensor: str = ""
    marks: str = ""
    origin: Cube | None = field(default=None, repr=False)
    files: tuple[Path, ...] = ()
    product: Product | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            length = len(getattr(self, name))
            if length not in (0, self.bands.count):
                raise BandError(
                    f"{length} values of {name} for {self.bands.count} bands: there must be one a band"
                )

    @property
    def loses_digits(self) -> bool:
        """Whether float32 may tell apart fewer values than are stored: large integers, and doubles."""
        return not np.can_cast((self.origin or self).dtype, np.float32)

    @property
    def no_values(self) -> tuple[float, ...]:
        """The stored values that mean "nothing here": those of the file, and those that the user declares."""
        return (*(() if self.nodata is None else (self.nodata,)), *self.fill)

    def read(self, rows: slice | None = None, cols: slice | None = None) -> NDArray[np.float32]:
        """Values of a window, scaled to reflectance where the file tells how.

        Args:
            rows: rows of the window; all by default.
            cols: columns of the window; all by default.

        Returns:
            float32 ``(bands, rows, cols)``; NaN where the file has no data (a value, a mask) or no finite number,
            and in every band of a pixel that is saturated or, in a file that is no product, all zero.
        """
        row0, row1, _ = (rows or slice(None)).indices(self.grid.rows)
        col0, col1, _ = (cols or slice(None)).indices(self.grid.cols)
        read = self.reader(slice(row0, row1), slice(col0, col1))
        stored, hidden = np.ma.getdata(read), np.ma.getmask(read)
        # What a reader made for this window alone is converted where it lies: half the memory.
        own = getattr(self.reader, "fresh", False) and stored.dtype == np.float32 and stored.flags.writeable
        values = np.asarray(stored, dtype=np.float32) if own else np.empty(stored.shape, dtype=np.float32)
        missing = self.no_values
        # Some bands at a time, which the processor's cache holds through all that is done to them.
        step = max(1, _IN_CACHE // max(1, stored.shape[1] * stored.shape[2]))
        for first in range(0, len(stored), step):
            _to_float(stored[first : first + step], values[first : first + step], missing)
        if hidden is not np.ma.nomask:
            np.copyto(values, np.float32(np.nan), where=hidden)
        zeros = self.product is None  # whose makers say what no data is: its zeros are dark
        values[:, empty_pixels(values, stored, saturated=self.saturated, zeros=zeros)] = np.nan
        if self.offset and not np.can_cast(self.dtype, np.float32):
            self._in_double(stored, values)
            return values
        for factors, apply in ((self.scale, np.multiply), (self.offset, np.add)):
            if factors:
                apply(values, np.asarray(factors, dtype=np.float32)[:, None, None], out=values)
        return values

    def _in_double(self, stored: NDArray[np.generic], values: NDArray[np.float32]) -> None:
        """Scale what is known of ``values`` without rounding it first: an offset may leave small differences."""
        for band, (known, offset) in enumerate(zip(values, self.offset, strict=True)):
            there = np.isfinite(known)
            factor = self.scale[band] if self.scale else 1.0
            known[there] = stored[band][there].astype(np.float64) * factor + offset


def _to_float(stored: NDArray[np.generic], values: NDArray[np.float32], nodata: tuple[float, ...]) -> None:
    """Convert stored values into ``values``; NaN for no data and for what is not finite."""
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and NaN below
        values[:] = stored
    for value in nodata:
        with np.errstate(over="ignore"):  # the value, too
            missing = stored == value  # NaN equals nothing, and is found below
        if missing.any():
            values[missing] = np.nan
    if np.issubdtype(stored.dtype, np.floating):
        strange = ~np.isfinite(values)
        if strange.any():
            values[strange] = np.nan


def derived_cube(
    cube: Cube, reader: WindowReader, *, grid: Grid | None = None, bands: Bands | None = None
) -> Cube:
    """A cube whose ``reader`` makes its windows out of what another cube reads: float32, NaN for no data."""
    return Cube(
        name=cube.name,
        grid=grid or cube.grid,
        bands=bands or cube.bands,
        dtype=np.dtype(np.float32),
        reader=reader,
        acquired=cube.acquired,
        written=cube.written,
        sensor=cube.sensor,
        marks=cube.marks,
        product=cube.product if grid is None else None,  # its masks lie on its own grid
        origin=cube.origin or cube,
        files=cube.files,
    )


def cube_from_array(
    values: NDArray[np.generic],
    *,
    name: str = "array",
    grid: Grid | None = None,
    bands: Bands | None = None,
    nodata: float | None = None,
) -> Cube:
    """A cube over an array in memory, shape ``(bands, rows, cols)``; the array is not copied."""
    count, rows, cols = values.shape
    return Cube(
        name=name,
        grid=grid or Grid(rows, cols),
        bands=bands or Bands(count),
        dtype=values.dtype,
        reader=lambda r, c: values[:, r, c],
        nodata=nodata,
    )
