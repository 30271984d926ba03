from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from hsi_cd import __version__
from hsi_cd.cli import main as module
from hsi_cd.cli.main import COMMANDS
from hsi_cd.errors import ConfigError, MissingInputError

HELP_IMPORTS = """
import sys
from hsi_cd.cli.main import run
code = run(sys.argv[1:])
heavy = {"torch", "rasterio", "numpy", "scipy", "matplotlib", "sklearn"} & set(sys.modules)
print("heavy:", sorted(heavy))
sys.exit(code)
"""


def test_alone_it_prints_the_help(cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli() == 0
    alone = capsys.readouterr()
    assert cli("--help") == 0
    assert alone.out.strip() == capsys.readouterr().out.strip()
    assert alone.err == ""


def test_names_that_a_locale_does_not_know_are_read_and_printed(cli: Any, tmp_path: Path) -> None:
    """LC_ALL=C where Python does not come to the rescue: the name is found, and said as it is."""
    (tmp_path / "forêt.tif").write_bytes(b"no image")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = cli.start("info", tmp_path / "forêt.tif", environment=locale)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 2 and said.startswith(f"hsi-cd: error: {tmp_path}/forêt.tif ")
    assert said.count("\n") == 1


def test_every_path_knows_the_home_folder(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli("config", "--output=~/own.yaml") == 0 and (tmp_path / "own.yaml").is_file()
    assert f"{tmp_path}/own.yaml" in capsys.readouterr().out
    paths = [
        parameter
        for name in COMMANDS
        for parameter in getattr(module.cli.get_command(click.Context(module.cli), name), "params", ())
        if isinstance(parameter.type, click.Path)
    ]
    assert len(paths) > 40
    for parameter in paths:
        found = parameter.type.convert("~/runs/x", parameter, None)
        assert found == tmp_path / "runs" / "x", f"{parameter.name}: of the type click.Path, not PathType"


def test_the_help_lists_the_commands_and_the_first_steps(cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cli("-h")
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", text, re.MULTILINE)
    for command in ("simulate", "train", "predict", "evaluate"):
        assert f"    hsi-cd {command} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_helps_with_examples(cli: Any, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(command, "--help") == 0
    text = capsys.readouterr().out
    assert "Examples:" in text
    assert re.search(rf"^ +hsi-cd {command}\b", text, re.MULTILINE)


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["split", "--help"]])
@pytest.mark.quick("words0")
def test_the_help_imports_nothing_heavy(cli: Any, words: list[str]) -> None:
    done = cli.process(*words, code=HELP_IMPORTS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "heavy: []"


EVERY_HELP = """
import contextlib, io, sys
from hsi_cd.cli.main import COMMANDS, run
with contextlib.redirect_stdout(io.StringIO()):
    codes = [run([name, "--help"]) for name in COMMANDS]
heavy = {"torch", "rasterio", "numpy", "scipy", "matplotlib", "sklearn", "pydantic"} & set(sys.modules)
print(sum(codes), sorted(heavy))
"""


def test_no_help_imports_anything_heavy(cli: Any) -> None:
    done = cli.process(code=EVERY_HELP)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 []\n", "")


def test_the_version(cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--version") == 0
    assert capsys.readouterr().out.split() == ["hsi-cd,", "version", __version__]


@pytest.mark.slow
def test_an_error_of_the_input_through_a_real_process(cli: Any, tmp_path: Path) -> None:
    done = cli.process("evaluate", tmp_path / "none.tif", "--truth", tmp_path / "none.tif")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hsi-cd: error: ") and done.stderr.count("\n") == 1


def test_debug_shows_the_traceback(cli: Any, tmp_path: Path) -> None:
    """The error leaves the program as Python shows it."""
    with pytest.raises(MissingInputError):
        cli("evaluate", tmp_path / "none.tif", "--truth", tmp_path / "none.tif", "--debug")


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        (ConfigError("two\nlines"), 2, "two lines"),
        (MemoryError(), 2, "MemoryError"),
        (ZeroDivisionError("division by zero"), 1, "unexpected ZeroDivisionError: division by zero (--debug"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_fault_is_one_line(
    cli: Any,
    fault: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(module.cli, "main", broken)
    assert cli("datasets") == code
    err = capsys.readouterr().err
    assert err.startswith(f"hsi-cd: error: {line}") and err.count("\n") == 1


def test_what_goes_to_a_closed_pipe_is_no_fault(cli: Any) -> None:
    process = cli.start("datasets")
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err and "Error" not in err
