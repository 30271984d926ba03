"""Formats of other programs: read where that is easy, else refused by name with the way that the message tells."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import scipy.io
import scipy.sparse
from affine import Affine
from click.testing import CliRunner
from rasterio.rio.main import main_group

from hsi_cd.errors import FormatError
from hsi_cd.io import open_cube

VALUES = np.arange(1, 61, dtype=np.uint16).reshape(3, 4, 5)


def tiff(path: Path) -> Path:
    profile: dict[str, Any] = {"count": 3, "height": 4, "width": 5, "dtype": "uint16", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", "GTiff", **profile, transform=Affine(30, 0, 4e5, 0, -30, 58e5)) as file:
        file.write(VALUES)
    return path


def envi(folder: Path, more: str = "", start: bytes = b"") -> Path:
    (folder / "a.dat").write_bytes(VALUES.tobytes())
    text = "ENVI\nsamples = 5\nlines = 4\nbands = 3\ndata type = 12\ninterleave = bsq\nbyte order = 0\n" + more
    (folder / "a.hdr").write_bytes(start + text.encode())
    return folder / "a.hdr"


def test_erdas_imagine_is_read(tmp_path: Path) -> None:
    rasterio.shutil.copy(tiff(tmp_path / "a.tif"), tmp_path / "a.img", driver="HFA")
    cube = open_cube(tmp_path / "a.img")
    assert cube.grid == open_cube(tmp_path / "a.tif").grid
    np.testing.assert_array_equal(cube.read(), VALUES)


def test_a_virtual_raster_that_computes_is_refused_and_its_remedy_works(tmp_path: Path) -> None:
    with (
        rasterio.open(tiff(tmp_path / "source.tif")) as file,
        rasterio.vrt.WarpedVRT(file, crs=file.crs) as warped,
    ):
        rasterio.shutil.copy(warped, tmp_path / "a.vrt", driver="VRT")
    with pytest.raises(FormatError, match=r"computes \(VRTDataset VRTWarpedDataset\)") as refused:
        open_cube(tmp_path / "a.vrt")
    words = str(refused.value).partition("as with rio ")[2].split()
    assert CliRunner().invoke(main_group, words, catch_exceptions=False).exit_code == 0
    np.testing.assert_array_equal(open_cube(tmp_path / "a.tif").read(), VALUES)


def test_a_header_with_a_byte_order_mark_is_refused_and_its_remedy_works(tmp_path: Path) -> None:
    header = envi(tmp_path, start=b"\xef\xbb\xbf")
    for given in (header, tmp_path / "a.dat"):
        with pytest.raises(FormatError, match=r"a\.hdr begins with a byte order mark") as refused:
            open_cube(given)
    subprocess.run(str(refused.value).partition("as with ")[2], shell=True, check=True)
    np.testing.assert_array_equal(open_cube(header).read(), VALUES)


@pytest.mark.parametrize("flags", ["True, true, False", "1, 1, 0", "TRUE,True,false"])
def test_good_bands_may_be_true_and_false(tmp_path: Path, flags: str) -> None:
    assert open_cube(envi(tmp_path, f"bbl = {{{flags}}}\n")).bands.good == (True, True, False)


def test_other_words_are_no_flags(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="bbl 2 of 3 is 'maybe'"):
        open_cube(envi(tmp_path, "bbl = {True, maybe, False}\n"))
    with pytest.raises(FormatError, match="wavelength 1 of 3 is 'True'"):
        open_cube(envi(tmp_path, "wavelength = {True, 500, 600}\n"))


def test_matlab_version_4_is_refused_by_name(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"cube": VALUES[0].astype(float)}, format="4")
    with pytest.raises(FormatError, match="is a MATLAB v4 file, which holds matrices and no cubes"):
        open_cube(tmp_path / "a.mat")


def test_a_cube_in_a_structure_is_read(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"S": {"cube": VALUES.transpose(1, 2, 0)}})
    np.testing.assert_array_equal(open_cube(tmp_path / "a.mat", key="S.cube").read(), VALUES)


def test_a_sparse_cube_is_refused_with_the_way(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"S": scipy.sparse.csc_matrix(VALUES[0].astype(float))})
    with pytest.raises(FormatError, match=r"save it in full, as x = full\(S\)"):
        open_cube(tmp_path / "a.mat")
