"""Products as their archives deliver them, against readers that share nothing with the package."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import deliveries
import h5py
import independent_readers as independent
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

import hsi_cd as hc
from hsi_cd.errors import FormatError, GridError, HsiCdError
from hsi_cd.io import open_cube
from hsi_cd.io.products import PRODUCTS, find_product

NAMES = list(deliveries.MAKERS)
HDF5 = (".h5", ".he5", ".nc")
FOLDERS = ("enmap", "desis", "hyperion", "sentinel2", "landsat")


class Made:
    """Miniatures that are made when a test first asks for them; nobody writes there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, int], Path] = {}

    def __call__(self, name: str, date: int = 1) -> Path:
        if (name, date) not in self._known:
            folder = self._folder / name
            folder.mkdir(exist_ok=True)
            self._known[name, date] = deliveries.MAKERS[name](folder, date)
        return self._known[name, date]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("products"))


def as_read(path: Path, name: str) -> None:
    """What the package reads is what an independent reader reads."""
    cube, other = open_cube(path), independent.READERS[name](path)
    np.testing.assert_array_equal(cube.read(), other.values)  # to the last bit, NaN where it is
    np.testing.assert_allclose(cube.bands.centres, other.waves, atol=0.01)
    assert list(cube.bands.centres) == sorted(cube.bands.centres)
    if other.fwhm is not None:
        np.testing.assert_allclose(cube.bands.fwhm, other.fwhm, atol=0.01)
    assert cube.grid.crs.to_epsg() == other.epsg
    pixel = np.hypot(other.place.a, other.place.d)
    np.testing.assert_allclose(list(cube.grid.transform)[:6], list(other.place)[:6], atol=1e-6 * pixel)
    assert cube.product is not None and cube.acquired[:4] in ("2020", "2021", "2022", "2023", "2024", "2025")


@pytest.mark.quick("1-[!h]*", "2-prisma", "2-sentinel2")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("date", [1, 2])
def test_a_product_is_read_as_its_makers_say(made: Made, name: str, date: int) -> None:
    as_read(made(name, date), name)


@pytest.mark.quick("prisma-*")
@pytest.mark.parametrize(
    ("name", "pattern"), [("enmap", "enmap_*"), ("prisma", "PRS_L2D*.he5"), ("tanager", "*ortho_sr_hdf5.h5")]
)
def test_the_shared_miniatures(shared: Path, name: str, pattern: str) -> None:
    found = sorted((shared / "products").glob(pattern))
    if not found:
        pytest.skip("no miniatures of products in ../shared")
    for path in found:
        as_read(path, name)


def test_every_product_has_a_miniature() -> None:
    assert set(PRODUCTS) - {"emit"} == {name.removesuffix("_envi") for name in NAMES}


@pytest.mark.quick("landsat", "sentinel2")
@pytest.mark.parametrize("name", FOLDERS)
def test_folder_archive_and_metadata_are_one_product(made: Made, tmp_path: Path, name: str) -> None:
    folder = deliveries.copied(made(name), tmp_path)
    whole = open_cube(folder).read(slice(10, 14))
    archive = deliveries.zipped(folder)
    np.testing.assert_array_equal(open_cube(archive).read(slice(10, 14)), whole)
    for prefix in ("", "./", f"{folder.name}/"):
        packed = open_cube(deliveries.tarred(folder, prefix))
        np.testing.assert_array_equal(packed.read(slice(10, 14)), whole)
    metadata = next(f for f in folder.iterdir() if "METADATA" in f.name or "MTD_" in f.name or "_MTL" in f.name)
    cube = open_cube(metadata)
    np.testing.assert_array_equal(cube.read(slice(10, 14)), whole)
    assert find_product(metadata).place == find_product(folder).place


