"""What is measured on a scene without labels: once, when it is first asked for, and kept for every method.

A run measures its scene and hands the measurement to all that it fits. Nothing here depends on memory or windows:
the scene is read in blocks of rows whose size depends on its width alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hsi_cd.prepare.components import SceneComponents, make_components
from hsi_cd.prepare.data_watch import DataWatch
from hsi_cd.prepare.moments import Moments
from hsi_cd.prepare.residual_shift import WORTH_TELLING, ResidualShift, ShiftWatch
from hsi_cd.prepare.sameness import Sameness
from hsi_cd.prepare.statistics import (
    Rows,
    SceneStatistics,
    band_moments,
    percentile_limits,
    row_blocks,
    scene_statistics,
    usable_bands,
    valid_pixels,
)
from hsi_cd.prepare.transform import SceneTransform, fit_transform, standardise
from hsi_cd.prepare.windows import read_ahead
from hsi_cd.progress import progress
from hsi_cd.scene import ScenePair

log = logging.getLogger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Preparation:
    """How spectra become what a method compares.

    Attributes:
        scaling: ``zscore`` (mean 0, deviation 1) or ``minmax`` (0 to 1), band by band.
        joint: scale both dates alike, by their pooled statistics, instead of each by its own.
        clip_percent: share of pixels clipped at each end of each band before scaling, in percent.
        projection: ``mnf``, ``pca``, or ``none`` for the standardised bands.
        components: how many to keep of a projection.
        registration: measure the shift between the dates, to undo it.
        drop_constant: leave constant bands out instead of refusing the scene.
        noise: measure the sensor's noise even where no projection needs it. Without noise and projection, means
            and deviations are enough, at a fraction of the cost.
        exact: components have the same bits in every window, see
            :meth:`~hsi_cd.prepare.transform.SceneTransform.apply`. Trees and thresholds see every bit, networks
            do not.
    """

    scaling: str = "zscore"
    joint: bool = False
    clip_percent: float = 0.0
    projection: str = "none"
    components: int = 16
    registration: bool = False
    drop_constant: bool = False
    noise: bool = False
    exact: bool = True

    @property
    def needs_statistics(self) -> bool:
        """Whether more than each band's own mean and deviation must be measured."""
        return self.projection != "none" or self.registration or self.noise


