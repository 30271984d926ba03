"""Labels drawn as points, lines and polygons, on the pixels of a scene."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio.warp
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

import hsi_cd as hc
from hsi_cd.errors import FormatError, GridError, HsiCdError, LabelError
from hsi_cd.io.shape_files import write_labels
from hsi_cd.scene import Grid, Labels

PLACE = Affine(10, 0, 600_000, 0, -10, 5_300_000)
UTM = "EPSG:32631"
GRID = Grid(12, 16, crs=CRS.from_string(UTM), transform=PLACE)
Warned = pytest.LogCaptureFixture


def box(left: float, top: float, right: float, bottom: float) -> Any:
    """A rectangle between columns and rows, on the ground."""
    return moved(shapely.box(left, top, right, bottom))


def moved(geometry: Any) -> Any:
    """A shape in pixels, on the ground."""
    return shapely.transform(geometry, lambda xy: np.stack(PLACE @ xy.T, axis=1))


def collection(*shapes: tuple[Any, Any], crs: str | None = UTM, field: str = "class") -> dict[str, Any]:
    """Shapes with their class, as GeoJSON is written."""
    features = [
        {"type": "Feature", "geometry": shape and shapely.geometry.mapping(shape), "properties": {field: said}}
        for shape, said in shapes
    ]
    member = {} if crs is None else {"crs": {"type": "name", "properties": {"name": crs}}}
    return {"type": "FeatureCollection", "features": features, **member}


def write(path: Path, shapes: list[Any], fields: dict[str, Any], *, crs: str | None = UTM, **said: Any) -> Path:
    """A file of shapes; its format by its ending."""
    drivers = {"gpkg": "GPKG", "geojson": "GeoJSON", "shp": "ESRI Shapefile", "fgb": "FlatGeobuf", "kml": "LIBKML"}
    if crs not in (None, UTM):
        shapes = [shapely.geometry.shape(rasterio.warp.transform_geom(UTM, crs, s)) for s in shapes]
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array([None, *shapes], dtype=object)[1:]),
        [np.array(v, dtype=object if not v or type(v[0]) in (str, type(None)) else None) for v in fields.values()],
        list(fields),
        **{"driver": drivers[path.suffix[1:]], "geometry_type": "Unknown", "crs": crs} | said,
    )
    return path


PATCH, CLEAR = box(2, 3, 6, 8), box(8, 1, 15, 5)
BOTH = np.full(GRID.shape, 255, np.uint8)
BOTH[3:8, 2:6], BOTH[1:5, 8:15] = 1, 0


# --- files, coordinates ---


@pytest.mark.parametrize(
    ("name", "crs"),
    [("a.gpkg", UTM), ("a.gpkg", "EPSG:3857"), ("a.geojson", "EPSG:4326"), ("a.shp", "EPSG:32632"),
     ("a.fgb", "EPSG:4326"), ("a.kml", "EPSG:4326")],
)  # fmt: skip
def test_every_format_and_crs_comes_onto_the_pixels(tmp_path: Path, name: str, crs: str) -> None:
    kind = {"geometry_type": "Polygon"} if name.endswith(("shp", "fgb")) else {}
    path = write(tmp_path / name, [PATCH, CLEAR], {"class": ["changed", "unchanged"]}, crs=crs, **kind)
    labels = hc.open_labels(path, like=GRID)
    np.testing.assert_array_equal(labels.values, BOTH)
    assert labels.shapes is not None and labels.shapes.dtype == np.int32
    # A file may keep its shapes in another order, as FlatGeobuf does.
    numbers = [set(np.unique(labels.shapes[code == BOTH]).tolist()) for code in (1, 0, 255)]
    assert sorted(map(tuple, numbers)) == [(0,), (1,), (2,)] and numbers[2] == {0}


def test_what_lies_in_memory_is_read_alike(tmp_path: Path) -> None:
    class Frame:  # as GeoPandas'
        crs = CRS.from_string(UTM)
        __geo_interface__ = collection((PATCH, "changed"), (CLEAR, "unchanged"), crs=None)

    degrees = [rasterio.warp.transform_geom(UTM, "EPSG:4326", shape) for shape in (PATCH, CLEAR)]
    in_degrees = collection(
        *((shapely.geometry.shape(s), c) for s, c in zip(degrees, ("yes", "no"), strict=True)), crs=None
    )
    for source in (Frame(), Frame.__geo_interface__ | {"crs": UTM}, in_degrees, [in_degrees]):
        np.testing.assert_array_equal(hc.open_labels(source, like=GRID).values, BOTH)
    Frame.crs = None
    with pytest.raises(GridError, match="tells no CRS"):
        hc.open_labels(Frame(), like=GRID)
    with pytest.raises(FormatError, match="no shapes that are understood"):
        hc.open_labels({"type": "Topology"}, like=GRID)


def test_a_name_of_a_file_is_no_pattern(tmp_path: Path) -> None:
    path = write(tmp_path / "{0.gpkg", [box(90, 90, 95, 95)], {"class": ["changed"]}, layer="a")
    with pytest.raises(LabelError, match=r"{0.gpkg: none of its 1 shapes lies in the scene"):
        hc.open_labels(path, like=GRID)


def test_layers_and_folders(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [PATCH, CLEAR], {"class": ["changed", "unchanged"]}, layer="mine")
    write(path, [CLEAR, PATCH], {"class": ["changed", "unchanged"]}, layer="yours", append=True)
    with pytest.raises(LabelError, match=r"2 layers of shapes .'mine', 'yours'.: name one by layer="):
        hc.open_labels(path, like=GRID)
    np.testing.assert_array_equal(hc.open_labels(path, like=GRID, layer="mine").values, BOTH)
    assert hc.open_labels(path, like=GRID, layer="YOURS").counts() == (20, 28, 144)
    with pytest.raises(LabelError, match="no layer 'other': its layers are 'mine', 'yours'"):
        hc.open_labels(path, like=GRID, layer="other")
    # As Google Earth keeps what was drawn in folders; each shape has a name of no meaning.
    path = write(tmp_path / "a.kml", [PATCH], {"Name": ["Untitled"]}, crs="EPSG:4326", layer="Changed")
    write(path, [CLEAR], {"Name": ["Polygon 7"]}, crs="EPSG:4326", layer="no change", append=True)
    np.testing.assert_array_equal(hc.open_labels(path, like=GRID).values, BOTH)


def test_several_files_count_together(tmp_path: Path, caplog: Warned) -> None:
    first = write(tmp_path / "changed.shp", [PATCH], {"note": [None]}, geometry_type="Polygon")
    second = write(tmp_path / "b.gpkg", [CLEAR, box(0, 9, 3, 12)], {"class": ["unchanged", None]})
    labels = hc.open_labels([first, second], like=GRID)
    np.testing.assert_array_equal(labels.values, BOTH)
    assert labels.name == "changed.shp + b.gpkg" and "1 of 3 features have no class yet" in caplog.text
    empty = write(tmp_path / "next.gpkg", [CLEAR], {"class": [None], "probability": [1.0], "number": [1]})
    assert hc.open_labels([first, second, empty], like=GRID).counts() == labels.counts()
    with pytest.raises(LabelError, match=r"next.gpkg: none of its 1 features has a class"):
        hc.open_labels(empty, like=GRID)


def test_a_layer_and_a_field_are_of_the_files_that_have_them(tmp_path: Path) -> None:
    """As where labels of one's own lie beside a suggestion, whose layer and field have other names."""
    mine = write(tmp_path / "mine.gpkg", [PATCH], {"a": [1], "b": [0]}, layer="drawn")
    write(mine, [CLEAR], {"a": [1], "b": [1]}, layer="old", append=True)
    beside = write(tmp_path / "next.gpkg", [CLEAR], {"class": ["unchanged"]}, layer="labels")
    both = [mine, beside]
    with pytest.raises(LabelError, match=r"mine.gpkg has 2 layers of shapes .'drawn', 'old'.: name one by layer="):
        hc.open_labels(both, like=GRID)
    for layer, field in (("drawn", "a"), ("DRAWN", "A")):
        np.testing.assert_array_equal(hc.open_labels(both, like=GRID, layer=layer, field=field).values, BOTH)
    with pytest.raises(LabelError, match=r"mine.gpkg has no layer 'other': its layers are 'drawn', 'old'"):
        hc.open_labels(both, like=GRID, layer="other")
    with pytest.raises(LabelError, match=r"mine.gpkg, layer 'drawn' has no field 'c': its fields are 'a', 'b'"):
        hc.open_labels(both, like=GRID, layer="drawn", field="c")


