"""hsi-cd detect: a map of a scene of which nobody knows the truth."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.registry import METHODS

Capture = pytest.CaptureFixture[str]
LABEL_FREE = [name for name, method in METHODS.items() if not method.needs_labels and method.fit is not None]


@pytest.fixture(scope="module")
def scene(simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dates alone, with no truth beside them; nobody writes into this folder."""
    folder = tmp_path_factory.mktemp("alone")
    for file in (simulated.t1, simulated.t2):
        shutil.copy(file, folder)
    return folder


def words(scene: Path, *more: object) -> list[object]:
    return ["detect", "--t1", scene / "t1.tif", "--t2", scene / "t2.tif", *more]


def read(path: Path) -> tuple[NDArray[np.generic], dict[str, Any], dict[str, str]]:
    with rasterio.open(path) as file:
        grid = {name: file.profile[name] for name in ("crs", "transform", "width", "height", "dtype", "nodata")}
        return file.read(1), grid, file.tags()


def test_scores_go_by_their_name_wherever_they_are(cli: Any, scene: Path, tmp_path: Path, capsys: Capture) -> None:
    """From detect, from a checkpoint, in shards and joined, a spectral angle is no probability."""
    assert cli(*words(scene, "--method", "sam", "--save", tmp_path / "sam.pt")) == 0
    dates = ["--t1", scene / "t1.tif", "--t2", scene / "t2.tif"]
    for i in (1, 2):
        files = ["--output", tmp_path / f"c{i}.tif", "--score", tmp_path / f"s{i}.tif", "--shard", f"{i}/2"]
        assert cli("predict", "--checkpoint", tmp_path / "sam.pt", *dates, *files) == 0
    joined = ["--output", tmp_path / "change.tif", "--score", tmp_path / "score.tif"]
    assert cli("mosaic", *sorted(tmp_path.glob("[cs][12].tif")), *joined) == 0
    said = capsys.readouterr().out
    assert "probabilit" not in said and said.count("scores: ") == 3
    with rasterio.open(tmp_path / "score.tif") as file:
        assert file.descriptions == ("spectral angle (radians)",)


@pytest.mark.parametrize("method", [None, *LABEL_FREE])
@pytest.mark.quick("None", "cva", "irmad", "superpixel")
def test_a_map_and_its_scores(cli: Any, scene: Path, tmp_path: Path, method: str | None, capsys: Capture) -> None:
    named = [] if method is None else ["--method", method]
    assert cli(*words(scene, *named, "--output", tmp_path / "c.tif", "--score", tmp_path / "s.tif")) == 0
    out, err = capsys.readouterr()
    assert err == "" and f"method {METHODS[method or 'auto'].title}" in out
    (change, grid, tags), (score, score_grid, score_tags) = read(tmp_path / "c.tif"), read(tmp_path / "s.tif")
    _, source, _ = read(scene / "t1.tif")
    for own in (grid, score_grid):
        assert [own[k] for k in ("crs", "transform", "width", "height")] == [
            source[k] for k in ("crs", "transform", "width", "height")
        ]
    assert (grid["dtype"], grid["nodata"], score_grid["dtype"]) == ("uint8", 255, "float32")
    assert tags["SCORE_UNIT"] == score_tags["SCORE_UNIT"] != ""
    with rasterio.open(tmp_path / "s.tif") as file:
        assert file.descriptions == (tags["SCORE_NAME"],)
    assert "probability" not in tags["SCORE_NAME"]  # no method without labels gives one
    threshold = float(tags["THRESHOLD"])
    assert f"threshold {threshold:.4g} ({tags['SCORE_UNIT']})" in out
    assert np.isfinite(score).all()
    np.testing.assert_array_equal(change, score >= threshold)
    assert 0 < change.mean() < 0.5


def test_the_default_is_auto_and_repeats(cli: Any, scene: Path, tmp_path: Path) -> None:
    for name, more in (("a", []), ("b", ["--method", "auto"])):
        assert cli(*words(scene, *more, "--output", tmp_path / f"{name}.tif")) == 0
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], read(tmp_path / "b.tif")[0])


def test_a_threshold_by_name(cli: Any, scene: Path, tmp_path: Path) -> None:
    """Otsu's threshold against scikit-image's; the histogram tells scores to 0.6 %."""
    files = ["--output", tmp_path / "c.tif", "--score", tmp_path / "s.tif"]
    assert cli(*words(scene, "--method", "cva", "--set", "threshold=otsu", *files)) == 0
    score, _, tags = read(tmp_path / "s.tif")
    lowest, highest = np.sort(score[np.abs(score / threshold_otsu(score, nbins=2000) - 1) < 0.03])[[0, -1]]
    assert lowest * 0.99 <= float(tags["THRESHOLD"]) <= highest * 1.01
    assert cli(*words(scene, "--set", "threshold=share", "--set", "level=0.2", *files, "--overwrite")) == 0
    assert read(tmp_path / "c.tif")[0].mean() == pytest.approx(0.2, abs=0.01)


