"""Two products as two dates of one place: of one quantity, on one grid, with the bands that both have."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from hsi_cd.api.masking import Masks, mask_own
from hsi_cd.errors import FormatError, GridError
from hsi_cd.prepare import alignment
from hsi_cd.prepare.two_sensors import one_spectrum_of
from hsi_cd.scene import Cube, Grid, matching
from hsi_cd.scene.contract import ground_distance, is_same_grid, overlap, to_pixels

__all__ = ["as_dates", "check_together", "put_on", "with_common_bands"]

_log = logging.getLogger(__name__)

_ALIKE = 0.25  # logarithm of the ratio of two bands' widths up to which one sensor's band is taken for another's
_WHOLE = 1e-3  # of a pixel: how far two grids may lie off whole pixels and still be one lattice


def as_dates(t1: Cube, t2: Cube, masks: Masks, *, tolerance: float) -> tuple[Cube, Cube]:
    """Two cubes without what their products mark and, where both are products, on one grid with one set of bands.

    What an archive cuts out of an orbit differs from date to date, in its frame and in the bands that it holds. So
    two products need no option for that: t2 is put on the grid of t1, by whole pixels where their grids are one
    lattice, and the bands that one of them lacks are left out. All of it is told.

    Args:
        t1: the earlier date.
        t2: the later date.
        masks: what is left out.
        tolerance: largest difference of centre wavelengths, nm, of the same band.

    Raises:
        FormatError: one holds radiance and the other reflectance; a mask is not there.
        GridError: they are of other places.
        BandError: they have no band in common.
    """
    check_together(t1, t2, names=("t1", "t2"))
    first = mask_own(t1, masks, date="t1")
    second = put_on(first, t2, masks, names=("t1", "t2"))
    return with_common_bands(first, second, tolerance, names=("t1", "t2"))


def check_together(t1: Cube, t2: Cube, *, names: tuple[str, str]) -> None:
    """Refuse two products that are no dates of one place.

    Raises:
        FormatError: one holds radiance and the other reflectance.
        GridError: they are of other places.
    """
    if t1.product is None or t2.product is None:
        return
    if t1.product.quantity != t2.product.quantity:
        raise FormatError(
            f"{names[0]} ({t1.name}) is {t1.product.title} in {t1.product.quantity}, but {names[1]} ({t2.name}) "
            f"{t2.product.title} in {t2.product.quantity}: order both dates of one level, best as surface "
            "reflectance"
        )
    _check_place(t1, t2, names)


def put_on(first: Cube, cube: Cube, masks: Masks, *, names: tuple[str, str]) -> Cube:
    """A date without what its product marks and, where both are products, on the grid of another one.

    Args:
        first: the other one, which tells the grid.
        cube: the date.
        masks: what is left out.
        names: what messages call the two.

    Raises:
        FormatError: a mask is not there.
    """
    of, date = names
    if first.product is None or cube.product is None:
        return mask_own(cube, masks, date=date)
    if cube.product.onto is not None and not is_same_grid(first.grid, cube.grid):
        cube = replace(cube.product.onto(first.grid), fill=cube.fill, saturated=cube.saturated)
        _log.warning(
            "%s (%s) is put on the grid of %s: each pixel takes the nearest that was measured",
            date, cube.name, of,
        )  # fmt: skip
    second = mask_own(cube, masks, date=date)
    if is_same_grid(first.grid, second.grid):
        return second
    how = "by whole pixels" if _is_one_lattice(first.grid, second.grid) else "bilinearly, as their pixels differ"
    _log.warning("%s (%s) is put on the grid of %s (%s), %s", date, second.name, of, first.name, how)
    # What it is stays known; its masks, which lie on its own grid, are applied by now.
    known = None if second.product is None else replace(second.product, masks=(), onto=None)
    return replace(alignment.align(second, first.grid), product=known)


def _check_place(t1: Cube, t2: Cube, names: tuple[str, str]) -> None:
    if is_same_grid(t1.grid, t2.grid):
        return
    try:
        if overlap(t1.grid, t2.grid):
            return
        apart = ground_distance(t1.grid, t2.grid)
    except GridError as error:
        raise GridError(
            f"{names[0]} ({t1.name}) and {names[1]} ({t2.name}) cannot be put on one grid: {error}"
        ) from error
    told = "" if apart is None else f": their middles lie {apart:.4g} km apart"
    raise GridError(
        f"{names[0]} ({t1.name}) and {names[1]} ({t2.name}) are of other places and share no ground{told}; give "
        "two dates of one place"
    )


def _is_one_lattice(first: Grid, second: Grid) -> bool:
    """Whether the pixels of two grids are the same where both are."""
    corners = np.array([(0, 0), (second.cols, 0), (0, second.rows), (second.cols, second.rows)], dtype=np.float64)
    cols, rows = to_pixels(corners[:, 0], corners[:, 1], source=second, target=first)
    size = np.array([cols[1] - cols[0] - second.cols, rows[2] - rows[0] - second.rows])
    off = np.concatenate([cols - np.round(cols), rows - np.round(rows), size])
    return bool(np.abs(off).max() <= _WHOLE)


def with_common_bands(
    t1: Cube,
    t2: Cube,
    tolerance: float,
    *,
    names: tuple[str, str],
    several: bool = False,
    told: bool = True,
) -> tuple[Cube, Cube]:
    """Two products with the bands that both have; what is no product keeps its own.

    Args:
        t1: the earlier date.
        t2: the later date.
        tolerance: largest difference of centre wavelengths, nm, of the same band.
        names: what messages call the two.
        several: one of them may have been resampled to the bands of another sensor, whatever product it is.
        told: warn of what is left out.

    Raises:
        BandError: they have no band in common.
    """
    if t1.product is None or t2.product is None:
        return t1, t2
    tell = _log.warning if told else _log.debug
    if t1.product.title != t2.product.title if not several else not _is_among(t1, t2, tolerance):
        shared = one_spectrum_of(t1, t2, tolerance=tolerance)
        if shared is not None:
            tell("%s", shared.told)
            return shared.t1, shared.t2
    paired = _with_paired_waves(t1, t2, tolerance)
    if paired is not None:
        t2, count, apart = paired
        tell(
            "%d bands of %s (%s) and %s (%s) are paired, though their centres lie up to %.3g nm apart: the centre "
            "of one lies in the other",
            count, names[0], t1.name, names[1], t2.name, apart,
        )  # fmt: skip
    match = matching.match_bands(t1.bands, t2.bands, tolerance=tolerance)
    if match.is_same or match.by != "wavelength":
        return t1, t2
    first, second = matching.common_bands(t1, t2, tolerance=tolerance)
    for date, cube, only in zip(names, (t1, t2), (match.only_first, match.only_second), strict=True):
        if only:
            shown = ", ".join(matching.band_name(cube.bands, i) for i in only[:4])
            more = f" and {len(only) - 4} more" if len(only) > 4 else ""
            tell(
                "%d bands of %s (%s) are not in the other date and are left out: %s%s",
                len(only), date, cube.name, shown, more,
            )  # fmt: skip
    return first, second


def _is_among(t1: Cube, t2: Cube, tolerance: float) -> bool:
    """Whether t2 has all bands of t1 as they are, of their wavelengths and about their widths."""
    match = matching.match_bands(t1.bands, t2.bands, tolerance=tolerance)
    if match.only_first or not (t1.bands.fwhm and t2.bands.fwhm):
        return not match.only_first
    widths = [t2.bands.fwhm[j] / t1.bands.fwhm[i] for i, j in zip(match.first, match.second, strict=True)]
    return bool(np.abs(np.log(widths)).max() <= _ALIKE)


def _with_paired_waves(t1: Cube, t2: Cube, tolerance: float) -> tuple[Cube, int, float] | None:
    """t2 with the wavelengths of t1 in the bands that are one band of two satellites, how many, and how far off.

    Broad bands of one purpose lie up to tens of nanometres apart: those of Sentinel-2A and -2B, of Landsat 7 and
    8, of Landsat and Sentinel-2. Two are one where each is the other's nearest and the centre of one lies
    within the half-maximum range of the other. Of narrow bands the tolerance takes as many.
    """
    first, second = t1.bands, t2.bands
    if not all(bands.centres and bands.fwhm for bands in (first, second)):
        return None
    apart = np.abs(np.subtract.outer(first.centres, second.centres))
    pairs = [(i, int(j)) for i, j in enumerate(apart.argmin(axis=1)) if apart[:, j].argmin() == i]
    pairs = [(i, j) for i, j in pairs if tolerance < apart[i, j] <= max(first.fwhm[i], second.fwhm[j]) / 2]
    if not pairs:
        return None
    centres = list(second.centres)
    for i, j in pairs:
        centres[j] = first.centres[i]
    largest = max(float(apart[i, j]) for i, j in pairs)
    return replace(t2, bands=replace(second, centres=tuple(centres))), len(pairs), largest
