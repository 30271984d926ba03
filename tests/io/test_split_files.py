import io
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsi_cd.errors import FormatError, GridError, HsiCdError, LabelError, MissingInputError, OutputError
from hsi_cd.io.split_files import read_split, write_split
from hsi_cd.scene import Labels, LabelScheme, Split

SPLIT = Split("P1", 7, (4, 5), np.array([19, 0, 3], np.int64))


def store(path: Path, **changes) -> Path:
    content = {"train": SPLIT.train, "shape": (4, 5), "protocol": "P1", "seed": 7} | changes
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_split(tmp_path / "split.npz", SPLIT)
    found = read_split(tmp_path / "split.npz")
    assert (found.protocol, found.seed, found.shape) == ("P1", 7, (4, 5))
    np.testing.assert_array_equal(found.train, SPLIT.train)
    assert found.train.dtype == np.int64


def test_a_split_is_replaced_only_if_asked(tmp_path: Path) -> None:
    write_split(tmp_path / "split.npz", SPLIT)
    with pytest.raises(OutputError, match="exists"):
        write_split(tmp_path / "split.npz", SPLIT)
    write_split(tmp_path / "split.npz", SPLIT, overwrite=True)


@pytest.mark.parametrize("name", ["train", "shape", "protocol", "seed"])
def test_a_part_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match="is not a split"):
        read_split(store(tmp_path / "split.npz", **{name: None}))


@pytest.mark.parametrize(
    "train",
    [[20], [-1], [3, 3], [[1, 2]], [0.5], [np.nan], ["a"], [True], 3, [2**63]],
    ids=["beyond", "negative", "twice", "2-D", "fraction", "nan", "text", "bool", "scalar", "huge"],
)
def test_pixels_that_are_none_of_the_scene(tmp_path: Path, train) -> None:
    with pytest.raises(FormatError, match=r"split\.npz"):
        read_split(store(tmp_path / "split.npz", train=np.array(train)))


@pytest.mark.parametrize("changes", [{"shape": (4, 5, 6)}, {"shape": 4}, {"seed": "x"}, {"shape": (-4, -5)}])
def test_a_part_is_of_another_kind(tmp_path: Path, changes) -> None:
    with pytest.raises(FormatError):
        read_split(store(tmp_path / "split.npz", **changes))


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        read_split(store(tmp_path / "split.npz", train=np.array([SPLIT], dtype=object)))


def test_files_of_other_kinds(tmp_path: Path) -> None:
    text, array, archive = tmp_path / "a.npz", tmp_path / "b.npz", tmp_path / "c.npz"
    text.write_text("train,shape\n")
    with array.open("wb") as handle:
        np.save(handle, SPLIT.train)
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("train", "no array")
    for path in (text, array, archive):
        with pytest.raises(FormatError, match="is not a split"):
            read_split(path)
    with pytest.raises(MissingInputError):
        read_split(tmp_path / "none.npz")


def written() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, train=np.arange(20), shape=(4, 5), protocol="P1", seed=7)
    return buffer.getvalue()


WHOLE = written()


