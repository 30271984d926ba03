"""Files of polygons as users and programs leave them: the right pixels, or one line that says what to do."""

from __future__ import annotations

import json
import sqlite3
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine

import hsi_cd as hc

Capture = pytest.CaptureFixture[str]
UTM = "EPSG:32633"
PLACE = Affine(30, 0, 400_000, 0, -30, 5_800_000)
BOX = shapely.box(400_100, 5_799_100, 400_500, 5_799_700)
OTHER = shapely.box(400_600, 5_799_100, 400_800, 5_799_300)
with np.errstate(invalid="ignore"):
    BROKEN = shapely.Polygon([(400_100, 5_799_100), (400_500, np.nan), (400_500, 5_799_700)])
    ENDLESS = shapely.Polygon([(0, 0), (np.inf, 0), (0, 1)])
ALL = shapely.box(390_000, 5_790_000, 410_000, 5_810_000)


def degrees(shape: shapely.Geometry) -> shapely.Geometry:
    to = pyproj.Transformer.from_crs(UTM, 4326, always_xy=True)
    return shapely.transform(shape, lambda xy: np.stack(to.transform(*xy.T), axis=1))


def write(path: Path, *shapes: Any, crs: str | None = UTM, kind: str = "Unknown", **more: Any) -> Path:
    wkb = np.array([None, *(shape if shape is None else shapely.to_wkb(shape) for shape in shapes)], dtype=object)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        pyogrio.raw.write(path, wkb[1:], [], [], geometry_type=kind, crs=crs, **more)
    return path


def geojson(path: Path, geometry: Any, **members: Any) -> Path:
    shape = shapely.geometry.mapping(geometry) if isinstance(geometry, shapely.Geometry) else geometry
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": [feature]}))
    return path


def crs_member(name: str) -> dict[str, Any]:
    return {"crs": {"type": "name", "properties": {"name": name}}}


def two_layers(path: Path) -> Path:
    write(path, BOX, layer="a")
    return write(path, OTHER, layer="b", append=True)


def kml(path: Path) -> Path:
    ring = " ".join(f"{x},{y},0" for x, y in degrees(BOX).exterior.coords)
    outer = f"<outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs>"
    polygon = f"<Document><Placemark><Polygon>{outer}</Polygon></Placemark></Document>"
    path.write_text(f'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2">{polygon}</kml>')
    return path


