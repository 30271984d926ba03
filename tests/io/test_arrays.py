"""Files of named arrays: what is written by scipy, h5py and numpy is read back, by windows."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import loadmat, savemat, whosmat

from hsi_cd.errors import AxesError, FormatError, GridError
from hsi_cd.io import Expected, memory, open_cube, open_cubes, read_labels
from hsi_cd.io.arrays import read_matrix
from hsi_cd.io.cubes import CubeSource
from hsi_cd.io.kinds import file_kind
from hsi_cd.io.memory import check_memory, check_plausible, free_memory

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))


def values_of(dtype: np.dtype, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    if dtype.kind == "f":
        return arrays(dtype, shape, elements=st.floats(-1e6, 1e6, width=8 * dtype.itemsize))
    return arrays(dtype, shape)


def write_v73(path: Path, values: np.ndarray, **options: object) -> None:
    """As MATLAB writes it: 512 bytes of its own, axes last to first, the class as an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_dataset("cube", data=values.transpose(), **options)
        name = {"float64": "double", "float32": "single"}.get(values.dtype.name, values.dtype.name)
        data.attrs["MATLAB_class"] = np.bytes_(name)
    raw = bytearray(path.read_bytes())
    raw[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
    path.write_bytes(raw)


def write_numpy(write: Callable[..., None], path: Path, *values: np.ndarray, **named: np.ndarray) -> None:
    with path.open("wb") as handle:  # by name, numpy would append a suffix
        write(handle, *values, **named)


WRITERS = {
    "v5": lambda p, v: savemat(p, {"cube": v}),
    "v5 compressed": lambda p, v: savemat(p, {"cube": v}, do_compression=True),
    "v7.3": write_v73,
    "v7.3 chunked": lambda p, v: write_v73(p, v, chunks=True, compression="gzip"),
    "npy": lambda p, v: write_numpy(np.save, p, v),
    "npy, columns first": lambda p, v: write_numpy(np.save, p, np.asfortranarray(v)),
    "npz": lambda p, v: write_numpy(np.savez, p, cube=v),
    "npz compressed": lambda p, v: write_numpy(np.savez_compressed, p, cube=v),
    "hdf5": lambda p, v: h5py.File(p, "w").create_dataset("group/cube", data=v).file.close(),
}


@given(
    kind=st.sampled_from(sorted(WRITERS)),
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from("<>"),
    shape=shapes,
    data=st.data(),
)
def test_round_trips_by_windows(tmp_path_factory, kind, dtype, order, shape, data) -> None:
    stored = np.dtype(dtype).newbyteorder(order)
    if kind.startswith("v7.3"):
        stored = np.dtype(dtype)
    values = data.draw(values_of(stored, shape))
    path = tmp_path_factory.mktemp("arrays") / "no-suffix"
    WRITERS[kind](path, values)
    cube = open_cube(path, axes=("rows", "cols", "bands"))
    expected = values.transpose(2, 0, 1)
    assert (cube.grid.shape, cube.bands.count) == (shape[:2], shape[2])
    assert cube.dtype == np.dtype(dtype)
    # The stored values: Cube.read takes pixels that are all zero or saturated for no data.
    np.testing.assert_array_equal(cube.reader(slice(0, shape[0]), slice(0, shape[1])), expected)
    row0, col0 = data.draw(st.integers(0, shape[0])), data.draw(st.integers(0, shape[1]))
    row1, col1 = data.draw(st.integers(row0, shape[0])), data.draw(st.integers(col0, shape[1]))
    window = cube.reader(slice(row0, row1), slice(col0, col1))
    np.testing.assert_array_equal(window, expected[:, row0:row1, col0:col1])


@given(axes=st.permutations(["rows", "cols", "bands"]), kind=st.sampled_from(["v5", "v7.3", "npy", "npz", "hdf5"]))
def test_axes_that_are_said_hold(tmp_path_factory, axes, kind) -> None:
    sizes = {"rows": 4, "cols": 5, "bands": 6}
    cube = np.arange(120, dtype=np.int16).reshape(6, 4, 5)
    stored = cube.transpose([("bands", "rows", "cols").index(axis) for axis in axes])
    assert stored.shape == tuple(sizes[axis] for axis in axes)
    path = tmp_path_factory.mktemp("axes") / "a"
    WRITERS[kind](path, stored)
    np.testing.assert_array_equal(open_cube(path, axes=tuple(axes)).read(), cube)
    # What is known of the scene tells as much: three sizes that differ leave one order.
    np.testing.assert_array_equal(open_cube(path, expected=Expected(4, 5, 6)).read(), cube)


@pytest.mark.parametrize("compress", [False, True])
def test_the_list_of_variables_is_that_of_scipy(tmp_path: Path, compress: bool) -> None:
    cell = np.empty((2, 2), dtype=object)
    cell[:] = 1
    content = {
        "cube": np.ones((3, 4, 5)), "small": np.uint8([[1, 2]]), "flag": np.array([[True, False]]),
        "single": np.ones((2, 2), np.float32), "s": {"a": np.ones(3)}, "c": cell, "text": "hello",
        "empty": np.ones((0, 3)),
        "a_name_that_is_longer_than_31_letters": np.int64([[1, 2, 3]]), "row": np.arange(5),
        "z": np.ones((2, 2)) * 1j,
    }  # fmt: skip
    savemat(tmp_path / "a.mat", content, do_compression=compress, long_field_names=True)
    from hsi_cd.io.mat5 import list_variables

    variables = list_variables(tmp_path / "a.mat")
    found = [(v.name, v.shape, v.kind.removeprefix("complex ")) for v in variables if not v.in_structure]
    assert [str(v) for v in variables if v.in_structure] == ["s.a (1 x 3 double)"]
    # scipy alone counts the letters of a text as one axis.
    assert [v for v in found if v[0] != "text"] == [v for v in whosmat(tmp_path / "a.mat") if v[0] != "text"]
    assert ("text", (1, 5), "char") in found
    for name in ("small", "flag", "single"):
        expected = loadmat(tmp_path / "a.mat")[name]
        if min(expected.shape) > 1:
            np.testing.assert_array_equal(
                read_matrix(tmp_path / "a.mat", file_kind(tmp_path / "a.mat"), key=name), expected
            )


def test_version_7_3_lists_what_matlab_would(tmp_path: Path) -> None:
    write_v73(tmp_path / "a.mat", np.ones((3, 4, 5), np.float32))
    with h5py.File(tmp_path / "a.mat", "r+") as file:
        file.create_group("#refs#")["x"] = np.ones((2, 2, 2))
        file.create_group("s").attrs["MATLAB_class"] = np.bytes_(b"struct")
        file["s/inside"] = np.ones((2, 2, 2))
        refs = file.create_dataset("c", (2, 3), h5py.ref_dtype)
        refs.attrs["MATLAB_class"] = np.bytes_(b"cell")
        hollow = file.create_dataset("e", data=np.uint64([0, 0]))
        hollow.attrs["MATLAB_class"], hollow.attrs["MATLAB_empty"] = np.bytes_(b"double"), np.uint8(1)
        file["truth"] = np.arange(12, dtype=np.uint8).reshape(4, 3)
        file["truth"].attrs["MATLAB_class"] = np.bytes_(b"uint8")
    assert open_cube(tmp_path / "a.mat").grid.shape == (3, 4)
    with pytest.raises(
        FormatError, match=r"no variable 'x'.*c \(3 x 2 cell\), cube \(3 x 4 x 5 single\)"
    ) as caught:
        open_cube(tmp_path / "a.mat", key="x")
    assert "s (1 x 1 struct)" in str(caught.value) and "refs" not in str(caught.value)
    truth = read_matrix(tmp_path / "a.mat", file_kind(tmp_path / "a.mat"))
    np.testing.assert_array_equal(truth, np.arange(12).reshape(4, 3).T)


def test_truth_maps_in_every_kind_of_file(tmp_path: Path) -> None:
    truth = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    savemat(tmp_path / "v5.mat", {"gt": truth})
    write_v73(tmp_path / "v73.mat", truth)
    np.save(tmp_path / "a.npy", truth)
    np.savez(tmp_path / "a.npz", gt=truth)
    for name in ("v5.mat", "v73.mat", "a.npy", "a.npz"):
        np.testing.assert_array_equal(read_labels(tmp_path / name).values, truth)


# --- Axes ---


def test_bare_arrays_ask_for_their_axes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 6, 7)))
    with pytest.raises(
        AxesError, match=r"5 x 6 x 7.*axes='rows,cols,bands' or 'rows,bands,cols' or 'bands,rows,cols'"
    ):
        open_cube(tmp_path / "a.npy")
    with pytest.raises(GridError, match="in no order of its axes has it 8 rows"):
        open_cube(tmp_path / "a.npy", expected=Expected(rows=8))


