import json
import os
from pathlib import Path

import numpy as np
import pytest

from hsi_cd.errors import OutputError
from hsi_cd.io import atomic_path, atomic_paths, check_output, write_json, write_npz, write_text


def names(folder: Path) -> list[str]:
    """Names of all files in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_at_the_end_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "map.tif"
    with atomic_path(target) as draft:
        assert draft.parent == tmp_path
        assert draft.suffix == ".tif"
        assert draft.name.startswith(".")
        draft.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(tmp_path) == ["map.tif"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_half_way_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_path(tmp_path / "map.tif") as draft:
        draft.write_text("half")
        raise error
    assert names(tmp_path) == []


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "map.tif"
    target.write_text("old")
    with pytest.raises(ValueError), atomic_path(target, overwrite=True) as draft:
        draft.write_text("half")
        raise ValueError
    assert target.read_text() == "old"
    assert names(tmp_path) == ["map.tif"]


def test_several_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(OutputError), atomic_paths([tmp_path / "a", tmp_path / "b"]) as drafts:
        drafts[0].write_text("a")  # the second is never written
    assert names(tmp_path) == []


def test_an_existing_file_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_text("old")
    with pytest.raises(OutputError, match=r"exists: pass overwrite=True or choose another name"):
        write_text(target, "new")
    assert target.read_text() == "old"
    write_text(target, "new", overwrite=True)
    assert target.read_text() == "new"


def test_a_file_that_appears_during_the_work_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    with pytest.raises(OutputError, match="exists"), atomic_path(target) as draft:
        draft.write_text("mine")
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert names(tmp_path) == ["out.txt"]


def test_outputs_that_cannot_be_are_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        check_output(tmp_path / "no" / "out.tif")
    with pytest.raises(OutputError, match="is a folder"):
        check_output(tmp_path, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        check_output(tmp_path / "file" / "out.tif")
    with pytest.raises(OSError):  # ours are the builtins too
        check_output(tmp_path / "no" / "out.tif")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="no right to write"):
        check_output(tmp_path / "out.tif")


def test_json_has_no_nan(tmp_path: Path) -> None:
    value = {"kappa": float("nan"), "n": np.int64(3), "a": np.array([1.0, np.inf]), "t": (1, None), "p": Path("x")}
    write_json(tmp_path / "r.json", value)
    text = (tmp_path / "r.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text) == {"kappa": None, "n": 3, "a": [1.0, None], "t": [1, None], "p": "x"}


def test_json_refuses_what_it_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "r.json", {"x": object()})
    assert names(tmp_path) == []


def test_npz_keeps_arrays_and_its_name(tmp_path: Path) -> None:
    write_npz(tmp_path / "split.part", {"train": np.arange(3), "name": np.array("farmland")})
    with np.load(tmp_path / "split.part", allow_pickle=False) as found:
        assert found["train"].tolist() == [0, 1, 2]
        assert str(found["name"]) == "farmland"
    with pytest.raises(ValueError, match="objects"):
        write_npz(tmp_path / "bad.npz", {"x": np.array([object()])})
    assert names(tmp_path) == ["split.part"]
