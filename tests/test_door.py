"""The public names of ``import hsi_cd``."""

from __future__ import annotations

import ast
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import hsi_cd

HEAVY = """
import sys
import hsi_cd
dir(hsi_cd)
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"numpy", "torch", "rasterio", "scipy", "skimage", "sklearn", "xarray", "click", "tqdm"}))
print(sorted(name for name in sys.modules if name.startswith("hsi_cd.")))
"""


def test_the_door_itself_imports_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_a_name_does_not_import_torch_unless_it_must() -> None:
    code = "import sys, hsi_cd; hsi_cd.open_pair, hsi_cd.errors; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", hsi_cd.__all__)
def test_each_name_is_there_and_documented(name: str) -> None:
    assert name in dir(hsi_cd)
    assert getattr(hsi_cd, name) is getattr(hsi_cd, name)
    assert pydoc.getdoc(getattr(hsi_cd, name))


def test_the_table_and_what_type_checkers_see_name_the_same() -> None:
    """The table at run time, ``__all__``, and the imports for type checkers must not drift apart."""
    tree = ast.parse(Path(hsi_cd.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: f"{node.module}.{alias.name}" if node.module == "hsi_cd" else node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == hsi_cd._PLACES
    assert sorted(hsi_cd.__all__) == sorted(hsi_cd._PLACES)


def test_a_wrong_name_is_told_the_right_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'open_pairs': its names are .*open_pair"):
        hsi_cd.open_pairs  # noqa: B018


def test_the_help_says_what_to_type() -> None:
    text = pydoc.render_doc(hsi_cd)
    assert "hc.open_pair(" in text and "help(hc.open_pair)" in text


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(hsi_cd.__file__).parent / "py.typed").is_file()
