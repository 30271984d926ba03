"""One cube from a file a band."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from hsi_cd.errors import FormatError, GridError, MissingInputError
from hsi_cd.io import open_cube
from hsi_cd.io.raster import quiet_georeference

SIDE = 1200  # metres
RNG = np.random.default_rng(5)


def band(path: Path, values: np.ndarray, *, left: float = 500_000, crs: str | None = "EPSG:32631", **more) -> Path:
    rows, cols = values.shape
    place = {"crs": crs, "transform": Affine(SIDE / cols, 0, left, 0, -SIDE / rows, 4_000_000)} if crs else {}
    profile = {"driver": "GTiff", "count": 1, "height": rows, "width": cols, "dtype": values.dtype.name}
    with quiet_georeference(), rasterio.open(path, "w", **(profile | place | more)) as file:
        file.write(values, 1)
    return path


def noise(rows: int, cols: int | None = None) -> np.ndarray:
    return RNG.integers(1, 9000, (rows, cols or rows)).astype(np.uint16)


def product(folder: Path, **sizes: int) -> dict[str, np.ndarray]:
    """Files named as Sentinel-2's; what they hold, by band."""
    folder.mkdir(exist_ok=True)
    found = {name: noise(size) for name, size in sizes.items()}
    for name, values in found.items():
        band(folder / f"T31TCJ_20200101T105441_{name}_{SIDE // len(values)}m.tif", values)
    return found


def test_a_folder_in_the_natural_order_of_its_names(tmp_path: Path) -> None:
    bands = product(tmp_path / "p", B10=60, B02=60, B8A=60, B08=60, B09=60)
    (tmp_path / "p/MTD_MSIL2A.xml").write_text("<x/>")
    (tmp_path / "p/.hidden.tif").write_text("no raster")
    cube = open_cube(tmp_path / "p")
    assert (cube.name, cube.bands.names) == ("p", ("B02", "B08", "B8A", "B09", "B10"))
    np.testing.assert_array_equal(cube.read(), [bands[name] for name in cube.bands.names])
    assert (cube.dtype, cube.grid.crs.to_epsg(), cube.grid.transform.a) == (np.uint16, 32631, 20)


def test_a_list_keeps_its_order_and_may_mix_band_counts(tmp_path: Path) -> None:
    a, b = noise(6, 8), noise(6, 8)
    band(tmp_path / "a.tif", a)
    band(tmp_path / "b.tif", b)
    with rasterio.open(tmp_path / "a.tif") as file:
        profile = file.profile | {"count": 2}
    with rasterio.open(tmp_path / "two.tif", "w", **profile) as file:
        file.write(np.stack([b, a]))
    cube = open_cube([tmp_path / "b.tif", tmp_path / "two.tif", tmp_path / "a.tif"])
    np.testing.assert_array_equal(cube.read(slice(1, 4), slice(2, 7)), np.stack([b, b, a, a])[:, 1:4, 2:7])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cube)).read(), cube.read())  # noqa: S301
    assert open_cube([tmp_path / "a.tif"]).bands.count == 1


@pytest.mark.parametrize("driver", ["JP2OpenJPEG", "ENVI"])
def test_other_formats_a_band(tmp_path: Path, driver: str) -> None:
    suffix = {"JP2OpenJPEG": ".jp2", "ENVI": ".dat"}[driver]
    more = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    values = [noise(64), noise(64)]
    for i, one in enumerate(values):
        band(tmp_path / f"B{i}{suffix}", one, driver=driver, **more)
    np.testing.assert_array_equal(open_cube(tmp_path).read(), values)


