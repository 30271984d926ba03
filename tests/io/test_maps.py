import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError
from rasterio.rpc import RPC

from hsi_cd.errors import FormatError, MissingInputError, OutputError
from hsi_cd.io import COLOURS, map_writers, read_map, read_scores
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.scene import Grid

PLACE = Affine(30, 0, 200000, 0, -30, 3600000)
UTM = CRS.from_epsg(32651)


BESIDE = ["change.qml", "change.tif.aux.xml", "score.qml"]
"""What lies beside a map and its scores."""


def names(folder: Path) -> list[str]:
    """Names of all files in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def write_both(
    folder: Path, grid: Grid, *, step: int = 7, cog: bool = False, overwrite: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    change = rng.choice(np.array([0, 1, 255], dtype=np.uint8), grid.shape)
    score = rng.random(grid.shape, dtype=np.float32)
    score[change == 255] = np.nan
    with map_writers(
        folder / "change.tif",
        folder / "score.tif",
        grid=grid,
        tags={"THRESHOLD": "0.5"},
        cog=cog,
        overwrite=overwrite,
    ) as writers:
        assert writers.score is not None
        for row in range(0, grid.rows, step):
            writers.change.write(row, change[row : row + step])
            writers.score.write(row, score[row : row + step])
    return change, score


@given(rows=st.integers(1, 70), cols=st.integers(1, 70), step=st.integers(1, 80), placed=st.booleans())
def test_what_is_written_is_read(tmp_path_factory, rows: int, cols: int, step: int, placed: bool) -> None:
    folder = tmp_path_factory.mktemp("maps")
    grid = Grid(rows, cols, crs=UTM, transform=PLACE) if placed else Grid(rows, cols)
    change, score = write_both(folder, grid, step=step)
    found, found_grid = read_map(folder / "change.tif")
    np.testing.assert_array_equal(found, change)
    assert found_grid == grid
    with quiet_georeference(), rasterio.open(folder / "score.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), score)
    assert names(folder) == sorted(["change.tif", "score.tif", *BESIDE])


def test_the_form_of_the_files(tmp_path: Path) -> None:
    write_both(tmp_path, Grid(300, 520, crs=UTM, transform=PLACE), step=100)
    with rasterio.open(tmp_path / "change.tif") as dataset:
        assert (dataset.count, dataset.dtypes, dataset.nodata) == (1, ("uint8",), 255)
        assert (dataset.crs, dataset.transform) == (UTM, PLACE)
        assert dataset.profile["tiled"] and dataset.block_shapes == [(256, 256)]
        assert dataset.compression.name == "deflate"
        assert {value: dataset.colormap(1)[value] for value in COLOURS} == COLOURS
        assert dataset.tags()["THRESHOLD"] == "0.5"
        assert "0 unchanged, 1 changed" in dataset.descriptions[0]
    with rasterio.open(tmp_path / "score.tif") as dataset:
        assert (dataset.dtypes, dataset.crs, dataset.transform) == (("float32",), UTM, PLACE)
        assert math.isnan(dataset.nodata)
        assert dataset.tags()["THRESHOLD"] == "0.5"


def test_ground_control_points_are_carried(tmp_path: Path) -> None:
    gcps = tuple(GroundControlPoint(r, c, 10 + c, 50 - r) for r, c in ((0, 0), (0, 20), (30, 0), (30, 20)))
    write_both(tmp_path, Grid(30, 20, gcps=gcps, gcp_crs=CRS.from_epsg(4326)))
    with quiet_georeference(), rasterio.open(tmp_path / "score.tif") as dataset:
        points, crs = dataset.gcps
    assert crs == CRS.from_epsg(4326)
    assert [(p.row, p.col, p.x, p.y) for p in points] == [(p.row, p.col, p.x, p.y) for p in gcps]
    assert len(read_map(tmp_path / "change.tif")[1].gcps) == 4


def test_sensor_models_are_carried(tmp_path: Path) -> None:
    ones = [1.0, *[0.0] * 19]
    rpcs = RPC(100, 50, 48.5, 0.1, ones, ones, 15, 10, 11.5, 0.2, ones, ones, 10, 10)
    write_both(tmp_path, Grid(30, 20, rpcs=rpcs))
    for name in ("change.tif", "score.tif"):
        with quiet_georeference(), rasterio.open(tmp_path / name) as dataset:
            assert (dataset.rpcs.lat_off, dataset.rpcs.line_num_coeff) == (48.5, ones)
    write_both(tmp_path, Grid(30, 20, crs=UTM, transform=PLACE, rpcs=rpcs), overwrite=True)
    with rasterio.open(tmp_path / "change.tif") as dataset:
        assert (dataset.crs, dataset.transform, dataset.rpcs.long_scale) == (UTM, PLACE, 0.2)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(1100, 700, crs=UTM, transform=PLACE),
        Grid(600, 530, gcps=tuple(GroundControlPoint(r, c, 10 + c / 600, 50 - r / 600) for r, c in
                                  ((0, 0), (0, 530), (600, 0), (600, 530))), gcp_crs=CRS.from_epsg(4326)),
        Grid(40, 30),
    ],
    ids=["placed", "gcps", "small"],
)  # fmt: skip
def test_cloud_optimized_maps_hold_the_same(tmp_path: Path, grid: Grid) -> None:
    for cog in (False, True):
        (tmp_path / str(cog)).mkdir()
        change, score = write_both(tmp_path / str(cog), grid, step=300, cog=cog)
    for name, values in (("change.tif", change), ("score.tif", score)):
        with quiet_georeference(), rasterio.open(tmp_path / "True" / name) as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert dataset.tags()["THRESHOLD"] == "0.5"
            np.testing.assert_array_equal(dataset.read(1), values)
            assert (dataset.crs, dataset.transform) == (grid.crs, grid.transform or Affine.identity())
            assert len(dataset.gcps[0]) == len(grid.gcps)
            assert bool(dataset.overviews(1)) == (grid.rows > 512)
            with quiet_georeference(), rasterio.open(tmp_path / "False" / name) as plain:
                assert (dataset.nodata, dataset.dtypes) == (pytest.approx(plain.nodata, nan_ok=True), plain.dtypes)
                assert (dataset.rpcs, dataset.descriptions) == (plain.rpcs, plain.descriptions)
                if name == "change.tif":
                    assert dataset.colormap(1) == plain.colormap(1)
                    for size in dataset.overviews(1):
                        small = dataset.read(1, out_shape=(grid.rows // size, grid.cols // size))
                        assert set(np.unique(small)) <= {0, 1, 255}
    assert names(tmp_path / "True") == sorted(["change.tif", "score.tif", *BESIDE])


def test_a_cloud_optimized_map_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RasterioIOError("no space left")

    monkeypatch.setattr("rasterio.shutil.copy", full)
    with pytest.raises(OutputError, match="no space left"):
        write_both(tmp_path, Grid(20, 20), cog=True)
    assert names(tmp_path) == []


def test_tiles_are_written_once(tmp_path: Path) -> None:
    """Row bands that cut through tiles must not leave dead copies in the file."""
    grid = Grid(1024, 512)
    noise = np.random.default_rng(0).integers(0, 2, grid.shape, dtype=np.uint8)
    sizes = []
    for step in (3, 1024):
        path = tmp_path / f"{step}.tif"
        with map_writers(path, grid=grid) as writers:
            for row in range(0, grid.rows, step):
                writers.change.write(row, noise[row : row + step])
        sizes.append(path.stat().st_size)
    assert sizes[0] == sizes[1]


def test_nothing_is_left_after_a_failure(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        map_writers(tmp_path / "c.tif", tmp_path / "s.tif", grid=Grid(4, 4)) as writers,
    ):
        writers.change.write(0, np.zeros((2, 4), np.uint8))
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="0 of 4 rows"), map_writers(tmp_path / "c.tif", grid=Grid(4, 4)):
        pass
    assert names(tmp_path) == []


def test_rows_come_in_order_and_in_shape(tmp_path: Path) -> None:
    wrong = [
        (1, np.zeros((1, 4), np.uint8)),
        (0, np.zeros((1, 5), np.uint8)),
        (0, np.zeros(4, np.uint8)),
        (0, np.zeros((5, 4), np.uint8)),
        (0, np.zeros((1, 4), np.float32)),
    ]
    for row, values in wrong:
        with pytest.raises(ValueError), map_writers(tmp_path / "c.tif", grid=Grid(4, 4)) as writers:
            writers.change.write(row, values)
    with map_writers(tmp_path / "c.tif", grid=Grid(1, 4)) as writers:
        writers.change.write(0, np.ones((1, 4), bool))
    assert read_map(tmp_path / "c.tif")[0].tolist() == [[1, 1, 1, 1]]


def test_existing_maps_are_not_replaced_unless_asked(tmp_path: Path) -> None:
    write_both(tmp_path, Grid(3, 3))
    (tmp_path / "change.tif").unlink()  # the score alone is enough to refuse
    before = (tmp_path / "score.tif").read_bytes()
    with pytest.raises(OutputError, match=r"score\.tif exists: pass overwrite=True"):
        write_both(tmp_path, Grid(3, 3))
    assert names(tmp_path) == sorted(["score.tif", *BESIDE])
    assert (tmp_path / "score.tif").read_bytes() == before
    write_both(tmp_path, Grid(5, 5), overwrite=True)
    assert read_map(tmp_path / "change.tif")[0].shape == (5, 5)


def test_one_name_for_two_maps_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="name a file of its own for each"),
        map_writers(tmp_path / "a.tif", tmp_path / "a.tif", grid=Grid(2, 2)),
    ):
        pass  # fmt: skip


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the file's size stands for a full disk."""
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from hsi_cd.io import map_writers\nfrom hsi_cd.errors import OutputError\nfrom hsi_cd.scene import Grid\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "noise = np.random.default_rng(0).integers(0, 2, (600, 600), dtype=np.uint8)\n"
        "try:\n"
        "    with map_writers(sys.argv[1], grid=Grid(600, 600)) as writers:\n"
        "        writers.change.write(0, noise)\n"
        "except OutputError as error:\n"
        "    print('refused:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "c.tif")], capture_output=True, text=True, check=False
    )
    assert "refused:" in done.stdout, done.stderr
    assert names(tmp_path) == []


