"""STAC items as dates: on disk or at an address, their assets beside them, at other hosts only if allowed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from range_server import serving

from hsi_cd.errors import FormatError, GridError
from hsi_cd.io import open_cube
from hsi_cd.paths import as_path
from hsi_cd.runs.identity import file_identity, is_same_file

Capture = pytest.CaptureFixture[str]
PLACE = Affine(30, 0, 400_000, 0, -30, 5_800_000)
SIDE = 48
WAVES = {"blue": (0.4966, 0.098), "green": (0.56, 0.045), "red": (0.6645, 0.038), "nir": (0.8351, 0.145)}  # µm
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def write(name: Path, values: np.ndarray, pixel: float = 30.0, **more: Any) -> None:
    place = PLACE @ Affine.scale(pixel / 30)
    count, rows, cols = values.shape
    kept = {"driver": "GTiff", "crs": "EPSG:32633", "transform": place, "dtype": values.dtype} | more
    with rasterio.open(name, "w", count=count, height=rows, width=cols, **kept) as file:
        file.write(values)


def reflectance(date: int) -> np.ndarray:
    """Stored numbers, ``(bands, rows, cols)``, of which a block changes between the dates."""
    rng = np.random.default_rng(0)
    values = rng.integers(1500, 3500, (len(WAVES), SIDE, SIDE))
    if date == 2:
        values += np.random.default_rng(1).integers(0, 20, values.shape)
        values[:, 10:24, 10:24] += 2500
    return values.astype(np.uint16)


def item(folder: Path, date: int, *, root: str = "./", version: str = "1.0.0", **properties: Any) -> Path:
    """An item like those of Earth Search: out of order, with what is no band beside the bands."""
    folder.mkdir(parents=True, exist_ok=True)
    assets: dict[str, Any] = {
        "thumbnail": {"href": f"{root}preview.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        "visual": {"href": f"{root}TCI.tif", "type": COG, "roles": ["visual"]},
        "scl": {"href": f"{root}SCL.tif", "type": COG, "roles": ["data", "reflectance"],
                "raster:bands": [{"nodata": 0}]},
        "granule_metadata": {"href": "https://elsewhere.invalid/metadata.xml", "type": "application/xml"},
        "red-jp2": {"href": "s3://elsewhere/B04.jp2", "type": "image/jp2", "roles": ["data", "reflectance"],
                    "eo:bands": [{"name": "red", "center_wavelength": WAVES["red"][0]}]},
    }  # fmt: skip
    for name, values in reversed(list(zip(WAVES, reflectance(date), strict=True))):
        write(folder / f"{name}.tif", values[None])
        centre, fwhm = WAVES[name]
        asset: dict[str, Any] = {"href": f"{root}{name}.tif", "type": COG, "roles": ["data", "reflectance"]}
        if version == "1.0.0":
            asset["eo:bands"] = [
                {"name": name, "common_name": name, "center_wavelength": centre, "full_width_half_max": fwhm}
            ]
            asset["raster:bands"] = [{"nodata": 0, "scale": 0.0001, "offset": -0.1}]
        else:
            asset["bands"] = [
                {"name": name, "eo:center_wavelength": centre, "eo:full_width_half_max": fwhm, "nodata": 0}
            ]
            asset |= {"raster:scale": 0.0001, "raster:offset": -0.1}
        assets[name] = asset
    day = f"202{date}-07-24T10:14:04.1Z"
    told = {
        "type": "Feature",
        "stac_version": version,
        "id": "a",
        "geometry": None,
        "properties": {"datetime": day} | properties,
        "assets": assets,
        "links": [{"rel": "collection", "href": "https://elsewhere.invalid/"}],
    }
    (folder / "item.json").write_text(json.dumps(told))
    return folder / "item.json"


def edited(path: Path, key: str, **changes: Any) -> Path:
    told = json.loads(path.read_text())
    told["assets"][key] |= changes
    path.write_text(json.dumps(told))
    return path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HSI_CD_ALLOW_HOSTS", raising=False)


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_an_item_is_read_as_it_describes_its_assets(tmp_path: Path, version: str) -> None:
    cube = open_cube(item(tmp_path / "1", 1, version=version))
    assert cube.bands.names == tuple(WAVES) and cube.acquired == "2021-07-24T10:14:04"
    np.testing.assert_allclose(cube.bands.centres, [496.6, 560, 664.5, 835.1])
    np.testing.assert_allclose(cube.bands.fwhm, [98, 45, 38, 145])
    assert cube.nodata == 0 and cube.scale == (0.0001,) * 4 and cube.offset == (-0.1,) * 4
    np.testing.assert_array_equal(cube.reader(slice(0, SIDE), slice(0, SIDE)), reflectance(1))
    expected = (reflectance(1) * 0.0001 - 0.1).astype(np.float32)
    np.testing.assert_allclose(cube.read(), expected, rtol=1e-6)


def test_items_at_an_address_give_the_map_of_those_on_disk(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    first, second = item(tmp_path / "1", 1), item(tmp_path / "2", 2)
    maps = []
    with serving(tmp_path) as server:
        for t1, t2 in ((first, second), (f"{server.url}/1/item.json?a=b", f"{server.url}/2/item.json")):
            words = ["--method", "cva", "--output", "m.tif", "--overwrite"]
            assert cli("detect", "--t1", t1, "--t2", t2, *words) == 0
            with rasterio.open("m.tif") as file:
                maps.append(file.read(1))
        files = {f"{date}/{name}" for date in (1, 2) for name in ("item.json", *(f"{band}.tif" for band in WAVES))}
        assert set(server.asked) == files  # no thumbnail, no visual, no classes
        capsys.readouterr()
        assert cli("info", f"{server.url}/1/item.json", "--json") == 0
        assert json.loads(capsys.readouterr().out)["files"][0]["images"][0]["bands"] == 4
    np.testing.assert_array_equal(maps[1], maps[0])
    changed = maps[1] == 1
    assert changed[10:24, 10:24].mean() > 0.9 and changed.sum() < 14 * 14 * 1.1


def test_an_item_in_an_archive_names_what_lies_there(tmp_path: Path) -> None:
    path = item(tmp_path / "1", 1)
    expected = open_cube(path).read()
    with zipfile.ZipFile("a.zip", "w") as archive:
        for each in path.parent.iterdir():
            archive.write(each, f"in/{each.name}")
    np.testing.assert_array_equal(open_cube("/vsizip/a.zip/in/item.json").read(), expected)


def test_other_hosts_are_read_only_where_the_user_names_them(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with serving(tmp_path) as own, serving(tmp_path) as other:
        item(tmp_path / "1", 1)
        here = item(tmp_path / "1", 1, root=f"{other.url}/1/")
        host = other.url.removeprefix("http://")
        for named in (f"{own.url}/1/item.json", here):
            other.asked.clear()
            assert cli("info", named) == 2
            said = capsys.readouterr().err.strip()
            assert len(said.splitlines()) == 1 and f"set HSI_CD_ALLOW_HOSTS={host} in the environment" in said
            assert not other.asked
        monkeypatch.setenv("HSI_CD_ALLOW_HOSTS", f"nobody.invalid, {host}")  # the remedy
        for named in (f"{own.url}/1/item.json", here):
            np.testing.assert_array_equal(open_cube(named).read(), open_cube(here).read())
        assert set(other.asked) == {f"1/{band}.tif" for band in WAVES}


@pytest.mark.parametrize(
    ("href", "words"),
    [
        ("../secret.tif", "lies neither beside it nor below"),
        ("/etc/passwd", "lies neither beside it nor below"),
        ("{folder}/secret.tif", "lies neither beside it nor below"),
        ("file://{folder}/secret.tif", "lies neither beside it nor below"),
        ("link.tif", "lies neither beside it nor below"),
        ("/vsicurl/http://127.0.0.1:9/a.tif", "is not there"),
        ("gone.tif", "is not there"),
        ("http://127.0.0.1:9/a.tif", "at '127.0.0.1:9', which you did not"),
        ("HTTP://user@127.0.0.1:9/a.tif", "which you did not"),
        ("s3://bucket/a.tif", "at 'bucket', which you did not"),
        ("ftp://host/a.tif", "is not there"),
        ("evil.vrt", "is a virtual raster"),
    ],
)
def test_what_an_item_may_not_name_is_refused(tmp_path: Path, href: str, words: str) -> None:
    path = item(tmp_path / "1", 1)
    write(tmp_path / "secret.tif", reflectance(1)[:1])
    (tmp_path / "1" / "link.tif").symlink_to(tmp_path / "secret.tif")
    (tmp_path / "1" / "evil.vrt").write_text("<VRTDataset subClass='VRTWarpedDataset'/>")
    with pytest.raises(FormatError) as refused:
        open_cube(edited(path, "red", href=href.format(folder=tmp_path)))
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_an_item_at_an_address_names_no_file_of_this_machine(tmp_path: Path) -> None:
    path = item(tmp_path / "1", 1)
    with serving(tmp_path) as server:
        for href in (f"file://{tmp_path}/1/red.tif", "ftp://host/a.tif"):
            edited(path, "red", href=href)
            with pytest.raises(FormatError, match="neither beside it nor below"):
                open_cube(f"{server.url}/1/item.json?{len(href)}")
        edited(path, "red", href="/1/red.tif?signed=a%2Fb")  # which is one of its host
        assert open_cube(f"{server.url}/1/item.json?again").bands.count == 4


def test_pixel_sizes_that_differ_are_resampled_on_request(tmp_path: Path) -> None:
    path = item(tmp_path / "1", 1)
    write(tmp_path / "1" / "nir.tif", reflectance(1)[3:, ::2, ::2], pixel=60)
    with pytest.raises(GridError, match="differ in pixel size"):
        open_cube(path)
    assert open_cube(path, resample=True).grid.shape == (SIDE, SIDE)


@pytest.mark.parametrize(
    ("properties", "told", "offset"),
    [
        ({"earthsearch:boa_offset_applied": True}, True, 0.0),
        ({"earthsearch:boa_offset_applied": False}, True, -0.1),
        ({"s2:processing_baseline": "05.09"}, False, -0.1),
        ({"s2:processing_baseline": "03.01"}, False, 0.0),
    ],
)
def test_the_offset_of_sentinel_2_is_what_its_catalogues_mean(
    tmp_path: Path, properties: dict[str, Any], told: bool, offset: float
) -> None:
    path = item(tmp_path / "1", 1, **properties)
    for name in () if told else WAVES:
        edited(path, name, **{"raster:bands": [{}]})
    got = open_cube(path).read(slice(0, 4), slice(0, 4))
    np.testing.assert_allclose(got, reflectance(1)[:, :4, :4] * 1e-4 + offset, rtol=1e-5)


def test_a_picture_that_repeats_bands_and_thermal_bands_are_left_out(tmp_path: Path) -> None:
    """As on the Planetary Computer, where the picture has the role of data."""
    path = item(tmp_path / "1", 1)
    bands = [{"name": name} for name in ("red", "green", "blue")]
    edited(path, "visual", roles=["data"], **{"eo:bands": bands})
    edited(path, "scl", **{"eo:bands": [{"name": "B10", "center_wavelength": 10.9}]})
    assert open_cube(path).bands.names == tuple(WAVES)


def test_one_asset_of_many_bands_is_a_date(tmp_path: Path) -> None:
    path = item(tmp_path / "1", 1)
    write(tmp_path / "1" / "all.tif", reflectance(1))
    told = json.loads(path.read_text())
    bands = [{"name": name, "center_wavelength": centre} for name, (centre, _) in WAVES.items()]
    told["assets"] = {"image": {"href": "all.tif", "roles": ["data"], "eo:bands": bands}}
    path.write_text(json.dumps(told))
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.read(), reflectance(1))
    np.testing.assert_allclose(cube.bands.centres, [496.6, 560, 664.5, 835.1])
    told["assets"]["image"]["eo:bands"] = bands[:3]
    path.write_text(json.dumps(told))
    with pytest.raises(FormatError, match="has 4 bands, but the item describes 3"):
        open_cube(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "Catalog"}, "is no STAC item, but a Catalog: name the item of one date"),
        ({"type": "FeatureCollection"}, "is no STAC item, but a FeatureCollection"),
        ({"assets": []}, "without assets and properties"),
        ({"assets": {}}, "names no asset that is a band"),
        ({"assets": {"a": {"href": 3}}}, "has no href"),
        ({"assets": {"a": {"href": "red.tif", "eo:bands": [{"name": "a", "center_wavelength": "red"}]}}},
         "center_wavelength is 'red', no number"),
        ({"assets": {"a": {"href": "red.tif", "raster:bands": [{"scale": "NaN"}]}}}, "scale is 'NaN', no number"),
        ({"assets": {"a": {"href": "red.tif", "eo:bands": [{}, {}], "raster:bands": [{}]}}}, "in two ways"),
    ],
)  # fmt: skip
def test_a_document_that_is_no_item_of_bands_is_refused(
    cli: Any, tmp_path: Path, change: dict[str, Any], words: str, capsys: Capture
) -> None:
    path = item(tmp_path / "1", 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert cli("detect", "--t1", path, "--t2", path, "--output", "m.tif") == 2
    said = capsys.readouterr().err.strip()
    assert words in said and len(said.splitlines()) == 1 and not Path("m.tif").exists()


def test_a_scale_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = item(tmp_path / "1", 1)
    with rasterio.open(tmp_path / "1" / "red.tif", "r+") as file:
        file.scales = (0.5,)
    with pytest.raises(FormatError, match=r"has the scale 0\.5, but the item tells 0\.0001"):
        open_cube(path)


def test_an_item_is_known_again(tmp_path: Path) -> None:
    path = item(tmp_path / "1", 1)
    then = file_identity(path)
    assert is_same_file(path, then)
    write(tmp_path / "1" / "red.tif", reflectance(2)[:1])
    assert not is_same_file(path, then)
    edited(path, "red", href="http://elsewhere.invalid/a.tif")
    assert not is_same_file(path, then)
    item(tmp_path / "1", 1)
    with serving(tmp_path) as server:
        there = as_path(f"{server.url}/1/item.json")
        then = file_identity(there)
        assert then and is_same_file(there, then)
        item(tmp_path / "1", 2)
        assert not is_same_file(as_path(f"{server.url}/1/item.json?new"), then)
