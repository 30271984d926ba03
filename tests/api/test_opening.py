from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.io
import xarray
from affine import Affine
from rasterio.io import MemoryFile

import hsi_cd as hc
from hsi_cd.api.opening import open_scene
from hsi_cd.api.sources import SceneSource
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import AxesError, BandError, ConfigError, FormatError, GridError, LabelError, MissingInputError
from hsi_cd.io import write_text
from hsi_cd.io.memory import limit_gdal_cache
from hsi_cd.runs import find_runs


@pytest.fixture
def arrays(simulated: PairFiles) -> tuple[np.ndarray, np.ndarray]:
    """Both dates as stored, ``(bands, rows, cols)``."""
    values = []
    for path in (simulated.t1, simulated.t2):
        with rasterio.open(path) as file:
            values.append(file.read())
    return values[0], values[1]


def same_values(pair: hc.ScenePair, other: hc.ScenePair) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(pair.read(), other.read(), strict=True))


# --- what a date may be ---


def test_files_arrays_and_cubes_open_to_the_same_values(simulated: PairFiles, arrays: Any) -> None:
    files = hc.open_pair(simulated.t1, str(simulated.t2))
    bare = hc.open_pair(*arrays)
    assert (bare.shape, bare.bands.count, bare.grid.is_georeferenced) == (files.shape, 24, False)
    assert same_values(bare, files)
    assert same_values(hc.open_pair(files.t1, files.t2), files)
    mixed = hc.open_pair(arrays[0], simulated.t2)
    assert mixed.grid == files.grid and mixed.bands.centres == files.bands.centres


def test_a_list_and_a_folder_of_bands(simulated: PairFiles, arrays: Any, tmp_path: Path) -> None:
    with rasterio.open(simulated.t1) as file:
        profile = file.profile | {"count": 1}
    for date, values in enumerate(arrays, start=1):
        (tmp_path / f"t{date}").mkdir()
        for band in range(3):
            with rasterio.open(tmp_path / f"t{date}" / f"b{band}.tif", "w", **profile) as file:
                file.write(values[band], 1)
    folder = hc.open_pair(tmp_path / "t1", sorted((tmp_path / "t2").iterdir()))
    assert folder.bands.count == 3
    assert same_values(folder, hc.open_pair(arrays[0][:3], arrays[1][:3]))


def test_a_dataset_of_rasterio_may_be_closed_afterwards(simulated: PairFiles) -> None:
    with rasterio.open(simulated.t1) as t1, rasterio.open(simulated.t2) as t2:
        pair = hc.open_pair(t1, t2)
    assert same_values(pair, hc.open_pair(simulated.t1, simulated.t2))


def test_a_dataset_in_memory(simulated: PairFiles) -> None:
    with MemoryFile(simulated.t1.read_bytes()) as file, file.open() as t1:
        pair = hc.open_pair(t1, simulated.t2)
        files = hc.open_pair(simulated.t1, simulated.t2)
        assert same_values(pair, files)
        assert (pair.t1.grid, pair.t1.bands.centres) == (files.t1.grid, files.t1.bands.centres)


def test_masked_values_are_no_data(arrays: Any) -> None:
    mask = np.zeros(arrays[0].shape, dtype=bool)
    mask[:, 3, 4] = True
    pair = hc.open_pair(np.ma.array(arrays[0], mask=mask), arrays[1])
    t1, _ = pair.read()
    assert np.isnan(t1[:, 3, 4]).all() and np.isnan(t1).sum() == mask.sum()


# --- xarray ---


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rioxarray multiplies transforms as of old
@pytest.mark.parametrize("order", [("band", "y", "x"), ("y", "x", "band")])
def test_what_rioxarray_opens_keeps_its_place_and_wavelengths(
    simulated: PairFiles, order: tuple[str, ...]
) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    files = hc.open_pair(simulated.t1, simulated.t2)
    with rioxarray.open_rasterio(simulated.t1) as opened:
        array = opened.assign_coords(wavelength=("band", list(files.bands.centres), {"units": "nm"}))
        pair = hc.open_pair(array.transpose(*order), simulated.t2)
        part = hc.open_pair(array[:, 5:20, 7:30], array[:, 5:20, 7:30])
        assert (pair.t1.grid.crs, pair.t1.bands.centres) == (files.grid.crs, files.bands.centres)
        assert pair.t1.grid.transform.almost_equals(files.grid.transform, 1e-6)
        np.testing.assert_allclose(pair.t1.read(slice(3, 9)), files.t1.read(slice(3, 9)), rtol=1e-6)
        # Of a part, the transform that rioxarray keeps is stale: the coordinates tell.
        moved = files.grid.transform @ Affine.translation(7, 5)
        assert part.grid.transform.almost_equals(moved, 1e-6)


