"""EnMAP in all the formats that its archive offers, and in the archives in which people pass it on."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
from pathlib import Path

import deliveries
import numpy as np
import pytest
import rasterio

from hsi_cd.errors import FormatError
from hsi_cd.io import open_cube

SPAN = slice(8, 16)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deliveries.enmap(tmp_path_factory.mktemp("enmap"), 1)


def in_format(source: Path, folder: Path, ending: str) -> Path:
    """The product with all its rasters in another format."""
    out = deliveries.copied(source, folder)
    for path in out.glob("*.TIF"):
        with rasterio.open(path) as file:
            values, kept = file.read(), file.profile
        target = path.with_suffix(f".{ending}") if "_COG" not in ending else path.with_name(f"{path.stem}_COG.TIF")
        more = {
            "JP2": {"driver": "JP2OpenJPEG", "quality": "100", "reversible": "yes"},
            "_COG": {"driver": "COG"},
        }.get(ending, {"driver": "ENVI", "interleave": ending.lower()})
        profile = {key: kept[key] for key in ("dtype", "count", "height", "width", "crs", "transform", "nodata")}
        if ending == "JP2":
            profile.pop("nodata")
        path.unlink()
        with rasterio.open(target, "w", **(profile | more)) as file:
            file.write(values)
    return out


@pytest.mark.quick("BIL", "JP2")
@pytest.mark.parametrize("ending", ["BSQ", "BIL", "BIP", "JP2", "_COG"])
def test_every_format_is_the_same_image(made: Path, tmp_path: Path, ending: str) -> None:
    whole = open_cube(made)
    folder = in_format(made, tmp_path, ending)
    for path in (folder, next(folder.glob("*METADATA.XML")), next(folder.glob("*SPECTRAL_IMAGE*"))):
        cube = open_cube(path)
        np.testing.assert_array_equal(cube.read(), whole.read())
        assert cube.bands == whole.bands and cube.product.told == whole.product.told
        assert (cube.grid.shape, cube.grid.crs, cube.grid.transform) == (
            whole.grid.shape, whole.grid.crs, whole.grid.transform
        )  # fmt: skip
        for own, other in zip(cube.product.masks, whole.product.masks, strict=True):
            assert own.name == other.name and not own.missing
            np.testing.assert_array_equal(own.reader(SPAN, SPAN), other.reader(SPAN, SPAN))


def test_names_in_other_cases_and_of_other_versions(made: Path, tmp_path: Path) -> None:
    folder = deliveries.copied(made, tmp_path)
    for path in list(folder.iterdir()):
        name = path.name.replace("V010402", "V010506_reprocessed")
        path.rename(folder / (name.lower() if "METADATA" not in name else name.upper()))
    cube = open_cube(folder)
    np.testing.assert_array_equal(cube.read(SPAN), open_cube(made).read(SPAN))
    assert [mask.missing for mask in cube.product.masks] == [""] * len(cube.product.masks)


def zipped(folder: Path, target: Path, prefix: str) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in folder.iterdir():
            archive.write(each, f"{prefix}{each.name}")
        archive.writestr("__MACOSX/._x.TIF", b"x")
        archive.writestr(f"{prefix.split('/')[0] or 'top'}/.DS_Store", b"x")
    return target


@pytest.mark.parametrize("prefix", ["", "one/", "one/two/", "one/two/three/"])
def test_a_zip_at_any_depth(made: Path, tmp_path: Path, prefix: str) -> None:
    cube = open_cube(zipped(made, tmp_path / "a.zip", prefix))
    np.testing.assert_array_equal(cube.read(SPAN), open_cube(made).read(SPAN))
    assert not any(mask.missing for mask in cube.product.masks)


def test_a_folder_beside_a_readme(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "order" / "tile")
    (tmp_path / "order" / "readme.txt").write_text("as ordered")
    np.testing.assert_array_equal(open_cube(tmp_path / "order").read(SPAN), open_cube(made).read(SPAN))
    shutil.copytree(made, tmp_path / "order" / "other")
    with pytest.raises(FormatError, match="folder"):  # which of the two?
        open_cube(tmp_path / "order")


def test_a_zip_of_envi_files(made: Path, tmp_path: Path) -> None:
    archive = zipped(in_format(made, tmp_path, "BIL"), tmp_path / "a.zip", "one/")
    np.testing.assert_array_equal(open_cube(archive).read(SPAN), open_cube(made).read(SPAN))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_of_envi_files_is_to_be_unpacked(made: Path, tmp_path: Path, mode: str) -> None:
    folder = in_format(made, tmp_path, "BSQ")
    with tarfile.open(tmp_path / "a.tar", mode) as archive:
        archive.add(folder, "enmap")
    with pytest.raises(FormatError, match="an ENVI file in a tar archive: unpack it first"):
        open_cube(tmp_path / "a.tar")


def test_a_compressed_tar(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "order.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(made, "EnMAP/tile")
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.read(SPAN), open_cube(made).read(SPAN))
    assert cube.files == (path.absolute(),) and cube.name == "order.tar.gz"
    content = path.read_bytes()
    for share in (0.02, 0.5, 0.95):
        cut = tmp_path / f"cut{share}.tar.gz"
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(FormatError) as refused:
            open_cube(cut).read()
        assert str(cut) in str(refused.value) and "\n" not in str(refused.value)
    with gzip.open(tmp_path / "x.gz", "wb") as file:
        file.write(b"no tar" * 100)
    with pytest.raises(FormatError, match="a gzip archive: unpack it first"):
        open_cube(tmp_path / "x.gz")


def test_an_image_twice_is_told(made: Path, tmp_path: Path) -> None:
    folder = deliveries.copied(made, tmp_path)
    (image,) = folder.glob("*SPECTRAL_IMAGE.TIF")
    shutil.copy(image, image.with_name(image.name.replace(".TIF", "_COG.TIF")))
    with pytest.raises(FormatError, match="holds the image 2 times"):
        open_cube(folder)


def test_an_envi_file_cut_off_is_refused(made: Path, tmp_path: Path) -> None:
    folder = in_format(made, tmp_path, "BIP")
    (image,) = folder.glob("*SPECTRAL_IMAGE.BIP")
    image.write_bytes(image.read_bytes()[:-100])
    with pytest.raises(FormatError, match="truncated"):
        open_cube(folder)
