"""hsi-cd series with a checkpoint that has learned kinds: the kind of the largest change, and areas by kind."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

import hsi_cd as hc
from hsi_cd.io.class_maps import read_class_map

Capture = pytest.CaptureFixture[str]

ROWS, COLS, BANDS = 150, 36, 8
DAYS = ("2019-06-01", "2020-06-01", "2021-06-01")
PIXEL = 100 / 0.9996**2 / 1e4  # hectares of UTM at its central meridian
PROFILE = {"driver": "GTiff", "height": ROWS, "width": COLS, "crs": "EPSG:32633"}
PROFILE |= {"transform": Affine(10, 0, 500000, 0, -10, 4000000)}
NAMES = {0: "unchanged", 1: "burnt", 2: "newly built"}


def write(path: Path, values: NDArray[Any]) -> Path:
    with rasterio.open(path, "w", **PROFILE, count=len(values), dtype=values.dtype) as file:
        file.write(values)
    return path


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.fixture(scope="module")
def ground(cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dates, ``0.tif`` to ``2.tif``, and a run that learned both kinds from the first two."""
    folder = tmp_path_factory.mktemp("ground")
    rng = np.random.default_rng(3)
    materials = rng.uniform(0.1, 0.9, (3, BANDS))
    cover = np.zeros((3, ROWS, COLS), dtype=int)
    cover[1:, 4:60, 4:18], cover[1:, 80:140, 3:15] = 1, 2
    cover[2, 20:130, 20:26], cover[2, 90:120, 28:34] = 1, 2
    for date, each in enumerate(cover):
        values = materials[each].transpose(2, 0, 1) + 0.01 * rng.standard_normal((BANDS, ROWS, COLS))
        values[:, :2, date] = np.nan  # each date lacks another column of the first rows
        write(folder / f"{date}.tif", values.astype(np.float32))
    truth = write(folder / "truth.tif", cover[1][np.newaxis].astype(np.uint8))
    names = folder / "names.csv"
    names.write_text("value,name\n1,burnt\n2,newly built\n", encoding="utf-8")
    asked = ["train", "--t1", folder / "0.tif", "--t2", folder / "1.tif", "--truth", truth, "--changed", "1,2"]
    asked += ["--unchanged", "0", "--method", "svm", "--set", "options.components=4"]
    drawn = ["--set", "split.fraction=0.02"]
    assert cli(*asked, "--kinds", "--names", names, *drawn, "--run", folder / "run") == 0
    assert cli(*asked, "--no-kinds", "--split", folder / "run/split.npz", "--run", folder / "two") == 0
    return folder


def words(ground: Path, run: str = "run") -> list[object]:
    images = [ground / f"{date}.tif" for date in range(3)]
    checkpoint = [] if not run else ["--checkpoint", ground / run / "best.pt"]
    return ["series", *images, "--dates", ",".join(DAYS), *checkpoint]


