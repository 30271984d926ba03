"""What a classifier sees of a pixel: features of both dates' components in its surroundings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsi_cd.detectors.context import local_median
from hsi_cd.detectors.frontend import Frontend, frontend_from_state
from hsi_cd.detectors.method_options import FEATURES
from hsi_cd.detectors.states import whole
from hsi_cd.errors import LabelError
from hsi_cd.prepare.measurement import Measurement
from hsi_cd.prepare.statistics import row_blocks
from hsi_cd.prepare.windows import Dates
from hsi_cd.progress import progress


@dataclass(frozen=True)
class PixelFeatures:
    """From stored values to features.

    Attributes:
        frontend: from stored values to components.
        features: a name of :data:`~hsi_cd.detectors.method_options.FEATURES`.
        median: half the window of the median context; 0 for none.
    """

    frontend: Frontend
    features: str
    median: int

    @property
    def radius(self) -> int:
        """Rows and columns around a pixel that its features depend on."""
        return self.frontend.radius + self.median

    @property
    def count(self) -> int:
        """Number of features of a pixel."""
        components = self.frontend.transform.components
        return {"difference": components, "stacked": 2 * components}.get(self.features, 3 * components)

    def describe(self, t1: NDArray[np.float32], t2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of a mirror-padded window, float32 ``(features, h, w)``, NaN for no data."""
        return self.describe_components(*self.frontend.project(t1, t2))

    def describe_components(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of components that the front end has projected."""
        first, second = self.frontend.finish(first, second)
        if self.median:
            first, second = (local_median(x, self.median) for x in (first, second))
        if self.features == "difference":
            return second - first
        if self.features == "stacked":
            return np.concatenate([first, second])
        return np.concatenate([first, second, np.abs(second - first)])

    def told(
        self, say: Callable[[NDArray[np.float32]], NDArray[Any]], count: int, dates: Dates
    ) -> NDArray[np.float32]:
        """What a classifier says of a mirror-padded window.

        Args:
            say: from features ``(n, features)`` to what is said of each pixel, ``(n, count)``.
            count: how many numbers that are.
            dates: stored values of both, each ``(bands, h + 2 radius, w + 2 radius)``.

        Returns:
            float32 ``(count, h, w)``, NaN where either date has no data.
        """
        features = self.describe(*dates)
        flat = features.reshape(len(features), -1).T
        known = np.isfinite(flat).all(axis=1)
        found = np.full((count, len(flat)), np.nan, dtype=np.float32)
        if known.any():
            found[:, known] = say(np.ascontiguousarray(flat[known])).T
        return found.reshape(count, *features.shape[1:])

    def of_pixels(self, measurement: Measurement, pixels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of single pixels, ``(n, features)``, in their own order; NaN for no data.

        Raises:
            LabelError: none lies inside the scene.
        """
        rows, cols = measurement.pair.shape
        out: NDArray[np.float32] | None = None
        components = self.frontend.of_scene(measurement)
        for block in progress(list(row_blocks(rows, cols)), desc="features", unit="block"):
            inside = np.flatnonzero((pixels >= block.start * cols) & (pixels < block.stop * cols))
            if inside.size == 0:
                continue
            features = self.describe_components(*components.window(block, slice(0, cols), radius=self.radius))
            components.let_go()
            if out is None:
                out = np.full((len(pixels), len(features)), np.nan, dtype=np.float32)
            out[inside] = features.reshape(len(features), -1)[:, pixels[inside] - block.start * cols].T
        if out is None:
            raise LabelError("no training pixel lies inside the scene: give pixel indices of this scene")
        return out

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which :func:`features_from_state` builds them again."""
        return {"frontend": self.frontend.state(), "features": self.features, "median": self.median}


def features_from_state(state: Mapping[str, Any]) -> PixelFeatures:
    """The features that :meth:`PixelFeatures.state` described.

    Raises:
        CheckpointError, KeyError, TypeError, ValueError: they do not make sense.
    """
    frontend, median = frontend_from_state(state["frontend"]), whole(state["median"], "median", least=0)
    if state["features"] not in FEATURES:
        raise ValueError(f"features {state['features']!r}")
    return PixelFeatures(frontend, state["features"], median)
