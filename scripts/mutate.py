"""Change one place of a module at a time, run its tests, and list the changes that no test noticed.

    python scripts/mutate.py hsi_cd/evaluation --most 60 --seed 0
    python scripts/mutate.py hsi_cd/training/loop.py --tests tests/training/test_loop.py

A change swaps a comparison, ``+`` and ``-``, ``*`` and ``/``, ``and`` and ``or``, ``True`` and ``False``, adds 1
to a number, or drops a ``not`` or a minus. It is made in a temporary copy of the package: the checkout is never
written to. Without ``--tests``, a module is tested by the file that mirrors it (``tests/ROOM/test_MODULE.py``) and
then by the others of its room. Left alone: words of errors, annotations, decorators, ``strict=``, and what only
type checkers import.

The exit code is 1 where a change survived. A survivor is not always a fault: some changes mean the same.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "hsi_cd"

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
"""What takes the place of an operator."""


@dataclass(frozen=True)
class Change:
    """One place of a module, changed."""

    path: Path  # of the module, below the package's folder
    line: int
    before: str
    after: str
    source: str  # of the whole module, changed


def changes_of(path: Path) -> list[Change]:
    """All changes of a module, in the order of its lines."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    places = list(_places(tree))
    found = []
    for number in range(len(places)):
        changed = copy.deepcopy(tree)
        node, apply = list(_places(changed))[number]
        before = ast.unparse(node)
        after = apply()
        found.append(Change(path, getattr(node, "lineno", 0), before, after, ast.unparse(changed)))
    return sorted(found, key=lambda change: change.line)


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, Callable[[], str]]]:
    """Each node that can be changed, with what changes it and tells its new words."""
    for node in _code(tree):
        if isinstance(node, ast.Compare):
            for i, operator in enumerate(node.ops):
                if type(operator) in SWAPPED:
                    yield node, lambda node=node, i=i: _swap_comparison(node, i)  # type: ignore[misc]
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPPED:
            yield node, lambda node=node: _swap(node)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and type(node.value) in (bool, int, float):
            yield node, lambda node=node: _other_value(node)  # type: ignore[misc]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            yield node, lambda node=node: _drop(node)  # type: ignore[misc]


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, without what no test should look at."""
    for name, value in ast.iter_fields(node):
        if name in ("decorator_list", "annotation", "returns", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            words = isinstance(child, ast.Raise) or (isinstance(child, ast.keyword) and child.arg == "strict")
            typing = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            if isinstance(child, ast.AST) and not words and not typing:
                yield child
                yield from _code(child)


def _swap_comparison(node: ast.Compare, i: int) -> str:
    node.ops[i] = SWAPPED[type(node.ops[i])]()  # type: ignore[call-overload]
    return ast.unparse(node)


def _swap(node: ast.BinOp | ast.BoolOp | ast.AugAssign) -> str:
    node.op = SWAPPED[type(node.op)]()  # type: ignore[assignment]
    return ast.unparse(node)


def _other_value(node: ast.Constant) -> str:
    node.value = not node.value if isinstance(node.value, bool) else node.value + 1  # type: ignore[operator]
    return ast.unparse(node)


def _drop(node: ast.UnaryOp) -> str:
    if isinstance(node.op, ast.Not):
        node.operand = ast.UnaryOp(ast.Not(), node.operand)  # not not x: the truth of x
    else:
        node.op = ast.UAdd()
    return ast.unparse(node)


def tests_of(path: Path) -> list[Path]:
    """The tests of a module: the file that mirrors it first, then the rest of its room."""
    room = ROOT / "tests" / path.relative_to(PACKAGE).parent
    while not room.is_dir():
        room = room.parent
    mirrors = [file for file in [room / f"test_{path.stem}.py"] if file.is_file()]
    return [*mirrors, *(file for file in sorted(room.glob("test_*.py")) if file not in mirrors)]


def run_tests(copied: Path, tests: Sequence[Path], *, timeout: float) -> bool:
    """Whether the tests pass with the copy of the package; False too where they do not end in time."""
    child = os.fork()
    if child == 0:
        os._exit(_test_in_this_process(copied, tests))
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _test_in_this_process(copied: Path, tests: Sequence[Path]) -> int:
    """Run the tests with the copy of the package in front, and without a word; the exit code."""
    import pytest

    os.setsid()  # a group of its own, which can be ended whole
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.chdir(ROOT)
    os.environ |= {"PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path = [str(copied), *(path for path in sys.path if path not in ("", str(ROOT)))]
    try:
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *map(str, tests)]))
    except BaseException:  # whatever a change leads to, it was noticed
        return 1


def load_libraries() -> None:
    """Load once, for all runs of the tests, what takes seconds to load; the package itself stays unloaded."""
    for name in ("numpy", "scipy.stats", "sklearn.neighbors", "sklearn.metrics", "pydantic", "pytest", "torch"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, help="modules, or folders of them, below hsi_cd/")
    parser.add_argument("--tests", nargs="+", type=Path, help="tests that must notice; default: those of the room")
    parser.add_argument("--most", type=int, help="how many changes are drawn; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument(
        "--timeout", type=float, help="seconds for one run; default: three times the unchanged one"
    )
    parser.add_argument("--list", action="store_true", help="only say what would be changed")
    arguments = parser.parse_args()

    given = [(ROOT / path).resolve() for path in arguments.paths]
    files = [file for path in given for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    found = [change for file in dict.fromkeys(files) for change in changes_of(file.relative_to(ROOT))]
    drawn = found
    if arguments.most is not None and arguments.most < len(found):
        keep = sorted(random.Random(arguments.seed).sample(range(len(found)), arguments.most))
        drawn = [found[i] for i in keep]
    print(f"{len(drawn)} of {len(found)} changes")
    if arguments.list:
        print("\n".join(_told(change) for change in drawn))
        return 0

    load_libraries()
    survivors: list[Change] = []
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copied = Path(folder)
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / PACKAGE, copied / PACKAGE, ignore=skip)
        budgets: dict[frozenset[Path], float] = {}
        for number, change in enumerate(drawn, 1):
            tests = arguments.tests or tests_of(change.path)
            whole = frozenset(tests)  # in whatever order
            if whole not in budgets:
                started = time.perf_counter()
                if not run_tests(copied, tests, timeout=3600):
                    print(f"the tests fail without any change: {', '.join(map(str, tests))}")
                    return 2
                budgets[whole] = arguments.timeout or 20 + 3 * (time.perf_counter() - started)
            target = copied / change.path
            unchanged = target.read_text(encoding="utf-8")
            target.write_text(change.source, encoding="utf-8")
            lives = run_tests(copied, tests, timeout=budgets[whole])
            target.write_text(unchanged, encoding="utf-8")
            if lives:
                survivors.append(change)
            print(f"{number:4d} {'SURVIVED' if lives else 'killed  '} {_told(change)}", flush=True)
    share = 100 * (1 - len(survivors) / max(len(drawn), 1))
    print(f"\n{len(drawn) - len(survivors)} of {len(drawn)} killed ({share:.0f} %); survivors:")
    print("\n".join(f"  {_told(change)}" for change in survivors) or "  none")
    return 1 if survivors else 0


def _told(change: Change) -> str:
    return f"{change.path}:{change.line}: {change.before[:80]}  ->  {change.after[:80]}"


if __name__ == "__main__":
    sys.exit(main())
