"""Where to draw next, from a map in memory, and what an analyst who knew the truth would answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

import hsi_cd as hc
from hsi_cd.errors import ConfigError, FormatError, GridError, LabelError
from hsi_cd.scene import cube_from_array

ROWS, COLS = 60, 50


@pytest.fixture(scope="module")
def truth() -> NDArray[np.uint8]:
    values = np.zeros((ROWS, COLS), dtype=np.uint8)
    values[10:25, 5:20] = values[35:50, 25:45] = 1
    values[:, 45:] = 255
    return values


@pytest.fixture(scope="module")
def change(truth: NDArray[np.uint8]) -> hc.ChangeMap:
    """A map by an angle; what changed is a little brighter in half of the bands."""
    rng = np.random.default_rng(0)
    t1 = rng.normal(100, 2, (6, ROWS, COLS)).astype(np.float32)
    t2 = t1 + rng.normal(0, 2, t1.shape).astype(np.float32)
    t2[:3] += 8 * (truth == 1)
    t2[:, 0, :7] = np.nan
    return hc.detect(hc.open_pair(t1, t2), method="cva")


def test_a_map_and_what_is_labelled_suggest_places(change: hc.ChangeMap, truth: NDArray[np.uint8]) -> None:
    labels = hc.draw(hc.Labels(truth), 3, seed=1)
    found = hc.suggest(change, 8, labels=labels, seed=2)
    assert len(found) == 8 and found.shapes.max() == 8
    taken = found.shapes > 0
    assert taken.sum() == 72 and (labels.values[taken] == 255).all()
    assert np.isfinite(change.score[taken]).all()
    for number, probability in enumerate(found.probability, start=1):
        assert probability == pytest.approx(change.probability[found.shapes == number].mean(), abs=1e-6)
    middles = np.stack([found.places.rows, found.places.cols], axis=1)
    far = np.linalg.norm(middles[:, None] - middles[None], axis=-1)[~np.eye(8, dtype=bool)]
    assert far.min() >= found.places.distance >= 3
    again = hc.suggest(change, 8, labels=labels, seed=2)
    np.testing.assert_array_equal(found.shapes, again.shapes)
    part = np.zeros((ROWS, COLS), dtype=bool)
    part[:, 20:] = True
    assert part[hc.suggest(change, 8, labels=labels, within=part).shapes > 0].all()
    points = hc.suggest(change, 8, labels=labels, kind="points", seed=2)
    assert (points.shapes > 0).sum() == 8 and (found.shapes[points.shapes > 0] > 0).all()


def test_an_analyst_who_knows_the_truth_answers(change: hc.ChangeMap, truth: NDArray[np.uint8]) -> None:
    whole, labels = hc.Labels(truth), hc.draw(hc.Labels(truth), 2)
    found = hc.suggest(change, 12, labels=labels)
    more = found.answer(whole, labels)
    assert labels.shapes is not None and more.shapes is not None
    new = more.values != labels.values
    assert (more.values[new] == truth[new]).all() and (found.shapes[new] > 0).all()
    np.testing.assert_array_equal(more.shapes[~new], labels.shapes[~new])
    known = [n for n in range(1, 13) if truth[found.shapes == n][4] != 255]  # the middle of nine
    assert sorted(np.unique(more.shapes[new])) == list(range(5, 5 + len(known)))
    for number, shape in enumerate(known, start=5):
        assert len(np.unique(more.values[more.shapes == number])) == 1
        assert set(np.unique(found.shapes[more.shapes == number])) == {shape}
    alone = found.answer(whole)
    assert alone.shapes is not None and alone.shapes.max() == len(known)
    with pytest.raises(GridError, match="60 x 49 pixels but the scene 60 x 50"):
        found.answer(hc.Labels(truth[:, 1:]))


def test_a_map_in_memory_is_written_and_shown(
    change: hc.ChangeMap, truth: NDArray[np.uint8], tmp_path: Path
) -> None:
    found = hc.suggest(change, 3, labels=hc.draw(hc.Labels(truth), 2))
    found.write_page(tmp_path / "next.html")
    assert (tmp_path / "next.html").read_text().count("<img") == 6
    with pytest.raises(GridError, match="no CRS and transform"):
        found.write(tmp_path / "next.geojson")
    assert [path.name for path in tmp_path.iterdir()] == ["next.html"]


def test_what_cannot_be_suggested_is_told(change: hc.ChangeMap, truth: NDArray[np.uint8], tmp_path: Path) -> None:
    labels = hc.draw(hc.Labels(truth), 2)
    with pytest.raises(ConfigError, match="not what is labelled: give labels"):
        hc.suggest(change)
    with pytest.raises(ConfigError, match="a run knows what is labelled: leave labels out"):
        hc.suggest(tmp_path, labels=labels)
    with pytest.raises(ConfigError, match="kind is 'blobs': expected points or squares"):
        hc.suggest(change, labels=labels, kind="blobs")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="number is 0"):
        hc.suggest(change, 0, labels=labels)
    with pytest.raises(ConfigError, match="seed is -1"):
        hc.suggest(change, labels=labels, seed=-1)
    with pytest.raises(GridError):
        hc.suggest(change, labels=hc.draw(hc.Labels(truth[:, 1:]), 2))
    with pytest.raises(GridError, match=r"within has the shape \(2, 2\)"):
        hc.suggest(change, labels=labels, within=np.ones((2, 2), dtype=bool))
    with pytest.raises(LabelError, match="labelled already: there is nothing to suggest"):
        hc.suggest(change, labels=hc.Labels(np.where(truth == 255, 0, truth).astype(np.uint8)))


def test_what_is_labelled_may_be_a_drawing(truth: NDArray[np.uint8], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    place = hc.Grid(ROWS, COLS, CRS.from_epsg(32633), Affine(10, 0, 500000, 0, -10, 4000000))
    dates = [tmp_path / "t1.tif", tmp_path / "t2.tif"]
    for path in dates:
        size = {"count": 3, "height": ROWS, "width": COLS, "dtype": "float32"}
        with rasterio.open(path, "w", driver="GTiff", **size, crs=place.crs, transform=place.transform) as file:
            file.write(rng.normal(100, 2, (3, ROWS, COLS)).astype(np.float32))
    labels = hc.draw(hc.Labels(truth, place=place), 4)
    hc.write_labels(labels, tmp_path / "labels.gpkg")
    change = hc.detect(hc.open_pair(*dates), "cva")
    by_file, by_value = (hc.suggest(change, 4, labels=each) for each in (tmp_path / "labels.gpkg", labels))
    np.testing.assert_array_equal(by_file.shapes, by_value.shapes)


def test_a_pair_says_where_labels_of_its_pixels_lie(truth: NDArray[np.uint8], tmp_path: Path) -> None:
    place = hc.Grid(ROWS, COLS, CRS.from_epsg(32633), Affine(10, 0, 500000, 0, -10, 4000000))
    cubes = [cube_from_array(np.random.default_rng(date).normal(size=(3, ROWS, COLS))) for date in (0, 1)]
    pair = hc.ScenePair(*(replace(cube, grid=place) for cube in cubes), name="fields")
    drawn = hc.draw(hc.Labels(truth), 4)
    for number, like in enumerate((pair, place)):
        assert hc.write_labels(drawn, tmp_path / f"{number}.geojson", like=like) == 8
        np.testing.assert_array_equal(
            hc.open_labels(tmp_path / f"{number}.geojson", like=pair).values, drawn.values
        )
    with pytest.raises(FormatError, match="give the scene's pair, or the file of a raster"):
        hc.write_labels(drawn, tmp_path / "no.geojson", like=3)


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".shp"])
def test_suggested_places_teach_and_do_not_judge(
    truth: NDArray[np.uint8], change: hc.ChangeMap, tmp_path: Path, ending: str
) -> None:
    """They are hard ones: with them the score is that of the shapes that somebody drew; alone, they judge."""
    place = hc.Grid(ROWS, COLS, CRS.from_epsg(32633), Affine(10, 0, 500000, 0, -10, 4000000))
    whole = hc.Labels(truth, place=place)
    drawn = hc.draw(whole, 12)
    hc.write_labels(drawn, tmp_path / "drawn.gpkg", like=place)
    places = hc.suggest(change, 20, labels=drawn, within=truth != 255)
    both = places.answer(whole, drawn)
    assert both.suggested == tuple(range(25, int(both.shapes.max()) + 1)) and drawn.suggested == ()
    filled = tmp_path / f"next{ending}"
    told = np.array(["unchanged", "changed"], dtype=object)[truth[places.places.rows, places.places.cols]]
    fields = {"class": told, "shape": np.arange(20, dtype=np.int32), "probability": np.full(20, 0.5)}
    if ending == ".shp":
        fields = {name[:10]: values for name, values in fields.items()}
    outlines = shapely.box(
        *((500000 + 10 * (places.places.cols - 1)), (4000000 - 10 * (places.places.rows + 2))),
        *((500000 + 10 * (places.places.cols + 2)), (4000000 - 10 * (places.places.rows - 1))),
    )
    crs = "EPSG:32633"
    pyogrio.raw.write(
        filled, shapely.to_wkb(outlines), list(fields.values()), list(fields), geometry_type="Polygon", crs=crs
    )
    labels = hc.open_labels([tmp_path / "drawn.gpkg", filled], like=place)
    assert labels.suggested == tuple(range(25, 45))
    right = np.where(truth == 1, 1, 0).astype(np.uint8)
    right[::3] = 1 - right[::3]
    alone, with_them = (hc.evaluate(right, each) for each in (drawn, labels))
    assert with_them.scores["kappa"] == alone.scores["kappa"]
    assert (with_them.details["shapes_unchanged"], with_them.details["shapes_changed"]) == (12, 12)
    only = hc.evaluate(right, hc.open_labels(filled, like=place))
    assert only.details["shapes_unchanged"] + only.details["shapes_changed"] == 20
