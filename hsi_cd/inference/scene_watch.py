"""What is looked at while a scene is mapped, without another reading: do its dates differ, are its units known."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.base import Detector
from hsi_cd.detectors.difference import AngleDetector
from hsi_cd.detectors.siamese import SiameseDetector
from hsi_cd.errors import BandError
from hsi_cd.prepare.sameness import Sameness, identical_dates
from hsi_cd.prepare.windows import Dates
from hsi_cd.scene import ScenePair

_log = logging.getLogger(__name__)

_LOOKED_AT = 1 << 17  # pixels of a scene: enough for means and deviations
_FACTOR = 8.0  # in which all bands' means and deviations are larger, or smaller: no light and no ground do that
_AT_FIRST_SIGHT = 50.0  # the same, told from the first rows, which may be of one kind of ground
_ROWS = 256  # of a scene, that tell its units where an area of interest seems to have others
_SEEN = 1000  # pixels from which the first rows tell
_OFFSET = 0.7  # of a band's deviation: the least offset that is told
_EVEN = 0.25  # of the offset: how far it may differ between the bands
_FEWEST_BANDS = 3  # in which an offset is the same: of fewer, brighter ground has one too


@dataclass(frozen=True)
class _Sums:
    """Of the values of each band, counted in the detector's deviations from its means, ``(2 dates, bands)``."""

    count: float
    total: NDArray[np.float64]
    squares: NDArray[np.float64]