@given(data=st.data())
def test_a_damaged_file_is_refused_or_read(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("damaged") / "split.npz"
    content = bytearray(WHOLE[: data.draw(st.integers(0, len(WHOLE)))])
    for _ in range(data.draw(st.integers(0, 3)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_split(path)
    except HsiCdError as error:
        assert str(path) in str(error)


def test_the_guard_is_kept_and_older_files_have_none(tmp_path: Path) -> None:
    guard = np.zeros((4, 5), bool)
    guard[1, 2:4] = True
    write_split(tmp_path / "guarded.npz", Split("P1-strict", 7, (4, 5), SPLIT.train, guard))
    found = read_split(tmp_path / "guarded.npz").guard
    assert found is not None and found.dtype == np.bool_
    np.testing.assert_array_equal(found, guard)
    assert read_split(store(tmp_path / "older.npz")).guard is None


def test_a_split_without_a_guard_is_written_as_before(tmp_path: Path) -> None:
    write_split(tmp_path / "split.npz", SPLIT)
    with np.load(tmp_path / "split.npz") as content:
        assert sorted(content) == ["protocol", "seed", "shape", "train"]


def test_a_split_that_teaches_nothing_is_kept(tmp_path: Path) -> None:
    write_split(tmp_path / "split.npz", Split("P4", 0, (4, 5), np.empty(0, np.int64)))
    found = read_split(tmp_path / "split.npz")
    assert found.train.shape == (0,) and found.train.dtype == np.int64


@pytest.mark.parametrize(
    "guard",
    [np.zeros((5, 4), bool), np.zeros((4, 5), np.uint8), np.zeros(20, bool)],
    ids=["shape", "type", "flat"],
)
def test_a_guard_that_does_not_fit(tmp_path: Path, guard) -> None:
    with pytest.raises(FormatError, match="damaged"):
        read_split(store(tmp_path / "split.npz", guard=guard))


# --- The pixels that teach as tables, MATLAB's arrays and rasters ---


@st.composite
def divided(draw: st.DrawFn, *, guarded: bool = True) -> Split:
    rows, cols = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    pixels = draw(st.lists(st.integers(0, rows * cols - 1), min_size=1, unique=True))
    guard = None
    if guarded and draw(st.booleans()):
        guard = draw(arrays(np.bool_, (rows, cols)))
    protocol = draw(st.sampled_from(["P1", "P1-strict", "P2", "P3"]))
    return Split(protocol, draw(st.integers(0, 2**32 - 1)), (rows, cols), np.array(pixels, np.int64), guard)


def truth_of(split: Split, values: np.ndarray | None = None) -> Labels:
    return Labels(np.zeros(split.shape, np.uint8) if values is None else values)


@given(split=divided(), ending=st.sampled_from([".npz", ".mat", ".csv", ".CSV"]))
def test_every_format_brings_the_pixels_back_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, split: Split, ending: str
) -> None:
    path = tmp_path_factory.mktemp("formats") / f"split{ending}"
    if ending.lower() == ".csv" and split.guard is not None and split.guard.any():
        with pytest.raises(FormatError, match=r"cannot say: name it \.npz or \.mat"):
            write_split(path, split)
        assert not path.exists()
        return
    write_split(path, split)
    found = read_split(path, truth_of(split))
    assert found.same_pixels(split) and found.shape == split.shape
    assert (found.protocol, found.seed) == ((split.protocol, split.seed) if ending == ".npz" else ("file", 0))
    if ending == ".npz":
        assert found.fingerprint == split.fingerprint
    if ending != ".csv":
        assert ending == ".CSV" or read_split(path).same_pixels(split)  # these tell their shape


@given(split=divided(guarded=False), base=st.integers(0, 1), column_major=st.integers(0, 1), v73=st.booleans())
def test_flat_indices_are_read_as_the_file_says(
    tmp_path_factory: pytest.TempPathFactory, split: Split, base: int, column_major: int, v73: bool
) -> None:
    path = tmp_path_factory.mktemp("flat") / "split.mat"
    order = "F" if column_major else "C"
    flat = np.ravel_multi_index(np.unravel_index(split.train, split.shape), split.shape, order=order) + base
    content = {"train": flat.astype(np.float64)[:, None], "base": base, "column_major": column_major}
    if v73:
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, value in content.items():
                file[name] = np.atleast_2d(np.asarray(value, np.float64)).T
    else:
        scipy.io.savemat(path, content)
    found = read_split(path, truth_of(split))
    np.testing.assert_array_equal(found.train, split.train)


@given(split=divided(guarded=False), data=st.data())
def test_what_a_raster_labels_teaches(
    tmp_path_factory: pytest.TempPathFactory, split: Split, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("raster") / "teachers.tif"
    truth = data.draw(arrays(np.uint8, split.shape, elements=st.integers(0, 1)))
    stored = np.full(split.shape, 255, np.uint8)
    stored.ravel()[split.train] = truth.ravel()[split.train]
    write_tiff(path, stored)
    found = read_split(path, truth_of(split, truth))
    np.testing.assert_array_equal(found.train, np.sort(split.train))
    assert found.protocol == "file"
    wrong = data.draw(st.sampled_from(split.train.tolist()))
    stored.ravel()[wrong] = 1 - stored.ravel()[wrong]
    write_tiff(path, stored)
    row, col = divmod(wrong, split.shape[1])
    with pytest.raises(
        LabelError, match=rf"contradicts truth in 1 of \d+ pixels, first in row {row}, column {col}"
    ):
        read_split(path, truth_of(split, truth))


def write_tiff(path: Path, values: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        profile = {
            "driver": "GTiff",
            "dtype": "uint8",
            "count": 1,
            "height": len(values),
            "width": values.shape[1],
        }
        with rasterio.open(path, "w", **profile) as file:
            file.write(values, 1)


def test_a_raster_in_the_values_of_the_truth(tmp_path: Path) -> None:
    """2 is unchanged and 1 changed, as the truth was declared; told from the values it would be the reverse."""
    scheme = LabelScheme(unchanged=(2,), changed=(1,), ignore=(0,))
    truth = Labels(np.array([[0, 1, 255], [1, 0, 0]], np.uint8), scheme)
    write_tiff(tmp_path / "t.tif", np.array([[2, 1, 0], [0, 0, 0]], np.uint8))
    assert read_split(tmp_path / "t.tif", truth).train.tolist() == [0, 1]
    write_tiff(tmp_path / "t.tif", np.array([[2, 1, 1], [0, 0, 0]], np.uint8))
    with pytest.raises(LabelError, match=r"1 of 3 pixels of .* are unlabelled in truth"):
        read_split(tmp_path / "t.tif", truth)
    write_tiff(tmp_path / "t.tif", np.array([[7, 9, 0], [0, 0, 0]], np.uint8))
    with pytest.raises(
        LabelError, match=r"give it the truth map's values \(2 unchanged, 1 changed, 0 unlabelled\)"
    ):
        read_split(tmp_path / "t.tif", truth)
    write_tiff(tmp_path / "t.tif", np.zeros((2, 3), np.uint8))
    with pytest.raises(LabelError, match="labels no pixel, so none teaches"):
        read_split(tmp_path / "t.tif", truth)
    write_tiff(tmp_path / "t.tif", np.array([[2, 1], [0, 0]], np.uint8))
    with pytest.raises(GridError, match="2 x 2 pixels but the truth"):
        read_split(tmp_path / "t.tif", truth)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index\n20\n", r"1 of 1 pixels are outside the scene of 4 x 5 pixels, first index 20"),
        ("index\n-1\n", "first index -1"),
        ("row,col\n1,1\n0,5\n", r"1 of 2 pixels are outside .* first row 0, column 5"),
        ("row,col\n-1,0\n", "first row -1"),
        ("row,col\n1,2\n3,3\n1,2\n", "names 1 pixels twice, first row 1, column 2"),
        ("index\n7\n7\n", "names 1 pixels twice, first row 1, column 2"),
        ("row,col\n", "names no pixel, so none teaches"),
        ("3\n4\n", r"begins with '3': expected the header index \(flat, row by row\) or row,col"),
        ("col,row\n1,2\n", "begins with 'col,row'"),
        ("index\n1.5\n", "line 2: '1.5'"),
        ("row,col\n1\n", "line 2: '1'"),
        ("index\n99999999999999999999\n", "line 2"),
        ("", "0 bytes"),
    ],
)
def test_a_table_that_is_no_split(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_split(tmp_path / "s.csv", truth_of(SPLIT))


def test_a_table_of_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes("\ufeffrow, col\r\n3, 4\r\n0,0\r\n\r\n0,3\r\n".encode())
    assert read_split(tmp_path / "s.csv", truth_of(SPLIT)).train.tolist() == SPLIT.train.tolist()
    with pytest.raises(FormatError, match="give labels=, the truth map, too"):
        read_split(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_bytes(b"index\n\xff\xfe\n")
    with pytest.raises(FormatError, match="no text of numbers"):
        read_split(tmp_path / "s.csv", truth_of(SPLIT))


MAT = {"rows": [[1.0, 4.0]], "cols": [[1.0, 5.0]], "base": 1.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": None}, r"does not say how it counts pixels \(base is not there\): save rows and cols, or train"),
        ({"base": 2.0}, r"base is \[2\], neither 0 nor 1"),
        ({"base": 0.0}, "outside the scene of 4 x 5"),
        ({"rows": [[0.0, 4.0]]}, "first row -1"),
        ({"cols": [[1.0]]}, "2 rows but 1 cols"),
        ({"cols": None}, "holds rows, which is not one way to name pixels"),
        ({"train": [[1.0]]}, "rows and cols and train, which is not one way"),
        ({"rows": None, "cols": None, "train": [[3.0]]}, "column_major is not there"),
        ({"rows": None, "cols": None, "train": [[21.0]], "column_major": 1.0}, "first index 20"),
        ({"rows": [[1.0, 1.0]], "cols": [[2.0, 2.0]]}, "1 pixels twice, first row 0, column 1"),
        ({"rows": [[1.5, 1.0]]}, "not whole"),
        ({"rows": [[np.nan, 1.0]]}, "not whole"),
        ({"rows": np.ones((2, 2))}, "no row or column of numbers"),
        ({"rows": "abc"}, "no row or column of numbers"),
        ({"rows": np.empty((0, 1)), "cols": np.empty((0, 1))}, "names no pixel"),
        ({"shape": [[4.0]]}, r"shape is \[4\]"),
        ({"guard": np.ones((5, 4))}, "no mask of the scene's 4 x 5"),
    ],
)
def test_a_mat_that_does_not_say_what_it_means(tmp_path: Path, changes: dict, message: str) -> None:
    content = {name: value for name, value in (MAT | changes).items() if value is not None}
    scipy.io.savemat(tmp_path / "s.mat", content)
    with pytest.raises(FormatError, match=message):
        read_split(tmp_path / "s.mat", truth_of(SPLIT))


def test_a_mat_of_another_scene_and_one_without_a_shape(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "s.mat", MAT | {"shape": [[5.0, 6.0]]})
    with pytest.raises(GridError, match="of a scene of 5 x 6 pixels but truth has 4 x 5"):
        read_split(tmp_path / "s.mat", truth_of(SPLIT))
    scipy.io.savemat(tmp_path / "s.mat", MAT)
    assert read_split(tmp_path / "s.mat", truth_of(SPLIT)).train.tolist() == [0, 19]
    with pytest.raises(FormatError, match="give labels="):
        read_split(tmp_path / "s.mat")
    (tmp_path / "s.mat").write_text("rows,cols")
    with pytest.raises(FormatError, match="no MATLAB file"):
        read_split(tmp_path / "s.mat", truth_of(SPLIT))


def test_a_mat_with_one_map_is_a_raster(tmp_path: Path) -> None:
    values = np.full(SPLIT.shape, 255, np.uint8)
    values[0, 0], values[3, 4] = 0, 1
    scipy.io.savemat(tmp_path / "s.mat", {"teachers": values})
    truth = np.zeros(SPLIT.shape, np.uint8)
    truth[3, 4] = 1
    assert read_split(tmp_path / "s.mat", truth_of(SPLIT, truth)).train.tolist() == [0, 19]


def test_a_name_tells_the_format(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"name it \.npz, \.csv, \.mat"):
        write_split(tmp_path / "split.txt", SPLIT)
    with pytest.raises(FormatError, match=r"no pixel teaches \(protocol P4\), which only \.npz can say"):
        write_split(tmp_path / "split.csv", Split("P4", 0, (4, 5), np.empty(0, np.int64)))


@given(first=divided(), second=divided())
def test_a_fingerprint_tells_splits_apart(first: Split, second: Split) -> None:
    same = first.shape == second.shape and first.same_pixels(second)
    # An empty guard and none are the same pixels, but not the same split.
    if (first.guard is None) == (second.guard is None):
        assert (first.fingerprint == second.fingerprint) == same


def test_the_shapes_of_a_drawing_are_kept(tmp_path: Path) -> None:
    shapes = np.array([3, 3, 7], np.int32)
    split = Split("drawn", 2, (4, 5), np.array([0, 1, 19], np.int64), shapes=shapes)
    write_split(tmp_path / "s.npz", split)
    again = read_split(tmp_path / "s.npz")
    assert again.same_pixels(split) and again.fingerprint == split.fingerprint
    assert not again.same_pixels(Split("drawn", 2, (4, 5), split.train, shapes=shapes[::-1].copy()))
    with pytest.raises(FormatError, match=r"knows the shape of each pixel, which only \.npz can hold"):
        write_split(tmp_path / "s.csv", split)
    with np.load(tmp_path / "s.npz") as content:
        stored = dict(content)
    for wrong in ({"shapes": shapes[:2]}, {"shapes": shapes - 3}, {"shapes": None}):
        np.savez(tmp_path / "t.npz", **{name: v for name, v in (stored | wrong).items() if v is not None})
        with pytest.raises(FormatError, match="is damaged"):
            read_split(tmp_path / "t.npz")
    with pytest.raises(GridError, match="2 numbers of shapes for 3 training pixels"):
        Split("drawn", 2, (4, 5), split.train, shapes=shapes[:2])
