"""Many dates with known truth: the changes of a simulated pair, spread over the dates, some of them undone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hsi_cd.datasets.simulated import sensor
from hsi_cd.datasets.simulated.ground import Texture
from hsi_cd.datasets.simulated.simulation import SCALE, Simulation, SimulationOptions
from hsi_cd.errors import ConfigError


@dataclass(frozen=True)
class SimulatedSeries:
    """A simulated series in memory.

    Attributes:
        images: of each date uint16 ``(bands, rows, cols)``, reflectance times 10000, 1 at least.
        changed_at: uint8 ``(rows, cols)``: the interval in which a pixel changed, from 1; 0 never.
        back_at: the interval in which it came back to what it was; 0 never.
        wavelengths: float64 ``(bands,)``, band centres, nm.
    """

    images: tuple[NDArray[np.uint16], ...]
    changed_at: NDArray[np.uint8]
    back_at: NDArray[np.uint8]
    wavelengths: NDArray[np.float64]


def simulate_series(
    options: SimulationOptions | None = None, *, dates: int = 5, returning: float = 0.25
) -> SimulatedSeries:
    """Simulate many dates of one place.

    Each patch of ground that changes between the dates of :class:`Simulation` does so in an interval of its own
    here, and some come back. Each date has air, light and noise of its own, of the strengths of the options
    ``gain``, ``path_radiance``, ``drift`` and ``snr``; dates lie on one another and have no stripes.

    Args:
        options: what to simulate; the defaults if None.
        dates: how many, at least 3.
        returning: share of the patches that come back, of those that change early enough to; one at least.

    Raises:
        ConfigError: fewer dates, or a scene in which nothing changes.
    """
    options = options or SimulationOptions()
    if dates < 3:
        raise ConfigError(f"dates is {dates}: expected 3 or more, or nothing could come back")
    calm = replace(options, shift=0.0, drift=0.0, gain=0.0, path_radiance=0.0, stripes=0.0)
    scene = Simulation(replace(calm, snr=math.inf, dtype="float32"))
    changed_at, back_at = _when(scene.truth, options.seed, dates, returning)
    before, after = scene.read(1), scene.read(2)
    seeds = np.random.SeedSequence(options.seed, spawn_key=(1,)).spawn(dates)
    noise = sensor.noise_profile(scene.wavelengths) * scene.mean_reflectance / options.snr
    images = []
    for place, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        other = (changed_at > 0) & (changed_at <= place) & ~((back_at > 0) & (back_at <= place))
        light = Texture(rng, scene.wavelengths, 0.4 * options.drift)
        gain, path = sensor.gain_and_path(
            scene.wavelengths, gain=options.gain, path_radiance=options.path_radiance, rng=rng
        )
        factors = light.factors(np.arange(options.rows, dtype=float), np.arange(options.cols, dtype=float))
        ground = np.where(other, after, before) * factors.transpose(2, 0, 1)
        seen = ground * gain[:, None, None] + path[:, None, None]
        seen += noise[:, None, None] * rng.standard_normal(seen.shape)
        images.append(np.clip(np.rint(seen * SCALE), 1, 65535).astype(np.uint16))
    return SimulatedSeries(tuple(images), changed_at, back_at, scene.wavelengths)


def _when(
    truth: NDArray[np.uint8], seed: int, dates: int, returning: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """In which interval each patch of a truth map changes, and comes back."""
    patches, count = ndimage.label(truth)
    if count == 0:
        raise ConfigError("nothing changes in the scene: a series needs patches that do; raise changed")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    sizes = np.bincount(patches.ravel(), minlength=count + 1)[1:]
    at, back = np.zeros(count + 1, np.uint8), np.zeros(count + 1, np.uint8)
    # The largest patches in turn, so that every interval has some of them.
    at[1 + np.argsort(-sizes, kind="stable")] = 1 + np.arange(count) % (dates - 1)
    early = 1 + np.flatnonzero(at[1:] < dates - 1)
    chosen = rng.permutation(early)[: max(1, round(returning * len(early)))]
    for patch in chosen:
        back[patch] = rng.integers(int(at[patch]) + 1, dates)
    return at[patches], back[patches]
