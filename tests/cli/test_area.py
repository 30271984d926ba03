"""hsi-cd sample and hsi-cd area: from a map to the area that changed, through files as people fill them in."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from area_answers import estimates, refusal
from numpy.typing import NDArray
from rasterio.crs import CRS

import hsi_cd as hc
from hsi_cd.evaluation import BIASED
from hsi_cd.io.raster import quiet_georeference

Capture = pytest.CaptureFixture[str]
Fields = dict[str, NDArray[Any]]

ROWS, COLS = 60, 80
PLACE = Affine(10, 0, 500000, 0, -10, 4000000)
PIXEL = 100 / 0.9996**2 / 1e4  # hectares: 10 m x 10 m of UTM at its central meridian, whose scale is 0.9996


def write_map(
    path: Path, change: NDArray[np.uint8], *, transform: Affine | None = PLACE, crs: int = 32633
) -> Path:
    placed = {} if transform is None else {"transform": transform, "crs": CRS.from_epsg(crs)}
    shape = {"height": change.shape[0], "width": change.shape[1]}
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, **shape, **placed}
    with quiet_georeference(), rasterio.open(path, "w", **profile) as file:
        file.write(change, 1)
    return path


def a_truth() -> NDArray[np.uint8]:
    truth = np.zeros((ROWS, COLS), dtype=np.uint8)
    truth[10:30, 10:30] = 1
    return truth


def a_map() -> NDArray[np.uint8]:
    change = np.roll(a_truth(), 3, axis=1)
    change[:5] = 255
    return change


def fill(source: Path, target: Path, edit: Callable[[Fields], None] | None = None, **options: Any) -> Path:
    """The sample as somebody interprets it who knows the truth, and as another program saves it."""
    meta, _, geometry, columns = pyogrio.raw.read(source)
    names = list(meta["fields"])
    fields: Fields = dict(zip(names, columns, strict=True)) | {"geometry": geometry}
    said = a_truth()[fields["row"].astype(int), fields["col"].astype(int)]
    fields["reference"] = np.array([("unchanged", "changed")[code] for code in said], dtype=object)
    if edit is not None:
        edit(fields)
    geometry = fields.pop("geometry")
    crs = options.pop("crs", meta["crs"])
    pyogrio.raw.write(
        target, geometry, list(fields.values()), list(fields), geometry_type="Point", crs=crs, **options
    )
    return target


@pytest.fixture(scope="module")
def made(cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a map and a sample of it that nobody has interpreted yet; nobody writes into it."""
    folder = tmp_path_factory.mktemp("made")
    change = write_map(folder / "change.tif", a_map())
    assert cli("sample", change, "--per-stratum", 40, "--seed", 5, "--output", folder / "sample.gpkg") == 0
    return folder


