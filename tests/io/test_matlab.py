import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from hsi_cd.errors import FormatError, MissingInputError
from hsi_cd.io import open_cube, read_labels
from hsi_cd.scene import LabelScheme

ZERO_ONE = LabelScheme(unchanged=(0,), changed=(1,))


def _cube(rows: int = 5, cols: int = 4, bands: int = 3) -> np.ndarray:
    return np.arange(rows * cols * bands, dtype=np.int16).reshape(rows, cols, bands)


@pytest.mark.parametrize("compress", [False, True])
def test_axes_become_bands_rows_cols(tmp_path: Path, compress: bool) -> None:
    values = _cube()
    savemat(tmp_path / "a.mat", {"x": values, "note": "text", "n": 3}, do_compression=compress)
    cube = open_cube(tmp_path / "a.mat")
    assert (cube.grid.shape, cube.bands.count, cube.dtype) == ((5, 4), 3, np.int16)
    assert not cube.grid.is_georeferenced
    np.testing.assert_array_equal(cube.read(), values.transpose(2, 0, 1))
    np.testing.assert_array_equal(cube.read(slice(1, 3), slice(2, 4)), values.transpose(2, 0, 1)[:, 1:3, 2:4])


def test_only_reading_loads_and_pickling_does_not_carry_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"x": np.zeros((50, 50, 20))})
    cube = open_cube(path)
    cube.read(slice(0, 1))
    assert len(pickle.dumps(cube)) < 5000
    again = pickle.loads(pickle.dumps(cube))  # noqa: S301 - our own bytes
    assert again.read().shape == (20, 50, 50)


def test_a_key_chooses_and_a_wrong_one_lists_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "both.mat"
    savemat(path, {"T1": _cube(), "T2": _cube() + 1, "Binary": np.eye(5, 4, dtype=np.uint8)})
    assert open_cube(path, key="T2").read()[0, 0, 0] == 1
    assert open_cube(path, key="T2").name == "both.mat:T2"
    with pytest.raises(FormatError, match=r"2 candidates.*T1 \(5 x 4 x 3 int16\), T2.*Binary \(5 x 4 uint8\)"):
        open_cube(path)
    with pytest.raises(FormatError, match=r"no variable 'T3'.*T1 \(5 x 4 x 3 int16\)"):
        open_cube(path, key="T3")
    with pytest.raises(FormatError, match="is no 3-D array"):
        open_cube(path, key="Binary")
    assert read_labels(path).counts() == (16, 4, 0)


def test_cells_and_text_are_never_taken(tmp_path: Path) -> None:
    path = tmp_path / "s.mat"
    cell = np.empty((2, 2), dtype=object)
    cell[:] = 1
    savemat(path, {"s": {"a": "text"}, "c": cell, "t": "text"})
    with pytest.raises(FormatError, match=r"no 3-D array of numbers.*s \(1 x 1 struct\).*s\.a \(1 x 4 char\)"):
        open_cube(path)
    with pytest.raises(FormatError, match=r"c \(2 x 2 cell\) is no 2-D array"):
        read_labels(path, key="c", scheme=ZERO_ONE)


def test_complex_values_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "c.mat", {"x": _cube() * 1j})
    with pytest.raises(FormatError, match=r"x \(5 x 4 x 3 complex double\)"):
        open_cube(tmp_path / "c.mat").read()


@pytest.mark.parametrize("kept", [20, 127, 130, 200, -1])
@pytest.mark.parametrize("compress", [False, True])
def test_truncated_files_are_refused_when_opened(tmp_path: Path, kept: int, compress: bool) -> None:
    savemat(tmp_path / "a.mat", {"x": _cube(9, 9, 9)}, do_compression=compress)
    whole = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "b.mat").write_bytes(whole[:kept])
    with pytest.raises(FormatError):
        open_cube(tmp_path / "b.mat")


def test_damaged_bytes_are_a_format_error(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": _cube(9, 9, 9)}, do_compression=True)
    raw = bytearray((tmp_path / "a.mat").read_bytes())
    raw[150:] = bytes(len(raw) - 150)
    (tmp_path / "b.mat").write_bytes(raw)
    with pytest.raises(FormatError, match="damaged"):
        open_cube(tmp_path / "b.mat").read()


def test_missing_files_name_what_is_near(tmp_path: Path) -> None:
    savemat(tmp_path / "Farm1.mat", {"x": _cube()})
    with pytest.raises(MissingInputError, match=r"did you mean Farm1\.mat\?"):
        open_cube(tmp_path / "farm1.MAT")
    with pytest.raises(MissingInputError, match="no folder"):
        open_cube(tmp_path / "no" / "farm1.mat")
    with pytest.raises(FileNotFoundError):
        open_cube(tmp_path / "zzz")


def test_the_farmland_cube_is_what_scipy_reads(shared: Path) -> None:
    path = shared / "scenes/farmland/Farm1.mat"
    expected = loadmat(path)["imgh"]
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.read(slice(440, 450)), expected[440:].transpose(2, 0, 1))
