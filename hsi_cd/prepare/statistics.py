"""Moments, ranges and the sensor's noise of a scene, summed while it is read in blocks of rows.

Labels play no part here. The block size depends on the scene's width alone, so the figures do not depend on memory
or windows. :mod:`hsi_cd.prepare.measurement` reads, and keeps what is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsi_cd.errors import BandError
from hsi_cd.prepare.digits import Limits, check_digits, coarse
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.sameness import Sameness, identical_dates
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.scene import ScenePair

Rows = tuple[slice, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Rows of a scene, and both dates' stored values in them, float32 ``(bands, rows, cols)``, NaN for no data."""

_PIXELS_PER_BLOCK = 1 << 16
PIXELS_IN_CACHE = 1 << 11  # spectra that the processor's cache holds: what is done to them there costs little
_LARGE = 60_000_000  # bytes of a date's block, beyond which dates are not measured side by side
_QUIET_SHARE = 0.6  # neighbour differences kept for the noise: the larger ones are edges of the scene itself
_HISTOGRAM_BINS = 4096


@dataclass(frozen=True)
class DateStatistics:
    """Statistics of one date over the pixels that are valid in both dates.

    Attributes:
        mean: float64 ``(bands,)``.
        covariance: float64 ``(bands, bands)``.
        low: smallest value, float64 ``(bands,)``.
        high: largest value, float64 ``(bands,)``.
        noise: noise covariance, float64 ``(bands, bands)``.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    noise: NDArray[np.float64]

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation ``(bands,)``."""
        return np.sqrt(np.diag(self.covariance))


@dataclass(frozen=True)
class SceneStatistics:
    """Statistics of both dates.

    Attributes:
        t1: the earlier date.
        t2: the later date.
        valid: bool ``(rows, cols)``, where both dates have data in every band used.
    """

    t1: DateStatistics
    t2: DateStatistics
    valid: NDArray[np.bool_]