def test_rasters_that_are_no_change_maps_are_refused(tmp_path: Path) -> None:
    def tiff(name: str, values: np.ndarray, **options: object) -> Path:
        count, rows, cols = values.shape
        profile = {"driver": "GTiff", "count": count, "height": rows, "width": cols, "dtype": values.dtype.name}
        with quiet_georeference(), rasterio.open(tmp_path / name, "w", **(profile | options)) as dataset:
            dataset.write(values)
        return tmp_path / name

    with pytest.raises(FormatError, match="it holds 0, 1, 2; expected 0 unchanged"):
        read_map(tiff("a.tif", np.array([[[0, 1, 2]]], np.uint8)))
    with pytest.raises(FormatError, match="no change map"):
        read_map(tiff("b.tif", np.array([[[0.25, 1]]], np.float32)))
    with pytest.raises(FormatError, match="bands that differ"):
        read_map(tiff("c.tif", np.array([[[0, 1]], [[1, 0]]], np.uint8)))
    with pytest.raises(FormatError, match="does not say that 255 is no data"):
        read_map(tiff("d.tif", np.array([[[0, 255]]], np.uint8)))
    assert read_map(tiff("e.tif", np.array([[[0, 255]]], np.uint8), nodata=255))[0].tolist() == [[0, 255]]
    assert read_map(tiff("f.tif", np.array([[[0, 1]]], np.int16)))[0].dtype == np.uint8
    with pytest.raises(MissingInputError):
        read_map(tmp_path / "no.tif")


