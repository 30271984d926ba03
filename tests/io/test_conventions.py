"""Arrays that say what they are: NetCDF as EMIT and xarray write it, Zarr as xarray writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from affine import Affine

import hsi_cd as hc
from hsi_cd.errors import AxesError, FormatError
from hsi_cd.io import open_cube

WAVES = [450.0, 550.0, 650.0, 850.0]
VALUES = np.arange(1, 121, dtype=np.float32).reshape(4, 5, 6)  # bands, rows, cols


def emit(path: Path, *, second: bool = False) -> Path:
    """What netCDF4 writes for such a file: dimensions are scales, some without values."""
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = b"version=2,netcdf=4.9.2,hdf5=1.14.0"
        for name, size in (("downtrack", 5), ("crosstrack", 6), ("bands", 4)):
            scale = file.create_dataset(name, data=np.zeros(size, "f4"))
            scale.make_scale(f"This is a netCDF dimension but not a netCDF variable{size:10d}")
        for name in ("reflectance", "uncertainty") if second else ("reflectance",):
            cube = file.create_dataset(name, data=VALUES.transpose(1, 2, 0))
            cube.attrs["_FillValue"] = np.array([1], "f4")
            for axis, dim in enumerate(("downtrack", "crosstrack", "bands")):
                cube.dims[axis].attach_scale(file[dim])
        file["sensor_band_parameters/wavelengths"] = np.array(WAVES, "f4")
        file["location/lat"] = np.zeros((5, 6))
    return path


def test_emit(tmp_path: Path) -> None:
    one, two = emit(tmp_path / "1.nc"), emit(tmp_path / "2.nc", second=True)
    expected = VALUES.copy()
    expected[expected == 1] = np.nan
    for cube in (open_cube(one), open_cube(one, key="reflectance"), open_cube(two, key="uncertainty")):
        np.testing.assert_array_equal(cube.read(), expected)
        assert cube.bands.centres == tuple(WAVES)
    with pytest.raises(FormatError, match=r"holds 3 arrays .*: name the image by keys=$"):
        open_cube(two)
    with pytest.raises(FormatError, match=r"has no variable 'radiance': it holds .*reflectance \(5 x 6 x 4"):
        open_cube(one, key="radiance")
    pair = hc.open_pair(one, two, keys=("reflectance", "reflectance"))
    assert pair.shape == (5, 6)


def test_a_swath_is_no_map(tmp_path: Path) -> None:
    """Two dates of one shape that show one place in other pixels would be compared pixel by pixel."""
    path = emit(tmp_path / "1.nc")
    with h5py.File(path, "r+") as file:
        file["location/lon"] = np.zeros((5, 6))
    said = "location/lat and location/lon tell a place for each pixel, .* name the image .reflectance. by keys="
    with pytest.raises(FormatError, match=said):
        open_cube(path)
    assert open_cube(path, key="reflectance").grid.shape == (5, 6)
    with h5py.File(path, "r+") as file:
        del file["location/lat"]
        file["location/lat"] = np.zeros((2, 3))  # tie points, of which nobody says where they lie
    assert open_cube(path).grid.shape == (5, 6)


def of_xarray() -> Any:
    place = {"y": 5800000 - 15 - 30 * np.arange(5.0), "x": 400015 + 30 * np.arange(6.0)}
    bands = {"band": [1, 2, 3, 4], "wavelength": ("band", WAVES)}
    array = xr.DataArray(VALUES, dims=("band", "y", "x"), coords=bands | place, name="reflectance")
    return array.rio.write_crs("EPSG:32633")


def test_netcdf_as_xarray_writes_it(tmp_path: Path) -> None:
    import rioxarray  # noqa: F401 - the accessor

    of_xarray().to_dataset().to_netcdf(tmp_path / "a.nc", engine="scipy")
    for key in (None, "reflectance"):
        cube = open_cube(tmp_path / "a.nc", key=key)
        assert (cube.grid.crs.to_epsg(), cube.grid.transform) == (32633, Affine(30, 0, 400000, 0, -30, 5800000))
        assert cube.bands.centres == tuple(WAVES)
        np.testing.assert_array_equal(cube.read(slice(1, 3), slice(2, 5)), VALUES[:, 1:3, 2:5])


def test_zarr_as_xarray_writes_it(tmp_path: Path) -> None:
    import rioxarray  # noqa: F401 - the accessor

    dataset = of_xarray().to_dataset()
    (tmp_path / ".zgroup").write_text('{"zarr_format": 2}')
    for name, each in dataset.variables.items():
        values = np.asarray(each.values)
        about = {"zarr_format": 2, "shape": values.shape, "chunks": values.shape, "dtype": values.dtype.str,
                 "compressor": None, "fill_value": None, "order": "C", "filters": None}  # fmt: skip
        told = dict(each.attrs) | ({"grid_mapping": "spatial_ref"} if name == "reflectance" else {})
        (tmp_path / str(name)).mkdir()
        (tmp_path / str(name) / ".zarray").write_text(json.dumps(about))
        (tmp_path / str(name) / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": each.dims} | told))
        (tmp_path / str(name) / (".".join("0" * values.ndim) or "0")).write_bytes(values.tobytes())
    for key in (None, "reflectance"):
        cube = open_cube(tmp_path, key=key)
        assert (cube.grid.crs.to_epsg(), cube.grid.transform) == (32633, Affine(30, 0, 400000, 0, -30, 5800000))
        np.testing.assert_array_equal(cube.read(slice(1, 3), slice(2, 5)), VALUES[:, 1:3, 2:5])
    with pytest.raises(FormatError, match=r"has no array 'radiance': it holds .*reflectance"):
        open_cube(tmp_path, key="radiance")
    with pytest.raises(FormatError, match="array 'x' is no image with a georeference"):
        open_cube(tmp_path, key="x")


def test_without_names_axes_are_asked_for(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = VALUES
    with pytest.raises(AxesError):
        open_cube(tmp_path / "a.h5")
