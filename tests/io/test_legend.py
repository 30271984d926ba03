"""What a label map says of its values besides numbers: names, colours, masks, and what its compression did."""

from __future__ import annotations

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from PIL import Image

import hsi_cd as hc
from hsi_cd.errors import FormatError, LabelError
from hsi_cd.io import Expected, MaskPair, map_shape, read_labels, read_map, read_scores
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.io.split_files import read_split
from hsi_cd.io.told_classes import meaning_of
from hsi_cd.scene import LabelScheme

TRUTH = np.zeros((24, 32), dtype=np.uint8)  # 1 changed
TRUTH[4:12, 8:24] = 1
CHANGED = int(TRUTH.sum())


def tiff(path: Path, values: np.ndarray, *, colours: dict | None = None, **options: object) -> Path:
    profile = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype.name}
    with quiet_georeference(), rasterio.open(path, "w", driver="GTiff", **(profile | options)) as file:
        file.write(values, 1)
        if colours:
            file.write_colormap(1, colours)
    return path


def paletted(path: Path, values: np.ndarray, *colours: tuple[int, int, int]) -> Path:
    picture = Image.fromarray(values, mode="P")
    picture.putpalette([channel for colour in colours for channel in colour])
    picture.save(path)
    return path


def envi(path: Path, values: np.ndarray, names: str, *, encoding: str = "utf-8") -> Path:
    values.tofile(path)
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {values.shape[1]}\nlines = {values.shape[0]}\nbands = 1\nheader offset = 0\n"
        "file type = ENVI Classification\ndata type = 1\ninterleave = bsq\nbyte order = 0\n"
        f"classes = {names.count(',') + 1}\nclass names = {{{names}}}\n",
        encoding=encoding,
    )
    return path


BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)


# --- colours ---


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_an_inverted_palette_is_read_as_it_is_shown(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = paletted(tmp_path / f"t.{ending}", 1 - TRUTH, WHITE, BLACK)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_labels(path).values, TRUTH)
        np.testing.assert_array_equal(read_map(path)[0], TRUTH)
    assert "0 white, 1 black" in caplog.text and "changed= and unchanged=" in caplog.text
    declared = read_labels(path, scheme=LabelScheme(unchanged=(0,), changed=(1,)))  # what is declared wins
    np.testing.assert_array_equal(declared.values, 1 - TRUTH)


def test_a_palette_that_agrees_with_the_numbers_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, colours in (("grey", (BLACK, WHITE)), ("marked", ((230, 230, 230), (200, 30, 30)))):
        path = paletted(tmp_path / f"{name}.png", TRUTH, *colours)
        np.testing.assert_array_equal(read_labels(path).values, TRUTH)
        np.testing.assert_array_equal(read_map(path)[0], TRUTH)
    odd = paletted(tmp_path / "odd.png", TRUTH * 4 + 3, *[WHITE] * 3, BLACK, *[WHITE] * 4)
    np.testing.assert_array_equal(read_labels(odd).values, TRUTH)  # numbers that have no meaning by habit
    assert "declare" not in "".join(r.message for r in caplog.records if "odd" not in r.message)


@pytest.mark.parametrize(
    ("colours", "shown"),
    [((RED, WHITE), "0 red, 1 white"), ((RED, GREEN), "0 red, 1 green"), (((200,) * 3, (90,) * 3), "grey 200")],
)
def test_colours_against_the_numbers_are_refused(tmp_path: Path, colours: tuple, shown: str) -> None:
    path = paletted(tmp_path / "t.png", TRUTH, *colours)
    with pytest.raises(LabelError, match=f"{shown}.*declare what the values mean with changed="):
        read_labels(path)
    with pytest.raises(FormatError, match=f"{shown}.*write the map with 0 unchanged"):
        read_map(path)
    declared = read_labels(path, scheme=LabelScheme(unchanged=(0,), changed=(1,)))
    np.testing.assert_array_equal(declared.values, TRUTH)


@pytest.mark.parametrize(("factor", "options"), [(1, {}), (255, {}), (1, {"nbits": 1})])
def test_white_is_zero(tmp_path: Path, factor: int, options: dict) -> None:
    path = tiff(tmp_path / "t.tif", (1 - TRUTH) * np.uint8(factor), photometric="MINISWHITE", **options)
    np.testing.assert_array_equal(read_labels(path).values, TRUTH)
    np.testing.assert_array_equal(read_map(path)[0], TRUTH)
    with pytest.raises(FormatError, match="WhiteIsZero"):
        read_scores(path)