def test_a_truncated_tar_is_refused(made: Made, tmp_path: Path) -> None:
    archive = deliveries.tarred(deliveries.copied(made("landsat"), tmp_path))
    whole = archive.read_bytes().rstrip(b"\0")
    for share in (0.05, 0.3, 0.6, 0.9, 0.98):
        archive = tmp_path / f"{share}.tar"
        archive.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(FormatError) as refused:
            open_cube(archive).read()
        assert str(archive) in str(refused.value) and "\n" not in str(refused.value)


def test_a_tar_of_no_product_is_refused_and_its_remedy_works(made: Made, tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    folder = tmp_path / "some"
    folder.mkdir()
    with rasterio.open(folder / "a.tif", "w", driver="GTiff", count=3, height=4, width=5, dtype="float32",
                       crs="EPSG:32633", transform=rasterio.Affine(30, 0, 4e5, 0, -30, 58e5)) as file:  # fmt: skip
        file.write(values)
    with pytest.raises(FormatError, match="a tar archive of no product that is known") as refused:
        open_cube(deliveries.tarred(folder))
    named = str(refused.value).rpartition(", as ")[2].replace("NAME", "a.tif")
    np.testing.assert_array_equal(open_cube(named).read(), values)


@pytest.mark.parametrize("name", ["enmap", "desis"])
def test_any_file_of_it_is_the_product(made: Made, name: str) -> None:
    for path in made(name).iterdir():
        found = find_product(path)
        assert found is not None and found.place == find_product(made(name)).place, path


def test_a_name_alone_is_no_product(made: Made, tmp_path: Path) -> None:
    values = np.ones((3, 4, 5), dtype=np.float32)
    for name in ("PRS_L2D_STD_1.he5", "20250514_ortho_sr_hdf5.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["cube"] = values
        assert find_product(tmp_path / name) is None
    renamed = tmp_path / "x.h5"
    renamed.write_bytes(made("prisma").read_bytes())
    assert find_product(renamed).reader.title == "PRISMA L2D"


@pytest.mark.quick("prisma")
@settings(max_examples=8)
@given(row=st.integers(0, 30), col=st.integers(0, 40), high=st.integers(1, 6), wide=st.integers(1, 8))
@pytest.mark.parametrize("name", ["enmap", "prisma", "sentinel2"])
def test_a_window_is_part_of_the_whole(made: Made, name: str, row: int, col: int, high: int, wide: int) -> None:
    cube = pickle.loads(pickle.dumps(open_cube(made(name))))  # noqa: S301 - its own
    rows, cols = slice(row, row + high), slice(col, col + wide)
    np.testing.assert_array_equal(cube.read(rows, cols), cube.read()[:, rows, cols])


# --- Masks ---


def hidden(cube: Any) -> np.ndarray:
    return np.isnan(cube.read()).all(axis=0)


@pytest.mark.quick("landsat")
@pytest.mark.parametrize("name", ["enmap", "tanager", "desis", "neon", "sentinel2", "landsat"])
def test_what_a_product_marks_is_left_out(made: Made, name: str, caplog: pytest.LogCaptureFixture) -> None:
    cloud = deliveries.plane(deliveries.CLOUD)[0] != 0
    if name == "sentinel2":  # marked in pixels of 20 m
        assert cloud.reshape(18, 2, 24, 2).any(axis=(1, 3)).sum() * 4 == cloud.sum()
    gaps = hidden(open_cube(made(name)))
    pair = hc.open_pair(made(name), made(name, 2))
    assert "1.39 % of its pixels are left out by its masks (cloud 1.39 %)" in caplog.text and pair.mask == "auto"
    for cube in (pair.t1, pair.t2):
        np.testing.assert_array_equal(hidden(cube), hidden(open_cube(made(name))) | cloud)
    for mask, expected in (("none", gaps), ("cloud", gaps | cloud), ("cirrus", gaps)):
        if mask == "cirrus" and name == "desis":
            continue
        np.testing.assert_array_equal(hidden(hc.open_pair(made(name), made(name, 2), mask=mask).t1), expected)


def test_a_mask_of_the_users_own(made: Made, tmp_path: Path) -> None:
    gaps = hidden(open_cube(made("wyvern")))
    values = deliveries.plane(np.s_[3:9, 20:30], value=7)
    path = deliveries.raster(tmp_path / "mask.tif", values)
    covered = gaps | (values[0] != 0)
    for mask in (path, str(path), values[0], [values[0] > 100, path]):
        pair = hc.open_pair(made("wyvern"), made("wyvern", 2), mask=mask)
        np.testing.assert_array_equal(hidden(pair.t1), covered)
        np.testing.assert_array_equal(hidden(pair.t2), covered)
    left, top = deliveries.PLACE @ (20, 3)
    right, bottom = deliveries.PLACE @ (30, 9)
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    drawn = tmp_path / "mask.geojson"
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    crs = {"type": "name", "properties": {"name": "EPSG:32633"}}
    drawn.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [shape]}))
    np.testing.assert_array_equal(hidden(hc.open_pair(made("wyvern"), made("wyvern", 2), mask=drawn).t2), covered)


