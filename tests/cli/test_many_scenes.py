"""``hsi-cd train --scenes``, ``--init`` and ``benchmark --leave-one-scene-out``, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.datasets.simulated.simulation_files import PairFiles, write_pair
from hsi_cd.io import read_map
from hsi_cd.runs.folder import read_provenance

Capture = pytest.CaptureFixture[str]

SETTINGS = {
    "scenes.changed": 40,
    "scenes.unchanged": 60,
    "model.members": 2,
    "model.attention.window": 3,
    "model.backbone.width": 8,
    "train.batch_size": 32,
    "train.max_steps": 8,
}
QUICK = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[PairFiles]:
    folder = tmp_path_factory.mktemp("many")
    return [
        write_pair(folder / name, SimulationOptions(rows=28, cols=24 + i, bands=5, seed=i))
        for i, name in enumerate("abc")
    ]


def entries(files: list[PairFiles]) -> list[dict[str, Any]]:
    """The scenes as a list names them, relative to the folder of all."""
    return [
        {"name": pair.t1.parent.name, **{key: f"{pair.t1.parent.name}/{getattr(pair, key).name}" for key in KEYS}}
        for pair in files
    ]


KEYS = ("t1", "t2", "truth")


def listed(files: list[PairFiles], name: str, scenes: list[Any]) -> Path:
    path = files[0].t1.parents[1] / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"scenes": scenes}))
    return path


@pytest.fixture(scope="module")
def scenes(files: list[PairFiles]) -> Path:
    return listed(files, "scenes", entries(files))


@pytest.fixture(scope="module")
def run(cli: Any, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many-run") / "run"
    assert cli("train", "--scenes", scenes, "--run", folder, "--device", "cpu", *QUICK) == 0
    return folder


def test_a_run_of_many_scenes_tells_of_each(run: Path, files: list[PairFiles]) -> None:
    found = json.loads((run / "scenes.json").read_text())
    assert [scene["name"] for scene in found["scenes"]] == ["a", "b", "c"]
    assert {path.name for path in run.iterdir()} >= {"best.pt", "last.pt", "config.yaml", "curves.csv"}
    read = {Path(path).resolve() for path in read_provenance(run).sessions[-1].inputs}
    assert {path.resolve() for pair in files for path in (pair.t1, pair.t2, pair.truth)} <= read


def test_its_checkpoint_maps_another_scene_with_statistics_of_its_own(
    cli: Any, run: Path, files: list[PairFiles], tmp_path: Path, capsys: Capture
) -> None:
    """Without being told to; and a new scene's labels go on from it."""
    other = write_pair(tmp_path / "other", SimulationOptions(rows=30, cols=30, bands=5, seed=9, gain=0.3))
    dates = ["--t1", other.t1, "--t2", other.t2]
    maps = [tmp_path / "told.tif", tmp_path / "not.tif"]
    assert cli("predict", "--checkpoint", run / "best.pt", *dates, "--refit-statistics", "--output", maps[0]) == 0
    assert cli("predict", "--checkpoint", run / "best.pt", *dates, "--output", maps[1]) == 0
    assert (read_map(maps[0])[0] == read_map(maps[1])[0]).all()
    few = ["--protocol", "P2", "--set", "split.count=10", "--set", "train.epochs=2", "--set", "train.certain=0"]
    words = ["train", *dates, "--truth", other.truth, *few, "--init", run / "best.pt", "--run", tmp_path / "on"]
    capsys.readouterr()
    assert cli(*words, "--json") == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["details"]["init"] == str(run / "best.pt")
    assert result["train"] == {"unchanged": 10, "changed": 10}
    settings = yaml.safe_load((tmp_path / "on" / "config.yaml").read_text())
    assert settings["prepare"]["score"] and settings["model"]["members"] == 2  # as the checkpoint has it


@pytest.mark.quick("siamese")
@pytest.mark.parametrize("methods", [("siamese",), ("auto", "siamese")], ids=",".join)
def test_each_scene_is_left_out_once(
    cli: Any, quick: list[list[str]], scenes: Path, tmp_path: Path, capsys: Capture, methods: tuple[str, ...]
) -> None:
    """A network of the other scenes, and a method without labels by itself; what is done is not done again."""
    words = ["benchmark", "--scenes", scenes, "--leave-one-scene-out", "--protocol", "P4", "--seeds", "0"]
    words += ["--methods", ",".join(methods), "--runs", tmp_path / "runs", *QUICK, "--set", "device=cpu"]
    assert cli(*words, "--scores", "f1") == 0
    out = capsys.readouterr().out
    assert len(quick) == 3 * len(methods)
    found = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("result.json")]
    assert sorted((each["dataset"], each["method"], each["protocol"]) for each in found) == [
        (name, method, "P4") for name in "abc" for method in methods
    ]
    for method in methods:
        scores = [each["scores"]["f1"] for each in found if each["method"] == method]
        assert f"mean of 3 runs, {method}: f1 {sum(scores) / 3:.4f}" in out
    taught = json.loads((tmp_path / "runs" / "b" / "siamese-P4-seed0" / "scenes.json").read_text())
    assert [scene["name"] for scene in taught["scenes"]] == ["a", "c"]
    assert cli(*words) == 0 and len(quick) == 3 * len(methods)


