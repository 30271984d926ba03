from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import scipy.io
import sklearn.metrics
import torch

from hsi_cd import __version__
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.detectors.checkpoint import file_hash, load_detector
from hsi_cd.inference import score_scene
from hsi_cd.io import COLOURS, open_cube
from hsi_cd.io.raster import quiet_georeference
from hsi_cd.scene import ScenePair


def read_band(path: Path) -> np.ndarray:
    with quiet_georeference(), rasterio.open(path) as file:
        return file.read(1)


@pytest.fixture(scope="module")
def predicted(cli: Any, trained: Path, dates: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both maps, predicted from the checkpoint."""
    folder = tmp_path_factory.mktemp("predicted")
    maps = ["--output", folder / "change.tif", "--score", folder / "score.tif"]
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates, *maps, "--device", "cpu") == 0
    return folder


@pytest.fixture
def mat_dates(simulated: PairFiles, tmp_path: Path) -> list[str]:
    """The simulated dates as MATLAB files, which know no georeference."""
    for date in ("t1", "t2"):
        with rasterio.open(getattr(simulated, date)) as file:
            scipy.io.savemat(tmp_path / f"{date}.mat", {f"image_{date}": file.read().transpose(1, 2, 0)})
    return ["--t1", str(tmp_path / "t1.mat"), "--t2", str(tmp_path / "t2.mat")]


def test_the_checkpoint_makes_the_maps_of_the_training_again(predicted: Path, trained: Path) -> None:
    for name in ("change.tif", "score.tif"):
        np.testing.assert_array_equal(read_band(predicted / name), read_band(trained / name))
    assert {path.name for path in predicted.glob("*.tif")} == {"change.tif", "score.tif"}


def test_the_maps_lie_where_the_scene_lies(predicted: Path, simulated: PairFiles) -> None:
    with rasterio.open(simulated.t1) as scene:
        crs, transform, shape = scene.crs, scene.transform, scene.shape
    for name in ("change.tif", "score.tif"):
        with rasterio.open(predicted / name) as file:
            assert (file.crs, file.transform, file.shape) == (crs, transform, shape)


def test_the_maps_say_what_they_hold_and_where_they_come_from(predicted: Path, trained: Path) -> None:
    for name, dtype in (("change.tif", "uint8"), ("score.tif", "float32")):
        with rasterio.open(predicted / name) as file:
            tags = file.tags()
            assert (file.count, file.dtypes) == (1, (dtype,))
            assert file.profile["compress"] == "deflate" and file.profile["tiled"]
            assert tags["SOFTWARE"] == f"hsi-cd {__version__}" and tags["SCENE"] == "scene"
            assert tags["CHECKPOINT_SHA256"] == file_hash(trained / "best.pt")
            assert 0 < float(tags["THRESHOLD"]) < 1
    with rasterio.open(predicted / "change.tif") as file:
        assert file.nodata == 255
        colours = file.colormap(1)
        assert {value: colours[value] for value in COLOURS} == COLOURS
    with rasterio.open(predicted / "score.tif") as file:
        assert np.isnan(file.nodata)


@pytest.mark.parametrize("threshold", [0.0, 0.45, 1.0])
def test_a_threshold_cuts_the_same_scores(
    cli: Any, trained: Path, dates: list[str], predicted: Path, tmp_path: Path, threshold: float
) -> None:
    output = tmp_path / "map.tif"
    words = ["--output", output, "--threshold", threshold]
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates, *words) == 0
    np.testing.assert_array_equal(read_band(output), read_band(predicted / "score.tif") >= threshold)
    with rasterio.open(output) as file:
        assert float(file.tags()["THRESHOLD"]) == threshold


IMPORTED = """
import sys
from hsi_cd.cli.main import run

code = run(sys.argv[1:])
unused = {"scipy.stats", "scipy.optimize", "scipy.io", "sklearn", "skops"}
unused = (unused | {"matplotlib", "pandas", "tensorboardX", "sympy", "torch._dynamo"}) & set(sys.modules)
sys.exit(f"imported without need: {sorted(unused)}" if unused else code)
"""


def test_no_truth_is_read_and_nothing_imported_without_need(
    cli: Any, trained: Path, simulated: PairFiles, predicted: Path, tmp_path: Path
) -> None:
    """In a process of its own, in a folder with two cubes and a checkpoint, and nothing else."""
    for source in (simulated.t1, simulated.t2, trained / "best.pt"):
        shutil.copy(source, tmp_path)
    words = ["--checkpoint", tmp_path / "best.pt", "--t1", tmp_path / "t1.tif", "--t2", tmp_path / "t2.tif"]
    done = cli.process("predict", *words, "--output", tmp_path / "map.tif", code=IMPORTED)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(tmp_path / "map.tif") in done.stdout
    np.testing.assert_array_equal(read_band(tmp_path / "map.tif"), read_band(predicted / "change.tif"))


@pytest.mark.parametrize("like", [True, False])
def test_matlab_files_take_the_georeference_of_another_raster(
    cli: Any,
    trained: Path,
    simulated: PairFiles,
    mat_dates: list[str],
    predicted: Path,
    tmp_path: Path,
    like: bool,
) -> None:
    output = tmp_path / "map.tif"
    words = ["--like", simulated.truth] if like else []
    assert cli("predict", "--checkpoint", trained / "best.pt", *mat_dates, "--output", output, *words) == 0
    with quiet_georeference(), rasterio.open(simulated.truth) as truth, rasterio.open(output) as file:
        assert file.crs == (truth.crs if like else None)
        assert (file.transform == truth.transform) is like
    # MATLAB files declare no "no data", and the simulated scene has none: the pixels are the same.
    np.testing.assert_array_equal(read_band(output), read_band(predicted / "change.tif"))


def test_overwrite_replaces_both_maps(cli: Any, trained: Path, dates: list[str], tmp_path: Path) -> None:
    maps = ["--output", tmp_path / "a.tif", "--score", tmp_path / "b.tif"]
    for path in (tmp_path / "a.tif", tmp_path / "b.tif"):
        path.write_text("old")
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates, *maps, "--overwrite") == 0
    assert read_band(tmp_path / "a.tif").shape == read_band(tmp_path / "b.tif").shape == (48, 40)


def test_a_scene_of_another_size_and_place(cli: Any, trained: Path, tmp_path: Path) -> None:
    assert cli("simulate", tmp_path, "--rows", 21, "--cols", 33, "--bands", 24, "--seed", 9) == 0
    words = ["--t1", tmp_path / "t1.tif", "--t2", tmp_path / "t2.tif", "--output", tmp_path / "map.tif"]
    assert cli("predict", "--checkpoint", trained / "best.pt", *words) == 0
    assert read_band(tmp_path / "map.tif").shape == (21, 33)


def test_pixels_without_data_are_no_data(
    cli: Any, trained: Path, simulated: PairFiles, dates: list[str], tmp_path: Path
) -> None:
    with rasterio.open(simulated.t2) as file:
        values, profile = file.read(), file.profile
    values[:, 10:15, 20:26] = file.nodata
    with rasterio.open(tmp_path / "t2.tif", "w", **profile) as file:
        file.write(values)
    maps = ["--output", tmp_path / "change.tif", "--score", tmp_path / "score.tif"]
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates[:2], "--t2", tmp_path / "t2.tif", *maps) == 0
    change, score = read_band(tmp_path / "change.tif"), read_band(tmp_path / "score.tif")
    np.testing.assert_array_equal(change == 255, np.isnan(score))
    assert (change[10:15, 20:26] == 255).all()
    # Undoing the shift of date 2 spreads a hole by the pixels that it mixes, no further.
    away = np.ones(change.shape, dtype=bool)
    away[10 - 4 : 15 + 4, 20 - 4 : 26 + 4] = False
    assert (change[away] != 255).all()


def test_uncertainty_is_written_beside_the_same_maps(
    cli: Any, trained: Path, dates: list[str], predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [tmp_path / f"{name}.tif" for name in ("change", "score", "uncertainty")]
    maps = ["--output", names[0], "--score", names[1], "--uncertainty", names[2], "--device", "cpu"]
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates, *maps) == 0
    assert f"uncertainty: {names[2]}\n" in capsys.readouterr().out
    np.testing.assert_array_equal(read_band(names[0]), read_band(predicted / "change.tif"))
    np.testing.assert_array_equal(read_band(names[1]), read_band(predicted / "score.tif"))
    detector = load_detector(trained / "best.pt", device=torch.device("cpu"))
    pair = ScenePair(open_cube(dates[1]), open_cube(dates[3]), name="scene")
    np.testing.assert_allclose(
        read_band(names[2]), score_scene(detector, pair, rows=9, uncertainty=True)[1], atol=1e-5
    )


@pytest.mark.parametrize("method", ["siamese", "cva"])
@pytest.mark.quick("cva")
def test_uncertainty_of_one_model_is_refused_before_anything_is_written(
    cli: Any,
    simulated: PairFiles,
    dates: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    run = tmp_path / "run"
    quick = cli.settings(model__members=1) if method == "siamese" else ["--set", "split.fraction=0.05"]
    assert cli("train", *dates, "--truth", simulated.truth, "--method", method, "--run", run, *quick) == 0
    capsys.readouterr()
    maps = ["--output", tmp_path / "c.tif", "--uncertainty", tmp_path / "u.tif"]
    assert cli("predict", "--checkpoint", run / "best.pt", *dates, *maps) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and "leave --uncertainty out" in err
    assert list(tmp_path.iterdir()) == [run]


def test_two_maps_in_one_file_are_refused(
    cli: Any, trained: Path, dates: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = tmp_path / "map.tif"
    maps = ["--output", tmp_path / "c.tif", "--score", one, "--uncertainty", one]
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates, *maps) == 2
    assert f"--score and --uncertainty are both {one}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def refit(cli: Any, checkpoint: Path, folder: Path, dates: list[str], *more: object) -> int:
    maps = ["--output", folder / "refitted.tif", "--score", folder / "score.tif", "--refit-statistics"]
    return cli("predict", "--checkpoint", checkpoint, *dates, *maps, "--device", "cpu", *more)


def test_statistics_refitted_on_the_training_scene_are_the_checkpoints(
    cli: Any, trained: Path, dates: list[str], predicted: Path, tmp_path: Path
) -> None:
    assert refit(cli, trained / "best.pt", tmp_path, dates) == 0
    np.testing.assert_allclose(read_band(tmp_path / "score.tif"), read_band(predicted / "score.tif"), atol=1e-4)
    for path, said in ((tmp_path / "score.tif", "refitted"), (predicted / "score.tif", "fitted on")):
        with rasterio.open(path) as file:
            assert said in file.tags()["STATISTICS"]


def test_a_scene_through_other_air_is_mapped_as_before_when_refitted(
    cli: Any, trained: Path, simulated: PairFiles, predicted: Path, tmp_path: Path
) -> None:
    """Date 2 with half the signal and more haze; then judged as a scene that taught nothing."""
    with rasterio.open(simulated.t2) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(tmp_path / "t2.tif", "w", **profile) as file:
        file.write((values * 0.5 + 900).round().astype(values.dtype))
    dates = ["--t1", str(simulated.t1), "--t2", str(tmp_path / "t2.tif")]
    assert refit(cli, trained / "best.pt", tmp_path, dates) == 0
    # Halving whole numbers rounds them, which is all that is left.
    np.testing.assert_allclose(read_band(tmp_path / "score.tif"), read_band(predicted / "score.tif"), atol=0.05)
    truth, scores = simulated.truth, tmp_path / "scores.json"
    assert cli("evaluate", tmp_path / "refitted.tif", "--truth", truth, "--protocol", "P4", "--json", scores) == 0
    result = json.loads(scores.read_text())
    assert (result["protocol"], result["scope"]) == ("P4", "all labelled")
    assert (result["train"], result["seed"]) == (None, None)
    assert sum(result["test"].values()) == 48 * 40
    with rasterio.open(truth) as file:
        labels = file.read(1).ravel()
    expected = sklearn.metrics.cohen_kappa_score(labels, read_band(tmp_path / "refitted.tif").ravel())
    assert result["scores"]["kappa"] == pytest.approx(expected)


def test_an_older_checkpoint_predicts_but_refuses_a_refit(
    cli: Any,
    trained: Path,
    dates: list[str],
    predicted: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = torch.load(trained / "best.pt", weights_only=True)
    content.pop("digest")
    del content["detector"]["prepare"], content["detector"]["transform"]["centre"]
    del content["detector"]["transform"]["scale"]
    older = tmp_path / "older.pt"
    torch.save(content, older)
    assert refit(cli, older, tmp_path, dates) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and "older version: leave --refit-statistics out" in err
    assert list(tmp_path.iterdir()) == [older]
    assert cli("predict", "--checkpoint", older, *dates, "--output", tmp_path / "map.tif") == 0
    np.testing.assert_array_equal(read_band(tmp_path / "map.tif"), read_band(predicted / "change.tif"))


@pytest.mark.parametrize("size", ["1", "300KB", "0.1G", "2GiB", "64 mib"])
def test_the_memory_given_changes_no_map(cli, predicted: Path, trained: Path, dates, tmp_path: Path, size) -> None:
    maps = ["--output", tmp_path / "change.tif", "--score", tmp_path / "score.tif"]
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates, *maps, "--memory", size) == 0
    for name in ("change.tif", "score.tif"):
        np.testing.assert_allclose(read_band(tmp_path / name), read_band(predicted / name), atol=1e-5)


@pytest.mark.parametrize("size", ["0", "much", "-1GB", "3 apples", "1e9", ""])
def test_a_memory_that_is_none_is_refused(cli, trained: Path, dates, tmp_path: Path, capsys, size) -> None:
    maps = ["--output", tmp_path / "change.tif"]
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates, *maps, f"--memory={size}") == 2
    message = capsys.readouterr().err
    assert "is no size: give bytes, as 500MB or 2GiB" in message and message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_lower_precision_moves_the_scores_a_little(cli, predicted: Path, trained: Path, dates, tmp_path) -> None:
    maps = ["--output", tmp_path / "change.tif", "--score", tmp_path / "score.tif"]
    options = ["--precision", "bfloat16", "--device", "cpu"]
    assert cli("predict", "--checkpoint", trained / "best.pt", *dates, *maps, *options) == 0
    np.testing.assert_allclose(read_band(tmp_path / "score.tif"), read_band(predicted / "score.tif"), atol=0.05)
    told = []
    for folder in (tmp_path, predicted):
        with rasterio.open(folder / "score.tif") as raster:
            told.append(raster.tags().get("PRECISION"))
    assert told == ["bfloat16", None]
