from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from hsi_cd.errors import BandError, GridError
from hsi_cd.scene import Bands, Cube, Grid, Labels, ScenePair, cube_from_array


def cube(bands: int = 3, rows: int = 4, cols: int = 5, **options) -> Cube:
    values = np.random.default_rng(bands * rows).random((bands, rows, cols), dtype=np.float32)
    return cube_from_array(values, **options)


def test_both_dates_are_read_in_order() -> None:
    t1, t2 = cube(), cube()
    first, second = ScenePair(t1, t2).read(slice(1, 3), slice(0, 2))
    np.testing.assert_array_equal(first, t1.read()[:, 1:3, 0:2])
    np.testing.assert_array_equal(second, t2.read()[:, 1:3, 0:2])


def test_dates_of_other_shapes_or_bands_are_refused_by_name() -> None:
    with pytest.raises(GridError, match=r"t1 \(a\).*t2 \(b\)"):
        ScenePair(cube(name="a"), cube(rows=5, name="b"))
    with pytest.raises(BandError, match=r"t1 \(a\) has 3 bands but t2 \(b\) has 2"):
        ScenePair(cube(name="a"), cube(bands=2, name="b"))


def test_the_grid_is_of_the_date_that_has_a_place() -> None:
    grid = Grid(4, 5, transform=Affine.scale(2))
    assert ScenePair(cube(), cube(grid=grid)).grid is grid
    assert ScenePair(cube(grid=grid), cube()).grid is grid


def test_a_truth_of_another_shape_is_refused() -> None:
    pair = ScenePair(cube(), cube(bands=3))
    pair.check_labels(Labels(np.zeros((4, 5), np.uint8)))
    with pytest.raises(GridError, match="5 x 4 pixels but the scene has 4 x 5"):
        pair.check_labels(Labels(np.zeros((5, 4), np.uint8)))


def test_wavelengths_of_both_dates_are_compared() -> None:
    values = np.zeros((1, 4, 5), np.float32)
    t1, t2 = (cube_from_array(values, bands=Bands(1, centres=(centre,))) for centre in (400.0, 500.0))
    with pytest.raises(BandError, match=r"not in t2 \(array\): 400\.0 nm"):
        ScenePair(t1, t2)


def test_a_pair_is_told_in_one_line() -> None:
    bands = Bands(3, centres=(400.0, 650.5, 2500.0))
    assert repr(ScenePair(cube(), cube(), name="mine")).startswith("ScenePair mine: ")
    assert repr(ScenePair(cube(), cube())).endswith("4 x 5 pixels, 3 bands, no georeference")
    placed = Grid(4, 5, crs=CRS.from_epsg(32651), transform=Affine.translation(0, 0))
    told = repr(ScenePair(replace(cube(), grid=placed, bands=bands), replace(cube(), grid=placed, bands=bands)))
    assert told.endswith("4 x 5 pixels, 3 bands, 400-2500 nm, EPSG:32651")
