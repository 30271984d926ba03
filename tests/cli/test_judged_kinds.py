"""Maps of kinds of change judged, compared, tabled, drawn and reported, by the commands that people type."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.crs import CRS
from sklearn import metrics

import hsi_cd as hc
from hsi_cd.io import map_writers
from hsi_cd.io.map_classes import classes_of
from hsi_cd.reporting.images import WRONG_KIND, error_image, kind_colours
from hsi_cd.runs.folder import read_overview, read_result
from hsi_cd.scene import Grid

Capture = pytest.CaptureFixture[str]
SHAPE = (36, 30)
GRID = Grid(*SHAPE, CRS.from_epsg(32651), Affine(30, 0, 203325, 0, -30, 3604935))
NAMES = {0: "unchanged", 1: "soil_to_crop", 2: "cut & <b>dry</b>", 3: "flooded"}
SCHEME = ("--changed", "1,2,3", "--unchanged", "7")


@dataclass(frozen=True)
class Judged:
    """A truth, whose 7 is unchanged, and maps of its kinds that err more and more."""

    folder: Path
    truth: NDArray[np.uint8]
    maps: dict[str, NDArray[np.uint8]]

    @property
    def words(self) -> list[object]:
        return ["--truth", self.folder / "truth.tif", *SCHEME]

    def map(self, name: str) -> Path:
        return self.folder / f"{name}.tif"


def write_map(path: Path, values: NDArray[np.uint8], names: dict[int, str] = NAMES) -> Path:
    with map_writers(path, grid=GRID, classes=classes_of(names), overwrite=True) as writers:
        writers.change.write(0, values)
    return path


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("judged")
    random = np.random.default_rng(5)
    truth = random.choice(4, p=[0.6, 0.2, 0.15, 0.05], size=(12, 10)).repeat(3, axis=0).repeat(3, axis=1)
    truth = truth.astype(np.uint8)
    profile = {"driver": "GTiff", "count": 1, "height": SHAPE[0], "width": SHAPE[1], "dtype": "uint8"}
    with rasterio.open(folder / "truth.tif", "w", **profile, **GRID.georeference()) as file:
        file.write(np.where(truth == 0, 7, truth).astype(np.uint8), 1)
    maps = {}
    for name, share in {"good": 0.05, "fair": 0.2, "poor": 0.5}.items():
        wrong = random.random(SHAPE) < share
        maps[name] = np.where(wrong, random.integers(0, 4, SHAPE), truth).astype(np.uint8)
        write_map(folder / f"{name}.tif", maps[name])
    return Judged(folder, truth, maps)


def result_of(cli: Any, capsys: Capture, *words: object) -> dict[str, Any]:
    assert cli("evaluate", *words, "--json", "-") == 0
    return json.loads(capsys.readouterr().out)


def test_kinds_are_judged_beside_the_two_classes(cli: Any, judged: Judged, capsys: Capture) -> None:
    found = result_of(cli, capsys, judged.map("fair"), *judged.words)
    truth, change = judged.truth.ravel(), judged.maps["fair"].ravel()
    assert found["kinds"]["confusion"]["table"] == metrics.confusion_matrix(truth, change).tolist()
    assert found["kinds"]["scores"]["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, change))
    assert found["kinds"]["scores"]["f1_macro"] == pytest.approx(metrics.f1_score(truth, change, average="macro"))
    assert found["scores"]["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth > 0, change > 0))
    # The truth has numbers alone: the names are the map's.
    assert found["kinds"]["names"] == list(NAMES.values())


def test_the_table_is_printed(cli: Any, judged: Judged, capsys: Capture) -> None:
    assert cli("evaluate", judged.map("fair"), *judged.words) == 0
    out, err = capsys.readouterr()
    assert err == "" and "kinds of change: 3 and the unchanged, 4 classes" in out
    recall = metrics.recall_score(judged.truth.ravel(), judged.maps["fair"].ravel(), average=None)
    row = next(line for line in out.splitlines() if line.startswith("  flooded"))
    assert f"{recall[3]:.4f}" in row.split()


def test_a_map_in_memory_is_judged_alike(judged: Judged) -> None:
    labels = hc.open_labels(judged.folder / "truth.tif", changed=(1, 2, 3), unchanged=7)
    of_file, of_array = (hc.evaluate(each, labels) for each in (judged.map("fair"), judged.maps["fair"]))
    assert of_file.kinds is not None and of_array.kinds is not None
    assert of_array.kinds.confusion == of_file.kinds.confusion and of_array.counts == of_file.counts


def test_a_truth_of_two_classes_says_so(
    cli: Any, judged: Judged, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    two = write_map(tmp_path / "two.tif", (judged.truth > 0).astype(np.uint8), {0: "unchanged", 1: "changed"})
    assert cli("evaluate", judged.map("fair"), "--truth", two) == 0
    out = capsys.readouterr().out
    assert "two.tif tells no kinds of change apart: the map is judged as changed or unchanged" in caplog.text
    assert "kinds of change" not in out
    kappa = metrics.cohen_kappa_score(judged.truth.ravel() > 0, judged.maps["fair"].ravel() > 0)
    assert f"{kappa:.4f}" in out


def test_a_map_of_two_classes_is_judged_as_ever(cli: Any, judged: Judged, tmp_path: Path, capsys: Capture) -> None:
    two = (judged.maps["fair"] > 0).astype(np.uint8)
    found = result_of(
        cli, capsys, write_map(tmp_path / "two.tif", two, {0: "unchanged", 1: "changed"}), *judged.words
    )
    assert "kinds" not in found
    assert found["details"]["kind 2/recall"] == pytest.approx(two[judged.truth == 2].mean())


def test_names_that_contradict_the_truth_are_refused(
    judged: Judged, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = hc.open_labels(judged.folder / "truth.tif", changed=(1, 2, 3), unchanged=7)
    named = hc.Labels(**{**vars(labels), "kind_names": tuple(list(NAMES.values())[1:])})
    swapped = write_map(tmp_path / "map.tif", judged.maps["good"], {**NAMES, 1: NAMES[3], 3: NAMES[1]})
    with pytest.raises(hc.errors.LabelError, match=r"calls kind 1 'flooded', which is kind 3 of .*truth\.tif"):
        hc.evaluate(swapped, named)
    # The remedy: the values of the truth in the order of the map's numbers.
    turned = hc.open_labels(judged.folder / "truth.tif", changed=(3, 2, 1), unchanged=7)
    turned = hc.Labels(**{**vars(turned), "kind_names": (NAMES[3], NAMES[2], NAMES[1])})
    assert hc.evaluate(swapped, turned).kinds is not None
    # The same numbers under another name are told, and judged.
    other = write_map(tmp_path / "other.tif", judged.maps["good"], {**NAMES, 3: "wet"})
    found = hc.evaluate(other, named)
    assert found.kinds is not None and found.kinds.names[3] == "flooded"
    assert "3 is 'wet' in the map and 'flooded' in the truth" in caplog.text


def test_numbers_that_nothing_names_are_no_kinds_of_a_truth_of_two(
    cli: Any, judged: Judged, tmp_path: Path, capsys: Capture
) -> None:
    np.save(tmp_path / "map.npy", judged.maps["fair"])
    two = write_map(tmp_path / "two.tif", (judged.truth > 0).astype(np.uint8), {0: "unchanged", 1: "changed"})
    assert cli("evaluate", tmp_path / "map.npy", "--truth", two) == 2
    told = capsys.readouterr().err
    assert "holds 0, 1, 2, 3 without class names" in told and told.endswith("no data with --nodata\n")
    assert cli("evaluate", tmp_path / "map.npy", "--truth", two, "--nodata", 2, "--nodata", 3) == 0
    assert "labelled pixels have no prediction" in capsys.readouterr().out
    found = result_of(cli, capsys, tmp_path / "map.npy", *judged.words)
    assert found["kinds"]["names"][1:] == ["kind 1", "kind 2", "kind 3"]


def test_a_map_that_holds_one_of_its_kinds_is_still_one_of_kinds(
    cli: Any, judged: Judged, tmp_path: Path, capsys: Capture
) -> None:
    first = write_map(tmp_path / "first.tif", (judged.maps["good"] == 1).astype(np.uint8))
    found = result_of(cli, capsys, first, *judged.words)
    assert found["kinds"]["classes"][3]["precision"] is None and found["kinds"]["classes"][3]["recall"] == 0


def test_labels_drawn_with_kinds_judge_pixel_by_pixel(judged: Judged) -> None:
    """Too few shapes to tell of the scene: their pixels judge, by kinds too."""
    shapes = np.zeros(SHAPE, np.int32)
    shapes[:12, :6], shapes[12:24, :6], shapes[24:, :] = 1, 2, 3
    labels = hc.open_labels(judged.folder / "truth.tif", changed=(1, 2, 3), unchanged=7)
    drawn = hc.Labels(**{**vars(labels), "shapes": shapes, "values": np.where(shapes > 0, labels.values, 255)})
    found = hc.evaluate(judged.map("fair"), drawn)
    there = shapes > 0
    assert found.kinds is not None
    expected = metrics.confusion_matrix(judged.truth[there], judged.maps["fair"][there])
    assert np.array_equal(found.kinds.confusion.table, expected)


@pytest.fixture(scope="module")
def runs(cli: Any, judged: Judged, simulated: Any) -> Path:
    """Run folders of the three maps, with pictures."""
    folder = judged.folder / "runs"
    words = ["--dataset", "fields", *judged.words]
    for name in judged.maps:
        run = folder / name
        assert cli("import-map", judged.map(name), "--name", f"{name} & 1_a", *words, "--run", run) == 0
        rng = np.random.default_rng(0)
        pictures = {date: rng.integers(0, 255, (*SHAPE, 3)).astype(np.uint8) for date in ("t1", "t2")}
        binary = (judged.truth > 0).astype(np.uint8)
        np.savez(run / "overview.npz", **pictures, truth=binary, shown=np.array("bands"), kinds=judged.truth)
    return folder


def test_a_map_of_other_code_keeps_its_kinds(judged: Judged, runs: Path) -> None:
    result, mapped = read_result(runs / "fair"), hc.io.read_class_map(runs / "fair" / "change.tif")
    assert np.array_equal(mapped.values, judged.maps["fair"]) and dict(mapped.names) == NAMES
    assert result.kinds is not None and result.details["all labelled/kinds/kappa"] == result.kinds.scores["kappa"]
    overview = read_overview(runs / "fair")
    assert overview is not None and overview.kinds is not None


def test_a_run_gives_its_truth_of_kinds_to_another_map(
    cli: Any, judged: Judged, runs: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    words = ["--name", "again", "--like", runs / "fair", "--run", again]
    assert cli("import-map", judged.map("fair"), *words) == 0
    ours, theirs = read_result(again).kinds, read_result(runs / "fair").kinds
    assert ours is not None and theirs is not None and ours.confusion == theirs.confusion


def test_tables_of_kinds_in_every_format(cli: Any, runs: Path, capsys: Capture) -> None:
    told = {}
    for kind in ("text", "markdown", "csv", "latex", "html", "json"):
        assert cli("table", runs, "--format", kind) == 0
        told[kind] = capsys.readouterr().out
    cells = [row for row in csv.DictReader(io.StringIO(told["csv"])) if row["table"] == "fields, kinds of change"]
    found = {(row["row"], row["group"]): row for row in cells}
    kinds = {name: read_result(runs / name).kinds for name in ("good", "fair", "poor")}
    for name, each in kinds.items():
        assert each is not None
        of = f"{name} & 1_a"
        for row, score in (("Kappa", "kappa"), ("Macro F1", "f1_macro"), ("F1, flooded", "f1/flooded")):
            assert float(found[row, of]["mean"]) == pytest.approx(each.score(score), abs=1e-12)
    assert found["Kappa", "good & 1_a"]["rank"] == "1" and found["Kappa", "fair & 1_a"]["rank"] == "2"
    assert found["F1, flooded", "pixels"]["mean"] == str(float(kinds["good"].confusion.truth[3]))
    latex, markdown = told["latex"], told["markdown"]
    assert r"Score & fair \& 1\_a & good \& 1\_a & poor \& 1\_a & pixels \\" in latex
    assert r"F1, cut \& \textless{}b\textgreater{}dry\textless{}/b\textgreater{}" in latex
    assert latex.count(r"\begin{tabular}") == 2 and latex.count(r"\toprule") == 2
    assert r"| F1, cut & \<b\>dry\</b\> |" in markdown and "<b>dry" not in told["html"]
    assert {"F1, flooded"} <= {row["row"] for row in json.loads(told["json"])}
    assert re.search(r"Macro F1 +0\.\d{4}' +0\.\d{4}\* ", told["text"])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_the_latex_compiles(cli: Any, runs: Path, tmp_path: Path) -> None:
    assert cli("table", runs, "--format", "latex", "--output", tmp_path / "t.tex") == 0
    words = ["pdflatex", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def test_intervals_over_pixels(cli: Any, runs: Path, capsys: Capture) -> None:
    assert cli("table", runs, "--format", "csv", "--interval", "pixels") == 0
    rows = {(r["row"], r["group"]): r for r in csv.DictReader(io.StringIO(capsys.readouterr().out)) if r["table"]}
    low, mean, high = (float(rows["F1, soil_to_crop", "fair & 1_a"][name]) for name in ("low", "mean", "high"))
    assert low < mean < high < low + 0.3


def test_the_report_shows_kinds(cli: Any, judged: Judged, runs: Path, tmp_path: Path) -> None:
    assert cli("report", runs, "--output", tmp_path / "report.html") == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Stuart and Maxwell" in page and "cut &amp; &lt;b&gt;dry&lt;/b&gt;" in page and "<b>dry" not in page
    colour = kind_colours([3])[3]
    assert f"rgb{colour}" in page and f"rgb{WRONG_KIND}" in page and "errors: wrong kind" in page
    wrong = sum(
        int(truth and change and truth != change)
        for truth, change in zip(judged.truth.ravel(), judged.maps["fair"].ravel(), strict=True)
    )
    image = error_image(judged.truth, judged.maps["fair"])
    assert (image == WRONG_KIND).all(axis=2).sum() == wrong > 0


def test_figures_show_kinds(cli: Any, runs: Path, tmp_path: Path) -> None:
    for name, words in {"one": [runs / "fair"], "all": [runs / "fair", runs / "poor"]}.items():
        assert cli("figure", *words, "--output", tmp_path / f"{name}.png") == 0
        shown = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")).reshape(-1, 3)
        for colour in (*kind_colours(NAMES).values(), WRONG_KIND):
            assert (shown == colour).all(axis=1).any(), (name, colour)


def test_the_page_of_a_map_shows_kinds(cli: Any, judged: Judged, tmp_path: Path) -> None:
    assert cli("report", judged.map("good"), "--output", tmp_path / "map.html") == 0
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    pixels = int((judged.maps["good"] == 3).sum())
    row = re.search(r"called flooded</th><td>([\d,]+)</td>", page)
    assert row is not None and row[1] == f"{pixels:,}"
    changed = 100 * (judged.maps["good"] > 0).mean()
    assert f"{changed:.2f} % of the" in page and "regions of changed pixels of one kind" in page


def test_runs_are_listed_with_scores_of_kinds(cli: Any, runs: Path, capsys: Capture) -> None:
    assert cli("runs", runs, "--json") == 0
    told = {Path(run["folder"]).name: run for run in json.loads(capsys.readouterr().out)}
    kinds = read_result(runs / "poor").kinds
    assert kinds is not None and told["poor"]["scores_of_kinds"]["kappa"] == kinds.scores["kappa"]


def test_benchmark_takes_kinds_as_an_option(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the setting of every run; nothing is run here."""
    seen: list[list[str]] = []

    def run(jobs: Any, slots: Any) -> list[str]:
        seen.extend(job.command() for job in jobs)
        return []

    monkeypatch.setattr("hsi_cd.cli.benchmark.run_with_bar", run)
    words = ["--datasets", "irrigated", "--methods", "svm", "--seeds", "0,1", "--runs", tmp_path / "runs"]
    assert cli("benchmark", *words, "--kinds") == 0
    assert len(seen) == 2 and all("kinds=true" in command for command in seen)


def test_a_benchmark_scene_judges_a_map_of_kinds_by_its_truth_of_kinds(
    cli: Any, tmp_path: Path, capsys: Capture, shared: Path
) -> None:
    root = shared / "scenes"
    labels = hc.open_dataset("irrigated", root, kinds=True)[1]
    truth, table = labels.kind_numbers(), labels.kind_table
    assert table is not None
    mapped = np.where(truth == 2, np.uint8(6), truth)
    names = [f"field {number}" for number in range(1, 1 + table.count)]
    options = {"grid": Grid(*truth.shape), "classes": classes_of({0: "unchanged", **dict(enumerate(names, 1))})}
    with map_writers(tmp_path / "kinds.tif", overwrite=True, **options) as writers:
        writers.change.write(0, mapped)
    assert cli("evaluate", tmp_path / "kinds.tif", "--dataset", "irrigated", "--data-root", root) == 0
    told = capsys.readouterr().out
    expected = metrics.cohen_kappa_score(truth.ravel(), mapped.ravel())
    assert re.search(rf"score of kinds.*Kappa +{expected:.4f}\b", told, re.DOTALL)
