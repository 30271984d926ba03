"""The plugin's files: what they import, for which Python they are written, and what the table says."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import hsi_cd
from hsi_cd.cli.main import COMMANDS, GROUPS
from hsi_cd.cli.main import cli as group
from hsi_cd.qgis.algorithms import ALGORITHMS, LABEL_FREE, LARGEST, LEARNING, Algorithm

FILES = sorted((Path(hsi_cd.__file__).parent / "qgis").glob("*.py"))
PLAIN = ["algorithms", "command", "command_words", "layer_sources", "told_numbers"]
"""Those that need no QGIS."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_imports_qgis_and_the_standard_library_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    assert found <= sys.stdlib_module_names | {"qgis", "processing"}


def test_its_plain_part_runs_where_the_package_is_not(cli: Any, tmp_path: Path) -> None:
    assert cli("qgis", "install", "--profile", tmp_path) == 0
    code = f"""
import importlib, sys
sys.path.insert(0, {str(tmp_path / "python" / "plugins")!r})
before = set(sys.modules)
for name in {PLAIN}:
    importlib.import_module("hsi_cd_qgis." + name)
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(loaded - set(sys.stdlib_module_names)))
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['hsi_cd_qgis']"


@pytest.mark.parametrize("entry", ALGORITHMS, ids=lambda entry: entry.command)
def test_an_entry_names_a_command_its_options_and_its_group(entry: Algorithm) -> None:
    command = group.get_command(click.Context(group), entry.command)
    assert command is not None and entry.command in GROUPS[entry.group]
    options = {word: each for each in command.params for word in each.opts}
    assert {each.option for each in entry.parameters if each.option} <= set(options)
    assert {word for word in entry.always if word.startswith("--")} <= set(options)
    for each in entry.parameters:
        known = options.get(each.option)
        if known is None or each.kind in ("text", "date", "mask", "labels"):
            continue
        if isinstance(known.type, click.Choice):
            assert set(each.choices) == set(known.type.choices)
        if isinstance(known.type, click.IntRange | click.FloatRange):
            least, most = known.type.min, known.type.max
            assert each.limits == (least, LARGEST if most == 2**32 - 1 else most)
        if known.required:
            assert each.needed
        if each.default is not None and known.default not in (None, click.core.UNSET):
            assert each.default == known.default
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    assert bool(arguments) == any(
        not each.option and each.kind in ("date", "map", "folder") and each.name not in entry.stand_ins()
        for each in entry.parameters
    )


def test_names_are_used_once() -> None:
    assert len({entry.command for entry in ALGORITHMS}) == len(ALGORITHMS)
    assert {entry.command for entry in ALGORITHMS} <= set(COMMANDS)
    for entry in ALGORITHMS:
        assert len({each.name for each in entry.parameters}) == len(entry.parameters)


def test_the_methods_offered_are_all_there_are(cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli("methods", "--json") == 0
    known = json.loads(capsys.readouterr().out)
    assert {each["name"] for each in known if not each["needs_labels"] and not each["place"]} == set(LABEL_FREE)
    assert {each["name"] for each in known if each["needs_labels"] and not each["place"]} == set(LEARNING)
