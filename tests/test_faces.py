"""A room's face: what it exports is imported from there, and it loads nothing heavy."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import hsi_cd

PACKAGE = Path(hsi_cd.__file__).parent
FACES = ("evaluation", "runs", "reporting")


@pytest.mark.parametrize("room", FACES)
def test_names_of_the_face_are_not_imported_past_it(room: str) -> None:
    exported = set(importlib.import_module(f"hsi_cd.{room}").__all__)
    for file in PACKAGE.rglob("*.py"):
        inside = file.relative_to(PACKAGE).parts[0]
        if inside in (room, "cli", "training"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"hsi_cd.{room}."):
                past = exported & {alias.name for alias in node.names}
                assert not past, f"{file.name} imports {past} from {node.module}: import from hsi_cd.{room}"


@pytest.mark.parametrize("room", FACES)
def test_a_face_loads_nothing_heavy(room: str) -> None:
    words = f"import sys, hsi_cd.{room}; print({{'torch', 'matplotlib', 'sklearn', 'jinja2'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