@pytest.mark.parametrize(
    ("shape", "expected", "found"),
    [
        ((7, 5, 6), Expected(5, 6), (7, 5, 6)),  # a truth map tells
        ((5, 6, 7), Expected(5, 6), (7, 5, 6)),
        ((7, 6, 5), Expected(5, 6), (7, 5, 6)),  # as h5py shows a v7.3 file
        ((7, 5, 5), Expected(5, 5), (7, 5, 5)),
        ((7, 5, 6), Expected(bands=7), (7, 5, 6)),  # wavelengths tell
    ],
)
def test_axes_are_found_from_what_is_known(tmp_path: Path, shape, expected, found) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    cube = open_cube(tmp_path / "a.npy", expected=expected)
    assert (cube.bands.count, *cube.grid.shape) == found


@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 6, 5)])
def test_sizes_that_are_alike_stay_ambiguous(tmp_path: Path, shape) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(AxesError, match="fit several"):
        open_cube(tmp_path / "a.npy", expected=Expected(bands=5))


def test_matlab_keeps_its_convention_unless_contradicted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    savemat(tmp_path / "a.mat", {"x": np.zeros((5, 6, 7))})
    assert open_cube(tmp_path / "a.mat").grid.shape == (5, 6)
    assert open_cube(tmp_path / "a.mat", expected=Expected(5, 6)).grid.shape == (5, 6)
    # A truth of another shape must not turn the cube: comparing the grids says what is wrong.
    for other in (Expected(6, 5), Expected(7, 6), Expected(40, 50)):
        assert open_cube(tmp_path / "a.mat", expected=other).grid.shape == (5, 6)
    assert caplog.text == ""
    savemat(tmp_path / "b.mat", {"x": np.zeros((7, 5, 6))})
    assert open_cube(tmp_path / "b.mat", expected=Expected(5, 6)).bands.count == 7
    assert "is read as bands,rows,cols, because of 5 rows, 6 cols" in caplog.text