class SceneWatch:
    """Looks at a scene while it is read for its map."""

    def __init__(self, detector: Detector, pair: ScenePair, *, any_units: bool = False) -> None:
        """Nothing is seen yet.

        Args:
            detector: what maps the scene.
            pair: the scene.
            any_units: do not look whether the values are in the detector's units.
        """
        self._detector = detector
        self._pair, self._network = pair, isinstance(detector, SiameseDetector)
        self._angles = isinstance(detector, AngleDetector)  # which no factor changes
        self._sameness = Sameness()
        self._transform: Any = None if any_units else _transform_of(detector)
        self._even = _knows_means(detector)
        self._judged = False  # by the whole scene
        self._step = max(1, math.isqrt(pair.shape[0] * pair.shape[1] // _LOOKED_AT))
        used = 0 if self._transform is None else len(self._transform.bands)
        self._sums = _Sums(0, np.zeros((2, used)), np.zeros((2, used)))

    def see(self, rows: slice, dates: Dates) -> None:
        """Take in whole rows of both dates' stored values, ``(bands, rows, cols)``."""
        self._sameness.see(*dates)
        if self._transform is None:
            return
        # Row by row: in double precision, a window would take several times its memory.
        for row in range(0, dates[0].shape[1], self._step):
            self._add(np.stack([values[self._transform.bands, row, :: self._step] for values in dates]))

    def _add(self, spectra: NDArray[np.float32]) -> None:
        """Count some pixels of both dates, ``(2, bands, pixels)``, those without data left out."""
        z = spectra[:, :, np.isfinite(spectra).all(axis=(0, 1))].astype(np.float64)
        z = (z - self._transform.centre[:, :, None]) / self._transform.scale[:, :, None]
        before = self._sums
        self._sums = _Sums(
            before.count + z.shape[2], before.total + z.sum(axis=2), before.squares + np.square(z).sum(axis=2)
        )

    def check_units(self, *, whole: bool) -> None:
        """Refuse a scene whose values are far from all that the detector was fitted on.

        An area of interest may hold one kind of ground alone: what seems far there is judged by the whole scene.

        Args:
            whole: whether all has been seen; the first rows tell gross differences alone.

        Raises:
            BandError: with what to do.
        """
        if self._transform is None or self._judged or self._sums.count < (2 if whole else _SEEN):
            return
        said = self._other_units(whole=whole)
        if said is not None and self._pair.focus is not None:  # of water, an area may be darker than all else
            scene, self._judged = self._of_scene(), True
            said = scene._other_units(whole=True) if scene._sums.count >= 2 else said
        if said is not None:
            raise BandError(said)

    def _of_scene(self) -> SceneWatch:
        """The same look at rows all over a scene of which the area of interest alone is read."""
        scene = SceneWatch(self._detector, replace(self._pair, area=None))
        for row in range(0, self._pair.shape[0], max(1, self._pair.shape[0] // _ROWS)):
            rows = slice(row, row + 1)
            scene.see(rows, self._pair.read(rows))
        return scene

    def _other_units(self, *, whole: bool) -> str | None:
        """How far the values that were seen are from those that the detector was fitted on, and what to do."""
        sums = self._sums
        away = sums.total / sums.count
        spread = np.sqrt(np.maximum(sums.squares / sums.count - np.square(away), 0))
        for date, cube in enumerate((self._pair.t1, self._pair.t2)):
            centre, scale = self._transform.centre[date], self._transform.scale[date]
            mean = centre + away[date] * scale
            size = (np.abs(mean) + spread[date] * scale) / (np.abs(centre) + scale)
            factor = _factor(size, spread[date], least=_FACTOR if whole else _AT_FIRST_SIGHT)
            what = None
            if factor is not None and not self._angles:
                what = f"about {factor:.0f} times" if factor > 1 else f"about 1/{1 / factor:.0f} of"
            elif whole and self._even and (offset := _offset(mean - centre, spread[date], scale)) is not None:
                what = f"about {abs(offset):.4g} {'above' if offset > 0 else 'below'}"
            if what is not None:
                typical = f"mean {np.median(mean):.4g} in the middle band, there {np.median(centre):.4g}"
                anew = ", measure this scene's statistics by refit=True," if self._network else ""
                return (
                    f"the values of t{date + 1} ({cube.name}) are {what} those that the checkpoint was fitted on, "
                    f"in all bands ({typical}): bring the scene into its units, as by a scale and offset in the "
                    f"file{anew} or say any_units=True if they are right"
                )
        return None

    def check_dates(self) -> None:
        """Refuse a whole scene of two identical dates; an area of interest that is the same in both is told.

        Raises:
            PairError: all values are the same, and nobody allowed it.
        """
        pair = self._pair
        if not self._sameness.identical or pair.allow_identical:
            return
        if pair.focus is None or _look_identical(pair):
            raise identical_dates(pair)
        _log.warning("both dates hold the same values everywhere in the area of interest (%s)", pair.area)


def _look_identical(pair: ScenePair) -> bool:
    """Whether two dates are the same in three rows of the whole scene."""
    sameness = Sameness()
    for row in (0, pair.shape[0] // 2, pair.shape[0] - 1):
        sameness.see(*pair.read(slice(row, row + 1)))
    return not sameness.differ


def _transform_of(detector: Detector) -> Any:
    """The detector's transform, if it knows the means and deviations of what it was fitted on."""
    if isinstance(detector, AngleDetector):
        return detector.statistics
    transform = getattr(getattr(detector, "frontend", None), "transform", None)
    if getattr(transform, "centre", None) is None or getattr(transform, "scale", None) is None:
        return None
    return transform


def _knows_means(detector: Detector) -> bool:
    """Whether the centre of each date's bands is their mean, not their least value or that of both dates."""
    prepare = getattr(detector, "prepare", None)
    return prepare is None or (prepare.scaling == "zscore" and prepare.statistics == "per_date")


def _factor(size: NDArray[np.float64], spread: NDArray[np.float64], *, least: float) -> float | None:
    """By what the values of nearly all bands are too large in size and in deviation, or None."""
    up = min(float(np.quantile(each, 0.02)) for each in (size, spread))
    down = max(float(np.quantile(each, 0.98)) for each in (size, spread))
    return float(np.median(size)) if up > least or down < 1 / least else None


def _offset(away: NDArray[np.float64], spread: NDArray[np.float64], scale: NDArray[np.float64]) -> float | None:
    """What has been added to all bands alike, or None."""
    offset = float(np.median(away))
    like = 0.7 < float(np.median(spread)) < 1.4
    uneven = float(np.quantile(np.abs(away - offset), 0.9))
    if len(away) < _FEWEST_BANDS or not like or uneven > _EVEN * abs(offset):
        return None
    return offset if abs(offset) > _OFFSET * float(np.median(scale)) else None