def test_masks_and_split_rasters_show_what_they_mark(tmp_path: Path) -> None:
    changed = paletted(tmp_path / "c.png", 1 - TRUTH, WHITE, BLACK)
    unchanged = tiff(tmp_path / "u.tif", 1 - TRUTH)
    np.testing.assert_array_equal(read_labels(MaskPair(changed, unchanged)).values, TRUTH)
    truth = read_labels(tiff(tmp_path / "t.tif", TRUTH))
    taught = np.where(np.arange(32) < 16, 1 - TRUTH, np.uint8(255))
    names = envi(
        tmp_path / "s.dat", np.where(taught == 255, 0, taught + 1).astype(np.uint8), "void,change,no change"
    )
    split = read_split(names, truth)  # by the numbers, 1 and 2 would contradict the truth
    np.testing.assert_array_equal(split.train_mask(), taught != 255)


# --- names ---


@pytest.mark.parametrize(
    ("names", "swapped"),
    [("Unclassified, Changed, Unchanged", True), ("background, No-Change, Change areas", False)],
)
def test_class_names_of_envi_win(
    tmp_path: Path, names: str, swapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stored = np.where(TRUTH == 1, *((1, 2) if swapped else (2, 1))).astype(np.uint8)
    stored[:2] = 0
    path = envi(tmp_path / "t.dat", stored, names)
    expected = np.where(stored == 0, 255, TRUTH)
    np.testing.assert_array_equal(read_labels(path).values, expected)
    np.testing.assert_array_equal(read_map(path)[0], expected)
    assert not caplog.records  # names leave no doubt


TABLE = (
    '<GDALRasterAttributeTable><FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>'
    '<FieldDefn index="1"><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>'
    '<Row index="0"><F>1</F><F>unchanged</F></Row><Row index="1"><F>0</F><F>changed</F></Row>'
    "</GDALRasterAttributeTable>"
)
CATEGORIES = "<CategoryNames><Category>change</Category><Category>no_change</Category></CategoryNames>"


BY_NUMBER = TABLE.replace("Value", "DN").replace("<Usage>5<", "<Usage>0<")  # as tables made by hand have it
BY_OTHER_NAME = BY_NUMBER.replace("DN", "Kode")


@pytest.mark.parametrize("told", [TABLE, BY_NUMBER, BY_OTHER_NAME, CATEGORIES])
def test_names_beside_a_geotiff_win(tmp_path: Path, told: str) -> None:
    path = tiff(tmp_path / "t.tif", 1 - TRUTH)
    aux = f'<PAMDataset><PAMRasterBand band="1">{told}</PAMRasterBand></PAMDataset>'
    Path(f"{path}.aux.xml").write_text(aux)
    np.testing.assert_array_equal(read_labels(path).values, TRUTH)
    np.testing.assert_array_equal(read_map(path)[0], TRUTH)


def test_flags_as_the_cf_conventions_write_them(tmp_path: Path) -> None:
    path = tiff(tmp_path / "t.tif", 1 - TRUTH)
    with quiet_georeference(), rasterio.open(path, "r+") as file:
        file.update_tags(1, flag_values="0b, 1b", flag_meanings="changed unchanged")
    np.testing.assert_array_equal(read_labels(path).values, TRUTH)


def test_an_array_says_what_its_values_and_axes_are(tmp_path: Path) -> None:
    stored = np.where(TRUTH == 1, 0, 1).astype(np.uint8)
    stored[0] = 9
    expected = TRUTH.copy()
    expected[0] = 255
    says = {"flag_values": np.array([0, 1], np.uint8), "flag_meanings": "changed unchanged", "_FillValue": 9}
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["gt"] = stored.T
        file["gt"].attrs.update(says)
        file["gt"].dims[0].label, file["gt"].dims[1].label = "x", "y"
    np.testing.assert_array_equal(read_labels(tmp_path / "t.h5").values, expected)
    np.testing.assert_array_equal(read_labels(tmp_path / "t.h5", key="/gt").values, expected)
    np.testing.assert_array_equal(read_map(tmp_path / "t.h5")[0], expected)
    assert map_shape(tmp_path / "t.h5") == Expected(*TRUTH.shape)
    array = xr.DataArray(stored, dims=("y", "x"), attrs=says)
    np.testing.assert_array_equal(hc.open_labels(array).values, expected)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_in_other_languages_and_encodings(tmp_path: Path, encoding: str) -> None:
    path = envi(tmp_path / "t.dat", 2 - TRUTH, "Non classé,Changé,Inchangé", encoding=encoding)
    np.testing.assert_array_equal(read_labels(path).values, TRUTH)


@pytest.mark.parametrize("names", ["none,gain,loss", "Unclassified,Change,Water", "Unclassified,Change"])
def test_names_that_tell_no_classes_are_quoted(tmp_path: Path, names: str) -> None:
    path = envi(tmp_path / "t.dat", TRUTH + np.uint8(names.count(",") - 1), names)
    with pytest.raises(LabelError, match=r"class names say .*'(gain|Change)'.*changed= and unchanged="):
        read_labels(path)
    values = (1, 2) if names.count(",") == 2 else (0, 1)
    declared = LabelScheme(unchanged=values[:1], changed=values[1:])
    np.testing.assert_array_equal(read_labels(path, scheme=declared).values, TRUTH)


def test_numbered_classes_are_no_names(tmp_path: Path) -> None:
    path = envi(tmp_path / "t.dat", TRUTH, "Class 0,Class #1")
    np.testing.assert_array_equal(read_labels(path).values, TRUTH)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [("NoChange", 0), ("not changed", 0), ("Unchanged pixels", 0), ("CHANGE", 1), ("changed area", 1),
     ("No Data", 255), ("un-labelled", 255), ("exchange", None), ("possible change", None), ("", None),
     ("ROI: Changed [Red] 32 points", 1), ("keine Änderung", 0), ("sin cambios", 0), ("未变化", 0), ("变化", 1),
     ("未change", None), ("nicht klassifiziert", 255)],
)  # fmt: skip
def test_what_class_names_mean(name: str, meaning: int | None) -> None:
    assert meaning_of(name) == meaning