@pytest.fixture
def holed(scene: Path, tmp_path: Path) -> NDArray[np.bool_]:
    """Both dates with a hole each, in the test's folder; where either has none."""
    empty = []
    for name, hole in (("t1.tif", np.s_[5:9, 10:14]), ("t2.tif", np.s_[30:31, :])):
        with rasterio.open(scene / name) as file:
            values, profile = file.read().astype(np.float32), file.profile
        values[(slice(None), *hole)] = np.nan
        with rasterio.open(tmp_path / name, "w", **profile | {"dtype": "float32", "nodata": np.nan}) as file:
            file.write(values)
        empty.append(np.isnan(values[0]))
    return np.logical_or(*empty)


@pytest.mark.parametrize("method", LABEL_FREE)
@pytest.mark.quick("auto", "cva", "irmad", "superpixel")
def test_pixels_without_data(cli: Any, tmp_path: Path, holed: NDArray[np.bool_], method: str) -> None:
    """NaN in either date is no data in the map, there alone."""
    files = ["--output", tmp_path / "c.tif", "--score", tmp_path / "s.tif"]
    unshifted = ["--set", "registration=false"] if "registration" in METHODS[method].options else []
    assert cli(*words(tmp_path, "--method", method, *unshifted, *files)) == 0
    change, score = read(tmp_path / "c.tif")[0], read(tmp_path / "s.tif")[0]
    np.testing.assert_array_equal(change == 255, holed)
    np.testing.assert_array_equal(np.isnan(score), holed)
    assert set(np.unique(change)) == {0, 1, 255}


def test_pixels_without_data_where_a_date_is_shifted_back(
    cli: Any, tmp_path: Path, holed: NDArray[np.bool_]
) -> None:
    assert cli(*words(tmp_path, "--output", tmp_path / "c.tif")) == 0
    change = read(tmp_path / "c.tif")[0]
    near = ndimage.binary_dilation(holed, np.ones((5, 5)))
    assert (change[holed] == 255).all() and (change[~near] != 255).all()


REFUSED: dict[str, tuple[list[str], str]] = {
    "a method that learns": (["--method", "svm"], "svm learns from labels: use hsi-cd train --method svm"),
    "the network": (["--method", "siamese"], "siamese learns from labels: use hsi-cd train --method siamese"),
    "unknown method": (["--method", "irmda"], "did you mean 'irmad'"),
    "unknown option": (["--set", "thresold=otsu"], "did you mean 'threshold'"),
    "unknown threshold": (["--set", "threshold=nope"], "known are auto, chi2, evidence, kmeans, nearest, otsu"),
    "nested option": (["--set", "iterations.x=1"], "expected int"),
    "no value": (["--set", "iterations"], "expected key=value"),
    "threshold of another score": (["--method", "cva", "--set", "threshold=chi2"], "known distribution"),
    "negative seed": (["--method", "celik", "--seed", "-1"], "--seed"),
    "one file for both": (["--score", "c.tif"], "both c.tif"),
    "one file by two names": (["--score", "./c.tif"], "both c.tif"),
    "existing score": (["--score", "here.tif"], "here.tif exists: pass --overwrite"),
    "existing output": (["--output", "here.tif"], "here.tif exists: pass --overwrite"),
    "no such folder": (["--output", "no/c.tif"], "the folder no does not exist"),
    "one date": (["--t2", "no.tif"], "no.tif does not exist"),
    "dataset and files": (["--dataset", "taizhou"], "name two scenes"),
}


@pytest.mark.parametrize(("more", "message"), REFUSED.values(), ids=REFUSED)
def test_one_line_and_nothing_written(
    cli: Any,
    scene: Path,
    tmp_path: Path,
    more: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.tif").write_text("mine")
    assert cli(*words(scene, "--output", "c.tif", *more)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("hsi-cd: error: ")
    assert message in err
    assert [file.name for file in tmp_path.iterdir()] == ["here.tif"]
    assert Path("here.tif").read_text() == "mine"


LEAVE = """
import os, signal
from hsi_cd.io.maps import RasterWriter
from hsi_cd.io import cube_files

def leave(*given):
    os.kill(os.getpid(), signal.{signal})

RasterWriter.write = leave
cube_files._as_stored = leave
from hsi_cd.cli.main import main
main()
"""


@pytest.mark.quick("register-SIGUSR1")
@pytest.mark.parametrize(("command", "signal"), [("detect", "SIGTERM"), ("register", "SIGUSR1")])
def test_what_is_asked_to_leave_while_it_writes_leaves_nothing(
    cli: Any, scene: Path, tmp_path: Path, command: str, signal: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    asked = words(scene, "--method", "cva", "--score", out / "s.tif", "--vector", out / "v.gpkg")
    if command == "register":
        asked = ["register", scene / "t1.tif", moved(scene / "t2.tif", tmp_path / "moved.tif")]
    process = cli.fork(*asked, "--output", out / "c.tif", code=LEAVE.format(signal=signal))
    _, said = process.communicate()
    assert process.returncode == 75
    assert said.splitlines()[-1] == f"hsi-cd: error: asked to leave by {signal}"
    assert not list(out.iterdir())


def moved(source: Path, target: Path) -> Path:
    """A copy whose ground lies three rows too low."""
    with rasterio.open(source) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(target, "w", **profile) as file:
        file.write(np.roll(values, 3, axis=1))
    return target