def test_a_list_of_wavelengths_tells_bands_and_centres(tmp_path: Path) -> None:
    centres = np.linspace(0.4, 2.5, 7)
    values = np.arange(210.0).reshape(7, 5, 6)
    np.savez(tmp_path / "a.npz", reflectance=values, wavelengths=centres)
    savemat(tmp_path / "a.mat", {"reflectance": values.transpose(1, 2, 0), "Wavelength_um": centres[:, None]})
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scene/reflectance"], file["scene/wavelength"] = values, centres
    for name in ("a.npz", "a.mat", "a.h5"):
        cube = open_cube(tmp_path / name)
        np.testing.assert_allclose(cube.bands.centres, centres * 1e3)
        np.testing.assert_array_equal(cube.read(), values)


def test_one_date_tells_the_other_its_axes(tmp_path: Path) -> None:
    values = np.arange(210, dtype=np.int16).reshape(5, 6, 7)
    savemat(tmp_path / "t1.mat", {"x": values})
    np.save(tmp_path / "t2.npy", values.transpose(2, 0, 1))
    for sources in (("t1.mat", "t2.npy"), ("t2.npy", "t1.mat")):
        first, second = open_cubes(*(CubeSource(tmp_path / name) for name in sources))
        np.testing.assert_array_equal(first.read(), second.read())
    with pytest.raises(AxesError):
        open_cubes(CubeSource(tmp_path / "t2.npy"), CubeSource(tmp_path / "t2.npy"))
    told = open_cubes(CubeSource(tmp_path / "t2.npy"), CubeSource(tmp_path / "t2.npy"), expected=Expected(5, 6))
    assert told[0].bands.count == 7


def test_axes_are_said_of_the_array_where_the_other_date_is_a_raster(tmp_path: Path) -> None:
    values = np.arange(125, dtype=np.int16).reshape(5, 5, 5)  # which nothing but the user can tell
    np.save(tmp_path / "t2.npy", values)
    (tmp_path / "t1.img").write_bytes(values.tobytes())
    (tmp_path / "t1.hdr").write_text(
        "ENVI\nsamples = 5\nlines = 5\nbands = 5\ndata type = 2\ninterleave = bsq\nbyte order = 0\n"
    )
    said = ("bands", "rows", "cols")
    sources = [CubeSource(tmp_path / name, axes=said) for name in ("t1.img", "t2.npy")]
    first, second = open_cubes(*sources)
    np.testing.assert_array_equal(first.read(), second.read())
    with pytest.raises(FormatError, match="tells its axes itself"):
        open_cubes(sources[0], sources[0])


# --- Values, memory, processes ---


