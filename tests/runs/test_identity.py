"""Files known again by their content, whatever their times and names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from hsi_cd.config import resolve, to_yaml
from hsi_cd.errors import CheckpointError
from hsi_cd.io import write_json
from hsi_cd.runs import changed_inputs, file_identity, is_same_file, known_inputs
from hsi_cd.runs import identity as module
from hsi_cd.runs.making import check_inputs, clear_folder
from hsi_cd.runs.provenance import Provenance, Session


def later(path: Path) -> None:
    """Another time, the same content: as a copy has it."""
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))


def test_a_file_is_known_by_its_content_and_not_by_its_time(tmp_path: Path) -> None:
    file = tmp_path / "t.tif"
    file.write_bytes(b"0123")
    then = file_identity(file)
    assert then[:2] == (4, file.stat().st_mtime_ns) and is_same_file(file, then)
    later(file)
    assert file_identity(file) != then and is_same_file(file, then)
    moved = shutil.copy(file, tmp_path / "other.tif")
    assert is_same_file(moved, then)
    file.write_bytes(b"0124")  # of the same size, and given the time of the first
    os.utime(file, ns=(1, int(then[1])))
    assert not is_same_file(file, then)
    assert is_same_file(file, file_identity(file)[:2]) and not is_same_file(moved, file_identity(file)[:2])
    assert file_identity(tmp_path / "none") == () and not is_same_file(tmp_path / "none", then)


@pytest.mark.parametrize("ending", [".hdr", ".msk"])
def test_what_says_how_a_file_is_read_is_part_of_it(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "cube.img"
    file.write_bytes(b"0123")
    alone = file_identity(file)
    beside = tmp_path / f"cube.img{ending}"
    beside.write_text("ENVI\nbands = 2")
    then = file_identity(file)
    assert not is_same_file(file, alone)
    beside.write_text("ENVI\nbands = 4")
    assert not is_same_file(file, then)


@pytest.mark.parametrize(
    ("name", "beside"), [("a.shp", "a.dbf"), ("a.shp", "a.PRJ"), ("a.shp", "a.shx"), ("a.gpkg", "a.gpkg-wal")]
)
def test_what_shapes_are_read_from_is_part_of_their_file(tmp_path: Path, name: str, beside: str) -> None:
    file, other = tmp_path / name, tmp_path / beside
    file.write_bytes(b"0123")
    alone = file_identity(file)
    other.write_bytes(b"")
    if beside.endswith("-wal"):  # as SQLite leaves it for a moment, even where a file is only read
        assert file_identity(file) == alone
    other.write_bytes(b"4567")
    assert not is_same_file(file, alone)


def test_an_envi_header_stands_for_its_data(tmp_path: Path) -> None:
    (tmp_path / "cube.hdr").write_text("ENVI")
    (tmp_path / "cube.bsq").write_bytes(b"0123")
    then = file_identity(tmp_path / "cube.hdr")
    (tmp_path / "cube.bsq").write_bytes(b"0124")
    assert not is_same_file(tmp_path / "cube.hdr", then)


def test_looking_at_a_file_changes_nothing(tmp_path: Path) -> None:
    """A viewer leaves statistics in .aux.xml; a no-data value there decides what is read."""
    file, notes = tmp_path / "t.tif", tmp_path / "t.tif.aux.xml"
    file.write_bytes(b"0123")
    then = file_identity(file)
    statistics = '<MDI key="STATISTICS_MEAN">5</MDI>'
    band = '<PAMDataset>\n  <PAMRasterBand band="1">{}<Metadata>{}</Metadata></PAMRasterBand>\n</PAMDataset>'
    notes.write_text(band.format("<Histograms><HistItem>1|2</HistItem></Histograms>", statistics))
    assert is_same_file(file, then)
    notes.write_text(band.format("<NoDataValue>7</NoDataValue>", statistics))
    assert not is_same_file(file, then)


def test_a_folder_is_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "product"
    folder.mkdir()
    for name in ("B1.tif", "B2.tif"):
        (folder / name).write_bytes(name.encode())
    then = file_identity(folder)
    assert is_same_file(shutil.copytree(folder, tmp_path / "copy"), then)
    (folder / "B2.tif").write_bytes(b"B9.tif")
    assert not is_same_file(folder, then)


@pytest.mark.parametrize("at", [0, 5_000, 99_999])
def test_of_a_large_file_blocks_all_over_it_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(module, "_WHOLE", 50_000)
    monkeypatch.setattr(module, "_BLOCK", 1_000)
    monkeypatch.setattr(module, "_BLOCKS", 10)
    file, values = tmp_path / "cube.img", np.random.default_rng(0).integers(0, 256, 100_000, dtype=np.uint8)
    values.tofile(file)
    then = file_identity(file)
    later(file)
    assert is_same_file(file, then)
    values[at : at + 11_000] ^= 1  # a block at every 11,000 bytes
    values[max(0, at - 11_000) : at] ^= 1
    values.tofile(file)
    assert not is_same_file(file, then)


def test_inputs_are_compared_in_their_order_whatever_their_names(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("t1.tif", "t2.tif", "truth.tif")]
    for file in files:
        file.write_text(file.name)
    then = {str(file): file_identity(file) for file in files}
    assert changed_inputs(then, files) == [] and changed_inputs({}, files) == []
    moved = [Path(shutil.copy(file, tmp_path / f"moved-{file.name}")) for file in files]
    assert changed_inputs(then, moved) == []
    assert changed_inputs(then, [*files[:2], tmp_path / "gone.tif"]) == []
    files[1].write_text("t3.tif")
    assert changed_inputs(then, files) == [f"{files[1]} has another content"]
    assert changed_inputs(then, moved[::-1]) == [
        f"{moved[2]} has another content than {files[0]}",
        f"{moved[0]} has another content than {files[2]}",
    ]
    assert "t1.tif, t2.tif, truth.tif, and not from t1.tif" in changed_inputs(then, files[:1])[0]


def session(inputs: dict[str, tuple[int | str, ...]], **more: str) -> Session:
    return Session(
        command=("hsi-cd", "train"), started="2026-01-01T00:00:00+00:00", host="h", inputs=inputs, **more
    )


def test_earlier_versions_kept_no_digest_and_are_believed(tmp_path: Path) -> None:
    (tmp_path / "t1.tif").write_text("t1")
    old = {"split.npz": (3, 5)}
    assert known_inputs(Provenance((session(old),))) == {}
    content = Provenance((session(old),)).to_dict()
    del content["sessions"][0]["pixels"], content["sessions"][0]["labels"]
    assert Provenance.from_dict(content) == Provenance((session(old),))
    write_json(tmp_path / "provenance.json", content)
    check_inputs(tmp_path, [tmp_path / "t1.tif"], "0123", "89ab")


def test_a_run_goes_on_from_its_own_files_and_pixels_alone(tmp_path: Path) -> None:
    file = tmp_path / "t1.tif"
    file.write_text("t1")
    inputs = {str(file): file_identity(file)}
    write_json(tmp_path / "provenance.json", Provenance((session(inputs, pixels="0123"),)).to_dict())
    check_inputs(tmp_path, [file], "0123")
    with pytest.raises(CheckpointError, match="started from other pixels"):
        check_inputs(tmp_path, [file], "4567")
    told = Provenance((session(inputs, pixels="0123", labels="89ab"),))
    write_json(tmp_path / "provenance.json", told.to_dict(), overwrite=True)
    check_inputs(tmp_path, [file], "0123", "89ab")
    with pytest.raises(CheckpointError, match="started from another truth"):
        check_inputs(tmp_path, [file], "0123", "cdef")
    file.write_text("t2")
    with pytest.raises(CheckpointError, match=r"t1\.tif has another content\).*resume with the same files"):
        check_inputs(tmp_path, [file], "0123")


def test_what_is_no_run_s_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yaml", "result.json", "best.pt", "notes.txt"):
        (folder / name).write_text(to_yaml(resolve([])))
    clear_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    clear_folder(folder)
    assert not folder.exists()
