"""Sizes on the ground against closed forms: radii of curvature, whole bodies, projections that keep areas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from hsi_cd.errors import GridError
from hsi_cd.scene import Grid
from hsi_cd.scene.surface import column_step, middle_area, pixel_areas, pixel_aspect

WGS84 = CRS.from_epsg(4326)
A, E2 = 6378137.0, 0.00669437999014


def areas(crs: object, transform: Affine, shape: tuple[int, int]) -> np.ndarray:
    found = pixel_areas(Grid(*shape, crs=CRS.from_user_input(crs), transform=transform))
    assert (found.unit, found.true) == ("m2", True)
    return found.of(slice(0, shape[0]))


def radii(latitude: float) -> tuple[float, float]:
    """Of curvature, metres a radian: to the north, and of the parallel."""
    root = 1 - E2 * math.sin(math.radians(latitude)) ** 2
    return A * (1 - E2) / root**1.5, A / math.sqrt(root) * math.cos(math.radians(latitude))


def test_the_whole_earth() -> None:
    """Of WGS 84: 510,065,621.724 km2 (NIMA TR8350.2)."""
    earth = areas(WGS84, Affine(1, 0, -180, 0, -1, 90), (180, 360))
    assert earth.sum() == pytest.approx(510_065_621_724_000, rel=1e-9)


def test_pixels_centred_on_the_poles_do_not_reach_beyond_them() -> None:
    earth = areas(WGS84, Affine(1, 0, -180.5, 0, -1, 90.5), (181, 360))
    assert earth.sum() == pytest.approx(510_065_621_724_000, rel=1e-9)


def test_the_whole_of_mars_which_is_a_sphere() -> None:
    mars = areas("IAU_2015:49900", Affine(1, 0, -180, 0, -1, 90), (180, 360))
    assert mars.sum() == pytest.approx(4 * math.pi * 3_396_190**2, rel=1e-9)


@pytest.mark.parametrize("latitude", [0.0, 48.1, 60.0, -77.0])
def test_web_mercator_shrinks_what_it_stretched(latitude: float) -> None:
    """A metre of EPSG:3857 is 1 / cos of the latitude too long, on a sphere that the ground is none of."""
    north, east = radii(latitude)
    cosine = math.cos(math.radians(latitude))
    y = A * math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
    transform = Affine(30, 0, 1e6 - 15, 0, -30, y + 15)
    expected = (30 * east / A) * (30 * cosine * north / A)
    assert areas("EPSG:3857", transform, (1, 1))[0, 0] == pytest.approx(expected, rel=1e-6)
    assert middle_area(Grid(1, 1, crs=CRS.from_epsg(3857), transform=transform)) == (
        pytest.approx(expected, rel=1e-6),
        "m2",
    )
    step = column_step(transform, CRS.from_epsg(3857), col=0.5, row=0.5)
    assert step == pytest.approx(30 * east / A, rel=1e-6)


@pytest.mark.parametrize("latitude", [0.0, 48.1, -60.0, 80.0])
def test_pixels_of_degrees_are_higher_than_wide(latitude: float) -> None:
    north, east = radii(latitude)
    place = Affine(0.001, 0, 10, 0, -0.002, latitude + 0.01)
    found = pixel_aspect(Grid(10, 10, crs=WGS84, transform=place))
    assert found == (1.0 if latitude == 80 else pytest.approx(2 * north / east, rel=1e-6))  # of 80, elevenfold


def test_pixels_that_are_square_or_of_unknown_size_have_no_aspect() -> None:
    utm = CRS.from_epsg(32633)
    for place, crs in (((30, -30), utm), ((30, -30.3), utm), ((30, -90), None)):
        assert pixel_aspect(Grid(9, 9, crs=crs, transform=Affine(place[0], 0, 5e5, 0, place[1], 4e6))) == 1.0
    assert pixel_aspect(None) == pixel_aspect(Grid(9, 9)) == 1.0


@given(angle=st.floats(-180, 180), latitude=st.floats(-80, 80))
def test_a_turned_grid_of_degrees(angle: float, latitude: float) -> None:
    """Upright, oblique or on its side: a small square of degrees is as large as at any other angle."""
    step = 1e-4
    turned = Affine.translation(10, latitude) @ Affine.rotation(angle) @ Affine.scale(step, -step)
    north, east = radii((turned @ (0.5, 0.5))[1])
    found = areas(WGS84, turned, (1, 1))[0, 0]
    assert found == pytest.approx(math.radians(step) ** 2 * north * east, rel=1e-5)


@pytest.mark.parametrize(
    ("crs", "x", "y", "unit"),
    [
        ("EPSG:6933", 4e6, -5e6, 1.0),
        ("EPSG:3035", 4e6, 3e6, 1.0),
        ("EPSG:6931", 0.0, 0.0, 1.0),  # the pole in the middle
        ("EPSG:5070+5703", 1e6, 2e6, 1.0),  # with a height
        ("+proj=aea +lat_1=29 +lat_2=45 +ellps=bessel +units=us-ft +towgs84=600,70,400", 1e6, 2e6, 1200 / 3937),
        ("+proj=sinu +R=3396190", 1e6, 2e6, 1.0),
    ],
)
def test_projections_that_keep_areas(crs: str, x: float, y: float, unit: float) -> None:
    """Whatever the ellipsoid, unit and place, turned or not: the area is that of the plane."""
    for size, angle in ((30.0, 0.0), (0.05, 20.0), (5000.0, 90.0)):
        transform = Affine.translation(x, y) @ Affine.rotation(angle) @ Affine.scale(size, -size)
        found = areas(crs, transform @ Affine.translation(-3, -3), (6, 7))
        np.testing.assert_allclose(found, (size * unit) ** 2, rtol=1e-5)


def test_a_map_of_the_world_has_corners_that_lie_nowhere() -> None:
    """Mollweide keeps areas within its ellipse; beyond it there is no ground to measure."""
    found = areas("ESRI:54009", Affine(300_000, 0, -18_040_096, 0, -300_000, 9_020_048), (60, 120))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[10:50, 45:75], 300_000.0**2, rtol=0.01)  # of a sphere, the ground is none


def test_between_nodes_areas_are_interpolated() -> None:
    """A scene that is measured at some of its pixels alone gives each what it has when it is measured itself."""
    rows, cols = 1000, 700
    transform = Affine(300, 0, 1e6, 0, -300, 8.5e6)
    whole = areas("EPSG:3857", transform, (rows, cols))
    for row, col in ((0, 0), (3, 699), (500, 350), (998, 5), (999, 699)):
        one = areas("EPSG:3857", transform @ Affine.translation(col, row), (1, 1))
        assert whole[row, col] == pytest.approx(one[0, 0], rel=1e-5)
    found = pixel_areas(Grid(rows, cols, crs=CRS.from_epsg(3857), transform=transform))
    np.testing.assert_array_equal(found.of(slice(100, 103)), whole[100:103])


def test_grads_are_no_degrees() -> None:
    """NTF (Paris) counts 400 to the circle; on the equator a square of 1e-3 is known by the radii."""
    found = areas("EPSG:4807", Affine(1e-3, 0, 0, 0, -1e-3, 5e-4), (1, 1))[0, 0]
    b2 = (6356515.0 / 6378249.2) ** 2
    assert found == pytest.approx((math.pi / 200 * 1e-3 * 6378249.2) ** 2 * b2, rel=1e-6)


def test_what_lies_nowhere_has_no_area() -> None:
    with pytest.raises(GridError, match="without CRS and transform"):
        pixel_areas(Grid(2, 2))
    assert middle_area(Grid(2, 2)) is None
    outside = Grid(2, 2, crs=CRS.from_epsg(3035), transform=Affine(1, 0, 1e30, 0, -1, 1e30))
    with pytest.raises(GridError, match="outside the world"):
        pixel_areas(outside)
    geocentric = Grid(2, 2, crs=CRS.from_epsg(4978), transform=Affine(1, 0, 0, 0, -1, 0))
    with pytest.raises(GridError, match="geocentric"):
        pixel_areas(geocentric)
    assert middle_area(geocentric) is None
    assert column_step(outside.transform, outside.crs, col=1, row=1) is None
