"""Products, arrays, truth maps and masks at an address, read by ranges, and in an archive, as delivered."""

from __future__ import annotations

import json
import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deliveries
import emit_granules as granules
import h5py
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from range_server import serving

import hsi_cd as hc
from hsi_cd.errors import FormatError
from hsi_cd.io import byte_sources, open_cube
from hsi_cd.paths import as_path
from hsi_cd.runs.identity import changed_inputs, file_identity, is_same_file

Capture = pytest.CaptureFixture[str]


IN_ONE_FILE = ["prisma", "tanager", "aviris", "wyvern", "emit"]
PLACE = Affine(30, 0, 400_000, 0, -30, 5_800_000)


def write(name: str | Path, values: np.ndarray, **more: Any) -> None:
    count, rows, cols = values.shape
    kept = {"driver": "GTiff", "crs": "EPSG:32633", "transform": PLACE, "dtype": values.dtype} | more
    with rasterio.open(name, "w", count=count, height=rows, width=cols, **kept) as file:
        file.write(values)


def made(name: str, folder: Path, date: int) -> Path:
    """A product; EMIT's with the file of its masks beside it."""
    if name != "emit":
        return Path(deliveries.MAKERS[name](folder, date))
    stamp = deliveries.stamp(date)
    cloud = deliveries.plane(deliveries.CLOUD)[0]
    values = deliveries.ground(granules.WAVES, date)
    path = folder / f"EMIT_L2A_RFL_001_{stamp}T161428_0001_001.nc"
    return Path(granules.granule(path, values, f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}", cloud=cloud))


@pytest.fixture(autouse=True)
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(byte_sources, "_PAUSE", 0.01)
    yield


def mapped(cli: Any, first: object, second: object, *words: str) -> np.ndarray:
    assert cli("detect", "--t1", first, "--t2", second, "--output", "change.tif", "--overwrite", *words) == 0
    with rasterio.open("change.tif") as file:
        return np.asarray(file.read())


@pytest.mark.quick("prisma")
@pytest.mark.parametrize("name", IN_ONE_FILE)
def test_products_at_addresses_give_the_map_of_those_on_disk(cli: Any, tmp_path: Path, name: str) -> None:
    first, second = (made(name, tmp_path, date) for date in (1, 2))
    expected = mapped(cli, first, second)
    with serving(tmp_path) as server:
        got = mapped(cli, f"{server.url}/{first.name}?sign=a//b", f"{server.url}/{second.name}")
        np.testing.assert_array_equal(got, expected)
        assert set(server.asked) == {first.name, second.name}


@pytest.mark.quick("prisma-deflated", "emit-stored")
@pytest.mark.parametrize("packing", ["stored", "deflated", "tar"])
@pytest.mark.parametrize("name", ["prisma", "tanager", "emit"])
def test_a_product_in_hdf5_is_read_in_its_archive(cli: Any, tmp_path: Path, packing: str, name: str) -> None:
    """Named by the archive, and by its place in it; with what lies beside it there (EMIT's masks)."""
    paths = [made(name, tmp_path, date) for date in (1, 2)]
    expected = mapped(cli, *paths)
    archives = []
    for date, path in enumerate(paths, 1):
        archive = tmp_path / f"{date}.{'tar' if packing == 'tar' else 'zip'}"
        beside = {path, path.with_name(path.name.replace("_RFL_", "_MASK_"))}
        if packing == "tar":
            with tarfile.open(archive, "w") as tar:
                for each in beside:
                    tar.add(each, f"in/{each.name}")
        else:
            kind = zipfile.ZIP_STORED if packing == "stored" else zipfile.ZIP_DEFLATED
            with zipfile.ZipFile(archive, "w", kind) as opened:
                for each in beside:
                    opened.write(each, f"in/{each.name}")
        archives.append(archive)
    for each in tmp_path.iterdir():
        if each.suffix in (".nc", ".h5", ".he5"):
            each.unlink()
    np.testing.assert_array_equal(mapped(cli, *archives), expected)
    system = "tar" if packing == "tar" else "zip"
    inside = [f"/vsi{system}/{a.name}/in/{p.name}" for a, p in zip(archives, paths, strict=True)]
    np.testing.assert_array_equal(mapped(cli, *inside), expected)
    cube = open_cube(inside[0])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cube)).read(), cube.read())  # noqa: S301
    assert archives[0] in cube.files