def test_mixed_resolutions_on_request_only(tmp_path: Path) -> None:
    bands = product(tmp_path / "p", B02=120, B05=60, B01=20)
    with pytest.raises(
        GridError, match=r"differ in pixel size .*B01_60m\.tif 20 x 20.*resample=True .* 120 x 120"
    ):
        open_cube(tmp_path / "p")
    cube = open_cube(tmp_path / "p", resample=True)
    assert cube.grid.shape == (120, 120)
    whole = cube.read()
    place = cube.grid.transform
    for i, name in enumerate(("B01", "B02", "B05")):
        size = len(bands[name])
        expected = np.empty((120, 120), np.uint16)
        reproject(
            bands[name], expected, src_transform=place @ Affine.scale(120 / size), dst_transform=place,
            src_crs=cube.grid.crs, dst_crs=cube.grid.crs, resampling=Resampling.bilinear, tolerance=1e-6,
        )  # fmt: skip
        np.testing.assert_array_equal(whole[i], expected)
    np.testing.assert_array_equal(whole[1], bands["B02"])


def test_resampled_windows_are_cut_from_one_image(tmp_path: Path) -> None:
    product(tmp_path / "p", B02=120, B05=60, B01=20)
    cube = open_cube(tmp_path / "p", resample=True)
    whole = cube.read()
    for rows, cols in (((0, 7), (0, 120)), ((5, 6), (3, 4)), ((113, 120), (64, 120)), ((33, 90), (1, 119))):
        window = cube.read(slice(*rows), slice(*cols))
        np.testing.assert_array_equal(window, whole[:, slice(*rows), slice(*cols)])


def test_gaps_that_are_marked_otherwise_agree_on_nan(tmp_path: Path) -> None:
    a, b = noise(5), noise(5)
    a[0, 0], b[1, 1] = 0, 7
    b[0, 0] = a[1, 1] = 9
    paths = [band(tmp_path / "a.tif", a, nodata=0), band(tmp_path / "b.tif", b, nodata=7)]
    missing = np.isnan(open_cube(paths).read())
    np.testing.assert_array_equal(missing, [a == 0, b == 7])
    assert missing[0, 0, 0] and missing[1, 1, 1] and not missing[1, 0, 0]
    band(tmp_path / "b.tif", b, nodata=0)
    assert open_cube(paths).nodata == 0


def test_wavelengths_and_scales_of_the_files(tmp_path: Path) -> None:
    for i, centre in enumerate((490, 560)):
        path = band(tmp_path / f"B{i}.tif", noise(5))
        with rasterio.open(path, "r+") as file:
            file.update_tags(1, wavelength=str(centre), wavelength_units="nm")
            file.scales = [0.5 + i]
    cube = open_cube(tmp_path)
    assert (cube.bands.centres, cube.scale) == ((490, 560), (0.5, 1.5))


def test_files_that_make_no_cube(tmp_path: Path) -> None:
    a = band(tmp_path / "a.tif", noise(12))
    cases = [
        (band(tmp_path / "crs.tif", noise(12), crs="EPSG:32632"), GridError, "another CRS"),
        (band(tmp_path / "far.tif", noise(12), left=600_000), GridError, "does not cover the ground"),
        (band(tmp_path / "bare.tif", noise(11), crs=None), GridError, "not all have a georeference"),
        (tmp_path / "none.tif", MissingInputError, "does not exist"),
    ]
    for other, error, message in cases:
        with pytest.raises(error, match=message):
            open_cube([a, other], resample=True)
    with pytest.raises(FormatError, match="a key"):
        open_cube([a, a], key="x")
    with pytest.raises(FormatError, match="tells its axes itself"):
        open_cube([a, a], axes=("rows", "cols", "bands"))


def test_a_folder_of_cubes_is_no_cube(tmp_path: Path) -> None:
    band(tmp_path / "a.tif", noise(5), count=1)
    band(tmp_path / "b.tif", noise(5), count=3)
    with pytest.raises(FormatError, match=r"is a folder, not a file, and b\.tif in it has 3 bands"):
        open_cube(tmp_path)


# --- what comes beside the bands ---


def files_of(folder: Path, *names: str, ending: str = "tif") -> Path:
    folder.mkdir()
    for i, name in enumerate(names):
        band(folder / f"{name}.{ending}", np.full((8, 8), i + 1, np.uint16))
    return folder


