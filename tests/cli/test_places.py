"""Dates that lie elsewhere: at an address, read by ranges from a server on this machine, or in an archive."""

from __future__ import annotations

import json
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from range_server import serving

import hsi_cd as hc
from hsi_cd.cli.main import run
from hsi_cd.errors import ConfigError, FormatError, OutputError, PairError
from hsi_cd.io import open_cube
from hsi_cd.paths import as_path
from hsi_cd.places import gdal_name
from hsi_cd.runs.identity import changed_inputs, file_identity, is_same_file

Capture = pytest.CaptureFixture[str]


PLACE = Affine(30, 0, 400_000, 0, -30, 5_800_000)
SIDE, BANDS = 96, 4
DETECT = ["detect", "--method", "cva", "--output", "change.tif"]


def write(name: str | Path, values: np.ndarray, **more: Any) -> None:
    count, rows, cols = values.shape
    kept = {"crs": "EPSG:32633", "transform": PLACE, "dtype": values.dtype} | more
    with rasterio.open(name, "w", driver="GTiff", count=count, height=rows, width=cols, **kept) as file:
        file.write(values)


@pytest.fixture(autouse=True)
def dates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Two dates with a changed corner, ``t1.tif`` and ``t2.tif`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    rng = np.random.default_rng(0)
    t1 = rng.integers(1000, 3000, (BANDS, SIDE, SIDE)).astype(np.uint16)
    t2 = (t1 + rng.integers(0, 20, t1.shape)).astype(np.uint16)
    t2[:, 10:40, 10:40] += 2500
    write("t1.tif", t1)
    write("t2.tif", t2)
    return t1, t2


def mapped(*words: str) -> np.ndarray:
    assert run([*DETECT, *words, "--overwrite"]) == 0
    with rasterio.open("change.tif") as file:
        assert file.crs.to_epsg() == 32633 and file.transform == PLACE
        return file.read()


def test_dates_at_addresses_give_the_map_of_those_on_disk(tmp_path: Path) -> None:
    expected = mapped("--t1", "t1.tif", "--t2", "t2.tif")
    with serving(tmp_path) as server:
        there = [f"{server.url}/t1.tif", f"{server.url}/t2.tif"]
        np.testing.assert_array_equal(mapped("--t1", there[0], "--t2", there[1]), expected)
        np.testing.assert_array_equal(
            mapped("--t1", f"/vsicurl/{there[0]}", "--t2", f"{there[1]}?sign=a%2Fb"), expected
        )
        assert set(server.asked) == {"t1.tif", "t2.tif"}  # nothing beside them


def test_messages_leave_out_the_query_of_an_address(tmp_path: Path) -> None:
    write("colours.tif", np.arange(3 * SIDE * SIDE, dtype=np.int32).reshape(3, SIDE, SIDE))
    with serving(tmp_path) as server, pytest.raises(FormatError, match="3 bands that differ") as refused:
        hc.open_labels(f"{server.url}/colours.tif?signature=secret")
    assert "colours.tif has" in str(refused.value) and "secret" not in str(refused.value)


def test_bands_at_addresses_are_one_date(tmp_path: Path, dates: tuple[np.ndarray, np.ndarray]) -> None:
    write("b4.tif", dates[0][:1])
    write("b8.tif", dates[0][1:2])
    with serving(tmp_path) as server:
        cube = open_cube([f"{server.url}/b4.tif?x=1", f"{server.url}/b8.tif"])
        np.testing.assert_array_equal(cube.read(), dates[0][:2])
        assert cube.bands.names == ("b4", "b8")


def test_only_the_ranges_that_are_needed_are_read(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 60_000, (2, 1024, 1024)).astype(np.uint16)
    write("large.tif", values, tiled=True, blockxsize=64, blockysize=64, interleave="band")
    whole = Path("large.tif").stat().st_size
    with serving(tmp_path) as server:
        cube = pickle.loads(pickle.dumps(open_cube(f"{server.url}/large.tif")))  # noqa: S301
        assert server.served < whole / 30
        got = cube.read(slice(500, 520), slice(500, 520))
        np.testing.assert_array_equal(got, values[:, 500:520, 500:520])
        assert server.served < whole / 10


def test_a_named_archive_at_an_address_is_read_by_ranges(
    tmp_path: Path, dates: tuple[np.ndarray, np.ndarray]
) -> None:
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("t1.tif", "in/t1.tif")
    with serving(tmp_path) as server:
        cube = open_cube(f"/vsizip/{server.url}/a.zip/in/t1.tif")
        np.testing.assert_array_equal(cube.read(), dates[0])


@pytest.mark.parametrize(
    ("name", "ranges", "words"),
    [
        ("no.tif", True, "404): nothing is there: check the address"),
        ("closed.tif", True, "403): it is not open to you"),
        ("whole.tif", False, "its server hands out no ranges of bytes; download it and name the file"),
    ],
)
def test_what_a_server_does_not_give_is_told_in_one_line(
    name: str, ranges: bool, words: str, tmp_path: Path, capsys: Capture
) -> None:
    np.save("t1.npy", np.zeros((3, 4, 5)))
    write("whole.tif", np.random.default_rng(1).integers(0, 60_000, (2, 1024, 1024)).astype(np.uint16))
    with serving(tmp_path, ranges=ranges) as server:
        assert run([*DETECT, "--t1", f"{server.url}/{name}?token=secret", "--t2", "t2.tif"]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and f"/{name} cannot be read over the network" in said
    assert len(said.splitlines()) == 1 and "secret" not in said and not Path("change.tif").exists()


def test_no_network_is_told_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    with serving(tmp_path) as server:
        gone = server.url
    assert run([*DETECT, "--t1", f"{gone}/t1.tif", "--t2", "t2.tif"]) == 2
    said = capsys.readouterr().err.strip()
    assert "check the network and the address" in said and len(said.splitlines()) == 1


def test_a_bucket_is_read_by_gdals_own_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dates: tuple[np.ndarray, np.ndarray]
) -> None:
    Path("bucket").mkdir()
    Path("t1.tif").rename("bucket/t1.tif")
    with serving(tmp_path) as server:
        for name, value in {
            "AWS_S3_ENDPOINT": server.url.removeprefix("http://"), "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_NO_SIGN_REQUEST": "YES",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        np.testing.assert_array_equal(open_cube("s3://bucket/t1.tif").read(), dates[0])
        assert set(server.asked) == {"bucket/t1.tif"}
        Path("bucket/a.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(5000))
        with pytest.raises(FormatError, match=r"is no GeoTIFF, .* or give its https:// address"):
            open_cube("s3://bucket/a.nc")


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.quick("zip")
def test_a_file_in_an_archive_is_a_date(kind: str, tmp_path: Path, capsys: Capture) -> None:
    expected = mapped("--t1", "t1.tif", "--t2", "t2.tif")
    if kind == "zip":
        with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write("t1.tif", "in/t1.tif")
    else:
        with tarfile.open("a.tar", "w") as tar:
            tar.add("t1.tif", "in/t1.tif")
    for archive_name in (f"a.{kind}", f"/{tmp_path}/a.{kind}", f"{{{tmp_path}/a.{kind}}}"):
        got = mapped("--t1", f"/vsi{kind}/{archive_name}/in/t1.tif", "--t2", "t2.tif")
        np.testing.assert_array_equal(got, expected)
    capsys.readouterr()
    assert run([*DETECT, "--t1", f"/vsi{kind}/a.{kind}/t3.tif", "--t2", "t2.tif", "--overwrite"]) == 2
    assert "the archive holds no such file; check the name" in capsys.readouterr().err
    assert run([*DETECT[:-1], f"a.{kind}", "--t1", f"/vsi{kind}/a.{kind}/in/t1.tif", "--t2", "t2.tif"]) == 2
    with pytest.raises(OutputError, match="is an input"):
        pair = hc.open_pair(f"/vsi{kind}/a.{kind}/in/t1.tif", "t2.tif")
        hc.detect(pair, "cva").write(tmp_path / f"a.{kind}", overwrite=True)


def test_one_address_twice_is_one_file(tmp_path: Path) -> None:
    with serving(tmp_path) as server, pytest.raises(PairError, match="one file"):
        hc.open_pair(f"{server.url}/t1.tif", f"/vsicurl/{server.url}/t1.tif")


def test_info_tells_what_lies_at_an_address(tmp_path: Path, capsys: Capture) -> None:
    with serving(tmp_path) as server:
        assert run(["info", f"{server.url}/t1.tif", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["images"][0]["crs"] == "EPSG:32633"


def test_what_lies_elsewhere_is_known_again_by_its_content(tmp_path: Path) -> None:
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("t1.tif")
        archive.write("t2.tif")
    with serving(tmp_path) as server:
        for first, second in (
            (f"{server.url}/t1.tif", f"{server.url}/t2.tif"),
            ("/vsizip/a.zip/t1.tif", "/vsizip/a.zip/t2.tif"),
        ):
            t1, t2 = as_path(first), as_path(second)
            then = file_identity(t1)
            assert then and is_same_file(t1, then) and not is_same_file(t2, then)
            assert changed_inputs({str(t1): then}, [t1]) == []
            assert len(changed_inputs({str(t1): then}, [t2])) == 1
        gone = as_path(f"{server.url}/t1.tif")
        then = file_identity(gone)
    assert changed_inputs({"a": then}, [as_path("http://127.0.0.1:9/t1.tif")]) == []  # cannot be reached


@pytest.mark.parametrize(
    "name", ["https://", "https://host", "/vsicurl/ftp://host/a.tif", "s3://bucket",
             "/vsizip/no.zip/a.tif", "/vsizip/t1.tif", "/vsitar/", "/vsizip/https://host/a.tif"]
)  # fmt: skip
def test_a_name_that_can_be_no_place_is_refused(name: str, capsys: Capture) -> None:
    with pytest.raises(ConfigError, match="expected"):
        as_path(name)
    assert run([*DETECT, "--t1", name, "--t2", "t2.tif"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "https://h/a%20b/c.tif?x=1&y=./2",
        "https://h//a///b.tif?u=https://i//j",
        "s3://b/c//d.tif",
        "/vsizip/https://h/a.zip/b.tif",
        "/vsizip/https://h//c/a.zip/b.tif",
    ],
)
def test_a_place_survives_being_written_down(name: str) -> None:
    place = as_path(name)
    assert as_path(str(place)) == as_path(gdal_name(place)) == place.absolute() == place
    assert gdal_name(place).replace("{", "").replace("}", "").endswith(name.split("://", 1)[-1])
