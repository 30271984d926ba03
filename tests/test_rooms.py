"""The plan of the package, as far as it can be counted: names, sizes, parameters, what lies in the wheel."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hsi_cd

PACKAGE = Path(hsi_cd.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "configs" not in path.parts)
MOST = 9
"""Parameters of a function, itself left out. Those that the door takes by keyword alone count as one."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_a_file_name_is_used_once() -> None:
    names = Counter(path.name for path in FILES if path.name != "__init__.py")
    # A command is a module of its own name, which may be that of what it does.
    assert {name for name, count in names.items() if count > 1} == set()


def test_a_file_can_be_read_in_one_go() -> None:
    texts = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in FILES}
    assert {name for name, text in texts.items() if len(text.splitlines()) > 400} == set()
    assert {str(path) for path in FILES if not ast.get_docstring(tree(path))} == set()


def is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("click" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_what_travels_together_is_one_value() -> None:
    found = {}
    for path in FILES:
        for node in functions(path):
            taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            own = [each for each in taken if each.arg not in ("self", "cls")]
            if path.parent.name == "api" and not node.name.startswith("_"):
                own = [*node.args.args, None] if node.args.kwonlyargs else node.args.args
            if len(own) > MOST and not is_command(node):
                found[f"{path.relative_to(PACKAGE)}:{node.name}"] = len(own)
    assert found == {}
