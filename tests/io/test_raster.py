import os
import pickle
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import assume, given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from hsi_cd.errors import FormatError, MissingInputError
from hsi_cd.io import open_cube
from hsi_cd.io.raster import quiet_georeference

UTM = CRS.from_epsg(32651)
PLACE = Affine(30, 0, 200000, 0, -30, 3600000)
CODES = {"uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "uint16": 12, "uint32": 13}
ORDERS = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}


def write_envi(
    path: Path, values: np.ndarray, *, interleave: str, big: bool, offset: int = 0, more: str = ""
) -> None:
    """An ENVI image written by hand, from the format's description alone; values (bands, rows, cols)."""
    bands, rows, cols = values.shape
    order = values.dtype.newbyteorder(">" if big else "<")
    stored = np.ascontiguousarray(values.transpose(ORDERS[interleave])).astype(order)
    path.write_bytes(bytes(offset) + stored.tobytes())
    path.with_name(path.name + ".hdr").write_text(
        f"ENVI\nsamples = {cols}\nlines   = {rows}\nbands   = {bands}\nheader offset = {offset}\n"
        f"file type = ENVI Standard\ndata type = {CODES[values.dtype.name]}\ninterleave = {interleave}\n"
        f"byte order = {int(big)}\n{more}"
    )


def write_tiff(path: Path, values: np.ndarray, **options: object) -> None:
    bands, rows, cols = values.shape
    profile = {"driver": "GTiff", "count": bands, "height": rows, "width": cols, "dtype": values.dtype.name}
    with quiet_georeference(), rasterio.open(path, "w", **(profile | options)) as dataset:
        dataset.write(values)


def ramp(bands: int, rows: int, cols: int, dtype: str) -> np.ndarray:
    return (np.arange(bands * rows * cols) % 251).reshape(bands, rows, cols).astype(dtype)


@given(
    interleave=st.sampled_from(sorted(ORDERS)),
    dtype=st.sampled_from(sorted(CODES)),
    big=st.booleans(),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
    offset=st.sampled_from([0, 7]),
    data=st.data(),
)
def test_envi_reads_back_in_every_layout(tmp_path_factory, interleave, dtype, big, shape, offset, data) -> None:
    folder = tmp_path_factory.mktemp("envi")
    values = ramp(*shape, dtype)
    assume(values.nbytes + offset > 1)  # GDAL wants two bytes to look at
    write_envi(folder / "scene", values, interleave=interleave, big=big, offset=offset)
    cube = open_cube(folder / "scene")
    assert cube.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(cube.read(), values)
    row0, col0 = data.draw(st.integers(0, shape[1])), data.draw(st.integers(0, shape[2]))
    row1, col1 = data.draw(st.integers(row0, shape[1])), data.draw(st.integers(col0, shape[2]))
    window = cube.read(slice(row0, row1), slice(col0, col1))
    np.testing.assert_array_equal(window, values[:, row0:row1, col0:col1])


@pytest.mark.parametrize(
    ("name", "header"),
    # A suffix that is nobody's convention (s.v1) is found from its header by the whole name alone.
    [(name, "replaced") for name in ("s", "s.dat", "s.img", "s.bsq", "s.raw", "S.DAT")]
    + [(name, "appended") for name in ("s", "s.dat", "S.DAT", "s.v1")],
)
@pytest.mark.parametrize("suffix", [".hdr", ".HDR", ".Hdr"])
def test_either_envi_file_opens_the_image(tmp_path: Path, name: str, header: str, suffix: str) -> None:
    write_envi(tmp_path / name, ramp(2, 3, 4, "uint8"), interleave="bsq", big=False)
    old = tmp_path / f"{name}.hdr"
    new = (tmp_path / name).with_suffix(suffix) if header == "replaced" else tmp_path / f"{name}{suffix}"
    old.rename(new)
    for given_path in (tmp_path / name, new):
        np.testing.assert_array_equal(open_cube(given_path).read(), ramp(2, 3, 4, "uint8"))


