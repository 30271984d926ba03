"""Only an area of interest of many dates is compared, as in the whole series or as if the dates were cut to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from areas_of_interest import COLS, ROWS, TWO, bounds_of, corners, covered_by, polygons
from rasterio.windows import Window

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulated_series import simulate_series
from hsi_cd.datasets.simulated.simulation import SimulationOptions

Capture = pytest.CaptureFixture[str]
FILES = [Path(f"field_{year}0601.tif") for year in (2018, 2019, 2020)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dates of 48 x 40 pixels, whose names tell the days; nobody writes into their folder."""
    folder = tmp_path_factory.mktemp("dates")
    found = simulate_series(SimulationOptions(rows=48, cols=40, bands=12, seed=2, drift=0.05, snr=60), dates=3)
    place = {"crs": "EPSG:32633", "transform": Affine(30, 0, 400_000, 0, -30, 5_800_000)}
    for name, values in zip(FILES, found.images, strict=True):
        size = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]}
        with rasterio.open(folder / name, "w", driver="GTiff", dtype=values.dtype, **size, **place) as file:
            file.write(values)
    return folder


@pytest.fixture
def dates(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    return [made / name for name in FILES]


@pytest.fixture(scope="module")
def whole(cli: Any, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The series of all pixels."""
    path = tmp_path_factory.mktemp("whole") / "series.tif"
    assert cli("series", *(made / name for name in FILES), "--method", "cva", "--output", path) == 0
    return path


def bands(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def test_the_series_of_polygons_is_that_of_all_inside_and_nothing_outside(
    cli: Any, dates: list[Path], whole: Path, capsys: Capture
) -> None:
    area = polygons(Path("two.gpkg").absolute(), dates[0], *TWO, crs=4326)
    capsys.readouterr()
    words = ["series", *dates, "--method", "cva", "--aoi", area, "--output", "a.tif"]
    assert cli(*words, "--work", "work", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    inside = covered_by(TWO, (48, 40))
    down, across = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    window = np.s_[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    expected = np.where(inside, bands(whole), np.float32(np.nan))[:, *window]
    assert (expected[1] > 0).any() and np.isnan(expected[1]).any()
    assert bands("a.tif").tobytes() == expected.tobytes()
    with rasterio.open("a.tif") as file, rasterio.open(whole) as other:
        tags, of_all = file.tags(), other.tags()
        assert file.transform.almost_equals(other.transform @ Affine.translation(across[0], down[0]))
    assert (tags["AREA_OF_INTEREST"], tags["AREA_STATISTICS"]) == (str(area), "scene")
    assert tags["THRESHOLDS"] == of_all["THRESHOLDS"]
    # What the table counts is what the raster shows.
    assert {each["known"] for each in told["intervals"]} == {int(inside.sum())}
    assert told["intervals"][-1]["changed"] == int((expected[3] == 1).sum())
    assert told["area of interest"].startswith(f"{inside.sum():,} pixels in rows {down[0]} to {down[-1]}")
    # What is kept of one area is not that of another, and the same command takes it up.
    kept = {path: path.stat().st_mtime_ns for path in Path("work").iterdir()}
    assert cli(*words[:-1], "b.tif", "--work", "work") == 0
    assert {path: path.stat().st_mtime_ns for path in Path("work").iterdir()} == kept
    assert Path("b.tif").read_bytes() == Path("a.tif").read_bytes()
    assert cli("series", *dates, "--method", "cva", "--output", "all.tif", "--work", "work") == 0
    assert bands("all.tif").tobytes() == bands(whole).tobytes()


def test_with_its_own_statistics_a_series_is_as_if_cut(cli: Any, dates: list[Path], whole: Path) -> None:
    window = Window(COLS.start, ROWS.start, COLS.stop - COLS.start, ROWS.stop - ROWS.start)
    for path in dates:
        with rasterio.open(path) as file:
            place = file.transform @ Affine.translation(window.col_off, window.row_off)
            own = file.profile | {"height": window.height, "width": window.width, "transform": place}
            with rasterio.open(path.name, "w", **own) as out:
                out.write(file.read(window=window))
    cva = ["--method", "cva", "--output"]
    assert cli("series", *FILES, *cva, "cut.tif") == 0
    assert cli("series", *dates, *bounds_of(dates[0]), "--statistics", "area", *cva, "area.tif") == 0
    assert bands("area.tif").tobytes() == bands("cut.tif").tobytes()
    assert bands("area.tif").tobytes() != bands(whole)[:, ROWS, COLS].tobytes()


@pytest.mark.slow
def test_a_checkpoint_and_registered_dates(cli: Any, dates: list[Path], simulated: Any) -> None:
    assert cli("detect", "--method", "cva", "--t1", dates[0], "--t2", dates[1], "--save", "cva.pt") == 0
    with rasterio.open(dates[2]) as file, rasterio.open("moved_20200601.tif", "w", **file.profile) as out:
        out.write(np.roll(file.read(), 2, axis=2))
    words = ["series", *dates[:2], "moved_20200601.tif", "--register", "--checkpoint", "cva.pt"]
    assert cli(*words, "--output", "w.tif") == 0
    assert cli(*words, *bounds_of(dates[0]), "--output", "a.tif") == 0
    assert bands("a.tif").tobytes() == bands("w.tif")[:, ROWS, COLS].tobytes()


def test_in_python(dates: list[Path], whole: Path) -> None:
    opened = hc.open_series(dates, bounds=corners(dates[0]))
    found = hc.series(opened, method="cva")
    assert found.read().tobytes() == bands(whole)[:, ROWS, COLS].tobytes()
    assert found.grid.shape == found.change(0, 1).shape == (33, 24)


def test_what_is_refused(cli: Any, dates: list[Path], capsys: Capture) -> None:
    area = polygons(Path("a.gpkg").absolute(), dates[0], *TWO)
    for words, said in (
        (["--bounds=0,0,1,1"], "look like degrees, but the scene is in EPSG:32633"),
        (["--bounds=500000,5700000,500100,5700100"], "lies outside of the scene: their middles lie"),
        (["--aoi", area, "--bounds=0,0,1,1"], "--aoi and --bounds both say which area"),
        (["--statistics", "area"], "none is named: give --aoi or --bounds, too"),
        (["--aoi", "none.gpkg"], "none.gpkg"),
    ):
        capsys.readouterr()
        assert cli("series", *dates, *words, "--output", "no.tif") == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1 and not Path("no.tif").exists(), (words, err)
    assert cli("series", *dates, "--aoi", area, "--output", "a.gpkg", "--overwrite") == 2
