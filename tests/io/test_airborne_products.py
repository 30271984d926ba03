"""Layouts in which NEON and AVIRIS deliver, beside those that every product is tested with."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import airborne_deliveries as airborne
import h5py
import independent_readers as independent
import numpy as np
import pytest

import hsi_cd as hc
from hsi_cd.errors import FormatError
from hsi_cd.io import open_cube
from hsi_cd.io.products import find_product

TOP = "SJER/Reflectance"
IMAGE, ABOUT = f"{TOP}/Reflectance_Data", f"{TOP}/Metadata"
PLACE = f"{ABOUT}/Coordinate_System"


def is_as_read(path: Path, reader: Callable[[Path], Any]) -> Any:
    """What the package reads is what an independent reader reads; gives the cube."""
    cube, other = open_cube(path), reader(path)
    np.testing.assert_array_equal(cube.read(), other.values)
    np.testing.assert_allclose(cube.bands.centres, other.waves, atol=0.01)
    np.testing.assert_allclose(cube.bands.fwhm, other.fwhm, atol=0.01)
    assert cube.grid.crs.to_epsg() == other.epsg
    pixel = np.hypot(other.place.a, other.place.d)
    np.testing.assert_allclose(list(cube.grid.transform)[:6], list(other.place)[:6], atol=1e-6 * pixel)
    return cube


# --- NEON ---


def put(file: h5py.File, name: str, value: Any) -> None:
    if name in file:
        del file[name]
    if value is not None:
        file[name] = value


def in_micrometres(file: h5py.File) -> None:
    waves = file[f"{ABOUT}/Spectral_Data/Wavelength"][...] / 1000
    put(file, f"{ABOUT}/Spectral_Data/Wavelength", waves.astype(np.float64))
    file[f"{ABOUT}/Spectral_Data/Wavelength"].attrs["Units"] = "micrometers"


def by_its_zone(file: h5py.File) -> None:
    put(file, f"{PLACE}/EPSG Code", None)


def by_its_text(file: h5py.File) -> None:
    put(file, f"{PLACE}/EPSG Code", b"")
    put(file, f"{PLACE}/Proj4", b"+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs")
    put(file, f"{PLACE}/Map_Info", file[f"{PLACE}/Map_Info"][()].replace(b"WGS-84", b"North America 1983"))


def of_another_pixel(file: h5py.File) -> None:
    told = "UTM, 2, 3, 300030, 5809940, 30.0, 30.0, 33, North, WGS-84, units=Meters, rotation=-0.0000"
    put(file, f"{PLACE}/Map_Info", told.encode())


def with_arrays_of_one(file: h5py.File) -> None:
    file[IMAGE].attrs["Scale_Factor"] = np.array([10000], dtype=np.int32)
    put(file, f"{PLACE}/EPSG Code", np.array([32633]))
    put(file, f"{PLACE}/Map_Info", np.array([file[f"{PLACE}/Map_Info"][()]]))


def with_what_readers_use_alone(file: h5py.File) -> None:
    for name in ("Spatial_Extent_meters", "Interleave", "Data_Ignore_Value"):
        del file[IMAGE].attrs[name]
    for name in ("Ancillary_Imagery", "Logs"):
        put(file, f"{ABOUT}/{name}", None)


SAME = (
    in_micrometres,
    by_its_zone,
    by_its_text,
    of_another_pixel,
    with_arrays_of_one,
    with_what_readers_use_alone,
)


@pytest.mark.parametrize("change", SAME)
@pytest.mark.quick("in_micrometres", "by_its_text", "with_what_readers_use_alone")
def test_neon_told_in_other_ways_is_the_same(tmp_path: Path, change: Callable[[h5py.File], None]) -> None:
    path = airborne.neon(tmp_path, 1)
    whole, grid, bands = open_cube(path).read(), open_cube(path).grid, open_cube(path).bands
    with h5py.File(path, "r+") as file:
        change(file)
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.read(), whole)
    assert cube.grid == grid
    np.testing.assert_allclose(cube.bands.centres, bands.centres, atol=0.001)
    assert cube.bands.fwhm == bands.fwhm


def test_neon_bad_windows_masks_and_times(tmp_path: Path) -> None:
    path = airborne.neon(tmp_path, 1)
    cube = open_cube(path)
    (told,) = cube.product.told
    bad = [w for w in airborne.NEON_WAVES if 1340 <= w <= 1445 or 1790 <= w <= 1955]
    assert cube.bands.count == 426 - len(bad) and not set(cube.bands.centres) & {round(float(w), 6) for w in bad}
    ranges = [list(map(int, part.split("-"))) for part in re.findall(r"\d+-\d+", told)]
    assert sum(last - first + 1 for first, last in ranges) == len(bad) and "windows of water vapour" in told
    assert {mask.name: mask.hides for mask in cube.product.masks} == {
        "cloud": True, "shadow": True, "cirrus": True, "haze": True, "snow": True, "water": False
    }  # fmt: skip
    codes = {"cloud": 16, "shadow": 22, "cirrus": 18, "haze": 12, "snow": 7, "water": 17}
    layer = f"{ABOUT}/Ancillary_Imagery/Haze_Cloud_Water_Map"
    with h5py.File(path, "r+") as file:
        for at, code in enumerate(codes.values()):
            file[layer][at] = code
    for at, name in enumerate(codes):
        found = np.stack([m.reader(slice(0, 6), slice(0, 9)) for m in cube.product.masks if m.name == name])
        assert found.any(axis=(0, 2)).nonzero()[0].tolist() == [at]
    assert cube.acquired == "2022-07-24T18:15:56"
    tile = path.with_name("NEON_D17_SJER_DP3_257000_4112000_bidirectional_reflectance.h5")
    path.rename(tile)
    with h5py.File(tile, "r+") as file:
        del file[TOP].attrs["Band_Window_1_Nanometers"], file[TOP].attrs["Band_Window_2_Nanometers"]
        file[f"{ABOUT}/Logs/L004-1_20220623/Solar_Zenith_Angle"] = 30.0
    cube = open_cube(tile)
    assert cube.bands.count == 426 and cube.acquired == "2022-06-23"  # the first of its flights
    assert cube.product.title == "NEON bidirectional reflectance" and cube.product.told == ()
    assert open_cube(tmp_path).product.title == cube.product.title  # its folder


def of_bands_first(file: h5py.File) -> None:
    told = dict(file[IMAGE].attrs)
    put(file, IMAGE, np.moveaxis(file[IMAGE][...], 2, 0))
    file[IMAGE].attrs.update(told)


def of_columns_first(file: h5py.File) -> None:
    told = dict(file[IMAGE].attrs)
    put(file, IMAGE, file[IMAGE][...].transpose(1, 0, 2))
    file[IMAGE].attrs.update(told)


def turned(file: h5py.File) -> None:
    told = file[f"{PLACE}/Map_Info"][()].replace(b"units=Meters, 0", b"units=Meters, rotation=12.5")
    put(file, f"{PLACE}/Map_Info", told)


def of_two_sites(file: h5py.File) -> None:
    file.copy("SJER", "SOAP")


def attribute(name: str, value: Any, of: str = IMAGE) -> Callable[[h5py.File], None]:
    return lambda file: file[of].attrs.__setitem__(name, value)


def array(name: str, value: Any) -> Callable[[h5py.File], None]:
    return lambda file: put(file, name, value)


def spoilt_waves(file: h5py.File) -> None:
    file[f"{ABOUT}/Spectral_Data/Wavelength"][7] = np.nan


REFUSED: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "bands first": (of_bands_first, r"has 48 bands \(row, column, band\) but 426 wavelengths"),
    "columns first": (of_columns_first, "Spatial_Extent_meters is"),
    "rotated": (turned, "a rotation of 12.5"),
    "two sites": (of_two_sites, "the reflectance of 2 sites"),
    "no scale": (attribute("Scale_Factor", 0.0), "Scale_Factor of .* is 0: expected a positive number"),
    "scale of NaN": (attribute("Scale_Factor", np.nan), "Scale_Factor is nan: expected a finite number"),
    "scale of another kind": (attribute("Scale_Factor", 1.0), "the scale of band 1 is 1: expected"),
    "wavelength of NaN": (spoilt_waves, "wavelength 8 is nan"),
    "window of text": (attribute("Band_Window_1_Nanometers", "x", TOP), "expected numbers"),
    "window turned": (attribute("Band_Window_1_Nanometers", [1445, 1340], TOP), "expected two wavelengths"),
    "another zone": (array(f"{PLACE}/EPSG Code", b"32634"), "CRS is EPSG:32634, but its Map_Info says EPSG:32633"),
    "no map info": (array(f"{PLACE}/Map_Info", None), "has no text .*Map_Info"),
    "map info of text": (array(f"{PLACE}/Map_Info", b"UTM, x"), "expected a pixel, its place and its size"),
    "mask of another size": (array(f"{ABOUT}/Ancillary_Imagery/Haze_Cloud_Water_Map", np.ones((3, 4))), "3 x 4"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_neon_that_contradicts_itself_is_refused(tmp_path: Path, name: str) -> None:
    spoil, said = REFUSED[name]
    path = airborne.neon(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(FormatError, match=said) as refused:
        open_cube(path).read()
    assert "\n" not in str(refused.value)


def test_neon_without_a_map_projection_is_refused(tmp_path: Path) -> None:
    path = airborne.neon(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        put(file, f"{PLACE}/EPSG Code", None)
        put(file, f"{PLACE}/Map_Info", file[f"{PLACE}/Map_Info"][()].replace(b"WGS-84", b"NAD27"))
    with pytest.raises(FormatError, match="tells a map projection that is understood"):
        open_cube(path)


def test_neon_radiance_and_a_folder_of_tiles_are_refused(tmp_path: Path) -> None:
    for date in (1, 2):
        airborne.neon(tmp_path, date)
    with pytest.raises(FormatError, match=r"holds 2 NEON files \(NEON.*name one of them"):
        open_cube(tmp_path)
    path = tmp_path / "NEON_D17_SJER_DP1_20200607_L001-1_radiance.h5"
    with h5py.File(path, "w") as file:
        file["SJER/Radiance/RadianceIntegerPart"] = np.ones((4, 5, 6), dtype=np.uint8)
        file["SJER/Radiance/RadianceDecimalPart"] = np.ones((4, 5, 6), dtype=np.uint16)
        file["SJER/Radiance/Metadata/Spectral_Data/Wavelength"] = np.arange(6.0)
    with pytest.raises(FormatError, match=r"NEON radiance at the sensor: order .* as surface reflectance"):
        open_cube(path)


def test_a_key_reads_the_array_as_it_stands(tmp_path: Path) -> None:
    path = airborne.neon(tmp_path, 1)
    cube = open_cube(path, key=IMAGE, axes=("rows", "cols", "bands"))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(cube.read(), file[IMAGE][...].transpose(2, 0, 1))


# --- AVIRIS ---


def test_floats_that_no_sensor_measures_hold_nothing(tmp_path: Path) -> None:
    """As one flipped bit of the exponent makes them: they would decide every statistic of the scene."""
    path = airborne.aviris_classic_reflectance(tmp_path, 1, whole=False)
    whole = open_cube(path).read()
    content = np.fromfile(path, ">f4")
    shape = (whole.shape[1], whole.shape[2], 224)
    wrong = {(20, 9): 3e38, (20, 10): -2e4, (20, 11): np.inf}
    for place, value in wrong.items():
        content.reshape(shape)[(*place, 0)] = value
    content.tofile(path)
    found = open_cube(path).read()
    assert np.isnan(found[0, 20, 9:12]).all()
    whole[0, 20, 9:12] = np.nan
    np.testing.assert_array_equal(found, whole)


# --- AVIRIS Classic ---


def test_classic_radiance_by_any_of_its_names(tmp_path: Path) -> None:
    folder = airborne.aviris_classic(tmp_path, 1)
    cube = is_as_read(folder, independent.aviris_classic)
    assert cube.product.quantity == "radiance (uW/cm2/nm/sr)" and cube.acquired == "2022-07-24"
    assert "bands of spectrometer 1 at" in cube.product.told[0]
    (image,) = folder.glob("*_ort_img")
    for path in (image, Path(f"{image}.hdr")):
        np.testing.assert_array_equal(open_cube(path).read(), cube.read())
    # The table of places beside it is no image of 224 bands, and is read as what it is.
    assert find_product(next(folder.glob("*_ort_glt"))) is None


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.quick("True")
def test_classic_reflectance(tmp_path: Path, whole: bool) -> None:
    first, second = (airborne.aviris_classic_reflectance(tmp_path, date, whole=whole) for date in (1, 2))
    cube = is_as_read(first, independent.aviris_classic)
    assert cube.product.title == "AVIRIS Classic reflectance" and cube.product.quantity == "reflectance"
    assert hc.open_pair(first, second).bands.count == cube.bands.count
    with pytest.raises(FormatError, match="holds 2 AVIRIS Classic images"):
        open_cube(tmp_path)


def test_classic_radiance_beside_reflectance_is_refused(tmp_path: Path) -> None:
    radiance = airborne.aviris_classic(tmp_path, 1)
    reflectance = airborne.aviris_classic_reflectance(tmp_path, 2, whole=False)
    with pytest.raises(FormatError, match=r"Classic radiance in radiance .* order both dates of one level"):
        hc.open_pair(radiance, reflectance)


def test_radiance_of_the_next_generation_is_no_reflectance(tmp_path: Path) -> None:
    path = airborne.aviris_envi(tmp_path, 1)
    radiance = path.with_name("ang20220724t193259_rdn_v1_img")
    path.with_suffix(".hdr").rename(radiance.with_suffix(".hdr"))
    path.rename(radiance)
    cube = open_cube(radiance)
    assert cube.product.title == "AVIRIS-NG radiance" and cube.product.quantity == "radiance (uW/cm2/nm/sr)"
    with pytest.raises(FormatError, match="order both dates of one level"):
        hc.open_pair(radiance, airborne.aviris_envi(tmp_path, 2))


GAINS = {
    "NaN": (lambda text: text.replace("300.0000", "nan", 1), "expected a positive factor"),
    "zero": (lambda text: text.replace("600.0000", "0", 1), "expected a positive factor"),
    "text": (lambda _: "x y\n", "expected a positive factor"),
    "cut off": (lambda text: text[:900], "expected|tells \\d+ gains"),
    "a line lost": (lambda text: text.split("\n", 1)[1], "the number of band 1"),
    "empty": (lambda _: "", "tells 0 gains: expected 224"),
}


@pytest.mark.parametrize("name", list(GAINS))
@pytest.mark.quick("zero", "a line lost")
def test_gains_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    change, said = GAINS[name]
    folder = airborne.aviris_classic(tmp_path, 1)
    (gain,) = folder.glob("*.gain")
    gain.write_text(change(gain.read_text()))
    with pytest.raises(FormatError, match=said):
        open_cube(folder)


def test_what_classic_lacks_is_named(tmp_path: Path) -> None:
    folder = airborne.aviris_classic(tmp_path, 1)
    next(folder.glob("*.gain")).unlink()
    with pytest.raises(FormatError, match=r"f220724t01p00r11rdn_e\.gain is missing"):
        open_cube(folder)
    path = airborne.aviris_classic_reflectance(tmp_path, 1, whole=True)
    header = Path(f"{path}.hdr")
    text = header.read_text()
    header.write_text(text.replace("reflectance scale factor", "what factor"))
    with pytest.raises(FormatError, match="lacks the reflectance scale factor"):
        open_cube(path)
    header.write_text(re.sub("map info.*\n", "", text))
    with pytest.raises(FormatError, match=r"tells no map info .* take the orthorectified file"):
        open_cube(path)
