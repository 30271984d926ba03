"""GDAL's virtual rasters: what they show is read as GDAL reads it; what they could do beyond is refused."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

import hsi_cd as hc
from hsi_cd.cli.main import run
from hsi_cd.errors import FormatError
from hsi_cd.io import open_cube
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.runs.identity import file_identity, is_same_file

SIDE = 24
PLACE = Affine(30, 0, 400_000, 0, -30, 5_800_000)
TRANSFORM = "<GeoTransform>400000, 30, 0, 5800000, 0, -30</GeoTransform>"
RECTS = '<SrcRect xOff="0" yOff="0" xSize="24" ySize="24"/><DstRect xOff="{}" yOff="{}" xSize="{}" ySize="{}"/>'


def write(path: Path, values: np.ndarray, *, driver: str = "GTiff", **more: Any) -> Path:
    count, rows, cols = values.shape
    kept = {"crs": "EPSG:32633", "transform": PLACE, "dtype": values.dtype} | more
    with rasterio.open(path, "w", driver=driver, count=count, height=rows, width=cols, **kept) as file:
        file.write(values)
    return path


def source(name: str, *, kind: str = "SimpleSource", more: str = "", rects: str = "", attributes: str = "") -> str:
    return (
        f'<{kind}{attributes}><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        f"<SourceBand>1</SourceBand>{rects}{more}</{kind}>"
    )


def band(inside: str, number: int = 1, attributes: str = 'dataType="UInt16"') -> str:
    return f'<VRTRasterBand {attributes} band="{number}">{inside}</VRTRasterBand>'


def vrt(path: Path, bands: str, *, cols: int = SIDE, rows: int = SIDE, start: str = "") -> Path:
    path.write_text(
        f'{start}<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><SRS>EPSG:32633</SRS>{TRANSFORM}{bands}'
        "</VRTDataset>"
    )
    return path


@pytest.fixture
def values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The bands of ``a.tif``, in the current folder ``data``, beside which lies ``secret.tif``."""
    (tmp_path / "data" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "data")
    found = np.random.default_rng(0).integers(1, 4000, (3, SIDE, SIDE)).astype(np.uint16)
    write(Path("a.tif"), found)
    write(Path("below/b.tif"), found[::-1])
    write(tmp_path / "secret.tif", found)
    return found


def as_gdal_reads(path: Path) -> np.ndarray:
    with quiet_georeference(), rasterio.open(path) as file:
        assert file.driver == "VRT"
        return np.asarray(file.read())


