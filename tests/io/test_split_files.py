import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import FormatError, HsiCdError, MissingInputError, OutputError
from hsi_cd.io.split_files import read_split, write_split
from hsi_cd.scene import Split

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