def test_three_rasters_appear_together_or_not_at_all(tmp_path: Path) -> None:
    grid = Grid(5, 4, crs=UTM, transform=PLACE)
    paths = [tmp_path / f"{name}.tif" for name in ("change", "score", "uncertainty")]
    change, score = np.zeros(grid.shape, np.uint8), np.full(grid.shape, 0.5, np.float32)

    def write(uncertainty: np.ndarray) -> None:
        with map_writers(*paths, grid=grid, tags={"THRESHOLD": "0.5"}) as writers:
            assert writers.score is not None and writers.uncertainty is not None
            writers.change.write(0, change)
            writers.score.write(0, score)
            writers.uncertainty.write(0, uncertainty)

    with pytest.raises(ValueError, match="4 of 5 rows"):
        write(score[1:])
    assert names(tmp_path) == []
    write(score / 2)
    rasters = ["change.tif", "score.tif", "uncertainty.tif", "uncertainty.qml"]
    assert names(tmp_path) == sorted([*rasters, *BESIDE])
    with rasterio.open(paths[2]) as dataset:
        assert (dataset.dtypes, dataset.crs) == (("float32",), UTM) and math.isnan(dataset.nodata)
        assert dataset.tags()["THRESHOLD"] == "0.5"
        np.testing.assert_array_equal(dataset.read(1), score / 2)
    with map_writers(tmp_path / "alone.tif", uncertainty=tmp_path / "u.tif", grid=grid) as writers:
        assert writers.score is None and writers.uncertainty is not None
        writers.change.write(0, change)
        writers.uncertainty.write(0, score)
    with (
        pytest.raises(OutputError, match="change map, uncertainty are to be"),
        map_writers(tmp_path / "x.tif", uncertainty=tmp_path / "x.tif", grid=grid),
    ):
        pass


