"""hsi-cd series: many dates give back when the ground changed and what came back, whole or not at all."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deliveries
import numpy as np
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from pyproj import Geod
from scipy import ndimage

import hsi_cd as hc
from hsi_cd.api import pair_scoring
from hsi_cd.datasets.simulated.simulated_series import SimulatedSeries, simulate_series
from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.evaluation import BIASED
from hsi_cd.io.raster import quiet_georeference

Capture = pytest.CaptureFixture[str]
PLACE = Affine(30, 0, 400_000, 0, -30, 5_800_000)
YEARS = (2018, 2019, 2020, 2021, 2022)
FILES = [f"field_{year}0601.tif" for year in YEARS]
CVA = ["--method", "cva"]
OUT = ["--output", "series.tif"]


def write(name: str | Path, values: np.ndarray, *, waves: Any = None, tags: Any = None, **profile: Any) -> None:
    count, rows, cols = values.shape
    base = {"crs": "EPSG:32633", "transform": PLACE, "dtype": values.dtype.name, "nodata": 0}
    with (
        quiet_georeference(),
        rasterio.open(name, "w", driver="GTiff", count=count, height=rows, width=cols, **(base | profile)) as file,
    ):
        file.write(values)
        file.update_tags(**(tags or {}))
        for band, wave in enumerate(() if waves is None else waves, start=1):
            file.update_tags(band, wavelength=float(wave), wavelength_units="nm")


@pytest.fixture(scope="module")
def truth() -> SimulatedSeries:
    return simulate_series(SimulationOptions(rows=64, cols=56, bands=16, seed=1, drift=0.05, snr=60), dates=5)


@pytest.fixture
def scene(truth: SimulatedSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedSeries:
    """Five dates as files in the current folder, whose names tell the days."""
    monkeypatch.chdir(tmp_path)
    for name, image in zip(FILES, truth.images, strict=True):
        write(name, image, waves=truth.wavelengths)
    return truth


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """CVA in a folder that several tests share: what one of them has fitted, another takes up."""
    return [*CVA, "--work", str(tmp_path_factory.mktemp("kept"))]


def bands(name: str = "series.tif") -> np.ndarray:
    with quiet_georeference(), rasterio.open(name) as file:
        return np.asarray(file.read())


def complaint(cli: Any, capsys: Capture, *words: object) -> str:
    """What is said of bad input: one line, and nothing left behind."""
    before = sorted(path.name for path in Path().iterdir())
    capsys.readouterr()
    assert cli("series", *words) == 2
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if line.startswith("hsi-cd: error: ")]) == 1 and "Traceback" not in str(said)
    assert sorted(path.name for path in Path().iterdir()) == before
    return said[-1]


# --- what comes out ---


def test_the_dates_of_change_that_were_put_in_come_back(cli: Any, scene: SimulatedSeries, capsys: Capture) -> None:
    assert cli("series", "field_{date:%Y%m%d}.tif", *OUT, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    found = bands()
    put, back = scene.changed_at.astype(int), scene.back_at.astype(int)
    assert {1, 2, 3, 4} == set(np.unique(put[put > 0])) and (back > 0).sum() > 100
    year, times, kind = found[0] // 1000 - 2018, found[1], found[5]
    once = (put > 0) & (back == 0)
    pure = np.any([ndimage.binary_erosion(once & (put == k)) for k in range(1, 5)], axis=0)  # where none is mixed
    assert pure.sum() > 200 and np.mean((year == put)[pure]) > 0.9
    assert np.mean((kind == 1)[pure]) > 0.9 and np.mean((found[3] == 1)[pure]) > 0.9
    seen = once & (times > 0)  # what is found at all is found at its date
    assert np.mean((year == put)[seen]) > 0.98 and np.mean((kind == 1)[seen]) > 0.98
    both = (back > 0) & (times == 2)
    assert both.sum() > 20 and np.mean((kind == 2)[both]) > 0.95 and np.mean((found[3] == 0)[both]) > 0.95
    assert np.mean(((year == put) | (year == back))[both]) > 0.98
    never = put == 0
    assert np.mean((times == 0)[never]) > 0.98 and np.mean((found[0] == 0)[never]) > 0.98
    assert np.median(found[4][never]) > 0.9 and np.median(found[4][pure]) < 0.1
    assert (found[6] == 4).all()
    assert told["dates"] == [f"{year}-06-01" for year in YEARS] and told["note"] == BIASED


def test_its_maps_are_those_of_detect_bit_by_bit(
    cli: Any, scene: SimulatedSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("series", *FILES[:3], *CVA, *OUT, "--reference", "2019", "--work", "work", "--memory", "200MB") == 0
    found = bands()
    maps, sizes, thresholds = {}, {}, {}
    kept = {path.name[:21]: np.load(path) for path in Path("work").glob("*.npy")}
    for i, j in [(0, 1), (1, 2), (0, 2)]:
        words = ["--t1", FILES[i], "--t2", FILES[j], "--output", "c.tif", "--score", "s.tif", "--overwrite"]
        assert cli("detect", *CVA, *words) == 0
        with rasterio.open("c.tif") as change, rasterio.open("s.tif") as score:
            maps[i, j], sizes[i, j] = change.read(1), score.read(1)
            thresholds[i, j] = float(change.tags()["THRESHOLD"])
        scores = kept.pop(f"{YEARS[i]}-06-01_{YEARS[j]}-06-01")
        np.testing.assert_array_equal(scores, sizes[i, j])  # bit by bit
        np.testing.assert_array_equal(scores >= thresholds[i, j], maps[i, j] == 1)
    assert kept == {}  # nothing else was compared
    following = np.stack([maps[pair] for pair in itertools.pairwise(range(3))])
    np.testing.assert_array_equal(found[1], (following == 1).sum(axis=0))
    np.testing.assert_array_equal(found[3], maps[0, 2])
    ratio = np.stack([sizes[pair] / thresholds[pair] for pair in itertools.pairwise(range(3))])
    np.testing.assert_allclose(found[2], ratio.max(axis=0), rtol=1e-6)
    latest = np.array([2019152, 2020153])[ratio.argmax(axis=0)]
    np.testing.assert_array_equal(found[0], np.where(found[1] > 0, latest, 0))
    with rasterio.open("series.tif") as file:
        tags = file.tags()
    assert tags["DATES"].split() == [f"{year}-06-01" for year in YEARS[:3]] and tags["REFERENCE"] == "2019-06-01"
    assert json.loads(tags["FILES"]) == FILES[:3]
    told = dict(each.split(":") for each in tags["THRESHOLDS"].split())
    assert told == {f"{i + 1}-{j + 1}": repr(limit) for (i, j), limit in thresholds.items()}


def test_the_raster_is_placed_described_and_styled(cli: Any, scene: SimulatedSeries, kept: list[str]) -> None:
    assert cli("series", *FILES[:3], *kept, "--output", "plain.tif") == 0
    assert cli("series", *FILES[:3], *kept, "--output", "cog.tif", "--cog") == 0
    np.testing.assert_array_equal(bands("plain.tif"), bands("cog.tif"))
    with rasterio.open("cog.tif") as file:
        assert file.crs.to_epsg() == 32633 and file.transform == PLACE and file.count == 7
        assert np.isnan(file.nodata) and file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert "YYYYDDD" in file.descriptions[0] and "came back" in file.descriptions[5]
    style = Path("cog.qml").read_text(encoding="utf-8")
    assert 'value="2019152"' in style and "largest change by 2020-06-01" in style


def test_the_table_counts_its_maps_and_says_what_counts_are(
    cli: Any, scene: SimulatedSeries, kept: list[str]
) -> None:
    assert cli("series", *FILES[:3], *kept, *OUT, "--table", "t.csv", "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(Path("t.csv").read_text())))
    assert {line["note"] for line in lines} == {BIASED}
    found = bands()
    last = next(line for line in lines if line["comparison"] == "first to last")
    assert int(last["changed_pixels"]) == (found[3] == 1).sum() and int(last["pixels"]) == found[3].size
    # The ground of a pixel by another road: geodesic polygons on the ellipsoid, at the scene's middle.
    x, y = PLACE @ (28, 32)
    lon, lat = rasterio.warp.transform(
        "EPSG:32633", "EPSG:4326", [x, x + 300, x + 300, x], [y, y, y - 300, y - 300]
    )
    pixel = abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]) / 100 / 1e4
    assert float(last["changed_area"]) == pytest.approx(int(last["changed_pixels"]) * pixel, rel=1e-4)
    kinds = {line["comparison"]: int(line["changed_pixels"]) for line in lines if not line["from"]}
    assert sum(kinds.values()) == found[5].size and kinds["came back"] == (found[5] == 2).sum()


def test_no_window_changes_what_is_told(scene: SimulatedSeries) -> None:
    opened = hc.open_series(FILES[1:3])
    whole = hc.series(opened, "auto")
    narrow = hc.series(opened, "auto", memory=1)  # the fewest rows at a time
    np.testing.assert_array_equal(whole.read(), narrow.read())
    np.testing.assert_array_equal(whole.read(slice(7, 20), slice(3, 50)), whole.read()[:, 7:20, 3:50])
    np.testing.assert_array_equal(whole.change(0, 1), hc.detect(hc.open_pair(FILES[1], FILES[2])).change)


def test_what_came_back_is_told_by_its_own_two_dates(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ground that changed for good, then was otherwise for a while: only dates 2 and 4 tell that it came back."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    ground = random.integers(2000, 2300, (6, 24, 24)).astype(float)
    odd, other = np.array([[900, -500, 800, 400, -300, 700], [-700, 800, -400, 900, 600, -500]])[:, :, None, None]
    block = np.s_[:, 5:11, 5:11]
    for year, more in zip(YEARS[:4], (0, odd, other, odd), strict=True):
        values = ground + random.normal(0, 15, ground.shape)
        values[block] += more
        write(f"field_{year}0601.tif", values.astype(np.uint16))
    # Of ground with one material any change is a linear map, which the default takes for season: not asked here.
    words = ["series", *FILES[:4], *CVA, "--set", "threshold=auto", "--work", "work"]
    assert cli(*words, "--output", "few.tif") == 0
    assert cli(*words, "--output", "all.tif", "--every-pair") == 0
    few, every = bands("few.tif")[(5, *block[1:])], bands("all.tif")[(5, *block[1:])]
    assert (few == 1).all() and (every == 3).all()


# --- stopping and going on, a checkpoint, products ---


def test_a_stopped_series_goes_on_and_ends_the_same(
    cli: Any, scene: SimulatedSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["series", *FILES[:3], *CVA, *OUT, "--work", "work"]
    assert cli(*words[:-2]) == 0
    expected = bands()
    Path("series.tif").unlink()
    Path("series.qml").unlink()
    scored: list[str] = []
    real = pair_scoring.write_scores

    def counted(path: Path, *given: Any, **more: Any) -> Any:
        scored.append(path.name[:21])
        if len(scored) == 2:
            raise KeyboardInterrupt
        return real(path, *given, **more)

    monkeypatch.setattr(pair_scoring, "write_scores", counted)
    assert cli(*words) == 130
    assert not Path("series.tif").exists() and not Path("series.qml").exists()
    assert cli(*words) == 0
    assert len(scored) == 4 and scored[2] == scored[1] and len(set(scored)) == 3  # what was whole is taken up
    np.testing.assert_array_equal(bands(), expected)
    next(Path("work").glob("2018-06-01_2019*.npy")).write_bytes(b"half")
    write(FILES[2], scene.images[2][:, ::-1].copy(), waves=scene.wavelengths)  # another image under the same name
    assert cli(*words, "--overwrite") == 0
    assert len(scored) == 4 + 3  # the damaged one, and both of the other image
    assert not np.array_equal(bands(), expected)


def begun(cli: Any) -> Any:
    """A process of its own that has scored its first pair, and is at work on others."""
    here = Path.cwd()  # which is not the folder of forks
    files = [here / name for name in FILES]
    process = cli.fork("series", *files, "--output", here / "series.tif", "--work", here / "work")
    while not list(Path("work").glob("*.json")):
        assert process.poll() is None
    return process


@pytest.mark.slow
def test_a_killed_process_leaves_no_half_file(cli: Any, scene: SimulatedSeries) -> None:
    process = begun(cli)
    process.kill()
    process.communicate()
    assert not Path("series.tif").exists() and not Path("series.qml").exists()
    for name in Path("work").glob("[0-9]*.npy"):
        assert np.load(name).shape == (64, 56)  # whole


def test_a_checkpoint_scores_all_pairs(cli: Any, scene: SimulatedSeries, capsys: Capture) -> None:
    pair = ["--t1", FILES[0], "--t2", FILES[4]]
    assert cli("detect", *pair, "--method", "irmad", "--save", "kept.pt") == 0
    assert cli("series", *FILES[:3], "--checkpoint", "kept.pt", *OUT) == 0
    for name, (first, second) in {"a.tif": (0, 1), "b.tif": (1, 2), "c.tif": (0, 2)}.items():
        dates = ["--t1", FILES[first], "--t2", FILES[second]]
        assert cli("predict", "--checkpoint", "kept.pt", *dates, "--output", name) == 0
    one, two, ends = (bands(name)[0] for name in ("a.tif", "b.tif", "c.tif"))
    np.testing.assert_array_equal(bands()[1], (one == 1).astype(int) + (two == 1))
    np.testing.assert_array_equal(bands()[3], ends)
    with rasterio.open("series.tif") as file:
        assert file.tags()["CHECKPOINT_SHA256"] and file.tags()["METHOD"] == "irmad"
    said = complaint(cli, capsys, *FILES, *OUT, "--overwrite", "--checkpoint", "kept.pt", *CVA)
    assert "--method chooses what is fitted" in said


def test_products_are_dates_with_their_times_grids_and_masks(cli: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (deliveries.enmap(tmp_path, date) for date in (1, 2))
    assert cli("series", second, first, "--output", "two.tif") == 0
    assert cli("detect", "--t1", first, "--t2", second, "--output", "change.tif") == 0
    found, change = bands("two.tif"), bands("change.tif")[0]
    np.testing.assert_array_equal(np.nan_to_num(found[3], nan=255), change)
    np.testing.assert_array_equal(np.isnan(found[:6]).all(axis=0), change == 255)
    with rasterio.open("two.tif") as file:
        days, mask = file.tags()["DATES"].split(), file.tags()["MASK"]
    assert mask == "auto" and days == sorted(days) and len(days[0]) > 10  # with the time of the day


def test_a_date_of_another_sensor_between_two_of_one(
    cli: Any, tmp_path: Path, monkeypatch: Any, caplog: Any
) -> None:
    """All three are compared in the coarser sensor's bands, those of the reference's own sensor, too."""
    monkeypatch.chdir(tmp_path)
    first, last = (deliveries.desis(tmp_path, date) for date in (1, 2))
    between = deliveries.enmap(tmp_path, 2)
    days = ["--dates", "2020-01-01,2021-01-01,2022-01-01"]
    assert cli("series", first, between, last, *days, *CVA, *OUT) == 0
    assert "84 of 235 bands are left" in caplog.text
    assert "spectra of t2 (desis2, 235 bands) are resampled to 84 bands" in caplog.text
    assert cli("detect", "--t1", first, "--t2", between, *CVA, "--output", "pair.tif") == 0
    found = bands()
    np.testing.assert_array_equal(found[1][found[6] == 2], bands("pair.tif")[0][found[6] == 2])
    changed = np.zeros(found[0].shape, dtype=bool)
    changed[deliveries.BLOCK] = True
    changed &= found[6] == 2
    assert (found[0][changed] == 2021001).all() and (found[5][changed] == 1).all()


def test_a_lake_is_left_out_and_a_shift_undone(cli: Any, scene: SimulatedSeries) -> None:
    lake = np.zeros((1, 64, 56), np.uint8)
    lake[:, 5:15, 5:15] = 1
    write("lake.tif", lake, nodata=None)
    shifted = np.stack([ndimage.shift(layer, (3, -2), order=1, mode="nearest") for layer in scene.images[1]])
    write(FILES[1], shifted, waves=scene.wavelengths)
    plain = ["series", *FILES[:2], *CVA, "--mask", "lake.tif"]
    assert cli(*plain, "--output", "as-it-is.tif") == 0
    assert cli(*plain, "--register", "--output", "laid.tif") == 0
    for name in ("as-it-is.tif", "laid.tif"):
        assert np.isnan(bands(name)[:6, 5:15, 5:15]).all()
    inner = np.s_[6:-6, 6:-6]
    put = np.where(scene.changed_at[inner] > 1, 0, scene.changed_at[inner])
    once = (scene.back_at[inner] == 0) & ~np.isnan(bands("laid.tif")[1][inner])
    right = {
        name: np.mean((bands(name)[1][inner] > 0)[once] == (put > 0)[once])
        for name in ("as-it-is.tif", "laid.tif")
    }
    assert right["laid.tif"] > right["as-it-is.tif"] + 0.02 and right["laid.tif"] > 0.9
    with rasterio.open("laid.tif") as file:
        told = file.tags()["REGISTERED"].split("; ")
    assert told[0] == "the reference" and "pixels down" in told[1] and len(told) == 2


# --- what is refused, in one line ---


def other_grid(scene: SimulatedSeries) -> list[object]:
    write(FILES[2], scene.images[2], transform=PLACE @ Affine.translation(5, 3), waves=scene.wavelengths)
    return [*FILES]


def other_size(scene: SimulatedSeries) -> list[object]:
    write(FILES[2], scene.images[2][:, :50], waves=scene.wavelengths)
    return [*FILES]


def other_bands(scene: SimulatedSeries) -> list[object]:
    write(FILES[2], scene.images[2][:12], waves=scene.wavelengths[:12])
    return [*FILES]


def empty(scene: SimulatedSeries) -> list[object]:
    write(FILES[2], np.zeros_like(scene.images[2]), waves=scene.wavelengths)
    return [*FILES]


def same_time(scene: SimulatedSeries) -> list[object]:
    write("again_20200601.tif", scene.images[3], waves=scene.wavelengths)
    return [*FILES, "again_20200601.tif"]


def same_values(scene: SimulatedSeries) -> list[object]:
    write(FILES[2], scene.images[1], waves=scene.wavelengths)
    return [*FILES]


def undated(scene: SimulatedSeries) -> list[object]:
    Path(FILES[2]).rename("field_b.tif")
    return [*FILES[:2], "field_b.tif"]


def places(scene: SimulatedSeries) -> list[object]:
    for name in ("lake_20190601.tif", "lake_20200601.tif"):
        write(name, scene.images[0])
    return ["{name}_{date:%Y%m%d}.tif"]


BAD: dict[Callable[[SimulatedSeries], list[object]], tuple[str, str]] = {
    other_grid: ("2020-06-01 (field_20200601.tif) differ by up to 5.83 pixels", "--align"),
    other_size: ("2020-06-01 (field_20200601.tif) has 50 x 56", "--align"),
    other_bands: ("2020-06-01 (field_20200601.tif) has 12", "--common-bands"),
    empty: ("2020-06-01 (field_20200601.tif) has no pixel with data", "leave this date out"),
    same_time: ("field_20200601.tif and again_20200601.tif are both of 2020-06-01", "--dates"),
    same_values: ("(field_20190601.tif) and t2 (field_20200601.tif) hold the same values", "--allow-identical"),
    undated: ("nothing tells when", "--dates, as 2019-06-01,2020-06-14"),
    places: ("finds 2 places (field, lake)", "in place of {name}"),
    lambda scene: [FILES[0]]: ("a series of 1 dates", "at least two"),
    lambda scene: [FILES[0], FILES[1], f"./{FILES[0]}"]: ("date 1 and date 3 are one file", "--allow-identical"),
    lambda scene: [*FILES[:2], "--dates", "2019-06-01"]: ("--dates names 1 days for 2 images", "one for each"),
    lambda scene: [*FILES[:2], "--dates", "2019-06-01,31.12.2020"]: ("31.12.2020", "2019-06-01"),
    lambda scene: [*FILES[:2], "--dates", "2019-06-01,2019-06-01"]: ("are both of 2019-06-01", "--dates"),
    lambda scene: [*FILES, "--reference", "2017"]: ("--reference 2017 is no date of the series", "2018-06-01"),
    lambda scene: [*FILES, "--reference", "20"]: ("--reference 20 is 5 dates of the series", "its file's name"),
    lambda scene: ["gone_{date:%Y}.tif"]: ("no file is called as the pattern", "two dates"),
    lambda scene: ["field_{day}.tif"]: ("{day} is not known", "{date:%Y%m%d}"),
    lambda scene: [*FILES, "field_{date:%Y}.tif"]: ("names all dates", "leave other files"),
    lambda scene: [*FILES[:2], "gone.tif"]: ("gone.tif", "exist"),
    lambda scene: [*FILES, "--method", "svm"]: ("svm learns from labels", "--checkpoint"),
    lambda scene: [*FILES, "--refit-statistics"]: ("is about a checkpoint", "--checkpoint FILE"),
    lambda scene: [*FILES, "--work", FILES[0]]: (FILES[0], "is a file"),
    lambda scene: [*FILES, "--table", "t.tex", "--format", "csv"]: ("t.tex", "say --format latex, or let"),
    lambda scene: [*FILES, "--table", "t.tif"]: ("t.tif", "plain text: let the name end in .txt"),
}  # fmt: skip


@pytest.mark.parametrize("make", BAD, ids=lambda make: getattr(make, "__name__", "case"))
def test_bad_input_is_one_line_that_says_what_to_do(
    cli: Any, scene: SimulatedSeries, capsys: Capture, make: Callable[[SimulatedSeries], list[object]]
) -> None:
    found, remedy = BAD[make]
    words = make(scene)
    said = complaint(cli, capsys, *words, *([] if "--method" in words else CVA), *OUT)
    assert found in said and remedy in said


@pytest.mark.parametrize(("make", "option"), [(other_grid, "--align"), (other_bands, "--common-bands")])
@pytest.mark.quick("other_grid*")
def test_what_is_suggested_helps(cli: Any, scene: SimulatedSeries, make: Any, option: str) -> None:
    words = make(scene)
    assert cli("series", *words[1:4], *CVA, *OUT, option) == 0
    found = bands()
    assert np.nanmax(found[6]) == 2
    if option == "--align":  # what the moved date does not show, it cannot tell of
        assert (found[6][:3] == 0).all() and (found[6][:, :5] == 0).all() and (found[6][4:-1, 6:-1] == 2).all()


def test_no_output_replaces_a_date(cli: Any, scene: SimulatedSeries, capsys: Capture) -> None:
    assert "is an input" in complaint(cli, capsys, *FILES, "--output", FILES[1], "--overwrite")


def test_what_lies_beside_is_replaced_with_the_series_and_what_somebody_made_is_kept(
    cli: Any, scene: SimulatedSeries, kept: list[str], tmp_path: Path
) -> None:
    words = ["series", *FILES[:3], *kept, *OUT]
    Path("series.qml").write_text("of somebody")
    assert cli(*words) == 0
    assert Path("series.qml").read_text() == "of somebody"
    Path("series.qml").unlink()
    for stale in ("series.tif.aux.xml", "series.tif.ovr"):
        Path(stale).write_bytes(b"of the raster that was here before")
    assert cli(*words) == 2  # the series is there
    assert Path("series.tif.ovr").exists() and not Path("series.qml").exists()
    assert cli(*words, "--overwrite") == 0
    assert not Path("series.tif.aux.xml").exists() and not Path("series.tif.ovr").exists()
    # Its style is known as ours, so that a map of this name later gets its own.
    assert cli("detect", "--t1", FILES[0], "--t2", FILES[1], "--method", "cva", *OUT, "--overwrite") == 0
    assert 'label="unchanged"' in Path("series.qml").read_text()


def test_images_out_of_order_are_sorted_and_it_is_told(
    cli: Any, scene: SimulatedSeries, kept: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert cli("series", *FILES[:3], *kept, "--output", "a.tif") == 0
    shuffled = [FILES[2], FILES[0], FILES[1]]
    assert cli("series", *shuffled, *kept, "--output", "b.tif") == 0
    assert "the dates are put in their order: 2018-06-01 (field_20180601.tif), 2019" in caplog.text
    np.testing.assert_array_equal(bands("a.tif"), bands("b.tif"))
    days = "2001-01-01T08:00:00,2001-01-01T09:00:00,2003-12-31"  # what is said counts
    assert cli("series", *FILES[:3], *kept, "--dates", days, "--output", "c.tif") == 0
    with rasterio.open("c.tif") as file:
        assert file.tags()["DATES"].split(" ") == days.split(",")
        assert set(np.unique(file.read(1))) == {0, 2001001, 2003365}


@pytest.mark.slow
def test_memory_grows_neither_with_the_height_nor_with_the_dates(cli: Any, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\nfrom hsi_cd.cli.main import run\ncode = run(sys.argv[1:])\n"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\nsys.exit(code)"
    )
    random = np.random.default_rng(0)
    peak = {}
    for rows, dates in ((2048, 3), (4096, 3), (2048, 6)):
        ground = random.integers(2000, 4000, (40, rows, 200))
        for place in range(dates):
            name = tmp_path / f"{rows}-{dates}_{2010 + place}0601.tif"
            tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "zlevel": 1}
            write(name, (ground + random.integers(-40, 40, ground.shape)).astype(np.uint16), **tiles)
        pattern = f"{tmp_path}/{rows}-{dates}_{{date:%Y%m%d}}.tif"
        done = cli.process("series", pattern, *CVA, "--output", tmp_path / f"{rows}-{dates}.tif", code=code)
        assert done.returncode == 0, done.stderr
        peak[rows, dates] = int(done.stdout.split()[-1]) / 1024
    # Two dates of the further rows alone would take 33 MB each as they are stored, as much again as floats.
    further = 40 * 200 * 2 * 2048 / 1e6
    assert peak[4096, 3] - peak[2048, 3] < further and peak[2048, 6] - peak[2048, 3] < further, peak


@pytest.mark.slow
def test_a_scheduler_that_wants_the_machine_back_gets_it(cli: Any, scene: SimulatedSeries) -> None:
    process = begun(cli)
    process.send_signal(15)
    _, said = process.communicate()
    assert process.returncode == 75 and not Path("series.tif").exists(), said
    assert cli("series", *FILES, *OUT, "--work", "work") == 0
