"""In a real QGIS without a display: the plugin from a profile, as a user has it, and the command that it runs."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
from qgis_process import Qgis, band, order

import hsi_cd as hc
from hsi_cd.datasets.simulated.simulation_files import PairFiles

PICTURES = Path(__file__).resolve().parents[2] / "scripts" / "docs" / "qgis_pictures.py"
CLASSES = {
    "0": ["unchanged", [230, 230, 230], 255],
    "1": ["changed", [200, 30, 30], 255],
    "255": ["no data", [0, 0, 0], 0],
}


STYLE = """<qgis version="3.22"><pipe><rasterrenderer type="paletted" band="1" opacity="1"><colorPalette>
<paletteEntry value="0" label="calm" color="#0000ff" alpha="255"/></colorPalette></rasterrenderer></pipe></qgis>
"""


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def no_drafts(folder: Path) -> bool:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


# --- The quick suite has one of these: QGIS and the command are started once each ---


@pytest.fixture(scope="module")
def first(qgis: Qgis, simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("first")
    t1, t2 = simulated.t1, simulated.t2
    layers = {"T1": {"raster": str(t1)}, "T2": {"raster": str(t2)}}
    maps = {"OUTPUT": folder / "change.tif", "SCORE": folder / "score.tif", "VECTOR": folder / "regions.gpkg"}
    maps["PROBABILITY"] = folder / "probability.tif"
    done = qgis(order("detect", **layers, METHOD="cva", **maps, how={"load": True}))
    return done | {"detect": done["orders"][0], "folder": folder}


@pytest.fixture(scope="module")
def bad(qgis: Qgis, simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bad")
    t1, t2 = simulated.t1, simulated.t2
    old = program(folder / "old", "#!/bin/sh\necho 'hsi-cd, version 0.0.9'\n")
    other = program(folder / "other", "#!/bin/sh\necho 'something else'\n")
    orders = {
        "absent date": order("info", T1=t1, T2=folder / "nothing.tif"),
        "no date": order("detect", T1=t1, OUTPUT=folder / "a.tif"),
        "absent command": order(
            "detect", T1=t1, T2=t2, OUTPUT=folder / "a.tif", how={"setting": "/nowhere/hsi-cd"}
        ),
        "old command": order("detect", T1=t1, T2=t2, OUTPUT=folder / "a.tif", how={"setting": str(old)}),
        "other command": order("detect", T1=t1, T2=t2, OUTPUT=folder / "a.tif", how={"setting": str(other)}),
        "cancelled": order(
            "detect", T1=t1, T2=t2, METHOD="cva", OUTPUT=folder / "b.tif", how={"cancel": "", "load": True}
        ),
    }
    done = dict(zip(orders, qgis(*orders.values())["orders"], strict=True))
    return done | {"folder": folder}


@pytest.mark.slow
def test_the_toolbox_has_the_commands_and_imports_no_package(first: dict[str, Any]) -> None:
    assert first["algorithms"] == {
        "info": "Inspect",
        "register": "Register",
        "detect": "Detect change",
        "predict": "Map with a trained model",
        "train": "Train from drawn labels",
        "suggest": "Suggest labels",
        "evaluate": "Judge a map",
        "sample": "Draw a reference sample",
        "area": "Area of change",
        "report": "Report of a map",
    }
    assert first["extensions"] == [["tif"], hc.__version__]
    assert {"hsi_cd_qgis", "processing"} <= set(first["imported"])
    assert not {"hsi_cd", "torch", "rasterio", "click"} & set(first["imported"])
    assert first["may be empty"] == ["MAP", "T1", "T2", "PROBABILITY", "SCORE"]  # a folder stands in for the first
    assert first["unloaded"]


def test_layers_become_a_map_that_is_loaded_as_it_is_meant(
    first: dict[str, Any], cli: Any, simulated: PairFiles, tmp_path: Path
) -> None:
    done, folder = first["detect"], first["folder"]
    files = {
        "OUTPUT": "change.tif",
        "SCORE": "score.tif",
        "PROBABILITY": "probability.tif",
        "VECTOR": "regions.gpkg",
    }
    assert {name: done["results"].get(name) for name in files} == {
        name: str(folder / file) for name, file in files.items()
    }
    assert done["tree"] == ["Changed regions", "Change map", "Scores", "Probability of change"]  # from the top
    words = ["--t1", simulated.t1, "--t2", simulated.t2, "--method", "cva", "--output", tmp_path / "c.tif"]
    assert cli("detect", *words, "--score", tmp_path / "s.tif", "--vector", tmp_path / "r.gpkg") == 0
    own = band(tmp_path / "c.tif")
    np.testing.assert_array_equal(band(folder / "change.tif"), own)
    told, valid = done["results"], int((own != 255).sum())
    assert (told["CHANGED_PIXELS"], told["VALID_PIXELS"]) == (int((own == 1).sum()), valid)
    assert told["CHANGED_SHARE"] == pytest.approx((own == 1).sum() / valid)
    looks = {look["file"].partition("|")[0]: look for look in done["looks"]}
    assert looks["change.tif"]["classes"] == CLASSES
    scores = band(tmp_path / "s.tif")
    assert looks["score.tif"]["ramp"] == pytest.approx(np.nanquantile(scores.astype(float), [0.02, 0.98]))
    assert looks["probability.tif"]["ramp"] == [0, 1]
    assert looks["change.tif"]["table"] == [[value, told[0]] for value, told in CLASSES.items()]
    assert looks["regions.gpkg"]["colours"] == [[200, 30, 30]] == looks["regions.gpkg"]["standard"]
    assert looks["regions.gpkg"]["features"] == pyogrio.read_info(tmp_path / "r.gpkg")["features"]
    (typed,) = done["command"]
    assert typed.split()[:2] == [str(Path(sysconfig.get_path("scripts")) / "hsi-cd"), "detect"]
    assert any("threshold" in text for text in done["console"])


@pytest.mark.slow
def test_an_error_is_the_command_s_one_line(
    bad: dict[str, Any], cli: Any, simulated: PairFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    folder = bad["folder"]
    assert cli("info", simulated.t1, folder / "nothing.tif") == 2
    assert f"hsi-cd: error: {bad['absent date']['error']}\n" == capsys.readouterr().err
    assert bad["no date"]["error"] == "Later date (t2): nothing is chosen; choose one"
    assert not (folder / "a.tif").exists()


@pytest.mark.slow
def test_a_command_that_is_absent_old_or_another_is_one_line(bad: dict[str, Any]) -> None:
    told = {name: done["error"] for name, done in bad.items() if name.endswith(" command")}
    assert (
        "/nowhere/hsi-cd cannot be run (No such file or directory): run hsi-cd qgis install"
        in told["absent command"]
    )
    assert f"is hsi-cd 0.0.9, but this plugin needs {hc.__version__} or later" in told["old command"]
    assert "is not hsi-cd: it does not tell its version" in told["other command"]
    assert [text for text in told.values() if "\n" in text] == []


@pytest.mark.slow
def test_what_is_cancelled_ends_and_leaves_nothing(bad: dict[str, Any]) -> None:
    done = bad["cancelled"]
    assert done["error"].startswith("cancelled: hsi-cd was interrupted")
    assert done["progress"] and done["loaded"] == 0
    assert not (bad["folder"] / "b.tif").exists() and no_drafts(bad["folder"])


# --- The slow suite goes the whole way, from drawn shapes to places to draw next, and back ---


@pytest.fixture(scope="module")
def way(qgis: Qgis, cli: Any, simulated: PairFiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("way")
    labels, several, run = folder / "labels.gpkg", folder / "several.gpkg", folder / "run"
    words = ["--shapes", 12, "--kind", "squares", "--seed", 1]
    assert cli("draw", simulated.truth, *words, "--output", labels) == 0
    meta, _, shapes, fields = pyogrio.raw.read(labels)
    for layer in ("mine", "others"):
        pyogrio.raw.write(
            several, shapes, fields, meta["fields"], layer=layer, append=several.exists(), driver="GPKG",
            geometry_type=meta["geometry_type"], crs=meta["crs"],
        )  # fmt: skip
    (folder / "m.qml").write_text(STYLE)
    t1, t2 = {"raster": str(simulated.t1)}, simulated.t2
    quick = " ".join(map(str, cli.settings()))
    judged = {"MAP": run / "change.tif", "EXCLUDE": run / "split.npz"}
    later = {"T1": t1, "T2": t2, "CHECKPOINT": run / "best.pt"}
    orders = {
        "train": order(
            "train", T1=t1, T2=t2, TRUTH=[{"vector": f"{labels}|layername=labels"}], OPTIONS=quick, RUN=run,
            SHARE=0.2, how={"load": True},
        ),
        "again": order("train", T1=t1, T2=t2, TRUTH=[str(labels)], OPTIONS=quick, RUN=run),
        "predict": order("predict", **later, OUTPUT=folder / "p.tif", SCORE=folder / "s.tif"),
        "predict much": order("predict", **later, THRESHOLD=0.01, OUTPUT=folder / "much.tif"),
        "suggest": order(
            "suggest", RUN=run, NUMBER=4, KIND="points", OUTPUT=folder / "next.gpkg", how={"load": True}
        ),
        "evaluate": order("evaluate", **judged, TRUTH=[str(simulated.truth)], OUTPUT=folder / "e.html"),
        "report": order(
            "report", MAP={"raster": str(run / "change.tif")}, T1=t1, T2=t2, PROBABILITY=run / "score.tif",
            TITLE="A page", OUTPUT=folder / "report.html",
        ),
        "report of a run": order("report", MAP_FOLDER=run, OUTPUT=folder / "run.html"),
        "report of none": order("report", MAP=folder / "nothing.tif", OUTPUT=folder / "none.html"),
        "scratch": order("evaluate", **judged, TRUTH=[{"memory": str(labels)}]),
        "one of two": order("evaluate", **judged, TRUTH=[{"vector": f"{several}|layername=mine"}]),
        "edited": order("evaluate", **judged, TRUTH=[{"edited": str(labels)}]),
        "register": order("register", T1=t1, T2=t2, OUTPUT=folder / "laid.tif"),
        "info": order("info", T1=t1, T2=t2, OUTPUT=folder / "i.html"),
        "info alone": order("info", T1=simulated.truth),
        "masked": order(
            "detect", T1=t1, T2=t2, METHOD="cva", MASK="", MASK_LAYER={"vector": str(labels)},
            OUTPUT=folder / "m.tif", how={"load": True},
        ),
    }  # fmt: skip
    done = qgis(*orders.values())
    return dict(zip(orders, done["orders"], strict=True)) | {"folder": folder, "labels": labels}


@pytest.mark.slow
def test_drawn_labels_train_and_the_maps_are_loaded(way: dict[str, Any]) -> None:
    done, run = way["train"], way["folder"] / "run"
    assert done["results"] == {
        "RUN": str(run),
        "CHANGE": str(run / "change.tif"),
        "SCORE": str(run / "score.tif"),
        "CHECKPOINT": str(run / "best.pt"),
    }
    looks = {look["file"]: look for look in done["looks"]}
    assert looks["change.tif"]["classes"] == CLASSES and looks["change.tif"]["name"] == "Change map"
    assert looks["score.tif"]["ramp"] == [0, 1]
    assert "share: 0.2" in (run / "config.yaml").read_text()
    assert any(isinstance(told, float) and told > 0 for told in done["progress"])


@pytest.mark.slow
def test_a_run_is_not_overwritten(way: dict[str, Any]) -> None:
    told = way["again"]["error"]
    assert "\n" not in told and "--resume" in told and way["again"]["loaded"] == 0


@pytest.mark.slow
def test_a_model_maps(way: dict[str, Any]) -> None:
    folder = way["folder"]
    np.testing.assert_array_equal(band(folder / "p.tif"), band(folder / "run" / "change.tif"))
    assert (band(folder / "much.tif") == 1).sum() > (band(folder / "p.tif") == 1).sum()
    assert way["predict"]["looks"] == []  # processing.run loads nothing


@pytest.mark.slow
def test_places_to_draw_next_are_loaded(way: dict[str, Any]) -> None:
    (look,) = way["suggest"]["looks"]
    assert look["features"] == 4 and "class" in look["fields"]
    assert look["colours"] == [[200, 30, 30], [230, 230, 230], [255, 214, 0]]  # changed, unchanged, to be said
    assert look["standard"] == look["colours"]


@pytest.mark.slow
def test_a_map_is_judged_with_numbers_and_a_page(way: dict[str, Any], cli: Any, simulated: PairFiles) -> None:
    folder, run = way["folder"], way["folder"] / "run"
    words = [run / "change.tif", "--exclude", run / "split.npz", "--json", folder / "e.json"]
    assert cli("evaluate", *words, "--truth", simulated.truth) == 0
    expected = json.loads((folder / "e.json").read_text())["scores"]
    found = way["evaluate"]["results"]
    for name in ("oa", "aa", "kappa", "f1", "precision", "recall", "iou"):
        assert found[name.upper()] == expected[name]
    assert "Kappa" in found["TEXT"] and "truth \\ map" in (folder / "e.html").read_text()
    # The shapes that taught judge nothing: of them alone, none is left to judge.
    for name in ("scratch", "one of two"):
        told = way[name]["error"]
        assert told.startswith("every shape of ") and "has taught the map" in told and "\n" not in told
    assert " --layer mine " in way["one of two"]["command"][0]


@pytest.mark.slow
def test_a_map_and_a_run_are_reported(way: dict[str, Any]) -> None:
    folder = way["folder"]
    assert way["report"]["results"] == {"OUTPUT": str(folder / "report.html")}
    page = (folder / "report.html").read_text()
    assert "<title>A page" in page and "called changed" in page and "data:image/" in page
    assert "Kappa" in (folder / "run.html").read_text()
    told = way["report of none"]["error"]
    assert "nothing.tif does not exist: name the file of a change map, or a run's folder" in told
    assert "\n" not in told and not (folder / "none.html").exists()


@pytest.mark.slow
def test_edits_that_are_not_saved_are_told(way: dict[str, Any]) -> None:
    assert "(a drawing): edits are not saved: save the layer's edits first" in way["edited"]["error"]


@pytest.mark.slow
def test_registering_inspecting_and_masking(way: dict[str, Any], cli: Any, simulated: PairFiles) -> None:
    folder = way["folder"]
    assert cli("register", simulated.t1, simulated.t2, "--output", folder / "own.tif") == 0
    np.testing.assert_array_equal(band(folder / "laid.tif"), band(folder / "own.tif"))
    assert "pair        fits" in way["info"]["results"]["TEXT"]
    assert "<pre>" in (folder / "i.html").read_text()
    assert "labels    0: " in way["info alone"]["results"]["TEXT"]
    covered = band(folder / "m.tif") == 255
    assert covered.sum() == 24 * 9  # 12 squares of 3 x 3 pixels of each class


@pytest.mark.slow
def test_a_style_beside_the_file_is_used(way: dict[str, Any]) -> None:
    (look,) = [look for look in way["masked"]["looks"] if look["file"] == "m.tif"]
    assert look["classes"] == {"0": ["calm", [0, 0, 255], 255]}


@pytest.mark.slow
def test_the_dialog_runs_in_the_window(qgis: Qgis, cli: Any, simulated: PairFiles, tmp_path: Path) -> None:
    """The script that takes the documentation's pictures: QGIS finds the plugin by itself, and its fields fit."""
    display, program = shutil.which("xvfb-run"), shutil.which("qgis")
    if display is None or program is None:
        pytest.skip("no program qgis, or no xvfb-run to show its window to")
    profile = tmp_path / "profiles" / "default"
    profile.mkdir(parents=True)
    assert cli("qgis", "install", "--profile", profile) == 0
    own = {"HSI_CD_T1": simulated.t1, "HSI_CD_T2": simulated.t2, "HSI_CD_PICTURES": tmp_path, "HOME": tmp_path}
    own |= {"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    words = [display, "-a", "-s", "-screen 0 1280x860x24", program]
    words += ["--nologo", "--noversioncheck", "--profiles-path", str(tmp_path), "--code", str(PICTURES)]
    variables = {name: str(value) for name, value in own.items()}
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("qgis-dialog.png", "qgis-map.png"):
        assert 10_000 < (tmp_path / name).stat().st_size < 200_000


@pytest.mark.slow
def test_a_layer_of_a_product_stands_for_the_product(qgis: Qgis, cli: Any, shared: Path, tmp_path: Path) -> None:
    """A variable that QGIS shows of an EMIT granule; and EnMAP's folders, which it cannot show."""
    granules = sorted((shared / "products").glob("EMIT_L2A_RFL_*.nc"))[:2]
    earlier, later = (Path(shutil.copy(each, tmp_path)) for each in granules)  # QGIS writes statistics beside them
    folders = sorted((shared / "products").glob("enmap_*"))[:2]
    layer = {"raster": f'NETCDF:"{earlier}":reflectance'}
    done = qgis(
        order("detect", T1=layer, T2=later, METHOD="cva", OUTPUT=tmp_path / "emit.tif"),
        order("detect", T1=folders[0], T2=folders[1], METHOD="cva", OUTPUT=tmp_path / "enmap.tif"),
    )["orders"]
    assert [each.get("error") for each in done] == [None, None]
    for name, (t1, t2) in {"emit": (earlier, later), "enmap": folders}.items():
        own = tmp_path / f"own-{name}.tif"
        assert cli("detect", "--method", "cva", "--t1", t1, "--t2", t2, "--output", own) == 0
        np.testing.assert_array_equal(band(tmp_path / f"{name}.tif"), band(own))
        assert (band(own) == 1).any()


@pytest.mark.slow
def test_a_cancelled_training_goes_on_to_the_same_map(
    qgis: Qgis, cli: Any, simulated: PairFiles, tmp_path: Path
) -> None:
    labels, run = tmp_path / "labels.gpkg", tmp_path / "run"
    assert cli("draw", simulated.truth, "--shapes", 12, "--seed", 1, "--output", labels) == 0
    quick = cli.settings()
    fields = {"T1": simulated.t1, "T2": simulated.t2, "TRUTH": [str(labels)], "RUN": run}
    typed = " ".join(map(str, quick))
    cancelled, resumed = qgis(
        order("train", **fields, OPTIONS=typed, how={"cancel": "training"}),
        order("train", **fields, OPTIONS=f"--resume {typed}"),
    )["orders"]
    assert cancelled["error"].startswith("cancelled: ") and "results" in resumed, resumed
    words = ["--t1", simulated.t1, "--t2", simulated.t2, "--truth", labels, "--run", tmp_path / "whole"]
    assert cli("train", *words, *quick) == 0
    np.testing.assert_array_equal(band(run / "score.tif"), band(tmp_path / "whole" / "score.tif"))
