"""The front end of every method: from stored values to registered, smoothed components of both dates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hsi_cd.detectors.context import joint_bilateral
from hsi_cd.detectors.method_options import LARGEST_REACH
from hsi_cd.detectors.states import bands_from_state, bands_state, rebuilding, whole
from hsi_cd.prepare.components import SceneComponents
from hsi_cd.prepare.measurement import Measurement, Preparation
from hsi_cd.prepare.registration import LARGEST_SHIFT, shift_radius, undo_shift
from hsi_cd.prepare.single_threaded import single_threaded
from hsi_cd.prepare.transform import SceneTransform, fit_transforms
from hsi_cd.prepare.windows import Dates
from hsi_cd.scene import Bands


@dataclass(frozen=True)
class Frontend:
    """From stored values of a window to the components that a method compares: frozen, saved with the detector.

    Attributes:
        bands: the bands it was fitted on.
        transform: from stored values to components, each date by its own statistics.
        shift: sub-pixel shift of date 2 that is undone, ``(down, right)``.
        reach: half the window of the edge-preserving smoothing; 0 for none.
        tolerance: range of the smoothing, in noise deviations.
        exact: whether components have the same bits in every window, see
            :meth:`~hsi_cd.prepare.transform.SceneTransform.apply`.
    """

    bands: Bands
    transform: SceneTransform
    shift: tuple[float, float] = (0.0, 0.0)
    reach: int = 0
    tolerance: float = 3.0
    exact: bool = True

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its components depend on."""
        return self.reach + shift_radius(self.shift)

    @property
    def plain(self) -> bool:
        """Whether it does no more than scale bands: to read a scene again then costs no more than to keep it."""
        return self.radius == 0 and self.exact and self.transform.scales_only

    def apply(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> Dates:
        """Components of both dates of a mirror-padded window.

        Args:
            t1: stored values, float32 ``(bands, h + 2 radius, w + 2 radius)``, NaN for no data.
            t2: the later date, the same shape.

        Returns:
            float32 ``(components, h, w)`` of both dates; NaN in all components of both where either has no data.
        """
        return self.finish(*self.project(t1, t2))

    def project(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> Dates:
        """The first half of :meth:`apply`, pixel by pixel: components before the shift is undone."""
        apply, exact = self.transform.apply, self.exact
        return apply(t1, date=0, exact=exact), apply(t2, date=1, exact=exact)

    def finish(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> Dates:
        """The second half of :meth:`apply`: the shift undone, gaps shared by both dates, smoothed within edges.

        Args:
            first: components of the earlier date, ``(components, h + 2 radius, w + 2 radius)``; they are not
                written in.
            second: those of the later date.
        """
        s = shift_radius(self.shift)
        first = first[:, s : first.shape[1] - s, s : first.shape[2] - s]
        second = undo_shift(second, self.shift, radius=s)
        lost = ~np.isfinite(first.sum(axis=0) + second.sum(axis=0))
        if lost.any():
            first, second = (np.where(lost, np.float32(np.nan), x) for x in (first, second))
        if self.reach:
            noise = self.transform.noise
            return joint_bilateral(first, second, noise, reach=self.reach, tolerance=self.tolerance)
        return first, second

    def of_scene(self, measurement: Measurement) -> SceneComponents:
        """What :meth:`project` gives of a whole scene; read once, and kept by the measurement."""
        return measurement.components(self.transform, exact=self.exact)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`frontend_from_state` builds it again."""
        return {
            "bands": bands_state(self.bands),
            "transform": {
                name: torch.from_numpy(value)
                for name, value in vars(self.transform).items()
                if isinstance(value, np.ndarray)
            },
            "shift": list(self.shift),
            "reach": self.reach,
            "tolerance": self.tolerance,
        }


def fit_frontend(
    measurement: Measurement, how: Preparation, *, reach: int = 0, tolerance: float = 3.0
) -> Frontend:
    """The front end that a scene's measurement and the options decide. No labels are read.

    Args:
        measurement: of the scene.
        how: how spectra become components.
        reach: half the window of the edge-preserving smoothing; 0 for none.
        tolerance: range of the smoothing, in noise deviations.

    Raises:
        BandError: bands without data or without variation, or no pixel with data in both dates.
    """
    # One thread: see prepare/statistics.py.
    with single_threaded("blas"):
        transform = measurement.transform(how)
    frontend = Frontend(measurement.pair.bands, transform, (0.0, 0.0), reach, tolerance, how.exact)
    if not how.registration:
        return frontend
    with single_threaded("blas"):
        return registered(frontend, measurement)


def fit_frontends(measurements: Sequence[Measurement], how: Preparation) -> list[Frontend]:
    """The front ends of several scenes: statistics and shift of each scene's own, one projection for all.

    Args:
        measurements: of the scenes, which have the same bands.
        how: how spectra become components; bands that are constant in one of the scenes are dropped in all, where
            they are to be dropped.

    Raises:
        BandError: a scene has bands without data or without variation, or no pixel with data in both dates.
    """
    with single_threaded("blas"):
        used = [measurement.bands(drop_constant=how.drop_constant) for measurement in measurements]
        bands = reduce(lambda kept, own: np.intersect1d(kept, own, assume_unique=True), used)
        transforms = fit_transforms(
            [measurement.statistics(how, bands) for measurement in measurements],
            bands,
            scaling=how.scaling,
            joint=how.joint,
            projection=how.projection,
            components=how.components,
            clips=[measurement.limits(how, bands) for measurement in measurements],
        )
        found = [
            Frontend(measurement.pair.bands, transform, exact=how.exact)
            for measurement, transform in zip(measurements, transforms, strict=True)
        ]
        if not how.registration:
            return found
        for number, measurement in enumerate(measurements):
            found[number] = registered(found[number], measurement)
            measurement.forget_components()  # there is room for those of one scene
        return found


def registered(frontend: Frontend, measurement: Measurement) -> Frontend:
    """The front end with the shift of date 2 as it is in this scene."""
    return replace(frontend, shift=frontend.of_scene(measurement).shift())


def frontend_from_state(state: Mapping[str, Any], *, exact: bool = True) -> Frontend:
    """The front end that :meth:`Frontend.state` described.

    Args:
        state: what it gave.
        exact: see :class:`Frontend`.

    Raises:
        CheckpointError: parts are missing, do not fit together, or hold what no scene gives.
    """
    with rebuilding("front end"):
        bands = bands_from_state(state["bands"])
        transform = _checked_transform(state["transform"], bands)
        down, right = (float(s) for s in state["shift"])
        if not (abs(down) <= LARGEST_SHIFT and abs(right) <= LARGEST_SHIFT):
            raise ValueError(f"a shift of {down:g}, {right:g} pixels, beyond {LARGEST_SHIFT:g}")
        reach = whole(state["reach"], "reach", least=0)
        tolerance = float(state["tolerance"])
        if reach > LARGEST_REACH or not 0 < tolerance < math.inf:
            raise ValueError(f"a smoothing of reach {reach} and tolerance {tolerance:g}")
        if reach and not np.isfinite(transform.noise).all():
            raise ValueError("a smoothing without the noise that it needs")
        return Frontend(bands, transform, (down, right), reach, tolerance, exact)


def _checked_transform(state: Mapping[str, Any], bands: Bands) -> SceneTransform:
    """The transform of a checkpoint.

    Raises:
        ValueError: its parts do not fit together.
    """
    arrays = {name: value.numpy() for name, value in state.items()}
    transform = SceneTransform(**arrays)
    components, used = len(transform.noise), transform.bands
    shapes = {
        "bands": (len(used),),
        "weight": (2, components, len(used)),
        "offset": (2, components),
        "clip": (2, 2, len(used)),
        "noise": (components,),
    }
    shapes |= {name: (2, len(used)) for name in ("centre", "scale") if getattr(transform, name) is not None}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"transform.{name} has shape {arrays[name].shape}, not {shape}")
        floating = np.float64 if name in ("centre", "scale") else np.float32
        if arrays[name].dtype != (np.int64 if name == "bands" else floating):
            raise ValueError(f"transform.{name} holds {arrays[name].dtype}")
        if name not in ("bands", "clip", "noise") and not np.isfinite(arrays[name]).all():
            raise ValueError(f"transform.{name} holds what is no finite number")
    if not components or not len(used):
        raise ValueError("the transform has no component")
    if not ((used >= 0) & (used < bands.count)).all() or not (np.diff(used) > 0).all():
        raise ValueError(f"transform.bands are not ascending indices of {bands.count} bands")
    low, high = transform.clip[:, 0], transform.clip[:, 1]
    if not ((low <= high) & (low < np.inf) & (high > -np.inf)).all():
        raise ValueError("transform.clip does not go from low to high")
    if transform.scale is not None and not (transform.scale > 0).all():
        raise ValueError("transform.scale is not positive")
    noise = transform.noise  # without a projection it may not have been measured
    if not np.isnan(noise).all() and not (np.isfinite(noise).all() and (noise >= 0).all()):
        raise ValueError("transform.noise holds what is no deviation")
    return transform
