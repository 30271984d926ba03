"""From fields to words, and from layers to files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import click
import pytest

from hsi_cd.cli.main import cli as group
from hsi_cd.qgis.algorithms import ALGORITHMS
from hsi_cd.qgis.command_words import shown, words_for
from hsi_cd.qgis.layer_sources import Bounds, Source, SourceError, raster_source, vector_source

ENTRIES = {entry.command: entry for entry in ALGORITHMS}
DATES = {"T1": Source("/a/b 1.tif"), "T2": Source("/a/2.tif")}


def parsed(words: list[str]) -> dict[str, Any]:
    """What the command line understands, without running anything."""
    command = group.get_command(click.Context(group), words[0])
    assert command is not None
    found, _, _ = command.make_parser(click.Context(command)).parse_args(args=words[1:])
    return dict(found)


def test_fields_become_what_the_command_line_understands() -> None:
    values = {
        "METHOD": "cva", "MASK": "cloud,shadow", "MASK_LAYER": Source("/a/lake.gpkg"), "REGISTER": True,
        "SEED": 7.0, "MIN_AREA": 900.0, "OPTIONS": "--align --drop 'water-vapour'", "OUTPUT": "/o/c.tif",
        "SCORE": "", "VECTOR": None, "T1_FOLDER": "", "T2_FOLDER": "",
    }  # fmt: skip
    found = parsed(words_for(ENTRIES["detect"], DATES | values))
    assert found["t1"] == ["/a/b 1.tif"] and found["t2"] == ["/a/2.tif"]
    assert found["mask"] == ["cloud,shadow", "/a/lake.gpkg"]
    assert (found["method"], found["seed"], found["min_area"]) == ("cva", "7", "900.0")
    assert (found["register"], found["align"], found["dropped"]) == (True, True, ["water-vapour"])
    assert (found["output"], found["overwrite"]) == ("/o/c.tif", True)
    assert not {"score", "vector"} & set(found)


def test_kinds_of_change_and_a_library_as_a_file_or_a_folder() -> None:
    values = {"KINDS": "auto", "LIBRARY": "/a/lib.csv", "KINDS_TABLE": "/o/kinds.csv", "OUTPUT": "/o/c.tif"}
    found = parsed(words_for(ENTRIES["detect"], DATES | values))
    assert (found["kinds"], found["library"], found["kinds_table"]) == ("auto", "/a/lib.csv", "/o/kinds.csv")
    found = parsed(words_for(ENTRIES["detect"], DATES | values | {"LIBRARY_FOLDER": "/a/usgs"}))
    assert found["library"] == "/a/usgs"
    empty = {"KINDS": "", "LIBRARY": "", "LIBRARY_FOLDER": "", "KINDS_TABLE": ""}
    assert not {"kinds", "library", "kinds_table"} & set(
        parsed(words_for(ENTRIES["detect"], DATES | values | empty))
    )


def test_arguments_come_last_and_are_no_options() -> None:
    words = words_for(ENTRIES["register"], {"T1": Source("-odd.tif"), "T2": Source("b.tif"), "OUTPUT": "c.tif"})
    assert words == ["register", "--output", "c.tif", "--overwrite", "--", "-odd.tif", "b.tif"]
    assert parsed(words)["t1"] == "-odd.tif"
    assert words_for(ENTRIES["suggest"], {"RUN": "/r", "NUMBER": 9, "KIND": "points", "OUTPUT": "n.gpkg"}) == [
        "suggest", "--number", "9", "--kind", "points", "--output", "n.gpkg", "--overwrite", "--", "/r",
    ]  # fmt: skip


def test_several_drawings_and_a_folder_in_place_of_a_date() -> None:
    drawn = [Source("/a/labels.gpkg", "mine"), Source("/a/next.gpkg")]
    values = {
        "T1": Source("/a/b.tif"),
        "T1_FOLDER": "/a/bands",
        "T2": Source("/a/2.zip"),
        "TRUTH": drawn,
        "RUN": "/r",
    }
    found = parsed(words_for(ENTRIES["train"], values))
    assert found["t1"] == ["/a/bands"] and found["truth"] == ["/a/labels.gpkg", "/a/next.gpkg"]
    assert found["layer"] == "mine" and "/r" in found.values() and "overwrite" not in found


@pytest.mark.parametrize("name", ["detect", "predict", "train", "info", "evaluate", "suggest"])
def test_an_area_of_interest_is_a_file_or_a_rectangle_with_its_crs(name: str) -> None:
    file = Source("/a/m.tif")
    needed = {
        "T1": file,
        "T2": file,
        "MAP": file,
        "TRUTH": [file],
        "CHECKPOINT": "/b.pt",
        "RUN": "/r",
        "OUTPUT": "/o",
    }
    found = parsed(words_for(ENTRIES[name], {**needed, "AOI": Source("/a/valley.gpkg")}))
    assert found["aoi"] == "/a/valley.gpkg" and "bounds" not in found
    bounds = Bounds((-1.66, 48.1, -1.64, 48.12), "EPSG:4326")
    found = parsed(words_for(ENTRIES[name], {**needed, "BOUNDS": bounds}))
    assert (found["bounds"], found["bounds_crs"]) == ("-1.66,48.1,-1.64,48.12", "EPSG:4326") and "aoi" not in found
    found = parsed(words_for(ENTRIES[name], {**needed, "BOUNDS": Bounds((0, 1, 2e6, 3))}))
    assert found["bounds"] == "0.0,1.0,2000000.0,3.0" and "bounds_crs" not in found


def test_a_sample_is_drawn_and_counted() -> None:
    values = {
        "MAP": Source("/m.tif"), "PER_STRATUM": 50, "TOTAL": 120, "STANDARD_ERROR": None, "SEED": 3,
        "T1": Source("/1.tif"), "T2": Source("/2.tif"), "HTML": "/p.html", "OUTPUT": "/s.gpkg",
    }  # fmt: skip
    found = parsed(words_for(ENTRIES["sample"], values))
    assert (found["per_stratum"], found["total"], found["seed"]) == ("50", "120", "3")
    assert (found["t1"], found["t2"], found["page"]) == (["/1.tif"], ["/2.tif"], "/p.html")
    assert "standard_error" not in found and found["map_file"] == "/m.tif"
    drawn = {"MAP": Source("/m.tif"), "SAMPLE": Source("/s.gpkg", "mine"), "FIELD": "", "OUTPUT": "/r.html"}
    words = ["area", "--sample", "/s.gpkg", "--layer", "mine", "--overwrite", "--", "/m.tif"]
    assert words_for(ENTRIES["area"], drawn) == words  # the report is written by QGIS of what was said


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"T1": None}, "Earlier date (t1): nothing is chosen; choose one"),
        ({"OPTIONS": "--axes 'bands"}, "cannot be read (No closing quotation): write it as on the command line"),
        ({"TRUTH": []}, "nothing is chosen"),
        (
            {"TRUTH": [Source("a.gpkg", "x"), Source("b.gpkg", "y")]},
            "layers x, y lie in files with several layers",
        ),
    ],
)
def test_what_cannot_be_said_is_one_line(values: dict[str, Any], told: str) -> None:
    with pytest.raises(SourceError) as caught:
        words_for(ENTRIES["train"], {**DATES, "TRUTH": [Source("l.gpkg")], "RUN": "/r", **values})
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_command_is_shown_as_it_is_typed() -> None:
    assert shown(["hsi-cd", "info", "/a/b c.tif"]) == "hsi-cd info '/a/b c.tif'"


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("/a/b.tif", "/a/b.tif"),
        ("C:/a/b.tif", "C:/a/b.tif"),
        ("/a/b.tif|option:NUM_THREADS=2", "/a/b.tif"),
        ('NETCDF:"/a/emit.nc":reflectance', "/a/emit.nc"),
        ("NETCDF:/a/emit.nc:reflectance", "/a/emit.nc"),
        ('HDF5:"/a/p.he5"://HDFEOS/SWATHS/cube', "/a/p.he5"),
        ("SENTINEL2_L2A:/a/S2A.SAFE/MTD_MSIL2A.xml:10m:EPSG_32632", "/a/S2A.SAFE/MTD_MSIL2A.xml"),
        ("/vsizip//a/b.zip/c.tif", "/vsizip//a/b.zip/c.tif"),
        ("/vsicurl/https://host/a.tif", "/vsicurl/https://host/a.tif"),
        ("https://host/a.tif", "https://host/a.tif"),
    ],
)
def test_a_raster_layer_stands_for_its_file(source: str, path: str) -> None:
    assert raster_source(source, "gdal", "t1") == Source(path)


def test_a_product_in_an_archive_stands_for_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "S2A.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("S2A.SAFE/MTD_MSIL2A.xml", "")
    for name in (f"/vsizip/{archive}", f"/vsizip{archive}"):
        layer = f"SENTINEL2_L2A:{name}/S2A.SAFE/MTD_MSIL2A.xml:10m:EPSG_32632"
        assert archive.samefile(raster_source(layer, "gdal", "t1").path)


def test_a_drawing_stands_for_its_file_and_layer() -> None:
    assert vector_source("/a/l.gpkg|layername=drawn", "ogr", "labels") == Source("/a/l.gpkg", "drawn")
    assert vector_source("/a/l.shp", "ogr", "labels") == Source("/a/l.shp")


@pytest.mark.parametrize(
    ("read", "source", "provider", "told"),
    [
        (raster_source, "url=https://tiles", "wms", "comes from wms, not from a file: save it as a GeoTIFF first"),
        (raster_source, "GTIFF_DIR:2:/a/b.tif", "gdal", "is a part of a file: choose the file itself"),
        (vector_source, "dbname=x", "postgres", "comes from postgres, not from a file: save it as a GeoPackage"),
        (vector_source, "/a.gpkg|layername=x|subset=a=1", "ogr", "is a part of a file: save what it shows"),
    ],
)
def test_what_is_no_file_is_refused(read: Any, source: str, provider: str, told: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(source, provider, "Earlier date")
    assert str(caught.value).startswith("Earlier date: ") and told in str(caught.value)