@pytest.fixture
def drawn(made: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Copies of both, for a test to write into."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "change.tif", tmp_path / "sample.gpkg"


def test_a_sample_says_all_that_the_estimate_needs(drawn: tuple[Path, Path]) -> None:
    change = a_map()
    meta, _, wkb, columns = pyogrio.raw.read(drawn[1])
    fields = dict(zip(meta["fields"], columns, strict=True))
    assert CRS.from_user_input(meta["crs"]) == CRS.from_epsg(32633)
    assert sorted(fields["id"].tolist()) == list(range(1, 81))
    assert [value is None for value in fields["reference"]] == [True] * 80
    x, y = shapely.get_coordinates(shapely.from_wkb(wkb)).T
    assert np.array_equal(fields["col"], np.floor((x - 500000) / 10))
    assert np.array_equal(fields["row"], np.floor((4000000 - y) / 10))
    codes = change[fields["row"], fields["col"]]
    assert set(codes.tolist()) == {0, 1}
    for code, word in enumerate(("called unchanged", "called changed")):
        own = fields["stratum"] == word
        assert np.array_equal(own, codes == code) and own.sum() == 40
        assert set(fields["pixels"][own].tolist()) == {int((change == code).sum())}
        area = (change == code).sum() * PIXEL * 1e4
        assert fields["area"][own] == pytest.approx(area, rel=1e-4)
    assert set(fields["unit"].tolist()) == {"m2"} and len(set(fields["map"].tolist())) == 1


def test_the_same_seed_is_the_same_file(cli: Any, drawn: tuple[Path, Path], tmp_path: Path) -> None:
    for seed, same in ((5, True), (6, False)):
        again = tmp_path / f"again{seed}.gpkg"
        assert cli("sample", drawn[0], "--per-stratum", 40, "--seed", seed, "--output", again) == 0
        assert (again.read_bytes() == drawn[1].read_bytes()) == same


def test_the_area_in_hectares_by_the_formula(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    """Of Olofsson et al., written again from the file alone."""
    sample = fill(drawn[1], tmp_path / "filled.gpkg")
    found = estimates(cli, capsys, drawn[0], "--sample", sample)
    meta, _, _, columns = pyogrio.raw.read(sample)
    fields = dict(zip(meta["fields"], columns, strict=True))
    share = variance = 0.0
    total = int((a_map() != 255).sum())
    for word in ("called unchanged", "called changed"):
        own = fields["stratum"] == word
        n, pixels = own.sum(), int(fields["pixels"][own][0])
        p = (fields["reference"][own] == "changed").mean()
        share += pixels / total * p
        variance += (pixels / total) ** 2 * p * (1 - p) / (n - 1) * (1 - n / pixels)
    area = found["classes"]["changed"]["area"]
    assert found["unit"] == "ha" and found["total"] == pytest.approx(total * PIXEL, rel=1e-4)
    assert area["value"] == pytest.approx(share * total * PIXEL, rel=1e-4)
    assert area["standard_error"] == pytest.approx(variance**0.5 * total * PIXEL, rel=1e-4)
    assert area["low"] <= 400 * PIXEL <= area["high"]
    assert found["classes"]["changed"]["mapped_area"] == pytest.approx((a_map() == 1).sum() * PIXEL, rel=1e-4)
    assert sum(area for row in found["strata"].values() for area in row["shares"].values()) == pytest.approx(1)


def test_longitude_and_latitude_have_hectares_too(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    """On the ellipsoid: WGS 84's surface between two parallels, by its closed form."""
    step, south = 0.001, 59.94
    change = write_map(tmp_path / "c.tif", a_map(), transform=Affine(step, 0, 10, 0, -step, 60), crs=4326)
    assert cli("sample", change, "--per-stratum", 30, "--output", tmp_path / "s.geojson") == 0
    sample = fill(tmp_path / "s.geojson", tmp_path / "f.geojson", driver="GeoJSON", crs="EPSG:4326")
    found = estimates(cli, capsys, change, "--sample", sample)

    def zone(latitude: float) -> float:  # of a degree of longitude, from the equator, m2
        e2 = 0.0066943799901413165
        e, sine = e2**0.5, np.sin(np.radians(latitude))
        q = (1 - e2) * (sine / (1 - e2 * sine**2) + np.arctanh(e * sine) / e)
        return float(np.radians(1) * 6378137.0**2 * q / 2)

    expected = (zone(60 - 5 * step) - zone(south)) * COLS * step / 1e4
    assert found["total"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("name", "driver"), [("f.shp", "ESRI Shapefile"), ("f.fgb", "FlatGeobuf")])
def test_other_formats_that_a_gis_saves_keep_the_design(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture, name: str, driver: str
) -> None:
    expected = estimates(cli, capsys, drawn[0], "--sample", fill(drawn[1], tmp_path / "f.gpkg"))
    found = estimates(cli, capsys, drawn[0], "--sample", fill(drawn[1], tmp_path / name, driver=driver))
    assert found["classes"]["changed"]["area"] == pytest.approx(expected["classes"]["changed"]["area"])


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("0", "1"), ()),
        (("no change", "Changed"), ()),
        (("no", "yes"), ()),
        (("forest", "burnt"), ("--changed", "burnt", "--unchanged", "forest")),
    ],
)
def test_classes_are_said_as_those_of_drawn_labels_are(
    cli: Any,
    drawn: tuple[Path, Path],
    tmp_path: Path,
    capsys: Capture,
    words: tuple[str, str],
    options: tuple[str, ...],
) -> None:
    def say(fields: Fields) -> None:
        fields["reference"] = np.array([words[value == "changed"] for value in fields["reference"]], dtype=object)

    expected = estimates(cli, capsys, drawn[0], "--sample", fill(drawn[1], tmp_path / "f.gpkg"))
    found = estimates(cli, capsys, drawn[0], "--sample", fill(drawn[1], tmp_path / "g.gpkg", say), *options)
    assert found == expected


