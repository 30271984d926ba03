"""Which bands of a scene the methods may look at: bad, constant and water-vapour bands left out on request."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from hsi_cd.errors import BandError
from hsi_cd.prepare.statistics import row_blocks, usable_bands
from hsi_cd.scene import Bands, ScenePair

_log = logging.getLogger(__name__)

WATER_VAPOUR = ((1350.0, 1450.0), (1800.0, 1960.0))
"""Wavelengths, nm, around the bands at 1.38 and 1.88 um, in which water vapour absorbs nearly all sunlight on its
way down and up (Gao et al. 2009, doi 10.1016/j.rse.2007.12.015), which leaves noise. The weaker
bands at 0.94 and 1.14 um, which an atmospheric correction can undo, are kept."""


PARTLY_EMPTY = 0.01
"""Share of the pixels with data, from which a band that lacks them is partly empty."""


def choose_bands(
    pair: ScenePair,
    *,
    drop_bad: bool = False,
    drop_water_vapour: bool = False,
    drop_constant: bool = False,
    drop_partly_empty: bool = False,
) -> ScenePair:
    """A scene that shows its methods only some of its bands.

    The bands themselves stay, so that a checkpoint knows the scene's bands as they are in the file and finds the
    same ones in the next scene.

    Args:
        pair: the scene.
        drop_bad: leave out bands that either date's own list marks as bad.
        drop_water_vapour: leave out bands inside :data:`WATER_VAPOUR`.
        drop_constant: leave out bands without data or variation; takes a pass over the scene.
        drop_partly_empty: leave out bands that in either date lack more than 1 % of the pixels at which most bands
            have data, and would cost the map these pixels; takes a pass over the scene.

    Raises:
        BandError: no band is left, or no wavelengths tell where the water-vapour bands are.
    """
    dropped: set[int] = set()
    if drop_bad:
        dropped |= _bad(pair)
    if drop_water_vapour:
        dropped |= _in_water_vapour(pair.bands)
    kept = tuple(i for i in (pair.used or range(pair.bands.count)) if i not in dropped)
    if not kept:
        raise BandError(
            f"all {pair.bands.count} bands of {pair.name} are marked as bad or lie in water-vapour bands: "
            "drop fewer kinds of bands"
        )
    if dropped:
        pair = replace(pair, used=kept)
    if drop_constant:
        pair = replace(pair, used=tuple(int(i) for i in usable_bands(pair, drop_constant=True)))
    if drop_partly_empty:
        pair = replace(pair, used=_without_gaps(pair))
    return pair


def _without_gaps(pair: ScenePair) -> tuple[int, ...]:
    used = np.arange(pair.bands.count) if pair.used is None else np.asarray(pair.used)
    missing, pixels = np.zeros((2, len(used))), np.zeros((2, 1))
    for block in row_blocks(*pair.shape):
        for date, values in enumerate(pair.read(block)):
            known = np.isfinite(values[used]).reshape(len(used), -1)
            most = known.mean(axis=0) >= 0.5
            pixels[date] += most.sum()
            missing[date] += (~known[:, most]).sum(axis=1)
    kept = used[(missing <= PARTLY_EMPTY * pixels).all(axis=0)]
    if not kept.size:
        raise BandError(
            f"all {len(used)} bands of {pair.name} lack more than {100 * PARTLY_EMPTY:g} % of the pixels that "
            "have data: leave drop_partly_empty out, or declare what marks their gaps"
        )
    return tuple(kept.tolist())


def _bad(pair: ScenePair) -> set[int]:
    lists: Collection[tuple[bool, ...]] = [c.bands.good for c in (pair.t1, pair.t2) if c.bands.good]
    if not lists:
        _log.warning("%s has no list of bad bands: none is left out as bad", pair.name)
    return {i for good in lists for i, usable in enumerate(good) if not usable}


def _in_water_vapour(bands: Bands) -> set[int]:
    if not bands.centres:
        raise BandError(
            "no wavelengths are known: which bands are water vapour's cannot be told; leave "
            "drop_water_vapour=True out, or give files that tell their wavelengths"
        )
    return {
        i for i, centre in enumerate(bands.centres) if any(low <= centre <= high for low, high in WATER_VAPOUR)
    }