def test_the_kind_is_that_of_the_map_of_the_largest_change(
    cli: Any, ground: Path, tmp_path: Path, capsys: Capture
) -> None:
    files = ["--output", tmp_path / "s.tif", "--kinds-map", tmp_path / "kinds.tif", "--work", tmp_path / "work"]
    capsys.readouterr()
    assert cli(*words(ground), *files, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"]["kinds"] == str(tmp_path / "kinds.tif")
    maps, scores, counts = [], [], []
    for first, second in ((0, 1), (1, 2), (0, 2)):
        dates = ["--t1", ground / f"{first}.tif", "--t2", ground / f"{second}.tif", "--overwrite"]
        dates += ["--output", tmp_path / "c.tif", "--score", tmp_path / "score.tif"]
        assert cli("predict", "--checkpoint", ground / "run/best.pt", *dates) == 0
        maps.append(read(tmp_path / "c.tif"))
        scores.append(np.nan_to_num(read(tmp_path / "score.tif"), nan=-np.inf))
        counts.append(np.bincount(maps[-1].ravel(), minlength=256)[1:3].tolist())
    later = scores[1] > scores[0]  # of one threshold
    expected = np.where(later, maps[1], maps[0])
    found = read_class_map(tmp_path / "kinds.tif")
    np.testing.assert_array_equal(read(tmp_path / "kinds.tif"), expected)
    assert {0, 1, 2, 255} == set(np.unique(expected)) and all(np.ravel(counts) > 50)
    assert dict(found.names) == NAMES and 'label="newly built"' in (tmp_path / "kinds.qml").read_text()
    date = read(tmp_path / "s.tif")
    np.testing.assert_array_equal(date > 0, (expected > 0) & (expected < 255))
    for interval, (kinds, pixels) in zip(told["intervals"], zip(maps, counts, strict=True), strict=True):
        assert [each["name"] for each in interval["kinds"]] == ["burnt", "newly built"]
        assert [each["pixels"] for each in interval["kinds"]] == pixels
        assert [each["area"] for each in interval["kinds"]] == pytest.approx(np.array(pixels) * PIXEL, rel=1e-4)
        assert interval["changed"] == sum(pixels) and interval["known"] == (kinds < 255).sum()
    # Taken up as they were kept; and without a checkpoint's kinds the series is the same, bit by bit.
    table = ["--table", tmp_path / "areas.csv", "--format", "csv"]
    assert cli(*words(ground), *files, *table, "--overwrite", "--cog") == 0
    np.testing.assert_array_equal(read(tmp_path / "kinds.tif"), expected)
    rows = list(csv.DictReader((tmp_path / "areas.csv").read_text().splitlines()))
    told_kinds = [(row["from"], row["kind_of_change"], int(row["changed_pixels"])) for row in rows]
    assert (DAYS[1], "newly built", counts[1][1]) in told_kinds and (DAYS[0], "", sum(counts[0])) in told_kinds
    assert cli(*words(ground, "two"), "--output", tmp_path / "two.tif") == 0
    with rasterio.open(tmp_path / "two.tif") as one, rasterio.open(tmp_path / "s.tif") as other:
        np.testing.assert_array_equal(one.read(), other.read())


def test_python_has_them_as_well(ground: Path, tmp_path: Path) -> None:
    dates = hc.open_series([ground / f"{date}.tif" for date in range(3)], dates=DAYS)
    found = hc.series(dates, checkpoint=ground / "run/best.pt")
    assert found.kinds is not None and dict(found.kinds.names) == NAMES
    found.write(tmp_path / "s.tif", kinds=tmp_path / "kinds.tif")
    whole = read(tmp_path / "kinds.tif")
    np.testing.assert_array_equal(found.read_kinds(), whole)
    np.testing.assert_array_equal(found.read_kinds(slice(50, 100), slice(3, 9)), whole[50:100, 3:9])
    plain = hc.series(dates, method="cva")
    assert plain.kinds is None and "kinds" not in plain.areas.to_dict()["intervals"][0]
    with pytest.raises(hc.errors.ConfigError, match="tells no kinds of change apart"):
        plain.write(tmp_path / "p.tif", kinds=tmp_path / "k.tif")
    assert not (tmp_path / "p.tif").exists()


def refused(cli: Any, capsys: Capture, *told: object) -> str:
    capsys.readouterr()
    assert cli(*told) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(lines) == 1
    return lines[0]


def test_kinds_that_nobody_learned_are_asked_for(cli: Any, ground: Path, tmp_path: Path, capsys: Capture) -> None:
    files = ["--output", tmp_path / "s.tif", "--kinds-map", tmp_path / "kinds.tif"]
    said = refused(cli, capsys, *words(ground, "two"), *files)
    assert "trained without kinds" in said and "leave --kinds-map out" in said and "hsi-cd train --kinds" in said
    assert "give --checkpoint FILE" in refused(cli, capsys, *words(ground, ""), "--method", "cva", *files)
    same = [*files[:3], tmp_path / "s.tif"]
    assert "s.tif" in refused(cli, capsys, *words(ground), *same)
    assert not list(tmp_path.iterdir())
    assert cli(*words(ground, "two"), *files[:2]) == 0  # the remedy
