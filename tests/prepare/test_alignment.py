import math

import numpy as np
import pytest
import rasterio.warp
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import Resampling
from scipy import ndimage

from hsi_cd.errors import GridError
from hsi_cd.prepare.alignment import align
from hsi_cd.prepare.residual_shift import residual_shift
from hsi_cd.scene import Cube, Grid, ScenePair, check_same_grid, cube_from_array

PLACE = Affine(30, 0, 500000, 0, -30, 5300000)
UTM33, UTM32 = CRS.from_epsg(32633), CRS.from_epsg(32632)


def ground(rows: int, cols: int, *, bands: int = 3, seed: int = 0, blur: float = 2) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(bands, rows, cols))
    return (100 + 10 * ndimage.gaussian_filter(noise, (0, blur, blur)) / 0.15).astype(np.float32)


def cube(values: np.ndarray, *, transform: Affine = PLACE, crs: CRS = UTM33) -> Cube:
    return cube_from_array(values, grid=Grid(*values.shape[1:], crs=crs, transform=transform), name="t2.tif")


def gdal(values: np.ndarray, grid: Grid) -> np.ndarray:
    """What GDAL's bilinear warp, without its approximations, makes of an array at PLACE."""
    out = np.full((len(values), *grid.shape), np.nan, np.float32)
    rasterio.warp.reproject(
        values, out, src_transform=PLACE, src_crs=UTM33, dst_transform=grid.transform, dst_crs=grid.crs,
        src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.bilinear, tolerance=0, XSCALE=1, YSCALE=1,
    )  # fmt: skip
    return out


@pytest.mark.parametrize(
    "grid",
    [
        Grid(50, 40, UTM33, PLACE @ Affine.translation(4.3, -2.6)),
        Grid(70, 70, UTM32, Affine(30, 0, 948700, 0, -30, 5317900)),
        Grid(45, 44, UTM33, PLACE @ Affine.translation(20, 5) @ Affine.rotation(20)),
    ],
    ids=["shift", "zone", "turn"],
)
def test_values_are_those_of_gdal(grid: Grid) -> None:
    values = ground(60, 50)
    found, expected = align(cube(values), grid).read(), gdal(values, grid)
    both = np.isfinite(found) & np.isfinite(expected)
    assert both.mean() > 0.5
    np.testing.assert_allclose(found[both], expected[both], atol=0.05)  # GDAL's own error of 1/1000 pixel
    assert (np.isfinite(found) != np.isfinite(expected)).mean() < 0.01


@given(down=st.integers(-9, 9), right=st.integers(-9, 9))
def test_a_shift_by_whole_pixels_is_exact(down: int, right: int) -> None:
    values = ground(20, 24)
    values[:, 10:12, 3:5] = np.nan
    grid = Grid(20, 24, UTM33, PLACE @ Affine.translation(right, down))
    expected = np.full_like(values, np.nan)
    r, c = (slice(max(0, d), min(n, n + d)) for d, n in ((down, 20), (right, 24)))
    r0, c0 = (slice(max(0, -d), min(n, n - d)) for d, n in ((down, 20), (right, 24)))
    expected[:, r0, c0] = values[:, r, c]
    np.testing.assert_array_equal(align(cube(values), grid).read(), expected)


@settings(max_examples=settings.default.max_examples // 4)
@given(step=st.integers(5, 50), cols=st.integers(5, 60))
def test_values_do_not_depend_on_the_windows(step: int, cols: int) -> None:
    grid = Grid(70, 60, UTM32, Affine(41, 3, 948700, 2, -38, 5317900))
    aligned = align(cube(ground(80, 90)), grid)
    whole = aligned.read()
    parts = [
        np.concatenate([aligned.read(slice(r, r + step), slice(c, c + cols)) for c in range(0, 60, cols)], axis=2)
        for r in range(0, 70, step)
    ]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-6)
    assert aligned.grid == grid and 0.2 < np.isfinite(whole).mean() < 1


