"""hsi-cd detect --kinds: what became what, where nobody drew a label."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

import hsi_cd as hc
from hsi_cd.api.kind_curves import kind_curves
from hsi_cd.io.class_maps import read_class_map
from hsi_cd.prepare.stratified_sample import areas_of
from hsi_cd.reporting.html.map_page import MapView, map_page
from hsi_cd.scene import Bands, cube_from_array

Capture = pytest.CaptureFixture[str]
BANDS = np.linspace(450, 2400, 24)


@dataclass(frozen=True)
class Fields:
    """A scene of three kinds of change whose places are known."""

    folder: Path
    t1: NDArray[np.float32]
    t2: NDArray[np.float32]
    kind: NDArray[np.uint8]

    @property
    def words(self) -> list[object]:
        return ["detect", "--t1", self.folder / "t1.tif", "--t2", self.folder / "t2.tif"]


def _spectra(rng: np.random.Generator) -> NDArray[np.float64]:
    """Four smooth materials."""
    x = (BANDS - 450) / 1950
    return np.stack([
        0.1 + 0.3 * x,
        0.08 + 0.4 * (x > 0.15) * np.exp(-2 * x),
        0.45 - 0.2 * x + 0.05 * np.sin(9 * x),
        0.05 + 0.02 * np.cos(5 * x),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fields]:
    folder = tmp_path_factory.mktemp("fields")
    rng = np.random.default_rng(3)
    spectra = _spectra(rng)
    before = rng.integers(0, 4, (12, 12)).repeat(7, axis=0).repeat(7, axis=1)
    after, kind = before.copy(), np.zeros(before.shape, dtype=np.uint8)
    # Whole fields of soil become green, bright or wet ground: 16, 9 and 4 of them.
    for number, (count, new, top) in enumerate(((4, 1, 3), (3, 2, 35), (2, 3, 60)), start=1):
        place = np.s_[top : top + 7 * count, 10 : 10 + 7 * count]
        before[place], after[place], kind[place] = 0, new, number
    gain = 1 + 0.05 * rng.standard_normal((2, 12, 12)).repeat(7, axis=1).repeat(7, axis=2)
    dates = []
    for number, ground in enumerate((before, after)):
        values = spectra[ground].transpose(2, 0, 1) * gain[number]
        dates.append((values + 0.004 * rng.standard_normal(values.shape)).astype(np.float32))
    profile = {"driver": "GTiff", "count": len(BANDS), "height": 84, "width": 84, "dtype": "float32"}
    profile |= {"crs": "EPSG:32633", "transform": Affine(10, 0, 400000, 0, -10, 5800000)}
    for name, values in zip(("t1", "t2"), dates, strict=True):
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as file:
            file.write(values)
            for band, wavelength in enumerate(BANDS, start=1):
                file.update_tags(band, wavelength=f"{wavelength}", wavelength_units="nm")
    yield Fields(folder, *dates, kind)


def read(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.fixture(scope="module")
def mapped(cli: Any, fields: Fields, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all that the command writes of kinds."""
    folder = tmp_path_factory.mktemp("mapped")
    files = ["--output", folder / "kinds.tif", "--vector", folder / "kinds.gpkg", "--cog"]
    beside = ["--kinds-table", folder / "kinds.csv", "--kinds-spectra", folder / "spectra.csv"]
    figure = ["--kinds-figure", folder / "kinds.png"]
    assert cli(*fields.words, "--kinds", "auto", *files, *beside, *figure) == 0
    return folder


def test_kinds_are_found_and_the_largest_comes_first(mapped: Path, fields: Fields) -> None:
    found = read(mapped / "kinds.tif")
    inside = fields.kind > 0
    assert adjusted_rand_score(fields.kind[inside], found[inside]) > 0.9
    sizes = np.bincount(found.ravel())[1:]
    assert len(sizes) == 3 and (np.diff(sizes) <= 0).all()
    assert (found[~inside] == 0).mean() > 0.97


