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
