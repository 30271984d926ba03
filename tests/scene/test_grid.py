import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC

from hsi_cd.scene import Grid

PLACE = Affine(30, 0, 200000, 0, -30, 3600000)
UTM = CRS.from_epsg(32651)


def test_the_georeference_is_what_rasterio_writes() -> None:
    gcps = (GroundControlPoint(0, 0, 10, 50),)
    placed = Grid(40, 30, crs=UTM, transform=PLACE)
    ones = [1.0] * 20
    rpcs = RPC(0, 1, 0, 1, ones, ones, 0, 1, 0, 1, ones, ones, 0, 1)
    assert placed.georeference() == {"crs": UTM, "transform": PLACE}
    assert Grid(4, 3, gcps=gcps, gcp_crs=UTM).georeference() == {"crs": UTM, "gcps": list(gcps)}
    assert Grid(4, 3, rpcs=rpcs).georeference() == {"rpcs": rpcs}
    assert Grid(4, 3).georeference() == {}
    assert placed.is_georeferenced and Grid(4, 3, gcps=gcps).is_georeferenced
    assert Grid(4, 3, rpcs=rpcs).is_georeferenced
    assert not Grid(4, 3).is_georeferenced


def test_a_part_lies_where_it_lies_in_the_whole() -> None:
    ones = [1.0] * 20
    turned = Affine.translation(7, 9) @ Affine.rotation(30) @ Affine.scale(2, -3)
    grid = Grid(
        40,
        30,
        crs=UTM,
        transform=turned,
        gcps=(GroundControlPoint(12, 3, 10, 50, 7),),
        gcp_crs=UTM,
        rpcs=RPC(0, 1, 0, 1, ones, ones, 20, 1, 0, 1, ones, ones, 5, 1),
    )
    part = grid.part(slice(10, 25))
    assert (part.shape, part.crs, part.gcp_crs) == ((15, 30), UTM, UTM)
    assert part.transform is not None and part.transform @ (3, 4) == pytest.approx(turned @ (3, 14))
    point = part.gcps[0]
    assert (point.row, point.col, point.x, point.y, point.z) == (2, 3, 10, 50, 7)
    assert part.rpcs is not None and (part.rpcs.line_off, part.rpcs.samp_off) == (10, 5)
    assert Grid(4, 3).part(slice(1, 2)) == Grid(1, 3)
    part = grid.part(slice(10, 25), slice(2, 9))
    assert part.shape == (15, 7) and part.transform is not None
    assert part.transform @ (1, 4) == pytest.approx(turned @ (3, 14))
    assert (part.gcps[0].row, part.gcps[0].col) == (2, 1)
    assert part.rpcs is not None and (part.rpcs.line_off, part.rpcs.samp_off) == (10, 3)
