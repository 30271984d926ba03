import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hsi_cd.cli.datasets import datasets
from hsi_cd.datasets import CATALOGUE
from hsi_cd.errors import UnknownNameError


def run(*args: str, **env: str) -> str:
    result = CliRunner().invoke(datasets, args, env={"HSI_CD_DATA": None} | env, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table_names_every_scene(tmp_path: Path) -> None:
    lines = run("--data-root", str(tmp_path)).splitlines()
    assert [line.split()[0] for line in lines[1:13]] == list(CATALOGUE)
    assert "450 x 140 x 155" in lines[1] and "18,277" in lines[1] and lines[1].endswith("no")
    assert f"0 of 12 on disk in {tmp_path}." in lines
    assert max(map(len, lines)) <= 120


def test_the_data_root_comes_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "river").mkdir()
    (tmp_path / "river" / "river_before.mat").touch()
    output = run(HSI_CD_DATA=str(tmp_path))
    assert next(line for line in output.splitlines() if line.startswith("river")).endswith("in part")
    assert str(tmp_path) not in run("--data-root", str(tmp_path / "other"), HSI_CD_DATA="elsewhere").splitlines()


def test_details_say_files_source_traps_and_what_to_type(tmp_path: Path) -> None:
    output = run("USA", "--data-root", str(tmp_path))
    for text in (
        "hermiston:",
        f"expected in {tmp_path}/hermiston",
        "Sa1.mat (T1)",
        "SaGT.mat (GT: 2 unchanged, 1 changed)",
        "rslab.ut.ac.ir",
        "Two scenes are called Hermiston",
        f"hsi-cd train --dataset hermiston --data-root {tmp_path}",
    ):
        assert text in output


def test_details_of_a_scene_in_part_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "river").mkdir()
    (tmp_path / "river" / "river_before.mat").touch()
    assert "missing     river_after.mat (river_after)" in run("river", "--data-root", str(tmp_path))


def test_json(tmp_path: Path) -> None:
    records = json.loads(run("--json", "--data-root", str(tmp_path)))
    assert [record["name"] for record in records] == list(CATALOGUE)
    record = json.loads(run("river", "--json", "--data-root", str(tmp_path)))
    assert (record["changed"], record["unchanged"], record["status"]) == (9_698, 101_885, "absent")
    assert json.loads(run("nanjing", "--json"))["changed"] is None


def test_an_unknown_name_is_the_packages_error() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'river'"):
        run("rivr")


def test_scenes_on_disk(shared: Path) -> None:
    output = run("--data-root", str(shared / "scenes"))
    assert "4 of 12 on disk" in output
