"""Where a raster file holds nothing, as it marks that beside a number: masks, alpha bands, values of each band.

There is one idea of validity for cubes, maps, scores and truths: a pixel is there where GDAL's own mask of its
band says so (a mask inside of the file, a ``.msk`` file beside it, ``NODATA_VALUES``), where no alpha band makes
it transparent, and where it holds another number than the one declared as no data.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from hsi_cd.scene.cube import WindowReader

_log = logging.getLogger(__name__)

_LOOK = 64  # side of the windows in which an alpha band is looked at
_FEW_BANDS = 16  # up to which an alpha band that is not marked is looked for
_ALPHA_SHARE = 0.5  # of the pixels that are not transparent, those that are opaque: below, it is no alpha band


@dataclass(frozen=True)
class FileMasks:
    """How an open raster marks pixels without data, and which of its bands hold values.

    Attributes:
        bands: bands of values, counted from 1: all that are no alpha band.
        alpha: alpha bands, with the value at which each is opaque.
        shared: band whose mask holds for all bands, or 0.
        own: bands that have a mask each.
        nodata: values that mean no data, of each band of values, where they differ; else empty.
    """

    bands: tuple[int, ...]
    alpha: tuple[tuple[int, float], ...] = ()
    shared: int = 0
    own: tuple[int, ...] = ()
    nodata: tuple[float | None, ...] = field(default=())

    @property
    def is_masked(self) -> bool:
        """Whether there is a mask that GDAL keeps."""
        return bool(self.shared or self.own)

    def describe(self) -> str:
        """What marks pixels without data, in words; empty where nothing but a number does."""
        words = ["the file's mask"] if self.is_masked else []
        words += [f"alpha band {band}" for band, _ in self.alpha]
        words += ["a value for each band"] if self.nodata else []
        return " and ".join(words)

    @property
    def planes(self) -> int:
        """Planes of masks that come behind the bands of values: none, one for all bands, or one for each."""
        return len(self.bands) if self.own else int(bool(self.alpha) or self.is_masked)

    def dtype_of(self, dataset: Any) -> np.dtype[Any]:
        """The type that holds the values of all bands of values."""
        return np.result_type(*(dataset.dtypes[band - 1] for band in self.bands))

    def read(self, dataset: Any, window: Window | None = None) -> NDArray[np.generic]:
        """The values of a window, ``(bands, rows, cols)``: a masked array where the file says that some are none.

        Args:
            dataset: the open dataset.
            window: the window; all by default.
        """
        return self.apply(self.read_planes(dataset, window))

    def read_planes(
        self,
        dataset: Any,
        window: Window | None = None,
        wanted: slice | None = None,
        *,
        resampled: bool = False,
    ) -> NDArray[np.generic]:
        """The bands of values, and behind them the planes of masks, which are 1 where nothing is and 0 elsewhere.

        So what keeps or stores parts of a file holds its masks, too, and each is decoded once.

        Args:
            dataset: the open dataset, or a resampled view of it.
            window: the window; all by default.
            wanted: which of the bands and planes, counted from 0; all by default.
            resampled: ``dataset`` is a view that has one more band, of GDAL's mask, where there is one. What mixes
                with transparent pixels there counts as transparent.

        Returns:
            ``(bands and planes, rows, cols)`` of the values' type.
        """
        count = len(self.bands)
        first, stop, _ = (wanted or slice(None)).indices(count + self.planes)
        bands = list(self.bands[first:stop])
        if stop <= count:
            values: NDArray[np.generic] = dataset.read(bands, window=window)
            return values
        height, width = dataset.shape if window is None else (window.height, window.width)
        read = np.empty((stop - first, height, width), dtype=self.dtype_of(dataset))
        if bands:
            dataset.read(bands, window=window, out=read[: len(bands)])
        hidden = self._hidden(dataset, window, resampled=resampled)
        read[len(bands) :] = hidden[max(0, first - count) : stop - count]
        return read

    def apply(self, read: NDArray[np.generic]) -> NDArray[np.generic]:
        """The values of what :meth:`read_planes` gives, masked where the planes, or a value of a band, say so."""
        values, hidden = read[: len(self.bands)], read[len(self.bands) :] != 0
        if self.nodata:
            own = [is_value(band, value) for band, value in zip(values, self.nodata, strict=True)]
            hidden = np.stack(own) | hidden if self.planes else np.stack(own)
        if not hidden.any():
            return values
        return np.ma.MaskedArray(values, np.broadcast_to(hidden, values.shape))

    def _hidden(self, dataset: Any, window: Window | None, *, resampled: bool) -> NDArray[np.bool_]:
        """The planes of masks, bool ``(1 or bands, rows, cols)``."""
        found: list[NDArray[np.bool_]] = []
        for band, opaque in self.alpha:
            alpha = dataset.read(band, window=window)
            found.append((alpha < opaque if resampled else alpha == 0)[None])
        if self.is_masked and resampled:
            found.append(dataset.read(dataset.count, window=window)[None] == 0)
        elif self.shared:
            found.append(dataset.read_masks(self.shared, window=window)[None] == 0)
        if self.own and not resampled:
            masks = dataset.read_masks(list(self.own), window=window) == 0
            own = np.zeros((len(self.bands), *masks.shape[1:]), dtype=bool)
            own[[self.bands.index(band) for band in self.own]] = masks
            found.append(own)
        whole = found[0]
        for each in found[1:]:
            whole = whole | each
        return whole


@dataclass(frozen=True)
class MaskedReader:
    """Reads windows of values, masked where planes of masks behind them say that there are none.

    Attributes:
        reader: reads values and planes, see :meth:`FileMasks.read_planes`.
        masks: which of them are planes.
    """

    reader: WindowReader
    masks: FileMasks

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.generic]:
        """Stored values ``(bands, rows, cols)`` of a window; a masked array where some are none."""
        return self.masks.apply(self.reader(rows, cols))


def find_masks(dataset: Any, *, name: str, image: bool = False) -> FileMasks:
    """What an open raster says of where it holds nothing; pixels are looked at only where it has an alpha band.

    GDAL takes only the last of two or four bands for an alpha band; here any band that is marked so is one,
    wherever it stands. Software marks the fourth of four 8-bit bands so unasked, be it near infrared: a band that
    is mostly neither opaque nor transparent is none, which is said. Other software writes an alpha band without
    marking it: in an image of few bands of unsigned integers, the one band that holds nothing but 0 and its type's
    largest number is it, which is said, too.

    Args:
        dataset: the open rasterio dataset.
        name: what messages call it.
        image: the file is an image, whose bands are measured: one that is not marked is looked for.
    """
    alpha = []
    for band, use in enumerate(dataset.colorinterp, start=1):
        if use == ColorInterp.alpha and dataset.count > 1:
            opaque = _opaque_at(dataset, band)
            if opaque is None:
                _log.warning(
                    "%s: band %d is marked as alpha (transparency), but holds measured values: it is taken as a "
                    "band of the image",
                    name,
                    band,
                )
            else:
                alpha.append((band, opaque))
    if image and not alpha and (found := _unmarked_alpha(dataset)) is not None:
        _log.warning(
            "%s: band %d holds nothing but 0 and %g: it is taken as an alpha band (transparency) and left out",
            name,
            *found,
        )
        alpha.append(found)
    known = {band for band, _ in alpha}
    bands = tuple(band for band in range(1, dataset.count + 1) if band not in known)
    flags = {band: set(dataset.mask_flag_enums[band - 1]) for band in bands}
    # A mask that GDAL makes of an alpha band is read from that band, which may be none after all.
    shared = [
        band for band in bands if MaskFlags.per_dataset in flags[band] and MaskFlags.alpha not in flags[band]
    ]
    own = tuple(band for band in bands if not flags[band])
    nodata = tuple(dataset.nodatavals[band - 1] for band in bands)
    return FileMasks(
        bands=bands,
        alpha=tuple(alpha),
        shared=shared[0] if shared else 0,
        own=own,
        nodata=() if len({str(value) for value in nodata}) == 1 else nodata,
    )


def is_value(stored: NDArray[np.generic], value: float | None) -> NDArray[np.bool_]:
    """Where stored numbers are a value that means no data, bool; NaN is found as such, and None nowhere."""
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    found: NDArray[np.bool_] = np.isnan(stored) if math.isnan(value) else stored == float(value)
    return found


def _unmarked_alpha(dataset: Any) -> tuple[int, float] | None:
    """The one band of an image that holds nothing but 0 and the largest number of its type, and that number."""
    types = set(dataset.dtypes)
    if not 1 < dataset.count <= _FEW_BANDS or not types <= {"uint8", "uint16"} or len(types) > 1:
        return None
    largest = np.iinfo(dataset.dtypes[0]).max
    left = list(range(1, dataset.count + 1))
    opaque: set[int] = set()
    for window in _looks(dataset):
        values = dict(zip(left, dataset.read(left, window=window), strict=True))
        left = [band for band, seen in values.items() if ((seen == 0) | (seen == largest)).all()]
        opaque |= {band for band in left if (values[band] == largest).any()}
        if not left:
            return None
    return (left[0], float(largest)) if len(left) == 1 and left[0] in opaque else None


def _looks(dataset: Any) -> list[Window]:
    """Five small windows, spread over a raster; one where it is no larger."""
    height, width = min(_LOOK, dataset.height), min(_LOOK, dataset.width)
    places = [(0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]
    windows = [
        Window(int((dataset.width - width) * across), int((dataset.height - height) * down), width, height)
        for down, across in places
    ]
    return list({(each.col_off, each.row_off): each for each in windows}.values())


def _opaque_at(dataset: Any, band: int) -> float | None:
    """The value at which an alpha band is opaque; None where it holds something else than transparency.

    It is looked at in five small windows: an alpha band is nearly everywhere either transparent or opaque.
    """
    seen = np.concatenate([dataset.read(band, window=window).ravel() for window in _looks(dataset)])
    there = seen[seen != 0]
    if not there.size:
        return float(np.iinfo(seen.dtype).max) if seen.dtype.kind in "iu" else 1.0
    largest = there.max()
    return float(largest) if (there == largest).mean() >= _ALPHA_SHARE else None