def test_attributes_tell_the_place_where_no_coordinate_does(arrays: Any) -> None:
    attrs = {"crs": "EPSG:32651", "transform": (30.0, 0.0, 500.0, 0.0, -30.0, 900.0), "_FillValue": 0}
    array = xarray.DataArray(arrays[0], dims=("band", "y", "x"), attrs=attrs)
    grid = hc.open_pair(array, arrays[1]).grid
    assert grid.crs.to_epsg() == 32651 and grid.transform == Affine(30, 0, 500, 0, -30, 900)


def test_micrometres_become_nanometres() -> None:
    array = xarray.DataArray(
        np.ones((2, 3, 4)),
        dims=("wavelength", "row", "col"),
        coords={"wavelength": ("wavelength", [0.5, 0.75], {"units": "um"})},
    )
    assert hc.open_pair(array, array).bands.centres == pytest.approx((500, 750))


def test_dimensions_that_do_not_tell_are_refused() -> None:
    array = xarray.DataArray(np.ones((2, 3, 4)), dims=("a", "b", "c"))
    with pytest.raises(AxesError, match=r"a, b, c: expected three, called band, y and x; rename"):
        hc.open_pair(array, array)
    renamed = array.rename(a="band", b="y", c="x")  # as the message says
    assert hc.open_pair(renamed, renamed).shape == (3, 4)


def test_a_crs_that_is_none_is_refused() -> None:
    attrs = {"crs": "EPSG:none", "transform": (1, 0, 0, 0, -1, 0)}
    array = xarray.DataArray(np.ones((2, 3, 4)), dims=("band", "y", "x"), attrs=attrs)
    with pytest.raises(FormatError, match="CRS 'EPSG:none' of the array is not understood"):
        hc.open_pair(array, array)


# --- axes ---


def test_axes_are_said_or_told_by_the_truth(arrays: Any, tmp_path: Path) -> None:
    turned = [np.moveaxis(values, 0, 2) for values in arrays]
    expected = hc.open_pair(*arrays)
    assert same_values(hc.open_pair(*turned, axes="rows,cols,bands"), expected)
    assert same_values(hc.open_pair(*turned, axes=("rows", "cols", "bands")), expected)
    truth = np.zeros((48, 40), dtype=np.uint8)
    truth[:9] = 1
    assert same_values(hc.open_pair(*turned, like=truth), expected)
    assert same_values(hc.open_pair(*turned, like=hc.open_labels(truth)), expected)
    scipy.io.savemat(tmp_path / "truth.mat", {"truth": truth})
    assert same_values(hc.open_pair(*turned, like=tmp_path / "truth.mat"), expected)


def test_axes_are_of_the_array_alone(simulated: PairFiles, arrays: Any) -> None:
    pair = hc.open_pair(np.moveaxis(arrays[0], 0, 2), simulated.t2, axes="rows,cols,bands")
    assert same_values(pair, hc.open_pair(arrays[0], simulated.t2))


def test_a_file_of_arrays_is_read_like_the_array_beside_it(arrays: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "t2.npy", np.moveaxis(arrays[1], 0, 2))
    pair = hc.open_pair(arrays[0], tmp_path / "t2.npy")
    assert same_values(pair, hc.open_pair(*arrays))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((3, 4)), r"shape \(3, 4\): expected three axes"),
        (np.ones((2, 3, 4), dtype=complex), "type complex128: expected real numbers"),
        (np.full((2, 3, 4), "a"), "expected real numbers"),
        ([[1, 2], [3, 4]], "a date is a list: expected a path"),
        (None, "t1 and t2: give one"),
    ],
)
def test_what_is_no_date_is_refused(value: Any, message: str) -> None:
    with pytest.raises((FormatError, ConfigError), match=message):
        hc.open_pair(value, np.ones((2, 3, 4)))


