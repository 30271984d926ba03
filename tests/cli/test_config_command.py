"""The settings that come with the package, printed and used by name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hsi_cd.config import RunConfig, config_files, dataset_config, read_config, resolve
from hsi_cd.errors import MissingInputError

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
Capture = pytest.CaptureFixture[str]


def test_the_defaults_are_printed_with_their_comments(cli: Any, capsys: Capture) -> None:
    assert cli("config") == 0
    out = capsys.readouterr().out
    assert out == (CONFIGS / "default.yaml").read_text()
    assert resolve([("printed", yaml.safe_load(out))]) == RunConfig()


def test_every_file_is_listed_once_and_printed(cli: Any, capsys: Capture) -> None:
    assert cli("config", "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert names[0] == "default" and len(set(names)) == len(names) == len(list(CONFIGS.glob("**/*.yaml")))
    assert all(len(line.split()) > 3 for line in lines)
    for name in ("taizhou", "backbone-densenet121"):
        assert cli("config", name) == 0
        (path,) = CONFIGS.glob(f"**/{name}.yaml")
        assert capsys.readouterr().out == path.read_text()


def test_a_file_is_written_once(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    words = ["config", "loss-focal", "--output", tmp_path / "my.yaml"]
    assert cli(*words) == 0
    assert (tmp_path / "my.yaml").read_text() == (CONFIGS / "examples" / "loss-focal.yaml").read_text()
    assert cli(*words) == 2
    assert "exists" in capsys.readouterr().err
    assert cli(*words, "--overwrite") == 0


def test_an_unknown_name_has_its_nearest(cli: Any, capsys: Capture) -> None:
    assert cli("config", "backbone-resnet") == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "did you mean 'backbone-resnet" in said.err


@pytest.mark.parametrize(
    "named", ["loss-focal", "loss-focal.yaml", "configs/examples/loss-focal.yaml", "examples/loss-focal.yaml"]
)
def test_an_example_is_used_by_its_name(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_config(Path(named))["train"]["loss"] == "focal"
    path = tmp_path / named
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("seed: 3")
    assert read_config(Path(named)) == {"seed": 3}  # a file of that path comes first


@pytest.mark.parametrize("named", ["loss-focl", "elsewhere/loss-focal.yaml", "../loss-focal.yaml"])
def test_what_is_neither_a_file_nor_a_name(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        MissingInputError, match="is not a file: give the path of a YAML file, or the name"
    ) as caught:
        read_config(Path(named))
    assert ("did you mean loss-focal?" in str(caught.value)) == (named == "loss-focl")


def test_an_example_is_no_scene() -> None:
    assert dataset_config("taizhou")["dataset"] == "taizhou"
    assert dataset_config("loss-focal") == {}


def test_every_config_that_a_help_text_names_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # as from a wheel: no checkout around
    texts = [path.read_text() for path in (ROOT / "hsi_cd" / "cli").glob("**/*.py")]
    helps = [text.partition('EPILOG = """')[2].partition('"""')[0] for text in texts]
    named = {name for text in helps for name in re.findall(r"(?m)^ +hsi-cd .*--config ([a-z][\w./-]*)", text)} - {
        "my.yaml"
    }
    assert {"backbone-resnet18", "schedule-hold"} <= named
    for name in named:
        read_config(Path(name))
    assert not [text for text in helps if "configs/" in text]


def test_files_of_a_wheel_are_found(tmp_path: Path, cli: Any) -> None:
    """In a wheel the configs lie inside the package (see pyproject.toml)."""
    package = tmp_path / "hsi_cd"
    package.mkdir()
    for path in (ROOT / "hsi_cd").iterdir():
        if path.name != "config":
            (package / path.name).symlink_to(path)
    (package / "config").mkdir()
    for path in (ROOT / "hsi_cd" / "config").glob("*.py"):
        (package / "config" / path.name).write_bytes(path.read_bytes())
    (package / "configs").symlink_to(CONFIGS)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import hsi_cd.config as c; from pathlib import Path; "
        "print(c.config_files()['loss-focal']); print(c.read_config(Path('loss-focal'))['train']['loss'])"
    )
    done = cli.process(code=code)
    assert done.stdout.split() == [str(package / "configs" / "examples" / "loss-focal.yaml"), "focal"], done.stderr
    assert set(config_files()) == {path.stem for path in CONFIGS.glob("**/*.yaml")}


def test_the_list_and_a_file_as_json(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    assert cli("config", "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert cli("config", "--list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [line.split(maxsplit=1) for line in lines] == [[each["name"], each["purpose"]] for each in listed]
    assert cli("config", "taizhou", "--json") == 0
    assert json.loads(capsys.readouterr().out) == read_config(Path("taizhou"))
    assert cli("config", "--json", "--output", tmp_path / "my.yaml") == 2
    assert "give one of them" in capsys.readouterr().err and not (tmp_path / "my.yaml").exists()
