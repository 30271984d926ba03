import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio.features
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS

from hsi_cd.errors import FormatError, GridError
from hsi_cd.io import RegionChoice, check_vector, write_regions
from hsi_cd.scene import Grid

EQUAL = CRS.from_epsg(6933)  # keeps areas: 30 x 30 of its metres are 900 m2 anywhere
PLACE = Affine(30, 0, 200000, 0, -30, 3600000)
WGS84 = CRS.from_epsg(4326)


def grid(shape: tuple[int, int], *, crs: CRS = EQUAL, transform: Affine = PLACE) -> Grid:
    return Grid(*shape, crs=crs, transform=transform)


def read(path: Path) -> dict[str, np.ndarray]:
    """Fields by name, and the geometries as GeoJSON has them."""
    meta, _, geometry, fields = pyogrio.raw.read(path)
    return dict(zip(meta["fields"].tolist(), fields, strict=True)) | {"wkb": geometry, "crs": meta["crs"]}


def rings(wkb: bytes) -> list[np.ndarray]:
    """The rings of a little-endian polygon."""
    count, at, found = int.from_bytes(wkb[5:9], "little"), 9, []
    for _ in range(count):
        points = int.from_bytes(wkb[at : at + 4], "little")
        found.append(np.frombuffer(wkb, "<f8", 2 * points, at + 4).reshape(points, 2))
        at += 4 + 16 * points
    return found


def flood(change: np.ndarray) -> list[set[tuple[int, int]]]:
    """Regions that hang together by edges, the slow way."""
    left = {tuple(at) for at in np.argwhere(change == 1).tolist()}
    regions = []
    while left:
        todo, region = [left.pop()], set()
        while todo:
            r, c = todo.pop()
            region.add((r, c))
            near = {(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)} & left
            left -= near
            todo += near
        regions.append(region)
    return regions


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_the_layer_says_that_its_areas_are_biased(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    write_regions(path, np.eye(4, dtype=np.uint8), np.ones(4, dtype=np.float32), grid=grid((4, 4)))
    if suffix == "geojson":
        told = json.loads(path.read_text())["description"]
    else:
        with closing(sqlite3.connect(path)) as file:
            ((told,),) = file.execute("SELECT description FROM gpkg_contents WHERE table_name = 'change_regions'")
    assert "biased measure of the area that changed" in told and "hsi-cd sample" in told


@given(
    change=arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 255])
    ),
    least=st.integers(0, 4),
)
def test_regions_are_those_of_a_flood(tmp_path_factory, change: np.ndarray, least: int) -> None:
    path = tmp_path_factory.mktemp("regions") / "r.gpkg"
    probability = np.random.default_rng(change.size).random(change.shape, dtype=np.float32)
    regions = write_regions(
        path, change, probability[change == 1], grid=grid(change.shape), choice=RegionChoice(900 * least - 1)
    )
    count = regions.count
    expected = sorted(
        (len(region), round(float(np.mean([probability[at] for at in region])), 5))
        for region in flood(change)
        if len(region) >= least
    )
    found = read(path)
    assert count == len(expected) == len(found["wkb"])
    assert sorted(zip(found["pixels"].tolist(), np.round(found["probability"], 5), strict=True)) == [
        (n, pytest.approx(p, abs=2e-5)) for n, p in expected
    ]
    np.testing.assert_allclose(found["area"], 900 * found["pixels"], rtol=1e-6)
    # Burnt in again, the polygons are the pixels they came from.
    if count:
        shapes = [{"type": "Polygon", "coordinates": [r.tolist() for r in rings(w)]} for w in found["wkb"]]
        burnt = rasterio.features.rasterize(shapes, out_shape=change.shape, transform=PLACE)
        kept = np.zeros(change.shape, bool)
        for region in flood(change):
            if len(region) >= least:
                kept[tuple(np.array(sorted(region)).T)] = True
        np.testing.assert_array_equal(burnt == 1, kept)


