"""Pixel size and north against closed forms and PROJ's own geodesics."""

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from hsi_cd.reporting.figures import Title, panel_figure
from hsi_cd.reporting.scale_bar import ground_of, nice_length
from hsi_cd.reporting.side_by_side import methods_figure, split_figure
from hsi_cd.scene import Grid, Labels, Split

UTM = CRS.from_epsg(32651)
ON_MERIDIAN = 500000  # where UTM draws the ground at 0.9996 of its size


def test_a_north_up_scene_in_metres():
    ground = ground_of(Grid(400, 300, UTM, Affine(30, 0, ON_MERIDIAN - 4500, 0, -30, 3604935)))
    assert ground.metres == pytest.approx(30 / 0.9996, rel=1e-6)
    assert ground.north == (0, -1)
    assert ground.thinned(4).metres == 4 * ground.metres


@given(st.floats(-180, 180), st.floats(0.5, 100))
def test_a_turned_scene(angle, size):
    transform = Affine.translation(5e5, 4e6) @ Affine.rotation(angle) @ Affine.scale(size, -size)
    ground = ground_of(Grid(50, 50, UTM, transform))
    assert ground.metres == pytest.approx(size / 0.9996, rel=1e-6)
    # One pixel in the direction of north raises y alone.
    x0, y0 = transform @ (10, 10)
    x1, y1 = transform @ (10 + ground.north[0], 10 + ground.north[1])
    assert (x1 - x0, y1 - y0) == pytest.approx((0, size), abs=1e-6 * size)


def test_degrees_become_metres_at_the_latitude_of_the_scene():
    ground = ground_of(Grid(100, 100, CRS.from_epsg(4326), Affine(0.001, 0, 10, 0, -0.001, 60.05)))
    # A degree of longitude at 60 degrees is half of that at the equator, 111.3 km on the ellipsoid.
    assert ground.metres == pytest.approx(55.8, rel=0.005)
    assert ground.north == pytest.approx((0, -1))


def test_panels_have_the_shape_of_the_ground():
    """30 x 20 pixels of degrees at 60 degrees north: about 30 x 20 units of 1.11 km by .56 km."""
    grid = Grid(30, 20, CRS.from_epsg(4326), Affine(0.01, 0, 10, 0, -0.01, 60.15))
    dates = np.zeros((2, 30, 20, 3), dtype=np.uint8)
    change = np.zeros((30, 20), dtype=np.uint8)
    for drawn in (
        panel_figure(*dates, change=change, grid=grid),
        methods_figure(*dates, {"a": change}, grid=grid),
    ):
        drawn.canvas.draw()
        for axes in drawn.axes:
            box = axes.get_window_extent()
            assert box.height / box.width == pytest.approx(30 * 111.41 / (20 * 55.80), rel=0.01)


def test_the_arrow_stays_in_its_corner_where_pixels_are_high():
    grid = Grid(30, 20, CRS.from_epsg(4326), Affine(0.01, 0, 10, 0, -0.01, 60.15))
    figure = panel_figure(
        *np.zeros((2, 30, 20, 3), dtype=np.uint8), change=np.zeros((30, 20), np.uint8), grid=grid
    )
    figure.canvas.draw()
    first = figure.axes[0]
    arrow = next(each for each in first.texts if getattr(each, "arrow_patch", None) is not None)
    (x, y), (x0, y0) = (first.transData.transform(at) for at in (arrow.xy, arrow.xyann))
    assert x == pytest.approx(x0) and y - y0 == pytest.approx(0.26 * figure.dpi, rel=0.02)  # inches, upwards


def test_web_mercator_is_drawn_at_the_size_of_the_ground():
    """At 60 degrees it shows everything twice as long; the rest is the ellipsoid, which is no sphere."""
    ground = ground_of(Grid(10, 10, CRS.from_epsg(3857), Affine(30, 0, 1113194.9, 0, -30, 8399737.9)))
    assert ground.metres == pytest.approx(15, rel=0.005)
    assert ground.north == (0, -1)


@pytest.mark.parametrize(
    ("wkt", "metres"),
    [('LOCAL_CS["site",UNIT["foot",0.3048]]', 3.048), ('LOCAL_CS["site",UNIT["pixel",1]]', None)],
)
def test_a_local_crs_is_a_plane(wkt, metres):
    ground = ground_of(Grid(10, 10, CRS.from_wkt(wkt), Affine(10, 0, 0, 0, -10, 0)))
    assert (ground and ground.metres) == (metres and pytest.approx(metres))


