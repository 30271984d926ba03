"""In a real QGIS: layers and extents as areas of interest, and a sample from its draw to the area of change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from areas_of_interest import TWO, corners, covered_by, polygons
from qgis_process import Qgis, band, order

from hsi_cd.datasets.simulated.simulation_files import PairFiles

pytestmark = pytest.mark.slow

OTHER = shapely.box(20, 20, 38, 44)
"""What lies in the same file as the area, in another layer."""


def extent(bounds: tuple[float, float, float, float], crs: str) -> str:
    """Bounds as QGIS writes an extent."""
    return f"{bounds[0]!r},{bounds[2]!r},{bounds[1]!r},{bounds[3]!r}{crs and f' [{crs}]'}"


@pytest.fixture(scope="module")
def placed(
    qgis: Qgis, trained: Path, simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("placed")
    valley, degrees = folder / "valley.gpkg", folder / "degrees.gpkg"
    polygons(valley, simulated.t1, *TWO)
    polygons(degrees, simulated.t1, *TWO, crs=4326)
    several = folder / "several.gpkg"
    for layer, shapes in (("several", TWO), ("other", (OTHER,))):
        meta, _, drawn, _ = pyogrio.raw.read(polygons(folder / f"{layer}.fgb", simulated.t1, *shapes))
        pyogrio.raw.write(
            several, drawn, [], [], layer=layer, append=several.exists(), driver="GPKG",
            geometry_type="Polygon", crs=meta["crs"],
        )  # fmt: skip
    window = corners(simulated.t1)
    t1 = {"raster": str(simulated.t1)}
    dates: dict[str, Any] = {"T1": t1, "T2": simulated.t2}
    cva = {**dates, "METHOD": "cva"}
    one = f"{several}|layername=several"
    orders = {
        "layer": order("detect", **cva, AOI={"vector": str(degrees)}, OUTPUT=folder / "layer.tif"),
        "one of two": order("detect", **cva, AOI={"vector": one}, OUTPUT=folder / "one of two.tif"),
        "named": order("detect", **cva, AOI=one, OUTPUT=folder / "named.tif"),
        "scratch": order("detect", **cva, AOI={"memory": str(valley)}, OUTPUT=folder / "scratch.tif"),
        "mask": order("detect", **cva, MASK="", MASK_LAYER={"vector": one}, OUTPUT=folder / "mask.tif"),
        "own CRS": order("detect", **cva, BOUNDS=extent(window, "EPSG:32651"), OUTPUT=folder / "own CRS.tif"),
        "no CRS": order("detect", **cva, BOUNDS=extent(window, ""), OUTPUT=folder / "no CRS.tif"),
        "degrees": order("detect", **cva, BOUNDS={"raster": str(simulated.t1)}, OUTPUT=folder / "whole.tif"),
        "both": order("detect", **cva, AOI=valley, BOUNDS=extent(window, ""), OUTPUT=folder / "both.tif"),
        "predict": order(
            "predict", **dates, CHECKPOINT=trained / "best.pt", AOI=valley, OUTPUT=folder / "predict.tif"
        ),
        "info": order("info", **dates, AOI=valley),
        "evaluate": order(
            "evaluate", MAP=trained / "change.tif", TRUTH=[str(simulated.truth)], AOI={"vector": str(valley)},
            JSON=folder / "e.json",
        ),
        "suggest": order("suggest", RUN=trained, NUMBER=3, AOI=valley, OUTPUT=folder / "next.gpkg"),
    }  # fmt: skip
    done = dict(zip(orders, qgis(*orders.values())["orders"], strict=True))
    return done | {"folder": folder, "valley": valley}


def test_one_layer_is_the_area_and_nothing_else_of_its_file(
    placed: dict[str, Any], cli: Any, simulated: PairFiles, tmp_path: Path
) -> None:
    dates = ["--method", "cva", "--t1", simulated.t1, "--t2", simulated.t2]
    assert cli("detect", *dates, "--aoi", placed["valley"], "--output", tmp_path / "own.tif") == 0
    assert cli("detect", *dates, "--output", tmp_path / "whole.tif") == 0
    whole, own = band(tmp_path / "whole.tif"), band(tmp_path / "own.tif")
    covered = covered_by(TWO, whole.shape)
    rows, cols = np.nonzero(covered)
    window = np.where(covered, whole, 255)[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
    np.testing.assert_array_equal(own, window)
    for name in ("layer", "one of two", "named", "scratch"):
        assert "results" in placed[name], placed[name]
        np.testing.assert_array_equal(band(placed["folder"] / f"{name}.tif"), window)
    np.testing.assert_array_equal(band(placed["folder"] / "mask.tif") == 255, covered)


def test_an_extent_is_a_rectangle_in_its_crs(
    placed: dict[str, Any], cli: Any, simulated: PairFiles, tmp_path: Path
) -> None:
    dates = ["--method", "cva", "--t1", simulated.t1, "--t2", simulated.t2]
    assert cli("detect", *dates, "--output", tmp_path / "whole.tif") == 0
    whole = band(tmp_path / "whole.tif")
    for name in ("own CRS", "no CRS"):
        np.testing.assert_array_equal(band(placed["folder"] / f"{name}.tif"), whole[6:39, 9:33])
    assert " --bounds-crs EPSG:32651 " in placed["own CRS"]["command"][0]
    assert "--bounds-crs" not in placed["no CRS"]["command"][0]
    np.testing.assert_array_equal(band(placed["folder"] / "whole.tif"), whole)  # the extent of a layer


def test_polygons_and_a_rectangle_together_are_one_line(placed: dict[str, Any]) -> None:
    told = placed["both"]["error"]
    assert "--aoi and --bounds both say" in told and "\n" not in told
    assert not (placed["folder"] / "both.tif").exists()


def test_every_algorithm_keeps_to_the_area(
    placed: dict[str, Any], cli: Any, trained: Path, simulated: PairFiles
) -> None:
    shape = band(simulated.truth).shape
    covered = covered_by(TWO, shape)
    found, run = band(placed["folder"] / "predict.tif"), band(trained / "change.tif")
    rows, cols = np.nonzero(covered)
    inside = slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1)
    np.testing.assert_array_equal(found, np.where(covered, run, 255)[inside])
    truth = band(simulated.truth)
    judged = covered & (truth != 255) & (run != 255)
    assert placed["evaluate"]["results"]["OA"] == pytest.approx((truth == run)[judged].mean())
    assert "--aoi" in placed["info"]["results"]["TEXT"]
    _, _, places, _ = pyogrio.raw.read(placed["folder"] / "next.gpkg")
    _, _, valley, _ = pyogrio.raw.read(placed["valley"])
    area = shapely.union_all(shapely.from_wkb(valley))
    middles = shapely.centroid(shapely.from_wkb(places))
    assert len(middles) == 3 and shapely.covers(area, middles).all()


def test_a_sample_is_drawn_interpreted_and_tells_the_area(
    qgis: Qgis, cli: Any, trained: Path, simulated: PairFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, sample = trained / "change.tif", tmp_path / "sample.gpkg"
    fields = {"MAP": {"raster": str(change)}, "PER_STRATUM": 30, "SEED": 2}
    dates = {"T1": {"raster": str(simulated.t1)}, "T2": simulated.t2, "HTML": tmp_path / "points.html"}
    drawn, lacking, empty = qgis(
        order("sample", **fields, **dates, OUTPUT=sample, how={"load": True}),
        order("sample", **fields, HTML=tmp_path / "none.html", OUTPUT=tmp_path / "none.gpkg"),
        order("area", MAP=change, SAMPLE={"vector": str(sample)}),
    )["orders"]
    (look,) = drawn["looks"]
    assert look["features"] == 60 and "reference" in look["fields"]
    assert drawn["results"] == {"OUTPUT": str(sample), "HTML": str(tmp_path / "points.html")}
    assert (tmp_path / "points.html").read_text().count("data:image/") >= 60
    assert "--t1 FILE and --t2 FILE" in lacking["error"] and not (tmp_path / "none.gpkg").exists()
    assert "\n" not in empty["error"] and "has no interpreted points" in empty["error"]

    truth, mapped = band(simulated.truth), band(change)
    meta, _, shapes, columns = pyogrio.raw.read(sample, layer="reference_sample")
    points = dict(zip(meta["fields"], columns, strict=True))
    seen = truth[points["row"], points["col"]]
    points["reference"] = np.array(["unchanged", "changed"], dtype=object)[seen]
    pyogrio.raw.write(
        sample, shapes, list(points.values()), list(points), layer="reference_sample", geometry_type="Point",
        crs=meta["crs"], append=False,
    )  # fmt: skip
    orders = {
        "layer": order("area", MAP=change, SAMPLE={"vector": str(sample)}, OUTPUT=tmp_path / "area.html"),
        "scratch": order("area", MAP=change, SAMPLE={"memory": str(sample)}),
        "file": order("area", MAP=change, SAMPLE=sample, JSON=tmp_path / "area.json"),
    }
    done = dict(zip(orders, qgis(*orders.values())["orders"], strict=True))
    capsys.readouterr()
    assert cli("area", change, "--sample", sample) == 0
    said = capsys.readouterr().out
    assert done["layer"]["results"]["TEXT"] == said == done["scratch"]["results"]["TEXT"]
    assert "<pre>" in (tmp_path / "area.html").read_text()
    # The stratified estimator by hand: of each class of the map, its area times its share of points that changed.
    own = mapped[points["row"], points["col"]]
    hectares = sum((mapped == code).sum() * (seen[own == code] == 1).mean() for code in (0, 1)) * 0.09
    told = done["layer"]["results"]
    assert told["AREA"] == pytest.approx(hectares, rel=2e-3)  # the projection's scale
    assert told["AREA_LOW"] < told["AREA"] < told["AREA_HIGH"]
    document = json.loads((tmp_path / "area.json").read_text())
    assert told["OA_HIGH"] == document["overall_accuracy"]["high"]
    assert told["USERS"] == pytest.approx((seen[own == 1] == 1).mean())
