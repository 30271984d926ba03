"""What files tell beside their values: scale, date, place, names in old encodings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.rpc import RPC
from scipy.io import netcdf_file

from hsi_cd.errors import BandError, FormatError
from hsi_cd.io import map_writers, open_cube
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.scene import Bands, Cube, Grid

VALUES = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def envi(path: Path, more: str | bytes = "", values: np.ndarray = VALUES) -> Path:
    count, rows, cols = values.shape
    code = {"int16": 2, "uint32": 13, "int64": 14, "uint64": 15}[values.dtype.name]
    head = f"ENVI\nsamples = {cols}\nlines = {rows}\nbands = {count}\ndata type = {code}\ninterleave = bsq\n"
    path.write_bytes(values.tobytes())
    path.with_suffix(".hdr").write_bytes(head.encode() + (more.encode() if isinstance(more, str) else more))
    return path


def tiff(path: Path, values: np.ndarray = VALUES, **profile: object) -> Path:
    count, rows, cols = values.shape
    base = {"driver": "GTiff", "count": count, "height": rows, "width": cols, "dtype": values.dtype.name}
    with quiet_georeference(), rasterio.open(path, "w", **(base | profile)) as file:
        file.write(values)
    return path


@given(
    scales=st.lists(st.floats(1e-5, 100), min_size=3, max_size=3),
    offsets=st.lists(st.floats(-9, 9), min_size=3, max_size=3),
)
def test_scale_and_offset_are_applied_a_band(tmp_path_factory, scales, offsets) -> None:
    path = tiff(tmp_path_factory.mktemp("scale") / "a.tif", nodata=7)
    with quiet_georeference(), rasterio.open(path, "r+") as file:
        file.scales, file.offsets = scales, offsets
    stored = np.where(VALUES == 7, np.nan, VALUES.astype(np.float64))
    expected = stored * np.array(scales)[:, None, None] + np.array(offsets)[:, None, None]
    np.testing.assert_allclose(open_cube(path).read(), expected, rtol=1e-5, atol=1e-5)


def test_envi_reflectance_scale_factor_divides(tmp_path: Path) -> None:
    cube = open_cube(envi(tmp_path / "a.dat", "reflectance scale factor = 10000\ndata ignore value = 3\n"))
    expected = np.where(VALUES == 3, np.nan, VALUES / 1e4)
    np.testing.assert_allclose(cube.read(), expected, rtol=1e-6)
    assert cube.scale == (1e-4,) * 3 and cube.offset == ()
    np.testing.assert_array_equal(cube.reader(slice(0, 4), slice(0, 5)), VALUES)


def test_one_factor_a_band() -> None:
    with pytest.raises(BandError, match="2 values of scale for 3 bands"):
        Cube("a", Grid(1, 1), Bands(3), np.dtype("u1"), lambda r, c: np.zeros((3, 1, 1)), scale=(1.0, 2.0))


@pytest.mark.parametrize("dtype", ["uint32", "int64", "uint64"])
def test_envi_types_beyond_16_bits(tmp_path: Path, dtype: str) -> None:
    values = np.arange(24, dtype=dtype).reshape(2, 3, 4) * np.array(100_000, dtype=dtype)
    np.testing.assert_array_equal(
        open_cube(envi(tmp_path / "a.dat", values=values)).read(), values.astype(np.float32)
    )


def test_headers_in_old_encodings(tmp_path: Path) -> None:
    more = "wavelength units = µm\nwavelength = {0.45, 0.55, 0.65}\nband names = {grün, rot, für alle}\n"
    for i, encoding in enumerate(("utf-8", "latin-1")):
        cube = open_cube(envi(tmp_path / f"a{i}.dat", more.encode(encoding)))
        assert cube.bands.centres == (450, 550, 650)
        assert [name.split(" (")[0] for name in cube.bands.names] == ["grün", "rot", "für alle"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2006-05-03T10:11:12.5Z", "2006-05-03T10:11:12"),
        ("2006-05-03", "2006-05-03"),
        ("20060503", "2006-05-03"),
        ("{2006-05-03 10:11}", "2006-05-03T10:11"),
        ("2006/05/03", "2006-05-03"),
        ("03.05.2006", "2006-05-03"),
        ("03/05/2006", ""),
        ("yesterday", ""),
    ],
)
def test_the_date_of_an_image(tmp_path: Path, text: str, expected: str) -> None:
    assert open_cube(envi(tmp_path / "a.dat", f"acquisition time = {text}\n")).acquired == expected
    path = tiff(tmp_path / "a.tif")
    with quiet_georeference(), rasterio.open(path, "r+") as file:
        file.update_tags(ACQUISITION_DATE=text.strip("{}"))
    assert open_cube(path).acquired == expected


def test_the_date_a_file_was_written_is_no_date_of_the_image(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif")
    with quiet_georeference(), rasterio.open(path, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2020:01:01 00:00:00")
    cube = open_cube(path)
    assert cube.acquired == "" and cube.written == "2020-01-01T00:00:00"


def test_rational_polynomials_go_through_to_the_map(tmp_path: Path) -> None:
    rpcs = RPC(
        height_off=1.0, height_scale=2.0, lat_off=3.0, lat_scale=4.0, line_den_coeff=[1.0] + [0.0] * 19,
        line_num_coeff=[0.1] * 20, line_off=5.0, line_scale=6.0, long_off=7.0, long_scale=8.0,
        samp_den_coeff=[1.0] + [0.0] * 19, samp_num_coeff=[0.2] * 20, samp_off=9.0, samp_scale=10.0,
        err_bias=0.5, err_rand=0.25,
    )  # fmt: skip
    grid = open_cube(tiff(tmp_path / "a.tif", rpcs=rpcs)).grid
    assert grid.rpcs == rpcs and grid.is_georeferenced and grid.transform is None
    with map_writers(tmp_path / "map.tif", grid=grid) as writers:
        writers.change.write(0, np.zeros((4, 5), np.uint8))
    assert open_cube(tmp_path / "map.tif").grid.rpcs == rpcs


# --- What GDAL gives for free, where a georeference proves the axes ---


def netcdf(path: Path, *, placed: bool, dims: tuple[str, str, str] = ("band", "lat", "lon")) -> np.ndarray:
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    with netcdf_file(path, "w") as file:
        for name, size in zip(dims, (3, 4, 5), strict=True):
            file.createDimension(name, size)
        if placed:
            for name, unit, at in (
                ("lat", "degrees_north", 50 - np.arange(4)),
                ("lon", "degrees_east", np.arange(5)),
            ):
                axis = file.createVariable(name, "f8", (name,))
                axis[:], axis.units, axis.standard_name = at, unit, {"lat": "latitude", "lon": "longitude"}[name]
        file.createVariable("reflectance", "f4", dims)[:] = values
    return values


def test_netcdf_with_a_place(tmp_path: Path) -> None:
    values = netcdf(tmp_path / "a.nc", placed=True)
    cube = open_cube(tmp_path / "a.nc")
    assert cube.grid.transform == Affine(1, 0, -0.5, 0, -1, 50.5)
    np.testing.assert_array_equal(cube.read(slice(1, 3)), values[:, 1:3])
    netcdf(tmp_path / "b.nc", placed=False)
    cube = open_cube(tmp_path / "b.nc")  # the dimensions' names tell the axes
    assert not cube.grid.is_georeferenced
    np.testing.assert_array_equal(cube.read(slice(1, 3)), values[:, 1:3])
    netcdf(tmp_path / "b.nc", placed=False, dims=("a", "b", "c"))
    with pytest.raises(FormatError, match="NetCDF file without a georeference, which does not tell its axes"):
        open_cube(tmp_path / "b.nc")


def zarr(folder: Path, more: dict[str, object]) -> np.ndarray:
    values = np.arange(60, dtype="<f4").reshape(3, 4, 5)
    array = folder / "cube"
    array.mkdir(parents=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    description = {
        "zarr_format": 2, "shape": [3, 4, 5], "chunks": [3, 4, 5], "dtype": "<f4", "compressor": None,
        "fill_value": None, "order": "C", "filters": None,
    }  # fmt: skip
    (array / ".zarray").write_text(json.dumps(description))
    (array / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": ["band", "y", "x"]} | more))
    (array / "0.0.0").write_bytes(values.tobytes())
    for name, at in (("y", 50.0 - np.arange(4)), ("x", np.arange(5.0))) if more else ():
        axis = folder / name
        axis.mkdir()
        (axis / ".zarray").write_text(
            json.dumps(description | {"shape": [len(at)], "chunks": [len(at)], "dtype": "<f8"})
        )
        (axis / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": [name]}))
        (axis / "0").write_bytes(at.astype("<f8").tobytes())
    return values


def test_zarr_with_a_place(tmp_path: Path) -> None:
    with rasterio.Env():
        wkt = rasterio.crs.CRS.from_epsg(32631).to_wkt()
    values = zarr(tmp_path / "a.zarr", {"_CRS": {"wkt": wkt}})
    cube = open_cube(tmp_path / "a.zarr")
    assert cube.grid.transform is not None
    np.testing.assert_array_equal(cube.read(), values)
    zarr(tmp_path / "b.zarr", {})
    with pytest.raises(FormatError, match="Zarr file without a georeference"):
        open_cube(tmp_path / "b.zarr")
