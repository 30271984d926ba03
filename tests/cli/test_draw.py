"""hsi-cd draw: labels as people draw them, as vector files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import transform_geom

import hsi_cd as hc
from hsi_cd.cli.draw import draw as command
from hsi_cd.datasets.simulated import draughtsman
from hsi_cd.io.raster import quiet_georeference

Capture = pytest.CaptureFixture[str]
PLACE = Affine(30, 5, 400000, 4, -30, 5800000)  # turned a little, as an airborne strip is
ROWS, COLS = 60, 50


def write(path: Path, values: NDArray[Any], **profile: Any) -> Path:
    size = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype}
    with quiet_georeference(), rasterio.open(path, "w", driver="GTiff", **size, **profile) as file:
        file.write(values, 1)
    return path


@pytest.fixture
def values() -> NDArray[np.uint8]:
    """A truth: 2 is changed, 1 unchanged, 0 unlabelled."""
    found = np.ones((ROWS, COLS), dtype=np.uint8)
    found[8:30, 6:26] = 2
    found[50:] = 0
    return found


@pytest.fixture
def truth(tmp_path: Path, values: NDArray[np.uint8]) -> Path:
    return write(tmp_path / "truth.tif", values, crs="EPSG:32633", transform=PLACE)


MEANS = ["--changed", 2, "--unchanged", 1, "--ignore", 0]


def read(path: Path) -> tuple[str, list[Any], dict[str, list[Any]]]:
    """CRS, geometries and fields."""
    meta, _, geometry, fields = pyogrio.raw.read(path)
    return meta["crs"], list(shapely.from_wkb(geometry)), dict(zip(meta["fields"], map(list, fields), strict=True))


def burnt(path: Path) -> tuple[NDArray[np.int32], dict[str, list[Any]]]:
    """The number of the shape that covers each pixel's middle, as GDAL finds it, and the fields."""
    crs, geometry, fields = read(path)
    placed = [transform_geom(crs, "EPSG:32633", shapely.geometry.mapping(each)) for each in geometry]
    pairs = list(zip(placed, fields["shape"], strict=True))
    return rasterio.features.rasterize(pairs, (ROWS, COLS), transform=PLACE, dtype="int32"), fields


@pytest.mark.parametrize("ending", ["gpkg", "geojson"])
@pytest.mark.parametrize("kind", ["points", "squares", "blobs"])
def test_the_file_holds_what_was_drawn(
    cli: Any, truth: Path, values: NDArray[np.uint8], tmp_path: Path, kind: str, ending: str
) -> None:
    out = tmp_path / f"labels.{ending}"
    assert cli("draw", truth, *MEANS, "--shapes", 4, "--kind", kind, "--seed", 5, "--output", out) == 0
    numbers, fields = burnt(out)
    assert sorted(fields["class"]) == ["changed"] * 4 + ["unchanged"] * 4
    assert fields["shape"] == list(range(1, 9))
    word = dict(zip(fields["shape"], fields["class"], strict=True))
    for number in fields["shape"]:
        assert (values[numbers == number] == (2 if word[number] == "changed" else 1)).all()
        size = int((numbers == number).sum())
        assert size == {"points": 1, "squares": 9}.get(kind, size) and (kind != "blobs" or 5 <= size <= 40)
    drawn = hc.draw(hc.open_labels(truth, changed=2, unchanged=1, ignore=0), 4, kind=kind, seed=5)  # type: ignore[arg-type]
    np.testing.assert_array_equal(numbers, drawn.shapes)
    _, geometry, _ = read(out)
    assert {each.geom_type for each in geometry} == {"Point" if kind == "points" else "Polygon"}
    assert all(each.is_valid for each in geometry)


