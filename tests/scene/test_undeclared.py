"""A number that fills a border, of which the file says nothing, is found; numbers that were measured are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hsi_cd.scene import Cube, cube_from_array
from hsi_cd.scene.undeclared import Fill, FillWatch, number

ROWS, COLS, BANDS = 48, 40, 6


def ground(bands: int = BANDS, scale: float = 1.0) -> np.ndarray:
    """Fields of five materials and noise, 800 to 3300 times ``scale``."""
    draw = np.random.default_rng(0)
    fields = np.kron(draw.integers(0, 5, (ROWS // 8, COLS // 8)), np.ones((8, 8), int))
    spectra = 850 + 2400 * draw.random((5, bands))
    return scale * (spectra[fields].transpose(2, 0, 1) + draw.normal(0, 15, (bands, ROWS, COLS)))


def found(cube: Cube) -> Fill | None:
    watch = FillWatch(cube)
    for row in range(0, ROWS, 20):
        for cols in (slice(0, 23), slice(23, COLS)):
            watch.see(cube.read(slice(row, min(row + 20, ROWS)), cols), row, cols.start)
    return watch.fill()


LEFT = np.arange(COLS) < 12
SHAPES = {
    "left": np.broadcast_to(LEFT, (ROWS, COLS)),
    "turned": np.add.outer(np.arange(ROWS), np.arange(COLS)) < 20,
    "a column": np.broadcast_to(np.arange(COLS) == COLS - 1, (ROWS, COLS)),
}


@pytest.mark.parametrize(
    ("value", "dtype", "scale"),
    [
        (-9999, "int16", 1),
        (-32768, "int16", 1),
        (-50, "int16", 1),
        (1, "uint16", 1),
        (65534, "uint16", 1),
        (-(2**31), "int32", 1),
        (-9999, "float64", 1),
        (-0.9999, "float32", 1e-4),
        (1e20, "float32", 1e-4),
        (float(np.finfo(np.float32).min), "float32", 1e-4),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_fill_is_named_as_it_is_stored(value: float, dtype: str, scale: float, shape: str) -> None:
    values = ground(scale=scale).astype(dtype)
    values[:, SHAPES[shape]] = value
    fill = found(cube_from_array(values))
    assert fill is not None and fill.share == SHAPES[shape].mean()
    typed = float(number(fill.value))  # as a user types what the warning shows
    declared = replace(cube_from_array(values), fill=(typed,))
    np.testing.assert_array_equal(np.isnan(declared.read()).all(axis=0), SHAPES[shape])
    assert found(declared) is None


@pytest.mark.parametrize(
    ("factors", "offsets"),
    [([1e-4], []), ([1e-4], [-0.1]), ([1e-4 * (i + 1) for i in range(BANDS)], [0.01 * i for i in range(BANDS)])],
)
def test_scaled_values_are_told_as_stored(factors: list[float], offsets: list[float]) -> None:
    values = ground().astype(np.int16)
    values[:, :, LEFT] = -9999
    scale, offset = ((tuple(each) * BANDS)[:BANDS] for each in (factors, offsets))
    fill = found(replace(cube_from_array(values), scale=scale, offset=offset))
    assert fill is not None and (fill.value, fill.share) == (-9999, 0.3)


def test_partly_filled_pixels_and_bands_hide_no_fill() -> None:
    values = ground().astype(np.int16)
    values[:, :, LEFT] = -9999
    values[2] = -9999  # a band that says nothing
    values[:3, :, 12] = -9999  # an edge at which one detector sees farther than the other
    fill = found(cube_from_array(values))
    assert fill is not None and fill.value == -9999


@pytest.mark.parametrize("value", [-9999.0, None])
def test_one_band(value: float | None) -> None:
    values = ground(1).astype(np.float32)
    if value is not None:
        values[:, :, LEFT] = value
    fill = found(cube_from_array(values))
    assert (None if fill is None else fill.value) == value


CLEAN = {
    "nothing": lambda values: values,
    "clipped above": lambda values: np.minimum(values, np.percentile(values, 90)),
    "clipped below": lambda values: np.maximum(values, np.percentile(values, 20)),
    "8 bits": lambda values: values / 14,
    "grey": lambda values: np.repeat(values[:1], BANDS, axis=0),
    "a bright roof": lambda values: np.where(SHAPES["turned"], values, 2000),
}


@pytest.mark.parametrize("kind", CLEAN)
def test_measured_numbers_are_no_fill(kind: str) -> None:
    assert found(cube_from_array(CLEAN[kind](ground()).astype(np.int16))) is None


def test_so_much_is_kept_for_any_scene() -> None:
    cube = cube_from_array(np.broadcast_to(np.float32(1), (3, 4000, 500)))
    watch = FillWatch(cube)
    for row in range(0, 4000, 500):
        watch.see(cube.read(slice(row, row + 500)), row)
    assert watch.sample.values.shape == (3, 64 * 64)
    assert watch.fill() is None  # all of it: nothing tells it from a measured number
