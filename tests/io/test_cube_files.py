"""A cube written after another one: read back by rasterio and by this package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from hsi_cd.errors import OutputError
from hsi_cd.io import open_cube
from hsi_cd.io.cube_files import write_cube
from hsi_cd.scene import Bands, Cube, Grid, cube_from_array
from hsi_cd.scene.cube import derived_cube

PLACE = Grid(30, 20, CRS.from_epsg(32633), Affine(30, 0, 400_000, 0, -30, 5_800_000))
BANDS = Bands(3, (500.5, 600.25, 700.0), (10.0, 10.0, 12.0), (True, False, True), ("a", "b", "c"))


def source(values: np.ndarray, nodata: float | None = None) -> Cube:
    cube = cube_from_array(values, grid=PLACE, bands=BANDS, nodata=nodata)
    return replace(cube, acquired="2022-07-24", scale=(0.5, 0.5, 1.0), offset=(1.0, 0.0, 0.0))


def written(path: Path, cube: Cube, values: np.ndarray) -> np.ndarray:
    """What rasterio reads of the values, written as if made of the cube."""
    write_cube(path, derived_cube(cube, lambda r, c: values[:, r, c]), like=cube, tags={"WHY": "a test"})
    with rasterio.open(path) as file:
        assert file.dtypes == (cube.dtype.name,) * 3 and file.tags()["WHY"] == "a test"
        return file.read()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
@pytest.mark.parametrize("nodata", [None, 7])
def test_integers_stay_integers(tmp_path: Path, dtype: str, nodata: float | None) -> None:
    limits = np.iinfo(dtype)
    cube = source(np.full((3, 30, 20), 9, dtype), nodata)
    values = np.full((3, 30, 20), 100.0, np.float32)
    values[0, 0, :6] = [limits.min - 5.0, limits.max + 9.0, 41.4, 41.6, 7.2, np.nan]
    found = written(tmp_path / "a.tif", cube, values)
    none = limits.min if nodata is None else nodata
    low = limits.min + (none == limits.min)  # a value is no "no data"
    assert found[0, 0, :6].tolist() == [low, limits.max, 41, 42, 7 + (none == 7), none]
    again = open_cube(tmp_path / "a.tif")
    assert again.nodata == none and again.grid == PLACE and again.acquired == "2022-07-24"
    assert again.bands == BANDS and (again.scale, again.offset) == (cube.scale, cube.offset)
    read = again.read()
    assert read[0, 1, 1] == 51.0 and np.argwhere(np.isnan(read)).tolist() == [[0, 0, 5]]


@pytest.mark.parametrize("nodata", [None, -9999.0])
def test_floats(tmp_path: Path, nodata: float | None) -> None:
    cube = source(np.zeros((3, 30, 20), np.float32), nodata)
    values = np.random.default_rng(0).normal(size=(3, 30, 20)).astype(np.float32)
    values[1, 4, 5], values[2, 3, 3] = np.nan, -9999
    found = written(tmp_path / "a.tif", cube, values)
    known = np.isfinite(values)
    known[2, 3, 3] = False
    np.testing.assert_array_equal(found[known], values[known])
    assert np.isnan(open_cube(tmp_path / "a.tif").read()).sum() == 1


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    cube = source(np.zeros((3, 30, 20), np.uint8))

    def broken(rows: slice, cols: slice) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cube(tmp_path / "a.tif", derived_cube(cube, broken), like=cube)
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.tif").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_cube(tmp_path / "a.tif", cube, like=cube)