def test_a_hole_stays_a_hole(tmp_path: Path) -> None:
    change = np.ones((5, 5), np.uint8)
    change[2, 2] = 0
    write_regions(tmp_path / "r.gpkg", change, np.ones(24, np.float32), grid=grid(change.shape))
    found = read(tmp_path / "r.gpkg")
    assert [len(ring) for ring in rings(found["wkb"][0])] == [5, 5]
    assert (found["area"].tolist(), found["unit"].tolist()) == ([pytest.approx(24 * 900, rel=1e-6)], ["m2"])
    assert found["crs"] == "EPSG:6933"


def test_geojson_lies_in_longitude_and_latitude(tmp_path: Path) -> None:
    change = np.zeros((40, 30), np.uint8)
    change[10:12, 4:9] = 1
    write_regions(tmp_path / "r.geojson", change, np.full(10, 0.75, np.float32), grid=grid(change.shape))
    (feature,) = json.loads((tmp_path / "r.geojson").read_text())["features"]
    assert feature["properties"] == {
        "area": pytest.approx(9000, rel=1e-6),
        "unit": "m2",
        "pixels": 10,
        "probability": 0.75,
    }
    corners = [PLACE @ corner for corner in ((4, 10), (9, 10), (9, 12), (4, 12))]
    lon, lat = rasterio.warp.transform(EQUAL, WGS84, *zip(*corners, strict=True))
    ring = np.array(feature["geometry"]["coordinates"][0])
    assert np.allclose(ring[0], ring[-1]) and len(ring) == 5
    for place in zip(lon, lat, strict=True):
        assert np.abs(ring - place).max(axis=1).min() < 1e-6
    x, y = ring.T
    assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0  # RFC 7946: the outer ring runs counterclockwise


def test_no_change_is_an_empty_file_that_opens(tmp_path: Path) -> None:
    for name in ("r.gpkg", "r.geojson"):
        assert (
            write_regions(
                tmp_path / name, np.zeros((4, 4), np.uint8), np.empty(0, np.float32), grid=grid((4, 4))
            ).count
            == 0
        )
        assert pyogrio.read_info(tmp_path / name)["features"] == 0


@pytest.mark.parametrize(
    ("crs", "transform", "unit", "area"),
    [
        ('LOCAL_CS["site",UNIT["metre",1]]', Affine(3, 0, 0, 0, -3, 0), "m2", 9.0),
        ('LOCAL_CS["site",UNIT["foot",0.3048]]', Affine(0, 10, 0, 10, 0, 0), "m2", 9.290304),
        ('LOCAL_CS["site",UNIT["pixel",1]]', Affine(2, 0, 0, 0, -2, 0), "pixels", 1.0),
    ],
    ids=["metres", "turned feet", "no length"],
)
def test_a_local_crs_is_a_plane_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, crs: str, transform: Affine, unit: str, area: float
) -> None:
    change = np.zeros((4, 5), np.uint8)
    change[1, 1:4] = 1
    place = grid(change.shape, crs=CRS.from_wkt(crs), transform=transform)
    write_regions(tmp_path / "r.gpkg", change, np.ones(3, np.float32), grid=place)
    found = read(tmp_path / "r.gpkg")
    assert (found["area"].tolist(), found["unit"].tolist()) == ([pytest.approx(3 * area)], [unit])
    assert "the CRS site is tied to no ellipsoid" in caplog.text
    with pytest.raises(GridError, match=r"cannot be related: let the name end in \.gpkg$"):
        check_vector(tmp_path / "r.geojson", place)


def test_regions_without_a_place_or_a_format_are_refused(tmp_path: Path) -> None:
    none = np.zeros((3, 3), np.uint8), np.empty(0, np.float32)
    with pytest.raises(GridError, match=r"no CRS and transform.*like="):
        write_regions(tmp_path / "r.gpkg", *none, grid=Grid(3, 3))
    with pytest.raises(FormatError, match=r"\.gpkg or \.geojson"):
        write_regions(tmp_path / "r.shp", *none, grid=grid((3, 3)))
    assert not list(tmp_path.iterdir())