def test_several_numbers_are_several_files_and_the_same_seed_the_same_bytes(
    cli: Any, truth: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ["draw", truth, *MEANS, "--output", tmp_path / "labels.gpkg", "--shapes"]
    assert cli(*words, "2,5", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [Path(each["labels"]).name for each in told["drawings"]] == ["labels-2.gpkg", "labels-5.gpkg"]
    assert told["drawings"][1] == told["drawings"][1] | {"shapes": 5, "changed": 45, "unchanged": 45}
    few, many = burnt(tmp_path / "labels-2.gpkg")[0], burnt(tmp_path / "labels-5.gpkg")[0]
    np.testing.assert_array_equal(few, np.where(many <= 4, many, 0))
    assert cli(*words, 5) == 0
    assert (tmp_path / "labels.gpkg").read_bytes() == (tmp_path / "labels-5.gpkg").read_bytes()
    assert cli(*words, 5, "--seed", 1, "--overwrite") == 0
    assert (tmp_path / "labels.gpkg").read_bytes() != (tmp_path / "labels-5.gpkg").read_bytes()


def test_a_truth_without_a_place_takes_that_of_an_image(
    cli: Any, truth: Path, values: NDArray[np.uint8], tmp_path: Path, capsys: Capture
) -> None:
    masks = [write(tmp_path / f"{n}.tif", np.uint8(255) * (values == n)) for n in (2, 1)]
    out = tmp_path / "labels.gpkg"
    assert cli("draw", *masks, "--output", out) == 2
    assert "no CRS and transform, so its shapes have no coordinates" in (said := capsys.readouterr().err)
    assert "--like" in said
    assert cli("draw", *masks, "--like", truth, "--output", out) == 0
    drawn = hc.draw(hc.open_labels(truth, changed=2, unchanged=1, ignore=0))
    np.testing.assert_array_equal(burnt(out)[0], drawn.shapes)
    other = write(tmp_path / "other.tif", values[1:], crs="EPSG:32633", transform=PLACE)
    assert cli("draw", *masks, "--like", other, "--output", out, "--overwrite") == 2
    assert "has 59 x 50 pixels but the scene has 60 x 50" in capsys.readouterr().err


def test_labels_that_were_drawn_are_drawn_over_on_an_image(
    cli: Any, truth: Path, tmp_path: Path, capsys: Capture
) -> None:
    """As the refusal says: shapes have no pixels of their own."""
    blobs, out = tmp_path / "blobs.gpkg", tmp_path / "points.gpkg"
    assert cli("draw", truth, *MEANS, "--kind", "blobs", "--shapes", 6, "--output", blobs) == 0
    words = ["draw", blobs, "--kind", "points", "--shapes", 3, "--output", out]
    capsys.readouterr()
    assert cli(*words) == 2
    assert "name the scene, or a raster of it, by --like" in capsys.readouterr().err and not out.exists()
    assert cli(*words, "--like", truth) == 0
    before, now = (hc.open_labels(path, like=truth) for path in (blobs, out))
    assert now.counts()[:2] == (3, 3)
    np.testing.assert_array_equal(now.values[now.values != 255], before.values[now.values != 255])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shapes", "60"], "truth.tif has room for "),
        (["--shapes", "5,x"], "'5,x' is no number of shapes: give one from 1, or several, as 5,15,50"),
        (["--shapes", "5,0"], "'5,0' is no number of shapes"),
        (["--shapes", "5,5"], "'5,5' is no number of shapes"),
        (["--kind", "lines"], "'lines'"),
        (["--truth", "truth.tif"], "a truth map is named twice"),
        (["--dataset", "taizhou"], "brings its own truth map"),
        (["--output", "there.gpkg"], "there.gpkg exists: pass --overwrite"),
        (["--output", "labels.shp"], "labels.shp is neither a GeoPackage nor GeoJSON"),
        (["--output", "no/labels.gpkg"], "the folder no does not exist"),
    ],
)
def test_bad_input_is_one_line(
    cli: Any,
    truth: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.gpkg").write_text("mine")
    assert cli("draw", "truth.tif", *MEANS, "--output", "labels.gpkg", *words) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not Path("labels.gpkg").exists() and Path("there.gpkg").read_text() == "mine"


def test_a_truth_must_be_named(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    assert cli("draw", "--output", tmp_path / "labels.gpkg") == 2
    assert "no truth map is named" in capsys.readouterr().err


def test_the_kinds_are_those_of_the_draughtsman() -> None:
    kind = next(each for each in command.params if each.name == "kind")
    assert tuple(kind.type.choices) == draughtsman.KINDS  # type: ignore[attr-defined]


def test_labels_that_were_not_drawn_are_not_written(values: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(hc.errors.LabelError, match="was not drawn"):
        hc.write_labels(hc.open_labels(values, changed=2, unchanged=1, ignore=0), tmp_path / "labels.gpkg")
