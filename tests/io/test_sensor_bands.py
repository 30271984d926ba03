"""Bands that files tell by their names alone: wavelengths where the sensor is known, and never a guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from delivered_ground import PLACE, raster

import hsi_cd as hc
from hsi_cd.io import open_cube
from hsi_cd.io.inspect import inspect_paths

# Centres and widths, nm, as the agencies publish them: Sentinel-2A (ESA), OLI and TM (USGS).
SENTINEL = {
    "B01": (442.7, 21), "B02": (492.4, 66), "B03": (559.8, 36), "B04": (664.6, 31), "B05": (704.1, 15),
    "B06": (740.5, 15), "B07": (782.8, 20), "B08": (832.8, 106), "B8A": (864.7, 21), "B09": (945.1, 20),
    "B10": (1373.5, 31), "B11": (1613.7, 91), "B12": (2202.4, 175),
}  # fmt: skip
OLI = {"B1": 442.96, "B2": 482.04, "B3": 561.41, "B4": 654.59, "B5": 864.67, "B6": 1608.86, "B7": 2200.73}
TM = {"B1": 486, "B2": 571, "B3": 661, "B4": 838, "B5": 1677, "B7": 2217}
NINE = ("B02", "B03", "B04", "B05", "B06", "B07", "B8A", "B11", "B12")


def one(path: Path, seed: int = 1) -> Path:
    return raster(path, np.random.default_rng(seed).integers(1, 9000, (1, 6, 8)).astype(np.uint16))


def folder(path: Path, pattern: str, bands: tuple[str, ...]) -> Path:
    path.mkdir(parents=True)
    for seed, band in enumerate(bands):
        one(path / pattern.format(band), seed)
    return path


def described(path: Path, names: tuple[str, ...], **tags: str) -> Path:
    raster(path, np.random.default_rng(3).integers(1, 9000, (len(names), 6, 8)).astype(np.uint16), names=names)
    with rasterio.open(path, "r+") as file:
        file.update_tags(**tags)
    return path


@pytest.mark.parametrize(
    ("pattern", "bands"),
    [
        ("{}.tif", NINE),
        ("{}.tif", tuple(SENTINEL)),
        ("T31TCJ_20200101T105441_{}_20m.tif", NINE),
        ("T31TCJ_20200101T105441_{}.tif", ("B02", "B03", "B04", "B08")),  # a tile's name, which is Sentinel-2's
        ("S2B_OPER_MSI_L1C_TL_SGS__20160504T163055_A004524_T30TXQ_{}.tif", ("B04", "B08", "B11")),
        ("HLS.S30.T17SLU.2020209T155956.v2.0.{}.tif", ("B02", "B03", "B04", "B8A")),
    ],
)
def test_files_of_sentinel_2(tmp_path: Path, pattern: str, bands: tuple[str, ...]) -> None:
    cube = open_cube(folder(tmp_path / "p", pattern, bands))
    expected = [SENTINEL[name] for name in cube.bands.names]
    assert len(expected) == len(bands)
    assert list(zip(cube.bands.centres, cube.bands.fwhm, strict=True)) == expected
    listed = [tmp_path / "p" / pattern.format(band) for band in reversed(bands)]
    turned = open_cube(listed)
    assert turned.bands.centres == tuple(SENTINEL[band][0] for band in reversed(bands))
    assert turned.sensor == cube.sensor == "Sentinel-2"


@pytest.mark.parametrize(
    ("pattern", "bands", "table"),
    [
        ("LC08_L2SP_193023_20220724_20230901_02_T1_SR_{}.TIF", tuple(OLI), OLI),
        ("LC09_L1TP_193023_20220724_20230901_02_T1_{}.TIF", ("B2", "B3", "B4", "B5"), OLI),
        ("LT05_L2SP_193023_19900724_20230901_02_T1_SR_{}.TIF", tuple(TM), TM),
        ("SR_{}.tif", tuple(OLI), OLI),  # of Landsat's bands of surface reflectance, B6 is that of 8 and 9 alone
        ("HLS.L30.T17SLU.2020209T155956.v2.0.{}.tif", ("B02", "B03", "B04"), OLI),
    ],
)
def test_files_of_landsat(tmp_path: Path, pattern: str, bands: tuple[str, ...], table: dict[str, float]) -> None:
    cube = open_cube(folder(tmp_path / "p", pattern, bands))
    assert cube.bands.centres == tuple(table[band.replace("B0", "B")] for band in bands)
    assert len(cube.bands.fwhm) == len(bands)


@pytest.mark.parametrize(
    ("names", "name", "tags", "centres"),
    [
        (("B2", "B3", "B8A"), "export.tif", {}, (492.4, 559.8, 864.7)),
        (("B2", "B3", "B4", "QA60"), "S2A_export.tif", {}, (492.4, 559.8, 664.6)),
        (("B2", "B3"), "export.tif", {"SENSOR": "MSI"}, (492.4, 559.8)),
        (("B2", "B3"), "export.tif", {"SPACECRAFT": "Sentinel-2B"}, (492.4, 559.8)),
        (("B2", "B3"), "LC08_export.tif", {}, (482.04, 561.41)),
        (("SR_B2", "SR_B6"), "export.tif", {}, (482.04, 1608.86)),
        (("SR_B1", "SR_B2"), "LT05_export.tif", {}, (486.0, 571.0)),
    ],
)
def test_descriptions_of_a_raster(
    tmp_path: Path, names: tuple[str, ...], name: str, tags: dict[str, str], centres: tuple[float, ...]
) -> None:
    cube = open_cube(described(tmp_path / name, names, **tags))
    assert cube.bands.centres == centres and len(cube.bands.fwhm) == len(centres)


@pytest.mark.parametrize(
    ("names", "name", "tags"),
    [
        (("B2", "B3", "B4"), "export.tif", {}),  # of Sentinel-2 or of Landsat
        (("B02", "B03", "B04", "B08"), "export.tif", {}),
        (("SR_B1", "SR_B2", "SR_B7"), "export.tif", {}),  # of any Landsat
        (("B2", "B3"), "LC08_and_S2A.tif", {}),  # which of them?
        (("B2", "B13", "B8A"), "export.tif", {}),  # no sensor has these
        (("B2", "NDVI", "B8A"), "S2A.tif", {}),
        (("B2", "B02", "B8A"), "S2A.tif", {}),  # one band twice
        (("sur_refl_b01", "sur_refl_b02"), "MOD09A1.tif", {}),
        (("red", "green"), "S2A.tif", {}),
    ],
)
def test_what_is_not_known_is_not_guessed(
    tmp_path: Path, names: tuple[str, ...], name: str, tags: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cube = open_cube(described(tmp_path / name, names, **tags))
    assert cube.bands.centres == () == cube.bands.fwhm
    if name == "export.tif" and names[0] == "B2":
        assert "wavelengths are not known" in caplog.text


def test_info_tells_the_same_wavelengths(tmp_path: Path) -> None:
    path = described(tmp_path / "S2A_export.tif", ("B2", "B3", "B8A"))
    (part,) = inspect_paths([path])[0].parts
    assert part.cube.bands.centres == open_cube(path).bands.centres != ()


def test_own_wavelengths_count_more_than_names(tmp_path: Path) -> None:
    path = described(tmp_path / "S2A.tif", ("B2", "B8A"))
    with rasterio.open(path, "r+") as file:
        for band, wave in ((1, 500.5), (2, 860.5)):
            file.update_tags(band, wavelength=str(wave), wavelength_units="nm")
    assert open_cube(path).bands.centres == (500.5, 860.5)


def test_dates_of_two_satellites_are_still_one_pair(tmp_path: Path) -> None:
    """Sentinel-2B lies up to 17 nm off -2A; by their names alone both have one table, so that they match."""
    first = folder(tmp_path / "1", "T31TCJ_20200101T105441_{}.tif", NINE)
    second = folder(tmp_path / "2", "S2B_T31TCJ_20210101T105441_{}.tif", NINE)
    one(second / "S2B_T31TCJ_20210101T105441_B02.tif", seed=99)
    pair = hc.open_pair(first, second)
    assert pair.bands.count == 9 and pair.t1.bands.centres == pair.t2.bands.centres
    assert pair.grid.transform == PLACE