def test_a_mask_on_another_grid_follows_labels(made: Made, tmp_path: Path) -> None:
    coarse = np.zeros((1, 18, 24), dtype=np.uint8)
    coarse[0, 2:4, 10:15] = 1
    place = deliveries.PLACE @ deliveries.Affine.scale(2)
    path = deliveries.raster(tmp_path / "coarse.tif", coarse, place=place)
    with pytest.raises(GridError, match=r"the mask .coarse.tif. has 18 x 24 pixels .* align=True"):
        hc.open_pair(made("wyvern"), made("wyvern", 2), mask=path)
    pair = hc.open_pair(made("wyvern"), made("wyvern", 2), mask=path, align=True)
    expected = coarse[0].repeat(2, axis=0).repeat(2, axis=1) != 0
    np.testing.assert_array_equal(hidden(pair.t1), expected | hidden(open_cube(made("wyvern"))))


@pytest.mark.parametrize(
    ("name", "mask", "said"),
    [
        ("prisma", "cloud", "has no mask of cloud: it has none"),
        ("tanager", "cloud,shadow", "has no mask of shadow: its masks are cloud, cirrus"),
        ("wyvern", "clouds", "no file that is there: give auto, none, kinds"),
        ("wyvern", ["none", "auto"], "mask='none' leaves nothing out"),
        ("wyvern", 3, "mask is a int"),
        ("wyvern", np.ones((36, 48)), "covers every pixel"),
        ("wyvern", np.ones((3, 36, 48)), "expected one value a pixel"),
    ],
)
def test_a_mask_that_is_none(made: Made, name: str, mask: Any, said: str) -> None:
    with pytest.raises(HsiCdError, match=said):
        hc.open_pair(made(name), made(name, 2), mask=mask)


def test_a_missing_mask_is_named(made: Made, tmp_path: Path) -> None:
    folder = deliveries.copied(made("enmap"), tmp_path)
    next(folder.glob("*-QL_QUALITY_SNOW.TIF")).unlink()
    with pytest.raises(FormatError, match=r"QL_QUALITY_SNOW\.TIF is missing.*mask='none'"):
        hc.open_pair(folder, made("enmap", 2))
    assert hc.open_pair(folder, made("enmap", 2), mask="none").mask == "none"
    assert hc.open_pair(folder, made("enmap", 2), mask="cloud").mask == "cloud"


# --- Two dates ---