# --- pixels ---


def covers(ring: list[tuple[float, float]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd rule: whether a ray to the right of a point crosses an outline an odd number of times."""
    inside = np.zeros(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def stars() -> st.SearchStrategy[list[tuple[float, float]]]:
    """Outlines around a point, in pixels, that may reach beyond the scene."""
    radii = st.lists(st.floats(0.2, 8), min_size=3, max_size=9)
    middle = st.tuples(st.floats(-1, 17), st.floats(-1, 13))
    return st.builds(
        lambda at, radii: [
            (
                at[0] + r * np.cos(2 * np.pi * (i + 0.137) / len(radii)),
                at[1] + r * np.sin(2 * np.pi * (i + 0.137) / len(radii)),
            )
            for i, r in enumerate(radii)
        ],
        middle,
        radii,
    )


@given(st.lists(st.tuples(stars(), st.booleans()), min_size=1, max_size=5))
def test_a_pixel_belongs_to_what_covers_its_centre(drawn: list[tuple[list[tuple[float, float]], bool]]) -> None:
    row, col = np.mgrid[0:12, 0:16]
    # Beside one of each class that never fails, in corners of their own.
    sure = [([(0, 0), (1, 0), (1, 1), (0, 1)], True), ([(15, 11), (16, 11), (16, 12), (15, 12)], False)]
    everything = sure + drawn
    covered = np.array([covers(ring, col + 0.5, row + 0.5) for ring, _ in everything])
    whole = np.array(
        [
            covers(ring, *np.meshgrid(np.arange(-12, 30) + 0.5, np.arange(-12, 26) + 0.5)).any()
            for ring, _ in everything
        ]
    )
    near = np.zeros(GRID.shape, dtype=bool)  # which small shapes may get
    for (ring, _), large in zip(everything, whole, strict=True):
        if not large:
            near |= shapely.intersects(shapely.Polygon(ring), shapely.box(col, row, col + 1, row + 1))
    code = np.array([changed for _, changed in everything])
    claimed = np.stack([covered[~code].any(axis=0), covered[code].any(axis=0)])
    shapes = [
        (moved(shapely.Polygon(ring)), "changed" if changed else "unchanged") for ring, changed in everything
    ]
    expected = np.where(claimed.all(axis=0), 255, np.where(claimed[1], 1, np.where(claimed[0], 0, 255)))
    if not {0, 1} <= set(expected[~near].ravel().tolist()):
        return
    labels = hc.open_labels(collection(*shapes), like=GRID)
    np.testing.assert_array_equal(labels.values[~near], expected[~near])
    first = np.where(covered.any(axis=0) & (expected != 255), covered.argmax(axis=0), -1)
    assert labels.shapes is not None
    inside = [i for i, (shape, _) in enumerate(shapes) if shapely.intersects(shape, box(0, 0, 16, 12))]
    numbers = np.array([-1, *inside])[labels.shapes]
    np.testing.assert_array_equal(numbers[~near], first[~near])


def test_small_shapes_points_and_lines_get_what_they_touch() -> None:
    shapes = [
        (box(3.05, 2.1, 3.3, 2.3), "changed"),  # in a corner of pixel (2, 3)
        (box(6.7, 4.6, 7.2, 4.9), "changed"),  # of which pixel (4, 6) has more than (4, 7)
        (moved(shapely.MultiPoint([(9.2, 9.9), (11.6, 0.1)])), "unchanged"),
        (moved(shapely.LineString([(1.5, 10.5), (4.2, 10.6)])), "unchanged"),
    ]
    labels = hc.open_labels(collection(*shapes), like=GRID)
    expected = np.zeros(GRID.shape, np.int32)
    expected[2, 3], expected[4, 6], expected[9, 9], expected[0, 11], expected[10, 1:5] = 1, 2, 3, 4, 5
    np.testing.assert_array_equal(labels.shapes, expected)
    np.testing.assert_array_equal(labels.values, np.where(expected == 0, 255, expected < 3))


def test_overlaps(caplog: Warned) -> None:
    shapes = [
        (box(0, 0, 4, 4), "changed"), (box(2, 2, 6, 6), "changed"), (box(1, 1, 2, 2), "changed"),
        (box(5, 5, 9, 9), "unchanged"), (box(0.1, 0.1, 0.2, 0.2), "unchanged"),
    ]  # fmt: skip
    labels = hc.open_labels(collection(*shapes), like=GRID)
    expected = np.zeros(GRID.shape, np.int32)
    expected[5:9, 5:9], expected[2:6, 2:6], expected[0:4, 0:4] = 4, 2, 1
    expected[5, 5] = expected[0, 0] = 0  # of both classes
    np.testing.assert_array_equal(labels.shapes, expected)
    assert labels.values[5, 5] == labels.values[0, 0] == 255
    assert (
        "1 of 5 shapes label no pixel: they cover no pixel's middle in the scene, or lie under others of their "
        "class; 2 pixels are claimed by shapes of both classes and are left unlabelled; 1 of 5 shapes have no "
        "other" in caplog.text
    )


def test_shapes_are_counted_by_their_parts_and_mended(caplog: Warned) -> None:
    corners = [shapely.box(4, 0, 5, 2), shapely.box(5, 2, 6, 4)]  # which touch
    twice = shapely.multipolygons([shapely.box(0, 0, 2, 2), *corners])
    bow = shapely.Polygon([(8, 0), (12, 4), (12, 0), (8, 4)])
    nested = shapely.geometrycollections([twice, shapely.Point(1.5, 9.5)])
    high = shapely.force_3d(shapely.box(10, 8, 12, 10), z=300.0)
    labels = hc.open_labels(
        collection(
            (moved(nested), "changed"), (moved(bow), "unchanged"), (shapely.force_3d(moved(high)), "changed")
        ),
        like=GRID,
    )
    assert labels.shapes is not None
    assert np.bincount(labels.shapes.ravel())[1:].tolist() == [4, 4, 1, int((labels.values == 0).sum()), 4]
    column, row = np.meshgrid(np.arange(8, 12) + 0.5, np.arange(4) + 0.5)
    wings = np.abs(row - 2) < np.abs(column - 10)
    assert (labels.values[:4, 8:12][wings] == 0).all()
    assert "1 of 6 shapes cross themselves and are mended" in caplog.text


def test_what_lies_beyond_is_cut_and_told(caplog: Warned) -> None:
    corner = moved(
        shapely.Polygon([(-7, 9), (-7, 17), (5, 17)])
    )  # it alone, not the rectangle around it, is beyond
    shapes = [
        (box(40, 0, 50, 9), "unchanged"),
        (corner, "changed"),
        (PATCH, "changed"),
        (box(-30, 3, 1, 4), "unchanged"),
    ]
    labels = hc.open_labels(collection(*shapes), like=GRID)
    assert labels.counts() == (1, 20, 171) and labels.values[3, 0] == 0
    assert labels.shapes is not None and np.unique(labels.shapes).tolist() == [0, 1, 2]
    assert (
        "2 of 4 shapes lie outside of the scene and are left out; 1 of 4 shapes lie mostly outside" in caplog.text
    )
    assert "label no pixel" not in caplog.text


def test_a_rotated_grid_and_one_of_control_points() -> None:
    turned = PLACE @ Affine.rotation(30)
    corners = [(0, 0), (16, 0), (16, 12), (0, 12)]
    points = tuple(rasterio.control.GroundControlPoint(r, c, *(turned @ (c, r))) for c, r in corners)
    shape = {
        said: shapely.transform(shapely.box(*edges), lambda xy: np.stack(turned @ xy.T, axis=1))
        for said, edges in (("changed", (2, 3, 6, 8)), ("unchanged", (8, 1, 15, 5)))
    }
    source = collection(*((each, said) for said, each in shape.items()))
    crs = CRS.from_string(UTM)
    for grid in (Grid(12, 16, crs=crs, transform=turned), Grid(12, 16, gcps=points, gcp_crs=crs)):
        np.testing.assert_array_equal(hc.open_labels(source, like=grid).values, BOTH)


def test_many_shapes_are_burnt_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    grid = Grid(120, 160, crs=CRS.from_string(UTM), transform=PLACE)
    x, y = np.divmod(np.arange(1_500), 30)
    left, top = x * 3 + rng.uniform(0.1, 0.4, 1_500), y * 4 + rng.uniform(0.1, 0.4, 1_500)
    shapes = moved(shapely.box(left, top, left + 1.6, top + 2.7))
    said = np.where(x % 2, "changed", "unchanged")
    geometry = [json.loads(text) for text in shapely.to_geojson(shapes)]
    source = {
        "type": "FeatureCollection",
        "crs": UTM,
        "features": [
            {"type": "Feature", "geometry": shape, "properties": {"class": word}}
            for shape, word in zip(geometry, said, strict=True)
        ],
    }
    burnt = []
    rasterize = rasterio.features.rasterize
    monkeypatch.setattr(rasterio.features, "rasterize", lambda *a, **k: burnt.append(1) or rasterize(*a, **k))
    labels = hc.open_labels(source, like=grid)
    assert labels.shapes is not None and len(np.unique(labels.shapes)) == 1_501 and len(burnt) <= 2
    row, col = np.floor(top + 1.5).astype(int), np.floor(left + 1).astype(int)
    assert (labels.values[row, col] == (x % 2)).all()


# --- classes ---


@pytest.mark.parametrize(
    ("changed", "unchanged"),
    [("Changed", "NO CHANGE"), ("1", "0"), (1, 0), (1.0, 0.0), (True, False),
     (np.float64(1), np.int64(0)), ("yes", "no"), ("Ja", "nein"),
     ("cambio", "sin cambio"), ("变化", "未变化"), ("true", "unchanged"), (255, 0), ("2", "1"),
     ("change ", "stable")],
)  # fmt: skip
def test_names_of_classes_are_understood(changed: Any, unchanged: Any, caplog: Warned) -> None:
    source = collection((PATCH, changed), (CLEAR, unchanged), (box(0, 9, 3, 12), ""), (None, changed))
    np.testing.assert_array_equal(hc.open_labels(source, like=GRID).values, BOTH)
    assert ("the other way" in caplog.text) == (changed == "2")


def test_declared_names_and_kinds() -> None:
    shapes = [(PATCH, "Burnt"), (CLEAR, "forest"), (box(0, 9, 3, 12), "flooded"), (box(9, 9, 12, 12), "cloud")]
    source = collection(*shapes, field="what")
    with pytest.raises(LabelError, match=r"'Burnt' \(1\), 'forest' \(1\).*declare what they mean with changed="):
        hc.open_labels(source, like=GRID)
    with pytest.raises(LabelError, match=r"'cloud' \(1\) are not understood: expected forest unchanged, burnt"):
        hc.open_labels(source, like=GRID, changed=["burnt", "flooded"], unchanged="forest")
    labels = hc.open_labels(source, like=GRID, changed=["burnt", "flooded"], unchanged="FOREST", ignore="cloud")
    assert labels.counts() == (28, 29, 135) and labels.kinds is not None
    assert np.unique(labels.kinds[labels.values == 1], return_counts=True)[1].tolist() == [20, 9]
    lists = [(PATCH, "yes"), (CLEAR, "no")]
    source["features"] = [
        f | {"properties": {"said": s, "log": np.arange(2), "when": float("nan")}}
        for f, (_, s) in zip(collection(*lists)["features"], lists, strict=True)
    ]
    np.testing.assert_array_equal(hc.open_labels(source, like=GRID).values, BOTH)
    numbers = collection((PATCH, 3), (CLEAR, 7), (box(0, 9, 3, 12), 4), field="what")
    labels = hc.open_labels(numbers, like=GRID, changed=[3, 4], unchanged=np.int64(7))
    assert labels.kinds is not None and set(np.unique(labels.kinds[labels.values == 1]).tolist()) == {3, 4}
    stays = collection((PATCH, False), (CLEAR, True), field="stays")
    labels = hc.open_labels(stays, like=GRID, changed="false", unchanged="true")
    np.testing.assert_array_equal(labels.values, BOTH)
    with pytest.raises(LabelError, match="unchanged is missing"):
        hc.open_labels(source, like=GRID, changed="burnt")
    with pytest.raises(LabelError, match="declared twice"):
        hc.open_labels(source, like=GRID, changed="burnt", unchanged=["Burnt"])


FIELDS: dict[str, tuple[dict[str, list[Any]], str | None, str | None]] = {
    "numbers of features are no class": ({"id": [1, 2], "kind": ["changed", "unchanged"]}, None, None),
    "the field of the usual name": ({"seen": [1, 0], "class": ["changed", "unchanged"]}, None, None),
    "one that tells both classes": ({"checked": [1, 1], "how": ["changed", "unchanged"]}, None, None),
    "two that say the same": ({"code": [1, 0], "how": ["changed", "unchanged"]}, None, None),
    "one that is named": ({"a": ["no", "yes"], "B": ["yes", "no"]}, "b", None),
    "two that do not": (
        {"a": ["no", "yes"], "b": ["yes", "no"]},
        None,
        "which field holds the class: name it by field=",
    ),
    "none that is understood": (
        {"a": ["x", "w"], "b": ["u", "v"]},
        None,
        r"name it by field=; it has 'a' \('x', 'w'\)",
    ),
    "one that is not": (
        {"class": ["u", "v"], "seen": [1, 0]},
        None,
        r"'u' \(1\), 'v' \(1\) are not understood",
    ),
    "one that is not there": ({"a": ["yes", "no"]}, "c", "has no field 'c': its fields are 'a'"),
    "numbers alone": ({"fid_": [1, 2]}, None, "does not tell which field"),
    "the opposite": ({"unchanged": ["no", "yes"]}, None, "may mean that a place is unchanged, or changed"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_the_field_is_found_where_there_is_one_choice(case: str) -> None:
    fields, named, refused = FIELDS[case]
    source = collection((PATCH, None), (CLEAR, None))
    for i, feature in enumerate(source["features"]):
        feature["properties"] = {name: values[i] for name, values in fields.items()}
    if refused is None:
        np.testing.assert_array_equal(hc.open_labels(source, like=GRID, field=named).values, BOTH)
        return
    with pytest.raises(LabelError, match=refused):
        hc.open_labels(source, like=GRID, field=named)


# --- what is refused ---


def test_a_crs_that_is_absent_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.shp", [PATCH, CLEAR], {"class": ["changed", "unchanged"]}, geometry_type="Polygon")
    (tmp_path / "a.prj").unlink()
    with pytest.raises(GridError, match=r"tells no CRS \(no a.prj lies beside it\).*ogr2ogr -a_srs"):
        hc.open_labels(path, like=GRID)
    for ending in ("shp", "shx"):
        whole = (tmp_path / f"a.{ending}").read_bytes()
        (tmp_path / f"a.{ending}").write_bytes(whole[:-10])
        with pytest.raises(
            FormatError, match=rf"a.{ending} holds {len(whole) - 10} of its {len(whole)} bytes: it is cut"
        ):
            hc.open_labels(path, like=GRID)
        (tmp_path / f"a.{ending}").write_bytes(whole)
    (tmp_path / "a.dbf").unlink()
    with pytest.raises(FormatError, match=r"a Shapefile without a.dbf"):
        hc.open_labels(path, like=GRID)
    path = write(tmp_path / "a.gpkg", [PATCH, CLEAR], {"class": ["changed", "unchanged"]})
    with sqlite3.connect(path) as database:
        database.execute("update gpkg_geometry_columns set srs_id = -1")
        database.execute("update gpkg_contents set srs_id = -1")
    database.close()
    with pytest.raises(GridError, match=r"tells no CRS \(it is undefined\)"):
        hc.open_labels(path, like=GRID)


def test_curves_become_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [PATCH, CLEAR], {"class": ["changed", "unchanged"]},
                 layer_options={"SPATIAL_INDEX": "NO"})  # fmt: skip
    ring = [PLACE @ corner for corner in ((5, 4), (8, 7), (11, 4), (8, 1), (5, 4))]
    circle = b"\1" + np.array([10, 1], "<u4").tobytes() + b"\1" + np.array([8, 5], "<u4").tobytes()
    circle += np.array(ring, "<f8").tobytes()
    with sqlite3.connect(path) as database:
        for (name,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            database.execute(f'drop trigger "{name}"')
        database.execute("update gpkg_geometry_columns set geometry_type_name = 'CURVEPOLYGON'")
        database.execute("update a set geom = ? where fid = 1", (b"GP\0\1" + np.int32(32631).tobytes() + circle,))
    database.close()
    labels = hc.open_labels(path, like=GRID)
    row, col = np.mgrid[0:12, 0:16] + 0.5
    disc = np.hypot(row - 4, col - 8) < 3
    np.testing.assert_array_equal(labels.values == 1, disc & (BOTH != 0))


def damaged(path: Path) -> Path:
    write(path, [PATCH, CLEAR], {"class": ["changed", "unchanged"]})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def table(path: Path) -> Path:
    pyogrio.raw.write(
        path, None, [np.array(["changed"], dtype=object)], ["class"], driver="GPKG", geometry_type=None
    )
    return path


def empty(path: Path) -> Path:
    return write(path, [], {"class": []})


REFUSED: dict[str, tuple[Any, type[HsiCdError], str]] = {
    "elsewhere": (collection((box(90, 90, 95, 95), "yes"), (box(80, 80, 85, 85), "no")), LabelError,
                  "none of its 2 shapes lies in the scene, which covers 600000 to 600160, .* in EPSG:32631; they"),
    "metres as degrees": (collection((PATCH, "yes"), (CLEAR, "no"), crs=None), LabelError, "are no degrees"),
    "latitude first": (
        collection((shapely.Point(47.84501, 4.33764), "yes"), (shapely.Point(47.84502, 4.33765), "no"), crs=None),
        LabelError,
        "were swapped: write longitude before latitude",
    ),
    "one class": (collection((PATCH, "yes"), (CLEAR, "yes")), LabelError,
                  "all 2 shapes in the scene are changed: draw places that are unchanged, too"),
    "six values": (collection(*((PATCH, word) for word in "abcdef")), LabelError,
                   r"'a' \(1\).*'f' \(1\) are not understood"),
    "control characters": (collection((PATCH, "\x1b[31mred\nline"), (CLEAR, "no")), LabelError,
                           r"'\\x1b\[31mred line'"),
    "no shape": (collection(), LabelError, "holds no shape: draw some"),
    "nothing drawn": (collection((None, "yes"), (None, "no")), LabelError, "none of its 2 features has points"),
    "a sliver": (collection((box(-9, 3, 0.3, 6), "yes"), (CLEAR, "no")), LabelError,
                 "no shape that is changed covers the middle of a pixel of the scene: draw further inside"),
    "properties": ({"type": "Feature", "geometry": None, "properties": ["yes"]}, FormatError,
                   r"holds no shapes that are understood \('properties'\): give a"),
    "contradiction": (collection((PATCH, "yes"), (PATCH, "no")), LabelError, "both classes lie on every pixel"),
    "damaged": (lambda folder: damaged(folder / "a.gpkg"), FormatError, "cannot be read .*: it is damaged"),
    "damaged text": (lambda folder: damaged(folder / "a.geojson"), FormatError, "GeoJSON. cannot be read"),
    "table": (lambda folder: table(folder / "a.gpkg"), FormatError, "holds no layer of shapes"),
    "empty layer": (lambda folder: empty(folder / "a.gpkg"), LabelError, "a.gpkg holds no shape"),
    "beside a raster": (lambda folder: [damaged(folder / "a.gpkg"), np.eye(3, dtype=int)], LabelError,
                        "a.gpkg holds shapes, but the ndarray does not"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_labels_are_refused_in_one_line(tmp_path: Path, case: str) -> None:
    source, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said) as error:
        hc.open_labels(source(tmp_path) if callable(source) else source, like=GRID)
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)


def test_a_scene_without_a_place_and_no_scene() -> None:
    source = collection((PATCH, "yes"), (CLEAR, "no"))
    with pytest.raises(GridError, match="holds shapes in EPSG:32631, but the scene has no CRS and transform"):
        hc.open_labels(source, like=Grid(12, 16))
    with pytest.raises(GridError, match="but the scene has no CRS by which"):
        hc.open_labels(source, like=Grid(12, 16, transform=PLACE))
    with pytest.raises(
        GridError, match="only on the pixels of a scene: name the scene, or a raster of it, by like="
    ):
        hc.open_labels(source)
    with pytest.raises(LabelError, match="field='a' is of labels drawn as shapes"):
        hc.open_labels(np.eye(3, dtype=int), field="a")


def test_the_fingerprint_knows_the_shapes() -> None:
    one = hc.open_labels(collection((PATCH, "yes"), (CLEAR, "no")), like=GRID)
    parts = [box(2, 3, 6, 5), box(2, 5, 6, 8)]
    two = hc.open_labels(collection(*((part, "yes") for part in parts), (CLEAR, "no")), like=GRID)
    np.testing.assert_array_equal(one.values, two.values)
    assert one.fingerprint() != two.fingerprint()


# --- truth maps on other grids ---


def test_a_truth_of_another_grid_is_aligned_by_nearest_neighbour(tmp_path: Path, caplog: Warned) -> None:
    fine = np.random.default_rng(0).integers(0, 3, (40, 50)).astype(np.uint8)
    transform = PLACE @ Affine.translation(-1.33, 2.21) @ Affine.scale(0.4)
    profile = {"height": 40, "width": 50, "count": 1, "dtype": "uint8", "crs": UTM, "transform": transform}
    with rasterio.open(tmp_path / "t.tif", "w", driver="GTiff", **profile) as file:
        file.write(fine, 1)
    said = {"changed": 2, "unchanged": 1, "ignore": 0}
    labels = hc.open_labels(tmp_path / "t.tif", like=GRID, align=True, **said)
    row, col = np.mgrid[0:12, 0:16] + 0.5
    r, c = np.floor((row - 2.21) / 0.4).astype(int), np.floor((col + 1.33) / 0.4).astype(int)
    inside = (r >= 0) & (r < 40) & (c >= 0) & (c < 50)
    expected = np.full(GRID.shape, 255)
    expected[inside] = np.array([255, 0, 1])[fine[r[inside], c[inside]]]
    np.testing.assert_array_equal(labels.values, expected)
    assert labels.grid == GRID
    far = Grid(12, 16, crs=GRID.crs, transform=PLACE @ Affine.translation(900, 0))
    with pytest.raises(GridError, match="cannot be put on the scene's grid: they do not overlap"):
        hc.open_labels(tmp_path / "t.tif", like=far, align=True, **said)


def test_nothing_is_said_of_good_labels(caplog: Warned) -> None:
    with caplog.at_level(logging.INFO):
        hc.open_labels(
            collection((PATCH, "yes"), (CLEAR, "no"), (moved(shapely.Point(9.5, 9.5)), "no")), like=GRID
        )
    assert not caplog.records


@pytest.mark.parametrize("kind", ["points", "squares", "blobs"])
def test_what_is_drawn_over_a_truth_is_read_again(tmp_path: Path, kind: Any) -> None:
    stored = np.ones((60, 50), np.uint8)
    stored[10:40, 20:45] = 2
    grid = Grid(60, 50, crs=CRS.from_string(UTM), transform=PLACE)
    truth = Labels(np.where(stored == 2, 1, 0).astype(np.uint8), place=grid)
    drawn = hc.draw(truth, shapes=8, kind=kind, seed=1)
    for name in ("a.gpkg", "a.geojson"):
        write_labels(tmp_path / name, drawn)
        again = hc.open_labels(tmp_path / name, like=grid)
        assert drawn.shapes is not None and again.fingerprint() == drawn.fingerprint()