# --- Maps of other software, and how they mark where they looked at nothing ---


@pytest.mark.parametrize(
    ("dtype", "hidden", "nodata", "mask"),
    [
        ("float32", np.nan, np.nan, False),
        ("float32", np.nan, None, False),
        ("int16", -9999, -9999, False),
        ("uint8", 1, None, True),
        ("uint8", 255, None, True),
    ],
)
def test_no_data_of_other_software(tmp_path: Path, dtype: str, hidden: float, nodata: Any, mask: bool) -> None:
    change = np.arange(20).reshape(4, 5) % 3 == 0
    stored = change.astype(dtype)
    stored[:2] = hidden
    profile = {"driver": "GTiff", "height": 4, "width": 5, "count": 1, "dtype": dtype, "nodata": nodata}
    path = tmp_path / "map.tif"
    with (
        quiet_georeference(),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile) as f,
    ):
        f.write(stored, 1)
        if mask:
            f.write_mask(np.repeat([0, 0, 255, 255], 5).reshape(4, 5).astype(np.uint8))
    expected = np.where(np.arange(4)[:, None] < 2, 255, change)
    np.testing.assert_array_equal(read_map(path)[0], expected)
    scores = read_scores(path)
    assert np.isnan(scores[:2]).all()
    np.testing.assert_array_equal(scores[2:], change[2:])


def test_values_that_nobody_declared_are_declared_here(tmp_path: Path) -> None:
    stored = np.array([[0, 1, -9999], [1, 0, 2]])
    np.save(tmp_path / "map.npy", stored)
    with pytest.raises(
        FormatError, match=r"holds -9999, 0, 1, 2; .* declare other values of no data with nodata="
    ):
        read_map(tmp_path / "map.npy")
    change, _ = read_map(tmp_path / "map.npy", nodata=(-9999, 2))
    np.testing.assert_array_equal(change, [[0, 1, 255], [1, 0, 255]])
    scores = read_scores(tmp_path / "map.npy", nodata=(-9999,))
    np.testing.assert_array_equal(scores, [[0, 1, np.nan], [1, 0, 2]])


@pytest.mark.parametrize(("value", "word"), [(0, "unchanged"), (1, "changed")])
def test_a_map_that_declares_one_of_its_classes_as_no_data(
    value: int, word: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored = np.array([[0, 1, 0], [1, 0, 0 if value else 255]], dtype=np.uint8)
    with (
        quiet_georeference(),
        rasterio.open(
            tmp_path / "m.tif", "w", driver="GTiff", height=2, width=3, count=1, dtype="uint8", nodata=value
        ) as file,
    ):
        file.write(stored, 1)
    np.testing.assert_array_equal(read_map(tmp_path / "m.tif")[0], stored)
    assert f"m.tif declares {value} as no data, which is {word} in a change map" in caplog.text
    np.testing.assert_array_equal(
        read_map(tmp_path / "m.tif", nodata=(value,))[0], np.where(stored == value, 255, stored)
    )
