import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from hsi_cd.errors import GridError
from hsi_cd.scene import Grid, check_same_grid

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


def test_the_georeference_is_what_rasterio_writes() -> None:
    gcps = (GroundControlPoint(0, 0, 10, 50),)
    assert placed().georeference() == {"crs": UTM, "transform": PLACE}
    assert Grid(4, 3, gcps=gcps, gcp_crs=UTM).georeference() == {"crs": UTM, "gcps": list(gcps)}
    assert Grid(4, 3).georeference() == {}
    assert placed().is_georeferenced and Grid(4, 3, gcps=gcps).is_georeferenced
    assert not Grid(4, 3).is_georeferenced
