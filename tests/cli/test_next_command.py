"""What ``info`` ends in is typed as it stands, and works."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import deliveries
import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy import ndimage

from hsi_cd.io.raster import quiet_georeference

Capture = pytest.CaptureFixture[str]
FAST = ["--method", "cva"]


@pytest.fixture(autouse=True)
def size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large enough for a shift to be told."""
    deliveries.lay_out(monkeypatch, ROWS=48, COLS=72, BLOCK=np.s_[16:28, 30:48], CLOUD=np.s_[40:44, 54:60])


@pytest.fixture
def next_of(cli: Any, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The words of the command that ``info`` ends in."""
    monkeypatch.chdir(tmp_path)

    def ask(*args: object, code: int = 0) -> list[str]:
        capsys.readouterr()
        assert cli("info", *args) == code
        last = capsys.readouterr().out.rstrip("\n").splitlines()[-1]
        assert last.startswith("next: hsi-cd "), last
        return shlex.split(last.removeprefix("next: "), comments=True)

    return ask


@pytest.mark.quick("wyvern", "landsat")
@pytest.mark.parametrize("name", list(deliveries.MAKERS))
def test_it_leads_from_one_date_to_a_map(cli: Any, next_of: Any, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "my products"
    folder.mkdir()
    first, second = (deliveries.MAKERS[name](folder, date) for date in (1, 2))
    words = next_of(first)
    assert words == ["hsi-cd", "info", str(first), "OTHER"]
    words[words.index("OTHER")] = str(second)
    words = next_of(*words[2:])
    expected = ["hsi-cd", "detect", "--t1", str(first), "--t2", str(second), "--output", "change.tif"]
    assert [word for word in words if word != "--register"] == expected
    assert cli(*words[1:], *FAST) == 0
    assert next_of(first, second)[-1] == "change-2.tif"
    with rasterio.open(tmp_path / "change.tif") as file:
        assert set(np.unique(file.read(1))) == {0, 1, 255}


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["enmap_*", "PRS_L2D*.he5", "*_ortho_sr_hdf5.h5", "EMIT_L2A_RFL*.nc"])
def test_the_shared_miniatures(cli: Any, next_of: Any, shared: Path, pattern: str) -> None:
    found = sorted((shared / "products").glob(pattern))
    if not found:
        pytest.skip("no miniatures of products in ../shared")
    assert cli(*next_of(*found)[1:], *FAST) == 0


def test_options_of_reading_are_in_it(cli: Any, next_of: Any, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(2, 1, (40, 44, 5)).astype(np.float32)
    values[:3] = -5
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "b.npy", values + np.random.default_rng(1).normal(0, 0.1, values.shape).astype(np.float32))
    words = next_of("a.npy", "b.npy", "--axes", "rows,cols,bands", "--nodata", "-5")
    assert words[2:10] == [
        "--t1",
        "a.npy",
        "--t2",
        "b.npy",
        "--axes",
        "rows,cols,bands",
        "--nodata=-5",
        "--output",
    ]
    assert cli(*words[1:], *FAST) == 0
    with quiet_georeference(), rasterio.open(tmp_path / "change.tif") as file:
        assert (file.read(1)[:3] == 255).all()


def test_two_dates_in_one_file(cli: Any, next_of: Any, tmp_path: Path) -> None:
    ground = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(5, 60, 64)), (0, 1, 1)).astype(
        np.float32
    )
    noise = np.random.default_rng(1).normal(0, 0.01, ground.shape).astype(np.float32)
    np.savez(tmp_path / "both.npz", early=ground, late=ground + noise)
    words = next_of("both.npz", "--axes", "bands,rows,cols")
    assert words[2:10] == ["--t1", "both.npz", "--t1-key", "early", "--t2", "both.npz", "--t2-key", "late"]
    assert cli(*words[1:], *FAST) == 0


def shifted(
    folder: Path, *, name: str, move: tuple[int, int] = (0, 0), bands: int = 5, place: Affine | None = None
) -> Path:
    ground = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(6, 140, 150)), (0, 1, 1))
    down, right = move
    values = ground[:bands, 20 + down : 120 + down, 20 + right : 130 + right].astype(np.float32)
    values += np.random.default_rng(len(name)).normal(0, 0.01, values.shape).astype(np.float32)
    return deliveries.raster(folder / name, values, place=place or deliveries.PLACE, names=tuple("abcdef"[:bands]))


def test_what_must_be_asked_of_two_dates_is_in_it(cli: Any, next_of: Any, tmp_path: Path) -> None:
    first = shifted(tmp_path, name="first.tif")
    other = Affine.translation(3 * 30, -2 * 30) @ deliveries.PLACE
    cases = {
        "fits.tif": ({}, []),
        "moved.tif": ({"move": (-4, 3)}, ["--register"]),
        "frame.tif": ({"move": (2, 3), "place": other}, ["--align"]),
        "more.tif": ({"bands": 6}, ["--common-bands"]),
    }
    for name, (how, options) in cases.items():
        words = next_of(first, shifted(tmp_path, name=name, **how))
        assert words[words.index("--t2") + 2 : -2] == options, name
        assert cli(*words[1:], *FAST, "--overwrite") == 0


def test_labels_make_it_a_training(cli: Any, next_of: Any, tmp_path: Path) -> None:
    first, second = (deliveries.wyvern(tmp_path, date) for date in (1, 2))
    truth = deliveries.raster(tmp_path / "truth.tif", deliveries.plane(deliveries.BLOCK))
    words = next_of(first, second, truth)
    assert words[1:] == ["train", "--t1", str(first), "--t2", str(second), "--truth", str(truth)]
    assert cli(*words[1:], "--method", "logistic", "--set", "split.fraction=0.2", "--run", tmp_path / "run") == 0
    alone = next_of(truth)
    assert alone[1:] == ["train", "--t1", "T1", "--t2", "T2", "--truth", str(truth)]


def test_dates_in_the_wrong_order_are_put_right(
    next_of: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (deliveries.wyvern(tmp_path, date) for date in (1, 2))
    words = next_of(second, first)
    assert words[2:6] == ["--t1", str(first), "--t2", str(second)]
    assert "t1 is to be the earlier date; swap the two" in caplog.text


@pytest.mark.slow
def test_what_does_not_fit_ends_in_the_reason(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    first = deliveries.enmap(tmp_path, 1)
    second = deliveries.copied(deliveries.enmap(tmp_path, 2), tmp_path / "copy")
    next(second.glob("*-QL_QUALITY_SNOW.TIF")).unlink()
    assert cli("info", first, second) == 0
    out = capsys.readouterr().out.splitlines()[-1]
    assert out.startswith("next: nothing yet, because") and "QL_QUALITY_SNOW.TIF is missing" in out
    assert out.endswith("say --mask none to map without its masks")
    assert cli("info", first, second, "--mask", "none", "--json") == 0
    assert json.loads(capsys.readouterr().out)["next"]["command"][-4:] == [
        "--mask",
        "none",
        "--output",
        "change.tif",
    ]
    assert cli("info", first, first) == 0
    assert "t1 and t2 are one file" in capsys.readouterr().out.splitlines()[-1]