def test_a_key_is_for_files(arrays: Any) -> None:
    with pytest.raises(FormatError, match="lies in memory"):
        hc.open_pair(*arrays, keys=("a", None))


# --- the contract ---


def test_what_differs_is_refused_or_brought_together(simulated: PairFiles, arrays: Any) -> None:
    files = hc.open_pair(simulated.t1, simulated.t2)
    place = files.grid.transform @ Affine.translation(4, 3)
    attrs = {"crs": files.grid.crs.to_wkt(), "transform": tuple(place)[:6]}
    waves = {"wavelength": ("band", list(files.bands.centres), {"units": "nm"})}
    moved = xarray.DataArray(arrays[1][:, 3:, 4:], dims=("band", "y", "x"), attrs=attrs, coords=waves)
    with pytest.raises(GridError, match="align=True"):
        hc.open_pair(simulated.t1, moved)
    pair = hc.open_pair(simulated.t1, moved, align=True)
    np.testing.assert_allclose(pair.t2.read()[:, 3:, 4:], files.t2.read()[:, 3:, 4:], rtol=1e-5)
    fewer = moved[2:]
    with pytest.raises(BandError, match="common_bands=True"):
        hc.open_pair(simulated.t1, fewer, align=True)
    assert hc.open_pair(simulated.t1, fewer, align=True, common_bands=True).bands.count == 22


def test_a_shift_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    ground = np.random.default_rng(0).random((4, 90, 96), dtype=np.float32)
    with caplog.at_level(logging.WARNING):
        pair = hc.open_pair(ground[:, :80, :80], ground[:, 2:82, 1:81])
        assert not caplog.text  # no pixel is read yet
        hc.detect(pair, method="cva")
    assert "t2 lies 2.00 pixels up and 1.00 left" in caplog.text


def test_the_name_is_that_of_the_file_or_the_folder(simulated: PairFiles, arrays: Any) -> None:
    assert hc.open_pair(simulated.t1, simulated.t2).name == "scene"  # the folder; t1 tells nothing
    assert hc.open_pair(simulated.t2, simulated.t1).name == "t2"
    assert hc.open_pair(*arrays, name="mine").name == "mine"


def test_a_scene_is_one_thing() -> None:
    with pytest.raises(ConfigError, match="a dataset's name, or t1 and t2"):
        open_scene(SceneSource(dataset="taizhou", t1="a.tif", t2="b.tif"))


@pytest.mark.parametrize(("given", "kept"), [(None, "32"), ("512", "512")])
def test_gdal_does_not_pile_up_what_is_read_once(
    simulated: PairFiles, monkeypatch: pytest.MonkeyPatch, given: str | None, kept: str
) -> None:
    monkeypatch.setenv("GDAL_CACHEMAX", given or "")
    if given is None:
        monkeypatch.delenv("GDAL_CACHEMAX")
    hc.open_pair(simulated.t1, simulated.t2)
    assert os.environ["GDAL_CACHEMAX"] == kept
    limit_gdal_cache()
    assert os.environ["GDAL_CACHEMAX"] == kept


# --- labels ---


def test_labels_of_files_arrays_and_xarray_agree(simulated: PairFiles) -> None:
    file = hc.open_labels(simulated.truth)
    with rasterio.open(simulated.truth) as opened:
        stored = opened.read(1)
        from_dataset = hc.open_labels(opened)
    attrs = {"crs": "EPSG:32651", "transform": (30.0, 0.0, 500.0, 0.0, -30.0, 900.0)}
    array = hc.open_labels(xarray.DataArray(stored[None], dims=("band", "y", "x"), attrs=attrs))
    for labels in (hc.open_labels(stored), from_dataset, array, hc.open_labels(file)):
        np.testing.assert_array_equal(labels.values, file.values)
    assert array.grid.crs.to_epsg() == 32651 and from_dataset.grid == file.grid