def half(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def without_prj(path: Path) -> Path:
    write(path, BOX, kind="Polygon")
    path.with_suffix(".prj").unlink()
    return path


def zipped(path: Path) -> Path:
    write(path.with_name("p.shp"), BOX, kind="Polygon")
    with zipfile.ZipFile(path, "w") as archive:
        for ending in ("shp", "shx", "dbf", "prj"):
            archive.write(path.with_name(f"p.{ending}"), f"p.{ending}")
    return path


def text(path: Path, words: str) -> Path:
    path.write_text(words)
    return path


def no_layer(path: Path) -> Path:
    with sqlite3.connect(path) as base:
        base.execute("create table x (a)")
    return path


def folder(path: Path) -> Path:
    (path / "a.gpkg").mkdir()
    return path / "a.gpkg"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dates of 40 x 30 pixels of 30 m."""
    folder = tmp_path_factory.mktemp("scene")
    dates(folder, UTM, PLACE)
    return folder


def dates(folder: Path, crs: str, place: Affine, rows: int = 40, cols: int = 30) -> None:
    for name in ("t1", "t2"):
        size = {"height": rows, "width": cols, "count": 1, "dtype": "uint8"}
        with rasterio.open(folder / f"{name}.tif", "w", driver="GTiff", crs=crs, transform=place, **size) as file:
            file.write(np.full((1, rows, cols), 1 if name == "t1" else 2, dtype=np.uint8))


def covered(folder: Path, area: Any) -> np.ndarray:
    found = hc.open_pair(folder / "t1.tif", folder / "t2.tif", aoi=area).area
    assert found is not None
    return found.of_scene()


def centres(place: Affine, rows: int = 40, cols: int = 30) -> tuple[np.ndarray, np.ndarray]:
    row, col = np.mgrid[:rows, :cols] + 0.5
    return place @ (col, row)


RIGHT: dict[str, tuple[Callable[[Path], Path], shapely.Geometry]] = {
    "two layers": (lambda p: two_layers(p / "a.gpkg"), shapely.union_all([BOX, OTHER])),
    "other CRS": (lambda p: write(p / "a.gpkg", degrees(BOX), crs="EPSG:4326"), BOX),
    "FlatGeobuf": (lambda p: write(p / "a.fgb", degrees(BOX), crs="EPSG:4326", kind="Polygon"), BOX),
    "GeoJSON with a CRS": (
        lambda p: geojson(p / "a.geojson", BOX, **crs_member("urn:ogc:def:crs:EPSG::32633")), BOX
    ),
    "KML": (lambda p: kml(p / "a.kml"), BOX),
    "collection": (
        lambda p: write(p / "a.gpkg", shapely.GeometryCollection([BOX, shapely.Point(400_700, 5_799_900)])), BOX
    ),
    "hole": (
        lambda p: write(p / "a.gpkg", BOX - shapely.box(400_200, 5_799_200, 400_400, 5_799_600)),
        BOX - shapely.box(400_200, 5_799_200, 400_400, 5_799_600),
    ),
    "parts": (
        lambda p: write(p / "a.gpkg", shapely.MultiPolygon([BOX, OTHER]), kind="MultiPolygon"),
        shapely.union_all([BOX, OTHER]),
    ),
    "3D": (lambda p: write(p / "a.gpkg", shapely.force_3d(BOX, 50.0), kind="Polygon Z"), BOX),
    "crossing itself": (
        lambda p: write(p / "a.gpkg", shapely.Polygon([(400_100, 5_799_100), (400_500, 5_799_700),
                                                       (400_500, 5_799_100), (400_100, 5_799_700)])),
        shapely.union_all([shapely.Polygon([(x, 5_799_100), (x, 5_799_700), (400_300, 5_799_400)])
                           for x in (400_100, 400_500)]),
    ),
    "one without a shape": (lambda p: write(p / "a.gpkg", None, BOX), BOX),
    "one without numbers": (lambda p: write(p / "a.gpkg", BROKEN, BOX), BOX),
    "the world": (lambda p: write(p / "a.gpkg", shapely.box(-180, -90, 180, 90), crs="EPSG:4326"), ALL),
    "a plane": (lambda p: write(p / "a.gpkg", shapely.box(-1e12, -1e12, 1e12, 1e12)), ALL),
    "beyond all numbers": (lambda p: write(p / "a.gpkg", shapely.box(-1e300, -1e300, 1e300, 1e300)), ALL),
    "a continent with the scene cut out": (
        lambda p: write(p / "a.gpkg", shapely.box(-10, 35, 30, 60) - degrees(BOX), crs="EPSG:4326"), ALL - BOX
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_the_right_pixels(scene: Path, tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture) -> None:
    make, expected = RIGHT[case]
    found = covered(scene, make(tmp_path))
    np.testing.assert_array_equal(found, shapely.contains_xy(expected, *centres(PLACE)))
    left_out = {
        "collection": "1 of 2 shapes are no polygons",
        "one without": "1 of 2 shapes are empty, damaged or",
    }
    for beginning, said in {**left_out, "crossing": "1 of 1 shapes cross themselves", "the world": "100%"}.items():
        assert not case.startswith(beginning) or said in caplog.text.replace(" %", "%")


@pytest.mark.parametrize("scene_crs", [4326, 32601])
@pytest.mark.parametrize(
    "shape", [shapely.box(179.2, 0.5, 180.8, 1.5), shapely.box(-180.8, 0.5, -179.2, 1.5),
              shapely.MultiPolygon([shapely.box(179.2, 0.5, 180, 1.5), shapely.box(-180, 0.5, -179.2, 1.5)])],
)  # fmt: skip
def test_across_the_date_line(tmp_path: Path, scene_crs: int, shape: shapely.Geometry) -> None:
    place = Affine(0.1, 0, 179, 0, -0.1, 2) if scene_crs == 4326 else Affine(7000, 0, 100_000, 0, -7000, 200_000)
    dates(tmp_path, f"EPSG:{scene_crs}", place, 20, 20)
    x, y = centres(place, 20, 20)
    lon, lat = (
        (x, y) if scene_crs == 4326 else pyproj.Transformer.from_crs(32601, 4326, always_xy=True).transform(x, y)
    )
    expected = (lon % 360 > 179.2) & (lon % 360 < 180.8) & (lat > 0.5) & (lat < 1.5)
    assert expected.any(axis=0).sum() > 5
    found = covered(tmp_path, write(tmp_path / "a.gpkg", shape, crs="EPSG:4326"))
    np.testing.assert_array_equal(found, expected)


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no layer": (lambda p: no_layer(p / "a.gpkg"), "(GeoPackage) cannot be read"),
    "empty": (lambda p: write(p / "a.gpkg"), "is empty: it holds no shape; draw polygons around it"),
    "empty FlatGeobuf": (lambda p: write(p / "a.fgb", kind="Polygon"), "is empty: it holds no shape"),
    "no CRS": (lambda p: write(p / "a.gpkg", BOX, crs=None), "tells no CRS (it is undefined)"),
    "no .prj": (lambda p: without_prj(p / "a.shp"), "tells no CRS (no a.prj lies beside it)"),
    "exchanged": (
        lambda p: write(p / "a.gpkg", shapely.transform(degrees(BOX), lambda xy: xy[:, ::-1]), crs="EPSG:4326"),
        "it lies in it with x and y exchanged: write longitude before latitude",
    ),
    "metres said to be degrees": (
        lambda p: geojson(p / "a.geojson", BOX),
        "lies outside of the scene: its coordinates are no degrees of EPSG:4326: assign the CRS",
    ),
    "a CRS that is none": (
        lambda p: geojson(p / "a.geojson", BOX, **crs_member("urn:nonsense")), "are no degrees of EPSG:4326"
    ),
    "degrees said to be metres": (
        lambda p: write(p / "a.gpkg", degrees(BOX)), "its coordinates look like degrees, but it says EPSG:32633"
    ),
    "not a number": (lambda p: write(p / "a.gpkg", BROKEN), "it holds 1 shape and no polygon with an area"),
    "infinite": (
        lambda p: write(p / "a.gpkg", ENDLESS), "no polygon with an area"
    ),
    "no area": (lambda p: write(p / "a.gpkg", shapely.Polygon([(0, 0)] * 4)), "no polygon with an area"),
    "points": (lambda p: write(p / "a.gpkg", *[shapely.Point(400_100, 5_799_900)] * 3), "3 shapes and no"),
    "a line": (
        lambda p: write(p / "a.gpkg", shapely.LineString([(400_000, 5_799_900), (400_800, 5_799_000)])), "1 shape"
    ),
    "nothing": (lambda p: geojson(p / "a.geojson", None), "no polygon with an area"),
    "words for numbers": (
        lambda p: geojson(p / "a.geojson", {"type": "Polygon", "coordinates": [[["a", "b"]] * 4]}), "no polygon"
    ),
    "elsewhere": (
        lambda p: write(p / "a.gpkg", shapely.box(500_000, 5_700_000, 500_100, 5_700_100)), "lie 140.5 km apart"
    ),
    "beside": (
        lambda p: write(p / "a.gpkg", shapely.box(399_000, 5_799_000, 400_000, 5_800_000)),
        "lies outside of the scene",
    ),
    "a sliver of a pixel": (
        lambda p: write(p / "a.gpkg", shapely.box(399_000, 5_799_000, 400_014, 5_800_000)),
        "covers no pixel of the scene: a pixel belongs to it where it covers the middle",
    ),
    "another body": (
        lambda p: write(p / "a.gpkg", BOX, crs='GEOGCS["Moon",DATUM["M",SPHEROID["M",1737400,0]],'
                        'PRIMEM["R",0],UNIT["degree",0.0174532925199433]]'),
        "there is no way between their bodies or datums",
    ),
    "zipped": (lambda p: zipped(p / "a.zip"), "is a zip archive: unpack it"),
    "half a GeoPackage": (lambda p: half(write(p / "a.gpkg", BOX)), "it is damaged; copy or export it again"),
    "half a FlatGeobuf": (lambda p: half(write(p / "a.fgb", BOX, kind="Polygon")), "it is damaged"),
    "half a GeoJSON": (lambda p: half(geojson(p / "a.geojson", degrees(BOX))), "it is damaged"),
    "a deep GeoJSON": (
        lambda p: text(p / "a.geojson", '{"features":' + "[" * 5000 + "]" * 5000 + "}"), "it is damaged"
    ),
    "no bytes": (lambda p: text(p / "a.gpkg", ""), "is no file of polygons"),
    "a folder": (folder, "is a folder, not a file"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_that_says_what_to_do(cli: Any, scene: Path, tmp_path: Path, case: str, capsys: Capture) -> None:
    make, said = REFUSED[case]
    capsys.readouterr()
    words = ["detect", "--t1", scene / "t1.tif", "--t2", scene / "t2.tif", "--output", tmp_path / "change.tif"]
    assert cli(*words, "--aoi", make(tmp_path)) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "change.tif").exists(), err


def test_bounds_of_the_world(scene: Path) -> None:
    for bounds in ((-180.0, -90.0, 180.0, 90.0), (0.0, 0.0, 90.0, 80.0)):
        pair = hc.open_pair(scene / "t1.tif", scene / "t2.tif", bounds=bounds, bounds_crs="EPSG:4326")
        assert pair.area is not None and pair.area.covered.all() and pair.area.shape == (40, 30)