def large(path: Path) -> np.ndarray:
    """A NetCDF-4 file of 8 MB, in chunks, its axes named, with a coordinate of wavelengths."""
    values = np.random.default_rng(0).random((8, 512, 512)).astype(np.float32)
    with h5py.File(path, "w") as file:
        image = file.create_dataset("reflectance", data=values, chunks=(1, 64, 64))
        for axis, (name, length) in enumerate((("band", 8), ("y", 512), ("x", 512))):
            file[name] = np.arange(length, dtype=np.float64)
            file[name].make_scale(name)
            image.dims[axis].attach_scale(file[name])
        file.attrs["_NCProperties"] = "version=2"
    return values


def test_of_an_array_at_an_address_only_what_is_needed_is_read(tmp_path: Path) -> None:
    values = large(tmp_path / "a.nc")
    whole = (tmp_path / "a.nc").stat().st_size
    with serving(tmp_path) as server:
        cube = pickle.loads(pickle.dumps(open_cube(f"{server.url}/a.nc")))  # noqa: S301
        assert server.served < whole / 20
        np.testing.assert_array_equal(cube.read(slice(100, 120), slice(70, 90)), values[:, 100:120, 70:90])
        assert server.served < whole / 5
        np.testing.assert_array_equal(cube.read(), values)
        assert server.served < 1.3 * whole  # and of all of it, little twice
        assert len(server.asked) < whole / 2**16  # in few requests: each costs a way there and back
        assert set(server.asked) == {"a.nc"}


