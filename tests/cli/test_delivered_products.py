"""Two products, as their archives deliver them, become a map with no option but the output's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import deliveries
import numpy as np
import pytest
import rasterio

from hsi_cd.cli.remedies import in_options

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture


def agreement(path: Path, block: Any) -> float:
    """Intersection over union of a map with the block that changed."""
    with rasterio.open(path) as file:
        changed = file.read(1) == 1
        assert file.crs is not None and file.transform != rasterio.Affine.identity()
    truth = np.zeros(changed.shape, dtype=bool)
    truth[block] = True
    return float((changed & truth).sum() / (changed | truth).sum())


@pytest.mark.quick("enmap", "landsat")
@pytest.mark.parametrize("name", list(deliveries.MAKERS))
def test_detect_with_no_option(cli: Any, tmp_path: Path, name: str) -> None:
    first, second = (deliveries.MAKERS[name](tmp_path, date) for date in (1, 2))
    out = tmp_path / "change.tif"
    assert cli("detect", "--t1", first, "--t2", second, "--output", out) == 0
    assert agreement(out, deliveries.BLOCK) >= 0.9
    with rasterio.open(out) as file:
        change, tags = file.read(1), file.tags()
    assert (change[deliveries.padding()] == 255).all()
    if name in ("enmap", "tanager", "desis", "neon", "sentinel2", "landsat"):
        assert (change[deliveries.CLOUD] == 255).all() and tags["MASK"] == "auto"


@pytest.mark.quick("corner-landsat", "padding-prisma")
@pytest.mark.parametrize("name", ["enmap", "prisma", "wyvern", "landsat", "sentinel2"])
@pytest.mark.parametrize(
    ("rows", "cols", "block"),
    [(36, 48, np.s_[2:12, 36:46]), (36, 48, np.s_[4:14, 6:20]), (36, 48, np.s_[22:34, 2:16]),
     (36, 48, np.s_[6:26, 10:36]), (66, 42, np.s_[42:56, 4:20])],
    ids=["corner", "padding", "zone", "large", "tall"],
)  # fmt: skip
def test_wherever_the_change_lies(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, rows: int, cols: int, block: Any
) -> None:
    """Ground that did not move is not moved by what changed on it, whatever its place and share of the scene."""
    cloud = np.s_[rows - 8 : rows - 4, cols - 18 : cols - 12]
    zone = 32755 if rows == 36 else 32610
    deliveries.lay_out(monkeypatch, ROWS=rows, COLS=cols, BLOCK=block, CLOUD=cloud, EPSG=zone)
    first, second = (deliveries.MAKERS[name](tmp_path, date) for date in (1, 2))
    assert cli("detect", "--t1", first, "--t2", second, "--output", tmp_path / "change.tif") == 0
    assert agreement(tmp_path / "change.tif", block) >= 0.9


@pytest.mark.quick("PRS*")
@pytest.mark.parametrize("pattern", ["enmap_*", "PRS_L2D*.he5", "*_ortho_sr_hdf5.h5"])
def test_the_shared_miniatures(cli: Any, shared: Path, tmp_path: Path, pattern: str) -> None:
    found = sorted((shared / "products").glob(pattern))
    if not found:
        pytest.skip("no miniatures of products in ../shared")
    out = tmp_path / "change.tif"
    assert cli("detect", "--t1", found[0], "--t2", found[1], "--output", out) == 0
    assert agreement(out, np.s_[16:28, 30:48]) >= 0.9


def test_masks_are_asked_for_by_name(cli: Any, tmp_path: Path, caplog: Log, capsys: Capture) -> None:
    first, second = (deliveries.landsat(tmp_path, date) for date in (1, 2))
    words = ["detect", "--method", "cva", "--t1", first, "--t2", second, "--output", tmp_path / "c.tif"]
    clouds = {}
    for mask in ([], ["--mask", "none"], ["--mask", "cloud,shadow"]):
        assert cli(*words, *mask, "--overwrite") == 0
        with rasterio.open(tmp_path / "c.tif") as file:
            clouds[tuple(mask)] = (file.read(1)[deliveries.CLOUD] == 255).all(), file.tags()["MASK"]
    assert list(clouds.values()) == [(True, "auto"), (False, "none"), (True, "cloud,shadow")]
    told = in_options(caplog.records[0].getMessage())
    assert told.endswith("left out by its masks (cloud 1.39 %): 255 in the map; --mask none keeps them")
    assert cli(*words, "--mask", "clouds", "--overwrite") == 2
    assert "give auto, none, kinds as cloud,shadow (of cloud, shadow" in in_options(capsys.readouterr().err)


def test_a_file_is_a_mask_for_detect_and_predict(cli: Any, tmp_path: Path) -> None:
    first, second = (deliveries.wyvern(tmp_path, date) for date in (1, 2))
    mask = deliveries.raster(tmp_path / "mask.tif", deliveries.plane(np.s_[30:34, 5:9]))
    words = ["--t1", first, "--t2", second, "--mask", mask, "--output"]
    assert cli("detect", "--method", "cva", "--save", tmp_path / "cva.pt", *words, tmp_path / "a.tif") == 0
    assert cli("predict", "--checkpoint", tmp_path / "cva.pt", *words, tmp_path / "b.tif") == 0
    for name in ("a.tif", "b.tif"):
        with rasterio.open(tmp_path / name) as file:
            change = file.read(1)
        assert (change[30:34, 5:9] == 255).all() and (change[34, 5:9] != 255).all()
    size = mask.stat().st_size
    assert cli("detect", "--method", "cva", *words, mask, "--overwrite") == 2 and mask.stat().st_size == size


def test_info_tells_what_a_product_is(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    first, second = (deliveries.enmap(tmp_path, date) for date in (1, 2))
    assert cli("info", first, second) == 0
    out = capsys.readouterr().out
    assert f"{first}: EnMAP L2A" in out
    for line in (
        "values    reflectance, 0 to 1",
        "waves     418.24 to 2445.53 nm, fwhm 6.02 to 10.48 nm",
        "left out  bands 130-135, which are empty",
        "masks     cloud 1.39 %, shadow 0 %, cirrus 0 %, haze 0 %, snow 0 %, water 0 %",
        "acquired  2022-07-24T10:40:04",
        "grid        the same",
        "bands       the same, by wavelength",
    ):
        assert line in out
    assert cli("info", next(first.glob("*SNOW*")), "--json", "--mask", "none") == 0
    (image,) = json.loads(capsys.readouterr().out)["files"][0]["images"]
    assert (image["product"], image["quantity"], image["bands"]) == ("EnMAP L2A", "reflectance", 203)
    next(second.glob("*SNOW*")).unlink()
    assert cli("info", second) == 0
    assert "snow missing, cloud 1.39 %" in capsys.readouterr().out
    assert image["masks"]["cloud"] == pytest.approx(24 / (36 * 48)) and image["empty"] == pytest.approx(72 / 1728)


def test_no_output_replaces_a_file_of_a_product(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    first, second = (deliveries.enmap(tmp_path, date) for date in (1, 2))
    image = next(first.glob("*SPECTRAL_IMAGE.TIF"))
    size = image.stat().st_size
    code = cli("detect", "--t1", next(first.glob("*.XML")), "--t2", second, "--output", image, "--overwrite")
    assert code == 2 and image.stat().st_size == size
    assert str(image) in capsys.readouterr().err


def test_what_messages_of_masks_suggest_is_typed(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    first, second = (deliveries.landsat(tmp_path, date) for date in (1, 2))
    next(first.glob("*QA_PIXEL*")).unlink()
    words = ["detect", "--method", "cva", "--t1", first, "--t2", second, "--output", tmp_path / "c.tif"]
    assert cli(*words) == 2
    said = capsys.readouterr().err
    assert "QA_PIXEL.TIF is missing" in said and "say --mask none to map" in said
    assert cli(*words, "--mask", "none") == 0
    coarse = np.zeros((1, 18, 24), dtype=np.uint8)
    coarse[0, 2:4, 10:15] = 1
    mask = deliveries.raster(tmp_path / "m.tif", coarse, place=deliveries.PLACE @ rasterio.Affine.scale(2))
    assert cli(*words, "--mask", mask, "--overwrite") == 2
    assert "or resample it with --align" in capsys.readouterr().err
    assert cli(*words, "--mask", mask, "--align", "--overwrite") == 0
    with rasterio.open(tmp_path / "c.tif") as file:
        assert (file.read(1)[4:8, 20:30] == 255).all()