def test_smaller_pixels_are_averaged() -> None:
    values = ground(60, 48, blur=0.1)
    grid = Grid(20, 16, UTM33, PLACE @ Affine.scale(3))
    expected = values.reshape(3, 20, 3, 16, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(align(cube(values), grid).read(), expected, rtol=1e-5)


def test_no_data_never_mixes_in() -> None:
    values = ground(20, 20)
    values[:, 8, 9] = 0  # an empty pixel
    found = align(cube(values), Grid(20, 20, UTM33, PLACE @ Affine.translation(0.5, 0.5))).read()
    lost = np.argwhere(np.isnan(found[0])).tolist()
    assert lost == [[7, 8], [7, 9], [8, 8], [8, 9]]
    assert found[np.isfinite(found)].min() > 20


def test_what_cannot_be_aligned_is_refused() -> None:
    here = cube(ground(20, 20))
    with pytest.raises(GridError, match="do not overlap"):
        align(here, Grid(20, 20, UTM33, PLACE @ Affine.translation(21, 0)))
    with pytest.raises(GridError, match="no CRS and transform"):
        align(here, Grid(20, 20))
    with pytest.raises(GridError, match=r"t2\.tif .* one pixel is 20 pixels wide"):
        align(here, Grid(20, 20, UTM33, PLACE @ Affine.scale(20)))


def test_an_aligned_pair_keeps_the_contract() -> None:
    whole = ground(90, 80)
    t1 = cube(whole[:, :70, :60])
    t2 = cube(whole[:, 5:, 7:], transform=PLACE @ Affine.translation(7, 5))
    with pytest.raises(GridError, match=r"up to [\d.]+ pixels apart"):
        check_same_grid(t1.grid, t2.grid, names=("t1", "t2"))
    pair = ScenePair(t1, align(t2, t1.grid))
    first, second = pair.read()
    np.testing.assert_array_equal(second[:, 5:, 7:], first[:, 5:, 7:])
    assert np.isnan(second[:, :5]).all() and np.isnan(second[:, :, :7]).all()


# --- the shift that is left ---


def moved(shift: tuple[float, float], *, rows: int = 140, cols: int = 170, changed: bool = True) -> ScenePair:
    whole = ground(rows + 80, cols + 80, bands=6, blur=1.5)
    other = np.stack([ndimage.shift(layer, shift, order=3, mode="nearest") for layer in whole])
    t1, t2 = (values[:, 40:-40, 40:-40].copy() for values in (whole, other))
    if changed:
        t2[:, 10:60, 20:90] = ground(50, 70, bands=6, seed=5)
    t2 = 0.7 * t2 + 40 + np.random.default_rng(1).normal(size=t2.shape).astype(np.float32)
    return ScenePair(cube_from_array(t1), cube_from_array(t2))


@pytest.mark.parametrize("shift", [(0, 0), (0.5, -0.35), (3, -8), (-21.25, 14.5), (0, 30)])
def test_the_shift_is_told_in_spite_of_change_light_and_noise(shift: tuple[float, float]) -> None:
    found = residual_shift(moved(shift))
    assert found is not None
    assert math.dist((found.down, found.right), shift) < 0.15


def test_around_holes() -> None:
    pair = moved((2, 1))
    t1, t2 = pair.read()
    t1[:, :30] = np.nan
    t2[:, 100:, 90:] = 0
    found = residual_shift(ScenePair(cube_from_array(t1), cube_from_array(t2)))
    assert found is not None and math.dist((found.down, found.right), (2, 1)) < 0.2


def test_two_places_have_no_shift() -> None:
    a, b = (cube_from_array(ground(150, 150, seed=seed)) for seed in (1, 2))
    assert residual_shift(ScenePair(a, b)) is None


def test_too_small_or_flat_scenes_tell_nothing() -> None:
    flat = cube_from_array(np.ones((3, 64, 64), np.float32))
    assert residual_shift(ScenePair(flat, flat)) is None
    small = cube_from_array(ground(31, 90))
    assert residual_shift(ScenePair(small, small)) is None


def test_a_tall_scene_is_read_in_a_few_tiles() -> None:
    read = []
    values = ground(400, 300)

    def reader(rows: slice, cols: slice) -> np.ndarray:
        read.append((rows.stop - rows.start) * (cols.stop - cols.start))
        return values[:, rows, cols]

    tall = Cube("tall", Grid(400, 300), cube_from_array(values).bands, values.dtype, reader)
    found = residual_shift(ScenePair(tall, tall))
    assert found is not None and found.size == 0
    assert max(read) <= 128 * 128 and len(read) <= 18


@pytest.mark.parametrize("name", ["taizhou", "rennes", "farmland"])
def test_the_real_scenes_need_no_warning(shared, name: str) -> None:
    from hsi_cd.datasets import open_pair

    found = residual_shift(open_pair(name, shared / "scenes"))
    assert found is not None and found.size < 0.5
    if name == "farmland":  # made with a shift of 0.35 pixels
        assert abs(found.size - 0.35) < 0.1
