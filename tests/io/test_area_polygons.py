"""Polygons and bounds on the pixels of a scene, against shapely's own answer of which centres they cover."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from hsi_cd.errors import FormatError, GridError, MissingInputError
from hsi_cd.io.area_polygons import area_of_bounds, area_of_polygons
from hsi_cd.scene import AreaOfInterest, Grid

UTM = CRS.from_epsg(32633)
GRID = Grid(40, 30, UTM, Affine(30, 0, 400000, 0, -30, 5800000))


def whole(area: AreaOfInterest) -> np.ndarray:
    found = area.of_scene()
    assert found.any()
    # The window is the smallest around the pixels.
    down, across = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    assert (area.rows, area.cols) == (slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1))
    return found


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    row, col = np.mgrid[0 : grid.rows, 0 : grid.cols] + 0.5
    assert grid.transform is not None
    return grid.transform @ (col, row)


def write(path: Path, shapes: list[Any], *, crs: str | None = "EPSG:32633", kind: str = "Polygon") -> Path:
    wkb = np.array([shapely.to_wkb(shape) for shape in shapes], dtype=object)
    pyogrio.raw.write(path, wkb, [], [], geometry_type=kind, crs=crs)
    return path


@given(
    x=st.floats(-200, 1000), y=st.floats(-200, 1300), width=st.floats(20, 900), height=st.floats(20, 900),
    turned=st.booleans(),
)  # fmt: skip
def test_bounds_take_the_pixels_whose_centres_they_cover(
    x: float, y: float, width: float, height: float, turned: bool
) -> None:
    turn = Affine.rotation(25) if turned else Affine.identity()
    grid = Grid(40, 30, UTM, Affine.translation(400000, 5800000) @ turn @ Affine.scale(30, -30))
    bounds = (400000 + x, 5800000 - y - height, 400000 + x + width, 5800000 - y)
    east, north = centres(grid)
    inside = (east > bounds[0]) & (east < bounds[2]) & (north > bounds[1]) & (north < bounds[3])
    if inside.any():
        np.testing.assert_array_equal(whole(area_of_bounds(bounds, grid)), inside)


def test_bounds_in_another_crs() -> None:
    grid = Grid(300, 200, UTM, Affine(30, 0, 400000, 0, -30, 5800000))
    x, y = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(*centres(grid))
    bounds = (float(np.quantile(x, 0.2)), float(np.quantile(y, 0.3)), float(x.max()), float(np.quantile(y, 0.8)))
    expected = (x > bounds[0]) & (x < bounds[2]) & (y > bounds[1]) & (y < bounds[3])
    area = area_of_bounds(bounds, grid, crs="EPSG:4326")
    assert (whole(area) != expected).sum() <= 2 and not area.covered.all()  # meridians are no columns
    assert (area.bounds, area.bounds_crs) == (bounds, "EPSG:4326")


@pytest.mark.parametrize("crs", [32633, 4326, 3857])
@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb", "shp"])
def test_polygons_of_any_crs_and_file_count_together(tmp_path: Path, crs: int, ending: str) -> None:
    if ending == "geojson" and crs != 4326:
        pytest.skip("GeoJSON is in degrees")
    own = [shapely.Point(400200, 5799800).buffer(120), shapely.box(400505, 5799100, 400821, 5799333)]
    to = pyproj.Transformer.from_crs(32633, crs, always_xy=True)
    shapes = [shapely.transform(each, lambda xy: np.stack(to.transform(*xy.T), axis=1)) for each in own]
    area = area_of_polygons(write(tmp_path / f"a.{ending}", shapes, crs=f"EPSG:{crs}"), GRID)
    expected = shapely.contains_xy(shapely.union_all(own), *centres(GRID))
    assert (whole(area) != expected).sum() <= 1  # the edges of a box are straight in its own CRS
    assert area.polygons == str(tmp_path / f"a.{ending}") and not area.covered.all()


def test_a_polygon_smaller_than_a_pixel_has_the_one_of_which_it_covers_most(tmp_path: Path) -> None:
    small = shapely.box(400301, 5799680, 400308, 5799689)
    area = area_of_polygons(write(tmp_path / "a.gpkg", [small]), GRID)
    assert (area.rows, area.cols, area.covered.tolist()) == (slice(10, 11), slice(10, 11), [[True]])
    assert area_of_bounds((400301, 5799680, 400308, 5799689), GRID).shape == (1, 1)


def test_a_hole_and_what_lies_beyond_the_scene_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ring = shapely.box(399000, 5799500, 400300, 5800600) - shapely.box(400100, 5799700, 400200, 5799800)
    points = [shapely.Point(400700, 5799000)]
    shapes = [ring, shapely.box(0, 0, 10, 10), *points]
    area = area_of_polygons(write(tmp_path / "a.gpkg", shapes, kind="Unknown"), GRID)
    np.testing.assert_array_equal(whole(area), shapely.contains_xy(ring, *centres(GRID)))
    assert "1 of 3 shapes are no polygons and are left out" in caplog.text
    assert "of the area of interest" in caplog.text and "lies outside of the scene" in caplog.text


def test_shapes_in_memory() -> None:
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(shapely.box(0, 0, 9, 9))}
    collection = {"type": "FeatureCollection", "features": [feature]}
    grid = Grid(20, 20, CRS.from_epsg(4326), Affine(1, 0, -5, 0, -1, 15))
    area = area_of_polygons(collection, grid)
    assert (area.rows, area.cols, area.polygons) == (slice(6, 15), slice(5, 14), "shapes in memory")
    with pytest.raises(FormatError, match="aoi is a int: give a file of polygons"):
        area_of_polygons(3, grid)


PLACELESS = Grid(40, 30)


@pytest.mark.parametrize(
    ("bounds", "crs", "grid", "said"),
    [
        ((500000, 5700000, 500100, 5700100), None, GRID, r"outside of the scene: .* lie 140\.\d km apart"),
        ((13.5, 52.3, 13.6, 52.4), None, GRID, "look like degrees, but the scene is in EPSG:32633: .* "
         "bounds_crs='EPSG:4326'"),
        ((52.33, 13.53, 52.34, 13.54), "EPSG:4326", GRID, "exchanged: write longitude before latitude"),
        ((400000, 5799000, 400100, 5799100), "EPSG:4326", GRID, "no degrees of EPSG:4326: .* by bounds_crs="),
        ((400000, 5799000, 400100, 5799100), None, Grid(9, 9, CRS.from_epsg(4326), Affine(1, 0, 0, 0, -1, 9)),
         "these are no degrees of EPSG:4326"),
        ((0, 0, 1, 1), "EPSG:abc", GRID, "bounds_crs is 'EPSG:abc', no CRS that is known"),
        ((0, 0, 1, 1), None, PLACELESS, "the scene has no CRS and transform; georeference it first"),
        ((0, 0, 1, 1), "EPSG:4326", Grid(9, 9, transform=Affine.identity()), "no CRS to which EPSG:4326"),
    ],
)  # fmt: skip
def test_bounds_that_are_not_there(bounds: Any, crs: str | None, grid: Grid, said: str) -> None:
    with pytest.raises(GridError, match=said) as caught:
        area_of_bounds(bounds, grid, crs=crs)
    assert "\n" not in str(caught.value)


def test_bounds_of_a_scene_with_a_transform_alone() -> None:
    area = area_of_bounds((2, 3, 5, 7), Grid(9, 9, transform=Affine(1, 0, 0, 0, -1, 9)))
    assert (area.rows, area.cols) == (slice(2, 6), slice(2, 5)) and area.covered.all()


def test_polygons_that_are_not_there(tmp_path: Path) -> None:
    far = write(tmp_path / "far.gpkg", [shapely.box(500000, 5700000, 500100, 5700100)])
    beside = write(
        tmp_path / "beside.gpkg", [shapely.Polygon([(399000, 5799900), (401500, 5801000), (399000, 5801000)])]
    )
    empty = write(tmp_path / "empty.gpkg", [])
    point = write(tmp_path / "point.gpkg", [shapely.Point(400100, 5799900)], kind="Point")
    lost = write(tmp_path / "lost.shp", [shapely.box(400000, 5799000, 400100, 5799100)])
    (tmp_path / "lost.prj").unlink()
    (tmp_path / "text.gpkg").write_text("no")
    for path, grid, error, said in (
        (far, GRID, GridError, r"far.gpkg\) lies outside of the scene: their middles lie 140\.\d km apart"),
        (beside, GRID, GridError, "covers no pixel of the scene: .* give a larger area"),
        (empty, GRID, FormatError, "is empty: it holds no shape; draw polygons"),
        (point, GRID, FormatError, "is empty: it holds 1 shape and no polygon with an area"),
        (lost, GRID, GridError, "lost.shp tells no CRS"),
        (far, PLACELESS, GridError, r"is in EPSG:32633, but the scene has no CRS and transform .*: georeference"),
        (far, Grid(9, 9, transform=Affine.identity()), GridError, "has no CRS .*, or give bounds= in its own"),
        (tmp_path / "text.gpkg", GRID, FormatError, "is no file of polygons"),
        (tmp_path / "none.gpkg", GRID, MissingInputError, "none.gpkg"),
    ):
        with pytest.raises(error, match=said) as caught:
            area_of_polygons(path, grid)
        assert "\n" not in str(caught.value)