def test_cf_attributes_scale_and_mask(tmp_path: Path) -> None:
    stored = np.array([[[-999, 0, 5000], [10000, 1, 2]]], np.int16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = stored
        file["x"].attrs.update(scale_factor=1e-4, add_offset=0.5, _FillValue=np.int16(-999))
    values = open_cube(tmp_path / "a.h5", axes=("bands", "rows", "cols")).read()
    expected = np.where(stored == -999, np.nan, stored * 1e-4 + 0.5)
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_only_what_is_compressed_is_loaded(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS[kind](tmp_path / "a", np.ones((8, 9, 10)))
    loaded = []
    for module in ("mat5", "numpy_files"):
        monkeypatch.setattr(f"hsi_cd.io.{module}.check_memory", lambda path, size: loaded.append(size))
    cube = open_cube(tmp_path / "a", axes=("rows", "cols", "bands"))
    for row in range(3):
        assert cube.reader(slice(row, row + 1), slice(0, 2)).shape == (10, 1, 2)
    assert len(loaded) == kind.endswith(" compressed")


@pytest.mark.parametrize("kind", ["v5", "npy", "npz"])
def test_a_file_that_shrinks_is_told(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path / "a", np.ones((8, 9, 10)))
    cube = open_cube(tmp_path / "a", axes=("rows", "cols", "bands"))
    cube.read()
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:400])
    with pytest.raises(FormatError, match="was changed or removed"):
        cube.read()


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_threads_children_and_pickles_read_alike(tmp_path: Path, kind: str) -> None:
    values = np.arange(24 * 20 * 6, dtype=np.int32).reshape(24, 20, 6)
    WRITERS[kind](tmp_path / "a", values)
    cube = open_cube(tmp_path / "a", axes=("rows", "cols", "bands"))
    expected = values.transpose(2, 0, 1)
    wrong: list[int] = []

    def read() -> None:
        wrong.extend(
            r for r in range(20) if not np.array_equal(cube.read(slice(r, r + 3)), expected[:, r : r + 3])
        )

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(pickle.dumps(cube)) < 5000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cube)).read(), expected)  # noqa: S301 - our own bytes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: numpy's own threads are running
        child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(cube.read(), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_memory_is_announced_or_refused(monkeypatch, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.ones((50, 50, 4))}, do_compression=True)  # 80 kB
    monkeypatch.setattr(memory, "free_memory", lambda: 1_000_000)
    open_cube(tmp_path / "a.mat")
    assert caplog.text == ""
    monkeypatch.setattr(memory, "free_memory", lambda: 100_000)
    with caplog.at_level(logging.WARNING):
        open_cube(tmp_path / "a.mat")
    assert "takes 80 kB of memory, 100 kB are free" in caplog.text
    monkeypatch.setattr(memory, "free_memory", lambda: 70_000)
    with pytest.raises(FormatError, match=r"takes 80 kB of memory, 70 kB are free.*v7\.3"):
        open_cube(tmp_path / "a.mat")
    savemat(tmp_path / "a.mat", {"x": np.ones((50, 50, 4))})  # which has windows, and needs none of it
    assert open_cube(tmp_path / "a.mat").read(slice(0, 1)).shape == (4, 1, 50)


def test_where_the_system_does_not_tell_its_memory(monkeypatch, tmp_path: Path) -> None:
    found = free_memory()
    assert found is None or found > 0
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert free_memory() is None
    check_memory(tmp_path, 10**18)


def test_files_that_describe_more_than_they_hold(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100))
    check_plausible(tmp_path / "a", (1000, 1000, 30), 4)  # 120 MB of nothing do no harm
    with pytest.raises(FormatError, match=r"describes 2000 x 1000 x 1000 values \(8 GB\) but has 100 bytes"):
        check_plausible(tmp_path / "a", (2000, 1000, 1000), 4)


# --- Real files ---


def test_the_real_version_7_3_file(shared: Path) -> None:
    path = shared / "files/abu-urban-1.mat"
    with pytest.raises(FormatError, match=r"no variable 'x': it holds hsi \(100 x 100 x 204 double\), hsi_gt"):
        open_cube(path, key="x")
    cube = open_cube(path)
    assert (cube.grid.shape, cube.bands.count, cube.dtype) == ((100, 100), 204, np.float64)
    with h5py.File(path) as file:
        expected = file["hsi"][:]  # (bands, cols, rows), as HDF5 has them
        truth = file["hsi_gt"][:]
    np.testing.assert_array_equal(
        cube.read(slice(3, 9), slice(40, 60)), expected[:, 40:60, 3:9].transpose(0, 2, 1)
    )
    assert (cube.read().min(), cube.read().max()) == (-50, 6534)
    np.testing.assert_array_equal(read_labels(path).values, truth.T)


def test_every_real_truth_is_what_scipy_reads(shared: Path) -> None:
    files = sorted((shared / "truth").glob("*.mat"))
    assert len(files) == 10
    for path in files:
        found = loadmat(path)
        (key,) = [name for name, value in found.items() if isinstance(value, np.ndarray) and min(value.shape) > 1]
        np.testing.assert_array_equal(read_matrix(path, file_kind(path)), found[key])
