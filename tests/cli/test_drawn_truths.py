"""Labels drawn in a GIS, as the truth of every command that takes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.io.split_files import read_split

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def drawn(simulated: PairFiles, tmp_path: Path) -> tuple[Path, Path]:
    """Blocks of the simulated truth as rectangles, ``labels.gpkg``, and the same pixels as a raster."""
    with rasterio.open(simulated.truth) as file:
        truth, profile = file.read(1), file.profile
    burnt, shapes, said = np.full(truth.shape, 255, np.uint8), [], []
    for row in range(0, 48, 4):
        for col in range(0, 40, 4):
            block = truth[row : row + 3, col : col + 3]
            if (block == block[0, 0]).all():
                burnt[row : row + 3, col : col + 3] = block
                x, y = zip(
                    *(profile["transform"] @ corner for corner in ((col, row), (col + 3, row + 3))), strict=True
                )
                shapes.append(shapely.box(min(x), min(y), max(x), max(y)))
                said.append("burnt" if block[0, 0] else "stayed")
    assert {"burnt", "stayed"} <= set(said)
    write(tmp_path / "labels.gpkg", shapes, said, profile["crs"])
    with rasterio.open(tmp_path / "labels.tif", "w", **profile | {"nodata": 255}) as file:
        file.write(burnt, 1)
    return tmp_path / "labels.gpkg", tmp_path / "labels.tif"


def write(path: Path, shapes: list[Any], said: list[str | None], crs: Any) -> None:
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes, dtype=object)),
        [np.array(said, dtype=object)],
        ["class"],
        driver="GPKG",
        geometry_type="Polygon",
        crs=crs.to_wkt(),
    )


NAMES = ["--changed", "burnt", "--unchanged", "stayed"]


def test_a_map_is_judged_alike(cli: Any, drawn: tuple[Path, Path], trained: Path, capsys: Capture) -> None:
    found = []
    for truth, words in zip(drawn, (NAMES, []), strict=True):
        assert cli("evaluate", trained / "change.tif", "--truth", truth, *words, "--json", "-") == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["counts"] == found[1]["counts"]  # of few shapes, no scores are made
    labels = hc.open_labels(drawn[0], like=trained / "change.tif", changed="burnt", unchanged="stayed")
    assert hc.evaluate(trained / "change.tif", labels).counts.tp == found[0]["counts"]["tp"]


def test_a_run_is_told_and_knows_its_files_again(
    cli: Any,
    drawn: tuple[Path, Path],
    simulated: PairFiles,
    dates: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with rasterio.open(simulated.t1) as file:
        crs = file.crs
    write(tmp_path / "next.gpkg", [shapely.box(0, 0, 1, 1)], [None], crs)
    two = ["--truth", drawn[0], "--truth", tmp_path / "next.gpkg", *NAMES]
    words = ["train", *dates, "--method", "cva", "--protocol", "P4"]
    assert cli(*words, *two, "--run", tmp_path / "a") == 0
    assert "features have no class yet and are left out" in caplog.text
    assert cli(*words, "--truth", drawn[1], "--run", tmp_path / "b") == 0
    results = [json.loads((tmp_path / run / "result.json").read_text()) for run in "ab"]
    assert results[0]["counts"] == results[1]["counts"] and results[0]["test"] == results[1]["test"]
    known = json.loads((tmp_path / "a" / "provenance.json").read_text())["sessions"][-1]["inputs"]
    assert {"labels.gpkg", "next.gpkg"} <= {Path(path).name for path in known}


def test_a_split_is_of_a_raster_s_pixels(
    cli: Any, drawn: tuple[Path, Path], simulated: PairFiles, tmp_path: Path
) -> None:
    options = ["--protocol", "P2", "--count", "9"]
    words = ["split", "--truth", drawn[0], *NAMES, "--like", simulated.t1, *options]
    assert cli(*words, "--output", tmp_path / "a.npz") == 0
    assert cli("split", "--truth", drawn[1], *options, "--output", tmp_path / "b.npz") == 0
    a, b = (read_split(tmp_path / name) for name in ("a.npz", "b.npz"))
    np.testing.assert_array_equal(a.train, b.train)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--truth", "labels.gpkg"], r"the classes 'stayed' ("),
        (["--truth", "labels.gpkg", "--changed", "burnt"], "--unchanged is missing"),
        (["--truth", "labels.gpkg", *NAMES, "--layer", "x"], "no layer 'x': its layers are 'labels'"),
        (["--truth", "labels.gpkg", *NAMES, "--truth-key", "x"], "have --layer and --field"),
        (["--truth", "labels.gpkg", "--truth", "labels.tif"], "labels.gpkg holds shapes, but labels.tif does not"),
        (["--truth", "labels.tif", "--field", "x"],
         "--field x is of labels drawn as shapes, but labels.tif is none"),
        (["--truth", "labels.tif", "--layer", "x y"],
         "--layer x y is of labels drawn as shapes, but labels.tif is none"),
        (["--truth", "labels.tif", *NAMES], "holds numbers: give whole numbers with --changed and --unchanged"),
        (["--truth", "none.gpkg"], "none.gpkg does not exist"),
        (["--truth", "labels.gpkg", "--truth", "lables.gpkg"], "did you mean labels.gpkg"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_in_one_line(
    cli: Any, drawn: tuple[Path, Path], trained: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch,
    words: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(drawn[0].parent)
    assert cli("evaluate", trained / "change.tif", *words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "changed=" not in error


def test_a_scene_without_a_place_takes_no_shapes(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    np.save(tmp_path / "map.npy", np.eye(48, 40, dtype=np.uint8))
    assert cli("evaluate", tmp_path / "map.npy", "--truth", drawn[0], *NAMES) == 2
    assert "but the map has no CRS and transform by which to place them" in capsys.readouterr().err


def test_a_truth_of_another_grid_follows_align(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, capsys: Capture
) -> None:
    with rasterio.open(simulated.truth) as file:
        truth, profile = file.read(1), file.profile
    fine = np.repeat(np.repeat(truth[4:], 3, axis=0), 3, axis=1)
    place = profile["transform"] @ Affine.translation(0, 4) @ Affine.scale(1 / 3)
    profile |= {"height": fine.shape[0], "width": fine.shape[1], "transform": place}
    with rasterio.open(tmp_path / "fine.tif", "w", **profile) as file:
        file.write(fine, 1)
    words = ["train", *dates, "--method", "cva", "--protocol", "P4", "--truth", tmp_path / "fine.tif"]
    assert cli(*words, "--run", tmp_path / "run") == 2
    assert "or say --align to resample it" in capsys.readouterr().err
    assert cli(*words, "--run", tmp_path / "run", "--align") == 0
    tested = json.loads((tmp_path / "run" / "result.json").read_text())["test"]
    assert tested == {"unchanged": int((truth[4:] == 0).sum()), "changed": int((truth[4:] == 1).sum())}