class Measurement:
    """A scene as measured without labels, shared by all methods of a run.

    Nothing is read before it is asked for, and nothing twice. The first reading of the whole scene also looks how
    far the dates lie off each other, for numbers that no file declares as no data, and for bands that cost much of
    the map, and warns where that is worth telling.
    """

    def __init__(self, pair: ScenePair, *, for_network: bool = False) -> None:
        """Nothing is read yet.

        Args:
            pair: the scene.
            for_network: components will be asked for in both roundings, exact by the detector that says where a
                network has labels enough, and rounded as networks take them: one reading makes both.
        """
        self.pair, self.for_network = pair, for_network
        self._found: dict[Any, Any] = {}

    def __repr__(self) -> str:
        rows, cols = self.pair.shape
        return f"Measurement of {self.pair.name}: {rows} x {cols} pixels, {self.pair.bands.count} bands"

    def read(self, title: str, *, below: int = 0) -> Iterator[Rows]:
        """Read the whole scene once, in blocks of rows, a block ahead of the caller.

        Args:
            title: what the bar of progress calls it.
            below: further rows below each block that are read with it.

        Yields:
            The block's rows, and both dates' stored values, float32 ``(bands, block + below, cols)``.
        """
        rows = self.pair.shape[0]

        def read(block: slice) -> Rows:
            return block, self.pair.read(slice(block.start, min(block.stop + below, rows)))

        blocks = progress(list(row_blocks(*self.pair.shape)), desc=title, unit="block")
        # A reading that ends early has not seen all: the next one looks, too.
        first = "residual shift" not in self._found
        watch, data = (ShiftWatch(self.pair.shape), DataWatch(self.pair)) if first else (None, None)
        for block, values in read_ahead(map(read, blocks)):
            if watch is not None:
                watch.see(block.start, values)
            if data is not None:
                count = block.stop - block.start  # without the rows below
                data.see(block.start, (values[0][:, :count], values[1][:, :count]))
            yield block, values
        if watch is not None and data is not None and "residual shift" not in self._found:
            data.tell()
            self._found["residual shift"] = tell_shift(watch.shift())

    @property
    def residual_shift(self) -> ResidualShift | None:
        """How far the dates lie off each other, by phase correlation; None where it cannot be told."""
        if "residual shift" not in self._found:
            for _ in self.read("shift"):
                pass
        found: ResidualShift | None = self._found["residual shift"]
        return found

    def bands(self, *, drop_constant: bool = False) -> NDArray[np.intp]:
        """Indices of the bands that carry something in both dates, see :func:`usable_bands`.

        Raises:
            BandError: a band carries nothing, unless it is to be left out.
        """
        return self.once(("bands", drop_constant), lambda: usable_bands(self.pair, drop_constant=drop_constant))

    @property
    def identical(self) -> bool:
        """Whether both dates hold the same values everywhere, where that is allowed: then it takes a reading."""
        return self.pair.allow_identical and self.once("identical", self._compare)

    def _compare(self) -> bool:
        sameness = Sameness()
        for block in row_blocks(*self.pair.shape):
            sameness.see(*self.pair.read(block))
            if sameness.differ:
                break
        return sameness.identical

    def moments(self, how: Preparation) -> tuple[Moments, Moments]:
        """Mean and deviation of each band of both dates; one reading."""
        moments, _ = self._moments(how)
        return moments

    def statistics(self, how: Preparation, bands: NDArray[np.integer] | None = None) -> SceneStatistics:
        """Moments, ranges and noise of both dates; one reading, two more where values are clipped.

        Args:
            how: how spectra are prepared.
            bands: indices of the bands used; those that carry something by default.
        """
        bands = self.bands(drop_constant=how.drop_constant) if bands is None else bands
        return self.once(
            ("statistics", bands.tobytes(), how.clip_percent),
            lambda: scene_statistics(
                self.read("statistics", below=1), self.pair.shape, bands, clip=self.limits(how, bands)
            ),
        )

    def limits(self, how: Preparation, bands: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """Where values are clipped, float64 ``(2 dates, 2 ends, bands)``; None where they are not."""
        if not how.clip_percent:
            return None
        return self.once(
            ("limits", bands.tobytes(), how.clip_percent),
            lambda: percentile_limits(lambda: self.read("percentiles"), bands, percent=how.clip_percent),
        )

    def valid(self, how: Preparation) -> NDArray[np.bool_]:
        """Where both dates have data in all bands used, bool ``(rows, cols)``."""
        return self.statistics(how).valid if how.needs_statistics else self._moments(how)[1]

    def valid_spectra(self, *, drop_constant: bool = False) -> NDArray[np.bool_]:
        """The same for methods that measure nothing but validity; one reading."""
        bands = self.bands(drop_constant=drop_constant)
        return self.once(
            ("valid", bands.tobytes()), lambda: valid_pixels(self.read("validity"), self.pair.shape, bands)
        )

    def transform(self, how: Preparation) -> SceneTransform:
        """From stored values to components."""
        bands = self.bands(drop_constant=how.drop_constant)
        if not how.needs_statistics:
            return self.once(("standardise", bands.tobytes()), lambda: standardise(self.moments(how), bands))
        return fit_transform(
            self.statistics(how),
            bands,
            scaling=how.scaling,
            joint=how.joint,
            projection=how.projection,
            components=how.components,
            clip=self.limits(how, bands),
        )

    def components(self, transform: SceneTransform, *, exact: bool) -> SceneComponents:
        """The scene's components; one reading, unless the same were asked for last."""
        parts = (transform.bands, transform.weight, transform.offset, transform.clip)
        key = tuple(part.tobytes() for part in parts)
        kept: tuple[Any, dict[bool, SceneComponents]] | None = self._found.get("components")
        if kept is None or kept[0] != key or exact not in kept[1]:
            self._found.pop("components", None)  # room for one scene's components, not for two
            roundings = (True, False) if self.for_network else (exact,)
            reading = self.read("components")
            kept = key, make_components(self.pair, transform, reading, roundings=roundings)
            self._found["components"] = kept
        return kept[1][exact]

    def forget_components(self) -> None:
        """Leave the room that the components take to what comes next."""
        self._found.pop("components", None)

    def _moments(self, how: Preparation) -> tuple[tuple[Moments, Moments], NDArray[np.bool_]]:
        bands = self.bands(drop_constant=how.drop_constant)
        return self.once(
            ("moments", bands.tobytes()), lambda: band_moments(self.read("statistics"), self.pair.shape, bands)
        )

    def once(self, key: Any, find: Callable[[], Value]) -> Value:
        """What ``find`` finds, the first time that the ``key`` is asked for; what it found then, ever after."""
        if key not in self._found:
            self._found[key] = find()
        found: Value = self._found[key]
        return found


Scene = ScenePair | Measurement
"""A scene, or what has been measured on it so far."""


def measured(scene: Scene) -> Measurement:
    """The measurement of a scene; one that was begun goes on."""
    return scene if isinstance(scene, Measurement) else Measurement(scene)


def tell_shift(shift: ResidualShift | None) -> ResidualShift | None:
    """Warn of a shift that is worth telling, and hand it on."""
    if shift is not None and shift.size > WORTH_TELLING:
        log.warning(
            "t2 lies %s off t1, by phase correlation: edges will look like change; register the dates first, by "
            "register=True",
            shift.describe(),
        )
    return shift
