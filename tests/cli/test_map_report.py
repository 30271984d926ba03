"""hsi-cd report of one map of which nobody knows the truth."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.ndimage
from affine import Affine
from PIL import Image
from rasterio.crs import CRS

from hsi_cd.evaluation import BIASED

Capture = pytest.CaptureFixture[str]


class Page(HTMLParser):
    """What a page says, and its pictures by what they show."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.words: list[str] = []
        self.pictures: dict[str, np.ndarray] = {}
        self.loads: list[str] = []
        self._in: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self._in.append(tag)
        self.loads += [str(told[name]) for name in ("src", "href") if name in told and told[name][:1] != "#"]
        if tag == "img":
            data = base64.b64decode(str(told["src"]).removeprefix("data:image/png;base64,"))
            self.pictures[str(told["alt"])] = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def handle_data(self, data: str) -> None:
        if self._in[-1:] in (["style"], ["script"]):
            return
        if self._in[-1:] in (["td"], ["th"]) and data.strip():
            self.cells.append(data.strip())
        self.words.append(data.strip())

    def beside(self, title: str, number: int = 1) -> str:
        return self.cells[self.cells.index(title) + number]


@pytest.fixture(scope="module")
def made(cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dates of which the later lies 2 pixels further down, with their map, scores and probabilities."""
    folder = tmp_path_factory.mktemp("made") / "<b>a & b"
    folder.mkdir()
    draw = np.random.default_rng(1)
    ground = scipy.ndimage.gaussian_filter(draw.random((6, 170, 160)), (0, 2, 2)).astype(np.float32)
    ground = (ground - ground.min()) / np.ptp(ground)
    t1, t2 = ground[:, 5:165], ground[:, 3:163].copy()
    t2[:, 40:60, 50:80] = 0.9 - t2[:, 40:60, 50:80]
    t2[:, :10] = -1
    profile = {"driver": "GTiff", "height": 160, "width": 160, "count": 6, "dtype": "float32", "nodata": -1}
    place = {"crs": CRS.from_epsg(6933), "transform": Affine(20, 0, 5e5, 0, -20, 4e6)}
    for name, values, day in (("t1", t1, "2020-06-01"), ("t2", t2, "2021-06-05")):
        with rasterio.open(folder / f"{name}.tif", "w", **profile, **place) as file:
            file.write(values)
            file.update_tags(ACQUISITION_DATE=day)
    with rasterio.open(
        folder / "mask.tif", "w", **profile | {"count": 1, "dtype": "uint8", "nodata": None}, **place
    ) as f:
        f.write((np.arange(160 * 160).reshape(160, 160) % 160 < 8).astype(np.uint8), 1)
    maps = ["--output", folder / "c.tif", "--score", folder / "s.tif", "--probability", folder / "p.tif"]
    words = ["--t1", folder / "t1.tif", "--t2", folder / "t2.tif", "--mask", folder / "mask.tif", "--register"]
    assert cli("detect", "--method", "cva", *words, *maps) == 0
    return folder


def test_all_that_is_known_is_on_one_page(cli: Any, made: Path, tmp_path: Path) -> None:
    dates = ["--t1", made / "t1.tif", "--t2", made / "t2.tif", "--mask", made / "mask.tif"]
    scores = ["--score", made / "s.tif", "--probability", made / "p.tif"]
    assert cli("report", made / "c.tif", *dates, *scores, "--output", tmp_path / "r.html") == 0
    page = Page(tmp_path / "r.html")
    assert all(each.startswith("data:image/png") for each in page.loads)  # nothing comes from elsewhere
    with rasterio.open(made / "c.tif") as file:
        change, tags = file.read(1), file.tags()
    with rasterio.open(made / "p.tif") as file:
        probability = file.read(1)
    pixels = int((change == 1).sum())
    assert (page.beside("called changed"), page.beside("called changed", 3)) == (
        f"{pixels:,}",
        f"{pixels * 0.04:,.2f} ha",
    )
    assert page.beside("no data") == f"{(change == 255).sum():,}" != "0"
    text = " ".join(page.words)
    assert text.count(BIASED) == 2 and "hsi-cd sample" in text
    numbers, count = scipy.ndimage.label(change == 1)
    largest = np.argmax(np.bincount(numbers.ravel())[1:]) + 1
    at = page.cells.index("mean probability") + 2
    mean = probability[numbers == largest].mean()
    assert page.cells[at + 1 : at + 3] == [f"{(numbers == largest).sum():,}", f"{mean:.2f}"]
    assert (f"All {count} regions" if count > 1 else "The only region") in text

    shown = [name for name in page.pictures if name.startswith("Date")]
    assert [name[:6] for name in shown] == ["Date 1", "Date 2"] and "Probability of change" in page.pictures
    grey = (page.pictures["Map"] == 128).all(axis=2)
    np.testing.assert_array_equal(grey, change == 255)
    np.testing.assert_array_equal(page.pictures["Map"][change == 1], 255)
    assert {p.shape for p in page.pictures.values()} == {(160, 160, 3)} and len(page.pictures) == 5

    assert page.beside("method") == "cva" and page.beside("score") == tags["SCORE_NAME"]
    assert page.beside("left out (mask)") == tags["MASK"] and "mask.tif" in tags["MASK"]
    down = float(re.match(r"date 2 was laid on date 1: (-?[\d.]+) pixels down", page.beside("registered"))[1])  # type: ignore[index]
    assert down == pytest.approx(2, abs=0.1)
    assert page.beside("shift of date 2").startswith("2.0")
    assert page.beside("size") == "160 x 160 pixels of 20 x 20 m; EPSG:6933" or "x" in page.beside("size")
    assert "<b>a & b" in page.words or "<b>a & b" in text  # as text: no element comes of a name


def test_a_map_alone_has_a_page_too(cli: Any, made: Path, tmp_path: Path) -> None:
    assert cli("report", made / "c.tif", "--output", tmp_path / "r.html", "--title", "<i>Mine</i>") == 0
    page = Page(tmp_path / "r.html")
    assert list(page.pictures) == ["Map"] and "<i>Mine</i>" in page.words
    assert page.beside("dates").startswith("not given: name them (--t1 and --t2)")
    np.save(tmp_path / "plain.npy", np.eye(9, dtype=np.uint8))
    assert cli("report", tmp_path / "plain.npy", "--output", tmp_path / "p.html") == 0
    plain = Page(tmp_path / "p.html")
    assert plain.beside("called changed", 3) == "9 pixels" and "nothing tells where they lie" in plain.beside(
        "size"
    )


def test_ground_is_not_stretched_and_statistics_are_told(cli: Any, tmp_path: Path) -> None:
    """Pixels of .001 degrees at 60 degrees north, twice as high as wide; the map is of an area of the dates."""
    draw = np.random.default_rng(0)
    profile = {"driver": "GTiff", "height": 40, "width": 50, "count": 3, "dtype": "float32"}
    place = {"crs": CRS.from_epsg(4326), "transform": Affine(0.001, 0, 10, 0, -0.001, 60)}
    dates: list[object] = []
    for name in ("t1", "t2"):
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile, **place) as file:
            file.write(draw.random((3, 40, 50), dtype=np.float32))
        dates += [f"--{name}", tmp_path / f"{name}.tif"]
    area = ["--bounds", "10.01,59.97,10.03,59.99", "--output", tmp_path / "c.tif"]
    assert cli("detect", "--method", "cva", *dates, *area) == 0
    assert cli("report", tmp_path / "c.tif", *dates, "--output", tmp_path / "r.html") == 0
    page = Page(tmp_path / "r.html")
    sizes = re.findall(
        r'width="(\d+)" height="(\d+)" style="aspect-ratio:(\d+)/(\d+)"', (tmp_path / "r.html").read_text()
    )
    assert len(sizes) == len(page.pictures) == 3 and {p.shape for p in page.pictures.values()} == {(20, 20, 3)}
    assert {(int(w), int(h)) for w, h, *_ in sizes} == {(20, 40)} and all(each[:2] == each[2:] for each in sizes)
    assert page.beside("statistics") == "of these two dates"
    assert page.beside("area of interest") == "10.01,59.97,10.03,59.99"
    assert page.beside("statistics measured in the") == "scene"


def test_what_is_warned_of_is_on_the_page(cli: Any, made: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.tif"
    with rasterio.open(made / "c.tif") as file:
        profile, values = file.profile, file.read(1)
    with rasterio.open(quiet, "w", **profile | {"nodata": 0}) as file:
        file.write(np.where(values == 255, 255, 0).astype(np.uint8), 1)
    assert cli("report", quiet, "--output", tmp_path / "r.html", "--nodata", 255) == 0
    text = " ".join(Page(tmp_path / "r.html").words)
    assert "no pixel is called changed" in text and "declares 0 as no data" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{made}/c.tif", "--t1", "{made}/t1.tif"], "--t1 FILE and --t2 FILE"),
        (
            ["{made}/c.tif", "--score", "{made}/mask.tif", "--probability", "{made}/s.tif"],
            "holds no probabilities",
        ),
        (["{made}/t1.tif"], "t1.tif"),
        (["{made}/no.tif"], "no.tif"),
        (["{made}/no.tif", "--t1", "{made}/t1.tif", "--t2", "{made}/t2.tif"], "no.tif does not exist"),
        (["{made}", "--score", "{made}/s.tif"], "are of a map: name its file alone"),
    ],
)
def test_what_does_not_go_is_one_line(
    cli: Any, made: Path, tmp_path: Path, capsys: Capture, words: list[str], message: str
) -> None:
    given = [word.format(made=made) for word in words]
    assert cli("report", *given, "--output", tmp_path / "r.html") == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1, err
    assert cli("report", made / "c.tif", "--output", made / "c.tif", "--overwrite") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_map_of_an_area_is_shown_with_its_part_of_the_dates(cli: Any, made: Path, tmp_path: Path) -> None:
    dates = ["--t1", made / "t1.tif", "--t2", made / "t2.tif"]
    box = ["--bounds", "500800,3998600,502400,3999600"]  # columns 40 to 119, rows 20 to 69
    assert cli("detect", "--method", "cva", *dates, *box, "--output", tmp_path / "c.tif") == 0
    corner = Affine(20, 0, 5e5 + 40 * 20, 0, -20, 4e6 - 20 * 20)
    for name in ("t1", "t2"):
        with rasterio.open(made / f"{name}.tif") as file:
            profile = file.profile | {"height": 50, "width": 80, "transform": corner}
            with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as part:
                part.write(file.read()[:, 20:70, 40:120])
    cut = ["--t1", tmp_path / "t1.tif", "--t2", tmp_path / "t2.tif"]
    pages = []
    for words in (dates, cut):
        out = tmp_path / f"r{len(pages)}.html"
        assert cli("report", tmp_path / "c.tif", *words, "--output", out) == 0
        pages.append(Page(out).pictures)
    assert pages[0].keys() == pages[1].keys() and len(pages[0]) >= 3
    for title, picture in pages[0].items():
        np.testing.assert_array_equal(picture, pages[1][title], err_msg=title)
    sample = ["sample", tmp_path / "c.tif", "--per-stratum", "3", *dates, "--html", tmp_path / "p.html"]
    assert cli(*sample, "--output", tmp_path / "s.gpkg") == 0
    assert (tmp_path / "p.html").read_text().count("data:image/png") == 12


def test_scores_of_another_scene_are_refused(cli: Any, made: Path, tmp_path: Path, capsys: Capture) -> None:
    np.save(tmp_path / "s.npy", np.zeros((4, 4), np.float32))
    assert cli("report", made / "c.tif", "--score", tmp_path / "s.npy", "--output", tmp_path / "r.html") == 2
    assert "s.npy is of 4 x 4 pixels but the map of 160 x 160" in capsys.readouterr().err
