"""In a real QGIS without a display: the plugin from a profile, as a user has it, and the command that it runs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation_files import PairFiles

PYTHON = "/usr/bin/python3"
CLASSES = {
    "0": ["unchanged", [230, 230, 230], 255],
    "1": ["changed", [200, 30, 30], 255],
    "255": ["no data", [0, 0, 0], 0],
}


def why_not() -> str:
    """Why QGIS cannot be started here; empty where it can."""
    if not Path(PYTHON).exists():
        return f"no {PYTHON}"
    code = "import qgis.core; print(qgis.core.Qgis.QGIS_VERSION)"
    tried = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else "QGIS is not installed for Debian's Python (python3-qgis)"


class Qgis:
    """A profile with the plugin, and QGIS started in it."""

    def __init__(self, folder: Path, cli: Any) -> None:
        self.home, self.profile = folder, folder / "profile"
        self.profile.mkdir()
        assert cli("qgis", "install", "--profile", self.profile) == 0

    def __call__(self, *orders: dict[str, Any]) -> dict[str, Any]:
        """What comes of orders (see ``in_qgis.py``) in one process."""
        own = {"HOME": str(self.home), "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
        own |= {name: str(self.home) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        script = Path(__file__).with_name("in_qgis.py")
        done = subprocess.run(
            [PYTHON, script, self.profile], input=json.dumps(orders), env=kept | own, cwd=self.home,
            capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0 and done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


@pytest.fixture(scope="module")
def qgis(cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return Qgis(tmp_path_factory.mktemp("qgis"), cli)


def order(algorithm: str, *, how: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    texts = {name: str(value) if isinstance(value, Path) else value for name, value in parameters.items()}
    return {"algorithm": f"hsi_cd:{algorithm}", "parameters": texts, **(how or {})}


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def band(path: Path | str) -> Any:
    with rasterio.open(path) as file:
        return file.read(1)


def no_drafts(folder: Path) -> bool:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


# --- The quick suite has these, in one process of QGIS ---


@pytest.fixture(scope="module")
def first(qgis: Qgis, simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("first")
    t1, t2 = simulated.t1, simulated.t2
    old = program(folder / "old", "#!/bin/sh\necho 'hsi-cd, version 0.0.9'\n")
    other = program(folder / "other", "#!/bin/sh\necho 'something else'\n")
    layers = {"T1": {"raster": str(t1)}, "T2": {"raster": str(t2)}}
    maps = {"OUTPUT": folder / "change.tif", "SCORE": folder / "score.tif", "VECTOR": folder / "regions.gpkg"}
    orders = {
        "detect": order("detect", **layers, METHOD="cva", **maps, how={"load": True}),
        "absent date": order("detect", T1=t1, T2=folder / "nothing.tif", OUTPUT=folder / "a.tif"),
        "no date": order("detect", T1=t1, OUTPUT=folder / "a.tif"),
        "absent command": order(
            "detect", T1=t1, T2=t2, OUTPUT=folder / "a.tif", how={"setting": "/nowhere/hsi-cd"}
        ),
        "old command": order("detect", T1=t1, T2=t2, OUTPUT=folder / "a.tif", how={"setting": str(old)}),
        "other command": order("detect", T1=t1, T2=t2, OUTPUT=folder / "a.tif", how={"setting": str(other)}),
        "cancelled": order(
            "detect", T1=t1, T2=t2, METHOD="cva", OUTPUT=folder / "b.tif", how={"cancel": True, "load": True}
        ),
    }
    began = time.monotonic()
    done = qgis(*orders.values())
    done["seconds"] = time.monotonic() - began
    done["orders"] = dict(zip(orders, done["orders"], strict=True))
    done["folder"] = folder
    return done


def test_the_toolbox_has_the_commands_and_imports_no_package(first: dict[str, Any]) -> None:
    assert first["algorithms"] == {
        "info": "Inspect",
        "register": "Register",
        "detect": "Detect change",
        "predict": "Map with a trained model",
        "train": "Train from drawn labels",
        "suggest": "Suggest labels",
        "evaluate": "Judge a map",
    }
    assert first["extensions"] == [["tif"], hc.__version__]
    assert {"hsi_cd_qgis", "processing"} <= set(first["imported"])
    assert not {"hsi_cd", "torch", "rasterio", "click"} & set(first["imported"])
    assert first["unloaded"]


def test_layers_become_a_map_that_is_loaded_as_it_is_meant(
    first: dict[str, Any], cli: Any, simulated: PairFiles, tmp_path: Path
) -> None:
    done, folder = first["orders"]["detect"], first["folder"]
    assert done["results"] == {
        "OUTPUT": str(folder / "change.tif"),
        "SCORE": str(folder / "score.tif"),
        "VECTOR": str(folder / "regions.gpkg"),
    }
    words = ["--t1", simulated.t1, "--t2", simulated.t2, "--method", "cva", "--output", tmp_path / "c.tif"]
    assert cli("detect", *words, "--score", tmp_path / "s.tif", "--vector", tmp_path / "r.gpkg") == 0
    np.testing.assert_array_equal(band(folder / "change.tif"), band(tmp_path / "c.tif"))
    looks = {look["file"].partition("|")[0]: look for look in done["looks"]}
    assert looks["change.tif"]["classes"] == CLASSES
    scores = band(tmp_path / "s.tif")
    assert looks["score.tif"]["ramp"] == pytest.approx([np.nanmin(scores), np.nanmax(scores)])
    assert looks["regions.gpkg"]["features"] == pyogrio.read_info(tmp_path / "r.gpkg")["features"]
    (typed,) = done["command"]
    assert typed.split()[:2] == [str(Path(sysconfig.get_path("scripts")) / "hsi-cd"), "detect"]
    assert any("threshold" in text for text in done["console"])


def test_an_error_is_the_command_s_one_line(
    first: dict[str, Any], cli: Any, simulated: PairFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    folder = first["folder"]
    words = ["--t1", simulated.t1, "--t2", folder / "nothing.tif", "--output", folder / "a.tif"]
    assert cli("detect", *words) == 2
    assert f"hsi-cd: error: {first['orders']['absent date']['error']}\n" == capsys.readouterr().err
    assert first["orders"]["no date"]["error"] == "Later date (t2): nothing is chosen; choose one"
    assert not (folder / "a.tif").exists()


def test_a_command_that_is_absent_old_or_another_is_one_line(first: dict[str, Any]) -> None:
    told = {name: done["error"] for name, done in first["orders"].items() if name.endswith(" command")}
    assert (
        "/nowhere/hsi-cd cannot be run (No such file or directory): run hsi-cd qgis install"
        in told["absent command"]
    )
    assert f"is hsi-cd 0.0.9, but this plugin needs {hc.__version__} or later" in told["old command"]
    assert "is not hsi-cd: it does not tell its version" in told["other command"]
    assert [text for text in told.values() if "\n" in text] == []


def test_what_is_cancelled_ends_and_leaves_nothing(first: dict[str, Any]) -> None:
    done = first["orders"]["cancelled"]
    assert done["error"].startswith("cancelled: hsi-cd was interrupted")
    assert done["progress"] and done["loaded"] == 0
    assert not (first["folder"] / "b.tif").exists() and no_drafts(first["folder"])