def test_points_that_nobody_interpreted_are_told_and_left_out(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(fields: Fields) -> None:
        own = np.flatnonzero(fields["stratum"] == "called changed")
        fields["reference"][own[:7]] = None
        fields["reference"][own[7]] = "unknown"
        for name in fields:
            fields[name] = np.delete(fields[name], own[8:10])  # and two are gone

    sample = fill(drawn[1], tmp_path / "f.gpkg", leave)
    capsys.readouterr()
    assert cli("area", drawn[0], "--sample", sample) == 0
    said = capsys.readouterr()
    assert "10 of 80 points are not interpreted, or no longer there (called changed 10)" in caplog.text
    assert "10 points that were drawn are left out" in said.out
    assert "from 70 interpreted points" in said.out


@pytest.mark.parametrize("kind", ["text", "markdown", "html", "latex"])
def test_a_table_says_that_the_map_is_biased(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture, kind: str
) -> None:
    sample, out = fill(drawn[1], tmp_path / "f.gpkg"), tmp_path / "table.txt"
    assert cli("area", drawn[0], "--sample", sample, "--format", kind, "--output", out) == 0
    text = out.read_text().replace("&#39;", "'")
    assert BIASED in text and "area (ha)" in text and "Overall accuracy" in text


def test_csv_has_every_number_in_full(cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    sample = fill(drawn[1], tmp_path / "f.gpkg")
    found = estimates(cli, capsys, drawn[0], "--sample", sample)
    assert cli("area", drawn[0], "--sample", sample, "--format", "csv") == 0
    lines = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["quantity", "class", "estimate", "standard_error", "low", "high", "unit"]
    told = {(line[0], line[1]): list(map(float, line[2:6])) for line in lines[1:]}
    assert len(told) == 9
    assert told["area", "changed"] == list(found["classes"]["changed"]["area"].values())
    assert told["overall_accuracy", ""] == list(found["overall_accuracy"].values())


def test_all_numbers_go_to_a_file_beside_the_table(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    sample, numbers, table = fill(drawn[1], tmp_path / "f.gpkg"), tmp_path / "n.json", tmp_path / "t.csv"
    words = [drawn[0], "--sample", sample]
    found = estimates(cli, capsys, *words)
    assert cli("area", *words, "--json", numbers) == 0
    said = capsys.readouterr().out
    assert json.loads(numbers.read_text()) == found and BIASED in said and said.endswith(f"numbers: {numbers}\n")
    assert cli("area", *words, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == found and not Path("-").exists()
    numbers.write_text("mine")
    told = refusal(cli, capsys, "area", *words, "--json", numbers, "--format", "csv", "--output", table)
    assert "exists" in told and "--overwrite" in told and not table.exists() and numbers.read_text() == "mine"
    told = refusal(cli, capsys, "area", *words, "--json", table, "--output", table)
    assert "--output and --json are both" in told
    both = ["--format", "csv", "--output", table, "--json", numbers, "--overwrite"]
    assert cli("area", *words, *both) == 0
    assert table.read_text().startswith("quantity,") and json.loads(numbers.read_text()) == found


def test_the_page_shows_both_dates_and_not_the_map(
    cli: Any, simulated: Any, tmp_path: Path, capsys: Capture
) -> None:
    truth, page = simulated.truth, tmp_path / "page.html"
    dates = ["--t1", simulated.t1, "--t2", simulated.t2]
    words = ["sample", truth, "--per-stratum", 4, "--output", tmp_path / "s.gpkg"]
    assert cli(*words, *dates, "--html", page, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    text = page.read_text()
    assert text.count("data:image/png") == 2 * sum(each["points"] for each in told["strata"].values())
    assert "called changed" not in text and "Point 1" in text
    other = write_map(tmp_path / "other.tif", a_map())
    said = refusal(cli, capsys, "sample", other, *dates, "--html", tmp_path / "p", "--output", tmp_path / "o.gpkg")
    assert "give the two dates of this map" in said
    assert not (tmp_path / "o.gpkg").exists() and not (tmp_path / "p").exists()
    said = refusal(cli, capsys, *words[:-1], tmp_path / "o.gpkg", *dates)
    assert "give --html FILE, too" in said
    said = refusal(cli, capsys, *words[:-1], tmp_path / "o.gpkg", "--html", page)
    assert "give --t1 FILE and --t2 FILE, or --dataset NAME, too" in said


def delete(name: str) -> Callable[[Fields], None]:
    return lambda fields: fields.__delitem__(name)


def put(name: str, place: int, value: object) -> Callable[[Fields], None]:
    return lambda fields: fields[name].__setitem__(place, value)


def move(east: float) -> Callable[[Fields], None]:
    def edit(fields: Fields) -> None:
        point = shapely.from_wkb(fields["geometry"][0])
        fields["geometry"][0] = shapely.to_wkb(shapely.Point(point.x + east, point.y))

    return edit


def into_no_data(fields: Fields) -> None:
    fields["row"][0] = 2
    fields["geometry"][0] = shapely.to_wkb(shapely.Point(500005 + 10 * fields["col"][0], 4000000 - 25))


def keep(word: str, count: int) -> Callable[[Fields], None]:
    """Interpret only so many points of a stratum."""

    def edit(fields: Fields) -> None:
        fields["reference"][np.flatnonzero(fields["stratum"] == word)[count:]] = None

    return edit


def without_stratum(fields: Fields) -> None:
    own = fields["stratum"] == "called changed"
    for name in fields:
        fields[name] = fields[name][~own]


def nothing(fields: Fields) -> None:
    for name in fields:
        fields[name] = fields[name][:0]


def twice(fields: Fields) -> None:
    for name in fields:
        fields[name] = np.concatenate((fields[name], fields[name][:1]))


def copied(fields: Fields) -> None:
    """One point in place of another of its stratum, under that one's number."""
    own = np.flatnonzero(fields["stratum"] == fields["stratum"][0])
    for name in fields:
        if name != "id":
            fields[name][own[1]] = fields[name][0]


def acres(fields: Fields) -> None:
    fields["unit"][:] = "acres"


def endless(fields: Fields) -> None:
    fields["area"][fields["stratum"] == "called changed"] = np.inf


def without_place(fields: Fields) -> None:
    fields["geometry"][0] = None


def by_hand(fields: Fields) -> None:
    fields["id"] = np.array([None, *fields["id"][1:]], dtype=object)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (delete("pixels"), r"is no reference sample: it has no field pixels; interpret .* hsi-cd sample wrote"),
        (nothing, r"holds no point: interpret those of a file that hsi-cd sample wrote"),
        (by_hand, r"1 of its 80 features have no id: .* remove them"),
        (twice, r"the points with the id 1 are there twice: keep each once"),
        (acres, r"the unit 'acres' is none of m2 and pixels: take the fields from the file that hsi-cd sample"),
        (copied, r"the points 1, \d+ are the same pixel: keep the one that was drawn"),
        (endless, r"the fields pixels, drawn and area of the stratum 'called changed' are not as they were"),
        (without_place, r"point 1 lies outside the map"),
        (move(1e5), r"point 1 lies outside the map"),
        (move(10.2), r"point 1 lies elsewhere than in the pixel drawn"),
        (put("row", 0, 700), r"point 1 lies outside the map"),
        (into_no_data, r"point 1 lies where the map has no data"),
        (put("reference", 0, "perhaps"), r"the classes 'perhaps' \(1\) are not understood: .* --changed"),
        (put("stratum", 0, "forest"), r"stratum 'forest': expected called unchanged or called changed"),
        (put("pixels", 0, 77), r"the fields pixels, drawn and area of the stratum .* not as they were drawn"),
        (put("map", 0, "sha256:0"), r"its points have the map .*: give the points of one sample"),
        (keep("called changed", 1), r"has 1 interpreted point of the stratum 'called changed' .* at least 2"),
        (keep("called unchanged", 0), r"has no interpreted points of the stratum 'called unchanged'"),
        (without_stratum, r"has no point of the stratum 'called changed' \(400 pixels\): at least 2"),
    ],
)
def test_a_sample_that_is_not_as_it_was_drawn(
    cli: Any,
    drawn: tuple[Path, Path],
    tmp_path: Path,
    capsys: Capture,
    edit: Callable[[Fields], None],
    said: str,
) -> None:
    sample, out = fill(drawn[1], tmp_path / "f.gpkg", edit), tmp_path / "table.txt"
    assert re.search(said, refusal(cli, capsys, "area", drawn[0], "--sample", sample, "--output", out))
    assert not out.exists()


def test_a_sample_of_another_map(cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    """The same classes in another file are the same map; one pixel changed, and it is another."""
    sample, change = fill(drawn[1], tmp_path / "f.gpkg"), a_map()
    with rasterio.open(drawn[0]) as file:
        profile = file.profile | {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16}
    with rasterio.open(tmp_path / "same.tif", "w", **profile) as file:
        file.write(change, 1)
    estimates(cli, capsys, tmp_path / "same.tif", "--sample", sample)
    change[40, 40] = 1
    other = write_map(tmp_path / "other.tif", change)
    assert "was drawn from another map" in refusal(cli, capsys, "area", other, "--sample", sample)


def test_a_sample_that_cannot_be_drawn(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "s.gpkg"
    bare = write_map(tmp_path / "bare.tif", a_map(), transform=None)
    assert "no CRS and transform" in refusal(cli, capsys, "sample", bare, "--output", out)
    like = write_map(tmp_path / "like.tif", a_map())
    assert cli("sample", bare, "--like", like, "--output", out) == 0  # which the message said
    empty = write_map(tmp_path / "empty.tif", np.full((9, 9), 255, dtype=np.uint8))
    assert "no pixel with data" in refusal(cli, capsys, "sample", empty, "--output", tmp_path / "n.gpkg")
    words = ["sample", like, "--output", tmp_path / "n.gpkg"]
    assert "a smaller --per-stratum" in refusal(cli, capsys, *words, "--total", 60)
    assert "expected 0.001 to 0.5" in refusal(cli, capsys, *words, "--standard-error", 3)
    assert "end in .gpkg or .geojson" in refusal(cli, capsys, "sample", like, "--output", tmp_path / "n.csv")
    assert "no output replaces" in refusal(cli, capsys, "sample", like, "--output", like, "--overwrite")
    assert not (tmp_path / "n.gpkg").exists()


def test_a_small_class_is_drawn_whole_and_one_class_alone_is_told(
    cli: Any, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    change = np.zeros((ROWS, COLS), dtype=np.uint8)
    change[12, 12:15] = 1
    few = write_map(tmp_path / "few.tif", change)
    assert cli("sample", few, "--output", tmp_path / "s.gpkg") == 0
    said = capsys.readouterr().out
    assert "the stratum 'called changed' has 3 pixels: all are drawn" in caplog.text
    assert "3 of the 3 pixels called changed" in said
    none = write_map(tmp_path / "none.tif", np.zeros_like(change))
    assert cli("sample", none, "--per-stratum", 200, "--seed", 1, "--output", tmp_path / "n.gpkg") == 0
    assert "the map has one class alone (called unchanged)" in caplog.text
    found = estimates(cli, capsys, none, "--sample", fill(tmp_path / "n.gpkg", tmp_path / "f.gpkg"))
    area = found["classes"]["changed"]["area"]
    assert area["low"] <= 400 * PIXEL <= area["high"]
    assert found["classes"]["changed"]["users_accuracy"]["value"] is None


def test_an_uninterpreted_sample_teaches_nobody(cli: Any, simulated: Any, tmp_path: Path, capsys: Capture) -> None:
    """What the map says in it is not taken for what somebody saw."""
    sample = tmp_path / "s.gpkg"
    assert cli("sample", simulated.truth, "--output", sample) == 0
    dates = ["--t1", simulated.t1, "--t2", simulated.t2]
    said = refusal(cli, capsys, "train", *dates, "--truth", sample, "--run", tmp_path / "run")
    assert "field" in said or "class" in said


def test_python_and_the_command_line_say_the_same(
    cli: Any, drawn: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    told = estimates(cli, capsys, drawn[0], "--sample", fill(drawn[1], tmp_path / "f.gpkg"))
    sample = hc.sample_map(drawn[0], per_stratum=40, seed=5)
    found = hc.estimate_area(drawn[0], sample.answer(hc.Labels(a_truth())))
    assert json.loads(json.dumps(found.to_dict())) == told
    assert found.changed.value == told["classes"]["changed"]["area"]["value"]
    for no_map in (np.full((4, 4), 300), np.full((4, 4), 0.5), np.zeros((4, 4, 2)), np.full((4, 4), -1)):
        with pytest.raises(hc.errors.FormatError, match="is no change map"):
            hc.sample_map(no_map)
    with pytest.raises(hc.errors.GridError, match="give a truth of this map"):
        sample.answer(hc.Labels(a_truth()[:5]))