def test_the_map_tells_its_kinds(mapped: Path) -> None:
    told = read_class_map(mapped / "kinds.tif")
    assert dict(told.names) == {0: "unchanged", 1: "kind 1", 2: "kind 2", 3: "kind 3"}
    with rasterio.open(mapped / "kinds.tif") as file:
        palette = file.colormap(1)
        assert (file.dtypes, file.nodata) == (("uint8",), 255)
    colours = {palette[value] for value in range(4)}
    style = (mapped / "kinds.qml").read_text()
    assert len(colours) == 4
    for value in range(1, 4):
        assert f'value="{value}" label="kind {value}" color="#{bytes(palette[value][:3]).hex()}"' in style


def test_polygons_have_their_kind(mapped: Path) -> None:
    found = read(mapped / "kinds.tif")
    with closing(sqlite3.connect(mapped / "kinds.gpkg")) as file:
        told = dict(file.execute("SELECT kind, sum(pixels) FROM change_regions GROUP BY kind").fetchall())
        names = dict(file.execute("SELECT DISTINCT kind, name FROM change_regions").fetchall())
        (qml, sld), = file.execute("SELECT styleQML, styleSLD FROM layer_styles").fetchall()  # fmt: skip
    assert told == {kind: int((found == kind).sum()) for kind in (1, 2, 3)}
    assert names == {1: "kind 1", 2: "kind 2", 3: "kind 3"}
    assert 'attr="kind"' in qml and "kind 3" in qml and sld.count("PropertyIsEqualTo>") == 6


