import numpy as np
import pytest
import rasterio.warp
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from hsi_cd.errors import GridError
from hsi_cd.scene import Grid, check_same_grid
from hsi_cd.scene.contract import corner_distance, to_pixels

PLACE = Affine(30, 0, 200000, 0, -30, 3600000)
UTM = CRS.from_epsg(32651)
NAMES = ("first.tif", "second.tif")


def placed(*, crs: CRS = UTM, transform: Affine = PLACE) -> Grid:
    return Grid(40, 30, crs=crs, transform=transform)


def test_grids_without_a_place_are_compared_by_shape() -> None:
    check_same_grid(Grid(40, 30), placed(), names=NAMES)
    check_same_grid(placed(), Grid(40, 30), names=NAMES)
    with pytest.raises(GridError, match=r"first\.tif has 40 x 30 .* second\.tif has 30 x 40"):
        check_same_grid(Grid(40, 30), Grid(30, 40), names=NAMES)


def test_another_crs_is_refused_by_its_code() -> None:
    with pytest.raises(GridError, match=r"EPSG:32651 but second\.tif in EPSG:32650"):
        check_same_grid(placed(), placed(crs=CRS.from_epsg(32650)), names=NAMES)


def test_a_crs_without_a_code_is_called_by_its_name() -> None:
    own = CRS.from_wkt(
        'PROJCS["my own grid",GEOGCS["g",DATUM["d",SPHEROID["s",6378137,298.25]],PRIMEM["Greenwich",0],'
        'UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
        'PARAMETER["central_meridian",17.3],UNIT["metre",1]]'
    )
    with pytest.raises(GridError, match="my own grid"):
        check_same_grid(placed(), placed(crs=own), names=NAMES)


def test_a_shift_is_told_in_pixels() -> None:
    with pytest.raises(GridError, match=r"differ by up to 0\.5 pixels"):
        check_same_grid(placed(), placed(transform=PLACE @ Affine.translation(0.3, 0.4)), names=NAMES)


def test_other_pixel_sizes_show_at_the_far_corner() -> None:
    # The upper left corners agree: only the others tell.
    with pytest.raises(GridError, match="differ by up to 5 pixels"):
        check_same_grid(placed(), placed(transform=PLACE @ Affine.scale(1.1)), names=NAMES)


def test_digits_written_otherwise_are_no_shift() -> None:
    check_same_grid(placed(), placed(transform=PLACE @ Affine.translation(1e-5, -1e-5)), names=NAMES)


def test_one_crs_written_in_two_ways_is_one() -> None:
    """ENVI writes a CRS by its name and parameters, a GeoTIFF by its code."""
    named = CRS.from_wkt(
        'PROJCS["UTM_Zone_51N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
        'PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
        'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",123],PARAMETER["scale_factor",0.9996],'
        'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["Meter",1]]'
    )
    check_same_grid(placed(), placed(crs=named), names=NAMES)
    with pytest.raises(GridError, match=r"differ by up to 2 pixels|up to 2 pixels apart"):
        check_same_grid(placed(), placed(crs=named, transform=PLACE @ Affine.translation(2, 0)), names=NAMES)


def test_another_shape_at_a_known_place_is_told_in_pixels_and_with_the_remedy() -> None:
    other = Grid(44, 30, crs=UTM, transform=PLACE @ Affine.translation(-3, -4))
    with pytest.raises(GridError, match=r"40 x 30 pixels but b has 44 x 30: .* up to 5 pixels apart, .*; do this"):
        check_same_grid(placed(), other, names=("a", "b"), remedy="do this")


def test_crs_at_a_place_where_they_cannot_meet() -> None:
    with pytest.raises(GridError, match=r"is in EPSG:32651 but second\.tif in EPSG:3413"):
        far = Affine(1e9, 0, 1e15, 0, -1e9, 1e15)
        check_same_grid(placed(), placed(crs=CRS.from_epsg(3413), transform=far), names=NAMES)


def test_control_points_are_compared_by_the_map_they_fit() -> None:
    def scanned(shift: float) -> Grid:
        points = [(0, 0), (0, 30), (40, 0), (40, 30), (17, 11)]
        gcps = tuple(GroundControlPoint(r, c, *(PLACE @ (c + shift, r))) for r, c in points)
        return Grid(40, 30, gcps=gcps, gcp_crs=UTM)

    check_same_grid(scanned(0), scanned(0.4), names=NAMES)
    check_same_grid(placed(), scanned(0), names=NAMES)
    with pytest.raises(GridError, match=r"up to 0\.8 pixels"):
        check_same_grid(scanned(0), scanned(0.8), names=NAMES)


def test_control_points_on_a_line_place_nothing() -> None:
    line = tuple(GroundControlPoint(i, i, 10 + i, 50 - i) for i in range(4))
    assert corner_distance(Grid(40, 30, gcps=line, gcp_crs=UTM), placed()) is None
    check_same_grid(Grid(40, 30, gcps=line, gcp_crs=UTM), placed(), names=NAMES)


@given(shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
def test_places_are_carried_from_grid_to_grid(shift: tuple[float, float]) -> None:
    """Two UTM zones against rasterio's own transform of coordinates, and back again."""
    here = placed(transform=PLACE @ Affine.translation(*shift))
    there = Grid(40, 30, crs=CRS.from_epsg(32650), transform=Affine(25, 0, 760000, 0, -25, 3610000))
    cols, rows = np.array([0.0, 3.5, 30.0]), np.array([40.0, 0.25, 7.0])
    found = to_pixels(cols, rows, source=here, target=there)
    for col, row, x, y in zip(cols, rows, *found, strict=True):
        east, north = here.transform @ (col, row)
        (east,), (north,) = rasterio.warp.transform(UTM, there.crs, [east], [north])
        np.testing.assert_allclose([x, y], ~there.transform @ (east, north), atol=1e-6)
    np.testing.assert_allclose(to_pixels(*found, source=there, target=here), [cols, rows], atol=1e-4)
