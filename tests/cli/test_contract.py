"""What two files must share to be one scene, what may differ when asked, and what comes out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from scipy import ndimage

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.io.raster import quiet_georeference


def rewrite(source: Path, target: Path, change: Callable[[np.ndarray], np.ndarray], **profile: Any) -> Path:
    """A copy of a raster with its values ``(bands, rows, cols)`` and its georeference changed."""
    with rasterio.open(source) as file:
        values, kept = change(file.read()), file.profile
        tags, descriptions = [file.tags(i) for i in file.indexes], file.descriptions
    kept |= {"count": len(values), "height": values.shape[1], "width": values.shape[2]} | profile
    with quiet_georeference(), rasterio.open(target, "w", **kept) as file:
        file.write(values)
        if len(values) == len(tags):
            for i, tag in enumerate(tags, start=1):
                file.update_tags(i, **tag)
                file.set_band_description(i, descriptions[i - 1])
    return target


def in_order(source: Path, target: Path, order: list[int]) -> Path:
    """A copy of a raster with some of its bands, in another order, wavelengths and all."""
    with rasterio.open(source) as file:
        values, kept = file.read()[order], file.profile | {"count": len(order)}
        tags, whole = [file.tags(i + 1) for i in order], file.tags()
        described = [file.descriptions[i] for i in order]
    with rasterio.open(target, "w", **kept) as file:
        file.write(values)
        file.update_tags(**{k: v for k, v in whole.items() if "wavelength" not in k.lower()})
        for i, tag in enumerate(tags):
            file.update_tags(i + 1, **tag)
            file.set_band_description(i + 1, described[i])
    return target


def band(path: Path) -> np.ndarray:
    with quiet_georeference(), rasterio.open(path) as file:
        return file.read(1)


def complaint(cli: Any, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert cli(*words) == 2
    return capsys.readouterr().err


def detect(output: Path, t1: Path, t2: Path, *words: object) -> list[object]:
    return ["detect", "--method", "cva", "--t1", t1, "--t2", t2, "--output", output, *words]


# --- grids ---


def test_dates_on_other_grids_are_refused_or_aligned(
    cli: Any, simulated: PairFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rasterio.open(simulated.t1) as file:
        crs, transform, shape = file.crs, file.transform, file.shape
    moved = transform @ Affine.translation(7, 5)
    t2 = rewrite(simulated.t2, tmp_path / "t2.tif", lambda v: v[:, 5:, 7:], transform=moved)
    output = tmp_path / "change.tif"
    told = complaint(cli, capsys, *detect(output, simulated.t1, t2))
    assert "t1 (t1.tif) has 48 x 40 pixels but t2 (t2.tif) has 43 x 33" in told
    assert "pixels apart" in told and "--align" in told and not output.exists()
    assert cli(*detect(output, simulated.t1, t2, "--align")) == 0
    with rasterio.open(output) as file:
        assert (file.crs, file.transform, file.shape) == (crs, transform, shape)
    change = band(output)
    assert (change[:5] == 255).all() and (change[:, :7] == 255).all() and (change[5:, 7:] != 255).all()


def test_dates_in_two_zones_are_aligned(cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    """Warped to the neighbouring zone by GDAL and brought back, nearly the same pixels are changed."""
    with rasterio.open(simulated.t2) as file:
        values, crs, transform = file.read().astype(np.float32), file.crs, file.transform
        nodata, tags = file.nodata, [file.tags(i) for i in file.indexes]
    other = rasterio.crs.CRS.from_epsg(crs.to_epsg() - 1)
    corners = [transform @ corner for corner in ((0, 0), (40, 0), (0, 48), (40, 48))]
    x, y = rasterio.warp.transform(crs, other, *zip(*corners, strict=True))
    place = Affine(30, 0, min(x), 0, -30, max(y))
    warped = np.full((len(values), 56, 50), np.nan, np.float32)
    rasterio.warp.reproject(
        values, warped, src_transform=transform, src_crs=crs, dst_transform=place, dst_crs=other,
        src_nodata=nodata, dst_nodata=np.nan, resampling=rasterio.warp.Resampling.cubic,
    )  # fmt: skip
    t2 = tmp_path / "t2.tif"
    size = dict(zip(("count", "height", "width"), warped.shape, strict=True))
    kept = {"driver": "GTiff", "dtype": "float32", "crs": other, "transform": place, "nodata": np.nan}
    with rasterio.open(t2, "w", **kept, **size) as f:
        f.write(warped)
        for i, tag in enumerate(tags, start=1):
            f.update_tags(i, **tag)
    assert cli(*detect(tmp_path / "a.tif", simulated.t1, t2)) == 2
    assert cli(*detect(tmp_path / "a.tif", simulated.t1, t2, "--align")) == 0
    assert cli(*detect(tmp_path / "b.tif", simulated.t1, simulated.t2)) == 0
    found, expected = band(tmp_path / "a.tif"), band(tmp_path / "b.tif")
    both = (found != 255) & (expected != 255)
    assert both.mean() > 0.8 and (found == expected)[both].mean() > 0.9


def test_a_truth_of_another_place_is_refused(
    cli: Any,
    simulated: PairFiles,
    dates: list[str],
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with rasterio.open(simulated.truth) as file:
        moved = file.transform @ Affine.translation(3, -4)
    truth = rewrite(simulated.truth, tmp_path / "truth.tif", lambda v: v, transform=moved)
    told = complaint(cli, capsys, "train", *dates, "--truth", truth, "--run", tmp_path / "run")
    assert "truth (truth.tif) and the scene differ by up to 5 pixels" in told and not (tmp_path / "run").exists()
    told = complaint(cli, capsys, "evaluate", trained / "change.tif", "--truth", truth)
    assert "the map and the truth (truth.tif) differ by up to 5 pixels" in told


@pytest.mark.parametrize(("shift", "warned"), [((0, 0), False), ((2, -1), True)])
def test_a_shift_is_told_with_its_size(
    cli: Any, tmp_path: Path, shift: tuple[int, int], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert cli("simulate", tmp_path / "s", "--rows", 96, "--cols", 90, "--bands", 10, "--shift", 0) == 0
    t2 = rewrite(
        tmp_path / "s/t2.tif",
        tmp_path / "t2.tif",
        lambda v: np.stack([ndimage.shift(layer, shift, order=0, mode="nearest") for layer in v]),
    )
    with caplog.at_level(logging.WARNING):
        assert cli(*detect(tmp_path / "c.tif", tmp_path / "s/t1.tif", t2)) == 0
    told = [record.message for record in caplog.records if "phase correlation" in record.message]
    assert bool(told) is warned
    if warned:
        down, right, size = (
            float(x) for x in np.array(told[0].replace("(", " ").replace(")", " ").split())[[2, 6, 8]]
        )
        assert "down" in told[0] and "left" in told[0]
        np.testing.assert_allclose([down, right, size], [2, 1, 5**0.5], atol=0.2)


# --- bands ---


def test_other_bands_are_refused_or_matched(
    cli: Any,
    simulated: PairFiles,
    dates: list[str],
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    order = [3, 2, 1, 0, *range(23, 3, -1)]
    t1, t2 = (in_order(path, tmp_path / path.name, order) for path in (simulated.t1, simulated.t2))
    predict = ["predict", "--checkpoint", trained / "best.pt", "--device", "cpu", "--output", tmp_path / "c.tif"]
    told = complaint(cli, capsys, *predict, "--t1", simulated.t1, "--t2", t2)
    assert "t1 (t1.tif) and t2 (t2.tif) have the same 24 bands in another order" in told
    told = complaint(cli, capsys, *predict, "--t1", t1, "--t2", t2)
    assert "the checkpoint and the scene" in told and "--common-bands" in told
    words = ["--t1", t1, "--t2", simulated.t2, "--common-bands"]
    assert cli(*predict, *words) == 0
    np.testing.assert_array_equal(band(tmp_path / "c.tif"), band(trained / "change.tif"))


def test_a_band_too_few_is_named(
    cli: Any, simulated: PairFiles, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [i for i in range(24) if i != 5]
    t1, t2 = (in_order(path, tmp_path / path.name, few) for path in (simulated.t1, simulated.t2))
    told = complaint(cli, capsys, *detect(tmp_path / "c.tif", simulated.t1, t2))
    assert "has 24 bands but t2 (t2.tif) has 23: 1 of 24 bands of t1 (t1.tif) are not in t2 (t2.tif): " in told
    assert " nm (compared by wavelength, within 5 nm)" in told
    assert cli(*detect(tmp_path / "c.tif", simulated.t1, t2, "--common-bands")) == 0
    predict = ["predict", "--checkpoint", trained / "best.pt", "--output", tmp_path / "d.tif", "--common-bands"]
    told = complaint(cli, capsys, *predict, "--t1", t1, "--t2", t2)
    assert "1 of 24 bands of the checkpoint are not in the scene" in told
    assert not (tmp_path / "d.tif").exists()


def test_the_tolerance_is_an_option(cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    with rasterio.open(simulated.t2) as file:
        centres = [float(file.tags(i)["wavelength"]) for i in file.indexes]
    t2 = rewrite(simulated.t2, tmp_path / "t2.tif", lambda v: v)
    with rasterio.open(t2, "r+") as file:
        for i, centre in enumerate(centres, start=1):
            file.update_tags(i, wavelength=str(centre + 8))
    assert cli(*detect(tmp_path / "c.tif", simulated.t1, t2)) == 2
    assert cli(*detect(tmp_path / "c.tif", simulated.t1, t2, "--band-tolerance", 9)) == 0


def test_bands_are_dropped_on_request(
    cli: Any, simulated: PairFiles, dates: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A band that would spoil the map does so only if it is not left out."""
    with rasterio.open(simulated.t2) as file:
        centres = np.array([float(file.tags(i)["wavelength"]) for i in file.indexes])
    wet = int(np.argmax((centres > 1800) & (centres < 1960)))
    assert 1800 < centres[wet] < 1960

    def spoil(values: np.ndarray) -> np.ndarray:
        values[wet] = 3
        return values

    t2 = rewrite(simulated.t2, tmp_path / "t2.tif", spoil)
    told = complaint(cli, capsys, *detect(tmp_path / "c.tif", simulated.t1, t2))
    assert f"band {wet + 1} of t2" in told
    for kind in ("constant", "water-vapour"):
        assert cli(*detect(tmp_path / f"{kind}.tif", simulated.t1, t2, "--drop", kind)) == 0
    run = ["train", "--t1", simulated.t1, "--t2", t2, "--truth", simulated.truth, "--run", tmp_path / "run"]
    assert cli(*run, "--method", "logistic", "--drop", "water-vapour", "--set", "split.fraction=0.05") == 0
    assert "drop_water_vapour: true" in (tmp_path / "run/config.yaml").read_text()
    predict = ["predict", "--checkpoint", tmp_path / "run/best.pt", "--t1", simulated.t1, "--t2", t2]
    assert cli(*predict, "--output", tmp_path / "again.tif") == 0
    np.testing.assert_array_equal(band(tmp_path / "again.tif"), band(tmp_path / "run/change.tif"))


