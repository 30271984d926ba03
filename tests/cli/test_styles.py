"""Outputs that a GIS understands at once: classes with names, styles, probabilities, fewer, smoother regions."""

from __future__ import annotations

import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import scipy.ndimage
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rio_cogeo import cog_validate

from hsi_cd.datasets.simulated.simulation_files import PairFiles

Capture = pytest.CaptureFixture[str]

CLASSES = {
    "0": ("unchanged", "#e6e6e6", "255"),
    "1": ("changed", "#c81e1e", "255"),
    "255": ("no data", "#000000", "0"),
}


def band(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        values: NDArray[Any] = file.read(1)
    return values


def style(path: Path) -> ET.Element:
    return ET.fromstring(path.read_text(encoding="utf-8"))


def entries(path: Path) -> dict[str, tuple[str, str, str]]:
    found = style(path).iterfind("pipe/rasterrenderer/colorPalette/paletteEntry")
    return {
        each.attrib["value"]: (each.attrib["label"], each.attrib["color"], each.attrib["alpha"]) for each in found
    }


def ends(path: Path) -> tuple[float, float]:
    (renderer,) = style(path).iterfind("pipe/rasterrenderer")
    assert renderer.attrib["type"] == "singlebandpseudocolor"
    items = [float(each.attrib["value"]) for each in renderer.iterfind("rastershader/colorrampshader/item")]
    told = float(renderer.attrib["classificationMin"]), float(renderer.attrib["classificationMax"])
    assert items == list(told)
    return told


def symbols(root: ET.Element) -> dict[str, str]:
    """Colour of the layer's symbol, or of each class of its field."""
    (renderer,) = root.iterfind("renderer-v2")
    colours = {
        each.attrib["name"]: next(p.attrib["v"] for p in each.iterfind("layer/prop") if p.attrib["k"] == "color")
        for each in renderer.iterfind("symbols/symbol")
    }
    if renderer.attrib["type"] == "singleSymbol":
        return {"": colours["0"]}
    found = {c.attrib["value"]: colours[c.attrib["symbol"]] for c in renderer.iterfind("categories/category")}
    return {"field": renderer.attrib["attr"], **found}


def standard_symbols(path: Path) -> dict[str, str]:
    """Colour of a GeoPackage's layer, or of each class of its field, by its style in the standard's words."""
    with closing(sqlite3.connect(path)) as file:
        ((told,),) = file.execute("SELECT styleSLD FROM layer_styles WHERE useAsDefault = 1")
    spaces = {"se": "http://www.opengis.net/se", "ogc": "http://www.opengis.net/ogc"}
    found: dict[str, str] = {}
    for rule in ET.fromstring(told).iter("{http://www.opengis.net/se}Rule"):
        names = {each.text or "" for each in rule.iterfind(".//ogc:PropertyName", spaces)}
        found |= {"field": min(names)} if names else {}
        value = rule.findtext(".//ogc:Literal", "", spaces)
        (colour,) = rule.iterfind(".//se:Fill/se:SvgParameter[@name='fill']", spaces)
        assert (not value) == (not names)
        code = colour.text or ""
        found[value] = ",".join(str(int(code[i : i + 2], 16)) for i in (1, 3, 5))
    return found


def default_style(path: Path) -> tuple[str, ET.Element]:
    """The layer that a GeoPackage has a default style for, and that style."""
    with closing(sqlite3.connect(path)) as file:
        (row,) = file.execute(
            "SELECT f_table_name, f_geometry_column, styleQML FROM layer_styles WHERE useAsDefault = 1"
        )
        (shapes,) = file.execute("SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", row[:1])
        listed = file.execute("SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'").fetchall()
        assert file.execute("PRAGMA user_version").fetchone() == (10300,)  # of which no GDAL in use warns
    assert (row[1], listed) == (shapes[0], [("attributes",)])
    return row[0], ET.fromstring(row[2])


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Two dates of 200 x 220 pixels: two discs and 20 single pixels changed, a corner has no data."""
    folder = tmp_path_factory.mktemp("pair")
    draw = np.random.default_rng(0)
    t1 = draw.random((6, 200, 220)).astype(np.float32)
    t2 = t1 + draw.normal(0, 0.02, t1.shape).astype(np.float32)
    row, col = np.mgrid[:200, :220]
    round_ = ((row - 90) ** 2 + (col - 110) ** 2 < 1600) | ((row - 160) ** 2 + (col - 40) ** 2 < 300)
    t2[:, round_ | ((row % 50 == 7) & (col % 40 == 5))] += 2
    t2[:, :20, :30] = np.nan
    profile = {"driver": "GTiff", "height": 200, "width": 220, "count": 6, "dtype": "float32", "nodata": np.nan}
    place = {"crs": CRS.from_epsg(32631), "transform": Affine(30, 0, 5e5, 0, -30, 5e6)}
    for name, values in (("t1", t1), ("t2", t2)):
        with rasterio.open(folder / f"{name}.tif", "w", **profile, **place) as file:
            file.write(values)
    return ["--method", "cva", "--t1", folder / "t1.tif", "--t2", folder / "t2.tif"]


@pytest.mark.parametrize("cog", [False, True], ids=["tiled", "cog"])
@pytest.mark.quick("cog")
def test_a_map_says_what_it_is(cli: Any, discs: list[object], tmp_path: Path, cog: bool) -> None:
    maps = ["--output", tmp_path / "change.tif", "--score", tmp_path / "score.tif"]
    maps += ["--probability", tmp_path / "p.tif", "--vector", tmp_path / "change.gpkg"]
    assert cli("detect", *discs, *maps, *(["--cog"] if cog else [])) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "change.tif", "change.tif.aux.xml", "change.qml", "score.tif", "score.qml", "p.tif", "p.qml", "change.gpkg"
    }  # fmt: skip
    with rasterio.open(tmp_path / "change.tif") as file:
        assert file.descriptions == ("change: 0 unchanged, 1 changed, 255 no data",)
        colours = file.colormap(1)
    assert entries(tmp_path / "change.qml") == CLASSES
    for value, (_, colour, alpha) in CLASSES.items():
        assert ("#{:02x}{:02x}{:02x}".format(*colours[int(value)][:3]), str(colours[int(value)][3])) == (
            colour,
            alpha,
        )
    table = ET.parse(tmp_path / "change.tif.aux.xml").find("PAMRasterBand")
    assert table is not None
    names = [each.text for each in table.iterfind("CategoryNames/Category")]
    assert {str(i): name for i, name in enumerate(names) if name} == {v: told[0] for v, told in CLASSES.items()}
    rows = [[each.text for each in row] for row in table.iterfind("GDALRasterAttributeTable/Row")]
    assert [row[:2] for row in rows] == [[value, told[0]] for value, told in CLASSES.items()]

    score, probability = band(tmp_path / "score.tif"), band(tmp_path / "p.tif")
    known = np.isfinite(score)
    assert ends(tmp_path / "score.qml") == pytest.approx(np.percentile(score[known].astype(float), [2, 98]))
    assert ends(tmp_path / "p.qml") == (0, 1)
    np.testing.assert_array_equal(np.isfinite(probability), known)
    assert 0 <= probability[known].min() < 0.5 < probability[known].max() <= 1 < score[known].max()
    assert (np.diff(probability[known][np.argsort(score[known])]) >= 0).all()
    with rasterio.open(tmp_path / "p.tif") as file:
        assert file.descriptions == ("probability of change, 0 to 1",)
    with rasterio.open(tmp_path / "score.tif") as file:
        assert file.descriptions == ("length of the change vector (standard deviations)",)
    layer, look = default_style(tmp_path / "change.gpkg")
    assert (layer, symbols(look)) == ("change_regions", {"": "200,30,30,50"})
    assert standard_symbols(tmp_path / "change.gpkg") == {"": "200,30,30"}
    if cog:
        for name in ("change.tif", "score.tif", "p.tif"):
            assert cog_validate(tmp_path / name, strict=True, quiet=True) == (True, [], [])


def test_what_lies_beside_is_replaced_with_its_map_and_what_somebody_made_is_kept(
    cli: Any, discs: list[object], tmp_path: Path
) -> None:
    words = ["detect", *discs, "--output", tmp_path / "change.tif", "--score", tmp_path / "score.tif"]
    assert cli(*words) == 0
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for stale in ("change.tif.aux.xml", "change.tif.ovr", "score.tif.aux.xml", "score.tif.msk"):
        (tmp_path / stale).write_bytes(b"of the map that was here before")
    (tmp_path / "score.qml").write_text("<!DOCTYPE qgis><qgis version='3.34'/>")
    assert cli(*words) == 2  # the maps are there
    assert (tmp_path / "change.tif.ovr").exists()
    assert cli(*words, "--overwrite") == 0
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.pop("score.qml") == b"<!DOCTYPE qgis><qgis version='3.34'/>"
    del whole["score.qml"]
    assert after == whole


def test_what_fails_leaves_no_style(cli: Any, discs: list[object], tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "change.qml").mkdir()
    assert cli("detect", *discs, "--output", tmp_path / "change.tif") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["change.qml"]


def test_a_style_lies_beside_geojson_unless_a_map_has_its_name(
    cli: Any, discs: list[object], tmp_path: Path
) -> None:
    assert cli("detect", *discs, "--output", tmp_path / "a.tif", "--vector", tmp_path / "r.geojson") == 0
    assert symbols(style(tmp_path / "r.qml")) == {"": "200,30,30,50"}
    assert cli("detect", *discs, "--output", tmp_path / "b.tif", "--vector", tmp_path / "b.geojson") == 0
    assert entries(tmp_path / "b.qml") == CLASSES


def test_probabilities_of_shards_are_joined(
    cli: Any, discs: list[object], tmp_path: Path, capsys: Capture
) -> None:
    """From their own shards, or from scores by the checkpoint; parts have nothing beside them."""
    whole = ["--output", tmp_path / "c.tif", "--probability", tmp_path / "p.tif"]
    assert cli("detect", *discs, *whole, "--save", tmp_path / "cva.pt") == 0
    for i in (1, 2):
        parts = ["--output", tmp_path / f"c-{i}.tif", "--probability", tmp_path / f"p-{i}.tif"]
        parts += ["--score", tmp_path / f"s-{i}.tif", "--shard", f"{i}/2"]
        assert cli("predict", "--checkpoint", tmp_path / "cva.pt", *discs[2:], *parts) == 0
    assert sorted(path.name for path in tmp_path.glob("*-*")) == sorted(
        f"{name}-{i}.tif" for name in "cps" for i in (1, 2)
    )
    own, others = sorted(tmp_path.glob("[cp]-?.tif")), sorted(tmp_path.glob("[cs]-?.tif"))
    joined = ["--output", tmp_path / "joined.tif", "--probability", tmp_path / "joined-p.tif"]
    assert cli("mosaic", *own, *joined, "--vector", tmp_path / "r.gpkg") == 0
    np.testing.assert_array_equal(band(tmp_path / "joined-p.tif"), band(tmp_path / "p.tif"))
    assert len(pyogrio.raw.read(tmp_path / "r.gpkg", layer="change_regions")[2]) == 21
    capsys.readouterr()
    assert cli("mosaic", *others, *joined, "--overwrite") == 2
    assert "give its checkpoint as --checkpoint" in capsys.readouterr().err
    assert cli("mosaic", *others, *joined, "--overwrite", "--checkpoint", tmp_path / "cva.pt") == 0
    np.testing.assert_array_equal(band(tmp_path / "joined-p.tif"), band(tmp_path / "p.tif"))


def test_small_regions_vanish_and_are_counted(
    cli: Any, discs: list[object], tmp_path: Path, capsys: Capture
) -> None:
    words = ["detect", *discs, "--output", tmp_path / "c.tif", "--vector", tmp_path / "r.gpkg", "--overwrite"]
    assert cli(*words) == 0
    whole = band(tmp_path / "c.tif")
    numbers, count = scipy.ndimage.label(whole == 1)
    sizes = np.sort(np.bincount(numbers.ravel())[1:])
    assert f"\nregions: {count}\n" in capsys.readouterr().out
    assert cli(*words, "--sieve", 2) == 0
    left = int((sizes < 2).sum())
    assert left and f"\nregions: {count - left}, {left} smaller ones left out\n" in capsys.readouterr().out
    fields = pyogrio.raw.read(tmp_path / "r.gpkg", layer="change_regions", columns=["pixels"])[3]
    np.testing.assert_array_equal(np.sort(fields[0]), sizes[left:])
    np.testing.assert_array_equal(
        band(tmp_path / "c.tif"), whole
    )  # the map keeps what is left out of the polygons


def test_outlines_are_simplified_by_what_was_asked(cli: Any, discs: list[object], tmp_path: Path) -> None:
    """No slivers: each outline stays valid, none overlaps another, and none moves further than asked."""
    shapes = {}
    for side in (0, 60):
        words = ["--output", tmp_path / "c.tif", "--vector", tmp_path / "r.gpkg", "--sieve", 2, "--overwrite"]
        assert cli("detect", *discs, *words, *(["--simplify", side] if side else [])) == 0
        wkb, fields = pyogrio.raw.read(tmp_path / "r.gpkg", layer="change_regions", columns=["area"])[2:]
        shapes[side] = shapely.from_wkb(wkb)
        assert fields[0].sum() == pytest.approx(900 * (band(tmp_path / "c.tif") == 1).sum(), rel=0.01)
    exact, smooth = shapes[0], shapes[60]
    assert shapely.is_valid(smooth).all() and shapely.coverage_is_valid(smooth)
    assert 0 < shapely.get_num_coordinates(smooth).sum() < shapely.get_num_coordinates(exact).sum() / 2
    for before, after in zip(exact, smooth, strict=True):
        assert shapely.hausdorff_distance(before, after) < 60
        assert after.area == pytest.approx(before.area, rel=0.03)


def test_of_simplified_regions_that_meet_at_corners_none_overlaps(tmp_path: Path) -> None:
    from hsi_cd.io import RegionChoice, write_regions
    from hsi_cd.scene import Grid

    change = (np.random.default_rng(2).random((60, 60)) < 0.5).astype(np.uint8)
    degrees = Grid(60, 60, crs=CRS.from_epsg(4326), transform=Affine(3e-4, 0, 10, 0, -2e-4, 60))
    ones = np.ones(int(change.sum()), np.float32)
    found = write_regions(tmp_path / "r.gpkg", change, ones, grid=degrees, choice=RegionChoice(simplify=25))
    shapes = shapely.from_wkb(pyogrio.raw.read(tmp_path / "r.gpkg", layer="change_regions")[2])
    assert len(shapes) == found.count == scipy.ndimage.label(change)[1]
    assert (
        shapely.is_valid(shapes).all() and shapely.coverage_is_valid(shapes) and not shapely.is_empty(shapes).any()
    )


@pytest.mark.parametrize("option", [("--sieve", "3"), ("--simplify", "20"), ("--min-area", "20")])
def test_what_is_said_of_polygons_needs_their_file(
    cli: Any, discs: list[object], tmp_path: Path, capsys: Capture, option: tuple[str, str]
) -> None:
    assert cli("detect", *discs, "--output", tmp_path / "c.tif", *option) == 2
    assert f"{option[0]} is about polygons: give --vector FILE, too" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_drawn_shapes_and_samples_have_their_class_for_colour(
    cli: Any, discs: list[object], tmp_path: Path, simulated: PairFiles
) -> None:
    assert cli("detect", *discs, "--output", tmp_path / "c.tif") == 0
    assert cli("sample", tmp_path / "c.tif", "--per-stratum", 9, "--output", tmp_path / "s.gpkg") == 0
    colours = {"changed": "200,30,30,255", "unchanged": "230,230,230,255", "": "255,214,0,255"}
    layer, look = default_style(tmp_path / "s.gpkg")
    assert (layer, symbols(look)) == ("reference_sample", {"field": "reference", **colours})
    assert symbols(style(tmp_path / "s.qml")) == {"field": "reference", **colours}
    without = {value: colour.removesuffix(",255") for value, colour in colours.items()}
    assert standard_symbols(tmp_path / "s.gpkg") == {"field": "reference", **without}
    listed = [str(name) for name, _ in pyogrio.list_layers(tmp_path / "s.gpkg")]
    assert listed[0] == "reference_sample" and all(name.replace("_", "").isalnum() for name in listed)


def test_a_network_s_probability_is_its_score(
    cli: Any, trained: Any, tmp_path: Path, simulated: PairFiles
) -> None:
    maps = ["--output", tmp_path / "c.tif", "--score", tmp_path / "s.tif", "--probability", tmp_path / "p.tif"]
    words = ["--checkpoint", trained / "best.pt", "--t1", simulated.t1, "--t2", simulated.t2, "--device", "cpu"]
    assert cli("predict", *words, *maps) == 0
    np.testing.assert_array_equal(band(tmp_path / "s.tif"), band(tmp_path / "p.tif"))
    assert ends(tmp_path / "s.qml") == ends(tmp_path / "p.qml") == (0, 1)
