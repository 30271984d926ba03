"""What masks leave out is kept with a run, and known when it goes on or predicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import deliveries
import numpy as np
import pytest
import rasterio
import yaml

import hsi_cd as hc
from hsi_cd.cli.remedies import in_options
from hsi_cd.config import resolve
from hsi_cd.errors import ConfigError

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("masked scene")
    found = {f"t{date}": deliveries.landsat(folder, date) for date in (1, 2)}
    found["truth"] = deliveries.raster(folder / "truth.tif", deliveries.plane(deliveries.BLOCK))
    found["lake"] = deliveries.raster(folder / "lake and shore.tif", deliveries.plane(np.s_[0:4, 20:40]))
    found["other"] = deliveries.raster(folder / "other.tif", deliveries.plane(np.s_[0:4, 20:30]))
    return found


def words(scene: dict[str, Path], run: Path) -> list[Any]:
    named = [word for name in ("t1", "t2", "truth") for word in (f"--{name}", scene[name])]
    learned = ["--method", "forest", "--set", "options.trees=12", "--set", "split.fraction=0.2"]
    return ["train", *named, *learned, "--run", run]


def kept(run: Path) -> list[str]:
    return list(yaml.safe_load((run / "config.yaml").read_text())["mask"])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([], ["auto"]),
        (["none"], ["none"]),
        (["cloud,shadow"], ["cloud,shadow"]),
        (["auto", "lake"], ["auto", "lake"]),
    ],
)
@pytest.mark.quick("asked0-*", "asked3-*")
def test_a_run_keeps_its_masks(
    cli: Any, scene: dict[str, Path], tmp_path: Path, asked: list[str], expected: list[str], capsys: Capture
) -> None:
    run = tmp_path / "run"
    options = [word for each in asked for word in ("--mask", scene.get(each, each))]
    expected = [str(scene.get(each, each)) for each in expected]
    assert cli(*words(scene, run), *options) == 0
    assert kept(run) == expected
    with rasterio.open(run / "change.tif") as file:
        change, tags = file.read(1), file.tags()
    assert tags["MASK"] == " and ".join(expected)
    assert (change[deliveries.CLOUD] == 255).all() == ("none" not in asked)
    assert (change[0:4, 20:40] == 255).all() == ("lake" in asked)
    inputs = json.loads((run / "provenance.json").read_text())["sessions"][-1]["inputs"]
    assert (str(scene["lake"]) in inputs) == ("lake" in asked)
    # Its settings make it again, with no word of masks.
    again = ["train", *words(scene, tmp_path / "again")[1:], "--config", run / "config.yaml"]
    assert cli(*again) == 0 and kept(tmp_path / "again") == expected
    with rasterio.open(tmp_path / "again" / "change.tif") as file:
        np.testing.assert_array_equal(file.read(1), change)


def test_to_resume_with_another_mask_is_refused(
    cli: Any, scene: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    run = tmp_path / "run"
    assert cli(*words(scene, run), "--mask", scene["lake"]) == 0
    (run / "result.json").unlink()
    capsys.readouterr()
    for other, said in (
        ([], "auto"),
        (["--mask", scene["other"]], str(scene["other"])),
        (["--mask", "none"], "none"),
    ):
        assert cli(*words(scene, run), "--resume", *other) == 2
        err = capsys.readouterr().err
        assert f"(mask: {scene['lake']} then, mask: {said} now): resume with the same options" in err
        assert err.count("\n") == 1
    assert cli(*words(scene, run), "--resume", "--mask", scene["lake"]) == 0


@pytest.mark.slow
def test_a_mask_with_another_content_is_another_input(
    cli: Any, scene: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    lake = deliveries.raster(tmp_path / "lake.tif", deliveries.plane(np.s_[0:4, 20:40]))
    assert cli(*words(scene, tmp_path / "run"), "--mask", lake) == 0
    (tmp_path / "run" / "result.json").unlink()
    deliveries.raster(lake, deliveries.plane(np.s_[4:8, 20:40]))
    capsys.readouterr()
    assert cli(*words(scene, tmp_path / "run"), "--mask", lake, "--resume") == 2
    assert f"{lake} has another content" in capsys.readouterr().err


def test_a_run_of_an_earlier_version_goes_on(cli: Any, scene: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert cli(*words(scene, run)) == 0
    (run / "result.json").unlink()
    settings = yaml.safe_load((run / "config.yaml").read_text())
    del settings["mask"]
    (run / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    assert cli("runs", tmp_path) == 0
    assert cli(*words(scene, run), "--resume") == 0


def test_predict_tells_that_it_masks_otherwise(
    cli: Any, scene: dict[str, Path], tmp_path: Path, caplog: Log
) -> None:
    run = tmp_path / "run"
    assert cli(*words(scene, run), "--mask", "none", "--mask", scene["lake"]) == 2  # none, and yet one
    assert cli(*words(scene, run), "--mask", "none") == 0
    predict = ["predict", "--checkpoint", run / "best.pt", "--t1", scene["t1"], "--t2", scene["t2"]]
    caplog.clear()
    assert cli(*predict, "--output", tmp_path / "a.tif") == 0
    told = [in_options(record.getMessage()) for record in caplog.records]
    (line,) = [each for each in told if "what was fitted" in each]
    assert line.endswith("is mapped with auto; --mask none does the same here")
    caplog.clear()
    assert cli(*predict, "--mask", "none", "--output", tmp_path / "b.tif") == 0
    assert "what was fitted" not in caplog.text
    with rasterio.open(run / "change.tif") as run_map, rasterio.open(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.read(1), run_map.read(1))


def test_settings_and_the_open_scene_agree(scene: dict[str, Path]) -> None:
    labels = hc.open_labels(scene["truth"])
    with pytest.raises(
        ConfigError, match=r"the setting mask is none, but the scene .* opened with auto: .* mask="
    ):
        hc.Logistic(settings={"mask": "none"}).fit(hc.open_pair(scene["t1"], scene["t2"]), labels)
    pair = hc.open_pair(scene["t1"], scene["t2"], mask=["cloud", np.eye(36, 48)])
    fitted = hc.Logistic(settings={"split.fraction": 0.2}).fit(pair, labels)
    assert pair.masks == ("cloud", "an array") and fitted._as_fitted.mask == pair.masks
    assert resolve([("file", {"mask": "cloud,snow"})]).mask == ("cloud,snow",)
    for wrong in ("", [], [""], [3], 3):
        with pytest.raises(ConfigError, match="mask"):
            resolve([("file", {"mask": wrong})])
