"""Two dates made one scene: the contract that they keep, a checkpoint's bands, a georeference from elsewhere."""

from __future__ import annotations

import logging
from dataclasses import replace

from hsi_cd.api.bounding import in_area
from hsi_cd.api.masking import mask_with, parse_masks
from hsi_cd.api.product_pairs import as_dates
from hsi_cd.api.registering import register
from hsi_cd.api.sources import Contract
from hsi_cd.api.truths import grid_like
from hsi_cd.prepare import alignment
from hsi_cd.prepare.band_choice import choose_bands
from hsi_cd.scene import Bands, Cube, ScenePair, matching
from hsi_cd.scene.acquisition import days_of
from hsi_cd.scene.contract import is_same_grid

__all__ = ["choose_bands", "grid_like", "like_checkpoint", "make_pair", "warn_of_checkpoint", "warn_of_doubts"]

_log = logging.getLogger(__name__)


def make_pair(t1: Cube, t2: Cube, *, name: str, contract: Contract) -> ScenePair:
    """Two dates as a scene that keeps the contract; warns where that is doubtful.

    Raises:
        GridError: the dates do not lie on one grid and are not, or cannot be, aligned.
        BandError: the dates have other bands.
        RegistrationError: no shift lays them on one another.
    """
    if contract.saturated is not None:
        t1, t2 = (replace(cube, saturated=contract.saturated) for cube in (t1, t2))
    if contract.nodata:
        t1, t2 = (replace(cube, fill=contract.nodata) for cube in (t1, t2))
    masks = parse_masks(contract.mask)
    has_masks = any(cube.product is not None and cube.product.masks for cube in (t1, t2))
    t1, t2 = as_dates(t1, t2, masks, tolerance=contract.band_tolerance)
    if contract.align and not is_same_grid(t1.grid, t2.grid):
        t2 = alignment.align(t2, t1.grid)
    if contract.common_bands:
        t1, t2 = matching.common_bands(t1, t2, tolerance=contract.band_tolerance)
    if masks.drawn and is_same_grid(t1.grid, t2.grid):  # else the pair says what differs
        t1, t2 = mask_with([t1, t2], masks, align=contract.align)
    pair = ScenePair(
        t1,
        t2,
        name=name,
        band_tolerance=contract.band_tolerance,
        nodata=contract.nodata,
        allow_identical=contract.allow_identical,
        masks=masks.asked if has_masks or masks.drawn else (),
    )
    warn_of_doubts(pair)
    pair = in_area(pair, contract.area)
    return register(pair) if contract.register else pair


def like_checkpoint(pair: ScenePair, bands: Bands, *, contract: Contract) -> ScenePair:
    """A scene with the bands of a checkpoint alone, in its order, if common bands were asked for.

    Raises:
        BandError: a band of the checkpoint is not in the scene.
    """
    if not contract.common_bands:
        return pair
    names = ("the checkpoint", f"the scene {pair.name}")
    indices = matching.find_bands(bands, pair.bands, names=names, tolerance=pair.band_tolerance)
    return replace(pair, t1=matching.select_bands(pair.t1, indices), t2=matching.select_bands(pair.t2, indices))


def warn_of_doubts(pair: ScenePair) -> None:
    """Tell what cannot be refused but should be known: bands taken by their place, dates the wrong way round."""
    match = matching.match_bands(pair.t1.bands, pair.t2.bands, tolerance=pair.band_tolerance)
    if match.by == "count" and pair.t1.bands.names and pair.t2.bands.names:
        _log.warning(
            "the band names of t1 and t2 share nothing (%r, %r): their %d bands are taken as the same, in order",
            pair.t1.bands.names[0],
            pair.t2.bands.names[0],
            pair.bands.count,
        )
    told = [cube.name for cube in (pair.t1, pair.t2) if cube.bands.centres]
    if match.by == "count" and len(told) == 1:
        _log.warning(
            "%s alone tells its wavelengths: the %d bands of the other date are taken as the same, in order",
            told[0],
            pair.bands.count,
        )
    days = days_of((pair.t1.acquired, pair.t1.name), (pair.t2.acquired, pair.t2.name))
    if days is not None and days[0] > days[1]:
        _log.warning(
            "t1 (%s) is of %s and t2 (%s) of %s: t1 is to be the earlier date; swap the two",
            pair.t1.name,
            days[0],
            pair.t2.name,
            days[1],
        )
    elif days is None and pair.t2.written and pair.t1.written > pair.t2.written:
        _log.warning(
            "the file of t1 (%s) tells the date %s and that of t2 (%s) %s, in its tag DateTime: if these are the "
            "days of acquisition, swap the two",
            pair.t1.name,
            pair.t1.written,
            pair.t2.name,
            pair.t2.written,
        )


def warn_of_checkpoint(bands: Bands, pair: ScenePair) -> None:
    """Tell what cannot be refused of a checkpoint's bands on a scene: that they are taken by their place.

    Args:
        bands: the checkpoint's.
        pair: the scene.
    """
    match = matching.match_bands(bands, pair.bands, tolerance=pair.band_tolerance)
    if match.by == "count" and bands.centres and not pair.bands.centres:
        _log.warning(
            "the checkpoint knows its bands by their wavelengths, but %s tells none: its %d bands are taken as "
            "the same, in order",
            pair.name,
            pair.bands.count,
        )
    elif match.by == "count" and bands.names and pair.bands.names:
        _log.warning(
            "the band names of the checkpoint and of %s share nothing (%r, %r): their %d bands are taken as the "
            "same, in order",
            pair.name,
            bands.names[0],
            pair.bands.names[0],
            pair.bands.count,
        )
