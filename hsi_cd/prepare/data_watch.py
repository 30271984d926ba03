"""What a user should know of a scene, seen while it is read: undeclared fill, bands that cost the map."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from hsi_cd.prepare.windows import Dates
from hsi_cd.scene import ScenePair
from hsi_cd.scene.matching import band_name
from hsi_cd.scene.undeclared import FillWatch, percent

_log = logging.getLogger(__name__)

WORTH_TELLING = 0.05
"""Share of a scene's pixels that single bands cost, from which a user is warned."""

_SHOWN = 3  # bands that are named


@dataclass(frozen=True)
class Gaps:
    """Pixels that have data in both dates, but not in all bands.

    Attributes:
        share: of the scene's pixels.
        bands: date (0 or 1), band and missing share of each band that costs much of it, the worst first.
    """

    share: float
    bands: tuple[tuple[int, int, float], ...]


class DataWatch:
    """Looks at a scene while it is read for something else.

    It keeps some thousand spectra, whatever the scene's size, and counts pixels of one number in every band.
    """

    def __init__(self, pair: ScenePair) -> None:
        """Nothing is seen yet."""
        self._pair = pair
        self._fills = FillWatch(pair.t1), FillWatch(pair.t2)

    def see(self, row: int, dates: Dates) -> None:
        """Take in whole rows of both dates, ``(bands, rows, cols)``, the first of them ``row``; each row once."""
        for fill, values in zip(self._fills, dates, strict=True):
            fill.see(values, row)

    def gaps(self) -> Gaps | None:
        """What single bands cost, once the whole scene was seen; None where it is not worth telling."""
        used = list(range(self._pair.bands.count) if self._pair.used is None else self._pair.used)
        known = [np.isfinite(fill.sample.values[used]) for fill in self._fills if fill.sample.values.size]
        if len(known) < 2:
            return None
        both = np.stack(known)  # (dates, bands, spectra)
        alive = both.any(axis=(0, 2))  # a band without any data is refused, or left out, elsewhere
        some = both.any(axis=1).all(axis=0)
        if not some.any() or not alive.any():
            return None
        lost = some & ~both[:, alive].all(axis=(0, 1))
        if lost.mean() < WORTH_TELLING:
            return None
        missing = (~both & some).mean(axis=2)
        missing[:, ~alive] = 0
        order = np.argsort(-missing, axis=None, kind="stable")
        ranked = [(int(at // len(used)), int(at % len(used)), float(missing.flat[at])) for at in order]
        worst = tuple(
            (date, used[band], part) for date, band, part in ranked if part >= max(0.01, ranked[0][2] / 4)
        )
        return Gaps(float(lost.mean()), worst)

    def tell_fill(self) -> None:
        """Warn of numbers that fill a date's border, as far as it was seen."""
        for date, cube, watch in zip(("t1", "t2"), (self._pair.t1, self._pair.t2), self._fills, strict=True):
            fill = watch.fill()
            if fill is not None:
                _log.warning("%s (%s): %s", date, cube.name, fill.advise())

    def tell(self, *, unmapped: float | None = None) -> None:
        """Warn of what is worth telling.

        Args:
            unmapped: share of the pixels that a checkpoint left without a score: of its bands none can be left out
                any more, and those it does not look at cost nothing. None while the bands can be chosen.
        """
        self.tell_fill()
        found = self.gaps()
        if found is None or (unmapped is not None and unmapped < 0.9 * found.share):
            return
        names = [
            f"{band_name(self._pair.bands, band)} (band {band + 1} of t{date + 1}) lacks {percent(part)}"
            for date, band, part in found.bands[:_SHOWN]
        ]
        more = f" and {len(found.bands) - _SHOWN} more" if len(found.bands) > _SHOWN else ""
        remedy = (
            "these bands are the checkpoint's: to do without them, train without them"
            if unmapped is not None
            else "leave such bands out with hsi_cd.choose_bands(pair, drop_partly_empty=True), or the setting "
            "bands.drop_partly_empty"
        )
        _log.warning(
            "about %s of the scene's pixels have data, but not in every band, and no data in the map: %s%s; %s",
            percent(found.share),
            ", ".join(names),
            more,
            remedy,
        )