BAD: dict[str, tuple[Any, str]] = {
    "no list": ({}, "lists no scene"),
    "a word": (["nowhere"], "nowhere"),
    "a number": ([3], "is 3: give a dataset's name, or name, t1, t2 and truth"),
    "no truth": ([{"name": "a", "t1": "a/t1.tif", "t2": "a/t2.tif"}], "line 2: scenes[1]: truth is missing"),
    "no file": (
        [{"name": "a", "t1": "a/t1.tif", "t2": "a/t0.tif", "truth": "a/truth.tif"}],
        "t0.tif does not exist",
    ),
    "a field": ([{"name": "a", "t1": "a/t1.tif", "t2": "a/t2.tif", "thruth": "x"}], "did you mean truth?"),
    "a name": (
        [{"name": "../a", "t1": "a/t1.tif", "t2": "a/t2.tif", "truth": "a/truth.tif"}],
        "it names a folder",
    ),
    "a value": (
        [{"name": "a", "t1": "a/t1.tif", "t2": "a/t2.tif", "truth": "a/truth.tif", "align": "perhaps"}],
        "align is 'perhaps'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_list_is_one_line(
    cli: Any, files: list[PairFiles], case: str, tmp_path: Path, capsys: Capture
) -> None:
    entries, message = BAD[case]
    path = listed(files, "bad", entries)
    assert cli("train", "--scenes", path, "--run", tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and not (tmp_path / "run").exists()


def test_what_is_wrong_with_a_scene_names_its_place(
    cli: Any, files: list[PairFiles], tmp_path: Path, capsys: Capture
) -> None:
    """Twice one name; a truth of another shape; classes that are not there; one scene alone."""
    own = entries(files)
    for name, change, message in (
        ("twice", [*own, own[0]], "there are two scenes called a"),
        ("shape", [own[0], {**own[1], "truth": own[2]["truth"]}], "truth"),
        ("classes", [own[0], {**own[1], "changed": [7], "unchanged": [8]}], "scenes[2]: "),
        ("alone", own[:1], "1 scene teaches"),
    ):
        path = listed(files, name, change)
        assert cli("train", "--scenes", path, "--run", tmp_path / "run", *QUICK) == 2, name
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1 and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--t1", "a.tif"], "--t1 says how one scene is read: say it in the list of --scenes"),
        (["--align"], "say it in the list of --scenes"),
        (["--protocol", "P1"], "--protocol P1 divides the labels of one scene"),
        (["--hold-out", "d"], "d"),
        (["--method", "svm"], "svm learns from one scene"),
    ],
)
def test_options_of_one_scene_are_refused(
    cli: Any, scenes: Path, more: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    assert cli("train", "--scenes", scenes, "--run", tmp_path / "run", *QUICK, *more) == 2
    said = capsys.readouterr().err
    assert message in said and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--leave-one-scene-out"], "give --scenes FILE"),
        (["--scenes", "LIST"], "say --leave-one-scene-out, too"),
        (["--scenes", "LIST", "--leave-one-scene-out", "--datasets", "taizhou"], "both name scenes"),
        (["--scenes", "LIST", "--leave-one-scene-out", "--protocol", "P1"], "--protocol P4"),
        ([], "Missing option '--datasets'"),
    ],
)
def test_a_benchmark_says_what_goes_together(
    cli: Any, scenes: Path, words: list[str], message: str, capsys: Capture
) -> None:
    given = [scenes if word == "LIST" else word for word in words]
    assert cli("benchmark", "--methods", "auto", *given) == 2
    assert message in capsys.readouterr().err


def test_hold_out_and_init_alone(cli: Any, dates: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert cli("train", *dates, "--hold-out", "a") == 2
    assert "--hold-out names a scene of --scenes: give --scenes FILE, too" in capsys.readouterr().err
    assert (
        cli("train", *dates, "--truth", dates[1], "--init", tmp_path / "none.pt", "--run", tmp_path / "run") == 2
    )
    assert "none.pt is not a file" in capsys.readouterr().err