def test_info_and_axes_at_an_address(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    with h5py.File("plain.h5", "w") as file:
        file["cube"] = np.random.default_rng(0).random((3, 4, 5))
    large(tmp_path / "a.nc")
    with serving(tmp_path) as server:
        url = f"{server.url}/plain.h5"
        assert open_cube(url, axes=("bands", "rows", "cols")).grid.shape == (4, 5)
        assert cli("info", f"{server.url}/a.nc", "--json") == 0
        told = json.loads(capsys.readouterr().out)["files"][0]
        assert (told["images"][0]["rows"], told["images"][0]["bands"]) == (512, 8)
        assert cli("detect", "--t1", f"{server.url}/a.nc", "--t2", f"{url}?x=1", "--output", "m.tif") == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_truth_maps_and_masks_lie_at_addresses_and_in_archives(cli: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(1000, 3000, (4, 96, 96)).astype(np.uint16)
    second = (first + rng.integers(0, 20, first.shape)).astype(np.uint16)
    second[:, 10:40, 10:40] += 2500
    truth, lake = np.zeros((2, 1, 96, 96), np.uint8)
    truth[:, 10:40, 10:40] = 1
    lake[:, :5] = 1
    for name, values in (("t1", first), ("t2", second), ("truth", truth), ("lake", lake)):
        write(f"{name}.tif", values)
    with zipfile.ZipFile("a.zip", "w") as archive:
        for name in ("truth.tif", "lake.tif"):
            archive.write(name)
    expected = mapped(cli, "t1.tif", "t2.tif", "--mask", "lake.tif", "--method", "cva")
    with serving(tmp_path) as server:
        for root in (server.url, "/vsizip/a.zip"):
            got = mapped(cli, "t1.tif", "t2.tif", "--mask", f"{root}/lake.tif", "--method", "cva")
            np.testing.assert_array_equal(got, expected)
            np.testing.assert_array_equal(hc.open_labels(f"{root}/truth.tif").values, truth[0])
            assert cli("evaluate", "change.tif", "--truth", f"{root}/truth.tif") == 0
        assert cli("evaluate", f"{server.url}/change.tif", "--truth", f"{server.url}/truth.tif?a=b") == 0
        assert set(server.asked) == {"lake.tif", "truth.tif", "change.tif"}
        labels = hc.open_labels(f"{server.url}/truth.tif?token=secret")
        assert "secret" not in labels.name


@pytest.mark.parametrize(("name", "ending"), [("enmap", "SPECTRAL_IMAGE.TIF"), ("desis", "SPECTRAL_IMAGE.tif")])
def test_an_image_without_what_lies_beside_it_is_refused_at_an_address(
    cli: Any, tmp_path: Path, capsys: Capture, name: str, ending: str
) -> None:
    folder = deliveries.MAKERS[name](tmp_path, 1)
    image = next(folder.glob(f"*{ending}"))
    with serving(tmp_path) as server:
        address = f"{server.url}/{folder.name}/{image.name}"
        assert cli("detect", "--t1", address, "--t2", folder, "--output", "m.tif", "--common-bands") == 2
    said = capsys.readouterr().err
    assert "at an address these are not looked for: download the whole product" in said and address in said
    assert said.count("\n") == 1 and not Path("m.tif").exists()


def test_jpeg_2000_and_png_lie_at_addresses(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 4000, (1, 300, 300)).astype(np.uint16)
    write("source.tif", values)
    rasterio.shutil.copy("source.tif", "b.jp2", driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE=True)
    write("b.png", values.astype(np.uint8), driver="PNG")
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write("b.jp2")
    with serving(tmp_path) as server:
        for place in (f"{server.url}/b.jp2", "/vsizip/a.zip/b.jp2"):
            np.testing.assert_array_equal(open_cube(place).read(), open_cube("b.jp2").read())
        np.testing.assert_array_equal(open_cube(f"{server.url}/b.png").read(), values.astype(np.uint8))


@pytest.mark.parametrize(
    ("name", "ranges", "words"),
    [
        ("a.nc", False, "its server hands out no ranges of bytes; download it and name the file"),
        ("cut.he5", True, "is truncated or damaged; copy it again"),
        ("a.npy", True, "is a NumPy .npy file: at an address or in an archive, images"),
        ("a.vrt", True, "is a virtual raster (VRT) file: at an address"),
        ("a.txt", True, "is of no kind that is read there: at an address"),
        ("closed.nc", True, "403): it is not open to you"),
        ("gone.nc", True, "404): nothing is there"),
    ],
)
def test_what_cannot_be_read_there_is_told_in_one_line(
    cli: Any, tmp_path: Path, name: str, ranges: bool, words: str, capsys: Capture
) -> None:
    large(tmp_path / "a.nc")
    Path("cut.he5").write_bytes(Path("a.nc").read_bytes()[:300_000])
    np.save("a.npy", np.zeros((3, 4, 5)))
    Path("a.vrt").write_text("<VRTDataset/>")
    Path("a.txt").write_text("nothing\n" * 99)
    with serving(tmp_path, ranges=ranges) as server:
        for words_of in (["--t1", "{}", "--t2", "a.nc"], ["--t1", "a.nc", "--t2", "a.nc", "--mask", "{}"]):
            named = [each.format(f"{server.url}/{name}?token=secret") for each in words_of]
            assert cli("detect", *named, "--output", "m.tif") == 2
            said = capsys.readouterr().err.strip()
            assert "secret" not in said and len(said.splitlines()) == 1 and "Traceback" not in said
            if words_of[1] == "{}":
                assert words in said and f"{server.url}/{name}" in said
        assert not ranges or server.served < 3_000_000
    assert not Path("m.tif").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("s3://bucket/a.nc", "cannot be read over the network"),
        ("/vsizip/a.zip/a.mat", "unpack it, and name the file"),
        ("/vsizip/a.zip/none.nc", "the archive holds no such file; check the name"),
        ("/vsizip/cut.zip/a.nc", "cannot be read"),
    ],
)
def test_what_an_archive_or_bucket_does_not_give_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    large(tmp_path / "a.nc")
    Path("a.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(126) + b"IM" + bytes(99))
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write("a.nc")
        archive.write("a.mat")
    content = bytearray(Path("a.zip").read_bytes())
    content[2_000_000:2_100_000] = bytes(100_000)
    Path("cut.zip").write_bytes(content)
    monkeypatch.setenv("AWS_S3_ENDPOINT", "127.0.0.1:9")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    with pytest.raises(FormatError, match=words) as refused:
        open_cube(name).read()
    assert "\n" not in str(refused.value)


def test_an_archive_without_room_for_what_it_holds_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(tmp_path / "a.nc")
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write("a.nc")
    usage = byte_sources.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(byte_sources.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(FormatError, match=r"no room .* name another folder by TMPDIR, or unpack the archive"):
        open_cube("/vsizip/a.zip/a.nc")
    with zipfile.ZipFile("stored.zip", "w") as archive:
        archive.write("a.nc")
    open_cube("/vsizip/stored.zip/a.nc").read(slice(0, 5), slice(0, 5))  # which takes none


def test_a_server_that_is_busy_is_asked_again_and_one_that_changes_its_file_is_told(tmp_path: Path) -> None:
    values = large(tmp_path / "a.nc")
    with serving(tmp_path) as server:
        server.busy = 2
        cube = open_cube(f"{server.url}/a.nc")
        server.busy = 1
        np.testing.assert_array_equal(cube.read(slice(0, 9), slice(0, 9)), values[:, :9, :9])
        server.busy = 10
        with pytest.raises(FormatError, match="503"):
            cube.read(slice(300, 400), slice(300, 400))
        server.busy = 0
        Path("a.nc").write_bytes(Path("a.nc").read_bytes() + bytes(10))
        with pytest.raises(FormatError, match="changed while it was read"):
            cube.read(slice(300, 400), slice(300, 400))


def test_a_token_goes_to_the_host_that_was_named_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = large(tmp_path / "a.nc")
    monkeypatch.setenv("GDAL_HTTP_BEARER", "secret")
    with serving(tmp_path) as store, serving(tmp_path) as server:
        server.sends_on_to = store.url
        cube = open_cube(f"{server.url}/a.nc")
        np.testing.assert_array_equal(cube.read(slice(0, 9), slice(0, 9)), values[:, :9, :9])
        assert set(server.tokens) == {"Bearer secret"} and set(store.tokens) == {None}
        server.sends_on_to = f"file://{tmp_path}"
        byte_sources._ranges.cache_clear()
        with pytest.raises(FormatError):
            open_cube(f"{server.url}/a.nc")


def test_two_slashes_in_an_address_are_asked_for_as_they_are(tmp_path: Path) -> None:
    Path("a").mkdir()
    values = np.random.default_rng(0).integers(1, 9, (2, 20, 20)).astype(np.uint8)
    write("a/b.tif", values)
    large(tmp_path / "a" / "c.nc")
    with serving(tmp_path) as server:
        cube = open_cube(f"{server.url}/a//b.tif")
        np.testing.assert_array_equal(cube.read(), values)
        assert cube.grid.transform == PLACE
        open_cube(f"{server.url}/a//c.nc")
        assert {each.lstrip("/") for each in server.asked} == {"a//b.tif", "a//c.nc"}


def test_arrays_elsewhere_are_known_again_by_their_content(tmp_path: Path) -> None:
    large(tmp_path / "a.nc")
    content = bytearray(Path("a.nc").read_bytes())
    content[-5] ^= 1
    Path("b.nc").write_bytes(content)
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("a.nc")
        archive.write("b.nc")
    with serving(tmp_path) as server:
        for root in (server.url, "/vsizip/a.zip"):
            first, second = as_path(f"{root}/a.nc"), as_path(f"{root}/b.nc")
            then = file_identity(first)
            assert then and is_same_file(first, then) and not is_same_file(second, then)
            assert changed_inputs({str(first): then}, [first]) == []


@pytest.mark.quick("enmap-zip", "landsat-tar")
@pytest.mark.parametrize("packing", ["zip", "tar"])
@pytest.mark.parametrize("name", ["enmap", "desis", "landsat", "sentinel2", "hyperion"])
def test_any_file_of_a_product_in_an_archive_stands_for_it(tmp_path: Path, name: str, packing: str) -> None:
    folder = made(name, tmp_path, 1)
    archive = deliveries.zipped(folder) if packing == "zip" else deliveries.tarred(folder, f"{folder.name}/")
    main = {"landsat": "*_MTL.txt", "sentinel2": "MTD_MSIL2A.xml", "hyperion": "*_MTL_L1T.TXT"}
    (file,) = folder.glob(main.get(name, "*SPECTRAL_IMAGE.*[!rL]"))
    cube = open_cube(f"/vsi{packing}/{archive}/{folder.name}/{file.name}")
    np.testing.assert_array_equal(cube.read(), open_cube(folder).read())
    assert cube.product is not None and archive in cube.files
