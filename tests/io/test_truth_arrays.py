"""Truth maps in files of arrays of unusual kinds, and files of shapes in their place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyogrio
import pytest
import scipy.sparse
from scipy.io import savemat

import hsi_cd as hc
from hsi_cd.errors import FormatError, LabelError
from hsi_cd.io import map_shape, read_labels, read_map
from hsi_cd.io.kinds import FileKind, file_kind

TRUTH = np.zeros((12, 9), dtype=np.uint8)
TRUTH[2:7, 3:8] = 1


def mat(path: Path, content: dict[str, Any], **options: Any) -> Path:
    savemat(path, content, **options)
    return path


def v73(path: Path, content: dict[str, Any]) -> Path:
    """As MATLAB v7.3 stores it: HDF5 behind a header of 512 bytes, axes last to first."""
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("data")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, values in content.items():
            if scipy.sparse.issparse(values):
                inner = group.create_group(name)
                inner.attrs["MATLAB_class"], inner.attrs["MATLAB_sparse"] = np.bytes_("double"), values.shape[0]
                for field, numbers in (("data", values.data), ("ir", values.indices), ("jc", values.indptr)):
                    inner[field] = numbers
            else:
                group[name] = values.T
                group[name].attrs["MATLAB_class"] = np.bytes_("uint8")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    return path


SPARSE = scipy.sparse.csc_matrix(TRUTH.astype(float))
NESTED = {"note": "x", "deep": {"gt": TRUTH}, "list": np.arange(4.0), "s": {"more": SPARSE}}
MADE: dict[str, tuple[Any, str | None]] = {
    "sparse.mat": (lambda p: mat(p, {"gt": SPARSE}), None),
    "packed_sparse.mat": (lambda p: mat(p, {"gt": SPARSE}, do_compression=True), "gt"),
    "logical.mat": (lambda p: mat(p, {"gt": scipy.sparse.csc_matrix(TRUTH.astype(bool))}), None),
    "single.mat": (lambda p: mat(p, {"gt": TRUTH[:, :, None]}), None),
    "single.npy": (lambda p: np.save(p, TRUTH[None]), None),
    "single.npz": (lambda p: np.savez(p, a=TRUTH[None, :, :, None], b=np.arange(3)), None),
    "struct.mat": (lambda p: mat(p, {"data": {"gt": TRUTH}}), None),
    "key.mat": (lambda p: mat(p, {"other": np.eye(5), "data": NESTED}), "data.deep.gt"),
    "packed.mat": (lambda p: mat(p, {"other": np.eye(5), "data": NESTED}, do_compression=True), "data/deep/gt"),
    "inner_sparse.mat": (lambda p: mat(p, {"data": NESTED}, do_compression=True), "data.s.more"),
    "v4.mat": (lambda p: mat(p, {"gt": TRUTH.astype(float), "n": 3.0}, format="4"), None),
    "v4_bytes.mat": (lambda p: mat(p, {"a": "text", "gt": TRUTH}, format="4"), "gt"),
    "v4_sparse.mat": (lambda p: mat(p, {"gt": SPARSE}, format="4"), None),
    "v73.mat": (lambda p: v73(p, {"gt": TRUTH}), "data.gt"),
    "v73_sparse.mat": (lambda p: v73(p, {"gt": SPARSE}), None),
}


@pytest.mark.parametrize("name", MADE)
def test_truths_of_every_form_are_read(tmp_path: Path, name: str) -> None:
    make, key = MADE[name]
    make(tmp_path / name)
    np.testing.assert_array_equal(read_labels(tmp_path / name, key=key).values, TRUTH)
    np.testing.assert_array_equal(read_map(tmp_path / name, key=key)[0], TRUTH)
    shape = map_shape(tmp_path / name, key=key)
    assert (shape.rows, shape.cols) == TRUTH.shape


def test_fields_stand_behind_what_lies_open(tmp_path: Path) -> None:
    path = mat(tmp_path / "t.mat", {"gt": TRUTH, "info": {"table": np.eye(4)}})
    np.testing.assert_array_equal(read_labels(path).values, TRUTH)  # the only one that is no field
    with pytest.raises(FormatError, match=r"no variable 'data.gt': it holds .*info.table \(4 x 4 double\)"):
        read_labels(path, key="data.gt")


def test_cubes_in_structures_are_read(tmp_path: Path) -> None:
    values = np.arange(60.0).reshape(3, 4, 5)
    path = mat(tmp_path / "c.mat", {"data": {"before": values, "after": values + 1}}, do_compression=True)
    pair = hc.open_pair(path, path, keys=("data.before", "data.after"))
    np.testing.assert_array_equal(pair.t1.read(), values.transpose(2, 0, 1))
    np.testing.assert_array_equal(pair.t2.read(), values.transpose(2, 0, 1) + 1)


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}])
def test_damaged_matrices_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    path = mat(tmp_path / "t.mat", {"gt": SPARSE}, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(FormatError):
        read_labels(path)
    if not options:  # a row index far outside: where the first value is 1.0, its row stands before
        path.write_bytes(whole.replace(np.int32(SPARSE.indices[0]).tobytes() + np.int32(3).tobytes(),
                                       np.int32(10**6).tobytes() + np.int32(3).tobytes(), 1))  # fmt: skip
        with pytest.raises(FormatError, match="do not fit its size"):
            read_labels(path)


def test_raw_numbers_are_no_matlab_file(tmp_path: Path) -> None:
    for values in (np.zeros(64, np.uint8), np.arange(64, dtype=np.int32)):
        values.tofile(tmp_path / "raw.dat")
        assert file_kind(tmp_path / "raw.dat") is FileKind.RAW


# --- what is unlabelled ---


def test_nan_is_unlabelled_whatever_is_declared(tmp_path: Path) -> None:
    stored = TRUTH.astype(float)
    stored[0] = math.nan
    expected = np.where(np.isnan(stored), 255, TRUTH)
    np.save(tmp_path / "t.npy", stored)
    for source in (tmp_path / "t.npy", stored, np.ma.masked_array(TRUTH, np.isnan(stored)), stored[None]):
        np.testing.assert_array_equal(hc.open_labels(source).values, expected)
        labels = hc.open_labels(source, changed=1, unchanged=0, ignore=math.nan)
        np.testing.assert_array_equal(labels.values, expected)
    masks = hc.open_labels((stored, np.where(np.isnan(stored), stored, 1 - stored)))
    np.testing.assert_array_equal(masks.values, expected)
    with pytest.raises(LabelError, match="NaN, which is always unlabelled"):
        hc.open_labels(stored, changed=math.nan, unchanged=0)


# --- shapes ---


@pytest.mark.parametrize(
    ("ending", "driver", "title"),
    [("gpkg", "GPKG", "GeoPackage"), ("shp", "ESRI Shapefile", "Shapefile"), ("geojson", "GeoJSON", "GeoJSON"),
     ("fgb", "FlatGeobuf", "FlatGeobuf"), ("kml", "KML", "KML")],
)  # fmt: skip
def test_shapes_are_no_raster(tmp_path: Path, ending: str, driver: str, title: str) -> None:
    path = tmp_path / f"truth.{ending}"
    point = b"\1" + np.array([1], "<u4").tobytes() + np.array([7.0, 48.0], "<f8").tobytes()
    pyogrio.raw.write(
        path,
        np.array([point], dtype=object),
        [np.array([1], np.int32)],
        ["label"],
        geometry_type="Point",
        crs="EPSG:4326",
        driver=driver,
    )
    (tmp_path / "truth.hdr").write_text("ENVI\n")  # of another file
    for read in (read_labels, read_map):
        with pytest.raises(FormatError, match=rf"is a file of shapes \({title}\), not a raster.*like=") as error:
            read(path)
        assert "\n" not in str(error.value)
    with pytest.raises(FormatError, match=r"is a file of shapes"):
        hc.open_pair(path, path)


def test_texts_that_send_gdal_elsewhere_are_no_shapes(tmp_path: Path) -> None:
    """A virtual layer and a stored pipeline, dressed as KML and GeoJSON."""
    path = tmp_path / "truth.kml"
    path.write_text('<OGRVRTDataSource><!-- <kml --><OGRVRTLayer name="a"/></OGRVRTDataSource>')
    other = tmp_path / "truth.geojson"
    other.write_text('{"type": "gdal_streamed_alg", "command_line": "gdal vector read a", "coordinates": []}')
    for each in (path, other):
        with pytest.raises(FormatError, match="first bytes are unknown"):
            hc.open_labels(each)
