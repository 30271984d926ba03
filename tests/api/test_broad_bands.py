"""Broad bands of two satellites that lie beside each other are one band; those of another purpose are not."""

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from hsi_cd.api.masking import Masks
from hsi_cd.api.product_pairs import as_dates
from hsi_cd.io.sensor_bands import ETM, OLI, SENTINEL2A, TM
from hsi_cd.scene import Bands, Cube, Grid
from hsi_cd.scene.product import Product

GRID = Grid(8, 8, CRS.from_epsg(32633), Affine(30, 0, 300000, 0, -30, 5810000))
TEN = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")


def cube(title: str, table: dict[str, tuple[float, float]], names: tuple[str, ...]) -> Cube:
    centres, fwhm = zip(*(table[name] for name in names), strict=True)
    values = np.arange(len(names) * 64, dtype=np.float32).reshape(len(names), 8, 8)
    reader = lambda rows, cols: values[:, rows, cols]  # noqa: E731
    bands = Bands(len(names), centres, fwhm, names=names)
    return Cube(title, GRID, bands, np.dtype(np.float32), reader, product=Product(title))


def six(title: str, table: dict[str, tuple[float, float]]) -> Cube:
    return cube(title, table, tuple(name for name in table if name in ("B1", "B2", "B3", "B4", "B5", "B7")))


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (cube("Landsat", OLI, ("B2", "B3", "B4", "B5", "B6", "B7")), six("Landsat", ETM), "B2 B3 B4 B5 B6 B7"),
        (six("Landsat", TM), cube("Landsat", OLI, ("B1", "B2", "B3", "B4", "B5", "B6", "B7")),
         "B1 B2 B3 B4 B5 B7"),
        (cube("Sentinel-2", SENTINEL2A, TEN), cube("Landsat", OLI, ("B2", "B3", "B4", "B5", "B6", "B7")),
         "B2 B3 B4 B8A B11 B12"),
        (cube("Sentinel-2", SENTINEL2A, TEN), cube("Sentinel-2", SENTINEL2A, TEN), " ".join(TEN)),
    ],
    ids=["L8-L7", "L5-L8", "S2-L8", "S2-S2"],
)  # fmt: skip
def test_bands_of_one_purpose_are_paired(
    first: Cube, second: Cube, shared: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = as_dates(first, second, Masks(auto=False), tolerance=5.0)
    assert one.bands.names == tuple(shared.split())
    np.testing.assert_allclose(other.bands.centres, one.bands.centres, atol=5)
    assert ("paired, though their centres" in caplog.text) == (first.bands.centres != second.bands.centres)
    for number, name in enumerate(other.bands.names):  # each is the stored band of its name
        at = second.bands.names.index(name)
        np.testing.assert_array_equal(other.read()[number], second.read()[at])
