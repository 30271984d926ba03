"""hsi-cd register, and --register of detect, train, predict: a pair that lies off is mapped as one that fits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from scipy import ndimage

import hsi_cd as hc
from hsi_cd.cli.remedies import for_command
from hsi_cd.errors import CheckpointError, ConfigError, PairError, RegistrationError
from hsi_cd.io.raster import quiet_georeference

Capture = pytest.CaptureFixture[str]
PLACE = Affine(30, 0, 400_000, 0, -30, 5_800_000)
ROWS, COLS, MARGIN = 100, 90, 40
SHIFT = (3, -11)
PAIR = ["--t1", "t1.tif", "--t2", "t2.tif"]
MASK = {"driver": "GTiff", "count": 1, "height": ROWS, "width": COLS, "dtype": "uint8"}
CVA = ["detect", "--method", "cva", "--set", "threshold=otsu", *PAIR]


def write(name: str, values: np.ndarray, **profile: Any) -> None:
    count, rows, cols = values.shape
    base = {"crs": "EPSG:32633", "transform": PLACE, "dtype": values.dtype.name}
    with (
        quiet_georeference(),
        rasterio.open(name, "w", driver="GTiff", count=count, height=rows, width=cols, **(base | profile)) as file,
    ):
        file.write(values)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two dates, uint16, and where they differ, with a margin around what is shown."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(5, ROWS + 2 * MARGIN, COLS + 2 * MARGIN))
    t1 = 3000 + 900 * ndimage.gaussian_filter(noise, (0, 1.5, 1.5)) / 0.2
    t2 = 0.9 * t1 + 200 + random.normal(0, 15, t1.shape)
    changed = np.zeros(t1.shape[1:], bool)
    changed[MARGIN + 20 : MARGIN + 50, MARGIN + 20 : MARGIN + 55] = True
    t2[:, changed] += np.array([2500, -1500, 3000, 2000, -1000])[:, None]
    return t1, t2, changed


def shown(values: np.ndarray, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """The part of a date that a file shows, whose ground lies ``shift`` further down and right than it should."""
    moved = np.stack([ndimage.shift(layer, shift, order=5) for layer in np.atleast_3d(values.astype(float))])
    return np.rint(moved[:, MARGIN:-MARGIN, MARGIN:-MARGIN]).clip(1, 65535).astype(np.uint16)


def elsewhere() -> np.ndarray:
    """A date of another place."""
    noise = np.random.default_rng(9).normal(size=(5, ROWS, COLS))
    return (3000 + 4500 * ndimage.gaussian_filter(noise, (0, 1.5, 1.5))).astype(np.uint16)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """t1.tif, t2.tif that lies off it, straight.tif that does not, and truth.tif, in the current folder."""
    monkeypatch.chdir(tmp_path)
    t1, t2, changed = scene()
    write("t1.tif", shown(t1))
    write("t2.tif", shown(t2, SHIFT))
    write("straight.tif", shown(t2))
    write("truth.tif", changed[None, MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.uint8))


def read(name: str) -> np.ndarray:
    with quiet_georeference(), rasterio.open(name) as file:
        return file.read()


def kappa(name: str) -> float:
    return float(hc.evaluate(name, "truth.tif").scores["kappa"])


def test_the_file_is_date_2_on_the_grid_of_date_1(cli: Any, files: None, capsys: Capture) -> None:
    assert cli("register", "t1.tif", "t2.tif", "--output", "laid.tif", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["undone"] == [3.0, -11.0]
    assert re.search(r"undone: [23]\.\d+ pixels down and 1[01]\.\d+ left .* tiles agree", said["registered"])
    with rasterio.open("laid.tif") as file, rasterio.open("t1.tif") as first:
        assert (file.crs, file.transform, file.shape) == (first.crs, first.transform, first.shape)
        assert file.dtypes == ("uint16",) * 5 and file.nodata == 0
    laid, off = read("laid.tif"), read("t2.tif")
    np.testing.assert_array_equal(laid[:, :-3, 11:], off[:, 3:, :-11])
    assert not laid[:, -3:].any() and not laid[:, :, :11].any()
    # What GDAL kept beside another file of this name would be read as its mask.
    with quiet_georeference(), rasterio.open("laid.tif.msk", "w", **MASK) as file:
        file.write(np.zeros((1, ROWS, COLS), np.uint8))
    assert cli("register", "t1.tif", "t2.tif", "--output", "laid.tif", "--overwrite") == 0
    assert not Path("laid.tif.msk").exists()
    np.testing.assert_array_equal(read("laid.tif"), laid)
    capsys.readouterr()
    # Once more there is nothing to undo, and info agrees.
    assert cli("register", "t1.tif", "laid.tif") == 0
    assert "nothing worth undoing: " in capsys.readouterr().out


def test_info_says_whether_a_pair_fits(cli: Any, files: None, capsys: Capture) -> None:
    t1, _, _ = scene()
    write("other.tif", elsewhere())
    write("moved.tif", shown(t1), transform=PLACE @ Affine.translation(40, 0))
    for name, verdict in {
        "straight.tif": "fits$",
        "t2.tif": "fits after --register$",
        "other.tif": "does not fit, because the dates show too little in common within 128 pixels",
        "moved.tif": r"does not fit, because .* or use --align$",
    }.items():
        capsys.readouterr()
        assert cli("info", "t1.tif", name) == 0
        assert re.search(f"  pair        {verdict}", capsys.readouterr().out, re.MULTILINE), name
        assert cli("info", "t1.tif", name, "--json") == 0
        assert re.search(verdict, json.loads(capsys.readouterr().out)["pair"]["verdict"])


@pytest.mark.parametrize("shift", [(2.4, -7.3), pytest.param((3, -11), marks=pytest.mark.slow)])
def test_a_map_is_as_good_as_that_of_dates_that_fit(
    cli: Any, files: None, capsys: Capture, caplog: pytest.LogCaptureFixture, shift: tuple[float, float]
) -> None:
    write("t2.tif", shown(scene()[1], shift))
    assert cli(*CVA[:-1], "straight.tif", "--output", "straight-map.tif") == 0
    assert cli(*CVA, "--output", "off.tif") == 0
    assert "register the dates first" in caplog.text
    caplog.clear()
    assert cli(*CVA, "--register", "--output", "laid.tif") == 0
    assert "registered: undone: " in capsys.readouterr().out and not caplog.records
    best = kappa("straight-map.tif")
    assert kappa("off.tif") < 0.8 < best
    assert kappa("laid.tif") > best - 0.02
    with rasterio.open("laid.tif") as file:
        told = [float(part) for part in file.tags()["REGISTERED"].split()]
        np.testing.assert_allclose(told, shift, atol=0.1)
        assert (file.read(1)[int(-shift[0]) :] == 255).all()  # t2 does not reach there
    # The same as of the file that register writes, but for the rounding to whole numbers.
    assert cli("register", "t1.tif", "t2.tif", "--output", "file.tif") == 0
    assert cli(*CVA[:-1], "file.tif", "--output", "of-file.tif") == 0
    assert (read("of-file.tif") != read("laid.tif")).mean() < 0.005


def bad(cli: Any, capsys: Capture, *words: str) -> str:
    capsys.readouterr()
    assert cli(*words) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and not Path("o.tif").exists()
    return said.err


def test_bad_input_is_one_line(cli: Any, files: None, capsys: Capture) -> None:
    t1, t2, _ = scene()
    turned = ndimage.rotate(t2, 1.0, axes=(1, 2), reshape=False, order=3, mode="mirror")
    larger = np.stack([ndimage.zoom(layer, 1.02, order=3) for layer in t2])
    cut = [(length - wanted) // 2 for length, wanted in zip(larger.shape[1:], t2.shape[1:], strict=True)]
    larger = larger[:, cut[0] : cut[0] + t2.shape[1], cut[1] : cut[1] + t2.shape[2]]
    write("other.tif", elsewhere())
    write("turned-round.tif", shown(t1[:, ::-1, ::-1]))
    write("flat.tif", np.full((5, ROWS, COLS), 7, np.uint16))
    write("small.tif", shown(t1)[:, :20, :25])
    write("small2.tif", shown(t2)[:, :20, :25])
    write("turned.tif", shown(turned))
    write("larger.tif", shown(larger))
    write("far.tif", shown(t1), transform=PLACE @ Affine.translation(5000, 0))
    write("zone.tif", shown(t1), crs="EPSG:32632")
    write("bands.tif", shown(t1)[:3])
    cases = {
        ("t1.tif", "other.tif"): "too little in common",
        ("t1.tif", "turned-round.tif"): "turned by 180 degrees",
        ("t1.tif", "flat.tif"): "t2 (flat.tif) is flat or without data",
        ("small.tif", "small2.tif"): "the scene is 20 x 25 pixels, and 32 each way are needed",
        ("t1.tif", "turned.tif"): "turned by ",
        ("t1.tif", "larger.tif"): "larger by ",
        ("t1.tif", "far.tif"): "or use --align",
        ("t1.tif", "far.tif", "--align"): "they do not overlap",
        ("t1.tif", "zone.tif"): "EPSG:32632",
        ("t1.tif", "bands.tif"): "use --common-bands",
        ("t1.tif", "none.tif"): "none.tif",
        ("t1.tif", "t1.tif"): "--allow-identical",
    }
    for words, said in cases.items():
        assert said in bad(cli, capsys, "register", *words, "--output", "o.tif"), words
    words = bad(cli, capsys, *CVA[:-1], "turned.tif", "--register", "--output", "o.tif")
    assert 0.8 < float(words.split("turned by ")[1].split()[0]) < 1.2
    assert "name another" in bad(cli, capsys, "register", "t1.tif", "t2.tif", "--output", "t2.tif", "--overwrite")
    assert "GeoTIFF" in bad(cli, capsys, "register", "t1.tif", "t2.tif", "--output", "o.png")


def test_rasters_without_a_place(cli: Any, files: None, capsys: Capture) -> None:
    for name in ("t1", "t2"):
        write(f"{name}-bare.tif", read(f"{name}.tif"), crs=None, transform=None)
    assert cli("register", "t1-bare.tif", "t2-bare.tif", "--output", "o.tif") == 0
    assert cli("register", "t1.tif", "t2-bare.tif", "--output", "p.tif") == 0
    with quiet_georeference(), rasterio.open("o.tif") as file:
        assert file.crs is None
    with rasterio.open("p.tif") as file:
        assert file.crs == "EPSG:32633" and file.transform == PLACE


def test_another_grid_is_brought_over_first(cli: Any, files: None, capsys: Capture) -> None:
    """Its own place of whole pixels further, and the shift of its ground beside."""
    write("t2-elsewhere.tif", read("t2.tif")[:, 4:, 2:], transform=PLACE @ Affine.translation(2, 4))
    assert cli("register", "t1.tif", "t2-elsewhere.tif", "--align", "--output", "laid.tif", "--json") == 0
    assert json.loads(capsys.readouterr().out)["undone"] == [3.0, -11.0]
    laid, off = read("laid.tif"), read("t2.tif")
    np.testing.assert_array_equal(laid[:, 1:-3, 13:], off[:, 4:, 2:-11])
    assert np.isnan(laid[:, 0]).all() and laid.dtype == np.float32


LEARN = ["--truth", "truth.tif", "--method", "logistic", "--set", "split.fraction=0.05"]


def test_a_run_predicts_with_its_own_shift_and_measures_another(
    cli: Any, files: None, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    assert cli("train", *PAIR, *LEARN, "--register", "--run", "run") == 0
    assert "undone: " in capsys.readouterr().out
    kept = yaml.safe_load(Path("run/config.yaml").read_text())["coregister"]
    assert kept["dates"] is True and kept["shift"] == [3.0, -11.0] and len(kept["pixels"]) == 16
    predict = ["predict", "--checkpoint", "run/best.pt", *PAIR]
    assert cli(*predict, "--output", "own.tif") == 0
    assert "as fitted" in capsys.readouterr().out and "measured anew" not in caplog.text
    np.testing.assert_array_equal(read("own.tif"), read("run/change.tif"))
    # Another pair has its own shift, which is told.
    write("t3.tif", shown(scene()[1], (-6, 4)))
    assert cli(*predict[:-1], "t3.tif", "--output", "other.tif") == 0
    assert "is measured anew: " in caplog.text and "undone: " in capsys.readouterr().out
    caplog.clear()
    with rasterio.open("other.tif") as file:
        assert file.tags()["REGISTERED"] == "-6.0 4.0"
    # Unless it is not to be, or cannot.
    write("elsewhere.tif", elsewhere())
    assert cli(*predict[:-1], "straight.tif", "--no-register", "--output", "straight-map.tif") == 0
    assert "registered" not in capsys.readouterr().out and not caplog.records
    other = bad(cli, capsys, *predict[:-1], "elsewhere.tif", "--output", "o.tif")
    found = re.search(r"as they lie, with (--no-register)$", other.split(" (see ")[0].strip())
    assert found is not None
    assert cli(*predict[:-1], "elsewhere.tif", found[1], "--output", "o.tif") == 0
    # A run is gone on with as it was begun.
    assert cli("train", *PAIR, *LEARN, "--register", "--run", "run", "--resume") == 0
    assert cli("train", *PAIR, *LEARN, "--run", "run", "--resume") == 2
    assert "another configuration" in capsys.readouterr().err


@pytest.mark.slow
def test_the_settings_of_a_run_register_again(cli: Any, files: None) -> None:
    assert cli("train", *PAIR, *LEARN, "--set", "coregister.dates=true", "--run", "run") == 0
    assert cli("train", *PAIR, "--truth", "truth.tif", "--config", "run/config.yaml", "--run", "again") == 0
    np.testing.assert_array_equal(read("again/change.tif"), read("run/change.tif"))
    assert Path("again/config.yaml").read_text() == Path("run/config.yaml").read_text()


def test_remedies_are_typed(cli: Any, files: None, capsys: Capture, caplog: pytest.LogCaptureFixture) -> None:
    assert cli(*CVA, "--output", "p.tif") == 0
    (message,) = caplog.messages
    found = re.search(r"register the dates first, by (--register)$", for_command(message, "detect"))
    assert found is not None
    assert for_command(message, "benchmark").endswith("with the setting coregister.dates=true")
    caplog.clear()
    assert cli(*CVA, found[1], "--output", "p.tif", "--overwrite") == 0
    assert not caplog.records
    write("t2.tif", read("t2.tif")[:, 5:], transform=PLACE @ Affine.translation(0, 5))
    found = re.search(
        r"or use (--align)$", bad(cli, capsys, "register", "t1.tif", "t2.tif").split(" (see ")[0].strip()
    )
    assert found is not None
    assert cli("register", "t1.tif", "t2.tif", found[1]) == 0


def test_the_same_in_python(files: None, tmp_path: Path) -> None:
    pair = hc.open_pair("t1.tif", "t2.tif")
    laid = hc.register(pair, output="laid.tif")
    assert laid.registered is not None and (laid.registered.down, laid.registered.right) == SHIFT
    np.testing.assert_array_equal(laid.t2.read(), hc.open_pair("t1.tif", "laid.tif").t2.read())
    np.testing.assert_array_equal(hc.open_pair("t1.tif", "t2.tif", register=True).t2.read(), laid.t2.read())
    fitted = hc.CVA(threshold="otsu").fit(laid)
    change = fitted.predict(pair)  # its own, as it was opened
    np.testing.assert_array_equal(change.change, hc.CVA(threshold="otsu").fit(laid).predict(laid).change)
    fitted.save("cva.pt")
    np.testing.assert_array_equal(hc.predict("cva.pt", pair).change, change.change)
    with pytest.raises(PairError, match="registered already"):
        hc.register(laid)
    with pytest.raises(RegistrationError, match="too little in common"):
        hc.register(hc.open_pair(*np.random.default_rng(0).random((2, 3, 80, 80), dtype=np.float32)))
    with pytest.raises(ConfigError, match="open it with register=True"):
        hc.train(pair, "truth.tif", run="run", method="logistic", settings={"coregister.dates": True})
    assert not Path("run").exists()


@pytest.mark.parametrize("told", [{"dates": True, "shift": [900.0, 0.0]}, {"dates": True, "shift": "far"}, 3])
def test_a_checkpoint_that_tells_nonsense(told: object) -> None:
    from hsi_cd.api.registering import fitted_settings

    with pytest.raises(CheckpointError, match="train it again"):
        fitted_settings({"coregister": told})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shift"), [("taizhou", 3), ("taizhou", 11), ("rennes", 11)])
def test_the_map_of_a_real_scene_that_was_shifted(shared: Path, name: str, shift: int) -> None:
    """Whole pixels, that nothing but the registration resamples."""
    pair, labels = hc.open_dataset(name, shared / "scenes")
    t1, t2 = pair.read()
    straight, lost = t2[:, shift:].copy(), t2[:, shift:].copy()
    lost[:, -shift:] = np.nan  # what the shifted date does not show
    pairs = [
        hc.open_pair(t1[:, shift:], straight),
        hc.open_pair(t1[:, shift:], lost),
        hc.open_pair(t1[:, shift:], t2[:, :-shift], register=True),
    ]
    maps = [hc.detect(each).change for each in pairs]
    np.testing.assert_array_equal(maps[1], maps[2])
    truth = labels.values[shift:-shift]
    best, found = (hc.evaluate(each[:-shift], truth).scores["kappa"] for each in (maps[0], maps[2]))
    assert abs(best - found) < 0.02