SHOWN = {
    "stack": (band(source("a.tif")) + band(source("below/b.tif"), 2), SIDE),
    "mosaic": (
        band(
            source("a.tif", rects=RECTS.format(0, 0, 24, 24))
            + source("below/b.tif", rects=RECTS.format(24, 0, 24, 24))
        ),
        2 * SIDE,
    ),
    "resampled": (
        band(source("a.tif", rects=RECTS.format(0.5, 1, 36, 30.5), attributes=' resampling="bilinear"')), SIDE
    ),
    "coarser": (band(source("a.tif", rects=RECTS.format(0, 0, 11.5, 12))), SIDE),
    "scaled": (
        band(source("a.tif", kind="ComplexSource", more="<ScaleOffset>3</ScaleOffset><ScaleRatio>2</ScaleRatio>")),
        SIDE,
    ),
    "gaps": (
        band("<NoDataValue>7</NoDataValue>" + source("a.tif", kind="ComplexSource", more="<NODATA>1000</NODATA>")),
        SIDE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", SHOWN)
def test_what_a_virtual_raster_shows_is_read_as_gdal_reads_it(which: str, values: np.ndarray) -> None:
    bands, cols = SHOWN[which]
    path = vrt(Path("v.vrt"), bands, cols=cols, start='\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<!-- x -->\n')
    cube = pickle.loads(pickle.dumps(open_cube(path)))  # noqa: S301
    expected = as_gdal_reads(path).astype(np.float32)
    got = cube.read()
    np.testing.assert_array_equal(np.where(np.isnan(got), 7, got), expected)
    np.testing.assert_array_equal(cube.read(slice(5, 20), slice(3, 19)), got[:, 5:20, 3:19])
    assert cube.grid.crs.to_epsg() == 32633 and cube.grid.transform == PLACE


@pytest.mark.parametrize(
    ("driver", "name"), [("GTiff", "s.tif"), ("ENVI", "s.dat"), ("JP2OpenJPEG", "s.jp2"), ("HFA", "s.img")]
)
def test_what_gdal_writes_is_read_with_what_it_says(driver: str, name: str, values: np.ndarray) -> None:
    more = (
        {"QUALITY": 100, "REVERSIBLE": True, "blockxsize": 64, "blockysize": 64} if driver == "JP2OpenJPEG" else {}
    )
    with rasterio.open(
        "plain.tif",
        "w",
        driver="GTiff",
        height=SIDE,
        width=SIDE,
        count=3,
        dtype="uint16",
        crs="EPSG:32633",
        transform=PLACE,
        nodata=0,
    ) as file:
        file.write(values)
        for number in file.indexes:
            file.update_tags(number, wavelength=str(500 + number), wavelength_units="Nanometers")
            file.set_band_description(number, f"band {number}")
    rasterio.shutil.copy("plain.tif", name, driver=driver, **more)
    rasterio.shutil.copy(name, "s.vrt", driver="VRT")
    cube, plain = open_cube("s.vrt"), open_cube(name)
    np.testing.assert_array_equal(cube.read(), plain.read())
    for fact in ("shape", "crs", "transform"):
        assert getattr(cube.grid, fact) == getattr(plain.grid, fact)
    assert cube.nodata == plain.nodata
    if driver == "GTiff":
        assert cube.bands == plain.bands and cube.bands.centres == (501, 502, 503)


def test_a_mask_shown_by_a_virtual_raster_hides(values: np.ndarray) -> None:
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[3:9, 4:7] = True
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open("a.tif", "r+") as file:
        file.write_mask(~hidden)
    rasterio.shutil.copy("a.tif", "m.vrt", driver="VRT")
    assert "MaskBand" in Path("m.vrt").read_text()
    np.testing.assert_array_equal(np.isnan(open_cube("m.vrt").read()[0]), hidden)


def test_virtual_rasters_are_dates_truths_and_masks(values: np.ndarray, tmp_path: Path) -> None:
    """The whole way: the map of two VRT is that of their files, masked and judged by VRT."""
    later = values.copy()
    later[:, 4:12, 4:12] += 3000
    write(Path("t2.tif"), later)
    truth = np.zeros((1, SIDE, SIDE), np.uint8)
    truth[:, 4:12, 4:12] = 1
    write(Path("truth.tif"), truth)
    covered = np.zeros((1, SIDE, SIDE), np.uint8)
    covered[:, :2] = 1
    write(Path("lake.tif"), covered)
    for name in ("a", "t2", "truth", "lake"):
        rasterio.shutil.copy(f"{name}.tif", f"{name}.vrt", driver="VRT")
    maps = []
    for ending in ("tif", "vrt"):
        words = ["--t1", f"a.{ending}", "--t2", f"t2.{ending}", "--mask", f"lake.{ending}"]
        assert run(["detect", "--method", "cva", *words, "--output", f"map-{ending}.tif"]) == 0
        with rasterio.open(f"map-{ending}.tif") as file:
            maps.append(file.read())
    np.testing.assert_array_equal(maps[1], maps[0])
    assert (maps[1][0, :2] == 255).all() and (maps[1][0, 4:12, 4:12] == 1).all()
    labels = hc.open_labels("truth.vrt")
    np.testing.assert_array_equal(labels.values, truth[0])
    assert run(["evaluate", "map-vrt.tif", "--truth", "truth.vrt"]) == 0
    assert run(["info", "a.vrt"]) == 0


def test_a_virtual_raster_is_known_again_by_what_it_shows(values: np.ndarray) -> None:
    path = vrt(Path("v.vrt"), band(source("a.tif")))
    then = file_identity(path)
    assert is_same_file(path, then)
    write(Path("a.tif"), values + 1)
    assert not is_same_file(path, then)


NESTED = "&lt;VRTDataset rasterXSize='24' rasterYSize='24'&gt;&lt;/VRTDataset&gt;"
PYTHON = (
    "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
    "<PixelFunctionCode><![CDATA[open('ran', 'w')]]></PixelFunctionCode>"
)
DERIVED = 'dataType="UInt16" subClass="VRTDerivedRasterBand"'
RAW = (
    '<SourceFilename relativetoVRT="1">a.tif</SourceFilename><ImageOffset>0</ImageOffset>'
    "<PixelOffset>2</PixelOffset><LineOffset>48</LineOffset>"
)
LAUGHS = '<!DOCTYPE v [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
HOSTILE = {
    "python": (
        band(PYTHON + source("a.tif"), attributes=DERIVED), "computes (VRTRasterBand VRTDerivedRasterBand)"
    ),
    "python without its class": (band(PYTHON + source("a.tif")), "holds PixelFunctionType in VRTRasterBand"),
    "built-in function": (
        band("<PixelFunctionType>sum</PixelFunctionType>" + source("a.tif"), attributes=DERIVED), "computes"
    ),
    "raw": (band(RAW, attributes='dataType="UInt16" subClass="VRTRawRasterBand"'), "computes"),
    "warped": ('<GDALWarpOptions><SourceDataset>a.tif</SourceDataset></GDALWarpOptions>' + band(source("a.tif")),
               "holds GDALWarpOptions"),
    "pansharpened": ("<PansharpeningOptions/>" + band(source("a.tif")), "holds PansharpeningOptions"),
    "array": (band('<ArraySource><SingleSourceArray/></ArraySource>'), "holds ArraySource"),
    "groups": ('<Group name="/"/>', "holds Group"),
    "filter": (band(source("a.tif", kind="KernelFilteredSource")), "holds KernelFilteredSource"),
    "open options": (band(source("a.tif", more='<OpenOptions><OOI key="X">y</OOI></OpenOptions>')),
                     "holds OpenOptions"),
    "lookup": (band(source("a.tif", kind="ComplexSource", more="<LUT>0:1,9:2</LUT>")), "holds LUT"),
    "other case": (band(source("a.tif").replace("SourceFilename", "sourcefilename")), "holds sourcefilename"),
    "curl": (band(source("/vsicurl/http://127.0.0.1:{port}/a.tif")), "no file on disk"),
    "curl after the folder": (band(source("./vsicurl/http://127.0.0.1:{port}/a.tif")), "no file on disk"),
    "address": (band(source("http://127.0.0.1:{port}/a.tif")), "no file on disk"),
    "driver's prefix": (band(source("WMS:http://127.0.0.1:{port}/?")), "no file on disk"),
    "stdin": (band(source("/vsistdin/")), "no file on disk"),
    "archive": (band(source("/vsizip/{{a.zip}}/a.tif")), "no file on disk"),
    "virtual connection": (band(source("vrt://a.tif?bands=1")), "no file on disk"),
    "inline": (band(source(NESTED)), "no file on disk"),
    "password file": (band(source("/etc/passwd")), "no file in the folder"),
    "up": (band(source("../secret.tif")), "no file in the folder"),
    "down and up": (band(source("below/../../secret.tif")), "no file in the folder"),
    "absolute": (band(source("{outside}/secret.tif")), "no file in the folder"),
    "link": (band(source("link.tif")), "no file in the folder"),
    "linked folder": (band(source("linked/secret.tif")), "no file in the folder"),
    "device": (band(source("pipe.tif")), "no file in the folder"),
    "folder": (band(source("below")), "no file in the folder"),
    "options behind the name": (band(source("a?if=VRT.tif")), "no file in the folder"),
    "nested": (band(source("inner.vrt")), "shows another virtual raster"),
    "nested under another name": (band(source("inner.tif")), "shows another virtual raster"),
    "arrays": (band(source("c.npy")), "shows a NumPy .npy file"),
    "text": (band(source("notes.txt")), "neither a MATLAB, GeoTIFF nor ENVI file"),
    "itself": (band(source("v.vrt")), "shows another virtual raster"),
    "mask's source": (band(source("a.tif")) + "<MaskBand>" + band(source("/etc/passwd")) + "</MaskBand>",
                      "no file in the folder"),
    "overlong number": (band("<Offset>" + "1" * 100_000 + "x</Offset>" + source("a.tif")), "as Offset"),
    "masks in masks": (
        band("<MaskBand><VRTRasterBand>" * 2000 + "</VRTRasterBand></MaskBand>" * 2000), "again and again"
    ),
    "crs from an address": ("<SRS>http://127.0.0.1:{port}/crs</SRS>" + band(source("a.tif")), "as SRS"),
    "crs from a file": ("<SRS>/etc/passwd</SRS>" + band(source("a.tif")), "as SRS"),
    "type": (band(source("a.tif"), attributes='dataType="CFloat32"'), "dataType='CFloat32'"),
    "shows nothing": (band(""), "shows no file"),
    "missing": (band(source("gone.tif")), "no file on disk"),
}  # fmt: skip


@pytest.fixture
def hostile_ground(values: np.ndarray, tmp_path: Path) -> Path:
    Path("link.tif").symlink_to(tmp_path / "secret.tif")
    Path("linked").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo("pipe.tif")
    for name in ("inner.vrt", "inner.tif"):
        vrt(Path(name), band(source("a.tif")))
    write(Path("a?if=VRT.tif"), values)
    np.save("c.npy", values)
    Path("notes.txt").write_text("nothing\n" * 100)
    return tmp_path


@pytest.mark.parametrize("which", HOSTILE)
def test_what_else_a_virtual_raster_could_do_is_refused(
    which: str, hostile_ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bands, words = HOSTILE[which]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        named = bands.replace("{port}", str(listening.getsockname()[1])).replace("{outside}", str(hostile_ground))
        vrt(Path("v.vrt"), named)
        assert run(["detect", "--method", "cva", "--t1", "v.vrt", "--t2", "a.tif", "--output", "map.tif"]) == 2
        said = capsys.readouterr().err.strip()
        assert words in said and len(said.splitlines()) == 1 and "Traceback" not in said
        for opened in (
            hc.open_labels,
            lambda path: hc.open_pair("a.tif", "a.tif", mask=path, allow_identical=True),
        ):
            with pytest.raises(FormatError):
                opened("v.vrt")
        with pytest.raises(TimeoutError):  # nobody asked
            listening.accept()
    assert not Path("ran").exists() and not Path("map.tif").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS + "<VRTDataset>&c;</VRTDataset>", "v.vrt declares a document type, which no virtual"),
        ('<!DOCTYPE v [<!ENTITY a SYSTEM "file:///etc/passwd">]><VRTDataset>&a;</VRTDataset>', "document type"),
        ("<VRTDataset>&a;</VRTDataset>", "undefined entity"),
        ("<VRTDataset rasterXSize='3'", "truncated or damaged"),
        ("<VRTDataset><SRS>\x00</SRS></VRTDataset>", "truncated or damaged"),
        ("<a><VRTDataset/></a>", "holds a, not a virtual raster"),
        ("<VRTDataset subClass='VRTWarpedDataset'/>", "computes (VRTDataset VRTWarpedDataset)"),
        ("<VRTDataset rasterXSize='-5' rasterYSize='3'/>", "rasterXSize='-5'"),
        ("<VRTDataset>" * 200_000 + "</VRTDataset>" * 200_000, "holds VRTDataset"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_plain_virtual_raster_is_refused(text: str, words: str, values: np.ndarray) -> None:
    Path("v.vrt").write_text(text)
    with pytest.raises(FormatError, match="VRT") as refused:
        open_cube("v.vrt")
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_an_encoding_in_which_a_declaration_hides_is_refused(values: np.ndarray) -> None:
    Path("v.vrt").write_bytes(b"<!-- <VRTDataset -->" + (LAUGHS + "<VRTDataset>&c;</VRTDataset>").encode("utf-16"))
    with pytest.raises(FormatError, match="truncated or damaged"):
        open_cube("v.vrt")


@pytest.mark.parametrize("size", [(2_000_000_000, 2_000_000_000), (400_000, 400_000)])
def test_a_raster_of_absurd_size_is_refused(size: tuple[int, int], values: np.ndarray) -> None:
    stretched = source("a.tif", rects=RECTS.format(0, 0, *size))
    with pytest.raises(FormatError, match="describes"):
        open_cube(vrt(Path("v.vrt"), band(stretched), cols=size[0], rows=size[1]))


def test_what_was_checked_is_what_is_opened(hostile_ground: Path, values: np.ndarray) -> None:
    """Neither the VRT nor a source that is exchanged behind the check leads anywhere else."""
    path = vrt(Path("v.vrt"), band(source("a.tif")))
    cube = open_cube(path)
    vrt(path, band(source("../secret.tif")) * 2)
    np.testing.assert_array_equal(cube.read(), values[:1])
    vrt(path, band(source("a.tif")))
    cube = open_cube(path)
    secret = hostile_ground / "other.tif"
    write(secret, values + 7)
    vrt(
        Path("evil"),
        band(f'<SimpleSource><SourceFilename relativeToVRT="0">{secret}</SourceFilename></SimpleSource>'),
    )
    Path("evil").replace("a.tif")  # a VRT under the name of the GeoTIFF
    with pytest.raises(FormatError, match=r"v\.vrt, or a file that it shows, cannot be read"):
        cube.read()


def test_a_source_exchanged_again_and_again_never_runs(hostile_ground: Path, values: np.ndarray) -> None:
    evil = vrt(Path("evil"), band(source("{outside}/secret.tif".replace("{outside}", str(hostile_ground)))))
    good, bad = Path("a.tif").read_bytes(), evil.read_bytes()
    secret = write(hostile_ground / "secret.tif", values + 7)
    assert secret.is_file()
    path = vrt(Path("v.vrt"), band(source("a.tif")))
    stop = threading.Event()

    def exchange() -> None:
        for content in [good, bad] * 10_000:
            Path("next").write_bytes(content)
            Path("next").replace("a.tif")
            if stop.is_set():
                return

    thread = threading.Thread(target=exchange)
    thread.start()
    read = refused = 0
    until = time.monotonic() + 20
    try:
        while (read < 5 or refused < 5) and time.monotonic() < until:
            try:
                np.testing.assert_array_equal(open_cube(path).read(), values[:1])
                read += 1
            except FormatError:
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert read and refused


@pytest.mark.parametrize("ending", [".msk", ".ovr"])
def test_a_virtual_raster_as_a_mask_beside_an_image_is_refused(ending: str, values: np.ndarray) -> None:
    vrt(Path(f"a.tif{ending}"), band(source("../secret.tif"), attributes='dataType="Byte"'))
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("a.tif")
        archive.write(f"a.tif{ending}")
    for name in ("a.tif", "/vsizip/a.zip/a.tif"):
        with pytest.raises(FormatError, match=rf"a\.tif\{ending} is no GeoTIFF"):
            open_cube(name)