def test_envi_metadata_arrives(tmp_path: Path) -> None:
    more = (
        "wavelength units = Micrometers\nwavelength = {0.45,\n 0.55, 2.2}\nfwhm = {0.01, 0.011, 0.012}\n"
        "bbl = {1, 0, 1}\nband names = {a, b, c}\ndata ignore value = 7\n"
    )
    write_envi(tmp_path / "s.dat", ramp(3, 3, 4, "int16"), interleave="bil", big=False, more=more)
    cube = open_cube(tmp_path / "s.dat")
    assert cube.bands.centres == (450.0, 550.0, 2200.0)
    assert cube.bands.fwhm == (10.0, 11.0, 12.0)
    assert cube.bands.good == (True, False, True)
    assert cube.bands.names == ("a", "b", "c")
    assert cube.nodata == 7
    assert np.isnan(cube.read()[0, 1, 3]) and np.isnan(cube.read()).sum() == 1


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("Nanometers", (450, 550), (450, 550)),
        ("nm", (450, 550), (450, 550)),
        ("um", (0.45, 9.5), (450, 9500)),
        ("Unknown", (450.5, 2200), (450.5, 2200)),
        ("Unknown", (0.45, 2.2), (450, 2200)),
        (None, (0.45, 2.2), (450, 2200)),
        (None, (450, 2200), (450, 2200)),
        (None, (1, 2000), ()),  # band numbers beside wavelengths: nobody can tell
        (None, (0.1, 2.2), ()),
        ("Index", (1, 2), ()),
        ("Nanometers", (0, 550), ()),
        ("Nanometers", (450, 550, 650), ()),
    ],
)
def test_wavelengths_are_nanometres_whatever_the_unit(tmp_path: Path, unit, values, expected) -> None:
    more = f"wavelength = {{{', '.join(map(str, values))}}}\n"
    more += f"wavelength units = {unit}\n" if unit else ""
    write_envi(tmp_path / "s", ramp(2, 3, 4, "uint8"), interleave="bsq", big=False, more=more)
    assert open_cube(tmp_path / "s").bands.centres == expected


def test_wavelengths_in_band_names_alone(tmp_path: Path) -> None:
    more = "band names = {band 1 (0.455400 Micrometers),\nband 2 (0.469400 Micrometers)}\n"
    write_envi(tmp_path / "s", ramp(2, 3, 4, "uint8"), interleave="bsq", big=False, more=more)
    bands = open_cube(tmp_path / "s").bands
    assert bands.centres == (455.4, 469.4)
    assert bands.names == ("band 1", "band 2")


def test_names_with_other_numbers_are_no_wavelengths(tmp_path: Path) -> None:
    for i, names in enumerate(["B2 10 m, B3 10 m", "Band 4:f97.c.img, Band 5:f97.c.img", "450 nm, thermal"]):
        write_envi(tmp_path / f"s{i}", ramp(2, 3, 4, "uint8"), interleave="bsq", big=False,
                   more=f"band names = {{{names}}}\n")  # fmt: skip
        assert open_cube(tmp_path / f"s{i}").bands.centres == ()


def test_geotiff_carries_place_tags_and_nodata(tmp_path: Path) -> None:
    path = tmp_path / "noextension"  # recognised by content
    values = ramp(2, 5, 6, "float32")
    write_tiff(path, values, crs=UTM, transform=PLACE, nodata=3.0)
    with rasterio.open(path, "r+") as dataset:
        for i, centre in ((1, "450"), (2, "550")):
            dataset.update_tags(i, wavelength=centre, wavelength_units="Nanometers", fwhm="10")
    cube = open_cube(path)
    assert (cube.grid.crs, cube.grid.transform, cube.nodata) == (UTM, PLACE, 3.0)
    assert (cube.bands.centres, cube.bands.fwhm) == ((450, 550), (10, 10))
    assert np.isnan(cube.read()).sum() == (values == 3).sum() > 0


def test_no_georeference_is_none_and_silent(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", ramp(1, 3, 4, "uint8"))
    grid = open_cube(tmp_path / "a.tif").grid
    assert (grid.crs, grid.transform, grid.gcps) == (None, None, ())


def test_ground_control_points_are_kept(tmp_path: Path) -> None:
    gcps = [GroundControlPoint(r, c, 10 + c, 50 - r) for r, c in ((0, 0), (0, 4), (3, 0), (3, 4))]
    write_tiff(tmp_path / "a.tif", ramp(1, 3, 4, "uint8"), gcps=gcps, crs=CRS.from_epsg(4326))
    grid = open_cube(tmp_path / "a.tif").grid
    assert (grid.transform, grid.crs, grid.gcp_crs) == (None, None, CRS.from_epsg(4326))
    assert [(p.row, p.col, p.x, p.y) for p in grid.gcps] == [(p.row, p.col, p.x, p.y) for p in gcps]


def test_threads_children_and_pickles_read_alike(tmp_path: Path) -> None:
    values = ramp(3, 64, 48, "uint16")
    write_tiff(tmp_path / "a.tif", values, tiled=True, blockxsize=16, blockysize=16)
    cube = open_cube(tmp_path / "a.tif")
    wrong: list[int] = []

    def read(seed: int) -> None:
        rows = np.random.default_rng(seed).integers(0, 60, 30)
        wrong.extend(r for r in rows if not np.array_equal(cube.read(slice(r, r + 4)), values[:, r : r + 4]))

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    again = pickle.loads(pickle.dumps(cube))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(again.read(), values)
    cube.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: numpy's own threads are running
        child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(cube.read(), values) else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("change", [-1, 5])
def test_envi_sizes_that_disagree_are_refused(tmp_path: Path, change: int) -> None:
    write_envi(tmp_path / "s", ramp(2, 3, 4, "int16"), interleave="bsq", big=False)
    raw = (tmp_path / "s").read_bytes()
    (tmp_path / "s").write_bytes(raw[:change] if change < 0 else raw + bytes(change))
    with pytest.raises(FormatError, match=rf"has {48 + change} bytes but s.hdr describes 48"):
        open_cube(tmp_path / "s")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("samples = 4", "", "without 'samples'"),
        ("samples = 4", "samples = many", "expected a whole number"),
        ("samples = 4", "samples = -4", "no negative"),
        ("samples = 4", "samples = 0", "none"),
        ("data type = 2", "data type = 6", "complex"),
        ("data type = 2", "data type = 77", "real types are"),
        ("ENVI Standard", "ENVI Spectral Library", "is a spectral library, not an image"),
    ],
)
def test_envi_headers_that_lie_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    write_envi(tmp_path / "s", ramp(2, 3, 4, "int16"), interleave="bsq", big=False)
    header = tmp_path / "s.hdr"
    assert old in header.read_text()
    header.write_text(header.read_text().replace(old, new))
    for path in (header, tmp_path / "s"):
        with pytest.raises(FormatError, match=message):
            open_cube(path)


