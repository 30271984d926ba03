"""hsi-cd qgis: the plugin is put into a profile of QGIS, and taken out; nothing else of the profile changes."""

from __future__ import annotations

import configparser
import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import hsi_cd

Capture = pytest.CaptureFixture[str]
PLUGIN = Path("python") / "plugins" / "hsi_cd_qgis"
SETTINGS = Path("QGIS") / "QGIS3.ini"
OWN = """[General]
name=W\\xfc\\x65rz%20burg, 100%, Würzburg

[PythonPlugins]
other=true
Some\\Key=@Variant(\\0\\0)

[Processing]
Configuration\\ACTIVATE=false
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile in which QGIS has run."""
    folder = tmp_path / "profile"
    (folder / "QGIS").mkdir(parents=True)
    (folder / SETTINGS).write_text(OWN)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def complaint(cli: Any, capsys: Capture, *words: object) -> str:
    capsys.readouterr()
    assert cli(*words) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    return told.err


def test_it_is_installed_enabled_and_taken_out(cli: Any, profile: Path, capsys: Capture) -> None:
    before = contents(profile)
    assert cli("qgis", "install", "--profile", profile) == 0
    assert "restart QGIS" in capsys.readouterr().out
    files = contents(profile / PLUGIN)
    source = contents(Path(hsi_cd.__file__).parent / "qgis")
    assert {name: text for name, text in source.items() if name.endswith(".py")}.items() <= files.items()
    facts = json.loads(files["installed.json"])
    assert facts["version"] == hsi_cd.__version__ and Path(facts["command"]).parent == Path(
        sysconfig.get_path("scripts")
    )
    told = configparser.ConfigParser(interpolation=None)
    told.read_string(files["metadata.txt"].decode())
    assert told["general"]["version"] == hsi_cd.__version__ and told["general"]["hasProcessingProvider"] == "yes"
    assert (profile / SETTINGS).read_text() == OWN.replace("other=true", "hsi_cd_qgis=true\nother=true")
    installed = contents(profile)
    assert cli("qgis", "install", "--profile", profile) == 0
    assert "nothing was to be done" in capsys.readouterr().out and contents(profile) == installed
    # QGIS keeps what the user set, and Python its bytecode: both go with it.
    (profile / SETTINGS).write_text((profile / SETTINGS).read_text() + "Configuration\\HSI_CD_COMMAND=/x/hsi-cd\n")
    (profile / PLUGIN / "__pycache__").mkdir()
    (profile / PLUGIN / "__pycache__" / "a.pyc").write_bytes(b"")
    assert cli("qgis", "uninstall", "--profile", profile) == 0
    assert contents(profile) == before
    assert cli("qgis", "uninstall", "--profile", profile) == 0
    assert "nothing was to be done" in capsys.readouterr().out and contents(profile) == before


def test_an_earlier_plugin_is_replaced_whole(cli: Any, profile: Path) -> None:
    assert cli("qgis", "install", "--profile", profile) == 0
    new = contents(profile)
    (profile / PLUGIN / "provider.py").write_text("old")
    (profile / PLUGIN / "gone.png").write_bytes(b"\x89\xff")
    (profile / SETTINGS).write_text(OWN.replace("other=true", "hsi_cd_qgis=false\nother=true"))
    assert cli("qgis", "install", "--profile", profile) == 0
    assert contents(profile) == new


def test_an_empty_folder_becomes_a_profile_and_is_left_without_a_trace(cli: Any, tmp_path: Path) -> None:
    assert cli("qgis", "install", "--profile", tmp_path) == 0
    assert (tmp_path / SETTINGS).read_text() == "[PythonPlugins]\nhsi_cd_qgis=true\n"
    assert cli("qgis", "uninstall", "--profile", tmp_path) == 0
    assert contents(tmp_path) == {str(SETTINGS): b""}


def test_the_profile_is_that_with_which_qgis_starts(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32" or sys.platform == "darwin":
        pytest.skip("QGIS keeps profiles elsewhere on this system")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "QGIS_CUSTOM_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    profiles = tmp_path / ".local/share/QGIS/QGIS3/profiles"
    for name in ("default", "survey"):
        (profiles / name).mkdir(parents=True)
    assert cli("qgis", "install") == 0
    assert (profiles / "default" / PLUGIN).is_dir() and not (profiles / "survey" / PLUGIN).exists()
    (profiles / "profiles.ini").write_text("[core]\ndefaultProfile=survey\n")
    assert cli("qgis", "install") == 0
    assert (profiles / "survey" / PLUGIN).is_dir()
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "profiles" / "default").mkdir(parents=True)
    monkeypatch.setenv("QGIS_CUSTOM_CONFIG_PATH", str(elsewhere))
    assert cli("qgis", "install") == 0
    assert (elsewhere / "profiles" / "default" / PLUGIN).is_dir()


def test_what_is_no_profile_is_one_line(cli: Any, tmp_path: Path, capsys: Capture) -> None:
    told = complaint(cli, capsys, "qgis", "install", "--profile", tmp_path / "nothing")
    assert (
        "there is no profile of QGIS at" in told and "run QGIS once, or name its folder with --profile (" in told
    )
    (tmp_path / "letters.txt").write_text("")
    for what in ("install", "uninstall"):
        told = complaint(cli, capsys, "qgis", what, "--profile", tmp_path)
        assert "is no profile of QGIS: it has no QGIS/QGIS3.ini" in told
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
    assert "is not one of" in complaint(cli, capsys, "qgis", "remove")


@pytest.mark.parametrize("kind", ["folder", "link", "other facts", "file"])
def test_another_plugin_in_its_place_is_left_alone(cli: Any, profile: Path, capsys: Capture, kind: str) -> None:
    place = profile / PLUGIN
    place.parent.mkdir(parents=True)
    if kind == "file":
        place.write_text("something")
    elif kind == "link":
        place.symlink_to(Path(hsi_cd.__file__).parent / "qgis")
    else:
        place.mkdir()
        (place / "__init__.py").write_text("mine")
        if kind == "other facts":
            (place / "installed.json").write_text('{"plugin": "another"}')
    before = contents(profile)
    for what in ("install", "uninstall"):
        told = complaint(cli, capsys, "qgis", what, "--profile", profile)
        assert "hsi-cd did not put it there: move it away first" in told
    assert contents(profile) == before and os.path.lexists(place)


def test_without_the_command_nothing_is_installed(
    cli: Any, profile: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(profile)
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: "/nowhere")
    told = complaint(cli, capsys, "qgis", "install", "--profile", profile)
    assert "this environment has no command hsi-cd: /nowhere/hsi-cd is absent" in told
    assert contents(profile) == before


def test_a_profile_that_cannot_be_written_is_one_line(cli: Any, profile: Path, capsys: Capture) -> None:
    (profile / "python").write_text("a file in the way")
    told = complaint(cli, capsys, "qgis", "install", "--profile", profile)
    assert "cannot be changed: " in told and (profile / SETTINGS).read_text() == OWN


def test_a_document_of_it(cli: Any, profile: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert cli("qgis", "install", "--profile", profile, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["plugin"] == str(profile / PLUGIN) and found["changed"] is True
