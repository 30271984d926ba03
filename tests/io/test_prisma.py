"""PRISMA: levels that lie in the swath, and an L2D image that is not the way its file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import deliveries
import h5py
import numpy as np
import pytest

from hsi_cd.errors import FormatError
from hsi_cd.io import open_cube

SWATH = "HDFEOS/SWATHS/PRS_L2D_HCO"
PLACES = tuple(f"{SWATH}/Geolocation Fields/{word}itude" for word in ("Lat", "Long"))
IMAGES = tuple(
    f"{SWATH}/Data Fields/{name}_{what}" for name in ("VNIR", "SWIR") for what in ("Cube", "PIXEL_L2_ERR_MATRIX")
)


def another(folder: Path) -> Path:
    """The same file once more: one that is open cannot be changed."""
    (folder / "whole").mkdir()
    return deliveries.prisma(folder / "whole", 1)


def rewritten(file: h5py.File, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    values = change(file[name][...])
    del file[name]
    file[name] = values


LINES = {
    "1": "PRISMA L1, radiance at the top of the atmosphere",
    "2B": "PRISMA L2B, radiance at the ground",
    "2C": "PRISMA L2C, surface reflectance",
}


@pytest.mark.parametrize("level", list(LINES))
@pytest.mark.parametrize("camera", ["HCO", "HRC"])
def test_each_level_of_the_swath_has_its_line(tmp_path: Path, level: str, camera: str) -> None:
    path = deliveries.prisma(tmp_path, 1).rename(tmp_path / "a.h5")  # the name tells nothing
    with h5py.File(path, "r+") as file:
        file.move(SWATH, f"HDFEOS/SWATHS/PRS_L{level}_{camera}")
    with pytest.raises(FormatError, match=f"is {LINES[level]} in the geometry of the swath.*same image as L2D"):
        open_cube(path)


def flipped(file: h5py.File) -> None:
    for name in PLACES:
        rewritten(file, name, lambda values: values[::-1])


def mirrored(file: h5py.File) -> None:
    for name in PLACES:
        rewritten(file, name, lambda values: values[:, ::-1])


def turned(file: h5py.File) -> None:
    """Columns first, in everything that has rows and columns."""
    for name in (*PLACES, f"{SWATH}/Geometric Fields/Solar_Zenith_Angle"):
        rewritten(file, name, np.transpose)
    for name in IMAGES:
        rewritten(file, name, lambda values: values.transpose(2, 1, 0))


def places_turned(file: h5py.File) -> None:
    for name in PLACES:
        rewritten(file, name, np.transpose)


def bands_first(file: h5py.File) -> None:
    for name in IMAGES:
        rewritten(file, name, lambda values: values.transpose(1, 0, 2))


def of_another_zone(file: h5py.File) -> None:
    file.attrs["Epsg_Code"] = np.int32(32634)


def of_the_south(file: h5py.File) -> None:
    file.attrs["Epsg_Code"] = np.int32(32733)


def moved(file: h5py.File) -> None:
    for corner in ("UL", "UR", "LL", "LR"):
        file.attrs[f"Product_{corner}corner_easting"] += 300.0


REFUSED: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "flipped": (flipped, "mirrored or turned"),
    "mirrored": (mirrored, "mirrored or turned"),
    "turned": (turned, "corners give pixels of"),
    "places turned": (places_turned, "Latitude has 48 x 36 values, but the image 36 x 48"),
    "bands first": (bands_first, r"expected 36 x 66 x 48 \(row, band, col\)"),
    "another zone": (of_another_zone, "pixels off the grid"),
    "the south": (of_the_south, "pixels off the grid"),
    "moved": (moved, "lie 10 pixels off the grid"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_an_image_that_is_not_as_its_corners_say_is_refused(tmp_path: Path, name: str) -> None:
    spoil, said = REFUSED[name]
    path = deliveries.prisma(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(FormatError, match=said) as refused:
        open_cube(path)
    assert "\n" not in str(refused.value)


def test_a_code_that_is_none_says_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = deliveries.prisma(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        file.attrs["Epsg_Code"] = np.int32(99999999)
    with pytest.raises(FormatError, match="Epsg_Code 1e\\+08 is no CRS") as refused:
        open_cube(path)
    assert "\n" not in str(refused.value) and capfd.readouterr() == ("", "")  # nothing of PROJ's own


def unknown_in_padding(file: h5py.File) -> None:
    for name in PLACES:
        rewritten(file, name, lambda values: np.where(deliveries.padding(), 0, values))


def without_places(file: h5py.File) -> None:
    del file[f"{SWATH}/Geolocation Fields"]


def without_values(file: h5py.File) -> None:
    for name in PLACES:
        rewritten(file, name, lambda values: np.full_like(values, -999))


@pytest.mark.parametrize("change", [unknown_in_padding, without_places, without_values])
def test_places_that_are_not_told_refuse_nothing(tmp_path: Path, change: Callable[[h5py.File], None]) -> None:
    path = deliveries.prisma(tmp_path, 1)
    whole = open_cube(another(tmp_path))
    with h5py.File(path, "r+") as file:
        change(file)
    cube = open_cube(path)
    assert cube.grid == whole.grid
    np.testing.assert_array_equal(cube.read(), whole.read())


def ascending(file: h5py.File, name: str) -> None:
    for word in ("List_Cw_{}", "List_Fwhm_{}", "List_Cw_{}_Flags"):
        file.attrs[word.format(name)] = file.attrs[word.format(name)][::-1]
    for what in ("Cube", "PIXEL_L2_ERR_MATRIX"):
        rewritten(file, f"{SWATH}/Data Fields/{name.upper()}_{what}", lambda values: values[:, ::-1])


@pytest.mark.parametrize("names", [("Vnir",), ("Swir",), ("Vnir", "Swir")])
def test_detectors_in_any_order_are_one_spectrum(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = deliveries.prisma(tmp_path, 1)
    whole = open_cube(another(tmp_path))
    with h5py.File(path, "r+") as file:
        for name in names:
            ascending(file, name)
    cube = open_cube(path)
    assert cube.bands == whole.bands
    np.testing.assert_array_equal(cube.read(), whole.read())