# --- labels ---


def test_values_of_ones_own(
    cli: Any, simulated: PairFiles, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = np.array([40, 20], np.uint8)

    def recode(values: np.ndarray) -> np.ndarray:
        coded = codes[values]
        coded[:, :3] = 9
        return coded

    truth = rewrite(simulated.truth, tmp_path / "truth.tif", recode, nodata=None)
    evaluate = ["evaluate", trained / "change.tif", "--truth", truth]
    told = complaint(cli, capsys, *evaluate)
    assert "9 (120 pixels), 20 (" in told and "--changed" in told
    told = complaint(cli, capsys, *evaluate, "--changed", 20, "--unchanged", 40)
    assert "unexpected label values 9 (120 pixels): expected 40 unchanged, 20 changed" in told
    words = ["--changed", 20, "--unchanged", 40, "--ignore", 9, "--json", tmp_path / "own.json"]
    assert cli(*evaluate, *words) == 0
    with rasterio.open(simulated.truth) as file:
        expected = file.read(1)[3:]
    change = band(trained / "change.tif")[3:]
    counts = json.loads((tmp_path / "own.json").read_text())["counts"]
    assert (counts["tp"], counts["fp"]) == (
        int(((expected == 1) & (change == 1)).sum()),
        int(((expected == 0) & (change == 1)).sum()),
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--changed", "1"], "--unchanged is missing"),
        (["--ignore", "0"], "--changed is missing"),
        (["--changed", "one", "--unchanged", "0"], "holds numbers: give whole numbers with --changed"),
        (["--changed", "1,2", "--unchanged", "2"], "label value 2 is declared twice"),
        (["--changed", "1", "--unchanged", "0", "--dataset", "taizhou"], "has its own label values"),
    ],
)
def test_schemes_that_say_nothing(
    cli: Any,
    trained: Path,
    simulated: PairFiles,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    truth = [] if "--dataset" in words else ["--truth", simulated.truth]
    assert message in complaint(cli, capsys, "evaluate", trained / "change.tif", *truth, *words)


# --- outputs ---


def test_degrees_in_degrees_out_with_kinds_of_change(cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    """As rennes: GeoTIFF in longitude and latitude in and out, and a truth that tells kinds of change apart."""
    place = {"crs": "EPSG:4326", "transform": Affine(0.000114, 0, -1.68519, 0, -0.0001142, 48.13252)}

    def kinds(values: np.ndarray) -> np.ndarray:
        told = np.where(values == 1, 2, 7).astype(np.uint8)
        told[:, :, 20:][values[:, :, 20:] == 1] = 5
        return told

    t1, t2 = (rewrite(p, tmp_path / p.name, lambda v: v, **place) for p in (simulated.t1, simulated.t2))
    truth = rewrite(simulated.truth, tmp_path / "truth.tif", kinds, nodata=None, **place)
    run, scene = tmp_path / "run", ["--t1", t1, "--t2", t2]
    schemes = ["--changed", "2,5", "--unchanged", 7]
    assert cli("train", *scene, "--truth", truth, *schemes, "--run", run, *cli.settings()) == 0
    details = json.loads((run / "result.json").read_text())["details"]
    with rasterio.open(truth) as file:
        stored = file.read(1)
    taught = np.zeros(stored.size, bool)
    taught[np.load(run / "split.npz")["train"]] = True
    for kind in (2, 5):
        judged = (stored == kind) & ~taught.reshape(stored.shape)
        assert details[f"kind {kind}/pixels"] == judged.sum()
        assert details[f"kind {kind}/recall"] == pytest.approx((band(run / "change.tif")[judged] == 1).mean())
    words = ["--output", tmp_path / "change.tif", "--score", tmp_path / "score.tif", "--cog"]
    words += ["--vector", tmp_path / "regions.geojson", "--min-area", 200]
    assert cli("predict", "--checkpoint", run / "best.pt", *scene, *words) == 0
    for path in (tmp_path / "change.tif", tmp_path / "score.tif", run / "change.tif", run / "score.tif"):
        with rasterio.open(path) as file, rasterio.open(t1) as source:
            assert (file.crs, file.transform, file.shape) == (source.crs, source.transform, source.shape)
    np.testing.assert_array_equal(band(tmp_path / "change.tif"), band(run / "change.tif"))
    features = json.loads((tmp_path / "regions.geojson").read_text())["features"]
    facts = [feature["properties"] for feature in features]
    assert all(fact["area"] >= 200 and fact["unit"] == "m2" for fact in facts)
    # A pixel is about 8.5 x 12.7 m there.
    assert all(fact["area"] / fact["pixels"] == pytest.approx(107.7, abs=0.5) for fact in facts)
    assert sum(fact["pixels"] for fact in facts) <= (band(run / "change.tif") == 1).sum()


def test_regions_cover_the_map(cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    words = ["--vector", tmp_path / "r.gpkg", "--score", tmp_path / "s.tif"]
    assert cli(*detect(tmp_path / "c.tif", simulated.t1, simulated.t2, *words)) == 0
    fields = pyogrio.raw.read(tmp_path / "r.gpkg")
    found = dict(zip(fields[0]["fields"].tolist(), fields[3], strict=True))
    change = band(tmp_path / "c.tif")
    assert found["pixels"].sum() == (change == 1).sum() > 0
    assert (found["probability"] >= 0.5).all() and (found["probability"] <= 1).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["c.tif", "c.tif.aux.xml", "c.qml", "r.gpkg", "r.qml", "s.tif", "s.qml"]
    )


@pytest.mark.parametrize(
    ("place", "pixel"),
    [
        # A degree is 111.23 km of the meridian and 71.70 km of the parallel at 50 degrees (WGS 84).
        (("EPSG:4326", Affine.translation(10, 50) @ Affine.rotation(90) @ Affine.scale(3e-4, -3e-4)), 717.8),
        (("EPSG:3857", Affine(30, 0, 1113194.9, 0, -30, 8399737.9)), 225.8),
    ],
    ids=["turned degrees", "web mercator"],
)
def test_regions_are_as_large_as_the_ground(
    cli: Any, simulated: PairFiles, tmp_path: Path, place: tuple[str, Affine], pixel: float
) -> None:
    named = dict(zip(("crs", "transform"), place, strict=True))
    t1, t2 = (rewrite(p, tmp_path / p.name, lambda v: v, **named) for p in (simulated.t1, simulated.t2))
    words = ["--method", "cva", "--vector", tmp_path / "r.gpkg", "--min-area", 1.5 * pixel]
    assert cli(*detect(tmp_path / "c.tif", t1, t2, *words)) == 0
    fields = pyogrio.raw.read(tmp_path / "r.gpkg")
    found = dict(zip(fields[0]["fields"].tolist(), fields[3], strict=True))
    np.testing.assert_allclose(found["area"] / found["pixels"], pixel, rtol=1e-3)
    assert set(found["unit"]) == {"m2"} and found["pixels"].min() == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--vector", "r.shp"], "neither a GeoPackage nor GeoJSON"),
        (["--vector", "there.gpkg"], "there.gpkg exists: pass --overwrite"),
        (["--min-area", "5"], "give --vector FILE"),
        (["--min-area", "-5", "--vector", "r.gpkg"], "x>=0"),
        (["--band-tolerance", "-1"], "x>=0"),
        (["--drop", "noisy"], "'noisy' is not one of"),
    ],
)
def test_outputs_that_cannot_be_are_refused_first(
    cli: Any,
    simulated: PairFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.gpkg").write_text("mine")
    assert message in complaint(cli, capsys, *detect(tmp_path / "c.tif", simulated.t1, simulated.t2, *words))
    assert [path.name for path in tmp_path.iterdir()] == ["there.gpkg"]


def test_a_scene_without_a_place_has_no_polygons(
    cli: Any, simulated: PairFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = {"crs": None, "transform": Affine.identity()}
    t1, t2 = (rewrite(p, tmp_path / p.name, lambda v: v, **bare) for p in (simulated.t1, simulated.t2))
    words = detect(tmp_path / "c.tif", t1, t2, "--vector", tmp_path / "r.gpkg")
    assert "no CRS and transform" in complaint(cli, capsys, *words)
    assert cli(*words, "--like", simulated.truth) == 0
    assert pyogrio.read_info(tmp_path / "r.gpkg")["features"] > 0


def test_a_local_crs_has_no_geojson_and_is_told_first(
    cli: Any, simulated: PairFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"crs": 'LOCAL_CS["site",UNIT["metre",1]]', "transform": Affine(0, 2, 0, 2, 0, 0)}
    t1, t2 = (rewrite(p, tmp_path / p.name, lambda v: v, **place) for p in (simulated.t1, simulated.t2))
    words = detect(tmp_path / "c.tif", t1, t2, "--method", "cva", "--vector", tmp_path / "r.geojson")
    assert "scene's CRS (site) cannot be related: let the name end in .gpkg" in complaint(cli, capsys, *words)
    assert not (tmp_path / "c.tif").exists()
    assert cli(*words[:-1], tmp_path / "r.gpkg") == 0
    fields = pyogrio.raw.read(tmp_path / "r.gpkg")
    found = dict(zip(fields[0]["fields"].tolist(), fields[3], strict=True))
    np.testing.assert_allclose(found["area"], 4 * found["pixels"])


def test_saturated_pixels_are_no_data(cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    def clip(values: np.ndarray) -> np.ndarray:
        values[4, 10, 12] = 31000
        values[:, 20, 22] = 0
        return values

    t2 = rewrite(simulated.t2, tmp_path / "t2.tif", clip)
    assert cli(*detect(tmp_path / "a.tif", simulated.t1, t2)) == 0
    assert cli(*detect(tmp_path / "b.tif", simulated.t1, t2, "--saturated", 31000)) == 0
    for name, lost in (("a.tif", [[20, 22]]), ("b.tif", [[10, 12], [20, 22]])):
        assert np.argwhere(band(tmp_path / name) == 255).tolist() == lost
