from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from hsi_cd.cli.simulate import simulate
from hsi_cd.datasets.simulated.simulation import SimulationOptions
from hsi_cd.errors import ConfigError, OutputError

TINY = ["--rows", "20", "--cols", "16", "--bands", "6"]


def test_it_writes_a_scene_and_names_the_next_command(tmp_path: Path) -> None:
    folder = tmp_path / "a scene"
    result = CliRunner().invoke(simulate, [str(folder), *TINY, "--path-radiance", "0.1", "--snr", "inf"])
    assert result.exit_code == 0, result.output
    for name in ("t1.tif", "t2.tif", "truth.tif", "simulation.json"):
        assert (folder / name).is_file()
        assert str(folder / name) in result.stdout
    last = result.stdout.splitlines()[-1]
    # The folder's name has a space: what is printed must work when it is pasted.
    assert f"hsi-cd train --t1 '{folder}/t1.tif' --t2 '{folder}/t2.tif' --truth '{folder}/truth.tif'" in last
    assert result.stderr == ""
    options = json.loads((folder / "simulation.json").read_text())["options"]
    assert (options["rows"], options["path_radiance"], options["snr"]) == (20, 0.1, None)


def test_the_seed_decides(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert CliRunner().invoke(simulate, [str(tmp_path / name), *TINY, "--seed", seed]).exit_code == 0
    cubes = {}
    for name in "abc":
        with rasterio.open(tmp_path / name / "t2.tif") as file:
            cubes[name] = file.read()
    np.testing.assert_array_equal(cubes["a"], cubes["b"])
    assert not np.array_equal(cubes["a"], cubes["c"])


def test_defaults_are_those_of_the_library() -> None:
    defaults = {p.name: p.default for p in simulate.params if p.name not in ("directory", "overwrite", "as_json")}
    library = {name: getattr(SimulationOptions(), name) for name in defaults}
    assert defaults == library
    assert {f for f in SimulationOptions.__dataclass_fields__ if f != "dtype"} == set(defaults)


def test_help_teaches_a_newcomer() -> None:
    result = CliRunner().invoke(simulate, ["--help"])
    assert result.exit_code == 0
    assert "default: 0.35" in result.output
    assert "hsi-cd train" in result.output
    assert "    hsi-cd simulate scene" in result.output.splitlines()  # examples stay on lines of their own
    assert result.output.index("--rows") < result.output.index("--overwrite")


def test_an_existing_scene_is_refused_unless_asked(tmp_path: Path) -> None:
    run = CliRunner()
    assert run.invoke(simulate, [str(tmp_path), *TINY]).exit_code == 0
    again = run.invoke(simulate, [str(tmp_path), *TINY])
    assert isinstance(again.exception, OutputError)
    assert "\n" not in str(again.exception)
    (tmp_path / "t1.tif.msk").write_bytes(b"of the scene that was here before")
    assert run.invoke(simulate, [str(tmp_path), *TINY, "--overwrite"]).exit_code == 0
    assert not (tmp_path / "t1.tif.msk").exists()


@pytest.mark.parametrize("wrong", [["--rows", "2"], ["--snr", "nan"], ["--changed", "2"], ["--materials", "1"]])
def test_bad_values_make_no_folder(tmp_path: Path, wrong: list[str]) -> None:
    result = CliRunner().invoke(simulate, [str(tmp_path / "new"), *TINY, *wrong])
    assert isinstance(result.exception, ConfigError)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "new").exists()


def test_words_for_numbers_are_click_errors(tmp_path: Path) -> None:
    result = CliRunner().invoke(simulate, [str(tmp_path / "new"), "--rows", "many"])
    assert result.exit_code == 2
