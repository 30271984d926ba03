"""Products whose parts contradict each other, leave out what need not be there, or are named in other ways."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import airborne_deliveries
import deliveries
import emit_granules
import h5py
import independent_readers as independent
import numpy as np
import pytest

from hsi_cd.errors import FormatError
from hsi_cd.io import open_cube

TANAGER = "HDFEOS/GRIDS/HYP/Data Fields/surface_reflectance"
PRISMA = "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields"


def emit(folder: Path, date: int) -> Path:
    ground = deliveries.ground(emit_granules.WAVES, date).astype(np.float32)
    return emit_granules.granule(folder / "EMIT_L2A_RFL_001_20230820T161428_1_010.nc", ground, "2023-08-20")


def refused(path: Path, words: str) -> None:
    with pytest.raises(FormatError, match=words) as told:
        open_cube(path).read()
    assert "\n" not in str(told.value)


def turned_round(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][...] = file[name][...][::-1]

    return change


def turned_round_attribute(file: h5py.File) -> None:
    told = file[TANAGER].attrs
    told["wavelengths"] = told["wavelengths"][::-1].copy()


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (deliveries.tanager, turned_round_attribute),
        (airborne_deliveries.aviris, turned_round("reflectance/wavelength")),
        (airborne_deliveries.neon, turned_round("SJER/Reflectance/Metadata/Spectral_Data/Wavelength")),
        (emit, turned_round("sensor_band_parameters/wavelengths")),
    ],
    ids=["tanager", "aviris", "neon", "emit"],
)
def test_wavelengths_that_are_turned_round_are_refused(
    tmp_path: Path, make: Callable[..., Path], change: Callable[[h5py.File], None]
) -> None:
    path = make(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        change(file)
    refused(path, "the wavelengths do not ascend, as this product's do: band 1 is at ")


def test_flags_of_emit_that_are_no_flags_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "EMIT_L2A_RFL_001_20230820T161428_1_010.nc"
    ground = deliveries.ground(emit_granules.WAVES, 1).astype(np.float32)
    cloud = deliveries.plane(deliveries.CLOUD)[0] != 0
    emit_granules.granule(path, ground, "2023-08-20", cloud=cloud)
    with h5py.File(tmp_path / path.name.replace("_RFL_", "_MASK_"), "r+") as file:
        file["mask"][4, 5, 0] = np.nan
    cloud_mask = next(mask for mask in open_cube(path).product.masks if mask.name == "cloud")
    with pytest.raises(FormatError, match="a flag of mask is nan: expected 0 or 1"):
        cloud_mask.reader(slice(0, 4), slice(0, 4))


def test_a_detector_of_enmap_that_begins_in_the_other_is_refused(tmp_path: Path) -> None:
    folder = deliveries.enmap(tmp_path, 1)
    metadata = next(folder.glob("*METADATA.XML"))
    metadata.write_text(metadata.read_text().replace("VNIRBands>91<", "VNIRBands>100<"))
    refused(folder, "wavelengths of VNIR do not ascend.*band 91 is at 993.083 nm, band 92 is at 902.257 nm")


def test_a_place_of_aviris_that_contradicts_its_coordinates_is_refused(tmp_path: Path) -> None:
    path = airborne_deliveries.aviris(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        told = file["transverse_mercator"].attrs
        numbers = str(told["GeoTransform"]).split()
        told["GeoTransform"] = " ".join([str(float(numbers[0]) + 3 * float(numbers[1])), *numbers[1:]])
        assert "easting" in file
    refused(path, "easting has .* contradicts its transform")


def test_desis_by_its_header_alone(tmp_path: Path) -> None:
    folder = deliveries.desis(tmp_path, 1)
    whole = independent.READERS["desis"](folder)
    lists = {
        "wavelength": whole.waves, "fwhm": whole.fwhm,
        "data gain values": np.full(235, 1e-4), "data offset values": np.full(235, 0.001),
    }  # fmt: skip
    text = "".join(f"{word} = {{\n{', '.join(f'{v:.6g}' for v in values)}}}\n" for word, values in lists.items())
    metadata = next(folder.glob("*METADATA.xml"))
    next(folder.glob("*IMAGE.tif")).with_suffix(".hdr").write_text(f"ENVI\nsamples = 9\n{text}")
    metadata.unlink()
    cube = open_cube(folder)
    np.testing.assert_array_equal(cube.read(), whole.values)
    np.testing.assert_allclose(cube.bands.centres, whole.waves, atol=0.01)


def test_bands_of_desis_with_one_number_are_refused(tmp_path: Path) -> None:
    folder = deliveries.desis(tmp_path, 1)
    metadata = next(folder.glob("*METADATA.xml"))
    metadata.write_text(re.sub("<bandNumber>7<", "<bandNumber>8<", metadata.read_text()))
    refused(folder, "does not number its 235 bands from 1 to 235")


def test_a_quality_file_of_desis_with_few_planes_is_no_mask(tmp_path: Path) -> None:
    folder = deliveries.desis(tmp_path, 1)
    quality = next(folder.glob("*QL_QUALITY-2.tif"))
    deliveries.raster(quality, deliveries.plane())
    cloud = next(mask for mask in open_cube(folder).product.masks if mask.name == "cloud")
    assert "with 8 planes or more, not 1" in cloud.missing


def test_prisma_without_its_error_matrix_is_read_and_told(tmp_path: Path) -> None:
    path = deliveries.prisma(tmp_path, 1)
    whole = open_cube(path).read()
    with h5py.File(path, "r+") as file:
        for name in ("VNIR", "SWIR"):
            del file[f"{PRISMA}/{name}_PIXEL_L2_ERR_MATRIX"]
    cube = open_cube(path)
    values = cube.read()
    np.testing.assert_array_equal(values[~np.isnan(whole)], whole[~np.isnan(whole)])
    assert np.isfinite(values).sum() == np.isfinite(whole).sum() + 2  # the flaw that each detector had
    assert any("no error matrix" in told for told in cube.product.told)


def test_prisma_of_floats_is_refused(tmp_path: Path) -> None:
    path = deliveries.prisma(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        values = file[f"{PRISMA}/SWIR_Cube"][...]
        del file[f"{PRISMA}/SWIR_Cube"]
        file[f"{PRISMA}/SWIR_Cube"] = values / np.float32(65535)
    refused(path, "SWIR_Cube holds floats: expected whole numbers")


def test_radiance_of_tanager_need_not_say_which_bands_are_good(tmp_path: Path) -> None:
    path = deliveries.tanager(tmp_path, 1)
    with h5py.File(path, "r+") as file:
        file.move(TANAGER, TANAGER.replace("surface_reflectance", "toa_radiance"))
        del file[TANAGER.replace("surface_reflectance", "toa_radiance")].attrs["good_wavelengths"]
    cube = open_cube(path)
    assert cube.bands.count == 426 and cube.product.quantity == "radiance"


def test_landsat_without_its_metadata_is_refused_and_the_remedy_works(tmp_path: Path) -> None:
    folder = deliveries.landsat(tmp_path, 1)
    metadata = next(folder.glob("*_MTL.txt"))
    for spoil in (lambda: metadata.write_bytes(b""), metadata.unlink):
        spoil()
        refused(folder, "_MTL.txt is missing or empty, which tells the scale")
    bands = sorted(folder.glob("*_SR_B?.TIF"))
    assert open_cube(bands).bands.count == len(bands)


def test_wavelengths_of_a_flight_line_that_are_turned_round_are_refused(tmp_path: Path) -> None:
    path = airborne_deliveries.aviris_envi(tmp_path, 1)
    header = next(tmp_path.rglob("*.hdr"))
    text = header.read_text()
    listed = re.search(r"(?<=\nwavelength = \{)[^}]*", text)
    assert listed is not None
    header.write_text(text.replace(listed[0], ", ".join(reversed(listed[0].split(", ")))))
    refused(path, "its wavelengths step back 283 times, as those of no AVIRIS-3 image do")


def test_a_place_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = airborne_deliveries.aviris_envi(tmp_path, 1)
    header = next(tmp_path.rglob("*.hdr"))
    text = header.read_text()
    for change in (r"(map info = \{\s*UTM\s*,\s*1[^,]*,\s*1[^,]*,)[^,]*", r"(rotation\s*=\s*)[-\d.]+"):
        header.write_text(re.sub(change, r"\1nan", text))
        assert header.read_text() != text
        refused(path, "which is no place: expected finite numbers")


def test_a_folder_in_an_archive_is_its_product(tmp_path: Path) -> None:
    folders = [deliveries.landsat(tmp_path, date) for date in (1, 2)]
    archive = tmp_path / "a?b #1.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for folder in folders:
            for path in folder.iterdir():
                packed.write(path, f"in/{folder.name}/{path.name}")
    for folder in folders:
        cube = open_cube(f"/vsizip/{archive}/in/{folder.name}")
        np.testing.assert_array_equal(cube.read(), open_cube(folder).read())
    with pytest.raises(
        FormatError, match=re.escape("a?b #1.zip}/in/lan does not exist: the archive holds no such")
    ):
        open_cube(f"/vsizip/{archive}/in/lan")
