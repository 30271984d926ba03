"""A scene pair with known truth, from formulas alone: nothing to download, everything to measure.

How the two dates differ, in the order in which it happens:

1. what changed has another material (:mod:`hsi_cd.datasets.simulated.landscape`); this, and only this, is the
   truth;
2. what did not change has drifted: each material along a smooth curve of its own (season, moisture), each parcel a
   little more or less than its neighbour, and the light a little from place to place;
3. date 2 is seen through other air (gain and path radiance), by a sensor that stands a fraction of a pixel aside;
4. both dates have stripes and noise of their own.

Everything that is random comes from a seed of its own, spawned from the scene's: turning one strength up or down
leaves all else, and the truth before all, as it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hsi_cd.datasets.simulated import sensor
from hsi_cd.datasets.simulated.ground import Texture, segment_spectra
from hsi_cd.datasets.simulated.landscape import MARGIN, SUBPIXELS, make_landscape
from hsi_cd.datasets.simulated.materials import MATERIALS_RANGE, make_materials
from hsi_cd.errors import ConfigError

SCALE = 10000
"""Stored number of a reflectance of 1, where whole numbers are stored."""

CHUNK = 32
"""Rows that are made together. Chunks start at multiples of it, so no pixel depends on how many rows are asked."""

Floats = NDArray[np.float64]

_LIMITS: dict[str, tuple[float, float]] = {
    "rows": (8, 100_000),
    "cols": (8, 100_000),
    "bands": (4, 1000),
    "materials": MATERIALS_RANGE,
    "seed": (0, 2**63 - 1),
    "changed": (0.0, 0.8),
    "snr": (1.0, math.inf),
    "shift": (0.0, 2.0),
    "drift": (0.0, 0.5),
    "gain": (0.0, 0.3),
    "path_radiance": (0.0, 0.3),
    "stripes": (0.0, 0.5),
    "mixing": (0.0, 1.0),
    "variability": (0.0, 0.3),
}
_WHOLE = ("rows", "cols", "bands", "materials", "seed")


@dataclass(frozen=True)
class SimulationOptions:
    """What to simulate. Every strength at 0 (``snr`` at infinity) takes its effect away altogether.

    Attributes:
        rows: rows of the scene, at least 8.
        cols: columns of the scene, at least 8.
        bands: bands, evenly spaced over 400-2500 nm, at least 4.
        materials: number of ground materials, 4-32.
        seed: the same seed and options give the same bytes.
        changed: share of the pixels that change, 0-0.8.
        snr: signal to noise as a plain ratio (not dB): the scene's mean reflectance over the root mean square
            noise of all bands. Infinity for no noise.
        shift: by how much date 2 is displaced, pixels, in a direction drawn from the seed; 0-2.
        drift: relative change of materials that did not change, 0-0.5.
        gain: standard deviation of the second date's gain over wavelength, 0-0.3.
        path_radiance: the second date's path radiance at 400 nm, as reflectance, 0-0.3.
        stripes: standard deviation of the column offsets, as a share of the mean reflectance; a few bands have
            five times as much; 0-0.5.
        mixing: standard deviation of the sensor's blur, pixels, on top of the pixel's own square; 0-1. At 0 the
            ground is made of whole pixels of one material, and nothing is mixed but by the shift.
        variability: relative differences within one material, from parcel to parcel and inside them, 0-0.3.
        dtype: ``uint16`` for reflectance times 10000, 1 at least; ``float32`` for reflectance.

    Raises:
        ConfigError: a value is out of its range; the message names both.
    """

    rows: int = 200
    cols: int = 200
    bands: int = 120
    materials: int = 8
    seed: int = 0
    changed: float = 0.2
    snr: float = 30.0
    shift: float = 0.35
    drift: float = 0.1
    gain: float = 0.08
    path_radiance: float = 0.04
    stripes: float = 0.02
    mixing: float = 0.3
    variability: float = 0.06
    dtype: Literal["uint16", "float32"] = "uint16"

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in _LIMITS:
                _check(field.name, getattr(self, field.name))
        if self.dtype not in ("uint16", "float32"):
            raise ConfigError(f"dtype is {self.dtype!r}: expected uint16 or float32")


@dataclass(frozen=True)
class SimulatedPair:
    """A simulated scene in memory.

    Attributes:
        t1: ``(bands, rows, cols)``, the earlier date; uint16 or float32 as the options say.
        t2: the later date, the same shape and dtype.
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed.
        wavelengths: float64 ``(bands,)``, band centres, nm.
        shift: by how many (rows, cols) date 2 looks further down and right than date 1, pixels.
        options: what was asked.
    """

    t1: NDArray[np.uint16] | NDArray[np.float32]
    t2: NDArray[np.uint16] | NDArray[np.float32]
    truth: NDArray[np.uint8]
    wavelengths: Floats
    shift: tuple[float, float]
    options: SimulationOptions


def simulate_pair(options: SimulationOptions | None = None) -> SimulatedPair:
    """Simulate a scene in memory.

    Args:
        options: what to simulate; the defaults if None.

    Returns:
        Both dates and the truth. The same options give the same bytes.
    """
    scene = Simulation(options or SimulationOptions())
    t1, t2 = (np.concatenate([rows for _, rows in scene.chunks(date)], axis=1) for date in (1, 2))
    return SimulatedPair(t1, t2, scene.truth, scene.wavelengths, scene.shift, scene.options)


def _check(name: str, value: object) -> None:
    """Refuse a value that is no number, or out of its range."""
    low, high = _LIMITS[name]
    whole = name in _WHOLE
    kind = "a whole number" if whole else "a number"
    allowed = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    right_kind = isinstance(value, allowed) and not isinstance(value, bool)
    # NaN fails the comparison too.
    if not right_kind or not low <= value <= high:  # type: ignore[operator]
        upper = f"{int(high)}" if whole else f"{high:g}"
        raise ConfigError(f"{name} is {value!r}: expected {kind} from {low:g} to {upper}")


class Simulation:
    """A simulated scene whose pixels are made when they are asked for.

    Only the maps of the ground (about 80 bytes a pixel, whatever the number of bands) are held; spectra are made
    by chunks of rows. The result does not depend on which rows are asked, or in which order.

    Attributes:
        options: what was asked.
        wavelengths: float64 ``(bands,)``, band centres, nm.
        materials: the materials on the ground.
        truth: uint8 ``(rows, cols)``: 0 unchanged, 1 changed.
        shift: by how many (rows, cols) date 2 looks further down and right than date 1, pixels.
        mean_reflectance: of the ground at date 1, over all bands; what ``snr`` and ``stripes`` refer to.
    """

    def __init__(self, options: SimulationOptions) -> None:
        """Draw the ground; no pixel is made yet."""
        self.options = options
        self.wavelengths = sensor.band_centres(options.bands)
        seeds = np.random.SeedSequence(options.seed).spawn(9)
        material_seed, layout_seed, change_seed, variety_seed, drift_seed, air_seed = seeds[:6]
        shift_seed, stripe_seed, self._noise_seed = seeds[6:]
        self.materials = make_materials(
            options.materials, wavelengths=self.wavelengths, rng=np.random.default_rng(material_seed)
        )
        ground = make_landscape(
            (options.rows, options.cols),
            materials=self.materials,
            changed=options.changed,
            layout_seed=layout_seed,
            change_seed=change_seed,
            pure=options.mixing == 0,
        )
        self.truth = ground.truth
        variety_seed, texture_seed = variety_seed.spawn(2)
        drift_seed, light_seed = drift_seed.spawn(2)
        library = segment_spectra(
            ground.material,
            self.materials,
            variability=options.variability,
            drift=options.drift,
            variety_seed=variety_seed,
            drift_seed=drift_seed,
        )
        areas = np.bincount(ground.before.ravel(), minlength=len(ground.material))
        self.mean_reflectance = float(np.average(library[0].mean(axis=1, dtype=np.float64), weights=areas))
        self._segments = (ground.before, ground.after)
        self._library = library
        self._texture = Texture(np.random.default_rng(texture_seed), self.wavelengths, 0.5 * options.variability)
        self._light = Texture(np.random.default_rng(light_seed), self.wavelengths, 0.4 * options.drift)
        gain, path = sensor.gain_and_path(
            self.wavelengths,
            gain=options.gain,
            path_radiance=options.path_radiance,
            rng=np.random.default_rng(air_seed),
        )
        self._air = gain.astype(np.float32), path.astype(np.float32)
        direction = np.random.default_rng(shift_seed).uniform(0, 2 * np.pi)
        self.shift = options.shift * math.sin(direction), options.shift * math.cos(direction)
        rng = np.random.default_rng(stripe_seed)
        strength = np.float32(options.stripes * self.mean_reflectance)
        self._stripes = [strength * sensor.stripe_offsets(options.bands, options.cols, rng) for _ in (1, 2)]
        noise = sensor.noise_profile(self.wavelengths) * self.mean_reflectance / options.snr
        self._noise = noise.astype(np.float32)[:, None]

    def read(self, date: Literal[1, 2], rows: slice | None = None) -> NDArray[np.uint16] | NDArray[np.float32]:
        """Some rows of a date, ``(bands, rows, cols)`` in the dtype of the options; all rows by default."""
        start, stop, _ = (rows or slice(None)).indices(self.options.rows)
        if start >= stop:
            return np.zeros((self.options.bands, 0, self.options.cols), dtype=self.options.dtype)
        first = start - start % CHUNK
        made = np.concatenate([self._chunk(date, row) for row in range(first, stop, CHUNK)], axis=1)
        return made[:, start - first : stop - first]

    def chunks(self, date: Literal[1, 2]) -> Iterator[tuple[int, NDArray[np.uint16] | NDArray[np.float32]]]:
        """All rows of a date from top to bottom: the first row of each chunk, and ``(bands, rows, cols)``."""
        for row in range(0, self.options.rows, CHUNK):
            yield row, self._chunk(date, row)

    def _chunk(self, date: Literal[1, 2], start: int) -> NDArray[np.uint16] | NDArray[np.float32]:
        """The chunk of rows that begins at ``start``."""
        options = self.options
        rows = min(CHUNK, options.rows - start)
        shift = self.shift if date == 2 else (0.0, 0.0)
        seen = self._ground(date, start, rows, shift)
        y = np.arange(start, start + rows, dtype=np.float64) + shift[0]
        x = np.arange(options.cols, dtype=np.float64) + shift[1]
        seen *= self._texture.factors(y, x)
        if date == 2:
            seen *= self._light.factors(y, x)
            gain, path = self._air
            seen = seen * gain + path
        values = np.ascontiguousarray(seen.transpose(2, 0, 1))
        values += self._stripes[date - 1][:, None, :]
        if math.isfinite(options.snr):
            for i in range(rows):
                # A seed for every row and date: any row can be made alone.
                key = (*self._noise_seed.spawn_key, date, start + i)
                rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=key))
                values[:, i] += self._noise * rng.standard_normal((options.bands, options.cols), dtype=np.float32)
        if options.dtype == "float32":
            return values
        values *= SCALE
        # 0 means "no data" in the files, so the darkest pixel is 1.
        return np.clip(np.rint(values, out=values), 1, 65535, out=values).astype(np.uint16)

    def _ground(
        self, date: Literal[1, 2], start: int, rows: int, shift: tuple[float, float]
    ) -> NDArray[np.float32]:
        """Reflectance that reaches the pixels of some rows, mixed by the blur: ``(rows, cols, bands)``."""
        segments, library = self._segments[date - 1], self._library[date - 1]
        sigma = self.options.mixing
        (top, down), (left, across) = (sensor.blur_weights(shift=s, sigma=sigma) for s in shift)
        row0 = (start + MARGIN) * SUBPIXELS + top
        col0 = MARGIN * SUBPIXELS + left
        part = segments[row0 : row0 + (rows - 1) * SUBPIXELS + down.size, col0:]
        part = part[:, : (self.options.cols - 1) * SUBPIXELS + across.size]
        windows = np.lib.stride_tricks.sliding_window_view(part, (down.size, across.size))[
            ::SUBPIXELS, ::SUBPIXELS
        ]
        middle = windows[:, :, 0, 0]
        seen = library[middle]
        mixed = np.any(windows != middle[:, :, None, None], axis=(2, 3))
        taps = windows[mixed].reshape(-1, down.size * across.size)
        weights = np.tile(np.outer(down, across).astype(np.float32).ravel(), len(taps))
        pointers = np.arange(len(taps) + 1) * (down.size * across.size)
        shares = csr_array((weights, taps.ravel(), pointers), shape=(len(taps), len(library)))
        shares.sum_duplicates()
        seen[mixed] = shares @ library
        return seen
