"""Products whose places disagree: registered with their masks, and read again as they were written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine

import hsi_cd as hc

Capture = pytest.CaptureFixture[str]
MOVED = (2, -3)


def move_rasters(product: Path) -> None:
    """Says of every raster of a folder that it lies further up and to the right, so that its ground lies off."""
    for path in product.iterdir():
        if path.suffix.upper() == ".TIF":
            with rasterio.open(path, "r+") as file:
                file.transform = file.transform @ Affine.translation(-MOVED[1], -MOVED[0])


def move_swath(product: Path) -> None:
    with h5py.File(product, "r+") as file:
        place = np.array(file.attrs["geotransform"])
        place[0] -= MOVED[1] * place[1]
        place[3] -= MOVED[0] * place[5]
        file.attrs["geotransform"] = place
        file["location/lon"][...] -= MOVED[1] * place[1]
        file["location/lat"][...] -= MOVED[0] * place[5]


@pytest.mark.quick("enmap")
@pytest.mark.parametrize(
    ("pattern", "move"), [("enmap_*", move_rasters), ("EMIT_L2A_RFL_*.nc", move_swath)], ids=["enmap", "emit"]
)
def test_a_product_that_lies_off(
    cli: Any, shared: Path, tmp_path: Path, capsys: Capture, pattern: str, move: Any
) -> None:
    t1, t2 = sorted((shared / "products").glob(pattern))
    off = tmp_path / t2.name
    (shutil.copytree if t2.is_dir() else shutil.copy)(t2, off)
    move(off)
    laid = tmp_path / "t2-on-t1.tif"
    assert cli("info", t1, off) == 0
    assert "  pair        fits after --register\n" in capsys.readouterr().out
    assert cli("register", t1, off, "--output", laid, "--json") == 0
    back = [-each for each in MOVED]
    assert json.loads(capsys.readouterr().out)["undone"] == back

    # Read again, it is what --register makes of the date: values, bands, and what its masks left out.
    pair, again = hc.open_pair(t1, off, register=True), hc.open_pair(t1, laid)
    np.testing.assert_array_equal(again.t2.read(), pair.t2.read())
    np.testing.assert_array_equal(again.t1.read(), pair.t1.read())
    assert again.t2.bands.names == pair.t2.bands.names
    np.testing.assert_allclose(again.t2.bands.centres, pair.t2.bands.centres, atol=1e-5)
    np.testing.assert_allclose(again.t2.bands.fwhm, pair.t2.bands.fwhm, atol=1e-5)
    assert again.t2.acquired == pair.t2.acquired is not None
    # An independent reading: what lay straight was moved by whole pixels, and by nothing else.
    straight = hc.open_pair(t1, t2).t2.read()
    rows, cols = straight.shape[1:]
    inside = np.s_[:, abs(MOVED[0]) : rows - abs(MOVED[0]), abs(MOVED[1]) : cols - abs(MOVED[1])]
    np.testing.assert_array_equal(again.t2.read()[inside], straight[inside])

    maps = [tmp_path / name for name in ("register.tif", "file.tif")]
    assert cli("detect", "--t1", t1, "--t2", off, "--register", "--output", maps[0]) == 0
    assert cli("detect", "--t1", t1, "--t2", laid, "--output", maps[1]) == 0
    found = []
    for path in maps:
        with rasterio.open(path) as file:
            found.append(file.read())
    np.testing.assert_array_equal(*found)