@pytest.mark.parametrize(
    ("names", "kept", "word"),
    [
        ("T_AOT_20m T_B02_20m T_B8A_20m T_SCL_20m T_TCI_20m T_WVP_20m", ("B02", "B8A"), "SCL_20m.tif (classes)"),
        ("L_T1_QA_PIXEL L_T1_QA_RADSAT L_T1_SR_B1 L_T1_SR_B2 L_T1_SR_QA_AEROSOL L_T1_ST_B10 L_T1_ST_QA",
         ("B1", "B2"), "ST_B10.tif (temperature)"),
        ("HLS.B01 HLS.B10 HLS.Fmask HLS.SAA HLS.VZA", ("B01", "B10"), "Fmask.tif (a mask)"),
        ("LC09_L1TP_T1_B2 LC09_L1TP_T1_B7 LC09_L1TP_T1_B10 LC09_L1TP_T1_B11", ("B2", "B7"), "B10.tif (thermal)"),
        ("LT51990261990097KIS00_B5 LT51990261990097KIS00_B6 LT51990261990097KIS00_B7", ("B5", "B7"), "(thermal)"),
        ("LE07_L1TP_B1 LE07_L1TP_B6_VCID_1 LE07_L1TP_B6_VCID_2 LE07_L1TP_B7", ("B1", "B7"), "2.tif (thermal)"),
        ("T31TCJ_B06 T31TCJ_B10 T31TCJ_B11", ("B06", "B10", "B11"), ""),  # of Sentinel-2 no thermal bands
        ("mask_B1 mask_B2", ("B1", "B2"), ""),  # a word of all names tells nothing
        ("SCL QA60", ("QA60", "SCL"), "SCL.tif (classes): read as they are"),  # nothing else is there
    ],
)  # fmt: skip
def test_what_products_bring_beside_their_bands_is_left_out(
    tmp_path: Path, names: str, kept: tuple[str, ...], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    cube = open_cube(files_of(tmp_path / "p", *names.split()))
    assert cube.bands.names == kept
    assert word in caplog.text and bool(caplog.records) == bool(word)
    paths = sorted((tmp_path / "p").iterdir())
    assert open_cube(paths).bands.count == len(paths)  # a list is read as it is


def test_pictures_and_classes_beside_bands_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = files_of(tmp_path / "p", "B1", "B2")
    for name, driver in (("large.jpg", "JPEG"), ("small.png", "PNG")):
        with rasterio.open(folder / "B1.tif") as file, quiet_georeference():
            picture = np.stack([file.read(1).astype(np.uint8)] * 3)
            profile = {"count": 3, "height": 8, "width": 8, "dtype": "uint8"}
            with rasterio.open(folder / name, "w", driver=driver, **profile) as made:
                made.write(picture)
    band(folder / "landuse.tif", np.ones((8, 8), np.uint8))
    with rasterio.open(folder / "landuse.tif", "r+") as file:
        file.write_colormap(1, {1: (255, 0, 0, 255)})
    assert open_cube(folder).bands.names == ("B1", "B2")
    for word in ("large.jpg (a preview)", "small.png (a preview)", "landuse.tif (classes in colours)"):
        assert word in caplog.text


def test_bands_of_a_raster_that_are_none_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = RNG.random((5, 6, 4)).astype(np.float32)
    with (
        quiet_georeference(),
        rasterio.open(
            tmp_path / "gee.tif", "w", driver="GTiff", count=5, height=6, width=4, dtype="float32"
        ) as file,
    ):
        file.write(values)
        file.descriptions = ("B1 coastal aerosol", "AOT", "B9 water vapour", "QA60", "SCL")
        file.scales, file.offsets = (1, 2, 3, 4, 5), (0, 0, 1, 0, 0)
    cube = open_cube(tmp_path / "gee.tif")
    assert cube.bands.names == ("B1 coastal aerosol", "B9 water vapour")
    np.testing.assert_allclose(
        cube.read(slice(1, 4), slice(0, 2)), np.stack([values[0], values[2] * 3 + 1])[:, 1:4, :2], rtol=1e-6
    )
    assert "AOT (aerosol), QA60 (quality flags), SCL (classes)" in caplog.text