def row_blocks(rows: int, cols: int) -> Iterator[slice]:
    """Blocks of whole rows that together cover a scene, of about 65,000 pixels each."""
    step = max(2, _PIXELS_PER_BLOCK // cols)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def cache_blocks(pixels: int) -> Iterator[slice]:
    """Blocks that together cover so many pixels, each of as many as the processor's cache holds."""
    return (slice(start, start + PIXELS_IN_CACHE) for start in range(0, pixels, PIXELS_IN_CACHE))


def usable_bands(pair: ScenePair, *, drop_constant: bool = False) -> NDArray[np.intp]:
    """Bands that carry something in both dates, of those that the scene shows (:attr:`ScenePair.used`).

    A band without a single number, or with one number everywhere, teaches nothing and cannot be standardised.

    Args:
        pair: the scene.
        drop_constant: leave such bands out instead of refusing the scene.

    Returns:
        Ascending band indices.

    Raises:
        BandError: naming the bands, unless ``drop_constant``; or a band whose values float32 cannot tell apart.
        PairError: both dates hold the same values, and nobody allowed it.
    """
    asked = np.arange(pair.bands.count) if pair.used is None else np.asarray(pair.used, dtype=np.intp)
    ranges, sameness = _ranges(pair, asked)
    check_digits(pair, ranges, asked)  # first: numbers may be the same to float32 alone
    if sameness.identical and not pair.allow_identical:
        raise identical_dates(pair)
    dead: dict[int, str] = {}
    for cube, date, (low, high) in ((pair.t1, "t1", ranges[0]), (pair.t2, "t2", ranges[1])):
        for band in np.flatnonzero(~(low < high)):
            why = "has no data" if np.isnan(low[band]) else f"is {low[band]:g} everywhere"
            dead.setdefault(int(band), f"band {band + 1} of {date} ({cube.name}) {why}")
    dead = {band: why for band, why in dead.items() if band in asked}
    kept = np.setdiff1d(asked, list(dead))
    if dead and kept.size == 0:
        raise BandError(
            f"no band of {pair.name} varies ({next(iter(dead.values()))}, and so on): give dates whose values do"
        )
    if dead and not drop_constant:
        more = f" and {len(dead) - 1} more" if len(dead) > 1 else ""
        raise BandError(
            f"{next(iter(dead.values()))}{more}: a constant band cannot be standardised; "
            "leave such bands out with hsi_cd.choose_bands(pair, drop_constant=True), or the setting "
            "bands.drop_constant"
        )
    return kept


def band_moments(
    reading: Iterable[Rows], shape: tuple[int, int], bands: NDArray[np.integer]
) -> tuple[tuple[Moments, Moments], NDArray[np.bool_]]:
    """Means and variances of each date's bands over the pixels valid in both.

    What standardising needs; :func:`scene_statistics` measures, at many times the cost, how bands go together.

    Args:
        reading: the whole scene in blocks of rows, see :data:`Rows`.
        shape: ``(rows, cols)`` of the scene.
        bands: indices of the bands used.

    Returns:
        Of both dates, with a diagonal scatter; and where both have data in every band, bool ``(rows, cols)``.

    Raises:
        BandError: fewer than two pixels have data in every band of both dates.
    """
    nothing = Moments(0, np.zeros(len(bands)), np.zeros(len(bands)))
    found = [nothing, nothing]
    valid = np.ones(shape, dtype=bool)
    for rows, dates in reading:
        spectra = [values.reshape(len(values), -1) for values in dates]
        known = valid[rows].reshape(-1)
        if len(bands) != len(spectra[0]):
            spectra = [values[bands] for values in spectra]
        for block in cache_blocks(spectra[0].shape[1]):
            parts = [values[:, block] for values in spectra]
            measured = _each(parts, found)
            if not all(np.isfinite(part.mean).all() for part in measured):
                usable = np.logical_and.reduce([np.isfinite(values).all(axis=0) for values in parts])
                measured = _each([values[:, usable] for values in parts], found)
                known[block] = usable
            found = [total + part for total, part in zip(found, measured, strict=True)]
    _check_overlap(found[0].count, len(bands))
    return (found[0], found[1]), valid


def _each(parts: list[NDArray[np.float32]], found: list[Moments]) -> list[Moments]:
    """Moments of each band of some pixels of both dates, about the mean of those before or, at first, of these."""
    return [
        Moments.of_each(
            values, near=total.mean if total.count or not values.size else values.mean(axis=1, dtype=np.float64)
        )
        for values, total in zip(parts, found, strict=True)
    ]


def _check_overlap(pixels: float, bands: int) -> None:
    if pixels < 2:
        raise BandError(
            f"{pixels:.0f} pixels have data in all {bands} bands of both dates: the dates must overlap; "
            "if single bands are empty, leave them out with hsi_cd.choose_bands(pair, drop_constant=True), or the "
            "setting bands.drop_constant"
        )


def _ranges(pair: ScenePair, bands: NDArray[np.intp]) -> tuple[tuple[Limits, Limits], Sameness]:
    """Smallest and largest value of each band of both dates, and whether these differ in ``bands``.

    NaN for a band without data. Stops early, once every band varies, by enough for float32, and the dates differ.
    """
    low, high = np.full((2, 2, pair.bands.count), np.nan)
    sameness = Sameness()
    whole = len(bands) == pair.bands.count
    lossy = [date for date, cube in enumerate((pair.t1, pair.t2)) if cube.loses_digits]
    # A few rows first: in most scenes every band varies within them.
    few = max(1, PIXELS_IN_CACHE // pair.shape[1])
    for block in (slice(0, few), *row_blocks(*pair.shape)):
        dates = pair.read(block)
        sameness.see(*(dates if whole else (values[bands] for values in dates)))
        for date, values in enumerate(dates):
            flat = values.reshape(len(values), -1)
            low[date] = np.fmin(low[date], np.fmin.reduce(flat, axis=1))
            high[date] = np.fmax(high[date], np.fmax.reduce(flat, axis=1))
        if sameness.differ and (low < high).all() and not any(coarse(low[d], high[d]).any() for d in lossy):
            break
    return ((low[0], high[0]), (low[1], high[1])), sameness


def valid_pixels(reading: Iterable[Rows], shape: tuple[int, int], bands: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Where both dates have data in all ``bands``, bool ``(rows, cols)``."""
    valid = np.zeros(shape, dtype=bool)
    for rows, (t1, t2) in reading:
        valid[rows] = np.isfinite(t1[bands]).all(axis=0) & np.isfinite(t2[bands]).all(axis=0)
    return valid


def scene_statistics(
    reading: Iterable[Rows],
    shape: tuple[int, int],
    bands: NDArray[np.integer],
    *,
    clip: NDArray[np.float64] | None = None,
) -> SceneStatistics:
    """Measure a scene in one reading.

    The noise covariance comes from differences of neighbouring pixels, right and below (Green et al. 1988, doi
    10.1109/36.3001): half the covariance of those 60 % of a block's differences that are smallest, counted in
    each band's own deviation, since the others are edges rather than noise.

    Args:
        reading: the whole scene in blocks of rows, each with the row below it, for the differences between this
            block and the next.
        shape: ``(rows, cols)`` of the scene.
        bands: indices of the bands used.
        clip: lowest and highest value kept, float64 ``(2 dates, 2, bands)``, or None.

    Returns:
        The statistics of both dates.

    Raises:
        BandError: fewer than two pixels have data in every band of both dates.
    """
    count = len(bands)
    nothing = Moments(0, np.zeros(count), np.zeros((count, count)))
    found = [_BlockStatistics(nothing, np.full(count, np.inf), np.full(count, -np.inf), nothing)] * 2
    valid = np.zeros(shape, dtype=bool)
    # One thread a date, and one that reads: on a machine shared with others, the threads of one small product wait
    # for each other (7 s against 0.3 s for a scene of 63,000 pixels).
    with single_threaded("blas"), ThreadPoolExecutor(2) as pool:
        for block, read in reading:
            dates = [values if count == len(values) else values[bands] for values in read]
            usable = np.logical_and.reduce([np.isfinite(values).all(axis=0) for values in dates])
            inside = usable[: block.stop - block.start]
            valid[block] = inside
            limits = (None, None) if clip is None else tuple(clip)
            # Dates of large blocks one after the other: what is made of one takes several times its memory.
            each = map if dates[0].nbytes > _LARGE else pool.map
            measured = each(_measure, dates, (usable, usable), (len(inside), len(inside)), limits)
            found = [total + part for total, part in zip(found, measured, strict=True)]
    moments = [part.moments for part in found]
    _check_overlap(moments[0].count, count)
    t1, t2 = (
        DateStatistics(
            part.moments.mean, part.moments.covariance, part.low, part.high, _second_moment(part.noise) / 2
        )
        for part in found
    )
    return SceneStatistics(t1, t2, valid)


@dataclass(frozen=True)
class _BlockStatistics:
    """What is summed of one date: moments of spectra and of quiet differences, and the range of each band."""

    moments: Moments
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    noise: Moments

    def __add__(self, other: _BlockStatistics) -> _BlockStatistics:
        return _BlockStatistics(
            self.moments + other.moments,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.noise + other.noise,
        )


def _measure(
    values: NDArray[np.float32], usable: NDArray[np.bool_], rows: int, clip: NDArray[np.float64] | None
) -> _BlockStatistics:
    """One date in a block of ``rows`` rows and the one below."""
    if clip is not None:
        values = np.clip(values, clip[0][:, None, None], clip[1][:, None, None])
    spectra = values[:, :rows][:, usable[:rows]]
    return _BlockStatistics(
        Moments.of(spectra),
        spectra.min(axis=1, initial=np.inf).astype(np.float64),
        spectra.max(axis=1, initial=-np.inf).astype(np.float64),
        _quiet_differences(values, usable),
    )


def _quiet_differences(values: NDArray[np.float32], usable: NDArray[np.bool_]) -> Moments:
    """Moments of a block's smaller neighbour differences."""
    right = (values[:, :, 1:] - values[:, :, :-1])[:, usable[:, 1:] & usable[:, :-1]]
    below = (values[:, 1:] - values[:, :-1])[:, usable[1:] & usable[:-1]]
    differences = np.concatenate([right, below], axis=1)
    del right, below  # of a wide scene of many bands each is a hundred megabytes
    if differences.shape[1] == 0:
        return Moments.of(differences)
    square = np.square(differences)
    variance = square.mean(axis=1, dtype=np.float64) - np.square(differences.mean(axis=1, dtype=np.float64))
    size = (1 / np.maximum(variance, 1e-24)).astype(np.float32) @ square
    del square
    quiet = differences[:, size <= np.quantile(size, _QUIET_SHARE)]
    del differences
    return Moments.of(quiet)


def _second_moment(moments: Moments) -> NDArray[np.float64]:
    """Mean outer product about zero: differences of neighbours have no mean of their own."""
    return moments.covariance + np.outer(moments.mean, moments.mean)


def percentile_limits(
    read: Callable[[], Iterable[Rows]], bands: NDArray[np.integer], *, percent: float
) -> NDArray[np.float64]:
    """The values below and above which ``percent`` % of each band's pixels lie.

    Two readings: the range, then a histogram of 4,096 bins inside it, interpolated; exact to one bin.

    Args:
        read: reads the whole scene in blocks of rows.
        bands: indices of the bands used.
        percent: share of pixels clipped at each end, in percent.

    Returns:
        float64 ``(2 dates, 2 ends, bands)``.
    """
    low, high = np.full((2, len(bands)), np.inf), np.full((2, len(bands)), -np.inf)
    for dates in _known_spectra(read(), bands):
        for date, values in enumerate(dates):
            low[date] = np.fmin(low[date], np.fmin.reduce(values, axis=1))
            high[date] = np.fmax(high[date], np.fmax.reduce(values, axis=1))
    counts = np.zeros((2, len(bands), _HISTOGRAM_BINS))
    for dates in _known_spectra(read(), bands):
        for date, band in np.ndindex(2, len(bands)):
            limits = (float(low[date, band]), float(high[date, band]))
            counts[date, band] += np.histogram(dates[date][band], _HISTOGRAM_BINS, limits)[0]
    found = np.empty((2, 2, len(bands)))
    for date, band in np.ndindex(2, len(bands)):
        edges = np.linspace(low[date, band], high[date, band], _HISTOGRAM_BINS + 1)
        cumulated = np.concatenate([[0.0], np.cumsum(counts[date, band])]) / counts[date, band].sum()
        found[date, :, band] = np.interp([percent / 100, 1 - percent / 100], cumulated, edges)
    return found


def _known_spectra(reading: Iterable[Rows], bands: NDArray[np.integer]) -> Iterator[list[NDArray[np.float32]]]:
    """Both dates' spectra ``(bands, pixels)``, block by block, of the pixels that both dates know."""
    for _, dates in reading:
        values = [each[bands].reshape(len(bands), -1) for each in dates]
        known = np.isfinite(values[0]).all(axis=0) & np.isfinite(values[1]).all(axis=0)
        if known.any():
            yield [each[:, known] for each in values]