def test_tables_are_what_the_map_and_the_dates_hold(mapped: Path, fields: Fields) -> None:
    found = read(mapped / "kinds.tif")
    with (mapped / "kinds.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [int(line["pixels"]) for line in lines] == [int((found == kind).sum()) for kind in (1, 2, 3)]
    assert sum(float(line["share"]) for line in lines) == pytest.approx(1)
    assert (
        float(lines[0]["area"]) == pytest.approx(100 * (found == 1).sum(), rel=2e-3) and lines[0]["unit"] == "m2"
    )
    with (mapped / "spectra.csv").open() as file:
        rows = list(csv.DictReader(file))
    quiet = (fields.t2 - fields.t1)[:, found == 0].astype(np.float64)
    for kind in (1, 2, 3):
        own = [row for row in rows if row["kind"] == str(kind)]
        first, second = (date[:, found == kind].astype(np.float64) for date in (fields.t1, fields.t2))
        np.testing.assert_allclose([float(row["wavelength (nm)"]) for row in own], BANDS, rtol=1e-6)
        for column, expected in (
            ("before", first.mean(axis=1)),
            ("after", second.mean(axis=1)),
            ("before deviation", first.std(axis=1)),
            ("after deviation", second.std(axis=1)),
        ):
            np.testing.assert_allclose([float(row[column]) for row in own], expected, rtol=1e-5, atol=1e-7)
        strength = np.abs((second - first).mean(axis=1) - quiet.mean(axis=1)) / quiet.std(axis=1)
        np.testing.assert_allclose([float(row["strength"]) for row in own], strength, rtol=1e-4)
        assert [int(row["rank"]) for row in own] == (np.argsort(np.argsort(-strength)) + 1).tolist()


def test_neither_tiling_nor_seed_nor_reading_decides(
    cli: Any, mapped: Path, fields: Fields, tmp_path: Path
) -> None:
    few = ["--output", tmp_path / "few.tif", "--memory", "1MB", "--seed", 7]
    assert cli(*fields.words, "--kinds", "3", *few) == 0
    np.testing.assert_array_equal(read(tmp_path / "few.tif"), read(mapped / "kinds.tif"))
    change = hc.detect(hc.open_pair(fields.t1, fields.t2), kinds=3)
    np.testing.assert_array_equal(change.kind, read(mapped / "kinds.tif"))
    assert change.kinds is not None and [kind.unit for kind in [change.kinds]] == ["pixels"]


def test_the_kinds_lie_where_the_map_of_two_classes_says_changed(
    cli: Any, mapped: Path, fields: Fields, tmp_path: Path
) -> None:
    assert cli(*fields.words, "--output", tmp_path / "change.tif") == 0
    change, kinds = read(tmp_path / "change.tif"), read(mapped / "kinds.tif")
    np.testing.assert_array_equal(change, np.where((kinds > 0) & (kinds < 255), 1, kinds))


def test_groups_that_nobody_labelled_are_judged_by_how_they_group(mapped: Path, fields: Fields) -> None:
    """Their numbers mean nothing: the adjusted Rand index asks for none."""
    labels = hc.open_labels(fields.kind, changed=(1, 2, 3), unchanged=0)
    pair = hc.open_pair(fields.folder / "t1.tif", fields.folder / "t2.tif")
    inside, found = fields.kind > 0, read(mapped / "kinds.tif")
    of_file, of_map = hc.evaluate(mapped / "kinds.tif", labels), hc.evaluate(hc.detect(pair, kinds="auto"), labels)
    assert of_file.kinds is not None and of_map.kinds is not None
    rand = adjusted_rand_score(fields.kind[inside], found[inside])
    assert of_file.kinds.scores["adjusted_rand"] == pytest.approx(rand)
    assert of_map.kinds.confusion == of_file.kinds.confusion
    assert of_file.scores["kappa"] == hc.evaluate(found > 0, labels).scores["kappa"]
    sample = hc.sample_map(hc.detect(pair, kinds="auto"), per_stratum=5)
    assert set(sample.points) == {"called unchanged", *(f"called kind {number}" for number in (1, 2, 3))}


def test_an_area_of_interest_has_the_kinds_of_its_own_pixels(
    cli: Any, fields: Fields, tmp_path: Path, capsys: Capture
) -> None:
    """Only what lies in the window counts; the kinds are those of the whole scene, ordered anew."""
    bounds = ["--bounds", "400000,5799180,400840,5799700", "--output", tmp_path / "part.tif", "--json"]
    assert cli(*fields.words, "--kinds", "3", *bounds) == 0
    told = json.loads(capsys.readouterr().out)["kinds"]
    found = read(tmp_path / "part.tif")
    assert [kind["pixels"] for kind in told] == [int((found == each["kind"]).sum()) for each in told]
    assert found.shape[0] < 84 and len(told) >= 2


@pytest.mark.parametrize("by", ["directions", "c2va", "mean-shift"])
@pytest.mark.quick("directions")
def test_other_groupings(fields: Fields, by: Any) -> None:
    options = hc.KindOptions(None if by == "mean-shift" else 3, by)
    change = hc.detect(hc.open_pair(fields.t1, fields.t2), kinds=options)
    inside = fields.kind > 0
    assert adjusted_rand_score(fields.kind[inside], change.kind[inside]) > (0.5 if by == "c2va" else 0.8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kinds", "0"], "expected a whole number from 1 to 32, or auto"),
        (["--kinds", "many"], "expected a number of kinds, or auto"),
        (["--kinds", "4", "--kinds-by", "mean-shift"], "give kinds='auto'"),
        (["--kinds", "auto", "--kinds-by", "mean-shift", "--bandwidth", "1000"], "expected 0.001 to 100"),
        (["--kinds", "auto", "--bandwidth", "1"], "a bandwidth is of mean shift"),
        (["--kinds-table", "k.csv"], "give --kinds auto, too"),
        (["--library", "l.csv"], "give --kinds auto, too"),
        (["--kinds", "3", "--kinds-nearest", "k.csv"], "give --library FILE, too"),
        (["--kinds", "3", "--library", "l.csv"], "does not exist"),
        (["--kinds", "3", "--kinds-figure", "k.txt"], "name it .png or .pdf"),
        (["--kinds", "3", "--kinds-table", "k.tif"], "let the name end in .csv"),
    ],
)
def test_bad_input(
    cli: Any, fields: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture,
    words: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli(*fields.words, *words, "--output", "c.tif") == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [6, "auto"])