# --- what was lost ---


def test_pictures_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name, what in (("t.gif", "GIF"), ("t.webp", "WebP"), ("t.pgm", "PGM")):
        Image.fromarray(TRUTH * 255).save(tmp_path / name)
        for read in (read_labels, read_map):
            with pytest.raises(FormatError, match=rf"a {what} picture.* save it .*as PNG"):
                read(tmp_path / name)
    Image.fromarray(np.dstack([TRUTH * 255, TRUTH, TRUTH])).save(tmp_path / "t.jpg")
    with pytest.raises(FormatError, match=r"bands that differ .*JPEG-compressed, which smears classes"):
        read_labels(tmp_path / "t.jpg")


def test_smeared_classes_are_named(tmp_path: Path) -> None:
    Image.fromarray(TRUTH * 255).save(tmp_path / "t.jpg", quality=60)
    tiff(tmp_path / "t.tif", TRUTH, compress="JPEG")
    for name in ("t.jpg", "t.tif"):
        for read in (read_labels, read_map):
            with pytest.raises((LabelError, FormatError), match="is JPEG-compressed, which smears the values"):
                read(tmp_path / name)
        with pytest.raises(LabelError, match="is JPEG-compressed"):
            read_labels(tmp_path / name, scheme=LabelScheme(unchanged=(0,), changed=(1, 2)))
    flat = np.kron(TRUTH[::8, ::8], np.ones((8, 8), np.uint8)) * np.uint8(255)  # nothing to smear in any block
    path = tiff(tmp_path / "flat.tif", flat, compress="JPEG")
    np.testing.assert_array_equal(read_labels(path).values, flat // 255)


# --- where there is nothing ---


@pytest.mark.parametrize("how", ["nan", "nodata", "mask", "alpha"])
def test_what_a_file_calls_nothing_is_unlabelled(tmp_path: Path, how: str) -> None:
    expected = TRUTH.copy()
    expected[:6] = 255
    path, there = tmp_path / "t.tif", expected != 255
    if how == "alpha":
        bands = np.stack([np.where(there, 255, 0).astype(np.uint8), TRUTH, TRUTH, TRUTH])
        profile = {"count": 4, "height": 24, "width": 32, "dtype": "uint8"}
        with quiet_georeference(), rasterio.open(path, "w", driver="GTiff", **profile) as file:
            file.colorinterp = [rasterio.enums.ColorInterp[c] for c in ("alpha", "red", "green", "blue")]
            file.write(bands)
    elif how == "mask":
        tiff(path, TRUTH)
        with quiet_georeference(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.write_mask(there)
    else:
        fill = np.nan if how == "nan" else -9999
        tiff(
            path,
            np.where(there, TRUTH.astype(np.float32), np.float32(fill)),
            nodata=None if how == "nan" else fill,
        )
    np.testing.assert_array_equal(read_labels(path).values, expected)
    np.testing.assert_array_equal(read_map(path)[0], expected)


def test_a_map_with_the_profile_of_a_scene_keeps_its_unchanged_pixels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.testing.assert_array_equal(read_map(tiff(tmp_path / "m.tif", TRUTH, nodata=0))[0], TRUTH)
    assert "it is read as unchanged" in caplog.text
