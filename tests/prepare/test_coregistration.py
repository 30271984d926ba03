"""The shift between two dates: found as it was made, and refused where none would undo what was done."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, spatial

from hsi_cd.errors import RegistrationError
from hsi_cd.prepare.coregistration import measure_coregistration
from hsi_cd.prepare.geometry_vote import distortion_of, robust_mean
from hsi_cd.prepare.tile_correlation import edges_of, fit_tile, highest, middle_of_match
from hsi_cd.scene import Bands, Cube, Grid, ScenePair, cube_from_array


def ground(rows: int, cols: int, *, bands: int = 3, seed: int = 0) -> np.ndarray:
    """Fields with clear edges, and some texture in them."""
    random = np.random.default_rng(seed)
    where = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), axis=-1)
    seeds = random.uniform((0, 0), (rows, cols), (rows * cols // 150, 2))
    nearest = spatial.cKDTree(seeds).query(where)[1]
    texture = random.normal(size=(bands, rows, cols)) * 0.3
    fields = random.uniform(0, 10, (bands, len(seeds)))[:, nearest] + texture
    return ndimage.gaussian_filter(fields, (0, 0.7, 0.7)).astype(np.float32)


GROUND = ground(300, 320)


def warped(values: np.ndarray, shift: tuple[float, float], turn: float = 0, scale: float = 1) -> np.ndarray:
    """What lay at a place lies ``shift`` further, turned (degrees) and scaled about the middle; an independent
    resampling, by a spline of order 5."""
    middle = (np.array(values.shape[1:]) - 1) / 2
    angle = math.radians(turn)
    back = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / scale
    offset = middle - back @ (middle + shift)
    layers = [ndimage.affine_transform(v.astype(np.float64), back, offset, order=5, mode="mirror") for v in values]
    return np.stack(layers).astype(np.float32)


def pair_of(t1: np.ndarray, t2: np.ndarray, *, margin: int = 75) -> ScenePair:
    inner = (slice(None), slice(margin, -margin), slice(margin, -margin))
    return ScenePair(cube_from_array(t1[inner]), cube_from_array(t2[inner]))


@pytest.mark.parametrize(
    "shift",
    [
        (0.2, -0.3),
        (-11.3, 7.6),
        (-63.7, 64.0),
        *(pytest.param(shift, marks=pytest.mark.slow) for shift in [(0, 0), (0.5, 0.5), (3, -8), (40.4, -21.2)]),
    ],
)
def test_the_shift_is_found_in_spite_of_season_noise_and_change(shift: tuple[float, float]) -> None:
    random = np.random.default_rng(1)
    t2 = warped(GROUND, shift)
    t2[:, 100:140, 120:180] = ground(40, 60, seed=7)  # changed
    t2 *= np.array([0.7, -1.2, 0.4], np.float32)[:, None, None]  # a band's contrast is the other way round
    t2 += 50 + random.normal(size=t2.shape).astype(np.float32) * 0.5
    found = measure_coregistration(pair_of(GROUND, t2))
    assert math.dist((found.down, found.right), shift) < 0.1
    assert found.error < 0.1 and found.agree >= 0.5 * found.tiles


def test_what_has_no_data_takes_no_part() -> None:
    """A hole that lies still, and the edges that it makes, must not hold the ground back."""
    t1, t2 = GROUND.copy(), warped(GROUND, (6.4, -3.7))
    for values in (t1, t2):
        values[:, 150:, :150] = np.nan
        values[:, 90:120, 200:230] = np.nan
    t2[:, 75:110, 75:150] = np.nan
    found = measure_coregistration(pair_of(t1, t2))
    assert math.dist((found.down, found.right), (6.4, -3.7)) < 0.1


def test_a_border_that_nobody_declared_holds_nothing_back() -> None:
    """One band has no empty pixels of its own: both dates were cut to one shape, and filled with 0."""
    t1, t2 = GROUND[:1] + 5, warped(GROUND[:1] + 5, (5.3, -4.6))
    row, col = np.mgrid[: GROUND.shape[1], : GROUND.shape[2]]
    outside = np.hypot(row - 150, col - 160) > 80
    for values in (t1, t2):
        values[:, outside] = 0
    found = measure_coregistration(pair_of(t1, t2, margin=55))
    assert math.dist((found.down, found.right), (5.3, -4.6)) < 0.1


def test_stripes_that_lie_still_hold_nothing_back() -> None:
    stripes = np.random.default_rng(2).normal(size=(3, 1, GROUND.shape[2])).astype(np.float32) * 2
    found = measure_coregistration(pair_of(GROUND + stripes, warped(GROUND, (4.4, -3.3)) + stripes))
    assert math.dist((found.down, found.right), (4.4, -3.3)) < 0.2


def refused(pair: ScenePair) -> str:
    with pytest.raises(RegistrationError) as error:
        measure_coregistration(pair)
    return str(error.value)


@pytest.mark.parametrize(
    ("turn", "scale", "words"),
    [
        (1, 1, "turned by 1.0"),
        (0, 1.01, "larger by 1.0"),
        pytest.param(-1.5, 1, "turned by 1.5", marks=pytest.mark.slow),
        pytest.param(0, 0.98, "smaller by 2.0", marks=pytest.mark.slow),
    ],
)
@pytest.mark.quick("1-1-*")
def test_a_turn_and_a_scale_are_refused_with_their_size(turn: float, scale: float, words: str) -> None:
    said = refused(pair_of(GROUND, warped(GROUND, (2.3, -1.2), turn, scale), margin=20))
    size = float(words.split()[-1])
    told = float(said.split(words.rsplit(" ", 1)[0])[1].split()[0])
    assert told == pytest.approx(size, abs=0.1)
    rows, cols = GROUND.shape[1] - 40, GROUND.shape[2] - 40
    corner = math.hypot(rows, cols) / 2 * (math.radians(abs(turn)) or abs(scale - 1))
    assert float(said.split("corners by ")[1].split()[0]) == pytest.approx(corner, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lay", "words"),
    [
        (
            lambda values: warped(values, (0, 0), turn=6),
            r"turned by (?:about )?(5\.[4-9]\d*|6|6\.[0-6]\d*) degrees",
        ),
        (
            lambda values: warped(values, (0, 0), scale=0.92),
            r"smaller by (?:about )?(8|8\.[0-3]\d*|7\.[7-9]\d*) %",
        ),
        (lambda values: np.rot90(values, axes=(1, 2)), "turned by 90 degrees"),
        (lambda values: values[:, ::-1], "upside down"),
        (lambda values: values.swapaxes(1, 2), r"rows and columns are exchanged"),
    ],
)
def test_what_is_turned_or_scaled_by_much_is_told(lay: Callable[[np.ndarray], np.ndarray], words: str) -> None:
    square = GROUND[:, :, 10:310]
    said = refused(pair_of(square, np.ascontiguousarray(lay(square)), margin=40))
    assert re.search(f"t2 is .*{words}", said), said


def test_a_shift_beyond_what_is_undone_is_told() -> None:
    said = refused(pair_of(GROUND, warped(GROUND, (0, -75)), margin=40))
    assert "75.0 pixels off" in said and "up to 64 are undone" in said


def test_other_places_flat_dates_and_small_scenes() -> None:
    other = ground(300, 320, seed=5)
    assert "too little in common" in refused(pair_of(GROUND, other))
    flat = np.full_like(GROUND, 3)
    assert "t2 (array) is flat" in refused(pair_of(GROUND, flat))
    assert "t1 (array) is flat" in refused(pair_of(np.full_like(GROUND, np.nan), GROUND))
    assert "31 x 90 pixels, and 32" in refused(ScenePair(*[cube_from_array(GROUND[:, :31, :90])] * 2))


@pytest.mark.parametrize("size", [40, 64])
def test_small_scenes(size: int) -> None:
    t2 = warped(GROUND, (2.4, -1.3))
    cut = (slice(None), slice(100, 100 + size), slice(110, 110 + size))
    found = measure_coregistration(ScenePair(cube_from_array(GROUND[cut]), cube_from_array(t2[cut])))
    assert math.dist((found.down, found.right), (2.4, -1.3)) < 0.3


def test_a_tall_scene_is_read_in_a_few_windows() -> None:
    """Neither the number of windows nor their size grows with the scene."""
    most, rows = [], 40_000

    def reader(span: slice, cols: slice) -> np.ndarray:
        most.append((span.stop - span.start) * (cols.stop - cols.start))
        return GROUND[:, np.arange(span.start, span.stop) % 300][:, :, cols]

    tall = Cube("tall", Grid(rows, 320), Bands(3), GROUND.dtype, reader)
    found = measure_coregistration(ScenePair(tall, tall))
    assert found.size < 0.02
    assert max(most) <= (160 + 2 * 128) ** 2 and len(most) <= 2 * (9 + 25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first", "second"), [("LS", 0, 1), ("EMIT", 0, 1), ("EMIT", 0, 2), ("EMIT", 1, 2)]
)
def test_real_dates_of_one_place(shared: Path, name: str, first: int, second: int) -> None:
    from hsi_cd.io import open_cube

    files = sorted((shared / "registration").glob(f"{name}*.tif"))
    found = measure_coregistration(ScenePair(open_cube(files[first]), open_cube(files[second])))
    assert found.agree >= 0.9 * found.tiles and found.error < 0.3 and found.size < 1.5


def test_three_real_dates_close(shared: Path) -> None:
    from hsi_cd.io import open_cube

    dates = [open_cube(path) for path in sorted((shared / "registration").glob("EMIT*.tif"))]
    ab, bc, ac = (
        np.array([found.down, found.right])
        for found in (measure_coregistration(ScenePair(dates[i], dates[j])) for i, j in ((0, 1), (1, 2), (0, 2)))
    )
    assert np.hypot(*(ab + bc - ac)) < 0.15


# --- its parts ---


@given(
    rows=st.integers(-20, 20),
    cols=st.integers(-20, 20),
    gap=st.integers(0, 12),
)
def test_a_tile_fits_best_where_it_was_cut(rows: int, cols: int, gap: int) -> None:
    looks = GROUND[:2, 60:200, 60:220].copy()
    looks[:, 40 : 40 + gap, 60 : 60 + gap] = np.nan
    tile, window = edges_of(looks[:, 40:90, 50:110]), edges_of(looks)
    fit = fit_tile(tile, window, (-40 - rows, -50 - cols), reach=40)
    peak, height, second = highest(fit.values)
    # Counted from an origin that lies off, the tile seems to have moved the other way.
    assert peak == (-rows, -cols)
    assert height > 2 * second
    inside = fit.count > 0
    assert fit.values[inside].max() <= 1 + 1e-3 and not fit.values[~inside].any()


def test_masked_correlation_is_what_a_loop_over_offsets_gives() -> None:
    random = np.random.default_rng(4)
    looks = GROUND[:2, 50:90, 50:94].copy()
    looks[:, random.random(looks.shape[1:]) < 0.01] = np.nan
    tile, window = edges_of(looks[:, 10:30, 12:34]), edges_of(looks)
    fit = fit_tile(tile, window, (-10, -12), reach=6)
    for down, right in itertools.product((-6, -1, 0, 4), (-5, 0, 3)):
        part = (slice(None), slice(10 + down, 30 + down), slice(12 + right, 34 + right))
        both = tile.there & window.there[part[1:]]
        a, b = tile.values[:, both], window.values[part][:, both]
        expected = (np.conj(a) * b).real.sum() / math.sqrt((np.abs(a) ** 2).sum() * (np.abs(b) ** 2).sum())
        assert fit.count[6 + down, 6 + right] == pytest.approx(both.sum(), abs=0.01)
        assert fit.values[6 + down, 6 + right] == pytest.approx(expected, abs=1e-4)


@given(turn=st.floats(-3, 3), scale=st.floats(-0.03, 0.03), outliers=st.integers(0, 5), seed=st.integers(0, 2**16))
def test_the_vote_of_tiles(turn: float, scale: float, outliers: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    places = np.array(list(itertools.product(np.linspace(40, 360, 4), repeat=2)))
    row, col = (places - 200).T
    angle = math.radians(turn)
    exact = np.stack([scale * row - angle * col + 5, scale * col + angle * row - 7], axis=1)
    shifts = exact + random.normal(size=exact.shape) * 0.01
    shifts[:outliers] = random.uniform(-60, 60, (outliers, 2))
    found = distortion_of(shifts, places, (400, 400))
    size = 200 * math.sqrt(2) * math.hypot(angle, scale)
    if size > 0.5:
        assert found is not None
        assert abs(found.turn) == pytest.approx(abs(turn), abs=0.05)
        assert found.scale == pytest.approx(scale, abs=1e-3)
        assert found.at_corners == pytest.approx(size, rel=0.2)
    elif found is not None:
        assert found.at_corners < 0.8


def test_few_tiles_that_lie_together_tell_no_turn() -> None:
    """Half a pixel between neighbours would be many at the corners."""
    random = np.random.default_rng(3)
    places = random.uniform(180, 215, (6, 2))
    shifts = np.stack([0.012 * places[:, 0], 0.012 * places[:, 1]], axis=1) + random.normal(size=(6, 2)) * 0.02
    assert distortion_of(shifts, places, (400, 400), alone=0.5) is None
    wide = random.uniform(20, 380, (6, 2))
    found = distortion_of(0.012 * wide, wide, (400, 400), alone=0.5)
    assert found is not None and found.scale == pytest.approx(0.012, abs=1e-3)


def test_a_tile_tells_where_it_fits() -> None:
    """Only what both dates show, and show alike, counts: what lies at the middle of the tile need not be that."""
    looks = GROUND[:2, 40:140, 40:140]
    tile, window = looks[:, 20:80, 20:80].copy(), looks.copy()
    tile[:, :, 30:] = np.nan
    window[:, :40] = ground(40, 100, seed=8)[:2]
    edges = edges_of(tile), edges_of(window)
    row, col = middle_of_match(*edges, (-20, -20), (0, 0))
    assert 35 < row < 45 and 10 < col < 20
    # What is asked for at another offset is there, too.
    moved = edges_of(np.roll(window, (3, -2), axis=(1, 2)))
    np.testing.assert_allclose(middle_of_match(edges[0], moved, (-20, -20), (3, -2)), (row, col), atol=1)


@pytest.mark.slow
def test_how_sure_it_is_said_to_be_is_true(shared: Path) -> None:
    """Known shifts of parts of two real scenes: the error that is told is that of two in three."""
    from hsi_cd.io import open_cube

    ratios = []
    for name in ("rennes/rennes_t{}.tif", "taizhou/200{}TM"):
        which = (1, 2) if "rennes" in name else (0, 3)
        t1, t2 = (open_cube(shared / "scenes" / name.format(date)).read() for date in which)
        whole = measure_coregistration(ScenePair(cube_from_array(t1), cube_from_array(t2)))
        random = np.random.default_rng(0)
        for size in (64, 96, 128, 200) * 4:
            down, right = random.integers(-6, 7, 2)
            top, left = (int(random.integers(8, length - size - 8)) for length in t1.shape[1:])
            parts = [
                cube_from_array(values[:, row : row + size, col : col + size])
                for values, row, col in ((t1, top, left), (t2, top - down, left - right))
            ]
            try:
                found = measure_coregistration(ScenePair(*parts))
            except RegistrationError:  # a small part may show too little
                continue
            missed = found.down - whole.down - down, found.right - whole.right - right
            assert np.hypot(*missed) < 0.5
            ratios += [abs(each) / found.error for each in missed]
    within = [float((np.array(ratios) <= times).mean()) for times in (1, 2)]
    assert len(ratios) >= 2 * 26 and within[0] > 0.6 and within[1] > 0.88


def test_most_tiles_decide() -> None:
    shifts = np.concatenate([np.full((12, 2), 2.5), np.random.default_rng(0).uniform(-60, 60, (8, 2))])
    np.testing.assert_allclose(robust_mean(shifts), (2.5, 2.5), atol=0.02)
