"""Names of outputs: they say what they hold, and none is an input, whatever it is called."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

import hsi_cd as hc
from hsi_cd.errors import FormatError, OutputError
from hsi_cd.io import CHECKPOINT, GEOTIFF, TABLES, check_ending, check_outputs, refuse_folder_of_inputs

PROFILE = {"crs": "EPSG:32633", "transform": Affine(30, 0, 400000, 0, -30, 5800000)}


def image(path: Path, *, driver: str = "GTiff", bands: int = 3) -> Path:
    values = np.random.default_rng(0).integers(1, 900, (bands, 8, 9)).astype("uint16")
    size = {"count": bands, "height": 8, "width": 9, "dtype": "uint16"}
    with rasterio.open(path, "w", driver=driver, **size, **PROFILE) as file:
        file.write(values)
    return path


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def roundabout(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


def linked(path: Path) -> Path:
    link = path.with_name("link.tif")
    link.symlink_to(path)
    return link


def hard(path: Path) -> Path:
    link = path.with_name("hard.tif")
    link.hardlink_to(path)
    return link


@pytest.mark.parametrize("named", [Path, relative, roundabout, linked, hard])
def test_an_input_under_any_name_is_no_output(tmp_path: Path, named: Callable[[Path], Path]) -> None:
    source = image(tmp_path / "t1.tif")
    kept, other = source.read_bytes(), named(source)
    for output, given in ((other, source), (source, other)):
        with pytest.raises(OutputError, match="no output replaces what it is made from; name another file"):
            check_outputs({"the map": output}, kind=GEOTIFF, inputs=[given], overwrite=True)
    assert source.read_bytes() == kept


@pytest.mark.parametrize("beside", ["t1.tif.msk", "t1.tif.ovr", "t1.tif.aux.xml", "t1.hdr", "t1.msk"])
def test_what_belongs_to_an_input_is_no_output(tmp_path: Path, beside: str) -> None:
    source = image(tmp_path / "t1.tif")
    (tmp_path / beside).write_bytes(b"some")
    with pytest.raises(OutputError, match=r"belongs to the input .*t1\.tif"):
        check_outputs({"the map": tmp_path / beside}, inputs=[source], overwrite=True)
    check_outputs({"the map": tmp_path / "t1.gpkg"}, inputs=[source], overwrite=True)


@pytest.mark.parametrize(("name", "beside"), [("a.shp", "a.dbf"), ("a.shp", "a.cpg"), ("a.gpkg", "a.gpkg-wal")])
def test_what_belongs_to_drawn_labels_is_no_output(tmp_path: Path, name: str, beside: str) -> None:
    for each in (name, beside):
        (tmp_path / each).write_bytes(b"some")
    with pytest.raises(OutputError, match="belongs to the input"):
        check_outputs({"the map": tmp_path / beside}, inputs=[tmp_path / name], overwrite=True)


def test_an_envi_image_is_two_files(tmp_path: Path) -> None:
    data = image(tmp_path / "scene.img", driver="ENVI")
    header = data.with_suffix(".hdr")
    for given, output in ((data, header), (header, data), (data, data), (header, header)):
        with pytest.raises(OutputError, match="input"):
            check_outputs({"the map": output}, inputs=[given], overwrite=True)


def test_what_a_mosaic_of_gdal_reads_is_no_output(tmp_path: Path) -> None:
    source = image(tmp_path / "t1.tif")
    rasterio.shutil.copy(source, tmp_path / "t1.vrt", driver="VRT")
    with pytest.raises(OutputError, match=r"belongs to the input .*t1\.vrt"):
        check_outputs({"the map": source}, inputs=[tmp_path / "t1.vrt"], overwrite=True)


def test_a_band_in_a_folder_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "bands").mkdir()
    band = image(tmp_path / "bands" / "B2.tif", bands=1)
    with pytest.raises(OutputError, match="belongs to the input"):
        check_outputs({"the map": band}, inputs=[tmp_path / "bands"], overwrite=True)
    with pytest.raises(OutputError, match="holds the input"):
        refuse_folder_of_inputs(tmp_path, [tmp_path / "bands"])
    refuse_folder_of_inputs(tmp_path / "bands" / "run", [band])


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    link = tmp_path / "link.tif"
    link.symlink_to(tmp_path / "map.tif")  # which is not there yet
    for other in (tmp_path / "map.tif", roundabout(tmp_path / "map.tif"), link):
        with pytest.raises(OutputError, match="change and score are both "):
            check_outputs({"change": tmp_path / "map.tif", "score": other}, overwrite=True)


@pytest.mark.parametrize("name", ["m.png", "m.JP2", "m.nc", "m.zip", "m.img", "m.hdr", "m.jpg", "m.vrt", "m.gpkg"])
def test_a_name_that_promises_another_format_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match=r"is to be a GeoTIFF: let the name end in \.tif, not in "):
        check_ending(name, GEOTIFF)


@pytest.mark.parametrize("name", ["m.tif", "m.TIFF", "m", "m.2024", "m.v2"])
def test_a_name_that_promises_nothing_else_stays(name: str) -> None:
    check_ending(name, GEOTIFF)


def test_tables_and_checkpoints_have_endings_too() -> None:
    check_ending("t.tex", TABLES["latex"])
    for name, kind in (("t.json", TABLES["csv"]), ("t.png", TABLES["text"]), ("c.tif", CHECKPOINT)):
        with pytest.raises(FormatError, match="let the name end in"):
            check_ending(name, kind)


def test_the_door_writes_over_no_date(tmp_path: Path) -> None:
    """In Python a scene knows its files, aligned, with some of its bands and under whatever name."""
    t1, t2 = image(tmp_path / "t1.tif"), image(tmp_path / "t2.tif", bands=3)
    values = np.random.default_rng(1).integers(1, 900, (3, 8, 9)).astype("uint16")
    with rasterio.open(t2, "r+") as file:
        file.write(values)
    before = {path: path.read_bytes() for path in (t1, t2)}
    fitted = hc.CVA().fit(hc.choose_bands(hc.open_pair(t1, t2, common_bands=True)))
    change = fitted.predict(hc.open_pair(t1, t2))
    other = tmp_path / "c.tif"
    for files in ({"change": t1}, {"change": other, "score": t2}, {"change": other, "vector": t2}):
        with pytest.raises(OutputError, match="is an input"):
            change.write(**files, overwrite=True)
    with pytest.raises(OutputError, match="is an input"):
        fitted.save(t2, overwrite=True)
    with pytest.raises(FormatError, match=r"let the name end in \.pt"):
        fitted.save(other)
    with pytest.raises(FormatError, match=r"let the name end in \.tif"):
        change.write(tmp_path / "c.png")
    with pytest.raises(OutputError, match="holds the input"):
        hc.train(hc.open_pair(t1, t2), np.eye(8, 9, dtype=np.uint8), run=tmp_path, resume=True)
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t1.tif", "t2.tif"]