def test_masks_and_declared_values() -> None:
    changed = np.array([[1, 0], [0, 0]], dtype=bool)
    labels = hc.open_labels((changed, np.array([[0, 1], [0, 0]])))
    np.testing.assert_array_equal(labels.values, [[1, 0], [255, 255]])
    with pytest.raises(LabelError, match="1 pixels are both"):
        hc.open_labels((changed, changed))
    kinds = hc.open_labels(np.array([[5, 6], [7, 0]]), changed=(5, 6), unchanged=7, ignore=0)
    np.testing.assert_array_equal(kinds.values, [[1, 1], [0, 255]])
    assert kinds.kinds is not None and kinds.kinds[0].tolist() == [5, 6]
    np.testing.assert_array_equal(hc.open_labels(changed).values, changed)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (np.array([[3, 4]]), {}, "declare other values with changed=.* and unchanged="),
        (np.array([[3, 4]]), {"changed": 3}, "unchanged is missing: declare both"),
        (np.array([[3, 4]]), {"changed": 3, "unchanged": 3}, "declared twice"),
        ((np.ones((2, 2)), np.zeros((2, 2))), {"changed": 1, "unchanged": 0}, "own label values"),
    ],
)
def test_labels_that_are_not_understood(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        hc.open_labels(source, **options)


def test_what_is_no_truth_is_refused() -> None:
    for source, message in ((np.ones((2, 2, 2)), "one value a pixel"), ({}, "a truth map is a dict")):
        with pytest.raises(FormatError, match=message):
            hc.open_labels(source)
    with pytest.raises(GridError, match="masks of one scene"):
        hc.open_labels((np.ones((2, 2)), np.zeros((3, 2))))


# --- benchmark scenes ---


def test_a_benchmark_scene_by_its_name(shared: Path) -> None:
    pair, labels = hc.open_dataset("taizhou", root=shared / "scenes")
    assert pair.shape == labels.shape == (400, 400)


def test_the_environment_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSI_CD_DATA", str(tmp_path / "none"))
    with pytest.raises(hc.errors.MissingInputError, match=f"{tmp_path / 'none'} does not exist"):
        hc.open_dataset("taizhou")


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way in and out of Python: a cube, a list of bands, labels, a split, a benchmark's root, outputs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    values = np.random.default_rng(0).random((5, 8, 6), dtype=np.float32)
    np.save(tmp_path / "t1.npy", values)
    np.save(tmp_path / "t2.npy", values[:, ::-1])
    np.save(tmp_path / "truth.npy", np.eye(8, 6, dtype=np.uint8))
    hc.open_pair("~/t1.npy", Path("~/t2.npy"), axes="bands,rows,cols", like="~/truth.npy")
    labels = hc.open_labels("~/truth.npy")
    write_text("~/split.csv", "index\n0\n1\n")
    assert (tmp_path / "split.csv").is_file()
    assert hc.open_split("~/split.csv", labels).train.tolist() == [0, 1]
    with pytest.raises(MissingInputError, match=f"the data root {tmp_path}/scenes does not exist"):
        hc.open_dataset("taizhou", "~/scenes")
    with pytest.raises(MissingInputError, match=f"{tmp_path}/none.tif does not exist"):
        hc.open_pair(["~/none.tif"], "~/t1.npy")
    with pytest.raises(MissingInputError, match=f"no run folder {tmp_path}/runs"):
        find_runs(["~/runs"])
    with pytest.raises(MissingInputError, match=f"{tmp_path}/best.pt is not a file"):
        hc.load("~/best.pt")


def test_dates_of_which_only_the_files_making_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It may be the day of acquisition: said as a doubt, and only where nothing better is told."""
    files = [tmp_path / "a.tif", tmp_path / "b.tif"]
    for file, year in zip(files, (2021, 2019), strict=True):
        with rasterio.open(
            file, "w", driver="GTiff", count=2, height=3, width=3, dtype="uint8", crs="EPSG:32633",
            transform=Affine(30, 0, 0, 0, -30, 0),
        ) as out:  # fmt: skip
            out.write(np.full((2, 3, 3), year % 100, np.uint8))
            out.update_tags(TIFFTAG_DATETIME=f"{year}:06:01 10:00:00")
    hc.open_pair(*files)
    assert "if these are the days of acquisition, swap the two" in caplog.text
    caplog.clear()
    hc.open_pair(*reversed(files))
    assert not caplog.records
