"""No data that files declare otherwise, or not at all: told, declared with --nodata, kept with a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml

import hsi_cd as hc
from hsi_cd.cli.remedies import in_options
from hsi_cd.config import resolve
from hsi_cd.datasets.simulated.simulation_files import PairFiles
from hsi_cd.errors import ConfigError
from hsi_cd.training.examples import declared_of

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture


@pytest.fixture(scope="module")
def filled(simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The simulated dates with a border of 5 and 6 columns of -9999 that no file declares; nobody writes here."""
    folder = tmp_path_factory.mktemp("filled")
    for date, width in ((simulated.t1, 5), (simulated.t2, 6)):
        rewrite(date, folder / date.name, -9999, where=np.s_[:, :, :width])
    return [folder / "t1.tif", folder / "t2.tif"]


def rewrite(source: Path, target: Path, value: float, *, where: Any) -> None:
    """A copy in float32 that holds ``value`` in some places and declares no data."""
    with rasterio.open(source) as file:
        values, kept = file.read().astype(np.float32), file.profile | {"dtype": "float32", "nodata": None}
        told = [file.tags(band) for band in file.indexes]  # the wavelengths
    values[where] = value
    with rasterio.open(target, "w", **kept) as file:
        file.write(values)
        for band, tags in enumerate(told, start=1):
            file.update_tags(band, **tags)


def shown(caplog: Log) -> str:
    """What the last command warned of, as the command line shows it."""
    text = "".join(in_options(record.getMessage()) + "\n" for record in caplog.records)
    caplog.clear()
    return text


def of_scene(filled: list[Path]) -> list[object]:
    return ["--t1", filled[0], "--t2", filled[1]]


def test_undeclared_fill_is_told_and_declared(cli: Any, filled: list[Path], tmp_path: Path, caplog: Log) -> None:
    words = ["detect", "--method", "cva", *of_scene(filled), "--output", tmp_path / "c.tif"]
    assert cli(*words) == 0
    err = shown(caplog)
    assert "t1 (t1.tif): 12.5 % of its pixels hold -9999 in every band" in err
    assert "t2 (t2.tif): 15 % of its pixels" in err and "declare it with --nodata -9999\n" in err
    assert cli(*words, "--nodata", "-9999", "--overwrite") == 0
    assert shown(caplog) == ""
    with rasterio.open(tmp_path / "c.tif") as file:
        change, tags = file.read(1), file.tags()
    assert (change[:, :6] == 255).all() and (change[:, 6:] != 255).all() and tags["NODATA"] == "-9999.0"


def test_info_tells_fill_masks_and_what_is_declared(
    cli: Any, filled: list[Path], tmp_path: Path, capsys: Capture
) -> None:
    assert cli("info", filled[0]) == 0
    assert "    fill      12.5 % of its pixels hold -9999" in capsys.readouterr().out
    assert cli("info", filled[0], "--nodata", "-9999", "--json") == 0
    (image,) = json.loads(capsys.readouterr().out)["files"][0]["images"]
    assert (image["empty"], image["declared"], image["fill"]) == (0.125, [-9999.0], None)


def test_a_run_keeps_what_was_declared(cli: Any, filled: list[Path], simulated: PairFiles, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", *of_scene(filled), "--truth", simulated.truth, "--method", "logistic", "--run", run]
    words += ["--set", "split.fraction=0.2"]
    assert cli(*words, "--nodata", "-9999", "--nodata", "1e20") == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["nodata"] == [-9999.0, 1e20]
    with rasterio.open(run / "change.tif") as file:
        assert (file.read(1)[:, :6] == 255).all()
    assert cli(*words, "--resume") == 2  # it is another scene without them


def test_predict_tells_it_too(cli: Any, filled: list[Path], trained: Path, tmp_path: Path, caplog: Log) -> None:
    words = ["predict", "--checkpoint", trained / "best.pt", *of_scene(filled), "--output", tmp_path / "c.tif"]
    assert cli(*words) == 0
    assert "declare it with --nodata -9999" in shown(caplog)
    assert cli(*words, "--nodata", "-9999", "--overwrite") == 0
    assert shown(caplog) == ""
    with rasterio.open(tmp_path / "c.tif") as file:
        change = file.read(1)
    assert (change[:, :6] == 255).all() and not (change[:, 10:] == 255).any()  # the shift is undone in between


def test_settings_and_the_open_scene_agree(filled: list[Path], simulated: PairFiles) -> None:
    labels, settings = hc.open_labels(simulated.truth), {"nodata": -9999}
    with pytest.raises(ConfigError, match=r"nodata is -9999, but the scene .* opened with none: .* nodata="):
        hc.Logistic(settings=settings).fit(hc.open_pair(*filled), labels)
    pair = hc.open_pair(*filled, nodata=-9999)
    assert declared_of(resolve([("settings", settings)]), pair).nodata == (-9999,)
    assert declared_of(resolve([]), pair).nodata == (-9999,)
    assert resolve([("file", {"nodata": ["1e20", -0.5]})]).nodata == (1e20, -0.5)  # as YAML reads them


def test_one_band_that_costs_most_of_the_map(cli: Any, simulated: PairFiles, tmp_path: Path, caplog: Log) -> None:
    rewrite(simulated.t1, tmp_path / "t1.tif", np.nan, where=np.s_[3, :, :32])
    words = ["detect", "--method", "cva", "--t1", tmp_path / "t1.tif", "--t2", simulated.t2]
    words += ["--output", tmp_path / "c.tif"]
    assert cli(*words) == 0
    err = shown(caplog)
    assert "about 80 % of the scene's pixels" in err and "(band 4 of t1) lacks 80 %" in err
    assert "leave such bands out with --drop partly-empty\n" in err
    assert cli(*words, "--drop", "partly-empty", "--overwrite") == 0
    assert shown(caplog) == ""
    with rasterio.open(tmp_path / "c.tif") as file:
        assert not (file.read(1) == 255).any()
