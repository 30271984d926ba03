"""What the methods that are no network share: components of both dates, registered, smoothed, and streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from hsi_cd.detectors.context import joint_bilateral
from hsi_cd.errors import CheckpointError, ConfigError, unknown_name
from hsi_cd.prepare.registration import measure_shift, shift_radius, undo_shift
from hsi_cd.prepare.statistics import band_moments, cache_blocks, row_blocks, scene_statistics, usable_bands
from hsi_cd.prepare.transform import SceneTransform, fit_transform, standardise
from hsi_cd.prepare.windows import read_window
from hsi_cd.scene import Bands, ScenePair

_CACHE_BYTES = 256 << 20  # spectra kept between the passes over a scene; a larger scene is read again each time
_SHIFT_SIDE = 2048  # pixels: the shift is measured on the middle of a larger scene
_TRANSFORM = ("bands", "weight", "offset", "clip", "noise")


def choose_options(
    options: Mapping[str, Any] | None, defaults: Mapping[str, Any], *, method: str
) -> dict[str, Any]:
    """A method's ``defaults`` with the ``options`` that a user gave.

    Raises:
        UnknownNameError: there is no such option.
        ConfigError: an option has a value of another type than its default.
    """
    chosen = dict(defaults)
    for name, value in (options or {}).items():
        if name not in defaults:
            raise unknown_name(f"option of {method}", name, defaults)
        expected = type(defaults[name])
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not expected:
            raise ConfigError(
                f"option {name} of {method} is {value!r}: expected {expected.__name__}, as {defaults[name]!r}"
            )
        chosen[name] = value
    return chosen


def diagonal_of(matrix: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """The diagonal of a matrix that is nothing else, or None: to scale costs far less than a product.

    Args:
        matrix: ``(n, m)``.

    Returns:
        float32 ``(n,)``, or None.
    """
    diagonal = np.diagonal(matrix)
    alone = matrix.shape[0] == matrix.shape[1] and np.count_nonzero(matrix) == np.count_nonzero(diagonal)
    return diagonal.astype(np.float32) if alone else None


@dataclass(frozen=True)
class Frontend:
    """From stored values of a window to the components that a method compares: frozen, saved with the detector.

    Attributes:
        bands: the bands it was fitted on.
        transform: from stored values to components, each date by its own statistics.
        shift: sub-pixel shift of date 2 that is undone, ``(down, right)``.
        reach: half the window of the edge-preserving smoothing; 0 for none.
        tolerance: range of the smoothing, in noise deviations.
    """

    bands: Bands
    transform: SceneTransform
    shift: tuple[float, float] = (0.0, 0.0)
    reach: int = 0
    tolerance: float = 3.0

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its components depend on."""
        return self.reach + shift_radius(self.shift)

    def apply(
        self, t1: NDArray[np.float32], t2: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Components of both dates of a mirror-padded window.

        Args:
            t1: stored values, float32 ``(bands, h + 2 radius, w + 2 radius)``, NaN for no data.
            t2: the later date, the same shape.

        Returns:
            float32 ``(components, h, w)`` of both dates, for the caller to write in; NaN in all components of both
            where either has no data.
        """
        s = shift_radius(self.shift)
        first = self._project(t1, 0)[:, s : t1.shape[1] - s, s : t1.shape[2] - s]
        second = undo_shift(self._project(t2, 1), self.shift, radius=s)
        lost = ~np.isfinite(first.sum(axis=0) + second.sum(axis=0))
        if lost.any():
            first, second = (np.where(lost, np.float32(np.nan), x) for x in (first, second))
        if self.reach:
            noise = self.transform.noise
            return joint_bilateral(first, second, noise, reach=self.reach, tolerance=self.tolerance)
        return first, second

    def _project(self, values: NDArray[np.float32], date: int) -> NDArray[np.float32]:
        """The transform, rounded to the same float32 in every window.

        Sums over bands need double precision for it. Scaling does not: centred first, no digit is lost.
        """
        t = self.transform
        flat = (values if len(t.bands) == len(values) else values[t.bands]).reshape(len(t.bands), -1)
        if np.isfinite(t.clip[date]).any():
            flat = np.clip(flat, t.clip[date, 0][:, None], t.clip[date, 1][:, None])
        scaling = self._scaling[date]
        if scaling is not None:
            flat = flat + scaling[0][:, None]
            flat *= scaling[1][:, None]
        else:
            exact = t.weight[date].astype(np.float64) @ flat
            flat = (exact + t.offset[date][:, None]).astype(np.float32)
        components: NDArray[np.float32] = flat.reshape(-1, *values.shape[1:])
        return components

    @cached_property
    def _scaling(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]] | None]:
        """What each date's bands are to be added and then multiplied by, if the transform does no more."""
        found: list[tuple[NDArray[np.float32], NDArray[np.float32]] | None] = []
        for weight, offset in zip(self.transform.weight, self.transform.offset, strict=True):
            scale = diagonal_of(weight)
            found.append(None if scale is None or not scale.all() else (offset / scale, scale))
        return found

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`frontend_from_state` builds it again."""
        return {
            "bands": {
                "count": self.bands.count,
                "centres": list(self.bands.centres),
                "fwhm": list(self.bands.fwhm),
                "names": list(self.bands.names),
            },
            "transform": {name: torch.from_numpy(getattr(self.transform, name)) for name in _TRANSFORM},
            "shift": list(self.shift),
            "reach": self.reach,
            "tolerance": self.tolerance,
        }


def fit_frontend(
    pair: ScenePair,
    *,
    projection: str = "none",
    components: int = 16,
    registration: bool = False,
    reach: int = 0,
    tolerance: float = 3.0,
    drop_constant: bool = False,
) -> Frontend:
    """Measure a scene, without labels, in a few streaming passes.

    Args:
        pair: the scene.
        projection: ``none`` (standardised bands), ``pca`` or ``mnf``, fitted on both dates together.
        components: how many to keep of a projection.
        registration: measure the shift between the dates, and undo it.
        reach: half the window of the edge-preserving smoothing; 0 for none.
        tolerance: range of the smoothing, in noise deviations.
        drop_constant: leave constant bands out instead of refusing the scene.

    Raises:
        BandError: bands without data or without variation, or no pixel with data in both dates.
    """
    used = usable_bands(pair, drop_constant=drop_constant)
    if projection == "none" and not registration and not reach:
        return Frontend(pair.bands, standardise(band_moments(pair, used), used))
    statistics = scene_statistics(pair, used)
    with threadpool_limits(1, user_api="blas"):
        transform = fit_transform(
            statistics, used, scaling="zscore", joint=False, projection=projection, components=components
        )
        bands = pair.bands
        shift = _measure(Frontend(bands, transform), pair) if registration else (0.0, 0.0)
    return Frontend(bands, transform, shift, reach, tolerance)


def _measure(frontend: Frontend, pair: ScenePair) -> tuple[float, float]:
    """The shift between the dates, from at most the middle 2048 x 2048 pixels, to bound memory."""
    starts = [max(0, (length - _SHIFT_SIDE) // 2) for length in pair.shape]
    top, left = starts
    height, width = (min(length, _SHIFT_SIDE) for length in pair.shape)
    parts = []
    for block in row_blocks(height, width):
        window = slice(top + block.start, top + block.stop)
        parts.append(frontend.apply(*pair.read(window, slice(left, left + width))))
    first, second = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    return measure_shift(first, second, frontend.transform.noise)


def frontend_from_state(state: Mapping[str, Any]) -> Frontend:
    """The frontend that :meth:`Frontend.state` described.

    Raises:
        CheckpointError: parts are missing or do not fit together.
    """
    try:
        bands = Bands(
            count=state["bands"]["count"],
            **{name: tuple(state["bands"][name]) for name in ("centres", "fwhm", "names")},
        )
        transform = SceneTransform(**{name: state["transform"][name].numpy() for name in _TRANSFORM})
        down, right = state["shift"]
        return Frontend(bands, transform, (down, right), int(state["reach"]), float(state["tolerance"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the checkpoint's detector cannot be rebuilt ({error}): fit it again") from error


class JointSpectra:
    """Both dates' components of all valid pixels, as often as they are asked for.

    In blocks of as many pixels as the processor's cache holds, so that what is done to them costs little. A scene
    that fits into 256 MiB is kept from the first pass on; a larger one is read anew in each.
    """

    def __init__(self, frontend: Frontend, pair: ScenePair) -> None:
        """Nothing is read yet."""
        self.components = frontend.transform.components
        self.pixels = pair.shape[0] * pair.shape[1]  # valid or not
        self._frontend, self._pair = frontend, pair
        size = 2 * self.components * self.pixels * 4
        self._kept: list[NDArray[np.float32]] | None = [] if size <= _CACHE_BYTES else None
        self._complete = False

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        """Yield float64 ``(2 components, pixels)``: date 1's components, then date 2's."""
        if self._kept is not None and self._complete:
            for values in self._kept:
                yield values.astype(np.float64)
            return
        kept: list[NDArray[np.float32]] = []
        for values in self._read():
            if self._kept is not None:
                kept.append(values)
            yield values.astype(np.float64)
        if self._kept is not None:
            self._kept, self._complete = kept, True

    def _read(self) -> Iterator[NDArray[np.float32]]:
        rows, cols = self._pair.shape
        for block in tqdm(list(row_blocks(rows, cols)), desc="spectra", leave=False, disable=None):
            t1, t2 = read_window(self._pair, block, slice(0, cols), radius=self._frontend.radius)
            if self._frontend.radius == 0:
                flat = t1.reshape(len(t1), 1, -1), t2.reshape(len(t2), 1, -1)
                for part in cache_blocks(flat[0].shape[2]):
                    yield _known(*self._frontend.apply(flat[0][:, :, part], flat[1][:, :, part]))
            else:  # with surroundings, smaller windows would do much twice
                known = _known(*self._frontend.apply(t1, t2))
                yield from (known[:, part] for part in cache_blocks(known.shape[1]))


def _known(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Both dates' components of the pixels that have any, ``(2 components, pixels)``."""
    values = np.concatenate([first, second]).reshape(len(first) + len(second), -1)
    known = np.isfinite(values[0])
    return values if known.all() else values[:, known]
