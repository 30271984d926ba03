"""EMIT's swaths, and two dates of two sensors, become a map with no option but the output's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deliveries
import emit_granules as granules
import h5py
import numpy as np
import pytest
import rasterio


def make(folder: Path, date: int, orbit: Any, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    day = ("2023-08-20", "2024-09-01")[date - 1]
    ground = deliveries.ground(granules.WAVES, date).astype(np.float32)
    path = folder / f"EMIT_L2A_RFL_001_{day.replace('-', '')}T161428_1_010.nc"
    return granules.granule(path, ground, day, orbit=orbit, padding=deliveries.padding(), **more)


def change(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        assert file.crs is not None and file.transform != rasterio.Affine.identity()
        return file.read(1)


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    changed, seen = found == 1, found != 255
    return float((changed & truth).sum() / ((changed | truth) & seen).sum())


def test_opposite_orbits_give_the_map_of_equal_ones(cli: Any, tmp_path: Path) -> None:
    cloud = deliveries.plane(deliveries.CLOUD)[0] != 0
    first = make(tmp_path / "1", 1, granules.ASCENDING, cloud=cloud)
    maps = []
    for orbit in (granules.ASCENDING, granules.DESCENDING):
        second = make(tmp_path / f"2{orbit.northwards}", 2, orbit, cloud=cloud)
        out = tmp_path / f"{orbit.northwards}.tif"
        assert cli("detect", "--t1", first, "--t2", second, "--output", out) == 0
        maps.append(change(out))
    np.testing.assert_array_equal(maps[0], maps[1])
    truth = np.zeros(maps[0].shape, dtype=bool)
    truth[deliveries.BLOCK] = True
    assert agreement(maps[1], truth) >= 0.85
    assert (maps[1][cloud] == 255).all() and (maps[1][deliveries.padding()] == 255).all()


def test_the_shared_miniatures(cli: Any, tmp_path: Path, shared: Path) -> None:
    found = sorted((shared / "products").glob("EMIT_L2A_RFL*.nc"))
    if len(found) != 2:
        pytest.skip("no miniatures of EMIT in ../shared")
    out = tmp_path / "change.tif"
    assert cli("detect", "--t1", found[0], "--t2", found[1], "--output", out) == 0
    with h5py.File(found[0]) as file:  # where the changed rows and columns of the swath lie on the ground
        row, col = file["location/glt_y"][...] - 1, file["location/glt_x"][...] - 1
    truth = (row >= 16) & (row < 28) & (col >= 30) & (col < 48)
    assert agreement(change(out), truth) >= 0.85


def test_info_tells_of_a_swath(cli: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = make(tmp_path, 1, granules.ASCENDING)
    assert cli("info", first, make(tmp_path, 2, granules.DESCENDING)) == 0
    told = capsys.readouterr().out
    for line in ("EMIT L2A", "36 rows x 48 cols", "EPSG:4326", "bands that good_wavelengths calls bad"):
        assert line in told
    assert "grid        the same" in told


@pytest.mark.parametrize(("first", "second"), [("enmap", "prisma"), ("tanager", "landsat")])
@pytest.mark.quick("enmap-prisma")
def test_two_sensors_with_no_option(
    cli: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, first: str, second: str
) -> None:
    paths = [deliveries.MAKERS[name](tmp_path, date) for date, name in enumerate((first, second), start=1)]
    out = tmp_path / "change.tif"
    assert cli("detect", "--t1", paths[0], "--t2", paths[1], "--output", out) == 0
    assert "are resampled to" in caplog.text and "by a Gaussian response of their fwhm" in caplog.text
    found = change(out)
    truth = np.zeros(found.shape, dtype=bool)
    truth[deliveries.BLOCK] = True
    assert agreement(found, truth) >= 0.85


def test_a_swath_without_a_grid_is_refused_and_its_remedy_works(
    cli: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    paths = [tmp_path / "1.nc", tmp_path / "2.nc"]
    for date, path in enumerate(paths, start=1):
        values = deliveries.ground(granules.WAVES, date).astype(np.float32).transpose(1, 2, 0)
        with h5py.File(path, "w") as file:
            file.attrs["_NCProperties"] = b"version=2,netcdf=4.9.2,hdf5=1.14.0"
            file["rdn"] = values
            for axis, (name, size) in enumerate(
                zip(("downtrack", "crosstrack", "bands"), values.shape, strict=True)
            ):
                scale = file.create_dataset(name, data=np.zeros(size, "f4"))
                scale.make_scale(f"This is a netCDF dimension but not a netCDF variable{size:10d}")
                file["rdn"].dims[axis].attach_scale(scale)
            for name in ("latitude", "longitude"):
                file[f"geolocation/{name}"] = np.full(values.shape[:2], 13.0)
    dates = ["--t1", paths[0], "--t2", paths[1]]
    out = tmp_path / "change.tif"
    assert cli("detect", *dates, "--output", out) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0 and "lies in the geometry of the swath" in said and not out.exists()
    assert "name the image (rdn) by --t1-key and --t2-key" in said
    assert cli("detect", *dates, "--t1-key", "rdn", "--t2-key", "rdn", "--method", "cva", "--output", out) == 0
    assert out.exists()
    capsys.readouterr()
    assert cli("info", paths[0]) == 0
    assert "geolocation/latitude and geolocation/longitude tell a place for each pixel" in capsys.readouterr().out


def test_sensors_that_share_too_little_are_refused_in_one_line(
    cli: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = make(tmp_path, 1, granules.ASCENDING), tmp_path / "2.nc"
    second.write_bytes(deliveries.MAKERS["aviris"](tmp_path, 2).read_bytes())
    with h5py.File(second, "r+") as file:
        file["reflectance/wavelength"][...] += 2110  # all but its first bands measure longer waves than EMIT
        place = file["transverse_mercator"]
        place.attrs["spatial_ref"] = granules.CRS
        place.attrs["GeoTransform"] = f"13.0 {granules.PIXEL} 0 52.4 0 -{granules.PIXEL}"
        for axis in ("easting", "northing"):
            if axis in file:
                del file[axis]
    out = tmp_path / "change.tif"
    assert cli("detect", "--t1", first, "--t2", second, "--output", out) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "can be made of those of" in said and "but at least 3 must" in said and not out.exists()
