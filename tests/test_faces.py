"""A room's face: what it exports is imported from there, and it loads nothing heavy."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import hsi_cd

PACKAGE = Path(hsi_cd.__file__).parent
FACES = ("evaluation", "runs", "reporting")


def test_names_of_a_face_are_not_imported_past_it() -> None:
    exported = {room: set(importlib.import_module(f"hsi_cd.{room}").__all__) for room in FACES}
    for file in PACKAGE.rglob("*.py"):
        inside = file.relative_to(PACKAGE).parts[0]
        if inside in ("cli", "training"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("hsi_cd."):
                continue
            _, room, *behind = (node.module or "").split(".")
            if behind and room in exported and room != inside:
                past = exported[room] & {alias.name for alias in node.names}
                assert not past, f"{file.name} imports {past} from {node.module}: import from hsi_cd.{room}"


def test_no_face_loads_anything_heavy() -> None:
    names = ", ".join(f"hsi_cd.{room}" for room in FACES)
    words = f"import sys, {names}; print({{'torch', 'matplotlib', 'sklearn', 'jinja2'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