def test_frames_of_one_lattice_need_no_option(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = deliveries.copied(made("enmap", 2), tmp_path)
    for path in folder.glob("*.TIF"):
        with rasterio.open(path) as file:
            values, kept = file.read()[:, 3:, 2:], file.profile
        place = deliveries.PLACE @ deliveries.Affine.translation(2, 3)
        kept |= {"height": values.shape[1], "width": values.shape[2], "transform": place, "tiled": False}
        for block in ("blockxsize", "blockysize"):
            kept.pop(block, None)
        with rasterio.open(path, "w", **kept) as file:
            file.write(values)
    pair = hc.open_pair(made("enmap"), folder, mask="none")
    assert "put on the grid of t1 (enmap1), by whole pixels" in caplog.text
    whole = open_cube(made("enmap", 2)).read()
    np.testing.assert_array_equal(pair.t2.read()[:, 3:, 2:], whole[:, 3:, 2:])
    assert np.isnan(pair.t2.read()[:, :3]).all() and pair.grid.transform == deliveries.PLACE


def test_other_places_are_told_with_their_distance(made: Made, tmp_path: Path) -> None:
    far = deliveries.copied(made("landsat", 2), tmp_path)
    for path in far.glob("*.TIF"):
        with rasterio.open(path, "r+") as file:
            file.transform = deliveries.Affine.translation(0, -50_000) @ deliveries.PLACE
    with pytest.raises(GridError, match=r"share no ground: their middles lie (4|15)\d+(\.\d+)? km apart"):
        hc.open_pair(made("landsat"), far)


def test_bands_that_one_date_lacks_are_left_out(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = deliveries.copied(made("enmap", 2), tmp_path)
    with rasterio.open(next(folder.glob("*SPECTRAL_IMAGE.TIF")), "r+") as file:
        file.write(np.full(file.shape, -32768, np.int16), 200)
    pair = hc.open_pair(made("enmap"), folder, mask="none")
    assert pair.bands.count == open_cube(made("enmap")).bands.count - 1
    assert "1 bands of t1 (enmap1) are not in the other date" in caplog.text


@pytest.mark.slow  # Hyperion is hundreds of files
def test_widths_of_hyperion_are_those_of_the_sensor(made: Made) -> None:
    bands = open_cube(made("hyperion")).bands
    known = {"B008": 11.3871, "B030": 10.2942, "B040": 10.7058, "B077": 11.0457, "B150": 11.5133, "B224": 10.4077}
    assert {name: bands.fwhm[bands.names.index(name)] for name in known} == known


@pytest.mark.slow
def test_radiance_and_reflectance_are_no_pair(made: Made) -> None:
    with pytest.raises(FormatError, match=r"Hyperion L1T in radiance.*order both dates of one level"):
        hc.open_pair(made("hyperion"), made("landsat", 2))


# --- What cannot be mapped ---


def test_levels_that_cannot_be_mapped(made: Made, tmp_path: Path) -> None:
    for level in ("1", "2B", "2C"):
        path = tmp_path / f"PRS_L{level}.he5"
        with h5py.File(made("prisma")) as source, h5py.File(path, "w") as file:
            source.copy("HDFEOS/SWATHS/PRS_L2D_HCO", file.create_group("HDFEOS/SWATHS"), name=f"PRS_L{level}_HCO")
        with pytest.raises(FormatError, match=f"is PRISMA L{level}, .*order the same image as L2D"):
            open_cube(path)
    folder = deliveries.copied(made("enmap"), tmp_path)
    (xml,) = folder.glob("*.XML")
    for level in ("L1B", "L1C"):
        xml.write_text(next(made("enmap").glob("*.XML")).read_text().replace(">L2A<", f">{level}<"))
        with pytest.raises(
            FormatError, match=f"is EnMAP {level}, at-sensor radiance.*order the same image as L2A"
        ):
            open_cube(folder)
    with h5py.File(tmp_path / "AV3.nc", "w") as file, h5py.File(made("aviris")) as source:
        source.copy("reflectance", file)
    with pytest.raises(FormatError, match="take the orthorectified file"):
        open_cube(tmp_path / "AV3.nc")
    (tmp_path / "MTD_MSIL1C.xml").write_text("<n1:Level-1C_User_Product></n1:Level-1C_User_Product>")
    with pytest.raises(FormatError, match="order the same image as L2A"):
        open_cube(tmp_path / "MTD_MSIL1C.xml")


@pytest.mark.quick("enmap-*", "landsat-*")
@pytest.mark.parametrize(
    ("name", "missing"),
    [("enmap", "METADATA.XML"), ("desis", "METADATA.xml"), ("hyperion", "_MTL_L1T.TXT"),
     ("landsat", "SR_B4.TIF"), ("enmap", "SPECTRAL_IMAGE.TIF"), ("hyperion", "B100_L1T.TIF")],
)  # fmt: skip
def test_a_missing_file_is_named(made: Made, tmp_path: Path, name: str, missing: str) -> None:
    folder = deliveries.copied(made(name), tmp_path)
    next(folder.glob(f"*{missing}")).unlink()
    with pytest.raises(FormatError, match=f"{missing} is missing"):
        open_cube(folder)


def test_a_missing_band_of_sentinel_2_is_named(made: Made, tmp_path: Path) -> None:
    folder = deliveries.copied(made("sentinel2"), tmp_path)
    next(folder.rglob("*_B02_10m.jp2")).unlink()  # which lies in R20m, too
    with pytest.raises(FormatError, match=r"_B02_10m\.jp2 is missing"):
        open_cube(folder)


def test_two_products_in_a_folder_are_told_apart(made: Made, tmp_path: Path) -> None:
    for date in (1, 2):
        for path in made("enmap", date).iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(FormatError, match="holds 2 EnMAP products"):
        open_cube(tmp_path)
    first, second = sorted(tmp_path.glob("*SPECTRAL_IMAGE.TIF"))
    np.testing.assert_array_equal(open_cube(second).read(), open_cube(made("enmap", 2)).read())
    assert first.absolute() in open_cube(first).files and second.absolute() not in open_cube(first).files


# --- What the page on inputs says ---

PAGE = Path(__file__).parents[2] / "docs" / "inputs.md"


def rows_of_products() -> dict[str, list[str]]:
    """The lines of the page's table of products, by their first cell."""
    table = PAGE.read_text(encoding="utf-8").split("## Products as archives deliver them")[1].split("\n\n")[2]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: row[1:] for row in cells}


ROWS = {
    "EnMAP L2A": ("enmap", 203), "PRISMA L2D": ("prisma", 230), "Tanager ortho": ("tanager", 403),
    "DESIS L2A": ("desis", 235), "AVIRIS-3, -5, -NG orthorectified": ("aviris", 284),
    "AVIRIS Classic": ("aviris_classic", 217), "NEON reflectance": ("neon", 372),
    "Hyperion L1T": ("hyperion", 196), "Wyvern": ("wyvern", 31),
    "Sentinel-2 L2A": ("sentinel2", 10), "Landsat Collection 2 L2": ("landsat", 7),
}  # fmt: skip


def test_the_page_has_a_line_for_each_product() -> None:
    assert set(rows_of_products()) - {"EMIT L2A"} == set(ROWS)


@pytest.mark.quick("[!H]*")
@pytest.mark.parametrize("row", list(ROWS))
def test_each_line_of_the_page_is_true(made: Made, row: str, tmp_path: Path) -> None:
    opens, _, masks, checked = rows_of_products()[row]
    name, bands = ROWS[row]
    cube = open_cube(made(name))
    assert cube.bands.count == bands and checked == "miniature"
    told = [] if masks == "none" else re.findall(r"[a-z]+", masks.split("(")[0])
    asked = re.findall(r"\((\w+)\)", masks)
    own = {mask.name: mask.hides for mask in cube.product.masks}
    assert own == dict.fromkeys(told, True) | dict.fromkeys(asked, False)
    # ENVI files are read on disk alone.
    in_archives = made(name).suffix in HDF5 or (made(name).is_dir() and name != "aviris_classic")
    assert ("zip" in opens) == ("tar" in opens) == in_archives
    if "zip" in opens and made(name).is_file():
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.write(made(name), made(name).name)
        assert open_cube(tmp_path / "a.zip").bands.count == bands