def test_the_six_kinds_of_the_irrigated_stand_in(shared: Path, kinds: Any) -> None:
    """ARI .87 with six kinds; 7 in the truth is unchanged. What is missed counts as a kind of its own."""
    scipy_io = pytest.importorskip("scipy.io")
    folder = shared / "scenes" / "irrigated"
    truth = scipy_io.loadmat(folder / "Reference_Map_Multiclass.mat")["Ref_map_multiclass"]
    pair = hc.open_pair(folder / "PreImg_2004.mat", folder / "PostImg_2007.mat")
    found = hc.detect(pair, kinds=kinds).kind
    assert adjusted_rand_score(truth[truth < 7], found[truth < 7]) >= 0.75


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The materials of the fields as a table in percent over um, and one that no field has."""
    path = tmp_path_factory.mktemp("library") / "ground.csv"
    spectra = 100 * np.vstack([_spectra(np.random.default_rng(3)), np.linspace(0.9, 0.1, len(BANDS))])
    lines = [",".join(map(str, [wave / 1000, *own])) for wave, own in zip(BANDS, spectra.T, strict=True)]
    path.write_text("\n".join(["wavelength (um),soil,green crop,bright roof,wet ground,snow", *lines]))
    return path


def test_what_a_kind_is_from_and_to(
    cli: Any, fields: Fields, library: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Angles are those between the library and the mean spectra of the map that was written."""
    files = {name: tmp_path / f"{name}.csv" for name in ("kinds-table", "kinds-nearest", "kinds-spectra")}
    words = [word for name, path in files.items() for word in (f"--{name}", path)]
    words += ["--kinds", "auto", "--library", library, "--output", tmp_path / "kinds.tif"]
    assert cli(*fields.words, *words, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    found = read(tmp_path / "kinds.tif")
    names = ["soil", "green crop", "bright roof", "wet ground", "snow"]
    spectra = np.vstack([_spectra(np.random.default_rng(3)), np.linspace(0.9, 0.1, len(BANDS))])
    with files["kinds-nearest"].open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 2 * 3
    for line in lines:
        date = fields.t1 if line["date"] == "before" else fields.t2
        mean = date[:, found == int(line["kind"])].astype(np.float64).mean(axis=1)
        angles = [np.arccos(mean @ own / np.linalg.norm(mean) / np.linalg.norm(own)) for own in spectra]
        assert line["entry"] == names[int(np.argsort(angles)[int(line["rank"]) - 1])]
        assert float(line["angle (rad)"]) == pytest.approx(np.sort(angles)[int(line["rank"]) - 1], abs=2e-5)
    ends = [(kind["from"][0]["name"], kind["to"][0]["name"]) for kind in record["kinds"]]
    assert ends == [("soil", "green crop"), ("soil", "bright roof"), ("soil", "wet ground")]
    with files["kinds-table"].open() as file:
        assert [(line["from"], line["to"]) for line in csv.DictReader(file)] == ends


def test_it_is_told_in_words(cli: Any, fields: Fields, library: Path, tmp_path: Path, capsys: Capture) -> None:
    assert cli(*fields.words, "--kinds", "3", "--library", library, "--output", tmp_path / "k.tif") == 0
    said = capsys.readouterr()
    assert "kind 1: soil (.0" in said.out and " rad) to green crop (.0" in said.out
    assert "library: ground.csv (5 spectra, 450 to 2400 nm; a column each)" in said.out
    assert "reflectance" not in said.err  # the values are of 0 to 1


@pytest.mark.slow
def test_numbers_that_may_be_no_reflectance_are_told(fields: Fields, library: Path, caplog: Any) -> None:
    pair = hc.open_pair(fields.folder / "t1.tif", fields.folder / "t2.tif")
    bands = Bands(len(BANDS), tuple(BANDS))
    dates = [
        cube_from_array(1e4 * date, name=name, bands=bands)
        for name, date in zip("ab", (fields.t1, fields.t2), strict=True)
    ]
    bright = hc.detect(hc.ScenePair(*dates), kinds=3).kinds
    own = hc.detect(pair, kinds=3).kinds
    assert bright is not None and own is not None
    opened = hc.open_library(library)
    assert bright.from_to(opened)[1].before[0].name == "soil"
    assert "nothing tells that values of up to" in caplog.text
    caplog.clear()
    assert own.from_to(opened, count=1)[1].after[0].name == "green crop" and not caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frequency (THz),a\n1,2\n2,3\n", "have the unit 'THz': expected nm or um"),
        ("band,a\n1,2\n20,3\n", "have no unit, and their numbers tell none"),
        ("wavelength (nm),a\n8000,2\n9000,3\n", "covers 0 of the 24 bands of the scene (450 to 2400 nm)"),
    ],
)
def test_a_library_that_serves_nothing_is_refused_before_anything_is_computed(
    cli: Any, fields: Fields, tmp_path: Path, capsys: Capture, text: str, said: str
) -> None:
    (tmp_path / "lib.csv").write_text(text)
    words = ["--kinds", "3", "--library", tmp_path / "lib.csv", "--output", tmp_path / "k.tif"]
    assert cli(*fields.words, *words) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "k.tif").exists()