def test_another_planet_has_its_own_size():
    ground = ground_of(Grid(10, 10, CRS.from_user_input("IAU_2015:49900"), Affine(0.01, 0, 0, 0, -0.01, 0.05)))
    assert ground.metres == pytest.approx(math.radians(0.01) * 3_396_190)


def test_feet_become_metres():
    ground = ground_of(Grid(10, 10, CRS.from_epsg(2263), Affine(100, 0, 0, 0, -100, 0)))
    assert ground.metres == pytest.approx(30.48, rel=1e-4)


def test_ground_control_points_place_a_scene():
    transform = Affine(20, 0, 5e5, 0, -20, 4e6)
    gcps = tuple(
        GroundControlPoint(row, col, *(transform @ (col, row)))
        for row, col in [(0, 0), (0, 90), (80, 0), (80, 90)]
    )
    ground = ground_of(Grid(80, 90, gcps=gcps, gcp_crs=UTM))
    assert ground.metres == pytest.approx(20 / 0.9996, rel=1e-6)
    assert ground.north == pytest.approx((0, -1), abs=1e-6)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(4, 4),
        Grid(4, 4, transform=Affine(2, 0, 0, 0, -2, 0)),
        Grid(4, 4, UTM),
        Grid(4, 4, UTM, Affine(0, 0, 1, 0, 0, 1)),
    ],
    ids=["none", "no CRS", "no transform", "degenerate"],
)
def test_what_cannot_be_placed_has_no_ground(grid):
    assert ground_of(grid) is None


@given(st.floats(1e-3, 1e7))
def test_a_nice_length_is_the_largest_that_fits(metres):
    nice = nice_length(metres)
    mantissa = nice / 10 ** math.floor(math.log10(nice) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)
    assert metres / 2.5 <= nice * (1 + 1e-9)
    assert nice <= metres * (1 + 1e-6)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


@pytest.mark.parametrize("shape", [(400, 300), (300, 40), (40, 400), (3100, 2000)])
@pytest.mark.quick("*0", "*1")
def test_the_bar_is_as_long_as_it_says_and_inside_the_panel(shape):
    picture = np.zeros((*shape, 3), np.uint8)
    grid = Grid(*shape, UTM, Affine(30, 0, 203325, 0, -30, 3604935))
    figure = panel_figure(picture, picture, change=np.zeros(shape, np.uint8), grid=grid)
    figure.canvas.draw()
    axes = figure.axes[0]
    assert "N" in texts(figure)
    words = next(text for text in texts(figure) if text != "N")
    number, unit = words.split()
    (bar,) = axes.lines
    pixels = float(np.diff(bar.get_xdata())[0])
    step = math.ceil(max(shape) / 1500)
    size = ground_of(grid).metres * step
    assert pixels * size == pytest.approx(float(number) * {"m": 1, "km": 1000}[unit])
    panel = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent()
        assert panel.x0 <= box.x0 <= box.x1 <= panel.x1
        assert panel.y0 <= box.y0 <= box.y1 <= panel.y1


def test_without_a_georeference_nothing_is_drawn():
    picture = np.zeros((40, 30, 3), np.uint8)
    figure = panel_figure(picture, picture, change=np.zeros((40, 30), np.uint8), grid=Grid(40, 30))
    assert texts(figure) == []


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        (Grid(40, 30), "nothing tells where the scene lies"),
        (Grid(40, 30, transform=Affine(30, 0, 0, 0, -30, 0)), "the scene has no CRS"),
        (
            Grid(40, 30, CRS.from_wkt('LOCAL_CS["x",UNIT["pixel",1]]'), Affine(1, 0, 0, 0, -1, 0)),
            "tells no length",
        ),
        (Grid(40, 30, CRS.from_epsg(4326), Affine(3e-4, 0, 10, 0, -3e-4, 60)), ""),
    ],
    ids=["nowhere", "no CRS", "no length", "degrees"],
)
def test_a_figure_has_a_bar_or_says_why_not(grid, reason):
    picture, change = np.zeros((40, 30, 3), np.uint8), np.zeros((40, 30), np.uint8)
    labels = Labels(np.ones((40, 30), np.uint8), name="truth")
    for figure in (
        panel_figure(picture, picture, change=change, title=Title("s", note="P1"), grid=grid),
        methods_figure(picture, picture, {"a": change, "b": change}, note="P1", grid=grid),
        split_figure(Split("P1", 0, (40, 30), np.array([3])), labels, grid=grid),
    ):
        note = figure.texts[1].get_text()
        assert (
            note.startswith("P1")
            and ("no scale bar" in note) == bool(reason)
            and reason in note.replace("\n", " ")
        )
        assert bool(figure.axes[0].lines) == (not reason)
