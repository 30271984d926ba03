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
from hsi_cd.qgis.layer_sources import Source, SourceError, raster_source, vector_source

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