def test_a_scene_without_wavelengths_has_no_place_for_a_library(
    cli: Any, fields: Fields, library: Path, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("t1", "t2"):
        np.save(tmp_path / f"{name}.npy", getattr(fields, name).transpose(1, 2, 0))
    dates = ["--t1", tmp_path / "t1.npy", "--t2", tmp_path / "t2.npy", "--axes", "rows,cols,bands"]
    words = ["--kinds", "3", "--library", library, "--output", tmp_path / "k.tif"]
    assert cli("detect", *dates, *words) == 2
    assert "the scene tells no wavelengths" in capsys.readouterr().err


def test_no_output_replaces_the_library(cli: Any, fields: Fields, library: Path, capsys: Capture) -> None:
    words = ["--kinds", "3", "--library", library, "--output", library.parent / "k.tif"]
    assert cli(*fields.words, *words, "--kinds-table", library, "--overwrite") == 2
    assert "is an input" in capsys.readouterr().err and library.read_text().startswith("wavelength")


def test_a_page_shows_the_spectra_of_the_kinds(mapped: Path, fields: Fields) -> None:
    """A chart a kind: its curves end at the values and wavelengths that the table of spectra holds."""
    pair = hc.open_pair(fields.folder / "t1.tif", fields.folder / "t2.tif")
    areas, unit = areas_of(pair.grid)
    curves = kind_curves(mapped / "kinds.tif", pair, areas)
    change = (read(mapped / "kinds.tif") > 0).astype(np.uint8)
    page = map_page(MapView(change, None, "", {}, {}, unit, [], {}, curves=curves), title="kinds")
    part = page[page.index('<section id="kinds">') : page.index('<section id="areas">')]
    assert part.count("<svg") == 3 and part.count("<polyline") == 6
    with (mapped / "spectra.csv").open() as file:
        rows = list(csv.DictReader(file))
    heads, charts = part.split("<svg")[:-1], part.split("<svg")[1:]
    for kind, (chart, head) in enumerate(zip(charts, heads, strict=True), start=1):
        own = [row for row in rows if row["kind"] == str(kind)]
        leading = sorted(own, key=lambda row: int(row["rank"]))[:3]
        assert f"</span>kind {kind}: " in head
        assert "; most in " + ", ".join(f"{float(row['wavelength (nm)']):.0f} nm" for row in leading) in head
        assert chart.count('class="ideal"') == 3
        after, before = (
            np.array([point.split(",") for point in points.split()], dtype=float)
            for points in re.findall(r'<polyline class="." style="stroke:#[0-9a-f]{6}" points="([^"]+)"', chart)
        )
        values = {date: np.array([float(row[date]) for row in own]) for date in ("before", "after")}
        both = np.concatenate([values["after"], values["before"]])
        drawn = np.concatenate([after[:, 1], before[:, 1]])
        # One straight line leads from values to the chart: down it grows.
        assert np.corrcoef(both, drawn)[0, 1] < -0.9999
        assert np.corrcoef(BANDS, after[:, 0])[0, 1] > 0.9999


def test_without_dates_or_kinds_there_are_no_curves(
    cli: Any, mapped: Path, fields: Fields, tmp_path: Path
) -> None:
    pair = hc.open_pair(fields.folder / "t1.tif", fields.folder / "t2.tif")
    areas, _ = areas_of(pair.grid)
    assert kind_curves(mapped / "kinds.tif", None, areas) == []
    hc.detect(pair, method="cva").write(tmp_path / "c.tif")
    assert kind_curves(tmp_path / "c.tif", pair, areas) == []
    assert cli("report", tmp_path / "c.tif", *fields.words[1:], "--output", tmp_path / "r.html") == 0
    assert 'id="kinds"' not in (tmp_path / "r.html").read_text()


def test_another_threshold_than_that_of_the_kinds_is_refused(fields: Fields) -> None:
    pair = hc.open_pair(fields.folder / "t1.tif", fields.folder / "t2.tif")
    found = hc.detect(pair, kinds=3)
    with pytest.raises(hc.errors.ConfigError, match="counted with the method's own: leave threshold= out"):
        hc.MapOptions(kinds=found.kinds, threshold=found.threshold + 1)