def test_envi_files_that_are_alone(tmp_path: Path) -> None:
    write_envi(tmp_path / "s.dat", ramp(2, 3, 4, "int16"), interleave="bsq", big=False)
    (tmp_path / "s.dat.hdr").rename(tmp_path / "t.hdr")
    with pytest.raises(FormatError, match=r"no ENVI header \(s.hdr or s.dat.hdr\)"):
        open_cube(tmp_path / "s.dat")
    with pytest.raises(MissingInputError, match=r"no data file beside it: expected one of t, t\.dat"):
        open_cube(tmp_path / "t.hdr")
    for name in ("t.dat", "t.img"):
        (tmp_path / name).write_bytes((tmp_path / "s.dat").read_bytes())
    with pytest.raises(FormatError, match=r"several data files.*t\.dat, t\.img"):
        open_cube(tmp_path / "t.hdr")


def test_files_that_are_no_rasters_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("no raster at all")
    write_tiff(tmp_path / "whole.tif", ramp(3, 90, 90, "float32"))
    (tmp_path / "half.tif").write_bytes((tmp_path / "whole.tif").read_bytes()[:5000])
    write_tiff(tmp_path / "complex.tif", ramp(1, 3, 3, "complex64"))
    for path, message in [
        (tmp_path / "folder", "is a folder"),
        (tmp_path / "empty.tif", "is empty"),
        (tmp_path / "text.tif", "neither a MATLAB, GeoTIFF nor ENVI"),
        (tmp_path / "half.tif", "damaged or truncated"),
        (tmp_path / "complex.tif", "complex"),
    ]:
        with pytest.raises(FormatError, match=message) as caught:
            open_cube(path).read()
        assert "\n" not in str(caught.value)
    with pytest.raises(FormatError, match="a key"):
        open_cube(tmp_path / "whole.tif", key="x")


def test_real_files_with_a_catch(shared: Path) -> None:
    files = shared / "files"
    enmap = open_cube(files / "enmap_potsdam_tile_128_96.tif")
    assert enmap.bands.centres[:2] == (418.24, 423.874)
    assert enmap.bands.fwhm[0] == pytest.approx(6.99561)
    assert [i for i, good in enumerate(enmap.bands.good) if not good] == list(range(129, 135))
    assert np.flatnonzero(np.isnan(enmap.read()).all(axis=(1, 2))).tolist() == list(range(129, 135))
    hymap = open_cube(files / "HyMap02_Berlin_Urban_Gradient_2009.hdr")
    assert (hymap.bands.centres[0], hymap.bands.centres[-1]) == (455.4, 2446.5)
    with rasterio.open(files / "HyMap02_Berlin_Urban_Gradient_2009.bsq") as dataset:
        np.testing.assert_array_equal(hymap.read(slice(10, 20)), dataset.read()[:, 10:20])
    bimodal = open_cube(files / "bimodal.dat")
    assert (bimodal.bands.centres, bimodal.grid.is_georeferenced, bimodal.dtype) == ((), False, np.int16)
    for name in ("optimized.sli", "optimized.sli.hdr"):
        with pytest.raises(FormatError, match=rf"{name} is a spectral library, not an image"):
            open_cube(files / name)
